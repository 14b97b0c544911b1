#!/usr/bin/python3
"""Everything at random, for SOAK_SECONDS (20): processes killed and stopped, objects cut, posted and removed, files changed,
/dev/shm filled (FAULTS.md, row 23). SOAK_SEED repeats a sequence of damages, not their timing. By hand, for an hour:

    SOAK_SECONDS=3600 meson test -C build soak --timeout-multiplier 0
"""
import os
import random
import signal
import time

from harness import (BAD_DATA, INTERNAL, NOT_FOUND, NOT_PERMITTED, TRY_AGAIN, UNAVAILABLE, USAGE, Image, check, fault,
                     main, until)

SECONDS = float(os.environ.get('SOAK_SECONDS', '20'))
SEED = int(os.environ.get('SOAK_SEED', '1'))
CLIENTS, SEATS, IMAGES = 6, 8, 60
TYPED = (0, USAGE, BAD_DATA, NOT_FOUND, UNAVAILABLE, INTERNAL, TRY_AGAIN, NOT_PERMITTED)


class Soak:
    def __init__(self, scene):
        self.scene, self.chance = scene, random.Random(SEED)
        self.images = [scene.image(f'i{i}', seed=i, width=60 + 2 * i) for i in range(IMAGES)]
        self.counts, self.calls, self.failed, self.restarts, self.refused = {}, 0, 0, -1, 0
        self.start()
        self.workers = [self.new_worker() for _ in range(CLIENTS)]
        self.versions = IMAGES

    def start(self):
        """A killed server's lock lives until a decoder that it was just starting has been started."""
        def started():
            self.scene.servers.clear()
            self.server = self.scene.serve('-s', str(SEATS), '--cache', '2M', '--decode-timeout', '2', ready=False)
            until(lambda: 'serving' in self.server.said() or self.server.process.poll() is not None)
            self.refused += self.server.process.returncode == TRY_AGAIN
            return self.server.process.returncode != TRY_AGAIN
        until(started, 5, 'a server to start where one was killed')
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
        """Between two rounds, so that every answer after it has the new pixels."""
        at = self.chance.randrange(IMAGES)
        self.versions += 1
        self.images[at] = Image(self.scene.folder, f'i{at}', self.versions, 60 + 2 * at)

    # ---- rounds ----

    def damage(self):
        name = self.chance.choice(['kill_decoder', 'stop_decoder', 'stop_server', 'kill_server', 'end_server', 'kill_client',
                                   'cut', 'cut', 'cut', 'cut', 'set_semaphore', 'set_semaphore', 'remove', 'fill'])
        if name == 'kill_client' and len(self.workers) < CLIENTS:
            return
        try:
            getattr(self, name)()
            self.counts[name] = self.counts.get(name, 0) + 1
        except (FileNotFoundError, ProcessLookupError):
            pass

    def round(self):
        busy = [(worker, self.chance.choice(self.images)) for worker in self.workers]
        for worker, image in busy:
            worker.send('repeat', 10, image.name, image.sum)
        for _ in range(self.chance.randrange(3)):
            time.sleep(self.chance.random() * 0.005)
            self.damage()
        for worker, image in busy:
            if worker not in self.workers:
                continue
            status, text = worker.receive()
            check(status in TYPED, 'a client got', status, text)
            if 'not connected' in text:
                worker.connect()
            self.calls += 1
            self.failed += status != 0
        if self.server.process.poll() is not None:
            check(self.server.process.returncode in (0, -signal.SIGKILL, UNAVAILABLE, BAD_DATA),
                  self.server.process.returncode, self.server.said())
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

    def quiet(self):
        """Without damage, everybody gets right pixels again, and nothing has grown."""
        for worker in self.workers:
            def right(worker=worker):
                if self.server.process.poll() is not None:
                    self.restart()
                status, text = worker.call('repeat', 2, self.images[0].name, self.images[0].sum)
                check(status in TYPED, status, text)
                if 'not connected' in text:
                    worker.connect()
                return status == 0
            until(right, 20, 'right pixels in quiet')
        self.server.check_unharmed()
        return len(os.listdir('/dev/shm')), len(os.listdir('/proc/self/fd')), self.server.measure()


@fault(size='16m', seconds=SECONDS * 3 + 120)
def everything_at_random(scene):
    soak = Soak(scene)
    first = soak.quiet()
    end = time.monotonic() + SECONDS
    rounds, checks = 0, 0
    while time.monotonic() < end:
        soak.round()
        rounds += 1
        if rounds % 50 == 0:
            now = soak.quiet()
            check(now[0] == first[0] and now[2] == first[2], 'grown from', first, 'to', now)
            checks += 1
    soak.quiet()
    scene.note(f'{SECONDS:.0f} s, seed {SEED}: {rounds} rounds, {sum(soak.counts.values())} damages {soak.counts}')
    scene.note(f'{soak.calls} calls of 10 fetches, {soak.failed} with a typed error; {soak.restarts} new servers, '
               f'{soak.refused} refused at first; '
               f'{checks} checks in between; hangs 0, wrong pixels 0, growth 0')


if __name__ == '__main__':
    main()
