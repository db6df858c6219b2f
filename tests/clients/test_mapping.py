#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Programs that map memory, where memory can't be mapped: TAP on standard output.

Aim: what runs where the kernel maps runs as well on hosts that lack one call of that, or all.
Method: each client runs natively, and unmodified on hosts made by `shmemu without` with nothing but
the library, and its results must be as natively; that the library's emulation was at work shows in its
trace, and on the same hosts without the library it must fail or fall back, where it needs what is
lacking. CPython's own tests are compared case by case, as test_cpython.py does.
SHMEMU_PREFIX is where shmemu is installed, SHMEMU_VENV what scripts/venv made; all users must be able
to read both. With --long, or SHMEMU_TEST_LONG set: all of multiprocessing's tests, and a pack of 120 MB.
Other arguments are parts of the names of cases to run.
"""

import json
import os
import random
import re
import subprocess
import sys
from collections import Counter

sys.dont_write_bytecode = True
import test_clients
from client_tap import Skip, Tap
from client_world import PYTHON, SHMEMU, VENV_PYTHON, is_root, private, until, world
from client_world import Native as NativeWorld
from mapping_world import WORDS, Nanvix, Plain, hide_shm, host
from test_cpython import perform

HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAMS = os.path.join(HERE, "programs")
LONG = "--long" in sys.argv or "SHMEMU_TEST_LONG" in os.environ
ONE_BY_ONE = [host(word) for word in WORDS]
ALL = host("nanvix")
EMULATE = host(SHMEMU_MMAP="emulate")
NO_MMAP = [host("mmap-shared"), host("mmap-file")]
AT_ONCE = 4  # most of them wait, now and then

expected = {}  # what was found natively


def equal(found, wanted, done=""):
    assert found == wanted, f"found {found!r}, not {wanted!r}\n{done}"


# CPython's test_mmap.

CASES_MIN = 30
# Without these it can be seen to fail; the others it does not need, or does not look at.
NEEDED = {"mmap-shared", "mmap-file", "mmap-shared-anonymous", "msync", "mremap", "madvise", "ftruncate",
          "nanvix"}


def counts(cases):
    count = Counter(cases.values())
    return f"{len(cases)} cases: " + ", ".join(
        f"{count[how]} {how}" for how in ("passed", "failed", "skipped") if count[how])


def native_mmap():
    with world(Plain) as w:
        done, cases = perform(w, "test_mmap")
        assert len(cases) >= CASES_MIN and "failed" not in cases.values(), f"{cases}\n{done}"
        expected["test_mmap"] = cases
        return counts(cases)


def compare_cases(cases, wanted, done):
    names = sorted(set(wanted) | set(cases))
    wrong = [f"{name}: {cases.get(name)}, natively {wanted.get(name)}" for name in names
             if cases.get(name) != wanted.get(name)]
    assert not wrong, "\n".join([f"{len(wrong)} differ", *wrong, str(done)])


def mmap_on(kind):
    with world(kind) as w:
        done, cases = perform(w, "test_mmap")
        compare_cases(cases, expected["test_mmap"], done)
        if {"mmap-shared", "mmap-file", "nanvix"} & set(kind.words) or not kind.words:
            assert done.views >= CASES_MIN, f"only {done.views} views\n{done}"
        return f"{counts(cases)}, as natively; {done.views} emulated mappings"


def mmap_without(kind):
    with world(kind) as w:
        done, cases = perform(w, "test_mmap", preload=False)
        lost = sorted(name.split(".")[-1] for name, how in expected["test_mmap"].items()
                      if how == "passed" and cases.get(name) != "passed")
        equal(done.views, 0)
        assert lost or not NEEDED & set(kind.words), f"nothing fails\n{done}"
        return f"{len(lost)} do not pass: {' '.join(lost[:6])}{' ...' if len(lost) > 6 else ''}"


# CPython's tests of multiprocessing.

MODULES = ["test_multiprocessing_fork", "test_multiprocessing_spawn"]
SHORT = ("*SharedMemory*", "*TestHeap*", "*Lock*", "*Semaphore*", "*Value*", "*Array*", "*SharedCTypes*",
         "*Condition*", "*Barrier*", "*Event*", "*TestQueue*")
MODULE_SECONDS = 1500
RETRIES = 3


def selection():
    return [] if LONG else [word for pattern in SHORT for word in ("-m", pattern)]


def native_multiprocessing(module):
    with world(NativeWorld, 65534 if is_root() else None) as w:
        done, cases = perform(w, module, *selection(), patience=MODULE_SECONDS)
        assert len(cases) > 100, f"{counts(cases)}\n{done}"
        expected[module] = cases
        return f"{counts(cases)}; {done.seconds:.0f} s"


def outcomes_alone(kind, module, name):
    found = set()
    with world(kind, 65534 if is_root() and kind is NativeWorld else None) as w:
        for _ in range(RETRIES):
            _, cases = perform(w, module, "-m", name, patience=120)
            found.add(cases.get(name, "absent"))
    return found


def multiprocessing_on(tap, module):
    """As in test_cpython.py, what ended otherwise is run again alone, here and natively."""
    native = expected[module]
    with world(ALL) as w:
        done, cases = perform(w, module, *selection(), patience=MODULE_SECONDS)
    names = [name for name in sorted(set(native) | set(cases)) if native.get(name) != cases.get(name)]
    wrong = []
    assert len(names) <= 15, f"{len(names)} cases differ: {names}\n{done}"
    for name in names:
        here, there = outcomes_alone(ALL, module, name), outcomes_alone(NativeWorld, module, name)
        tap.say(f"{name}: {cases.get(name)}; alone {sorted(here)}, natively {sorted(there)}")
        if not here <= there | {native.get(name)}:
            wrong.append(name)
    assert not wrong, f"not as natively: {wrong}"
    assert done.views > 100 and len(done.traced) > 100, f"{done.views} views, {len(done.traced)} opens"
    return f"{counts(cases)}, as natively; {done.views} emulated mappings, {done.seconds:.0f} s"


# SQLite in WAL mode.

WRITERS = 3


def wal_words(w):
    return PYTHON, w.install(os.path.join(PROGRAMS, "wal.py")), os.path.join(w.home, "base"), \
        str(WRITERS), str(400 if LONG else 60)


def wal(kind):
    with world(kind) as w:
        done = w.run(*wal_words(w), patience=300)
        equal((done.status, done.err), (0, ""), done)
        told = json.loads(done.out)
        *rows, killed = told["rows"]
        count = 400 if LONG else 60
        equal((told["mode"], told["integrity"], told["total"]), ("wal", "ok", 0), done)
        equal(rows, [[count, count]] * WRITERS, done)
        # Of the one that was killed: what it had said it had done, or one more; without a gap.
        assert killed[0] == killed[1] and told["killed"] <= killed[0] <= told["killed"] + 1, done
        equal(told["statuses"], [0] * WRITERS + [-9, 0], done)
        assert told["looks"], done
        equal(told["index"], "18e22d00", done)
        assert (done.views > 0) == (kind is not Plain), f"{done.views} views"
        return f"{WRITERS} writers of {count} and one killed after {killed[0]}; {done.views} " \
            f"emulated mappings, {done.seconds:.1f} s"


def wal_without(kind):
    with world(kind) as w:
        done = w.run(*wal_words(w), preload=False, patience=120)
        assert done.status != 0 or json.loads(done.out)["mode"] != "wal", done
        return (done.err.strip().splitlines() or ["it falls back"])[-1]


# LMDB.

def counts_words(w, how):
    folder = w.folder("lmdb", 0o700)
    return PYTHON, w.install(os.path.join(PROGRAMS, "counts.py")), folder, how, str(WRITERS), \
        str(300 if LONG else 60)


def lmdb(kind, how):
    with world(kind) as w:
        done = w.run(*counts_words(w, how), patience=300)
        equal((done.status, done.err), (0, ""), done)
        told = json.loads(done.out)
        count = 300 if LONG else 60
        equal(told["entries"], [count] * WRITERS, done)
        assert told["killed"] <= told["victim"] <= told["killed"] + 1, done
        total = count * WRITERS + told["victim"]
        equal((told["count"], told["scanned"], told["sum"]), (total, total, 0), done)
        equal(told["statuses"], [0] * WRITERS + [-9, 0], done)
        assert (done.views > 0) == (kind is not Plain), f"{done.views} views"
        looks, torn = told["reader"]
        assert torn == 0 or kind is not Plain, done
        return f"{total} transactions, {told['victim']} of them of one that was killed; " \
            f"the reader saw {torn} of {looks} in part; {done.views} emulated mappings, " \
            f"{done.seconds:.1f} s"


def lmdb_without(kind, how):
    with world(kind) as w:
        done = w.run(*counts_words(w, how), preload=False, patience=120)
        assert done.status != 0 and "lmdb." in done.err, done
        return re.findall(r"^lmdb\..*", done.err, re.M)[-1]


# git.

FILES, FILE_SIZE = (600, 200 << 10) if LONG else (40, 200 << 10)
GIT = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1",
       **{f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in
          (("NAME", "a"), ("EMAIL", "a@b"), ("DATE", "1700000000 +0000"))},
       "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}


def make_repository(w):
    """Some commits in one pack; most of it can't be compressed."""
    top = w.folder("repository", 0o755)
    chance = random.Random(7)
    commands = ["git init -q -b trunk . && git config receive.denyCurrentBranch ignore"]
    for i in range(FILES):
        with open(os.path.join(top, f"file-{i}"), "wb") as file:
            file.write(chance.randbytes(FILE_SIZE))
    commands.append("git add . && git commit -q -m first")
    for i in range(8):
        commands.append(f"for f in file-?; do echo line {i} >>$f; done; seq {i * 1000} >numbers; "
                        f"git add . && git commit -q -m 'change {i}'")
    commands.append("git repack -q -a -d")
    subprocess.run(["sh", "-ec", "\n".join(commands)], cwd=top, check=True, timeout=300,
                   env={**w.environment(), **GIT})
    if is_root():
        subprocess.run(["chown", "-R", f"{w.uid}:{w.uid}", top], check=True)
    return top


