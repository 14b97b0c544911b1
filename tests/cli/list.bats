# shmsem list: what it shows, and how it judges.
bats_require_minimum_version 1.5.0

load objects

json() { # json EXPRESSION: with `objects` from list's JSON on stdin
	/usr/bin/python3 -c "import json, sys
objects = json.load(sys.stdin)['objects']
assert $1, objects"
}

# The memfds of all processes of the host are told, too; what these tests make has no name that begins with m.
ALL='[!m]*'

@test "nothing in shared memory is an empty list" {
	run "$SHMSEM" list -a "$ALL"
	[ "$status" -eq 0 ]
	"$SHMSEM" list -aJ "$ALL" | json 'objects == []'
}

@test "without --all, only objects named as shmsem does are shown" {
	touch /dev/shm/psm_1 /dev/shm/SEG_cam_HEAD /dev/shm/sem.SEM_cam_REQ /dev/shm/sem.other
	run "$SHMSEM" list --noheadings -o NAME
	[ "$output" = $'SEG_cam_HEAD\nsem.SEM_cam_REQ' ]
	run "$SHMSEM" list --noheadings -a -o NAME "$ALL"
	[ "${#lines[@]}" -eq 4 ]
}

@test "globs and --namespace choose" {
	touch /dev/shm/psm_1 /dev/shm/psm_2 /dev/shm/SEG_cam_HEAD /dev/shm/SEG_two_HEAD
	run "$SHMSEM" list --noheadings -a -o NAME 'psm_*'
	[ "$output" = $'psm_1\npsm_2' ]
	run "$SHMSEM" list --noheadings -a -o NAME /psm_1 'tw*'
	[ "$output" = $'SEG_two_HEAD\npsm_1' ]
	run "$SHMSEM" list --noheadings -a -N cam -o NAME
	[ "$output" = SEG_cam_HEAD ]
	run "$SHMSEM" list -N 'c m'
	[ "$status" -eq 64 ]
}

@test "names of any bytes are escaped, in tables and JSON" {
	touch /dev/shm/$'new\nline' /dev/shm/$'bad\xff' /dev/shm/$'esc\e[31m' '/dev/shm/back\slash'
	run "$SHMSEM" list -a --noheadings -o NAME "$ALL"
	[ "${#lines[@]}" -eq 4 ]
	[[ $output == *'new\x0aline'* && $output == *'bad\xff'* && $output == *'esc\x1b[31m'* ]]
	[[ $output == *'back\x5cslash'* ]]
	"$SHMSEM" list -aJ "$ALL" | json "{o['name'] for o in objects} == {r'new\x0aline', r'bad\xff', r'esc\x1b[31m', r'back\x5cslash'}"
	run "$SHMSEM" list -ar --noheadings -o NAME,TYPE "$ALL"
	[ "${#lines[@]}" -eq 4 ]
	[[ $output == *'new\x0aline segment'* ]]
}

@test "semaphore files of any size are listed" {
	local size
	for size in 0 1 7 8 16 31 32 33 4096; do
		head -c "$size" /dev/urandom >"/dev/shm/sem.s$size"
	done
	truncate -s 1T /dev/shm/sem.huge
	run "$SHMSEM" list -a --noheadings -b -o NAME,SIZE,VALUE "$ALL"
	[ "$status" -eq 0 ]
	[ "${#lines[@]}" -eq 10 ]
	[[ $output == *1099511627776* ]]
}

@test "what stands under a name of ours without being an object is shown for what it is" {
	mkfifo /dev/shm/SEG_a_HEAD
	ln -s /etc/passwd /dev/shm/SEG_b_HEAD
	mkdir /dev/shm/SEG_c_HEAD
	[ "$(field SEG_a_HEAD TYPE,STATUS,WHY | tr -s ' ')" = 'other unknown is a named pipe' ]
	[ "$(field SEG_b_HEAD WHY)" = 'is a symbolic link' ]
	[ "$(field SEG_c_HEAD WHY)" = 'is a directory' ]
}

