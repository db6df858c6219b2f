# SPDX-License-Identifier: LGPL-2.1-or-later
"""LMDB, which maps its data and its table of readers shared, and has mutexes in that: processes count
in transactions, one is killed in the midst, and a reader counts what it sees in part.

Arguments: a folder, "map" or "writemap", how many writers, how many transactions each. Prints as JSON
how it went.
"""

import json
import multiprocessing
import os
import signal
import sys
import time

import lmdb

PARTS = 50  # of the sum that each transaction changes without changing it


def connect(folder, how):
    return lmdb.open(folder, map_size=16 << 20, writemap=how == "writemap", sync=False, max_dbs=2)


def number(transaction, key):
    return int(transaction.get(key) or b"0")


def write(folder, how, me, count, progress):
    base = connect(folder, how)
    for i in range(count):
        with base.begin(write=True) as transaction:
            transaction.put(b"count", b"%d" % (number(transaction, b"count") + 1))
            for key, change in ((b"part-%d" % (i % PARTS), -1), (b"part-%d" % ((i + 7) % PARTS), 1)):
                transaction.put(key, b"%d" % (number(transaction, key) + change))
            transaction.put(b"entry-%d-%d" % (me, i), b"%d-%d." % (me, i) * 20)
        os.write(progress, b".")
    base.close()


def read(folder, how, ends, result):
    """A reader marks its place in shared memory by a store, and no call: where memory is emulated a
    writer may not see it in time. So what was seen in part is counted."""
    base = connect(folder, how)
    looks = torn = 0
    while True:
        with base.begin() as transaction:
            first = sum(number(transaction, b"part-%d" % i) for i in range(PARTS))
            count = number(transaction, b"count")
            time.sleep(0.003)
            again = sum(number(transaction, b"part-%d" % i) for i in range(PARTS))
            torn += (first, again, count) != (0, 0, number(transaction, b"count"))
        looks += 1
        if os.read(ends, 1) == b"x":
            break
    os.write(result, json.dumps([looks, torn]).encode())


def main():
    folder, how, writers, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    fork = multiprocessing.get_context("fork")
    with connect(folder, how) as base, base.begin(write=True) as transaction:
        transaction.put(b"count", b"0")
    progress, told = os.pipe()
    at_work = [fork.Process(target=write, args=(folder, how, i, count, told))
               for i in range(writers)]
    ends, victims = os.pipe()
    victim = fork.Process(target=write, args=(folder, how, writers, 1 << 30, victims))
    for process in (*at_work, victim):
        process.start()
    os.close(told)
    os.close(victims)
    there, here = os.pipe()
    looked, result = os.pipe()
    reader = fork.Process(target=read, args=(folder, how, there, result))
    reader.start()
    killed = 0
    while killed < count // 4:
        got = len(os.read(ends, 1))
        if not got:
            break
        killed += got
        if killed % 5 == 0:
            os.write(here, b".")
    os.kill(victim.pid, signal.SIGKILL)
    killed += len(os.read(ends, 1 << 20))
    while os.read(progress, 1 << 16):
        os.write(here, b".")
    for process in (*at_work, victim):
        process.join()
    os.write(here, b"x")
    reader.join()
    base = connect(folder, how)
    base.reader_check()
    with base.begin() as transaction:
        entries = [sum(transaction.get(b"entry-%d-%d" % (i, j)) == b"%d-%d." % (i, j) * 20
                       for j in range(count)) for i in range(writers)]
        of_victim = 0
        while transaction.get(b"entry-%d-%d" % (writers, of_victim)):
            of_victim += 1
        found = number(transaction, b"count")
        total = sum(number(transaction, b"part-%d" % i) for i in range(PARTS))
        scanned = sum(key.startswith(b"entry-") for key, _ in transaction.cursor())
    print(json.dumps({
        "entries": entries, "killed": killed, "victim": of_victim, "count": found, "sum": total,
        "scanned": scanned, "reader": json.loads(os.read(looked, 99)),
        "statuses": [process.exitcode for process in (*at_work, victim, reader)]}))


if __name__ == "__main__":
    main()