def pack_words(w):
    return "sh", w.install(os.path.join(PROGRAMS, "pack.sh")), make_repository(w), \
        os.path.join(w.home, "clone")


def git(kind):
    with world(kind) as w:
        done = w.run(*pack_words(w), patience=1200)
        equal((done.status, done.err), (0, ""), done)
        expected.setdefault("git", done.out)
        equal(done.out, expected["git"], done)
        # It maps privately: where that is had, there is nothing to be emulated.
        assert (done.views > 20) == ("mmap-file" in kind.words), f"{done.views} views"
        return f"{FILES * FILE_SIZE >> 20} MB; {done.views} emulated mappings, {done.seconds:.1f} s"


def git_without(kind):
    with world(kind) as w:
        done = w.run(*pack_words(w), preload=False, patience=1200)
        if "mmap-file" in kind.words:
            assert done.status != 0 and "mmap" in done.err, done
            return done.err.strip().splitlines()[-1]
        equal((done.status, done.out), (0, expected["git"]), done)
        return "it needs no shared mapping"


# The probes of tests/probes/maps_*.c, which tests/conform/test_maps.c runs where mappings must be emulated,
# here where they could be had.

PROBES = os.environ.get("SHMEMU_PROBES", "")


def probes():
    return sorted(name for name in os.listdir(PROBES) if re.fullmatch("maps_[a-z]+", name)) if PROBES else []


