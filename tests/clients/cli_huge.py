# SPDX-License-Identifier: LGPL-2.1-or-later
"""shmfs --huge: which memory has huge pages, and what small segments take."""

import json
import os
import signal

from cli_examine import examine
from cli_limit import MIB, SHMFS, daemon, limited
from cli_world import NOBODY, PREFIX, PYTHON, SHMEMU, Skip, case, check_refusal, equal, folder, run

SETTING = "/sys/kernel/mm/transparent_hugepage/shmem_enabled"
LARGE = 64 * MIB
SMALL = (4096, 65536, MIB)

# Maps a file, and says how many bytes of it are mapped by huge pages, and what it takes.
LOOK = """
import ctypes, json, mmap, os, sys

def look(fd, size, advise):
    os.ftruncate(fd, size)
    memory = mmap.mmap(fd, size)
    if advise:
        memory.madvise(mmap.MADV_HUGEPAGE)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    for i in range(0, size, 4096):
        memory[i] = 1
    huge = of_it = 0
    for line in open('/proc/self/smaps'):
        if '-' in line.split()[0]:
            begin, end = (int(word, 16) for word in line.split()[0].split('-'))
            of_it = begin <= address < end
        elif of_it and line.startswith('ShmemPmdMapped:'):
            huge += int(line.split()[1]) << 10
    print(json.dumps([huge, os.fstat(fd).st_blocks * 512]))
"""
BY_NAME = LOOK + """
import _posixshmem
fd = _posixshmem.shm_open(sys.argv[1], os.O_CREAT | os.O_RDWR, 0o600)
_posixshmem.shm_unlink(sys.argv[1])
look(fd, int(sys.argv[2]), sys.argv[3:] == ['advise'])
"""
BY_PATH = LOOK + "look(os.open(sys.argv[1], os.O_CREAT | os.O_RDWR), int(sys.argv[2]), False)"

# What many small ones take in all, as segments and as the kernel gives it by itself.
MANY = """
import _posixshmem, json, mmap, os, sys

def fill(fd, size, how):
    if how == 'write':
        os.write(fd, bytes(size))
        return
    os.ftruncate(fd, size)
    with mmap.mmap(fd, size) as memory:
        if how == 'last':
            memory[size - 1] = 1
        else:
            for i in range(0, size, 4096):
                memory[i] = 1

def blocks(make, size, how, count):
    total = 0
    for i in range(count):
        fd = make(i)
        fill(fd, size, how)
        total += os.fstat(fd).st_blocks
        os.close(fd)
    return total * 512

def segment(i):
    return _posixshmem.shm_open(f'/small-{i}', os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)

size, how, count = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
taken = blocks(segment, size, how, count)
for i in range(count):
    _posixshmem.shm_unlink(f'/small-{i}')
print(json.dumps([taken, blocks(lambda i: os.memfd_create('x'), size, how, count)]))
"""


def need_huge_pages():
    with folder() as top:
        facts = examine(f"--dir={top}/none")[1]
    if facts["private tmpfs"]["host"] != "yes" or "with huge pages" not in facts["private tmpfs"]["details"]:
        raise Skip("this host has no huge pages for a private tmpfs of this user's")


def huge_in(d, *words, size=LARGE, uid=None):
    return json.loads(d.python(BY_NAME, "/large", size, *words, uid=uid))[0]


def told(d):
    row = examine(f"--dir={d.dir}")[1]["huge pages in segments"]
    return row["shmemu"] == "yes", row["details"]


def check_many(huge):
    """Of a large file each part that can has a huge page; now and then there is none to be had."""
    assert LARGE // 2 <= huge <= LARGE, huge


@case()
def large_segments_have_huge_pages():
    need_huge_pages()
    for options in ((), ("--size=256m",), ("--huge=within_size",), ("--huge=always",)):
        with daemon(*options) as d:
            check_many(huge_in(d))
            ok, details = told(d)
            assert ok and details.startswith("large segments have them by --huge="), details


@case()
def never_gives_none_and_advise_what_is_asked_for():
    need_huge_pages()
    with daemon("--huge=never") as d:
        equal(huge_in(d), 0)
        equal(told(d)[0], False)
        assert told(d)[1].startswith("none by --huge=never"), told(d)
    with daemon("--huge=advise") as d:
        equal(huge_in(d), 0)
        check_many(huge_in(d, "advise"))
        assert told(d)[1].startswith("where a program asks by --huge=advise"), told(d)


