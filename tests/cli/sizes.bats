# shmsem fetch in exact sizes: what Pillow's Image.resize makes of the decoded pixels.

bats_require_minimum_version 1.5.0

load server.bash
load fetch.bash

setup() {
	NS=sizes
	cd "$BATS_TEST_TMPDIR" || return
}

teardown() {
	serve_end_all
}

# pillow FILE EXPRESSION -- the pixels, as PNM, of what the expression makes of the image i.
pillow() {
	/usr/bin/python3 - "$1" "$2" <<'END'
import sys
from PIL import Image
i = Image.open(sys.argv[1])
i.load()
i = eval(sys.argv[2], {"i": i, "Image": Image})
head = "P6\n%d %d\n255\n" if i.mode == "RGB" else \
    "P7\nWIDTH %d\nHEIGHT %d\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\n"
sys.stdout.buffer.write((head % i.size).encode() + i.tobytes())
END
}

# geometry OPTION… NAME -- width, height and scale, without decoding.
geometry() {
	fetch --info -J "$@" | jq -c '.images[0] | [.width, .height, .scale]'
}

@test "pixels of an exact size are Pillow's, in a pool and with --isolate" {
	local isolate
	djpeg "$SHMSEM_IMAGES/apple.jpg" >apple.ppm
	for isolate in "" --isolate; do
		begin $isolate
		fetch --size 224x224 -o - apple | cmp - <(pillow apple.ppm 'i.resize((224, 224))')
		fetch --shorter 100 --resample bilinear -o - apple |
			cmp - <(pillow apple.ppm 'i.resize((100, 150), Image.BILINEAR)')
		fetch --longer 1200 --resample lanczos -o - apple |
			cmp - <(pillow apple.ppm 'i.resize((800, 1200), Image.LANCZOS)')
		fetch --size x48 --resample box -o - apple |
			cmp - <(pillow apple.ppm 'i.resize((32, 48), Image.BOX)')
		fetch --crop 200x300+40+50 --size 64x64 -o - apple |
			cmp - <(pillow apple.ppm 'i.resize((64, 64), None, (40, 50, 240, 350))')
		fetch --crop 200x300 -o - apple |
			cmp - <(pillow apple.ppm 'i.crop((220, 330, 420, 630))')
		fetch --size 99x77 -o - ball |
			cmp - <(pillow "$SHMSEM_IMAGES/ball.png" 'i.resize((99, 77))')
		finish
	done
}

@test "what is asked for is known without decoding" {
	begin
	[ "$(geometry --size 30x40 apple)" = "[30,40,1]" ]
	[ "$(geometry --size 320 apple)" = "[320,480,1]" ]
	[ "$(geometry --shorter 256 apple)" = "[256,384,1]" ]
	[ "$(geometry --longer 256 apple)" = "[171,256,1]" ]
	[ "$(geometry --crop 100x50 --size 10 apple)" = "[10,5,1]" ]
	[ "$(geometry --crop 100x50+1+2 apple)" = "[100,50,1]" ]
	[ "$(geometry --size 100x100 --draft apple)" = "[100,100,4]" ]
	finish
}

@test "each size is stored for itself, and once" {
	begin
	fetch -q --size 20x20 apple
	fetch -q --size 20x20 --resample bicubic apple
	fetch -q --size 20x21 apple
	fetch -q --size 20x20 --resample box apple
	fetch -q --size 20x20 --draft apple
	fetch -q --size 20x20 --crop 400x400 apple
	fetch -q --size 20x20 --crop 400x400+120+280 apple
	fetch -q --shorter 20 apple
	"$SHMSEM" list -N "$NS" --stats -J | jq -e '[.. | .decodes? // empty | tonumber] | add == 7'
	finish
}

@test "options that make no sense are refused before a server is asked" {
	local line
	while read -r line; do
		# shellcheck disable=SC2086
		run -64 --separate-stderr fetch ${line%%:*} apple
		[[ "$stderr" == *"${line#*: }"* ]]
	done <<-'END'
		--size 3x4 --scale 1/2: --scale and --fit go with no exact size
		--shorter 3 --fit 3x4: --scale and --fit go with no exact size
		--size 3x4 --shorter 5: --size, --shorter and --longer exclude each other
		--shorter 3 --longer 5: --size, --shorter and --longer exclude each other
		--crop 3x4 --scale 1/2: go with no --crop
		--resample box: --resample is for --size, --shorter and --longer
		--draft: --draft is for --size, --shorter and --longer
		--size 3x4 --resample nearest: 'nearest' is not box, bilinear, bicubic or lanczos
		--size 0x4: '0x4' is not WxH, W or xH
		--size 3x4x5: is not WxH
		--size x: is not WxH
		--size 3x: is not WxH
		--size -3: is not WxH
		--size 65536: is not WxH
		--size 99999999999999999999: is not WxH
		--crop 3: is not WxH or WxH+X+Y
		--crop 3x4+5: is not WxH or WxH+X+Y
		--crop 3x4+5+6+7: is not WxH or WxH+X+Y
		--crop 3x4+-5+6: is not WxH or WxH+X+Y
		--shorter 0: --shorter
		--longer 65536: --longer
		--create --size 3x4: knows only names
		--create --crop 3x4: knows only names
	END
}

@test "a part beyond the image and a size over the limits are said by the server" {
	begin --max-side 1000
	run -64 fetch --crop 700x10 apple
	[[ "$output" == *"apple.jpg: the crop of 700×10 in the middle reaches beyond the image of 640×960"* ]]
	run -64 fetch --size 1001x5 apple
	[[ "$output" == *"the size of 1001×5 is over the limit of 1000 pixels a side (serve --max-side)"* ]]
	# One that fits is not the worse for it.
	fetch -q --size 1000x5 apple
	finish
	begin --max-pixels 1
	run -64 fetch --size 1001x1000 apple
	[[ "$output" == *"the size of 1001×1000 is over the limit of 1 megapixels (serve --max-pixels)"* ]]
	run -64 fetch --size 1042x5 apple
	[[ "$output" == *"resizing to 1042×5, by way of 1042×960, is over the limit of 1 megapixels (serve --max-pixels)"* ]]
	finish
}
