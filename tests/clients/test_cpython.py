#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""CPython's own tests of multiprocessing and concurrent.futures: TAP on standard output.

Aim: each of their cases ends as it does natively with a good /dev/shm. Method: the modules run
unmodified, in the worlds of client_world.py side by side, and case is compared with case. Without
semaphores they skip themselves with exit status 0: so the cases that ran are counted, and what
they shared must have been seen in the store. On the same host without the library none passes.
They measure time, and on a busy machine some come out differently now and then, natively too. A
case that ended differently is run again alone, RETRIES times natively and as often in its world,
and is named; it passes if each outcome is one that it has natively.
Whom a case runs as makes no difference to its outcome: natively all run as the ordinary user.
SHMEMU_PREFIX is where shmemu is installed; all users must be able to read it.
With --long, or SHMEMU_TEST_LONG set: natively as root too, and without the library on the mount.
"""

import concurrent.futures
import os
import re
import sys
import xml.etree.ElementTree as tree
from collections import Counter

sys.dont_write_bytecode = True
from client_tap import Tap
from client_world import (NOBODY, PYTHON, SHMEMU, Lambda, Mount, Native, Plain, Served, is_root,
                          private, until, world, worlds)

# The longest first. On Debian 13 each is a package; regrtest runs its parts one after another.
MODULES = ["test_concurrent_futures", "test_multiprocessing_spawn",
           "test_multiprocessing_forkserver", "test_multiprocessing_fork"]
CASES_MIN = 200  # each has more than that since Python 3.11
AT_ONCE = 6      # mostly they wait
MODULE_SECONDS = 900
RETRIES = 3
RETRIED_MAX = 10  # differing cases of a module: with more, something is wrong


class Outcome:
    """What became of a module in a world."""

    def __init__(self, kind, uid, module):
        self.kind, self.uid, self.module = kind, uid, module
        self.cases = {}
        self.problem = None  # an exception: there are no outcomes, or they are worth nothing
        self.left = None     # what was left in the store
        self.told = ""

    def counts(self):
        count = Counter(self.cases.values())
        return f"{len(self.cases)} cases: " + ", ".join(
            f"{count[how]} {how}" for how in ("passed", "failed", "skipped") if count[how])


def read_cases(path):
    """Returns how each case ended."""
    cases = {}
    if not os.path.exists(path):
        return cases
    for case in tree.parse(path).iter("testcase"):
        # A failed subtest comes besides its case, with its parameters behind the name; or instead of
        # it and without a name, and then the case is missing.
        if not case.get("name"):
            continue
        name = re.split(r"[ (\[]", case.get("name"))[0]
        tags = {child.tag for child in case}
        how = ("failed" if tags & {"failure", "error"} else
               "skipped" if "skipped" in tags else "passed")
        if cases.get(name) != "failed":
            cases[name] = how
    return cases


def perform(w, module, *more, patience=MODULE_SECONDS, **options):
    """Runs a module, or cases of it; returns how the command ended and the cases."""
    report = os.path.join(w.home, "report.xml")
    if os.path.exists(report):
        os.unlink(report)
    done = w.run(PYTHON, "-m", "test", "-v", "--timeout", str(patience), "--junit-xml", report,
                 *more, module, patience=patience + 30, interval=0.02, **options)
    return done, read_cases(report)


def check_used(w, done):
    """That what it shared lay in the store. Some cases kill processes: a trace may lack a line."""
    if not w.with_library:
        told = f"{len(done.seen)} files seen in the store"
        # Mostly the names are gone at once: how many a look now and then meets is chance.
        assert done.seen, told
        return told
    seen = len(set(done.seen) & set(done.traced))
    told = f"{len(done.traced)} opens traced, {seen} of the files seen in the store"
    assert seen >= 1 and len(done.traced) >= 100, told
    assert done.requests >= len(set(done.traced)), f"{done.requests} requests, {told}"
    return told


def leftovers(w, fds):
    """Returns what is left in the world when all processes have had time to end, or None."""
    try:
        until(lambda: not w.files(), "an empty store")
        if fds:
            until(lambda: w.fds() <= fds, "its descriptors")
    except AssertionError:
        return f"names: {list(w.files())}; descriptors: {w.fds() if fds else 0}, {fds} before"
    return None


def perform_module(kind, uid, module):
    outcome = Outcome(kind, uid, module)
    try:
        with world(kind, uid) as w:
            w.run(PYTHON, "-c", "import multiprocessing; multiprocessing.Lock()")
            w.files()  # what a daemon opens once is open now
            fds = w.fds() if isinstance(w, Served) else 0
            done, outcome.cases = perform(w, module)
            assert len(outcome.cases) >= CASES_MIN, f"{outcome.counts()}\n{done}"
            outcome.told = f"{check_used(w, done)}, {done.seconds:.0f} s"
            outcome.left = leftovers(w, fds)
    except Exception as problem:
        outcome.problem = problem
    return outcome


def differing(native, outcome):
    names = sorted(set(native.cases) | set(outcome.cases))
    return [name for name in names if native.cases.get(name) != outcome.cases.get(name)]


def again(kind, uid, module, name):
    """Returns in what ways a case ends when it runs alone."""
    ways = set()
    with world(kind, uid) as w:
        for _ in range(RETRIES):
            _, cases = perform(w, module, "-m", name, patience=120)
            ways.add(cases.get(name, "absent"))
    return ways


def compare(tap, natives, outcome):
    native = natives[outcome.module]
    if native.problem:
        raise AssertionError("no native outcomes to compare with")
    if outcome.problem:
        raise outcome.problem
    names = differing(native, outcome)
    assert len(names) <= RETRIED_MAX, f"{len(names)} cases differ: {names}"
    wrong = []
    for name in names:
        alone = again(Native, outcome.uid, outcome.module, name) | {native.cases.get(name)}
        here = again(outcome.kind, outcome.uid, outcome.module, name)
        tap.say(f"{name}: {outcome.cases.get(name)} on {outcome.kind.name}; alone, {RETRIES} "
                f"times: {sorted(here)}, and natively: {sorted(alone)}")
        if not here <= alone:
            wrong.append(name)
    assert not wrong, f"not as natively: {wrong}"
    unsteady = f" ({len(names)} of them only when run alone)" if names else ""
    return f"{outcome.counts()}, as natively{unsteady}; {outcome.told}"


def nothing_left(outcome):
    assert outcome.problem is None, "it did not run"
    assert outcome.left is None, outcome.left


def native_counts(outcome):
    if outcome.problem:
        raise outcome.problem
    return f"{outcome.counts()}; {outcome.told}"


def fails_without_library(module):
    """Without semaphores there is a difference: no case with processes passes."""
    with world(Lambda) as w:
        done, cases = perform(w, module, preload=False)
        count = Counter(cases.values())
        equal = (done.seen, done.traced, done.requests)
        assert equal == ({}, [], 0), f"{equal}\n{done}"
        passed = [name for name, how in cases.items() if how == "passed" and "Process" in name]
        assert not passed, f"passed: {passed}"
        if not cases:
            assert re.search(rf"^{module}\S* skipped -- ", done.out, re.M), done
            return f"it skips itself, status {done.status}"
        assert count["failed"] > 100, done
        return f"{count['passed']} of {len(cases)} cases pass, none with processes"


def all_jobs(long):
    user = NOBODY if is_root() else os.geteuid()
    jobs = [(Native, user), (Lambda, user)]
    if Mount in worlds():
        jobs.append((Mount, 0))
        if long:
            jobs += [(Native, 0), (Plain, 0)]
    return [(kind, uid, module) for module in MODULES for kind, uid in jobs]


def main():
    if not os.access(SHMEMU, os.X_OK):
        sys.exit(f"SHMEMU_PREFIX must be where shmemu is installed: there is no {SHMEMU}")
    private()
    for name in ("LD_PRELOAD", "SHMEMU_DIR", "SHMEMU_LOG", "PYTHONPATH", "PYTHONHOME"):
        os.environ.pop(name, None)
    os.umask(0o022)
    tap = Tap()
    jobs = all_jobs("--long" in sys.argv or "SHMEMU_TEST_LONG" in os.environ)
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        running = [pool.submit(perform_module, *job) for job in jobs]
        without = [pool.submit(fails_without_library, module) for module in MODULES]
    outcomes = [future.result() for future in running]
    natives = {outcome.module: outcome for outcome in reversed(outcomes) if outcome.kind is Native}
    for outcome in outcomes:
        user = " as root" if outcome.kind is Native and outcome.uid == 0 else ""
        what = f"{outcome.kind.name}{user}: {outcome.module}"
        if outcome is natives[outcome.module]:
            tap.run(what, native_counts, outcome)
        else:
            tap.run(what, compare, tap, natives, outcome)
        tap.run(f"{what}: nothing left", nothing_left, outcome)
    for module, future in zip(MODULES, without):
        tap.run(f"lambda, without the library: {module}", future.result)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
