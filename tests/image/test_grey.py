"""Grey is one formula, whatever a file says of its colours."""

import io
import itertools
import struct
import zlib

import numpy
import pytest
from PIL import Image

from decoder import LENIENT, NATIVE_DEPTH

COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (200, 120, 40)]
CHUNKS = {
    "gAMA": struct.pack(">I", 100000),
    "cHRM": struct.pack(">8I", 31270, 32900, 70800, 29200, 17000, 79700, 13100, 4600),
    "sRGB": b"\0",
}


def luma(pixels):
    """libjpeg's: 16 bits after the point, rounded."""
    weights = numpy.array([19595, 38470, 7471])
    return (pixels[:, :, :3].astype(numpy.int64) @ weights + 32768) >> 16


def chunk(kind, data):
    crc = zlib.crc32(kind.encode() + data)
    return struct.pack(">I", len(data)) + kind.encode() + data + struct.pack(">I", crc)


def make_png(pixels, colour_chunks=(), interlaced=False):
    """RGB or RGBA of 8 or 16 bits; interlaced ones are made by hand, pass by pass."""
    height, width, channels = pixels.shape
    bits = pixels.itemsize * 8
    rows = pixels.astype(">u2") if bits == 16 else pixels
    passes = [(0, 0, 1, 1)]
    if interlaced:
        passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4),
                  (1, 0, 2, 2), (0, 1, 1, 2)]  # fmt: skip
    data = b""
    for left, top, across, down in passes:
        for row in rows[top::down, left::across]:
            data += b"\0" + row.tobytes() if row.size else b""
    head = struct.pack(">2I5B", width, height, bits, {3: 2, 4: 6}[channels], 0, 0, interlaced)
    extra = b"".join(chunk(name, CHUNKS[name]) for name in colour_chunks)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk("IHDR", head) + extra
        + chunk("IDAT", zlib.compress(data)) + chunk("IEND", b"")
    )  # fmt: skip


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("kind", [numpy.uint8, numpy.uint16])
@pytest.mark.parametrize("interlaced", [False, True])
def test_pngs_are_grey_by_the_luma_of_a_jpeg(decoder, channels, kind, interlaced):
    rng = numpy.random.default_rng(1)
    pixels = rng.integers(0, numpy.iinfo(kind).max, (20, 33, channels), kind, True)
    eight = None
    for count in range(len(CHUNKS) + 1):
        for names in itertools.combinations(CHUNKS, count):
            data = make_png(pixels, names, interlaced)
            if eight is None:
                eight = decoder.decode(data, channels=3).pixels
            for options in ({}, {"layout": 1}):
                grey = decoder.decode(data, channels=1, **options)
                assert numpy.array_equal(grey.pixels[:, :, 0], luma(eight)), names
                deep = decoder.decode(data, channels=1, flags=NATIVE_DEPTH, **options)
                assert numpy.array_equal(deep.pixels[:, :, 0], luma(pixels)), names


def test_the_colours_of_the_manual(decoder):
    pixels = numpy.array([COLOURS], numpy.uint8)
    want = [76, 150, 29, 135]
    for names in ((), ("gAMA",), ("cHRM",), ("sRGB",), ("gAMA", "cHRM")):
        got = decoder.decode(make_png(pixels, names), channels=1)
        assert list(got.pixels[0, :, 0]) == want
    # Full of one colour: a JPEG then has exactly its luma.
    for colour, grey in zip(COLOURS, want):
        image = Image.new("RGB", (16, 16), colour)
        file = io.BytesIO()
        image.save(file, "JPEG", quality=100, subsampling=0)
        assert set(decoder.decode(file.getvalue(), channels=1).pixels.flat) == {grey}, colour


def test_grey_comes_before_scales_and_sizes(decoder):
    pixels = numpy.random.default_rng(2).integers(0, 256, (31, 45, 3), numpy.uint8)
    data = make_png(pixels, ("gAMA",))
    grey = Image.fromarray(luma(pixels).astype(numpy.uint8))
    got = decoder.decode(data, channels=1, size=(20, 20))
    assert numpy.array_equal(got.pixels[:, :, 0], numpy.asarray(grey.resize((20, 20))))
    # The mean of each square of the grey, rounded.
    got = decoder.decode(data, channels=1, scale=2).pixels[:15, :22, 0]
    sums = numpy.asarray(grey, int)[:30, :44].reshape(15, 2, 22, 2).sum(axis=(1, 3))
    assert numpy.array_equal(got, (sums + 2) // 4)


def test_a_damaged_end_is_black(decoder):
    pixels = numpy.full((400, 100, 3), 255, numpy.uint8)
    pixels[::3] = 7
    data = make_png(pixels)
    got = decoder.decode(data[: len(data) - 30], channels=1, flags=LENIENT).pixels
    assert not got[-1].any() and got[0].all()
