"""Everything at random, for SOAK_SECONDS (7) each with the change flag (where the host has it), with --fresh and without an index:
processes killed and stopped, objects cut, overwritten and removed, semaphores that lie, files that change or are hostile, second
servers, cleanups, a full /dev/shm (tests/README.md, row 23). SOAK_SEED repeats a sequence of damages, not their timing. Every 60 s
it says how it goes, and at the end what it counted. By hand, for an hour each:

    SOAK_SECONDS=3600 meson test -C build --verbose --timeout-multiplier 0 soak
"""
import os
import random
import re
import signal
import struct
import subprocess
import time
import zlib

import pytest

from harness import (BAD_DATA, Failure, Image, INTERNAL, NOT_FOUND, NOT_PERMITTED, png, reap, SHMSEM, TRY_AGAIN, UNAVAILABLE,
                     until, USAGE, WRONG_PIXELS)

REFUSED = os.environ.get('FAULT_REFUSED', 'refused')
SECONDS = float(os.environ.get('SOAK_SECONDS', '7'))
SEED = int(os.environ.get('SOAK_SEED', '1'))
CLIENTS, SEATS, IMAGES = 6, 8, 60
PROGRESS_EVERY = 60
TYPED = (0, USAGE, BAD_DATA, NOT_FOUND, UNAVAILABLE, INTERNAL, TRY_AGAIN, NOT_PERMITTED)


