#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Names that are opened again without asking the daemon: TAP on standard output.

Aim: who opens a name for the third time and later, and looks at it, puts no request, also after the
worker has been killed or replaced, in a child, and after it has closed all that is open; whoever may
not open files so asks each time; and nobody gets what the daemon would have refused him. That nobody
finds what a name led to before is what tests/probes/known.c is about.
As root and as an ordinary user. Run it with SHMEMU_PREFIX set to an installed tree that every user can read.
"""

import contextlib
import os
import subprocess
import sys

sys.dont_write_bytecode = True
from client_tap import Skip, Tap
from client_world import NOBODY, PYTHON, SHMEMU, Served, is_root, private, until, world

OPENER = """
import errno, os, sys
FOLDER = "/dev/shm/"

def make(name, mode=0o600):
    os.close(os.open(FOLDER + name, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode))
    os.chmod(FOLDER + name, mode)

def opens(name, times, flags=os.O_RDWR):
    for _ in range(times):
        os.close(os.open(FOLDER + name, flags))
        assert os.stat(FOLDER + name).st_size == 0

def forked(name, times):
    pid = os.fork()
    if pid == 0:
        opens(name, times)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0

def close_all():
    os.closerange(3, 4096)

def occupy_all():
    taken = [int(fd) for fd in os.listdir("/proc/self/fd") if int(fd) > 2]
    folder = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
    for fd in taken:
        os.dup2(folder, fd)

print("here", flush=True)
for line in sys.stdin:
    try:
        exec(line)
        print("ok", flush=True)
    except OSError as error:
        print(errno.errorcode[error.errno], flush=True)
