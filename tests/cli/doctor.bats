# shmsem doctor, on hosts that lack this and that.

bats_require_minimum_version 1.5.0

load server.bash

teardown() {
	[ -z "${FUSE:-}" ] || kill -KILL "$FUSE" || true
	umount -l "$BATS_TEST_TMPDIR/mounted" 2>/dev/null || true
	serve_end_all
}

# finding CHECK FIELD -- of the last output, as JSON
finding() {
	jq -r --arg check "$1" --arg field "$2" '.findings[] | select(.check == $check) | .[$field]' <<<"$output"
}

@test "a host that is well has nothing bad, and is left as it was" {
	run -0 "$SHMSEM" doctor
	[[ "$output" == *"ok       file system"* ]]
	assert_nothing_left
	run -64 "$SHMSEM" doctor one two
}

@test "a small /dev/shm is told, with the way out" {
	mount -o remount,size=64M /dev/shm
	run -0 "$SHMSEM" doctor --json
	[ "$(finding size state)" = warning ]
	[[ "$(finding size finding)" == 64M,* ]]
	[[ "$(finding size remedy)" == *--shm-size* ]]
}

@test "a full one is told" {
	mount -o remount,size=256M /dev/shm
	head -c 250M /dev/zero >/dev/shm/filler
	run -0 "$SHMSEM" doctor --json
	rm /dev/shm/filler
	[ "$(finding size state)" = warning ]
}

@test "where nobody but root may write, the mode is to blame for what cannot be made" {
	chmod 0755 /dev/shm
	run setpriv --reuid 65534 --regid 65534 --clear-groups "$SHMSEM" doctor --json
	chmod 1777 /dev/shm
	[ "$(finding mode state)" = bad ]
	[ "$(finding objects remedy)" = "see 'mode'" ]
}

@test "a lost sticky bit and a wrong file system are told" {
	chmod 0777 /dev/shm
	run -0 "$SHMSEM" doctor --json
	[ "$(finding mode state)" = warning ]
	[ "$(finding mode remedy)" = "chmod +t /dev/shm" ]
	chmod 1777 /dev/shm
	mount -t ramfs none /dev/shm
	run "$SHMSEM" doctor --json
	umount /dev/shm
	[ "$(finding 'file system' state)" = warning ]
}

@test "a file system that cannot be written is bad" {
	mount -o remount,ro /dev/shm
	run -1 "$SHMSEM" doctor --json
	mount -o remount,rw /dev/shm
	[ "$(finding objects state)" = bad ]
	[[ "$(finding mode finding)" == *'mounted read-only' ]]
}

@test "what a killed server left is counted" {
	serve_start dead "$SHMSEM_IMAGES"
	kill -KILL "$SERVER"
	wait "$SERVER" || true
	run -0 "$SHMSEM" doctor --json
	[ "$(finding leftovers state)" = warning ]
	"$SHMSEM" cleanup
	run -0 "$SHMSEM" doctor --json
	[ "$(finding leftovers state)" = ok ]
}

@test "limits and a single CPU are told" {
	run -0 sh -c 'ulimit -n 64; ulimit -v 1000000; exec taskset -c 0 "$SHMSEM" doctor --json'
	[ "$(finding 'open files' state)" = warning ]
	[ "$(finding 'address space' state)" = warning ]
	[ "$(finding CPUs state)" = warning ]
	[ "$(finding 'file size' state)" = ok ]
}

@test "a limit to the address space is what serve fails with" {
	run -75 bash -c 'ulimit -v 200000; exec "$SHMSEM" serve --cache 512M "$SHMSEM_IMAGES" -N space -- true'
	[[ $output == *"shmsem serve: cannot map "*" in a process that 'ulimit -v' (RLIMIT_AS) limits to 195M: "* ]]
	[ "$("$SHMSEM" list -n -o NAME space)" = '' ]
}

