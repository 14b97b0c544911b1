"""What the store is for: many clients that want ten times as much as it holds. Every pixel is right, the segments stay within
the budget, and the hit rate is not more than two points below that of an LRU cache without fragmentation, simulated for the same
requests. (It may be above: what is being decoded takes no room yet, and of many sizes large images go sooner than small ones, of
which more remain.)

Each load takes LOAD_SECONDS (2), or longer until it has asked for REQUESTS images. One of them by hand, for ten minutes:

    LOAD_SECONDS=600 meson test -C build load --timeout-multiplier 0 --verbose --test-args='-k two_decoders'
"""
import os
import random
import subprocess
import threading
import zlib

import pytest

from harness import png, SHMSEM, TIMEOUT, stats

LOAD = os.environ.get('FAULT_LOAD', 'load')
SECONDS = float(os.environ.get('LOAD_SECONDS', '2'))
CLIENTS, IMAGES, STORED, PAGE = 16, 1000, 100, 4096
REQUESTS = 5 * STORED
LEAST, MOST, ALIKE = 30_000, 1_000_000, 270_000
POINTS = 2


def draw_images(scene, alike):
    """All of one size, or small ones as often as large ones; no two with the same pixels. The lines that the clients want of
    them, and the budget that an average hundred of them fill."""
    chance = random.Random(1)
    noise = chance.randbytes(2 * MOST + IMAGES)
    lines, total = [], 0
    for number in range(IMAGES):
        pixels = ALIKE // 3 if alike else int(LEAST * (MOST / LEAST) ** chance.random()) // 3
        width = 300 if alike else chance.randrange(50, 400)
        height = max(pixels // width, 1)
        data = noise[number:number + width * height * 3]
        with open(os.path.join(scene.folder, f'i{number}.png'), 'wb') as file:
            file.write(png(width, height, data, 0))
        lines.append(f'i{number}.png {len(data)} {zlib.crc32(data)}')
        total += -(-len(data) // PAGE) * PAGE
    return '\n'.join(lines) + '\n', total // IMAGES * STORED // PAGE * PAGE


class Watch(threading.Thread):
    """Looks at the data segments again and again: memory that they have, which is what the budget is for, and how long they
    are: each may get as long as the budget, with holes where memory was given back. INDEX grows beside them."""

    def __init__(self, scene, decoders):
        super().__init__(daemon=True)
        self.paths = [scene.path('DATA', index) for index in range(decoders)]
        self.index = scene.path('INDEX')
        self.over, self.looks, self.memory, self.longest = threading.Event(), 0, 0, 0
        self.beside = self.used() - sum(map(self.memory_of, self.paths)) - self.memory_of(self.index)

    @staticmethod
    def memory_of(path):
        try:
            return os.stat(path).st_blocks * 512
        except FileNotFoundError:  # where the kernel has no change flag
            return 0

    @staticmethod
    def used():
        """All of /dev/shm at one moment: while the segments were looked at one by one, memory would go from one to another."""
        system = os.statvfs('/dev/shm')
        return (system.f_blocks - system.f_bfree) * system.f_frsize

    def run(self):
        while not self.over.wait(0.005):
            index, used = self.memory_of(self.index), self.used()
            if index != self.memory_of(self.index):
                continue
            self.looks += 1
            self.memory = max(self.memory, used - self.beside - index)
            self.longest = max(self.longest, *(os.stat(path).st_size for path in self.paths))


@pytest.mark.deadline(SECONDS * 2 + 120)
@pytest.mark.parametrize('decoders, skew, alike', [
    pytest.param(1, 0, False, id='one_decoder_all_images_as_popular'),
    pytest.param(2, 0.8, True, id='two_decoders_images_of_one_size'),
    pytest.param(4, 1.0, False, id='four_decoders_few_images_popular'),
])
def test_sixteen_clients_that_want_ten_times_the_store(scene, decoders, skew, alike):
    images, budget = draw_images(scene, alike)
    scene.serve('-w', str(decoders), '-s', str(CLIENTS), '--cache', str(budget))
    watch = Watch(scene, decoders)
    watch.start()
    ran = subprocess.run([LOAD, scene.space, str(SECONDS), str(REQUESTS), str(CLIENTS), str(budget), str(skew)],
                         input=images.encode(), stdout=subprocess.PIPE, check=False, timeout=SECONDS + 2 * TIMEOUT)
    watch.over.set()
    watch.join()
    assert ran.returncode == 0, ('a client failed:', ran.stdout)
    requests, refused, wrong, simulated, *error = ran.stdout.decode().split(maxsplit=4)
    requests, refused, wrong, simulated = map(int, (requests, refused, wrong, simulated))
    decodes = stats(scene)['counters']['decodes']
    hits, lru = 100 * (requests - refused - decodes) / requests, 100 * simulated / requests
    scene.note(f'{SECONDS:.0f} s, {decoders} decoders, Zipf {skew}: {requests} requests, {decodes} decodes, {refused} refused, '
               f'{wrong} wrong')
    scene.note(f'hit rate {hits:.2f} %, simulated LRU {lru:.2f} %; budget {budget}, memory at most {watch.memory} '
               f'({watch.looks} looks), longest segment {watch.longest}')
    assert wrong == 0, ('wrong images:', *error)
    assert refused * 1000 <= requests, ('requests refused:', *error)
    assert requests >= REQUESTS and watch.looks > 10
    assert watch.memory <= budget and watch.longest <= budget, 'the segments exceed the budget'
    assert hits >= lru - POINTS
