# shmsem bench: every mechanism runs and hands over the right bytes, exports can be read, nothing is
# left behind. Nothing here depends on how fast the machine is.

bats_require_minimum_version 1.5.0

setup()
{
	folder=$(mktemp -d)
	export TMPDIR="$folder/tmp"
	mkdir "$TMPDIR" "$folder/mqueue"
}

teardown()
{
	rm -rf "$folder"
}

# Runs a script with System V objects, message queues and a /dev/shm of its own, so that what it
# leaves can be told from what others make meanwhile. `left` lists that.
alone()
{
	timeout 900 "$BATS_TEST_DIRNAME/private" bash -c '
		set -m
		folder=$1
		exec 2>"$folder/jobs" # what bash says of those that are killed
		mount -t mqueue none "$folder/mqueue"
		left() { ls -A /dev/shm "$folder/mqueue" "$TMPDIR" | grep -v ":$" | grep . ||
			ipcs | grep "^0x"; }
		until_true() { for i in $(seq 1200); do "$@" && return; sleep 0.05; done; return 1; }
		is_running() { ipcs -s | grep -q "^0x" && [ -z "$(ls -A "$TMPDIR" /dev/shm | grep shmsem)" ]; }
		start() { "$SHMSEM" bench transport -s 64 -t 100 -r 100 >"$folder/out" 2>&1 & pid=$!
			until_true is_running; }
		'"$1" alone "$folder"
}

@test "every mechanism hands over the right bytes and leaves nothing" {
	run alone '"$SHMSEM" bench transport -s 1,64,9001,1M -t 1ms -r 2 -w 0 --export-json "$folder/all.json" >"$folder/out"
		echo "status $?"; left'
	[ "$output" = "status 0" ]
	count=$("$SHMSEM" bench --list | wc -l)
	[ "$count" -ge 15 ]
	jq -e --argjson count "$count" '.results | length == 4 * $count' "$folder/all.json"
	jq -e '.results | map(.ns.p50 > 0 and .ns.max >= .ns.p99 and (.runs | length) == 2) | all' \
		"$folder/all.json"
}

@test "each mechanism can be asked for alone, beside the limit" {
	for name in $("$SHMSEM" bench --list | cut -d' ' -f1); do
		run "$SHMSEM" bench transport -m "$name" -s 64 -t 1ms -r 1 --export-csv -
		[ "$status" = 0 ]
		[[ "$output" == *",\"$name\",64,"* ]]
		[[ "$output" == *',"cache-line",64,1,'* ]]
	done
}

