# shmsem cleanup: what it removes, what it must never remove, and what it says.
load objects

# count of what is in /dev/shm
files() {
	find /dev/shm -mindepth 1 | wc -l
}

as_nobody() {
	setpriv --reuid nobody --regid nogroup --clear-groups "$@"
}

# foreign GLOB: removes such objects of other programs
foreign() {
	"$SHMSEM" cleanup --yes --min-age 0 --foreign "$1"
}

# at_prompt ANSWER COMMAND: what happens between the question and the answer
at_prompt() {
	/usr/bin/python3 - "$@" <<-'END'
		import os, pty, subprocess, sys
		answer, command = sys.argv[1:3]
		pid, terminal = pty.fork()
		if not pid:
		    os.execv(os.environ["SHMSEM"], ["shmsem", "cleanup", "--min-age", "0", "--foreign", "psm_*"])
		text = b""
		while b"[y/N]" not in text:
		    text += os.read(terminal, 4096)
		subprocess.run(command, shell=True, check=True)
		os.write(terminal, answer.encode() + b"\n")
		try:
		    while part := os.read(terminal, 4096):
		        text += part
		except OSError:
		    pass
		sys.stdout.write(text.decode())
		sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
	END
}

@test "with nothing to do it says so" {
	touch /dev/shm/psm_1
	run "$SHMSEM" cleanup
	[ "$status" -eq 0 ]
	[ "${lines[0]}" = 'nothing to do' ]
	[ "${lines[1]}" = "0B in 1 stale object of a known program: 'shmsem cleanup --known' removes it" ]
	[ "${#lines[@]}" -eq 2 ]
	[ -e /dev/shm/psm_1 ]
}

@test "a killed server's objects are removed, each with its size and the reason" {
	hold server cam
	kill_holder
	run "$SHMSEM" cleanup -n
	[ "${lines[0]}" = "would remove 6 objects of the namespace cam, 156K: server's lock free, was $HOLDER" ]
	[ "${#lines[@]}" -eq 2 ]
	run "$SHMSEM" cleanup -v
	[ "$status" -eq 0 ]
	[ "${#lines[@]}" -eq 7 ]
	[[ $output == *"removed SEG_cam_DATA (segment, 64K): server's lock free, was $HOLDER"* ]]
	[ "${lines[6]}" = 'freed 156K in 6 objects' ]
	[ "$(files)" -eq 0 ]
	run "$SHMSEM" cleanup
	[ "$status" -eq 0 ]
	[ "$output" = 'nothing to do' ]
}

@test "a running or stopped server is left alone, from any PID namespace" {
	hold server cam
	run "$SHMSEM" cleanup
	[ "$output" = 'nothing to do' ]
	kill -STOP "$HOLDER"
	run "$SHMSEM" cleanup cam
	[ "$status" -eq 0 ]
	[[ $output == *"kept 6 objects of the namespace cam"*"server's lock held by $HOLDER"* ]]
	container "$SHMSEM" cleanup
	container "$SHMSEM" cleanup --yes --force --min-age 0 --foreign '*'
	[ "$(files)" -eq 6 ]
	kill_holder
	container "$SHMSEM" cleanup
	[ "$(files)" -eq 0 ]
}

@test "a killed server whose header is gone is cleaned up by its numbered objects" {
	hold server cam
	rm /dev/shm/SEG_cam_HEAD
	run "$SHMSEM" cleanup
	[ "$(files)" -eq 5 ]
	kill_holder
	run "$SHMSEM" cleanup
	[ "$status" -eq 0 ]
	[ "$(files)" -eq 0 ]
}

@test "names choose namespaces" {
	hold server one
	kill_holder
	hold server two
	kill_holder
	run "$SHMSEM" cleanup one
	[ "$(files)" -eq 6 ]
	[ -e /dev/shm/SEG_two_HEAD ]
	run "$SHMSEM" cleanup 'no good'
	[ "$status" -eq 64 ]
}

