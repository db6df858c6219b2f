#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every allocation and every system call of the daemon fails in turn: TAP on standard output.

Aim: whichever fails, in the keeper or in the worker, the daemon either does not start and says why in a
line, or goes on: what was asked meanwhile fails with an errno that says so or succeeds, what is asked
afterwards succeeds, nothing hangs, and it ends as it should. Method: shmfs-faulty (tests/faulty.c)
fails its Nth call; N goes up until no call is left. In each run clients use it, its worker is killed and
taken over from, and they use it again. Which N: each one with SHMEMU_TEST_LONG, else each third. Run it
with SHMEMU_PREFIX and SHMEMU_PROBES set.
"""

import contextlib
import errno
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
from client_tap import Tap
from client_wire import ENTRY, LIST_MAX, REPLY, REQUEST, MAGIC, SPOKEN, VERSION
from client_world import is_root, private

FAULTY = os.path.join(os.environ.get("SHMEMU_PROBES", ""), "shmfs-faulty")
OPEN, UNLINK, LIST, STATUS, ROOM = range(1, 6)
LIMIT, LIMIT_SIZE = 7, 1
STEP = 1 if os.environ.get("SHMEMU_TEST_LONG") else 3
PATIENCE = 15
CALLS_MAX = 3000
MEANWHILE = {0, errno.ENOMEM, errno.ENFILE, errno.EMFILE, errno.ENOSPC, errno.EIO, errno.EPERM,
             errno.EAGAIN, errno.ENOBUFS, errno.EINVAL, errno.ECONNRESET, errno.EPIPE, errno.EACCES,
             errno.ETIMEDOUT, errno.ECONNREFUSED}


class Client:
    """Asks as the library does: what is reset is asked again, by another connection."""

    def __init__(self, folder):
        self.folder, self.sock, self.serial = folder, None, 0

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(os.path.join(self.folder, "socket"))

    def once(self, op, name, flags, mode):
        if not self.sock:
            self.connect()
        self.serial += 1
        version = VERSION if op == LIMIT else SPOKEN
        self.sock.send(REQUEST.pack(MAGIC, version, op, flags, mode, self.serial, 0, 0, len(name),
                                    0, 0, b"", name))
        while True:
            data, fds, _, _ = socket.recv_fds(self.sock, REPLY.size + LIST_MAX * ENTRY.size, 2)
            for fd in fds:
                os.close(fd)
            if not data:
                raise ConnectionResetError(errno.ECONNRESET, "the end")
            reply = REPLY.unpack_from(data)
            if reply[6] == self.serial:
                return -reply[3] if reply[3] < 0 else 0

    def ask(self, op, name=b"", flags=0, mode=0):
        for _ in range(3):
            try:
                return self.once(op, name, flags, mode)
            except OSError as error:
                result = error.errno or errno.ETIMEDOUT
                self.sock = None
                if result not in (errno.ECONNRESET, errno.EPIPE):
                    break
        return result


def errno_of(function, *arguments):
    try:
        function(*arguments)
    except OSError as error:
        return error.errno
    return 0


def use_file(path):
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        os.write(fd, b"hello")
        os.ftruncate(fd, 3)
        assert os.pread(fd, 10, 0) == b"hel", os.pread(fd, 10, 0)
    finally:
        os.close(fd)


def use(folder, mount, number):
    """Returns the errno of each operation."""
    client = Client(folder)
    name = b"n%d" % number
    made = client.ask(OPEN, name, os.O_RDWR | os.O_CREAT, 0o600)
    results = {"open": made}
    results["status"] = client.ask(STATUS)
    results["list"] = client.ask(LIST)
    results["room"] = client.ask(ROOM)
    limited = client.ask(LIMIT, mode=LIMIT_SIZE)
    # Where the fault had memory come from elsewhere there is no size.
    results["limit"] = 0 if limited == errno.EOPNOTSUPP else limited
    if mount:
        path = os.path.join(mount, f"m{number}")
        results["file"] = errno_of(use_file, path)
        results["stat"] = errno_of(os.stat, mount)
        results["listdir"] = errno_of(os.listdir, mount)
        if os.path.exists(path):
            results["unlink file"] = errno_of(os.unlink, path)
    unlinked = client.ask(UNLINK, name)
    # What could not be made need not be there; what could must be.
    results["unlink"] = 0 if made and unlinked == errno.ENOENT else unlinked
    return results


def in_child(function, *arguments):
    """What it returns, if it does so in time."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(writing, json.dumps(function(*arguments)).encode())
        except BaseException as error:
            os.write(writing, json.dumps({"problem": repr(error)}).encode())
        os._exit(0)
    os.close(writing)
    ready, _, _ = select.select([reading], [], [], 4 * PATIENCE)
    text = os.read(reading, 65536) if ready else b""
    os.close(reading)
    if not text:
        os.kill(pid, signal.SIGKILL)
        raise TimeoutError("a client hangs")
    os.waitpid(pid, 0)
    return json.loads(text)