@test "it makes the calls of each mechanism" {
	calls=$(alone 'strace -f -o "$folder/calls" "$SHMSEM" bench transport -s 64 -t 1ms -r 1 >/dev/null
		cat "$folder/calls"')
	for call in shmget shmat shmdt shmctl semget semtimedop semctl msgget msgsnd msgrcv msgctl \
		mq_open mq_unlink mq_timedsend mq_timedreceive pipe2 mknod eventfd2 memfd_create \
		futex bind listen accept4 connect; do
		[[ "$calls" == *"$call"* ]] || { echo "no $call"; return 1; }
	done
	[[ "$calls" == */dev/shm/shmsem-bench-* ]]
	[[ "$calls" == */dev/shm/sem.* ]]
}

@test "the JSON has machine, plan, every sample and the limit" {
	"$SHMSEM" bench transport -m pipe,futex -s 64,4K -t 5ms -r 3 --export-json "$folder/out.json"
	jq -e '.machine | .cpus >= 1 and (.model | length > 0) and (.kernel | startswith("Linux"))' \
		"$folder/out.json"
	jq -e '.plan == {"seconds": 0.005, "runs": 3, "warmup": 1}' "$folder/out.json"
	jq -e '.results | map(.name) == ["cache-line", "pipe", "futex", "cache-line", "pipe", "futex"]' \
		"$folder/out.json"
	jq -e '.results | map(select(.limit)) | map(.ratio == 1) | all' "$folder/out.json"
	jq -e '.results | map((.runs | flatten | min) == .ns.min and (.runs | flatten | max) == .ns.max) | all' \
		"$folder/out.json"
}

@test "an export to standard output stands there alone" {
	run --separate-stderr "$SHMSEM" bench transport -m pipe -s 64 -t 1ms -r 1 --export-json -
	[ "$status" = 0 ]
	jq -e '.results | length == 2' <<<"$output"
}

@test "CSV and Markdown have a line for each row" {
	"$SHMSEM" bench transport -m pipe,posix-mq -s 64,16K -t 1ms -r 1 --export-csv "$folder/out.csv" \
		--export-markdown "$folder/out.md"
	[ "$(wc -l <"$folder/out.csv")" = 7 ]
	[ "$(head -1 "$folder/out.csv" | tr -dc , | wc -c)" = "$(tail -1 "$folder/out.csv" | tr -dc , | wc -c)" ]
	[ "$(grep -c '^| \(cache-line\|pipe\|posix-mq\)' "$folder/out.md")" = 6 ]
	grep -q 'in pieces of 8K' "$folder/out.md"
}

@test "the table names the machine, the limit first" {
	run "$SHMSEM" bench transport -m pipe -s 64 -t 1ms -r 1
	[ "$status" = 0 ]
	[[ "${lines[0]}" == *CPUs*Linux* ]]
	[[ "$output" == *"transport, 64B"*NAME*P50*P90*P99*MAX*SPREAD*LIMIT*cache-line*1.00\ x*pipe* ]]
}

@test "a terminal gets bars, and progress of what takes long" {
	run script -qec "'$SHMSEM' bench transport -m pipe -s 8M -t 1 -r 4 -w 0" /dev/null
	[ "$status" = 0 ]
	[[ "$output" == *"%  transport, 8M"* ]]
	grep -q "^cache-line.* # *.$" <<<"$output"
	# With one CPU the pipe may be faster than the limit.
	grep -Eq "^pipe.*( 0\.[0-9]+ x #| #{24})" <<<"$output"
	run "$SHMSEM" bench transport -m pipe -s 64 -t 1ms -r 1
	[[ "$output" != *"##"* ]]
}

@test "a plot is drawn as svg and as png" {
	"$SHMSEM" bench transport -m pipe -s 64,4K -t 1ms -r 1 --plot "$folder/out.svg"
	head -c 300 "$folder/out.svg" | grep -q '<svg'
	"$SHMSEM" bench transport -m pipe -s 64,4K -t 1ms -r 1 --plot "$folder/out.png"
	[ "$(head -c 4 "$folder/out.png" | tail -c 3)" = PNG ]
	[ "$(ls "$folder" | grep -c out)" = 2 ]
}

@test "a plot without gnuplot is refused before anything is measured, with the way out" {
	PATH=/nonexistent run "$SHMSEM" bench -t 100 --plot "$folder/out.svg"
	[ "$status" = 69 ]
	[[ "$output" == *"gnuplot"*"not installed"* ]]
}

@test "wrong options are refused before anything is measured" {
	refused()
	{
		run "$SHMSEM" bench -t 100 "$@"
		[ "$status" = 64 ] || { echo "$*: $status"; return 1; }
		[ "${#lines[@]}" = 1 ]
	}
	refused transport --size 0
	refused transport --size 64,
	refused transport --size 2G
	refused transport --mechanism telepathy
	refused transport --runs 0
	refused transport --time 0
	refused transport --pin 0,99999
	refused transport --pin many
	refused transport --plot picture.gif
	refused transport fetch
	refused fetch --size 64
	refused decode --mechanism pipe
	refused transport --list
	refused elsewhere
}

@test "an export that cannot be written is an error" {
	run "$SHMSEM" bench transport -m pipe -s 64 -t 1ms -r 1 --export-json "$folder/none/out.json"
	[ "$status" = 66 ]
	[[ "$output" == *"cannot write"* ]]
	run bash -c '"$SHMSEM" bench transport -m pipe -s 64 -t 1ms -r 1 --export-json - >/dev/full'
	[ "$status" = 74 ]
}

@test "both sides on one CPU are warned of" {
	cpu=$(taskset -cp $$ | sed 's/.*: //; s/[-,].*//')
	run timeout 60 "$SHMSEM" bench transport -m pipe -s 64 -t 1ms -r 1 -w 0 --pin "$cpu"
	[ "$status" = 0 ]
	[[ "$output" == *"warning: both sides share a core"* ]]
}

@test "a signal ends it at once, as that signal, and nothing is left" {
	for signal in TERM INT HUP; do
		run alone 'start || exit; kill -'$signal' $pid; wait $pid; echo "status $?"; left'
		[ "$output" = "status $((128 + $(kill -l $signal)))" ]
	done
}

@test "a requester that is killed leaves nothing" {
	run alone 'start || exit; kill -KILL $pid; wait $pid; echo "status $?"
		nothing_left() { [ -z "$(left)" ]; }
		until_true nothing_left; left'
	[[ "$output" == *"status 137" ]]
}

@test "a responder that is killed is an error, and nothing is left" {
	run alone 'start || exit; kill -KILL $(pgrep -P $pid | tail -1); wait $pid; echo "status $?"
		cat "$folder/out"; left'
	[[ "$output" == "status 69"*"responder was killed by signal 9 (SIGKILL)" ]]
	[ "${#lines[@]}" = 2 ]
}

@test "decode measures each image at each scale beside the plain libraries" {
	"$SHMSEM" bench decode "$SHMSEM_IMAGES/apple.jpg" "$SHMSEM_IMAGES/dog.png" -t 1ms -r 1 -w 0 \
		--export-json "$folder/out.json"
	jq -e '.results | length == 39' "$folder/out.json"
	jq -e '.results | map(select(.limit) | .name) | unique == ["libjpeg", "libpng"]' "$folder/out.json"
	jq -e '.results | map(.name) | unique | contains(["libjpeg-fast", "libpng-simplified", "shmsem", "shmsem-header"])' \
		"$folder/out.json"
	jq -e '.results | map(.group | select(test("apple.jpg.*scale 1/8"))) | length == 4' "$folder/out.json"
}

@test "decode of the drawn set shows PNG by libpng alone, reduced sizes, and Pillow's resize" {
	"$SHMSEM" bench decode -t 1ms -r 1 -w 0 --export-json "$folder/decode.json" >"$folder/out"
	for image in photo grey alpha noise deep; do
		jq -e --arg group "$image.png 960x640, scale 1/2" '.results | map(select(.group == $group) | .name) |
			contains(["libpng", "shmsem", "shmsem, by libpng alone", "shmsem, full size"])' "$folder/decode.json"
	done
	for kind in RGB RGBA "16-bit grey"; do
		for filter in box bicubic; do
			jq -e --arg group "resize $kind 960x640 to 224x224, $filter" '.results | map(select(.group == $group) | .name) ==
				["Pillow", "shmsem"]' "$folder/decode.json"
		done
	done
	[[ "$(cat "$folder/out")" == *GOAL*"PNG at 1/2, 1/4, 1/8"*"exact size"* ]]
}

@test "decode takes a folder, and refuses what is no image" {
	run "$SHMSEM" bench decode "$SHMSEM_IMAGES" -t 1ms -r 1 -w 0 --export-csv -
	[ "$status" = 0 ]
	[ "$(grep -o '"[^"]*scale 1/1"' <<<"$output" | sort -u | wc -l)" = "$(ls "$SHMSEM_IMAGES" | wc -l)" ]
	echo nothing >"$folder/words.png"
	run "$SHMSEM" bench decode "$folder/words.png"
	[ "$status" = 65 ]
	run "$SHMSEM" bench decode "$folder/none.png"
	[ "$status" = 66 ]
}

@test "without a word it measures three parts, stored and fresh images, notes every goal and leaves nothing" {
	run alone '"$SHMSEM" bench -t 2ms -r 2 -w 0 --export-json "$folder/all.json" >"$folder/out"
		echo "status $?"; left'
	[ "$output" = "status 0" ]
	jq -e '.results | map(.part) | unique == ["decode", "fetch", "transport"]' "$folder/all.json"
	jq -e '.goals | length == 27' "$folder/all.json"
	jq -e '.goals | map((.reached | type == "boolean") and (.measured >= 0 or .unit == "ms")) | all' "$folder/all.json"
	jq -e '.results | map(select(.part == "fetch" and .group == "hot") | .name) | contains(["cache-line", "empty request",
		"stored dot.png", "stored large.jpg", "classic large.jpg"])' "$folder/all.json"
	jq -e '.results | map(select(.name == "decoded fresh")) | length >= 6' "$folder/all.json"
	jq -e '.results | map(select(.group | startswith("one of 1000 stored")) | .name)
		== ["private look-up", "stored", "private look-up", "stored"]' "$folder/all.json"
	jq -e '.results | map(select(.group == "one of 100000 stored") | .name) == ["private look-up", "stored"]' \
		"$folder/all.json"
	jq -e '.results | map(select(.group == "stored photo.png, 100000 by each") | .name) |
		contains(["private, 1 client", "stored, 1 client"])' "$folder/all.json"
	jq -e '.results | map(select(.group == "64 clients on 8 seats") | .runs | flatten | length) == [128]' \
		"$folder/all.json"
	jq -e '.results | map(select(.group | test("many|anew")) | .name) == ["16 seats", "1024 seats", "16 seats", "1024 seats",
		"one folder", "1000 folders in use", "find(1)", "list of names"]' "$folder/all.json"
	jq -e '.results | map(select(.group | endswith(", 64 images"))) | map(.name) == ["as asked for", "decoded ahead",
		"plain file", "member of a shard"] and all(.[]; .ns.p50 > 0 and .ratio > 0 and .bytes > 0)' "$folder/all.json"
	[[ "$(tail -40 "$folder/out")" == *GOAL*LIMIT*MEASURED*REACHED*"idle server"* ]]
}

