# SPDX-License-Identifier: LGPL-2.1-or-later
"""The worlds of client_world.py for programs of System V IPC and message queues. `refused`, `root`
and `bare` have none of the kernel's: seccomp refuses it, so what answers there is our daemon.

| world   | the host's IPC       | library | user     |
|---------|----------------------|---------|----------|
| native  | a namespace of its own | no    | as asked |
| refused | refused, as on AWS Lambda | yes | ordinary |
| root    | refused; no /dev/shm | yes     | root     |
"""

import json
import os
import subprocess

import client_world
from client_world import SHMEMU, is_root, until

REFUSED = ("sysv", "mqueue")


class Native(client_world.Native):
    def enter(self):
        words = super().enter()
        return [words[0], "--ipc", *words[1:]]

    def objects(self):
        return None


class Refused(client_world.Lambda):
    name = "refused"

    def enter(self):
        return [SHMEMU, "without", "lambda", *REFUSED, "--"]

    def environment(self):
        # What they say is much, and nobody reads it.
        return {**super().environment(), "SHMEMU_LOG": "error"}

    def as_user(self):
        if self.uid == os.geteuid():
            return []
        return ["setpriv", f"--reuid={self.uid}", f"--regid={self.uid}", "--clear-groups"]

    def objects(self):
        """What the daemon has of System V and queues, as shmemu ls tells it."""
        done = subprocess.run([*self.as_user(), SHMEMU, "ls", "--json", "--dir=" + self.run_folder],
                              capture_output=True, text=True, check=True)
        rows = json.loads(done.stdout)["segments"] if done.stdout.strip() else []
        return [row for row in rows if row["kind"] in ("shm", "sem", "msg", "mq")]

    def check_empty(self):
        until(lambda: self.objects() == [], f"left in the store: {self.objects()}", 10)


class Root(Refused):
    name = "root"
    before_daemon = (SHMEMU, "without", "dev-shm", "fuse", "--")

    def __init__(self, uid=None):
        client_world.World.__init__(self, uid)

    def enter(self):
        return [SHMEMU, "without", "dev-shm", "fuse", *REFUSED, "--"]


def worlds():
    """Those that this user can have, native first."""
    return [Native, Refused] + ([Root] if is_root() else [])
