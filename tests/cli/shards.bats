# Images in tar shards, as GNU tar and Python write them, and what is said of those that are not served.

bats_require_minimum_version 1.5.0

load server.bash
load fetch.bash

setup() {
	NS=shards
	cd "$BATS_TEST_TMPDIR" || return
	mkdir -p served/sub in
	cp -r "$SHMSEM_IMAGES" in/a
}

teardown() {
	serve_end_all
}

# pack FILE [OPTION…] -- a shard of the images.
pack() {
	tar -C in -cf "$@" a
}

# pack_by_python FORMAT FILE -- the same, with a name that needs more than 100 bytes, and one beyond ASCII.
pack_by_python() {
	/usr/bin/python3 - "$@" <<-'EOF'
		import sys, tarfile
		with tarfile.open(sys.argv[2], 'w', format=getattr(tarfile, sys.argv[1])) as shard:
		    shard.add('in/a', 'a')
		    shard.add('in/a/apple.jpg', 'deep/' * 20 + 'x' * 90 + '.jpg')
		    shard.add('in/a/dog.png', 'hündchen.png')
	EOF
}

# is NAME IMAGE -- whether its pixels are those of the image.
is() {
	fetch -o one.pnm "$1"
	fetch -o other.pnm "files/$2"
	cmp one.pnm other.pnm
}

@test "shards of each format are folders of their members" {
	local deep format
	deep=$(printf 'deep/%.0s' {1..20})$(printf 'x%.0s' {1..90})
	for format in ustar pax gnu v7 oldgnu; do
		pack "served/sub/$format.tar" --format="$format"
	done
	for format in USTAR GNU PAX; do
		pack_by_python "${format}_FORMAT" "served/$format.TAR"
	done
	cp -r in/a served/files
	serve_start "$NS" served
	for format in ustar pax gnu v7 oldgnu; do
		is "sub/$format.tar/a/apple" apple
		is "sub/$format.tar/a/dog.png" dog
	done
	for format in USTAR GNU PAX; do
		is "$format.TAR/a/ball" ball
		is "$format.TAR/$deep.jpg" apple
		is "$format.TAR/hündchen" dog
	done
	[ "$(fetch --names 'sub/pax.tar/a/*' | wc -l)" -eq 4 ]
	[ "$(fetch --names 'PAX.TAR/*')" = PAX.TAR/hündchen.png ]
	[ "$(fetch --names '*.TAR/a/*' | wc -l)" -eq 12 ]
	run -66 fetch 'sub/*.tar'
	[[ "$output" == *"matches 'sub/*.tar'; 'sub/*.tar/*' has those in there" ]]
	diff <(fetch --info sub/gnu.tar/a/car | grep "  file") <(fetch --info files/car | grep "  file")
	fetch --random -c 20 >rows
	[ "$(wc -l <rows)" -eq 21 ]
	finish
}

@test "what is in shards is preloaded" {
	pack served/s.tar
	serve_start "$NS" --preload='s.tar/a/*.png' served
	grep 'preloaded 2 of 2 images' serve.err
	finish
}

@test "what is in shards is prefetched, with and without an extension; what is not is said by name" {
	pack served/s.tar
	serve_start "$NS" served
	run --separate-stderr -1 timeout 60 "$SHMSEM" prefetch -N "$NS" s.tar/a/{apple,dog.png,none,none.png,ball}
	[ "$output" = "3 of 5 decoded" ]
	for name in none none.png; do
		[ "$(grep -c "^shmsem prefetch: s.tar/a/$name: no such image in the shard$" <<<"$stderr")" -eq 1 ]
	done
	for name in apple.jpg dog ball.png; do
		fetch -J "s.tar/a/$name" | jq -e '.images[0].store.stored'
	done
	fetch -J s.tar/a/car | jq -e '.images[0].store.stored | not'
	finish
}

@test "compressed shards are refused by name and by content" {
	local how
	pack served/s.tar.gz --gzip
	cp served/s.tar.gz served/gzip.tar
	# A bare Debian has no xz, but its Python has.
	/usr/bin/python3 -c 'import sys, tarfile; tarfile.open(sys.argv[1], "w:xz").add("in/a", "a")' served/xz.tar
	cp served/xz.tar served/s.txz
	serve_start "$NS" served
	for how in gzip xz; do
		run -65 fetch "$how.tar/a/apple"
		[[ "$output" == *"$how.tar/a/apple: "*"compressed by $how; only plain tar files are served" ]]
	done
	for how in s.tar.gz s.txz; do
		run -65 fetch "$how/a/apple"
		[[ "$output" == *"$how/a/apple: lies in a compressed file; only plain tar files are served" ]]
	done
	[ -z "$(fetch --names)" ]
	finish
}

