"""Worker processes that all hold many images at the same moment.

    crowd.py METHOD NAMESPACE WORKERS IMAGES
"""

import multiprocessing
import sys

import shmsem


def work(namespace, count, barrier, results):
    names = shmsem.names(namespace=namespace)
    names = [name for name in names if not name.startswith("broken")]
    images = shmsem.fetch_many([names[i % len(names)] for i in range(count)], namespace=namespace)
    sums = [memoryview(image)[0, 0, 0] for image in images]
    barrier.wait(120)
    results.put(len(images) if len(sums) == count else 0)
    barrier.wait(120)


def main():
    method, namespace, workers, count = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
    context = multiprocessing.get_context(method)
    barrier, results = context.Barrier(workers), context.Queue()
    processes = [
        context.Process(target=work, args=(namespace, count, barrier, results), daemon=True)
        for _ in range(workers)
    ]
    for process in processes:
        process.start()
    assert [results.get(timeout=240) for _ in processes] == [count] * workers
    for process in processes:
        process.join(60)
    print(f"{workers} workers held {count} images each")


if __name__ == "__main__":
    main()