@test "--dry-run says the same and removes nothing, --check tells by its status" {
	hold server cam
	kill_holder
	run "$SHMSEM" cleanup -n
	[ "$status" -eq 0 ]
	[[ $output == *"would remove 6 objects of the namespace cam"*"would free 156K in 6 objects" ]]
	run "$SHMSEM" cleanup --check
	[ "$status" -eq 1 ]
	[ "$(files)" -eq 6 ]
	"$SHMSEM" cleanup
	run "$SHMSEM" cleanup --check
	[ "$status" -eq 0 ]
}

@test "--quiet says nothing, and what needs another option is counted with it" {
	hold sysv
	kill_holder
	touch /dev/shm/psm_1 /dev/shm/other
	run "$SHMSEM" cleanup --check
	[ "$status" -eq 0 ]
	[[ $output == *"4.9K in 1 stale System V segment: 'shmsem cleanup --sysv' removes it"* ]]
	[[ $output == *"stale object of a known program: 'shmsem cleanup --known'"* ]]
	[[ $output == *"stale object of other programs: 'shmsem cleanup --foreign GLOB'"* ]]
	run "$SHMSEM" cleanup --check --known --foreign '*' --sysv --min-age 0
	[ "$status" -eq 1 ]
	[[ $output != *"'shmsem cleanup"* ]]
	run "$SHMSEM" cleanup -q --known --yes --min-age 0
	[ "$status" -eq 0 ]
	[ -z "$output" ]
}

@test "--json reports what was done" {
	hold server cam
	kill_holder
	"$SHMSEM" cleanup -J | /usr/bin/python3 -c "import json, sys
report = json.load(sys.stdin)
assert report['removed'] == 6 and report['done'] and report['bytes'] == 156 * 1024, report
assert all(o['action'] == 'removed' and o['status'] == 'stale' for o in report['objects'])"
}

@test "objects of other programs are touched only if asked for, and by the glob" {
	touch /dev/shm/psm_1 /dev/shm/torch_1 /dev/shm/sem.loky-1
	"$SHMSEM" cleanup
	[ "$(files)" -eq 3 ]
	run "$SHMSEM" cleanup -n --min-age 0 --foreign 'psm_*'
	[ "$status" -eq 0 ]
	[ "${lines[0]}" = "would remove psm_1 (segment, 0B): $FREE_WHY" ]
	run foreign 'psm_*'
	[ "$status" -eq 0 ]
	[ "${lines[0]}" = "removed psm_1 (segment, 0B): $FREE_WHY" ]
	[ "$(files)" -eq 2 ]
	foreign '@(torch_*|sem.loky-*)'
	[ "$(files)" -eq 0 ]
	touch /dev/shm/psm_1 /dev/shm/torch_1 /dev/shm/sem.loky-1
	"$SHMSEM" cleanup --yes --min-age 0 --foreign 'psm_*' --foreign 'torch_*'
	[ "$(ls /dev/shm)" = sem.loky-1 ]
	foreign 'sem.*'
	run foreign '*'
	[ "$status" -eq 0 ]
	[ "$output" = 'nothing to do' ]
}

@test "--known removes what programs known by name left, and nothing else" {
	touch /dev/shm/psm_1 /dev/shm/sem.mp-abc /dev/shm/sem.loky-1 /dev/shm/torch_1_2 /dev/shm/nccl-abc \
		/dev/shm/vllm_offload_1.mmap /dev/shm/VLLM_OBJECT_1 /dev/shm/sglang_loads_1.shm /dev/shm/plasmaabc \
		/dev/shm/fastrtps_1 /dev/shm/sem.fastrtps_1_mutex /dev/shm/fast_datasharing_1 /dev/shm/boost_x \
		/dev/shm/.org.chromium.Chromium.abc /dev/shm/.com.google.Chrome.abc /dev/shm/PostgreSQL.123
	touch /dev/shm/mine /dev/shm/sem.mine
	run "$SHMSEM" cleanup --known </dev/null
	[ "$status" -eq 64 ]
	"$SHMSEM" cleanup --known --yes
	[ "$(files)" -eq 18 ]
	"$SHMSEM" cleanup --known --yes --min-age 0
	[ "$(ls -A /dev/shm)" = $'mine\nsem.mine' ]
}

