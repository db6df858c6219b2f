# SPDX-License-Identifier: LGPL-2.1-or-later
"""The same for Python as pairs.c is for C: a program of questions, round_NAME.py, calls main()."""

import json
import os
import sys
import time


def question(name, run, count, before=None, after=None, **more):
    """run(count) is timed, before(count) and after(count) are not. Or run returns a number itself,
    which is then what is printed, in the unit given. more: what run, the program, says of a question."""
    return {"name": name, "count": count, "unit": "ns", **more}, run, before, after


def side():
    """The name of the side that this round is of."""
    return os.environ["SHMEMU_BENCH_SIDE"]


def is_quick():
    """Few and short: what takes much is to take little."""
    return "SHMEMU_BENCH_QUICK" in os.environ


def skip(why):
    print(why)
    sys.exit(77)


def do_round(run, before, after, count):
    if before:
        before(count)
    began = time.perf_counter_ns()
    told = run(count)
    took = (time.perf_counter_ns() - began) / count
    if after:
        after(count)
    return took if told is None else told


def main(questions):
    if sys.argv[1:] == ["--list"]:
        for told, *_ in questions:
            print(json.dumps(told))
    elif len(sys.argv) == 4 and sys.argv[1] == "--round":
        for told, *how in questions:
            if told["name"] == sys.argv[2]:
                print(f"{do_round(*how, int(sys.argv[3])):.4f}")
    else:
        sys.exit(f"usage: {sys.argv[0]} --list | --round NAME COUNT")
