# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the kernel keeps of names and attributes at the mount, and for how long: fuse/fs_told.c.

Whether it keeps something shows while the worker is stopped: what it asks for nobody answers then.
"""

import contextlib
import mmap
import os
import signal
import stat
import time

from mount_world import errno_of, world
from tree_checks import token_of
from wire_paths import Door

QUIET = 10
ATTEMPTS = 50


@contextlib.contextmanager
def stopped(w):
    worker = w.pids()[1]
    os.kill(worker, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(worker, signal.SIGCONT)


def is_looked_at(path, seconds):
    """Does stat(2) of it, in another process, come to an end while nobody answers?"""
    done, told = os.pipe()
    os.set_blocking(done, False)
    pid = os.fork()
    if pid == 0:
        os.stat(path)
        os.write(told, b"x")
        os._exit(0)
    time.sleep(seconds)
    with contextlib.suppress(BlockingIOError):
        return pid, os.read(done, 1) == b"x"
    return pid, False


def is_kept(w, path):
    """At once, after it was looked at."""
    os.stat(path)
    with stopped(w):
        pid, kept = is_looked_at(path, 0.03)
    os.waitpid(pid, 0)
    return kept


def assert_kept(w, path):
    """It is kept for a moment only: on a busy machine that may be over before one gets there."""
    assert any(is_kept(w, path) for _ in range(ATTEMPTS))


def assert_not_kept(w, path):
    assert not any(is_kept(w, path) for _ in range(5))


def check_other_door(w, door):
    """What it does is seen at once, although it is the first thing that it does."""
    door.remove("gone")
    assert errno_of(os.stat, w.path("gone")) != 0
    door.make("gone")
    os.stat(w.path("gone"))
    ino = os.stat(w.path("moved")).st_ino
    door.rename("moved", "replaced")
    assert os.stat(w.path("replaced")).st_ino == ino
    assert errno_of(os.stat, w.path("moved")) != 0
    door.rename("folder", "other")
    assert os.listdir(w.path("other")) == ["file"]
    assert errno_of(os.stat, w.path("folder/file")) != 0


def check_descriptor(path, fd):
    """Whoever has got one by the other door may change the file whenever he likes."""
    for turn in range(20):
        os.stat(path)
        os.fchmod(fd, 0o600 + turn)
        os.ftruncate(fd, turn * 4096)
        status = os.stat(path)
        assert (stat.S_IMODE(status.st_mode), status.st_size) == (0o600 + turn, turn * 4096)


def check_mapped(path):
    """What a file takes up is told however it has come by it."""
    with open(path, "r+b") as file:
        file.truncate(1 << 20)
        with mmap.mmap(file.fileno(), 1 << 20) as memory:
            for page in range(0, 1 << 20, 4096):
                before = os.stat(path).st_blocks
                memory[page] = 1
                after = os.stat(path).st_blocks
                assert after > before or after == 2048, page


def kept(how):
    with world(how) as w:
        os.mkdir(w.path("folder"))
        for name in ("gone", "moved", "replaced", "folder/file"):
            assert_kept(w, w.make(name))
        if how == "require":
            check_mapped(w.make("mapped"))
        for name in ("gone", "moved", "replaced", "folder/file"):
            os.stat(w.path(name))
        door = Door(w.run)
        check_other_door(w, door)
        assert_not_kept(w, w.make("uncached"))
        with open(w.make("shared"), "r+b") as file:
            fd = door.trade(token_of(file.fileno()))
        check_descriptor(w.path("shared"), fd)
        door.close()
        assert_not_kept(w, w.path("uncached"))
        time.sleep(QUIET + 0.5)
        assert_kept(w, w.make("new"))
        check_descriptor(w.path("shared"), fd)
        door = Door(w.run)
        door.remove("new")
        assert errno_of(os.stat, w.path("new")) != 0
        door.close()
        os.close(fd)


def kept_over_kills(how):
    """A worker that has been told nothing of what the one before it has said waits as long."""
    with world(how) as w:
        for turn in range(5):
            path = w.make(f"{turn}")
            os.kill(w.pids()[1], signal.SIGKILL)
            os.stat(path)
            door = Door(w.run)
            door.remove(f"{turn}")
            assert errno_of(os.stat, path) != 0, turn
            door.close()