@test "what PostgreSQL has let go of stays while PostgreSQL runs" {
	touch /dev/shm/PostgreSQL.1
	hold segment PostgreSQL.2
	"$SHMSEM" cleanup --known --yes --min-age 0
	[ "$(files)" -eq 2 ]
	[[ $(field PostgreSQL.1 STATUS,WHY) == unknown*'PostgreSQL runs and may open it again' ]]
	container "$SHMSEM" cleanup --known --yes --min-age 0
	[ "$(files)" -eq 2 ]
	kill_holder
	"$SHMSEM" cleanup --known --yes --min-age 0
	[ "$(files)" -eq 0 ]
}

@test "files in folders of /dev/shm, mounts and deleted files are left alone" {
	mkdir /dev/shm/folder /dev/shm/mounted
	echo x >/dev/shm/folder/psm_1
	mount -t tmpfs none /dev/shm/mounted
	echo x >/dev/shm/mounted/psm_1
	run "$SHMSEM" cleanup --known --foreign '*' --yes --force --min-age 0
	[ "$status" -eq 0 ]
	[ -e /dev/shm/folder/psm_1 ]
	[ -e /dev/shm/mounted/psm_1 ]
	[[ $output == *'kept folder/psm_1 (file, 4K): '*'rm(1) removes it'* ]]
	umount /dev/shm/mounted
}

@test "off a terminal, --foreign wants --yes" {
	touch /dev/shm/psm_1
	run "$SHMSEM" cleanup --min-age 0 --foreign 'psm_*' </dev/null
	[ "$status" -eq 64 ]
	[[ $output == *--yes* ]]
	[ -e /dev/shm/psm_1 ]
	run "$SHMSEM" cleanup --min-age 0 --check --foreign 'psm_*' </dev/null
	[ "$status" -eq 1 ]
}

@test "on a terminal it asks" {
	touch /dev/shm/psm_1
	run at_prompt n true
	[ "$status" -eq 1 ]
	[[ $output == *'would remove psm_1'*'Remove 1 object, 0B? [y/N]'*'nothing was removed'* ]]
	[ -e /dev/shm/psm_1 ]
	run at_prompt y true
	[ "$status" -eq 0 ]
	[ ! -e /dev/shm/psm_1 ]
}

@test "a name that leads elsewhere by the time of the answer is left alone" {
	touch /dev/shm/psm_1
	run at_prompt y 'rm /dev/shm/psm_1; echo new >/dev/shm/psm_1'
	[ "$status" -eq 0 ]
	[[ $output == *'already gone psm_1'* ]]
	[ "$(cat /dev/shm/psm_1)" = new ]
}

@test "an object that somebody opens before the answer is left alone" {
	touch /dev/shm/psm_1
	run at_prompt y 'sleep 30 </dev/shm/psm_1 >/dev/null 2>&1 & echo $! >'"$BATS_TEST_TMPDIR/pid; sleep 0.2"
	kill "$(cat "$BATS_TEST_TMPDIR/pid")"
	[ "$status" -eq 0 ]
	[[ $output == *'kept psm_1'*'in use'* ]]
	[ -e /dev/shm/psm_1 ]
}

@test "young objects of other programs stay" {
	touch /dev/shm/psm_1
	run "$SHMSEM" cleanup --yes --foreign 'psm_*'
	[ "$status" -eq 0 ]
	[[ ${lines[0]} == *'younger than 10s (--min-age)' ]]
	[ -e /dev/shm/psm_1 ]
}

@test "programs that are killed leave what cleanup removes, alive they lose nothing" {
	local kind
	for kind in segment descriptor semaphore thread; do
		hold "$kind" other
		run foreign '*other'
		[ "$status" -eq 0 ]
		[[ $output == *kept* ]]
		[ "$(files)" -eq 1 ]
		container "$SHMSEM" cleanup --yes --force --min-age 0 --foreign '*other'
		[ "$(files)" -eq 1 ]
		kill_holder
		foreign '*other'
		[ "$(files)" -eq 0 ]
	done
}

