# SPDX-License-Identifier: LGPL-2.1-or-later
"""shmemu limit, and shmfs --size, --inodes and --user-size: what there may be, changed live."""

import contextlib
import glob
import json
import os
import random
import re
import signal
import subprocess
import threading

from cli_world import (PATIENCE, PREFIX, PYTHON, SHMEMU, Skip, case, check_refusal, equal, folder,
                       run, until)

SHMFS = os.path.join(PREFIX, "bin/shmfs")
MIB = 1 << 20

# argv: name, bytes. Says the errno's name, or nothing.
FILL = """
import _posixshmem, errno, os, sys
try:
    fd = _posixshmem.shm_open(sys.argv[1], os.O_CREAT | os.O_RDWR, 0o600)
    os.posix_fallocate(fd, 0, int(sys.argv[2]))
except OSError as error:
    print(errno.errorcode[error.errno])
"""


def library():
    found, = glob.glob(os.path.join(PREFIX, "lib/**/libshmemu.so"), recursive=True)
    return found


class Daemon:
    def __init__(self, top, *options):
        self.dir = os.path.join(top, "daemon")
        self.options = options

    def start(self):
        done = run(SHMFS, "--no-mount", f"--dir={self.dir}", *self.options)
        equal((done.returncode, done.stderr), (0, ""))
        with open(os.path.join(self.dir, "shmfs.lock")) as lock:
            self.keeper = int(lock.read())

    def worker(self):
        with open(f"/proc/{self.keeper}/task/{self.keeper}/children") as file:
            return (*map(int, file.read().split()), None)[0]

    def another_worker(self, number, pid=None):
        before = self.worker()
        os.kill(pid or before, number)
        until(lambda: self.worker() not in (before, None), "another worker")

    def tool(self, *words, uid=None):
        as_user = ("setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups") if uid else ()
        return run(*as_user, SHMEMU, "limit", f"--dir={self.dir}", *words)

    def change(self, *words):
        done = self.tool(*words)
        equal((done.returncode, done.stdout, done.stderr), (0, "", ""))

    def limits(self):
        done = self.tool("--json")
        equal((done.returncode, done.stderr), (0, ""))
        rows = json.loads(done.stdout)["limits"]
        equal([row["limit"] for row in rows], ["size", "inodes", "user-size"])
        return {row["limit"]: row for row in rows}

    def maxima(self):
        return [row["max"] for row in self.limits().values()]

    def python(self, script, *words, uid=None):
        as_user = ("setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups") if uid else ()
        environment = {**os.environ, "SHMEMU_DIR": self.dir, "LD_PRELOAD": library()}
        done = subprocess.run([*as_user, PYTHON, "-c", script, *map(str, words)], text=True,
                              capture_output=True, env=environment, timeout=PATIENCE)
        equal((done.returncode, done.stderr), (0, ""))
        return done.stdout.strip()

    def fill(self, name, size, uid=None):
        return self.python(FILL, name, size, uid=uid)

    def unlink(self, name, uid=None):
        self.python("import _posixshmem, sys; _posixshmem.shm_unlink(sys.argv[1])", name, uid=uid)


@contextlib.contextmanager
def daemon(*options):
    with folder() as top:
        it = Daemon(top, *options)
        it.start()
        try:
            yield it
        finally:
            os.kill(it.keeper, signal.SIGTERM)
            until(lambda: not os.path.exists(os.path.join(it.dir, "socket")), "the daemon ends")


@contextlib.contextmanager
def limited(*options):
    """A daemon with limits of bytes, which takes a tmpfs."""
    with folder() as top:
        done = run(SHMFS, "--no-mount", f"--dir={top}/probe", "--size=16m", "--idle-exit=1")
        if "takes a tmpfs" in done.stderr:
            raise Skip("this host lets this user have no private tmpfs")
    with daemon(*options) as it:
        yield it


@case()
def limits_are_shown():
    with limited("--size=16m", "--inodes=2k") as d:
        limits = d.limits()
        equal([row["max"] for row in limits.values()], [16 * MIB, 2048, None])
        equal(limits["inodes"]["used"], 0)
        equal(d.fill("/a", 5 * MIB), "")
        after = d.limits()
        assert after["size"]["used"] >= limits["size"]["used"] + 5 * MIB, after
        equal(after["inodes"]["used"], 1)
        lines = d.tool().stdout.splitlines()
        equal([line.split()[0] for line in lines], ["LIMIT", "size", "inodes", "user-size"])
        assert re.fullmatch(rf"size +{16 * MIB} +{after['size']['used']}", lines[1]), lines
    with daemon("--source=memfd") as d:
        equal(d.maxima(), [None, None, None])
        equal(d.fill("/a", 5 * MIB), "")
        assert 5 * MIB <= d.limits()["size"]["used"] < 6 * MIB, d.limits()


