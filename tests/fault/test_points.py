"""Killed at every system call (tests/README.md, row 1): server at start, request and stop, decoder from its birth and at a request,
client from connect to close.

Two runs under strace give the points that both reach, each a call and its how-manyeth; then one run for each is killed there. A
point that is not reached is tried again, and then named; it is a failure if more runs under strace, which nothing kills, reach
it each time. FAULT_EVERY=k takes every k-th."""
import os
import re
import signal
import struct
import subprocess
import time

import pytest

from harness import BAD_DATA, children, EVERY, reap, SANITIZED, Server, TRY_AGAIN, UNAVAILABLE, until, WORKER

OBJECT = re.compile(r'^(sem\.SEM_fault(:[0-9]+)?_RE[QS]|SEG_fault_(HEAD|INDEX)|SEG_fault(:[0-9]+)?_DATA)$')
AT_CALL = os.environ.get('FAULT_AT_CALL', 'fault-at-call')
DECODER_STARTS = 10  # which of the server's counters it is
CALL = re.compile(r'^(?:\[pid +\d+\] |\d+ +)?([a-z]\w*)\(')

if SANITIZED:
    os.environ['ASAN_OPTIONS'] = 'detect_leaks=0'  # which is itself a tracer, and there can be one only


def watching(path, *more):
    return ['strace', '-qqq', '-o', path, '-e', 'signal=none', *more]


def killing(point, *more):
    return ['strace', '-qqq', '-o', '/dev/null', '-e', f'trace={point[0]}', '-e', 'signal=none',
            '-e', f'inject={point[0]}:signal=KILL:when={point[1]}', *more]


# strace itself makes the first one; the other one is made only after an interruption.
UNREACHABLE = 'execve', 'restart_syscall'


def points_of(paths):
    """The calls of a run (of several threads: each as often as the one that made it most often)."""
    found = {}
    for path in paths:
        seen = {}
        with open(path, encoding='ascii', errors='replace') as file:
            for match in filter(None, map(CALL.match, file)):
                name = match.group(1)
                seen[name] = seen.get(name, 0) + 1
                if name not in UNREACHABLE:
                    found[name, seen[name]] = True
    return list(found)


def emptied(folder):
    for name in os.listdir(folder):
        os.unlink(f'{folder}/{name}')
    return folder


def check_left():
    """What a killed server left is known by its name, and whole."""
    names = os.listdir('/dev/shm')
    for name in names:
        path = '/dev/shm/' + name
        assert OBJECT.match(name)
        assert os.stat(path).st_size == 32 if name.startswith('sem.') else os.stat(path).st_size >= 4096, 'is half made'
    if names:
        assert 'SEG_fault_HEAD' in names
        with open('/dev/shm/SEG_fault_HEAD', 'rb') as file:
            assert os.pread(file.fileno(), 5, 32) == b'hmsem', 'HEAD is half made'


def all_ended(worker):
    until(lambda: not [pid for pid in reap() if pid != worker.process.pid], 'every process of the server to end')


def restore(scene, worker, image):
    """One start of a server makes all good again."""
    all_ended(worker)
    check_left()
    scene.servers.clear()
    server = scene.serve('-w', '1', '-s', '2')
    worker.wait = 20000
    status, text = worker.connect()
    assert status == 0, text
    worker.call('release', worker.fetch(image))
    worker.call('close')
    assert server.end() == 0, server.said()
    assert not os.listdir('/dev/shm')
    scene.servers.clear()


ATTEMPTS = 4