@test "a classic namespace is live while its creator holds a lock, then left to --foreign" {
	hold creator cam
	run "$SHMSEM" serve -N cam "$SHMSEM_IMAGES"
	[ "$status" -eq 75 ]
	[[ $output == *'in use by a running program'* ]]
	[ "$(container "$SHMSEM" list -N cam -n -o STATUS,WHY | sort -u | tr -s ' ')" = "live its creator's lock held" ]
	container "$SHMSEM" cleanup --yes --force --min-age 0 --foreign '*'
	[ "$(files)" -eq 4 ]
	kill_holder
	"$SHMSEM" cleanup
	[ "$(files)" -eq 4 ]
	run "$SHMSEM" serve -N cam "$SHMSEM_IMAGES"
	[ "$status" -eq 75 ]
	[[ $output == *'shmsem cleanup --foreign cam'* ]]
	foreign cam
	[ "$(files)" -eq 0 ]
}

@test "in a container, too, what nobody uses is removed, and what others own is not without --force" {
	touch /dev/shm/psm_1 /dev/shm/psm_2
	chown nobody /dev/shm/psm_1
	hold descriptor psm_3
	container "$SHMSEM" cleanup --yes --min-age 0 --foreign 'psm_*'
	[ "$(ls /dev/shm)" = psm_3 ]
	run container setpriv --reuid nobody --regid nogroup --clear-groups \
		"$SHMSEM" cleanup --yes --min-age 0 --foreign 'psm_*'
	[ "$status" -eq 0 ]
	[[ ${lines[0]} == 'kept psm_3'*'cannot see all processes'*--force* ]]
}

@test "a descriptor under way in a socket counts as use" {
	touch /dev/shm/psm_1
	run -0 in_socket psm_1 "$SHMSEM" cleanup --yes --min-age 0 --foreign 'psm_*'
	[[ $output == *'kept psm_1'* ]]
	[ -e /dev/shm/psm_1 ]
}

# sysv_count KIND -- how many ipcs lists of it: -s, -m, -q, or all with -smq
sysv_count() {
	ipcs "$1" | grep -c 0x || true
}

@test "--sysv removes segments that a killed program left, and nothing while it runs" {
	hold sysv
	run "$SHMSEM" cleanup --sysv --yes --force --min-age 0
	[ "$status" -eq 0 ]
	[[ $output == *"kept shm:"*"attached by $HOLDER"* ]]
	run container "$SHMSEM" cleanup --sysv --yes --force --min-age 0
	[ "$status" -eq 0 ]
	[[ $output == *'kept sem:'*'last user is of another PID namespace; only from there'* ]]
	[[ $output == *'kept msg:'*'last user is of another PID namespace; only from there'* ]]
	[ "$(sysv_count -smq)" -eq 3 ]
	kill_holder
	"$SHMSEM" cleanup
	[ "$(sysv_count -smq)" -eq 3 ]
	container "$SHMSEM" cleanup --sysv --yes --force --min-age 0
	[ "$(sysv_count -smq)" -eq 3 ]
	run "$SHMSEM" cleanup --sysv --yes --min-age 0
	[ "$status" -eq 0 ]
	[ "$(sysv_count -m)" -eq 0 ]
	run "$SHMSEM" cleanup --sysv --yes --force --min-age 0
	[ "$status" -eq 0 ]
	[ "$(sysv_count -smq)" -eq 0 ]
	run "$SHMSEM" cleanup --sysv --yes
	[ "$output" = 'nothing to do' ]
}

