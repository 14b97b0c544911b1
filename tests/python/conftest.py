"""A server of the project's own images, and what the tests ask about it."""

import gc
import os
import shutil
import signal
import subprocess

import numpy
import pytest
from PIL import Image as Pillow

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


def pause_server(server):
    """Stops it, and waits until it has stopped: all of its threads."""
    server.send_signal(signal.SIGSTOP)
    tasks = f"/proc/{server.pid}/task"
    while True:
        states = []
        for task in os.listdir(tasks):
            with open(f"{tasks}/{task}/stat") as file:
                states.append(file.read().rpartition(")")[2].split()[0])
        if set(states) == {"T"}:
            return


def held(space=SPACE):
    """Images that requesters of our server hold, as `list` says."""
    gc.collect()
    objects = shmsem.objects(namespace=space, columns=["HELD"])["objects"]
    return sum(o["held"] for o in objects if o["name"].endswith("_HEAD"))


def in_child(work):
    """Runs work in a forked child; True if it returned true."""
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if work() else 1)
        finally:
            os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("images")
    for name in os.listdir(IMAGES):
        shutil.copy(os.path.join(IMAGES, name), path)
    ramp = numpy.arange(0, 65536, 16, dtype=numpy.uint16).reshape(32, 128)
    Pillow.fromarray(ramp).save(path / "deep.png")
    (path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    return str(path)


@pytest.fixture(scope="session", autouse=True)
def server(folder):
    os.environ["SHMSEM_NAMESPACE"] = SPACE
    server = start_server(SPACE, folder)
    yield server
    stop_server(server)


@pytest.fixture
def client():
    with shmsem.connect(SPACE) as client:
        yield client


@pytest.fixture
def many(tmp_path):
    """A folder of 64 pictures of one size, of which each has a colour of its own."""
    for i in range(64):
        Pillow.new("RGB", (200, 150), (i, 255 - i, 7)).save(tmp_path / f"{i:02}.png")
    return str(tmp_path)
