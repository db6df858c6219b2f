#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Programs that have the library linked in: TAP on standard output.

Aim: a static program links with libshmemu.a and has shared memory, semaphores, queues and System V
IPC where there are none, with libshmemu-all.a all else that the preloaded library has too; it meets
programs with the preloaded one, starts a daemon by itself, and sees no name of ours but libc's. So
does a port whose libc has none of these calls. Method: small programs, and the probes, which must say
what they say natively, are linked in a world without anything. Needs SHMEMU_PREFIX and SHMEMU_PROBES:
scripts/test.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
import built_probes
from client_tap import Skip, Tap
from client_wire import Daemon
from client_world import NOBODY, PYTHON, SHMEMU, SHMFS, Lambda, World, is_root, library, private, world

FOLDER = os.path.dirname(library())


def flags(name):
    """As pkg-config has them, in a tree that lies elsewhere."""
    done = subprocess.run(["pkg-config", "--define-variable=libdir=" + FOLDER, "--libs", name], check=True,
                          env={**os.environ, "PKG_CONFIG_PATH": FOLDER + "/pkgconfig"},
                          stdout=subprocess.PIPE, text=True)
    return tuple(done.stdout.split())


NAMES = flags("shmemu-static")
ALL = flags("shmemu-all")
# Of the probes: runs and ways have a shell that needs the library, looks calls what no static libc
# has, and kinds opens a device, which client_world's tmpfs has no business with.
PROBES = ("names", "flags", "known", "segment", "paths", "sem", "race", "bytes", "changes", "lists",
          "moves", "opens", "watches", "life", "fds", "talks", "mq_open", "mq_send", "mq_notify",
          "ipc_shm", "ipc_sem", "ipc_msg", "ipc_raw", "maps_sync", "maps_moves", "locks_mutex")
# What a libc may lack.
MEMBERS = ("shm_open", "shm_unlink", "sem_open", "sem_close", "sem_unlink", "mq_open",
           "mq_close", "mq_unlink", "mq_send", "mq_receive", "mq_timedsend",
           "mq_timedreceive", "mq_getattr", "mq_setattr", "mq_notify", "shmget", "shmat",
           "shmdt", "shmctl", "semget", "semop", "semctl", "msgget", "msgsnd", "msgrcv",
           "msgctl")

MEETING = """
import _posixshmem, mmap, os
fd = _posixshmem.shm_open("/met", os.O_RDWR)
with mmap.mmap(fd, 4096) as memory:
    assert memory[:5] == b"hello", memory[:5]
"""

CPLUSPLUS = """
#include <fcntl.h>
#include <fstream>
#include <iostream>
#include <mutex>
#include <stdexcept>
#include <thread>
int main()
{
	std::mutex mutex;
	int thrown = 0;
	auto work = [&] {
		try {
			throw std::runtime_error("x");
		} catch (const std::exception &) {
			std::lock_guard<std::mutex> guard(mutex);
			thrown++;
		}
	};
	std::thread one(work), other(work);
	one.join();
	other.join();
	std::ofstream("/dev/shm/file") << "text" << std::endl;
	int fd = open("/dev/shm/file", O_RDONLY);
	std::cout << thrown << (fd >= 0) << std::endl;
}
"""


def write(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, "w") as file:
        file.write(text)
    return path


def linked(folder, name, source, *after, compiler=("gcc", "-static")):
    path = os.path.join(folder, name)
    built_probes.compile(compiler, source, "-o", path, "-pthread", *after)
    os.chmod(path, 0o755)
    return path


def source(name):
    return os.path.join(os.path.dirname(os.path.realpath(__file__)), "programs", name)


def check_names(program):
    with world(Lambda) as deprived:
        done = deprived.run(program, preload=False)
        assert (done.status, done.out) == (0, "all\n"), done
        assert done.requests > 0, "the daemon was not asked"


def check_meeting(program):
    with world(Lambda) as deprived:
        done = deprived.run(program, "leave", preload=False)
        assert done.status == 0, done
        done = deprived.run(PYTHON, deprived.install("meet.py", MEETING))
        assert done.status == 0, done


def check_native(program):
    """Where no daemon is, or can be started, there is none of it."""
    with world(Alone) as alone:
        done = alone.run(alone.install(program), env={"SHMEMU_DIR": alone.home})
        assert done.status == 1 and "ENOSYS" in done.err, done


class Alone(World):
    name = "alone"

    def __init__(self, uid=None):
        super().__init__(NOBODY if is_root() else None)

    def files(self):
        return {}

    def enter(self):
        return [SHMEMU, "without", "lambda", "--"]


