#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who made a segment, who holds it, and what becomes of orphans: TAP on standard output.

Aim: `shmemu ls` tells maker, holders and orphans; --reap takes orphans away and nothing else; --guard
keeps Python's resource tracker from unlinking what others use; `shmemu upgrade` replaces the program,
and refuses one that does not fit. All as root and as an ordinary user, in a process namespace of its own.
Run it with SHMEMU_PREFIX set to an installed tree that every user can read.
"""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import time

sys.dont_write_bytecode = True
from client_tap import Tap
from client_world import (NOBODY, PATIENCE, PYTHON, SHMEMU, SHMFS, Served, is_root, private,
                          until, variant, world)

MAKE = """
import _posixshmem, os, sys, mmap
for name in sys.argv[2:]:
    fd = _posixshmem.shm_open("/" + name, os.O_RDWR | os.O_CREAT, mode=0o600)
    os.ftruncate(fd, 4096)
    if sys.argv[1] == "map":
        mmap.mmap(fd, 4096)[0] = 1
        held = mmap.mmap(fd, 4096)
    if sys.argv[1] in ("map", "end"):
        os.close(fd)
print("made", flush=True)
if sys.argv[1] != "end":
    sys.stdin.read()
"""


READ = """
import _posixshmem, os, sys
fd = _posixshmem.shm_open("/read", os.O_RDONLY, mode=0)
print("read", flush=True)
sys.stdin.read()
"""


class Plain(Served):
    """A daemon without a mount, and programs with the library."""

    name = "plain"
    with_library = True
    options = ()

    def start(self):
        self.serve("--no-mount", *self.options)

    def before_program(self):
        if self.uid == os.geteuid():
            return []
        return ["setpriv", f"--reuid={self.uid}", f"--regid={self.uid}", "--clear-groups"]

    @property
    def before_daemon(self):
        return self.before_program()

    def enter(self):
        return self.before_program()

    def ls(self, *options):
        done = self.run(SHMEMU, "ls", "--json", *options, preload=False)
        assert done.status == 0, done
        return {one["name"]: one for one in json.loads(done.out)["segments"]} if done.out else {}

    def states(self):
        return {name: one["state"] for name, one in self.ls().items()}


def with_options(*options):
    return type("Plain", (Plain,), {"options": options})


@contextlib.contextmanager
def maker(w, how, *names):
    """A process that makes these, and holds them until the end."""
    process = w.popen(PYTHON, "-c", MAKE, how, *names, stdin=subprocess.PIPE)
    try:
        assert process.stdout.readline() == "made\n", process.stderr.read()
        yield process
    finally:
        process.kill()
        process.communicate()


def tells_makers_and_holders(uid, *options):
    with world(with_options(*options), uid) as w:
        with maker(w, "hold", "open"), maker(w, "map", "mapped"):
            w.run(PYTHON, "-c", MAKE, "end", "left")
            made = w.ls()
            states = {name: one["state"] for name, one in made.items()}
            assert states == {"/open": "held", "/mapped": "held", "/left": "orphan"}, states
            for name in "/open", "/mapped":
                one = made[name]
                assert str(one["maker"]) == one["holders"], one
                assert one["command"].startswith(f"{PYTHON} -c"), one
                assert (one["size"], one["mode"], one["kind"]) == (4096, "0600", "segment"), one
            assert set(w.ls("--orphans")) == {"/left"}
        assert set(w.states().values()) == {"orphan"}, w.states()


def tells_holders_of_memfds(uid):
    tells_makers_and_holders(uid, "--source=memfd")


def tells_readers(uid, source):
    """Of what nobody has open for writing."""
    with world(with_options("--source=" + source), uid) as w:
        w.run(PYTHON, "-c", MAKE, "end", "read")
        with w.popen(PYTHON, "-c", READ, stdin=subprocess.PIPE) as reader:
            assert reader.stdout.readline() == "read\n"
            assert w.states() == {"/read": "held"}, w.states()
            reader.communicate()
        assert w.states() == {"/read": "orphan"}, w.states()


def tells_readers_of_memfds(uid):
    tells_readers(uid, "memfd")


def tells_readers_of_files(uid):
    tells_readers(uid, "auto")


def reaps_orphans(uid, *options):
    with world(with_options("--reap=orphans", *options), uid) as w:
        with maker(w, "hold", "open"), maker(w, "map", "mapped"):
            w.run(PYTHON, "-c", MAKE, "end", "left")
            until(lambda: "left" not in w.files(), "the orphan goes")
            assert set(w.files()) == {"open", "mapped"}, w.files()
        until(lambda: not w.files(), "all go")


def reaps_orphans_among_memfds(uid):
    reaps_orphans(uid, "--source=memfd")


def never_reaps_by_default(uid):
    with world(Plain, uid) as w:
        w.run(PYTHON, "-c", MAKE, "end", "left")
        time.sleep(3)
        assert set(w.files()) == {"left"}


def reaps_after_a_time(uid):
    """A kill of the worker does not make an orphan younger."""
    with world(with_options("--reap=ttl:6"), uid) as w:
        begun = time.monotonic()
        w.run(PYTHON, "-c", MAKE, "end", "left")
        time.sleep(4)
        assert set(w.files()) == {"left"}
        os.kill(w.daemon.status().pid, 9)
        until(lambda: not w.files(), "the orphan goes")
        took = time.monotonic() - begun
        assert 5 <= took < 9.9, f"after {took:.1f} s"


TRACKED = """
import sys, time
from multiprocessing import shared_memory, resource_tracker
memory = shared_memory.SharedMemory("tracked")
print("attached", flush=True)
sys.stdin.read()
import os
os.kill(os.getpid(), 9)
"""


def guards(uid, guarded):
    """Known as Python's issue 82300: the tracker of who merely attached unlinks it."""
    with world(with_options(*["--guard"] * guarded), uid) as w:
        with maker(w, "hold", "tracked"):
            done = w.run(PYTHON, "-c", TRACKED, input="")
            assert "attached" in done.out, done
            if not guarded:
                until(lambda: not w.files(), "the tracker takes it away")
                return
            time.sleep(1)
            assert set(w.files()) == {"tracked"}, w.files()
        # What nobody uses is its own to clear up; and everybody else may unlink what is in use.
        with maker(w, "hold", "tracked"):
            w.run(PYTHON, "-c", "import _posixshmem; _posixshmem.shm_unlink('/tracked')")
            assert not w.files()


