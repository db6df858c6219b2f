# SPDX-License-Identifier: LGPL-2.1-or-later
"""Fills an array of 1 GiB in one process and sums it in another, through SharedMemory, and prints
how much memory each has, in kB, when both have touched all of it: shared, and of its own."""

import multiprocessing
import sys
from multiprocessing import shared_memory

import numpy

COUNT = (1 << 30) // 8
STEP = 1 << 20


def memory():
    """Returns resident shared, resident private, and its share of the resident shared."""
    def read(path):
        with open(path) as file:
            return {key: int(rest.split()[0]) for key, rest in
                    (line.split(":", 1) for line in file if line.rstrip().endswith("kB"))}
    status, rollup = read("/proc/self/status"), read("/proc/self/smaps_rollup")
    return status["RssShmem"], status["RssAnon"], rollup["Pss_Shmem"]


def add_up(name, pipe):
    shared = shared_memory.SharedMemory(name)
    array = numpy.ndarray(COUNT, dtype=numpy.uint64, buffer=shared.buf)
    pipe.send((int(array.sum()), *memory()))
    pipe.recv()  # the other one looks at its memory while both have it
    del array
    shared.close()


def main():
    shared = shared_memory.SharedMemory(create=True, size=COUNT * 8)
    array = numpy.ndarray(COUNT, dtype=numpy.uint64, buffer=shared.buf)
    for first in range(0, COUNT, STEP):
        array[first:first + STEP] = numpy.arange(first, first + STEP, dtype=numpy.uint64)
    context = multiprocessing.get_context("spawn")
    pipe, other = context.Pipe()
    process = context.Process(target=add_up, args=(shared.name, other))
    process.start()
    print(*pipe.recv())
    print(*memory())
    pipe.send(None)
    process.join()
    del array
    shared.close()
    shared.unlink()
    return process.exitcode


if __name__ == "__main__":
    sys.exit(main())
