# SPDX-License-Identifier: LGPL-2.1-or-later
"""shmemu doctor: what it says of this host and of hosts that lack things is so."""

import glob
import json
import os
import shutil

from cli_limit import daemon, limited
from cli_world import PREFIX, SHMEMU, Skip, case, check_refusal, equal, folder, run

PROGRAM = "a program under the library"

CALLS = ("shared mmap of files", "private mmap of files", "shared anonymous mmap", "msync", "mremap",
         "madvise", "mprotect", "munmap", "ftruncate", "fallocate", "memfd_create", "OFD locks",
         "inotify", "System V shared memory", "System V semaphores", "System V messages",
         "message queues", "sem_open")
SYSV = set(CALLS[-5:-2])
IPC = "IPC under the library"

# The words of `without`, and the calls that are then missed.
DEPRIVED = {
    "mmap-shared": {"shared mmap of files", "sem_open"},
    "mmap-file": {"shared mmap of files", "private mmap of files"},
    "mmap-shared-anonymous": {"shared anonymous mmap"},
    "msync=EPERM": {"msync"},
    "mremap": {"mremap"},
    "madvise": {"madvise"},
    "mprotect": {"mprotect"},
    "munmap": {"munmap"},
    "ftruncate": {"ftruncate"},
    "fallocate=EPERM": {"fallocate"},
    "memfd_create": {"memfd_create"},
    "ftruncate fallocate memfd_create msync": {"ftruncate", "fallocate", "memfd_create", "msync"},
    "sysv": SYSV,
    "sysv=SIGSYS": SYSV,
    "mqueue=SIGSYS": {"message queues"},
    "mq_send": {"message queues"},
    "sem_open": {"sem_open"},
    "sysv=EPERM mqueue sem_open=EACCES": {*SYSV, "message queues", "sem_open"},
    "nanvix": {"shared mmap of files", "private mmap of files", "shared anonymous mmap", "msync",
               "mremap", "madvise", "memfd_create", "sem_open"},
}


def examine(*words, before=(), **options):
    """Returns the exit status, and what each row says: whether it is so, and its details."""
    done = run(*before, SHMEMU, "doctor", "--json", *words, **options)
    equal(done.stderr, "")
    rows = json.loads(done.stdout)["facts"]
    return done.returncode, {row["what"]: (row["ok"], row["details"]) for row in rows}


@case()
def a_host_without_a_daemon_is_examined():
    with folder() as top:
        status, facts = examine(f"--dir={top}/none")
        equal((status, facts[PROGRAM][0], facts["daemon"][0]), (0, True, False))
        assert f"{top}/none" in facts["daemon"][1], facts
        equal(facts["/dev/shm"][0], os.path.isdir("/dev/shm"))
        equal(facts["/dev/fuse"][0], os.access("/dev/fuse", os.R_OK | os.W_OK))
        # It was tried with a daemon that is gone again.
        assert not os.path.exists(f"{top}/none")


@case()
def its_daemon_is_described():
    with limited("--size=16m", "--inodes=2k") as d:
        status, facts = examine(f"--dir={d.dir}")
        equal((status, facts["daemon"][0], facts[PROGRAM][0]), (0, True, True))
        assert f"process {d.keeper}, its worker {d.worker()}, in {d.dir}" == facts["daemon"][1]
        assert "a private tmpfs" in facts["memory comes from"][1], facts
        assert facts["paths below /dev/shm"][1].startswith("by the socket"), facts
        assert "size 16.0 MiB" in facts["limits"][1] and "inodes 2048" in facts["limits"][1], facts
    with daemon("--source=memfd") as d:
        facts = examine(f"--dir={d.dir}")[1]
        equal(facts["memory comes from"], (True, "memfd_create"))


@case()
def what_is_taken_away_is_missed():
    with folder() as top:
        status, facts = examine(f"--dir={top}/none", before=(
            SHMEMU, "without", "dev-shm", "fuse", "memfd_create", "--"))
        equal([facts[what][0] for what in ("/dev/shm", "shm_open", "/dev/fuse", "memfd_create")],
              [False] * 4)
        # The library does without.
        equal((status, facts[PROGRAM][0]), (0, True))
        facts = examine(f"--dir={top}/none", before=(SHMEMU, "without", "dev-shm=64m", "--"))[1]
        equal(facts["/dev/shm"], (True, "64.0 MiB, of which 64.0 MiB are free"))
        facts = examine(f"--dir={top}/none", before=(SHMEMU, "without", "dev-shm=ro", "--"))[1]
        equal((facts["/dev/shm"][0], facts["shm_open"][0]), (True, False))


