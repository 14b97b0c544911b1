"""Many generated files, of all kinds, against the tools of the libraries and Pillow; resized and
cropped against Pillow.

By hand: FILES_COUNT=5000 FILES_SEED=3 meson test -C build crowd_of_files -v
"""

import collections
import io
import os
import struct
import subprocess
import zlib

import numpy
from PIL import Image

from decoder import NATIVE_DEPTH, Refused
from test_grey import chunk
from test_sizes import METHODS, as_image, expect

COUNT = int(os.environ.get("FILES_COUNT", "560"))
SEED = int(os.environ.get("FILES_SEED", "1"))


def run(command, data):
    """What a tool writes; None where it fails without writing anything."""
    done = subprocess.run(command, input=data, capture_output=True)
    return done.stdout or None


def read_pnm(data):
    """P4 is not among them; P5, P6 and P7 of 8 or 16 bits, as an array."""
    kind = data[:2]
    if kind == b"P7":
        head, body = data.split(b"ENDHDR\n", 1)
        fields = dict(line.split(None, 1) for line in head.decode().splitlines()[1:] if " " in line)
        width, height, depth = int(fields["WIDTH"]), int(fields["HEIGHT"]), int(fields["DEPTH"])
        most = int(fields["MAXVAL"])
    else:
        parts = data.split(None, 4)
        width, height, most = (int(part) for part in parts[1:4])
        depth = {b"P5": 1, b"P6": 3}[kind]
        length = width * height * depth * (2 if most > 255 else 1)
        body = data[len(data) - length :]
    samples = numpy.frombuffer(body, ">u2" if most > 255 else numpy.uint8)
    return samples.reshape(height, width, depth), most


def pixels_of(rng, height, width, channels):
    y, x, c = numpy.mgrid[0:height, 0:width, 0:channels]
    smooth = x * rng.integers(1, 9) + y * rng.integers(1, 9) + c * 60
    noise = rng.integers(0, int(rng.choice([1, 8, 256])), smooth.shape)
    return ((smooth + noise) % 256).astype(numpy.uint8)


def side(rng):
    return int(rng.choice([1, 2, 7, 8, 9, 16, 17, rng.integers(1, 90), rng.integers(1, 200)]))


# ---- JPEG: cjpeg's kinds, with markers put in ----


