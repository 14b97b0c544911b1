# The home in the system: units, and containers that share a /dev/shm.

bats_require_minimum_version 1.5.0

load server.bash

teardown() {
	serve_end_all
}

# installed_unit NAME -- a copy of the installed unit that starts the program under test
installed_unit() {
	DESTDIR="$BATS_TEST_TMPDIR/prefix" meson install -C "$SHMSEM_BUILD" --no-rebuild --quiet
	mkdir -p "$BATS_TEST_TMPDIR/units"
	for unit in "$@"; do
		sed "s,^ExecStart=[^ ]*,ExecStart=$SHMSEM," \
			"$(find "$BATS_TEST_TMPDIR/prefix" -name "$unit")" >"$BATS_TEST_TMPDIR/units/$unit"
	done
}

@test "systemd finds no fault with the units" {
	installed_unit shmsem@.service shmsem-cleanup.service shmsem-cleanup.timer
	cd "$BATS_TEST_TMPDIR/units"
	mv shmsem@.service shmsem@cameras.service
	for unit in *; do
		run -0 systemd-analyze verify --man=no "./$unit"
		[ -z "$(grep -F "$unit" <<<"$output")" ]
	done
}

@test "a server that failed is started again before its clients give up, 100 ms later" {
	installed_unit shmsem@.service
	grep -q '^Restart=on-failure$' "$BATS_TEST_TMPDIR/units/shmsem@.service"
	[ "$(sed -n 's/^RestartSec=\([0-9]*\)ms$/\1/p' "$BATS_TEST_TMPDIR/units/shmsem@.service")" -le 50 ]
}

@test "a server whose options or folder are wrong is not started again" {
	installed_unit shmsem@.service
	local prevented
	prevented=" $(sed -n 's/^RestartPreventExitStatus=//p' "$BATS_TEST_TMPDIR/units/shmsem@.service") "
	[[ "$prevented" == *" 77 "* ]]
	run "$SHMSEM" serve --no-such-option
	[[ "$prevented" == *" $status "* ]]
	run "$SHMSEM" serve "$BATS_TEST_TMPDIR/no-such-folder"
	[[ "$prevented" == *" $status "* ]]
}

@test "the services are closed to what they do not need: rated 1 or better" {
	installed_unit shmsem@.service shmsem-cleanup.service
	run -0 systemd-analyze security --offline=true --threshold=10 "$BATS_TEST_TMPDIR/units/shmsem@.service"
	run -0 systemd-analyze security --offline=true --threshold=10 "$BATS_TEST_TMPDIR/units/shmsem-cleanup.service"
}

@test "cleanup removes what another user's server left, with the capabilities and system calls that its unit leaves it" {
	local held
	installed_unit shmsem-cleanup.service
	chmod 0755 "$BATS_TEST_TMPDIR" "$(dirname "$BATS_TEST_TMPDIR")" "$(dirname "$(dirname "$BATS_TEST_TMPDIR")")"
	cp "$SHMSEM" "$BATS_TEST_TMPDIR/shmsem"
	mkdir -m 0755 "$BATS_TEST_TMPDIR/images"
	setpriv --reuid 65534 --regid 65534 --clear-groups \
		"$BATS_TEST_TMPDIR/shmsem" serve -q -N dead "$BATS_TEST_TMPDIR/images" 3>&- &
	SERVER=$!
	SERVERS+=("$SERVER")
	wait_for_file /dev/shm/SEG_dead_HEAD
	kill -KILL "$SERVER"
	wait "$SERVER" || true
	held="$(sed -n 's/^CapabilityBoundingSet=//p' "$BATS_TEST_TMPDIR/units/shmsem-cleanup.service" | tr 'A-Z ' 'a-z,' | sed 's/cap_/+/g')"
	[ -n "$held" ]
	run -0 timeout 60 sh -c 'until "$@" && [ ! -e /dev/shm/SEG_dead_HEAD ]; do sleep 0.1; done' sh \
		setpriv --bounding-set="-all,$held" strace -f -qq -o "$BATS_TEST_TMPDIR/trace" "$SHMSEM" cleanup
	run -0 "$SHMSEM_ALLOWED_CALLS" "$BATS_TEST_TMPDIR/units/shmsem-cleanup.service" "$BATS_TEST_TMPDIR/trace" unlink
	assert_nothing_left
}

