#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Nothing is lost when the daemon's worker dies: TAP on standard output.

Aim: while eight processes make, map, resize, link, list and remove files and semaphores by both
doors, and check every result, the worker is killed, or replaced by another program, again and again;
no operation may fail or come out wrong, no name may be lost or be there twice, the mount stays, and
the daemon's descriptors are in the end what they were. Method: kill_load.py is the load; this kills
at random moments and measures the time until the next worker answers. How often: SHMEMU_TEST_KILLS,
else a few; a thousand with SHMEMU_TEST_LONG. Arguments name cases. Run it with SHMEMU_PREFIX set to an installed tree.
"""

import contextlib
import itertools
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
from client_tap import Tap
from client_world import (PYTHON, SHMEMU, SHMFS, Direct, Lambda, Mount, is_root, library, private, settled,
                          until, variant, world)

KILLS = int(os.environ.get("SHMEMU_TEST_KILLS",
                           1000 if os.environ.get("SHMEMU_TEST_LONG") else 60))
PROCESSES = 8
LOAD = os.path.join(os.path.dirname(os.path.abspath(__file__)), "kill_load.py")


class Passthrough(Mount):
    name = "mount"


class Library(Lambda):
    name = "library"


class Bare(Lambda):
    """The daemon maps nothing shared: the journal is written through."""

    name = "bare"
    before_daemon = (SHMEMU, "without", "nanvix", "--")


class Load:
    """The eight processes."""

    def __init__(self, a_world):
        kinds = ["library"] if isinstance(a_world, Lambda) else ["library", a_world.name]
        self.processes = []
        script = a_world.install(LOAD)
        for number in range(PROCESSES):
            kind = kinds[number % len(kinds)]
            mount = getattr(a_world, "store", "none")
            enter = a_world.enter() if kind == "library" else []
            preload = ["env", "LD_PRELOAD=" + library()] if kind == "library" else []
            environment = {**a_world.environment(), "SHMEMU_LOG": "error"}
            self.processes.append(subprocess.Popen(
                [*enter, *preload, PYTHON, script, kind, str(number), mount], text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                env=environment, cwd=a_world.home))
        for process in self.processes:
            assert process.stdout.readline() == "ready\n", process.stderr.read()

    def check(self):
        for process in self.processes:
            assert process.poll() is None, process.stderr.read()

    def end(self):
        """Returns the operations and the longest of them, in milliseconds."""
        ended = [process.communicate("end\n", timeout=60) for process in self.processes]
        for process, (_, errors) in zip(self.processes, ended):
            assert process.returncode == 0 and not errors, errors
        figures = [tuple(map(int, out.split())) for out, _ in ended]
        return sum(count for count, _ in figures), max(longest for _, longest in figures) / 1000

    def kill(self):
        for process in self.processes:
            process.kill()
            process.communicate()


@contextlib.contextmanager
def load(a_world):
    a_load = Load(a_world)
    try:
        yield a_load
    finally:
        a_load.kill()


class Watch:
    """Who serves a world now, and how long it takes the next one to."""

    def __init__(self, a_world):
        self.world = a_world
        self.daemon = a_world.daemon
        self.took = []

    def worker(self):
        return self.daemon.status().pid

    def replace(self, how):
        """Has the worker replaced, and waits until another answers."""
        before = self.worker()
        begun = time.monotonic()
        how(before)
        deadline = begun + 30
        while True:
            now = self.worker()
            if now != before:
                break
            assert time.monotonic() < deadline, "the worker is not replaced"
        self.took.append(time.monotonic() - begun)

    def told(self):
        took = sorted(1000 * one for one in self.took)
        return f"{statistics.median(took):.1f} ms, worst {took[-1]:.1f} ms"


def kill(pid):
    os.kill(pid, signal.SIGKILL)


def rest():
    time.sleep(random.random() * 0.03)


def names_of(a_world):
    return sorted(a_world.daemon.list())


def fds_of(a_world):
    status = a_world.daemon.status()
    return [len(os.listdir(f"/proc/{pid}/fd")) for pid in (status.pid, status.keeper)]


def under_load(kind, how):
    """`how` is called with the worker's pid, so many times."""
    with world(kind) as w:
        watch = Watch(w)
        before = settled(lambda: fds_of(w))
        with load(w) as a_load:
            for _ in range(KILLS):
                rest()
                watch.replace(lambda pid: how(w, pid))
                a_load.check()
            operations, longest = a_load.end()
        left = [f"lasting-{number}" for number in range(PROCESSES)] + ["shared"]
        assert names_of(w) == sorted(left), names_of(w)
        if hasattr(w, "store"):
            assert sorted(os.listdir(w.store)) == sorted(left)
        # Root's daemon opens files by name: neither has one open for each.
        kept = 0 if w.uid == 0 else len(left)
        until(lambda: fds_of(w)[0] <= before[0] + len(left) and fds_of(w)[1] == before[1] + kept,
              f"descriptors: {before} before, now {fds_of(w)}", 20)
        return (f"{KILLS} times, {operations} operations, the longest {longest:.0f} ms; "
                f"the next one answers after {watch.told()}")


