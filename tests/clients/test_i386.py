#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""32-bit programs: TAP on standard output.

Aim: what shares memory, semaphores, queues and files answers a 32-bit program as the kernel does, on a host that has none of it, and
with a 64-bit one it shares what such two share natively. Method: the library is built for i386, and goes into a copy of the
installed tree, where `shmemu run` finds both; the conformance tests then compare 32-bit probes with themselves without the library:
with a 64-bit off_t ("wide"), with a 32-bit one ("narrow") and with a 64-bit time_t ("timed"). `classes` is one program for each class;
its lines are compared with what it says natively. Needs root or a user namespace, SHMEMU_PREFIX and SHMEMU_PROBES as the other tests,
and gcc-multilib; an argument: the build tree.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
from client_tap import Skip, Tap

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PREFIX, PROBES = os.environ["SHMEMU_PREFIX"], os.environ["SHMEMU_PROBES"]
PATIENCE = 300
# Which cases of which conformance tests; what is left out waits, or is the same with another off_t.
TREE = "bytes changes kinds lists looks moves opens runs watches ways"
IPC = "attach attached cancel mq_notify mq_open mq_send msg msg_wait proc raw rights sem sem_wait shm undo"
# The kernel's objects are given to users whom a user namespace, which a native world is to all but root, does not have.
GIVEN_AWAY = ("msg", "sem", "shm")
CASES = (
    ("wide", {"shm": "names known segment paths", "sem": "sem", "first": "*", "tree": TREE, "ipc": IPC, "process": "*"}),
    ("narrow", {"shm": "segment paths", "tree": TREE}),
    ("timed", {"shm": "segment", "tree": "changes lists looks", "ipc": "mq_send msg sem shm"}),
)


def probes_of(tests):
    """The programs that those cases run, and what they look at besides."""
    cases = " ".join(" ".join("ipc_" * (name == "ipc" and "mq_" not in case) + case for case in cases.split())
                     for name, cases in tests.items()).split()
    return ["tests/probes/" + name for name in ["classes", "ipc_witness", "witness", *cases]]


def run(*words, **options):
    return subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE, **options)


def why_not():
    """What keeps this host from running programs that it has built for i386; or None."""
    with tempfile.TemporaryDirectory() as folder:
        program = folder + "/program"
        with open(program + ".c", "w") as file:
            file.write("#include <stdio.h>\nint main(void) { return puts(\"\") < 0; }\n")
        try:
            if run("gcc", "-m32", "-o", program, program + ".c").returncode != 0:
                return "no gcc-multilib here"
            return None if run(program).returncode == 0 else "no 32-bit programs here"
        except OSError:
            return "no 32-bit programs here"