@test "every column can be had, more can be added, unknown ones are an error" {
	local column
	touch /dev/shm/SEG_cam_HEAD
	for column in NAME TYPE SIZE ALLOC OWNER GROUP MODE AGE BIRTH ACCESSED CREATOR LAST USERS \
		PIDS COMMAND VALUE NATTCH DIMS HELD STATUS WHY; do
		run "$SHMSEM" list -o "$column"
		[ "$status" -eq 0 ]
		[ "${lines[0]// /}" = "$column" ]
	done
	run "$SHMSEM" list -o +mode
	[[ ${lines[0]} == NAME*WHY*MODE ]]
	run "$SHMSEM" list -o NAME,COLOUR
	[ "$status" -eq 64 ]
	[[ $output == *COLOUR*STATUS* ]]
	run "$SHMSEM" list -J -r
	[ "$status" -eq 64 ]
}

@test "deleted files that a process holds are told, mapped or open, with who holds them" {
	hold segment gone
	rm /dev/shm/gone
	[[ $(field gone TYPE,ALLOC,STATUS,WHY | tr -s ' ') == 'deleted '*"live deleted, still mapped by $HOLDER (python3)" ]]
	hold descriptor open
	rm /dev/shm/open
	[[ $(field open TYPE,SIZE,STATUS,WHY | tr -s ' ') == "deleted 64K live deleted, still open in $HOLDER (python3)" ]]
	touch '/dev/shm/name (deleted)'
	hold descriptor 'name (deleted)'
	[ "$(field 'name (deleted)' TYPE)" = segment ]
	run script -qec "'$SHMSEM' list -a" /dev/null
	[[ $output == *" in 1 deleted file held by $HOLDER (python3)"* || $output == *"in 1 deleted file held by "*"(python3)"* ]]
}

@test "files in folders and mounts are told" {
	mkdir -p /dev/shm/a/b /dev/shm/m
	head -c 5000 /dev/zero >/dev/shm/a/b/file
	mount -t tmpfs none /dev/shm/m
	head -c 8192 /dev/zero >/dev/shm/m/hidden
	[ "$(field a/b/file TYPE,SIZE,ALLOC,STATUS | tr -s ' ')" = 'file 4.9K 8K unknown' ]
	[[ $(field m TYPE,ALLOC,STATUS,WHY | tr -s ' ') == 'mount 8K unknown a tmpfs is mounted here'* ]]
	umount /dev/shm/m
}

# unaccounted: the bytes of the line of that type, or nothing
unaccounted() {
	"$SHMSEM" list -a -n -r -b -o TYPE,ALLOC | sed -n 's/^unaccounted //p'
}

@test "every byte of /dev/shm is accounted for, or said to be unaccounted" {
	hold segment gone
	rm /dev/shm/gone
	mkdir /dev/shm/folder
	head -c 100000 /dev/zero >/dev/shm/folder/file
	head -c 300000 /dev/zero >/dev/shm/psm_1
	ln -s "$(printf 'x%.0s' {1..200})" /dev/shm/link
	[ -z "$(unaccounted)" ]
	/usr/bin/python3 - <<-'END'
		import os, socket, subprocess
		a, b = socket.socketpair()
		fd = os.open("/dev/shm/underway", os.O_CREAT | os.O_RDWR)
		os.write(fd, bytes(1 << 20))
		os.unlink("/dev/shm/underway")
		socket.send_fds(a, [b"x"], [fd])
		os.close(fd)
		text = subprocess.run([os.environ["SHMSEM"], "list", "-a", "-b", "-n", "-r", "-o", "TYPE,ALLOC,WHY"],
		                      capture_output=True, check=True, text=True).stdout
		assert "unaccounted 1048576 in" in text, text
	END
}

@test "what is made while the list is taken is not unaccounted" {
	local trace="$BATS_TEST_TMPDIR/trace"
	head -c 5000 /dev/zero >/dev/shm/before
	# The sum of the file system is taken again after the objects: late, here.
	ASAN_OPTIONS=detect_leaks=0 strace -f -o "$trace" -e trace=statfs,getdents64 \
		-e inject=statfs:delay_enter=2000000:when=2+ "$SHMSEM" list -a -n -r -o TYPE >"$trace.types" 3>&- &
	timeout 20 sh -c 'until grep -q getdents64 "$1" 2>/dev/null; do sleep 0.02; done' sh "$trace"
	head -c 1000000 /dev/zero >/dev/shm/meanwhile
	wait $!
	[ "$(grep -c statfs "$trace")" -ge 2 ]
	grep -q segment "$trace.types"
	! grep -q unaccounted "$trace.types" || false
}

