"""What `shmsem bench python` runs: times in nanoseconds, a line for each sample, in turn.

    _bench.py NAME RUNS WARMUP SAMPLES      over an image of the server of $SHMSEM_NAMESPACE
"""

import mmap
import os
import subprocess
import sys
import tempfile
import time
from typing import Callable, Tuple

import numpy
import shmsem

BATCH = 1000  # operations in a sample
IMPORT = (
    "import time; t = time.perf_counter_ns(); import shmsem; print(time.perf_counter_ns() - t)"
)


def subjects(name: str) -> Tuple[Callable[[], None], ...]:
    """In the order of the rows."""
    mapped = mmap.mmap(-1, 1 << 20)
    fetch, asarray = shmsem.connect().fetch, numpy.asarray

    def view_and_release() -> None:
        for _ in range(BATCH):
            view = memoryview(mapped)
            view.release()

    def fetch_and_release() -> None:
        for _ in range(BATCH):
            image = fetch(name)
            image.close()

    def fetch_array_and_release() -> None:
        for _ in range(BATCH):
            image = fetch(name)
            array = asarray(image)
            del array
            image.close()

    def with_fetch() -> None:
        for _ in range(BATCH):
            with shmsem.fetch(name):
                pass

    return (view_and_release, fetch_and_release, fetch_array_and_release, with_fetch)


def time_import(compiled: str) -> str:
    """With modules that are compiled already, below that folder, as those of a package are."""
    environment = dict(os.environ, PYTHONPYCACHEPREFIX=compiled)
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, "-c", IMPORT]
    return subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, text=True, check=True
    ).stdout


def measure(name: str, runs: int, warmup: int, samples: int, *, compiled: str) -> None:
    rows = subjects(name)
    time_import(compiled)
    for run in range(warmup + runs):
        for index, row in enumerate(rows):
            for _ in range(samples):
                begin = time.perf_counter_ns()
                row()
                took = time.perf_counter_ns() - begin
                if run >= warmup:
                    print(index, took / BATCH)
        took_import = time_import(compiled)
        if run >= warmup:
            print(len(rows), took_import, end="")
        sys.stdout.flush()


def main(name: str, *numbers: str) -> None:
    try:
        with tempfile.TemporaryDirectory(prefix="shmsem-import-") as compiled:
            measure(name, *map(int, numbers), compiled=compiled)
    except shmsem.Error as error:
        print("!", error)
