"""A PNG at 1/2, 1/4 and 1/8: the mean of squares, colours counting as much as they are opaque."""

import struct
import zlib

import numpy
import pytest

from decoder import NATIVE_DEPTH
from test_grey import chunk

TYPES = {1: 0, 2: 4, 3: 2, 4: 6}


def make_png(pixels):
    """Grey, RGB or either with alpha, of 8 or 16 bits, unfiltered."""
    height, width, channels = pixels.shape
    bits = pixels.itemsize * 8
    rows = pixels.astype(">u2") if bits == 16 else pixels
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    head = struct.pack(">2I5B", width, height, bits, TYPES[channels], 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk("IHDR", head) + chunk("IDAT", data) + chunk("IEND", b"")


def squares(pixels, scale):
    """In whole numbers, of any size, rounded half up."""
    height, width, channels = pixels.shape
    down, across = -(-height // scale), -(-width // scale)
    made = numpy.zeros((down, across, channels), pixels.dtype)
    for y in range(down):
        for x in range(across):
            square = pixels[y * scale : (y + 1) * scale, x * scale : (x + 1) * scale]
            square = square.reshape(-1, channels).astype(object)
            alpha = square[:, -1] if channels % 2 == 0 else 1 + 0 * square[:, -1]
            weight = int(alpha.sum())
            for i in range(channels):
                top = int((square[:, i] * alpha).sum())
                if weight:
                    made[y, x, i] = (top + weight // 2) // weight
            if channels % 2 == 0:
                made[y, x, -1] = (weight + len(alpha) // 2) // len(alpha)
    return made


@pytest.mark.parametrize("scale", [2, 4, 8])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("channels", TYPES)
def test_squares_become_their_mean(decoder, channels, bits, scale):
    rng = numpy.random.default_rng(channels * bits * scale)
    most = (1 << bits) - 1
    for width, height in ((1, 1), (scale, scale), (45, 19), (72, 16), (scale * 9 - 1, 3)):
        shape = height, width, channels
        random = rng.integers(0, most + 1, shape)
        for pixels in (random, numpy.full(shape, most), random // 32, random * (random % 3 > 1)):
            pixels = pixels.astype(numpy.uint16 if bits == 16 else numpy.uint8)
            got = decoder.decode(make_png(pixels), scale=scale, flags=NATIVE_DEPTH)
            assert numpy.array_equal(got.pixels, squares(pixels, scale)), (width, height)
