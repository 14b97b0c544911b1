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

# counter NS NUMBER -- a counter of the statistics page of a server.
counter() {
	local seats
	seats=$(od -An -tu4 -j 44 -N 4 "/dev/shm/SEG_$1_HEAD")
	od -An -tu8 -j $((seats * 4096 + 128 + 8 * $2)) -N 8 "/dev/shm/SEG_$1_HEAD" | tr -d ' '
}

# many_images COUNT -- a folder of so many different files in $BATS_TEST_TMPDIR/many.
many_images() {
	local i
	mkdir "$BATS_TEST_TMPDIR/many"
	for ((i = 0; i < $1; i++)); do
		cp "$SHMSEM_IMAGES/car.jpg" "$BATS_TEST_TMPDIR/many/$i.jpg"
	done
}

@test "a limit to the size of files is an error, no signal, and the command has it as it was" {
	run -75 bash -c 'ulimit -f 16; exec "$SHMSEM" serve "$SHMSEM_IMAGES" -- true'
	[[ $output == "shmsem serve: "*"ulimit -f"* ]]
	run -153 "$SHMSEM" serve -q "$SHMSEM_IMAGES" -- sh -c 'ulimit -f 1; exec head -c 9999 /dev/zero >"$BATS_TEST_TMPDIR/x"'
}

@test "that no decoder can be started is said once, with the cause, and that one can again" {
	serve_start alone --decoders 1 "$SHMSEM_IMAGES"
	local limit
	limit=$(prlimit --pid "$SERVER" --nofile --noheadings -o SOFT | tr -d ' ')
	# Whatever is opened gets a number of 3 or more, which none may have then.
	prlimit --pid "$SERVER" --nofile=3:
	kill -KILL "$(pgrep -n -P "$SERVER")"
	wait_for_line "$BATS_TEST_TMPDIR/serve.err" 'still trying'
	prlimit --pid "$SERVER" --nofile="$limit":
	wait_for_line "$BATS_TEST_TMPDIR/serve.err" 'again'
	"$SHMSEM" fetch -q -N alone apple
	serve_stop "$SERVER"
	run -0 grep -v "as 'alone'" "$BATS_TEST_TMPDIR/serve.err"
	[ "${#lines[@]}" -eq 2 ]
	[ "${lines[0]}" = "shmsem serve: cannot start a decoder: Too many open files: only images in the store are served; still trying" ]
	[ "${lines[1]}" = "shmsem serve: decoders can be started again" ]
}

@test "a server to which a call is refused says which before it starts, and leaves nothing" {
	local call limits=prlimit64
	local -A old=([x86_64]='unlink epoll_wait' [aarch64]='unlinkat epoll_pwait')
	! grep -q __asan_init "$SHMSEM" || limits='' # the sanitizer itself ends without it
	for call in openat2 statx close_range pidfd_open eventfd2 fallocate $limits clone3 ${old[$(uname -m)]}; do
		run -77 --separate-stderr env ASAN_OPTIONS=detect_leaks=0 strace -f -o /dev/null -e "trace=$call" -e "inject=$call:error=EPERM" \
			"$SHMSEM" serve "$SHMSEM_IMAGES" -N refused -- true
		[[ $stderr == "shmsem serve: system calls that a server needs are refused: $call (Operation not permitted); what helps: "* ]]
		[ "$("$SHMSEM" list -n -o NAME 'refused')" = '' ]
	done
	# A limit that is used up, which is none, hides no refusal after it.
	run -77 --separate-stderr env ASAN_OPTIONS=detect_leaks=0 strace -f -o /dev/null -e trace=memfd_create,statx \
		-e inject=memfd_create:error=EMFILE -e inject=statx:error=EPERM "$SHMSEM" serve "$SHMSEM_IMAGES" -N refused -- true
	[[ $stderr == *" are refused: statx (Operation not permitted); "* ]]
}

