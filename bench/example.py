# SPDX-License-Identifier: LGPL-2.1-or-later
"""libfuse's own example of a filesystem that passes through to another, passthrough_ll.

It is not ours to distribute (GPL): its source is that of the libfuse installed, from Debian's libfuse3-dev or else its source
package, and is built when it is first wanted. What it passes through to is a tmpfs. As it is by default it has threads, the
kernel keeps names, attributes and contents for a second, and modes are judged by nobody.
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
SIDES = {
    "example": (),
    "example modes": ("-o", "default_permissions,allow_other"),
    "example uncached": ("-o", "cache=never"),
    "example -s": ("-s",),
}
PATIENCE = 10


def source(folder):
    if os.path.exists(os.path.join(INSTALLED, "passthrough_ll.c")):
        return INSTALLED
    host.succeeds("sh", "-c", 'cd "$1" && apt-get source --only-source fuse3', "sh", folder)
    found = glob.glob(os.path.join(folder, "fuse3-*/example/passthrough_ll.c"))
    if not found:
        raise Skip("no source of libfuse's example: neither libfuse3-dev has it nor apt-get source")
    return os.path.dirname(found[0])


def built(build):
    """Builds the example, and returns it."""
    folder = os.path.join(os.path.abspath(build), "fuse-example")
    program = os.path.join(folder, "passthrough_ll")
    if not os.path.exists(program):
        os.makedirs(folder, exist_ok=True)
        flags = shlex.split(host.output("pkg-config", "--cflags", "--libs", "fuse3"))
        if not host.succeeds("cc", "-O2", "-o", program, os.path.join(source(folder), "passthrough_ll.c"),
                             *flags):
            raise Skip("libfuse's example can't be built")
    return program


class Example:
    """It, in the foreground, with a tmpfs and a mountpoint of its own. Only where nobody else sees mounts."""

    def __init__(self, build, options):
        program = built(build)
        self.folder = tempfile.mkdtemp(prefix="shmemu-bench-")
        self.source = os.path.join(self.folder, "source")
        self.mountpoint = os.path.join(self.folder, "mnt")
        os.mkdir(self.source)
        os.mkdir(self.mountpoint)
        subprocess.run(["mount", "-t", "tmpfs", "bench", self.source], check=True)
        self.process = subprocess.Popen([program, "-f", "-o", f"source={self.source}", *options,
                                         self.mountpoint], stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
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
