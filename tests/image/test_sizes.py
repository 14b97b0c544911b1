"""Exact sizes and crops of files are what Pillow makes of the decoded pixels."""

import io

import numpy
import pytest
from PIL import Image

from decoder import CENTRED, DRAFT, KEEP_ORIENTATION, NATIVE_DEPTH, PREMULTIPLY, Refused

METHODS = {
    "bicubic": Image.BICUBIC,
    "box": Image.BOX,
    "bilinear": Image.BILINEAR,
    "lanczos": Image.LANCZOS,
}
CHANNELS = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}


def make_image(rng, width, height, mode):
    shape = height, width, CHANNELS[mode]
    pixels = rng.integers(0, 256, shape, numpy.uint8)
    return Image.fromarray(pixels[:, :, 0] if mode == "L" else pixels, mode)


def as_file(image, kind, orientation=0, **more):
    file = io.BytesIO()
    if orientation:
        exif = image.getexif()
        exif[0x0112] = orientation
        more["exif"] = exif
    image.save(file, kind, **more)
    return file.getvalue()


def upright(image, orientation):
    turns = {
        2: [Image.FLIP_LEFT_RIGHT],
        3: [Image.ROTATE_180],
        4: [Image.FLIP_TOP_BOTTOM],
        5: [Image.TRANSPOSE],
        6: [Image.ROTATE_270],
        7: [Image.TRANSVERSE],
        8: [Image.ROTATE_90],
    }
    for turn in turns.get(orientation, []):
        image = image.transpose(turn)
    return image


def as_array(image):
    array = numpy.asarray(image)
    return array[:, :, None] if array.ndim == 2 else array


def as_image(pixels):
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def expect(got, image):
    assert (got.width, got.height) == image.size
    assert numpy.array_equal(got.pixels, as_array(image))


@pytest.mark.parametrize("orientation", range(9))
@pytest.mark.parametrize("mode", CHANNELS)
def test_pngs_of_every_kind_and_orientation(decoder, mode, orientation):
    rng = numpy.random.default_rng(orientation)
    image = make_image(rng, 67, 45, mode)
    data = as_file(image, "PNG", orientation)
    image = upright(image, orientation)
    width, height = image.size
    box = 5, 3, width - 11, height - 2
    crop = box[0], box[1], box[2] - box[0], box[3] - box[1]
    for method in METHODS:
        got = decoder.decode(data, size=(30, 50), resample=method)
        expect(got, image.resize((30, 50), METHODS[method]))
        got = decoder.decode(data, size=(90, 20), crop=crop, resample=method)
        expect(got, image.resize((90, 20), METHODS[method], box))
    expect(decoder.decode(data, crop=crop), image.crop(box))
    expect(decoder.decode(data, size=image.size), image)
    # A part in its own size still goes through the filter, as in Pillow: alpha is rounded.
    expect(decoder.decode(data, size=crop[2:], crop=crop), image.resize(crop[2:], None, box))
    if mode == "RGBA":
        got = decoder.decode(data, size=(30, 50), flags=PREMULTIPLY)
        assert got.pixels.tobytes() == image.convert("RGBa").resize((30, 50)).tobytes()
    if orientation >= 5:
        got = decoder.decode(data, size=(30, 50), flags=KEEP_ORIENTATION)
        expect(got, Image.open(io.BytesIO(data)).resize((30, 50)))


@pytest.mark.parametrize("orientation", range(9))
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_jpegs_of_every_orientation(decoder, mode, orientation):
    rng = numpy.random.default_rng(orientation)
    image = make_image(rng, 101, 70, mode)
    for progressive in (False, True):
        data = as_file(image, "JPEG", orientation, progressive=progressive)
        whole = as_image(decoder.decode(data).pixels)
        assert whole.size == ((101, 70) if orientation < 5 else (70, 101))
        for method in METHODS:
            got = decoder.decode(data, size=(41, 23), resample=method)
            expect(got, whole.resize((41, 23), METHODS[method]))
        got = decoder.decode(data, size=(41, 23), crop=(7, 9, 50, 33))
        expect(got, whole.resize((41, 23), None, (7, 9, 57, 42)))
        expect(decoder.decode(data, crop=(7, 9, 50, 33)), whole.crop((7, 9, 57, 42)))


