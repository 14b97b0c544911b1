# shmsem fetch from the command line: rows, files, JSON, names, and what goes wrong.

bats_require_minimum_version 1.5.0

load server.bash

setup() {
	NS=fetch
	cd "$BATS_TEST_TMPDIR" || return
}

teardown() {
	serve_end_all
}

fetch() {
	timeout 60 "$SHMSEM" fetch -N "$NS" "$@"
}

begin() {
	serve_start "$NS" "$@" "$SHMSEM_IMAGES"
}

finish() {
	serve_stop "$SERVER"
	assert_nothing_left
}

pixels_of_png() {
	pngtopam -alphapam "$1" 2>/dev/null
}

@test "each image has a row: name, width, height, channels, bytes, time" {
	begin
	run --separate-stderr fetch apple dog.png
	[ "$status" -eq 0 ] && [ -z "$stderr" ]
	[ "${#lines[@]}" -eq 3 ]
	[[ "${lines[0]}" =~ ^NAME\ +WIDTH\ +HEIGHT\ +CHANNELS\ +BYTES\ +TIME$ ]]
	[[ "${lines[1]}" =~ ^apple\ +640\ +960\ +3\ +1843200\ +[0-9.]+[num]?s$ ]]
	[[ "${lines[2]}" =~ ^dog\.png\ +640\ +427\ +3\ +819840\ +[0-9.]+[num]?s$ ]]
	finish
}

@test "JSON has numbers for numbers, and says what failed" {
	begin
	run -1 --separate-stderr fetch -J ball nowhere
	jq -e '.images[0] | .name == "ball" and .width == 800 and .height == 800 and
		.channels == 4 and .bytes == 2560000 and .bits == 8 and (.time > 0)' <<<"$output"
	jq -e '.images[1] | .name == "nowhere" and .status == 66 and (.error | length > 0)' \
		<<<"$output"
	finish
}

@test "written pixels are those of djpeg and pngtopam, byte for byte" {
	begin
	fetch -o apple.ppm apple
	djpeg -pnm "$SHMSEM_IMAGES/apple.jpg" | cmp - apple.ppm
	fetch -o dog.pnm dog
	pngtopnm "$SHMSEM_IMAGES/dog.png" | cmp - dog.pnm
	fetch -o ball.pam ball
	pixels_of_png "$SHMSEM_IMAGES/ball.png" | cmp - ball.pam
	fetch -o dog.raw dog
	pngtopnm "$SHMSEM_IMAGES/dog.png" | tail -c 819840 | cmp - dog.raw
	fetch -t png -o ball.image ball
	pixels_of_png ball.image | cmp - ball.pam
	finish
}

@test "standard output gets pnm, or what -t says, and no rows" {
	begin
	fetch -o - apple dog >both.ppm
	cat <(djpeg -pnm "$SHMSEM_IMAGES/apple.jpg") <(pngtopnm "$SHMSEM_IMAGES/dog.png") |
		cmp - both.ppm
	fetch -t png -o - ball | pngtopam -alphapam | cmp - <(pixels_of_png "$SHMSEM_IMAGES/ball.png")
	finish
}

@test "a folder gets a file for each name, nested folders made" {
	mkdir -p images/deep/er
	cp "$SHMSEM_IMAGES/dog.png" images/deep/er/
	cp "$SHMSEM_IMAGES/apple.jpg" images/
	serve_start "$NS" images
	fetch -o out deep/er/dog apple
	[ "$(cd out && find . -type f | sort | xargs)" = "./apple.png ./deep/er/dog.png" ]
	fetch -o out/ -t jpeg apple.jpg
	[ -f out/apple.jpg ]
	fetch -o out -t pnm apple.jpg
	cmp out/apple.jpg.ppm <(djpeg "$SHMSEM_IMAGES/apple.jpg")
	finish
}

@test "no name leads out of the folder to write to" {
	mkdir -p images out
	cp "$SHMSEM_IMAGES/dog.png" images/
	serve_start "$NS" images
	run ! fetch -o out ../images/dog
	run ! fetch -o out "$PWD/images/dog"
	[ -z "$(ls -A out)" ]
	finish
}

@test "a file is replaced only by a whole one" {
	begin
	echo precious >dog.jpg
	run -66 fetch -o dog.jpg nowhere
	run -64 fetch -o dog.jpg ball # JPEG holds no alpha
	[[ "$output" == *alpha* ]]
	[ "$(cat dog.jpg)" = precious ]
	[ "$(ls -A | grep -v '^serve')" = dog.jpg ]
	ln -s dog.jpg link.jpg
	fetch -o link.jpg dog
	[ -L link.jpg ] && djpeg dog.jpg >/dev/null
	finish
}

