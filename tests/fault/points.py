#!/usr/bin/python3
"""Killed at every system call (FAULTS.md, row 1): server at start, request and stop, decoder and client at a request.

strace counts the calls of one thread and kills at the N-th; the points are found by going on until nothing is killed any
more. FAULT_EVERY=k takes every k-th."""
import os
import re
import signal
import subprocess

from harness import (BAD_DATA, EVERY, TRY_AGAIN, UNAVAILABLE, WORKER, check, children, fault, main, reap, state_of,
                     until)

OBJECT = re.compile(r'^(sem\.SEM_fault(:[0-9]+)?_RE[QS]|SEG_fault_HEAD|SEG_fault(:[0-9]+)?_DATA)$')
MOST = 3000


def strace(number, *more):
    return ['strace', '-qqq', '-o', '/dev/null', '-e', 'signal=none',
            '-e', f'inject=all:signal=KILL:when={number}', *more]


def check_left(scene):
    """What a killed server left is known by its name, HEAD is whole, and a new server removes it all."""
    names = os.listdir('/dev/shm')
    for name in names:
        check(OBJECT.match(name), 'not to be attributed:', name)
    if names:
        check('SEG_fault_HEAD' in names, 'objects without HEAD:', names)
    if 'SEG_fault_HEAD' in names:
        with open(scene.path('HEAD'), 'rb') as file:
            check(os.pread(file.fileno(), 5, 32) == b'hmsem', 'HEAD is half made')
            check(os.fstat(file.fileno()).st_size >= 3 * 4096, 'HEAD is half made')
    for name in names:
        if name.startswith('sem.'):
            check(os.stat('/dev/shm/' + name).st_size == 32, name, 'is half made')


def restore(scene, worker, image):
    server = scene.serve('-w', '1', '-s', '2')
    status, text = worker.connect()
    check(status == 0, status, text)
    worker.call('release', worker.fetch(image))
    worker.call('close')
    check(server.end() == 0, server.said())
    check(not os.listdir('/dev/shm'), os.listdir('/dev/shm'))
    scene.servers.clear()


@fault(seconds=3000)
def a_server_killed_at_any_call_of_start_and_stop_leaves_what_the_next_removes(scene):
    image = scene.image('a')
    worker = scene.worker(connect=False)
    covered, survived, number = 0, 0, 1
    while survived < 2 and number < MOST:
        server = scene.serve('-w', '1', '-s', '2', ready=False, command=strace(number))
        until(lambda: server.process.poll() is not None or 'serving' in server.said())
        killed = server.process.poll() is not None
        if not killed:
            server_pid = next(iter(children(server.pid)), None)
            worker.wait = 0
            status, text = worker.connect()
            check(status in (0, UNAVAILABLE), status, text)
            if status == 0:
                status, text = worker.call('repeat', 1, image.name, image.sum)
                check(status in (0, UNAVAILABLE), status, text)
            if server_pid:
                try:
                    os.kill(server_pid, signal.SIGTERM)
                except ProcessLookupError:
                    pass
            killed = server.process.wait(20) != 0
            worker.call('close')
        survived = 0 if killed else survived + 1
        covered += killed
        until(lambda: not [pid for pid in reap() if pid != worker.process.pid], 5, 'its decoder to end')
        check_left(scene)
        scene.servers.clear()
        worker.wait = 20000
        restore(scene, worker, image)
        number += EVERY
    check(covered and survived, covered, 'points, and no end at', number)
    scene.note(f'{covered} points covered, every {EVERY}')


def attached(scene, threads_of, image_count):
    """Kills a thread of the server or the decoder at its N-th call after an image was asked for."""
    worker = scene.worker(connect=False)
    images = [scene.image(f'i{i}', seed=i) for i in range(image_count)]
    covered, survived, number = 0, 0, 1
    while survived < 2 and number < MOST:
        server = scene.serve('-w', '1', '-s', '2')
        status, text = worker.connect()
        check(status == 0, status, text)
        worker.call('release', worker.fetch(images[0]))
        tracers = [subprocess.Popen(strace(number, '-p', str(pid))) for pid in threads_of(server)]
        for pid in threads_of(server):
            until(lambda pid=pid: 'TracerPid:\t0' not in open(f'/proc/{pid}/status', encoding='ascii').read(), 10, 'strace')
        killed = False
        for image in images[1:]:
            status, text = worker.call('repeat', 1, image.name, image.sum)
            check(status in (0, UNAVAILABLE, TRY_AGAIN, BAD_DATA), status, text)
            killed = killed or status != 0
        killed = killed or server.process.poll() is not None
        covered += killed
        survived = 0 if killed else survived + 1
        worker.call('close')
        for tracer in tracers:
            tracer.terminate()
            tracer.wait()
        if server.process.poll() is None and state_of(server.pid) != 'Z' and not killed:
            check(server.end() == 0)
        else:
            # It may be dying still, or be alive with a new decoder.
            server.process.send_signal(signal.SIGTERM)
            server.process.wait(20)
        until(lambda: not [pid for pid in reap() if pid != worker.process.pid], 5, 'its decoder to end')
        check_left(scene)
        scene.servers.clear()
        restore(scene, worker, images[0])
        number += EVERY
    check(covered and survived, covered, 'points, and no end at', number)
    scene.note(f'{covered} points covered, every {EVERY}')


def attendants(server):
    return [int(task) for task in os.listdir(f'/proc/{server.pid}/task') if int(task) != server.pid]


@fault(seconds=1200)
def a_server_killed_at_any_call_of_a_request_leaves_what_the_next_removes(scene):
    attached(scene, attendants, 2)


@fault(seconds=1200)
def a_decoder_killed_at_any_call_of_a_request_costs_that_request(scene):
    attached(scene, lambda server: server.decoder_pids(), 2)


@fault(seconds=3000)
def a_client_killed_at_any_call_disturbs_nobody(scene):
    image = scene.image('a')
    server = scene.serve('-w', '1', '-s', '1')
    other = scene.worker(connect=False)
    script = f'connect {scene.space} 1 20000 20000\nfetch {image.name}\nnames\nrelease 0\nfetch {image.name}\nclose\n'
    covered, survived, number = 0, 0, 1
    while survived < 2 and number < MOST:
        process = subprocess.run(strace(number, '-f', WORKER), input=script.encode(), stdout=subprocess.DEVNULL,
                                 check=False, timeout=30)
        killed = process.returncode != 0
        covered += killed
        survived = 0 if killed else survived + 1
        status, text = other.connect()
        check(status == 0, 'the seat is not free after', number, status, text)
        other.call('release', other.fetch(image))
        other.call('close')
        number += EVERY
    check(covered and survived, covered, 'points, and no end at', number)
    server.check_unharmed()
    scene.note(f'{covered} points covered, every {EVERY}')


if __name__ == '__main__':
    main()
