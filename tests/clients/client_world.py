# SPDX-License-Identifier: LGPL-2.1-or-later
"""The hosts that real clients run on, each with a shared memory of its own, and what shows that a
client used it.

| world  | /dev/shm        | library | user     | segments are looked for                         |
|--------|-----------------|---------|----------|-------------------------------------------------|
| native | a fresh tmpfs   | no      | as asked | there                                           |
| lambda | none, no FUSE   | yes     | ordinary | in the daemon's list; the library's own trace   |
| mount  | none            | yes     | root     | under shmfs's mountpoint; the library's trace   |
| plain  | shmfs's mount   | no      | root     | there                                           |

private() first: what is mounted here is seen by nobody else.
"""

import contextlib
import errno
import glob
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

from client_tap import Skip
from client_wire import Daemon

PREFIX = os.environ.get("SHMEMU_PREFIX", "")
VENV = os.environ.get("SHMEMU_VENV", "")
SHMEMU = os.path.join(PREFIX, "bin/shmemu")
SHMFS = os.path.join(PREFIX, "bin/shmfs")
PYTHON = "/usr/bin/python3"
VENV_PYTHON = os.path.join(VENV, "bin/python")
NOBODY = 65534
PATIENCE = 60
TRACED = re.compile(r'^shmemu\[\d+\]: (shm|sem)_open\("/*([^"]*)", .*\) = (?!-1 )\d+$', re.M)


def is_root():
    return os.geteuid() == 0


def private(*more):
    """Goes on in a mount namespace of its own, where this process may mount; `more` as unshare(1) has them."""
    if os.environ.get("SHMEMU_TEST_PRIVATE") == str(os.getppid()):
        return
    os.environ["SHMEMU_TEST_PRIVATE"] = str(os.getppid())
    user = [] if is_root() else ["--user", "--map-current-user", "--keep-caps"]
    os.execvp("unshare", ["unshare", *user, "--mount", "--propagation=private", *more,
                          sys.executable, *sys.argv])


def library():
    found = glob.glob(os.path.join(PREFIX, "lib*", "**", "libshmemu.so"), recursive=True)
    assert len(found) == 1, f"under {PREFIX}: {found}"
    return found[0]


def until(condition, what, patience=PATIENCE):
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.01)


def settled(measure, seconds=0.3):
    """What it measures when that has not changed for so long: the keeper hears of things a moment
    later, and other threads close what is to be closed."""
    value, since = measure(), time.monotonic()
    while time.monotonic() - since < seconds:
        time.sleep(0.02)
        now = measure()
        if now != value:
            value, since = now, time.monotonic()
    return value


def variant(name):
    """A daemon that was built for tests."""
    path = os.path.join(os.environ.get("SHMEMU_PROBES", ""), "shmfs-" + name)
    if not os.path.exists(path):
        raise Skip(f"there is no shmfs-{name}: run scripts/test")
    return path


class Done:
    """How a command ended, and what showed of it in the world meanwhile."""

    def __init__(self, status, out, err, seconds):
        self.status, self.out, self.err, self.seconds = status, out, err, seconds
        self.seen = {}    # greatest size of each file that was seen in the store, by name
        self.trace = ""   # what the library said
        self.traced = []  # files that it says it opened by shm_open and sem_open, in the store's names
        self.requests = 0

    def __str__(self):
        said = self.out[-1500:], self.err[-1500:], self.trace[-1500:]
        return "\n".join([f"status {self.status}", *filter(None, said)])


class Watch(threading.Thread):
    """Looks again and again what a world holds."""

    def __init__(self, world, interval):
        super().__init__(daemon=True)
        self.world, self.interval = world, interval
        self.seen = {}
        self.over = threading.Event()

    def run(self):
        while not self.over.wait(self.interval):
            for name, size in self.world.files().items():
                self.seen[name] = max(size, self.seen.get(name, 0))

    def end(self):
        self.over.set()
        self.join()
        return self.seen


