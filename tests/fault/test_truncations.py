"""Objects that are truncated, posted and overwritten from outside (tests/README.md, rows 8 to 10)."""
import mmap
import os
import random
import signal
import struct
import time

import pytest

from harness import (BAD_DATA, cpu_seconds, INTERNAL, NOT_PERMITTED, SANITIZED, TRIES, TRY_AGAIN, UNAVAILABLE, until, USAGE, within,
                     WRONG_PIXELS)

TYPED = (0, USAGE, BAD_DATA, UNAVAILABLE, INTERNAL, TRY_AGAIN, NOT_PERMITTED)
PAGE = 4096
SEATS = 6
POLL = 0.1  # seconds that nobody sleeps longer than, whatever the semaphores say
LATE = os.environ.get('FAULT_LATE', 'fault-late.so')


def works_again(scene, workers, images):
    """All clients get right pixels again, and fast: nobody is left to a poll."""
    for worker in workers:
        def right(worker=worker):
            status, text = worker.call('repeat', 3, images[0].name, images[0].sum)
            assert status in TYPED, text
            return status == 0
        until(right, 'right pixels after the damage')
    best = [10 ** 12]

    def fast():
        status, text = workers[0].call('repeat', 50, images[0].name, images[0].sum)
        assert status == 0, text
        best[0] = min(best[0], int(text.split()[1]))
        return best[0] < 30000000
    until(fast, 'answers that wait for no poll')


def damage_while_busy(scene, targets, workers, images, seconds, damage):
    """Lets the workers fetch while something is done to one of the targets every few milliseconds."""
    chance = random.Random(11)
    done, failed = 0, 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        busy = [(worker, chance.choice(images)) for worker in workers]
        for worker, image in busy:
            worker.send('repeat', 20, image.name, image.sum)
        for _ in range(3):
            time.sleep(chance.random() * 0.004)
            damage(chance.choice(targets), chance)
            done += 1
        for worker, image in busy:
            status, text = worker.receive()
            assert status in TYPED, text
            failed += status != 0
    scene.note(f'damaged {done} times, {failed} calls failed with a typed error')