def make_jpeg(rng):
    grey = rng.random() < 0.2
    pixels = pixels_of(rng, side(rng), side(rng), 1 if grey else 3)
    head = b"P%d\n%d %d\n255\n" % (5 if grey else 6, pixels.shape[1], pixels.shape[0])
    command = ["cjpeg", "-quality", str(rng.integers(1, 101))]
    kind = rng.choice(["baseline", "progressive", "optimized", "arithmetic", "rgb", "grey"])
    command += {
        "baseline": [],
        "progressive": ["-progressive"],
        "optimized": ["-optimize"],
        "arithmetic": ["-arithmetic"],
        "rgb": [] if grey else ["-rgb"],
        "grey": ["-grayscale"],
    }[kind]
    if not grey and kind not in ("rgb", "grey"):
        factors = rng.choice(["1x1", "2x1", "1x2", "2x2", "4x1", "1x4", "4x2", "2x1,1x2", "1x1,2x2,1x2"])
        command += ["-sample", str(factors)]
        kind += " " + str(factors)
    if rng.random() < 0.3:
        command += ["-restart", str(rng.integers(1, 9)) + str(rng.choice(["", "B"]))]
    data = run(command, head + pixels.tobytes())
    for _ in range(rng.integers(0, 4)):
        marker = int(rng.choice([0xFE, 0xE1, 0xE2, 0xE5, 0xEF, 0xE0]))
        body = rng.bytes(int(rng.choice([0, 1, 5, 14, 300])))
        data = data[:2] + bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body + data[2:]
    tail = rng.choice(["whole", "whole", "whole", "trailer", "cut", "no end"])
    if tail == "trailer":
        data += rng.bytes(20)
    elif tail == "cut":
        data = data[: len(data) - int(rng.integers(3, max(4, len(data) // 3)))]
    elif tail == "no end":
        data = data[:-2]
    return f"{kind}, {tail}", data


def check_sizes(decoder, rng, data, what):
    """A size and a crop at random, by any filter, against what Pillow makes of the pixels."""
    got = decoder.decode(data)
    image = as_image(got.pixels)
    left, top = int(rng.integers(got.width)), int(rng.integers(got.height))
    right, bottom = int(rng.integers(left, got.width)) + 1, int(rng.integers(top, got.height)) + 1
    box, crop = (left, top, right, bottom), (left, top, right - left, bottom - top)
    size = side(rng), side(rng)
    method = str(rng.choice(list(METHODS)))
    try:
        expect(decoder.decode(data, size=size, resample=method), image.resize(size, METHODS[method]))
        want = image.resize(size, METHODS[method], box)
        expect(decoder.decode(data, size=size, crop=crop, resample=method), want)
        expect(decoder.decode(data, crop=crop), image.crop(box))
    except AssertionError as error:
        raise AssertionError((what, image.mode, image.size, size, method, crop)) from error


def check_jpeg(decoder, data, what):
    """Against djpeg, whole and at a scale, in colour and in grey; Pillow where it reads it at all."""
    for scale in (1, 2 << len(data) % 3):
        for options in ([], ["-grayscale"]):
            want = run(["djpeg", "-scale", f"1/{scale}", *options], data)
            try:
                got = decoder.decode(data, scale=scale, channels=1 if options else 0)
            except Refused as refused:
                assert want is None, (what, str(refused))
                return "refused by both"
            # djpeg writes nothing where the file ends within the scans of a progressive image.
            if want is not None:
                assert numpy.array_equal(got.pixels, read_pnm(want)[0]), (what, scale, options)
    try:
        image = Image.open(io.BytesIO(data))
        theirs = numpy.asarray(image)
    except OSError:
        return "equal to djpeg"
    got = decoder.decode(data, flags=2).pixels
    if not got.size == theirs.size:
        return "equal to djpeg"
    assert numpy.array_equal(got.reshape(theirs.shape), theirs), what
    return "equal to djpeg and Pillow"


# ---- PNG: every type and depth, every filter, by hand ----

TYPES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
PASSES = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
          (0, 1, 1, 2)]  # fmt: skip


def pack_row(samples, depth):
    """Samples of a row, of `depth` bits each."""
    if depth == 16:
        return samples.astype(">u2").tobytes()
    if depth == 8:
        return samples.astype(numpy.uint8).tobytes()
    bits = (samples[:, None] >> numpy.arange(depth - 1, -1, -1)) & 1
    return numpy.packbits(bits.astype(numpy.uint8).ravel()).tobytes()


def filter_row(kind, row, above, step):
    def at(line, i):
        return line[i] if i >= 0 else 0

    out = bytearray([kind])
    for i, value in enumerate(row):
        a, b, c = at(row, i - step), above[i], at(above, i - step)
        p = a + b - c
        paeth = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
        out.append((value - [0, a, b, (a + b) // 2, paeth][kind]) % 256)
    return bytes(out)


def compress(rng, raw):
    """In any of the ways that zlib has, and in any number of chunks."""
    level, strategy = int(rng.integers(0, 10)), int(rng.integers(0, 5))
    packer = zlib.compressobj(level, zlib.DEFLATED, int(rng.integers(9, 16)), 8, strategy)
    data = packer.compress(raw) + packer.flush()
    size = int(rng.choice([1 << 20, 8192, 100, 3]))
    if len(data) / size > 300:
        size = 8192
    return b"".join(chunk("IDAT", data[i : i + size]) for i in range(0, len(data), size))


def make_png(rng):
    kind = int(rng.choice(list(TYPES)))
    depth = int(rng.choice({0: [1, 2, 4, 8, 16], 3: [1, 2, 4, 8]}.get(kind, [8, 16])))
    width, height, channels = min(side(rng), 70), min(side(rng), 50), TYPES[kind]
    colours = min(1 << depth, 256)
    samples = rng.integers(0, 1 << depth, (height, width, channels))
    if rng.random() < 0.5:
        samples = numpy.sort(samples, axis=1)
    interlaced = int(rng.random() < 0.4)
    raw = b""
    step = max(1, channels * depth // 8)
    for left, top, across, down in PASSES if interlaced else [(0, 0, 1, 1)]:
        part = samples[top::down, left::across]
        above = None
        for line in part:
            if not line.size:
                break
            row = pack_row(line.ravel(), depth)
            above = above if above is not None else bytes(len(row))
            raw += filter_row(int(rng.integers(0, 5)), row, above, step)
            above = row
    extra = b""
    if rng.random() < 0.3:
        extra += chunk("gAMA", struct.pack(">I", int(rng.choice([45455, 100000]))))
    if rng.random() < 0.2:
        extra += chunk("sRGB", b"\0")
    if rng.random() < 0.3:
        extra += chunk("tEXt", b"Comment\0" + rng.bytes(20).replace(b"\0", b"x"))
    if kind == 3:
        extra += chunk("PLTE", rng.bytes(3 * colours))
    transparent = rng.random() < 0.3
    if transparent and kind == 3:
        extra += chunk("tRNS", rng.bytes(int(rng.integers(1, colours + 1))))
    elif transparent and kind in (0, 2):
        extra += chunk("tRNS", b"".join(struct.pack(">H", v) for v in samples[0, 0]))
    if rng.random() < 0.2:
        extra += chunk("pHYs", struct.pack(">2IB", 3000, 3000, 1))
    tail = b"" if rng.random() < 0.8 else rng.bytes(30)
    head = struct.pack(">2I5B", width, height, depth, kind, 0, 0, interlaced)
    data = b"\x89PNG\r\n\x1a\n" + chunk("IHDR", head) + extra
    data += compress(rng, raw) + chunk("IEND", b"") + tail
    name = f"type {kind} of {depth} bits{', interlaced' * interlaced}"
    return name + (", transparent" if transparent and kind not in (4, 6) else ""), data


def spread(samples, most):
    """What pngtopam gives in its own range, in that of whole bytes."""
    return samples.astype(numpy.int64) * ((65535 if most > 255 else 255) // most)


def check_png(decoder, data, what):
    """Against pngtopam, in the file's depth; Pillow where it delivers all of the samples."""
    got = decoder.decode(data, flags=NATIVE_DEPTH)
    want, most = read_pnm(run(["pngtopam", "-alphapam"], data))
    want = spread(want, most)
    if want.shape[2] == 2 and got.channels == 1:
        want = want[:, :, :1]
    elif want.shape[2] == 4 and got.channels == 3:
        want = want[:, :, :3]
    have = got.pixels.astype(numpy.int64)
    if want.shape[2] < got.channels and got.channels >= 3:
        # A palette of greys: pngtopam looks at the colours used.
        assert numpy.array_equal(have[:, :, 0], have[:, :, 1])
        have = have[:, :, [0, 3]] if got.channels == 4 else have[:, :, :1]
    if "transparent" in what and "type 3" not in what:
        # One colour, that of the first pixel here, which pngtopam does not always make transparent.
        keyed = (have[:, :, :-1] == have[0, 0, :-1]).all(axis=2)
        assert numpy.array_equal(have[:, :, -1] == 0, keyed), what
        have, want = have[:, :, :-1], want[:, :, : have.shape[2] - 1]
    assert have.shape == want.shape and numpy.array_equal(have, want), what
    if got.bits == 16:
        return "equal to pngtopam"
    image = Image.open(io.BytesIO(data))
    mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[got.channels]
    if got.channels == 2 and image.mode not in ("LA", "L", "1"):
        return "equal to pngtopam"
    if image.mode in ("L", "1") and got.channels == 2:
        return "equal to pngtopam"  # Pillow leaves tRNS to its user
    theirs = numpy.asarray(image.convert(mode)).reshape(got.pixels.shape)
    assert numpy.array_equal(got.pixels, theirs), what
    return "equal to pngtopam and Pillow"


def test_files_of_all_kinds(decoder):
    rng = numpy.random.default_rng(SEED)
    outcomes, kinds = collections.Counter(), collections.Counter()
    for i in range(COUNT):
        make, check, format = [
            (make_jpeg, check_jpeg, "JPEG"),
            (make_png, check_png, "PNG"),
        ][i % 2]
        name, data = make(rng)
        what = f"file {i}: {format} {name}"
        try:
            outcome = check(decoder, data, what)
            if "equal" in outcome:
                check_sizes(decoder, rng, data, what)
                outcomes[f"{format} sized and cropped as by Pillow"] += 1
        except Exception as error:
            raise AssertionError(what) from error
        outcomes[f"{format} {outcome}"] += 1
        kinds[f"{format} {name}"] += 1
    print(f"\n{COUNT} files of {len(kinds)} kinds:")
    for outcome, count in sorted(outcomes.items()):
        print(f"{count:6} {outcome}")
    equal = sum(count for outcome, count in outcomes.items() if "equal" in outcome)
    print(f"{equal:6} equal in all")
    assert equal >= COUNT * 9 // 10
