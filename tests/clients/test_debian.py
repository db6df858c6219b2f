#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The Debian packages: TAP on standard output.

Aim: what scripts/package-debian builds from the last commit is sound to lintian, and holds all that is installed. With
SHMEMU_TEST_HEAVY and as root it is also installed, used, upgraded with segments alive and removed in a fresh Debian of this host's
release, and built in one of the next. Needs SHMEMU_PREFIX as the other tests.
"""

import os
import re
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
from client_tap import Skip, Tap
from client_world import PREFIX, is_root

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SCRIPT = ROOT + "/scripts/package-debian"
PATIENCE = 1500


def run(*words, options="nocheck noopt parallel=2"):
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE,
                          env={**os.environ, "DEB_BUILD_OPTIONS": options})
    if re.match("package-debian: there is no ", done.stderr):
        raise Skip(done.stderr.strip())
    assert done.returncode == 0, f"{done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout


def build(output):
    if not os.path.exists(ROOT + "/.git"):
        raise Skip("this is no clone: it is built from what git has")
    said = run(SCRIPT, output)
    assert "lintian finds nothing\n" in said, said


def names_in(package):
    """Of all but folders, compressed ones as they were."""
    lines = subprocess.run(["dpkg-deb", "--contents", package], check=True, capture_output=True, text=True).stdout.splitlines()
    found = [re.sub(r"^\./|\.gz$", "", line.split()[5]) for line in lines if line[0] != "d"]
    # Debian 12 has the system's units elsewhere.
    return {re.sub(r"^lib/systemd", "usr/lib/systemd", name) for name in found}


def check_contents(output):
    """All that meson installs is in one of them, and in no two; and where it belongs. What is built for musl has no package."""
    packages = {name.split("_")[0]: names_in(f"{output}/{name}") for name in os.listdir(output)
                if name.endswith(".deb") and "-dbgsym_" not in name}
    assert set(packages) == {"shmemu", "libshmemu", "libshmemu-dev"}, packages
    installed = {os.path.relpath(os.path.join(folder, name), os.path.dirname(PREFIX))
                 for folder, _, names in os.walk(PREFIX) for name in names}
    installed = {name for name in installed if "musl" not in name}
    missing = installed - set().union(*packages.values())
    assert not missing and len(installed) >= 15, (missing, installed)
    assert all(re.search(r"/libshmemu(-trace|-without)?\.so$|/man7/|/doc/|/lintian/", name) for name in packages["libshmemu"]), packages
    assert {"usr/bin/shmfs", "usr/sbin/mount.shmfs", "usr/lib/systemd/system/shmfs.socket"} <= packages["shmemu"], packages


def check_fresh(*options):
    if "SHMEMU_TEST_HEAVY" not in os.environ:
        raise Skip("takes SHMEMU_TEST_HEAVY, and the network")
    if not is_root():
        raise Skip("takes root")
    with tempfile.TemporaryDirectory(prefix="shmemu-debian-") as output:
        said = run(SCRIPT, *options, output)
        assert "lintian finds nothing\n" in said and ("ok - it is purged" in said) == ("--check" in options), said


def main():
    tap = Tap()
    with tempfile.TemporaryDirectory(prefix="shmemu-debian-") as output:
        tap.run("packages are built, and lintian finds nothing", build, output)
        if os.listdir(output):
            tap.run("they hold what is installed", check_contents, output)
    tap.run("they are installed, used, upgraded and removed in a fresh Debian", check_fresh, "--check")
    tap.run("they are built in a Debian 13", check_fresh, "--suite=trixie")
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
