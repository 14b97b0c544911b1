# For tests that need a server: start one, and end what was started.

# serve_start NS [ARGUMENT…] -- starts a server on NS and waits until it takes requests. SERVER is its pid.
serve_start() {
	local space="$1"
	shift
	forget_said
	"$SHMSEM" serve -N "$space" "$@" 2>"$BATS_TEST_TMPDIR/serve.err" 3>&- &
	SERVER=$!
	SERVERS+=("$SERVER")
	wait_for_line "$BATS_TEST_TMPDIR/serve.err" "as '$space'"
}

# forget_said -- what an earlier server said: the next one gets to its file only after it was started.
forget_said() {
	rm -f "$BATS_TEST_TMPDIR/serve.err"
}

# wait_for_file FILE -- until it is there, for 10 seconds at most.
wait_for_file() {
	timeout 10 sh -c 'until [ -e "$1" ]; do sleep 0.02; done' sh "$1"
}

# wait_for_line FILE TEXT -- until the file has it, for 10 seconds at most.
wait_for_line() {
	timeout 10 sh -c 'until grep -qF -e "$2" "$1" 2>/dev/null; do sleep 0.02; done' sh "$1" "$2"
}

# without_inotify COMMAND... -- runs it as a user who has no inotify instance left, after a line with the pid of the process that has
# them; with a program and images that this user may read: $BATS_TEST_TMPDIR/shmsem and images.
without_inotify() {
	chmod 0755 "$BATS_TEST_TMPDIR" "$(dirname "$BATS_TEST_TMPDIR")" "$(dirname "$(dirname "$BATS_TEST_TMPDIR")")"
	cp -r "$SHMSEM" "$SHMSEM_IMAGES" "$BATS_TEST_DIRNAME/without_inotify" "$BATS_TEST_TMPDIR"
	chown -R 61183:61183 "$BATS_TEST_TMPDIR/images"
	setpriv --reuid 61183 --regid 61183 --clear-groups /usr/bin/python3 "$BATS_TEST_TMPDIR/without_inotify" "$@"
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
