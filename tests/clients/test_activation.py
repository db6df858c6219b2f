#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A socket that others listen on for the daemon: TAP on standard output.

Aim: started as systemd starts it, by the first program that asks, shmfs serves the socket that it is passed, keeps it over its
workers, leaves it when it ends, and refuses one that it can't serve. Method: an activator of our own listens, waits for a program
to connect, and starts the command line that the installed units have; once it is systemd's own program. As the user that runs the
test, and by root's daemon for an ordinary user too. Needs SHMEMU_PREFIX as the other tests.
"""

import contextlib
import glob
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
from client_tap import Skip, Tap
from client_wire import Daemon
from client_world import NOBODY, PATIENCE, PREFIX, PYTHON, SHMEMU, SHMFS, is_root, library, until

# Makes a segment, and tells whose it is.
CLIENT = """
import _posixshmem, os, sys
fd = _posixshmem.shm_open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o600)
os.ftruncate(fd, 4096)
print(os.fstat(fd).st_uid)
"""
BOUND = "one Unix socket of type SOCK_SEQPACKET"


def unit(name, kind="system"):
    with open(os.path.join(PREFIX, "lib/systemd", kind, name)) as file:
        return file.read()


def words_of(kind, option, top):
    """A command of the installed service, with `top` for the folder of what runs."""
    found = re.search(rf"^{option}=(.*)$", unit("shmfs.service", kind), re.M)[1]
    return found.replace("$SHMFS_OPTIONS", "").replace("%t", top).replace("/usr/bin", os.path.join(PREFIX, "bin")).split()


def without(*names):
    return {name: text for name, text in os.environ.items() if not name.startswith(("LISTEN_", "SHMEMU_DIR", "LD_PRELOAD", *names))}


class Activator:
    """Listens where programs look for a daemon, as systemd does for a socket unit."""

    def __init__(self):
        self.top = tempfile.mkdtemp(prefix="shmemu-activation-")
        self.folder = os.path.join(self.top, "shmemu")
        self.path = os.path.join(self.folder, "socket")
        self.daemon = None
        os.chmod(self.top, 0o755)
        os.mkdir(self.folder)
        os.chmod(self.folder, 0o755)

    def listen(self, kind=socket.SOCK_SEQPACKET, path=None):
        self.sock = socket.socket(socket.AF_UNIX, kind)
        self.sock.bind(path or self.path)
        os.chmod(path or self.path, 0o666)
        self.sock.listen()

    def asked(self):
        """Waits for a program to connect."""
        assert select.select([self.sock], [], [], PATIENCE)[0], "nobody has connected"

    def start(self, *words, count=1, pid="$$", sock=None):
        script = f'export LISTEN_PID={pid} LISTEN_FDS={count} LISTEN_FDNAMES=shmfs.socket; exec "$@" 3<&"$PASSED" 4<&"$PASSED"'
        fd = (sock or self.sock).fileno()
        self.daemon = subprocess.Popen(["bash", "-c", script, "activator", *words], pass_fds=[fd], stdin=subprocess.DEVNULL,
                                       stderr=subprocess.PIPE, text=True, env={**without(), "PASSED": str(fd)})

    def client(self, name, uid=None):
        user = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"] if uid else []
        return subprocess.Popen([*user, "env", "LD_PRELOAD=" + library(), PYTHON, "-c", CLIENT, name], text=True,
                                env={**without(), "SHMEMU_DIR": self.folder}, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def use(self, name, uid=None):
        check(self.client(name, uid), uid)

    def status(self):
        with contextlib.closing(Daemon(self.folder)) as daemon:
            return daemon.status()

    def names(self):
        with contextlib.closing(Daemon(self.folder)) as daemon:
            return set(daemon.list())

    def ended(self):
        _, said = self.daemon.communicate(timeout=PATIENCE)
        status, self.daemon = self.daemon.returncode, None
        return status, said

    def end(self):
        self.daemon.terminate()
        assert self.ended() == (0, "")

    def remove(self):
        if self.daemon and self.daemon.poll() is None:
            self.daemon.kill()
            self.daemon.communicate()
        shutil.rmtree(self.top)


@contextlib.contextmanager
def activator():
    it = Activator()
    try:
        yield it
    finally:
        it.remove()


def check(client, uid=None):
    out, err = client.communicate(timeout=PATIENCE)
    assert (out, err) == (f"{os.geteuid() if uid is None else uid}\n", ""), (out, err)


def served_from_the_first_connection(kind):
    """Who has connected before the daemon is there is known to it too."""
    with activator() as a:
        a.listen()
        clients = {uid: a.client(f"/of-{uid}", uid) for uid in ([None, NOBODY] if is_root() else [None])}
        a.asked()
        a.start(*words_of(kind, "ExecStart", a.top))
        for uid, client in clients.items():
            check(client, uid)
        assert a.names() == {f"of-{uid}" for uid in clients}, a.names()
        with open(f"/proc/{a.status().pid}/environ") as environment:
            assert "LISTEN_" not in environment.read()
        done = subprocess.run(words_of(kind, "ExecReload", a.top), capture_output=True, text=True, timeout=PATIENCE, env=without())
        assert done.returncode == 0 and done.stdout.startswith("upgraded"), done
        a.end()


def left_when_the_daemon_ends():
    """By itself, and by a signal; the next connection is the next daemon's."""
    with activator() as a:
        a.listen()
        there = os.stat(a.path).st_ino
        for options in (["--idle-exit=1"], []):
            a.start(SHMFS, "--foreground", "--no-mount", "--dir=" + a.folder, *options)
            if options:
                subprocess.run([SHMEMU, "limit", "--dir=" + a.folder], check=True, stdout=subprocess.DEVNULL, timeout=PATIENCE)
                assert a.ended() == (0, "")
            else:
                a.use("/next")
                a.end()
            assert os.stat(a.path).st_ino == there


