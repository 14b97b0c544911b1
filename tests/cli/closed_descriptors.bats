# Standard input, output and error closed, in every combination: nothing of shmsem gets their numbers, so that what a
# program prints never goes into an object, and output that cannot be written is an error (status 74).

bats_require_minimum_version 1.5.0

load server.bash

setup() {
	NS=closed
	cd "$BATS_TEST_TMPDIR" || return
}

teardown() {
	serve_end_all
}

# without DESCRIPTORS COMMAND... -- runs it with each of these closed, as in "02"
without() {
	local closed="$1" redirections='' i
	shift
	for ((i = 0; i < ${#closed}; i++)); do
		redirections+=" ${closed:i:1}>&-"
	done
	sh -c 'exec "$@"'"$redirections" without "$@"
}

# taken TRACE... -- the calls of these traces that gave 0, 1 or 2 to something that the program then kept there: not moved
# up at once. (A folder that is only listed takes no output.)
taken() {
	awk 'FNR == 1 { ours = 0; held = "" }
		held != "" && !/^fcntl\([0-2], F_DUPFD_CLOEXEC, 3\)/ { print held }
		{ held = "" }
		/^openat\(AT_FDCWD, "\/", O_RDONLY\|O_PATH\)/ || /"\/dev\/shm/ || /^eventfd/ { ours = 1 }
		/O_PATH|O_DIRECTORY/ || !ours { next }
		/^(openat|socket|accept4|eventfd2|inotify_init1|io_uring_setup|memfd_create|pidfd_open|epoll_create1|timerfd_create|signalfd4)\(.* = [012]$/ { held = $0 }' "$@"
}

combinations=(0 1 2 01 02 12 012)

@test "no command gives 0 to 2 to anything of its own, and says with 74 that its output went nowhere" {
	local commands=(
		"--version" "--help" "help fetch" "__complete fetch -"
		"list -N $NS" "list -N $NS --json" "list -N $NS --stats" "list -N $NS --stats --json"
		"cleanup -n -N $NS" "cleanup -n -N $NS --json" "doctor" "bench --list"
		"fetch -N $NS apple" "fetch -N $NS --json apple" "fetch -N $NS --names" "fetch -N $NS -o - apple"
		"fetch -N $NS -q -o picture.png apple"
	)
	local command closed expected status
	serve_start "$NS" "$SHMSEM_IMAGES"
	for command in "${commands[@]}"; do
		# shellcheck disable=SC2086 # a command line
		"$SHMSEM" $command >said 2>/dev/null </dev/null && expected=0 || expected=$?
		for closed in "${combinations[@]}"; do
			status=0
			# shellcheck disable=SC2086
			without "$closed" "$SHMSEM" $command >/dev/null 2>&1 </dev/null || status=$?
			echo "$command, without $closed: $status; with all: $expected"
			if [[ "$closed" = *1* && -s said ]]; then
				[ "$status" = 74 ]
			else
				[ "$status" = "$expected" ]
			fi
		done
		rm -f trace.*
		# shellcheck disable=SC2086
		without 012 strace -ff -o trace "$SHMSEM" $command || true
		run -0 taken trace.*
		[ -z "$output" ]
	done
	[ -s picture.png ]
	serve_stop "$SERVER"
	assert_nothing_left
}

@test "a server and its decoders have nothing of their own on 0 to 2, and a command that it runs has them closed" {
	local closed status fd
	for closed in "${combinations[@]}"; do
		status=0
		without "$closed" "$SHMSEM" serve -q -N "$NS" "$SHMSEM_IMAGES" -- sh -c '
			"$1" fetch -q -N closed --wait 20 -o picture.png apple || exit
			for pid in $PPID $(pgrep -P $PPID); do
				for fd in 0 1 2; do
					echo "$pid $fd $(readlink /proc/$pid/fd/$fd)" >>descriptors
				done
			done' sh "$SHMSEM" >/dev/null 2>&1 </dev/null || status=$?
		[ "$status" = 0 ]
		[ -s descriptors ]
		cat descriptors
		run -1 grep -vE ' (/|/dev/null)?$' descriptors # decoders close all but their own
		rm descriptors
	done
	assert_nothing_left
}

@test "both sides of the classic exchange keep off 0 to 2" {
	local closed
	for closed in "${combinations[@]}"; do
		rm -f trace.*
		without "$closed" strace -ff -o trace "$SHMSEM" fetch -N classic --create -q -o picture.ppm apple 3>&- &
		wait_for_file /dev/shm/SEG_classic_HEAD
		"$SHMSEM" serve --join -N classic "$SHMSEM_IMAGES" 3>&- 2>/dev/null &
		SERVER=$!
		SERVERS+=("$SERVER")
		wait %1
		kill "$SERVER"
		wait "$SERVER" || true
		run -0 taken trace.*
		[ -z "$output" ]
		[ -s picture.ppm ]
		rm picture.ppm
	done
	assert_nothing_left
}

@test "nor does the library give them to anything: requester, queue and responder" {
	local example closed status
	for example in first event_loop responder; do
		cc -std=c11 -I"$SHMSEM_INCLUDE" -o "$example" "$SHMSEM_TESTS/../examples/$example.c" "$LIBSHMSEM" \
			-Wl,-rpath,"$(dirname "$LIBSHMSEM")" -pthread
	done
	for closed in "${combinations[@]}"; do
		rm -f trace.*
		SHMSEM_NAMESPACE=ramps without "$closed" strace -ff -o trace.responder ./responder 3>&- &
		wait_for_file /dev/shm/SEG_ramps_DATA
		# What they print fails where it is closed, and must not go into an object.
		for example in first event_loop; do
			SHMSEM_NAMESPACE=ramps without "$closed" strace -ff -o "trace.$example" "./$example" 16 || true
		done
		run -0 env SHMSEM_NAMESPACE=ramps ./first 16
		[ "$output" = "256×16×1" ]
		kill "$(pgrep -x responder)"
		wait
		grep -q eventfd trace.event_loop.*
		run -0 taken trace.*
		echo "without $closed: $output"
		[ -z "$output" ]
		assert_nothing_left
	done
}