"""


class Alone(Served):
    """A daemon without a mount, and programs with the library."""

    name = "served"
    with_library = True

    def start(self):
        self.serve("--no-mount", *self.options)

    @property
    def before_daemon(self):
        return self.enter()

    def enter(self):
        if self.uid == os.geteuid():
            return []
        return ["setpriv", f"--reuid={self.uid}", f"--regid={self.uid}", "--clear-groups"]


class ByDescriptor(Alone):
    options = ("--source=memfd",)


class WithShares(Alone):
    options = ("--user-size=1M",)


class Opener:
    """A process that does what it is told."""

    def __init__(self, w, *before):
        self.w = w
        self.process = w.popen(*before, PYTHON, "-c", OPENER, stdin=subprocess.PIPE,
                               env={"SHMEMU_LOG": None})
        assert self.process.stdout.readline() == "here\n", self.process.stderr.read()

    def tell(self, what):
        self.process.stdin.write(what + "\n")
        self.process.stdin.flush()
        said = self.process.stdout.readline().strip()
        assert said, self.process.stderr.read()
        return said

    def do(self, *all_of_it):
        for what in all_of_it:
            said = self.tell(what)
            assert said == "ok", f"{what}: {said}"

    def costs(self, what):
        """How many requests it takes."""
        before = self.w.requests()
        self.do(what)
        return self.w.requests() - before

    def fds(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))


@contextlib.contextmanager
def opener(w, *before):
    one = Opener(w, *before)
    try:
        yield one
    finally:
        one.process.kill()
        one.process.communicate()


@contextlib.contextmanager
def knowing(kind, uid):
    """A process that knows a name, and its world."""
    with world(kind, uid) as w, opener(w) as one:
        one.do("make('x')", "opens('x', 3)")
        if one.costs("opens('x', 100)"):
            raise Skip("this host has not what it takes")
        yield w, one
        one.do("os.unlink(FOLDER + 'x')")


def asks_no_more(kind, uid):
    with knowing(kind, uid) as (_, one):
        fds = one.fds()
        assert one.costs("opens('x', 1000)") == 0
        assert one.costs("opens('x', 100, os.O_RDONLY | os.O_CREAT)") == 0
        assert one.costs("forked('x', 100)") == 0
        assert one.costs("opens('x', 10, os.O_RDWR | os.O_TRUNC)") == 10
        one.do(*[f"make('y{i}'); opens('y{i}', 3)" for i in range(100)])
        assert one.costs("opens('y99', 10)") == 0
        assert one.fds() == fds
        one.do(*[f"os.unlink(FOLDER + 'y{i}')" for i in range(100)])
        assert one.tell("opens('y99', 1)") == "ENOENT"


def kill_worker(w):
    worker = w.daemon.status().pid
    os.kill(worker, 9)
    until(lambda: w.daemon.status().pid != worker, "another worker")


def knows_after_a_kill(kind, uid):
    with knowing(kind, uid) as (w, one):
        fds = one.fds()
        for _ in range(10):
            kill_worker(w)
            assert one.costs("opens('x', 3)") > 0
            assert one.costs("opens('x', 100)") == 0
        assert one.fds() == fds


def sees_what_the_next_worker_does(kind, uid):
    """What it was told by the one that was killed is void."""
    with knowing(kind, uid) as (w, one), opener(w) as other:
        for _ in range(5):
            kill_worker(w)
            other.do("os.rename(FOLDER + 'x', FOLDER + 'y')")
            assert one.tell("opens('x', 1)") == "ENOENT"
            other.do("os.rename(FOLDER + 'y', FOLDER + 'x')")
            one.do("opens('x', 4)")
            assert one.costs("opens('x', 10)") == 0


def knows_after_an_upgrade(kind, uid):
    with knowing(kind, uid) as (w, one):
        done = w.run(SHMEMU, "upgrade", preload=False)
        assert done.status == 0, done
        one.do("opens('x', 3)")
        assert one.costs("opens('x', 100)") == 0


def has_closed_all(kind, uid):
    with knowing(kind, uid) as (_, one):
        for how in "close_all()", "occupy_all()":
            one.do(how, "opens('x', 4)")
            assert one.costs("opens('x', 100)") == 0


def minds_the_folder(kind, uid):
    """Whose mode others change, by the kernel."""
    with knowing(kind, uid) as (w, one), opener(w) as other:
        other.do("folder = os.open(FOLDER, os.O_RDONLY | os.O_DIRECTORY)", "os.fchmod(folder, 0)")
        assert one.tell("opens('x', 1)") == ("ok" if uid == 0 else "EACCES")
        other.do("os.fchmod(folder, 0o1777)")
        one.do("opens('x', 1)")


def minds_limits(uid):
    with knowing(Alone, uid) as (w, one):
        done = w.run(SHMEMU, "limit", "--size=64M", preload=False)
        if done.status:
            raise Skip(done.err)
        assert one.costs("opens('x', 1)") > 0
        one.do("file = os.open(FOLDER + 'x', os.O_RDWR)")
        assert one.tell("os.ftruncate(file, 1 << 27)") == "ENOSPC"


def minds_who_opens():
    with knowing(Alone, 0) as (_, one):
        one.do("make('open', 0o666)", "opens('open', 4)", f"os.seteuid({NOBODY})")
        assert one.tell("opens('x', 1)") == "EACCES"
        assert one.costs("opens('open', 10)") >= 20
        one.do("os.seteuid(0)", "opens('x', 1)", "os.unlink(FOLDER + 'open')")


def others_ask(*before):
    with knowing(Alone, 0) as (w, one):
        one.do("make('open', 0o666)")
        with opener(w, *before) as other:
            other.do("opens('open', 4, os.O_RDONLY)")
            assert other.costs("opens('open', 100, os.O_RDONLY)") == 200
        one.do("os.unlink(FOLDER + 'open')")


def shares_ask():
    """Files in a user's own tmpfs are not where the others are."""
    with world(WithShares, 0) as w, opener(w) as one:
        with opener(w, "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups") as other:
            other.do("make('theirs', 0o666)")
        one.do("opens('theirs', 4)")
        assert one.costs("opens('theirs', 10)") == 20
        one.do("os.unlink(FOLDER + 'theirs')")


def main():
    private()
    tap = Tap()
    for uid in [0, NOBODY] if is_root() else [os.geteuid()]:
        who = "root" if uid == 0 else "a user"
        for kind, source in (Alone, "tmpfs"), (ByDescriptor, "memfd"):
            for case in (asks_no_more, knows_after_a_kill, sees_what_the_next_worker_does,
                         knows_after_an_upgrade, has_closed_all, minds_the_folder):
                tap.run(f"{who}, {source}: {case.__name__}", case, kind, uid)
        tap.run(f"{who}: minds_limits", minds_limits, uid)
    if is_root():
        tap.run("root: minds_who_opens", minds_who_opens)
        tap.run("another user asks", others_ask, "setpriv", f"--reuid={NOBODY}",
                f"--regid={NOBODY}", "--clear-groups")
        tap.run("root without its rights asks", others_ask, "setpriv",
                "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all")
        tap.run("root: shares_ask", shares_ask)
    sys.exit(tap.end())


if __name__ == "__main__":
    main()
