# shmsem serve from the command line.

bats_require_minimum_version 1.5.0

load server.bash

teardown() {
	serve_end_all
}

@test "a command beside the server gets a namespace of its own, and its status is ours" {
	run -3 "$SHMSEM" serve "$SHMSEM_IMAGES" -- sh -c 'test -n "$SHMSEM_NAMESPACE" && exit 3'
	assert_nothing_left
}

@test "a second server on a namespace is refused, naming the first" {
	serve_start once "$SHMSEM_IMAGES"
	run -75 "$SHMSEM" serve -N once "$SHMSEM_IMAGES"
	[[ "$output" == *"$SERVER"* ]]
	serve_stop "$SERVER"
	assert_nothing_left
}
