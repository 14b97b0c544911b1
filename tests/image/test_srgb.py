"""fetch --srgb: gAMA, cHRM and CMYK as lcms2, called by Pillow, converts them."""

import io
import os
import struct
import subprocess

import numpy
import pytest
from PIL import Image, ImageCms

from test_grey import make_png

RELATIVE, BLACK_POINT = 1, 0x2000


def s15(value):
    return struct.pack(">i", round(value * 65536))


def make_cmyk_profile():
    """A printer's profile (ICC.1, lut16): four inks to Lab, two points a side."""
    grid = []
    for i in range(16):
        c, m, y, k = (i >> 3) & 1, (i >> 2) & 1, (i >> 1) & 1, i & 1
        light = max(0, 100 - 30 * c - 35 * m - 10 * y - 80 * k)
        grid += [light / 100, (128 - 35 * c + 70 * m) / 256, (128 - 40 * c + 85 * y) / 256]
    lut = b"mft2" + bytes(4) + bytes([4, 3, 2, 0])
    lut += b"".join(s15(v) for v in (1, 0, 0, 0, 1, 0, 0, 0, 1)) + struct.pack(">2H", 2, 2)
    lut += struct.pack(">2H", 0, 65535) * 4
    lut += b"".join(struct.pack(">H", min(65280, round(v * 65280))) for v in grid)
    lut += struct.pack(">2H", 0, 65535) * 3
    tags = {
        b"desc": b"desc" + bytes(4) + struct.pack(">I", 5) + b"inks\0" + bytes(78),
        b"cprt": b"text" + bytes(4) + b"none\0",
        b"wtpt": b"XYZ " + bytes(4) + s15(0.9642) + s15(1) + s15(0.8249),
        b"A2B0": lut,
    }
    table, body, at = struct.pack(">I", len(tags)), b"", 132 + 12 * len(tags)
    for name, data in tags.items():
        data += bytes(-len(data) % 4)
        table += name + struct.pack(">2I", at + len(body), len(data))
        body += data
    size = at + len(body)
    head = struct.pack(">I", size) + b"lcms" + bytes([2, 0x40, 0, 0]) + b"prtrCMYKLab "
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acspAPPL" + bytes(24)
    head += s15(0.9642) + s15(1) + s15(0.8249)
    return head.ljust(128, b"\0") + table + body


@pytest.fixture
def fetch(tmp_path):
    """Serves a folder of files and gives the pixels of one."""

    def run(data, name, *options):
        (tmp_path / name).write_bytes(data)
        shmsem = os.environ["SHMSEM"]
        done = subprocess.run(
            [shmsem, "serve", "-q", tmp_path, "--", shmsem, "fetch", "-o", "-", *options, name],
            capture_output=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return numpy.asarray(Image.open(io.BytesIO(done.stdout)))

    return run


def curve(linear):
    return numpy.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)


def test_gamma_is_heeded(fetch):
    pixels = numpy.arange(256, dtype=numpy.uint8).repeat(3).reshape(16, 16, 3)
    want = curve(pixels / 255) * 255  # gAMA is 1.0
    got = fetch(make_png(pixels, ("gAMA",)), "linear.png", "--srgb")
    assert numpy.abs(got - want).max() <= 1.5
    # Nothing is converted unasked, nor where sRGB says what it is, nor where nothing is said.
    assert numpy.array_equal(fetch(make_png(pixels, ("gAMA",)), "linear.png"), pixels)
    for chunks in (("sRGB",), ("gAMA", "sRGB"), ()):
        assert numpy.array_equal(fetch(make_png(pixels, chunks), "as-is.png", "--srgb"), pixels)


def test_primaries_are_heeded(fetch):
    rng = numpy.random.default_rng(1)
    pixels = rng.integers(0, 256, (16, 16, 3), numpy.uint8)
    # BT.2020's primaries and D65, in linear light: by the textbook's matrices.
    points = [(0.708, 0.292), (0.17, 0.797), (0.131, 0.046)], (0.3127, 0.329)
    srgb = [(0.64, 0.33), (0.3, 0.6), (0.15, 0.06)], (0.3127, 0.329)

    def matrix(primaries, white):
        columns = numpy.array([[x / y, 1, (1 - x - y) / y] for x, y in primaries]).T
        x, y = white
        return columns * numpy.linalg.solve(columns, [x / y, 1, (1 - x - y) / y])

    linear = pixels / 255 @ (numpy.linalg.inv(matrix(*srgb)) @ matrix(*points)).T
    want = curve(numpy.clip(linear, 0, 1)) * 255
    got = fetch(make_png(pixels, ("gAMA", "cHRM")), "wide.png", "--srgb")
    assert numpy.abs(got - want).max() <= 3


def test_cmyk_is_converted_by_its_profile(fetch):
    profile = make_cmyk_profile()
    rng = numpy.random.default_rng(2)
    inks = numpy.kron(rng.integers(0, 256, (4, 4, 4), numpy.uint8), numpy.ones((8, 8, 1), numpy.uint8))
    file = io.BytesIO()
    Image.fromarray(inks, "CMYK").save(file, "JPEG", quality=95, icc_profile=profile)
    image = Image.open(io.BytesIO(file.getvalue()))
    assert image.mode == "CMYK"
    want = ImageCms.profileToProfile(
        image, ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB"),
        RELATIVE, "RGB", flags=BLACK_POINT,
    )  # fmt: skip
    got = fetch(file.getvalue(), "inks.jpg", "--srgb")
    assert numpy.array_equal(got, numpy.asarray(want))
    # Resized as four inks, then converted.
    small = ImageCms.profileToProfile(
        image.resize((20, 10)), ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        ImageCms.createProfile("sRGB"), RELATIVE, "RGB", flags=BLACK_POINT,
    )  # fmt: skip
    got = fetch(file.getvalue(), "inks.jpg", "--srgb", "--size", "20x10")
    # Pillow turns the samples around first, so that halves are rounded the other way.
    assert numpy.abs(got.astype(int) - numpy.asarray(small)).max() <= 2
    # Unasked, every ink times black.
    assert not numpy.array_equal(fetch(file.getvalue(), "inks.jpg"), numpy.asarray(want))