@test "with --all, memfds are told with who holds them" {
	/usr/bin/python3 -c "import os, subprocess
fd = os.memfd_create('mine-of-test')
os.write(fd, bytes(8192))
text = subprocess.run([os.environ['SHMSEM'], 'list', '-a', '-r', '-n', '-o', 'NAME,TYPE,SIZE,STATUS', 'memfd:mine-*'],
                      capture_output=True, check=True, text=True).stdout
assert text == 'memfd:mine-of-test memfd 8K live\\n', text"
}

@test "who waits for System V objects is told" {
	hold sysv-waiter
	read -r sem msg <<<"$READY"
	local left=100
	until [[ $(field "sem:$sem" WHY)$(field "msg:$msg" WHY) == *waited*waited* ]] || [ $((left--)) -eq 0 ]; do
		sleep 0.05
	done
	[[ $(field "sem:$sem" STATUS,WHY) == live*"waited for by $HOLDER (python3)" ]]
	[[ $(field "msg:$msg" STATUS,WHY) == live*"waited for by $HOLDER (python3)" ]]
}

@test "sizes, owners, modes and times are those of the file" {
	(umask 027; head -c 10000 /dev/zero >/dev/shm/x)
	chown nobody:daemon /dev/shm/x
	[ "$(field x SIZE,ALLOC,OWNER,GROUP,MODE | tr -s ' ' | sed 's/^ //')" = '9.8K 12K nobody daemon rw-r-----' ]
	"$SHMSEM" list -aJb -o SIZE,ALLOC,BIRTH "$ALL" | json "objects[0]['size'] == 10000 and objects[0]['alloc'] == 12288 and objects[0]['birth'][:2] == '20'"
}

@test "a server's objects are live by its lock, running or stopped, and stale once it is killed" {
	hold server cam
	"$SHMSEM" list -N cam -J | json "len(objects) == 6 and all(o['status'] == 'live' for o in objects)"
	[ "$(field SEG_cam_HEAD WHY)" = "server's lock held by $HOLDER" ]
	[ "$(field SEG_cam_HEAD DIMS,HELD | tr -s ' ')" = '640x427x3 0' ]
	kill -STOP "$HOLDER"
	[ "$(field SEG_cam_DATA STATUS)" = live ]
	kill_holder
	"$SHMSEM" list -N cam -J | json "len(objects) == 6 and all(o['status'] == 'stale' for o in objects)"
	[ "$(field 'sem.SEM_cam:1_RES' WHY)" = "server's lock free, was $HOLDER" ]
}

@test "a server whose header somebody has removed still is live" {
	hold server cam
	rm /dev/shm/SEG_cam_HEAD
	"$SHMSEM" list -N cam -J | json "len(objects) == 5 and all(o['status'] == 'live' for o in objects)"
}

@test "the lock decides in another PID namespace too" {
	hold server cam
	[ "$(container "$SHMSEM" list -n -o STATUS SEG_cam_HEAD)" = live ]
	kill_holder
	[ "$(container "$SHMSEM" list -n -o STATUS SEG_cam_HEAD)" = stale ]
}

@test "a header speaks only for objects of its own owner" {
	hold server cam
	chown nobody "/dev/shm/SEG_cam:1_DATA"
	kill_holder
	hold descriptor 'SEG_cam:1_DATA'
	[ "$(field 'SEG_cam:1_DATA' STATUS,WHY | tr -s ' ')" = "live open in $HOLDER (python3)" ]
}

@test "segments and semaphores of other programs are live while a process holds them" {
	local kind
	for kind in segment descriptor semaphore; do
		local name=other
		hold "$kind" other
		[ "$kind" = semaphore ] && name=sem.other
		[ "$(field $name STATUS)" = live ]
		[[ $(field $name WHY) == *" $HOLDER (python3)" ]]
		[ "$(field $name USERS,PIDS,COMMAND | tr -s ' ' | sed 's/^ //')" = "1 $HOLDER python3" ]
		"$SHMSEM" list -aJ -o NAME,PIDS "$ALL" | json "objects[0]['pids'] == [$HOLDER]"
		kill_holder
		[ "$(field $name STATUS,WHY | tr -s ' ')" = "stale $FREE_WHY" ]
		rm /dev/shm/$name
	done
}

@test "the value of a semaphore is shown" {
	hold semaphore other
	[ "$(field sem.other VALUE)" -eq 3 ]
	"$SHMSEM" list -aJ -o VALUE "$ALL" | json "objects[0]['value'] == 3"
}

