"""Several images at a time, also in an event loop."""

import asyncio
import gc
import inspect
import os
import signal
import time

import numpy
import pytest
from conftest import (
    SPACE,
    held,
    in_child,
    pause_server,
    start_server,
    stop_server,
)
from PIL import Image as Pillow

import shmsem

NAMES = [f"{i:02}" for i in range(64)]


@pytest.fixture
def batches(many):
    space = SPACE + "-batch"
    server = start_server(space, many)
    yield space
    gc.collect()
    assert held(space) == 0
    stop_server(server)


def colours(pixels):
    """Whether each is of the colour that its place among the names gives it."""
    return all(
        (numpy.asarray(one) == (i, 255 - i, 7)).all() for i, one in enumerate(pixels)
    )


@pytest.mark.parametrize("rounds", [1, 2])
def test_many_are_fetched_in_their_order(batches, rounds):
    with shmsem.connect(batches) as client:
        for _ in range(rounds):
            images = client.fetch_many(NAMES)
            assert [image.name for image in images] == NAMES
            assert colours(images)
            assert held(batches) == 64
            del images
            assert held(batches) == 0
        assert client.fetch_many([]) == []
        assert len(client.fetch_many(iter(["01", "02"]), scale=2)) == 2
        with pytest.raises(shmsem.UsageError):
            client.fetch_many("01")


def test_they_are_decoded_by_all_decoders(batches):
    """Every decoder has a data segment of its own."""
    with shmsem.connect(batches) as client:
        segments = {image.info.segment for image in client.fetch_many(NAMES)}
    expected = min(len(os.sched_getaffinity(0)), 2)
    assert len(segments) >= expected


@pytest.mark.parametrize("place", [0, 5, 63])
def test_errors_are_raised_or_returned(batches, many, place):
    names = [*NAMES]
    names[place] = "nothing"
    with shmsem.connect(batches) as client:
        with pytest.raises(shmsem.NotFoundError):
            client.fetch_many(names)
        assert held(batches) == 0
        images = client.fetch_many(names, on_error="return")
        assert isinstance(images[place], shmsem.NotFoundError)
        assert sum(isinstance(image, shmsem.Image) for image in images) == 63
        with pytest.raises(shmsem.UsageError):
            client.fetch_many(names, on_error="ignore")
        with pytest.raises(shmsem.NotFoundError):
            client.fetch_batch(names)


def test_a_batch_is_one_array(batches, many):
    with shmsem.connect(batches) as client:
        for _ in range(2):
            array = client.fetch_batch(NAMES)
            assert array.shape == (64, 150, 200, 3) and array.dtype == numpy.uint8
            assert colours(array)
            assert held(batches) == 0
        again = numpy.zeros_like(array)
        assert client.fetch_batch(NAMES, out=again) is again
        assert colours(again)
        plain = bytearray(again.nbytes)
        assert client.fetch_batch(NAMES, out=plain) is plain
        assert plain == again.tobytes()
        for wrong in (numpy.empty(7, numpy.uint8), numpy.empty((65, 150, 200, 3), numpy.uint8)):
            with pytest.raises(shmsem.UsageError):
                client.fetch_batch(NAMES, out=wrong)
        with pytest.raises(BufferError):
            client.fetch_batch(NAMES, out=bytes(again.nbytes))
        with pytest.raises(shmsem.UsageError):
            client.fetch_batch([])
        Pillow.new("RGB", (20, 15)).save(os.path.join(many, "small.png"))
        with pytest.raises(shmsem.UsageError, match="small|one size"):
            client.fetch_batch(["00", "small"])
    assert shmsem.fetch_batch(NAMES[:2], namespace=batches).shape[0] == 2


def stored(client, name):
    return client.info(name, scale=2).from_store


def await_stored(client, names):
    until = time.monotonic() + 60
    while not all(stored(client, name) for name in names):
        assert time.monotonic() < until


def test_images_are_decoded_ahead_and_not_held(batches):
    with shmsem.connect(batches) as client:
        assert not any(stored(client, name) for name in NAMES)
        assert client.prefetch(["nothing", *NAMES, os.fsencode("00")], scale=2) is None
        await_stored(client, NAMES)
        assert not client.fetch("00").info.from_store
        for wrong in ("00", [3], ["a\0b"]):
            with pytest.raises((shmsem.UsageError, TypeError)):
                client.prefetch(wrong)
        client.prefetch([])
        client.prefetch(iter(NAMES[:2]), size=(7, 0))
    with pytest.raises(shmsem.UsageError):
        client.prefetch(NAMES)


