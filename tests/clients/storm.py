# SPDX-License-Identifier: LGPL-2.1-or-later
"""storm.py PROCESSES SEGMENTS: so many processes at once each make so many segments, all of which
are there at the same time, share them with a child that finds them by name, check what it wrote,
and unlink them. Prints how many processes did it all; each other one prints why not.

CPython's own binding of shm_open is used: SharedMemory would bring a resource tracker for each."""

import mmap
import os
import sys
import traceback

from _posixshmem import shm_open, shm_unlink

SIZE = 8192


def share(name, flags):
    fd = shm_open(name, os.O_RDWR | flags, mode=0o600)
    if flags:
        os.ftruncate(fd, SIZE)
    memory = mmap.mmap(fd, SIZE)
    os.close(fd)
    return memory


def text(name, who):
    return f"{who} {name}".encode().ljust(SIZE, b".")


def child(names):
    for name in names:
        memory = share(name, 0)
        assert memory[:] == text(name, "parent"), f"{name}: the child found {memory[:40]}"
        memory[:] = text(name, "child")


def in_child(function, *arguments):
    """Returns the child's pid."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            function(*arguments)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)
    return pid


def work(number, segments, start):
    os.read(start, 1)  # the end of the pipe: all at once
    names = [f"/storm-{number}-{segment}" for segment in range(segments)]
    memories = [share(name, os.O_CREAT | os.O_EXCL) for name in names]
    for name, memory in zip(names, memories):
        memory[:] = text(name, "parent")
    _, status = os.waitpid(in_child(child, names), 0)
    assert status == 0, f"the child of {number}: {status}"
    for name, memory in zip(names, memories):
        assert memory[:] == text(name, "child"), f"{name}: the parent found {memory[:40]}"
        shm_unlink(name)


def main():
    processes, segments = int(sys.argv[1]), int(sys.argv[2])
    start, hold = os.pipe()

    def begin(number):
        os.close(hold)
        work(number, segments, start)

    pids = [in_child(begin, number) for number in range(processes)]
    os.close(hold)
    statuses = [os.waitpid(pid, 0)[1] for pid in pids]
    print(statuses.count(0))
    return 0 if statuses.count(0) == processes else 1


sys.exit(main())
