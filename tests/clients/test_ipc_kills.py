#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What dead processes held of System V IPC and queues is given back: TAP on standard output.

Aim: processes that hold attachments, undo records, locks and messages, and that wait for more, are
killed at random moments; in the end all counts are back, semaphores have their values, nobody waits,
and no message is lost or there twice. Method: ipc_kills.c does that and checks it; natively, under
the library where the kernel's IPC is refused, and while the daemon's worker is killed or replaced all
the time; and nobody sleeps on when keeper and worker are killed at once. Who sleeps on the way to a daemon that
is stopped, as its set is removed, is told so. How often:
SHMEMU_TEST_KILLS, else 300; ten thousand with SHMEMU_TEST_LONG. SHMEMU_TEST_SEED: when. Arguments
name cases.
"""

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True
from client_tap import Tap
from client_wire import Daemon
from client_world import SHMEMU, is_root, private, settled, until, world
from ipc_world import Native, Refused, Root

KILLS = int(os.environ.get("SHMEMU_TEST_KILLS",
                           10000 if os.environ.get("SHMEMU_TEST_LONG") else 300))
PROGRAMS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "programs")
SEM_UNDO = 0x1000
PROGRAM = os.path.join(os.environ.get("SHMEMU_PROBES", ""), "ipc_kills")


class Bare(Refused):
    """The daemon maps nothing shared."""

    name = "bare"
    before_daemon = (SHMEMU, "without", "nanvix", "--")


class Killer(threading.Thread):
    """Ends the worker of a world again and again, at random moments."""

    def __init__(self, w, how):
        super().__init__(daemon=True)
        self.world, self.how, self.over = w, how, threading.Event()
        # Of its own: a connection has one request at a time.
        self.daemon = Daemon(w.run_folder)
        self.count, self.worst = 0, 0

    def worker(self):
        return self.daemon.status().pid

    def run(self):
        while not self.over.wait(random.uniform(0.002, 0.06)):
            before, begun = self.worker(), time.monotonic()
            with contextlib.suppress(ProcessLookupError):
                self.how(self.world, before)
            while self.worker() == before and not self.over.is_set():
                time.sleep(0.001)
            self.worst = max(self.worst, time.monotonic() - begun)
            self.count += 1

    def end(self):
        self.over.set()
        self.join(30)
        self.daemon.sock.close()
        assert not self.is_alive() and self.count, f"the worker was killed {self.count} times"
        return f"; the worker {self.count} times, the next one after {self.worst * 1000:.0f} ms at most"


def killed(w, pid):
    os.kill(pid, signal.SIGKILL)


def upgraded(w, pid):
    os.kill(w.process.pid, signal.SIGHUP)


def fds_of(w):
    status = w.daemon.status()
    return [len(os.listdir(f"/proc/{pid}/fd")) for pid in (status.pid, status.keeper)]


def case(kind, how=None):
    seed = os.environ.get("SHMEMU_TEST_SEED") or str(random.randrange(1 << 30))
    with world(kind) as w:
        if kind is not Native:
            # What the daemon makes with the first object stays.
            done = w.run(w.install(PROGRAM), "1", "1")
            assert done.status == 0, done
            w.check_empty()
            before = settled(lambda: fds_of(w), 1.5)
        killer = how and Killer(w, how)
        if killer:
            killer.start()
        done = w.run(w.install(PROGRAM), str(KILLS), seed, patience=60 + KILLS // 5, interval=0.2)
        told = killer.end() if killer else ""
        assert (done.status, done.err) == (0, ""), f"seed {seed}\n{done}"
        if kind is not Native:
            w.check_empty()
            # A new worker is handed only what there is use for.
            until(lambda: all(now <= was for now, was in zip(settled(lambda: fds_of(w)), before)),
                  f"descriptors: {before} before, now {fds_of(w)}", 20)
        return done.out.strip() + told


class Ending(Refused):
    """Its daemon is killed, and another that clients have started is ended."""

    def end(self):
        self.daemon.close()
        self.lister.close()
        self.errors.close()
        with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
            os.kill(Daemon(self.run_folder).status().keeper, signal.SIGTERM)

    def kill(self):
        """Keeper and worker, neither of whom can see to the other."""
        pid = self.daemon.status().pid
        os.kill(self.process.pid, signal.SIGSTOP)
        os.kill(pid, signal.SIGKILL)
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()


def sleepers():
    """Who sleeps at what it has as memory sees the end of all who could wake it."""
    with world(Ending) as w:
        program = w.install(os.path.join(PROGRAMS, "asleep.py"))
        asleep = [w.popen("/usr/bin/python3", program, kind) for kind in ("mq", "msg")]
        for process in asleep:
            assert process.stdout.readline() == "asleep\n", process.communicate()
        time.sleep(0.5)
        w.kill()
        told = [process.communicate(timeout=30) for process in asleep]
        assert told == [("EBADF\n", ""), ("EIDRM\n", "")], told


def is_asleep(pid):
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] == "S"


def removed(kind, flags):
    """Who sleeps on the way to a daemon that does not answer is as one who waits."""
    with world(kind) as w:
        program = w.install(os.path.join(PROGRAMS, "removed.py"))
        parent = w.popen("/usr/bin/python3", program, str(flags), stdin=subprocess.PIPE)
        pid = int(parent.stdout.readline())
        worker = None if kind is Native else w.daemon.status().pid
        if worker:
            os.kill(worker, signal.SIGSTOP)
        print(file=parent.stdin, flush=True)
        child = int(parent.stdout.readline())
        until(lambda: settled(lambda: is_asleep(child)), "the child does not sleep")
        print(file=parent.stdin, flush=True)
        if worker:
            until(lambda: settled(lambda: is_asleep(pid)), "the parent does not sleep")
            os.kill(worker, signal.SIGCONT)
        told = parent.communicate(timeout=30)
        assert told == ("EIDRM\n", ""), told


def main():
    private()
    tap = Tap()
    cases = [("native", Native, None)]
    for kind in [Refused, Bare] + ([Root] if is_root() else []):
        cases.append((kind.name, kind, None))
        cases.append((f"{kind.name}, its worker is killed", kind, killed))
    cases.append(("refused, its worker is replaced", Refused, upgraded))
    for what, kind, how in cases:
        if not sys.argv[1:] or what in sys.argv[1:]:
            tap.run(f"{what}: {KILLS} processes killed", case, kind, how)
    for kind in (Native, Refused):
        for flags in (0, SEM_UNDO):
            what = f"{kind.name}, removed while waited for, flags {flags:#x}"
            if not sys.argv[1:] or what in sys.argv[1:]:
                tap.run(what, removed, kind, flags)
    if not sys.argv[1:] or "sleepers" in sys.argv[1:]:
        tap.run("sleepers, keeper and worker are killed", sleepers)
    return tap.end()


sys.exit(main())