def lines_of(kind, probe):
    with world(kind) as w:
        done = w.run(w.install(os.path.join(PROBES, probe)))
        equal((done.status, done.err), (0, ""), done)
        assert (done.views > 0) == (kind is EMULATE), f"{done.views} views"
        # What has a class may be another line: tests/conform/differences.c.
        return [re.sub(r"^(\{.*\}).*", r"\1", line) for line in done.out.splitlines()], done.views


def probe_emulated(probe):
    (wanted, _), (found, views) = lines_of(Plain, probe), lines_of(EMULATE, probe)
    wrong = [f"{there!r}, natively {here!r}" for here, there in zip(wanted, found) if here != there]
    assert not wrong and len(wanted) == len(found), "\n".join([f"{len(wrong)} lines", *wrong[:40]])
    return f"{len(found)} lines; {views} emulated mappings"


# Shared memory, where nothing of it is there.

def one_line_alone():
    with world(ALL) as w:
        done = w.run(PYTHON, "-c", test_clients.ONE_LINE)
        test_clients.check_silent(done)
        assert len(done.traced) == 1 and done.views >= 1, done
        return f"{done.views} emulated mappings"


def one_line_without():
    with world(ALL) as w:
        done = w.run(PYTHON, "-c", test_clients.ONE_LINE, preload=False)
        assert done.status != 0 and "Error" in done.err, done
        return done.err.strip().splitlines()[-1]