def kept_over_workers():
    with activator() as a:
        a.listen()
        there = os.stat(a.path).st_ino
        a.start(SHMFS, "--foreground", "--no-mount", "--dir=" + a.folder)
        a.use("/first")
        killed = a.status().pid
        os.kill(killed, signal.SIGKILL)
        a.use("/second")
        replaced = a.status().pid
        assert replaced != killed
        os.kill(a.daemon.pid, signal.SIGHUP)
        until(lambda: a.status().pid != replaced, "another worker serves")
        a.use("/third")
        assert a.names() == {"first", "second", "third"} and os.stat(a.path).st_ino == there
        a.end()


def served_in_the_background():
    """LISTEN_PID is of the process that forks."""
    with activator() as a:
        a.listen()
        a.start(SHMFS, "--no-mount", "--dir=" + a.folder)
        assert a.ended() == (0, "")
        a.use("/segment")
        keeper = a.status().keeper
        os.kill(keeper, signal.SIGTERM)
        until(lambda: not os.path.exists(f"/proc/{keeper}"), "the daemon ends")
        assert os.path.exists(a.path)


def what_is_for_others_is_left_alone():
    with activator() as a:
        a.listen()
        there = os.stat(a.path).st_ino
        a.start(SHMFS, "--foreground", "--no-mount", "--dir=" + a.folder, pid="1")
        until(lambda: os.path.exists(a.path) and os.stat(a.path).st_ino != there, "it listens itself")
        a.use("/segment")
        a.end()
        assert not os.path.exists(a.path)


def refused(a, *words, **how):
    a.start(SHMFS, "--foreground", "--no-mount", "--dir=" + a.folder, **how)
    status, said = a.ended()
    assert status == 1 and re.fullmatch(r"shmfs: [^\n]+\n", said) and all(word in said for word in words), (status, said)


def what_it_cannot_serve_is_refused():
    with activator() as a, open("/dev/null") as null, socket.socket() as internet:
        internet.listen()
        refused(a, BOUND, sock=null)
        refused(a, BOUND, sock=internet)
        a.listen(kind=socket.SOCK_STREAM)
        refused(a, BOUND)
        os.unlink(a.path)
        unheard = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        unheard.bind(a.path)
        refused(a, BOUND, sock=unheard)
        os.unlink(a.path)
        a.listen(path=os.path.join(a.top, "elsewhere"))
        refused(a, a.path)
        a.listen()
        refused(a, BOUND, count=2)


def systemds_own_program():
    program = shutil.which("systemd-socket-activate")
    if not program:
        raise Skip("there is no systemd-socket-activate on this host")
    with activator() as a:
        a.daemon = subprocess.Popen([program, "--seqpacket", "--listen=" + a.path, SHMFS, "--foreground", "--no-mount",
                                     "--dir=" + a.folder], stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
                                    env=without())
        until(lambda: os.path.exists(a.path), "systemd-socket-activate listens")
        a.use("/segment")
        assert a.status().keeper == a.daemon.pid
        a.daemon.terminate()
        assert a.ended()[0] == 0 and os.path.exists(a.path)


def units_are_sound(kind):
    """%t is /run, or the user's XDG_RUNTIME_DIR: below are the folders of base/place.c."""
    assert "ListenSequentialPacket=%t/shmemu/socket\n" in unit("shmfs.socket", kind)
    if not shutil.which("systemd-analyze"):
        raise Skip("there is no systemd-analyze on this host")
    with tempfile.TemporaryDirectory(prefix="shmemu-activation-") as top:
        for path in glob.glob(os.path.join(PREFIX, "lib/systemd", kind, "*")):
            with open(os.path.join(top, os.path.basename(path)), "w") as file:
                file.write(unit(os.path.basename(path), kind).replace("/usr/bin", os.path.join(PREFIX, "bin")))
        done = subprocess.run(["systemd-analyze", "--" + kind, "verify", "--man=no", *glob.glob(top + "/*")], text=True,
                              capture_output=True, timeout=PATIENCE, env={**without(), "XDG_RUNTIME_DIR": top})
    assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), done


def main():
    tap = Tap()
    for kind in ("system", "user"):
        tap.run(f"the {kind}'s units are sound", units_are_sound, kind)
        tap.run(f"the {kind}'s daemon serves from the first connection", served_from_the_first_connection, kind)
    for case in (left_when_the_daemon_ends, kept_over_workers, served_in_the_background, what_is_for_others_is_left_alone,
                 what_it_cannot_serve_is_refused, systemds_own_program):
        tap.run(case.__name__.replace("_", " "), case)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