@test "semaphore sets and queues stay without --force, though who used them last is gone or a zombie" {
	local kind
	for kind in sysv sysv-zombie; do
		hold "$kind"
		[ "$kind" = sysv-zombie ] || kill_holder
		run "$SHMSEM" cleanup --sysv --yes --min-age 0
		[ "$status" -eq 0 ]
		[[ $output == *"kept sem:"*"is gone, others may use it still; --force would remove it"* ]]
		[[ $output == *"kept msg:"*"is gone, others may use it still; --force would remove it"* ]]
		[ "$(sysv_count -m)$(sysv_count -s)$(sysv_count -q)" = 011 ]
		"$SHMSEM" cleanup --sysv --yes --force --min-age 0
		[ "$(sysv_count -smq)" -eq 0 ]
	done
}

@test "young System V objects stay, and --sysv wants --yes or an answer" {
	hold sysv
	kill_holder
	run "$SHMSEM" cleanup --sysv --yes --force
	[ "$status" -eq 0 ]
	[[ $output == *'kept shm:'*'younger than 10s (--min-age)'* ]]
	run "$SHMSEM" cleanup --sysv --min-age 0 </dev/null
	[ "$status" -eq 64 ]
	[[ $output == *--yes* ]]
	[ "$(sysv_count -smq)" -eq 3 ]
	run script -qec "'$SHMSEM' cleanup --sysv --min-age 0" /dev/null <<<n
	[ "$status" -eq 1 ]
	[[ $output == *'would remove shm:'*'Remove 1 object'* ]]
	[ "$(sysv_count -smq)" -eq 3 ]
}

