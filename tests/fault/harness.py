"""What the fault tests have in hand: images, clients (worker.c), servers, and measurements that must meet a limit. Each call has
a deadline; what runs a test and looks at what it leaves is in conftest.py.

SHMSEM and FAULT_WORKER name the programs. FAULT_EVERY=k takes every k-th point of the enumerations (1: all). Times that are
promised hold on a machine that does nothing else. Here it may do much else: ALLOWED times as long is allowed, and the best of any
TRIES measurements of one kind counts. What was measured is printed; where sleeps can be counted, those are what is compared."""
import json
import os
import random
import select
import signal
import struct
import subprocess
import tempfile
import time
import zlib

SHMSEM = os.environ['SHMSEM']
WORKER = os.environ['FAULT_WORKER']
EVERY = int(os.environ.get('FAULT_EVERY', '1'))
SANITIZED = bool(os.environ.get('FAULT_SANITIZED'))
TRIES = 5
ALLOWED = 20
TIMEOUT = 60.0  # what takes so long hangs, whatever else the machine does

USAGE, BAD_DATA, NOT_FOUND, UNAVAILABLE, INTERNAL, IO, TRY_AGAIN, NOT_PERMITTED = 64, 65, 66, 69, 70, 74, 75, 77
WRONG_PIXELS = 99


class Failure(AssertionError):
    """What an assertion of its own would not say: a wait in vain, a limit that was never met."""


def until(condition, what='it to happen'):
    """Waits for a condition, and returns what it says; `what` may be a function that says what is still amiss."""
    end = time.monotonic() + TIMEOUT
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() >= end:
            raise Failure(f'waited in vain for {what() if callable(what) else what}')
        time.sleep(0.005)


def within(limit, attempt, what, tries=TRIES):
    """Measures, up to TRIES times, until the limit is met; the seconds that `attempt` returned then."""
    times = []
    while len(times) < tries:
        times.append(attempt())
        if times[-1] <= limit * ALLOWED:
            return times[-1]
    raise Failure(f'{what} may take {limit * ALLOWED} s here, and took ' + ', '.join(f'{took:.3f}' for took in times))


def check_all_within(limit, times, what):
    """What was measured often: the best of every TRIES in a row meets the limit."""
    assert len(times) >= TRIES, what
    for at in range(len(times) - TRIES + 1):
        left = iter(times[at:at + TRIES])
        within(limit, lambda left=left: next(left), what)


# ---- room ----

def free():
    """How many bytes /dev/shm has."""
    system = os.statvfs('/dev/shm')
    return system.f_bavail * system.f_frsize


def fill_all_but(left):
    """Takes all of /dev/shm but so many bytes."""
    take = free() - left
    with open('/dev/shm/filler', 'wb') as file:
        if take > 0:
            os.posix_fallocate(file.fileno(), 0, take)


# ---- images ----

def png(width, height, pixels, level=1):
    def chunk(kind, data):
        return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
    rows = b''.join(b'\0' + pixels[y * width * 3:(y + 1) * width * 3] for y in range(height))
    return (b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)) +
            chunk(b'IDAT', zlib.compress(rows, level)) + chunk(b'IEND', b''))


class Image:
    """An image in the served folder, of noise unless told; `sum` is what a worker says of its pixels."""

    def __init__(self, folder, name, seed, width=64, height=64, pixels=None):
        pixels = pixels or random.Random(seed).randbytes(width * height * 3)
        self.name, self.sum, self.bytes = name, zlib.crc32(pixels), len(pixels)
        beside = os.path.join(folder, '.new')
        with open(beside, 'wb') as file:
            file.write(png(width, height, pixels))
        os.rename(beside, os.path.join(folder, name + '.png'))


# ---- processes ----

