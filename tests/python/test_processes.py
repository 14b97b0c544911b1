"""Forks, pools, threads, pickles and signals."""

import _thread
import gc
import multiprocessing
import os
import pickle
import signal
import threading
import time

import numpy
import pytest
from conftest import SPACE, held, in_child, pause_server, start_server, stop_server

import shmsem

METHODS = ["fork", "spawn", "forkserver"]


def test_everything_works_in_a_forked_child(client):
    image = client.fetch("apple")
    pixels = numpy.asarray(image)
    shmsem.fetch("apple").close()
    before = held()

    def reads():
        first = int(pixels[0, 0, 0])
        return first == int(numpy.asarray(image)[0, 0, 0]) and image.icc is None

    assert in_child(lambda: client.ping() is None)
    assert in_child(lambda: client.fetch("apple").shape == (960, 640, 3))
    assert in_child(lambda: len(client.fetch_many(["apple", "car"])) == 2)
    assert in_child(lambda: shmsem.fetch("apple").shape == (960, 640, 3))
    assert in_child(lambda: shmsem.connect(SPACE).fetch("apple").shape == (960, 640, 3))
    assert in_child(reads)
    assert in_child(lambda: image.close() is None and client.close() is None)
    assert held() == before
    client.ping()


def test_an_image_in_a_child_is_the_childs_own(client):
    """It stays held there when the parent lets go of it."""
    image = client.fetch("apple")
    expected = numpy.asarray(image).copy()
    before = held()
    ready, go = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        own = numpy.asarray(image)
        os.close(go[1])
        os.write(ready[1], b"x")
        os.read(go[0], 1)
        os._exit(0 if (own == expected).all() else 1)
    os.read(ready[0], 1)
    try:
        assert held() == before + 1
        image.close()
        assert held() == before
    finally:
        for fd in ready + go:
            os.close(fd)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert held() == before - 1


def shape_of(name):
    return shmsem.fetch(name).shape


def shape_over(client, name):
    return client.fetch(name).shape


class Folder:
    """A dataset as one would write it, with a connection and an image in it."""

    def __init__(self):
        self.client = shmsem.connect(SPACE)
        self.image = self.client.fetch("car")

    def __call__(self, name):
        return self.client.fetch(name).shape, numpy.asarray(self.image).shape


@pytest.mark.parametrize("method", METHODS)
def test_pools_of_processes_fetch(method):
    shmsem.fetch("apple").close()
    before = held()
    with multiprocessing.get_context(method).Pool(3) as pool:
        assert set(pool.map(shape_of, ["apple"] * 12)) == {(960, 640, 3)}
        folder = Folder()
        car = folder.image.shape
        assert set(pool.map(folder, ["apple"] * 12)) == {((960, 640, 3), car)}
    pool.join()
    del folder
    assert held() == before


def produce(queue, client, count):
    for i in range(count):
        queue.put(client.fetch("apple" if i % 2 else "car", channels=4))
    queue.put(None)


@pytest.mark.parametrize("method", METHODS)
def test_images_go_through_a_queue_of_processes(method, client):
    """As their names and options: they are mapped again where they arrive."""
    before = held()
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    process = context.Process(target=produce, args=(queue, client, 20))
    process.start()
    seen = list(iter(queue.get, None))
    process.join(20)
    assert process.exitcode == 0
    queue.close()
    queue.join_thread()
    assert [image.shape[2] for image in seen] == [4] * 20
    own = client.fetch("car", channels=4)
    assert numpy.asarray(seen[0]).ctypes.data != 0
    assert (numpy.asarray(seen[0]) == numpy.asarray(own)).all()
    assert held() == before + 21
    del seen, own
    assert held() == before


def test_pickles(client):
    again = pickle.loads(pickle.dumps(client))
    assert again.namespace == SPACE
    assert shape_over(again, "apple") == (960, 640, 3)
    again.close()
    image = client.fetch("apple", scale=2, layout="bgr", timeout=5)
    other = pickle.loads(pickle.dumps(image))
    assert other.shape == image.shape
    assert (numpy.asarray(other) == numpy.asarray(image)).all()
    copy = client.fetch("apple", scale=2, copy=True)
    numpy.asarray(copy)[0, 0] = (1, 2, 3)
    other = pickle.loads(pickle.dumps(copy))
    assert (numpy.asarray(other) == numpy.asarray(copy)).all()
    assert numpy.asarray(other).flags.writeable
    gone = pickle.dumps(image).replace(b"apple", b"pears")
    with pytest.raises(shmsem.NotFoundError):
        pickle.loads(gone)


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