@test "what belongs to another user is kept with the reason, status 77, or 1 if some could go" {
	touch /dev/shm/psm_1
	chmod 666 /dev/shm/psm_1
	hold server cam
	chmod 666 /dev/shm/*cam*
	kill_holder
	run as_nobody "$SHMSEM" cleanup
	[ "$status" -eq 77 ]
	[[ $output == *"kept 6 objects of the namespace cam"*"belongs to another user"* ]]
	run as_nobody "$SHMSEM" cleanup --yes --force --min-age 0 --foreign 'psm_*'
	[ "$status" -eq 77 ]
	[[ $output == *"kept psm_1"*"it belongs to another user, and the folder is sticky"* ]]
	touch /dev/shm/psm_2
	chown nobody /dev/shm/psm_2
	run as_nobody "$SHMSEM" cleanup --yes --force --min-age 0 --foreign 'psm_*'
	[ "$status" -eq 1 ]
	[ ! -e /dev/shm/psm_2 ]
	[ "$(files)" -eq 7 ]
}

@test "the administrator removes what other users' servers left" {
	hold server cam
	chown nobody /dev/shm/*cam*
	kill_holder
	"$SHMSEM" cleanup
	[ "$(files)" -eq 0 ]
}

@test "symbolic links, FIFOs and directories under our names are never followed or unlinked" {
	echo precious >"$BATS_TEST_TMPDIR/file"
	ln -s "$BATS_TEST_TMPDIR/file" /dev/shm/SEG_a_HEAD
	mkfifo /dev/shm/SEG_b_HEAD
	mkdir /dev/shm/SEG_c_HEAD
	touch '/dev/shm/SEG_a:1_DATA' '/dev/shm/SEG_b:1_DATA'
	run timeout 10 "$SHMSEM" cleanup
	[ "$status" -eq 77 ]
	run timeout 10 "$SHMSEM" cleanup --yes --force --min-age 0 --foreign '*'
	[ "$status" -eq 77 ]
	[ "$(files)" -eq 5 ]
	[ "$(cat "$BATS_TEST_TMPDIR/file")" = precious ]
}

@test "a full /dev/shm can be cleaned up" {
	mount -t tmpfs -o size=1M none /dev/shm
	hold server cam
	rm /dev/shm/SEG_cam_HEAD
	kill_holder
	head -c 2M /dev/zero >/dev/shm/full 2>/dev/null || true
	run "$SHMSEM" cleanup
	[ "$status" -eq 0 ]
	[ "$(find /dev/shm -mindepth 1)" = /dev/shm/full ]
	umount /dev/shm
}

@test "a real server is live until it is killed, then all it made is removed" {
	serve cam --decoders 2 --seats 3
	local all
	all=$(files)
	[ "$all" -ge 7 ]
	[ "$("$SHMSEM" list -N cam -n -o STATUS | sort -u)" = live ]
	run "$SHMSEM" cleanup cam
	[ "$status" -eq 0 ]
	container "$SHMSEM" cleanup --yes --force --min-age 0 --foreign '*'
	[ "$(files)" -eq "$all" ]
	# Its decoders go with it.
	kill -KILL "$HOLDER"
	local left=100
	while [ "$("$SHMSEM" list -N cam -n -o STATUS | sort -u)" != stale ] && [ $((left--)) -gt 0 ]; do
		sleep 0.05
	done
	run "$SHMSEM" cleanup
	[ "$status" -eq 0 ]
	[ "$(files)" -eq 0 ]
}

@test "a server that starts removes what a killed one left under its namespace" {
	serve cam --seats 3
	kill_holder
	serve cam --seats 1
	[ ! -e '/dev/shm/sem.SEM_cam:2_RES' ]
	[ "$("$SHMSEM" list -N cam -n -o STATUS | sort -u)" = live ]
}

@test "a server that ends late leaves its successor's objects alone" {
	serve cam --seats 1
	local old=$HOLDER all
	all=$(files)
	kill -STOP "$old"
	rm /dev/shm/*cam*
	serve cam --seats 1
	kill -TERM "$old"
	kill -CONT "$old"
	wait "$old" || true
	[ "$(files)" -eq "$all" ]
	[ "$("$SHMSEM" list -N cam -n -o STATUS,WHY | sort -u | tr -s ' ')" = "live server's lock held by $HOLDER" ]
}

# Ten servers in turn, each of which must find all its objects while it lives; every third is killed.
serve_in_turn() {
	local turn code
	for turn in 1 2 3 4 5 6 7 8 9 10; do
		if [ $((turn % 3)) -eq 0 ]; then
			timeout -s KILL 0.03 "$SHMSEM" serve -q -N crowd "$SHMSEM_IMAGES" || true
			continue
		fi
		code=0
		timeout 30 "$SHMSEM" serve -q -N crowd --seats 4 --decoders 1 "$SHMSEM_IMAGES" -- \
			sh -c '"$SHMSEM" list -N crowd -n -o STATUS >"$0"; sleep 0.02; "$SHMSEM" list -N crowd -n -o STATUS >>"$0"
				[ "$(sort -u "$0")" = live ] && [ "$(wc -l <"$0")" -ge 14 ]' \
			"$BATS_TEST_TMPDIR/states-$1" || code=$?
		# 75: another one has the namespace
		[ "$code" -eq 0 ] || [ "$code" -eq 75 ] || return 1
	done
}

@test "cleanups beside starting, stopping and killed servers never take a live object" {
	local pids=() pid i
	for i in 1 2 3; do
		serve_in_turn "$i" 2>/dev/null 3>&- &
		pids+=($!)
	done
	while kill -0 "${pids[@]}" 2>/dev/null; do
		timeout 30 "$SHMSEM" cleanup >/dev/null &
		timeout 30 "$SHMSEM" cleanup >/dev/null
		wait $!
	done
	for pid in "${pids[@]}"; do
		wait "$pid"
	done
	"$SHMSEM" cleanup
	[ "$(files)" -eq 0 ]
	[ "$(cat "$BATS_TEST_TMPDIR"/states-* | wc -l)" -ge 14 ]
}

@test "on a terminal, lines are wrapped at words" {
	local line
	touch -d '1 hour ago' /dev/shm/psm_with-a-long-name-that-makes-its-line-too-long-for-it
	run -0 script -qec "stty cols 60; '$SHMSEM' cleanup -n --known --min-age 0s" /dev/null
	while IFS= read -r line; do
		line=${line%$'\r'}
		[ "${#line}" -le 60 ]
	done <<<"$output"
	[[ ${output//$'\r\n  '/ } == *" psm_with-a-long-name-that-makes-its-line-too-long-for-it (segment, 0B): $FREE_WHY"* ]]
}