@test "a full disk is status 74 and leaves no half file" {
	begin
	mkdir full
	mount -t tmpfs -o size=64k none full
	run -74 fetch -o full/apple.png apple
	[[ "$output" == *"apple: cannot write"*"No space left on device"* ]]
	[ -z "$(ls -A full)" ]
	umount full
	run -74 fetch -t png -o /dev/full apple
	run -74 bash -c "'$SHMSEM' fetch -N $NS -o - apple >/dev/full"
	run -74 bash -c "'$SHMSEM' fetch -N $NS apple >/dev/full"
	finish
}

@test "a reader that has enough ends it quietly" {
	begin
	run --separate-stderr bash -c "'$SHMSEM' fetch -N $NS -o - apple apple | head -c 10 | wc -c"
	[ "$output" = 10 ] && [ -z "$stderr" ]
	run --separate-stderr bash -c \
		"trap '' PIPE; '$SHMSEM' fetch -N $NS -o - apple apple | head -c 10 | wc -c"
	[ "$output" = 10 ] && [ -z "$stderr" ]
	finish
}

@test "without a server the status is 69 at once, with the command that starts one" {
	run -69 timeout 2 "$SHMSEM" fetch -N "$NS" apple
	[[ "$output" == *"shmsem serve -N $NS DIR"* ]]
	[ "${#lines[@]}" -eq 1 ]
}

@test "--wait waits for a server to appear, and says so" {
	fetch --wait 20 apple >rows 2>said &
	local waiting=$!
	until grep -q "waiting for a server" said; do :; done
	begin
	wait "$waiting"
	grep -q "^apple  *640" rows
	finish
	run -69 fetch --wait 50ms apple
}

@test "all names are tried; what fails is said once each, and the status tells how it went" {
	begin
	run -1 --separate-stderr fetch nowhere dog nothing
	[[ "${lines[1]}" == dog* ]]
	[ "$(grep -c "shmsem fetch: nowhere: " <<<"$stderr")" -eq 1 ]
	[ "$(grep -c "shmsem fetch: nothing: " <<<"$stderr")" -eq 1 ]
	[[ "$stderr" == *"2 of 3 failed: nowhere, nothing"* ]]
	run -66 fetch nowhere nothing
	run -66 fetch nowhere
	[ "${#lines[@]}" -eq 1 ]
	finish
}

@test "--names lists what the server has" {
	begin
	[ "$(fetch --names | xargs)" = "apple.jpg ball.png car.jpg dog.png" ]
	fetch --names -J | jq -e '. == ["apple.jpg", "ball.png", "car.jpg", "dog.png"]'
	[ "$(fetch --names '*.png' | xargs)" = "ball.png dog.png" ]
	finish
}

@test "--random draws from what is given or from all, and a seed repeats the draw" {
	begin
	fetch --random -c 20 --seed 7 | awk '{ print $1 }' >one
	fetch --random -c 20 --seed 7 | awk '{ print $1 }' >two
	fetch --random -c 20 --seed 8 | awk '{ print $1 }' >three
	[ "$(wc -l <one)" -eq 21 ]
	cmp one two
	! cmp -s one three
	[ "$(tail -n +2 one | sort -u | xargs)" = "apple.jpg ball.png car.jpg dog.png" ]
	[ "$(fetch --random -c 30 dog ball | tail -n +2 | awk '{ print $1 }' | sort -u | xargs)" = \
		"ball dog" ]
	finish
}

@test "a wrong word is status 64 before a server is looked for" {
	run -64 fetch
	run -64 fetch -t gif -o a.gif apple
	run -64 fetch -o apple.gif apple
	run -64 fetch -t png apple
	run -64 fetch -o both.png apple dog
	run -64 fetch -J -o - apple
	run -64 fetch --seed 1 apple
	run -64 fetch -c 0 apple
	run -64 fetch -N a:b apple
}

@test "a name is printed escaped" {
	begin
	run -66 fetch $'no\e[31mwhere'
	[[ "$output" == *'no\x1b[31mwhere'* ]]
	finish
}

@test "a long fetch shows its progress on a terminal, and only there" {
	begin
	kill -STOP "$SERVER"
	run script -qec "'$SHMSEM' fetch -N $NS --timeout 1.5 apple" /dev/null
	[[ "$output" == *"0 of 1, 1."* ]]
	run fetch --timeout 1.2 apple
	[[ "$output" != *" of 1, "* ]]
	kill -CONT "$SERVER"
	finish
}
