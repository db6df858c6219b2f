#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Calls fail now and then, and the library goes on: TAP on standard output.

Aim: whichever call of mmap and its kin fails, and by whatever errno, a program under the library
does not crash, loses no byte and leaks nothing, and sees only errnos of the call's man page; where
mappings are the host's and where they are emulated. Method: tests/probes/injected.c makes some
hundred calls of each kind, checks all, and counts what is mapped and open at its end; `shmemu
without` has the N-th call of a kind fail, or each with a probability; limits of descriptors and of
memory hit the library's own calls too. N goes from 1 to 200 with SHMEMU_TEST_LONG, else by ever larger steps.
SHMEMU_TEST_SEED repeats the random runs. Arguments name cases. Needs SHMEMU_PREFIX and
SHMEMU_PROBES: scripts/test.
"""

import collections
import concurrent.futures
import os
import random
import signal
import subprocess
import sys

sys.dont_write_bytecode = True
from client_tap import Tap
from client_world import SHMEMU, Lambda, library, private, world

PROBE = os.path.join(os.environ.get("SHMEMU_PROBES", ""), "injected")
LONG = bool(os.environ.get("SHMEMU_TEST_LONG"))
SEED = int(os.environ.get("SHMEMU_TEST_SEED", random.randrange(1 << 31)))
KINDS = ("mmap", "munmap", "msync", "mremap", "madvise", "mprotect", "ftruncate", "fallocate",
         "memfd_create")
ERRNOS = ("ENOMEM", "EINTR", "ENOSPC")
MODES = ("auto", "emulate")
MOMENTS = range(1, 201) if LONG else (1, 2, 3, 5, 13, 55, 144)
DESCRIPTORS = range(4, 30) if LONG else (5, 7, 8, 9, 12)
MEMORY = range(0, 1024, 16) if LONG else (0, 64, 160, 640)
AT_ONCE = 4
SLACK = 512  # KiB: arenas, tables, and the stacks of ended threads that libc keeps for the next
PATIENCE = 60

Outcome = collections.namedtuple("Outcome", "status said counts")


def perform(a_world, mode, words=(), arguments=()):
    """Runs the probe; `words` are more of shmemu without's."""
    environment = {**a_world.environment(), "SHMEMU_MMAP": mode}
    del environment["SHMEMU_LOG"]
    try:
        done = subprocess.run(
            [SHMEMU, "without", "lambda", *words, "--", "env", "LD_PRELOAD=" + library(), PROBE,
             *arguments], env=environment, cwd=a_world.home, timeout=PATIENCE, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    except subprocess.TimeoutExpired as late:
        return Outcome("late", (late.output or b"").decode().splitlines()[-8:], {})
    lines = done.stdout.splitlines()
    wrong = [line for line in lines if line.startswith("WRONG")]
    counts = {line.split()[0]: tuple(map(int, line.split()[1:]))
              for line in lines if line[-1:].isdigit()}
    return Outcome(done.returncode, wrong or lines[-3:], counts)


class Control:
    """What the probe counts at its end when nothing fails: emulated mappings have some memory and
    descriptors of their own, and what the host refuses once is emulated."""

    def __init__(self, a_world):
        outcomes = [perform(a_world, mode) for mode in MODES * 2]
        self.wrong = next((outcome for outcome in outcomes if outcome.status != 0), None)
        self.descriptors = max(o.counts.get("descriptors", (0,))[0] for o in outcomes)
        self.memory = max(o.counts.get("memory", (0,))[0] for o in outcomes)

    def judge(self, outcome):
        """Returns what is wrong, or None."""
        if outcome.status != 0:
            status = outcome.status
            if isinstance(status, int) and status > 128:
                status = signal.Signals(status - 128).name
            return f"ended with {status}: {'; '.join(outcome.said[:3])}"
        descriptors, memory = outcome.counts["descriptors"][0], outcome.counts["memory"][0]
        if descriptors > self.descriptors:
            return f"{descriptors} descriptors at the end, not {self.descriptors}"
        if memory > self.memory + SLACK:
            return f"{memory} KiB mapped at the end, not {self.memory}"
        return None


def perform_all(a_world, mode, control, runs):
    """`runs`: names, with the words and arguments of each. Returns how often calls failed."""
    wrong = [] if not control.wrong else [("nothing fails", control.judge(control.wrong))]
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        jobs = [(name, pool.submit(perform, a_world, mode, *more)) for name, more in runs.items()]
        for name, job in jobs:
            outcome = job.result()
            problem = control.judge(outcome)
            if problem:
                wrong.append((name, problem))
            failed += sum(count[1] for count in outcome.counts.values() if len(count) == 2)
    assert not wrong, f"{len(wrong)} of {len(runs)} runs: " + "\n".join(
        f"{name}: {problem}" for name, problem in wrong[:12])
    return failed


def moments(kind, errno):
    return {f"{kind}={errno},nth={n}": ([f"{kind}={errno},nth={n}"],) for n in MOMENTS}


def chances(kind):
    runs = {}
    for number, errno in enumerate(ERRNOS):
        for probability in ("0.02", "0.3"):
            word = f"{kind}={errno},probability={probability},seed={SEED + number}"
            runs[word] = ([word],)
    return runs


def squeezes(what, amounts):
    return {f"{what} {amount}": ((), [what, str(amount)]) for amount in amounts}


def check_squeezed(a_world, mode, control, runs):
    failed = perform_all(a_world, mode, control, runs)
    assert failed, "limits that were no limits: nothing failed"
    return failed


def cases(a_world):
    control = Control(a_world)
    for mode in MODES:
        for kind in KINDS:
            for errno in ERRNOS:
                yield (f"{mode}: {kind} fails once by {errno}", perform_all, a_world, mode, control,
                       moments(kind, errno))
            yield (f"{mode}: {kind} fails at random", perform_all, a_world, mode, control,
                   chances(kind))
        yield (f"{mode}: few descriptors", check_squeezed, a_world, mode, control,
               squeezes("descriptors", DESCRIPTORS))
        yield (f"{mode}: little memory", check_squeezed, a_world, mode, control,
               squeezes("memory", MEMORY))


def main():
    private()
    tap = Tap()
    tap.say(f"SHMEMU_TEST_SEED={SEED}")
    with world(Lambda) as a_world:
        for name, function, *arguments in cases(a_world):
            if not sys.argv[1:] or name in sys.argv[1:]:
                tap.run(name, function, *arguments)
    return tap.end()


sys.exit(main())
