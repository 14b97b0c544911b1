"""Servers that are Python programs."""

import os
import threading

import numpy
import pytest
from conftest import SPACE, in_child

import shmsem


@pytest.fixture
def space():
    return SPACE + "-made"


class Running:
    """A server that runs in a thread."""

    def __init__(self, *arguments, **options):
        self.server = shmsem.Server(*arguments, **options)
        self.thread = threading.Thread(target=self.server.run)
        self.thread.start()

    def __enter__(self):
        return self.server

    def __exit__(self, *exception):
        self.server.stop()
        self.thread.join(20)
        assert not self.thread.is_alive()
        self.server.close()


def test_what_is_prefetched_is_made_at_once(space):
    """A program that serves has no list."""
    made, seen = [], threading.Event()

    def make(request):
        made.append(request.name)
        if len(made) == 3:
            seen.set()
        return numpy.zeros((2, 2), numpy.uint8)

    with Running(make, namespace=space):
        with shmsem.connect(space) as client:
            client.prefetch(["c", "a", "b"])
            assert seen.wait(60)
    assert made == ["c", "a", "b"]


def test_a_callback_makes_what_is_asked_for(space):
    asked = []

    def make(request):
        asked.append(request)
        if request.name == "deep":
            return numpy.arange(12, dtype=numpy.uint16).reshape(3, 4)
        if request.name == "strided":
            return numpy.arange(48, dtype=numpy.uint8).reshape(4, 4, 3)[::2, ::2]
        if request.name == "bytes":
            return b"hello"
        if request.name == "refused":
            raise shmsem.PermissionDeniedError("not that one")
        if request.name == "bug":
            raise KeyError("bug")
        if request.name == "wrong":
            return numpy.zeros((2, 2, 9), numpy.uint8)
        if request.name == "nonsense":
            return 5
        return None

    with Running(make, names=lambda: ["deep", b"bytes"], namespace=space):
        client = shmsem.connect(space)
        client.fetch("deep", size=(5, 0), crop=(1, 2, 3, 4), resample="box", draft=True)
        assert asked[-1][1:] == (
            *(1, 0, "rgb", (0, 0), (5, 0), 0, 0, (1, 2, 3, 4), "box", True),
            *[False] * 6,
        )
        deep = numpy.asarray(client.fetch("deep", layout="bgr", fit=(3, 4)))
        assert (deep[:, :, 0] == numpy.arange(12).reshape(3, 4)).all()
        assert deep.dtype == numpy.uint16
        request = asked[-1]
        assert (request.scale, request.layout, request.fit) == (1, "bgr", (3, 4))
        strided = numpy.asarray(client.fetch("strided"))
        assert strided.tobytes() == make(asked[-1]).tobytes()
        assert bytes(client.fetch("bytes")) == b"hello"
        assert client.info("deep").width == 4
        assert client.names() == ["bytes", "deep"]
        with pytest.raises(shmsem.PermissionDeniedError, match="not that one"):
            client.fetch("refused")
        with pytest.raises(shmsem.InternalError, match="KeyError"):
            client.fetch("bug")
        with pytest.raises(shmsem.NotFoundError):
            client.fetch("none")
        for name in ("wrong", "nonsense"):
            with pytest.raises(shmsem.Error):
                client.fetch(name)
        assert bytes(client.fetch("bytes")) == b"hello"
        client.close()


def test_frames_replace_each_other(space):
    with Running(namespace=space) as server, shmsem.connect(space) as client:
        frame = numpy.zeros((6, 8, 3), numpy.uint8)
        held = []
        for i in range(50):
            frame[:] = i
            server.publish("camera", frame)
            held.append(numpy.asarray(client.fetch("camera")))
        assert [int(one[0, 0, 0]) for one in held] == list(range(50))
        assert client.names() == ["camera"]
        server.withdraw("camera")
        with pytest.raises(shmsem.NotFoundError):
            client.fetch("camera")
        with pytest.raises(KeyError):
            server.withdraw("camera")
        with pytest.raises(shmsem.UsageError):
            server.publish("camera", numpy.zeros(3, numpy.float64))


def test_frames_are_found_while_the_program_does_nothing(space):
    frame = numpy.full((6, 8, 3), 7, numpy.uint8)
    with shmsem.Server(namespace=space, kept=2) as server:
        server.publish(b"camera", frame)
        with shmsem.connect(space, timeout=0.05) as client:
            for options in ({}, {"channels": 3}, {"scale": 1}):
                assert (numpy.asarray(client.fetch("camera", **options)) == frame).all()
            server.publish("deep", frame[::2, ::2, 0].astype(numpy.uint16))
            assert client.fetch("deep").dtype == "uint16"
            with pytest.raises(shmsem.TryAgainError):
                server.publish("third", frame)
            server.withdraw("deep")
            server.publish("third", frame)
            with pytest.raises(shmsem.TryAgainError):
                client.fetch("deep")
    with pytest.raises(shmsem.UsageError):
        server.publish("camera", frame)


def test_frames_that_are_held_leave_no_room(space):
    frame = numpy.zeros((100, 100), numpy.uint8)
    with shmsem.Server(namespace=space, memory=65536) as server:
        server.publish("camera", frame)
        with shmsem.connect(space) as client:
            held = []
            with pytest.raises(shmsem.TryAgainError, match="no room"):
                for i in range(6):
                    held.append(client.fetch("camera"))
                    server.publish("camera", frame + i)
            held.pop(0)  # the last one is the newest frame
            server.publish("camera", frame)


def test_threads_publish_at_a_time(space):
    frames = [numpy.full((400, 500), i, numpy.uint8) for i in range(4)]
    with shmsem.Server(namespace=space) as server, shmsem.connect(space) as client:

        def film(frame):
            for _ in range(200):
                server.publish("camera", frame)

        threads = [threading.Thread(target=film, args=(frame,)) for frame in frames]
        film(frames[0])
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            seen = numpy.asarray(client.fetch("camera"))
            assert (seen == seen[0, 0]).all()
        for thread in threads:
            thread.join()


def test_it_runs_for_a_time_and_can_be_interrupted(space):
    with shmsem.Server(lambda request: b"x", namespace=space) as server:
        server.run(0.05)
        server.stop()
        server.run()

        def interrupted():
            raise KeyboardInterrupt

        def make(request):
            raise KeyboardInterrupt

    server = shmsem.Server(make, namespace=space)
    errors = []

    def ask():
        try:
            with shmsem.connect(space) as client:
                client.fetch("x")
        except shmsem.Error as error:
            errors.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        server.run(20)
    thread.join(20)
    server.close()
    assert isinstance(errors[0], shmsem.UnavailableError)
    with pytest.raises(shmsem.UsageError):
        server.run(1)


def test_a_second_server_is_refused_and_a_childs_is_not_run(space):
    with shmsem.Server(namespace=space) as server:
        with pytest.raises(shmsem.TryAgainError):
            shmsem.Server(namespace=space)

        def refused():
            try:
                server.run(1)
            except shmsem.UsageError:
                return True
            return False

        assert in_child(refused)
    assert not [name for name in os.listdir("/dev/shm") if space in name]
