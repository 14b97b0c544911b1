"""At each system call that a process makes in the library: another of its threads forks, a signal handler forks, does nothing or
cancels (act_at_call.c). Nothing of what the process had stays held by its children."""
import os
import subprocess

import pytest

from harness import EVERY, SANITIZED

ACT_AT_CALL = os.environ['FAULT_ACT_AT_CALL']
LEAST = 40  # calls that a life makes, at the very least

if SANITIZED:
    os.environ['ASAN_OPTIONS'] = 'detect_leaks=0'  # which is itself a tracer, and there can be one only


def act_at_each_call(scene, life, act, space, image):
    run = subprocess.run([ACT_AT_CALL, life, act, space, image.name, str(image.sum), str(EVERY)], stdout=subprocess.PIPE,
                         check=False, timeout=600)
    said = run.stdout.decode().strip()
    assert run.returncode == 0, said
    scene.note(f'{life}: {act} at each of {said} calls' + (f' (every {EVERY}th)' if EVERY > 1 else ''))
    assert int(said) >= LEAST


@pytest.mark.deadline(600)
@pytest.mark.parametrize('act', ['fork', 'exec', 'handler', 'use', 'signal', 'cancel'])
def test_a_client(scene, act):
    image = scene.image('a')
    scene.serve('-w', '1', '-s', '1')
    act_at_each_call(scene, 'client', act, scene.space, image)


@pytest.mark.deadline(600)
@pytest.mark.parametrize('act', ['fork', 'exec', 'handler', 'signal'])
def test_a_program_that_serves(scene, act):
    act_at_each_call(scene, 'server', act, 'acts', scene.image('a'))
    assert not os.listdir('/dev/shm')
