"""What the server tells who runs it: it waits for nobody who reads that, and is calm whatever the folder holds."""
import fcntl
import os
import subprocess

import pytest

from harness import SHMSEM, until

SHOWN = 10  # messages in a minute


def damaged_shards(scene, count):
    for i in range(count):
        with open(f'{scene.folder}/{i}.tar', 'wb') as file:
            file.write(b'x' * 1024)


@pytest.fixture
def full():
    """The end of a pipe that nobody reads."""
    reader, writer = os.pipe()
    flags = fcntl.fcntl(writer, fcntl.F_GETFL)
    fcntl.fcntl(writer, fcntl.F_SETFL, flags | os.O_NONBLOCK)
    try:
        while True:
            os.write(writer, b'x' * 512)
    except BlockingIOError:
        pass
    fcntl.fcntl(writer, fcntl.F_SETFL, flags)
    yield writer
    os.close(reader)
    os.close(writer)


@pytest.mark.parametrize('option', ['-q', '--preload'])
def test_a_server_goes_on_when_nobody_reads_its_stderr(scene, full, option):
    damaged_shards(scene, 100)
    image = scene.image('a')
    with open(f'{scene.folder}/damaged.png', 'wb') as file:
        file.write(b'x')
    server = scene.serve(option, '-w', '1', '-s', '2', ready=False, stderr=full)
    until(lambda: os.path.exists(scene.path('HEAD')), 'the server to start')
    worker = scene.worker()
    assert worker.call('names') == (0, '2')
    # What would have to tell finds that.
    os.truncate(scene.path('INDEX'), 0)
    until(lambda: os.path.exists(scene.path('INDEX')) and os.path.getsize(scene.path('INDEX')), 'another index')
    worker.fetch(image)
    assert server.end() == 0
    assert not os.listdir('/dev/shm')


def test_the_end_of_a_command_is_noticed_when_nobody_reads_stderr(scene, full):
    damaged_shards(scene, 100)
    script = f'{SHMSEM} fetch --names 2>/dev/null; exit 7'
    run = subprocess.run([SHMSEM, 'serve', '-w', '1', scene.folder, '--', 'sh', '-c', script], stdout=subprocess.DEVNULL,
                         stderr=full, timeout=60, check=False)
    assert run.returncode == 7


def test_of_many_messages_few_are_told(scene):
    damaged_shards(scene, 100)
    server = scene.serve('-w', '1', '-s', '2')
    worker = scene.worker()
    for _ in range(2):
        assert worker.call('names') == (0, '0')
    assert server.end() == 0
    assert server.said().count('.tar: ') == SHOWN
    assert f'shmsem serve: {100 - SHOWN} more messages within a minute not shown\n' in server.said()
