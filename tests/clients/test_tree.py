#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The mount against a tmpfs: TAP on standard output.

Aim: whatever is done to names, files, folders, links and attributes, by whomever, comes out on the
mount as it does on a tmpfs. Method: the same operations, made at random, are done in both, by root
and two users, and all results compared; every few operations all that is there is compared as well.
Then the times that each operation sets, and the same operations while the worker is killed.
SHMEMU_TEST_SEED=N begins elsewhere, SHMEMU_TEST_STEPS=N says how many operations,
SHMEMU_TEST_LONG=1 takes two hundred thousand. Run it as root with SHMEMU_PREFIX set.
"""

import contextlib
import os
import random
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time

sys.dont_write_bytecode = True
from client_tap import Tap
from mount_world import private_root, world
from tree_side import AT_SYMLINK_FOLLOW, USERS, Remote

STEPS = int(os.environ.get("SHMEMU_TEST_STEPS",
                           200000 if os.environ.get("SHMEMU_TEST_LONG") else 4000))
SEED = int(os.environ.get("SHMEMU_TEST_SEED", random.randrange(10 ** 6)))
BATCH = 20
NAMES = ["a", "b", "c", "d", "e"]
SLOTS = range(5)
PAGE = 4096
ACCESS = [os.O_RDONLY, os.O_WRONLY, os.O_RDWR]
FLAGS = [os.O_CREAT, os.O_EXCL, os.O_TRUNC, os.O_APPEND, os.O_DIRECTORY, os.O_NOFOLLOW]
XATTRS = ["user.one", "user.two", "trusted.one", "security.one", "system.one", "other"]


class Choose:
    """Operations at random."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def one(self, things):
        return self.random.choice(things)

    def chance(self, probability):
        return self.random.random() < probability

    def path(self):
        parts = [self.one(NAMES) for _ in range(self.one((1, 1, 1, 2, 2, 3)))]
        if self.chance(0.05):
            parts.insert(self.random.randrange(len(parts) + 1), self.one((".", "..")))
        if self.chance(0.01):
            parts[-1] = "n" * self.one((255, 256))
        path = "/".join(parts)
        if self.chance(0.05):
            path += "/"
        return "/" + path if self.chance(0.7) else path

    def slot(self):
        return self.one(SLOTS)

    def mode(self):
        usual = self.one((0o777, 0o755, 0o700, 0o644, 0o666, 0o1777, 0o2775, 0o6755, 0o2644))
        return usual if self.chance(0.8) else self.random.randrange(0o10000)

    def flags(self):
        flags = self.one(ACCESS)
        for flag in FLAGS:
            flags |= flag if self.chance(0.6 if flag == os.O_CREAT else 0.15) else 0
        if self.chance(0.05):
            flags |= os.O_TMPFILE
        if self.chance(0.03):
            flags |= os.O_PATH
        return flags

    def size(self):
        return self.one((0, 1, 100, PAGE, PAGE + 1, 3 * PAGE, 70000))

    def data(self):
        return bytes([self.random.randrange(1, 256)]) * self.one((1, 10, PAGE, 10000))

    def owner(self):
        return self.one((-1, *USERS, 65532, 65531))

    def times(self):
        return (self.random.randrange(10 ** 6) * 10 ** 9 + 1,
                self.random.randrange(10 ** 6) * 10 ** 9 + 2)

    def kind(self):
        return self.one((stat.S_IFREG, stat.S_IFIFO, stat.S_IFSOCK, stat.S_IFCHR, stat.S_IFBLK))

    def text(self):
        return self.one((self.path(), "../" + self.path(), ".", "/", "t" * 4095, ""))

    def device(self):
        return os.makedev(self.one((0, 1, 300)), self.one((0, 3, 70000)))

    def rename_flags(self):
        return self.one((0, 0, 0, 0, 1, 2, 2, 4, 3, 5, 8))

    def operation(self):
        c = self
        makers = [
            (12, lambda: ("open", c.slot(), c.path(), c.flags(), c.mode())),
            (4, lambda: ("openat", c.slot(), c.slot(), c.one(NAMES), c.flags(), c.mode())),
            (4, lambda: ("open", c.slot(), c.path(), os.O_RDONLY | os.O_DIRECTORY, 0)),
            (3, lambda: ("close", c.slot())),
            (3, lambda: ("read", c.slot(), 20000, c.size())),
            (5, lambda: ("write", c.slot(), c.data(), c.size())),
            (3, lambda: ("append", c.slot(), c.data())),
            (1, lambda: ("copy", c.slot(), c.slot(), c.size(), c.size(), c.size())),
            (3, lambda: ("fallocate", c.slot(), c.one((0, 1, 3, 2, 8)), c.size(), c.size())),
            (2, lambda: ("seek", c.slot(), c.size(), c.one((0, 2, 3, 4)))),
            (3, lambda: ("fstat", c.slot())),
            (3, lambda: ("ftruncate", c.slot(), c.size())),
            (2, lambda: ("fchmod", c.slot(), c.mode())),
            (2, lambda: ("fchown", c.slot(), c.owner(), c.owner())),
            (1, lambda: ("futime", c.slot(), c.times())),
            (2, lambda: ("flist", c.slot())),
            (3, lambda: ("flink", c.slot(), c.path())),
            (2, lambda: ("linkat", c.slot(), c.one(NAMES), c.slot(), c.one(NAMES), 0)),
            (2, lambda: ("renameat", c.slot(), c.one(NAMES), c.slot(), c.one(NAMES),
                         c.rename_flags())),
            (2, lambda: ("unlinkat", c.slot(), c.one(NAMES), c.chance(0.5))),
            (2, lambda: ("mkdirat", c.slot(), c.one(NAMES), c.mode())),
            (2, lambda: ("statat", c.slot(), c.one((*NAMES, ".", "..")))),
            (14, lambda: ("mkdir", c.path(), c.mode())),
            (8, lambda: ("rmdir", c.path())),
            (6, lambda: ("unlink", c.path())),
            (12, lambda: ("rename", c.path(), c.path(), c.rename_flags())),
            (7, lambda: ("link", c.path(), c.path(), c.one((0, 0, AT_SYMLINK_FOLLOW)))),
            (5, lambda: ("symlink", c.text(), c.path())),
            (2, lambda: ("readlink", c.path())),
            (3, lambda: ("mknod", c.path(), c.kind() | c.mode(), c.device())),
            (1, lambda: ("bind", c.path())),
            (1, lambda: ("connect", c.path())),
            (4, lambda: ("chmod", c.path(), c.mode())),
            (4, lambda: ("chown", c.path(), c.owner(), c.owner())),
            (2, lambda: ("lchown", c.path(), c.owner(), c.owner())),
            (4, lambda: ("truncate", c.path(), c.size())),
            (3, lambda: ("utime", c.path(), c.times(), c.chance(0.5))),
            (1, lambda: ("touch", c.path())),
            (2, lambda: ("access", c.path(), c.random.randrange(8))),
            (3, lambda: ("stat", c.path())),
            (3, lambda: ("lstat", c.path())),
            (3, lambda: ("list", c.path())),
            (4, lambda: ("setxattr", c.path(), c.one(XATTRS), c.data()[:3000],
                         c.one((0, 0, 1, 2)), c.chance(0.5))),
            (2, lambda: ("getxattr", c.path(), c.one(XATTRS), c.chance(0.5))),
            (2, lambda: ("listxattr", c.path(), c.chance(0.5))),
            (2, lambda: ("removexattr", c.path(), c.one(XATTRS), c.chance(0.5))),
            (1, lambda: ("umask", c.one((0, 0o22, 0o77, 0o27)))),
            (2, lambda: ("chdir", c.path())),
            (2, lambda: ("fchdir", c.slot())),
            (1, lambda: ("chdir", "/")),
        ]
        weights = [weight for weight, _ in makers]
        make = self.random.choices([maker for _, maker in makers], weights)[0]
        who, operation = self.one((0, 0, *USERS)), make()
        # The kernel does not let us tell this from a write that is passed through.
        if operation[0] in ("chown", "fchown") and operation[2:] == (-1, -1):
            who = 0
        return (who, *operation)


