# shmsem fetch from the command line: rows, files, JSON, names, and what goes wrong.

bats_require_minimum_version 1.5.0

load server.bash
load fetch.bash

setup() {
	NS=fetch
	cd "$BATS_TEST_TMPDIR" || return
}

teardown() {
	serve_end_all
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
	[ "$output" = "shmsem fetch: namespace '$NS': no server; start one with 'shmsem serve -N $NS DIR'" ]
}

# set_ready NUMBER -- the word in HEAD that says whether the server is ready.
set_ready() {
	python3 - "/dev/shm/SEG_${NS}_HEAD" "$1" <<-'END'
		import struct, sys
		with open(sys.argv[1], 'r+b') as head:
		    start = head.read(64)
		    seats, page = struct.unpack_from('I', start, 44)[0], struct.unpack_from('I', start, 52)[0]
		    head.seek(page * seats)
		    head.write(struct.pack('I', int(sys.argv[2])))
	END
}

@test "who finds a server that only starts is told to wait, not to start one" {
	begin
	set_ready 0
	run -69 fetch apple
	[ "$output" = "shmsem fetch: namespace '$NS': the server is not ready yet; ask again, or wait for it (--wait)" ]
	fetch -q --wait 20 apple 2>said &
	local waiting=$!
	wait_for_line said "the server is not ready yet"
	set_ready 1
	wait "$waiting"
	finish
}

