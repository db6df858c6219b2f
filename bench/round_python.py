#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What Python's multiprocessing has from shared memory and named semaphores, and CPython's own tests of
the former."""

import multiprocessing
import re
import subprocess
import sys
from multiprocessing import shared_memory

import round

SIZE = 1 << 20
kept = []


def create(count):
    for _ in range(count):
        memory = shared_memory.SharedMemory(create=True, size=SIZE)
        memory.buf[0] = 1
        memory.close()
        memory.unlink()


def make_one(count):
    """And first of all once what is measured, so that its helper process is there."""
    create(1)
    kept.append(shared_memory.SharedMemory(create=True, size=SIZE))
    kept[0].buf[0] = 1


def attach(count):
    for _ in range(count):
        memory = shared_memory.SharedMemory(kept[0].name)
        assert memory.buf[0] == 1
        memory.close()


def remove_it(count):
    kept[0].close()
    kept[0].unlink()


def queue():
    made = multiprocessing.Queue()
    made.close()


def makes(name, make, count):
    def repeat(times):
        for _ in range(times):
            make()
    return round.question(f"Python {name}", repeat, count, before=lambda times: make())


def tests(count):
    which, least = ("*SharedMemory.*basics", 3) if round.is_quick() else ("*TestSharedMemory*", 10)
    for _ in range(count):
        done = subprocess.run([sys.executable, "-m", "test", "-v", "test_multiprocessing_spawn",
                               "-m", which], capture_output=True, text=True, check=False)
        said = done.stdout + done.stderr
        if "No module named" in said:
            round.skip("no tests of CPython: scripts/setup --tests")
        # All of them skip themselves where there is none, and that is a success.
        ran = re.search(r"^Ran (\d+) tests.*\n\nOK$", said, re.M)
        assert ran and int(ran[1]) >= least, done


round.main([
    round.question("Python SharedMemory, 1 MiB: create", create, 500,
                   before=lambda count: create(1)),
    round.question("Python SharedMemory, 1 MiB: attach", attach, 1000, make_one, remove_it),
    makes("Lock", multiprocessing.Lock, 500),
    makes("Semaphore", multiprocessing.Semaphore, 500),
    makes("Queue", queue, 200),
    round.question("CPython's tests of SharedMemory", tests, 1),
])
