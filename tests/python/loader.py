"""A loader as training programs have them: 8 worker processes that fetch images for the process that trains,
measured beside the same loader with PIL decoding in each worker. Prints what it measured.

    loader.py DIR [EPOCHS]      with a server of DIR running ($SHMSEM_NAMESPACE)
"""

import multiprocessing
import os
import sys
import time

import numpy
from PIL import Image as Pillow

import shmsem

WORKERS = 8
SIDE = 128  # of the crop that a worker hands back


def crop(pixels):
    return numpy.ascontiguousarray(pixels[:SIDE, :SIDE, :3])


def fetched(path):
    with shmsem.fetch(os.path.basename(path), channels=3) as image:
        return crop(numpy.asarray(image))


def decoded(path):
    with Pillow.open(path) as image:
        return crop(numpy.asarray(image.convert("RGB")))


def measure(name, load, paths, epochs):
    """Images a second of each epoch, the start of the workers not included."""
    rates = []
    with multiprocessing.get_context("fork").Pool(WORKERS) as pool:
        pool.map(abs, range(WORKERS))
        for _ in range(epochs):
            begin = time.perf_counter()
            count = sum(1 for _ in pool.imap_unordered(load, paths, chunksize=4))
            rates.append(count / (time.perf_counter() - begin))
    print(f"{name}: " + ", ".join(f"{rate:.0f}" for rate in rates) + " images/s in each epoch")
    return rates


def main():
    folder, epochs = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 3
    names = [name for name in sorted(os.listdir(folder)) if name.endswith((".jpg", ".png"))]
    paths = [os.path.join(folder, name) for name in names] * 32
    print(f"{len(paths)} images an epoch, {WORKERS} workers, {len(os.sched_getaffinity(0))} CPUs")
    measure("PIL in each worker", decoded, paths, epochs)
    measure("shmsem", fetched, paths, epochs)


if __name__ == "__main__":
    main()
