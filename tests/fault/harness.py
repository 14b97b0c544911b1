"""What every fault test stands on: namespaces and a /dev/shm of its own, a deadline on every call, and a look at what is
left at the end. A test is a function with @fault; it gets a Scene. Nothing but Python and the programs under test.

SHMSEM and FAULT_WORKER name those. FAULT_EVERY=k takes every k-th point of the enumerations (1: all). A limit of time that is
promised must be met by the best of any TRIES measurements of one kind: a machine that does other things meanwhile may miss it
now and then, a program that does not keep it misses it always. What was measured is printed."""
import ctypes
import faulthandler
import os
import random
import select
import signal
import struct
import subprocess
import sys
import tempfile
import time
import traceback
import zlib

SHMSEM = os.environ.get('SHMSEM', 'shmsem')
WORKER = os.environ.get('FAULT_WORKER', 'worker')
EVERY = int(os.environ.get('FAULT_EVERY', '1'))
TRIES = 5
STRETCH = 10 if os.environ.get('FAULT_SANITIZED') else 1  # sanitizers are no part of the promise
TIMEOUT = 30.0

USAGE, BAD_DATA, NOT_FOUND, UNAVAILABLE, INTERNAL, IO, TRY_AGAIN, NOT_PERMITTED = 64, 65, 66, 69, 70, 74, 75, 77
WRONG_PIXELS = 99

libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWIPC = 0x20000, 0x10000000, 0x20000000, 0x8000000
MS_REC, MS_PRIVATE, PR_SET_PDEATHSIG = 0x4000, 0x40000, 1


class Failure(Exception):
    pass


def check(condition, *what):
    if not condition:
        raise Failure(' '.join(str(part) for part in what))


def call(function, *arguments):
    if function(*arguments) != 0:
        raise OSError(ctypes.get_errno(), f'{function.__name__}{arguments}')


def until(condition, seconds=TIMEOUT, what='it to happen'):
    """Waits for a condition, and returns what it says; `what` may be a function that says what is still amiss."""
    end = time.monotonic() + seconds
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
        if times[-1] <= limit * STRETCH:
            return times[-1]
    raise Failure(f'{what} is to take {limit} s, and took', ', '.join(f'{took:.3f}' for took in times))


def check_all_within(limit, times, what):
    """What was measured often: the best of every TRIES in a row meets the limit."""
    check(len(times) >= TRIES, what, 'was measured only', len(times), 'times')
    for at in range(len(times) - TRIES + 1):
        left = iter(times[at:at + TRIES])
        within(limit, lambda left=left: next(left), what)


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
            check(status == 0, 'a worker could not connect:', status, text)

    def send(self, *words):
        self.process.stdin.write((' '.join(str(word) for word in words) + '\n').encode())

    def receive(self, seconds=TIMEOUT):
        end = time.monotonic() + seconds
        while b'\n' not in self.text:
            left = end - time.monotonic()
            check(left > 0 and select.select([self.process.stdout], [], [], left)[0], 'a client hangs')
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
        check(status == 0, image.name, status, text)
        slot, _, _, total = text.split()
        check(int(total) == image.sum, 'wrong pixels of', image.name)
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


def state_of(pid):
    """The letter that ps shows; 'X' if there is no such process."""
    try:
        with open(f'/proc/{pid}/stat', encoding='ascii') as file:
            return file.read().rpartition(')')[2].split()[0]
    except OSError:
        return 'X'


def cpu_seconds(pid):
    with open(f'/proc/{pid}/stat', encoding='ascii') as file:
        fields = file.read().rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


class Server:
    def __init__(self, scene, *options, folder=None, space=None, ready=True, command=None, **more):
        self.decoders = int(options[options.index('-w') + 1]) if '-w' in options else 2
        options = list(options) if '-w' in options else ['-w', '2', *options]
        self.error = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [*(command or []), SHMSEM, 'serve', '-N', space or scene.space, *options, folder or scene.folder],
            stderr=self.error, **more)
        self.pid = self.process.pid
        self.before = None
        if ready:
            self.wait_ready()

    def said(self):
        return os.pread(self.error.fileno(), 65536, 0).decode(errors='replace')

    def wait_ready(self):
        until(lambda: 'serving' in self.said() or self.process.poll() is not None, what='the server to start')
        check(self.process.returncode is None, 'the server ended with', self.process.returncode, self.said())
        self.before = self.measure()

    def measure(self):
        """Descriptors, mappings of shared memory, children."""
        with open(f'/proc/{self.pid}/maps', encoding='ascii', errors='replace') as file:
            maps = sum('/dev/shm/' in line for line in file)
        return len(os.listdir(f'/proc/{self.pid}/fd')), maps, len(children(self.pid))

    def as_before(self, before):
        """Of descriptors there may be fewer: one may have been open just for the moment in which they were counted."""
        now = self.measure()
        return now[0] <= before[0] and now[1:] == before[1:]

    def decoder_pids(self):
        return children(self.pid)

    def check_unharmed(self):
        """It runs, has no more than when it started, and no dead decoder stays."""
        check(self.process.poll() is None, 'the server ended with', self.process.returncode, self.said())
        until(lambda: self.as_before(self.before), 5,
              lambda: f'{self.before} (descriptors, mappings, children) again; there are {self.measure()}')
        until(lambda: all(state_of(pid) != 'Z' for pid in self.decoder_pids()), 5, 'dead decoders to be replaced')

    def end(self, number=signal.SIGTERM, seconds=TIMEOUT):
        self.process.send_signal(number)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failure(f'the server does not end on signal {number}') from None


