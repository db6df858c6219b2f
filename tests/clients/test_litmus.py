#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Shared memory between processes where nothing can be mapped shared: TAP on standard output.

Aim: what one process has told another of it sees, whatever told it (a pipe, semaphores, record locks,
flock, an exit status); bytes that different processes write to one page all arrive; and what is
counted up under a lock ends exact. Method: tests/probes/litmus.c, in which each process maps the
segment for itself; natively, with mappings emulated though the host has them, and on a host without
them. How often: a thousand times each, ten thousand with SHMEMU_TEST_LONG. Run it with SHMEMU_PREFIX
and SHMEMU_PROBES set to an installed tree that every user can read.
"""

import os
import sys

sys.dont_write_bytecode = True
from client_tap import Tap
from client_world import NOBODY, SHMEMU, World, is_root, library

ROUNDS = 10000 if os.environ.get("SHMEMU_TEST_LONG") else 1000
LITMUS = os.path.join(os.environ["SHMEMU_PROBES"], "litmus")
PATIENCE = 600
CASES = ["pass-pipe", "pass-named", "pass-sem", "pass-fcntl", "pass-flock", "pass-exit", "page",
         "count-mutex", "count-sem", "count-named", "count-fcntl", "count-flock"]


class Emulated(World):
    """With a daemon by `shmemu run`, and mappings emulated all the same."""

    name = "emulate"
    words = (SHMEMU, "run", "--")

    def files(self):
        return {}

    def environment(self):
        return {**super().environment(), "SHMEMU_LOG": "error", "SHMEMU_MMAP": "emulate"}


class Nanvix(Emulated):
    """Nothing but what a library OS has; a daemon is started there by the library."""

    name = "nanvix"
    words = (SHMEMU, "without", "nanvix", "--", "env", "LD_PRELOAD=" + library())

    def environment(self):
        return {**super().environment(), "SHMEMU_MMAP": None}


def holds(kind, case):
    world = kind(NOBODY if is_root() and kind is Nanvix else None)
    try:
        done = world.run(*world.words, LITMUS, case, str(ROUNDS), enter=False, interval=10,
                         patience=PATIENCE)
    finally:
        world.remove()
    assert (done.status, done.out, done.err) == (0, f"{ROUNDS} rounds, 0 wrong\n", ""), done
    return f"{ROUNDS} times in {done.seconds:.1f} s"


def main():
    tap = Tap()
    for kind in Emulated, Nanvix:
        for case in CASES:
            tap.run(f"{kind.name}: {case}", holds, kind, case)
    return tap.end()


sys.exit(main())
