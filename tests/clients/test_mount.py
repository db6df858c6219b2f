#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The mount, looked at by programs that know nothing of it: TAP on standard output.

Aim: what shmfs mounts is a /dev/shm. Method: in a private mount namespace each check runs on a
mount with passthrough and on one without, with plain system calls; then daemons are ended in all
ways. That a shared mapping works at all proves passthrough: without, the kernel refuses one with
ENODEV.
Run it as root with SHMEMU_PREFIX set to the folder that has bin/shmfs.
"""

import os
import random
import signal
import stat
import subprocess
import sys
import tempfile
import time
import traceback

sys.dont_write_bytecode = True
import kept_checks
import mount_checks
import tree_checks
from client_world import settled
from mount_world import PATIENCE, World, private_root, until, world


# What needs a daemon of its own.

def fds_come_back(passthrough):
    with world(passthrough) as w:
        os.listdir(w.mount)  # answered: the daemon has closed what it starts with
        for check in (mount_checks.check_read_write, mount_checks.check_unlink_while_open,
                      mount_checks.check_mapping_between_processes):
            before = settled(w.fds)
            for _ in range(5):
                check(w)
            fds = [os.open(w.path(str(i)), os.O_RDWR | os.O_CREAT) for i in range(200)]
            assert w.fds() >= before + 200
            for i, fd in enumerate(fds):
                os.unlink(w.path(str(i)))
                os.close(fd)
            # The kernel tells of closed files at its leisure.
            until(lambda: w.fds() == before, f"{w.fds()} descriptors, {before} before")


def clients_killed(passthrough):
    """Clients are killed wherever they are; once their files are gone nothing of theirs is left."""
    def churn(number):
        for i in range(1 << 30):
            path = w.path(f"{number}-{i % 3}")
            fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            os.write(fd, b"x" * 5000)
            os.close(os.open(path, os.O_RDONLY))
            os.close(fd)
            os.unlink(path)

    with world(passthrough) as w:
        os.listdir(w.mount)
        before = settled(w.fds)  # the kernel tells of the closed folder at its leisure
        for number in range(200):
            pid = os.fork()
            if pid == 0:
                churn(number)
            time.sleep(random.uniform(0.001, 0.01))
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        for name in os.listdir(w.mount):
            os.unlink(w.path(name))
        until(lambda: w.fds() == before, f"{w.fds()} descriptors, {before} before")


def unmounted_from_outside(passthrough):
    with world(passthrough) as w:
        w.make("file", b"x")
        subprocess.run(["umount", w.mount], check=True)
        assert w.daemon.wait(PATIENCE) == 0 and w.said() == "", w.said()


def unmounted_lazily_while_busy(passthrough):
    with world(passthrough) as w:
        fd = os.open(w.path("file"), os.O_RDWR | os.O_CREAT)
        subprocess.run(["umount", "-l", w.mount], check=True)
        os.write(fd, b"still served")
        assert os.pread(fd, 20, 0) == b"still served" and w.daemon.poll() is None
        os.close(fd)
        assert w.daemon.wait(PATIENCE) == 0 and w.said() == "", w.said()


def terminated(passthrough):
    with world(passthrough) as w:
        fd = os.open(w.path("file"), os.O_RDWR | os.O_CREAT)
        w.daemon.terminate()
        assert w.daemon.wait(PATIENCE) == 0 and w.said() == "" and not w.is_mounted(), w.said()
        os.close(fd)


def terminated_under_another_mount(passthrough):
    with world(passthrough) as w:
        subprocess.run(["mount", "-t", "tmpfs", "over", w.mount], check=True)
        w.daemon.terminate()
        assert w.daemon.wait(PATIENCE) == 0 and w.said() == "", w.said()
        with open("/proc/self/mounts") as mounts:
            assert any(line.startswith("over " + w.mount) for line in mounts), "it is gone too"
        subprocess.run(["umount", "-l", w.mount], check=True)
        subprocess.run(["umount", "-l", w.mount])


def fails_to_start(mountpoint, words, **more):
    w = World("auto", mountpoint=mountpoint, **more)
    try:
        assert not w.start() and w.daemon.wait(PATIENCE) == 1
        assert words in w.said() and len(w.said().splitlines()) == 1, w.said()
    finally:
        w.remove()


def bad_mountpoints(passthrough):
    fails_to_start("/nonexistent/folder", "No such file or directory")
    fails_to_start("/etc/passwd", "Not a directory")


def ordinary_user(passthrough):
    """In a user namespace a user may mount, but is given no passthrough: auto goes without, require
    refuses."""
    command = ["setpriv", "--reuid=4711", "--regid=4711", "--clear-groups", "unshare", "-Urm"]
    with tempfile.TemporaryDirectory() as devices:
        device = os.path.join(devices, "fuse")
        os.mknod(device, 0o666 | stat.S_IFCHR, os.makedev(10, 229))
        os.chmod(device, 0o666)
        subprocess.run(["mount", "--bind", device, "/dev/fuse"], check=True)
        try:
            for how in ("auto", "require"):
                w = World(how, command=command)
                os.chown(w.run, 4711, 4711)
                os.chown(w.mount, 4711, 4711)
                try:
                    started = w.start()
                    if how == "require":
                        assert not started and w.daemon.wait(PATIENCE) == 1 and w.said(), w.said()
                    else:
                        assert started, w.said()
                        assert w.end() == 0 and w.said() == "", w.said()
                finally:
                    w.end()
                    w.remove()
        finally:
            subprocess.run(["umount", "/dev/fuse"], check=True)


MULTIPROCESSING = """
import multiprocessing, os
from multiprocessing import shared_memory