@test "a server that has died is told of as such, with the command that starts one" {
	begin
	serve_stop "$SERVER" KILL || true
	run -69 fetch apple
	[ "$output" = "shmsem fetch: namespace '$NS': the server has died; start one with 'shmsem serve -N $NS DIR'" ]
	"$SHMSEM" cleanup -q
	SERVERS=()
	assert_nothing_left
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

@test "a pattern without a match names another one only where that has images" {
	mkdir -p images/one/two
	cp "$SHMSEM_IMAGES/dog.png" images/one/two/
	serve_start "$NS" images
	for option in -q --names; do
		run -66 fetch "$option" 'zzz*'
		[ "$output" = "shmsem fetch: the server has no image that matches 'zzz*'" ]
	done
	serve_stop "$SERVER"
	cp "$SHMSEM_IMAGES/dog.png" images/one/
	serve_start "$NS" images
	run -66 fetch 'zzz*'
	[ "$output" = "shmsem fetch: the server has no image that matches 'zzz*'; '*/*' has those one folder down" ]
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
	run script -qec "stty cols 24; '$SHMSEM' fetch -N $NS --timeout 1.5 apple" /dev/null
	[[ "$output" == *$'\rshmsem fetch: 0 of 1, 1\e[K'* ]]
	run fetch --timeout 1.2 apple
	[[ "$output" != *" of 1, "* ]]
	kill -CONT "$SERVER"
	finish
}

# with_orientation N <JPEG -- the same file with EXIF data that say so.
with_orientation() {
	printf '\xff\xd8\xff\xe1\x00\x22Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x0'"$1"'\0\0\0\0\0\0'
	tail -c +3
}

# Nothing but samples of a pnm or pam file of COUNT bytes of them.
samples() {
	tail -c "$1"
}

@test "--scale and --fit give what djpeg gives at that scale" {
	begin
	for scale in 1/2 1/4 1/8; do
		djpeg -scale "$scale" "$SHMSEM_IMAGES/apple.jpg" | cmp - <(fetch --scale "$scale" -o - apple)
	done
	djpeg -scale 1/2 "$SHMSEM_IMAGES/apple.jpg" | cmp - <(fetch --fit 300x300 -o - apple)
	djpeg "$SHMSEM_IMAGES/apple.jpg" | cmp - <(fetch --fit 321x10 -o - apple)
	run -64 fetch --scale 1/3 apple
	run -64 fetch --fit 300 apple
	run -64 fetch --fit 3x4 --scale 1/2 apple
	finish
}

@test "--fit counts the pixels of the turned image, and depth stays at every scale" {
	mkdir pictures
	pamgradient red green blue white 96 64 | pamtopnm | cjpeg -quality 95 >flat.jpg
	# The file again, with an APP1 segment that says orientation 6.
	{
		head -c 2 flat.jpg
		printf '\377\341\0\042Exif\0\0II*\0\10\0\0\0\1\0\22\1\3\0\1\0\0\0\6\0\0\0\0\0\0\0'
		tail -c +3 flat.jpg
	} >pictures/turned.jpg
	pgmramp -lr -maxval=65535 50 33 2>/dev/null | pamtopng >pictures/deep.png
	serve_start "$NS" pictures
	[ "$(fetch -J turned | jq -c '.images[0] | [.width, .height]')" = "[64,96]" ]
	# 32x48 is the smallest that is not smaller; of the file as it lies, 24 would be too low.
	[ "$(fetch -J --fit 30x40 turned | jq -c '.images[0] | [.width, .height, .scale]')" = "[32,48,2]" ]
	[ "$(fetch -J --fit 40x30 turned | jq -c '.images[0] | [.width, .height, .scale]')" = "[64,96,1]" ]
	[ "$(fetch -J --fit 40x30 --no-orient turned 2>said | jq -c '.images[0] | [.width, .height, .scale]')" = "[48,32,2]" ]
	grep -q "orientation 6" said
	[ "$(fetch -J --depth native --scale 1/2 deep | jq -c '.images[0] | [.width, .height, .bits, .bytes]')" = "[25,17,16,850]" ]
	[ "$(fetch -J --scale 1/2 deep | jq -c '.images[0] | [.bits, .bytes, .file.bits]')" = "[8,425,16]" ]
	finish
}

@test "--channels, --layout and --premultiply change the samples" {
	begin
	djpeg -grayscale "$SHMSEM_IMAGES/apple.jpg" | cmp - <(fetch --channels gray -o - apple)
	djpeg "$SHMSEM_IMAGES/apple.jpg" >apple.ppm
	fetch --channels rgba -o apple.pam apple
	pamchannel -tupletype RGB -infile apple.pam 0 1 2 | pamtopnm | cmp - apple.ppm
	[ "$(pamchannel -infile apple.pam 3 | samples 614400 | tr -d '\377' | wc -c)" -eq 0 ]
	pamchannel -tupletype RGB -infile apple.ppm 2 1 0 | samples 1843200 |
		cmp - <(fetch --layout bgr -t raw -o - apple)
	run -64 fetch --layout bgr -o bgr.png apple
	fetch -o ball.raw ball
	fetch --premultiply -o multiplied.raw ball
	run -64 fetch --premultiply -o multiplied.png ball
	[ ! -e multiplied.png ]
	# Bytes of both, side by side: R G B A of the one, then of the other.
	paste -d ' ' <(od -An -v -tu1 -w4 ball.raw) <(od -An -v -tu1 -w4 multiplied.raw) | awk '
		$4 != $8 { exit 1 }
		$4 && $4 < 255 { some = 1 }
		{
			for (i = 1; i <= 3; i++) {
				off = $(i + 4) - $i * $4 / 255
				if (off > 0.5 || off < -0.5)
					exit 1
			}
		}
		END { if (!some || NR != 640000) exit 1 }'
	finish
}

@test "--depth native keeps 16-bit samples" {
	mkdir images
	{
		printf 'P5\n64 32\n65535\n'
		head -c 4096 "$SHMSEM_IMAGES/dog.png"
	} >deep.pgm
	pnmtopng deep.pgm >images/deep.png 2>/dev/null
	serve_start "$NS" images
	fetch --depth native -o - deep | cmp - deep.pgm
	fetch --depth native -o copy.png deep
	pngtopnm copy.png | cmp - deep.pgm
	[ "$(fetch --depth 8 -t raw -o - deep | wc -c)" -eq 2048 ]
	run -64 fetch --depth native -o deep.jpg deep
	finish
}

@test "an image is turned upright, and --no-orient leaves it and says how it lies" {
	mkdir images
	with_orientation 6 <"$SHMSEM_IMAGES/apple.jpg" >images/turned.jpg
	serve_start "$NS" images
	djpeg "$SHMSEM_IMAGES/apple.jpg" >apple.ppm
	pamflip -rotate270 apple.ppm | cmp - <(fetch -o - turned)
	run --separate-stderr fetch --no-orient -o left.ppm turned
	cmp left.ppm apple.ppm
	[[ "$stderr" == *"turned: left in orientation 6"* ]]
	finish
}

@test "a damaged end is a warning for JPEG and an error for PNG, or what is asked for" {
	mkdir images
	head -c 40000 "$SHMSEM_IMAGES/apple.jpg" >images/apple.jpg
	head -c 40000 "$SHMSEM_IMAGES/dog.png" >images/dog.png
	serve_start "$NS" images
	run -0 --separate-stderr fetch apple
	[[ "$stderr" == *"apple: warning: "* ]]
	run -65 fetch --strict apple
	run -65 fetch dog
	run -0 --separate-stderr fetch --lenient dog
	[[ "$stderr" == *"dog: warning: "* ]]
	run -64 fetch --strict --lenient dog
	finish
}

@test "--quality is that of the JPEG" {
	begin
	fetch --quality 20 -o poor.jpg dog
	fetch --quality 95 -o rich.jpg dog
	[ "$(stat -c %s poor.jpg)" -lt "$(($(stat -c %s rich.jpg) / 2))" ]
	pngtopnm "$SHMSEM_IMAGES/dog.png" | cjpeg -quality 20 | djpeg | cmp - <(djpeg poor.jpg)
	run -64 fetch --quality 0 -o poor.jpg dog
	run -64 fetch --quality 101 -o poor.jpg dog
	run -64 fetch --quality 20 -o poor.png dog
	[[ "$output" == *"--quality is that of a JPEG"* ]]
	[ ! -e poor.png ]
	fetch --quality 20 -t jpeg -o - dog | cmp - poor.jpg
	finish
}

@test "a colour profile goes to its own file, and with the image" {
	mkdir images
	{
		printf '\0\0\0\204\0\0\0\0\x04\x20\0\0mntrRGB XYZ '
		head -c 12 /dev/zero
		printf acsp
		head -c 92 /dev/zero
	} >profile.icc
	djpeg "$SHMSEM_IMAGES/apple.jpg" | cjpeg -icc profile.icc >images/apple.jpg
	cp "$SHMSEM_IMAGES/dog.png" images/
	serve_start "$NS" images
	fetch --icc copy.icc -o apple.jpg apple
	cmp copy.icc profile.icc
	djpeg -icc again.icc apple.jpg >/dev/null
	cmp again.icc profile.icc
	fetch --info apple | grep -q "profile  *ICC, 132 bytes"
	run -66 fetch --icc none.icc dog
	[ ! -e none.icc ]
	run -64 fetch --icc all.icc apple dog
	finish
}

@test "--info tells what is known without decoding, and where a stored image lies" {
	begin
	run -0 fetch --info car
	[[ "$output" == *"geometry     2560x1707, 3 channels of 8 bits, 13109760 bytes"* ]]
	[[ "$output" == *"file         jpeg, 2560x1707"* ]]
	[[ "$output" == *"not decoded yet"* ]]
	[ "$("$SHMSEM" list -N "$NS" --stats -J | jq '[.. | .decodes? // empty | tonumber] | add')" -eq 0 ]
	fetch -q car
	for name in car car.jpg; do
		run -0 fetch --info "$name"
		[[ "$output" == *"store        segment "*" at byte 0, decoded "*" ago, held by 0"* ]]
	done
	fetch --info -J --scale 1/2 car |
		jq -e '.images[0] | .width == 1280 and .store.stored == false and .file.format == "jpeg"'
	run -66 fetch --info nowhere
	finish
}

@test "--info counts the comments of a file" {
	mkdir pictures
	wrjpgcom -comment one "$SHMSEM_IMAGES/apple.jpg" >pictures/noted.jpg
	cp "$SHMSEM_IMAGES/apple.jpg" pictures/plain.jpg
	serve_start "$NS" pictures
	[ "$(fetch --info -J noted plain | jq -c '[.images[].file.comments]')" = "[1,0]" ]
	run -0 fetch --info noted
	[[ "$output" == *"comments     1"* ]]
	finish
}

# png_with_chromaticities FILE -- a grey dot with gAMA, a comment, and the cHRM of sRGB.
png_with_chromaticities() {
	python3 - "$1" <<-'END'
		import struct, sys, zlib
		def chunk(kind, data):
		    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
		points = 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000
		open(sys.argv[1], "wb").write(b"\x89PNG\r\n\x1a\n"
		    + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
		    + chunk(b"gAMA", struct.pack(">I", 45455)) + chunk(b"cHRM", struct.pack(">8I", *points))
		    + chunk(b"tEXt", b"Comment\0a dot") + chunk(b"IDAT", zlib.compress(b"\0\x80")) + chunk(b"IEND", b""))
	END
}

@test "--info tells of CMYK and of a profile that does not go with RGB" {
	mkdir pictures
	python3 - <<-'END'
		import struct, sys
		# A sequential frame of four components of one grey block each, and a profile that says CMYK.
		profile = bytes(12) + b"prtrCMYKLab " + bytes(12) + b"acsp" + bytes(88)
		def segment(marker, data):
		    return b"\xff" + bytes([marker]) + struct.pack(">H", len(data) + 2) + data
		table = bytes([1] + 15 * [0] + [0])
		open("pictures/press.jpg", "wb").write(b"\xff\xd8"
		    + segment(0xE2, b"ICC_PROFILE\0\1\1" + profile) + segment(0xDB, b"\0" + 64 * b"\1")
		    + segment(0xC0, struct.pack(">BHHB", 8, 8, 8, 4) + b"".join(bytes([i, 0x11, 0]) for i in range(4)))
		    + segment(0xC4, b"\0" + table) + segment(0xC4, b"\x10" + table)
		    + segment(0xDA, b"\4" + bytes([0, 0, 1, 0, 2, 0, 3, 0]) + b"\0\x3f\0") + b"\0\xff\xd9")
	END
	serve_start "$NS" pictures
	for decoded in no yes; do
		run -0 fetch --info press
		[[ "$output" == *"8x8, 3 channels"*"file         jpeg, 8x8, 4 channels of 8 bits"* ]]
		[[ "$output" == *"profile      none"*"warning      the colour profile is left out, as it describes other"* ]]
		fetch -q press
	done
	[ "$(fetch -o - -t raw press 2>err | od -An -tu1 -N3 | tr -d ' ')" = 646464 ]
	finish
}

@test "gamma and chromaticities are said, not applied" {
	mkdir pictures
	png_with_chromaticities pictures/said.png
	cp "$SHMSEM_IMAGES/dog.png" pictures/silent.png
	serve_start "$NS" pictures
	run -0 fetch --info said
	[[ "$output" == *"gamma        0.45455"* ]]
	[[ "$output" == *"primaries    white 0.31270 0.32900, red 0.64000 0.33000, green 0.30000 0.60000, blue 0.15000 0.06000"* ]]
	fetch --info silent >silent
	run ! grep -E 'gamma|primaries' silent
	# As JSON, decoded or not.
	for option in --info --json --info; do
		fetch "$option" -J said silent | jq -e '[.images[].file | [.gamma, .chromaticities]] ==
			[[0.45455, {white: [0.3127, 0.329], red: [0.64, 0.33], green: [0.3, 0.6], blue: [0.15, 0.06]}], [null, null]]'
	done
	[ "$(fetch -o - -t raw said | od -An -tu1 | tr -d ' ')" = 128 ]
	python3 "$SHMSEM_TESTS/exchange.py" "$NS" info said.png silent.png >words
	printf '%s\n' "said.png 45455 1 31270 32900 64000 33000 30000 60000 15000 6000 0 0" \
		"silent.png 0 0 0 0 0 0 0 0 0 0 0 0" | cmp - words
	finish
}

# png_of FILE CHUNK... -- two pixels of RGB with these chunks before them, each as python's bytes: kind, data.
png_of() {
	python3 - "$@" <<-'END'
		import ast, struct, sys, zlib
		def chunk(kind, data=b""):
		    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
		open(sys.argv[1], "wb").write(b"\x89PNG\r\n\x1a\n"
		    + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 2, 8, 2, 0, 0, 0))
		    + b"".join(chunk(*ast.literal_eval(one)) for one in sys.argv[2:])
		    + chunk(b"IDAT", zlib.compress(b"\0\x80\x40\x20\0\x10\x20\x30")) + chunk(b"IEND"))
	END
}

