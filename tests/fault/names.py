#!/usr/bin/python3
"""Whose name it is, when it goes, and what children inherit (FAULTS.md, rows 18 to 22)."""
import os
import random
import re
import signal
import stat
import subprocess
import threading
import time

from harness import SHMSEM, TRY_AGAIN, UNAVAILABLE, check, check_all_within, fault, main, state_of, until, within

CONVENTION = (0, 128 + signal.SIGTERM, 128 + signal.SIGINT, 128 + signal.SIGHUP)


@fault()
def of_two_servers_at_once_exactly_one_wins(scene):
    rounds = 100
    scene.image('a')
    for turn in range(rounds):
        if turn % 3 == 0:  # over what a killed one left
            left = scene.serve('-w', '1', '-s', '2')
            left.process.kill()
            left.process.wait()
        both = [scene.serve('-w', '1', '-s', '2', ready=False) for _ in range(2)]
        until(lambda: any(server.process.poll() is not None for server in both))
        loser = next(server for server in both if server.process.returncode is not None)
        winner = both[1 - both.index(loser)]
        check(loser.process.returncode == TRY_AGAIN, loser.process.returncode, loser.said())
        winner.wait_ready()
        check(f'pid {winner.pid}' in loser.said(), loser.said())
        check(winner.end() == 0)
        check(not os.listdir('/dev/shm'), os.listdir('/dev/shm'))
        scene.servers.clear()
    scene.note(f'{rounds} rounds')


@fault()
def an_old_server_that_ends_late_takes_only_its_own_objects(scene):
    image = scene.image('a')
    old = scene.serve('-w', '1', '-s', '2')
    own = dict.fromkeys(os.listdir('/dev/shm'))
    os.kill(old.pid, signal.SIGSTOP)
    for name in own:
        os.unlink('/dev/shm/' + name)
    new = scene.serve('-w', '1', '-s', '2')
    before = {name: os.stat('/dev/shm/' + name).st_ino for name in os.listdir('/dev/shm')}
    check(set(before) == set(own), before, own)
    os.kill(old.pid, signal.SIGCONT)
    old.end()
    check({name: os.stat('/dev/shm/' + name).st_ino for name in os.listdir('/dev/shm')} == before, 'taken away')
    scene.worker().fetch(image)
    check(new.process.poll() is None)


@fault()
def a_server_whose_names_are_removed_says_so_and_ends(scene):
    image = scene.image('a')

    def attempt(kinds):
        server = scene.serve('-s', '3')
        worker = scene.worker()
        slot = worker.fetch(image)
        paths = [scene.path(*kinds)] if kinds else ['/dev/shm/' + name for name in os.listdir('/dev/shm')]
        begin = time.monotonic()
        for path in paths:
            os.unlink(path)
        code = server.process.wait(20)
        took = time.monotonic() - begin
        check(code == UNAVAILABLE, code, server.said())
        check(any(os.path.basename(path) in server.said() for path in paths) and 'RemoveIPC' in server.said(),
              server.said())
        check(worker.sum(slot) == image.sum, 'held pixels changed')
        status, text = worker.call('fetch', image.name)
        check(status == UNAVAILABLE, status, text)
        check(not os.listdir('/dev/shm'), os.listdir('/dev/shm'))
        worker.end()
        return took

    times = [within(1, lambda kinds=kinds: attempt(kinds), f'ending without {kinds}')
             for kinds in (('HEAD', 0), ('REQ', 0), ('RES', 1), ('DATA', 0), ('DATA', 1), None)]
    scene.note(f'longest time until it ended: {max(times):.2f} s')