@test "a mapping is seen although the main thread of its process has ended" {
	hold thread other
	[ "$(field other STATUS)" = live ]
}

@test "System V objects are live while their program runs; only a segment is proven stale then" {
	hold sysv
	read -r shm sem msg <<<"$READY"
	[[ $(field "shm:$shm" STATUS,WHY) == live*"attached by $HOLDER (python3)" ]]
	[ "$(field "shm:$shm" SIZE,NATTCH,CREATOR | tr -s ' ' | sed 's/^ //')" = "4.9K 1 $HOLDER" ]
	[[ $(field "sem:$sem" STATUS,WHY) == live*"last user $HOLDER (python3) runs" ]]
	[[ $(field "msg:$msg" STATUS,WHY) == live*"last writer $HOLDER (python3) runs" ]]
	kill_holder
	[[ $(field "shm:$shm" STATUS,WHY) == stale*"nobody is attached, creator $HOLDER is gone" ]]
	[[ $(field "sem:$sem" STATUS,WHY) == unknown*"last user $HOLDER is gone, others may use it still" ]]
	[[ $(field "msg:$msg" STATUS,WHY) == unknown*"last user $HOLDER is gone, others may use it still" ]]
}

@test "what a System V segment really uses is told" {
	/usr/bin/python3 - <<-'END'
		import ctypes, os, subprocess
		libc = ctypes.CDLL(None)
		libc.shmat.restype = ctypes.c_void_p
		segment = libc.shmget(0, 1 << 20, 0o1600)
		ctypes.memset(libc.shmat(segment, None, 0), 1, 40960)
		text = subprocess.run([os.environ["SHMSEM"], "list", "-a", "-n", "-r", "-b", "-o", "SIZE,ALLOC", f"shm:{segment}"],
		                      capture_output=True, check=True, text=True).stdout
		libc.shmctl(segment, 0, None)
		assert text == "1048576 40960\n", text
	END
}

@test "a zombie that made System V objects is gone" {
	hold sysv-zombie
	read -r shm sem msg <<<"$READY"
	[[ $(field "shm:$shm" STATUS,WHY) == stale*"nobody is attached, creator "*" is gone" ]]
	[[ $(field "sem:$sem" STATUS,WHY) == unknown*"last user "*" is gone, others may use it still" ]]
	[[ $(field "msg:$msg" STATUS,WHY) == unknown*"last user "*" is gone, others may use it still" ]]
}

@test "System V objects whose pids are of another namespace are never stale" {
	hold sysv
	read -r shm sem msg <<<"$READY"
	[ "$(container "$SHMSEM" list -an -o STATUS "shm:$shm")" = live ]
	kill_holder
	[[ $(container "$SHMSEM" list -an -o STATUS,WHY "shm:$shm") == unknown*'creator is of another PID namespace' ]]
	[[ $(container "$SHMSEM" list -an -o STATUS,WHY "sem:$sem") == unknown* ]]
	[[ $(container "$SHMSEM" list -an -o STATUS,WHY "msg:$msg") == unknown* ]]
}

UNSEEN_WHY='in use by what cannot be seen: in a socket, by hidden processes'

@test "in a container the kernel tells what is in use, and the owner alone gets an answer" {
	hold descriptor held
	touch /dev/shm/free
	run container "$SHMSEM" list -an --sort name -o STATUS,WHY "$ALL"
	[ "${#lines[@]}" -eq 2 ]
	[ "$(tr -s ' ' <<<"${lines[0]}")" = "stale $FREE_WHY" ]
	[ "$(tr -s ' ' <<<"${lines[1]}")" = "live $UNSEEN_WHY" ]
	# A PID namespace with the /proc of another is no better.
	run unshare --pid --fork "$SHMSEM" list -an --sort name -o STATUS "$ALL"
	[ "$output" = $'stale\nlive' ]
	run container setpriv --reuid nobody --regid nogroup --clear-groups "$SHMSEM" list -an -o STATUS,WHY "$ALL"
	[ "${#lines[@]}" -eq 2 ]
	[[ ${lines[0]} == unknown*'cannot see all processes (other PID namespace)' ]]
	[[ ${lines[1]} == unknown*'cannot see all processes (other PID namespace)' ]]
}