# colours_of FILE -- what the chunks of a PNG say of its colours, by their own bytes.
colours_of() {
	python3 - "$1" <<-'END'
		import struct, sys, zlib
		data, at, said = open(sys.argv[1], "rb").read(), 8, []
		while data[at + 4:at + 8] != b"IDAT":
		    size, kind = struct.unpack(">I4s", data[at:at + 8])
		    content = data[at + 8:at + 8 + size]
		    if kind in (b"gAMA", b"cHRM", b"sRGB"):
		        said.append(kind.decode() + " " + content.hex())
		    if kind == b"iCCP":
		        said.append("iCCP " + zlib.decompress(content.partition(b"\0")[2][1:]).hex())
		    at += 12 + size
		print("\n".join(sorted(said)))
	END
}

@test "a PNG that is written keeps gAMA, cHRM, sRGB and the colour profile" {
	mkdir pictures
	chrm="(b'cHRM', b'\0\0\x7a\x26\0\0\x80\x84\0\0\xfa\0\0\0\x80\xe8\0\0\x75\x30\0\0\xea\x60\0\0\x3a\x98\0\0\x17\x70')"
	# 400 bytes, most of them of no meaning, so that libpng does not find the chunk too short.
	profile=$(python3 -c "import random, zlib; print((b'iCCP', b'it\0\0' + zlib.compress(b'\0\0\1\x90\0\0\0\0\x04\x20\0\0mntrRGB XYZ ' + bytes(12) + b'acsp' + bytes(28) + b'\0\0\xf6\xd6\0\1\0\0\0\0\xd3\x2d' + bytes(52) + random.Random(1).randbytes(268))))")
	png_of pictures/plain.png
	png_of pictures/linear.png "(b'gAMA', b'\0\1\x86\xa0')"
	png_of pictures/points.png "$chrm"
	png_of pictures/both.png "(b'gAMA', b'\0\0\xb1\x8f')" "$chrm"
	png_of pictures/standard.png "(b'gAMA', b'\0\0\xb1\x8f')" "$chrm" "(b'sRGB', b'\2')"
	png_of pictures/profile.png "(b'gAMA', b'\0\1\x86\xa0')" "$profile"
	serve_start "$NS" pictures
	fetch -o out/ '*'
	for file in pictures/*.png; do
		colours_of "$file" >wanted
		colours_of "out/${file#pictures/}" | cmp - wanted
	done
	grep -q "^iCCP 00000190" <(colours_of out/profile.png)
	# And it is said.
	fetch --info standard | grep -q "sRGB         saturation"
	fetch --info -J standard plain | jq -e '[.images[].file.srgb] == [2, null]'
	finish
}

@test "--info says that a PNG is animated, and which image comes" {
	mkdir pictures
	png_of pictures/moving.png "(b'acTL', b'\0\0\0\2\0\0\0\0')"
	png_of pictures/still.png
	# Behind the end there is nothing that counts.
	cat pictures/still.png >pictures/appended.png
	tail -c +34 pictures/moving.png >>pictures/appended.png
	serve_start "$NS" pictures
	fetch --info moving | grep -q "animated     the default image is delivered"
	run ! grep animated <(fetch --info still appended)
	fetch --info -J moving still appended | jq -e '[.images[].file.animated] == [true, false, false]'
	[ "$(fetch -o - -t raw moving | od -An -tx1 | tr -d ' ')" = 804020102030 ]
	python3 "$SHMSEM_TESTS/exchange.py" "$NS" info moving.png still.png | awk '{ print $NF }' | xargs >words
	[ "$(cat words)" = "1 0" ]
	finish
}

@test "a name longer than a file may have is one that is not there" {
	begin
	local long
	long=$(printf 'x%.0s' {1..256})
	for name in "$long" "$long/apple" "${long:0:253}"; do
		run --separate-stderr -66 fetch "$name"
		[[ "$stderr" == *": the name is too long" ]]
		run -66 "$SHMSEM" prefetch -N "$NS" "$name"
	done
	long=$(printf 'x%.0s' {1..1025})
	for name in "" "$long"; do
		run --separate-stderr -64 fetch "$name"
		local said=${stderr##*: }
		run --separate-stderr -64 "$SHMSEM" prefetch -N "$NS" "$name"
		[[ "$stderr" == "shmsem prefetch: "*"$said"$'\n'* ]]
	done
	run -66 "$SHMSEM" serve "$long"
	finish
}

@test "wildcards stand for what they match on the server" {
	begin
	[ "$(fetch '*.png' | tail -n +2 | awk '{ print $1 }' | xargs)" = "ball.png dog.png" ]
	[ "$(fetch '[ac]*' dog | tail -n +2 | awk '{ print $1 }' | xargs)" = "apple.jpg car.jpg dog" ]
	run -66 fetch '*.gif'
	[[ "$output" == *"no image that matches '*.gif'" ]]
	fetch -q -o out -t pnm '*.jpg'
	[ "$(cd out && echo *)" = "apple.jpg.ppm car.jpg.ppm" ]
	fetch -q -o one 'ap*'
	[ "$(cd one && echo *)" = apple.jpg.png ]
	fetch -q -o apple.png 'ap*'
	pngtopnm apple.png | cmp - out/apple.jpg.ppm
	finish
}

@test "a server that dies is told of once, and asked for nothing more" {
	begin
	set +e
	timeout 60 "$SHMSEM" fetch -N "$NS" -j 2 -o - -t pnm -c 200 apple ball car dog 2>said |
		(head -c 100000 >/dev/null; kill -KILL "$SERVER"; cat >/dev/null)
	status=${PIPESTATUS[0]}
	set -e
	[ "$status" -eq 1 ]
	[ "$(wc -l <said)" -eq 2 ]
	grep "^shmsem fetch: [a-z]*: the server " said
	grep " of 800 failed: " said
	"$SHMSEM" cleanup -q
	SERVERS=()
}

@test "-j asks for several at once, be there seats for all of them or not" {
	mkdir images
	for i in $(seq 40); do
		cp "$SHMSEM_IMAGES/dog.png" "images/dog$i.png"
	done
	echo rubbish >images/rubbish.png
	serve_start "$NS" -s 3 images
	run -1 --separate-stderr fetch -j 8 --timeout 20 -t pnm -o out '*'
	[ "${#lines[@]}" -eq 41 ]
	[[ "$stderr" == *"1 of 41 failed: rubbish.png"* ]]
	pngtopnm "$SHMSEM_IMAGES/dog.png" >dog.ppm
	for i in $(seq 40); do
		cmp dog.ppm "out/dog$i.png.ppm"
	done
	[ "$(ls out | wc -l)" -eq 40 ]
	finish
}

@test "--preview shows the image, and who looks at rows on a terminal hears of it" {
	begin
	if [[ "$("$SHMSEM" --version)" == *"preview left out"* ]]; then
		run -69 fetch --preview apple
		[[ "$output" == *"without libchafa"* ]]
		finish
		return
	fi
	TERM=xterm-256color COLORTERM=truecolor fetch --preview -q apple >shown
	[ "$(wc -l <shown)" -gt 10 ]
	grep -q $'\e\[38;2;' shown
	TERM=xterm-kitty fetch --preview -q ball | head -c 3 | cmp - <(printf '\e_G')
	TERM=xterm run script -qec "'$SHMSEM' fetch -N $NS dog" /dev/null
	[[ "$output" == *"shmsem fetch -N $NS --preview 'dog'"* ]]
	run fetch dog
	[[ "$output" != *preview* ]]
	run -64 fetch --preview -o - dog
	finish
}

# The pixels of a classic responder's image, as tests/fixtures/classic_responder.c has them.
made_up() {
	awk -v w="$1" -v h="$2" -v c="$3" 'BEGIN {
		for (i = 0; i < w * h * c; i++)
			printf "%02x", (31 * i + 7 * int(i / 256) + w + 3 * h + 5 * c) % 256
	}' | xxd -r -p
}

# check_made_up FOLDER -- the three images that the tests below ask for.
check_made_up() {
	made_up 64 48 3 | cmp - "$1/g-64x48x3.raw"
	made_up 200 150 4 | cmp - "$1/g-200x150x4.raw"
	made_up 7 5 1 | cmp - "$1/g-7x5x1.raw"
}

@test "--create asks a classic responder that was there first, a hundred times in a row" {
	timeout 60 "$CLASSIC_RESPONDER" "$NS" 100 3>&- &
	local responder=$!
	wait_for_file "/dev/shm/sem.SEM_${NS}_RES"
	run -0 --separate-stderr fetch --create --random -c 100 --seed 1 -t raw -o out \
		g-64x48x3 g-200x150x4 g-7x5x1
	[ "${#lines[@]}" -eq 101 ] && [ -z "$stderr" ]
	wait "$responder"
	check_made_up out
	assert_nothing_left
}

@test "--create may start first, and waits for its responder" {
	fetch --create -c 33 -t raw -o out g-64x48x3 g-200x150x4 g-7x5x1 >rows 3>&- &
	local requester=$!
	wait_for_file "/dev/shm/SEG_${NS}_DATA"
	timeout 60 "$CLASSIC_RESPONDER" "$NS" 99
	wait "$requester"
	[ "$(wc -l <rows)" -eq 100 ]
	check_made_up out
	assert_nothing_left
}

@test "what a classic responder cannot serve is status 66, and the others come" {
	timeout 60 "$CLASSIC_RESPONDER" "$NS" 2 3>&- &
	run -1 --separate-stderr fetch --create nowhere g-7x5x1
	[[ "${lines[1]}" == g-7x5x1* ]]
	[[ "$stderr" == *"could not serve 'nowhere'"* ]]
	wait
	assert_nothing_left
}

@test "--create without a responder ends in time, or by a signal, and leaves nothing" {
	run -75 fetch --create --timeout 200ms g-7x5x1
	assert_nothing_left
	"$SHMSEM" fetch -N "$NS" --create g-7x5x1 3>&- &
	local requester=$!
	wait_for_file "/dev/shm/SEG_${NS}_DATA"
	kill -TERM "$requester"
	local status=0
	wait "$requester" || status=$?
	[ "$status" -eq 143 ]
	assert_nothing_left
}

@test "serve --join answers fetch --create" {
	"$SHMSEM" serve -N "$NS" --join --requests 3 "$SHMSEM_IMAGES" 2>/dev/null 3>&- &
	SERVERS+=($!)
	fetch --create -o - -t pnm apple car apple >three.ppm
	djpeg "$SHMSEM_IMAGES/apple.jpg" >apple.ppm
	cat apple.ppm <(djpeg "$SHMSEM_IMAGES/car.jpg") apple.ppm | cmp - three.ppm
	wait
	assert_nothing_left
}

@test "what the classic exchange has no words for is refused with --create" {
	run -64 fetch --create --scale 1/2 apple
	[[ "$output" == *"--scale"* ]]
	run -64 fetch --create --names
	run -64 fetch --create
}

# A colour profile for grey, whose samples are linear in light.
linear_profile() {
	printf '\0\0\0\274\0\0\0\0\x02\x40\0\0mntrGRAYXYZ '
	head -c 12 /dev/zero
	printf acsp
	head -c 28 /dev/zero
	printf '\0\0\xf6\xd6\0\x01\0\0\0\0\xd3\x2d'
	head -c 48 /dev/zero
	printf '\0\0\0\x02wtpt\0\0\0\x9c\0\0\0\x14kTRC\0\0\0\xb0\0\0\0\x0c'
	printf 'XYZ \0\0\0\0\0\0\xf6\xd6\0\x01\0\0\0\0\xd3\x2d'
	printf 'curv\0\0\0\0\0\0\0\0'
}

@test "--srgb converts colours by the image's profile, and nothing else does" {
	if [[ "$("$SHMSEM" --version)" == *"srgb left out"* ]]; then
		begin
		run -69 fetch --srgb -o dog.png dog
		[[ "$output" == *"without lcms2"* ]]
		finish
		return
	fi
	mkdir images
	linear_profile >linear.icc
	pgmramp -lr 256 16 | cjpeg -quality 100 -icc linear.icc >images/ramp.jpg
	djpeg -pnm images/ramp.jpg >images/ramp.pgm
	cp "$SHMSEM_IMAGES/dog.png" images/
	LC_ALL=C sed 's/GRAY/RGB /' linear.icc >broken.icc
	djpeg "$SHMSEM_IMAGES/apple.jpg" | cjpeg -icc broken.icc >images/odd.jpg
	serve_start "$NS" images
	fetch -o - ramp | cmp - images/ramp.pgm
	fetch --srgb -t raw -o ramp.raw ramp
	paste -d ' ' <(tail -c 4096 images/ramp.pgm | od -An -v -tu1 -w1) <(od -An -v -tu1 -w1 ramp.raw) | awk '
		{
			light = $1 / 255
			want = 255 * (light <= 0.0031308 ? 12.92 * light : 1.055 * light ^ (1 / 2.4) - 0.055)
			if ($2 - want > 1 || want - $2 > 1)
				exit 1
		}
		END { if (NR != 4096) exit 1 }'
	fetch --srgb -o ramp.png ramp
	! grep -q iCCP ramp.png
	fetch --srgb -o - dog | cmp - <(pngtopnm "$SHMSEM_IMAGES/dog.png")
	run -65 fetch --srgb -o odd.png odd
	[[ "$output" == *"its colour profile says nothing"* ]]
	[ ! -e odd.png ]
	run -64 fetch --srgb dog
	finish
}

@test "who waits for a seat is told so, and gets the image" {
	serve_start "$NS" --seats 1 "$SHMSEM_IMAGES"
	mkfifo "$BATS_TEST_TMPDIR/pixels"
	# It holds the seat for as long as nobody reads its pixels.
	"$SHMSEM" fetch -N "$NS" car -o - >"$BATS_TEST_TMPDIR/pixels" &
	exec 5<"$BATS_TEST_TMPDIR/pixels"
	head -c 1 <&5 >/dev/null
	"$SHMSEM" fetch -N "$NS" apple >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err" &
	local waiter=$!
	wait_for_line "$BATS_TEST_TMPDIR/err" "all 1 seats are taken, waiting for one; the server's --seats gives more"
	cat <&5 >/dev/null
	exec 5<&-
	wait "$waiter"
	grep -q apple "$BATS_TEST_TMPDIR/out"
	[ "$(wc -l <"$BATS_TEST_TMPDIR/err")" = 1 ]
	finish
}