def check_start(program):
    """shmfs is beside the program."""
    with world(Alone) as alone:
        os.symlink(SHMFS, os.path.join(alone.home, "shmfs"))
        done = alone.run(alone.install(program), env={"SHMEMU_LOG": "error"})
        assert (done.status, done.out, done.err) == (0, "all\n", ""), done
        daemon = Daemon(os.path.join(alone.home, f"shmemu-{alone.uid}"))
        os.kill(daemon.status().keeper, signal.SIGTERM)
        daemon.close()


def check_setuid(folder, program):
    """Anybody can link a program of root's into a folder with a shmfs of their own."""
    if not is_root():
        raise Skip("takes root to make a setuid program")
    ran = []
    for mode in (0o755, 0o4755):
        place = os.path.join(folder, f"mode-{mode:o}")
        os.mkdir(place)
        os.chmod(place, 0o777)
        os.chmod(shutil.copy(program, place), mode)
        os.chmod(write(place, "shmfs", "#!/bin/sh\necho >\"$0-ran\"\n"), 0o755)
        done = subprocess.run(["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups",
                               "env", "-u", "SHMEMU_DIR", f"TMPDIR={place}", place + "/linked"],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert done.returncode == 1, done
        ran.append(os.path.exists(place + "/shmfs-ran"))
    assert ran == [True, False], ran


def check_exports():
    with open(os.path.join(built_probes.SOURCES, "preload/calls.def")) as file:
        calls = file.read()
    done = subprocess.run(["nm", "-g", "--defined-only", FOLDER + "/libshmemu.a"], check=True,
                          stdout=subprocess.PIPE, text=True)
    names = [line.split()[2] for line in done.stdout.splitlines() if len(line.split()) == 3]
    assert "shm_open" in names and "shmget" in names and "mq_open" in names, names
    strange = [name for name in names if f" {name}, (" not in calls]
    assert not strange, f"a program sees {strange}"


def check_cplusplus(folder):
    path = os.path.join(folder, "cplusplus")
    done = subprocess.run(["g++", "-static", "-pthread", write(folder, "cplusplus.cc", CPLUSPLUS), "-o",
                           path, *ALL], stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stderr
    os.chmod(path, 0o755)
    with world(Lambda) as deprived:
        done = deprived.run(path, preload=False)
        assert (done.status, done.out) == (0, "21\n"), done


def port(folder, compiler, libc, options):
    """Makes what a libc is that has none of the calls, and a program for it, with and without us."""
    lacking = os.path.join(folder, "libc.a")
    shutil.copyfile(libc, lacking)
    members = subprocess.run(["ar", "t", lacking], check=True, stdout=subprocess.PIPE, text=True)
    gone = [name for name in members.stdout.split() if name.rpartition(".")[0] in MEMBERS]
    assert len(gone) > 20, gone
    subprocess.run(["ar", "d", lacking, *gone], check=True)
    try:
        linked(folder, "port", source("linked.c"), "-L" + folder, compiler=compiler)
    except AssertionError as refused:
        assert "shm_open" in str(refused), refused
    else:
        raise AssertionError("this libc has shm_open")
    return linked(folder, "port", source("linked.c"), *options, "-L" + folder, compiler=compiler)


def check_port(folder, compiler, libc, options):
    check_names(port(folder, compiler, libc, options))


def found(compiler):
    """Its libc.a, by what it links with: -print-file-name does not know musl's."""
    done = subprocess.run([compiler, "-static", "-x", "c", "-", "-o", os.devnull, "-Wl,--trace"],
                          input="int main(void) {return 0;}", stdout=subprocess.PIPE, text=True)
    return re.search(r"[^ (\n]*/libc\.a", done.stdout).group()


def main():
    private("--ipc")  # another test may have such names at the same time
    tap = Tap()
    folder = tempfile.mkdtemp(prefix="shmemu-static-")
    os.chmod(folder, 0o755)
    try:
        program = linked(folder, "linked", source("linked.c"), *NAMES)
        tap.run("static: names, each kind, in two processes", check_names, program)
        tap.run("static: a program with the preloaded library meets it", check_meeting, program)
        tap.run("static: without a daemon there is nothing", check_native, program)
        tap.run("static: starts a daemon that is beside it", check_start, program)
        tap.run("static: a setuid program trusts no shmfs beside it", check_setuid, folder, program)
        tap.run("libshmemu.a: a program sees libc's names only", check_exports)
        tap.run("all: the same program", check_names, linked(folder, "all", source("linked.c"), *ALL))
        tap.run("all: C++, its threads, exceptions and streams", check_cplusplus, folder)
        tap.run("a port: a libc that has none of the calls", check_port, folder, ("gcc", "-static"),
                found("gcc"), NAMES)
        probes = built_probes.Probes(folder, ("gcc", "-static"), *ALL)
        for name in PROBES:
            tap.run("all: the probe " + name, lambda: built_probes.check(
                probes, name, native=os.path.join(built_probes.PROBES, name)))
    finally:
        shutil.rmtree(folder)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
