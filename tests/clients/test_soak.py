#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Everything at once, for a while: TAP on standard output.

Aim: after rounds of mixed load by both doors, with crowds of clients that are killed and a worker that is
killed and upgraded for half of each round, memory and descriptors of keeper and worker are what they were after
the first round. Method: each round runs kill_load.py and crowd.py and measures when they have ended.
`test_soak.py --seconds=N` or SHMEMU_TEST_LONG (1,800) says for how long; else 30. Run it with
SHMEMU_PREFIX set to an installed tree.
"""

import os
import random
import signal
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True
from client_tap import Tap
from client_world import PYTHON, Lambda, Mount, is_root, library, private, settled, until, world

HERE = os.path.dirname(os.path.abspath(__file__))
SECONDS = int(next((word.split("=")[1] for word in sys.argv[1:] if word.startswith("--seconds=")),
                   1800 if os.environ.get("SHMEMU_TEST_LONG") else 30))
ROUND_SECONDS = max(8, SECONDS // 30)
SLACK_KILOBYTES = 1024
LOADS = ("library", "mount", "library", "mount", "library")


def figures(w):
    status = w.daemon.status()
    pids = status.keeper, status.pid
    fds = [len(os.listdir(f"/proc/{pid}/fd")) for pid in pids]
    memory = []
    for pid in pids:
        with open(f"/proc/{pid}/smaps_rollup") as file:
            memory.append(next(int(line.split()[1]) for line in file
                               if line.startswith("Private_Dirty:")))
    return fds, memory


class Disturber(threading.Thread):
    """Kills and upgrades the worker."""

    def __init__(self, w):
        super().__init__(daemon=True)
        self.world, self.over, self.times = w, threading.Event(), 0

    def run(self):
        while not self.over.wait(random.random()):
            status = self.world.lister.status()
            if self.times % 3:
                os.kill(status.pid, signal.SIGKILL)
            else:
                os.kill(status.keeper, signal.SIGHUP)
            self.times += 1


def start_load(w, kind, number):
    preload = ["env", "LD_PRELOAD=" + library()] if kind == "library" else []
    process = subprocess.Popen(
        [*(w.enter() if kind == "library" else []), *preload, PYTHON, w.load, kind, str(number),
         getattr(w, "store", "none")], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, env={**w.environment(), "SHMEMU_LOG": "error"}, cwd=w.home)
    assert process.stdout.readline() == "ready\n", process.stderr.read()
    return process


def clear(w):
    code = ("import _posixshmem\n"
            f"for n in [f'lasting-{{i}}' for i in range({len(LOADS)})] + ['shared']:\n"
            "    _posixshmem.shm_unlink('/' + n)\n")
    done = w.run(PYTHON, "-c", code, interval=10, env={"SHMEMU_LOG": "error"})
    assert done.status == 0 and not done.err, done
    assert not w.files(), w.files()


def one_round(w, seed):
    """Returns how many operations there were, and how often the worker was replaced."""
    kinds = LOADS if isinstance(w, Mount) else ["library"] * len(LOADS)
    loads = [start_load(w, kind, number) for number, kind in enumerate(kinds)]
    disturber = Disturber(w)
    disturber.start()
    try:
        half, end = (time.monotonic() + ROUND_SECONDS * part for part in (0.5, 1))
        while time.monotonic() < end:
            # What has served for a while is what can have grown.
            if time.monotonic() > half:
                disturber.over.set()
            seed += 1
            done = w.run(PYTHON, w.crowd, "200", "12", str(seed), interval=10,
                         env={"SHMEMU_LOG": "error"})
            assert done.status == 0 and not done.err, done
    finally:
        disturber.over.set()
        disturber.join()
    ended = [load.communicate("end\n", timeout=120) for load in loads]
    for load, (out, errors) in zip(loads, ended):
        assert load.returncode == 0 and not errors, errors
    clear(w)
    return sum(int(out.split()[0]) for out, _ in ended), disturber.times


def soak(kind):
    with world(kind) as w:
        w.load = w.install(os.path.join(HERE, "kill_load.py"))
        w.crowd = w.install(os.path.join(HERE, "crowd.py"))
        operations = replaced = rounds = 0
        first = None
        end = time.monotonic() + SECONDS
        while time.monotonic() < end or rounds < 3:
            done = one_round(w, 1000 * rounds)
            operations, replaced, rounds = operations + done[0], replaced + done[1], rounds + 1
            until(lambda: w.daemon.status().connections == 2, "connections end")
            settled(lambda: figures(w)[0])
            first = first or figures(w)
            print(f"# round {rounds}: {figures(w)}", flush=True)
        until(lambda: figures(w)[0] == first[0], f"descriptors: {first[0]}, {figures(w)[0]}", 20)
        last = figures(w)
        grown = [now - then for now, then in zip(last[1], first[1])]
        assert max(grown) < SLACK_KILOBYTES, f"grown by {grown} kB from {first[1]}"
        return (f"{rounds} rounds, {operations} operations, {replaced} workers; descriptors "
                f"{last[0]}, grown by {grown} kB from {first[1]}")


def main():
    private()
    tap = Tap()
    kind = Mount if is_root() and os.path.exists("/dev/fuse") else Lambda
    tap.run(f"everything at once: {kind.name}", soak, kind)
    return tap.end()


sys.exit(main())
