#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the worker has given up: TAP on standard output.

Aim: once it serves, the worker can gain no rights, has a filter for system calls and no capability that
is not about files, for root and for an ordinary user, before and after a kill and an upgrade; with
--harden=off it has all that it was started with. Run it with SHMEMU_PREFIX set to an installed tree
that every user can read.
"""

import os
import signal
import sys

sys.dont_write_bytecode = True
from client_tap import Tap
from client_world import NOBODY, Mount, Served, is_root, private, until, world

# CHOWN, DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER, FSETID, SYS_PTRACE, SYS_RESOURCE, LEASE
FILES = sum(1 << bit for bit in (0, 1, 2, 3, 4, 19, 24, 28))
SYS_ADMIN = 1 << 21


class Plain(Served):
    """Without a mount."""

    name = "plain"
    options = ()
    with_library = True

    def start(self):
        self.serve("--no-mount", *self.options)

    @property
    def before_daemon(self):
        if self.uid == os.geteuid():
            return []
        return ["setpriv", f"--reuid={self.uid}", f"--regid={self.uid}", "--clear-groups"]


class Open(Plain):
    """With all rights."""

    options = ("--harden=off",)


class Required(Plain):
    """Or else not at all."""

    options = ("--harden=require",)


def rights(pid):
    with open(f"/proc/{pid}/status") as file:
        lines = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    return (int(lines["NoNewPrivs"]), int(lines["Seccomp"]), int(lines["CapPrm"], 16),
            int(lines["CapEff"], 16))


def check_hardened(w, may):
    status = w.daemon.status()
    no_new, seccomp, permitted, effective = rights(status.pid)
    own = rights(os.getpid())[2] if w.uid == os.geteuid() else 0
    assert (no_new, seccomp) == (1, 2), (no_new, seccomp)
    assert permitted == effective == own & may, f"{permitted:x}, not {own & may:x}"
    assert rights(status.keeper)[:2] == (0, 0), "the keeper has to start others"


def gives_up(kind, uid, may):
    with world(kind, uid) as w:
        check_hardened(w, may)
        for number in signal.SIGKILL, signal.SIGHUP:
            before = w.daemon.status()
            os.kill(before.pid if number == signal.SIGKILL else before.keeper, number)
            until(lambda: w.daemon.status().pid != before.pid, "another serves")
            check_hardened(w, may)


def keeps_all():
    with world(Open) as w:
        status = w.daemon.status()
        assert rights(status.pid) == rights(status.keeper)


def main():
    private()
    tap = Tap()
    for uid in [0, NOBODY] if is_root() else [os.geteuid()]:
        who = "root" if uid == 0 else "user"
        tap.run(f"{who}: gives up what it does not need", gives_up, Plain, uid, FILES)
        tap.run(f"{who}: as required", gives_up, Required, uid, FILES)
    if is_root() and os.path.exists("/dev/fuse"):
        tap.run("with passthrough", gives_up, Mount, 0, FILES | SYS_ADMIN)
    tap.run("--harden=off", keeps_all)
    return tap.end()


sys.exit(main())