class Trees:
    def __init__(self, build, folder):
        self.build, self.folder = build, folder
        self.prefix = folder + "/usr"
        self.obstacle = why_not()

    def probes(self, kind):
        return f"{self.folder}/{kind}/tests/probes"

    def make(self, kind, targets=(), options=()):
        if self.obstacle:
            raise Skip(self.obstacle)
        build = f"{self.folder}/{kind}"
        self.obstacle = "not built"
        for words in (["meson", "setup", build, ROOT, "--cross-file", ROOT + "/scripts/i386.ini", "-Dparts=library",
                       "--prefix=/usr", "--libdir=lib32", "-Dwerror=true", *options], ["ninja", "-C", build, *targets]):
            done = run(*words)
            assert done.returncode == 0, done.stdout[-4000:] + done.stderr
        self.obstacle = None

    def install(self):
        self.make("wide")
        shutil.copytree(PREFIX, self.prefix, symlinks=True)
        done = run("meson", "install", "-C", self.folder + "/wide", "--quiet", env={**os.environ, "DESTDIR": self.folder})
        assert done.returncode == 0, done
        run("chmod", "-R", "a+rX", self.folder)
        checked = run(ROOT + "/scripts/check-exports", self.prefix + "/lib32/libshmemu.so",
                      self.build + "/without/libshmemu-without.so", self.build + "/trace/libshmemu-trace.so")
        assert checked.returncode == 0, checked.stderr
        return checked.stdout.split(",")[0]

    def conform(self, kind, name, cases):
        if self.obstacle:
            raise Skip(self.obstacle)
        if os.geteuid() != 0 and name == "ipc":
            cases = " ".join(case for case in cases.split() if case not in GIVEN_AWAY)
        done = run(f"{self.build}/tests/conform/conform_{name}", "-j2", "--filter", f"socket_user/@({cases.replace(' ', '|')})",
                   env={**os.environ, "SHMEMU_PREFIX": self.prefix, "SHMEMU_PROBES": self.probes(kind)})
        counted = re.search(r"Tested: (\d+) \| Passing: (\d+)", done.stderr)
        assert done.returncode == 0 and counted and int(counted[1]) > 0, done.stdout[-2000:] + done.stderr[-4000:]
        return f"{counted[2]} of {counted[1]}"

    def share(self, first, second):
        """Natively, where the kernel has it all, and on a host that has none of it."""
        if self.obstacle:
            raise Skip(self.obstacle)
        words = [self.folder + f"/{first}-classes", self.folder + f"/{second}-classes"]
        shmemu = self.prefix + "/bin/shmemu"
        mine = [] if os.geteuid() == 0 else ["--user", "--map-current-user", "--keep-caps"]
        wanted = run("unshare", *mine, "--mount", "--propagation=private", "--ipc", "sh", "-c",
                     'mount -t tmpfs tmpfs /dev/shm && exec "$@"', "-", *words)
        done = run(shmemu, "without", "lambda", "sysv", "mqueue", "--", shmemu, "run", "--strict", "--", *words)
        assert wanted.returncode == 0 and "counted 2000" in wanted.stdout, wanted
        assert (done.returncode, done.stdout, done.stderr) == (0, wanted.stdout, ""), f"{wanted}\n{done}"

    def bring(self):
        if self.obstacle:
            raise Skip(self.obstacle)
        for kind, path in (("wide", self.probes("wide")), ("narrow", self.probes("narrow")), ("64", PROBES)):
            shutil.copy(path + "/classes", f"{self.folder}/{kind}-classes")
            os.chmod(f"{self.folder}/{kind}-classes", 0o755)

    def words_of_loader(self):
        """A shell between, and what it starts, have the library too, and the loader has nothing to say."""
        if self.obstacle:
            raise Skip(self.obstacle)
        self.bring()
        done = run(self.prefix + "/bin/shmemu", "run", "--", "sh", "-c",
                   f'test -e /dev/shm/none; {self.folder}/narrow-classes {self.folder}/64-classes >/dev/null; echo "$LD_PRELOAD"')
        assert (done.stdout, done.stderr) == (self.prefix + "/$LIB/libshmemu.so\n", ""), done


def main():
    tap = Tap()
    with tempfile.TemporaryDirectory(prefix="shmemu-i386-") as folder:
        os.chmod(folder, 0o755)
        trees = Trees(sys.argv[1], folder)
        tap.run("the library is built for i386, and exports what it is to", trees.install)
        for kind, flag in (("narrow", "-U_FILE_OFFSET_BITS"), ("timed", "-D_TIME_BITS=64")):
            tap.run(f"{kind} programs are built", trees.make, kind, probes_of(dict(CASES)[kind]),
                    ["-Dbuildtype=debug", "-Dc_args=" + flag])
        tap.run("one LD_PRELOAD for both classes", trees.words_of_loader)
        for first, second in (("wide", "64"), ("64", "wide"), ("narrow", "64"), ("64", "narrow")):
            tap.run(f"{first} and {second} share", trees.share, first, second)
        for kind, tests in CASES:
            for name, cases in tests.items():
                tap.run(f"{kind} programs: {name}", trees.conform, kind, name, cases)
    return tap.end()


sys.exit(main())
