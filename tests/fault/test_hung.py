"""File systems below the served folder that hang, and other files that keep who opens them waiting (tests/README.md, row 25): who asks
for files there waits, nobody else does, and the server ends when it is told to.

A decode may take a minute in these tests, and a client waits for 20 s: who had to wait for the mount would fail."""
import fcntl
import os
import signal
import subprocess
import tarfile

import pytest

from harness import NOT_FOUND, SHMSEM, TRY_AGAIN, UNAVAILABLE, children, opens_files, state_of, stats, until
from mounted import Remote

WAITERS = 8
PATIENT = ('-w', '2', '-s', str(WAITERS + 2), '--decode-timeout', '60')


@pytest.fixture
def mount(scene):
    """Makes a mount in the served folder, which ends with the test, whatever becomes of that: nobody else could."""
    made = []

    def make(*silent, name='mounted'):
        made.append(Remote(scene, f'{scene.folder}/{name}', *silent))
        made[-1].image.name = f'{name}/image'
        return made[-1]
    yield make
    for remote in made:
        remote.end()


def ask_all(scene, name):
    workers = [scene.worker(timeout=60000) for _ in range(WAITERS)]
    for worker in workers:
        worker.send('fetch', name)
    return workers


def makers(server):
    return [pid for pid in children(server.pid) if opens_files(pid)]


def helpers(server):
    return [pid for maker in makers(server) for pid in children(maker)]


def others_go_on(scene, worker, stored, tag):
    """What is stored, what is new, and names that the kernel has not looked up yet, so that helpers are asked."""
    worker.call('release', worker.fetch(stored))
    for index in range(4):
        image = scene.image(f'{tag}-{index}', seed=index)
        worker.call('release', worker.fetch(image))
        status, text = worker.call('fetch', f'{tag}-missing-{index}')
        assert status == NOT_FOUND, text


def tracer_of(pid):
    with open(f'/proc/{pid}/status', encoding='ascii', errors='replace') as file:
        return next(int(line.split()[1]) for line in file if line.startswith('TracerPid'))


def call_of(pid):
    """The number of the system call that it waits in."""
    with open(f'/proc/{pid}/syscall', encoding='ascii') as file:
        return file.read().split()[0]


def ends_at_once(server, workers):
    """With requests for the mount under way."""
    assert server.end() == 0
    for worker in workers:
        status, text = worker.receive()
        assert status == UNAVAILABLE, text
    assert not os.listdir('/dev/shm')


def test_a_mount_that_never_answers_holds_up_nobody_else(scene, mount):
    stored = scene.image('stored')
    mount('silent')
    server = scene.serve(*PATIENT)
    worker = scene.worker()
    worker.call('release', worker.fetch(stored))
    waiting = ask_all(scene, 'mounted/image')
    until(lambda: len(helpers(server)) >= 2)
    others_go_on(scene, worker, stored, 'during')
    ends_at_once(server, waiting)


def test_a_list_of_a_mount_that_never_answers_holds_up_no_other_list(scene, mount):
    names = [scene.image(f'i{i}', seed=i).name for i in range(12)]
    mount('silent')
    server = scene.serve(*PATIENT)
    prefetch = [SHMSEM, 'prefetch', '-q', '-N', scene.space]
    with subprocess.Popen([*prefetch, *(f'mounted/{name}' for name in names)], stderr=subprocess.DEVNULL) as waiting:
        until(lambda: len(helpers(server)) >= 2)
        assert subprocess.run([*prefetch, *names], timeout=20, check=False).returncode == 0
        assert waiting.poll() is None
        ends_at_once(server, [])


def test_in_a_list_a_mount_that_hangs_holds_up_no_other_file(scene, mount):
    """Once it is known to hang: as many at a time as are decoded ahead would take minutes, each its --decode-timeout."""
    local = scene.image('local')
    mount('silent')
    server = scene.serve('-w', '1', '-s', '4', '--decode-timeout', '2')
    names = [f'mounted/{number}.png' for number in range(200)]
    with subprocess.Popen([SHMSEM, 'prefetch', '-q', '-N', scene.space, *names, local.name], stderr=subprocess.PIPE) as waiting:
        # It is decoded without a request for it.
        until(lambda: stats(scene)['counters']['decodes'] == 1, what='the file behind them to be decoded')
        assert waiting.communicate()[1].count(b'has not answered') == 100
        assert waiting.returncode == 1
    assert server.end() == 0


def copies(server):
    """Of files on mounts, which the server has open."""
    links = [f'/proc/{server.pid}/fd/{number}' for number in os.listdir(f'/proc/{server.pid}/fd')]
    return sum(os.path.lexists(link) and os.readlink(link).startswith('/memfd:shmsem') for link in links)