@pytest.mark.parametrize(
    "wrong",
    [
        {"scale": 3},
        {"channels": 2},
        {"crop": (1, 1, 5, 0)},
        {"crop": (5, 0)},
        {"crop": (0, 0)},
        {"crop": (0, 0, 0, 0)},
        {"fit": (5, 5), "scale": 2},
        {"fit": (5, 5), "size": (5, 5)},
        {"size": (5, 5), "shorter": 5},
        {"size": (5, 5), "scale": 2},
        {"draft": True},
        {"strict": True, "lenient": True},
    ],
    ids=str,
)
def test_options_that_no_image_can_have_are_refused_as_by_a_fetch(batches, wrong):
    with shmsem.connect(batches) as client:
        with pytest.raises(shmsem.UsageError) as fetching:
            client.fetch("00", **wrong)
        with pytest.raises(shmsem.UsageError) as prefetching:
            client.prefetch(["00"], **wrong)
        assert str(prefetching.value) == str(fetching.value)
        assert not client.info("00").from_store


@pytest.mark.parametrize("name", ["", "x" * 1025, b"x" * 1025, "a\0b"], ids=len)
def test_names_that_no_image_can_have_are_refused_as_by_a_fetch(batches, name):
    async def ahead(names):
        async with shmsem.AsyncConnection(namespace=batches) as asked:
            await asked.prefetch(names)

    with shmsem.connect(batches) as client:
        with pytest.raises(shmsem.UsageError) as fetching:
            client.fetch(name)
        for call in (
            client.prefetch,
            lambda names: shmsem.prefetch(names, namespace=batches),
            lambda names: asyncio.run(ahead(names)),
        ):
            for names in ([name], ["00", name, "01"]):
                with pytest.raises(shmsem.UsageError) as prefetching:
                    call(names)
                assert str(prefetching.value) == str(fetching.value)
        client.prefetch(["x" * 1024, "../x", "a//b"])
        assert not client.info("00").from_store


def ticks(task):
    """Of processor time that a thread has used."""
    with open(f"/proc/self/task/{task}/stat") as file:
        return sum(map(int, file.read().rpartition(")")[2].split()[11:13]))


def test_a_short_timeout_is_not_spent_on_asking_again_and_again(many):
    """While the rest waits for readers, the thread that lists it sleeps."""
    space = SPACE + "-short"
    server = start_server(space, many, "--cache", "1M")
    try:
        with shmsem.connect(space, timeout=0.01) as client, shmsem.connect(space) as other:
            before = set(os.listdir("/proc/self/task"))
            client.prefetch(NAMES * 5, size=(500, 500), timeout=0)
            (thread,) = set(os.listdir("/proc/self/task")) - before
            until = time.monotonic() + 60
            while not any(
                other.info(name, size=(500, 500)).from_store for name in NAMES
            ):
                assert time.monotonic() < until
            used = None
            while used != (used := ticks(thread)):
                assert time.monotonic() < until
                time.sleep(0.2)
    finally:
        stop_server(server)


def test_the_server_decodes_in_the_order_given(many):
    """Behind nothing that somebody waits for, each once."""
    space = SPACE + "-order"
    server = start_server(space, many, "--decoders", "1")
    try:
        with shmsem.connect(space) as client:
            order = NAMES[::-1]
            client.prefetch(order, shorter=31)
            client.prefetch(order, shorter=31)
            until = time.monotonic() + 60
            while not client.info(order[-1], shorter=31).from_store:
                assert time.monotonic() < until
            assert all(client.info(name, shorter=31).from_store for name in order)
    finally:
        stop_server(server)


def test_what_is_not_begun_is_dropped_with_the_connection(batches, many):
    """Its threads end, and give their seats back."""
    before = len(os.listdir("/proc/self/task"))
    for _ in range(20):
        with shmsem.connect(batches) as client:
            client.prefetch(NAMES * 50, shorter=100)
    shmsem.prefetch(NAMES, namespace=batches, scale=2)
    assert in_child(lambda: shmsem.prefetch(NAMES, namespace=batches) is None)
    with shmsem.connect(batches) as client:
        await_stored(client, NAMES)
    until = time.monotonic() + 60
    while len(os.listdir("/proc/self/task")) > before:
        assert time.monotonic() < until

    async def ahead():
        async with shmsem.AsyncConnection(batches) as client:
            await client.prefetch(NAMES, scale=4)

    asyncio.run(ahead())
    while len(os.listdir("/proc/self/task")) > before:
        assert time.monotonic() < until


def test_an_event_loop_prefetches_over_what_its_connection_waits_for(many):
    """Also from a server that comes later."""
    space = SPACE + "-later"

    async def ahead():
        async with shmsem.AsyncConnection(space, wait=60) as client:
            await client.prefetch(NAMES, scale=2)
            server = start_server(space, many)
            try:
                with shmsem.connect(space) as reader:
                    await_stored(reader, NAMES)
            finally:
                stop_server(server)

    asyncio.run(ahead())


