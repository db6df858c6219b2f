#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A daemon on a host that maps nothing shared: TAP on standard output.

Aim: under each deprivation that `shmemu without` knows of memory and sizes, and under all of them, a
daemon serves, whether the library starts it there, `shmemu run` does there, or it was started
outside; names survive that its worker is killed; a limit holds; and what can't be is refused in one
line. Method: a client makes, fills, sizes, lists and removes segments by
their descriptors, so that what is tried is the daemon; the worker's maps tell whether it had to do
without. How often it is killed: SHMEMU_TEST_KILLS, else 50 times; a thousand with SHMEMU_TEST_LONG.
Run it with SHMEMU_PREFIX set to an installed tree that every user can read.
"""

import os
import signal
import sys
import time

sys.dont_write_bytecode = True
from client_tap import Tap
from client_wire import Daemon
from client_world import NOBODY, PYTHON, SHMEMU, SHMFS, World, is_root, library, until

KILLS = int(os.environ.get("SHMEMU_TEST_KILLS",
                           1000 if os.environ.get("SHMEMU_TEST_LONG") else 50))
HOST = ["dev-shm", "fuse"]
# What a daemon does without, in one way or another.
CALLS = ["mmap-shared", "mmap-file", "mmap-shared-anonymous", "msync", "mremap", "madvise",
         "mprotect", "munmap", "ftruncate", "fallocate", "memfd_create"]
# Then memory comes from memfds, and the keeper holds one of each segment.
MEMFDS = [call for call in CALLS if call != "memfd_create"] + ["fsopen", "namespaces"]
ERRNOS = ["mmap-shared=EPERM", "mmap-file=EACCES", "mremap=EPERM", "madvise=EPERM",
          "ftruncate=EPERM", "fallocate=EOPNOTSUPP", "memfd_create=EPERM"]

# More names than the journal has room for at first; each line of standard input is one more look.
CLIENT = """
import _posixshmem, os, sys

COUNT = 700

def fill(number):
    fd = _posixshmem.shm_open(f"/bare-{number}", os.O_RDWR | os.O_CREAT | os.O_EXCL, mode=0o600)
    assert os.pwrite(fd, b"%d" % number, 4096) == len(b"%d" % number)
    os.close(fd)

def check(number):
    fd = _posixshmem.shm_open(f"/bare-{number}", os.O_RDWR)
    assert os.pread(fd, 100, 4096) == b"%d" % number
    os.close(fd)

def look(turn):
    for number in range(turn % 7, COUNT, 7):
        check(number)
    fill(COUNT)
    check(COUNT)
    os.rename(f"/dev/shm/bare-{COUNT}", "/dev/shm/moved")
    os.truncate("/dev/shm/moved", 8192)
    assert os.stat("/dev/shm/moved").st_size == 8192
    os.unlink("/dev/shm/moved")
    assert sorted(os.listdir("/dev/shm")) == sorted(f"bare-{number}" for number in range(COUNT))

for number in range(COUNT):
    fill(number)
for turn, line in enumerate([""] + [None] * 10**6):
    if line is None and not sys.stdin.readline():
        break
    look(turn)
    print("ok", flush=True)
for number in range(COUNT):
    _posixshmem.shm_unlink(f"/bare-{number}")
"""


# By the daemon: what a file grows by has its pages at once.
LIMITED = """
import errno, os

def size_of(size):
    try:
        os.truncate("/dev/shm/limited", size << 20)
    except OSError as error:
        assert error.errno == errno.ENOSPC, error
        return "full"
    status = os.stat("/dev/shm/limited")
    assert status.st_size == size << 20, status.st_size
    return "ok" if status.st_blocks * 512 >= size << 20 else "hollow"

