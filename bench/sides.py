# SPDX-License-Identifier: LGPL-2.1-or-later
"""The sides that a question may have, and the daemons behind them, which are started when first needed.

| side          | library | /dev/shm                                                                    |
|---------------|---------|-----------------------------------------------------------------------------|
| native        | no      | the host's own, or where that is too small a tmpfs in a mount namespace     |
| shmemu        | yes     | the socket door of a daemon as it is by default                             |
| memfd         | yes     | the socket door of a daemon whose memory comes from memfd_create            |
| small pages   | yes     | the socket door of a daemon without huge pages                              |
| emulated      | yes     | as shmemu; all shared mappings are emulated (SHMEMU_MMAP=emulate)           |
| mount         | no      | the FUSE door with passthrough                                              |
| mount+library | yes     | the same                                                                    |
| direct        | no      | the FUSE door without passthrough                                           |
| example ...   | no      | libfuse's examples: example.py                                              |
"""

import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import tempfile

import example
import host
from rounds import Skip

MAIN = ("--no-mount",)
DAEMONS = {
    "shmemu": MAIN,
    "memfd": (*MAIN, "--source=memfd"),
    "small pages": (*MAIN, "--huge=never"),
    "emulated": MAIN,
    "mount": ("--passthrough=require",),
    # Said once more: a daemon of its own. With the library nothing at the mount is kept for 10 s.
    "mount+library": ("--passthrough=require", "--harden=auto"),
    "direct": ("--passthrough=off",),
}
WITHOUT_LIBRARY = ("mount", "direct")
# "$@" goes on as the command. Mounted for it alone.
OWN_TMPFS = 'mount -t tmpfs -o size="$1",mode=1777 bench /dev/shm && shift && exec "$@"'
BOUND = 'mount --bind "$1" /dev/shm && shift && exec "$@"'


def is_private():
    return os.environ.get("SHMEMU_BENCH_PRIVATE") == str(os.getppid())


def be_private():
    """Goes on where root may mount and nobody else sees it, if there is such a place."""
    alone = ["unshare", "--mount", "--propagation=private"]
    if os.geteuid() == 0 and not is_private() and host.succeeds(*alone, "true"):
        os.environ["SHMEMU_BENCH_PRIVATE"] = str(os.getppid())
        os.execvp("unshare", [*alone, sys.executable, *sys.argv])


def mounting(script, what):
    user = [] if os.geteuid() == 0 else ["--user", "--map-current-user", "--keep-caps"]
    return ["unshare", *user, "--mount", "--propagation=private", "sh", "-c", script, "sh", what]


@dataclasses.dataclass
class Side:
    name: str
    library: str = ""
    settings: dict = dataclasses.field(default_factory=dict)
    prefix: list = dataclasses.field(default_factory=list)

    def environment(self, preload, quick):
        kept = {name: value for name, value in os.environ.items()
                if name != "LD_PRELOAD" and not name.startswith("SHMEMU_")}
        kept.update(SHMEMU_BENCH_SIDE=self.name, SHMEMU_BENCH_LIBRARY=self.library, **self.settings)
        if quick:
            kept["SHMEMU_BENCH_QUICK"] = "1"
        if self.library and preload:
            kept["LD_PRELOAD"] = self.library
        return kept


class Daemon:
    """A shmfs of ours, in the foreground, with a folder of its own."""

    def __init__(self, shmfs, options):
        self.options = options
        self.folder = tempfile.mkdtemp(prefix="shmemu-bench-")
        self.mountpoint = os.path.join(self.folder, "mnt")
        os.mkdir(self.mountpoint)
        if os.geteuid() == 0:
            os.chmod(self.folder, 0o755)  # a server may refuse to be root's
        ready, ended = os.pipe()
        where = [] if "--no-mount" in options else [self.mountpoint]
        self.process = subprocess.Popen(
            [shmfs, "--foreground", f"--ready-fd={ended}", f"--dir={self.folder}", *options, *where],
            pass_fds=(ended,), stdout=subprocess.DEVNULL, env=Side("daemon").environment(False, False))
        os.close(ended)
        if os.read(ready, 1) == b"":
            self.end()
            raise Skip(f"shmfs {' '.join(options)} did not start")
        os.close(ready)

    def end(self):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.folder)  # the mount is gone with shmfs


def check_may_mount():
    if not (is_private() and os.path.exists("/dev/fuse")):
        raise Skip("a mount takes root, who may mount, and /dev/fuse")


class Sides:
    def __init__(self, build):
        self.build = build
        self.tools = host.tools(build)
        # Where other users can read it too: what is built may lie where they can't.
        self.folder = tempfile.mkdtemp(prefix="shmemu-bench-")
        os.chmod(self.folder, 0o755)
        self.tools["library"] = shutil.copy(self.tools["library"], self.folder)
        self.daemons = {}
        self.examples = {}

    def __enter__(self):
        signal.signal(signal.SIGTERM, lambda *_: sys.exit("bench/run: terminated"))
        return self

    def __exit__(self, *_):
        for daemon in [*self.daemons.values(), *self.examples.values()]:
            daemon.end()
        shutil.rmtree(self.folder)

    def daemon(self, options):
        if options not in self.daemons:
            if "--no-mount" not in options:
                check_may_mount()
            self.daemons[options] = Daemon(self.tools["shmfs"], options)
        return self.daemons[options]

    def ours(self, name):
        if name == "small pages" and not host.has_option(self.tools["shmfs"], "--huge"):
            raise Skip("shmfs has no --huge")
        daemon = self.daemon(DAEMONS[name])
        side = Side(name, settings={"SHMEMU_DIR": daemon.folder})
        if name not in WITHOUT_LIBRARY:
            side.library = self.tools["library"]
        if name == "emulated":
            side.settings["SHMEMU_MMAP"] = "emulate"
        if "--no-mount" not in daemon.options:
            side.prefix = mounting(BOUND, daemon.mountpoint)
        return side

    def example(self, name):
        if name not in self.examples:
            check_may_mount()
            self.examples[name] = example.Example(self.build, *example.SIDES[name])
        return Side(name, prefix=mounting(BOUND, self.examples[name].mountpoint))

    def side(self, wanted, question):
        told = {"name": wanted} if isinstance(wanted, str) else wanted
        like = told.get("like", told["name"])
        if like in DAEMONS:
            side = self.ours(like)
        elif like in example.SIDES:
            side = self.example(like)
        else:
            side = Side(like)
            if question.shm > host.free_in("/dev/shm"):
                side.prefix = mounting(OWN_TMPFS, str(question.shm))
        return Side(told["name"], side.library, {**side.settings, **told.get("environment", {})},
                    [*side.prefix, *(self.tools.get(word, word) for word in told.get("prefix", []))])

    def facts(self, seconds):
        """Of a new daemon of each kind that there was: the tool's word of it, and what it does in so many
        seconds when nobody wants anything any more."""
        new = {}
        try:
            for options in self.daemons:
                new[options] = Daemon(self.tools["shmfs"], options)
            found = {options: host.road(self.tools["shmemu"], one.folder) for options, one in new.items()}
            idle = host.idle([one.process.pid for one in new.values()], seconds)
            return {" ".join(options): {**found[options], **told} for options, told in zip(new, idle)}
        finally:
            for daemon in new.values():
                daemon.end()
