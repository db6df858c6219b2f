# SPDX-License-Identifier: LGPL-2.1-or-later
"""crowd.py COUNT AT-ONCE SEED: so many processes, so many at once, each of which makes, maps, shares and
removes segments and semaphores until it is killed, at a random moment. In the end what they left is
removed. Run it under the library."""

import ctypes
import mmap
import os
import random
import signal
import sys
import time

import _posixshmem

COUNT, AT_ONCE, SEED = map(int, sys.argv[1:4])
LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.sem_open.restype = ctypes.c_void_p
LIBC.sem_close.argtypes = [ctypes.c_void_p]
SHARED = 5


def attempt(function, *arguments, **more):
    """Others, killed half-way, may have left a name, or taken it away."""
    try:
        return function(*arguments, **more)
    except (FileExistsError, FileNotFoundError):
        return -1


def live(number):
    choose = random.Random(number)
    while True:
        name = f"/crowd-{choose.choice((number, choose.randrange(SHARED)))}"
        fd = attempt(_posixshmem.shm_open, name, os.O_RDWR | os.O_CREAT, mode=0o600)
        if fd >= 0:
            os.ftruncate(fd, 8192)
            memory = mmap.mmap(fd, 8192)
            memory[:8] = b"whatever"
            if choose.random() < 0.5:
                os.close(fd)
        sem = LIBC.sem_open(name.encode(), os.O_CREAT, 0o600, 1)
        assert sem, os.strerror(ctypes.get_errno())
        LIBC.sem_close(sem)
        if choose.random() < 0.7:
            attempt(_posixshmem.shm_unlink, name)
            LIBC.sem_unlink(name.encode())


def begin(number):
    pid = os.fork()
    if pid == 0:
        try:
            live(number)
        except BaseException as error:
            print(f"process {number}: {error!r}", file=sys.stderr, flush=True)
        os._exit(1)
    return pid


def clear():
    for number in range(COUNT + SHARED):
        name = f"/crowd-{number}"
        attempt(_posixshmem.shm_unlink, name)
        LIBC.sem_unlink(name.encode())


def main():
    choose = random.Random(SEED)
    living, killed, number = [], 0, 0
    while number < COUNT or living:
        while len(living) < AT_ONCE and number < COUNT:
            living.append(begin(number))
            number += 1
        time.sleep(choose.random() * 0.002)
        pid = living.pop(choose.randrange(len(living)))
        os.kill(pid, signal.SIGKILL)
        killed += os.waitpid(pid, 0)[1] == signal.SIGKILL
    clear()
    print(killed)


main()
