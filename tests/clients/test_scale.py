#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Many segments, many processes, much memory: TAP on standard output.

Aim: with all of it no operation takes more than twice what it takes with ten segments, a listing takes
no longer by the name, and all of it is given back. Method: two daemons side by side, one with ten
segments and one with many, are measured in turn, in the same minutes; the median of the ratios counts.
How many: 5,000 segments, 100 processes, 256 MiB; with SHMEMU_TEST_LONG 100,000, 1,000 and 16 GiB. Needs
root: an ordinary user's segments take a descriptor each. Run it with SHMEMU_PREFIX set to an
installed tree.
"""

import os
import statistics
import subprocess
import sys
import time

sys.dont_write_bytecode = True
from client_tap import Skip, Tap
from client_world import PYTHON, Served, is_root, private, until, world

LONG = bool(os.environ.get("SHMEMU_TEST_LONG"))
SEGMENTS, PROCESSES, BYTES = (100000, 1000, 16 << 30) if LONG else (5000, 100, 256 << 20)
FEW = 10
ROUNDS = 7
SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "scale_clients.py")
OPERATIONS = "open", "missing", "create and unlink", "statvfs", "list, by the name"


class Plain(Served):
    """Root's, without a mount."""

    name = "plain"
    with_library = True

    def start(self):
        self.serve("--no-mount", "--user-connections=0")

    def environment(self):
        return {**super().environment(), "SHMEMU_LOG": None}

    def enter(self):
        return []


class Clients:
    """Those of one daemon."""

    def __init__(self, w, segments, size, processes):
        self.world = w
        self.process = w.popen(PYTHON, w.install(SCRIPT), str(segments), str(size), str(processes),
                               stdin=subprocess.PIPE)
        line = self.process.stdout.readline()
        assert line == "ready\n", self.process.stderr.read()

    def measure(self):
        print("measure", file=self.process.stdin, flush=True)
        figures = list(map(float, self.process.stdout.readline().split()))
        assert len(figures) == len(OPERATIONS) - 1, self.process.stderr.read()
        begun = time.perf_counter()
        names = len(self.world.files())
        return figures + [1e6 * (time.perf_counter() - begun) / names]

    def clear(self):
        print("clear", file=self.process.stdin, flush=True)
        assert self.process.stdout.readline() == "cleared\n", self.process.stderr.read()
        assert not self.world.files()

    def end(self):
        self.process.kill()
        self.process.communicate()


def resident(pid):
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS:"))


def memory(w):
    status = w.daemon.status()
    return sum(resident(pid) for pid in (status.pid, status.keeper))


def available():
    with open("/proc/meminfo") as file:
        return next(int(line.split()[1]) << 10 for line in file if line.startswith("MemAvailable:"))


def stays_fast():
    if available() < BYTES * 5 // 4:
        raise Skip(f"needs {BYTES >> 30} GiB of memory")
    with world(Plain, 0) as small, world(Plain, 0) as large:
        few, many = Clients(small, FEW, 0, 1), None
        try:
            many = Clients(large, SEGMENTS, BYTES, PROCESSES)
            ratios = []
            for _ in range(ROUNDS):
                base = few.measure()
                ratios.append([now / then for now, then in zip(many.measure(), base)])
            medians = [statistics.median(column) for column in zip(*ratios)]
            told = ", ".join(f"{name} {ratio:.2f}" for name, ratio in zip(OPERATIONS, medians))
            # Too few for a verdict, and on a machine that may be anybody's: told, not judged.
            assert not LONG or max(medians) < 2, f"times slower: {told}"
            begun = time.monotonic()
            many.clear()
            return f"times what it was: {told}; cleared in {time.monotonic() - begun:.1f} s"
        finally:
            few.end()
            if many:
                many.end()


def tells_what_a_segment_takes():
    with world(Plain, 0) as w:
        before = memory(w)
        clients = Clients(w, SEGMENTS, 0, 0)
        try:
            each = (memory(w) - before) * 1024 / SEGMENTS
            assert each < 4096, f"{each} bytes"
            took = []
            for _ in range(5):
                pid = w.daemon.status().pid
                begun = time.monotonic()
                os.kill(pid, 9)
                until(lambda: w.daemon.status().pid != pid, "another serves")
                took.append(1000 * (time.monotonic() - begun))
            clients.clear()
            # To the last page it need not be: the C library keeps some of its own.
            until(lambda: memory(w) - before < 2048, f"{before} kB before, {memory(w)} kB now", 10)
            return (f"{SEGMENTS} empty segments take {each:.0f} bytes of the daemon's each; taken "
                    f"over in {statistics.median(took):.0f} ms")
        finally:
            clients.end()


def main():
    tap = Tap()
    if not is_root():
        tap.run("scale", lambda: (_ for _ in ()).throw(Skip("needs root")))
        return tap.end()
    private()
    tap.run(f"{SEGMENTS} segments, {PROCESSES} processes, {BYTES >> 20} MiB", stays_fast)
    tap.run("an empty segment", tells_what_a_segment_takes)
    return tap.end()


sys.exit(main())
