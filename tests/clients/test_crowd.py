#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Clients that are killed leave nothing behind: TAP on standard output.

Aim: after a crowd of clients, killed at random moments, the daemon's descriptors, memory and tables are
where they began, keeper's and worker's. Method: one crowd to warm up, so that what is only ever had
once is had, then the one that counts. How many: 600, or ten thousand with SHMEMU_TEST_LONG. Run it with
SHMEMU_PREFIX set to an installed tree.
"""

import os
import sys

sys.dont_write_bytecode = True
from client_tap import Tap
from client_world import PYTHON, Lambda, Mount, is_root, private, settled, until, world

COUNT = 10000 if os.environ.get("SHMEMU_TEST_LONG") else 600
AT_ONCE = 24
WARM_UP = 300
CROWD = os.path.join(os.path.dirname(os.path.abspath(__file__)), "crowd.py")
SLACK_KILOBYTES = 400


def kilobytes(pid):
    with open(f"/proc/{pid}/smaps_rollup") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Private_Dirty:"))


class Figures:
    """What the daemon has of everything."""

    def __init__(self, w):
        status = w.daemon.status()
        pids = [status.keeper, status.pid]
        self.tables = status.names, status.inodes, status.connections
        self.fds = [len(os.listdir(f"/proc/{pid}/fd")) for pid in pids]
        self.memory = [kilobytes(pid) for pid in pids]
        self.segments = sum(w.files().values())

    def is_as(self, before):
        return (self.tables, self.fds, self.segments) == (before.tables, before.fds,
                                                          before.segments)

    def __str__(self):
        return f"{self.tables} {self.fds} {self.memory} {self.segments}"


def crowd(w, count, seed):
    done = w.run(PYTHON, w.install(CROWD), str(count), str(AT_ONCE), str(seed), interval=10,
                 patience=1200, env={"SHMEMU_LOG": "error"})
    assert done.status == 0 and done.err == "", done
    assert int(done.out) == count, f"only {done.out} were killed: {done.err}"


def leaves_nothing(kind):
    with world(kind) as w:
        crowd(w, WARM_UP, 1)
        until(lambda: w.daemon.status().connections == 2, "all connections end")
        settled(lambda: Figures(w).fds)
        before = Figures(w)
        crowd(w, COUNT, 2)
        until(lambda: Figures(w).is_as(before), f"{before}, and not {Figures(w)}", 20)
        after = Figures(w)
        grown = [now - then for now, then in zip(after.memory, before.memory)]
        assert max(grown) < SLACK_KILOBYTES, f"grown by {grown} kB, from {before.memory}"
        assert w.daemon.status().pid == w.pid, "the worker is another"
        return f"{COUNT} killed; grown by {grown} kB from {before.memory}; fds {after.fds}"


def main():
    private()
    tap = Tap()
    kinds = [Lambda] + ([Mount] if is_root() and os.path.exists("/dev/fuse") else [])
    for kind in kinds:
        tap.run(f"killed clients leave nothing: {kind.name}", leaves_nothing, kind)
    return tap.end()


sys.exit(main())
