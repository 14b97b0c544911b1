"""What a client asked for and then gave up costs nobody else anything; nor does what the store holds for nobody."""
import os
import signal
import subprocess

import pytest

from harness import BAD_DATA, SHMSEM, TIMEOUT, TRY_AGAIN, stats, until

GIVEN_UP = 200


def test_nothing_is_decoded_for_nobody(scene):
    """While its only decoder is stopped, one client asks for image after image and gives each up; then another wants one. Decoded
    are the first, which the decoder has already, and the wanted one."""
    images = [scene.image(f'i{index}', seed=index) for index in range(GIVEN_UP)]
    wanted = scene.image('wanted', seed=GIVEN_UP)
    server = scene.serve('-w', '1', '-s', '2')
    hasty, other = scene.worker(timeout=2), scene.worker()
    decoder, = server.decoder_pids()
    os.kill(decoder, signal.SIGSTOP)
    for image in images:
        status, text = hasty.call('fetch', image.name)
        assert status == TRY_AGAIN, text
    files = len(os.listdir(f'/proc/{server.pid}/fd'))
    assert files <= server.before[0] + 2
    other.send('fetch', wanted.name)
    until(lambda: all(seat['requests'] for seat in stats(scene)['seats']), 'both clients to be heard')
    os.kill(decoder, signal.SIGCONT)
    status, text = other.receive()
    assert status == 0, text
    decodes = stats(scene)['counters']['decodes']
    assert decodes <= 2, 'images were decoded, and one was wanted'


@pytest.mark.shm(size='48m')
def test_the_store_gives_its_own_memory_up_first(scene):
    """Others fill /dev/shm while the store holds images that nobody uses, and one that is held."""
    images = [scene.plain(f'i{index}', 1200, 1000) for index in range(8)]
    scene.serve('-w', '2', '-s', '2', '--cache', '40M')
    worker = scene.worker()
    kept = worker.fetch(images[0])
    for image in images[1:7]:
        worker.call('release', worker.fetch(image))
    with open('/dev/shm/other', 'wb') as other:
        try:
            while other.write(bytes(65536)) == 65536:
                other.flush()
        except OSError:
            pass
    worker.call('release', worker.fetch(images[7]))
    assert worker.sum(kept) == images[0].sum, 'the held image was overwritten'
    os.unlink('/dev/shm/other')


def test_what_can_never_fit_is_no_reason_to_ask_again(scene):
    scene.serve('-w', '1', '--cache', '1M')
    status, text = scene.worker().call('fetch', scene.plain('large', 1200, 1000).name)
    assert status == BAD_DATA and 'larger than the store' in text
