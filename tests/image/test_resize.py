"""Resizing is Pillow's, byte for byte.

By hand: RESIZE_COUNT=20000 RESIZE_SEED=7 meson test -C build resize
Time beside Pillow's: RESIZE_ROWS=build/tests/image/resize-rows /usr/bin/python3 tests/image/test_resize.py
"""

import math
import os
import random
import struct
import subprocess
import time

import numpy
import pytest
from PIL import Image

COUNT = int(os.environ.get("RESIZE_COUNT", "600"))
SEED = int(os.environ.get("RESIZE_SEED", "1"))
FILTERS = {
    "bicubic": (0, Image.BICUBIC),
    "box": (1, Image.BOX),
    "bilinear": (2, Image.BILINEAR),
    "lanczos": (3, Image.LANCZOS),
}
MODES = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}


class Resizer:
    """Our code, in a process of its own."""

    def __init__(self):
        self.process = subprocess.Popen(
            [os.environ["RESIZE_ROWS"]], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def resize(self, array, size, method, box, premultiply=False):
        """An array of height x width x channels; the seconds that it took."""
        height, width, channels = array.shape
        bits = array.itemsize * 8
        head = struct.pack(
            "8I4d", width, height, *size, channels, bits, FILTERS[method][0], premultiply, *box
        )
        self.process.stdin.write(head + array.tobytes())
        self.process.stdin.flush()
        (took,) = struct.unpack("Q", self.process.stdout.read(8))
        data = self.process.stdout.read(size[0] * size[1] * channels * array.itemsize)
        result = numpy.frombuffer(data, array.dtype).reshape(size[1], size[0], channels)
        return result, took / 1e9


@pytest.fixture(scope="module")
def ours():
    resizer = Resizer()
    yield resizer
    resizer.process.stdin.close()
    assert resizer.process.wait(10) == 0


def make_pixels(rng, height, width, channels, dtype=numpy.uint8):
    """Noise, steps or a gradient: what makes filters overshoot, and what does not."""
    most = numpy.iinfo(dtype).max
    kind = rng.integers(3)
    if kind == 0:
        return rng.integers(0, most, (height, width, channels), dtype, True)
    if kind == 1:
        return (rng.integers(0, 2, (height, width, channels)) * most).astype(dtype)
    y, x, c = numpy.mgrid[0:height, 0:width, 0:channels]
    return ((x * 3 + y * 5 + c * 70) % (most + 1)).astype(dtype)


def make_side(rng):
    return int(rng.choice([1, 2, 3, rng.integers(1, 20), rng.integers(1, 300)]))


def make_box(rng, width, height):
    """All of it, a part in whole pixels, or one in eighths."""
    kind = rng.integers(3)
    if kind == 0:
        return 0, 0, width, height
    parts = 1 if kind == 1 else 8
    ends = []
    for side in (width, height):
        begin = int(rng.integers(0, side * parts))
        ends.append((begin / parts, int(rng.integers(begin + 1, side * parts + 1)) / parts))
    return ends[0][0], ends[1][0], ends[0][1], ends[1][1]


def as_array(image):
    array = numpy.asarray(image)
    return array[:, :, None] if array.ndim == 2 else array


def test_all_kinds_are_pillows(ours):
    rng = numpy.random.default_rng(SEED)
    kinds = [(mode, method) for mode in MODES for method in FILTERS]
    for i in range(COUNT):
        mode, method = kinds[i % len(kinds)]
        width, height, size = make_side(rng), make_side(rng), (make_side(rng), make_side(rng))
        box = make_box(rng, width, height)
        pixels = make_pixels(rng, height, width, MODES[mode])
        if size == (width, height) and box == (0, 0, width, height):
            continue  # Pillow copies, and so does the decoder
        image = Image.fromarray(pixels[:, :, 0] if mode == "L" else pixels, mode)
        want = as_array(image.resize(size, FILTERS[method][1], box))
        got, _ = ours.resize(pixels, size, method, box)
        assert numpy.array_equal(got, want), (i, mode, method, width, height, size, box)


def test_premultiplied_is_pillows_rgba_before_it_is_divided(ours):
    rng = numpy.random.default_rng(SEED + 1)
    for i in range(COUNT // 10):
        width, height, size = make_side(rng), make_side(rng), (make_side(rng), make_side(rng))
        box = make_box(rng, width, height)
        pixels = make_pixels(rng, height, width, 4)
        want = Image.fromarray(pixels, "RGBA").convert("RGBa").resize(size, Image.BICUBIC, box)
        got, _ = ours.resize(pixels, size, "bicubic", box, True)
        assert got.tobytes() == want.tobytes(), (i, width, height, size, box)


def weight(method, x):
    """The filters, as their definitions have them."""
    x = abs(x)
    if method == "box":
        return float(x <= 0.5)
    if method == "bilinear":
        return max(0.0, 1 - x)
    if method == "bicubic":
        if x < 1:
            return 1.5 * x**3 - 2.5 * x**2 + 1
        return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0.0
    if x == 0:
        return 1.0
    return math.sin(math.pi * x) * math.sin(math.pi * x / 3) * 3 / (math.pi * x) ** 2 * (x < 3)


def axis(size, begin, end, to, method):
    """The matrix of a direction."""
    support = {"box": 0.5, "bilinear": 1, "bicubic": 2, "lanczos": 3}[method]
    step = (end - begin) / to
    wide = max(step, 1)
    matrix = numpy.zeros((to, size))
    for at in range(to):
        centre = begin + (at + 0.5) * step
        first = max(0, int(centre - support * wide + 0.5))
        last = min(size, int(centre + support * wide + 0.5))
        for i in range(first, last):
            matrix[at, i] = weight(method, (i - centre + 0.5) / wide)
        matrix[at] /= matrix[at].sum()
    return matrix


def fixed_point(matrix, samples):
    """The samples of each column times the matrix, as 16 bits are done: weights of 30 bits."""
    weights = numpy.floor(matrix * 2**30 + 0.5).astype(numpy.int64)
    sums = numpy.einsum("xi,yic->yxc", weights, samples.astype(numpy.int64))
    return numpy.clip((sums + 2**29) >> 30, 0, 65535)


def test_sixteen_bits_are_the_same_method_in_finer_weights(ours):
    rng = numpy.random.default_rng(SEED + 2)
    samples = differ = 0
    for i in range(COUNT // 5):
        method = list(FILTERS)[i % 4]
        channels = 1 if i % 8 < 4 else 3
        width, height = int(rng.integers(1, 90)), int(rng.integers(1, 90))
        size = int(rng.integers(1, 90)), int(rng.integers(1, 90))
        if method == "box" and (size[0] > width or size[1] > height):
            continue  # a sample on the very edge: decided by the last bit
        pixels = make_pixels(rng, height, width, channels, numpy.uint16)
        between = fixed_point(axis(width, 0, width, size[0], method), pixels)
        turned = between.transpose(1, 0, 2)
        want = fixed_point(axis(height, 0, height, size[1], method), turned).transpose(1, 0, 2)
        got, _ = ours.resize(pixels, size, method, (0, 0, width, height))
        assert numpy.abs(got - want).max() <= 2, (i, method, width, height, size)
        samples += want.size
        differ += int((got != want).sum())
    # The model's filters are written differently, so that a sum may fall on the other side of a half.
    assert differ * 10000 < samples


def test_sixteen_bits_agree_with_eight(ours):
    """Samples of 257 x v, resized, are what v gives, to the rounding of eight bits."""
    rng = numpy.random.default_rng(SEED + 3)
    for method in FILTERS:
        for channels in (1, 2, 3, 4):
            pixels = make_pixels(rng, 61, 83, channels)
            pixels[:, :, -1] |= 0x80  # what is nearly transparent has no exact colour
            box = (3, 2, 80, 57)
            few, _ = ours.resize(pixels, (40, 71), method, box)
            many, _ = ours.resize(pixels.astype(numpy.uint16) * 257, (40, 71), method, box)
            assert numpy.abs(many / 257 - few).max() <= (2 if channels % 2 else 6)


def measure_beside_pillow(ours):
    """In turn, as the machine's other work slows both: the best of five pairs."""
    rng = numpy.random.default_rng(SEED)
    pixels = {mode: rng.integers(0, 256, (900, 1200, n), numpy.uint8) for mode, n in MODES.items()}
    for mode, array in pixels.items():
        image = Image.fromarray(array[:, :, 0] if mode == "L" else array, mode)
        for method in FILTERS:
            for size in ((300, 225), (1600, 1200)):
                ratios = []
                for _ in range(5):
                    begun = time.perf_counter()
                    image.resize(size, FILTERS[method][1])
                    theirs = time.perf_counter() - begun
                    _, mine = ours.resize(array, size, method, (0, 0, 1200, 900))
                    ratios.append(mine / theirs)
                print(f"{mode:4} {method:8} {size[0]:4}x{size[1]:<4} {min(ratios):.2f} of Pillow")


if __name__ == "__main__":
    measure_beside_pillow(Resizer())