@contextlib.contextmanager
def reference():
    """As the store's own files are: what is a hole depends on the size of pages."""
    place = tempfile.mkdtemp(prefix="shmfs-tmpfs-")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=1777,nosuid,nodev,huge=within_size",
                    "reference", place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)
        os.rmdir(place)


@contextlib.contextmanager
def sides(how):
    with reference() as place, world(how) as w:
        pair = [Remote(place), Remote(w.mount)]
        try:
            yield w, pair
        finally:
            for side in pair:
                side.end()


def on_both(pair, operations):
    for side in pair:
        side.send(operations)
    return [side.results() for side in pair]


def differences(left, right):
    if not (isinstance(left, dict) and isinstance(right, dict)):
        return f"tmpfs {left}, mount {right}"
    return "\n".join(f"{key}: {differences(left.get(key), right.get(key))}"
                     for key in sorted({*left, *right}, key=str) if left.get(key) != right.get(key))


def compare(done, operations, results):
    for operation, left, right in zip(operations, *results):
        done.append(f"{str(left)[:20]:20} {operation}"[:120])
        if left != right:
            log = "\n".join(one for one in done[-200:] if "'snapshot'" not in one)
            raise AssertionError(f"seed {SEED}, operation {len(done)}:\n{log}\n"
                                 f"{str(operation)[:120]}:\n{differences(left, right)}")