def kill_all(scene, trace, kill_at, every=EVERY):
    """Kills at each point that `trace` finds, which `kill_at` says if it did.

    Some calls are made only at times: those of a turn of upkeep, or where two threads meet."""
    again = trace()
    points = [point for point in trace() if point in again][::every]
    missed = [point for point in points if not any(kill_at(point) for _ in range(ATTEMPTS))]
    scene.note(f'{len(points) - len(missed)} of {len(points)} points killed' + (f' (every {every}th)' if every > 1 else ''))
    for point in missed:
        scene.note('not reached:', *point)
    always = set(missed)
    for _ in range(ATTEMPTS if missed else 0):
        always.intersection_update(trace())
    assert not always, 'made each time where nothing kills'
    assert len(points) > len(missed) * 5, 'too few were reached'


@pytest.mark.deadline(1200)
def test_a_server_killed_at_any_call_of_start_and_stop_leaves_what_the_next_removes(scene):
    image = scene.image('a')
    worker = scene.worker(connect=False)

    def whole_life(command):
        server = scene.serve('-w', '1', '-s', '2', ready=False, command=command)
        until(lambda: server.process.poll() is not None or 'serving' in server.said())
        traced = children(server.pid) if server.process.returncode is None else []
        worker.wait = 0
        status, text = worker.connect()
        assert status in (0, UNAVAILABLE), text
        if status == 0:
            status, text = worker.call('repeat', 1, image.name, image.sum)
            assert status in (0, UNAVAILABLE), text
        for pid in traced:
            try:
                os.kill(pid, signal.SIGTERM)
            except ProcessLookupError:
                pass  # killed already
        code = server.process.wait(20)
        worker.call('close')
        return code != 0

    def trace():
        path = os.path.join(scene.scratch, 'trace')
        assert not whole_life(watching(path))
        return points_of([path])

    def kill_at(point):
        killed = whole_life(killing(point))
        restore(scene, worker, image)
        return killed
    kill_all(scene, trace, kill_at)


def workers(server):
    try:
        return [int(task) for task in os.listdir(f'/proc/{server.pid}/task') if int(task) != server.pid]
    except OSError:
        return []


@pytest.mark.deadline(1200)
@pytest.mark.parametrize('threads_of', [workers, Server.decoder_pids], ids=['server', 'decoder'])
def test_killed_at_any_call_of_a_request_it_costs_that_request(scene, threads_of):
    """A thread of the server, or its decoder. What is left is removed by the next server."""
    stored, image = scene.image('stored'), scene.image('a', seed=2)
    worker = scene.worker(connect=False)

    def request(command_for, watch=False):
        """Whether a tracer lost what it traced."""
        server = scene.serve('-w', '1', '-s', '2')
        worker.wait = 20000
        assert worker.connect()[0] == 0
        worker.call('release', worker.fetch(stored))
        pids = threads_of(server)
        of_server = set(pids) <= set(workers(server))
        tracers = [subprocess.Popen(command_for(pid)) for pid in pids]

        def all_traced():
            for pid in pids:
                try:
                    with open(f'/proc/{server.pid}/task/{pid}/status' if pid in workers(server) else
                              f'/proc/{pid}/status', encoding='ascii') as file:
                        text = file.read()
                        if 'TracerPid:\t0' in text and 'State:\tZ' not in text:
                            return False
                except OSError:
                    return True
            return True
        until(all_traced, 'strace')
        status, text = worker.call('repeat', 1, image.name, image.sum)
        assert status in (0, UNAVAILABLE, TRY_AGAIN, BAD_DATA), text
        # The last call may come after the answer.
        end = time.monotonic() + (0 if watch else 0.5)
        while all(tracer.poll() is None for tracer in tracers) and time.monotonic() < end:
            time.sleep(0.005)
        dead = any(tracer.poll() is not None for tracer in tracers)
        for tracer in tracers:
            tracer.terminate()
            tracer.wait()
        if dead and of_server:
            server.process.wait(20)  # all its threads are dying
        if server.process.poll() is None:
            if dead:
                status, text = worker.call('repeat', 1, image.name, image.sum)
                assert status == 0, text
            server.process.send_signal(signal.SIGTERM)
            server.process.wait(20)
        worker.call('close')
        all_ended(worker)
        return dead

    # The kernel has the names cached from the second time on, and then other calls are made.
    assert not request(lambda pid: watching('/dev/null', '-p', str(pid)), watch=True)

    def trace():
        folder = emptied(scene.scratch)
        assert not request(lambda pid: watching(f'{folder}/trace{pid}', '-p', str(pid)), watch=True)
        return points_of([f'{folder}/{name}' for name in os.listdir(folder)])

    def kill_at(point):
        killed = request(lambda pid: killing(point, '-p', str(pid)))
        restore(scene, worker, image)
        return killed
    kill_all(scene, trace, kill_at, 1)  # so few that none is left out