def test_a_mount_that_comes_back_gives_a_list_no_more_files_than_others(scene, mount):
    remote = mount()
    server = scene.serve('-w', '1', '-s', '4', '--decode-timeout', '5')
    worker = scene.worker()
    decoder, = server.decoder_pids()
    remote.hang()
    names = [f'mounted/{number}.png' for number in range(1, 100)]
    with subprocess.Popen([SHMSEM, 'prefetch', '-N', scene.space, *names], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as waiting:
        assert b'has not answered' in waiting.stderr.readline()
        os.kill(decoder, signal.SIGSTOP)
        remote.go_on()
        until(lambda: copies(server) >= 3)
        # What is asked for last is answered last.
        status, text = worker.call('fetch', 'mounted/none')
        assert status == NOT_FOUND, text
        assert copies(server) == 3
        os.kill(decoder, signal.SIGCONT)
        said = waiting.communicate()[0]
    assert int(said.split()[0]) >= len(names) - 3
    assert server.end() == 0


def test_a_mount_that_hangs_once_an_image_of_it_is_stored_holds_up_nobody_else(scene, mount):
    """Those who wait cannot be killed; once the mount answers, all of them get what they asked for."""
    stored = scene.image('stored')
    remote = mount()
    server = scene.serve(*PATIENT)
    worker = scene.worker()
    for image in (stored, remote.image):
        worker.call('release', worker.fetch(image))
    remote.hang()
    waiting = ask_all(scene, 'mounted/image')
    until(lambda: 'D' in [state_of(pid) for pid in helpers(server)], what='a helper to hang')
    others_go_on(scene, worker, stored, 'during')
    remote.go_on()
    for client in waiting:
        status, text = client.receive()
        assert status == 0 and int(text.split()[3]) == remote.image.sum, text
        client.call('release', 0)
    others_go_on(scene, worker, stored, 'after')
    server.check_unharmed()
    remote.hang()
    for client in waiting:
        client.send('fetch', 'mounted/image')
    until(lambda: 'D' in [state_of(pid) for pid in helpers(server)], what='a helper to hang')
    ends_at_once(server, waiting)


def test_who_waits_for_a_mount_learns_it_at_the_deadline(scene, mount):
    """And is in nobody's way afterwards: the mount is asked again, and answers. (An image that takes longer to decode twice is
    refused from then on.)"""
    remote = mount()
    server = scene.serve('-w', '1', '-s', '2', '--decode-timeout', '2')
    worker = scene.worker()
    remote.hang()
    for _ in range(3):
        status, text = worker.call('fetch', 'mounted/image')
        assert status == TRY_AGAIN and 'has not answered' in text
    remote.go_on()
    until(lambda: worker.call('fetch', 'mounted/image')[0] == 0, what='the mount to be asked again')
    worker.call('release', 0)
    server.check_unharmed()


def test_a_list_leaves_out_what_a_mount_does_not_tell(scene, mount):
    scene.image('a')
    scene.image('z')
    remote = mount()
    server = scene.serve('-w', '1', '-s', '2', '--decode-timeout', '1')
    worker = scene.worker()
    assert worker.call('names') == (0, '3')
    remote.hang()
    for _ in range(2):
        assert worker.call('names') == (0, '2')
    remote.go_on()
    until(lambda: worker.call('names') == (0, '3'), what='the whole list')
    server.check_unharmed()


def test_what_a_list_lacks_is_told_once(scene, mount):
    """What is mounted below, and a shard that is a file of such a mount."""
    scene.image('a')
    remote, shard = mount(), f'{scene.folder}/bound.tar'
    with open(shard, 'wb'):
        pass
    subprocess.run(['mount', '--bind', f'{remote.point}/image.png', shard], check=True)
    server = scene.serve('-w', '1', '-s', '2', '--decode-timeout', '1')
    worker = scene.worker()
    assert worker.call('names') == (0, '2')
    remote.hang()
    for _ in range(2):
        assert worker.call('names') == (0, '1')
    until(lambda: "a list of names lacks what is in 'mounted/': its file system has not answered" in server.said())
    assert server.said().count('a list of names lacks') == 1
    remote.go_on()
    until(lambda: worker.call('names') == (0, '2'), what='the whole list')
    server.check_unharmed()
    subprocess.run(['umount', '--lazy', shard], check=True)


def test_what_a_list_lacks_is_told_by_its_whole_name(scene, mount):
    """A byte 1 in it, which stands for the members of a shard where names are listed, cuts nothing off."""
    folder, outside, shard = mount(name='a\1b'), mount(name='../scratch/outside'), f'{scene.folder}/c\1d.tar'
    with open(shard, 'wb'):
        pass
    subprocess.run(['mount', '--bind', f'{outside.point}/image.png', shard], check=True)
    for remote, name in (folder, 'a\\x01b/'), (outside, 'c\\x01d.tar'):
        server = scene.serve('-w', '1', '-s', '2', '--decode-timeout', '1')
        remote.hang()
        asked = subprocess.run([SHMSEM, 'fetch', '-N', scene.space, '--names'], stdout=subprocess.DEVNULL, timeout=60, check=False)
        assert asked.returncode == 0
        remote.go_on()
        assert server.end() == 0
        assert f"a list of names lacks what is in '{name}': " in server.said()
    subprocess.run(['umount', '--lazy', shard], check=True)


def test_what_lacks_in_turns_is_told_once_in_a_minute(scene, mount):
    remotes = mount(name='one'), mount(name='two')
    server = scene.serve('-w', '1', '-s', '2', '--decode-timeout', '1')
    worker = scene.worker()
    assert worker.call('names') == (0, '2')
    for remote in remotes:
        remote.hang()
        assert worker.call('names') == (0, '1')
        remote.go_on()
        until(lambda: worker.call('names') == (0, '2'), what='the whole list')
    assert worker.end() == 0
    assert server.end() == 0
    assert server.said().count('a list of names lacks') == 1


def test_files_in_a_folder_that_is_called_as_a_shard_have_two_helpers(scene, mount):
    remote = mount(name='folder.tar')
    server = scene.serve(*PATIENT)
    first, second = scene.worker(timeout=60000), scene.worker(timeout=60000)
    assert first.call('fetch', 'folder.tar/none')[0] == NOT_FOUND
    first.call('release', first.fetch(remote.image))
    idle = call_of(helpers(server)[0])
    remote.hang()
    for worker in (first, second):
        worker.send('fetch', 'folder.tar/image')
    until(lambda: sum(call_of(pid) != idle for pid in helpers(server)) == 2, what='two helpers to hang')
    remote.go_on()
    for worker in (first, second):
        assert worker.receive()[0] == 0


def test_a_start_that_decodes_from_a_hung_mount_can_be_ended(scene, mount):
    scene.image('a')
    mount('silent')
    server = scene.serve(*PATIENT, '--preload', ready=False)
    until(lambda: len(helpers(server)) >= 2 if os.path.exists(scene.path('HEAD')) else False)
    server.end()
    assert not os.listdir('/dev/shm')


def test_names_that_are_removed_during_such_a_start_end_it(scene, mount):
    scene.image('a')
    mount('silent')
    server = scene.serve(*PATIENT, '--preload', ready=False)
    until(lambda: len(helpers(server)) >= 2 if os.path.exists(scene.path('HEAD')) else False)
    os.unlink(scene.path('HEAD'))
    assert server.process.wait(20) == UNAVAILABLE, server.said()
    assert 'HEAD' in server.said() and not os.listdir('/dev/shm')


def test_helpers_that_are_killed_are_replaced(scene, mount):
    remote = mount()
    server = scene.serve('-w', '1', '-s', '2')
    worker = scene.worker()

    def is_fetched():
        fetched = worker.call('fetch', 'mounted/image')[0] == 0
        if fetched:
            worker.call('release', 0)
        return fetched

    for _ in range(3):
        worker.call('release', worker.fetch(remote.image))
        for pid in helpers(server):
            os.kill(pid, signal.SIGKILL)
        until(is_fetched, what='new helpers')
        [maker] = until(lambda: makers(server), what='a maker of helpers')
        os.kill(maker, signal.SIGKILL)
        # As long as it is ending, its helpers are there.
        until(lambda: is_fetched() and set(makers(server)) - {maker}, what='another maker of helpers')


def test_a_helper_that_is_killed_while_it_makes_an_index_is_replaced(scene):
    image = scene.image('member')
    with tarfile.open(f'{scene.folder}/s.tar', 'w') as shard:
        for number in range(100):
            shard.addfile(tarfile.TarInfo(f'{number}.png'))
        shard.add(f'{scene.folder}/member.png', 'member.png')
    server = scene.serve('-w', '1', '-s', '2')
    worker = scene.worker()
    before = until(lambda: helpers(server))
    tracers = [subprocess.Popen(['strace', '-p', str(pid), '-o', '/dev/null', '-e', 'trace=pread64',
                                 '-e', 'inject=pread64:signal=KILL:when=20'], stderr=subprocess.DEVNULL) for pid in before]
    until(lambda: all(tracer_of(pid) for pid in before), what='strace to begin')
    # Whether the next order is for one that is still to end or for a new one is not known.
    status, text = worker.call('fetch', 's.tar/member')
    assert status == TRY_AGAIN and 'has ended; ask again' in text
    for _ in before[1:]:
        status, text = worker.call('fetch', 's.tar/member')
        assert status == 0 or status == TRY_AGAIN and 'has ended; ask again' in text
        if status == 0:
            worker.call('release', 0)
    image.name = 's.tar/member'
    worker.call('release', worker.fetch(image))
    for tracer in tracers:
        tracer.kill()
    for tracer in tracers:
        tracer.wait()
    server.check_unharmed()


def test_a_file_that_another_program_has_leased_is_waited_for(scene):
    image, other = scene.image('leased'), scene.image('other', seed=2)
    scene.serve('-w', '1', '-s', '4', '--decode-timeout', '60')
    waiting, worker = scene.worker(timeout=60000), scene.worker()
    signal.signal(signal.SIGIO, lambda *_: None)
    with open(f'{scene.folder}/leased.png', 'r+b') as file:
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        waiting.send('fetch', image.name)
        until(lambda: fcntl.fcntl(file, fcntl.F_GETLEASE) != fcntl.F_WRLCK, what='the lease to be asked for')
        others_go_on(scene, worker, other, 'during')
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    status, text = waiting.receive()
    assert status == 0 and int(text.split()[3]) == image.sum, text
