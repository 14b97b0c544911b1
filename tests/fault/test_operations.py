"""Everything at once, at random: images fetched, held and released while their files change by every means, room is made, and
clients and the server are killed and started again. Each pixel is looked at; see operations.c. With what the kernel notes of
changes (where this host has that), and where io_uring is refused.

    OPERATIONS_SECONDS=600 meson test -C build operations --timeout-multiplier 0 --verbose
"""
import json
import os
import random
import subprocess

import pytest

from harness import SHMSEM, TIMEOUT

OPERATIONS = os.environ.get('FAULT_OPERATIONS', 'operations')
REFUSED = os.environ.get('FAULT_REFUSED', 'refused')
SECONDS = float(os.environ.get('OPERATIONS_SECONDS', '5'))
SEED = int(os.environ.get('OPERATIONS_SEED', random.randrange(1, 1 << 30)))
FETCHES = 2000


def has_flag():
    said = subprocess.run([SHMSEM, 'doctor', '--json'], stdout=subprocess.PIPE, check=False, timeout=TIMEOUT).stdout
    return [finding['state'] for finding in json.loads(said)['findings'] if finding['check'] == 'change flag'] == ['ok']


@pytest.mark.deadline(SECONDS * 2 + 240)
@pytest.mark.parametrize('command', [
    pytest.param([], id='as_this_host_has_it'),
    pytest.param([REFUSED, 'io_uring_setup', '--'], id='where_io_uring_is_refused'),
])
def test_whatever_happens_pixels_are_right(scene, command):
    os.mkdir(os.path.join(scene.folder, 'd'))
    ran = subprocess.run([*command, OPERATIONS, str(int(SECONDS)), str(FETCHES), str(SEED), SHMSEM, scene.space, scene.folder,
                          '-w', '1', '-s', '8', '--cache', '512K'],
                         stdout=subprocess.PIPE, check=True, timeout=SECONDS + 200)
    fetches, found, changes, kills, wrong, *error = ran.stdout.decode().split(maxsplit=5)
    scene.note(f'seed {SEED}: {fetches} fetched, {found} of them without asking; {changes} changes, {kills} kills')
    assert int(wrong) == 0, error
    assert int(fetches) >= FETCHES
    assert (int(found) > 0) == (has_flag() and not command)