class Scene:
    def __init__(self, name):
        self.space, self.folder = 'fault', tempfile.mkdtemp(prefix='shmsem-fault-')
        self.scratch = tempfile.mkdtemp(prefix='shmsem-fault-')  # beside what is served and watched
        self.servers, self.workers, self.notes, self.name = [], [], [], name

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

    def note(self, *parts):
        self.notes.append(' '.join(str(part) for part in parts))

    def path(self, kind, index=0):
        number = f':{index}' if index else ''
        names = {'HEAD': f'SEG_{self.space}_HEAD', 'DATA': f'SEG_{self.space}{number}_DATA',
                 'REQ': f'sem.SEM_{self.space}_REQ', 'RES': f'sem.SEM_{self.space}{number}_RES'}
        return '/dev/shm/' + names[kind]

    def close(self):
        """Ends everything as it ought to end, and looks for what is left."""
        for worker in self.workers:
            code = worker.end()
            check(code in (0, -signal.SIGKILL), 'a client ended with', code)
        for server in self.servers:
            if server.process.poll() is None:
                server.check_unharmed()
                code = server.end()
                check(code == 0, 'the server ended with', code, server.said())
        left = os.listdir('/dev/shm')
        check(not left, 'left in /dev/shm:', *left)
        until(lambda: not reap(), 5, f'children to end: {children(os.getpid())}')


def reap():
    """We are process 1 here: what lost its parent is ours. Says what is still there."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass
    return children(os.getpid())


# ---- running ----

tests = []


def fault(size='256m', inodes=None, seconds=60, when=True):
    """Marks a test, says what its /dev/shm has, and after how long it counts as hung."""
    def mark(function):
        if when:
            tests.append((function, size, inodes, seconds))
        return function
    return mark


def run_inside(function, size, inodes, seconds):
    """In a process 1 of its own, with /proc and /dev/shm to match."""
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    # Not '/': in a chroot that is no mount point whose propagation could be changed.
    for point in (b'/proc', b'/dev/shm'):
        call(libc.mount, b'none', point, None, MS_REC | MS_PRIVATE, None)
    call(libc.mount, b'proc', b'/proc', b'proc', 0, None)
    options = f'mode=1777,size={size}' + (f',nr_inodes={inodes}' if inodes else '')
    call(libc.mount, b'none', b'/dev/shm', b'tmpfs', 0, options.encode())
    scene = Scene(function.__name__)
    failed = 0
    faulthandler.dump_traceback_later(seconds - 1)
    try:
        function(scene)
        scene.close()
    except BaseException:  # whatever it was, it is the result
        traceback.print_exc()
        for server in scene.servers[-2:]:
            if server.said().strip():
                print('  server said:', server.said().strip().replace('\n', '\n    '), file=sys.stderr)
        failed = 1
    for line in scene.notes:
        print('   ', line)
    subprocess.run(['rm', '-rf', scene.folder, scene.scratch], check=False)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(failed)


def run_one(function, size, inodes, seconds):
    begin = time.monotonic()
    outer = os.fork()
    if not outer:
        os.setpgid(0, 0)
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        users = 0 if os.geteuid() == 0 else CLONE_NEWUSER
        uid, gid = os.geteuid(), os.getegid()
        call(libc.unshare, users | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC)
        if users:
            for file, text in (('setgroups', 'deny'), ('uid_map', f'0 {uid} 1'), ('gid_map', f'0 {gid} 1')):
                with open(f'/proc/self/{file}', 'w', encoding='ascii') as out:
                    out.write(text)
        inner = os.fork()
        if not inner:
            run_inside(function, size, inodes, seconds)
        os._exit(os.waitstatus_to_exitcode(os.waitpid(inner, 0)[1]) & 255)
    while True:
        pid, status = os.waitpid(outer, os.WNOHANG)
        if pid:
            result = os.waitstatus_to_exitcode(status)
            break
        if time.monotonic() - begin > seconds:
            os.killpg(outer, signal.SIGKILL)
            os.waitpid(outer, 0)
            result = 'hung'
            break
        time.sleep(0.01)
    print(f"{'ok  ' if result == 0 else 'FAIL'} {function.__name__} ({time.monotonic() - begin:.1f} s)"
          f"{'' if result in (0, 1) else f': {result}'}", flush=True)
    return result == 0


def main():
    """Runs the tests of the calling file, or those whose names begin as the arguments do."""
    wanted = sys.argv[1:]
    good = [run_one(*test) for test in tests
            if not wanted or any(test[0].__name__.startswith(word) for word in wanted)]
    sys.exit(0 if good and all(good) else 1)
