# SPDX-License-Identifier: LGPL-2.1-or-later
"""shmemu doctor: what it says of this host and of hosts that lack things is so."""

import json
import os
import shutil

from cli_examine import examine
from cli_limit import daemon, library, limited
from cli_world import PREFIX, SHMEMU, Skip, case, check_refusal, equal, folder, run


@case()
def doctor_prints_a_table():
    with folder() as top:
        done = run(SHMEMU, "doctor", f"--dir={top}/none")
        equal((done.returncode, done.stderr), (0, ""))
        equal(done.stdout.split()[:4], ["WHAT", "HOST", "SHMEMU", "DETAILS"])
        assert done.stdout.splitlines()[-1].startswith("verdict: with the library everything works here; "), done
    equal(run(SHMEMU, "doctor", "--help").returncode, 0)
    for words in (["--what"], ["--pid=0"], ["--pid=1x"], ["--pid=999999999"], ["--pid=1", "true"],
                  ["--color=sometimes"]):
        check_refusal(run(SHMEMU, "doctor", *words), 125)


@case()
def a_host_without_a_daemon_is_examined():
    with folder() as top:
        status, facts = examine(f"--dir={top}/none")
        equal((status, facts["program"]["shmemu"], facts["daemon"]["shmemu"]), (0, "yes", None))
        assert f"{top}/none" in facts["daemon"]["details"], facts
        equal(facts["/dev/shm"]["host"] == "yes", os.path.isdir("/dev/shm"))
        equal(facts["/dev/fuse"]["host"] == "yes", os.access("/dev/fuse", os.R_OK | os.W_OK))
        # It was tried with a daemon that is gone again.
        assert not os.path.exists(f"{top}/none")


@case()
def its_daemon_is_described():
    with limited("--size=16m", "--inodes=2k") as d:
        status, facts = examine(f"--dir={d.dir}")
        equal((status, facts["daemon"]["shmemu"], facts["protocol"]["shmemu"], facts["program"]["shmemu"]),
              (0, "yes", "yes", "yes"))
        equal(f"process {d.keeper}, its worker {d.worker()}, in {d.dir}", facts["daemon"]["details"])
        assert "a private tmpfs" in facts["memory comes from"]["details"], facts
        assert facts["road of paths"]["details"].startswith("by the socket"), facts
        limits = facts["limits"]["details"]
        assert "size 16.0 MiB" in limits and "inodes 2048" in limits, limits
    with daemon("--source=memfd") as d:
        equal(examine(f"--dir={d.dir}")[1]["memory comes from"]["details"], "memfd_create")


@case()
def what_is_taken_away_is_told():
    with folder() as top:
        def facts_without(*words):
            return examine(f"--dir={top}/none", before=(SHMEMU, "without", *words, "--"))

        status, facts = facts_without("dev-shm", "fuse", "memfd_create")
        equal([facts[what]["host"] for what in ("/dev/shm", "shm_open", "/dev/fuse", "memfd_create")],
              ["ENOENT"] * 3 + ["ENOSYS"])
        equal((status, facts["program"]["shmemu"]), (0, "yes"))
        facts = facts_without("dev-shm=64m")[1]
        equal((facts["/dev/shm"]["host"], facts["/dev/shm"]["details"]),
              ("yes", "64.0 MiB, of which 64.0 MiB are free"))
        facts = facts_without("dev-shm=ro")[1]
        equal((facts["/dev/shm"]["host"], facts["shm_open"]["host"]), ("yes", "EROFS"))
        # What would end the tool itself ends children of it.
        status, facts = facts_without("memfd_create=SIGSYS", "fsopen=SIGSYS")
        equal((status, facts["memfd_create"]["host"], facts["private tmpfs"]["host"]), (1, "SIGSYS", "SIGSYS"))


@case()
def how_mappings_are_made_is_told():
    with folder() as top:
        for setting, host, atomics, wanted in (("auto", None, "yes", 0), ("native", None, "yes", 0),
                                               ("emulate", None, "wrong", 1), ("never", "no", "yes", 0)):
            status, facts = examine(f"--dir={top}/none", before=("env", f"SHMEMU_MMAP={setting}"))
            equal((setting, status, facts["SHMEMU_MMAP"]["host"], facts["atomics and futexes"]["shmemu"]),
                  (setting, wanted, host, atomics))
            assert setting in facts["SHMEMU_MMAP"]["details"], facts["SHMEMU_MMAP"]
        status, facts = examine(f"--dir={top}/none", before=(
            "env", "SHMEMU_MMAP=native", SHMEMU, "without", "mmap-shared", "--"))
        row = facts["shared mmap of files"]
        equal((status, row["host"], row["shmemu"]), (1, "ENODEV", "ENODEV"))
        assert "SHMEMU_MMAP=native" in row["details"], row


