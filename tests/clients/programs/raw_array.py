# SPDX-License-Identifier: LGPL-2.1-or-later
"""Fills a multiprocessing.RawArray of so many MiB in a child and reads it in the parent. Prints as
JSON the sum of its bytes, as they were filled, and the file that it is in."""

import ctypes
import json
import multiprocessing
import os
import sys
import time

import multiprocessing.heap


def fill(array):
    ctypes.memset(array, 1, len(array))
    time.sleep(0.5)  # to be seen


def main():
    size = int(sys.argv[1]) << 20
    context = multiprocessing.get_context("spawn")
    array = context.RawArray("B", size)
    child = context.Process(target=fill, args=(array,))
    child.start()
    child.join()
    arena = array._wrapper._state[0][0]
    print(json.dumps({"sum": bytes(array).count(1), "status": child.exitcode,
                      "where": os.readlink(f"/proc/self/fd/{arena.fd}")}))


if __name__ == "__main__":
    main()