def guarded(uid):
    guards(uid, True)


def unguarded(uid):
    guards(uid, False)


def upgrade_of(w, program):
    """Puts another program in the place of the daemon's."""
    os.rename(program, w.program)
    return w.run(SHMEMU, "upgrade", preload=False)


class Copied(Plain):
    """The daemon is a copy of its own, to be replaced."""

    copied = True

    def end(self):
        self.process.terminate()
        self.process.wait(PATIENCE)
        self.errors.close()


def upgrades(uid):
    with world(Copied, uid) as w:
        with maker(w, "map", "kept"):
            before = w.daemon.status()
            done = upgrade_of(w, shutil.copy(SHMFS, w.program + ".new"))
            assert done.status == 0 and str(before.pid) in done.out, done
            after = w.daemon.status()
            assert after.pid != before.pid and after.keeper == before.keeper
            with open(f"/proc/{after.pid}/exe", "rb") as a, open(w.program, "rb") as b:
                assert os.fstat(a.fileno()).st_ino == os.fstat(b.fileno()).st_ino
            assert w.ls()["/kept"]["state"] == "held"


def refuses(name, words):
    def case(uid):
        with world(Copied, uid) as w:
            with maker(w, "map", "kept"):
                before = w.daemon.status()
                done = upgrade_of(w, shutil.copy(variant(name), w.program + ".new"))
                assert done.status == 125, done
                assert w.daemon.status().pid == before.pid
                assert w.ls()["/kept"]["state"] == "held"
            said = w.said().splitlines()
            assert said and re.search(words, said[0]), said
    return case


def refuses_no_program(uid):
    with world(Copied, uid) as w:
        before = w.daemon.status()
        with open(w.program + ".new", "w") as file:
            file.write("#!/bin/false\n")
        os.chmod(file.name, 0o755)
        done = upgrade_of(w, file.name)
        assert done.status == 125, done
        assert w.daemon.status().pid == before.pid
        assert "cannot upgrade" in w.said(), w.said()


CASES = [
    tells_makers_and_holders, tells_holders_of_memfds, tells_readers_of_files, tells_readers_of_memfds,
    never_reaps_by_default, reaps_orphans, reaps_orphans_among_memfds, reaps_after_a_time, guarded,
    unguarded, upgrades, refuses_no_program,
]
REFUSED = [
    ("a keeper's words", "other-keep", r"speaks version \d+ to \d+ with its keeper"),
    ("a journal", "other-journal", r"reads journals of version \d+ to \d+"),
]


def main():
    # In a process namespace of their own all makers are the daemon's to see, whoever is process 1.
    if os.getpid() != 1:
        os.execvp("unshare", ["unshare", *([] if is_root() else ["--user", "--map-current-user"]),
                              "--pid", "--fork", "--mount-proc", "--kill-child", sys.executable,
                              *sys.argv])
    private()
    tap = Tap()
    cases = []
    for uid in [0, NOBODY] if is_root() else [os.geteuid()]:
        who = "root" if uid == 0 else "user"
        cases += [(f"{who}: {case.__name__.replace('_', ' ')}", case, uid) for case in CASES]
        cases += [(f"{who}: refuses to upgrade to a program of another version of {what}",
                   refuses(name, words), uid) for what, name, words in REFUSED]
    # Mostly they wait; each has a daemon of its own.
    tap.run_beside(len(cases), [[case] for case in cases])
    return tap.end()


sys.exit(main())
