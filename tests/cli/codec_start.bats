# What a codec does once in a process, it has done before its decoder is confined.

bats_require_minimum_version 1.5.0

load server.bash

teardown() {
	serve_end_all
}

@test "a codec that reads a file when it is first used decodes, in a pool and with --isolate" {
	local isolate
	for isolate in "" --isolate; do
		LD_AUDIT="$CODEC_LOOKS" serve_start looks $isolate "$SHMSEM_IMAGES"
		"$SHMSEM" fetch -N looks --timeout 20 car
		# Otherwise there was nothing to see.
		wait_for_line "$BATS_TEST_TMPDIR/serve.err" 'looked into /proc/cpuinfo'
		serve_stop "$SERVER"
	done
	assert_nothing_left
}