@test "a descriptor under way in a socket counts as use" {
	touch /dev/shm/sent
	run -0 in_socket sent "$SHMSEM" list -an -o STATUS,WHY sent
	[[ $output == live*'in a socket'* ]]
	[[ $(field sent STATUS) == stale ]]
}

@test "without the right to see all processes, what the user does not own is unknown" {
	hold descriptor held
	touch /dev/shm/free /dev/shm/others
	chown nobody /dev/shm/free
	run setpriv --reuid nobody --regid nogroup --clear-groups "$SHMSEM" list -an --sort name -o STATUS,WHY "$ALL"
	[ "${#lines[@]}" -eq 3 ]
	[ "$(tr -s ' ' <<<"${lines[0]}")" = "stale $FREE_WHY" ]
	[[ ${lines[1]} == unknown*'cannot see all processes ('* ]]
	[[ ${lines[2]} == unknown*'cannot see all processes ('* ]]
	hold server cam
	run setpriv --reuid nobody --regid nogroup --clear-groups "$SHMSEM" list -n -o STATUS,WHY SEG_cam_HEAD
	[[ $output == unknown*"no permission to look at the server's lock" ]]
}

@test "--stale shows only what is stale" {
	hold server live
	hold server dead
	kill_holder
	run "$SHMSEM" list --stale -n -o NAME
	[ "${#lines[@]}" -eq 6 ]
	[[ $output != *live* ]]
}

@test "--stats tells what the server has counted" {
	hold server cam
	run "$SHMSEM" list -N cam --stats
	[ "$status" -eq 0 ]
	[[ ${lines[0]} == "cam: server $HOLDER, running" ]]
	[[ $output == *requests*100*hits*101*decodes*102* ]]
	"$SHMSEM" list -N cam --stats -J | /usr/bin/python3 -c "import json, sys
stats = json.load(sys.stdin)
assert stats['alive'] and stats['counters']['evictions'] == 104 and len(stats['seats']) == 2
assert stats['index'] == {'way': 'asked', 'found': 0, 'bytes': 0, 'entries': 0}"
	run "$SHMSEM" list -N none --stats
	[ "$status" -eq 69 ]
}

@test "--stats tells who waits, for an answer or for a seat" {
	hold server cam
	/usr/bin/python3 - <<-'END'
		import fcntl, json, os, struct, subprocess
		PAGE, SEATS = 4096, 2
		head = os.open("/dev/shm/SEG_cam_HEAD", os.O_RDWR)
		os.pwrite(head, struct.pack("Q", 1 << 8 | 1), 64)
		os.pwrite(head, struct.pack("QII", 3, 0, 0), SEATS * PAGE + 64)
		for byte in 0, (1 << 41) + 1, (1 << 41) + 2:
		    fcntl.fcntl(head, 37, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, byte, 1, 0))
		def stats(*options):
		    return subprocess.run([os.environ["SHMSEM"], "list", "-N", "cam", "--stats", *options],
		                          capture_output=True, check=True, text=True).stdout
		told = json.loads(stats("-J"))
		assert told["queued"] == 2, told
		assert [seat["waits"] for seat in told["seats"]] == [True, False], told
		assert "2 requesters wait for a seat" in stats() and "0 yes" in stats(), stats()
	END
}

@test "--stats is current, and fits 80 columns" {
	run "$SHMSEM" serve -q "$SHMSEM_IMAGES" -- sh -ec '"$SHMSEM" fetch -q apple
		"$SHMSEM" list --stats -J -N "$SHMSEM_NAMESPACE"
		"$SHMSEM" fetch -q ball
		"$SHMSEM" list --stats -J'
	[ "$status" -eq 0 ]
	[ "$(grep -o '"images": [0-9]*' <<<"$output" | tr -d '\n')" = '"images": 1"images": 2' ]
	[ "$(grep -c '"cache-used": [1-9]' <<<"$output")" -eq 2 ]
	local line
	hold server cam
	while IFS= read -r line; do
		[ "$(LC_ALL=C.UTF-8 wc -m <<<"$line")" -le 81 ]
	done < <(at_terminal 80 list --stats -N cam)
}