@test "fetch takes the user's own images, and shows the classic exchange beside each decoded fresh" {
	run alone '"$SHMSEM" bench fetch "$SHMSEM_IMAGES/apple.jpg" "$SHMSEM_IMAGES/dog.png" -t 1ms -r 1 -w 0 \
		--export-json "$folder/fetch.json" >"$folder/out"
		echo "status $?"; left'
	[ "$output" = "status 0" ]
	grep -q "^stored apple.jpg" "$folder/out"
	jq -e '.results | group_by(.group) | map(select(any(.name == "classic, decoded fresh"))) | length == 2
		and all(.[]; .[0].limit and .[1].name == "decoded fresh" and .[2].bytes == .[1].bytes)' \
		"$folder/fetch.json"
}

@test "fetch that is told to end, or killed, leaves no server and no object" {
	for signal in TERM KILL; do
		run alone '"$SHMSEM" bench fetch -t 100 >"$folder/out" 2>&1 & pid=$!
			serving() { ls /dev/shm | grep -q SEG_bench && pgrep -f -- "--namespace bench-$pid-" >/dev/null; }
			nothing_left() { [ -z "$(ls -A /dev/shm)" ] && ! pgrep -f -- "--namespace bench-$pid-" >/dev/null; }
			until_true serving || exit
			kill -'$signal' $pid; wait $pid; echo "status $?"
			until_true nothing_left && echo nothing'
		[ "$output" = "status $((128 + $(kill -l $signal)))
nothing" ]
	done
}

@test "whenever a signal comes, nothing is left" {
	for part in transport fetch; do
		run alone 'for i in $(seq 12); do
				signal=$(printf "TERM\nINT\nHUP" | shuf -n 1)
				"$SHMSEM" bench '$part' -t 100 >"$folder/out" 2>&1 & pid=$!
				sleep 0.$(shuf -i 010-500 -n 1)
				kill -$signal $pid; wait $pid
				[ -z "$(left)" ] || { echo "after $signal:"; left; exit 1; }
			done; echo nothing'
		[ "$output" = nothing ]
	done
}

@test "the next bench removes what a killed one left, and nothing else" {
	run alone '"$SHMSEM" bench fetch -t 100 >"$folder/out" 2>&1 & pid=$!
		serving() { ls /dev/shm | grep -q SEG_bench; }
		nothing_published() { [ -z "$(ls -A /dev/shm)" ]; }
		until_true serving || exit
		kill -KILL $pid; wait $pid; until_true nothing_published || exit
		ls -d "$TMPDIR"/shmsem-bench-* >"$folder/killed"
		mkdir "$TMPDIR/shmsem-bench-used"
		exec 8<"$TMPDIR/shmsem-bench-used"
		flock 8
		touch "$TMPDIR/shmsem-bench-new" "$TMPDIR/another"
		touch -d "2 minutes ago" /dev/shm/sem.shmsem-bench-1-res "$TMPDIR/shmsem-bench-1-2" \
			/dev/shm/another
		"$SHMSEM" bench transport -m pipe -s 64 -t 1ms -r 1 >"$folder/out"
		echo "status $?"; wc -l <"$folder/killed"; ls -A "$TMPDIR" /dev/shm'
	[ "$output" = "status 0
1
/dev/shm:
another

$TMPDIR:
another
shmsem-bench-new
shmsem-bench-used" ]
}

@test "python says what is missing" {
	mkdir "$folder/bin"
	run -69 env PATH="$folder/bin" "$SHMSEM" bench python
	[ "$output" = "shmsem bench: python3 is not installed, or not in a folder of \$PATH" ]
	printf '#!/bin/sh\necho "! No module named '"'numpy'"'"\n' >"$folder/bin/python3"
	chmod +x "$folder/bin/python3"
	run -69 env PATH="$folder/bin" "$SHMSEM" bench python
	[ "$output" = "shmsem bench: cannot measure Python: No module named 'numpy'" ]
	printf '#!/bin/sh\nexit 3\n' >"$folder/bin/python3"
	run -69 env PATH="$folder/bin" "$SHMSEM" bench python
	[[ "$output" = "shmsem bench: python3 failed"* ]]
	printf '#!/bin/sh\necho 0 nonsense\n' >"$folder/bin/python3"
	run -70 env PATH="$folder/bin" "$SHMSEM" bench python
}