os.close(os.open("/dev/shm/limited", os.O_RDWR | os.O_CREAT))
print(*map(size_of, (8, 64, 12, 0, 13)))
"""

SERVED = """
"$1" --no-mount --size=16m --dir="$2"
SHMEMU_DIR=$2 LD_PRELOAD=$3 "$4" "$5"
kill "$(cat "$2/shmfs.lock")"
"""


class Bare(World):
    """Nobody serves it yet."""

    name = "bare"

    def files(self):
        return {}

    def environment(self):
        return {**super().environment(), "SHMEMU_LOG": "error"}

    def words(self, whats):
        user = ["root"] if is_root() and self.uid != 0 else []
        return [SHMEMU, "without", *user, *HOST, *whats, "--"]

    def begin(self, *words):
        """Starts the client, and returns it when it has done all once."""
        process = self.popen(*words, PYTHON, self.install("client.py", CLIENT), enter=False,
                             stdin=-1)
        answer = process.stdout.readline()
        assert answer == "ok\n", (answer, process.stderr.read())
        return process

    def alone(self, whats):
        return self.begin(*self.words(whats), "env", "LD_PRELOAD=" + library())

    def inside(self, whats):
        return self.begin(*self.words(whats), SHMEMU, "run", "--")

    def outside(self, whats):
        return self.begin(SHMEMU, "run", "--", *self.words(whats))

    def daemon(self):
        """The one that the library has started."""
        return Daemon(os.path.join(self.home, f"shmemu-{self.uid}"))


def again(process):
    process.stdin.write("\n")
    process.stdin.flush()
    answer = process.stdout.readline()
    assert answer == "ok\n", (answer, process.stderr.read())


def end(process):
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0 and not err, (process.returncode, out, err)


def shared(pid):
    """What a process has mapped that others can see."""
    with open(f"/proc/{pid}/maps") as maps:
        return [line for line in maps if line.split()[1][3] == "s"]


def in_world(uid, function, *arguments):
    world = Bare(uid)
    try:
        return function(world, *arguments)
    finally:
        world.remove()


def serves(world, whats):
    process = world.alone(whats)
    daemon = world.daemon()
    maps = shared(daemon.status().pid)
    daemon.close()
    unmapped = any(what.startswith(("mmap-shared", "mmap-file")) and "anonymous" not in what
                   for what in whats)
    assert bool(maps) != unmapped, maps
    end(process)


def survives(world, whats):
    process = world.alone(whats)
    daemon = world.daemon()
    took = []
    for _ in range(KILLS):
        before = daemon.status().pid
        begun = time.monotonic()
        os.kill(before, signal.SIGKILL)
        until(lambda: daemon.status().pid != before, "another worker")
        took.append(time.monotonic() - begun)
        again(process)
    assert len(daemon.list()) == 700
    daemon.close()
    end(process)
    return f"{KILLS} times; the next one answers after {1000 * sorted(took)[len(took) // 2]:.1f} ms"


def started(world, where, whats):
    process = getattr(world, where)(whats)
    again(process)
    end(process)


def limited(world, whats):
    done = world.run(*world.words(whats), "sh", "-c", SERVED, "sh", SHMFS,
                     os.path.join(world.home, "run"), library(), PYTHON,
                     world.install("limited.py", LIMITED), enter=False)
    assert (done.status, done.out, done.err) == (0, "ok full ok ok ok\n", ""), done


def refuses(world, whats, words, expected):
    """It says why in one line, and that is all."""
    folder = world.folder("served", 0o777)
    world.folder("home/mnt", 0o755)
    done = world.run(SHMEMU, "without", *whats, "--", SHMFS, f"--dir={folder}/run", *words,
                     enter=False)
    assert done.status != 0 and done.out == "", done
    assert done.err.count("\n") == 1 and expected in done.err, done


def cases(tap, uid, who):
    for what in CALLS + ERRNOS:
        tap.run(f"{who}: without {what}", in_world, uid, serves, [what])
    tap.run(f"{who}: without any of them", in_world, uid, serves, CALLS)
    for where in "inside", "outside":
        tap.run(f"{who}: shmemu run {where}", in_world, uid, started, where, CALLS)
    tap.run(f"{who}: killed", in_world, uid, survives, CALLS)
    tap.run(f"{who}: without any of them, with memfds", in_world, uid, serves, MEMFDS)
    tap.run(f"{who}: killed, with memfds", in_world, uid, survives, MEMFDS)
    tap.run(f"{who}: with a limit", in_world, uid, limited, CALLS)


def main():
    tap = Tap()
    for uid in [0, NOBODY] if is_root() else [os.geteuid()]:
        cases(tap, uid, "root" if uid == 0 else "user")
    nothing = ["root", "memfd_create", "fsopen", "namespaces"]
    tap.run("no memory is to be had", in_world, None, refuses, nothing, ["--no-mount"],
            "mount no tmpfs, and has no memfd_create: Function not implemented")
    if is_root() and os.path.exists("/dev/fuse"):
        tap.run("no mount without a mapping", in_world, None, refuses, ["mmap-shared"], ["mnt"],
                "this host maps no files shared")
    return tap.end()


sys.exit(main())