@test "on a terminal, a footer says how full it is and what to type" {
	hold server cam
	kill_holder
	head -c 20000 /dev/zero >/dev/shm/psm_1
	run script -qec "'$SHMSEM' list" /dev/null
	[[ $output == *'/dev/shm: '*' used'* ]]
	[[ $output == *"6 stale objects of shmsem: 'shmsem cleanup' removes them"* ]]
	[[ $output == *"20K in 1 stale object of a known program: 'shmsem cleanup --known' removes it"* ]]
	run "$SHMSEM" list
	[[ $output != *'/dev/shm: '* ]]
}

@test "--watch=0 shows it once" {
	run -0 timeout 20 "$SHMSEM" list --watch=0 -n -o NAME 'no-such-*'
	[ -z "$output" ]
}

@test "--watch shows it again and again until nobody reads" {
	touch /dev/shm/SEG_cam_HEAD
	run timeout 20 bash -c "'$SHMSEM' list --watch=0.05 -n -o NAME | head -n 3"
	[ "$status" -eq 0 ]
	[ "$output" = $'SEG_cam_HEAD\nSEG_cam_HEAD\nSEG_cam_HEAD' ]
}

@test "/proc is read once, however many objects there are" {
	local i
	for i in $(seq 300); do
		: >"/dev/shm/psm_$i"
	done
	# (A build with AddressSanitizer cannot look for leaks while it is traced.)
	ASAN_OPTIONS=detect_leaks=0 strace -e trace=openat -o "$BATS_TEST_TMPDIR/trace" \
		"$SHMSEM" list -a >/dev/null
	[ "$(grep -c '"/proc"' "$BATS_TEST_TMPDIR/trace")" -eq 1 ]
	[ "$(grep -c '"maps"' "$BATS_TEST_TMPDIR/trace")" -le "$(($(ls -d /proc/[0-9]* | wc -l) + 50))" ]
}

@test "who owns them is looked up once, however many objects there are" {
	local i trace=$BATS_TEST_TMPDIR/trace
	for i in $(seq 60); do
		touch "/dev/shm/psm_$i"
		chown "$((i % 3 + 1))" "/dev/shm/psm_$i"
	done
	ASAN_OPTIONS=detect_leaks=0 strace -o "$trace" -e trace=openat "$SHMSEM" list -a -n --sort name -o OWNER "$ALL" >/dev/null
	[ "$(grep -c /etc/passwd "$trace")" -ge 1 ]
	[ "$(grep -c /etc/passwd "$trace")" -le 3 ]
}

@test "ten thousand objects are listed in a few seconds" {
	/usr/bin/python3 -c "
for i in range(10000):
    open('/dev/shm/' + ('sem.x%d', 'SEG_n%d_HEAD')[i % 2] % i, 'wb').write(bytes(4096))"
	run timeout 10 "$SHMSEM" list -an -o NAME,STATUS "$ALL"
	[ "$status" -eq 0 ]
	[ "${#lines[@]}" -eq 10000 ]
}

@test "the pid of a dead server that another process has by now proves nothing" {
	hold server cam
	kill_holder
	/usr/bin/python3 -c "import os, struct
head = os.open('/dev/shm/SEG_cam_HEAD', os.O_RDWR)
os.pwrite(head, struct.pack('I', os.getppid()), 2 * 4096 + 4)"
	[ "$(field SEG_cam_HEAD STATUS)" = stale ]
	"$SHMSEM" cleanup
	[ ! -e /dev/shm/SEG_cam_HEAD ]
}

@test "words that are not known are answered with the nearest that is, abbreviations understood" {
	run "$SHMSEM" lsit
	[ "$status" -eq 64 ]
	[[ $output == *"did you mean 'list'?"* ]]
	run "$SHMSEM" list --stael
	[ "$status" -eq 64 ]
	[[ $output == *"did you mean '--stale'?"* ]]
	run "$SHMSEM" list --frobnicate
	[ "$status" -eq 64 ]
	[[ $output != *'did you mean'* ]]
	run "$SHMSEM" list --st
	[ "$status" -eq 64 ]
	[[ $output == *'may mean --stale, --stats'* ]]
	run "$SHMSEM" list --sort=loudness
	[ "$status" -eq 64 ]
	[[ $output == *'--sort takes size|name|age'* ]]
	run "$SHMSEM" list --stal --sor name --nohead
	[ "$status" -eq 0 ]
}

