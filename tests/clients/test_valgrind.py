#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The worker under valgrind: TAP on standard output.

Aim: under mixed load by both doors, taken over from one worker and handed over to the next, valgrind finds
no error and no leak in it. Method: the daemon is upgraded to a program that executes shmfs under valgrind
(tests/under_valgrind.c), loaded, upgraded once more, and ended. Run it with SHMEMU_PREFIX and
SHMEMU_PROBES set, and no sanitizer.
"""

import glob
import os
import shutil
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True
from client_tap import Skip, Tap
from client_world import PYTHON, SHMFS, Served, is_root, library, private, until, world

HERE = os.path.dirname(os.path.abspath(__file__))
WRAPPER = os.path.join(os.environ.get("SHMEMU_PROBES", ""), "shmfs-valgrind")
SECONDS = 120 if os.environ.get("SHMEMU_TEST_LONG") else 6
PATIENCE = 60


class Library(Served):
    """A daemon whose program is a copy, to be replaced by the one that runs valgrind."""

    name = "library"
    with_library = True
    copied = True
    kinds = ("library", "library")

    def start(self):
        # Valgrind makes system calls that serving does not take.
        self.serve("--harden=off", *self.where())

    def where(self):
        return ["--no-mount"]

    def program_environment(self):
        return {"SHMEMU_VALGRIND_DAEMON": SHMFS,
                "SHMEMU_VALGRIND_LOG": os.path.join(self.home, "valgrind")}

    def environment(self):
        return {**super().environment(), "SHMEMU_LOG": "error"}

    def enter(self):
        return []


class Mount(Library):
    """With a mount: both doors."""

    name = "mount"
    kinds = ("library", "mount")

    def where(self):
        self.store = self.folder("mount", 0o755)
        return ["--passthrough=require", self.store]


def logs(w):
    texts = {}
    for path in glob.glob(os.path.join(w.home, "valgrind.*")):
        with open(path) as file:
            texts[path] = file.read()
    return texts


def upgrade(w):
    before = w.daemon.status().pid
    shutil.copy(WRAPPER, w.program + ".new")
    os.rename(w.program + ".new", w.program)
    os.kill(w.process.pid, signal.SIGHUP)
    until(lambda: w.daemon.status().pid != before, "valgrind serves", PATIENCE)
    name = os.readlink(f"/proc/{w.daemon.status().pid}/exe")
    assert "valgrind" in name or "memcheck" in name, name


def load(w, kind, number):
    preload = ["env", "LD_PRELOAD=" + library()] if kind == "library" else []
    return subprocess.Popen(
        [*preload, PYTHON, w.install(os.path.join(HERE, "kill_load.py")), kind, str(number),
         getattr(w, "store", "none")], text=True, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=w.environment(), cwd=w.home)


def check_logs(w):
    found = logs(w)
    assert len(found) >= 2, f"valgrind wrote {list(found)}"
    for text in found.values():
        # A call that this valgrind does not know is told of otherwise, and answered with ENOSYS.
        lines = [line for line in text.splitlines() if line.startswith("==")]
        assert not lines, "\n".join(lines[:40])


def clean(kind):
    if not shutil.which("valgrind"):
        raise Skip("there is no valgrind")
    with world(kind) as w:
        upgrade(w)
        loads = [load(w, one, number) for number, one in enumerate(kind.kinds)]
        try:
            for one in loads:
                assert one.stdout.readline() == "ready\n", one.stderr.read()
            time.sleep(SECONDS / 2)
            upgrade(w)
            time.sleep(SECONDS / 2)
            ended = [one.communicate("end\n", timeout=PATIENCE) for one in loads]
        finally:
            for one in loads:
                one.kill()
        for one, (_, errors) in zip(loads, ended):
            assert one.returncode == 0 and not errors, errors
        w.process.terminate()
        assert w.process.wait(PATIENCE) == 0, w.said()
        check_logs(w)
        return f"{sum(int(out.split()[0]) for out, _ in ended)} operations"


def main():
    private()
    tap = Tap()
    for kind in [Library] + [Mount] * (is_root() and os.path.exists("/dev/fuse")):
        tap.run(kind.name, clean, kind)
    return tap.end()


sys.exit(main())