@case()
def the_setting_outlives_limits_kills_and_upgrades():
    need_huge_pages()
    for how, check in (("within_size", check_many), ("never", lambda huge: equal(huge, 0))):
        with limited("--size=128m", f"--huge={how}") as d:
            check(huge_in(d))
            d.change("--size=160m")
            check(huge_in(d))
            d.another_worker(signal.SIGKILL)
            check(huge_in(d))
            d.another_worker(signal.SIGHUP, d.keeper)
            d.change("--size=192m")
            check(huge_in(d))
            assert f"--huge={how}" in told(d)[1], told(d)


@case(root_only=True)
def shares_of_users_have_it_too():
    need_huge_pages()
    for options, check in (((), check_many), (("--huge=never",), lambda huge: equal(huge, 0))):
        with limited("--size=512m", "--user-size=128m", *options) as d:
            check(huge_in(d, uid=NOBODY))
            d.change("--user-size=256m")
            check(huge_in(d, uid=NOBODY))


@case(root_only=True)
def a_mount_gives_them_to_programs_without_the_library():
    need_huge_pages()
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        raise Skip("there is no /dev/fuse")
    for word, check in (("within_size", check_many), ("never", lambda huge: equal(huge, 0))):
        with folder() as top:
            script = (f"mount --make-rprivate / && mkdir {top}/mnt && {PREFIX}/bin/shmfs "
                      f"--dir={top}/d -o huge={word} {top}/mnt && "
                      f"{PYTHON} -c \"$0\" {top}/mnt/large {LARGE}; "
                      f"status=$?; umount {top}/mnt; exit $status")
            done = run("unshare", "-m", "sh", "-c", script, BY_PATH)
            if "No such device" in done.stderr:
                raise Skip("this host has no passthrough, and so no mappings at the mount")
            equal((done.returncode, done.stderr), (0, ""))
            check(json.loads(done.stdout)[0])


@case()
def small_segments_take_what_they_take_natively():
    with open(SETTING) as setting:
        words = setting.read()
        if not any(f"[{word}]" in words for word in ("never", "advise", "deny")):
            raise Skip("this host gives huge pages to small memfds, too")
    with daemon() as d:
        for size, count in zip(SMALL, (1000, 1000, 100)):
            for how in ("whole", "write", "last"):
                ours, native = json.loads(d.python(MANY, size, how, count))
                equal((size, how, ours), (size, how, native))
            # What the store counts is what they are.
            before = d.limits()["size"]["used"]
            equal(d.fill("/one", SMALL[0]), "")
            equal(d.limits()["size"]["used"] - before, SMALL[0])
            d.unlink("/one")


@case()
def what_cannot_be_had_is_refused():
    for words, said in ((("--huge=large",), "never, within_size, advise or always"),
                        (("--source=memfd", "--huge=always"), "cannot have --huge=always"),
                        (("-o", "huge", "--no-mount"), "takes a value")):
        with folder() as top:
            done = run(SHMFS, "--no-mount", f"--dir={top}/d", *words)
            assert done.returncode and said in done.stderr and done.stderr.count("\n") == 1, done
    check_refusal(run(SHMEMU, "run", "--huge=large", "true"), 125)
    done = run(SHMEMU, "without", "fsopen", "--", SHMEMU, "run", "--huge=within_size", "true")
    equal(done.returncode, 125)
    assert "cannot have --huge=within_size" in done.stderr, done
    # By default it goes without, in silence.
    done = run(SHMEMU, "without", "fsopen", "--", SHMEMU, "run", "true")
    equal((done.returncode, done.stderr), (0, ""))


@case()
def run_passes_it_on():
    need_huge_pages()
    for word, ok in (("never", False), ("always", True)):
        done = run(SHMEMU, "run", f"--huge={word}", SHMEMU, "doctor", "--json")
        facts = {row["what"]: row for row in json.loads(done.stdout)["facts"]}
        row = facts["huge pages in segments"]
        equal((done.returncode, row["shmemu"]), (0, "yes" if ok else "no"))
        assert f"--huge={word}" in row["details"], row
