# What a stranger gets: an installed prefix, found by pkg-config, and the examples built against it.

bats_require_minimum_version 1.5.0

load server.bash

setup_file() {
	export PREFIX="$BATS_FILE_TMPDIR/prefix"
	DESTDIR="$PREFIX" meson install -C "$SHMSEM_BUILD" --no-rebuild --quiet
	PKG_CONFIG_LIBDIR="$(dirname "$(find "$PREFIX" -name shmsem.pc)")"
	LIBRARIES="$(dirname "$PKG_CONFIG_LIBDIR")"
	export PKG_CONFIG_LIBDIR LIBRARIES PKG_CONFIG_SYSROOT_DIR="$PREFIX" LD_LIBRARY_PATH="$LIBRARIES"
}

teardown() {
	serve_end_all
}

# build EXAMPLE [shared|static] -- compiles an example as a stranger would; the program is $BATS_TEST_TMPDIR/EXAMPLE.
build() {
	local flags libraries
	flags="$(pkg-config --cflags shmsem)"
	libraries="$(pkg-config --libs shmsem)"
	[ "${2:-shared}" = shared ] ||
		libraries="$LIBRARIES/libshmsem.a -pthread"
	# shellcheck disable=SC2086 # several words each
	cc -std=c11 -Wall -Wextra -Werror $flags -o "$BATS_TEST_TMPDIR/$1" "$SHMSEM_EXAMPLES/$1.c" $libraries
}

@test "eight lines fetch an image, with the shared library" {
	build first
	serve_start images "$SHMSEM_IMAGES"
	run -0 env SHMSEM_NAMESPACE=images "$BATS_TEST_TMPDIR/first" apple
	[ "$output" = "640×960×3" ]
	run -66 env SHMSEM_NAMESPACE=images "$BATS_TEST_TMPDIR/first" pear
	serve_stop "$SERVER"
}

@test "the same with the static library, which then is not looked for" {
	build first static
	serve_start images "$SHMSEM_IMAGES"
	run -0 env -u LD_LIBRARY_PATH SHMSEM_NAMESPACE=images "$BATS_TEST_TMPDIR/first" apple
	[ "$output" = "640×960×3" ]
	serve_stop "$SERVER"
}

@test "an event loop gets its images through a descriptor" {
	build event_loop
	serve_start images "$SHMSEM_IMAGES"
	run -0 env SHMSEM_NAMESPACE=images "$BATS_TEST_TMPDIR/event_loop" apple car
	[ "$(sort <<<"$output" | head -1)" = "apple: 640×960" ]
	[ "${#lines[@]}" = 2 ]
	run -1 env SHMSEM_NAMESPACE=images "$BATS_TEST_TMPDIR/event_loop" pear
	serve_stop "$SERVER"
}

@test "eight readers take a camera's newest frame without asking it, none torn or stale" {
	build camera
	run -0 "$BATS_TEST_TMPDIR/camera" front 2 8
	[ "$(grep -c 'frames, 0 torn, 0 stale$' <<<"$output")" = 8 ]
	grep -q '^camera: [1-9][0-9]* frames' <<<"$output"
	[ -z "$(ls /dev/shm)" ]
}

@test "a responder hands out what it makes, and leaves nothing" {
	build responder
	build first
	env SHMSEM_NAMESPACE=ramps "$BATS_TEST_TMPDIR/responder" 3>&- &
	SERVER=$!
	SERVERS+=("$SERVER")
	wait_for_file /dev/shm/SEG_ramps_DATA
	run -0 env SHMSEM_NAMESPACE=ramps "$BATS_TEST_TMPDIR/first" 16
	[ "$output" = "256×16×1" ]
	run -66 env SHMSEM_NAMESPACE=ramps "$BATS_TEST_TMPDIR/first" 0
	[ "$output" = "ask for 1 to 4096" ]
	serve_stop "$SERVER"
	assert_nothing_left
}

@test "the header is C++ as well" {
	cat >"$BATS_TEST_TMPDIR/plus.cc" <<-'END'
		#include <shmsem.h>
		int main()
		{
			int (*function)(shmsem *, const shmsem_request *, struct shmsem_info *, shmsem_error *) = shmsem_info;
			shmsem_image_info info = {};
			struct shmsem_info &same = info;
			return function == nullptr || &same != &info || shmsem_version()[0] == 0;
		}
	END
	# shellcheck disable=SC2046 # several words each
	c++ -Wall -Wextra -Werror $(pkg-config --cflags shmsem) -o "$BATS_TEST_TMPDIR/plus" "$BATS_TEST_TMPDIR/plus.cc" \
		$(pkg-config --libs shmsem)
	"$BATS_TEST_TMPDIR/plus"
}