@case()
def each_call_that_is_taken_away_is_told():
    with folder() as top:
        for words, missed in DEPRIVED.items():
            status, facts = examine(f"--dir={top}/none", before=(
                SHMEMU, "without", *words.split(), "--"))
            told = {call for call in CALLS if not facts[call][0]}
            equal((words, told), (words, missed))
            for call in missed:
                assert "; " in facts[call][1], facts[call]
            equal((words, facts["atomics and futexes"][0]),
                  (words, "shared mmap of files" not in missed))
            # The library does without.
            equal((words, status, facts[PROGRAM]),
                  (words, 0, (True, "it shares memory and semaphores")))
            equal((words, facts[IPC]), (words, (True, "System V shared memory, semaphores and "
                                                "messages, and message queues")))


@case()
def how_mappings_are_made_is_told():
    with folder() as top:
        for setting, ok, atomics in (("auto", True, True), ("native", True, True),
                                     ("emulate", True, False), ("never", False, True)):
            status, facts = examine(f"--dir={top}/none", before=("env", f"SHMEMU_MMAP={setting}"))
            equal((setting, status, facts["SHMEMU_MMAP"][0], facts["atomics and futexes"][0]),
                  (setting, 0, ok, atomics))
            assert setting in facts["SHMEMU_MMAP"][1], facts["SHMEMU_MMAP"]
            equal([facts[call][0] for call in CALLS], [True] * len(CALLS))
        status, facts = examine(f"--dir={top}/none", before=(
            "env", "SHMEMU_MMAP=native", SHMEMU, "without", "mmap-shared", "--"))
        equal((status, facts[PROGRAM][0]), (1, False))
        assert "SHMEMU_MMAP=native" in facts["shared mmap of files"][1], facts


@case()
def the_library_does_not_answer_for_the_host():
    with folder() as top:
        [library] = glob.glob(f"{PREFIX}/lib*/**/libshmemu.so", recursive=True)
        facts = examine(f"--dir={top}/none", before=(
            SHMEMU, "without", "ftruncate", "--", "env", f"LD_PRELOAD={library}"))[1]
        equal((facts["ftruncate"][0], facts["fallocate"][0]), (False, True))


@case()
def a_host_on_which_nothing_works_is_told():
    with folder() as top:
        os.mkdir(f"{top}/open", 0o777)
        os.chmod(f"{top}/open", 0o777)
        status, facts = examine(f"--dir={top}/open")
        equal((status, facts["daemon"][0], facts[PROGRAM][0]), (1, False, False))
        assert "not to be trusted" in facts["daemon"][1], facts
        # A daemon that does not start says why.
        prefix = f"{top}/prefix"
        shutil.copytree(PREFIX, prefix, symlinks=True)
        with open(f"{prefix}/bin/shmfs", "w") as file:
            file.write("#!/bin/sh\necho 'shmfs: no way' >&2\nexit 1\n")
        done = run(f"{prefix}/bin/shmemu", "doctor", "--json", f"--dir={top}/none")
        last = json.loads(done.stdout)["facts"][-1]
        equal((done.returncode, last["ok"], last["details"]), (1, False, "shmfs: no way"))


@case()
def doctor_prints_a_table():
    with folder() as top:
        done = run(SHMEMU, "doctor", f"--dir={top}/none")
        equal((done.returncode, done.stderr), (0, ""))
        equal(done.stdout.split()[:3], ["WHAT", "OK", "DETAILS"])
    equal(run(SHMEMU, "doctor", "--help").returncode, 0)
    check_refusal(run(SHMEMU, "doctor", "--what"), 125)
    check_refusal(run(SHMEMU, "doctor", "what"), 125)


@case(root_only=True)
def the_road_of_a_mount_is_told():
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        raise Skip("there is no /dev/fuse")
    tool = (SHMEMU, "doctor", "--json")
    for how, road in (("require", "with passthrough"), ("off", "with direct I/O")):
        with folder() as top:
            script = (f"mount --make-rprivate / && mkdir {top}/mnt && {PREFIX}/bin/shmfs "
                      f"--dir={top}/d --passthrough={how} {top}/mnt && "
                      f"{' '.join(tool)} --dir={top}/d; "
                      f"status=$?; umount {top}/mnt; exit $status")
            done = run("unshare", "-m", "sh", "-c", script)
            equal((done.returncode, done.stderr), (0, ""))
            facts = {row["what"]: row["details"] for row in json.loads(done.stdout)["facts"]}
            assert facts["paths below /dev/shm"].startswith(f"by the mount on {top}/mnt, {road}")
