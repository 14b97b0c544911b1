"""Many workers that hold many images at the same moment, with all defaults.

SHMSEM_CROWD="64 256" says how many of both.
"""

import os
import subprocess
import sys

import pytest
from conftest import SPACE, start_server, stop_server


WORKERS, IMAGES = os.environ.get("SHMSEM_CROWD", "16 256").split()


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_workers_hold_all_their_images_at_once(method, folder):
    space = SPACE + "-crowd"
    server = start_server(space, folder)
    script = os.path.join(os.path.dirname(__file__), "crowd.py")
    done = subprocess.run(
        [sys.executable, script, method, space, WORKERS, IMAGES], capture_output=True, text=True
    )
    stop_server(server)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{WORKERS} workers held {IMAGES} images each\n"
