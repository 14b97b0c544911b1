"""Images, connections and errors, with numpy and PIL as the judges."""

import gc
import os
import pathlib
import pickle
import signal
import struct

import numpy
import pytest
from conftest import SPACE, held, start_server, stop_server
from PIL import Image as Pillow
from PIL import PngImagePlugin

import shmsem


def decoded(folder, name):
    return numpy.asarray(Pillow.open(os.path.join(folder, name)))


def test_an_array_is_the_image_without_a_copy(folder):
    with shmsem.fetch("apple") as image:
        pixels = numpy.asarray(image)
        again = numpy.asarray(image)
    assert image.shape == pixels.shape == (960, 640, 3)
    assert image.dtype == pixels.dtype == numpy.uint8
    assert pixels.ctypes.data == again.ctypes.data
    assert not pixels.flags.writeable and not pixels.flags.owndata
    difference = numpy.abs(pixels.astype(int) - decoded(folder, "apple.jpg"))
    assert difference.max() <= 2


def test_sixteen_bits_stay_sixteen_bits(folder, client):
    with client.fetch("deep", native_depth=True) as image:
        pixels = numpy.asarray(image)
        assert image.dtype == pixels.dtype == numpy.uint16
        assert image.view.format == "H"
    assert (pixels[:, :, 0] == decoded(folder, "deep.png")).all()


def test_options_do_what_they_say(client):
    assert client.fetch("apple", scale=2).shape == (480, 320, 3)
    assert client.fetch("apple", channels=1).shape == (960, 640, 1)
    assert client.fetch("apple", channels=4).shape == (960, 640, 4)
    assert client.fetch("apple", fit=(100, 100)).shape == (240, 160, 3)
    rgb = numpy.asarray(client.fetch("apple"))
    bgr = numpy.asarray(client.fetch("apple", layout="bgr"))
    assert (rgb[:, :, ::-1] == bgr).all()


def test_sizes_and_crops_are_those_of_pillow(client, folder):
    whole = Pillow.fromarray(numpy.asarray(client.fetch("apple")))
    for options, expected in (
        ({"size": (100, 50)}, whole.resize((100, 50), Pillow.Resampling.BICUBIC)),
        ({"shorter": 64}, whole.resize((64, 96), Pillow.Resampling.BICUBIC)),
        ({"longer": 96, "resample": "box"}, whole.resize((64, 96), Pillow.Resampling.BOX)),
        ({"crop": (10, 20, 30, 40)}, whole.crop((10, 20, 40, 60))),
        ({"crop": (320, 480)}, whole.crop((160, 240, 480, 720))),
        (
            {"crop": (10, 20, 300, 400), "size": (30, 40), "resample": "lanczos"},
            whole.resize((30, 40), Pillow.Resampling.LANCZOS, box=(10, 20, 310, 420)),
        ),
    ):
        assert (numpy.asarray(client.fetch("apple", **options)) == numpy.asarray(expected)).all()
        again = pickle.loads(pickle.dumps(client.fetch("apple", **options)))
        assert (numpy.asarray(again) == numpy.asarray(expected)).all()
    assert client.fetch("apple", size=(64, 0)).shape == (96, 64, 3)
    assert client.fetch_batch(["apple", "car"], size=(32, 32)).shape == (2, 32, 32, 3)
    assert client.fetch("apple", size=(64, 96), draft=True).shape == (96, 64, 3)
    for wrong in ({"crop": (1, 2, 3)}, {"size": 5}, {"resample": "nearest"}, {"shorter": -1}):
        with pytest.raises((shmsem.UsageError, TypeError)):
            client.fetch("apple", **wrong)


