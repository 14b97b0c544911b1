"""What held images cost, and what happens when there is no room for another."""
import os
import re
import subprocess

import pytest

from harness import BAD_DATA, TRY_AGAIN

MEGA = 1 << 20


def shares_of(scene, decoders, pids):
    """The proportional set sizes of the processes' mappings of data segments, summed, and how many there are."""
    # Not by name: a mapping that was made before the segment had its name shows another.
    inodes = {str(os.stat(scene.path('DATA', index)).st_ino) for index in range(decoders)}
    total, mappings = 0, 0
    for pid in pids:
        inside = False
        with open(f'/proc/{pid}/smaps', encoding='ascii', errors='replace') as file:
            for line in file:
                if '-' in line.split()[0]:
                    inside = '/dev/shm/' in line and line.split()[4] in inodes
                    mappings += inside
                elif inside and line.startswith('Pss:'):
                    total += int(line.split()[1]) * 1024
    return total, mappings


def test_eight_clients_that_hold_one_image_use_its_memory_once(scene):
    image = scene.plain('large', 4000, 3000)
    server = scene.serve('-w', '2', '-s', '8', '--cache', '128M')
    workers = [scene.worker() for _ in range(8)]
    for worker in workers:
        worker.fetch(image)
    pids = [server.pid, *server.decoder_pids(), *(worker.process.pid for worker in workers)]
    total, mappings = shares_of(scene, 2, pids)
    memory = sum(os.stat(scene.path('DATA', index)).st_blocks * 512 for index in range(2))
    scene.note(f'{image.bytes} bytes held by 8 clients: proportional set sizes {total}, in {mappings} mappings; segments {memory}')
    assert mappings >= 9
    assert image.bytes * 0.95 <= total <= image.bytes * 1.05
    assert memory <= image.bytes * 1.05


def test_images_held_are_unmoved_whatever_else_comes_and_goes(scene):
    images = [scene.image(f'i{index}', seed=index, width=30 + index) for index in range(130)]
    scene.serve('-w', '4', '-s', '3', '--cache', '2M')
    worker, other = scene.worker(), scene.worker()
    slots = [worker.fetch(image) for image in images[:64]]
    for _ in range(3):
        for image in images[64:]:
            other.call('release', other.fetch(image))
    for slot, image in zip(slots, images):
        assert worker.sum(slot) == image.sum, (image.name, 'was overwritten')
    worker.call('release', slots[0])
    worker.fetch(images[64])


def test_no_room_says_what_is_needed_held_and_allowed(scene):
    """With four decoders, each of which may have all of the store, whichever it is that gets the image."""
    held = [scene.plain(f'held{index}', 512, 512) for index in range(5)]
    small, huge = scene.plain('small', 512, 512), scene.plain('huge', 2048, 1024)
    scene.serve('-w', '4', '-s', '8', '--cache', '4M')
    workers = [scene.worker() for _ in range(5)]
    status, text = workers[0].call('fetch', huge.name)
    assert status == BAD_DATA and 'larger than the store: 6M needed, ' in text
    # At the same time, so that they lie in different segments.
    for worker, image in zip(workers, held):
        worker.send('fetch', image.name)
    for worker, image in zip(workers, held):
        status, text = worker.receive()
        assert status == 0 and int(text.split()[-1]) == image.sum
    status, text = workers[0].call('fetch', small.name)
    # Where there is an INDEX, it takes its part of what is allowed.
    assert status == TRY_AGAIN and re.search(r'768K needed, 3\.8M held by clients, (4|3\.9)M allowed', text)
    for worker, image in zip(workers, held):
        assert worker.sum(0) == image.sum, (image.name, 'was overwritten')
    # Any of them will do, in whichever segment it is.
    workers[3].call('release', 0)
    workers[0].fetch(small)


def default_store(scene, expected):
    image = scene.image('a')
    server = scene.serve()
    assert re.search(rf', {expected} of store', server.said())
    scene.worker().fetch(image)


def test_the_store_is_a_quarter_of_what_is_free(scene):
    default_store(scene, '64M')
    with open('/dev/shm/filler', 'wb') as file:
        os.posix_fallocate(file.fileno(), 0, 128 * MEGA)
    scene.space = 'other'
    # The first server's HEAD and semaphores take 2.5M, its INDEX 1M where there is one.
    default_store(scene, r'31\.[14]M')
    os.unlink('/dev/shm/filler')


@pytest.fixture
def control_group():
    """The file that says what ours may have, in a /sys/fs/cgroup of its own."""
    with open('/proc/self/cgroup', encoding='ascii') as file:
        group = next((line[3:].strip() for line in file if line.startswith('0::')), '/')
    subprocess.run(['mount', '-t', 'tmpfs', 'none', '/sys/fs/cgroup'], check=True)
    os.makedirs(f'/sys/fs/cgroup{group}', exist_ok=True)
    yield f'/sys/fs/cgroup{group}/memory.max'
    subprocess.run(['umount', '/sys/fs/cgroup'], check=True)


@pytest.mark.shm(size='4g')
def test_the_store_is_a_quarter_of_what_its_control_group_may_have(scene, control_group):
    with open(control_group, 'w', encoding='ascii') as file:
        file.write(f'{400 * MEGA}\n')
    default_store(scene, '100M')


@pytest.mark.shm(size='4g')
def test_the_store_is_half_a_gigabyte_where_more_is_free(scene):
    default_store(scene, '512M')
