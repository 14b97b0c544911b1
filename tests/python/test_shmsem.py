"""shmsem.py against a server of the project's own images, with numpy and PIL as the judges."""

import ctypes
import gc
import multiprocessing
import os
import pickle
import shutil
import signal
import struct
import subprocess
import threading

import numpy
import pytest
from PIL import Image as Pillow
from PIL import PngImagePlugin

import shmsem

PROGRAM = os.environ["SHMSEM"]
IMAGES = os.environ["SHMSEM_IMAGES"]
SPACE = f"test-python-{os.getpid()}"


def start_server(space, folder, *options):
    server = subprocess.Popen([PROGRAM, "serve", "-q", "-N", space, *options, folder])
    shmsem.connect(space, wait=20).close()
    return server


def stop_server(server):
    server.terminate()
    assert server.wait(20) == 0


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("images")
    for name in os.listdir(IMAGES):
        shutil.copy(os.path.join(IMAGES, name), path)
    ramp = numpy.arange(0, 65536, 16, dtype=numpy.uint16).reshape(32, 128)
    Pillow.fromarray(ramp).save(path / "deep.png")
    (path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    return str(path)


@pytest.fixture(scope="module", autouse=True)
def server(folder):
    os.environ["SHMSEM_NAMESPACE"] = SPACE
    server = start_server(SPACE, folder)
    yield server
    stop_server(server)


@pytest.fixture
def client():
    with shmsem.connect(SPACE) as client:
        yield client


def held():
    """Images that requesters of our server hold, as `list` says."""
    gc.collect()
    objects = shmsem.list(namespace=SPACE, columns=["HELD"])["objects"]
    return sum(o["held"] for o in objects if o["name"].endswith("_HEAD"))


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
        numpy.asarray(image.view)
    with pytest.raises(ValueError):
        image.__array_interface__


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
    objects = shmsem.list(namespace=SPACE)["objects"]
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


def test_threads_share_a_connection(client):
    wrong = []

    def work(name, shape):
        try:
            for _ in range(50):
                with client.fetch(name) as image:
                    if image.shape != shape or numpy.asarray(image).shape != shape:
                        wrong.append(name)
        except shmsem.Error as error:
            wrong.append(error)

    shapes = {name: client.fetch(name).shape for name in ("apple", "ball", "car", "dog")}
    threads = [threading.Thread(target=work, args=item) for item in list(shapes.items()) * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_wait_can_be_cancelled(folder):
    space = SPACE + "-stopped"
    server = start_server(space, folder)
    client = shmsem.connect(space)
    server.send_signal(signal.SIGSTOP)
    timer = threading.Timer(0.1, client.cancel)
    timer.start()
    with pytest.raises(shmsem.TryAgainError):
        client.ping()
    with pytest.raises(shmsem.TryAgainError):
        client.fetch("apple", timeout=0.05)
    server.send_signal(signal.SIGCONT)
    client.close()
    stop_server(server)


def in_child(work):
    """Runs work in a forked child; True if it returned true."""
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if work() else 1)
        finally:
            os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_forked_child_connects_anew(client):
    image = client.fetch("apple")
    pixels = numpy.asarray(image)
    shmsem.fetch("apple").close()

    def refused():
        try:
            client.ping()
        except shmsem.UsageError as error:
            return "fork" in str(error)
        return False

    def reads():
        first = int(pixels[0, 0, 0])
        image.close()
        client.close()
        gc.collect()
        return first == int(pixels[0, 0, 0])

    before = held()
    assert in_child(refused)
    assert in_child(reads)
    assert in_child(lambda: shmsem.fetch("apple").shape == (960, 640, 3))
    assert in_child(lambda: shmsem.connect(SPACE).fetch("apple").shape == (960, 640, 3))
    assert held() == before
    client.ping()


def shape_of(name):
    return shmsem.fetch(name).shape


def shape_over(client, name):
    return client.fetch(name).shape


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_pools_of_processes_fetch(method):
    shmsem.fetch("apple").close()
    with multiprocessing.get_context(method).Pool(3) as pool:
        assert set(pool.map(shape_of, ["apple"] * 12)) == {(960, 640, 3)}


def test_a_pickled_connection_connects_and_an_image_refuses(client):
    again = pickle.loads(pickle.dumps(client))
    assert shape_over(again, "apple") == (960, 640, 3)
    again.close()
    with pytest.raises(TypeError):
        pickle.dumps(client.fetch("apple"))


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
    number = image._hold.image.info.segment
    return f"SEG_{space}:{number}_DATA" if number else f"SEG_{space}_DATA"


def test_the_structures_are_the_headers():
    pairs = {
        "shmsem_error": shmsem._Error,
        "shmsem_connect_options": shmsem._ConnectOptions,
        "shmsem_request": shmsem._Request,
        "shmsem_info": shmsem._Info,
        "shmsem_image": shmsem._Image,
    }
    lines = subprocess.run([os.environ["SHMSEM_LAYOUT"]], capture_output=True, text=True, check=True)
    for line in lines.stdout.splitlines():
        what, number = line.split()
        kind, _, field = what.partition(".")
        structure = pairs[kind]
        found = getattr(structure, field).offset if field else ctypes.sizeof(structure)
        assert found == int(number), what


def test_the_types_are_checked(tmp_path):
    source = os.environ["SHMSEM_PYTHON"]
    user = tmp_path / "user.py"
    user.write_text(
        "import shmsem\n\n\ndef height(name: str) -> int:\n"
        "    with shmsem.fetch(name, scale=2) as image:\n        return image.shape[0]\n"
    )
    for file in (os.path.join(source, "shmsem.py"), str(user)):
        done = subprocess.run(
            ["mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), file],
            env={**os.environ, "MYPYPATH": source},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout


def test_nothing_is_left_behind():
    left = [name for name in os.listdir("/dev/shm") if SPACE + "-" in name]
    assert not left


def test_the_loader_measures_both_ways():
    loader = os.path.join(os.path.dirname(__file__), "loader.py")
    done = subprocess.run(
        ["/usr/bin/python3", loader, IMAGES, "1"], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("images/s in each epoch") == 2