@pytest.mark.parametrize(
    "kind, options, message",
    [
        (TypeError, {"size": 64}, "size is a width and a height, not 64"),
        (TypeError, {"fit": None}, "fit is a width and a height, not None"),
        (TypeError, {"size": "ab"}, "size: 'a' is not a whole number"),
        (TypeError, {"shorter": 1.5}, "shorter: 1.5 is not a whole number"),
        (TypeError, {"scale": "2"}, "scale: '2' is not a whole number"),
        (TypeError, {"crop": 5}, "crop is x, y, width and height, or width and height, not 5"),
        (TypeError, {"crop": (1, 2.5)}, "crop: 2.5 is not a whole number"),
        (TypeError, {"timeout": "x"}, "timeout: 'x' is not a number of seconds"),
        (shmsem.UsageError, {"timeout": -1}, "timeout is negative"),
        (
            shmsem.UsageError,
            {"timeout": float("nan")},
            "timeout: nan is not a number of seconds",
        ),
        (shmsem.UsageError, {"size": (1, 2, 3)}, "size is a width and a height"),
        (shmsem.UsageError, {"longer": 1 << 32}, "longer is out of range"),
        (shmsem.UsageError, {"crop": (0, 0, 0, 0)}, "a crop has a width and a height"),
        (shmsem.UsageError, {"fit": (10, 10), "scale": 2}, "scale and fit both say how large"),
        (
            shmsem.UsageError,
            {"fit": (9, 9), "size": (4, 4)},
            "a fit goes neither with a size nor with a crop",
        ),
    ],
    ids=str,
)
def test_an_option_that_is_wrong_is_named(client, kind, options, message):
    with pytest.raises(kind) as refused:
        client.fetch("apple", **options)
    assert str(refused.value) == message


def test_info_says_what_a_fetch_gives(client):
    info = client.info("apple")
    assert (info.width, info.height, info.channels, info.bits) == (640, 960, 3, 8)
    assert info.format == "jpeg"
    image = client.fetch("apple")
    assert (image.info.width, image.info.bytes) == (640, 640 * 960 * 3)
    assert image.icc is None or len(image.icc) == image.info.icc_bytes