@fault()
def modes_do_not_depend_on_the_umask(scene):
    for mask in (0, 0o077, 0o777):
        for mode in (None, '0660', '0644'):
            options = ['--mode', mode] if mode else []
            server = scene.serve('-s', '2', *options, preexec_fn=lambda mask=mask: os.umask(mask))
            wanted = {None: 0o600, '0660': 0o660, '0644': 0o600}[mode]  # read alone would do nothing but lock
            for name in os.listdir('/dev/shm'):
                found = stat.S_IMODE(os.stat('/dev/shm/' + name).st_mode)
                expected = wanted & 0o444 | 0o600 if name.endswith('_DATA') else wanted
                check(found == expected, name, oct(found), 'for', oct(expected), 'umask', oct(mask))
            check(server.end() == 0)


@fault()
def children_inherit_nothing(scene):
    image = scene.image('a')
    leaked = os.open('/etc/passwd', os.O_RDONLY)
    os.set_inheritable(leaked, True)
    server = scene.serve('-w', '2', '-s', '2')
    scene.worker().fetch(image)
    for decoder in server.decoder_pids():
        for fd in os.listdir(f'/proc/{decoder}/fd'):
            target = os.readlink(f'/proc/{decoder}/fd/{fd}')
            check('_HEAD' not in target and 'SEM_' not in target and scene.folder not in target,
                  'a decoder has', fd, target)
            check(int(fd) <= 4 or target == '/etc/passwd', 'a decoder has', fd, target)
    # A command beside a server gets the three that every program has, and no more.
    process = subprocess.run([SHMSEM, 'serve', '-q', scene.folder, '--', 'sh', '-c', 'exec ls -l /proc/self/fd'],
                             stdout=subprocess.PIPE, check=False, timeout=30)
    check(process.returncode == 0)
    text = process.stdout.decode()
    numbers = re.findall(r'(\d+) -> ', text)
    check(numbers == ['0', '1', '2', '3'], 'of which the last is its own listing:', text)
    os.close(leaked)


@fault()
def a_signal_in_the_middle_of_work_ends_everything_in_order(scene):
    images = [scene.image(f'i{i}', seed=i, width=120 + i) for i in range(40)]
    chance = random.Random(9)
    ended, times = {}, {True: [], False: []}
    for turn in range(30):
        number = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)[turn % 3]
        server = scene.serve('-s', '6', '--cache', '1M')
        decoders = server.decoder_pids()
        workers = [scene.worker(timeout=10000) for _ in range(4)]
        for worker in workers:
            image = chance.choice(images)
            worker.send('repeat', 1000, image.name, image.sum)
        if turn % 5 == 0:
            os.kill(decoders[0], signal.SIGSTOP)
            os.kill(decoders[1], signal.SIGSTOP)
        time.sleep(chance.random() * 0.02)
        begin = time.monotonic()
        code = server.end(number)
        times[turn % 5 == 0].append(time.monotonic() - begin)
        check(code in CONVENTION, signal.Signals(number).name, 'gave', code, server.said())
        check(not os.listdir('/dev/shm'), os.listdir('/dev/shm'))
        for worker in workers:
            status, text = worker.receive()
            check(status in (0, UNAVAILABLE), status, text)
            worker.end()
        until(lambda: all(state_of(pid) in 'XZ' for pid in decoders), 5, 'the decoders to end')
        ended[code] = ended.get(code, 0) + 1
    for stuck, measured in times.items():
        check_all_within(2.5 if stuck else 0.5, measured, 'ending ' + ('with stopped decoders' if stuck else 'at work'))
    scene.note('statuses:', ended, f'longest {max(times[False]):.2f} s, with stopped decoders {max(times[True]):.2f} s')


@fault()
def many_signals_at_once_are_as_good_as_one(scene):
    scene.image('a')
    for _ in range(10):
        server = scene.serve('-w', '1', '-s', '2')
        threads = [threading.Thread(target=server.process.send_signal, args=(number,))
                   for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGTERM)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        check(server.process.wait(20) in CONVENTION, server.process.returncode, server.said())
        check(not os.listdir('/dev/shm'), os.listdir('/dev/shm'))


if __name__ == '__main__':
    main()