@test "inotify instances used up are told, and by whom" {
	run -0 without_inotify "$BATS_TEST_TMPDIR/shmsem" doctor --json
	local pid=${lines[0]}
	output=${output#*$'\n'}
	[ "$(finding inotify state)" = warning ]
	[[ "$(finding inotify finding)" == 'no instance to be had, '*' seen in use'*" by $pid (python3)"* ]]
	[[ "$(finding inotify remedy)" == *max_user_instances* ]]
}

@test "a folder is told by its file system, and a bad one is bad" {
	mkdir "$BATS_TEST_TMPDIR/images"
	mount -t tmpfs none "$BATS_TEST_TMPDIR/images" # what / is, a chroot does not see
	run -0 "$SHMSEM" doctor --json "$BATS_TEST_TMPDIR/images"
	umount "$BATS_TEST_TMPDIR/images"
	[ "$(finding folder state)" = ok ]
	run -1 "$SHMSEM" doctor --json "$BATS_TEST_TMPDIR/none"
	[ "$(finding folder state)" = bad ]
	touch "$BATS_TEST_TMPDIR/file"
	run -1 "$SHMSEM" doctor --json "$BATS_TEST_TMPDIR/file"
	[ "$(finding folder state)" = bad ]
	[ "$(finding folder finding)" = 'is no folder' ]
}

@test "a FUSE folder is told, and one whose server hangs is bad and holds nobody up" {
	local mounted="$BATS_TEST_TMPDIR/mounted" backing="$BATS_TEST_TMPDIR/backing.png" line
	mkdir "$mounted"
	cp "$SHMSEM_IMAGES/ball.png" "$backing"
	mkfifo "$BATS_TEST_TMPDIR/ready"
	setsid /usr/bin/python3 "$SHMSEM_TESTS/../fault/fuse.py" "$mounted" "$backing" >"$BATS_TEST_TMPDIR/ready" 3>&- &
	FUSE=$!
	read -r -t 20 line <"$BATS_TEST_TMPDIR/ready"
	[ "$line" = mounted ]
	run -0 "$SHMSEM" doctor --json "$mounted"
	[ "$(finding folder state)" = warning ]
	[[ "$(finding folder finding)" == "on fuse.test ($mounted), which tells nothing of changes"* ]]
	kill -STOP "$FUSE"
	run -1 timeout 60 "$SHMSEM" doctor --json "$mounted"
	[ "$(finding folder state)" = bad ]
	[[ "$(finding folder finding)" == 'does not answer'* ]]
}

@test "few inodes are told" {
	mount -o remount,nr_inodes=200 /dev/shm
	run -0 "$SHMSEM" doctor --json
	[ "$(finding inodes state)" = warning ]
	[[ "$(finding inodes finding)" == *' of 200 used' ]]
}

@test "findings are wrapped at words on a terminal" {
	run -0 script -qec "stty cols 80; '$SHMSEM' doctor --color=never" /dev/null
	local line
	while IFS= read -r line; do
		line=${line%$'\r'}
		[ "${#line}" -le 82 ]
	done <<<"$output"
}

@test "colours are for terminals, unless asked for or NO_COLOR" {
	mount -o remount,nr_inodes=200 /dev/shm
	[[ $(TERM=xterm script -qec "'$SHMSEM' doctor" /dev/null) == *$'\e[33mwarning \e[0m inodes'* ]]
	[[ $(TERM=xterm NO_COLOR=1 script -qec "'$SHMSEM' doctor" /dev/null) != *$'\e['* ]]
	[[ $("$SHMSEM" doctor) != *$'\e['* ]]
	[[ $("$SHMSEM" doctor --color) == *$'\e[32mok '* ]]
	[[ $("$SHMSEM" doctor --color=always "$BATS_TEST_TMPDIR/none") == *$'\e[31mbad '* ]]
}

# refused CALL -- doctor where that system call fails with EPERM
refused() {
	run strace -f -o /dev/null -e "trace=$1" -e "inject=$1:error=EPERM" "$SHMSEM" doctor --json
}

@test "refused system calls are told by name" {
	refused pidfd_open
	[ "$status" -eq 1 ]
	[ "$(finding calls state)" = bad ]
	[ "$(finding calls finding)" = 'refused: pidfd_open (Operation not permitted)' ]
	refused fallocate
	[ "$(finding calls finding)" = 'refused: fallocate (Operation not permitted)' ]
	[ "$(finding objects finding)" = 'an object cannot be filled: Operation not permitted' ]
	[ "$(finding objects remedy)" = "see 'calls'" ]
	refused inotify_init1
	[[ $(finding inotify remedy) == 'a seccomp profile'* ]]
	refused io_uring_setup
	[ "$status" -eq 0 ]
	[ "$(finding 'change flag' state)" = warning ]
	[[ "$(finding 'change flag' finding)" == *'(Operation not permitted)'* ]]
}