def work(lock, queue, name):
    segment = shared_memory.SharedMemory(name)
    with lock:
        segment.buf[0] += 1
    queue.put(os.getpid())

memory = shared_memory.SharedMemory(create=True, size=1 << 20)
assert memory.name in os.listdir("/dev/shm"), os.listdir("/dev/shm")
lock, queue = multiprocessing.Lock(), multiprocessing.Queue()
workers = [multiprocessing.Process(target=work, args=(lock, queue, memory.name)) for _ in range(4)]
for worker in workers:
    worker.start()
assert {queue.get() for _ in workers} == {worker.pid for worker in workers}
for worker in workers:
    worker.join()
assert memory.buf[0] == 4
memory.close()
memory.unlink()
"""


def multiprocessing_on_dev_shm(passthrough):
    """glibc's own shm_open and sem_open, without the library."""
    with world(passthrough, mountpoint="/dev/shm"):
        run = subprocess.run([sys.executable, "-c", MULTIPROCESSING], capture_output=True,
                             text=True, timeout=PATIENCE)
        if passthrough == "require":
            assert run.returncode == 0 and run.stderr == "", run.stderr
        else:
            assert "No such device" in run.stderr, run.stderr
        assert [name for name in os.listdir("/dev/shm") if passthrough == "require"] == []


ALONE = [fds_come_back, clients_killed, unmounted_from_outside, unmounted_lazily_while_busy,
         terminated, terminated_under_another_mount, multiprocessing_on_dev_shm,
         kept_checks.kept, kept_checks.kept_over_kills]
ONCE = [bad_mountpoints, ordinary_user]


class Tap:
    def __init__(self, planned):
        print(f"1..{planned}", flush=True)
        self.number = 0
        self.failed = 0

    def run(self, what, function, argument):
        self.number += 1
        try:
            function(argument)
            print(f"ok {self.number} - {what}", flush=True)
        except Exception:
            self.failed += 1
            print(f"not ok {self.number} - {what}", flush=True)
            for line in traceback.format_exc().splitlines():
                print("# " + line, flush=True)


def check_silence(w):
    assert w.end() == 0 and w.said() == "", w.said()


def main():
    if not private_root():
        return 0
    checks = mount_checks.CHECKS + tree_checks.CHECKS
    tap = Tap(2 * (len(checks) + 1 + len(ALONE)) + len(ONCE))
    for how, label in (("require", "passthrough"), ("off", "direct")):
        with world(how) as w:
            for check in checks:
                tap.run(f"{label}: {check.__name__[6:]}", check, w)
            tap.run(f"{label}: nothing said, status 0", check_silence, w)
        for function in ALONE:
            tap.run(f"{label}: {function.__name__}", function, how)
    for function in ONCE:
        tap.run(function.__name__, function, "auto")
    return 1 if tap.failed else 0


if __name__ == "__main__":
    sys.exit(main())
