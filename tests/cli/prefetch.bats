# shmsem prefetch from the command line: which names, what is said, and what is found decoded afterwards.

bats_require_minimum_version 1.5.0

load server.bash
load fetch.bash

setup() {
	NS=prefetch
	cd "$BATS_TEST_TMPDIR" || return
}

teardown() {
	serve_end_all
}

prefetch() {
	timeout 60 "$SHMSEM" prefetch -N "$NS" "$@"
}

# decodes -- how many the server has done.
decodes() {
	"$SHMSEM" list -N "$NS" --stats -J | jq '.. | .decodes? // empty' | head -1
}

# stored NAME [OPTION…] -- whether a fetch finds it decoded.
stored() {
	fetch -J "$@" | jq -e '.images[0].store.stored'
}

@test "names as arguments, from a file, from standard input, with wildcards" {
	begin
	run --separate-stderr prefetch apple dog.png
	[ "$status" -eq 0 ] && [ "$output" = "2 of 2 decoded" ] && [ -z "$stderr" ]
	stored apple
	stored dog.png
	printf 'ball\n\napple' >order
	[ "$(prefetch --order order)" = "2 of 2 decoded" ]
	stored ball
	printf 'apple\0dog\0' | prefetch -0 --order - ball
	[ -z "$(prefetch -q '*.png')" ]
	[ "$(fetch --names '*' | prefetch -J --order - | jq .failed)" = 0 ]
	fetch --names '*' | while read -r name; do stored "$name"; done
	finish
}

@test "each image is decoded once, as a fetch with the same options finds it" {
	begin
	prefetch --shorter 100 --channels gray apple dog apple
	[ "$(decodes)" -eq 2 ]
	stored --shorter 100 --channels gray apple
	run ! stored apple
	finish
}

@test "what fails is said by name, once; the status is 1, or that of all" {
	begin
	run --separate-stderr -1 prefetch apple nowhere
	[ "$output" = "1 of 2 decoded" ]
	[ "$(grep -c nowhere <<<"$stderr")" -eq 1 ]
	grep -qx "shmsem prefetch: nowhere: no such image" <<<"$stderr"
	grep -qx "shmsem prefetch: 1 of 2 failed" <<<"$stderr"
	run -66 prefetch nowhere
	run --separate-stderr -1 prefetch -J apple nowhere
	jq -e '.asked == 2 and .decoded == 1 and .failed == 1 and
		.errors[0].name == "nowhere" and .errors[0].status == 66' <<<"$output"
	for i in $(seq 300); do echo "nothing/$i"; done >order
	run --separate-stderr -66 prefetch --order order
	[ "$(grep -c ": nothing/" <<<"$stderr")" -eq 100 ]
	grep -qx "shmsem prefetch: and 200 more" <<<"$stderr"
	prefetch -J --order order 2>/dev/null >said || true
	[ "$(jq '.errors | length' said)" -eq 300 ]
	run -66 prefetch 'x*'
	run --separate-stderr -66 prefetch --order - <<<$'apple.jpg\r'
	grep -qxF 'shmsem prefetch: apple.jpg\x0d: no such image' <<<"$stderr"
	printf 'nowhere\r\nelsewhere\r\n' >order
	run --separate-stderr -66 prefetch --order order
	[ "$(grep -c Windows <<<"$stderr")" -eq 1 ]
	run -66 prefetch -
	[[ "$output" == *"'--order -'"* ]]
	printf '%01025d\napple\n' 0 >order
	run --separate-stderr -1 prefetch --order order
	[ "$output" = "1 of 2 decoded" ]
	[[ "$stderr" == *"...: a name of 1025 bytes is over the limit of 1024"* ]]
	finish
}

@test "--wait waits for a server to appear, and says so" {
	prefetch --wait 20 apple >said 2>errors 3>&- &
	local waiting=$!
	wait_for_line errors "shmsem prefetch: waiting for a server"
	begin
	wait "$waiting"
	[ "$(cat said)" = "1 of 1 decoded" ]
	finish
}

