"""Another user's process that would have a dead server look alive, or nobody take its place.

    locker.py NAMESPACE [overwrite]

Opens HEAD for writing, and says so; then waits for the server's byte of it, takes that and the cleaners' and REQ's, with
`overwrite` makes HEAD say nothing of itself any more, says "taken" and holds all until it is killed.
"""
import fcntl
import os
import struct
import sys
import time

F_OFD_SETLKW = 38
SERVER_LOCK, CLEANER_LOCK = 1 << 40, 1 << 42

head = os.open(f'/dev/shm/SEG_{sys.argv[1]}_HEAD', os.O_RDWR)
print('open', flush=True)
for byte in (SERVER_LOCK, CLEANER_LOCK):
    fcntl.fcntl(head, F_OFD_SETLKW, struct.pack('hhqqi4x', fcntl.F_WRLCK, os.SEEK_SET, byte, 1, 0))
request = os.open(f'/dev/shm/sem.SEM_{sys.argv[1]}_REQ', os.O_RDWR)
fcntl.fcntl(request, F_OFD_SETLKW, struct.pack('hhqqi4x', fcntl.F_WRLCK, os.SEEK_SET, SERVER_LOCK, 1, 0))
if sys.argv[2:]:
    os.pwrite(head, bytes(64), 0)
print('taken', flush=True)
time.sleep(600)