def test_what_waits_for_a_server_ends_with_its_connection():
    before = len(os.listdir("/proc/self/task"))

    async def ahead():
        async with shmsem.AsyncConnection(SPACE + "-none", wait=3600) as client:
            await client.prefetch(NAMES)

    asyncio.run(ahead())
    until = time.monotonic() + 60
    while len(os.listdir("/proc/self/task")) > before:
        assert time.monotonic() < until


def blocks(task, number):
    with open(f"/proc/self/task/{task}/status") as file:
        mask = next(line for line in file if line.startswith("SigBlk:"))
    return bool(int(mask.split()[1], 16) >> (number - 1) & 1)


def test_threads_that_decode_ahead_take_no_signal_but_sigbus(many):
    """Where a segment was truncated a blocked SIGBUS would end the process."""
    space = SPACE + "-ahead"
    server = start_server(space, many)
    try:
        with shmsem.connect(space, guard=True) as client:
            before = set(os.listdir("/proc/self/task"))
            pause_server(server)
            client.prefetch(NAMES)
            threads = set(os.listdir("/proc/self/task")) - before
            assert threads
            # A thread that begins blocks all for a moment.
            until = time.monotonic() + 60
            while not all(
                blocks(thread, signal.SIGINT)
                and not blocks(thread, signal.SIGBUS)
                for thread in threads
            ):
                assert time.monotonic() < until
            server.send_signal(signal.SIGCONT)
    finally:
        server.send_signal(signal.SIGCONT)
        stop_server(server)


def test_an_event_loop_fetches(batches):
    async def work():
        async with shmsem.AsyncConnection(batches, threads=2) as client:
            one = await client.fetch("07")
            assert colours([]) and (numpy.asarray(one) == (7, 248, 7)).all()
            images = await client.fetch_many(NAMES)
            assert colours(images) and [image.name for image in images] == NAMES
            array = await client.fetch_batch(NAMES)
            assert colours(array)
            again = numpy.zeros_like(array)
            assert await client.fetch_batch(NAMES, out=again) is again and colours(again)
            with pytest.raises(shmsem.NotFoundError):
                await client.fetch("nothing")
            mixed = await client.fetch_many(["00", "nothing"], on_error="return")
            assert isinstance(mixed[1], shmsem.NotFoundError)
            with pytest.raises(shmsem.UsageError):
                await client.fetch_batch([])
            with pytest.raises(shmsem.UsageError):
                await client.fetch_many("00")

    asyncio.run(work())
    asyncio.run(work())


def test_a_closed_connection_of_an_event_loop_stays_closed(batches):
    async def work():
        client = shmsem.AsyncConnection(batches)
        client.close()
        async with shmsem.AsyncConnection(batches) as left:
            await left.fetch("00")
        for closed in (client, left):
            for call in (
                closed.fetch("00"),
                closed.fetch_many(["00"]),
                closed.fetch_batch(["00"]),
                closed.prefetch(["00"]),
            ):
                with pytest.raises(shmsem.UsageError, match="was closed"):
                    await call

    asyncio.run(work())


def test_the_loop_goes_on_meanwhile_and_needs_no_thread_for_each_call(batches):
    async def work():
        beats = 0

        async def beat():
            nonlocal beats
            while True:
                beats += 1
                await asyncio.sleep(0)

        async with shmsem.AsyncConnection(batches, threads=2) as client:
            heart = asyncio.create_task(beat())
            before = len(os.listdir("/proc/self/task"))
            calls = [asyncio.create_task(client.fetch(name)) for name in NAMES * 4]
            await asyncio.sleep(0)
            assert len(os.listdir("/proc/self/task")) <= before + 2
            await asyncio.gather(*calls)
            heart.cancel()
        assert beats > 1

    asyncio.run(work())


def test_a_cancelled_task_leaves_nothing_held(batches):
    async def work():
        async with shmsem.AsyncConnection(batches, threads=2) as client:
            tasks = [asyncio.create_task(client.fetch(name)) for name in NAMES]
            await asyncio.sleep(0)
            for task in tasks[::2]:
                task.cancel()
            kept = await asyncio.gather(*tasks, return_exceptions=True)
            assert sum(isinstance(image, shmsem.Image) for image in kept) == 32
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(client.fetch("63", scale=8), 0)
            client.close()

    asyncio.run(work())
    assert held(batches) == 0


def test_a_loop_works_in_a_forked_child(batches):
    client = shmsem.AsyncConnection(batches, threads=1)

    async def work():
        return (await client.fetch("00")).shape == (150, 200, 3)

    assert asyncio.run(work())
    assert in_child(lambda: asyncio.run(work()))
    assert asyncio.run(work())
    client.close()


def test_signatures_of_both_kinds_are_the_same():
    for name in ("fetch", "fetch_many", "fetch_batch", "prefetch"):
        assert inspect.signature(getattr(shmsem.AsyncConnection, name)) == inspect.signature(
            getattr(shmsem.Connection, name)
        )