def test_info_has_gamma_and_chromaticities_where_the_file_does(client, folder):
    assert client.info("dog").gamma is None
    assert client.info("dog").chromaticities is None
    points = (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
    chunks = PngImagePlugin.PngInfo()
    chunks.add(b"gAMA", struct.pack(">I", 45455))
    chunks.add(b"cHRM", struct.pack(">8I", *(round(point * 100000) for point in points)))
    Pillow.new("L", (3, 2), 200).save(os.path.join(folder, "said.png"), pnginfo=chunks)
    assert not client.info("said").animated
    assert client.info("said").srgb is None
    image = client.fetch("said")
    assert image.info.gamma == 0.45455
    assert image.info.chromaticities == points
    assert (numpy.asarray(image) == 200).all()
    os.unlink(os.path.join(folder, "said.png"))


def test_info_says_which_four_channels_are_cmyk(client, folder):
    path = os.path.join(folder, "inks.jpg")
    profile = struct.pack(">I", 128) + bytes(12) + b"CMYKLab " + bytes(12) + b"acsp" + bytes(88)
    inks = Pillow.new("CMYK", (16, 8), (0, 255, 0, 0))
    inks.save(path, "JPEG", quality=100, icc_profile=profile)
    plain = client.fetch("inks")
    assert (plain.info.channels, plain.info.file_channels, plain.info.cmyk) == (3, 4, False)
    kept = client.fetch("inks", keep_cmyk=True)
    assert (kept.info.channels, kept.info.cmyk) == (4, True)
    assert kept.icc == profile
    # 255 is no ink; Pillow has it the other way around.
    assert (numpy.asarray(kept) == 255 - numpy.asarray(Pillow.open(path))).all()
    assert numpy.asarray(kept)[0, 0, 0] > 250 > 5 > numpy.asarray(kept)[0, 0, 1]
    assert client.fetch("apple", channels=4, keep_cmyk=True).info.cmyk is False
    os.unlink(path)


def test_info_says_where_an_image_lies(client):
    images = client.fetch_many(["apple", "dog"])
    assert len({(image.info.segment, image.info.offset) for image in images}) == 2
    again = client.fetch("apple").info
    assert (again.segment, again.offset) == (images[0].info.segment, images[0].info.offset)


def test_info_says_srgb_and_that_a_png_is_animated(client, folder):
    path = os.path.join(folder, "moving.png")
    chunks = PngImagePlugin.PngInfo()
    chunks.add(b"sRGB", b"\1")
    frames = [Pillow.new("L", (3, 2), value) for value in (200, 100)]
    frames[0].save(path, pnginfo=chunks, save_all=True, append_images=frames[1:])
    image = client.fetch("moving")
    assert image.info.animated
    assert image.info.srgb == 1
    assert (numpy.asarray(image) == 200).all()
    os.unlink(path)


def test_arrays_outlive_the_image_the_connection_and_the_server(folder):
    server = start_server(SPACE + "-short", folder)
    client = shmsem.connect(SPACE + "-short")
    with client.fetch("apple") as image:
        pixels = numpy.asarray(image)
        row = pixels[5]
        view = image.view
    expected = pixels.copy()
    client.close()
    stop_server(server)
    del image
    gc.collect()
    assert (pixels == expected).all()
    del pixels
    gc.collect()
    assert (row == expected[5]).all()
    assert view[5, 0, 0] == expected[5, 0, 0]


def test_an_image_is_held_as_long_as_something_shows_it_and_no_longer(client):
    before = held()
    with client.fetch("apple") as image:
        assert held() == before + 1
    assert held() == before
    with client.fetch("apple") as image:
        pixels = numpy.asarray(image)[:10]
    assert held() == before + 1
    del pixels
    assert held() == before
    view = client.fetch("apple").view
    assert held() == before + 1
    del view
    assert held() == before
    kept = client.fetch("apple", copy=True)
    assert held() == before
    assert kept.shape == (960, 640, 3)


def test_a_closed_image_says_so():
    with shmsem.fetch("apple") as image:
        pass
    with pytest.raises(ValueError):
        image.view
    with pytest.raises(ValueError):
        image.__array_interface__
    with pytest.raises(BufferError):
        memoryview(image)


def test_a_copy_is_writable_and_ones_own(client):
    mine = numpy.asarray(client.fetch("apple", copy=True))
    mine[0, 0] = (1, 2, 3)
    assert mine.flags.writeable
    theirs = numpy.asarray(client.fetch("apple"))
    assert tuple(theirs[0, 0]) != (1, 2, 3)
    with pytest.raises(ValueError):
        theirs[0, 0] = 0


def test_dlpack_goes_as_far_as_numpy_can(client):
    image = client.fetch("apple", copy=True)
    assert image.__dlpack_device__() == (1, 0)
    pixels = numpy.from_dlpack(image)
    assert pixels.shape == (960, 640, 3)
    assert pixels.ctypes.data == numpy.asarray(image).ctypes.data


def test_each_status_is_an_exception_of_its_own(client):
    with pytest.raises(shmsem.NotFoundError) as caught:
        client.fetch("pear")
    assert "pear" in str(caught.value) and caught.value.status == 66
    assert isinstance(caught.value, LookupError)
    with pytest.raises(shmsem.BadDataError):
        client.fetch("broken")
    for wrong in ({"scale": 3}, {"channels": 2}, {"layout": "xyz"}, {"scale": 1000}, {"timeout": -1}):
        with pytest.raises(shmsem.UsageError):
            client.fetch("apple", **wrong)
    with pytest.raises(shmsem.UsageError):
        client.fetch("a\0b")
    with pytest.raises(shmsem.UsageError):
        shmsem.connect("no good")
    with pytest.raises(shmsem.UnavailableError) as caught:
        shmsem.connect("test-python-nobody")
    assert isinstance(caught.value, ConnectionError)


def test_a_connection_says_whose_server_it_accepts():
    uid = os.getuid()
    for user in (None, "any", uid, str(uid)):
        with shmsem.connect(SPACE, server_user=user) as mine:
            mine.ping()
    with pytest.raises(shmsem.PermissionDeniedError) as caught:
        shmsem.connect(SPACE, server_user=uid + 1)
    assert f"(uid {uid})" in str(caught.value)
    with pytest.raises(shmsem.UsageError):
        shmsem.connect(SPACE, server_user="nonesuch")
    with shmsem.connect(SPACE, server_user=uid) as mine, pickle.loads(pickle.dumps(mine)) as again:
        again.ping()


def test_more_images_are_held_than_one_connection_can(client):
    before = held()
    kept = [client.fetch("dog") for _ in range(200)]
    assert held() == before + 200
    del kept
    assert held() == before


def test_names_and_lists(client):
    names = client.names()
    assert names == sorted(names) and {"apple.jpg", "broken.png", "deep.png"} <= set(names)
    assert shmsem.names() == names
    objects = shmsem.objects(namespace=SPACE)["objects"]
    assert any(o["name"].endswith(f"SEG_{SPACE}_HEAD") for o in objects)


def test_cleanup_removes_what_a_killed_server_left(folder):
    space = SPACE + "-dead"
    server = start_server(space, folder)
    server.send_signal(signal.SIGKILL)
    server.wait()
    assert os.path.exists(f"/dev/shm/SEG_{space}_HEAD")
    shmsem.cleanup(space, dry_run=True)
    assert os.path.exists(f"/dev/shm/SEG_{space}_HEAD")
    shmsem.cleanup(space)
    assert not os.path.exists(f"/dev/shm/SEG_{space}_HEAD")


def test_a_connection_finds_a_restarted_server(folder):
    space = SPACE + "-again"
    server = start_server(space, folder)
    client = shmsem.connect(space)
    client.ping()
    stop_server(server)
    with pytest.raises(shmsem.UnavailableError):
        client.ping()
    server = start_server(space, folder)
    client.ping()
    client.close()
    stop_server(server)


def test_a_cut_segment_raises_instead_of_killing(folder):
    space = SPACE + "-cut"
    server = start_server(space, folder)
    with shmsem.connect(space, guard=True) as client:
        image = client.fetch("apple")
        image.check()
        os.truncate(f"/dev/shm/{data_segment(space, image)}", 0)
        numpy.asarray(image).sum()
        with pytest.raises(shmsem.BadDataError):
            image.check()
        image.close()
    stop_server(server)


def data_segment(space, image):
    number = image.info.segment
    return f"SEG_{space}:{number}_DATA" if number else f"SEG_{space}_DATA"



def test_names_may_be_text_bytes_or_paths(client, folder):
    shape = client.fetch("apple.jpg").shape
    assert client.fetch(b"apple.jpg").shape == shape
    assert client.fetch(pathlib.Path("apple.jpg")).shape == shape
    odd = os.path.join(os.fsencode(folder), b"odd\xff.png")
    Pillow.new("L", (3, 2)).save(os.fsdecode(odd))
    assert os.fsdecode(b"odd\xff.png") in client.names()
    for name in (b"odd\xff", os.fsdecode(b"odd\xff")):
        assert client.fetch(name).shape == (2, 3, 1)
    os.unlink(odd)
    for wrong in (None, 3, ["apple"]):
        with pytest.raises(TypeError):
            client.fetch(wrong)


def test_arguments_are_checked(client):
    for arguments, options in (
        ((), {}),
        (("apple", "car"), {}),
        (("apple",), {"sclae": 2}),
        (("apple",), {"scale": "2"}),
        (("apple",), {"out": None}),
        (("apple",), {"fit": 3}),
    ):
        with pytest.raises(TypeError):
            client.fetch(*arguments, **options)
    for options in ({"fit": (1, 2, 3)}, {"fit": (-1, 2)}, {"layout": 3}, {"timeout": float("nan")}):
        with pytest.raises(shmsem.UsageError):
            client.fetch("apple", **options)
    with pytest.raises(TypeError):
        shmsem.Image()


def test_pillow_shows_an_image_without_a_copy(client):
    image = client.fetch("apple", channels=4)
    shown = Pillow.fromarray(image)
    assert shown.mode == "RGBA" and shown.readonly
    before = held()
    image.close()
    del image
    assert held() == before
    assert shown.getpixel((0, 0))[3] == 255
    del shown
    assert held() == before - 1
    assert Pillow.fromarray(client.fetch("apple")).mode == "RGB"


def test_copy_into_fills_any_buffer_of_that_size(client):
    image = client.fetch("apple")
    pixels = numpy.asarray(image)
    for target in (numpy.empty(image.shape, numpy.uint8), bytearray(image.info.bytes)):
        image.copy_into(target)
        assert (numpy.frombuffer(target, numpy.uint8) == pixels.reshape(-1)).all()
    strided = numpy.zeros((960, 1280, 3), numpy.uint8)
    image.copy_into(strided[:, ::2])
    assert (strided[:, ::2] == pixels).all() and not strided[:, 1::2].any()
    with pytest.raises(shmsem.UsageError):
        image.copy_into(bytearray(5))
    with pytest.raises(BufferError):
        image.copy_into(bytes(image.info.bytes))
    image.close()
    with pytest.raises(ValueError):
        image.copy_into(bytearray(pixels.nbytes))


def test_buffers_are_as_their_takers_want_them(client):
    image = client.fetch("apple")
    view = memoryview(image)
    assert (view.shape, view.format, view.readonly, view.c_contiguous) == (
        (960, 640, 3),
        "B",
        True,
        True,
    )
    assert bytes(image)[:6] == bytes(view.cast("B")[:6])
    assert numpy.frombuffer(image, numpy.uint8).shape == (960 * 640 * 3,)
    assert memoryview(client.fetch("deep", native_depth=True)).format == "H"


def test_an_error_carries_its_number_and_survives_pickling():
    again = pickle.loads(pickle.dumps(shmsem.TryAgainError("too late", 110)))
    assert (type(again), str(again), again.os_error) == (shmsem.TryAgainError, "too late", 110)
    with pytest.raises(shmsem.Error):
        raise again