def cut(path, chance):
    # An index that was damaged is given up.
    if path.endswith('_INDEX') and not os.path.exists(path):
        return
    size = os.stat(path).st_size
    os.truncate(path, chance.choice([0, size // 2, max(size - 1, 0), chance.randrange(size + 1)]))


def test_cutting_head_and_semaphores_never_changes_pixels_that_are_held(scene):
    server = scene.serve('-s', str(SEATS), '--cache', '1M')
    images = [scene.image(f'i{i}', seed=i, width=100 + i) for i in range(30)]
    holder = scene.worker()
    held = [(holder.fetch(image), image) for image in images[:3]]
    workers = [scene.worker() for _ in range(3)]
    targets = [scene.path('HEAD'), scene.path('HEAD'), scene.path('REQ')] + \
        [scene.path('RES', seat) for seat in range(4)]
    damage_while_busy(scene, targets, workers, images, 4, cut)
    for slot, image in held:
        assert holder.sum(slot) == image.sum, ('held pixels of', image.name, 'changed')
    works_again(scene, workers + [holder], images)
    for slot, image in held:
        assert holder.sum(slot) == image.sum, ('held pixels of', image.name, 'changed')
        holder.call('release', slot)
    assert server.process.poll() is None
    new = scene.worker(connect=False)
    # What clients find by themselves, they find while the server has not looked at its objects yet.
    until(lambda: new.connect()[0] == 0, 'what was cut to be mended')
    new.fetch(images[5])


@pytest.mark.parametrize('which', [
    'data', 'everything',
    # Its threads are late at random (delayed.c), so that cuts are found by others than those whom they hit.
    pytest.param('data_of_a_delayed_server', marks=pytest.mark.skipif(SANITIZED, reason='its run-time wants to be loaded first')),
])
def test_cutting_gives_right_pixels_or_an_error(scene, which):
    decoders, more = (3, {'env': {**os.environ, 'LD_PRELOAD': LATE}}) if 'delayed' in which else (2, {})
    scene.serve('-w', str(decoders), '-s', str(SEATS), '--cache', '1M', **more)
    images = [scene.image(f'i{i}', seed=i, width=100 + i) for i in range(30)]
    workers = [scene.worker() for _ in range(4)]
    targets = [scene.path('DATA', index) for index in range(decoders)]
    if which == 'everything':
        targets = ['/dev/shm/' + name for name in os.listdir('/dev/shm')]
    damage_while_busy(scene, targets, workers, images, 4, cut)
    works_again(scene, workers, images)
    for image in images:
        workers[0].call('release', workers[0].fetch(image))


def test_pixels_that_were_cut_off_are_told_from_whole_ones_without_the_header_too(scene):
    """The server has made whole again what was truncated, and then the page goes in which it counts that."""
    server = scene.serve('-s', str(SEATS))
    image, worker = scene.image('a'), scene.worker()
    slot = worker.fetch(image)
    assert worker.call('check', slot)[0] == 0
    size = os.stat(scene.path('DATA')).st_size
    os.truncate(scene.path('DATA'), 0)
    until(lambda: os.stat(scene.path('DATA')).st_size == size, 'the server to make it whole again')
    server.process.send_signal(signal.SIGSTOP)
    os.truncate(scene.path('HEAD'), SEATS * PAGE)
    status, text = worker.call('check', slot)
    server.process.send_signal(signal.SIGCONT)
    assert worker.sum(slot) != image.sum
    assert status == BAD_DATA, text
    worker.call('release', slot)
    works_again(scene, [worker], [image])


def write_value(path, value):
    with open(path, 'r+b') as file:
        os.pwrite(file.fileno(), struct.pack('<I', value), 0)


def longest_fetch(worker, image):
    status, text = worker.call('repeat', 50, image.name, image.sum)
    assert status == 0, text
    return int(text.split()[0]) / 1e9


def test_semaphores_that_lie_cost_neither_answers_nor_a_core(scene):
    server = scene.serve('-w', '1', '-s', str(SEATS))
    image, slow = scene.image('a'), scene.image('b', seed=2)
    worker, waiter, vandal = scene.worker(), scene.worker(), scene.worker(connect=False)
    names = [f'/SEM_{scene.space}_REQ', f'/SEM_{scene.space}_RES']
    worker.fetch(image)
    time.sleep(0.05)
    worker.fetch(image)
    decoder = server.decoder_pids()[0]
    for name in names:
        def after_posts(name=name):
            assert vandal.call('post', name, 1000000)[1] == '1000000'
            return longest_fetch(worker, image)
        took = within(POLL, after_posts, f'a fetch after a million posts of {name}')
        scene.note(f'{name}: a million posts, then longest {took * 1000:.2f} ms of 50 fetches')
    for value in (0x7fffffff, 0, 0xffffffff, 0x80000000):
        for path in (scene.path('REQ'), scene.path('RES'), scene.path('RES', 1)):
            def after_write(path=path, value=value):
                write_value(path, value)
                return longest_fetch(worker, image)
            within(POLL, after_write, f'a fetch with {value:#x} in {path}')
    # Zeroed, count of waiters included, while somebody has been asleep on it for a while: a post wakes nobody.
    turns = iter(range(TRIES))

    def after_zeroing():
        late = scene.image(f'late{next(turns)}', seed=3)
        os.kill(decoder, 19)
        waiter.send('fetch', late.name)
        time.sleep(0.15)
        for path in (scene.path('REQ'), scene.path('RES', 1)):
            with open(path, 'r+b') as file:
                os.pwrite(file.fileno(), bytes(8), 0)
        begin = time.monotonic()
        os.kill(decoder, 18)
        status, text = waiter.receive()
        took = time.monotonic() - begin
        assert status == 0, text
        waiter.call('release', text.split()[0])
        return took
    scene.note(f'zeroed with a waiter: answered after {within(POLL, after_zeroing, "an answer that wakes nobody") * 1000:.1f} ms')
    # Zeroed and at the maximum while somebody waits for long.
    os.kill(decoder, 19)
    waiter.send('fetch', slow.name)
    time.sleep(0.1)
    for value in (0, 0x7fffffff):
        for path in (scene.path('REQ'), scene.path('RES', 1)):
            write_value(path, value)
    before, client_before, begin = cpu_seconds(server.pid), cpu_seconds(waiter.process.pid), time.monotonic()
    storm = 0
    while time.monotonic() - begin < 2:
        storm += int(vandal.call('post', names[0], 2000)[1])
        time.sleep(0.001)
    took = time.monotonic() - begin
    share = (cpu_seconds(server.pid) - before) / took
    client_share = (cpu_seconds(waiter.process.pid) - client_before) / took
    scene.note(f'{storm} posts in {took:.1f} s: server {share:.1%} of a core, waiting client {client_share:.1%}')
    # The share follows the number of posts, a few per cent for a million in a second; who does not sleep has all of it.
    assert share < 0.2 and client_share < 0.2
    os.kill(decoder, 18)
    assert waiter.receive()[0] == 0
    works_again(scene, [worker, waiter], [image])


# ---- fields of HEAD ----

VALUES = (0, 1, 2 ** 64 - 1, 2 ** 63, 2 ** 32, 2 ** 31 - 1, 4095, 4097)
INNOCENT_SEAT = 1


def head_of(scene):
    with open(scene.path('HEAD'), 'r+b') as file:
        return mmap.mmap(file.fileno(), 0)


def fields(seats):
    """Every aligned word of seat 0's page up to the text, and of the server's page."""
    return list(range(0, 1352, 8)) + [4088] + [(seats + 2) * PAGE + at for at in range(0, 80, 8)] + [seats * PAGE + at for at in range(0, 256, 8)]


def test_every_field_of_head_may_say_anything(scene):
    """Seat 0 belongs to the client whose memory is overwritten; the client of seat 1 must not notice."""
    server = scene.serve('-w', '1', '-s', str(SEATS))
    image = scene.image('a')
    damaged, innocent = scene.worker(timeout=300), scene.worker()
    time.sleep(0.05)
    innocent.call('release', innocent.fetch(image))
    head = head_of(scene)
    chance = random.Random(3)
    tried = 0
    for at in fields(SEATS):
        old = struct.unpack_from('<Q', head, at)[0]
        for value in VALUES + (old ^ 1, (old + 1) % 2 ** 64, (old - 1) % 2 ** 64, chance.getrandbits(64)):
            struct.pack_into('<Q', head, at, value)
            if tried % 8 == 0:
                status, text = damaged.call('fetch', image.name)
                assert status in TYPED + (66,), (hex(at), hex(value), text)
                if status == 0:
                    damaged.call('release', text.split()[0])
            tried += 1
        status, text = innocent.call('repeat', 2, image.name, image.sum)
        assert status == 0, (text, 'at', hex(at))
        assert server.process.poll() is None, server.said()
    scene.note(f'{tried} values in {len(fields(SEATS))} fields')
    head.close()
    until(lambda: damaged.call('repeat', 3, image.name, image.sum)[0] == 0, 'the damaged client to recover')


def test_fields_that_change_while_they_are_read_do_no_harm(scene):
    server = scene.serve('-w', '1', '-s', str(SEATS), '--cache', '1M')
    images = [scene.image(f'i{i}', seed=i, width=100 + i) for i in range(20)]
    damaged, innocent = scene.worker(timeout=300), scene.worker()
    head = head_of(scene)
    chance = random.Random(5)
    flips, wrong = 0, 0
    end = time.monotonic() + 4
    while time.monotonic() < end:
        image = chance.choice(images)
        damaged.send('repeat', 10, image.name, image.sum)
        innocent.send('repeat', 10, images[3].name, images[3].sum)
        for _ in range(300):
            at = chance.choice(fields(SEATS))
            head[at + chance.randrange(8)] ^= 1 << chance.randrange(8)
            flips += 1
        status, text = innocent.receive()
        assert status == 0, text
        status, text = damaged.receive()
        # Who overwrites an answer decides which pixels its reader sees; nobody can tell.
        assert status in TYPED + (66, WRONG_PIXELS), text
        wrong += status == WRONG_PIXELS
        assert server.process.poll() is None, server.said()
    scene.note(f'{flips} bits flipped; {wrong} answers of the damaged client were overwritten unnoticed, none of the other')
    head.close()
    works_again(scene, [innocent, damaged], images)


def test_a_client_that_comes_later_finds_what_was_overwritten_put_right(scene):
    """What never changes in HEAD, and the count of cuts: magic, version, seats, segments, instance; ready, reserve, cuts."""
    scene.serve('-s', str(SEATS))
    image, old = scene.image('a'), scene.worker()
    old.call('release', old.fetch(image))
    server_page = SEATS * PAGE
    for at in (32, 40, 44, 48, 56, PAGE + 40, server_page, server_page + 8, server_page + 76):
        with open(scene.path('HEAD'), 'r+b') as file:
            byte = os.pread(file.fileno(), 1, at)
            os.pwrite(file.fileno(), bytes([byte[0] ^ 4]), at)
        new = scene.worker(connect=False)

        def right(worker):
            status, text = worker.connect()
            if status == 0:
                status, text = worker.call('repeat', 1, image.name, image.sum)
            assert status in TYPED, (at, text)
            return status == 0
        until(lambda new=new: right(new), f'a new client to be served after byte {at} was overwritten')
        until(lambda: right(old), f'an old client to be served after byte {at} was overwritten')
        new.end()
        scene.workers.remove(new)


def test_a_client_that_has_known_an_overwritten_header_learns_the_right_one(scene):
    """Seats, segments and the reserve, overwritten while a client connects: with one bit more, and with one bit fewer."""
    image = scene.image('a')
    server = scene.serve('-s', '12', '-w', '3')
    first = scene.worker()
    first.call('release', first.fetch(image))
    server_page = 12 * PAGE
    for at, bit in ((44, 3), (44, 2), (48, 1), (48, 0), (server_page + 8 + 7, 5), (server_page + 8 + 3, 2)):
        client = scene.worker(connect=False, wait=0)
        server.process.send_signal(signal.SIGSTOP)
        with open(scene.path('HEAD'), 'r+b') as file:
            byte = os.pread(file.fileno(), 1, at)
            os.pwrite(file.fileno(), bytes([byte[0] ^ 1 << bit]), at)
        status, text = client.connect()
        server.process.send_signal(signal.SIGCONT)

        def right(client=client):
            status, text = client.call('repeat', 1, image.name, image.sum)
            if 'not connected' in text:
                client.connect()
            assert status in TYPED, text
            return status == 0
        until(right, f'right pixels after bit {bit} of byte {at} was flipped')
        client.end()
        scene.workers.remove(client)
