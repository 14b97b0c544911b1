# For tests that need a server: start one, and end what was started.

# serve_start NS [ARGUMENT…] -- starts a server on NS and waits until it takes requests. SERVER is its pid.
serve_start() {
	local space="$1"
	shift
	"$SHMSEM" serve -N "$space" "$@" 2>"$BATS_TEST_TMPDIR/serve.err" 3>&- &
	SERVER=$!
	SERVERS+=("$SERVER")
	timeout 20 "$SHMSEM" fetch -N "$space" --wait 15 --names >/dev/null
}

# serve_stop PID [SIGNAL] -- ends it and returns its status.
serve_stop() {
	kill -"${2:-TERM}" "$1"
	wait "$1"
}

# To be called by teardown: ends what a failed test left.
serve_end_all() {
	local pid
	for pid in "${SERVERS[@]}"; do
		kill -KILL "$pid" 2>/dev/null || true
	done
	wait
}

# Fails if anything is left in /dev/shm.
assert_nothing_left() {
	[ -z "$(ls -A /dev/shm)" ] || {
		ls -la /dev/shm >&2
		return 1
	}
}
