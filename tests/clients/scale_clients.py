# SPDX-License-Identifier: LGPL-2.1-or-later
"""scale_clients.py FILL SIZE PROCESSES: makes FILL segments of SIZE bytes in all, all of it touched, and
then so many processes at once that each have a connection. Says "ready" after both, times operations
when told to by a line on standard input, and removes all in the end. Run it under the library."""

import mmap
import os
import statistics
import sys
import time

import _posixshmem

FILL, SIZE, PROCESSES = map(int, sys.argv[1:4])


def make(name, size):
    fd = _posixshmem.shm_open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode=0o600)
    if size:
        os.ftruncate(fd, size)
        os.posix_fallocate(fd, 0, size)
    os.close(fd)


def fill():
    each = SIZE // FILL // mmap.PAGESIZE * mmap.PAGESIZE if FILL else 0
    for number in range(FILL):
        make(f"/fill-{number}", each)


def crowd():
    """Each asks for something once, and stays."""
    reading, writing = os.pipe()
    done, tell = os.pipe()
    for number in range(PROCESSES):
        if os.fork() == 0:
            os.close(writing)
            make(f"/crowd-{number}", 0)
            os.write(tell, b".")
            os.read(reading, 1)
            os._exit(0)
    os.close(reading)
    for _ in range(PROCESSES):
        os.read(done, 1)
    return writing


def timed(function, times):
    """Returns the median, in microseconds."""
    took = []
    for turn in range(times):
        begun = time.perf_counter_ns()
        function(turn)
        took.append(time.perf_counter_ns() - begun)
    return statistics.median(took) / 1000


def measure():
    make("/probe", 4096)

    def opening(_):
        os.close(_posixshmem.shm_open("/probe", os.O_RDWR, mode=0))

    def missing(_):
        try:
            _posixshmem.shm_open("/nowhere", os.O_RDWR, mode=0)
        except FileNotFoundError:
            return

    def life(turn):
        make(f"/life-{turn}", 0)
        _posixshmem.shm_unlink(f"/life-{turn}")

    def room(_):
        os.statvfs("/dev/shm")

    timed(life, 200)
    figures = [timed(one, 1500) for one in (opening, missing, life, room)]
    _posixshmem.shm_unlink("/probe")
    return figures


def clear():
    for number in range(FILL):
        _posixshmem.shm_unlink(f"/fill-{number}")
    for number in range(PROCESSES):
        _posixshmem.shm_unlink(f"/crowd-{number}")


def main():
    fill()
    end = crowd()
    print("ready", flush=True)
    for line in sys.stdin:
        if line == "measure\n":
            print(*measure(), flush=True)
        else:
            break
    os.close(end)
    for _ in range(PROCESSES):
        os.wait()
    clear()
    print("cleared", flush=True)
    sys.stdin.read()


main()