@pytest.fixture
def stopped(folder):
    """The namespace of a server that is stopped, so that every call to it waits."""
    space = SPACE + "-stopped"
    server = start_server(space, folder)
    with shmsem.connect(space) as client:
        client.fetch("apple").close()
    yield space, server
    server.send_signal(signal.SIGCONT)
    stop_server(server)


def test_a_wait_can_be_cancelled(stopped):
    space, server = stopped
    client = shmsem.connect(space)
    pause_server(server)
    timer = threading.Timer(0.1, client.cancel)
    timer.start()
    with pytest.raises(shmsem.TryAgainError):
        client.ping()
    for seconds in (0.05, 0):
        with pytest.raises(shmsem.TryAgainError, match="timed out"):
            client.fetch("car", timeout=seconds)
    server.send_signal(signal.SIGCONT)
    client.close()


def test_others_run_while_a_call_waits(stopped):
    space, server = stopped
    client = shmsem.connect(space)
    pause_server(server)
    counted = 0
    thread = threading.Thread(target=lambda: client.fetch("car").close())
    thread.start()
    until = time.monotonic() + 20
    while counted < 1000 and time.monotonic() < until:
        counted += 1
    assert thread.is_alive()
    server.send_signal(signal.SIGCONT)
    thread.join(20)
    assert counted == 1000 and not thread.is_alive()
    client.close()


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.fetch("car"),
        lambda client: client.ping(),
        lambda client: client.names(),
        lambda client: client.fetch_many(["apple", "car", "dog"]),
        lambda client: client.fetch_batch(["car"]),
    ],
)
def test_an_interrupted_call_raises_and_leaves_nothing_held(stopped, call):
    space, server = stopped
    client = shmsem.connect(space)
    pause_server(server)
    timer = threading.Timer(0.2, _thread.interrupt_main)
    timer.start()
    begin = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        call(client)
    assert time.monotonic() - begin < 10
    timer.join()
    server.send_signal(signal.SIGCONT)
    # The next call works, and what was answered late is not held.
    assert client.fetch("apple").shape == (960, 640, 3)
    assert held(space) == 0
    client.close()


def test_an_exception_that_comes_with_the_answer_leaves_nothing_held(stopped):
    """The handler lets the server go on, so that the answer is there when it raises."""
    space, server = stopped
    client = shmsem.connect(space)

    def handler(number, frame):
        server.send_signal(signal.SIGCONT)
        with shmsem.connect(space) as other:
            for _ in range(100):
                other.ping()
        raise KeyError("handler")

    before = signal.signal(signal.SIGALRM, handler)
    for call in (client.ping, client.names, lambda: client.fetch("car"), lambda: client.info("car")):
        pause_server(server)
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(KeyError):
            call()
    signal.signal(signal.SIGALRM, before)
    assert held(space) == 0
    client.close()


def test_a_wait_for_the_turn_can_be_interrupted(stopped):
    space, server = stopped
    client = shmsem.connect(space)
    pause_server(server)
    thread = threading.Thread(target=lambda: client.fetch("car").close())
    thread.start()
    before = signal.signal(signal.SIGALRM, lambda *_: 1 / 0)
    signal.setitimer(signal.ITIMER_REAL, 0.1, 0.1)
    with pytest.raises(ZeroDivisionError):
        client.ping()
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)
    server.send_signal(signal.SIGCONT)
    thread.join(20)
    assert not thread.is_alive()
    client.ping()
    client.close()


def test_a_handler_may_not_use_the_connection_that_it_interrupts(stopped):
    space, server = stopped
    client = shmsem.connect(space)
    pause_server(server)
    before = signal.signal(signal.SIGALRM, lambda *_: client.ping())
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    with pytest.raises(shmsem.UsageError):
        client.fetch("car")
    signal.signal(signal.SIGALRM, before)
    server.send_signal(signal.SIGCONT)
    client.fetch("apple").close()
    client.close()


def test_nothing_is_left_behind():
    gc.collect()
    left = [name for name in os.listdir("/dev/shm") if SPACE + "-" in name]
    assert not left
