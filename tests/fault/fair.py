#!/usr/bin/python3
"""Who waits is served in turn, who does nothing stops nobody, and a hit costs next to nothing."""
import json
import os
import re
import subprocess
import time

from harness import SHMSEM, SLACK, TRY_AGAIN, check, fault, main


@fault()
def sixty_four_clients_on_eight_seats_are_served_in_turn(scene):
    image = scene.image('a')
    scene.serve('-s', '8')
    time.sleep(0.05)
    workers = [scene.worker(connect=False) for _ in range(64)]
    for worker in workers:
        worker.send('turns', 5, scene.space, image.name)
    turns, longest, medians = [], [], []
    for worker in workers:
        status, text = worker.receive()
        check(status == 0, status, text)
        count, most, median = map(int, text.split())
        turns.append(count)
        longest.append(most)
        medians.append(median)
    medians.sort()
    median = medians[32]
    scene.note(f'turns {min(turns)} to {max(turns)}; median wait {median / 1e6:.2f} ms, longest {max(longest) / 1e6:.2f} ms')
    check(max(longest) < max(10 * median, SLACK * 1e9), 'a client waited', max(longest), 'the median is', median)
    check(min(turns) * 10 > max(turns), turns)


@fault()
def who_takes_a_seat_and_does_nothing_stops_nobody(scene):
    image = scene.image('a')
    scene.serve('-w', '1', '-s', '3')
    idle = [scene.worker() for _ in range(2)]
    time.sleep(0.05)
    busy = scene.worker()
    busy.call('release', busy.fetch(image))
    status, text = busy.call('repeat', 1000, image.name, image.sum)
    check(status == 0, status, text)
    late = scene.worker(connect=False, timeout=200, wait=0)
    status, text = late.connect()
    check(status == TRY_AGAIN and 'all 3 seats' in text, status, text)
    idle[0].kill()
    check(late.connect()[0] == 0)
    late.fetch(image)


@fault()
def a_hit_costs_one_system_call_in_the_server_and_none_in_the_client(scene):
    """Counted by strace; waits and wakes (futex) do not count."""
    image = scene.image('a')
    server = scene.serve('-w', '1', '-s', '2')
    time.sleep(0.05)
    worker = scene.worker()
    worker.call('release', worker.fetch(image))
    worker.call('repeat', 10, image.name, image.sum)
    hits = 2000
    calls = {}
    for who, pid in (('server', server.pid), ('client', worker.process.pid)):
        trace = os.path.join(scene.scratch, who)
        # Without the thread that looks after the server four times a second.
        threads = [task for task in os.listdir(f'/proc/{pid}/task') if who == 'client' or int(task) != pid]
        tracers = [subprocess.Popen(['strace', '-qqq', '-o', f'{trace}{task}', '-e', 'trace=!futex,restart_syscall',
                                     '-p', task]) for task in threads]
        time.sleep(1)
        status, text = worker.call('repeat', hits, image.name, image.sum)
        check(status == 0, status, text)
        for tracer in tracers:
            tracer.terminate()
            tracer.wait()
        for task in threads:
            with open(f'{trace}{task}', encoding='ascii', errors='replace') as file:
                for match in filter(None, (re.match(r'(\w+)\(', line) for line in file)):
                    calls[who, match.group(1)] = calls.get((who, match.group(1)), 0) + 1
    of_server = sum(count for (who, _), count in calls.items() if who == 'server')
    of_client = sum(count for (who, _), count in calls.items() if who == 'client')
    scene.note(f'{hits} hits: {of_server} calls in the server, {of_client} in the client', calls)
    # None, where there is io_uring; else one look at the queue of inotify for each.
    doctor = subprocess.run([SHMSEM, 'doctor', '--json'], capture_output=True, check=False).stdout
    states = {finding['check']: finding['state'] for finding in json.loads(doctor)['findings']}
    check(of_server <= (0 if states['io_uring'] == 'ok' else hits) + hits * 0.02, calls)
    # It reads its orders and writes its answer; what it does beyond that is not for the hits.
    check(of_client <= hits * 0.02, calls)


if __name__ == '__main__':
    main()
