"""Who waits is served in turn, who does nothing stops nobody, and a hit costs next to nothing.

Turns are counted, not timed: the clients of a test keep one log of who waits for a seat and who gets one (seat_log.c)."""
import json
import os
import re
import select
import signal
import struct
import subprocess
import time

from harness import SHMSEM, TRY_AGAIN, children, opens_files, until

CLIENTS, SEATS, ROUNDS = 64, 8, 40


class SeatLog:
    def __init__(self, scene, workers, records=100000):
        self.path = os.path.join(scene.scratch, 'seats')
        with open(self.path, 'wb') as file:
            file.truncate(8 + 4 * records)
        for client, worker in enumerate(workers):
            assert worker.call('log', self.path, client)[0] == 0

    def read(self):
        """Pairs, in order: a client, and whether it has a seat now or only a place in the queue."""
        with open(self.path, 'rb') as file:
            count = struct.unpack('Q', file.read(8))[0]
            return [(record >> 1, record & 1) for record in struct.unpack(f'{count}I', file.read(4 * count))]

    def next(self, known):
        """What comes after so many records."""
        return until(lambda: self.read()[known:], 'a client to get a seat or a place in the queue')[0]


def max_overtaken(records):
    """While somebody was in the queue, how often one and the same other client got a seat; and how often somebody waited."""
    before, most, waits = {}, 0, 0
    grants = dict.fromkeys({client for client, _ in records}, 0)
    for client, granted in records:
        if not granted:
            before[client] = dict(grants)
            waits += 1
            continue
        if client in before:
            then = before.pop(client)
            most = max(most, *(grants[other] - then[other] for other in grants if other != client))
        grants[client] += 1
    assert not before, ('in the queue for ever:', sorted(before))
    return most, waits


def test_sixty_four_clients_on_eight_seats_are_seated_in_the_order_in_which_they_came(scene):
    """One thing at a time, so that the order is known: the first in the queue gets the seat that becomes free."""
    scene.serve('-w', '1', '-s', str(SEATS))
    workers = [scene.worker(connect=False) for _ in range(CLIENTS)]
    log = SeatLog(scene, workers)
    known = 0

    def come(client, granted):
        nonlocal known
        workers[client].send('connect', scene.space, 0, 20000, 60000)
        assert log.next(known) == (client, granted), ('came, and then:', log.read()[known:])
        known += 1

    for client in range(CLIENTS):
        come(client, int(client < SEATS))
    seated, queue = list(range(SEATS)), list(range(SEATS, CLIENTS))
    for _ in range(4 * CLIENTS):
        leaver, first = seated.pop(0), queue.pop(0)
        assert workers[leaver].receive()[0] == 0
        assert workers[leaver].call('close')[0] == 0
        assert log.next(known) == (first, 1), ('was next, and then:', log.read()[known:])
        known += 1
        come(leaver, 0)
        seated.append(first)
        queue.append(leaver)
    for client in seated + queue:
        assert workers[client].receive()[0] == 0
        workers[client].call('close')
    scene.note(f'{4 * CLIENTS} seats that became free went to the first in the queue')


def test_sixty_four_busy_clients_overtake_nobody_twice(scene):
    """All at once, from a queue in which all of them wait. A client that came a moment earlier or looked a moment ago may still
    go first, but then it, too, has to queue: so while one is in the queue, no other gets a seat twice."""
    image = scene.image('a')
    scene.serve('-s', str(SEATS))
    seated = [scene.worker() for _ in range(SEATS)]
    workers = [scene.worker(connect=False) for _ in range(CLIENTS)]
    log = SeatLog(scene, workers)
    for worker in workers:
        worker.send('turns', ROUNDS, scene.space, image.name, image.sum)
    until(lambda: len(log.read()) == CLIENTS, 'all clients to be in the queue')
    for worker in seated:
        worker.call('close')
    for worker in workers:
        status, text = worker.receive()
        assert status == 0, text
    records = log.read()
    most, waits = max_overtaken(records)
    grants = sum(granted for _, granted in records)
    scene.note(f'{grants} seats given to {CLIENTS} clients, {waits} after a wait; '
               f'the same client got at most {most} in one wait of another')
    assert grants == CLIENTS * ROUNDS
    assert waits >= CLIENTS
    assert most <= 1, 'times by the same client'


