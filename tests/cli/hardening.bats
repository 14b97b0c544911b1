# The build as it would be installed: position independent, relocations read-only, stacks that are guarded and not executable,
# and library calls that check their buffers.

bats_require_minimum_version 1.5.0

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

@test "calls that write into a buffer know its size where the compiler optimizes" {
	[ -n "$SHMSEM_FORTIFIED" ] || skip "not optimized"
	local file
	for file in "$SHMSEM" "$LIBSHMSEM"; do
		nm -D "$file" | grep -qE ' U __(snprintf|vsnprintf)_chk@'
	done
}
