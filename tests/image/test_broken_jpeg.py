"""JPEGs that libjpeg gives up on: what came before is delivered, as djpeg writes it."""

import io
import subprocess

import numpy
import pytest
from PIL import Image

from decoder import STRICT, Refused

SOI, SOS, DHT, COM, APP1, APP2, EOI = 0xD8, 0xDA, 0xC4, 0xFE, 0xE1, 0xE2, 0xD9


def make_jpeg(progressive, size=(75, 53), **more):
    rng = numpy.random.default_rng(1)
    y, x, c = numpy.mgrid[0 : size[1], 0 : size[0], 0:3]
    pixels = (x * 2 + y * 3 + c * 50 + rng.integers(0, 30, x.shape)) % 256
    file = io.BytesIO()
    image = Image.fromarray(pixels.astype(numpy.uint8))
    image.save(file, "JPEG", quality=80, progressive=progressive, **more)
    return file.getvalue()


def segments(data):
    """Offset and kind of each marker; of a scan, its data follow."""
    found, at = [], 2
    while at + 1 < len(data):
        kind = data[at + 1]
        if data[at] != 0xFF or kind in (0, 0xFF) or 0xD0 <= kind <= 0xD7:
            at += 1
            continue
        found.append((at, kind))
        at += 2 if kind == EOI else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return found


def djpeg(data, *options):
    """What it writes, whatever its status; None for nothing."""
    done = subprocess.run(["djpeg", *options], input=data, capture_output=True)
    if not done.stdout:
        return None
    return numpy.asarray(Image.open(io.BytesIO(done.stdout)))


def expect(decoder, data, want, warning):
    got = decoder.decode(data)
    assert numpy.array_equal(got.pixels, want)
    assert warning in got.warning, got.warning
    with pytest.raises(Refused) as refused:
        decoder.decode(data, flags=STRICT)
    assert refused.value.status == 65


# What stands where a marker should, and libjpeg refuses.
WRONG = {
    "a second start": b"\xff\xd8",
    "an unknown marker": b"\xff\x05",
    "a second frame": b"\xff\xc0\0\x0b\x08\0\x35\0\x4b\1\1\x11\0",
    "a table of no kind": b"\xff\xc4\0\x13\x55" + bytes(16),
    "a table too short": b"\xff\xc4\0\x05\0\0\0",
    "a table too full": b"\xff\xc4\0\x14\0" + b"\xff" * 16 + b"\0",
    "a quantization of no kind": b"\xff\xdb\0\x43\x07" + bytes(64),
    "a scan of no component": b"\xff\xda\0\x08\1\x77\0\1\1\0",
    "a scan too short": b"\xff\xda\0\x03\1",
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_what_is_wrong_before_a_late_scan_costs_that_scan(decoder, wrong):
    data = make_jpeg(True)
    found = segments(data)
    first = next(i for i, (_, kind) in enumerate(found) if kind == SOS)
    for at, _ in found[first + 1 :]:
        want = djpeg(data[:at] + b"\xff\xd9")
        expect(decoder, data[:at] + wrong + data[at:], want, "broken JPEG: ")
    # Before the first scan there is nothing to deliver.
    at = found[first][0]
    with pytest.raises(Refused):
        decoder.decode(data[:at] + wrong + data[at:])


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_what_is_wrong_behind_the_last_row_is_a_warning(decoder, wrong):
    data = make_jpeg(False)
    whole = djpeg(data)
    for tail in (b"\xff\xd9", b"", data):
        broken = data[:-2] + wrong + tail
        assert numpy.array_equal(djpeg(broken), whole)
        expect(decoder, broken, whole, "broken JPEG: ")


def test_a_second_image_behind_the_first_is_as_with_djpeg(decoder):
    data = make_jpeg(False)
    whole = djpeg(data)
    got = decoder.decode(data + data)
    assert numpy.array_equal(got.pixels, whole) and not got.warning
    expect(decoder, data[:-2] + data, whole, "SOI")


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("kind", [COM, APP1, APP2, 0xE0, 0xEE, 0xE5])
@pytest.mark.parametrize("length", [0, 1, 2, 3])
def test_short_lengths_are_as_with_djpeg(decoder, progressive, kind, length):
    data = make_jpeg(progressive)
    segment = bytes([0xFF, kind, 0, length]) + b"x" * max(0, length - 2)
    for at in [at for at, _ in segments(data)]:
        broken = data[:at] + segment + data[at:]
        want = djpeg(broken)
        assert want is not None
        got = decoder.decode(broken)
        assert numpy.array_equal(got.pixels, want) and not got.warning


def test_sizes_and_scales_of_what_is_left(decoder):
    data = make_jpeg(True)
    at = [at for at, kind in segments(data) if kind == SOS][3]
    broken = data[:at] + b"\xff\x05" + data[at:]
    sound = data[:at] + b"\xff\xd9"
    for options in ({"scale": 2}, {"channels": 1}, {"size": (40, 40)}, {"crop": (1, 2, 30, 20)}):
        want = decoder.decode(sound, **options)
        assert numpy.array_equal(decoder.decode(broken, **options).pixels, want.pixels)


def test_bytes_before_the_image_are_named(decoder):
    data = make_jpeg(False)
    with pytest.raises(Refused) as refused:
        decoder.decode(b"\r\n" + data)
    assert str(refused.value) == "what looks like a JPEG begins only at byte 2, behind 0d 0a"
