#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is written is there, whoever looks: TAP on standard output.

Aim: random reads, writes, truncations, holes, mappings and allocations of one file come out as a model
in memory says, in one process and in several, of which some use the library, by name and by path, and
others know nothing but the mount; with passthrough, without it, without a mount, and while the worker
is killed again and again. Method: tests/exercise.c does them and checks each. How many: 20,000, or a
million with SHMEMU_TEST_LONG, or SHMEMU_TEST_OPS; SHMEMU_TEST_SEED repeats a run. Arguments name cases.
Needs SHMEMU_PREFIX and SHMEMU_PROBES: scripts/test.
"""

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading

sys.dont_write_bytecode = True
from client_tap import Tap
from client_wire import Daemon
from client_world import Direct, Lambda, Passthrough, is_root, library, private, world

EXERCISE = os.path.join(os.environ.get("SHMEMU_PROBES", ""), "exercise")
OPERATIONS = int(os.environ.get("SHMEMU_TEST_OPS",
                                1000000 if os.environ.get("SHMEMU_TEST_LONG") else 20000))
SEED = int(os.environ.get("SHMEMU_TEST_SEED", random.randrange(1 << 32)))
KILLS_MIN = 3


class Socket(Lambda):
    name = "socket"


class Emulated(Lambda):
    """Nothing is mapped but by the library."""
    name = "emulated"

    def environment(self):
        return {**super().environment(), "SHMEMU_MMAP": "emulate"}


def command(a_world, kind):
    """Returns the words before the program, the file, and those behind it."""
    with_library = [*a_world.enter(), "env", "LD_PRELOAD=" + library()]
    if kind == "plain":
        return [], os.path.join(a_world.store, "exercised"), \
            ["nomap"] if a_world.name == "direct" else []
    if kind == "by the mount":
        return with_library, os.path.join(a_world.store, "exercised"), []
    return with_library, "/exercised" if kind == "name" else "/dev/shm/exercised", []


MAKE = "import os, sys; os.close(os.open(sys.argv[1], os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)); " \
       "os.truncate(sys.argv[1], int(sys.argv[2]))"


def environment(a_world):
    return {**a_world.environment(), "SHMEMU_LOG": "error"}


def on_file(a_world, program, *words):
    """Has a Python program with the library do something with the file."""
    subprocess.run([*a_world.enter(), "env", "LD_PRELOAD=" + library(), "/usr/bin/python3", "-c",
                    program, "/dev/shm/exercised", *map(str, words)], check=True,
                   env=environment(a_world), timeout=60)


@contextlib.contextmanager
def made(a_world, size):
    on_file(a_world, MAKE, size)
    yield
    on_file(a_world, "import os, sys; os.unlink(sys.argv[1])")


def start(a_world, kinds, mode, model, count):
    processes = []
    for number, kind in enumerate(kinds):
        before, file, after = command(a_world, kind)
        words = [mode, model, file, number, len(kinds), count, SEED]
        processes.append(subprocess.Popen(
            [*before, EXERCISE, *map(str, words), *after], pass_fds=[model], text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment(a_world)))
    return processes


def run(a_world, kinds, mode, count=None):
    """Returns what the processes said."""
    size, greatest = map(int, subprocess.check_output([EXERCISE, "size"]).split())
    count = (count or OPERATIONS) // len(kinds)
    model = os.memfd_create("model", 0)
    os.ftruncate(model, size)
    with made(a_world, 0 if mode == "turns" else greatest):
        processes = start(a_world, kinds, mode, model, count)
        said = "".join(process.communicate(timeout=3000)[0] for process in processes)
    os.close(model)
    for process in processes:
        assert process.returncode == 0, f"status {process.returncode}: {said}"
    assert not said, said
    return f"{count * len(kinds)} operations, seed {SEED}"


class Killer(threading.Thread):
    """Kills a worker again and again."""

    def __init__(self, a_world):
        super().__init__(daemon=True)
        self.daemon_asked = Daemon(a_world.run_folder)
        self.over = threading.Event()
        self.kills = 0

    def run(self):
        while not self.over.wait(random.uniform(0.005, 0.05)):
            os.kill(self.daemon_asked.status().pid, signal.SIGKILL)
            self.kills += 1

    def end(self):
        self.over.set()
        self.join()
        self.daemon_asked.close()


def exercised(kind, kinds, mode):
    with world(kind) as w:
        told = run(w, kinds, mode)
        assert kinds == ["plain"] * len(kinds) or w.requests() > len(kinds), "the daemon was not asked"
        return told


def killed(kind, kinds, mode):
    with world(kind) as w:
        killer = Killer(w)
        killer.start()
        try:
            for _ in range(10):  # a fast machine may be done too soon
                told = run(w, kinds, mode)
                if killer.kills > KILLS_MIN:
                    break
        finally:
            killer.end()
        assert killer.kills > KILLS_MIN, f"{killer.kills} kills"
        return f"{told}, {killer.kills} kills"


def noticed(kind):
    """The exerciser sees a byte that somebody else wrote."""
    with world(kind) as w:
        try:
            with made(w, 0):
                pass
            spoil = ["/usr/bin/python3", "-c", "import os, sys, time\n"
                     "while not os.path.exists(sys.argv[1]): time.sleep(0.001)\n"
                     "for i in range(100): time.sleep(0.01); os.pwrite(os.open(sys.argv[1], 1), b'?', 5)",
                     os.path.join(w.store, "exercised")]
            spoiler = subprocess.Popen(spoil, stderr=subprocess.DEVNULL)
            try:
                run(w, ["name"], "turns", 200000)
            finally:
                spoiler.kill()
                spoiler.wait()
        except AssertionError as error:
            assert f"seed {SEED}, process 0" in str(error), error
            return
        raise AssertionError("it noticed nothing")


def cases():
    alone = ["name", "path"]
    if is_root() and os.path.exists("/dev/fuse"):
        for kind in (Passthrough, Direct):
            for one in [*alone, "plain", "by the mount"]:
                yield f"{kind.name}: alone, {one}", exercised, kind, [one], "turns"
            several = ["name", "plain", "path", "plain"]
            for mode in ("turns", "ranges"):
                yield f"{kind.name}: several, in {mode}", exercised, kind, several, mode
                yield f"{kind.name}: several, in {mode}, killed", killed, kind, several, mode
        yield "a strange byte is noticed", noticed, Passthrough
    for one in alone:
        yield f"socket: alone, {one}", exercised, Socket, [one], "turns"
    for mode in ("turns", "ranges"):
        yield f"socket: several, in {mode}", exercised, Socket, ["name", "path", "name"], mode
    for one in alone:
        yield f"emulated: alone, {one}", exercised, Emulated, [one], "turns"
    for mode in ("turns", "ranges"):
        yield f"emulated: several, in {mode}", exercised, Emulated, ["name", "path", "name"], mode
    yield "socket: several, killed", killed, Socket, ["name", "path", "name"], "ranges"


def main():
    private()
    tap = Tap()
    for name, function, *arguments in cases():
        if not sys.argv[1:] or name in sys.argv[1:]:
            tap.run(name, function, *arguments)
    return tap.end()


sys.exit(main())