@test "a folder stays the one it was, a link below it is followed as it is switched" {
	cd "$BATS_TEST_TMPDIR"
	mkdir -p top/one top/two
	cp "$SHMSEM_IMAGES/apple.jpg" top/one/
	cp "$SHMSEM_IMAGES/car.jpg" top/two/apple.jpg
	cp "$SHMSEM_IMAGES/car.jpg" top/two/new.jpg
	ln -s one top/current
	run -0 "$SHMSEM" serve top/current -N link -- bash -ec '
		ln -s two next; mv -T next top/current
		! "$SHMSEM" fetch -N link new 2>&1
		"$SHMSEM" fetch -N link --names
		mv top/one moved; mv top/two top/one
		"$SHMSEM" fetch -N link --names; mv top/one top/two; mv moved top/one'
	[ "$output" = $'shmsem fetch: new: no such image\napple.jpg\napple.jpg' ]
	[ "$("$SHMSEM" serve top/current -N link -- "$SHMSEM" fetch -N link --names)" = $'apple.jpg\nnew.jpg' ]
	ln -sfn one top/current
	run -0 "$SHMSEM" serve top -N link -- bash -ec '
		! "$SHMSEM" fetch -N link current/new 2>&1
		"$SHMSEM" fetch -N link --info current/apple | grep geometry
		ln -s two top/next; mv -T top/next top/current
		"$SHMSEM" fetch -N link --info current/apple current/new | grep geometry'
	[ "${lines[0]}" = 'shmsem fetch: current/new: no such image' ]
	[ "${lines[2]}" = "${lines[3]}" ]
	[ "${lines[1]}" != "${lines[2]}" ]
}

@test "a command that cannot be run gives 127 or 126, one that a signal ends 128 and its number" {
	run -127 "$SHMSEM" serve "$SHMSEM_IMAGES" -- "$BATS_TEST_TMPDIR/nothing"
	[[ "$output" == *"cannot run '$BATS_TEST_TMPDIR/nothing': No such file"* ]]
	run -126 "$SHMSEM" serve "$SHMSEM_IMAGES" -- /dev/null
	[[ "$output" == *"cannot run '/dev/null': Permission denied"* ]]
	run -137 "$SHMSEM" serve "$SHMSEM_IMAGES" -- sh -c 'kill -KILL $$'
	assert_nothing_left
}

@test "a parent that ignores SIGCHLD gets the command's status all the same" {
	run -5 timeout 20 env --ignore-signal=CHLD "$SHMSEM" serve "$SHMSEM_IMAGES" -- sh -c 'exit 5'
	assert_nothing_left
}

@test "SIGTERM, SIGINT and SIGHUP are passed on to the command, whose end is ours" {
	local signal
	for signal in TERM INT HUP; do
		rm -f "$BATS_TEST_TMPDIR/up"
		# A shell starts what runs beside it with SIGINT ignored.
		"$SHMSEM" serve "$SHMSEM_IMAGES" -- env --default-signal=INT bash -c \
			'trap "exit 7" "$1"; touch "$2"; while :; do sleep 0.05; done' bash "$signal" "$BATS_TEST_TMPDIR/up" 3>&- &
		SERVERS+=($!)
		wait_for_file "$BATS_TEST_TMPDIR/up"
		local status=0
		serve_stop $! "$signal" || status=$?
		[ "$status" = 7 ]
		assert_nothing_left
	done
}

