"""A requester of the native exchange, written from shmsem(7) alone.

    exchange.py NAMESPACE ping COUNT        waits for COUNT answers
    exchange.py NAMESPACE names             prints the names, one a line
    exchange.py NAMESPACE info NAME... prints name, gamma, comments, the eight chromaticities, sRGB and
        whether it is animated of each
    exchange.py NAMESPACE get NAME...       prints name, width, height, channels and CRC-32 of each, holding all of them

It shares nothing with shmsem's sources. Run it under timeout(1).
"""

import ctypes
import errno
import fcntl
import mmap
import os
import struct
import sys
import time
import zlib

libc = ctypes.CDLL(None, use_errno=True)
libc.sem_open.restype = ctypes.c_void_p
libc.sem_post.argtypes = [ctypes.c_void_p]
libc.sem_timedwait.argtypes = [ctypes.c_void_p, ctypes.c_void_p]

OFD_GETLK, OFD_SETLK = 36, 37
PING, GET, INFO, NAMES = range(4)
REQUESTED, ANSWERED = 1, 3


def lock(fd, byte, kind=fcntl.F_WRLCK, command=OFD_SETLK):
    """The type that the kernel answers with; None if somebody else has it."""
    what = struct.pack("hhqqi4x", kind, os.SEEK_SET, byte, 1, 0)
    try:
        return struct.unpack("hhqqi4x", fcntl.fcntl(fd, command, what))[0]
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return None
        raise


def locked(fd, byte):
    return lock(fd, byte, fcntl.F_RDLCK, OFD_GETLK) != fcntl.F_UNLCK


def semaphore(name):
    found = libc.sem_open(name.encode(), 0)
    assert found, f"no semaphore {name}"
    return found


class Requester:
    def __init__(self, space):
        self.space = space
        self.fd = os.open(f"/dev/shm/SEG_{space}_HEAD", os.O_RDWR | os.O_CLOEXEC)
        self.head = mmap.mmap(self.fd, 0)
        assert locked(self.fd, 1 << 40), "the server is dead"
        magic, version, self.seats, segments = struct.unpack_from("8sIII", self.head, 32)
        assert magic == b"hmsem\0\1\0" and version == 2
        (size,) = struct.unpack_from("I", self.head, 52)
        self.size = size
        ready, self.pid, self.reserve = struct.unpack_from("IIQ", self.head, size * self.seats)
        assert ready
        self.segments = [None] * segments
        self.seat = next(seat for seat in range(self.seats) if lock(self.fd, size * seat) is not None)
        self.page = size * self.seat
        self.turn = ctypes.c_uint64.from_buffer(self.head, self.page + 64)
        self.find_holds(size)
        self.sequence = (self.turn.value >> 8) + 1
        self.turn.value = self.sequence << 8
        for word in self.holds:
            word.value = 0
        self.mark.value = 0
        self.request = semaphore(f"/SEM_{space}_REQ")
        self.response = semaphore(f"/SEM_{space}:{self.seat}_RES" if self.seat else f"/SEM_{space}_RES")

    def find_holds(self, size):
        """A mark, and 1024 words on pages that begin with 64 bytes of their own."""
        words = (size - 64) // 8
        pages = -(-1024 // words)
        counters = -(-64 * self.seats // size)
        first = size * (self.seats + 1 + counters + self.seat * pages)
        assert struct.unpack_from("8s8x", self.head, first)[0] == b"shholds\0"
        assert self.head[first + 8 : first + 16] == self.head[56:64]
        self.mark = ctypes.c_uint64.from_buffer(self.head, first + 16)
        at = [first + hold // words * size + 64 + hold % words * 8 for hold in range(1024)]
        self.holds = [ctypes.c_uint64.from_buffer(self.head, offset) for offset in at]

    def ask(self, operation, name=b"", hold=0):
        """The status, the classic words, the answer's other fields as bytes, and the text."""
        struct.pack_into("Q", self.head, self.page, len(name))
        struct.pack_into("IIQ64s", self.head, self.page + 72, operation, hold, len(name), bytes(64))
        self.head[self.page + 320 : self.page + 320 + len(name)] = name
        self.sequence += 1
        self.turn.value = self.sequence << 8 | REQUESTED
        asking = self.size * self.seats + 256 + self.seat // 8
        self.head[asking] |= 1 << self.seat % 8
        libc.sem_post(self.request)
        while self.turn.value != self.sequence << 8 | ANSWERED:
            assert locked(self.fd, 1 << 40), "the server died"
            until = time.clock_gettime_ns(time.CLOCK_REALTIME) + 100_000_000
            limit = struct.pack("qq", until // 10**9, until % 10**9)
            libc.sem_timedwait(self.response, limit)
        words = struct.unpack_from("4Q", self.head, self.page)
        answer = self.head[self.page + 192 : self.page + 320]
        status, _, length = struct.unpack_from("III", answer)
        text = self.head[self.page + 1344 : self.page + 1344 + length]
        return status, words, answer, text

    def names(self):
        last, found = b"", []
        while True:
            status, _, _, text = self.ask(NAMES, last)
            assert status == 0, text
            if not text:
                return found
            assert text.endswith(b"\0")
            found += text[:-1].split(b"\0")
            last = found[-1]

    def info(self, name):
        status, _, answer, text = self.ask(INFO, name)
        assert status == 0, text
        gamma, comments = (struct.unpack_from("I", answer, at - 192)[0] for at in (228, 284))
        flags, = struct.unpack_from("I", answer, 196 - 192)
        return gamma, comments, *struct.unpack_from("8i", answer, 288 - 192), answer[258 - 192], flags >> 2 & 1

    def get(self, name, hold):
        self.mark.value = max(self.mark.value, hold + 1)
        status, words, answer, text = self.ask(GET, name, hold)
        if status:
            raise SystemExit(f"{name.decode()}: status {status}: {text.decode()}")
        size, width, height, channels = words
        segment, offset, number, stride = struct.unpack_from("=IQQI", answer, 204 - 192)
        assert size == width * height * channels and stride == width * channels and offset % 4096 == 0
        assert self.holds[hold].value == number != 0
        if self.segments[segment] is None:
            path = f"/dev/shm/SEG_{self.space}:{segment}_DATA" if segment else f"/dev/shm/SEG_{self.space}_DATA"
            self.segments[segment] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        fd = self.segments[segment]
        assert offset + size <= os.fstat(fd).st_size
        with mmap.mmap(fd, size, prot=mmap.PROT_READ, offset=offset) as pixels:
            return width, height, channels, zlib.crc32(pixels)


def main():
    space, what, *rest = sys.argv[1:]
    requester = Requester(space)
    if what == "ping":
        for _ in range(int(rest[0])):
            assert requester.ask(PING)[0] == 0
    elif what == "names":
        for name in requester.names():
            print(name.decode())
    elif what == "info":
        for name in rest:
            print(name, *requester.info(name.encode()))
    else:
        for hold, name in enumerate(rest):
            print("{} {} {} {} {:08x}".format(name, *requester.get(name.encode(), hold)))


main()
