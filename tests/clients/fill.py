#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""fill.py WAY FILE: asks for room until there is no more, and prints a JSON list: the errno's name that
ended it, the bytes that were had, whether all of them could be written to and hold what was written.

WAY is write, fallocate, posix_fallocate, ftruncate (and every byte is touched, through a mapping or,
where there can be none, by write), large (one ftruncate that is too much), or shared_memory (FILE is
then a name). The file stays."""

import ctypes
import errno
import json
import mmap
import os
import sys

STEP = 256 << 10
LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_long, ctypes.c_long]
BLOCK = bytes(range(256)) * (STEP // 256)


def by_write(fd, size):
    """Returns what was written; at last by pages and bytes, to the very end."""
    for step in (STEP, 4096, 1):
        try:
            while True:
                size += os.pwrite(fd, BLOCK[size % 256:][:step], size)
        except OSError as error:
            reason = error
    return reason, size


def by_steps(ask):
    size, step = 0, STEP
    while step >= 4096:
        try:
            ask(size, step)
            size += step
        except OSError as error:
            reason = error
            step //= 2
    return reason, size


def fallocate(fd, start, length):
    if LIBC.fallocate(fd, 0, start, length) < 0:
        raise OSError(ctypes.get_errno(), "fallocate")


def touch(fd, size):
    """Writes to each byte; returns whether it is all there."""
    if size == 0:
        return True
    try:
        memory = mmap.mmap(fd, size)
        for start in range(0, size, STEP):
            memory[start:start + STEP] = BLOCK[:min(STEP, size - start)]
        memory.close()
    except OSError as error:
        if error.errno != errno.ENODEV:
            raise
        for start in range(0, size, STEP):
            os.pwrite(fd, BLOCK[:min(STEP, size - start)], start)
    return all(os.pread(fd, STEP, start) == BLOCK[:min(STEP, size - start)]
               for start in range(0, size, STEP))


def shared_memory(name):
    from multiprocessing import resource_tracker, shared_memory as memories
    made, size, step = [], 0, 4 << 20
    while step >= 4096:
        try:
            one = memories.SharedMemory(f"{name}-{len(made)}", create=True, size=step)
        except OSError as error:
            reason, step = error, step // 2
            continue
        resource_tracker.unregister(one._name, "shared_memory")
        one.buf[:] = BLOCK[:step] if step <= STEP else BLOCK * (step // STEP)
        made.append(one)
        size += step
    whole = all(bytes(one.buf[:256]) == BLOCK[:256] for one in made)
    for one in made:
        one.close()
    return reason, size, whole


def main():
    way, file = sys.argv[1:]
    if way == "shared_memory":
        reason, size, whole = shared_memory(file)
    else:
        fd = os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        if way == "write":
            reason, size = by_write(fd, 0)
            whole = all(os.pread(fd, STEP, start) == BLOCK[:min(STEP, size - start)]
                        for start in range(0, size, STEP))
        elif way == "large":
            os.ftruncate(fd, 4096)
            try:
                os.ftruncate(fd, 1 << 30)
                raise AssertionError("a gigabyte was to be had")
            except OSError as error:
                reason = error
            size, whole = os.fstat(fd).st_size, touch(fd, 4096)
        else:
            ask = {"fallocate": lambda start, length: fallocate(fd, start, length),
                   "posix_fallocate": lambda start, length: os.posix_fallocate(fd, start, length),
                   "ftruncate": lambda start, length: os.ftruncate(fd, start + length)}[way]
            reason, size = by_steps(ask)
            assert os.fstat(fd).st_size == size, (os.fstat(fd), size)
            whole = touch(fd, size)
    print(json.dumps([errno.errorcode[reason.errno], size, whole]))


main()