def test_interlaced_and_damaged_rows_come_in_order(decoder):
    rng = numpy.random.default_rng(4)
    image = make_image(rng, 40, 60, "RGB")
    data = as_file(image, "PNG")
    half = decoder.decode(data[: len(data) // 2], flags=1 << 4)
    assert half.warning
    assert not half.pixels[-1].any()
    got = decoder.decode(data[: len(data) // 2], flags=1 << 4, size=(20, 31))
    expect(got, as_image(half.pixels).resize((20, 31)))


def test_a_side_follows_from_the_other(decoder):
    rng = numpy.random.default_rng(5)
    rows = [
        # the image, what is asked for, what is given
        ((640, 427), {"size": (300, 0)}, (300, 200)),
        ((640, 427), {"size": (0, 300)}, (450, 300)),
        ((640, 427), {"shorter": 256}, (384, 256)),
        ((427, 640), {"shorter": 256}, (256, 384)),
        ((640, 427), {"longer": 256}, (256, 171)),
        ((427, 640), {"longer": 256}, (171, 256)),
        ((50, 50), {"longer": 9}, (9, 9)),
        ((50, 50), {"shorter": 99}, (99, 99)),
        ((300, 2), {"size": (60, 0)}, (60, 1)),
        ((300, 2), {"longer": 30}, (30, 1)),
        ((300, 200), {"size": (50, 0), "crop": (10, 10, 100, 10)}, (50, 5)),
        ((300, 200), {"shorter": 5, "crop": (10, 10, 100, 10)}, (50, 5)),
    ]
    for size, asked, given in rows:
        image = make_image(rng, *size, "L")
        got = decoder.decode(as_file(image, "PNG"), **asked)
        assert (got.width, got.height) == given, (size, asked)
        if "crop" not in asked:
            expect(got, image.resize(given))


def test_a_crop_without_a_position_lies_in_the_middle(decoder):
    image = make_image(numpy.random.default_rng(6), 31, 20, "RGB")
    data = as_file(image, "PNG")
    for width, height in ((1, 1), (2, 2), (30, 19), (31, 20), (31, 1)):
        left, top = (31 - width) // 2, (20 - height) // 2
        got = decoder.decode(data, crop=(0, 0, width, height), flags=CENTRED)
        expect(got, image.crop((left, top, left + width, top + height)))


def test_a_draft_is_the_codecs_scale_and_then_the_size(decoder):
    image = make_image(numpy.random.default_rng(7), 403, 299, "RGB")
    data = as_file(image, "JPEG")
    rows = [((50, 37), 8), ((51, 37), 4), ((100, 74), 4), ((101, 74), 2), ((201, 149), 2),
            ((202, 149), 1), ((500, 20), 1)]  # fmt: skip
    for size, scale in rows:
        small = as_image(decoder.decode(data, scale=scale).pixels)
        got = decoder.decode(data, size=size, flags=DRAFT)
        assert got.scale == scale, size
        expect(got, small.resize(size, None, (0, 0, 403 / scale, 299 / scale)))
        assert decoder.decode(data, size=size).scale == 1
    got = decoder.decode(data, size=(20, 20), flags=DRAFT, crop=(101, 11, 85, 91))
    small = as_image(decoder.decode(data, scale=4).pixels)
    expect(got, small.resize((20, 20), None, (101 / 4, 11 / 4, 186 / 4, 102 / 4)))
    # A PNG has no scale that its codec makes.
    data = as_file(image, "PNG")
    expect(decoder.decode(data, size=(50, 37), flags=DRAFT), image.resize((50, 37)))


def test_sixteen_bits_stay_sixteen(decoder):
    rng = numpy.random.default_rng(8)
    pixels = rng.integers(0, 65536, (40, 60), numpy.uint16)
    data = as_file(Image.fromarray(pixels.astype(numpy.int32), "I"), "PNG")
    got = decoder.decode(data, size=(30, 20), flags=NATIVE_DEPTH, resample="box")
    assert got.bits == 16
    # Boxes of 2 x 2, each direction rounded by itself.
    across = (pixels[:, 0::2].astype(int) + pixels[:, 1::2] + 1) // 2
    assert numpy.array_equal(got.pixels[:, :, 0], (across[0::2] + across[1::2] + 1) // 2)
    few = decoder.decode(data, size=(30, 20), resample="box")
    eight = decoder.decode(data)
    expect(few, as_image(eight.pixels).resize((30, 20), Image.BOX))


def test_what_makes_no_sense_is_refused(decoder):
    data = as_file(make_image(numpy.random.default_rng(9), 30, 20, "RGB"), "PNG")
    rows = [
        ({"crop": (0, 0, 31, 20)}, 64, "the crop of 31×20 at 0,0 reaches beyond the image of 30×20"),
        ({"crop": (1, 0, 30, 20)}, 64, "beyond"),
        ({"crop": (2**32 - 1, 0, 2, 20)}, 64, "beyond"),
        ({"crop": (0, 0, 31, 2), "flags": CENTRED}, 64, "beyond"),
        ({"crop": (0, 0, 5, 0)}, 64, "a crop has a width and a height"),
        ({"crop": (1, 1, 0, 0)}, 64, "a crop has a width and a height"),
        ({"flags": CENTRED}, 64, "a crop has a width and a height"),
        ({"crop": (1, 0, 5, 5), "flags": CENTRED}, 64, "a centred crop has no position"),
        ({"size": (5, 5), "shorter": 5}, 64, "exclude each other"),
        ({"shorter": 5, "longer": 5}, 64, "exclude each other"),
        ({"size": (5, 0), "scale": 2}, 64, "a scale goes neither"),
        ({"crop": (0, 0, 5, 5), "fit": (2, 0)}, 64, "a fit goes neither"),
        ({"flags": DRAFT}, 64, "a draft is for a size"),
        ({"size": (101, 5), "side": 100}, 64, "--max-side"),
        ({"size": (0, 70), "side": 100}, 64, "--max-side"),
        ({"size": (100, 5), "pixels": 1999}, 64, "--max-pixels"),
        ({"size": (2**31, 1)}, 64, "--max-side"),
        ({"shorter": 2**32 - 1}, 64, "--max-side"),
        ({"size": (90, 90), "memory": 1000}, 65, "memory limit"),
    ]
    for asked, status, text in rows:
        with pytest.raises(Refused) as refused:
            decoder.decode(data, **asked)
        assert refused.value.status == status, asked
        assert text in str(refused.value), asked


def test_memory_is_the_same_however_tall_the_image_is(decoder):
    """Rows are not kept: but those that a row of the result is made of."""
    for height in (100, 2000):
        image = Image.new("RGB", (1000, height))
        decoder.decode(as_file(image, "PNG"), size=(100, height // 10), memory=600_000)
    turned = as_file(image, "PNG", 6)
    with pytest.raises(Refused):
        decoder.decode(turned, size=(100, 100), memory=600_000)
