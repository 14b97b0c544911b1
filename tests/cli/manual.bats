# What the manual gives as examples works as it stands there.

bats_require_minimum_version 1.5.0

load server.bash
load pixels.bash

setup() {
	mkdir "$BATS_TEST_TMPDIR/bin" "$BATS_TEST_TMPDIR/work"
	ln -s "$SHMSEM" "$BATS_TEST_TMPDIR/bin/shmsem"
	PATH="$BATS_TEST_TMPDIR/bin:$PATH"
	cd "$BATS_TEST_TMPDIR/work"
	mkdir assets
	ln -s "$SHMSEM_IMAGES" images
	ln -s "$SHMSEM_IMAGES" assets/images
}

teardown() {
	serve_end_all
}

# examples_section PAGE
examples_section() {
	sed -n '/^\.Sh EXAMPLES/,/^\.Sh [^E]/p' "$SHMSEM_MANUAL/$1" | sed 's/\\-/-/g; s/\\(ha/^/g; s/\\(dq/"/g; s/\\e/\\/g'
}

# A reader sees what mandoc makes of the source, which drops quotation marks of a macro's line, for one.
@test "examples reach the reader as they are tried here" {
	local page line shown
	for page in "$SHMSEM_MANUAL"/*.[1-8]; do
		shown=$(mandoc -T utf8 -O width=400 "$page" | col -b | tr -s ' ')
		while read -r line; do
			line=$(tr -s ' ' <<<"$line")
			[[ $shown == *"$line"* ]] || { echo "$page: $line" >&2; return 1; }
		done < <(examples_section "${page##*/}" | sed -n 's/^\.Dl //p')
	done
}

# examples PAGE -- each example as one line: a .Dl line, or the "$ " lines of a literal display.
examples() {
	examples_section "$1" | awk '
		/^\.Dl / { sub(/^\.Dl /, ""); print }
		/^\.Bd/ { block = "" }
		/^\$ / { sub(/^\$ /, ""); block = block (block == "" ? "" : block ~ /&$/ ? " " : "; ") $0 }
		/^\.Ed/ && block != "" { print block }'
}

# What serves without a command is ended by us after a while; all else has to end by itself.
run_example() {
	local seconds=900 # hung, not slow: machines do other work, too
	if [[ "$1" == "shmsem serve"* && "$1" != *" -- "* ]]; then
		seconds=2
	fi
	run timeout --preserve-status --signal=TERM "$seconds" bash -c 'exec 3>&-; exec bash -c "$1"' bash "$1"
	if [ "$status" != 0 ]; then
		printf '%s\nstatus %s\n%s\n' "$1" "$status" "$output" >&2
		return 1
	fi
}

# run_examples PAGE -- and there is at least one.
run_examples() {
	local -a lines
	mapfile -t lines < <(examples "$1")
	[ "${#lines[@]}" -gt 0 ]
	local line
	for line in "${lines[@]}"; do
		run_example "$line"
	done
}

# For pages whose examples ask a server that runs already.
run_examples_beside_server() {
	serve_start shmsem images
	run_examples "$1"
	serve_stop "$SERVER"
	assert_nothing_left
}

@test "the examples of shmsem(1) run" {
	run_examples shmsem.1
	assert_nothing_left
}

@test "the examples of shmsem-serve(1) run" {
	run_examples shmsem-serve.1
	assert_nothing_left
}

@test "the examples of the other commands run beside a server" {
	local page
	for page in "$SHMSEM_MANUAL"/shmsem-*.1; do
		[ "${page##*/}" = shmsem-serve.1 ] || run_examples_beside_server "${page##*/}"
	done
}

@test "the examples of shmsem(7) run" {
	run_examples_beside_server shmsem.7
}

@test "the examples of libshmsem(3) compile without a warning and run" {
	examples_section libshmsem.3 | awk '
		/^\.Ed/ { inside = 0 }
		inside { print >("example" count ".c") }
		/^\.Bd -literal/ { inside = 1; count++ }'
	[ -s example1.c ] && [ -s example2.c ] && [ -s example3.c ]
	serve_start shmsem images
	local i
	for i in 1 2 3; do
		"${CC:-cc}" -std=c11 -Wall -Wextra -Werror -I "$SHMSEM_INCLUDE" -o "example$i" "example$i.c" \
			"$LIBSHMSEM"
	done
	run -0 env LD_LIBRARY_PATH="${LIBSHMSEM%/*}" timeout 20 ./example1
	[[ "$output" == "640 x 960, sum "* ]]
	run -0 env LD_LIBRARY_PATH="${LIBSHMSEM%/*}" timeout 20 ./example2
	[ "${#lines[@]}" = 4 ]
	[ "${lines[0]}" = "apple.jpg: 160 x 240" ]
	serve_stop "$SERVER"
	SHMSEM_NAMESPACE=made LD_LIBRARY_PATH="${LIBSHMSEM%/*}" ./example3 3>&- &
	SERVER=$!
	SERVERS+=("$SERVER")
	run -0 timeout 20 shmsem fetch -N made --wait 10 anything
	[[ "$output" == *256* ]]
	serve_stop "$SERVER"
	assert_nothing_left
}

exchange() {
	timeout 20 python3 "$SHMSEM_TESTS/exchange.py" "$@"
}

@test "a requester that knows no more than shmsem(7) says gets names and pixels" {
	serve_start told images
	run -0 exchange told names
	[ "$output" = $'apple.jpg\nball.png\ncar.jpg\ndog.png' ]
	run -0 exchange told get apple ball car.jpg dog.png
	cd images
	diff <(echo "$output") <(for name in apple ball car.jpg dog.png; do answer_of "$name"; done | cut -d ' ' -f 1-4,6)
	cd ..
	run -1 exchange told get nothing
	[[ "$output" == *"status 66: "* ]]
	serve_stop "$SERVER"
	assert_nothing_left
}

@test "a server told a number of requests answers so many, and not one more" {
	serve_start count --requests 5 images
	run -0 exchange count ping 4
	run -1 exchange count ping 2
	wait "$SERVER"
	assert_nothing_left
}
