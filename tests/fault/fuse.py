"""A FUSE file system with one file, image.png (and 1.png, 2.png, ..., which it does not list), whose bytes are those of another file at this moment, and whose kernel side may
keep names and attributes for an hour: what changes behind the mount is what changes on another host of a network file system.
The second open from when there is a file BACKING.next finds that in its place. While there is a file BACKING.hangs it reads what it is asked and does not answer: who asked cannot be killed. With the word
"silent" it never reads anything. Its end ends all that waits for it. (The protocol: linux/fuse.h, version 7.31.)"""
import ctypes
import errno
import os
import select
import struct
import sys
import time

ROOT, FILE, HOUR = 1, 2, 3600
LOOKUP, FORGET, GETATTR, OPEN, READ, INIT, OPENDIR, READDIR, INTERRUPT, BATCH_FORGET = 1, 2, 3, 14, 15, 26, 27, 28, 36, 42
WITHOUT_ANSWER = (FORGET, INTERRUPT, BATCH_FORGET)


def attributes(node, backing):
    status = os.stat(backing)
    mode, links, size = (0o040755, 2, 0) if node == ROOT else (0o100644, 1, status.st_size)
    seconds, rest = divmod(status.st_mtime_ns, 10**9)
    return struct.pack('<QQQQQQIIIIIIIIII', node, size, (size + 511) // 512, seconds, seconds, seconds,
                       rest, rest, rest, mode, links, 0, 0, 0, 4096, 0)


def turn(backing):
    if os.path.exists(backing + '.next'):
        os.rename(backing + '.next', backing + '.after')
    elif os.path.exists(backing + '.after'):
        os.rename(backing + '.after', backing)


def answer(operation, node, body, backing):
    """The bytes that follow the header of the answer, or an errno."""
    if operation == INIT:
        return struct.pack('<IIIIHHIIHHI28x', 7, 31, 65536, 0, 16, 12, 65536, 1, 16, 0, 0)
    if operation == LOOKUP:
        stem, _, ending = body.rstrip(b'\0').partition(b'.')
        if ending != b'png' or not (stem == b'image' or stem.isdigit()):
            return errno.ENOENT
        node = FILE if stem == b'image' else FILE + int(stem)
        return struct.pack('<QQQQII', node, 1, HOUR, HOUR, 0, 0) + attributes(node, backing)
    if operation == GETATTR:
        return struct.pack('<QII', HOUR, 0, 0) + attributes(node, backing)
    if operation == OPEN:
        turn(backing)
    if operation in (OPEN, OPENDIR):
        return struct.pack('<QII', 0, 0, 0)
    if operation == READ:
        _, offset, size = struct.unpack_from('<QQI', body)
        with open(backing, 'rb') as file:
            return os.pread(file.fileno(), size, offset)
    if operation == READDIR:
        _, offset = struct.unpack_from('<QQ', body)
        return b'' if offset else struct.pack('<QQII16s', FILE, 1, 9, 8, b'image.png')
    return errno.ENOSYS


def reply(device, message, backing):
    operation, unique, node = struct.unpack_from('<4xIQQ', message)
    if operation in WITHOUT_ANSWER:
        return
    result = answer(operation, node, message[40:], backing)
    error, result = (-result, b'') if isinstance(result, int) else (0, result)
    try:
        os.write(device, struct.pack('<IiQ', 16 + len(result), error, unique) + result)
    except FileNotFoundError:
        pass  # who asked is gone


def serve(device, backing):
    kept = []
    while True:
        hangs = os.path.exists(backing + '.hangs')
        while kept and not hangs:
            reply(device, kept.pop(0), backing)
        if not select.select([device], [], [], 0.02)[0]:
            continue
        try:
            message = os.read(device, 1 << 20)
        except OSError as error:
            if error.errno in (errno.EINTR, errno.ENOENT, errno.EAGAIN):
                continue
            return
        if os.path.exists(backing + '.hangs'):
            kept.append(message)
        else:
            reply(device, message, backing)


def main(point, backing, silent=''):
    device = os.open('/dev/fuse', os.O_RDWR)
    libc = ctypes.CDLL(None, use_errno=True)
    options = f'fd={device},rootmode=40000,user_id=0,group_id=0,allow_other'
    if libc.mount(b'test', point.encode(), b'fuse.test', 0, options.encode()) != 0:
        sys.exit(os.strerror(ctypes.get_errno()))
    print('mounted', flush=True)
    while silent:
        time.sleep(1)
    serve(device, backing)


if __name__ == '__main__':
    main(*sys.argv[1:])
