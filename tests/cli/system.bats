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

@test "the service is closed to what a server does not need" {
	installed_unit shmsem@.service
	run -0 systemd-analyze security --offline=true --threshold=20 "$BATS_TEST_TMPDIR/units/shmsem@.service"
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
		"$BATS_TEST_TMPDIR/shmsem" fetch -N closed --wait 15 apple
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
	run -0 "$SHMSEM_ALLOWED_CALLS" "$BATS_TEST_TMPDIR/units/shmsem@.service" "$BATS_TEST_TMPDIR/trace"
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
assert pod["volumes"][0]["emptyDir"]["medium"] == "Memory"
for container in pod["containers"]:
    assert {"name": "shm", "mountPath": "/dev/shm"} in container["volumeMounts"]' "$SHMSEM_DEPLOY"
}