class Worker:
    def __init__(self, scene, guard=True, timeout=20000, wait=20000, connect=True, **more):
        self.scene, self.guard, self.timeout, self.wait = scene, guard, timeout, wait
        self.process = subprocess.Popen([WORKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, **more)
        self.text = b''
        if connect:
            status, text = self.connect()
            assert status == 0, text

    def send(self, *words):
        self.process.stdin.write((' '.join(str(word) for word in words) + '\n').encode())

    def receive(self, seconds=TIMEOUT):
        end = time.monotonic() + seconds
        while b'\n' not in self.text:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                raise Failure('a client hangs')
            got = os.read(self.process.stdout.fileno(), 65536)
            if not got:
                raise Failure(f'a client ended with {self.process.wait()}')
            self.text += got
        line, self.text = self.text.split(b'\n', 1)
        status, _, text = line.decode(errors='replace').partition(' ')
        return int(status), text

    def call(self, *words, seconds=TIMEOUT):
        self.send(*words)
        return self.receive(seconds)

    def connect(self):
        return self.call('connect', self.scene.space, int(self.guard), self.timeout, self.wait)

    def fetch(self, image):
        """Fetches and holds it; the slot."""
        status, text = self.call('fetch', image.name)
        assert status == 0, (image.name, text)
        slot, _, _, total = text.split()
        assert int(total) == image.sum, ('wrong pixels of', image.name)
        return int(slot)

    def sum(self, slot):
        return int(self.call('sum', slot)[1])

    def kill(self):
        self.process.kill()
        self.end()

    def end(self):
        if self.process.returncode is None:
            self.process.stdin.close()
            try:
                self.process.wait(TIMEOUT)
            except subprocess.TimeoutExpired:
                raise Failure('a client does not end') from None
        self.process.stdout.close()
        return self.process.returncode


def children(pid):
    found = []
    for task in os.listdir(f'/proc/{pid}/task'):
        with open(f'/proc/{pid}/task/{task}/children', encoding='ascii') as file:
            found += [int(word) for word in file.read().split()]
    return sorted(found)


def opens_files(pid):
    """Whether it is the process that makes the server's helpers, or one of them."""
    try:
        with open(f'/proc/{pid}/cmdline', 'rb') as file:
            return b'--file-helper' in file.read().split(b'\0')
    except OSError:
        return False


def state_of(pid):
    """The letter that ps shows; 'X' if there is no such process."""
    try:
        with open(f'/proc/{pid}/stat', encoding='ascii') as file:
            return file.read().rpartition(')')[2].split()[0]
    except OSError:
        return 'X'


def sleeps(pid):
    """How often it has gone to sleep, which no other process' work makes more of."""
    with open(f'/proc/{pid}/status', encoding='ascii', errors='replace') as file:
        return next(int(line.split()[1]) for line in file if line.startswith('voluntary_ctxt_switches'))


def cpu_seconds(pid):
    with open(f'/proc/{pid}/stat', encoding='ascii') as file:
        fields = file.read().rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def stats(scene):
    """What the server has counted, and each seat."""
    said = subprocess.run([SHMSEM, 'list', '-N', scene.space, '--stats', '--json'], stdout=subprocess.PIPE, check=True,
                          timeout=TIMEOUT).stdout
    return json.loads(said)


class Server:
    def __init__(self, scene, *options, folder=None, space=None, ready=True, command=None, **more):
        self.decoders = int(options[options.index('-w') + 1]) if '-w' in options else 2
        options = list(options) if '-w' in options else ['-w', '2', *options]
        self.error = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [*(command or []), SHMSEM, 'serve', '-N', space or scene.space, *options, folder or scene.folder],
            **{'stderr': self.error, **more})
        self.pid = self.process.pid
        self.before = None
        if ready:
            self.wait_ready()

    def said(self):
        return os.pread(self.error.fileno(), 65536, 0).decode(errors='replace')

    def wait_ready(self):
        until(lambda: 'serving' in self.said() or self.process.poll() is not None, what='the server to start')
        assert self.process.returncode is None, self.said()
        self.before = until(self.measure_twice, 'the server to change no mappings')

    def measure_twice(self):
        """None unless both are the same: of mappings that change meanwhile, as threads begin, the kernel may leave some out."""
        first = self.measure()
        return first if first == self.measure() else None

    def measure(self):
        """Descriptors, mappings of shared memory, children."""
        with open(f'/proc/{self.pid}/maps', encoding='ascii', errors='replace') as file:
            maps = sum('/dev/shm/' in line for line in file)
        return len(os.listdir(f'/proc/{self.pid}/fd')), maps, len(children(self.pid))

    def as_before(self, before):
        """There may be fewer descriptors and mappings: one may have been open just for the moment in which they were counted,
        and another INDEX may have to be made."""
        now = self.measure()
        return now[0] <= before[0] and now[1] <= before[1] and now[2] == before[2]

    def decoder_pids(self):
        return [pid for pid in children(self.pid) if not opens_files(pid)]

    def check_unharmed(self):
        """It runs, has no more than when it started, and no dead decoder stays."""
        assert self.process.poll() is None, self.said()
        until(lambda: self.as_before(self.before),
              lambda: f'{self.before} (descriptors, mappings, children) again; there are {self.measure()}')
        until(lambda: all(state_of(pid) != 'Z' for pid in self.decoder_pids()), 'dead decoders to be replaced')

    def end(self, number=signal.SIGTERM, seconds=TIMEOUT):
        self.process.send_signal(number)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failure(f'the server does not end on signal {number}') from None


class Scene:
    """What a test has: a namespace, a folder that is served, and one beside it that nobody watches."""

    def __init__(self, parent):
        self.space, self.folder, self.scratch = 'fault', f'{parent}/served', f'{parent}/scratch'
        os.mkdir(self.folder)
        os.mkdir(self.scratch)
        self.servers, self.workers = [], []

    def image(self, name, seed=1, width=64, height=64):
        return Image(self.folder, name, seed, width, height)

    def plain(self, name, width, height):
        """A large one that is soon drawn and decoded."""
        size = width * height * 3
        return Image(self.folder, name, 0, width, height, (bytes(range(251)) * (size // 251 + 1))[:size])

    def serve(self, *options, **more):
        server = Server(self, *options, **more)
        self.servers.append(server)
        return server

    def worker(self, **more):
        worker = Worker(self, **more)
        self.workers.append(worker)
        return worker

    @staticmethod
    def note(*parts):
        print('\n   ', *parts, flush=True)

    def path(self, kind, index=0):
        number = f':{index}' if index else ''
        names = {'HEAD': f'SEG_{self.space}_HEAD', 'INDEX': f'SEG_{self.space}_INDEX',
                 'DATA': f'SEG_{self.space}{number}_DATA', 'REQ': f'sem.SEM_{self.space}_REQ',
                 'RES': f'sem.SEM_{self.space}{number}_RES'}
        return '/dev/shm/' + names[kind]

    def close(self):
        """Ends everything as it ought to end."""
        for worker in self.workers:
            code = worker.end()
            assert code in (0, -signal.SIGKILL)
        for server in self.servers:
            if server.process.poll() is None:
                server.check_unharmed()
                code = server.end()
                assert code == 0, server.said()


def reap():
    """We are process 1 here: what lost its parent is ours. Says what is still there."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass
    return children(os.getpid())


def end_children():
    """Kills whatever a test that failed has left."""
    end = time.monotonic() + TIMEOUT
    while reap() and time.monotonic() < end:
        for pid in children(os.getpid()):
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.005)