@test "the library shows its own names, versioned, and needs libc alone" {
	run -0 nm -D --defined-only "$LIBRARIES/libshmsem.so.0"
	run -1 grep -v ' shmsem_.*@@SHMSEM_0$\| SHMSEM_0$' <<<"$output"
	[ "$(objdump -p "$LIBRARIES/libshmsem.so.0" | awk '/NEEDED/ { print $2 }')" = libc.so.6 ]
}

# The folder of the installed Python package.
module() {
	dirname "$(dirname "$(find "$PREFIX" -name py.typed)")"
}

show_apple='
import numpy, shmsem
with shmsem.fetch("apple", scale=2) as image:
    pixels = numpy.asarray(image)
print(pixels.shape, pixels.dtype)'

@test "Python finds the package in the prefix, typed, and shows an image to numpy" {
	run -0 /usr/bin/python3 -c 'import site; print("\n".join(site.getsitepackages()))'
	grep -qxF "$(module | sed "s|^$PREFIX||")" <<<"$output"
	serve_start images "$SHMSEM_IMAGES"
	# It finds its library beside it, without a path.
	run -0 env -u LD_LIBRARY_PATH SHMSEM_NAMESPACE=images PYTHONPATH="$(module)" /usr/bin/python3 -B -c "$show_apple"
	[ "$output" = "(480, 320, 3) uint8" ]
	serve_stop "$SERVER"
}

@test "importlib.metadata, which pip asks, lists the package and knows its version" {
	run -0 env PYTHONPATH="$(module)" /usr/bin/python3 -B -c '
import importlib.metadata, shmsem
assert "shmsem" in [found.name for found in importlib.metadata.distributions()]
assert importlib.metadata.version("shmsem") == shmsem.__version__ == shmsem.version()'
}

@test "the package works in a virtual environment that a .pth file leads to it" {
	/usr/bin/python3 -m venv --without-pip "$BATS_TEST_TMPDIR/venv"
	module >"$(echo "$BATS_TEST_TMPDIR"/venv/lib/python3*/site-packages)/shmsem.pth"
	serve_start images "$SHMSEM_IMAGES"
	run -0 env -u LD_LIBRARY_PATH SHMSEM_NAMESPACE=images "$BATS_TEST_TMPDIR/venv/bin/python" -B -c '
import shmsem
with shmsem.fetch("apple", scale=2) as image:
    print(image.shape, image.view.readonly)'
	[ "$output" = "(480, 320, 3) True" ]
	serve_stop "$SERVER"
}

@test "installed as root into a system path, programs and Python find the library; uninstalled, nothing is left" {
	# A root of its own: what is installed there is not of this host.
	mkdir "$BATS_TEST_TMPDIR/upper" "$BATS_TEST_TMPDIR/work" "$BATS_TEST_TMPDIR/root"
	mount -t tmpfs none "$BATS_TEST_TMPDIR/upper"
	mkdir "$BATS_TEST_TMPDIR/upper/up" "$BATS_TEST_TMPDIR/upper/work"
	mount -t overlay -o "lowerdir=/,upperdir=$BATS_TEST_TMPDIR/upper/up,workdir=$BATS_TEST_TMPDIR/upper/work" none \
		"$BATS_TEST_TMPDIR/root" || skip "no overlay here"
	for folder in /dev /proc /tmp; do
		mount --rbind "$folder" "$BATS_TEST_TMPDIR/root$folder"
	done
	run -0 env -u LD_LIBRARY_PATH -u PKG_CONFIG_LIBDIR -u PKG_CONFIG_SYSROOT_DIR chroot "$BATS_TEST_TMPDIR/root" sh -ec '
		meson install -C "$1" --no-rebuild --quiet
		cc -o /tmp/first.$$ "$2/first.c" $(PKG_CONFIG_PATH=$(dirname "$(find /usr/local -name shmsem.pc)") pkg-config --cflags --libs shmsem)
		/usr/local/bin/shmsem serve -q -N root "$3" -- env SHMSEM_NAMESPACE=root /tmp/first.$$ apple
		rm /tmp/first.$$
		/usr/local/bin/shmsem serve -q -N root "$3" -- env SHMSEM_NAMESPACE=root /usr/bin/python3 -c "
import shmsem
print(shmsem.fetch(\"apple\").shape)"
		ninja -C "$1" uninstall >/dev/null
		find /usr/local -name "*shmsem*" -not -type d -not -path "*/__pycache__/*"' sh "$SHMSEM_BUILD" "$SHMSEM_EXAMPLES" "$SHMSEM_IMAGES"
	umount -R "$BATS_TEST_TMPDIR/root"
	umount "$BATS_TEST_TMPDIR/upper"
	echo "$output"
	[ "${lines[0]}" = "640×960×3" ]
	[ "${lines[1]}" = "(960, 640, 3)" ]
	[ "${#lines[@]}" = 2 ]
}