def killed(kind):
    return under_load(kind, lambda w, pid: kill(pid))


def killed_twice(kind):
    """The one that takes over is killed while it does."""

    def twice(w, pid):
        keeper = w.process.pid
        kill(pid)
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):
            time.sleep(random.random() * 0.01)
            with open(f"/proc/{keeper}/task/{keeper}/children") as children:
                for child in children.read().split():
                    kill(int(child))

    return under_load(kind, twice)


def upgraded(kind):
    return under_load(kind, lambda w, pid: os.kill(w.process.pid, signal.SIGHUP))


def replaced(kind):
    """By programs of other versions, which the library and the keeper have to talk to."""
    turn = itertools.cycle([variant(name) for name in ("older", "newer")])

    def replace(w, pid):
        shutil.copy(next(turn), w.program + ".new")
        os.rename(w.program + ".new", w.program)
        os.kill(w.process.pid, signal.SIGHUP)

    return under_load(type(kind.__name__, (kind,), {"copied": True}), replace)


def killed_at_start():
    """A daemon whose worker is killed before it serves ends, and says so."""
    for attempt in range(1, 51):
        with tempfile.TemporaryDirectory() as folder:
            keeper = subprocess.Popen([SHMFS, "--foreground", "--no-mount", f"--dir={folder}/daemon"],
                                      stderr=subprocess.PIPE, text=True)
            with open(f"/proc/{keeper.pid}/task/{keeper.pid}/children") as children:
                while not (worker := children.read()):
                    children.seek(0)
            kill(int(worker))
            try:
                _, told = keeper.communicate(timeout=2)
            except subprocess.TimeoutExpired:
                # It had served.
                keeper.terminate()
                keeper.communicate(timeout=10)
                continue
        assert (keeper.returncode, told) == (
            1, "shmfs: the worker was ended by a signal before it served: Killed\n"), (keeper, told)
        return f"attempt {attempt}"
    raise AssertionError("it always served before")


CASES = {"killed": killed, "killed twice": killed_twice, "upgraded": upgraded,
         "replaced by other versions": replaced}


def main():
    private()
    tap = Tap()
    kinds = [Library, Bare] + ([Passthrough, Direct] if is_root() and os.path.exists("/dev/fuse") else [])
    if not sys.argv[1:] or "killed at the start" in sys.argv[1:]:
        tap.run("killed at the start", killed_at_start)
    for kind in kinds:
        for what, case in CASES.items():
            if not sys.argv[1:] or f"{what}: {kind.name}" in sys.argv[1:]:
                tap.run(f"{what}: {kind.name}", case, kind)
    return tap.end()


sys.exit(main())
