# SPDX-License-Identifier: LGPL-2.1-or-later
"""joblib over numpy memmaps: one that Parallel makes by itself of a large argument, and the example
of joblib's documentation, whose workers write to a memmap in a folder that we make in /dev/shm.
Prints as JSON where they were, by how many processes the work was done, and the sums."""

import json
import os
import shutil
import tempfile
import time

import joblib
import numpy

ROWS, COLUMNS = 64, 1 << 14  # 8 MiB


def total(array, row):
    time.sleep(0.01)  # that the other one gets some, too
    return os.getpid(), getattr(array, "filename", None), float(array[row].sum())


def fill(array, output, row):
    time.sleep(0.01)
    output[row] = array[row].sum()


def by_itself(array):
    done = joblib.Parallel(n_jobs=2)(joblib.delayed(total)(array, row) for row in range(ROWS))
    return {"processes": len({pid for pid, _, _ in done}), "where": done[0][1],
            "sum": sum(part for _, _, part in done)}


def in_a_folder(array, top):
    folder = tempfile.mkdtemp(dir=top)
    try:
        joblib.dump(array, os.path.join(folder, "input"))
        mapped = joblib.load(os.path.join(folder, "input"), mmap_mode="r")
        output = numpy.memmap(os.path.join(folder, "output"), dtype=float, shape=ROWS, mode="w+")
        joblib.Parallel(n_jobs=2)(joblib.delayed(fill)(mapped, output, row) for row in range(ROWS))
        return {"names": sorted(os.listdir(folder)), "where": folder, "sum": float(output.sum())}
    finally:
        shutil.rmtree(folder)


def main():
    array = numpy.arange(ROWS * COLUMNS, dtype=float).reshape(ROWS, COLUMNS)
    print(json.dumps([by_itself(array), in_a_folder(array, "/dev/shm")]))


if __name__ == "__main__":
    main()
