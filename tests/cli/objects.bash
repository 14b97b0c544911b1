# For tests that fill, list or empty /dev/shm. meson runs each in namespaces of its own (private).

setup() {
	if [ -n "$(ls -A /dev/shm)$(ipcs -smq | grep 0x)" ]; then
		echo "there are objects in shared memory: run this by 'meson test'" >&2
		return 1
	fi
	HOLDERS=()
	OURS=yes
}

teardown() {
	local pid
	for pid in "${HOLDERS[@]}"; do
		kill -KILL -- "-$pid" 2>/dev/null || true
	done
	if [ "$OURS" = yes ]; then
		ipcrm --all
		umount /dev/shm/* 2>/dev/null || true
		find /dev/shm -mindepth 1 -delete
	fi
}

# hold KIND [NAME]: starts a process that holds such an object; sets HOLDER to its pid, READY to the
# line it says. Its group is its own, so that what it has started can be killed with it.
hold() {
	local pipe="$BATS_TEST_TMPDIR/ready"
	[ -p "$pipe" ] || mkfifo "$pipe"
	setsid /usr/bin/python3 "$BATS_TEST_DIRNAME/holder.py" "$@" >"$pipe" 2>&3 3>&- &
	HOLDER=$!
	HOLDERS+=("$HOLDER")
	read -r -t 20 READY <"$pipe"
}

# Kills it the hard way, and waits until the kernel has let go of everything.
kill_holder() {
	kill -KILL -- "-$HOLDER"
	wait "$HOLDER" 2>/dev/null || true
	local left=100
	while pgrep -g "$HOLDER" >/dev/null && [ $((left--)) -gt 0 ]; do
		sleep 0.05
	done
}

# field NAME COLUMN: what list says of one object.
field() {
	"$SHMSEM" list -a --noheadings -o "$2" "$1"
}

# What is said of another program's object that nobody holds.
FREE_WHY='nobody holds it open or maps it now'

# in_socket NAME COMMAND…: while a descriptor of the object is under way in a socket, and nobody else has it.
in_socket() {
	/usr/bin/python3 - "$@" <<-'END'
		import os, socket, subprocess, sys
		a, b = socket.socketpair()
		fd = os.open("/dev/shm/" + sys.argv[1], os.O_RDWR)
		socket.send_fds(a, [b"x"], [fd])
		os.close(fd)
		sys.exit(subprocess.run(sys.argv[2:]).returncode)
	END
}

container() {
	unshare --pid --fork --mount-proc --propagation unchanged "$@"
}

# serve NS [ARGUMENT…]: starts a server and waits until it takes requests; sets HOLDER to its pid.
serve() {
	local pipe="$BATS_TEST_TMPDIR/serving" line
	[ -p "$pipe" ] || mkfifo "$pipe"
	setsid "$SHMSEM" serve -N "$@" "$SHMSEM_IMAGES" 2>"$pipe" >/dev/null 3>&- &
	HOLDER=$!
	HOLDERS+=("$HOLDER")
	read -r -t 20 line <"$pipe"
	[[ $line == *serving* ]]
}