def test_who_takes_a_seat_and_does_nothing_stops_nobody(scene):
    """Neither who holds a seat, nor who stops in the middle of a request; all seats but one are theirs."""
    image, others = scene.image('a'), [scene.image(f'i{i}', seed=i) for i in range(20)]
    scene.serve('-w', '1', '-s', '4')
    idle = [scene.worker() for _ in range(3)]
    idle[0].fetch(image)
    idle[1].send('repeat', 1000000, image.name, image.sum)
    time.sleep(0.05)
    os.kill(idle[1].process.pid, signal.SIGSTOP)
    busy = scene.worker()
    turns = [scene.worker(connect=False) for _ in range(3)]
    log = SeatLog(scene, turns)
    for worker in turns:
        worker.send('turns', 100, scene.space, image.name, image.sum)
    until(lambda: len(log.read()) == len(turns), 'all of them to be in the queue')
    busy.call('close')
    for worker in turns:
        status, text = worker.receive()
        assert status == 0, text
    most, waits = max_overtaken(log.read())
    assert most <= 1 and waits >= len(turns)
    assert busy.connect()[0] == 0
    for other in others:
        busy.call('release', busy.fetch(other))
    late = scene.worker(connect=False, timeout=200, wait=0)
    status, text = late.connect()
    assert status == TRY_AGAIN and 'all 4 seats' in text
    idle[1].kill()
    assert late.connect()[0] == 0
    late.fetch(image)


def repeat(worker, hits, image):
    status, text = worker.call('repeat', hits, image.name, 0)
    assert status == 0, text


def traced(pid, task):
    with open(f'/proc/{pid}/task/{task}/status', encoding='ascii') as file:
        return 'TracerPid:\t0' not in file.read()


def calls_of(scene, server, worker, action):
    """The system calls of a server and of a client meanwhile, but for waits and wakes, as strace counts them."""
    calls = {}
    for who, pid in (('server', server.pid), ('client', worker.process.pid)):
        trace = os.path.join(scene.scratch, who)
        # Without the thread that looks after the server four times a second.
        threads = [task for task in os.listdir(f'/proc/{pid}/task') if who == 'client' or int(task) != pid]
        tracers = [subprocess.Popen(['strace', '-qqq', '-o', f'{trace}{task}', '-e', 'trace=!futex,restart_syscall',
                                     '-p', task]) for task in threads]
        until(lambda pid=pid, threads=threads: all(traced(pid, task) for task in threads), 'strace')
        action()
        for tracer in tracers:
            tracer.terminate()
            tracer.wait()
        for task in threads:
            with open(f'{trace}{task}', encoding='ascii', errors='replace') as file:
                for match in filter(None, (re.match(r'(\w+)\(', line) for line in file)):
                    calls[who, match.group(1)] = calls.get((who, match.group(1)), 0) + 1
    return calls


def test_a_hit_costs_the_server_at_most_one_system_call_and_the_client_none(scene):
    """Counted by strace; waits and wakes (futex) do not count."""
    image = scene.image('a')
    server = scene.serve('-w', '1', '-s', '2')
    time.sleep(0.05)
    worker = scene.worker()
    worker.call('release', worker.fetch(image))
    worker.call('repeat', 10, image.name, image.sum)
    hits = 2000
    calls = calls_of(scene, server, worker, lambda: repeat(worker, hits, image))
    of_server = sum(count for (who, _), count in calls.items() if who == 'server')
    of_client = sum(count for (who, _), count in calls.items() if who == 'client')
    scene.note(f'{hits} hits: {of_server} calls in the server, {of_client} in the client', calls)
    # None, where there is io_uring; else one look at the queue of inotify for each.
    doctor = subprocess.run([SHMSEM, 'doctor', '--json'], capture_output=True, check=False).stdout
    states = {finding['check']: finding['state'] for finding in json.loads(doctor)['findings']}
    assert of_server <= (0 if states['io_uring'] == 'ok' else hits) + hits * 0.02, calls
    # It reads its orders and writes its answer; what it does beyond that is not for the hits.
    assert of_client <= hits * 0.02, calls


def faults_of(pid):
    """Page faults that needed no disk."""
    with open(f'/proc/{pid}/stat', encoding='ascii') as file:
        return int(file.read().rpartition(')')[2].split()[7])


