"""The examples of the manual, as they stand in it."""

import os
import shutil
import subprocess
import sys
import tarfile

import pytest

import shmsem

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


@pytest.mark.parametrize("before", ["", "./", "train/"])
def test_labels(folder, tmp_path, before):
    shard = os.path.join(folder, "shard.tar")
    for key, label in ("one", 7), ("two", 12):
        shutil.copy(os.path.join(folder, "apple.jpg"), tmp_path / f"{key}.jpg")
        (tmp_path / f"{key}.cls").write_text(f"{label}")
        (tmp_path / f"{key}.json").write_text("{}")
    with tarfile.open(shard, "w") as file:
        for name in sorted(os.listdir(tmp_path)):
            file.add(tmp_path / name, before + name)
    first = before.removeprefix("./")
    assert run("labels.py", shard, "shard.tar") == [
        f"{first}one (960, 640, 3) 7",
        f"{first}two (960, 640, 3) 12",
    ]
    with shmsem.connect() as client:
        served = [name for name in client.names() if name.startswith("shard")]
    assert served == [f"shard.tar/{first}one.jpg", f"shard.tar/{first}two.jpg"]
    os.unlink(shard)


def test_event_loop():
    assert run("event_loop.py", "apple", "car")[0] == "apple: 640×960"


def test_camera():
    assert run("camera.py") == [f"(480, 640, 3) {number}" for number in range(3)]


def test_the_manual_shows_them():
    """Each example stands in shmsem-python(3), line for line."""
    with open(os.environ["SHMSEM_PAGE"]) as file:
        page = file.read().replace("\\e", "\\").replace("\\-", "-").replace("\\(mu", "×")
    for name in ("first.py", "batch.py", "labels.py", "event_loop.py", "camera.py", "loader.py"):
        with open(os.path.join(EXAMPLES, name)) as file:
            body = file.read().partition("\n\n")[2].strip()
        assert body in page, name
