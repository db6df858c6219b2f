# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where libshmemu.so is met by trouble: a program that makes one call and tells its errno, and
daemons that are none."""

import array
import contextlib
import errno
import glob
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time

from client_wire import ASKED, MAGIC, REPLY

PREFIX = os.environ.get("SHMEMU_PREFIX", "")
SHMEMU = os.path.join(PREFIX, "bin/shmemu")
NOBODY, STRANGER = 65534, 4711
PATIENCE = 60
CALLS = ("shm_open", "sem_open", "shm_unlink", "sem_unlink")
IPC_CALLS = ("shmget", "semget", "msgget", "mq_open")
LINE = re.compile(r"^shmemu\[\d+\]: .*\S: E[A-Z]+$")

CLIENT = """
import ctypes, errno, os, resource, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.sem_open.restype = ctypes.c_void_p

def call(function, name=b"/errors", flags=os.O_RDWR | os.O_CREAT):
    ctypes.set_errno(0)
    if function in ("shmget", "semget"):
        words = 0, 1, 0o600
    elif function == "msgget":
        words = 0, 0o600
    elif function == "mq_open":
        words = name, flags, 0o600, None
    else:
        words = (name,) if "unlink" in function else (name, flags, 0o600, 1)
    result = getattr(libc, function)(*words)
    if function != "sem_open" and result != -1 or function == "sem_open" and result:
        return "ok"
    return errno.errorcode.get(ctypes.get_errno(), str(ctypes.get_errno()))

def descriptors():
    return len(os.listdir("/proc/self/fd"))
"""
ONE_CALL = CLIENT + """
before = descriptors()
print(call(sys.argv[1], sys.argv[2].encode()), descriptors() - before)
"""


def library():
    found = glob.glob(os.path.join(PREFIX, "lib*", "**", "libshmemu.so"), recursive=True)
    assert len(found) == 1, f"under {PREFIX}: {found}"
    return found[0]


class Host:
    """A host without /dev/shm and FUSE, and a folder on it; `uid` is whom programs run as."""

    def __init__(self, uid):
        self.uid = uid
        self.top = tempfile.mkdtemp(prefix="shmemu-errors-")
        os.chmod(self.top, 0o755)
        self.tmp = self.folder("tmp", 0o700)
        self.place = os.path.join(self.tmp, f"shmemu-{uid}")  # of a daemon that starts itself
        self.settings = {}

    def __enter__(self):
        return self

    def __exit__(self, *ignored):
        for pid in self.daemons():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.top, ignore_errors=True)

    def folder(self, name, mode=0o755, owner=None):
        path = os.path.join(self.top, name)
        os.mkdir(path)
        os.chmod(path, mode)
        if os.geteuid() == 0:
            os.chown(path, *[self.uid if owner is None else owner] * 2)
        return path

    def command(self, code, *arguments, log=None, preload=None):
        env = {"LD_PRELOAD": preload or library(), "TMPDIR": self.tmp, "LC_ALL": "C",
               **self.settings}
        if log:
            env["SHMEMU_LOG"] = log
        host = ["dev-shm", "fuse"] if self.uid == 0 else ["lambda"]
        return [SHMEMU, "without", *host, "--", "env", "-i", "PATH=/usr/bin:/bin",
                *[f"{name}={value}" for name, value in env.items()],
                "/usr/bin/python3", "-c", code, *arguments]

    def run(self, code, *arguments, **options):
        """Runs it, in the middle of nowhere; it must end in time, and not by a signal."""
        done = subprocess.run(self.command(code, *arguments, **options), capture_output=True,
                              text=True, timeout=PATIENCE, cwd="/", stdin=subprocess.DEVNULL)
        assert done.returncode == 0, f"status {done.returncode}: {done.stdout}{done.stderr}"
        return done

    def check(self, outcome, words, calls=CALLS, name="/errors", **options):
        """Each call fails so, says why in one line that has these words, and only when asked.
        `outcome`: of all, or by call, and then those are the calls."""
        calls = tuple(outcome) if isinstance(outcome, dict) else calls
        for call in calls:
            wanted = outcome[call] if isinstance(outcome, dict) else outcome
            done = self.run(ONE_CALL, call, name, log="error", **options)
            told = done.stdout + done.stderr
            assert done.stdout == f"{wanted} 0\n", f"{call}: {wanted} 0, not {told}"
            lines = done.stderr.splitlines()
            assert len(lines) == 1 and LINE.match(lines[0]), f"{call}: one line, not: {done.stderr}"
            for word in [words] if isinstance(words, str) else words:
                assert word in lines[0], f"{call}: no '{word}' in: {lines[0]}"
        done = self.run(ONE_CALL, calls[0], name, **options)
        assert done.stderr == "", f"unasked: {done.stderr}"

    def daemons(self):
        """Returns the pids of those that serve folders in here."""
        found = []
        for path in glob.glob("/proc/[0-9]*/cmdline"):
            with contextlib.suppress(OSError), open(path, "rb") as file:
                words = file.read().split(b"\0")
                if any(word.startswith(b"--worker=") for word in words):
                    continue
                if any(word.startswith(f"--dir={self.top}/".encode()) for word in words):
                    found.append(int(path.split("/")[2]))
        return found


def until(condition, what, patience=PATIENCE):
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.02)


HEADER = struct.Struct("=IHH")
SERIAL_IN_REPLY = 24


def reply(op, version=ASKED, result=0):
    return struct.pack("=IHHi", MAGIC, version, op, result).ljust(REPLY.size, b"\0")


class FakeDaemon(threading.Thread):
    """Answers each request with what answer(request's operation) returns: bytes, and files that go
    with them; None: no answer."""

    def __init__(self, folder, answer, accepts=True, backlog=100):
        super().__init__(daemon=True)
        self.answer, self.accepts = answer, accepts
        self.accepted = 0
        self.open = []
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        path = os.path.join(folder, "socket")
        self.listener.bind(path)
        os.chmod(path, 0o777)
        self.listener.listen(backlog)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *ignored):
        self.accepts = False
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.join()
        for sock in self.open:
            sock.close()

    def run(self):
        while self.accepts:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.accepted += 1
            self.open.append(sock)
            threading.Thread(target=self.serve, args=[sock], daemon=True).start()

    def serve(self, sock):
        with contextlib.suppress(OSError):
            while self.answer:
                request = sock.recv(4096)
                if not request:
                    break
                answered = self.answer(HEADER.unpack_from(request)[2])
                if answered is None:
                    continue
                data, files = answered
                if len(data) >= REPLY.size:
                    data = data[:SERIAL_IN_REPLY] + request[16:24] + data[SERIAL_IN_REPLY + 8:]
                rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", files))]
                sock.sendmsg([data], rights if files else [])
            sock.close()