@test "the command inherits no descriptor of the server" {
	run -0 "$SHMSEM" serve "$SHMSEM_IMAGES" -- sh -c 'readlink /proc/self/fd/* || true'
	[[ "$output" == *pipe:* || "$output" == */* ]]
	! grep -E "/dev/shm|socket:|inotify|pidfd|$SHMSEM_IMAGES" <<<"$output"
}

@test "SIGTERM, SIGINT and SIGHUP end a server with status 0, and nothing is left" {
	local signal
	for signal in TERM INT HUP; do
		serve_start ends "$SHMSEM_IMAGES"
		"$SHMSEM" fetch -N ends apple >/dev/null
		serve_stop "$SERVER" "$signal"
		assert_nothing_left
	done
}

@test "a server under nohup survives the hangup" {
	(
		trap '' HUP
		exec "$SHMSEM" serve -N nohup "$SHMSEM_IMAGES"
	) 2>"$BATS_TEST_TMPDIR/serve.err" 3>&- &
	SERVER=$!
	SERVERS+=("$SERVER")
	wait_for_line "$BATS_TEST_TMPDIR/serve.err" "as 'nohup'"
	kill -HUP "$SERVER"
	run -0 timeout 20 "$SHMSEM" fetch -N nohup apple
	kill -0 "$SERVER"
	serve_stop "$SERVER"
	assert_nothing_left
}

@test "the service manager hears READY=1, then STOPPING=1" {
	python3 - "$BATS_TEST_TMPDIR/notify" >"$BATS_TEST_TMPDIR/heard" 3>&- <<-'PYTHON' &
		import socket, sys
		s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
		s.bind(sys.argv[1])
		s.settimeout(20)
		for _ in range(2):
		    print(s.recv(100).decode(), flush=True)
	PYTHON
	local listener=$!
	wait_for_file "$BATS_TEST_TMPDIR/notify"
	export NOTIFY_SOCKET="$BATS_TEST_TMPDIR/notify"
	serve_start manager "$SHMSEM_IMAGES"
	wait_for_line "$BATS_TEST_TMPDIR/heard" READY=1
	serve_stop "$SERVER"
	wait "$listener"
	[ "$(cat "$BATS_TEST_TMPDIR/heard")" = $'READY=1\nSTOPPING=1' ]
}

@test "a server ends after the number of requests it was told, with status 0" {
	serve_start few --requests 3 "$SHMSEM_IMAGES"
	local i
	for i in 1 2 3; do
		timeout 20 "$SHMSEM" fetch -N few apple >/dev/null 2>&1 || true
	done
	wait "$SERVER"
	assert_nothing_left
}

@test "a command goes on after the last request, and its status counts" {
	run -5 --separate-stderr timeout 20 "$SHMSEM" serve -N last --requests 1 "$SHMSEM_IMAGES" -- sh -c '
		"$SHMSEM" fetch apple >/dev/null 2>&1
		until [ ! -e /dev/shm/SEG_last_HEAD ]; do sleep 0.05; done
		exit 5'
	assert_nothing_left
}

@test "a folder that is none, or two of them, is refused in one sentence" {
	run -66 "$SHMSEM" serve "$BATS_TEST_TMPDIR/nowhere"
	[ "$output" = "shmsem serve: cannot open '$BATS_TEST_TMPDIR/nowhere': No such file or directory" ]
	run -64 "$SHMSEM" serve "$SHMSEM_IMAGES" "$SHMSEM_IMAGES"
	[[ "$output" == *"one folder at a time"* ]]
	run -64 "$SHMSEM" serve
	assert_nothing_left
}

@test "stdout stays empty, what there is to say is on stderr" {
	"$SHMSEM" serve -N quiet "$SHMSEM_IMAGES" >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/serve.err" 3>&- &
	SERVERS+=($!)
	wait_for_line "$BATS_TEST_TMPDIR/serve.err" 'shmsem fetch -N quiet NAME'
	serve_stop $!
	[ ! -s "$BATS_TEST_TMPDIR/out" ]
}

@test "preloaded images are in the store before anybody asks" {
	serve_start all --preload "$SHMSEM_IMAGES"
	[ "$(counter all 2)" = 4 ]
	[ "$(counter all 0)" = 0 ]
	grep 'preloaded 4 of 4 images' "$BATS_TEST_TMPDIR/serve.err"
	"$SHMSEM" fetch -N all apple >/dev/null
	[ "$(counter all 2)" = 4 ]
	[ "$(counter all 1)" -ge 1 ]
	serve_stop "$SERVER"
	assert_nothing_left
}

@test "patterns choose what is preloaded, and one without an image is said" {
	serve_start some --preload=apple --preload='d*' --preload=zebra "$SHMSEM_IMAGES"
	[ "$(counter some 2)" = 2 ]
	grep "there is no image 'zebra'" "$BATS_TEST_TMPDIR/serve.err"
	serve_stop "$SERVER"
}

@test "what cannot be preloaded is said, and the server serves" {
	cp "$SHMSEM_IMAGES"/*.png "$BATS_TEST_TMPDIR"
	echo 'no image' >"$BATS_TEST_TMPDIR/text.png"
	serve_start broken --preload "$BATS_TEST_TMPDIR"
	grep '^shmsem serve: text.png: ' "$BATS_TEST_TMPDIR/serve.err"
	grep 'preloaded 2 of 3 images' "$BATS_TEST_TMPDIR/serve.err"
	serve_stop "$SERVER"
}

@test "preloading ends when the store is full" {
	many_images 4
	serve_start full --preload --cache 20M "$BATS_TEST_TMPDIR/many"
	grep 'preloaded [123] of 4 images; the store (--cache) is full' "$BATS_TEST_TMPDIR/serve.err"
	serve_stop "$SERVER"
}

@test "a mode that admits nobody is warned of" {
	run -0 "$SHMSEM" serve --mode 0644 "$SHMSEM_IMAGES" -- true
	[ "$output" = "shmsem serve: warning: --mode 0644 admits no other user: a class of users needs to read and write" ]
	run -0 "$SHMSEM" serve --mode 0606 "$SHMSEM_IMAGES" -- true
	[ -z "$output" ]
}

@test "a store that is larger than what is free is warned of, and takes no more for it" {
	run -0 "$BATS_TEST_DIRNAME/private" bash -c 'mount -o remount,size=64m /dev/shm
		"$SHMSEM" serve --cache 100G "$SHMSEM_IMAGES" -- bash -c "\"\$SHMSEM\" fetch -q apple; stat -fc %f /dev/shm"'
	[[ "${lines[0]}" == "shmsem serve: warning: --cache 100G is more than the 64M that are free on /dev/shm,"* ]]
	[ "${#lines[@]}" -eq 2 ]
	[ "${lines[1]}" -gt $((48 * 256)) ]
}

@test "a signal ends a preload, too, and a terminal shows how far it is" {
	many_images 100
	script -qefc "exec $SHMSEM serve -N slow --preload $BATS_TEST_TMPDIR/many" "$BATS_TEST_TMPDIR/screen" >/dev/null 3>&- &
	local terminal=$!
	SERVERS+=("$terminal")
	wait_for_line "$BATS_TEST_TMPDIR/screen" ' of 100'
	kill -TERM "$(cat /proc/"$terminal"/task/*/children)"
	wait "$terminal"
	! grep 'preloaded' "$BATS_TEST_TMPDIR/screen"
	assert_nothing_left
}

@test "a server whose header was removed says so, asks its command to end, and fails" {
	run -69 timeout 20 "$SHMSEM" serve -N gone "$SHMSEM_IMAGES" -- sh -c \
		'trap "exit 0" TERM; rm /dev/shm/SEG_gone_HEAD; while :; do sleep 0.05; done'
	[[ "$output" == *"somebody removed 'SEG_gone_HEAD' from /dev/shm"* ]]
	assert_nothing_left
}

@test "a hundred times two servers at once: one has the namespace, the other names it" {
	local i
	for ((i = 0; i < 100; i++)); do
		local first second one=0 two=0
		"$SHMSEM" serve -w 1 -s 1 -N both "$SHMSEM_IMAGES" 2>"$BATS_TEST_TMPDIR/1" 3>&- &
		first=$!
		"$SHMSEM" serve -w 1 -s 1 -N both "$SHMSEM_IMAGES" 2>"$BATS_TEST_TMPDIR/2" 3>&- &
		second=$!
		SERVERS+=("$first" "$second")
		wait -n "$first" "$second" || true
		wait_for_line <(cat "$BATS_TEST_TMPDIR"/[12]) serve
		kill "$first" "$second" 2>/dev/null || true
		wait "$first" || one=$?
		wait "$second" || two=$?
		[[ "$one $two" == "0 75" || "$one $two" == "75 0" ]]
		SERVERS=()
	done
	assert_nothing_left
}

@test "a server that gets no inotify instance says so and serves what is there" {
	cd "$BATS_TEST_TMPDIR"
	run -0 without_inotify ./shmsem serve images -N no-inotify -- bash -ec '
		./shmsem fetch -N no-inotify apple --info; ./shmsem list --stats -N no-inotify
		mv images/car.jpg images/apple.jpg
		./shmsem fetch -N no-inotify apple --info'
	[ "$(grep -c 'no inotify instance is to be had' <<<"$output")" = 1 ]
	[ "$(grep -c '^without inotify: each answer looks at its file$' <<<"$output")" = 1 ]
	[ "$(grep -c '^  geometry' <<<"$output")" = 2 ]
	[ "$(grep '^  geometry' <<<"$output" | sort -u | wc -l)" = 2 ]
}

@test "a server without watches, or without io_uring, says so once" {
	cd "$BATS_TEST_TMPDIR"
	local -x ASAN_OPTIONS=detect_leaks=0 # which ptrace(2) prevents
	strace -f -o /dev/null -e trace=inotify_add_watch -e inject=inotify_add_watch:error=ENOSPC \
		"$SHMSEM" serve "$SHMSEM_IMAGES" -N watches -- sh -c '
		"$0" fetch -q -N watches apple && "$0" fetch -q -N watches apple car
		for try in $(seq 300); do
			"$0" list --stats -N watches | grep -q "^too few inotify watches: " && break; sleep 0.1
		done
		"$0" list --stats -N watches; "$0" list --stats -N watches -J' "$SHMSEM" >serve.out 2>serve.err
	[ "$(grep -c '^too few inotify watches: answers look at files that have none$' serve.out)" = 1 ]
	grep -q '"few-watches": true' serve.out
	[ "$(grep -c 'no more inotify watches' serve.err)" = 1 ]

	strace -f -o /dev/null -e trace=io_uring_setup -e inject=io_uring_setup:error=EPERM \
		"$SHMSEM" serve "$SHMSEM_IMAGES" -N uring 2>serve.err 3>&- &
	wait_for_line serve.err 'io_uring is refused'
	"$SHMSEM" fetch -q -N uring apple
	kill "$(pgrep -P $! -f 'serve')"
	wait $!
	[ "$(grep -c 'io_uring is refused' serve.err)" = 1 ]
	assert_nothing_left
}

# way_of [COMMAND...] -- how stored images are found, by what `list --stats` says of a server that the command starts
way_of() {
	"$@" "$SHMSEM" serve "$SHMSEM_IMAGES" -N way $fresh -- "$SHMSEM" list --stats -N way | sed -n 2p
}

@test "list --stats says how stored images are found" {
	local fresh='' asked='each stored image is asked for'
	if "$SHMSEM" doctor --json | grep -q '"check": "change flag", "state": "ok"'; then
		[ "$(way_of)" = 'stored images are found without asking, until the kernel notes a change' ]
	else
		[ "$(way_of)" = "$asked" ]
	fi
	[ "$(way_of strace -f -o /dev/null -e trace=io_uring_setup -e inject=io_uring_setup:error=EPERM)" = "$asked" ]
	[ "$(way_of strace -f -o /dev/null -e trace=set_robust_list -e inject=set_robust_list:error=EPERM)" = "$asked" ]
	fresh='--fresh 1'
	[ "$(way_of)" = 'stored images are found without asking, for as long as --fresh says' ]
	"$SHMSEM" serve "$SHMSEM_IMAGES" -N way --fresh 600 -- sh -c '
		"$0" fetch -N way apple >/dev/null && "$0" fetch -N way apple >/dev/null && "$0" list --stats -J -N way' "$SHMSEM" |
		/usr/bin/python3 -c "import json, sys
index = json.load(sys.stdin)['index']
assert index['way'] == 'fresh' and index['found'] == 1 and index['bytes'] > 0 and index['entries'] > 0, index"
}