class Faulty:
    """A daemon that will have one fault."""

    def __init__(self, role, number, mounted):
        self.top = tempfile.mkdtemp(prefix="shmemu-fault-")
        self.note = os.path.join(self.top, "note")
        self.run = os.path.join(self.top, "run")
        self.mount = os.path.join(self.top, "mount") if mounted else None
        os.mkdir(self.run, 0o700)
        if mounted:
            os.mkdir(self.mount)
        ready, signalled = os.pipe()
        self.errors = open(os.path.join(self.top, "errors"), "w+")
        self.process = subprocess.Popen(
            [FAULTY, "--foreground", "--harden=off", f"--dir={self.run}",
             f"--ready-fd={signalled}", self.mount or "--no-mount"], pass_fds=[signalled],
            stdin=subprocess.DEVNULL, stderr=self.errors,
            env={**os.environ, "SHMEMU_FAULT": f"{role}:{number}:{self.note}"})
        os.close(signalled)
        with os.fdopen(ready, "rb") as pipe:
            got, _, _ = select.select([pipe], [], [], PATIENCE)
            assert got, "neither starts nor ends"
            self.ready = len(pipe.read(1)) == 1

    def call(self):
        """The one that failed, or None."""
        if not os.path.exists(self.note):
            return None
        with open(self.note) as file:
            return file.read()

    def kill_worker(self):
        """One that has died of its fault may be gone by now."""
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children") as file:
            for pid in file.read().split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)

    def end(self):
        self.process.terminate()
        try:
            return self.process.wait(2 * PATIENCE)
        except subprocess.TimeoutExpired:
            return None

    def said(self):
        self.errors.seek(0)
        return self.errors.read()

    def remove(self):
        if self.process.poll() is None:
            self.kill_worker()
        self.process.kill()
        self.process.wait()
        if self.mount:
            subprocess.run(["umount", "--lazy", "--quiet", self.mount], stderr=subprocess.DEVNULL)
        self.errors.close()
        shutil.rmtree(self.top, ignore_errors=True)


def check_meanwhile(results):
    for what, result in results.items():
        assert what != "problem" and result in MEANWHILE, f"meanwhile: {results}"


def live(daemon):
    """Uses it, has it taken over, and uses it again; after the fault all must succeed."""
    for number in range(5):
        fault = daemon.call()
        results = in_child(use, daemon.run, daemon.mount, number)
        if fault:
            assert not any(results.values()), f"afterwards: {results}"
        else:
            check_meanwhile(results)
        if number == 0:
            daemon.kill_worker()


def one_fault(role, number, mounted):
    """Returns whether there was a call to fail."""
    daemon = Faulty(role, number, mounted)
    try:
        if daemon.ready:
            live(daemon)
            before = daemon.call()
            status = daemon.end()
            said = daemon.said().splitlines()
            assert status == 0 or (not before and status == 1), f"ended with {status}: {said}"
        elif daemon.call() == "write" and role == "keeper":
            # That it serves was what it could not write; its starter is to end it.
            assert daemon.end() == 0, daemon.said()
            return True
        else:
            status = daemon.process.wait(PATIENCE)
            said = daemon.said().splitlines()
            assert status == 1 and said, f"ended with {status} before it served: {said}"
        assert len(said) <= 2 and all(line.startswith(("shmfs", "fuse: ", "fusermount3"))
                                      for line in said), said
        return daemon.call() is not None
    except BaseException as error:
        print(f"# {role} {number}, {daemon.call()}: {error!r}", flush=True)
        raise
    finally:
        daemon.remove()


def all_faults(role, mounted):
    number, wrong = 1, 0
    while number < CALLS_MAX:
        try:
            if not one_fault(role, number, mounted):
                break
        except (AssertionError, OSError, subprocess.TimeoutExpired):
            wrong += 1
            assert wrong < 8, "enough"
        number += STEP
    assert not wrong, f"{wrong} faults were not met as they should be"
    assert number > 40, f"only {number} calls"
    return f"of {number} calls each {STEP}th" if STEP > 1 else f"{number - 1} calls"


def main():
    tap = Tap()
    private()
    roads = [False] + [True] * (is_root() and os.path.exists("/dev/fuse"))
    for mounted in roads:
        for role in "keeper", "worker":
            where = "with a mount" if mounted else "without a mount"
            tap.run(f"{role} {where}", all_faults, role, mounted)
    return tap.end()


sys.exit(main())
