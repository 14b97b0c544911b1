"""Killed and stopped processes (tests/README.md, rows 2 to 5); at random moments: random_kills.py."""
import os
import random
import signal
import time

from harness import BAD_DATA, check_all_within, SANITIZED, sleeps, state_of, TRIES, TRY_AGAIN, UNAVAILABLE, until, within

LOOKS = 14  # sleeps of a client between its server's death and its answer


def waiting(scene, worker, decoder, image):
    """Sends a request that the (stopped) decoder will not answer."""
    os.kill(decoder, signal.SIGSTOP)
    until(lambda: state_of(decoder) == 'T')
    worker.send('fetch', f'{image.name}.png')  # so that no other name is looked up first


def taken(scene, seat):
    """Whether the server works on the request of a seat: state 2 of its turn word."""
    with open(scene.path('HEAD'), 'rb') as file:
        return os.pread(file.fileno(), 1, seat * 4096 + 64) == b'\x02'


def test_a_killed_decoder_costs_one_request_and_nobody_else_anything(scene):
    server = scene.serve('-w', '1')
    loser, other = scene.worker(), scene.worker()
    numbers = (signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV, signal.SIGABRT)
    stored = scene.image('stored')
    dying = [(number, scene.image(f'dying{turn}-{number}', seed=number),
                scene.image(f'fresh{turn}-{number}', seed=number + 100)) for number in numbers for turn in range(TRIES)]
    # What was written a moment ago is decoded again when anything else happens in its folder.
    time.sleep(0.05)
    other.fetch(stored)
    times = {number: [] for number in numbers}
    for number, image, fresh in dying:
        decoder = server.decoder_pids()[0]
        waiting(scene, loser, decoder, image)
        until(lambda: taken(scene, 0))
        status, text = other.call('repeat', 10, stored.name, stored.sum)
        assert status == 0, text
        begin = time.monotonic()
        os.kill(decoder, number)
        if number != signal.SIGKILL:
            os.kill(decoder, signal.SIGCONT)
        status, text = loser.receive()
        times[number].append(time.monotonic() - begin)
        assert status in (BAD_DATA, TRY_AGAIN), text
        # A sanitizer's report on SIGSEGV ends at the decoder's limit of files.
        named = signal.Signals(number).name in text or (SANITIZED and 'SIGXFSZ' in text)
        assert image.name in text and named
        loser.fetch(fresh)
        assert server.decoder_pids() != [decoder], 'the decoder is the same'
    scene.note(f'{len(dying)} decoders killed; longest time from kill to answer: {max(map(max, times.values())) * 1000:.1f} ms')
    for number, measured in times.items():
        check_all_within(0.1, measured, f'the answer after {signal.Signals(number).name}')


def test_a_decoder_that_dies_idle_is_replaced_before_anybody_asks(scene):
    server = scene.serve('-w', '2')
    image = scene.image('a')
    worker = scene.worker()
    for _ in range(5):
        before = server.decoder_pids()
        for decoder in before:
            os.kill(decoder, signal.SIGKILL)
        until(lambda before=before: len(server.decoder_pids()) == 2 and not set(server.decoder_pids()) & set(before),
              'new decoders')
    worker.fetch(image)


def test_killed_clients_leave_their_seat_at_once(scene):
    scene.serve('-w', '1', '-s', '1', '--cache', '1M')
    images = [scene.image(f'i{i}', seed=i, width=100 + i) for i in range(20)]
    rounds = 150
    times = {kind: [] for kind in range(6)}  # idle, with an image, with a request, with both
    for turn in range(rounds):
        begin = time.monotonic()
        worker = scene.worker(wait=0)
        times[(turn - 1) % 6].append(time.monotonic() - begin)
        if turn % 3:
            worker.fetch(images[turn % 20])
        if turn % 2:
            worker.send('repeat', 1000, images[turn * 7 % 20].name, 0)
            time.sleep(random.random() * 0.003)
        worker.kill()
    longest = max(map(max, times.values()))
    scene.note(f'{rounds} clients killed; longest time until the seat was had again: {longest * 1000:.1f} ms')
    for measured in times.values():
        check_all_within(0.1, measured, 'the seat of a killed client')
    scene.worker(wait=0).fetch(images[3])


