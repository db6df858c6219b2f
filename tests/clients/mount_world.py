# SPDX-License-Identifier: LGPL-2.1-or-later
"""Daemons with a mount of their own, and processes of other users, for the tests of the mount."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import traceback

SHMFS = os.path.join(os.environ.get("SHMEMU_PREFIX", ""), "bin/shmfs")
NOBODY = 65534
PATIENCE = 30


def private_root():
    """Goes on in a mount namespace of its own. Returns whether it may: mounting takes root."""
    if os.geteuid() != 0 or not os.path.exists("/dev/fuse"):
        print("1..0 # SKIP mounting takes root and /dev/fuse")
        return False
    if "SHMFS_TEST_PRIVATE" not in os.environ:
        os.environ["SHMFS_TEST_PRIVATE"] = "1"
        os.execvp("unshare", ["unshare", "--mount", "--propagation=private",
                              sys.executable, *sys.argv])
    return True


class World:
    """One daemon and its mount, in a folder of their own."""

    def __init__(self, passthrough, mountpoint=None, command=(), environment=()):
        self.top = tempfile.mkdtemp(prefix="shmfs-test-")
        os.chmod(self.top, 0o755)
        self.run = os.path.join(self.top, "run")
        os.mkdir(self.run, 0o700)
        self.mount = mountpoint or os.path.join(self.top, "mount")
        if not mountpoint:
            os.mkdir(self.mount)
        self.passthrough = passthrough == "require"
        self.how = passthrough
        self.command = list(command)
        self.environment = dict(environment)
        self.errors = open(os.path.join(self.top, "stderr"), "w+")

    def start(self):
        """Returns whether it got ready to serve."""
        ready, signalled = os.pipe()
        environment = {**os.environ, "SHMEMU_DIR": self.run, **self.environment}
        self.daemon = subprocess.Popen(
            self.command + [SHMFS, "--foreground", f"--passthrough={self.how}",
                            f"--ready-fd={signalled}", self.mount],
            pass_fds=[signalled], env=environment, stderr=self.errors, stdin=subprocess.DEVNULL)
        os.close(signalled)
        with os.fdopen(ready, "rb") as pipe:
            return len(pipe.read(1)) == 1

    def path(self, name):
        return os.path.join(self.mount, name)

    def make(self, name, contents=b"", mode=0o600):
        fd = os.open(self.path(name), os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with open(fd, "wb") as file:
            file.write(contents)
        return self.path(name)

    def pids(self):
        """The keeper and its worker."""
        with open(f"/proc/{self.daemon.pid}/task/{self.daemon.pid}/children") as file:
            return [self.daemon.pid, *map(int, file.read().split())]

    def fds(self):
        return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in self.pids())

    def said(self):
        self.errors.seek(0)
        return self.errors.read()

    def is_mounted(self):
        with open("/proc/self/mounts") as mounts:
            return any(line.split()[1] == self.mount for line in mounts)

    def end(self):
        if self.daemon.poll() is None:
            self.daemon.terminate()
        try:
            return self.daemon.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.daemon.kill()
            self.daemon.wait()
            raise

    def remove(self):
        self.errors.close()
        shutil.rmtree(self.top)


@contextlib.contextmanager
def world(passthrough, **more):
    a_world = World(passthrough, **more)
    try:
        assert a_world.start(), f"shmfs is not ready: {a_world.said()}"
        yield a_world
    finally:
        try:
            a_world.end()
        finally:
            a_world.remove()


def in_child(function, uid=None):
    """Runs function in a process of its own, as another user if asked. Returns the errno of the
    OSError that it raised, 0, or minus the signal that ended it."""
    pid = os.fork()
    if pid == 0:
        status = 255
        try:
            if uid is not None:
                os.setgroups([])
                os.setresgid(uid, uid, uid)
                os.setresuid(uid, uid, uid)
            function()
            status = 0
        except OSError as error:
            status = error.errno
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


def errno_of(function, *arguments, **more):
    try:
        function(*arguments, **more)
    except OSError as error:
        return error.errno
    return 0


def until(true, what):
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.005)
