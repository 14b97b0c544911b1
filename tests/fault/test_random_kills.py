"""Processes killed at random moments under load: servers, decoders, clients; FAULT_KILLS (100) of each. By hand, with a line of
progress every 10 s, and for each role a last line with what was counted:

    FAULT_KILLS=10000 meson test -C build --verbose --timeout-multiplier 0 random_kills
"""
import os
import random
import signal
import time

import pytest

from harness import BAD_DATA, Failure, reap, state_of, TRY_AGAIN, UNAVAILABLE, until, WRONG_PIXELS

KILLS = int(os.environ.get('FAULT_KILLS', '100'))
SEED = int(os.environ.get('FAULT_SEED', '7'))
SEATS, CLIENTS, IMAGES = 6, 4, 60
CHECK_EVERY, PROGRESS_EVERY = 50, 10
TYPED = {'server': (UNAVAILABLE,), 'decoder': (BAD_DATA, TRY_AGAIN), 'client': ()}


class Kills:
    def __init__(self, scene, role):
        self.scene, self.role, self.chance = scene, role, random.Random(SEED)
        # More than there is room for, so that there is always something to decode.
        self.images = [scene.image(f'i{i}', seed=i, width=100 + i) for i in range(IMAGES)]
        self.killed = self.calls = self.failed = 0
        self.killed_decoders = set()  # since the last look: they may take a moment to die
        self.bad = dict.fromkeys(('hangs', 'leaks', 'wrong pixels', 'lost seats'), 0)
        self.server = self.serve()
        self.workers = [scene.worker() for _ in range(CLIENTS)]
        self.objects = sorted(os.listdir('/dev/shm'))
        self.whole = self.server.before

    def serve(self):
        """A killed server's lock lives until a decoder that it was just starting has been started."""
        def started():
            self.scene.servers.clear()
            server = self.scene.serve('-s', str(SEATS), '--cache', '512K', ready=False)
            until(lambda: 'serving' in server.said() or server.process.poll() is not None)
            assert server.process.returncode in (None, TRY_AGAIN), server.said()
            return server.process.returncode is None and server
        server = until(started, 'a server to start where one was killed')
        server.wait_ready()
        return server

    def kill(self, busy):
        """One, while all are at work; those of the clients that are left."""
        if self.role == 'server':
            self.server.process.kill()
            self.server.process.wait()
        elif self.role == 'decoder':
            pids = self.server.decoder_pids()
            if not pids:
                return busy  # both are just being replaced
            decoder = self.chance.choice(pids)
            try:
                os.kill(decoder, signal.SIGKILL)
            except ProcessLookupError:
                return busy  # just replaced
            self.killed_decoders.add(decoder)
        else:
            worker, _ = busy.pop(self.chance.randrange(len(busy)))
            worker.kill()
            self.workers.remove(worker)
            self.scene.workers.remove(worker)
        self.killed += 1
        return busy

    def receive(self, worker, image, allowed):
        try:
            status, text = worker.receive()
        except Failure:
            self.bad['hangs'] += 1
            raise
        self.calls += 1
        self.failed += status != 0
        self.bad['wrong pixels'] += status == WRONG_PIXELS
        assert status in (0, WRONG_PIXELS, *allowed), (text, 'for', image.name)

    def turn(self):
        busy = [(worker, self.chance.choice(self.images)) for worker in self.workers]
        for worker, image in busy:
            worker.send('repeat', 4, image.name, image.sum)
        time.sleep(self.chance.random() * 0.003)
        for worker, image in self.kill(busy):
            self.receive(worker, image, TYPED[self.role])
        if self.role == 'server':
            self.server = self.serve()
        elif self.role == 'client':
            self.workers.append(self.scene.worker())

    def look(self):
        """Everybody has right pixels, every seat can be had, and nothing is there that was not at the beginning."""
        until(lambda: len(self.server.decoder_pids()) == 2 and not self.killed_decoders & set(self.server.decoder_pids()) and
              all(state_of(pid) != 'Z' for pid in self.server.decoder_pids()), 'new decoders')
        self.killed_decoders.clear()
        for worker in self.workers:
            image = self.chance.choice(self.images)
            # A client that has lost its server says so once.
            for allowed in ((UNAVAILABLE,), ()):
                worker.send('repeat', 2, image.name, image.sum)
                self.receive(worker, image, allowed)
        probes = [self.scene.worker(connect=False, wait=0) for _ in range(SEATS - CLIENTS)]
        self.bad['lost seats'] += sum(probe.connect()[0] != 0 for probe in probes)
        for probe in probes:
            probe.end()
            self.scene.workers.remove(probe)
        wanted = {worker.process.pid for worker in self.workers} | {self.server.pid}
        try:
            until(lambda: self.server.as_before(self.whole) and set(reap()) == wanted and
                  sorted(os.listdir('/dev/shm')) == self.objects)
        except Failure:
            self.bad['leaks'] += 1

    def said(self, seconds):
        return (f'{self.role}: {self.killed} kills in {seconds:.0f} s, {self.calls} calls, {self.failed} with a typed error; ' +
                ', '.join(f'{name} {count}' for name, count in self.bad.items()))


@pytest.mark.deadline(120 + KILLS * 2)
@pytest.mark.parametrize('role', TYPED)
def test_processes_killed_at_random_leave_nothing(scene, role):
    kills = Kills(scene, role)
    begin = shown = time.monotonic()
    try:
        while kills.killed < KILLS:
            kills.turn()
            if kills.killed % CHECK_EVERY == 0:
                kills.look()
            if time.monotonic() - shown >= PROGRESS_EVERY:
                shown = time.monotonic()
                scene.note(kills.said(shown - begin))
        kills.look()
    finally:
        scene.note(kills.said(time.monotonic() - begin))
    assert not any(kills.bad.values()), kills.bad