def test_sixty_four_clients_learn_that_their_server_was_killed(scene):
    workers = [scene.worker(connect=False) for _ in range(64)]
    turns = iter(range(TRIES))

    def attempt():
        turn = next(turns)
        image, never = scene.image(f'first{turn}'), scene.image(f'never{turn}', width=200)
        server = scene.serve('-w', '1', '-s', '64')
        decoder = server.decoder_pids()[0]
        # Stopped while it still starts, it would not know yet that it is to die with its server.
        workers[0].connect()
        workers[0].call('release', workers[0].fetch(image))
        for worker in workers:
            assert worker.connect()[0] == 0
            waiting(scene, worker, decoder, never)
        until(lambda: all(taken(scene, seat) for seat in range(64)))
        time.sleep(0.15)  # a client's first look comes sooner than the others
        before, begin = [sleeps(worker.process.pid) for worker in workers], time.monotonic()
        server.process.kill()
        server.process.wait()
        for worker in workers:
            status, text = worker.receive()
            assert status == UNAVAILABLE and 'died' in text
        took = time.monotonic() - begin
        most = max(sleeps(worker.process.pid) - slept for worker, slept in zip(workers, before))
        until(lambda: state_of(decoder) in 'XZ')
        # One of 100 ms until it looks, ten of 10 ms for a successor, and that for its next order.
        assert most <= LOOKS, f'a client slept {most} times until it told'
        scene.note(f'all 64 told after {took * 1000:.0f} ms, at most {most} sleeps')
        return took

    within(0.25, attempt, 'telling 64 clients')
    image = scene.image('a')
    scene.serve('-w', '1', '-s', '64')
    for worker in workers:
        worker.fetch(image)


def test_a_stopped_decoder_ends_at_its_deadline_and_its_clients_at_theirs(scene):
    server = scene.serve('-w', '1', '--decode-timeout', '1')
    patient, hasty = scene.worker(), scene.worker(timeout=300)
    turns = iter(range(TRIES))
    waits = []

    def attempt():
        turn = next(turns)
        stuck, fine = scene.image(f'stuck{turn}'), scene.image(f'fine{turn}', seed=2)
        decoder = server.decoder_pids()[0]
        waiting(scene, patient, decoder, stuck)
        until(lambda: taken(scene, 0))
        begin = time.monotonic()
        status, text = hasty.call('fetch', fine.name)
        assert status == TRY_AGAIN, text
        waits.append(time.monotonic() - begin)
        assert waits[-1] >= 0.3
        status, text = patient.receive()
        took = time.monotonic() - begin
        assert status == BAD_DATA and stuck.name in text and '--decode-timeout' in text
        until(lambda: state_of(decoder) == 'X')
        patient.fetch(fine)
        # Both in the same attempt, so that none is excused by the other's good moment.
        return max(waits[-1] - 0.3, took - 1)

    scene.note(f'late by {within(0.1, attempt, "the deadlines of client and decoder") * 1000:.1f} ms')


def test_a_stopped_server_is_alive(scene):
    server = scene.serve('-w', '1')
    worker = scene.worker(timeout=300)
    image = scene.image('a')
    os.kill(server.pid, signal.SIGSTOP)
    status, text = worker.call('fetch', image.name)
    assert status == TRY_AGAIN, text
    second = scene.serve('-w', '1', ready=False)
    assert second.process.wait(20) == TRY_AGAIN, second.said()
    assert str(server.pid) in second.said()
    os.kill(server.pid, signal.SIGCONT)
    worker.timeout = 20000
    assert worker.connect()[0] == 0
    worker.fetch(image)
