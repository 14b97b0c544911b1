"""Holds shared memory until it is killed: what other programs do, and a server's objects.

    holder.py segment NAME | descriptor NAME | semaphore NAME | thread NAME | sysv
    holder.py sysv-zombie | sysv-waiter | server NS | creator NS

Prints a line when it holds them, for `sysv` with the ids. What `sysv-zombie` made is used by a process that has
ended, and that nobody reaps.
"""
import ctypes
import fcntl
import mmap
import os
import signal
import struct
import sys
import threading

libc = ctypes.CDLL(None, use_errno=True)
SERVER_LOCK = 1 << 40
MAGIC = 0x0001006D65736D68
PAGE = 4096


def check(result):
    if result in (-1, ctypes.c_void_p(-1).value):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def segment(name):
    fd = os.open("/dev/shm/" + name, os.O_CREAT | os.O_RDWR, 0o600)
    os.ftruncate(fd, 65536)
    return fd, mmap.mmap(fd, 65536)


def python_segment(name):
    from multiprocessing import shared_memory
    return shared_memory.SharedMemory(create=True, size=65536, name=name)


def semaphore(name):
    libc.sem_open.restype = ctypes.c_void_p
    return check(libc.sem_open(b"/" + name.encode(), os.O_CREAT, 0o600, 3))


def sysv():
    libc.shmat.restype = ctypes.c_void_p
    shm = check(libc.shmget(0, 5000, 0o1600))
    check(libc.shmat(shm, None, 0))
    sem = check(libc.semget(0, 2, 0o1600))
    for number in range(2):
        check(libc.semop(sem, struct.pack("HhH", number, 1, 0), 1))
    msg = check(libc.msgget(0, 0o1600))
    check(libc.msgsnd(msg, struct.pack("q8s", 1, b"message"), 8, 0))
    return "%d %d %d" % (shm, sem, msg)


def sysv_zombie():
    ends = os.pipe()
    child = os.fork()
    if not child:
        os.write(ends[1], sysv().encode())
        os._exit(0)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    return os.read(ends[0], 100).decode()


def sysv_waiter():
    sem = check(libc.semget(0, 1, 0o1600))
    msg = check(libc.msgget(0, 0o1600))
    wanted = struct.pack("HhH", 0, -1, 0)
    received = ctypes.create_string_buffer(64)
    threading.Thread(target=libc.semop, args=(sem, wanted, 1)).start()
    threading.Thread(target=libc.msgrcv, args=(msg, received, 8, 0, 0)).start()
    return "%d %d" % (sem, msg)


def lock(fd):
    F_OFD_SETLK = 37
    fcntl.fcntl(fd, F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, SERVER_LOCK, 1, 0))


def server(space):
    seats = 2
    head = bytearray((seats + 2) * PAGE)
    struct.pack_into("4Q", head, 0, 640 * 427 * 3, 640, 427, 3)
    struct.pack_into("QIIII", head, 32, MAGIC, 2, seats, 1, PAGE)
    struct.pack_into("II", head, seats * PAGE, 1, os.getpid())
    struct.pack_into("11Q", head, seats * PAGE + 128, *range(100, 111))
    files = {"SEG_%s_HEAD": head, "SEG_%s_DATA": bytes(65536), "SEG_%s:1_DATA": bytes(65536),
             "sem.SEM_%s_REQ": bytes(32), "sem.SEM_%s_RES": bytes(32),
             "sem.SEM_%s:1_RES": bytes(32)}
    held = []
    for name, content in files.items():
        fd = os.open("/dev/shm/" + name % space, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
        os.write(fd, content)
        if not name.endswith("_RES"):
            lock(fd)
            held.append(fd)
        else:
            os.close(fd)
    return held


def creator(space):
    """Of a classic namespace, as `fetch --create` is, between two accesses."""
    for name in "SEG_%s_DATA", "sem.SEM_%s_REQ", "sem.SEM_%s_RES":
        with open("/dev/shm/" + name % space, "xb") as file:
            file.write(bytes(32))
    fd = os.open("/dev/shm/SEG_%s_HEAD" % space, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    os.ftruncate(fd, 1)
    lock(fd)
    return fd


def main():
    kind, argument = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None
    text = "ready"
    if kind == "segment":
        held = python_segment(argument)
    elif kind == "descriptor":
        held = segment(argument)
        held[1].close()
    elif kind == "semaphore":
        held = semaphore(argument)
    elif kind == "thread":
        # The main thread ends; another one goes on with the mapping.
        held = segment(argument)
        os.close(held[0])
        threading.Thread(target=signal.pause).start()
        print(text, flush=True)
        libc.syscall(60, 0)
    elif kind == "sysv":
        text = sysv()
    elif kind == "sysv-zombie":
        text = sysv_zombie()
    elif kind == "sysv-waiter":
        text = sysv_waiter()
    elif kind == "server":
        held = server(argument)
    elif kind == "creator":
        held = creator(argument)
    print(text, flush=True)
    signal.pause()


main()
