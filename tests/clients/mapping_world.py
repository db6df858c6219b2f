# SPDX-License-Identifier: LGPL-2.1-or-later
"""Hosts that lack memory mapping, one call or all, with nothing of shmemu there beforehand: what needs
a daemon has the library start one, under the same deprivation.

What shows that a mapping was emulated are the lines `view(...)` of the library's trace. hide_shm()
first: no client reaches the host's own /dev/shm.
"""

import os
import re
import signal
import subprocess

import client_world
from client_wire import Daemon
from client_world import NOBODY, SHMEMU, World, is_root, until

VIEW = re.compile(r"^shmemu\[\d+\]: view\(", re.M)
WORDS = ("mmap-shared", "mmap-file", "mmap-shared-anonymous", "msync", "mremap", "madvise", "mprotect",
         "munmap", "ftruncate", "fallocate", "memfd_create")


def hide_shm():
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=1777", "tmpfs", "/dev/shm"], check=True)


class Host(World):
    """Without what `words` say; an ordinary user's."""

    words = ()
    more = {}  # of the environment
    with_library = True

    def __init__(self, uid=None):
        super().__init__(NOBODY if is_root() else None)

    def enter(self):
        words = self.words if "nanvix" in self.words else ("root", *self.words)
        return [SHMEMU, "without", *words, "--"]

    def files(self):
        return {}

    def environment(self):
        return {**super().environment(), "SHMEMU_LOG": "trace:" + self.log, **self.more}

    def run(self, *words, **options):
        options.setdefault("interval", 1)
        done = super().run(*words, **options)
        done.views = len(VIEW.findall(done.trace))
        return done

    def end(self):
        """Ends the daemon that the library may have started."""
        folder = os.path.join(self.home, f"shmemu-{self.uid}")
        socket = os.path.join(folder, "socket")
        if not os.path.exists(socket):
            return
        daemon = Daemon(folder)
        os.kill(daemon.status().keeper, signal.SIGTERM)
        daemon.close()
        until(lambda: not os.path.exists(socket), "the daemon to end")


class Plain(Host):
    """Lacks nothing; without the library."""

    name = "native"
    with_library = False

    def enter(self):
        return [SHMEMU, "without", "root", "--"]


def host(*words, **more):
    """Makes such a world: it lacks the words, and its environment has more."""
    lacks = "without " + " ".join(words) if words else ""
    name = " ".join([lacks] * bool(words) + [f"{key}={value}" for key, value in more.items()])
    return type("Host_" + "_".join(words), (Host,), {"name": name, "words": words, "more": more})


class Nanvix(client_world.Lambda):
    """Like lambda, with a daemon that was there beforehand, so that one can see what is in its store;
    it too has started where all is lacking."""

    name = "nanvix"
    before_daemon = (SHMEMU, "without", "nanvix", "--")

    def enter(self):
        return [SHMEMU, "without", "nanvix", "--"]
