"""The examples of the manual, as they stand in it."""

import os
import subprocess
import sys


EXAMPLES = os.environ["SHMSEM_EXAMPLES"]


def run(name, *arguments, **environment):
    done = subprocess.run(
        [sys.executable, "-W", "error", os.path.join(EXAMPLES, name), *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout.splitlines()


def test_first():
    assert run("first.py", "apple")[0].startswith("(960, 640, 3) uint8 [")


def test_batch():
    lines = run("batch.py")
    assert "apple.jpg: (480, 320, 3)" in lines
    assert lines[-1].startswith("(4, ") and lines[-1].endswith(", 1)")


def test_event_loop():
    assert run("event_loop.py", "apple", "car")[0] == "apple: 640×960"


def test_camera():
    assert run("camera.py") == [f"(480, 640, 3) {number}" for number in range(3)]


def test_the_manual_shows_them():
    """Each example stands in shmsem-python(3), line for line."""
    with open(os.environ["SHMSEM_PAGE"]) as file:
        page = file.read().replace("\\e", "\\").replace("\\-", "-").replace("\\(mu", "×")
    for name in ("first.py", "batch.py", "event_loop.py", "camera.py", "loader.py"):
        with open(os.path.join(EXAMPLES, name)) as file:
            body = file.read().partition("\n\n")[2].strip()
        assert body in page, name
