#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Processes share 256 MiB, a Queue and a Lock; other processes, of a Pool, check the result.

Four workers take the numbers of slices from the Queue and fill them in place. What they have done
they add up in the buffer's last bytes, one at a time under the Lock.
"""

import multiprocessing
import os
import struct
import sys
import time
from multiprocessing import shared_memory

SLICE = 1 << 20
SLICES = 256
WORKERS = 4
TOTAL = struct.Struct("QQ")  # slices filled, sum of their numbers


def contents(number):
    return number.to_bytes(8, "little") * (SLICE // 8)


def fill(name, numbers, lock):
    shared = shared_memory.SharedMemory(name)
    while (number := numbers.get()) is not None:
        shared.buf[number * SLICE:(number + 1) * SLICE] = contents(number)
        with lock:
            filled, total = TOTAL.unpack_from(shared.buf, SLICES * SLICE)
            TOTAL.pack_into(shared.buf, SLICES * SLICE, filled + 1, total + number)
    shared.close()


def check(name, number):
    """Returns whether the slice is right, and who looked."""
    shared = shared_memory.SharedMemory(name)
    right = shared.buf[number * SLICE:(number + 1) * SLICE] == contents(number)
    shared.close()
    return right, os.getpid()


def fill_all(name):
    numbers = multiprocessing.Queue()
    lock = multiprocessing.Lock()
    workers = [multiprocessing.Process(target=fill, args=(name, numbers, lock))
               for _ in range(WORKERS)]
    for worker in workers:
        worker.start()
    for number in list(range(SLICES)) + [None] * WORKERS:
        numbers.put(number)
    for worker in workers:
        worker.join()
    return all(worker.exitcode == 0 for worker in workers)


def check_all(name):
    with multiprocessing.Pool(WORKERS) as pool:
        checked = pool.starmap(check, [(name, number) for number in range(SLICES)], chunksize=4)
    return sum(right for right, _ in checked), len({pid for _, pid in checked})


def main():
    began = time.monotonic()
    shared = shared_memory.SharedMemory(create=True, size=SLICES * SLICE + TOTAL.size)
    try:
        ended_well = fill_all(shared.name)
        filled, total = TOTAL.unpack_from(shared.buf, SLICES * SLICE)
        right, checkers = check_all(shared.name)
    finally:
        shared.close()
        shared.unlink()
    print(f"{WORKERS} processes filled {filled} of {SLICES} slices of 1 MiB in one shared buffer, "
          f"{checkers} others found {right} right ({time.monotonic() - began:.1f} s)")
    good = ended_well and filled == right == SLICES and total == sum(range(SLICES))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
