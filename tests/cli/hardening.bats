# The build as it would be installed: position independent, relocations read-only, stacks that are guarded and not executable,
# and library calls that check their buffers.

bats_require_minimum_version 1.5.0

load server.bash

teardown() {
	serve_end_all
}

@test "the program is position independent, and so can lie anywhere" {
	readelf -h "$SHMSEM" | grep -q 'Type: *DYN'
	readelf -d "$SHMSEM" | grep -q 'FLAGS_1.*PIE'
}

@test "relocations are done at the start, and then read-only; no stack is executable" {
	local file
	for file in "$SHMSEM" "$LIBSHMSEM"; do
		readelf -lW "$file" | grep -q GNU_RELRO
		readelf -d "$file" | grep -q 'BIND_NOW\|FLAGS.* NOW'
		readelf -lW "$file" | grep -q 'GNU_STACK.* RW '
	done
}

@test "a smashed stack is noticed" {
	local file
	for file in "$SHMSEM" "$LIBSHMSEM"; do
		nm -D "$file" | grep -q ' U __stack_chk_fail@'
	done
}

@test "jumps lead only to places that are meant for it" {
	local landing
	case "$(uname -m)" in
	x86_64) landing=endbr64 ;;
	aarch64) landing='bti|paciasp' ;;
	*) skip "no such processor" ;;
	esac
	objdump -d --disassemble=shmsem_fetch "$LIBSHMSEM" | grep -A1 '<shmsem_fetch' | grep -qE "$landing"
}

# maps_owner PID -- whose its /proc/PID/maps is: root's if it is not dumpable.
maps_owner() {
	stat -c %u "/proc/$1/maps"
}

@test "server, decoders and helpers leave no core and cannot be looked into; the last two have no environment" {
	chmod 0755 "$BATS_TEST_TMPDIR" "$(dirname "$BATS_TEST_TMPDIR")" "$(dirname "$(dirname "$BATS_TEST_TMPDIR")")"
	cp -r "$SHMSEM" "$SHMSEM_IMAGES" "$BATS_TEST_TMPDIR"
	SECRET=of-the-server setpriv --reuid nobody --regid nogroup --clear-groups \
		"$BATS_TEST_TMPDIR/shmsem" serve -q -N hardened -w 1 "$BATS_TEST_TMPDIR/images" 3>&- &
	SERVER=$!
	SERVERS+=("$SERVER")
	run -0 "$SHMSEM" fetch -q -N hardened --server-user nobody --wait 15 apple
	[ "$(maps_owner "$SERVER")" = 0 ]
	# Its user is told all the same that it lives, and who it is.
	run -0 setpriv --reuid nobody --regid nogroup --clear-groups "$BATS_TEST_TMPDIR/shmsem" list --noheadings -o STATUS,WHY hardened
	[ "${lines[0]}" = "live server's lock held by $SERVER" ]
	grep -qz SECRET=of-the-server "/proc/$SERVER/environ"
	local pid found=0
	for pid in $(cat "/proc/$SERVER/task/"*/children); do
		[ "$(maps_owner "$pid")" = 0 ]
		run -1 grep -azvE '^(LD_|MALLOC_|GLIBC_TUNABLES=)' "/proc/$pid/environ"
		found=$((found + 1))
	done
	[ "$found" -ge 2 ]
	serve_stop "$SERVER"
}

@test "calls that write into a buffer know its size where the compiler optimizes" {
	[ -n "$SHMSEM_FORTIFIED" ] || skip "not optimized"
	local file
	for file in "$SHMSEM" "$LIBSHMSEM"; do
		nm -D "$file" | grep -qE ' U __(snprintf|vsnprintf)_chk@'
	done
}
