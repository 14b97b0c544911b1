"""What other processes can do to a server and its clients, by whose they are: shmsem(7), WHAT IS NOT PROMISED.

Strangers act at random beside honest clients, STRANGERS_SECONDS (4) a test: on words, locks, semaphores, lengths, names and
requests.
"""
import ctypes
import errno
import fcntl
import json
import os
import random
import signal
import struct
import time

import pytest

from harness import (BAD_DATA, INTERNAL, NOT_FOUND, NOT_PERMITTED, TRY_AGAIN, UNAVAILABLE, until, USAGE, WRONG_PIXELS)

SECONDS = float(os.environ.get('STRANGERS_SECONDS', '4'))
SEED = int(os.environ.get('STRANGERS_SEED', str(time.time_ns() % 1000000)))
SEATS, STRANGER = 4, 61183
F_OFD_SETLK = 37
SEAT_PAGE, SERVER_LOCK, QUEUE_LOCK, CLEANER_LOCK = 4096, 1 << 40, 1 << 41, 1 << 42
REQUESTED, OPERATIONS = 1, 6
TYPED = (0, USAGE, BAD_DATA, NOT_FOUND, UNAVAILABLE, INTERNAL, TRY_AGAIN, NOT_PERMITTED)


def head_spared():
    """Clients that find HEAD damaged get no further; so every other second all act on the rest alone."""
    return int(time.monotonic()) % 2


def leads_to_head(name):
    return name.endswith('_HEAD') or name.startswith('other-')


class Acts:
    """What one process does to the objects, whatever the kernel says to it; `done` counts what it was let do, by object."""

    def __init__(self, seed, server, spare_names):
        self.chance, self.server, self.spare_names = random.Random(seed), server, spare_names
        self.tried, self.done, self.held = 0, {}, []

    def an_object(self, *kinds):
        names = sorted(name for name in os.listdir('/dev/shm')
                       if (not kinds or name.endswith(kinds)) and not (head_spared() and leads_to_head(name)))
        return '/dev/shm/' + self.chance.choice(names) if names else '/dev/shm/none'

    def words(self):
        path = self.an_object()
        with open(path, 'r+b', buffering=0) as file:
            for _ in range(self.chance.randrange(1, 30)):
                size = max(os.fstat(file.fileno()).st_size, 8)
                at = self.chance.choice([self.chance.randrange(256), self.chance.randrange(size) & ~7])
                word = self.chance.choice([0, 1, 2**64 - 1, self.chance.getrandbits(64), self.chance.getrandbits(10)])
                os.pwrite(file.fileno(), struct.pack('Q', word), at)
        return path

    def locks(self):
        path = self.an_object()
        file = os.open(path, self.chance.choice([os.O_RDWR, os.O_RDWR, os.O_RDONLY]))
        self.held.append(file)
        if len(self.held) > 20:
            os.close(self.held.pop(self.chance.randrange(len(self.held))))
        byte = self.chance.choice([SEAT_PAGE * self.chance.randrange(SEATS), SERVER_LOCK, CLEANER_LOCK,
                                   QUEUE_LOCK + self.chance.randrange(20)])
        try:
            fcntl.fcntl(file, F_OFD_SETLK, struct.pack('hhqqi4x', self.chance.choice([fcntl.F_WRLCK, fcntl.F_RDLCK]),
                                                       os.SEEK_SET, byte, self.chance.choice([1, 1, 100]), 0))
        except OSError:  # another has it, or the descriptor is for reading only
            pass
        return path

    def semaphores(self):
        path = self.an_object('_REQ', '_RES')
        with open(path, 'r+b', buffering=0) as file:
            file.write(self.chance.choice([b'\0' * 8, b'\xff\xff\xff\x7f', b'\xff' * 8, b'\1\0\0\0']))
        return path

    def truncations(self):
        path = self.an_object()
        os.truncate(path, self.chance.choice([0, self.chance.randrange(os.stat(path).st_size + 1), os.stat(path).st_size]))
        return path

    def requests(self):
        """As if from the holder of a seat, who may be another."""
        path = self.an_object('_HEAD')
        with open(path, 'r+b', buffering=0) as file:
            seat = SEAT_PAGE * self.chance.randrange(SEATS)
            name = self.chance.choice([b'a', b'b', b'../a', b'\xff' * 1024, b''])
            os.pwrite(file.fileno(), name, seat + 320)
            os.pwrite(file.fileno(), struct.pack('IIQ', self.chance.randrange(OPERATIONS), self.chance.randrange(2048),
                                                 self.chance.choice([len(name), 2**63])), seat + 72)
            if self.chance.randrange(2):
                os.pwrite(file.fileno(), self.chance.randbytes(64), seat + 88)
            os.pwrite(file.fileno(), struct.pack('Q', self.chance.getrandbits(20) << 8 | REQUESTED), seat + 64)
            os.pwrite(file.fileno(), struct.pack('Q', 2**SEATS - 1), SEAT_PAGE * SEATS + 256)
        self.semaphores()
        return path

    def names(self):
        path = self.an_object()
        beside = f'/dev/shm/other-{self.chance.randrange(10)}'
        self.chance.choice([os.unlink, lambda one: os.rename(one, beside), lambda one: os.link(one, beside),
                            lambda one: os.chmod(one, 0o777), lambda one: os.chown(one, STRANGER, -1)])(path)
        return path

    def signals(self):
        os.kill(self.server, signal.SIGTERM)
        return 'server'

    def act(self):
        kinds = ['words', 'locks', 'semaphores', 'truncations', *([] if head_spared() else ['requests']), *([] if self.spare_names else ['names', 'signals'])]
        self.tried += 1
        try:
            path = getattr(self, self.chance.choice(kinds))()
        except OSError as error:
            assert error.errno in (errno.EACCES, errno.EPERM, errno.ENOENT, errno.EEXIST), error
            return
        self.done[os.path.basename(path)] = self.done.get(os.path.basename(path), 0) + 1