def test_a_hit_costs_the_same_at_one_kilobyte_and_at_36_megabytes(scene):
    """Told without a clock: by system calls, and by page faults, which a process that touched or mapped the pixels would have."""
    images = [scene.image('small', width=18, height=18), scene.plain('large', 4000, 3000)]
    server = scene.serve('-w', '1', '-s', '2', '--cache', '64M')
    worker = scene.worker()
    hits, costs = 2000, []
    for image in images:
        worker.call('release', worker.fetch(image))
        repeat(worker, 10, image)
        before = faults_of(server.pid), faults_of(worker.process.pid)
        repeat(worker, hits, image)
        faults = faults_of(server.pid) - before[0], faults_of(worker.process.pid) - before[1]
        calls = calls_of(scene, server, worker, lambda image=image: repeat(worker, hits, image))
        costs.append((*faults, *(sum(count for (who, _), count in calls.items() if who == whose)
                                 for whose in ('server', 'client'))))
        scene.note(f'{image.bytes} bytes, {hits} hits: page faults of server {faults[0]}, client {faults[1]}; '
                   f'system calls {costs[-1][2]}, {costs[-1][3]}')
    for small, large in zip(*costs):
        assert abs(large - small) <= hits * 0.02, costs


def test_a_stopped_client_in_the_queue_holds_nobody_up(scene):
    scene.serve('-s', '1')
    image, sitting = scene.image('a'), scene.worker()
    first, second = (scene.worker(connect=False, wait=20000) for _ in range(2))
    words = (scene.space, int(first.guard), first.timeout, first.wait)

    def queued(count):
        with open(scene.path('HEAD'), 'rb') as file:
            return struct.unpack('<Q', os.pread(file.fileno(), 8, 4096 + 64))[0] == count
    first.send('connect', *words)
    until(lambda: queued(1), what='the first to queue')
    first.process.send_signal(signal.SIGSTOP)
    second.send('connect', *words)
    until(lambda: queued(2), what='the second to queue')
    sitting.end()
    scene.workers.remove(sitting)
    status, text = second.receive()
    assert status == 0, text
    second.call('release', second.fetch(image))
    first.process.send_signal(signal.SIGCONT)
    second.end()
    scene.workers.remove(second)
    status, text = first.receive()
    assert status == 0, text


def test_a_changed_image_is_offered_the_room_that_it_took_before(scene):
    """So its decoder has nothing to ask: it sends one message, where it sends two for what it does not know, or has grown."""
    server = scene.serve('-w', '1', '-s', '2')
    worker = scene.worker()
    worker.call('release', worker.fetch(scene.image('first')))
    trace = os.path.join(scene.scratch, 'decoder')
    tracer = subprocess.Popen(['strace', '-qqq', '-o', trace, '-e', 'trace=sendto', '-p', str(server.decoder_pids()[0])])

    decoder = server.decoder_pids()[0]
    until(lambda: traced(decoder, decoder), 'strace')

    def sent():
        with open(trace, encoding='ascii', errors='replace') as file:
            return sum(line.startswith('sendto(') for line in file)
    for seed, width, messages in ((1, 300, 2), (2, 300, 1), (3, 200, 1), (4, 400, 2), (5, 400, 1)):
        before = sent()
        worker.call('release', worker.fetch(scene.image('camera', seed, width)))
        until(lambda before=before: sent() > before, what='the trace')
        assert sent() - before == messages, ('messages for image', seed)
    tracer.terminate()
    tracer.wait()


def test_two_lists_that_take_long_leave_somebody_to_answer(scene):
    server = scene.serve('-w', '1', '-s', '4')
    image, worker = scene.image('a'), scene.worker()
    worker.call('release', worker.fetch(image))
    listers = [scene.worker() for _ in range(2)]
    maker = next(pid for pid in children(server.pid) if opens_files(pid))
    tracer = subprocess.Popen(['strace', '-qqq', '-f', '-o', '/dev/null', '-e', 'trace=getdents64',
                               '-e', 'inject=getdents64:delay_enter=2000000', '-p', str(server.pid), '-p', str(maker),
                               *(word for pid in children(maker) for word in ('-p', str(pid)))])

    def all_traced():
        return all(traced(pid, task) for pid in (server.pid, maker, *children(maker))
                   for task in os.listdir(f'/proc/{pid}/task'))

    def listing():
        """Somebody's request has been taken up: state 2 of its turn word."""
        with open(scene.path('HEAD'), 'rb') as file:
            return any(os.pread(file.fileno(), 1, seat * 4096 + 64) == b'\x02' for seat in range(4))
    until(all_traced, what='strace')
    for lister in listers:
        lister.send('names')
    until(listing, what='a list to be begun')
    status, text = worker.call('repeat', 20, image.name, image.sum)
    assert status == 0, text
    answered = select.select([lister.process.stdout for lister in listers], [], [], 0)[0]
    assert not answered, 'nobody answered before a list was done'
    tracer.terminate()
    tracer.wait()
    for lister in listers:
        status, text = lister.receive()
        assert status == 0, text
