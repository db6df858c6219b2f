# SPDX-License-Identifier: LGPL-2.1-or-later
"""Probes (tests/probes) that are built anew, with another compiler or linked in another way, and must
say what the one of the build says natively."""

import difflib
import os
import subprocess

from client_world import NOBODY, Lambda, Native, is_root, world

SOURCES = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
PROBES = os.environ.get("SHMEMU_PROBES", "")
HELPERS = ("helper", "ipc", "locks", "mapping", "probe", "subject", "tree")


def compile(compiler, *words):
    done = subprocess.run([*compiler, "-std=gnu11", "-D_GNU_SOURCE", "-D_FILE_OFFSET_BITS=64", "-O1",
                           "-I" + SOURCES, *words], stderr=subprocess.PIPE, text=True)
    # A static glibc has its say on what it would load.
    said = [line for line in done.stderr.splitlines() if "error" in line or "undefined" in line]
    assert done.returncode == 0, "\n".join(said or [done.stderr])


class Probes:
    """`after`: more words of the compiler's, behind the sources."""

    def __init__(self, folder, compiler, *after):
        self.folder, self.compiler, self.after = folder, compiler, after
        self.helpers = []
        for name in HELPERS:
            self.helpers.append(os.path.join(folder, name + ".o"))
            compile(compiler, "-c", f"{SOURCES}/tests/probes/{name}.c", "-o", self.helpers[-1])

    def build(self, name):
        path = os.path.join(self.folder, name)
        compile(self.compiler, f"{SOURCES}/tests/probes/{name}.c", *self.helpers, "-o", path,
                "-pthread", *self.after)
        os.chmod(path, 0o755)
        return path


def same(text):
    """Without the lines that are known to differ: tests/conform/differences.c has them."""
    return [line for line in text.splitlines() if not line.startswith("{")]


def check(probes, name, *before, native=None):
    """What the probe says natively, where it is `native` if that is another, it says where there is
    nothing."""
    built = probes.build(name)
    with world(Native, NOBODY if is_root() else None) as a_native:
        wanted = a_native.run(native or built)
    assert wanted.status == 0, f"natively: {wanted}"
    with world(Lambda) as deprived:
        done = deprived.run(*before, built, preload=False)
    assert done.status == 0, done
    assert done.requests > 0, f"the daemon was not asked: {done}"
    differing = "\n".join(difflib.unified_diff(same(wanted.out), same(done.out), "natively", "here"))
    assert not differing, differing