class World:
    """A folder of its own for all that a client writes; `uid` is whom it runs as."""

    name = None
    with_library = False

    def __init__(self, uid=None):
        self.uid = os.geteuid() if uid is None else uid
        self.top = tempfile.mkdtemp(prefix="shmemu-client-")
        os.chmod(self.top, 0o755)
        self.home = self.folder("home", 0o700)
        self.log = os.path.join(self.home, "trace")

    def folder(self, name, mode):
        path = os.path.join(self.top, name)
        os.mkdir(path)
        os.chmod(path, mode)
        os.chown(path, self.uid, self.uid if is_root() else -1)
        return path

    def start(self):
        pass

    def end(self):
        pass

    def remove(self):
        shutil.rmtree(self.top, ignore_errors=True)

    def files(self):
        """Returns the sizes of all files in the store, by name."""
        sizes = {}
        for entry in os.scandir(self.store):
            try:
                sizes[entry.name] = entry.stat().st_size
            except OSError as error:
                # By the socket door names go, and come back, behind the kernel's back.
                assert error.errno in (errno.ENOENT, errno.ESTALE), error
        return sizes

    def requests(self):
        return 0

    def enter(self):
        """Returns the words that come before a command."""
        raise NotImplementedError

    def environment(self):
        return {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": self.home,
                "TMPDIR": self.home, "PYTHONDONTWRITEBYTECODE": "1"}

    def install(self, path, text=None):
        """Copies a program to where the client can read it; returns that path."""
        to = os.path.join(self.home, os.path.basename(path))
        if text is None:
            shutil.copyfile(path, to)
        else:
            with open(to, "w") as file:
                file.write(text)
        os.chmod(to, 0o755)
        return to

    def popen(self, *words, enter=True, preload=None, env=(), **options):
        """Starts a command in this world; not `enter`: where we are, with the environment only."""
        preloaded = enter and (self.with_library if preload is None else preload)
        inside = ["env", "LD_PRELOAD=" + library()] if preloaded else []
        environment = {**self.environment(), **dict(env)}
        options.setdefault("cwd", self.home)
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("stderr", subprocess.PIPE)
        return subprocess.Popen([*(self.enter() if enter else []), *inside, *words], text=True,
                                env={k: v for k, v in environment.items() if v is not None},
                                start_new_session=True, **options)

    def run(self, *words, patience=PATIENCE, interval=0.005, input=None, **options):
        """Runs a command to its end."""
        requests = self.requests()
        if input is not None:
            options["stdin"] = subprocess.PIPE
        watch = Watch(self, interval)
        watch.start()
        began = time.monotonic()
        process = self.popen(*words, **options)
        try:
            out, err = process.communicate(input, timeout=patience)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, err = process.communicate()
            err += f"\n(killed after {patience} s)"
        finally:
            seen = watch.end()
        done = Done(process.returncode, out, err, time.monotonic() - began)
        done.seen = seen
        done.requests = self.requests() - requests
        done.trace = self.take_trace()
        done.traced = [("sem." if kind == "sem" else "") + name
                       for kind, name in TRACED.findall(done.trace)]
        return done

    def take_trace(self):
        if not os.path.exists(self.log):
            return ""
        with open(self.log, errors="replace") as file:
            text = file.read()
        os.unlink(self.log)
        return text

    def check_used(self, done):
        """That the client used the store, and that the library was the way there."""
        assert done.seen, f"nothing was seen in the store\n{done}"
        if self.with_library:
            assert done.traced, f"the library opened nothing\n{done}"
            strange = set(done.seen) - set(done.traced)
            assert not strange, f"in the store, but not from the library: {strange}"
            # A name may be opened again without asking.
            assert done.requests >= len(set(done.traced)), f"{done.requests} requests"