def acting(uid, server, spare_names, seed):
    """A process of `uid` that acts for SECONDS; what it did can be read from the descriptor then."""
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid:
        os.close(theirs)
        return pid, ours
    try:
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
        acts, end = Acts(seed, server, spare_names), time.monotonic() + SECONDS
        while time.monotonic() < end:
            acts.act()
        os.write(theirs, json.dumps([acts.tried, acts.done]).encode())
        os._exit(0)
    except BaseException as error:  # pylint: disable=broad-except
        os.write(theirs, repr(error).encode())
        os._exit(1)


def beside(scene, server, uid, spare_names, honest):
    """Two such processes, beside clients that `honest` is called for; what they tried, and what they were let do, in all."""
    seeds = SEED, SEED + 1
    scene.note(f'STRANGERS_SEED={SEED}')
    running = [acting(uid, server.pid, spare_names, seed) for seed in seeds]
    workers = [scene.worker(timeout=3000, wait=3000, connect=False) for _ in range(2)]
    tried, done = 0, {}
    end = time.monotonic() + SECONDS
    calls = right = 0
    while time.monotonic() < end:
        for worker in workers:
            right += honest(worker) == 0
            calls += 1
    for pid, said in running:
        with os.fdopen(said, 'rb') as file:
            text = file.read().decode()
        assert os.waitpid(pid, 0)[1] == 0, text
        one = json.loads(text)
        tried += one[0]
        for name, count in one[1].items():
            done[name] = done.get(name, 0) + count
    scene.note(f'{tried} acts, {sum(done.values())} of them done, beside {calls} calls, {right} of them answered with pixels')
    assert calls and tried > 100
    # Who may write an object may give it more names (protected_hardlinks in proc(5)).
    for name in os.listdir('/dev/shm'):
        if name.startswith('other-'):
            assert os.stat('/dev/shm/' + name).st_mode & 0o777 == 0o666
            os.unlink('/dev/shm/' + name)
    return done


def endures(scene, server, images):
    """What an honest call may end with: any status that is documented, within its time; pixels that are not those of the file
    are what who can overwrite an answer makes of it."""
    chance = random.Random(SEED)

    def honest(worker):
        image = chance.choice(images)
        status, text = worker.call('repeat', 1, image.name, image.sum)
        if 'not connected' in text:
            status, text = worker.connect()
        assert status in TYPED or status == WRONG_PIXELS, text
        return status
    return honest


def check_served_again(scene, server, images):
    """By the same server, or, where it has said that it cannot go on, by the next."""
    for worker in scene.workers:
        worker.end()
    scene.workers.clear()
    if server.process.poll() is not None:
        assert server.process.returncode in (UNAVAILABLE, BAD_DATA), server.said()
        scene.servers.clear()
        for name in os.listdir('/dev/shm'):
            os.unlink('/dev/shm/' + name)
        server = scene.serve('-s', str(SEATS), '--mode', '0666')

    # Those that were stored may have been overwritten, which nobody looks for.
    images = [scene.image('new-' + image.name, seed) for seed, image in enumerate(images)]

    def right():
        worker = scene.worker(timeout=3000, wait=3000, connect=False)
        try:
            worker.connect()
            return all(worker.call('repeat', 1, image.name, image.sum)[0] == 0 for image in images)
        finally:
            worker.end()
            scene.workers.remove(worker)
    until(right, 'right pixels again')


@pytest.mark.deadline(max(180, SECONDS * 4))
def test_a_stranger_can_do_nothing(scene):
    images = [scene.image(name, seed) for seed, name in enumerate('ab')]
    server = scene.serve('-s', str(SEATS))

    def honest(worker):
        if 'not connected' in worker.call('repeat', 1, images[0].name, images[0].sum)[1]:
            assert worker.connect()[0] == 0
        for image in images:
            status, text = worker.call('repeat', 3, image.name, image.sum)
            assert status == 0, text
        return 0
    assert not beside(scene, server, STRANGER, False, honest)


@pytest.mark.deadline(max(180, SECONDS * 4))
def test_who_is_admitted_cannot_touch_pixels_nor_end_a_server(scene):
    images = [scene.image(name, seed) for seed, name in enumerate('ab')]
    server = scene.serve('-s', str(SEATS), '--mode', '0666')
    done = beside(scene, server, STRANGER, False, endures(scene, server, images))
    touched = {name for name in done if name.endswith(('_DATA', '_INDEX')) or name == 'server'}
    # Reading locks are all that is to be had of what can only be read.
    assert all(open_only_to_read(name) for name in touched), touched
    assert os.path.exists(scene.path('HEAD'))
    check_served_again(scene, server, images)


def open_only_to_read(name):
    return name != 'server' and os.stat('/dev/shm/' + name).st_mode & 0o777 == 0o644


@pytest.mark.deadline(max(180, SECONDS * 4))
def test_the_servers_own_user_makes_neither_it_nor_its_clients_crash_or_hang(scene):
    images = [scene.image(name, seed) for seed, name in enumerate('ab')]
    server = scene.serve('-s', str(SEATS), '--mode', '0666')
    beside(scene, server, os.getuid(), True, endures(scene, server, images))
    check_served_again(scene, server, images)