@test "a server works with what the unit leaves it: no privileges, network, new privileges or writable files" {
	mkdir -m 0755 "$BATS_TEST_TMPDIR/images"
	cp "$SHMSEM_IMAGES"/* "$BATS_TEST_TMPDIR/images"
	chmod 0755 "$BATS_TEST_TMPDIR" "$(dirname "$BATS_TEST_TMPDIR")" "$(dirname "$(dirname "$BATS_TEST_TMPDIR")")"
	cp "$SHMSEM" "$BATS_TEST_TMPDIR/shmsem"
	mkdir "$BATS_TEST_TMPDIR/root"
	unshare --net --mount --propagation unchanged sh -c \
		'mount --rbind / "$0" && mount -o remount,bind,ro "$0" && exec chroot "$0" "$@"' "$BATS_TEST_TMPDIR/root" \
		setpriv --reuid 65534 --regid 65534 --clear-groups --bounding-set=-all --no-new-privs \
		"$BATS_TEST_TMPDIR/shmsem" serve -q -N closed --mode 0660 "$BATS_TEST_TMPDIR/images" 3>&- &
	SERVER=$!
	SERVERS+=("$SERVER")
	run -0 setpriv --reuid 65533 --regid 65534 --clear-groups \
		env SHMSEM_SERVER_USER=65534 "$BATS_TEST_TMPDIR/shmsem" fetch -N closed --wait 15 apple
	run -77 setpriv --reuid 65533 --regid 65533 --clear-groups \
		env SHMSEM_SERVER_USER=65534 "$BATS_TEST_TMPDIR/shmsem" fetch -N closed apple
	[ "$output" = "shmsem fetch: the server of namespace 'closed' runs as user nobody (uid 65534) and does not admit this one; with --mode 0660 --group GROUP it admits a group" ]
	serve_stop "$SERVER"
	assert_nothing_left
}

@test "every system call that a server and its decoders make is one that the unit allows" {
	installed_unit shmsem@.service
	strace -f -qq -o "$BATS_TEST_TMPDIR/trace" "$SHMSEM" serve -q -N traced -w 1 --group 0 "$SHMSEM_IMAGES" 3>&- &
	SERVER=$!
	SERVERS+=("$SERVER")
	run -0 "$SHMSEM" fetch -N traced --wait 20 apple dog
	kill "$(pgrep -P "$SERVER" -x shmsem)"
	wait "$SERVER"
	run -0 "$SHMSEM_ALLOWED_CALLS" "$BATS_TEST_TMPDIR/units/shmsem@.service" "$BATS_TEST_TMPDIR/trace" openat2 seccomp
	assert_nothing_left
}

@test "a client says whose server it finds, and accepts that of another user only if it is told to" {
	chmod 0755 "$BATS_TEST_TMPDIR" "$(dirname "$BATS_TEST_TMPDIR")" "$(dirname "$(dirname "$BATS_TEST_TMPDIR")")"
	cp -r "$SHMSEM" "$SHMSEM_IMAGES" "$BATS_TEST_TMPDIR"
	chown -R 65534 "$BATS_TEST_TMPDIR/images"
	as() { setpriv --reuid "$1" --regid 61183 --clear-groups "${@:2}"; }
	setpriv --reuid nobody --regid 61183 --clear-groups "$BATS_TEST_TMPDIR/shmsem" serve -q -N theirs --mode 0666 "$BATS_TEST_TMPDIR/images" 3>&- &
	SERVER=$!
	SERVERS+=("$SERVER")
	fetch=("$BATS_TEST_TMPDIR/shmsem" fetch -q -N theirs --wait 15)
	run -0 as nobody "${fetch[@]}" apple
	# Not even root is deceived.
	for uid in 61183 0; do
		run -77 as "$uid" "${fetch[@]}" apple
		[[ $output == *"the server of namespace 'theirs' runs as user nobody (uid 65534), not as you or root; --server-user nobody "* ]]
	done
	for accepts in nobody 65534 any; do
		run -0 as 61183 "${fetch[@]}" --server-user "$accepts" apple
		run -0 as 61183 env SHMSEM_SERVER_USER="$accepts" "${fetch[@]}" apple
	done
	# The option demands, the environment adds.
	run -77 as nobody "${fetch[@]}" --server-user 61183 apple
	[[ $output == *"runs as user nobody (uid 65534), not as uid 61183; "* ]]
	run -0 as nobody env SHMSEM_SERVER_USER=61183 "${fetch[@]}" apple
	run -64 as 61183 "${fetch[@]}" --server-user nonesuch apple
	[ "$output" = "shmsem fetch: --server-user: there is no user 'nonesuch'" ]
	run -64 as 61183 env SHMSEM_SERVER_USER=nonesuch "${fetch[@]}" apple
	[ "$output" = "shmsem fetch: \$SHMSEM_SERVER_USER: there is no user 'nonesuch'" ]
	serve_stop "$SERVER"
	# What a stranger may not even open is said as well, and root's server is accepted.
	as nobody touch /dev/shm/SEG_taken_HEAD
	chmod 0600 /dev/shm/SEG_taken_HEAD
	run -77 as 61183 "$BATS_TEST_TMPDIR/shmsem" fetch -N taken apple
	[[ $output == *"'taken' runs as user nobody (uid 65534), "* ]]
	rm /dev/shm/SEG_taken_HEAD
	"$SHMSEM" serve -q -N roots --mode 0666 "$SHMSEM_IMAGES" 3>&- &
	SERVER=$!
	SERVERS+=("$SERVER")
	run -0 as 61183 "$BATS_TEST_TMPDIR/shmsem" fetch -q -N roots --wait 15 apple
	serve_stop "$SERVER"
	assert_nothing_left
}

@test "who is admitted can neither make a dead server look alive nor keep the next one from its place" {
	chmod 0755 "$BATS_TEST_TMPDIR" "$(dirname "$BATS_TEST_TMPDIR")" "$(dirname "$(dirname "$BATS_TEST_TMPDIR")")"
	cp -r "$SHMSEM" "$SHMSEM_IMAGES" "$BATS_TEST_DIRNAME/locker.py" "$BATS_TEST_TMPDIR"
	chown -R 65534 "$BATS_TEST_TMPDIR/images"
	fetch=(setpriv --reuid 61183 --regid 61183 --clear-groups "$BATS_TEST_TMPDIR/shmsem" fetch -q -N open --server-user nobody)
	for more in "" overwrite end; do
		# From the second round on it takes the place of one whose locks another still has.
		setpriv --reuid nobody --regid nogroup --clear-groups \
			"$BATS_TEST_TMPDIR/shmsem" serve -q -N open -w 1 --mode 0666 "$BATS_TEST_TMPDIR/images" 3>&- &
		SERVER=$!
		SERVERS+=("$SERVER")
		run -0 "${fetch[@]}" --wait 15 apple
		[ "$more" != end ] || break
		setpriv --reuid 61183 --regid 61183 --clear-groups \
			/usr/bin/python3 "$BATS_TEST_TMPDIR/locker.py" open $more >"$BATS_TEST_TMPDIR/locker$more" 3>&- &
		SERVERS+=("$!")
		wait_for_line "$BATS_TEST_TMPDIR/locker$more" open
		kill -KILL "$SERVER"
		wait_for_line "$BATS_TEST_TMPDIR/locker$more" taken
		run -69 "${fetch[@]}" apple
		[[ $output == *"the server has died"* ]]
		# What the last one left has lost its names, but not those who have it open.
		run -0 "$SHMSEM" list -an -o TYPE,STATUS 'SEG_open_*'
		run -0 grep -v deleted <<<"$output"
		[[ $output == *stale* && $output != *live* && $output != *unknown* ]]
	done
	serve_stop "$SERVER"
	assert_nothing_left
}

# contained SHM COMMAND... -- runs it in PID, mount and IPC namespaces of its own with SHM as its /dev/shm, as a container would
contained() {
	local shm="$1"
	shift
	exec unshare --pid --fork --kill-child --mount-proc --mount --ipc --propagation unchanged sh -c \
		'mount --bind "$1" /dev/shm && shift && exec "$@"' sh "$shm" "$@"
}

@test "two containers that share a /dev/shm hand images over, and a third cleans up after a killed one" {
	mkdir "$BATS_TEST_TMPDIR/shm"
	mount -t tmpfs -o mode=1777,size=256M none "$BATS_TEST_TMPDIR/shm"
	(contained "$BATS_TEST_TMPDIR/shm" "$SHMSEM" serve -q -N images "$SHMSEM_IMAGES") 3>&- &
	SERVER=$!
	SERVERS+=("$SERVER")
	run -0 contained "$BATS_TEST_TMPDIR/shm" "$SHMSEM" fetch -N images --wait 15 apple dog
	[[ "$output" == *apple* ]]
	assert_nothing_left # of it in the /dev/shm outside

	run -0 contained "$BATS_TEST_TMPDIR/shm" "$SHMSEM" cleanup images
	[ -e "$BATS_TEST_TMPDIR/shm/SEG_images_HEAD" ] # the server lives, if in another PID namespace

	kill -KILL "$SERVER"
	wait "$SERVER" || true
	# What was killed is its parent; the kernel kills the server after that.
	while (contained "$BATS_TEST_TMPDIR/shm" "$SHMSEM" fetch -q -N images apple 2>/dev/null); do :; done
	run -69 contained "$BATS_TEST_TMPDIR/shm" "$SHMSEM" fetch -N images apple
	run -0 contained "$BATS_TEST_TMPDIR/shm" sh -c \
		'until "$1" cleanup images && [ ! -e /dev/shm/SEG_images_HEAD ]; do sleep 0.05; done' sh "$SHMSEM"
	[ -z "$(ls -A "$BATS_TEST_TMPDIR/shm")" ]
	umount "$BATS_TEST_TMPDIR/shm"
}

@test "the examples for containers are YAML, and share /dev/shm" {
	run -0 /usr/bin/python3 -c '
import sys, yaml
compose = yaml.safe_load(open(sys.argv[1] + "/compose.yaml"))["services"]
assert compose["images"]["ipc"] == "shareable" and compose["client"]["ipc"] == "service:images"
pod = yaml.safe_load(open(sys.argv[1] + "/kubernetes.yaml"))["spec"]
def size(text):
    return float(text.rstrip("GgMmi")) * (1 << (30 if text.rstrip("i")[-1] in "Gg" else 20))
server = compose["images"]
def cache(command):
    return size(command[command.index("--cache") + 1])
assert cache(server["command"]) < size(server["shm_size"]) <= size(server["mem_limit"]) / 2
space = size(pod["volumes"][0]["emptyDir"]["sizeLimit"])
assert cache(pod["containers"][0]["command"]) < space <= size(pod["containers"][0]["resources"]["limits"]["memory"]) / 2
assert pod["volumes"][0]["emptyDir"]["medium"] == "Memory"
for container in pod["containers"]:
    assert {"name": "shm", "mountPath": "/dev/shm"} in container["volumeMounts"]' "$SHMSEM_DEPLOY"
}
