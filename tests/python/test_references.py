"""References and descriptors that calls leave behind; see counted.py. numpy is not used: it counts none."""

import asyncio
import gc
import os
import pickle
import sys
import threading

import pytest
from conftest import SPACE

import shmsem

ROUNDS = 20  # more than the references that the counting itself has


def refused(error, call, *arguments, **options):
    with pytest.raises(error):
        call(*arguments, **options)


def fetch(client):
    for options in ({}, {"copy": True}, {"layout": "bgr", "crop": (9, 9), "size": (5, 5)}):
        with client.fetch("apple", **options) as image:
            memoryview(image).cast("B")
            image.info, image.icc, image.shape, image.dtype, image.name, repr(image), bytes(image)
            image.__array_interface__, image.__dlpack_device__(), image.check()
            image.copy_into(bytearray(image.info.bytes))
    shmsem.fetch(b"apple").close()
    client.info("apple"), client.names(), client.ping(), repr(client), client.namespace


def refuse(client):
    for wrong in ("pear", "broken", "a\0b", 5, "a/../b"):
        refused(Exception, client.fetch, wrong)
        refused(Exception, client.info, wrong)
    for options in (
        *({"scale": 9}, {"fit": 2}, {"fit": (1, "2")}, {"nothing": 3}, {"timeout": "x"}),
        *({"crop": (1, 2, 3)}, {"layout": "xyz"}, {"shorter": -1}, {"scale": 1 << 70}),
    ):
        refused(Exception, client.fetch, "apple", **options)
    refused(TypeError, client.fetch)
    refused(shmsem.UnavailableError, shmsem.connect, SPACE + "-nobody")
    refused(shmsem.UsageError, shmsem.connect, SPACE, server_user="nonesuch")
    refused(TypeError, shmsem.Image)
    image = client.fetch("apple")
    refused(BufferError, image.copy_into, b"")
    refused(shmsem.UsageError, image.copy_into, bytearray(3))
    refused(TypeError, image.tensor, 5)
    image.close()
    refused(BufferError, memoryview, image)
    refused(ValueError, lambda: image.view)
    refused(ValueError, bytes, image)


def batches(client):
    assert len(client.fetch_many(["apple", "car"])) == 2
    client.fetch_many(["apple", "pear"], on_error="return")
    refused(shmsem.NotFoundError, client.fetch_many, ["apple", "pear"])
    refused(TypeError, client.fetch_many, ["apple", 5])
    refused(shmsem.UsageError, client.fetch_many, "apple")
    client.fetch_batch(["apple"] * 2, size=(8, 8), out=bytearray(2 * 8 * 8 * 3))
    refused(shmsem.UsageError, client.fetch_batch, ["apple"], out=bytearray(1))
    refused(shmsem.UsageError, client.fetch_batch, ["apple", "car"], out=bytearray(2 * 640 * 960 * 3))
    refused(shmsem.UsageError, client.fetch_batch, [])


def pickles(client):
    pickle.loads(pickle.dumps(client)).ping()
    for options in ({"size": (5, 0), "resample": "box"}, {"copy": True}):
        pickle.loads(pickle.dumps(client.fetch("apple", **options)))
    gone = pickle.dumps(client.fetch("apple")).replace(b"apple", b"pears")
    refused(shmsem.NotFoundError, pickle.loads, gone)
    pickle.loads(pickle.dumps(shmsem.TryAgainError("late", 110)))


async def asynchronous():
    async with shmsem.AsyncConnection(SPACE, threads=1) as client:
        await client.fetch("apple")
        await client.fetch_many(["car", "pear"], on_error="return")
        await client.fetch_batch(["apple"] * 2, size=(8, 8), out=bytearray(2 * 8 * 8 * 3))
        with pytest.raises(shmsem.NotFoundError):
            await client.fetch("pear")
        with pytest.raises(shmsem.UsageError):
            await client.fetch("apple", scale=9)
        task = asyncio.create_task(client.fetch("dog"))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def pixels(value=0):
    return memoryview(bytes([value] * 12)).cast("B", (2, 2, 3))


def make(request):
    if request.name == "refused":
        raise shmsem.PermissionDeniedError("not that one")
    return {"wrong": 5, "none": None}.get(request.name, pixels())


def servers(client):
    space = SPACE + "-references"
    refused(TypeError, shmsem.Server, memory="x")
    refused(shmsem.UsageError, shmsem.Server, namespace="no good")
    with shmsem.Server(make, names=lambda: ["a"], namespace=space) as server:
        for i in range(3):
            server.publish("frame", pixels(i))
        refused(shmsem.UsageError, server.publish, "frame", memoryview(bytes(8)).cast("d"))
        refused(TypeError, server.publish, "frame", 5)
        with shmsem.connect(space) as other:
            assert other.fetch("frame").view[0, 0, 0] == 2
        server.withdraw("frame")
        refused(KeyError, server.withdraw, "frame")
        server.run(0.001)
        server.stop()
        server.run()
    refused(shmsem.UsageError, server.run)


def callbacks(client):
    space = SPACE + "-references"
    with shmsem.Server(make, names=lambda: ["a", b"b"], namespace=space) as server:
        thread = threading.Thread(target=server.run)
        thread.start()
        with shmsem.connect(space) as other:
            assert other.fetch("good", size=(3, 4)).shape == (2, 2, 3)
            assert other.names() == ["a", "b"]
            for name in ("refused", "wrong", "none"):
                refused(shmsem.Error, other.fetch, name)
        server.stop()
        thread.join()


def state():
    gc.collect()
    return sys.gettotalrefcount(), len(os.listdir("/proc/self/fd"))


def leaves_nothing(work, *arguments):
    """Something that a call leaves behind is there as often as it was called; caches are not."""
    least = None
    for _ in range(3):
        work(*arguments)
    for _ in range(3):
        before = state()
        for _ in range(ROUNDS):
            work(*arguments)
        grown = [after - first for first, after in zip(before, state())]
        least = grown if least is None else list(map(min, least, grown))
    assert max(least) < ROUNDS, least


@pytest.mark.parametrize("work", [fetch, refuse, batches, pickles, servers, callbacks])
def test_calls_leave_nothing_behind(work, client):
    leaves_nothing(work, client)


def test_event_loops_leave_nothing_behind():
    loop = asyncio.new_event_loop()
    loop.slow_callback_duration = 60
    leaves_nothing(lambda: loop.run_until_complete(asynchronous()))
    loop.close()
