# Libraries are loaded when they are needed, and named where they are missing.

bats_require_minimum_version 1.5.0

load server.bash

teardown() {
	serve_end_all
}

# known -- the file names of all libraries that the program may load.
known() {
	grep -aoE 'lib[a-z0-9]+\.so\.[0-9]+' "$SHMSEM" | sort -u
}

# loaded COMMAND... -- the file names of those that it loads as it runs.
loaded() {
	rm -f "$BATS_TEST_TMPDIR"/loaded.*
	LD_DEBUG=files LD_DEBUG_OUTPUT="$BATS_TEST_TMPDIR/loaded" "$@" >/dev/null
	sed -n 's/.*file=\([^ ]*\) .*generating link map.*/\1/p' "$BATS_TEST_TMPDIR"/loaded.* | sort -u
}

# mapped PID -- the file names of those that a process has, which end in longer versions.
mapped() {
	sed -n 's,.*/\([^/ ]*\.so[^/ ]*\)$,\1,p' "/proc/$1/maps" | sort -u
}

# without LIBRARY COMMAND... -- runs it where what has the name of that library is none.
without() {
	local library
	library=$(known | grep "^$1[0-9.]*so\.")
	shift
	rm -rf "$BATS_TEST_TMPDIR/broken"
	mkdir "$BATS_TEST_TMPDIR/broken"
	echo 'no library' >"$BATS_TEST_TMPDIR/broken/$library"
	LD_LIBRARY_PATH="$BATS_TEST_TMPDIR/broken" "$@"
	local status=$?
	# What is to be read in the message.
	echo "missing: $library"
	return "$status"
}

@test "what is there without a library needs none but libc" {
	[ "$(known | wc -l)" -ge 6 ]
	serve_start plain "$SHMSEM_IMAGES"
	"$SHMSEM" fetch -q -N plain dog
	local command
	for command in --version 'fetch -N plain dog' 'fetch -N plain --info dog' 'fetch -N plain --names' 'list -a -J' 'cleanup -n'; do
		# shellcheck disable=SC2086 # words
		run -0 loaded "$SHMSEM" $command
		# Without optimization, libm has what an instruction does otherwise.
		[ "$(echo "$output" | grep -vx "${SHMSEM_FORTIFIED:-libm.so.6}")" = libc.so.6 ]
	done
	serve_stop "$SERVER"
}

@test "each process has the libraries of its work" {
	local pid found=''
	serve_start work -w 1 "$SHMSEM_IMAGES"
	"$SHMSEM" fetch -q -N work dog
	# The server touches no file's bytes.
	run mapped "$SERVER"
	[[ "$output" != *libpng* && "$output" != *libjpeg* && "$output" != *libz* ]]
	for pid in $(cat "/proc/$SERVER/task/"*/children); do
		run mapped "$pid"
		[[ "$output" != *libjansson* && "$output" != *libsmartcols* && "$output" != *liburing* ]]
		[[ "$output" != *libpng* ]] || [[ "$output" != *libjpeg* ]] || found=decoder
	done
	[ "$found" = decoder ]
	serve_stop "$SERVER"
}

@test "a library that is missing is named by the command that needs it" {
	local output_file="$BATS_TEST_TMPDIR/out"
	serve_start named "$SHMSEM_IMAGES"
	"$SHMSEM" fetch -q -N named dog car
	while read -r library command; do
		# shellcheck disable=SC2086 # words
		run -69 without "$library" "$SHMSEM" $command
		[[ "$output" == *"needs a library that cannot be loaded: "*"/$(echo "${lines[-1]}" | cut -d' ' -f2): "* ]]
		# Said once; and what does not need it works.
		[ "${#lines[@]}" = 2 ]
		run -0 without "$library" "$SHMSEM" fetch -q -N named dog
	done <<-END
		libjansson fetch -N named -J dog
		libjansson cleanup -n -J
		libjansson list --stats -N named -J
		libpng fetch -q -N named -o $output_file.png dog
		libjpeg fetch -q -N named -o $output_file.jpg car
		libsmartcols bench transport -s 64 -t 1ms -r 1
	END
	[ ! -e "$output_file.png" ] && [ ! -e "$output_file.jpg" ]
	serve_stop "$SERVER"
	assert_nothing_left
}

@test "a server says which library it or its decoders miss" {
	local library
	for library in libseccomp liburing; do
		known | grep -q "^$library" || continue
		run -69 without "$library" "$SHMSEM" serve -N missing "$SHMSEM_IMAGES" -- true
		[[ "$output" == "shmsem serve: "*"needs a library that cannot be loaded: "*"/$library.so"* ]]
		assert_nothing_left
	done
	for library in libpng libjpeg libz; do
		run -70 without "$library" "$SHMSEM" serve -N missing "$SHMSEM_IMAGES" -- "$SHMSEM" fetch -q dog
		[[ "$output" == *"dog.png: no decoder: "*"needs a library that cannot be loaded: "*"/$library"* ]]
		assert_nothing_left
	done
	# Whatever its decoders have said by the time that they are needed.
	for _ in 1 2 3 4; do
		run -0 without libpng "$SHMSEM" serve -w 2 -N missing --preload "$SHMSEM_IMAGES" -- true
		[[ "$output" == *"dog.png: no decoder: "* ]]
	done
}

@test "doctor names those that cannot be loaded" {
	run -0 "$SHMSEM" doctor
	[[ "$output" == *"ok       libraries      all "*" can be loaded"* ]]
	run -1 without libpng "$SHMSEM" doctor
	[[ "$output" == *"bad      libraries      PNG needs a library that cannot be loaded: "*libpng* ]]
	[ "$(grep -c "^bad " <<<"$output")" -eq 1 ]
}