class Soak:
    def __init__(self, scene, command, fresh_ms):
        """The command that starts the server; how old an image may be."""
        self.scene, self.chance = scene, random.Random(SEED)
        self.command, self.fresh_ms = command, fresh_ms
        self.images = [scene.image(f'i{i}', seed=i, width=60 + 2 * i) for i in range(IMAGES)]
        self.sums = {image.sum: f'{image.name}, version {at}' for at, image in enumerate(self.images)}
        self.counts, self.calls, self.failed, self.restarts, self.refused = {}, 0, 0, -1, 0
        self.rounds = self.checks = self.hangs = self.leaks = self.wrong = self.overwritten = 0
        self.lied = False
        self.start()
        self.whole = len(os.listdir('/dev/shm'))
        self.workers = [self.new_worker() for _ in range(CLIENTS)]
        self.versions = IMAGES

    def serve(self):
        fresh = ['--fresh', f'{self.fresh_ms}ms'] if self.fresh_ms else []
        return self.scene.serve('-s', str(SEATS), '--cache', '2M', '--decode-timeout', '2', *fresh, command=self.command, ready=False)

    def start(self):
        """A killed server's lock lives until a decoder that it was just starting has been started."""
        def started():
            self.scene.servers.clear()
            self.server = self.serve()
            until(lambda: 'serving' in self.server.said() or self.server.process.poll() is not None)
            code = self.server.process.returncode
            self.refused += code is not None
            # What a lie has made of HEAD nobody can attribute: the server says what to do, once nobody uses it.
            if code is not None and 'cleanup --foreign' in self.server.said():
                for worker in self.workers:
                    worker.call('close')
                subprocess.run([SHMSEM, 'cleanup', '--yes', '--force', '--min-age', '0s', '--foreign', 'fault'],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=30, check=True)
            return code is None
        until(started, 'a server to start where one was killed')
        self.server.wait_ready()
        self.restarts += 1

    def new_worker(self):
        worker = self.scene.worker(timeout=5000, wait=5000, connect=False)
        worker.connect()
        return worker

    # ---- damages; each says when it could not be done ----

    def kill_decoder(self):
        pids = self.server.decoder_pids()
        pids and os.kill(self.chance.choice(pids), self.chance.choice([signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM]))

    def stop_decoder(self):
        pids = self.server.decoder_pids()
        if pids:
            pid = self.chance.choice(pids)
            os.kill(pid, signal.SIGSTOP)
            time.sleep(self.chance.random() * 0.05)
            os.kill(pid, signal.SIGCONT)

    def stop_server(self):
        self.server.process.send_signal(signal.SIGSTOP)
        time.sleep(self.chance.random() * 0.1)
        self.server.process.send_signal(signal.SIGCONT)

    def kill_server(self):
        self.server.process.kill()

    def end_server(self):
        self.server.process.send_signal(self.chance.choice([signal.SIGTERM, signal.SIGINT, signal.SIGHUP]))

    def kill_client(self):
        worker = self.workers.pop(self.chance.randrange(len(self.workers)))
        worker.kill()
        self.scene.workers.remove(worker)

    def stop_client(self):
        worker = self.chance.choice(self.workers)
        worker.process.send_signal(signal.SIGSTOP)
        time.sleep(self.chance.random() * 0.05)
        worker.process.send_signal(signal.SIGCONT)

    def second_server(self):
        """It is refused, unless the first is ending or has lost its name: then it is the next."""
        second = self.serve()
        self.scene.servers.remove(second)
        until(lambda: 'serving' in second.said() or second.process.poll() is not None)
        if second.process.returncode is not None:
            assert second.process.returncode in (TRY_AGAIN, BAD_DATA, UNAVAILABLE), second.said()
            return
        try:
            self.server.process.wait(5)
        except subprocess.TimeoutExpired:
            raise Failure('two servers on one namespace') from None
        second.wait_ready()
        self.scene.servers[:], self.server = [second], second
        self.restarts += 1

    def cleanup(self):
        process = subprocess.run([SHMSEM, 'cleanup'], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=30, check=False)
        assert process.returncode in TYPED, process.stderr

    def lie(self):
        """Flips bits of HEAD. One who overwrites an answer decides which pixels its reader sees; nobody can tell."""
        path = '/dev/shm/SEG_fault_HEAD'
        with open(path, 'r+b') as file:
            for _ in range(self.chance.randrange(1, 200)):
                page, at = self.chance.randrange(SEATS + 1) * 4096, self.chance.choice([self.chance.randrange(256),
                                                                                        self.chance.randrange(4096)])
                byte = os.pread(file.fileno(), 1, page + at)
                byte and os.pwrite(file.fileno(), bytes([byte[0] ^ 1 << self.chance.randrange(8)]), page + at)
        self.lied = True

    def an_object(self):
        names = [name for name in os.listdir('/dev/shm') if name != 'filler']
        return '/dev/shm/' + self.chance.choice(sorted(names)) if names else None

    def cut(self):
        path = self.an_object()
        path and os.truncate(path, self.chance.choice([0, self.chance.randrange(os.stat(path).st_size + 1)]))

    def set_semaphore(self):
        path = self.an_object()
        if path and '/sem.' in path:
            with open(path, 'r+b') as file:
                file.write(self.chance.choice([b'\0' * 8, b'\xff\xff\xff\x7f', b'\xff' * 8, b'\1\0\0\0']))

    def remove(self):
        path = self.an_object()
        path and self.chance.random() < 0.3 and os.unlink(path)

    def fill(self):
        system = os.statvfs('/dev/shm')
        with open('/dev/shm/filler', 'wb') as file:
            try:
                os.posix_fallocate(file.fileno(), 0, max(system.f_bavail * system.f_frsize - self.chance.randrange(1 << 20), 1))
            except OSError:
                pass
        time.sleep(self.chance.random() * 0.05)
        os.unlink('/dev/shm/filler')

    def change_file(self):
        """Between two rounds, and as long before the next as images may be old, so that every answer has the new pixels."""
        at = self.chance.randrange(IMAGES)
        self.versions += 1
        self.images[at] = image = Image(self.scene.folder, f'i{at}', self.versions, 60 + 2 * at)
        self.sums[image.sum] = f'{image.name}, version {self.versions}'
        time.sleep(self.fresh_ms / 1000)

    def hostile_file(self):
        """In place of what is being asked for, so that it changes while it is read, too."""
        def chunk(kind, data):
            return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
        whole = png(50, 50, self.chance.randbytes(7500))
        flood = b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', 65500, 65500, 8, 2, 0, 0, 0))
        bomb = whole[:33] + chunk(b'zTXt', b'a\0\0' + zlib.compress(bytes(9000000))) + whole[33:]
        path = os.path.join(self.scene.folder, 'hostile.png')
        kind = self.chance.choice(['cut', 'noise', 'empty', 'flood', 'bomb', 'bits', 'link', 'fifo', 'folder'])
        beside = os.path.join(self.scene.scratch, 'hostile')
        if kind in ('link', 'fifo', 'folder'):
            make = {'link': lambda name: os.symlink('/dev/zero', name), 'fifo': os.mkfifo, 'folder': os.mkdir}[kind]
            self.remove_hostile(path)
            make(path)
            return
        bits = bytearray(whole)
        for _ in range(5):
            bits[self.chance.randrange(len(bits))] ^= 1 << self.chance.randrange(8)
        content = {'cut': whole[:self.chance.randrange(len(whole))], 'noise': self.chance.randbytes(5000), 'empty': b'',
                   'flood': flood, 'bomb': bomb, 'bits': bytes(bits)}[kind]
        if not os.path.isfile(path) or os.path.islink(path):
            self.remove_hostile(path)
        if self.chance.randrange(2):  # a new file, or the same with another content
            with open(beside, 'wb') as file:
                file.write(content)
            os.rename(beside, path)
        else:
            with open(path, 'wb') as file:
                file.write(content)

    @staticmethod
    def remove_hostile(path):
        if os.path.isdir(path) and not os.path.islink(path):
            os.rmdir(path)
        elif os.path.lexists(path):
            os.unlink(path)

    # ---- rounds ----

    def damage(self):
        name = self.chance.choice(['kill_decoder', 'stop_decoder', 'stop_server', 'kill_server', 'end_server', 'second_server',
                                   'kill_client', 'stop_client', 'cut', 'cut', 'cut', 'cut', 'set_semaphore', 'set_semaphore',
                                   'lie', 'remove', 'fill', 'hostile_file', 'hostile_file', 'hostile_file', 'cleanup'])
        if name == 'kill_client' and len(self.workers) < CLIENTS:
            return
        try:
            getattr(self, name)()
            self.counts[name] = self.counts.get(name, 0) + 1
        except (FileNotFoundError, ProcessLookupError):
            pass

    def receive(self, worker):
        try:
            status, text = worker.receive()
        except Failure:
            self.hangs += 1
            raise
        if self.lied and status not in TYPED:
            self.overwritten += 1
            return status, text
        self.wrong += status == WRONG_PIXELS
        known = re.search(r'sum (\d+)', text)
        assert status in TYPED, (text, self.sums.get(known and int(known.group(1)), 'pixels of none'))
        return status, text

    def round(self):
        self.lied = False
        busy = [(worker, self.chance.choice(self.images)) for worker in self.workers]
        for worker, image in busy[1:]:
            worker.send('repeat', 10, image.name, image.sum)
        # What its pixels ought to be, nobody knows.
        busy[0][0].send('repeat', 3, 'hostile', 0)
        for _ in range(self.chance.randrange(3)):
            time.sleep(self.chance.random() * 0.005)
            self.damage()
        for worker, image in busy:
            if worker not in self.workers:
                continue
            status, text = self.receive(worker)
            if 'not connected' in text:
                worker.connect()
            self.calls += 1
            self.failed += status != 0
        if self.server.process.poll() is not None:
            assert self.server.process.returncode in (0, -signal.SIGKILL, UNAVAILABLE, BAD_DATA), self.server.said()
            self.restart()
        if len(self.workers) < CLIENTS:
            self.workers.append(self.new_worker())
        self.change_file()

    def restart(self):
        """What was cut or beheaded may need a clean start; a killed server's remains must not."""
        names = os.listdir('/dev/shm')
        if names and 'SEG_fault_HEAD' not in names:
            for name in names:
                os.unlink('/dev/shm/' + name)
        for name in names:
            path = '/dev/shm/' + name
            if name == 'SEG_fault_HEAD' and os.path.exists(path) and os.stat(path).st_size < 48:
                for other in names:
                    os.unlink('/dev/shm/' + other)
        self.start()

    def whole_again(self):
        """An INDEX that was damaged is made anew; a server that has lost another name ends."""
        if self.server.process.poll() is not None:
            self.restart()
        return len(os.listdir('/dev/shm')) == self.whole

    def quiet(self):
        """Without damage, everybody gets right pixels again, and nothing has grown."""
        self.lied = False
        until(self.whole_again, 'all names to be there, or their server to end')
        last = {}

        def right():
            """Of all: an idle one whose holds were damaged seems to hold everything, until it makes a call."""
            for worker in self.workers:
                if self.server.process.poll() is not None:
                    self.restart()
                worker.send('repeat', 2, self.images[0].name, self.images[0].sum)
                status, text = self.receive(worker)
                if 'not connected' in text:
                    worker.connect()
                last[worker] = status, text
            return not any(status for status, _ in last.values())
        until(right, lambda: f'right pixels in quiet: {list(last.values())}')
        self.server.check_unharmed()
        wanted = {worker.process.pid for worker in self.workers} | {self.server.pid}
        until(lambda: set(reap()) == wanted, f'other processes than {wanted} to end')

    def check(self, first):
        """Quiet, and with the objects, descriptors, mappings and children of the server that there were at first."""
        self.quiet()
        self.leaks = 1
        until(lambda: self.count() == first, lambda: f'{first} as at first; there are {self.count()}')
        self.leaks = 0
        self.checks += 1

    def count(self):
        return len(os.listdir('/dev/shm')), self.server.measure()

    def said(self, seconds):
        return (f'{seconds:.0f} s, seed {SEED}: {self.rounds} rounds, {sum(self.counts.values())} damages, '
                f'{self.calls} calls of up to 10 fetches, {self.failed} with a typed error, {self.overwritten} overwritten by a lie; '
                f'{self.restarts} new servers, {self.refused} refused at first; {self.checks} checks in between; '
                f'hangs {self.hangs}, leaks and growth {self.leaks}, wrong pixels {self.wrong}')


@pytest.mark.shm(size='16m')
@pytest.mark.deadline(SECONDS * 3 + 120)
@pytest.mark.parametrize('command, fresh_ms', [
    pytest.param([], 0, id='as_this_host_has_it'),
    pytest.param([], 5, id='fresh'),
    pytest.param([REFUSED, 'io_uring_setup', '--'], 0, id='without_index'),
])
def test_everything_at_random(scene, command, fresh_ms):
    soak = Soak(scene, command, fresh_ms)
    soak.quiet()
    first = soak.count()
    begin = shown = time.monotonic()
    try:
        while time.monotonic() - begin < SECONDS:
            soak.round()
            soak.rounds += 1
            if soak.rounds % 50 == 0:
                soak.check(first)
            if time.monotonic() - shown >= PROGRESS_EVERY:
                shown = time.monotonic()
                scene.note(soak.said(shown - begin))
        soak.quiet()
    finally:
        scene.note(soak.said(time.monotonic() - begin))
        scene.note('damages:', *(f'{name} {count}' for name, count in sorted(soak.counts.items())))
