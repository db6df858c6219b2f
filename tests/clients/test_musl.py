#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Programs that have musl for their libc: TAP on standard output.

Aim: with libshmemu-musl.so they have on a host without anything what they have natively; segments,
files, queues and System V IPC are shared with programs of glibc, and semaphores, which can't be, are
refused; and a musl that has no shm_open gets it from musl's libshmemu.a. Method: small programs and
those probes that need nothing of glibc, built by musl-gcc. Needs SHMEMU_PREFIX and SHMEMU_PROBES:
scripts/test. Skipped where the libraries were not built for musl.
"""

import os
import shutil
import sys
import tempfile

sys.dont_write_bytecode = True
import built_probes
from client_tap import Tap
from client_world import SHMEMU, Lambda, library, private, world
from test_static import check_names, check_port, found, linked, source

FOLDER = os.path.dirname(library())
MUSL = os.path.join(FOLDER, "libshmemu-musl.so")
STATIC = os.path.join(FOLDER, "musl")
PRELOADED = ("env", "LD_PRELOAD=" + MUSL)
# names and flags ask for glibc's rules; mq_notify, runs and ways execute a shell, which is glibc's; the
# others call what musl has not.
PROBES = ("bytes", "race", "watches", "mq_open", "mq_send", "ipc_shm", "ipc_sem",
          "ipc_msg")


def compiler(folder):
    """musl's, with the kernel's headers, which Debian has elsewhere, and what the probes use besides."""
    kernel = os.path.join(folder, "kernel")
    os.mkdir(kernel)
    for name in ("linux", "asm-generic"):
        os.symlink("/usr/include/" + name, os.path.join(kernel, name))
    os.symlink(f"/usr/include/{os.uname().machine}-linux-gnu/asm", os.path.join(kernel, "asm"))
    return ("musl-gcc", "-isystem", kernel, "-include", built_probes.SOURCES + "/preload/musl.h",
            "-include", "linux/falloc.h")


def check_preloaded(program):
    with world(Lambda) as deprived:
        done = deprived.run(*PRELOADED, program, preload=False)
        assert (done.status, done.out) == (0, "all\n"), done
        assert done.requests > 0, "the daemon was not asked"


def check_missing(program):
    """So that the host is one where it is the library that helps."""
    with world(Lambda) as deprived:
        done = deprived.run(program, preload=False)
        assert done.status == 1, done


def check_start(program):
    """Its shmfs is where glibc's is."""
    with world(Lambda) as deprived:
        done = deprived.run(SHMEMU, "run", "--", *PRELOADED, program, enter=False)
        assert (done.status, done.out) == (0, "all\n"), done


def check_between(programs):
    """`programs`: a libc's each, and the words before it."""
    with world(Lambda) as deprived:
        def tell(which, *words):
            done = deprived.run(*programs[which], *words, preload=False)
            assert done.status == 0, done
            return done.out.strip()

        for one, other in (("glibc", "musl"), ("musl", "glibc")):
            tell(one, "give", "by " + one)
            assert tell(other, "take", "by " + one) == "1111", f"{other} of {one}"
            tell(one, "make", "/by-" + one)
            assert tell(other, "use", "/by-" + one) == "EINVAL", f"{other} of {one}"
            # It is as it was.
            assert tell(one, "use", "/by-" + one) == "0 -1 1", f"{one} of its own"


def main():
    if not os.path.exists(MUSL) or not shutil.which("musl-gcc"):
        print("1..0 # SKIP not built for musl: scripts/setup --tests installs musl-tools")
        return 0
    private("--ipc")  # another test may have such names at the same time
    tap = Tap()
    folder = tempfile.mkdtemp(prefix="shmemu-musl-")
    os.chmod(folder, 0o755)
    try:
        musl = ("musl-gcc",)
        program = linked(folder, "linked", source("linked.c"), compiler=musl)
        tap.run("musl: without the library there is nothing", check_missing, program)
        tap.run("musl: names, each kind, in two processes", check_preloaded, program)
        tap.run("musl: shmemu run's daemon", check_start, program)
        tap.run("musl and glibc: what they share", check_between, {
            "musl": (*PRELOADED, linked(folder, "musl", source("libcs.c"), compiler=musl)),
            "glibc": ("env", "LD_PRELOAD=" + library(),
                      linked(folder, "glibc", source("libcs.c"), compiler=("gcc",)))})
        static = ("musl-gcc", "-static")
        names = ("-L" + STATIC, "-lshmemu")
        tap.run("musl, static: names", check_names,
                linked(folder, "static", source("linked.c"), *names, compiler=static))
        tap.run("musl, static: all", check_names,
                linked(folder, "all", source("linked.c"), "-L" + STATIC,
                       f"-Wl,@{STATIC}/libshmemu-all.wrap", compiler=static))
        tap.run("musl, static: a port that has none of the calls", check_port, folder, static,
                found("musl-gcc"), names)
        probes = built_probes.Probes(folder, compiler(folder), built_probes.SOURCES + "/preload/musl.c")
        for name in PROBES:
            tap.run("musl: the probe " + name, built_probes.check, probes, name, *PRELOADED)
    finally:
        shutil.rmtree(folder)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