@pytest.mark.deadline(1200)
def test_a_decoder_killed_at_any_call_from_its_birth_is_replaced(scene):
    """Loading, closing, limits, Landlock, seccomp, and then its first request."""
    image = scene.image('a')
    worker = scene.worker(connect=False)

    def life(command):
        """Whether the server had to start another decoder."""
        server = scene.serve('-w', '1', '-s', '1', command=command)
        traced = server.decoder_pids()[0]
        assert worker.connect()[0] == 0
        status, text = worker.call('repeat', 1, image.name, image.sum)
        assert status == 0 or (status in (TRY_AGAIN, BAD_DATA) and 'decoder' in text)
        until(lambda: worker.call('repeat', 1, image.name, image.sum)[0] == 0, 'right pixels after a decoder was killed')

        def starts():
            with open(scene.path('HEAD'), 'rb') as file:
                return struct.unpack('Q', os.pread(file.fileno(), 8, 4096 + 128 + 8 * DECODER_STARTS))[0]
        # One that is killed after its answer is missed by nobody but the server, which looks four times a second.
        end = time.monotonic() + (1 if AT_CALL in command else 0)
        while starts() < 2 and time.monotonic() < end:
            time.sleep(0.005)
        replaced = starts() > 1
        worker.call('close')
        os.kill(traced, signal.SIGTERM)
        assert server.process.wait(20) == 0, server.said()
        all_ended(worker)
        assert not os.listdir('/dev/shm')
        scene.servers.clear()
        return replaced

    def trace():
        folder, calls = emptied(scene.scratch), []
        assert not life(['strace', '-ff', '-qqq', '-o', f'{folder}/trace', '-e', 'signal=none'])
        for name in os.listdir(folder):
            with open(f'{folder}/{name}', encoding='ascii', errors='replace') as file:
                text = file.read()
            if '--decoder' in text:
                calls = [match.group(1) for match in filter(None, map(CALL.match, text.splitlines()))]
        assert {'execve', 'close_range', 'seccomp', 'pread64', 'sendto'} <= set(calls)
        return [(name, number) for number, name in enumerate(calls, 1)]

    # The first child is the one that makes helpers.
    kill_all(scene, trace, lambda point: life([AT_CALL, '3', str(point[1])]))


@pytest.mark.deadline(1200)
def test_a_client_killed_at_any_call_disturbs_nobody(scene):
    image = scene.image('a')
    server = scene.serve('-w', '1', '-s', '1')
    other = scene.worker(connect=False)
    script = f'connect {scene.space} 1 20000 20000\nfetch {image.name}\nnames\nrelease 0\nfetch {image.name}\nclose\n'

    def whole_life(command):
        return subprocess.run(command, input=script.encode(), stdout=subprocess.DEVNULL, check=False,
                              timeout=30).returncode != 0

    def trace():
        path = os.path.join(scene.scratch, 'trace')
        assert not whole_life(watching(path, WORKER))
        return points_of([path])

    def kill_at(point):
        killed = whole_life(killing(point, WORKER))
        status, text = other.connect()
        assert status == 0, ('the seat is not free after', point, text)
        other.call('release', other.fetch(image))
        other.call('close')
        return killed
    kill_all(scene, trace, kill_at)
    server.check_unharmed()
