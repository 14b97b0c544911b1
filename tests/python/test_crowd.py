"""Many workers that hold many images at the same moment."""

import os
import subprocess
import sys

import pytest
from conftest import SPACE, start_server, stop_server


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_64_workers_hold_256_images_each(method, folder):
    space = SPACE + "-crowd"
    server = start_server(space, folder, "--seats", "512")
    script = os.path.join(os.path.dirname(__file__), "crowd.py")
    done = subprocess.run(
        [sys.executable, script, method, space, "64", "256"], capture_output=True, text=True
    )
    stop_server(server)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "64 workers held 256 images each\n"