@case()
def the_library_does_not_answer_for_the_host():
    with folder() as top:
        facts = examine(f"--dir={top}/none", before=(
            SHMEMU, "without", "ftruncate", "--", "env", f"LD_PRELOAD={library()}"))[1]
        equal((facts["ftruncate"]["host"], facts["ftruncate"]["shmemu"], facts["fallocate"]["host"]),
              ("ENOSYS", "yes", "yes"))


@case()
def a_host_on_which_nothing_works_is_told():
    with folder() as top:
        os.mkdir(f"{top}/open", 0o777)
        os.chmod(f"{top}/open", 0o777)
        status, facts = examine(f"--dir={top}/open")
        equal((status, facts["daemon"]["shmemu"], facts["program"]["shmemu"]), (1, "no", "no"))
        assert "not to be trusted" in facts["daemon"]["details"], facts
        # A daemon that does not start says why, and of another version it is.
        status, facts = changed_daemon(top, "echo 'shmfs: no way' >&2\nexit 1\n")
        equal((status, facts["program"]["shmemu"], facts["program"]["details"]), (1, "no", "shmfs: no way"))
        equal((facts["shm_open"]["shmemu"], facts["verdict"]["details"]),
              (None, "with the library nothing works here: shmfs: no way"))
        equal(facts["versions"]["shmemu"], "no")


def changed_daemon(top, script):
    """What doctor says of a tree with another shmfs."""
    prefix = f"{top}/prefix"
    shutil.copytree(PREFIX, prefix, symlinks=True)
    with open(f"{prefix}/bin/shmfs", "w") as file:
        file.write("#!/bin/sh\n" + script)
    done = run(f"{prefix}/bin/shmemu", "doctor", "--json", f"--dir={top}/none")
    return done.returncode, {row["what"]: row for row in json.loads(done.stdout)["facts"]}


@case()
def versions_that_differ_are_told():
    version = run(SHMEMU, "--version").stdout.split()[1]
    with folder() as top:
        facts = examine(f"--dir={top}/none")[1]
        equal(facts["versions"]["shmemu"], "yes")
        assert f"shmfs {version}, libshmemu.so {version}" in facts["versions"]["details"], facts["versions"]
        real = os.path.join(PREFIX, "bin/shmfs")
        status, facts = changed_daemon(top, f'[ "$1" != --version ] || exec echo shmfs 9.9\nexec {real} "$@"\n')
        equal((status, facts["versions"]["shmemu"], facts["program"]["shmemu"]), (0, "no", "yes"))
        assert "shmfs 9.9" in facts["versions"]["details"], facts["versions"]


@case()
def mounting_is_told():
    """What it says is so of `shmemu run --mount-dev-shm`."""
    with folder() as top:
        for words in ((), ("fuse",), ("mount",), ("namespaces",), ("fuse", "namespaces")):
            before = (SHMEMU, "without", *words, "--") if words else ()
            row = examine(f"--dir={top}/none", before=before)[1]["mounting shmfs"]
            done = run(*before, SHMEMU, "run", "--mount-dev-shm", "true")
            equal((words, row["host"] == "yes"), (words, done.returncode == 0))


@case()
def limits_are_told():
    with folder() as top:
        facts = examine(f"--dir={top}/none", before=("prlimit", "--nofile=333:444", "--fsize=1048576"))[1]
        assert facts["open files"]["details"].startswith("333, at most 444 ("), facts["open files"]
        assert facts["size of files"]["details"].startswith("1.0 MiB ("), facts["size of files"]
        with open("/proc/sys/kernel/shmmni") as file:
            assert f"shmmni {file.read().strip()}," in facts["System V limits"]["details"], facts


@case(root_only=True)
def passthrough_is_told():
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        raise Skip("there is no /dev/fuse")
    for user in ((), ("--user", "--map-root-user")):
        with folder() as top:
            before = ("unshare", "-m", *user)
            row = examine(f"--dir={top}/none", before=before)[1]["passthrough"]
            script = f"mkdir {top}/mnt && {PREFIX}/bin/shmfs --dir={top}/d --passthrough=require {top}/mnt && umount {top}/mnt"
            done = run(*before, "sh", "-c", "mount --make-rprivate / && " + script)
            equal((user, row["host"] == "yes"), (user, done.returncode == 0))


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
            assert facts["road of paths"].startswith(f"by the mount on {top}/mnt, {road}")
