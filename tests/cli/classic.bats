# serve --join against a requester that knows the classic exchange and nothing else.

bats_require_minimum_version 1.5.0

load server.bash
load pixels.bash

setup() {
	cd "$SHMSEM_IMAGES"
}

teardown() {
	serve_end_all
}

# join_start NS [ARGUMENT…] -- starts a responder. SERVER is its pid.
join_start() {
	local space="$1"
	shift
	forget_said
	"$SHMSEM" serve -N "$space" --join "$@" 2>"$BATS_TEST_TMPDIR/serve.err" 3>&- &
	SERVER=$!
	SERVERS+=("$SERVER")
}

# answers_to COUNT NAME… -- what a requester prints that asks COUNT times for the names in turn.
answers_to() {
	local count="$1" i
	local -a lines
	shift
	for ((i = 0; i < $#; i++)); do
		lines+=("$(answer_of "${@:i+1:1}")")
	done
	for ((i = 0; i < count; i++)); do
		echo "${lines[i % $#]}"
	done
}

requester() {
	timeout 60 "$CLASSIC_REQUESTER" "$@"
}

@test "a hundred classic requests in a row, growing and shrinking, are answered right" {
	join_start grow --requests 100 .
	run -0 requester grow 100 dog.png car.jpg apple ball
	wait "$SERVER"
	diff <(echo "$output") <(answers_to 100 dog.png car.jpg apple ball)
	assert_nothing_left
}

@test "a requester that was there first is answered, too" {
	requester first 100 car.jpg dog.png ball >"$BATS_TEST_TMPDIR/answers" 3>&- &
	local peer=$!
	wait_for_file /dev/shm/SEG_first_DATA
	join_start first --requests 100 .
	wait "$peer"
	wait "$SERVER"
	diff "$BATS_TEST_TMPDIR/answers" <(answers_to 100 car.jpg dog.png ball)
	assert_nothing_left
}

@test "requesters may come one after the other" {
	join_start again .
	local i
	for i in 1 2 3; do
		run -0 requester again 2 apple dog.png
		diff <(echo "$output") <(answers_to 2 apple dog.png)
	done
	serve_stop "$SERVER"
	assert_nothing_left
}

@test "what cannot be served is answered with four zeros, and stderr says why" {
	echo 'no image' >"$BATS_TEST_TMPDIR/text.png"
	cp dog.png "$BATS_TEST_TMPDIR"
	join_start zeros --requests 4 "$BATS_TEST_TMPDIR"
	run -0 requester zeros 4 nothing text.png ../etc/passwd dog.png
	wait "$SERVER"
	diff <(echo "$output") <(answers_to 4 nothing text.png ../etc/passwd dog.png)
	grep "nothing" "$BATS_TEST_TMPDIR/serve.err"
	grep "text.png: " "$BATS_TEST_TMPDIR/serve.err"
	grep "etc/passwd" "$BATS_TEST_TMPDIR/serve.err"
	assert_nothing_left
}

@test "an image over the time limit is answered with four zeros" {
	join_start late --decode-timeout 1ms .
	run -0 requester late 1 car.jpg
	[ "$output" = "$(answer_of none | sed s/none/car.jpg/)" ]
	grep -e --decode-timeout "$BATS_TEST_TMPDIR/serve.err"
	serve_stop "$SERVER"
	assert_nothing_left
}

@test "SIGTERM, SIGINT and SIGHUP end a responder that nobody has asked, with status 0" {
	local signal
	for signal in TERM INT HUP; do
		join_start alone .
		wait_for_line "$BATS_TEST_TMPDIR/serve.err" "answering the requester that creates 'alone'"
		serve_stop "$SERVER" "$signal"
	done
	assert_nothing_left
}

@test "a responder does not answer on the namespace of a server" {
	serve_start taken .
	run -75 timeout 10 "$SHMSEM" serve -N taken --join .
	[[ "$output" == *"a server has the namespace 'taken'"* ]]
	serve_stop "$SERVER"
	assert_nothing_left
}

@test "a requester that runs beside the responder needs no other terminal" {
	run -0 --separate-stderr "$SHMSEM" serve -N beside --join . -- \
		timeout 60 "$CLASSIC_REQUESTER" beside 3 apple ball car.jpg
	diff <(echo "$output") <(answers_to 3 apple ball car.jpg)
	assert_nothing_left
}

@test "options of seats and of the store mean nothing together with --join" {
	run -64 "$SHMSEM" serve --join --cache 1M .
	[[ "$output" == *"--cache means nothing together with --join"* ]]
	run -64 "$SHMSEM" serve --join -s 2 .
	[[ "$output" == *"--seats means nothing together with --join"* ]]
}
