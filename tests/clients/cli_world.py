# SPDX-License-Identifier: LGPL-2.1-or-later
"""Cases of the tests of shmemu, the command, and what they have in common."""

import contextlib
import glob
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

PREFIX = os.environ.get("SHMEMU_PREFIX", "")
SHMEMU = os.path.join(PREFIX, "bin/shmemu")
PYTHON = "/usr/bin/python3"
NOBODY = 65534
PATIENCE = 30
PROBE = f"shmemu-cli-{os.getpid()}"

cases = []


class Skip(Exception):
    """The host cannot run this case."""


def case(root_only=False):
    def add(function):
        cases.append((function, root_only))
        return function
    return add


def is_root():
    return os.geteuid() == 0


def equal(found, wanted):
    assert found == wanted, f"found {found!r}, not {wanted!r}"


def run(*command, **options):
    options.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, **options)


def until(condition, what):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.01)


@contextlib.contextmanager
def folder():
    """A TMPDIR that must be without private folders in the end."""
    path = tempfile.mkdtemp(prefix="shmemu-cli-")
    os.chmod(path, 0o755)
    try:
        yield path
        equal(glob.glob(os.path.join(path, "shmemu-run-*")), [])
    finally:
        shutil.rmtree(path, ignore_errors=True)


def status_of(pid="self"):
    with open(f"/proc/{pid}/status") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


def capabilities():
    return {k: int(v, 16) for k, v in status_of().items() if k.startswith("Cap")}


def host():
    """What must be as before: mounts, and what is in the real /dev and /dev/shm."""
    with open("/proc/self/mountinfo") as file:
        mounts = [line for line in file if line.split()[4].startswith("/dev")]
    shm = os.stat("/dev/shm") if os.path.exists("/dev/shm") else None
    return {"mounts": mounts, "entries": sorted(os.listdir("/dev")),
            "shm": shm and (shm.st_dev, shm.st_ino, shm.st_mode),
            "touched": os.path.lexists("/dev/shm/" + PROBE)}


def check_refusal(done, status):
    equal((done.returncode, done.stdout), (status, ""))
    assert re.fullmatch(r"shmemu: [^\n]+\n", done.stderr), done.stderr


def check_statuses(*words):
    equal(run(SHMEMU, *words, "sh", "-c", "exit 7").returncode, 7)
    for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV):
        equal(run(SHMEMU, *words, "sh", "-c", f"kill -{int(number)} $$").returncode, -number)
    check_refusal(run(SHMEMU, *words, "/nonexistent/command"), 127)
    check_refusal(run(SHMEMU, *words, "/etc/passwd"), 126)