@test "the largest come first, and can be sorted by name and age" {
	head -c 5000 /dev/zero >/dev/shm/b
	head -c 50000 /dev/zero >/dev/shm/c
	touch /dev/shm/a
	[ "$("$SHMSEM" list -a -n -o NAME "$ALL")" = $'c\nb\na' ]
	[ "$("$SHMSEM" list -a -n -o NAME --sort name "$ALL")" = $'a\nb\nc' ]
	[ "$("$SHMSEM" list -a -n -o NAME --sort age "$ALL")" = $'b\nc\na' ]
}

# at_terminal COLUMNS ARGUMENT...: what it says on a terminal that wide
at_terminal() {
	local columns=$1
	shift
	script -qec "stty cols $columns; '$SHMSEM' $*" /dev/null | tr -d '\r'
}

@test "on a terminal of 80 columns each line fits, WHY is whole, and a server's semaphores are one row" {
	hold server camera-of-the-left-robot-arm
	kill_holder
	hold segment psm_1234567890
	rm /dev/shm/psm_1234567890
	local columns line
	for columns in 40 50 80 120; do
		while IFS= read -r line; do
			[ "$(LC_ALL=C.UTF-8 wc -m <<<"$line")" -le $((columns + 1)) ] || { echo "$columns: $line" >&2; return 1; }
		done < <(at_terminal "$columns" list -a --color=never)
	done
	run at_terminal 100 list -N camera-of-the-left-robot-arm --color=never
	[[ $output == *' +2 semaphores '* ]]
	[[ $output == *"server's lock free, was "* ]]
	[[ $output == *'namespace camera-of-the-left-robot-arm: 156K in 6 objects'* ]]
	run at_terminal 100 list -v -N camera-of-the-left-robot-arm
	[[ $output != *'+2 semaphores'* ]]
}

# fits COLUMNS COMMAND...: whether no line that it says is longer
fits() {
	local line columns=$1
	shift
	while IFS= read -r line; do
		[ "$(LC_ALL=C.UTF-8 wc -m <<<"$line")" -le $((columns + 1)) ] || { echo "$*: $line" >&2; return 1; }
	done < <("$@")
}

@test "help is wrapped, on a terminal and elsewhere" {
	local command
	for command in bench cleanup doctor fetch list serve; do
		fits 80 at_terminal 80 "$command" --help
		fits 80 env -u COLUMNS "$SHMSEM" "$command" --help
		fits 60 env COLUMNS=60 "$SHMSEM" "$command" --help
	done
	fits 80 env COLUMNS=wide "$SHMSEM" list --help
	[ "$(COLUMNS=200 "$SHMSEM" list --help | sed -n 1p | wc -m)" -gt 100 ]
}

@test "colours are for terminals, unless asked for or NO_COLOR" {
	touch /dev/shm/SEG_cam_HEAD
	[[ $(TERM=xterm at_terminal 80 list) == *$'\e[3'* ]]
	[[ $(TERM=xterm NO_COLOR=1 at_terminal 80 list) != *$'\e[3'* ]]
	[[ $(NO_COLOR=1 "$SHMSEM" list --color) == *$'\e[3'* ]]
	[[ $(TERM=xterm at_terminal 80 list --color=never) != *$'\e[3'* ]]
	[[ $("$SHMSEM" list) != *$'\e['* ]]
}

@test "help for a command that does not exist is refused as the command is" {
	for help in help -h --help; do
		for name in fetsh --foo; do
			run -64 "$SHMSEM" "$help" "$name"
			[[ "$output" == *"there is no command '$name'"* ]]
		done
		run -0 "$SHMSEM" "$help"
		run -0 "$SHMSEM" "$help" fetch
	done
	run -64 "$SHMSEM" help fetsh
	[[ "$output" == *fetch* ]]
}

@test "list ends quietly when nobody reads, also where SIGPIPE is ignored" {
	touch /dev/shm/SEG_{1..200}_HEAD # more than stdio keeps
	mkfifo "$BATS_TEST_TMPDIR/pipe"
	exec 5<>"$BATS_TEST_TMPDIR/pipe" 6>"$BATS_TEST_TMPDIR/pipe" 5>&-
	for option in --raw --json --watch=0.1; do
		run -0 sh -c 'trap "" PIPE; exec "$@" >&6' sh "$SHMSEM" list "$option"
		[ -z "$output" ]
	done
	exec 6>&-
	run -74 sh -c 'exec "$@" >/dev/full' sh "$SHMSEM" list
	[[ "$output" == *"No space left"* ]]
}
