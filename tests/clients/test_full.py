#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A full store says so: TAP on standard output.

Aim: whoever asks a limited store for more than there is, by write, fallocate, posix_fallocate, ftruncate
or as Python's SharedMemory, with the library, at the mount, or one after the other, gets ENOSPC (EDQUOT
for a user's share) and no bus error; what others have is untouched, statvfs tells the truth before and
after, and there is room again after an unlink. Method: fill.py takes all that it can get, of --size=16m
and of --user-size=4m, while another file stands by. Arguments name cases. Needs SHMEMU_PREFIX: scripts/test.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True
from client_tap import Tap
from client_world import (NOBODY, PYTHON, Direct, Lambda, Passthrough, is_root, library, private,
                          world)

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fill.py")
SIZE = 16 << 20
SHARE = 4 << 20  # taken out of that, with the first file
OTHERS = 4 << 20
SLACK = 2 << 20  # what a huge page and the folders may take
WAYS = ["write", "fallocate", "posix_fallocate", "ftruncate", "large"]
PATTERN = os.urandom(4096) * (OTHERS // 4096)


class Limited:
    options = (f"--size={SIZE}",)


class LimitedPassthrough(Limited, Passthrough):
    pass


class LimitedDirect(Limited, Direct):
    pass


class LimitedSocket(Limited, Lambda):
    name = "socket"


class Shares(Passthrough):
    """Root's, and each user has so much."""

    name = "shares"
    options = (f"--size={SIZE}", f"--user-size={SHARE}")


@contextlib.contextmanager
def made(kind):
    with world(kind) as w:
        w.script = shutil.copy(SCRIPT, w.folder("tools", 0o755))
        yield w


class Quiet:
    """A process of a world, with the library or without."""

    def __init__(self, a_world, door, uid=None):
        self.world, self.door, self.uid = a_world, door, uid
        self.top = a_world.store if door == "mount" else "/dev/shm"

    def run(self, *words):
        before = self.world.enter() if self.door == "library" else []
        if self.uid is not None:
            before = [*before, "setpriv", f"--reuid={self.uid}", f"--regid={self.uid}",
                      "--clear-groups"]
        if self.door == "library":
            before = [*before, "env", "LD_PRELOAD=" + library()]
        return subprocess.run([*before, PYTHON, *words], capture_output=True, text=True, timeout=120,
                              env={**self.world.environment(), "SHMEMU_LOG": "error"})

    def do(self, program, *words):
        done = self.run("-c", "import json, os, sys\n" + program, *words)
        assert done.returncode == 0, done
        return json.loads(done.stdout or "null")

    def fill(self, way):
        name = "fill" if way == "shared_memory" else os.path.join(self.top, "fill")
        done = self.run(self.world.script, way, name)
        # CPython's own resource tracker complains of segments that could not be made.
        assert done.returncode == 0 and (way == "shared_memory" or not done.stderr), \
            f"{way}: status {done.returncode} {done.stdout} {done.stderr}"
        return json.loads(done.stdout)

    def room(self):
        """Of statvfs: all there is, and what is to be had."""
        return self.do("s = os.statvfs(sys.argv[1]); "
                       "print(json.dumps([s.f_blocks * s.f_frsize, s.f_bavail * s.f_frsize]))",
                       self.top)

    def make_others(self):
        self.do("fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)\n"
                "text = bytes.fromhex(sys.argv[2])\n"
                "for i in range(int(sys.argv[3])): os.write(fd, text)\n",
                os.path.join(self.top, "others"), PATTERN[:4096].hex(), str(OTHERS // 4096))

    def check_others(self):
        whole = self.do("text = bytes.fromhex(sys.argv[2]) * int(sys.argv[3])\n"
                        "print(json.dumps(open(sys.argv[1], 'rb').read() == text))",
                        os.path.join(self.top, "others"), PATTERN[:4096].hex(),
                        str(OTHERS // 4096))
        assert whole, f"what others had is not what it was, by the {self.door}"

    def remove(self, prefix):
        self.do("for name in os.listdir(sys.argv[1]):\n"
                " if name.startswith(sys.argv[2]): os.unlink(os.path.join(sys.argv[1], name))",
                self.top, prefix)


def check_fill(filler, way, limit, reasons):
    """Fills what is left and looks whether that was all of it."""
    before = filler.room()[1]
    reason, size, whole = filler.fill(way)
    after = filler.room()[1]
    assert reason in reasons and whole, (reason, size, whole)
    if way == "large":
        assert size == 4096, f"{size} bytes are left of what was refused"
    else:
        assert limit - OTHERS - SLACK <= size <= limit, f"{size} bytes were had, {before} before"
        assert after <= SLACK, f"{after} bytes are said to be left"
    return size


def filled(kind, door, other, way):
    """`door` fills and `other` looks on."""
    with made(kind) as w:
        filler, watcher = Quiet(w, door), Quiet(w, other)
        total, available = watcher.room()
        assert total == SIZE and SIZE - SLACK <= available <= SIZE, (total, available)
        watcher.make_others()
        size = check_fill(filler, way, SIZE, ["ENOSPC"])
        watcher.check_others()
        filler.check_others()
        watcher.remove("fill")
        again = watcher.room()[1]
        assert SIZE - OTHERS - SLACK <= again <= SIZE - OTHERS, f"{again} bytes after the unlink"
        check_fill(watcher, "write", SIZE, ["ENOSPC"])
        watcher.remove("")
        assert watcher.room()[1] >= SIZE - SLACK, watcher.room()
        return f"{size} bytes"


def shared(door, way):
    """A user's share is full, and the others' is not."""
    with made(Shares) as w:
        root, user = Quiet(w, "library"), Quiet(w, door, NOBODY)
        root.make_others()
        total, available = user.room()
        assert total <= SHARE and available <= SHARE, (total, available)
        # The kernel itself refuses a write, in its own word.
        reasons = ["EDQUOT", "ENOSPC"] if way == "write" else ["EDQUOT"]
        reason, size, whole = user.fill(way)
        assert reason in reasons and whole, (reason, size, whole)
        if way != "large":
            assert available - SLACK <= size <= SHARE, size
            assert user.room()[1] <= SLACK, user.room()
        root.check_others()
        other = Quiet(w, door, 4711)
        reason, size, whole = Quiet(w, "library").fill("shared_memory")
        assert size >= SIZE - OTHERS - SHARE - SLACK and whole, (reason, size)
        root.remove("fill")
        assert other.room()[1] >= SHARE - SLACK, other.room()
        return f"{size} bytes"


def cases():
    mounted = is_root() and os.path.exists("/dev/fuse")
    kinds = [LimitedPassthrough, LimitedDirect] if mounted else []
    for kind in kinds:
        for door, other in (("library", "mount"), ("mount", "library")):
            for way in WAYS + (["shared_memory"] if door == "library" else []):
                yield f"{kind.name}: {way} by the {door}", filled, kind, door, other, way
    for way in WAYS + ["shared_memory"]:
        yield f"socket: {way}", filled, LimitedSocket, "library", "library", way
    if mounted:
        for door in ("library", "mount"):
            for way in WAYS:
                yield f"a share: {way} by the {door}", shared, door, way


def main():
    private()
    tap = Tap()
    for name, function, *arguments in cases():
        if not sys.argv[1:] or name in sys.argv[1:]:
            tap.run(name, function, *arguments)
    return tap.end()


sys.exit(main())