@case()
def sizes_are_as_tmpfs_has_them():
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for word, size in (("16m", 16 * MIB), ("16384K", 16 * MIB), ("1G", 1 << 30), ("1t", 1 << 40),
                       ("16777216", 16 * MIB), ("0", None)):
        with limited(f"--size={word}") as d:
            equal(d.maxima()[0], size)
    with limited("--size=10%") as d:
        assert abs(d.maxima()[0] - memory // 10) <= 8192, (d.maxima(), memory)
        d.change("--size=20%")
        assert abs(d.maxima()[0] - memory // 5) <= 8192, (d.maxima(), memory)


@case()
def a_limit_changes_while_it_is_in_force():
    with limited("--size=8m") as d:
        equal(d.fill("/a", 4 * MIB), "")
        equal(d.fill("/b", 6 * MIB), "ENOSPC")
        d.unlink("/b")
        d.change("--size=16m")
        equal(d.fill("/b", 6 * MIB), "")
        refused = d.tool("--size=9m")
        check_refusal(refused, 125)
        assert re.search(r"--size to 9437184: \d+ are in use", refused.stderr), refused.stderr
        equal(d.maxima()[0], 16 * MIB)
        d.unlink("/b")
        d.change("--size=9m")
        equal(d.fill("/b", 6 * MIB), "ENOSPC")
        d.change("--size=0")
        equal(d.fill("/b", 32 * MIB), "")
        equal(d.maxima()[0], None)


@case()
def what_had_no_limit_can_get_one():
    with limited() as d:
        d.change("--size=8m", "--inodes=3")
        equal(d.fill("/a", 9 * MIB), "ENOSPC")
        equal([d.fill(name, 4096) for name in ("/b", "/c", "/d")], ["", "", "ENOSPC"])
        refused = d.tool("--inodes=2")
        check_refusal(refused, 125)
        assert "3 are in use" in refused.stderr, refused.stderr
        d.change("--inodes=0")
        equal(d.fill("/d", 4096), "")


@case()
def limits_outlive_the_worker_and_an_upgrade():
    with limited("--size=16m", "--inodes=5") as d:
        d.change("--size=8m", "--inodes=7")
        for number in (signal.SIGKILL, signal.SIGHUP):
            d.another_worker(number, None if number == signal.SIGKILL else d.keeper)
            equal(d.maxima(), [8 * MIB, 7, None])
            equal(d.fill("/a", 9 * MIB), "ENOSPC")
            d.unlink("/a")
        d.change("--size=12m")
        equal(d.fill("/a", 9 * MIB), "")


@case()
def no_kill_loses_a_change():
    with limited("--size=16m") as d:
        ended = threading.Event()

        def kill():
            while not ended.wait(random.uniform(0.02, 0.3)):
                worker = d.worker()
                if worker:
                    os.kill(worker, signal.SIGKILL)

        killer = threading.Thread(target=kill)
        killer.start()
        try:
            for turn in range(30):
                d.change(f"--size={16 + turn}m", f"--inodes={100 + turn}")
                equal(d.maxima(), [(16 + turn) * MIB, 100 + turn, None])
        finally:
            ended.set()
            killer.join()


# argv: name, bytes. Says what becomes of growing by ftruncate, the errno's name or nothing.
GROW = """
import errno, os, sys
fd = os.open("/dev/shm/" + sys.argv[1], os.O_CREAT | os.O_RDWR, 0o600)
try:
    os.ftruncate(fd, int(sys.argv[2]))
except OSError as error:
    print(errno.errorcode[error.errno])
assert os.fstat(fd).st_size in (0, int(sys.argv[2]))
os.unlink("/dev/shm/" + sys.argv[1])
"""


@case()
def what_grows_by_ftruncate_has_its_room():
    with limited() as d:
        equal(d.python(GROW, "a", 16 * MIB), "")
        d.change("--size=8m")
        equal(d.python(GROW, "a", 16 * MIB), "ENOSPC")
        equal(d.python(GROW, "a", 4 * MIB), "")


@case()
def mistakes_with_limits_are_told_in_one_line():
    with daemon("--source=memfd") as d:
        for words in (("--size=8q",), ("--size=",), ("--size=-1",), ("--size",), ("--inodes=5%",),
                      ("--inodes=x",), ("--user-size=1.5g",), ("--what",), ("what",),
                      ("--size=8m",), ("--user-size=8m",), ("--size=2000000t",)):
            check_refusal(d.tool(*words), 125)
        assert "no tmpfs" in d.tool("--size=8m").stderr
        assert "started without" in d.tool("--user-size=8m").stderr
        equal(d.maxima(), [None, None, None])
    check_refusal(run(SHMEMU, "limit", "--dir=/nonexistent/folder"), 125)
    for words in (("--size=8q",), ("--inodes=5%",), ("--user-size=x",), ("-o", "size=x"),
                  ("-o", "uid=x"), ("-o", "mode=888"), ("-o", "inodes"), ("-o", "guard=1")):
        done = run(SHMFS, "--no-mount", *words)
        equal((done.returncode, done.stdout), (2, ""))
        assert re.fullmatch(r"shmfs: [^\n]+\n", done.stderr), done.stderr
    equal(run(SHMEMU, "limit", "--help").stderr, "")


@case(root_only=True)
def others_may_look_and_not_change():
    with limited("--size=16m") as d:
        shown = d.tool("--json", uid=1001)
        equal((json.loads(shown.stdout)["limits"][0]["max"], shown.stderr), (16 * MIB, ""))
        for words in (("--size=8m",), ("--inodes=8",), ("--user-size=1m",)):
            refused = d.tool(*words, uid=1001)
            check_refusal(refused, 125)
            assert "only root" in refused.stderr, refused.stderr
        equal(d.maxima(), [16 * MIB, None, None])


@case(root_only=True)
def users_have_shares_that_change():
    with limited("--user-size=2m") as d:
        equal(d.fill("/a", MIB, uid=1001), "")
        equal(d.fill("/b", 2 * MIB, uid=1001), "EDQUOT")
        d.unlink("/b", uid=1001)
        equal(d.python(GROW, "new", 4 * MIB, uid=1004), "EDQUOT")
        equal(d.fill("/b", 2 * MIB, uid=1002), "")
        refused = d.tool("--user-size=1536k")
        check_refusal(refused, 125)
        assert "a user has more in use" in refused.stderr, refused.stderr
        check_refusal(d.tool("--user-size=0"), 125)
        d.change("--user-size=4m")
        d.another_worker(signal.SIGKILL)
        equal(d.fill("/c", 2 * MIB, uid=1001), "")
        equal(d.fill("/d", 4 * MIB, uid=1003), "")
        equal(d.fill("/e", 64 * MIB), "")  # root has no limit
        equal(d.maxima()[2], 4 * MIB)


@case(root_only=True)
def shares_together_are_never_more_than_all():
    with limited("--size=8m", "--user-size=3m") as d:
        for uid in (1001, 1002):
            equal(d.fill(f"/{uid}", 3 * MIB, uid=uid), "")
        # What is left for the others is smaller by what was set aside.
        equal(d.fill("/third", MIB, uid=1003), "ENOSPC")
        equal(d.fill("/root", 3 * MIB), "ENOSPC")
        d.unlink("/root")
        assert d.limits()["size"]["used"] <= 8 * MIB, d.limits()
        check_refusal(d.tool("--user-size=4m"), 125)
        check_refusal(d.tool("--size=5m"), 125)
        # The size of all may grow, and a share that is empty is given back.
        d.change("--size=10m")
        equal(d.fill("/third", 3 * MIB, uid=1003), "")
        equal(d.fill("/fourth", MIB, uid=1004), "ENOSPC")
        d.unlink("/1001", uid=1001)
        equal(d.fill("/fourth", 3 * MIB, uid=1004), "")
        equal(d.fill("/1001", MIB, uid=1001), "ENOSPC")
        assert d.limits()["size"]["used"] <= 10 * MIB, d.limits()
        d.another_worker(signal.SIGKILL)
        for uid, name in ((1002, "/1002"), (1003, "/third"), (1004, "/fourth")):
            d.unlink(name, uid=uid)
        equal(d.fill("/root", 8 * MIB), "ENOSPC")
        d.unlink("/root")
        equal(d.fill("/1001", 3 * MIB, uid=1001), "")
        equal(d.maxima(), [10 * MIB, None, 3 * MIB])
