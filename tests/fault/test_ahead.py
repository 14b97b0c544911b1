"""Decoding ahead when what it needs goes: the shard that is read, room in /dev/shm (tests/README.md, rows 11 and 24)."""
import json
import os
import signal
import subprocess
import tarfile

import pytest

from harness import NOT_FOUND, SHMSEM, TIMEOUT, TRY_AGAIN, fill_all_but, free, until

IMAGES = 12


class Prefetch:
    """`shmsem prefetch` of the names, which runs."""

    def __init__(self, scene, names):
        self.process = subprocess.Popen([SHMSEM, 'prefetch', '-N', scene.space, '-J', *names],
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def said(self):
        """What became of them, and the statuses of those that failed."""
        said = json.loads(self.process.communicate(timeout=TIMEOUT)[0])
        return said['decoded'], [(error['name'], error['status']) for error in said['errors']]


def pack(scene, images):
    """A shard of them, in the place of the one before; their files go."""
    beside = f'{scene.folder}/.new.tar'
    with tarfile.open(beside, 'w') as shard:
        for image in images:
            path = f'{scene.folder}/{image.name}.png'
            shard.add(path, image.name + '.png')
            os.unlink(path)
    os.rename(beside, f'{scene.folder}/s.tar')


def descriptors(server):
    found = []
    for number in os.listdir(f'/proc/{server.pid}/fd'):
        try:
            found.append(os.readlink(f'/proc/{server.pid}/fd/{number}'))
        except FileNotFoundError:
            pass
    return found


def test_a_shard_that_is_replaced_while_it_is_listed_is_decoded_as_it_is_now(scene):
    """Some members are with the decoder or open for it, the others only names, when the shard changes."""
    pack(scene, [scene.image(f'i{i}', seed=i) for i in range(IMAGES)])
    server = scene.serve('-w', '1')
    decoder = server.decoder_pids()[0]
    os.kill(decoder, signal.SIGSTOP)
    prefetch = Prefetch(scene, [f's.tar/i{i}' for i in range(IMAGES)])
    until(lambda: f'{scene.folder}/s.tar' in descriptors(server), 'the shard to be open')
    # In another order, at other offsets, and without the last.
    images = [scene.image(f'i{i}', seed=100 + i, width=60 + i) for i in reversed(range(IMAGES - 1))]
    pack(scene, images)
    os.kill(decoder, signal.SIGCONT)
    decoded, failed = prefetch.said()
    assert (decoded, failed) == (IMAGES - 1, [(f's.tar/i{IMAGES - 1}', NOT_FOUND)])
    worker = scene.worker()
    for image in images:
        status, text = worker.call('fetch', 's.tar/' + image.name)
        assert status == 0, text
        slot, _, from_store, total = text.split()
        assert int(total) == image.sum, ('wrong pixels of', image.name)
        worker.call('release', slot)
        assert from_store == '1', image.name


@pytest.mark.shm(size='1m')
def test_a_list_in_a_full_dev_shm_fails_by_name_or_waits_for_room(scene):
    images = [scene.image(f'i{i}', seed=i, width=80 + i) for i in range(IMAGES)]
    names = [image.name for image in images]
    server = scene.serve('-w', '2', '-s', '4', '--cache', '512K')
    decoders = server.decoder_pids()
    # Nothing was decoded ahead that a reader could make room of: each is told.
    fill_all_but(0)
    prefetch = Prefetch(scene, names)
    decoded, failed = prefetch.said()
    assert decoded == 0 and sorted(failed) == sorted((name, TRY_AGAIN) for name in names)
    assert prefetch.process.returncode == TRY_AGAIN
    os.unlink('/dev/shm/filler')
    # Room for some of them: the others wait until there is more.
    fill_all_but(100 << 10)
    prefetch = Prefetch(scene, names)
    until(lambda: free() < 24 << 10, 'the room to be used')
    assert prefetch.process.poll() is None
    os.unlink('/dev/shm/filler')
    assert prefetch.said() == (IMAGES, [])
    worker = scene.worker()
    for image in images:
        worker.call('release', worker.fetch(image))
    assert server.decoder_pids() == decoders