@test "sparse members, links and what is there twice are refused by name" {
	ln -s apple.jpg in/a/soft.jpg
	ln in/a/dog.png in/a/hard.png
	truncate -s 1M in/a/sparse.png
	pack served/gnu.tar --format=gnu --sparse
	pack served/pax.tar --format=pax --sparse
	tar -C in -rf served/gnu.tar a/ball.png
	serve_start "$NS" served
	for format in gnu pax; do
		run -65 fetch "$format.tar/a/soft.jpg"
		[[ "$output" == *"$format.tar/a/soft.jpg: is a link in the shard; only plain members are served" ]]
		run -65 fetch "$format.tar/a/sparse"
		[[ "$output" == *"$format.tar/a/sparse.png: is sparse in the shard; only plain members are served" ]]
	done
	run -65 fetch gnu.tar/a/ball
	[[ "$output" == *"gnu.tar/a/ball.png: is in the shard twice" ]]
	run -66 fetch gnu.tar/a/none
	[[ "$output" == *"gnu.tar/a/none: no such image in the shard" ]]
	[ "$(fetch --names 'gnu.tar/a/*' | wc -l)" -eq 3 ]
	finish
}

@test "what is whole in a truncated shard is served" {
	pack served/s.tar --sort=name
	truncate -s 100K served/s.tar
	serve_start "$NS" served
	fetch s.tar/a/apple
	run -65 fetch s.tar/a/ball
	[[ "$output" == *"s.tar/a/ball: not in what can be read of the shard: at byte "*" a member goes on behind the shard's end" ]]
	[ "$(fetch --names)" = s.tar/a/apple.jpg ]
	wait_for_line serve.err "shmsem serve: s.tar: at byte "
	# Another version of it, which is told of, too; the first was told of once.
	truncate -s 90K served/s.tar
	run -65 fetch s.tar/a/ball
	fetch --names
	kill "$SERVER"
	wait "$SERVER"
	SERVERS=()
	[ "$(grep -c "s.tar: at byte .* behind the shard's end; nothing from there on is served: copy or make the shard anew$" serve.err)" -eq 2 ]
	serve_start "$NS" served
	finish
}

@test "a shard is served alone, by the names of its members" {
	pack served/s.tar
	cp in/a/apple.jpg served/beside.jpg
	printf 'no image' >in/a/bad.png
	tar -C in -rf served/s.tar a/bad.png
	ln -s served/s.tar link.tar
	serve_start "$NS" --fresh 60s --preload link.tar
	grep -F "serving 'link.tar'" serve.err
	grep 'preloaded 4 of 5 images' serve.err
	grep -F 'shmsem serve: a/bad.png: this is neither PNG nor JPEG' serve.err
	fetch -o one.pnm a/apple
	djpeg -pnm in/a/apple.jpg | cmp - one.pnm
	[ "$(fetch --names | tr '\n' ' ')" = "a/apple.jpg a/bad.png a/ball.png a/car.jpg a/dog.png " ]
	run -65 fetch a/bad
	[ "$output" = "shmsem fetch: a/bad.png: this is neither PNG nor JPEG: it begins with 6e 6f 20 69 6d 61 67 65" ]
	for name in beside beside.jpg s.tar/a/apple a/none ../beside; do
		run -66 fetch "$name"
		[[ "$output" == "shmsem fetch: $name: "* && "$output" != *s.tar*s.tar* ]]
	done
	run -66 fetch "$(printf '%01020d' 0)"
	fetch -c 5 a/apple.jpg
	"$SHMSEM" list -N "$NS" --stats -J | jq -e '.index.found > 0'
	# Nothing beside the shard is decoded ahead either.
	run -1 timeout 20 "$SHMSEM" prefetch -N "$NS" --shorter 64 a/car a/bad beside.jpg
	[[ "$output" == *": a/bad.png: this is neither"* ]]
	[[ "$output" == *": beside.jpg: no such image"* && "$output" != *s.tar/* ]]
	finish
}

@test "shards are not served with --join, which says so" {
	pack served/s.tar
	run -64 timeout 10 "$SHMSEM" serve -N "$NS" --join served/s.tar
	[ "$output" = "shmsem serve: tar shards are not served with --join: 'served/s.tar' is no folder" ]
	run timeout 10 "$SHMSEM" serve -N "$NS" --join served/none.tar
	[[ "$output" == *"cannot open 'served/none.tar': No such file or directory" ]]
}

@test "what is no shard is not served alone" {
	pack served/s.tar
	mkfifo served/fifo.tar
	for name in served/a.png served/fifo.tar served/none.tar; do
		[ -e "$name" ] || cp in/a/dog.png served/a.png
		run timeout 10 "$SHMSEM" serve -N "$NS" "$name"
		[ "$status" -ne 0 ] && [ "$status" -ne 124 ]
		[[ "$output" == *"cannot open '$name'"* ]]
	done
	assert_nothing_left
}
