"""Nothing left to have: room, inodes, descriptors, address space (tests/README.md, rows 11 and 12)."""
import os
import resource
import signal

import pytest

from harness import EVERY, SANITIZED, TRY_AGAIN, fill_all_but, until

STEP = 4096


def typed(server, words):
    code = server.process.wait(20)
    assert code == TRY_AGAIN, server.said()
    for word in words:
        assert word in server.said()


@pytest.mark.shm(size='1m')
def test_a_full_dev_shm_is_told_at_every_step_and_works_again_with_room(scene):
    image = scene.image('a', width=80)
    outcomes = {'no start': 0, 'no image': 0, 'enough': 0}
    free = 0
    while outcomes['enough'] < 3:
        os.path.exists('/dev/shm/filler') and os.unlink('/dev/shm/filler')
        fill_all_but(free)
        free += STEP
        server = scene.serve('-w', '1', '-s', '2', '--cache', '256K', ready=False)
        until(lambda: 'serving' in server.said() or server.process.poll() is not None)
        if server.process.returncode is not None:
            typed(server, ['needed', 'free', 'shmsem cleanup', '--shm-size', 'remount'])
            assert os.listdir('/dev/shm') == ['filler']
            outcomes['no start'] += 1
            continue
        server.wait_ready()
        worker = scene.worker()
        status, text = worker.call('fetch', image.name)
        if status:
            assert status == TRY_AGAIN and 'needed' in text and 'free' in text
            outcomes['no image'] += 1
            os.unlink('/dev/shm/filler')
            worker.fetch(image)
        else:
            assert int(text.split()[3]) == image.sum, 'wrong pixels'
            outcomes['enough'] += 1
        worker.end()
        assert server.end() == 0, server.said()
    os.path.exists('/dev/shm/filler') and os.unlink('/dev/shm/filler')
    assert outcomes['no start'] and outcomes['no image']
    scene.note('steps of 4 KiB:', outcomes)


@pytest.mark.shm(size='1m')
def test_a_dev_shm_that_fills_up_later_is_told_too(scene):
    images = [scene.image(f'i{i}', seed=i, width=80 + i) for i in range(20)]
    scene.serve('-w', '1', '-s', '2', '--cache', '512K')
    worker = scene.worker()
    worker.call('release', worker.fetch(images[0]))
    fill_all_but(0)
    refused = 0
    for image in images:
        status, text = worker.call('repeat', 1, image.name, image.sum)
        assert status in (0, TRY_AGAIN), text
        refused += status != 0
    os.unlink('/dev/shm/filler')
    for image in images:
        assert worker.call('repeat', 1, image.name, image.sum)[0] == 0
    scene.note(f'{refused} of 20 images refused while it was full')


def start_with_inodes(scene, inodes):
    server = scene.serve('-w', '1', '-s', '2', ready=False)
    until(lambda: 'serving' in server.said() or server.process.poll() is not None)
    if server.process.returncode is None:
        return server
    assert server.process.returncode == TRY_AGAIN, (inodes, server.said())
    assert not [name for name in os.listdir('/dev/shm') if not name.startswith('filler')]
    return None


@pytest.mark.shm(inodes=40)
def test_without_inodes_the_server_says_so_and_leaves_nothing(scene):
    image = scene.image('a')
    free = os.statvfs('/dev/shm').f_ffree
    for number in range(free):
        open(f'/dev/shm/filler{number}', 'wb').close()
    refused = 0
    for number in range(free):
        server = start_with_inodes(scene, number)
        if server:
            server.wait_ready()
            worker = scene.worker()
            worker.fetch(image)
            worker.end()
            assert server.end() == 0
            break
        refused += 1
        os.unlink(f'/dev/shm/filler{number}')
    for name in os.listdir('/dev/shm'):
        os.unlink('/dev/shm/' + name)
    assert 0 < refused < free
    scene.note(f'refused with 0 to {refused - 1} inodes')


def limited(kind, value):
    return lambda: resource.setrlimit(kind, (value, resource.getrlimit(kind)[1]))


def test_with_few_descriptors_the_server_starts_and_serves_or_says_so(scene):
    image = scene.image('a')
    outcomes = {}
    for descriptors in range(3, 40, EVERY):
        server = scene.serve('-w', '1', '-s', '2', ready=False,
                             preexec_fn=limited(resource.RLIMIT_NOFILE, descriptors))
        until(lambda: 'serving' in server.said() or server.process.poll() is not None)
        if server.process.returncode is not None:
            code = server.process.returncode
            # Below 4 not even the loader can open a library.
            assert code == TRY_AGAIN or (descriptors <= 4 and code == 127), server.said()
        else:
            worker = scene.worker()
            for _ in range(3):
                status, text = worker.call('fetch', image.name)
                assert status in (0, TRY_AGAIN), (descriptors, text)
                code = f'fetch {status}'
            status, text = worker.call('names')
            assert status in (0, TRY_AGAIN), (descriptors, text)
            worker.end()
            assert server.end() == 0, server.said()
        assert not os.listdir('/dev/shm')
        outcomes[code] = outcomes.get(code, 0) + 1
    assert 'fetch 0' in outcomes
    scene.note('outcomes:', outcomes)


def test_a_server_that_runs_out_of_descriptors_works_again_when_there_are_some(scene):
    server = scene.serve('-w', '1', '-s', '4')
    images = [scene.image(f'i{i}', seed=i) for i in range(6)]
    worker = scene.worker()
    worker.fetch(images[0])
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (3, 1024))
    for image in images[1:4]:
        status, text = worker.call('fetch', image.name)
        assert status == TRY_AGAIN and 'open files' in text
    for decoder in server.decoder_pids():
        os.kill(decoder, signal.SIGKILL)
    assert worker.call('fetch', images[4].name)[0] == TRY_AGAIN
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (1024, 1024))
    for image in images:
        until(lambda: worker.call('repeat', 1, image.name, image.sum)[0] == 0)


@pytest.mark.skipif(SANITIZED, reason='sanitizers take terabytes of address space for themselves')
def test_with_little_address_space_server_and_client_say_so(scene):
    image = scene.image('a')
    outcomes = {}
    for megabytes in range(4, 400, 12 * EVERY):
        server = scene.serve('-w', '1', '-s', '2', '--cache', '64M', ready=False,
                             preexec_fn=limited(resource.RLIMIT_AS, megabytes << 20))
        until(lambda: 'serving' in server.said() or server.process.poll() is not None)
        if server.process.returncode is not None:
            code = server.process.returncode
            assert code in (TRY_AGAIN, 127), (megabytes, server.said())
        else:
            worker = scene.worker()
            status, text = worker.call('fetch', image.name)
            assert status in (0, TRY_AGAIN), (megabytes, text)
            worker.end()
            code = f'fetch {status}'
            assert server.end() == 0, server.said()
        assert not os.listdir('/dev/shm')
        outcomes[code] = outcomes.get(code, 0) + 1
    assert 'fetch 0' in outcomes
    scene.note('server:', outcomes)
    scene.serve('-w', '1', '-s', '2', '--cache', '64M')
    outcomes = {}
    for megabytes in range(24, 160, 8 * EVERY):
        worker = scene.worker(connect=False, preexec_fn=limited(resource.RLIMIT_AS, megabytes << 20))
        status, text = worker.connect()
        if status == 0:
            status, text = worker.call('fetch', image.name)
        assert status in (0, TRY_AGAIN), (megabytes, text)
        worker.end()
        outcomes[status] = outcomes.get(status, 0) + 1
    assert 0 in outcomes and TRY_AGAIN in outcomes
    scene.note('client:', outcomes)