class Native(World):
    name = "native"

    def start(self):
        self.store = self.folder("shm", 0o755)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=1777", "tmpfs", self.store], check=True)

    def end(self):
        subprocess.run(["umount", "--lazy", self.store], check=True)

    def enter(self):
        words = ["unshare", "--mount", "--propagation=private", "sh", "-c",
                 'mount --bind "$0" /dev/shm && exec "$@"', self.store]
        if self.uid != os.geteuid():
            words += ["setpriv", f"--reuid={self.uid}", f"--regid={self.uid}", "--clear-groups"]
        elif not is_root():
            words += ["setpriv", "--inh-caps=-all", "--ambient-caps=-all"]
        return words


class Served(World):
    """With a daemon of its own."""

    def serve(self, *words, **options):
        ready, signalled = os.pipe()
        self.program = variant(self.built) if self.built else SHMFS
        if self.copied:
            self.program = shutil.copy(self.program, self.folder("bin", 0o755))
        self.run_folder = self.folder("run", 0o755 if self.uid == 0 else 0o700)
        self.errors = open(os.path.join(self.top, "daemon"), "w+")
        self.process = subprocess.Popen(
            [*self.before_daemon, self.program, "--foreground", f"--ready-fd={signalled}", *words],
            pass_fds=[signalled], stdin=subprocess.DEVNULL, stderr=self.errors,
            env={**World.environment(self), "SHMEMU_DIR": self.run_folder,
                 **self.program_environment()})
        os.close(signalled)
        with os.fdopen(ready, "rb") as pipe:
            assert len(pipe.read(1)) == 1, f"shmfs is not ready: {self.said()}"
        self.daemon = Daemon(self.run_folder)
        self.lister = Daemon(self.run_folder)  # for a Watch, which is a thread of its own
        status = self.daemon.status()
        self.pid = status.pid
        assert status.keeper == self.process.pid, "another daemon answers"

    def program_environment(self):
        return {}

    options = ()  # of the daemon's, more
    before_daemon = ()
    built = None  # another daemon than the installed: see variant
    copied = False  # the daemon's program is its own, to be replaced

    def end(self):
        self.daemon.close()
        self.lister.close()
        self.process.terminate()
        try:
            status = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        said = self.said()
        self.errors.close()
        assert (status, said) == (0, ""), f"shmfs ended with status {status} and said: {said}"

    def said(self):
        self.errors.seek(0)
        return self.errors.read()

    def fds(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def files(self):
        return self.lister.list()

    def requests(self):
        """Returns how many the daemon answered but ours."""
        return self.daemon.status().requests - self.daemon.asked - self.lister.asked

    def environment(self):
        return {**super().environment(), "SHMEMU_DIR": self.run_folder,
                "SHMEMU_LOG": "trace:" + self.log}


def of_another(kind, name):
    """That world with another daemon."""
    return type(kind.__name__, (kind,), {"built": name})


class Lambda(Served):
    name = "lambda"
    with_library = True
    before_daemon = (SHMEMU, "without", "lambda", "--")

    def __init__(self, uid=None):
        super().__init__(NOBODY if is_root() else None)

    def start(self):
        self.serve("--no-mount", *self.options)

    def enter(self):
        return [SHMEMU, "without", "lambda", "--"]


class Mount(Served):
    name = "mount"
    with_library = True
    passthrough = "require"
    files = World.files

    def start(self):
        self.store = self.folder("mount", 0o755)
        self.serve("--passthrough=" + self.passthrough, *self.options, self.store)

    def enter(self):
        return [SHMEMU, "without", "dev-shm", "fuse", "--"]


class Passthrough(Mount):
    name = "passthrough"


class Direct(Mount):
    """The kernel asks the daemon for every byte."""

    name = "direct"
    passthrough = "off"


class Plain(Mount):
    name = "plain"
    with_library = False
    enter = Native.enter


def worlds():
    """Those that this user can have, native first."""
    return [Native, Lambda] + ([Mount, Plain] if is_root() and os.path.exists("/dev/fuse") else [])


@contextlib.contextmanager
def world(kind, uid=None):
    a_world = kind(uid)
    try:
        a_world.start()
        try:
            yield a_world
        finally:
            a_world.end()
    finally:
        a_world.remove()
