"""Whose name it is, when it goes, and what children inherit (tests/README.md, rows 18 to 22)."""
import os
import random
import re
import signal
import stat
import subprocess
import threading
import time

import pytest

from harness import check_all_within, SHMSEM, state_of, TRY_AGAIN, UNAVAILABLE, until, within

CONVENTION = (0, 128 + signal.SIGTERM, 128 + signal.SIGINT, 128 + signal.SIGHUP)


def test_of_two_servers_at_once_exactly_one_wins(scene):
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
        assert loser.process.returncode == TRY_AGAIN, loser.said()
        winner.wait_ready()
        assert f'pid {winner.pid}' in loser.said()
        assert winner.end() == 0
        assert not os.listdir('/dev/shm')
        scene.servers.clear()
    scene.note(f'{rounds} rounds')


def test_an_old_server_that_ends_late_takes_only_its_own_objects(scene):
    image = scene.image('a')
    old = scene.serve('-w', '1', '-s', '2')
    own = dict.fromkeys(os.listdir('/dev/shm'))
    os.kill(old.pid, signal.SIGSTOP)
    for name in own:
        os.unlink('/dev/shm/' + name)
    new = scene.serve('-w', '1', '-s', '2')
    before = {name: os.stat('/dev/shm/' + name).st_ino for name in os.listdir('/dev/shm')}
    assert set(before) == set(own)
    os.kill(old.pid, signal.SIGCONT)
    old.end()
    assert {name: os.stat('/dev/shm/' + name).st_ino for name in os.listdir('/dev/shm')} == before, 'taken away'
    scene.worker().fetch(image)
    assert new.process.poll() is None


@pytest.mark.parametrize('kinds', [('HEAD', 0), ('REQ', 0), ('RES', 1), ('DATA', 0), ('DATA', 1), None],
                         ids=lambda kinds: 'all' if not kinds else f'{kinds[0]}{kinds[1]}')
def test_a_server_whose_names_are_removed_says_so_and_ends(scene, kinds):
    image = scene.image('a')

    def attempt():
        server = scene.serve('-s', '3')
        worker = scene.worker()
        slot = worker.fetch(image)
        paths = [scene.path(*kinds)] if kinds else ['/dev/shm/' + name for name in os.listdir('/dev/shm')]
        begin = time.monotonic()
        for path in paths:
            os.unlink(path)
        code = server.process.wait(20)
        took = time.monotonic() - begin
        assert code == UNAVAILABLE, server.said()
        assert any(os.path.basename(path) in server.said() for path in paths) and 'RemoveIPC' in server.said()
        assert worker.sum(slot) == image.sum, 'held pixels changed'
        status, text = worker.call('fetch', image.name)
        assert status == UNAVAILABLE, text
        assert not os.listdir('/dev/shm')
        worker.end()
        return took

    scene.note(f'ended after {within(1, attempt, "the end"):.2f} s')


@pytest.mark.parametrize('mask', [0, 0o077, 0o777], ids=oct)
@pytest.mark.parametrize('mode, wanted', [(None, 0o600), ('0660', 0o660),
                                          ('0644', 0o600)])  # read alone would do nothing but lock
def test_modes_do_not_depend_on_the_umask(scene, mask, mode, wanted):
    options = ['--mode', mode] if mode else []
    server = scene.serve('-s', '2', *options, preexec_fn=lambda: os.umask(mask))
    names = os.listdir('/dev/shm')
    assert names
    for name in names:
        found = stat.S_IMODE(os.stat('/dev/shm/' + name).st_mode)
        expected = wanted & 0o444 | 0o600 if name.endswith(('_DATA', '_INDEX')) else wanted
        assert found == expected, (name, oct(found), 'for', oct(expected))
    assert server.end() == 0


def test_children_inherit_nothing(scene):
    image = scene.image('a')
    leaked = os.open('/etc/passwd', os.O_RDONLY)
    os.set_inheritable(leaked, True)
    server = scene.serve('-w', '2', '-s', '2')
    scene.worker().fetch(image)
    for decoder in server.decoder_pids():
        for fd in os.listdir(f'/proc/{decoder}/fd'):
            target = os.readlink(f'/proc/{decoder}/fd/{fd}')
            assert '_HEAD' not in target and 'SEM_' not in target and scene.folder not in target, ('a decoder has', fd)
            assert int(fd) <= 4 or target == '/etc/passwd'
    # A command beside a server gets the three that every program has, and no more.
    process = subprocess.run([SHMSEM, 'serve', '-q', scene.folder, '--', 'sh', '-c', 'exec ls -l /proc/self/fd'],
                             stdout=subprocess.PIPE, check=False, timeout=30)
    assert process.returncode == 0
    text = process.stdout.decode()
    numbers = re.findall(r'(\d+) -> ', text)
    assert numbers == ['0', '1', '2', '3'], ('of which the last is its own listing:', text)
    os.close(leaked)


def test_a_signal_in_the_middle_of_work_ends_everything_in_order(scene):
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
        assert code in CONVENTION, (signal.Signals(number).name, server.said())
        assert not os.listdir('/dev/shm')
        for worker in workers:
            status, text = worker.receive()
            assert status in (0, UNAVAILABLE), text
            worker.end()
        until(lambda: all(state_of(pid) in 'XZ' for pid in decoders), 'the decoders to end')
        ended[code] = ended.get(code, 0) + 1
    for stuck, measured in times.items():
        check_all_within(2.5 if stuck else 0.5, measured, 'ending ' + ('with stopped decoders' if stuck else 'at work'))
    scene.note('statuses:', ended, f'longest {max(times[False]):.2f} s, with stopped decoders {max(times[True]):.2f} s')


def test_many_signals_at_once_are_as_good_as_one(scene):
    scene.image('a')
    for _ in range(10):
        server = scene.serve('-w', '1', '-s', '2')
        threads = [threading.Thread(target=server.process.send_signal, args=(number,))
                   for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGTERM)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert server.process.wait(20) in CONVENTION, (server.process.returncode, server.said())
        assert not os.listdir('/dev/shm')
