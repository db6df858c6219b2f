# SPDX-License-Identifier: LGPL-2.1-or-later
"""The worlds of client_world.py for programs that reach shared memory in ways of their own, and the
kernel's word on it: which files of the store their processes have mapped.

| world  | /dev/shm        | library | segments are looked for                                     |
|--------|-----------------|---------|-------------------------------------------------------------|
| docker | a 64 MiB tmpfs  | yes     | in the daemon's list; the library's own trace; all worlds:  |
| small  | none, no FUSE   | yes     | in /proc/PID/maps, by the store's st_dev                    |
| direct | none            | yes     |                                                             |

`small` has a store of 64 MiB, `direct` a mount without passthrough. The others are as in
client_world.py.
"""

import contextlib
import os
import re
import subprocess
import tempfile
import threading

import client_world
from client_wire import ENTRY, LIST
from client_world import NOBODY, PYTHON, SHMEMU, Served, is_root, until

PROGRAMS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "programs")
HOLD = ("from multiprocessing import shared_memory; "
        "sm = shared_memory.SharedMemory(create=True, size=1024); print(sm.name, flush=True); "
        "input(); sm.close(); sm.unlink()")


class Maps(threading.Thread):
    """Looks again and again which files of some devices new processes have mapped shared."""

    def __init__(self, devices, interval=0.02):
        super().__init__(daemon=True)
        numbers = "|".join(f"{os.major(device):02x}:{os.minor(device):02x}" for device in devices)
        self.pattern = re.compile(rf"^(\w+)-(\w+) ..[-x]s (\w+) ({numbers}) (\d+)".encode(), re.M)
        self.interval, self.over = interval, threading.Event()
        self.before = set(os.listdir("/proc"))
        self.found = {}  # of each file: how far it was mapped, and by which processes

    def look(self, pid):
        with open(f"/proc/{pid}/maps", "rb") as file:
            for start, end, offset, device, ino in self.pattern.findall(file.read()):
                extent, pids = self.found.get((device, ino), (0, set()))
                reach = int(end, 16) - int(start, 16) + int(offset, 16)
                self.found[device, ino] = max(extent, reach), pids | {pid}

    def run(self):
        while not self.over.wait(self.interval):
            for pid in set(os.listdir("/proc")) - self.before:
                # A process may go, or not be ours.
                with contextlib.suppress(OSError):
                    self.look(pid)

    def end(self):
        self.over.set()
        self.join()
        return self.found


def memfd_device():
    fd = os.memfd_create("device")
    try:
        return os.fstat(fd).st_dev
    finally:
        os.close(fd)


class Looked:
    """A world in which that is looked for. A client may drop its rights, and writes its trace still."""

    def start(self):
        self.log = os.path.join(self.folder("trace", 0o777), "log")
        super().start()
        try:
            self.devices = self.find_devices()
        except BaseException:
            self.end()
            raise

    def find_devices(self):
        """Returns the st_dev by which files of the store are mapped: the mount's, the files' own."""
        found = set()
        if hasattr(self, "store"):
            found.add(os.stat(self.store).st_dev)
        if isinstance(self, Served):
            with self.popen(PYTHON, "-c", HOLD, stdin=subprocess.PIPE) as process:
                name = process.stdout.readline()
                reply, rest = self.daemon.ask(LIST)
                found |= {entry[10] for entry in ENTRY.iter_unpack(rest[:reply[3] * ENTRY.size])}
                _, err = process.communicate("\n")
            assert name and process.returncode == 0, err
            until(lambda: self.files() == {}, "the store to be empty")
            self.take_trace()
        assert memfd_device() not in found, "the store's files are not to be told from others"
        return found

    def run(self, *words, **options):
        maps = Maps(self.devices)
        maps.start()
        try:
            done = super().run(*words, **options)
        finally:
            mapped = maps.end()
        done.mapped = mapped
        return done

    def ours(self, name):
        """Copies one of our programs to where the client can read it."""
        return self.install(os.path.join(PROGRAMS, name))

    def as_nobody(self):
        """Returns the words that come before a command that refuses to be root's, and a folder."""
        folder = self.folder("nobody", 0o700)
        if self.uid != 0:
            return [], folder
        os.chown(folder, NOBODY, NOBODY)
        return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"], folder


class Native(Looked, client_world.Native):
    pass


class Lambda(Looked, client_world.Lambda):
    pass


class Small(Lambda):
    name = "small"

    def serve(self, *words):
        super().serve("--size=64m", *words)


class DockerHost(Served):
    name = "docker"
    with_library = True
    before_daemon = (SHMEMU, "without", "docker-64m", "--")

    def start(self):
        self.serve("--no-mount")

    def enter(self):
        return [SHMEMU, "without", "docker-64m", "--"]


class Docker(Looked, DockerHost):
    pass


class Mount(Looked, client_world.Mount):
    pass


class Direct(Mount):
    name = "direct"
    passthrough = "off"


class Plain(Looked, client_world.Plain):
    pass


def worlds():
    """Those that this user can have, native first."""
    mounts = [Mount, Direct, Plain] if is_root() and os.path.exists("/dev/fuse") else []
    return [Native, Lambda, Docker] + mounts


def segments(done, least=0, processes=1):
    """Returns the sizes of the store's files that were mapped so far and by so many processes."""
    return sorted(extent for extent, pids in done.mapped.values()
                  if extent >= least and len(pids) >= processes)


def check_shared(w, done, name, least, processes=2, killed=False):
    """That files of the store were mapped that far and by so many processes, that the library was the
    way there, and opened one of that name; all, unless processes are killed before they say so.
    Returns what was seen, in words."""
    found = segments(done, least, processes)
    assert found, f"no {least} bytes of the store by {processes} processes: {done.mapped}\n{done}"
    if w.with_library:
        assert re.search(name, done.trace), f"the library opened no {name}\n{done}"
        # "?" is what is in a folder of others: this daemon does not take our root for its own.
        strange = {seen for seen in done.seen if seen.removeprefix("sem.") not in done.trace} - {"?"}
        assert not strange or killed, f"in the store, but not from the library: {strange}"
        assert done.requests > 0
    most = max(len(pids) for extent, pids in done.mapped.values() if extent >= least)
    return f"segments of the store: {len(found)} of up to {max(found) >> 10} kB, by {most} processes"


def check_unused(done):
    """That the client had nothing of the store."""
    assert not (done.seen or done.mapped or done.trace or done.requests), done


@contextlib.contextmanager
def built(compiler, *words):
    """Compiles one of our programs for all cases: a folder that every user can read."""
    with tempfile.TemporaryDirectory(prefix="shmemu-program-") as folder:
        os.chmod(folder, 0o755)
        program = os.path.join(folder, "program")
        done = subprocess.run([compiler, "-O2", "-o", program, *words], capture_output=True,
                              text=True, cwd=PROGRAMS)
        assert done.returncode == 0, f"{compiler}: is it there (scripts/setup --tests)? {done.stderr}"
        yield program

