#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Programs that share memory in ways of their own, from Debian and PyPI: TAP on standard output.

Aim: what fails where shared memory is missing or small, or makes do with something else and does not
say so, uses our store under the library and at the mount. Method: the worlds of program_world.py; in
each the program's own result must be right, and its processes' mappings, by the kernel's word, of our
store. On the same hosts without the library the same commands must fail, or be seen to make do.

joblib, RawArray and Boost.Interprocess always; PyTorch, PostgreSQL, Chromium and Open MPI
(program_heavy.py) with SHMEMU_TEST_HEAVY set: scripts/test --heavy. SHMEMU_VENV is what scripts/venv
made, SHMEMU_VENV_HEAVY what scripts/venv --heavy made; all users must be able to read them. Arguments
are parts of the names of cases to run.
"""

import json
import os
import re
import sys

sys.dont_write_bytecode = True
import program_heavy
from client_tap import Skip, Tap
from client_world import SHMEMU, VENV_PYTHON, private, until, world
from program_world import (Docker, Lambda, Native, Small, built, check_shared, check_unused, worlds)

HEAVY = bool(os.environ.get("SHMEMU_TEST_HEAVY"))
MIB = 1 << 20


def equal(found, wanted, done=""):
    assert found == wanted, f"found {found!r}, not {wanted!r}\n{done}"


def check_empty(w):
    until(lambda: w.files() == {}, f"left in the store: {w.files()}")


# joblib: Parallel over numpy memmaps.

ROWS, COLUMNS = 64, 1 << 14
SUM = sum(range(ROWS * COLUMNS))


def memmaps(kind):
    with world(kind) as w:
        done = w.run(VENV_PYTHON, w.ours("memmaps.py"))
        equal((done.status, done.err), (0, ""), done)
        by_itself, in_a_folder = json.loads(done.out)
        equal((by_itself["sum"], in_a_folder["sum"]), (SUM, SUM), done)
        equal(by_itself["processes"], 2, done)
        where = by_itself["where"].startswith("/dev/shm/")
        if kind is Native and not where:
            raise Skip("joblib wants 2 GiB in /dev/shm, or uses the disk: this host has less")
        assert where, done
        equal(in_a_folder["names"], ["input", "output"], done)
        told = check_shared(w, done, "/joblib_memmapping_folder_", 8 * MIB)
        check_shared(w, done, in_a_folder["where"], 8 * MIB)
        check_empty(w)
        return told


def memmaps_without_lambda():
    """It says so in a warning only, and works alone, without a memmap."""
    with world(Lambda) as w:
        done = w.run(VENV_PYTHON, w.ours("memmaps.py"), preload=False)
        assert done.status != 0 and "joblib will operate in serial mode" in done.err, done
        assert "FileNotFoundError: [Errno 2]" in done.err and "/dev/shm/" in done.err, done
        check_unused(done)


def memmaps_without_docker():
    """It says nothing, and uses the disk."""
    with world(Docker) as w:
        done = w.run(VENV_PYTHON, w.ours("memmaps.py"), preload=False)
        equal(done.status, 0, done)
        where = json.loads(done.out)[0]["where"]
        assert where.startswith(w.home + "/joblib_memmapping_folder_"), done
        check_unused(done)
        return "in silence it uses $TMPDIR"


# multiprocessing.RawArray.

RAW_MIB = 128


def raw_array(kind):
    with world(kind) as w:
        done = w.run(VENV_PYTHON, w.ours("raw_array.py"), str(RAW_MIB))
        equal((done.status, done.err), (0, ""), done)
        told = json.loads(done.out)
        equal((told["sum"], told["status"]), (RAW_MIB * MIB, 0), done)
        if kind is Native:
            assert told["where"].startswith("/dev/shm/pym-"), told
        told = check_shared(w, done, "/pym-", RAW_MIB * MIB)
        check_empty(w)
        return told


def raw_array_without_lambda():
    with world(Lambda) as w:
        done = w.run(VENV_PYTHON, w.ours("raw_array.py"), str(RAW_MIB), preload=False)
        assert done.status != 0 and "FileNotFoundError: [Errno 2]" in done.err, done
        check_unused(done)


def raw_array_elsewhere(kind, **options):
    """Where statvfs tells that there is no room it says nothing, and uses the disk."""
    with world(kind) as w:
        done = w.run(VENV_PYTHON, w.ours("raw_array.py"), str(RAW_MIB), **options)
        equal((done.status, done.err), (0, ""), done)
        where = json.loads(done.out)["where"]
        assert where.startswith(w.home), where
        equal(done.mapped, {})
        return "in silence it uses $TMPDIR"


def raw_array_without_docker():
    return raw_array_elsewhere(Docker, preload=False)


def raw_array_small():
    return raw_array_elsewhere(Small)


# Boost.Interprocess: managed_shared_memory, named_mutex, message_queue.

BOOST_MIB = 128
programs = {}  # what was compiled, by name


def interprocess_words(w, mib=BOOST_MIB):
    return w.install(programs["interprocess"]), str(mib)


def interprocess(kind):
    with world(kind) as w:
        done = w.run(*interprocess_words(w))
        equal((done.status, done.out, done.err), (0, "20000 999000\n", ""), done)
        told = check_shared(w, done, "boost-[0-9]+-memory", BOOST_MIB * MIB, 3)
        # glibc makes a semaphore under a name of six letters first.
        seen = [name for name in done.seen if not re.fullmatch(r"sem\.\w{6}", name)]
        names = {name.rstrip("0123456789").split("-")[-1]: name for name in seen}
        equal(sorted(names), ["memory", "mutex", "queue"], done.seen)
        equal(done.seen[names["memory"]], BOOST_MIB * MIB)
        assert names["mutex"].startswith("sem."), names
        check_empty(w)
        return told


def interprocess_without_lambda():
    with world(Lambda) as w:
        done = w.run(*interprocess_words(w), preload=False)
        equal((done.status, done.err), (1, "No such file or directory\n"), done)
        check_unused(done)


def interprocess_without_docker():
    with world(Docker) as w:
        done = w.run(*interprocess_words(w), preload=False)
        assert done.status in (-7, 128 + 7), done
        check_unused(done)
        return "a bus error"


def interprocess_small():
    with world(Small) as w:
        done = w.run(*interprocess_words(w))
        equal((done.status, done.err), (1, "No space left on device\n"), done)
        check_empty(w)
        done = w.run(*interprocess_words(w, 48))
        equal((done.status, done.out, done.err), (0, "20000 999000\n", ""), done)
        return "it says 'No space left on device' where tmpfs gives a bus error"


IN_WORLDS = [
    ("joblib: Parallel over numpy memmaps", memmaps),
    (f"RawArray of {RAW_MIB} MiB", raw_array),
    (f"Boost.Interprocess: {BOOST_MIB} MiB, a mutex, a queue", interprocess),
]
ALONE = [
    ("lambda, without the library: joblib fails", memmaps_without_lambda),
    ("docker, without the library: joblib makes do", memmaps_without_docker),
    ("lambda, without the library: RawArray fails", raw_array_without_lambda),
    ("docker, without the library: RawArray makes do", raw_array_without_docker),
    ("small: RawArray makes do", raw_array_small),
    ("lambda, without the library: Boost.Interprocess fails", interprocess_without_lambda),
    ("docker, without the library: Boost.Interprocess dies", interprocess_without_docker),
    ("small: Boost.Interprocess is told", interprocess_small),
]


def not_asked_for(*arguments):
    raise Skip("heavy: scripts/test --heavy")


def cases():
    """Yields the name of each, its function, and what that is given."""
    for what, function in IN_WORLDS:
        for kind in worlds():
            yield f"{kind.name}: {what}", function, (kind,)
    for what, function in ALONE:
        yield what, function, ()
    for what, function, *arguments in program_heavy.cases():
        yield what, function if HEAVY else not_asked_for, arguments


def main():
    if not os.access(SHMEMU, os.X_OK) or not os.access(VENV_PYTHON, os.X_OK):
        sys.exit("SHMEMU_PREFIX must be where shmemu is installed, SHMEMU_VENV what scripts/venv "
                 f"made: there is no '{SHMEMU}' or no '{VENV_PYTHON}'")
    private()
    for name in ("LD_PRELOAD", "SHMEMU_DIR", "SHMEMU_LOG", "PYTHONPATH", "PYTHONHOME"):
        os.environ.pop(name, None)
    os.umask(0o022)
    tap = Tap()
    with built("g++", "interprocess.cpp") as programs["interprocess"]:
        for what, function, arguments in cases():
            if len(sys.argv) == 1 or any(word in what for word in sys.argv[1:]):
                tap.run(what, function, *arguments)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