@test "wrong words are refused before a server is looked for" {
	run -64 prefetch
	[[ "$output" == *"which images?"* ]]
	run -64 prefetch -0 apple
	run -64 prefetch --scale 1/3 apple
	run -64 prefetch --fit 10x10 --scale 1/2 apple
	run -69 prefetch apple
	begin
	run -66 prefetch --order nofile
	run -66 prefetch --order .
	printf 'apple\ndog\0ball\0' >order
	run -64 prefetch --order order
	[[ "$output" == *"a NUL in line 2 of 'order'; -0?"* ]]
	finish
}

# A store of 8 MiB for images of 4: two of them wait for readers.
@test "it waits for readers, and ends by a signal, a timeout, or with its server" {
	begin --cache 8M
	for i in 1 2 3 4 5 6; do
		mkdir -p many
		cp "$SHMSEM_IMAGES/apple.jpg" "many/$i.jpg"
	done
	serve_stop "$SERVER"
	serve_start "$NS" --cache 8M .
	run -66 prefetch '*.jpg'
	[[ "$output" == *"'*.jpg'; '*/*' has those one folder down" ]]
	serve_stop "$SERVER"
	serve_start "$NS" --cache 8M many
	# Longer than any build takes for one of them: the reason is known then.
	run --separate-stderr -75 prefetch --timeout 4 --size 1200x1000 1 2 3 4 5 6
	[[ "$output" == [0-5]" of 6 decoded" ]]
	[ "$stderr" = "shmsem prefetch: nothing was decoded for 4.0s: the store (--cache of shmsem serve) is full of images that nobody has used yet" ]
	run --separate-stderr -75 prefetch -J --timeout 0.3 --size 1200x1000 1 2 3 4 5 6
	jq -e '.asked == 6 and .decoded < 6' <<<"$output"
	# All that are asked for, also those that the server has no place for yet.
	yes $'1\n2\n\n3' | head -n 1200 >order
	run --separate-stderr -75 prefetch --timeout 0.3 --size 1200x1000 --order order 4 5
	[[ "$output" == [0-9]*" of 902 decoded" ]]
	# shellcheck disable=SC2046 # words
	run --separate-stderr -75 prefetch -J --timeout 0.3 --size 1200x1000 $(cat order)
	jq -e '.asked == 900' <<<"$output"
	script -qefc "timeout 60 '$SHMSEM' prefetch -N '$NS' --size 1200x1000 1 2 3 4 5 6" said >/dev/null 2>&1 3>&- &
	ahead=$!
	until grep -q "of 6, .* s; waiting for readers (serve --cache)" said; do sleep 0.02; done
	for i in 1 2 3 4 5 6; do
		fetch -q --size 1200x1000 "$i"
	done
	wait "$ahead"
	grep -q "6 of 6 decoded" said
	before=$(decodes)
	"$SHMSEM" prefetch -N "$NS" --size 1100x1000 1 2 3 4 5 6 >said 2>errors 3>&- &
	ahead=$!
	until [ "$(decodes)" -gt "$before" ]; do sleep 0.02; done
	kill -TERM "$ahead"
	status=0
	wait "$ahead" || status=$?
	[ "$status" -eq 143 ]
	grep -q " of 6 decoded" said
	before=$(decodes)
	"$SHMSEM" prefetch -N "$NS" --size 1000x1100 1 2 3 4 5 6 >said 2>errors 3>&- &
	ahead=$!
	until [ "$(decodes)" -gt "$before" ]; do sleep 0.02; done
	kill -KILL "$SERVER"
	status=0
	wait "$ahead" || status=$?
	[ "$status" -eq 69 ]
	grep -q "the server" errors
	"$SHMSEM" cleanup
	assert_nothing_left
}