def random_operations(pair, steps, wanted=lambda operation: True):
    choose = Choose(SEED)
    done = []
    while len(done) < steps:
        batch = [one for one in (choose.operation() for _ in range(BATCH)) if wanted(one)]
        batch.append((0, "snapshot"))
        if choose.chance(0.03):
            batch.append((0, "clear"))
        compare(done, batch, on_both(pair, batch))


def same_results(how):
    with sides(how) as (w, pair):
        random_operations(pair, STEPS)
        return f"{STEPS} operations, seed {SEED}"


def outlives_workers(operation):
    """What the kernel does not tell of, that somebody has it open, is forgotten with the worker
    once it has no name: working folders, fifos and what O_PATH opens."""
    _, name, *arguments = operation
    return not (name in ("chdir", "fchdir") or
                name == "mknod" and stat.S_ISFIFO(arguments[1]) or
                name in ("open", "openat") and arguments[-2] & os.O_PATH)


def same_under_kills(how):
    with sides(how) as (w, pair):
        kills = 0
        over = threading.Event()

        def kill():
            nonlocal kills
            while not over.wait(random.uniform(0.005, 0.05)):
                for pid in w.pids()[1:]:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                        kills += 1

        killer = threading.Thread(target=kill)
        killer.start()
        try:
            random_operations(pair, STEPS // 2, outlives_workers)
        finally:
            over.set()
            killer.join()
        return f"{STEPS // 2} operations, {kills} kills, seed {SEED}"


# What sets which times. Each line is done between two looks at all times.
TIMES = [
    ("mkdir", "/a", 0o777), ("mkdir", "/b", 0o777), ("mkdir", "/a/c", 0o777),
    ("open", 0, "/a/file", os.O_RDWR | os.O_CREAT, 0o666), ("write", 0, b"12345", 0),
    ("write", 0, b"", 0), ("read", 0, 10, 0), ("ftruncate", 0, 3), ("ftruncate", 0, 3),
    ("fallocate", 0, 0, 0, 10000), ("fallocate", 0, 1, 0, 90000), ("fallocate", 0, 3, 0, 4096),
    ("truncate", "/a/file", 3), ("truncate", "/a/file", 3), ("truncate", "/a/file", 5000),
    ("open", 1, "/a/file", os.O_RDWR | os.O_CREAT, 0o666),
    ("open", 1, "/a/file", os.O_RDWR | os.O_TRUNC, 0o666),
    ("open", 1, "/a/file", os.O_RDWR | os.O_TRUNC, 0o666), ("close", 1),
    ("link", "/a/file", "/b/name", 0), ("rename", "/b/name", "/b/other", 0),
    ("rename", "/b/other", "/a/c/other", 0), ("rename", "/a/c", "/b/c", 0),
    ("rename", "/b/c/other", "/a/file", 0), ("rename", "/b/c", "/a/file", 2),
    ("rename", "/b/c", "/b/c2", 0), ("unlink", "/b/c2"), ("symlink", "text", "/a/link"),
    ("readlink", "/a/link"), ("link", "/a/link", "/b/link", 0), ("unlink", "/b/link"),
    ("lchown", "/a/link", 1, 1), ("lchown", "/a/link", -1, -1),
    ("rename", "/a/link", "/b/link", 4), ("unlink", "/a/link"),
    ("chmod", "/a", 0o700), ("chmod", "/a", 0o700), ("chown", "/a", 1, 1),
    ("chown", "/a", -1, -1), ("utime", "/a", (10 ** 9, 2 * 10 ** 9), True),
    ("list", "/a"), ("list", "/a"), ("list", "/"), ("mknod", "/a/fifo", stat.S_IFIFO | 0o666, 0),
    ("chmod", "/a/fifo", 0o600), ("mknod", "/a/device", stat.S_IFCHR | 0o666, 5),
    ("chmod", "/a/device", 0o600), ("bind", "/a/socket"), ("unlink", "/a/socket"),
    ("setxattr", "/a", "user.x", b"1", 0, True), ("getxattr", "/a", "user.x", True),
    ("removexattr", "/a", "user.x", True), ("removexattr", "/a", "user.x", True),
    ("setxattr", "/b/link", "trusted.x", b"1", 0, False),
    ("removexattr", "/b/link", "trusted.x", False), ("open", 2, "/a", os.O_TMPFILE | os.O_RDWR, 0),
    ("flink", 2, "/a/named"), ("unlink", "/a/named"), ("mkdir", "/a/sub", 0o777),
    ("rmdir", "/a/sub"), ("mkdir", "/a", 0o777), ("unlink", "/a"), ("rmdir", "/b"),
    ("open", 3, "/a/exclusive", os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666),
    ("fchmod", 3, 0o4777), ("append", 3, b"x"), ("copy", 3, 0, 1, 0, 0), ("touch", "/a/exclusive"),
    ("fchown", 3, -1, -1), ("fchown", 3, 65534, -1), ("setxattr", "/a/exclusive", "user.y", b"", 0, True),
]


NOW, OMIT = (1 << 30) - 1, (1 << 30) - 2
LONG = "n" * 255
DEEP = "/".join([LONG] * 15)  # and a slash before it: 3840 bytes
ONE, TWO = USERS[1:]
RDWR_CREATE = os.O_RDWR | os.O_CREAT


def chain(count):
    """Links from one to the next, to a file."""
    return [(0, "open", 0, "/l0", RDWR_CREATE, 0o666),
            *((0, "symlink", f"l{i}", f"/l{i + 1}") for i in range(count)),
            *((0, "stat", f"/l{i}") for i in range(count - 3, count + 1))]


# Who, what. By hand what random operations do not meet.
SPECIAL = [
    # long names, long paths, many links
    *[(0, *one) for length in (255, 256) for name in ("/" + "n" * length,) for one in (
        ("mkdir", name, 0o755), ("stat", name), ("rename", name, "/x", 0),
        ("rename", "/x", name, 0), ("rmdir", name), ("open", 0, name, RDWR_CREATE, 0o644),
        ("link", name, "/y", 0), ("unlink", name), ("symlink", "y", name), ("readlink", name),
        ("unlink", name), ("mknod", name, stat.S_IFIFO | 0o644, 0), ("chmod", name, 0o600),
        ("truncate", name, 0), ("unlink", name), ("unlink", "/y"))],
    *[(0, "mkdir", "/" + "/".join([LONG] * depth), 0o755) for depth in range(1, 16)],
    *[(0, "mkdir", "/" + DEEP + "/" + "m" * length, 0o755) for length in (253, 254, 255)],
    *[(0, "symlink", "t" * length, "/text") for length in (4095, 4096)],
    (0, "readlink", "/text"), (0, "stat", "/text"), (0, "unlink", "/text"),
    *chain(42), (0, "symlink", "loop", "/loop"), (0, "stat", "/loop"), (0, "lstat", "/loop"),
    *[(0, *one) for one in (
        ("open", 1, "/loop", os.O_RDWR, 0), ("open", 1, "/loop", RDWR_CREATE, 0o644),
        ("mkdir", "/loop/x", 0o755), ("rmdir", "/loop/x"), ("unlink", "/loop/x"),
        ("rename", "/loop/x", "/y", 0), ("rename", "/l0", "/loop/x", 0), ("chmod", "/loop", 0o600),
        ("truncate", "/loop", 0), ("link", "/loop", "/loop2", AT_SYMLINK_FOLLOW),
        ("link", "/loop", "/loop2", 0), ("open", 1, "/loop", os.O_RDONLY | os.O_NOFOLLOW, 0))],
    # the root
    *[(0, *one) for one in (
        ("rmdir", "/"), ("unlink", "/"), ("mkdir", "/", 0o755), ("rename", "/", "/x", 0),
        ("rename", "/l0", "/", 0), ("link", "/", "/x", 0), ("open", 1, "/", os.O_RDWR, 0),
        ("open", 1, "/", RDWR_CREATE | os.O_EXCL, 0o644), ("symlink", "x", "/"),
        ("mknod", "/", stat.S_IFIFO, 0), ("truncate", "/", 0), ("lstat", "/"))],
    # special files opened
    (0, "mknod", "/fifo", stat.S_IFIFO | 0o666, 0), (0, "open", 1, "/fifo", os.O_WRONLY, 0),
    (0, "open", 1, "/fifo", os.O_RDONLY, 0), (0, "truncate", "/fifo", 0), (0, "close", 1),
    (0, "bind", "/socket"), (0, "open", 1, "/socket", os.O_RDWR, 0), (0, "connect", "/socket"),
    (0, "truncate", "/socket", 0), (0, "mknod", "/null", stat.S_IFCHR | 0o666, 0x103),
    (0, "open", 1, "/null", os.O_RDWR, 0), (ONE, "mknod", "/null2", stat.S_IFCHR | 0o666, 0x103),
    (ONE, "mknod", "/block", stat.S_IFBLK | 0o666, 0x103),
    (0, "mknod", "/folder", stat.S_IFDIR | 0o755, 0), (0, "mknod", "/plain", 0o644, 0),
    # times
    (0, "open", 1, "/times", RDWR_CREATE, 0o666), (0, "chown", "/times", ONE, ONE),
    *[(who, "utimens", "/times", times, flags) for who in USERS for flags in (0, 0x100)
      for times in ((1, 2, 3, 4), (0, NOW, 0, NOW), (0, OMIT, 0, OMIT), (5, 6, 0, OMIT),
                    (0, OMIT, 7, 8), (0, NOW, 0, OMIT), (0, OMIT, 0, NOW), (0, NOW, 9, 10),
                    (1, 10 ** 9, 1, 1), (1, -1, 1, 1))],
    *[one for seconds in (-1, -2 ** 31, 2 ** 31, 2 ** 32, 2 ** 33, 2 ** 40) for one in (
        (0, "utimens", "/times", (seconds, 123456789, seconds, 987654321), 0),
        (0, "exact_times", "/times"))],
    (0, "chmod", "/times", 0o600), (TWO, "touch", "/times"), (0, "chmod", "/times", 0o666),
    (TWO, "touch", "/times"),
    # sizes
    *[(0, *one) for size in (-1, 2 ** 40, 2 ** 63 - 1, 2 ** 62) for one in (
        ("truncate", "/times", size), ("ftruncate", 1, size), ("lstat", "/times"))],
    *[(0, "fallocate", 1, 0, offset, length) for offset, length in (
        (-1, 10), (0, 0), (0, -1), (2 ** 63 - 1, 10), (2 ** 62, 2 ** 62))],
    (0, "ftruncate", 1, 0), (0, "write", 1, b"x", 2 ** 63 - 10), (0, "read", 1, 10, 2 ** 62),
    (0, "open", 2, "/times", os.O_RDONLY, 0), (0, "ftruncate", 2, 0), (0, "write", 2, b"x", 0),
    (0, "fallocate", 2, 0, 0, 10), (0, "open", 2, "/times", os.O_WRONLY, 0),
    (0, "read", 2, 1, 0), (0, "open", 2, "/times", os.O_WRONLY | os.O_APPEND, 0),
    (0, "append", 2, b"one"), (0, "append", 2, b"two"), (0, "write", 2, b"three", 0),
    (0, "read", 1, 100, 0), (0, "flags", 2), (0, "ftruncate", 2, 1), (0, "read", 1, 100, 0),
    (0, "open", 2, "/times", os.O_RDWR | os.O_DIRECT, 0), (0, "read", 2, 4096, 0),
    (0, "open", 2, "/times", os.O_RDONLY | os.O_NOATIME, 0),
    (TWO, "open", 2, "/times", os.O_RDONLY | os.O_NOATIME, 0),
    # programs
    (0, "open", 2, "/program", RDWR_CREATE, 0o755), (0, "append", 2, b"#!/nothing\n"),
    (0, "close", 2), (0, "execute", "/program"), (ONE, "execute", "/program"),
    (0, "chmod", "/program", 0o644), (0, "execute", "/program"),
    # what is the kernel's own
    (0, "open", 2, "/times", os.O_RDWR, 0), (0, "lock", 1, 2), (0, "lock", 2, 2),
    (0, "lock", 2, 1), (0, "lock", 1, 8), (0, "lock", 2, 2), (0, "lock", 2, 8),
    (0, "record_lock", 1, 2, 10, 0), (0, "record_lock", 2, 2, 10, 5), (0, "lease", 2, 2),
    (0, "statvfs", "/times"),
    *[(0, "statx", path) for path in ("/", "/times", "/folder", "/fifo", "/null", "/none")],
    *[(0, "map", 1, PAGE, protection, 2) for protection in (1, 3)],
    (0, "sendfile", 2, 1, 0, 10), (0, "read", 1, 100, 0), (0, "handle", "/times"),
    (0, "handle", "/folder"), (0, "handle", "/fifo"), (ONE, "handle", "/times"),
    # whose it is
    *[(who, *one) for who in USERS for one in (
        ("mkdir", "/mine", 0o2755), ("chown", "/mine", -1, 65532), ("chown", "/mine", -1, 65531),
        ("chmod", "/mine", 0o2775), ("lstat", "/mine"), ("open", 3, "/mine/f", RDWR_CREATE, 0o2775),
        ("lstat", "/mine/f"), ("mkdir", "/mine/sub", 0o755), ("lstat", "/mine/sub"),
        ("chown", "/mine/f", -1, 65532), ("chown", "/mine/f", ONE, -1), ("chmod", "/mine/f", 0o6755),
        ("chown", "/mine/f", 0, 0), ("chown", "/mine/f", -1, -1), ("lstat", "/mine/f"),
        ("chmod", "/mine/f", 0o1644), ("lstat", "/mine/f"), ("unlink", "/mine/f"),
        ("rmdir", "/mine/sub"), ("rmdir", "/mine"))],
]


def same_special_cases(how):
    with sides(how) as (w, pair):
        compare([], SPECIAL, on_both(pair, SPECIAL))
        look = [(0, "snapshot")]
        compare([], look, on_both(pair, look))
        return f"{len(SPECIAL)} operations"


def look_at_times(root):
    seen = {}
    for place, folders, files in os.walk(root):
        for name in [".", *folders, *files]:
            path = os.path.normpath(os.path.join(place, name))
            seen[os.path.relpath(path, root)] = os.lstat(path)
    return {path: (status.st_atime_ns, status.st_mtime_ns, status.st_ctime_ns)
            for path, status in seen.items()}


def changed_times(before, after):
    """What is new, and of what was there which times changed."""
    return {path: "new" if path not in before else
            [kind for kind, was, now in zip(("atime", "mtime", "ctime"), before[path], times)
             if was != now]
            for path, times in after.items() if before.get(path) != times}


def same_times(how):
    with sides(how) as (w, pair), reference() as _:
        on_both(pair, [(0, "snapshot")])  # answered: each has gone to its root
        roots = [os.readlink(f"/proc/{side.pid}/root") for side in pair]
        before = [look_at_times(root) for root in roots]
        for operation in TIMES:
            time.sleep(0.012)  # the kernel's clock for this may tick so slowly
            results = on_both(pair, [(0, *operation)])
            after = [look_at_times(root) for root in roots]
            changes = [changed_times(*two) for two in zip(before, after)]
            before = [look_at_times(root) for root in roots]
            assert results[0] == results[1], (operation, results)
            assert changes[0] == changes[1], (operation, differences(*changes))
        return f"{len(TIMES)} operations"


CASES = [same_times, same_special_cases, same_results, same_under_kills]


def main():
    if not private_root():
        return 0
    tap = Tap()
    for how, label in (("require", "passthrough"), ("off", "direct")):
        for case in CASES:
            what = f"{label}: {case.__name__.replace('_', ' ')}"
            if not sys.argv[1:] or what in sys.argv[1:]:
                tap.run(what, case, how)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