def posix_ipc():
    """First natively, which is what it is compared with."""
    test_clients.posix_ipc(NativeWorld)
    return test_clients.posix_ipc(Nanvix)


def shmutils(function):
    function(NativeWorld)
    return function(Nanvix)


def chains(tap):
    """Yields the name of each case, its function, and what that is given, in chains: what the first of
    one finds is what the others of it are compared with. The longest first."""
    for module in MODULES:
        yield [(f"natively: {module}", native_multiprocessing, module),
               (f"nanvix: {module}", multiprocessing_on, tap, module)]
    yield [(f"{kind.name}: git", git, kind) for kind in (Plain, *NO_MMAP)] + [
        (f"{kind.name}, without the library: git", git_without, kind) for kind in NO_MMAP]
    for kind in (*ONE_BY_ONE, ALL, EMULATE):
        yield [(f"{kind.name}: test_mmap", mmap_on, kind)]
    for kind in (*ONE_BY_ONE, ALL):
        yield [(f"{kind.name}, without the library: test_mmap", mmap_without, kind)]
    # Their names are the same in all of them.
    yield [(f"{EMULATE.name}: {probe}", probe_emulated, probe) for probe in probes()]
    yield [("nanvix: one line of Python, the library alone", one_line_alone),
           ("nanvix, without the library: one line of Python", one_line_without),
           ("nanvix: one line of Python", test_clients.one_line, Nanvix)]
    yield [("nanvix: posix_ipc's tests", posix_ipc)]
    yield [(f"nanvix: shmutils, {what}", shmutils, getattr(test_clients, f"shmutils_{what}"))
           for what in ("doctest", "fork", "spawn", "spawn_mended")]
    for kind in (Plain, *NO_MMAP):
        yield [(f"{kind.name}: SQLite", wal, kind)]
        for how in ("map", "writemap"):
            yield [(f"{kind.name}: LMDB, {how}", lmdb, kind, how)]
    for kind in NO_MMAP:
        yield [(f"{kind.name}, without the library: SQLite", wal_without, kind)]
        yield [(f"{kind.name}, without the library: LMDB", lmdb_without, kind, "map")]
        yield [(f"{kind.name}, without the library: LMDB, writemap", lmdb_without, kind, "writemap")]


def main():
    for path in (SHMEMU, VENV_PYTHON):
        if not os.access(path, os.X_OK):
            sys.exit("SHMEMU_PREFIX must be where shmemu is installed, SHMEMU_VENV what "
                     f"scripts/venv made: there is no '{path}'")
    private()
    hide_shm()
    for name in ("LD_PRELOAD", "SHMEMU_DIR", "SHMEMU_LOG", "SHMEMU_MMAP", "PYTHONPATH", "PYTHONHOME"):
        os.environ.pop(name, None)
    os.umask(0o022)
    asked = [word for word in sys.argv[1:] if word != "--long"]
    tap = Tap()
    tap.run("natively: test_mmap", native_mmap)
    tap.run_beside(AT_ONCE, [[case for case in chain
                              if not asked or any(word in case[0] for word in asked)]
                             for chain in chains(tap)])
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
