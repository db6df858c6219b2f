# SPDX-License-Identifier: LGPL-2.1-or-later
"""libfuse's own examples of a filesystem that passes through to another: passthrough_ll, and passthrough_hp.

They are not ours to distribute (GPL). The source of passthrough_ll is that of the libfuse installed, from Debian's libfuse3-dev or
else its source package. passthrough_hp has the kernel pass reads and writes through, as shmfs has, from libfuse 3.17 on, and needs a
libfuse as new: both are from the source package of the first Debian that has it, which apt-get fetches to a folder of its own.
They are built when they are first wanted. What they pass through to is a tmpfs. As they are by default they have threads, and the kernel
keeps names, attributes and contents for a second. By passthrough_ll modes are judged by nobody, by passthrough_hp by the kernel,
as at a mount of shmfs, but only its own user may use it.
"""

import glob
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
import time

import host
from rounds import Skip

INSTALLED = "/usr/share/doc/libfuse3-dev/examples"
# The program, and its options.
SIDES = {
    "example": ("ll",),
    "example modes": ("ll", "-o", "default_permissions,allow_other"),
    "example uncached": ("ll", "-o", "cache=never"),
    "example -s": ("ll", "-s"),
    "example hp": ("hp",),
}
PATIENCE = 10
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
RELEASE = "trixie"


def source(folder):
    if os.path.exists(os.path.join(INSTALLED, "passthrough_ll.c")):
        return INSTALLED
    host.succeeds("sh", "-c", 'cd "$1" && apt-get source --only-source fuse3', "sh", folder)
    found = glob.glob(os.path.join(folder, "fuse3-*/example/passthrough_ll.c"))
    if not found:
        raise Skip("no source of libfuse's example: neither libfuse3-dev has it nor apt-get source")
    return os.path.dirname(found[0])


def build_ll(folder, program):
    flags = shlex.split(host.output("pkg-config", "--cflags", "--libs", "fuse3"))
    if not host.succeeds("cc", "-O2", "-o", program, os.path.join(source(folder), "passthrough_ll.c"), *flags):
        raise Skip("libfuse's example can't be built")


def mirror():
    """Where this host has Debian from."""
    for line in host.output("apt-get", "indextargets", "--format", "$(LABEL) $(SITE)").splitlines():
        label, _, site = line.partition(" ")
        if label == "Debian":
            return site
    raise Skip("no source of passthrough_hp: apt-get has no Debian to fetch from")


def new_source(folder):
    """Fetches libfuse's, whatever release this is: apt-get has lists, and all else, of its own for that."""
    debian = mirror()
    apt = os.path.join(folder, "apt")
    for one in "lists/partial", "cache/archives/partial":
        os.makedirs(os.path.join(apt, one), exist_ok=True)
    with open(os.path.join(apt, "sources.list"), "w", encoding="utf-8") as file:
        file.write(f"deb-src [signed-by={KEYRING}] {debian} {RELEASE} main\n")
    settings = {"Dir::Etc::SourceList": f"{apt}/sources.list", "Dir::Etc::SourceParts": "/dev/null",
                "Dir::State::Lists": f"{apt}/lists", "Dir::Cache": f"{apt}/cache", "APT::Sandbox::User": "root",
                "APT::Update::Error-Mode": "any", "Acquire::Retries": "0", "Acquire::http::Timeout": "20"}
    command = ["apt-get", *(word for name, value in settings.items() for word in ("-o", f"{name}={value}"))]
    if not host.succeeds(*command, "update"):
        raise Skip(f"no source of passthrough_hp: apt-get can't reach {debian}")
    host.succeeds("sh", "-c", 'cd "$1" && shift && exec "$@"', "sh", folder, *command, "source", "--only-source", "fuse3")
    found = glob.glob(os.path.join(folder, "fuse3-3.*/example/passthrough_hp.cc"))
    if not found:
        raise Skip("no source of passthrough_hp: apt-get source fetches none, or there is no dpkg-dev to unpack it")
    return os.path.dirname(os.path.dirname(found[0]))


def build_hp(folder, program):
    lacking = [tool for tool in ("apt-get", "c++", "meson", "ninja") if not shutil.which(tool)]
    if lacking:
        raise Skip(f"passthrough_hp takes {', '.join(lacking)}: scripts/setup --bench")
    with tempfile.TemporaryDirectory(prefix="shmemu-bench-", dir=folder) as place:
        made = os.path.join(place, "build")
        if not (host.succeeds("meson", "setup", made, new_source(place), "--buildtype=release", "-Dexamples=true",
                              "-Dtests=false", "-Dutils=false", "-Duseroot=false", "-Ddefault_library=static") and
                host.succeeds("ninja", "-C", made, "example/passthrough_hp")):
            raise Skip("passthrough_hp can't be built")
        shutil.move(os.path.join(made, "example/passthrough_hp"), program)


BUILD = {"ll": build_ll, "hp": build_hp}
refused = {}


def built(build, which):
    """Builds an example, and returns it. What can't be built is not tried again."""
    folder = os.path.join(os.path.abspath(build), "fuse-example")
    program = os.path.join(folder, f"passthrough_{which}")
    if which in refused:
        raise refused[which]
    if not os.path.exists(program):
        os.makedirs(folder, exist_ok=True)
        try:
            BUILD[which](folder, program)
        except Skip as skip:
            refused[which] = skip
            raise
    return program


def command(program, which, options, filled, mountpoint):
    if which == "hp":
        return [program, "--foreground", *options, filled, mountpoint]
    return [program, "-f", "-o", f"source={filled}", *options, mountpoint]


class Example:
    """One of them, in the foreground, with a tmpfs and a mountpoint of its own. Only where nobody else sees mounts."""

    def __init__(self, build, which, *options):
        program = built(build, which)
        self.folder = tempfile.mkdtemp(prefix="shmemu-bench-")
        self.source = os.path.join(self.folder, "source")
        self.mountpoint = os.path.join(self.folder, "mnt")
        os.mkdir(self.source)
        os.mkdir(self.mountpoint)
        subprocess.run(["mount", "-t", "tmpfs", "bench", self.source], check=True)
        self.process = subprocess.Popen(command(program, which, options, self.source, self.mountpoint),
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        before = os.stat(self.folder).st_dev
        deadline = time.monotonic() + PATIENCE
        while os.stat(self.mountpoint).st_dev == before:
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.end()
                raise Skip("libfuse's example did not start")
            time.sleep(0.01)

    def end(self):
        self.process.send_signal(signal.SIGTERM)  # it unmounts
        self.process.wait()
        subprocess.run(["umount", self.source], check=True)
        shutil.rmtree(self.folder)
