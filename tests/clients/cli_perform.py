# SPDX-License-Identifier: LGPL-2.1-or-later
"""Performs all cases as whoever starts this, and, if that is root, again as uid 65534: TAP on standard output. After each the
host must be as it was before."""

import os
import sys
import traceback

from cli_world import NOBODY, SHMEMU, Skip, cases, host, is_root


def comment(text):
    for line in text.splitlines():
        print("#", line)


def perform_case(function):
    """Returns how the line of a case begins and ends."""
    before = host()
    try:
        function()
        after = host()
        changed = {key: (before[key], after[key]) for key in before if before[key] != after[key]}
        assert not changed, f"the host has changed: {changed}"
    except Skip as skip:
        return "ok", f" # SKIP {skip}"
    except Exception:  # whatever it is, it belongs to this case
        comment(traceback.format_exc())
        return "not ok", ""
    return "ok", ""


def perform_all(chosen, user, number):
    """Returns the number of the last case and whether all passed."""
    passed = True
    for function, root_only in chosen:
        if root_only and not is_root():
            continue
        number += 1
        verdict, rest = perform_case(function)
        passed = passed and verdict == "ok"
        name = function.__name__.replace("_", " ")
        print(f"{verdict} {number} - {user}: {name}{rest}", flush=True)
    return number, passed


def perform_as_nobody(chosen, number):
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        os.chdir("/")
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
        passed = perform_all(chosen, "nobody", number)[1]
        sys.stdout.flush()
        os._exit(0 if passed else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def perform(modules=""):
    """The cases of the modules whose names begin so: others come with what is imported from theirs."""
    chosen = [(function, root_only) for function, root_only in cases if function.__module__.startswith(modules)]
    if not os.access(SHMEMU, os.X_OK):
        sys.exit(f"SHMEMU_PREFIX must be a folder with bin/shmemu in it: there is no {SHMEMU}")
    for name in ("LD_PRELOAD", "SHMEMU_DIR", "SHMEMU_LOG", "SHMEMU_MMAP"):
        os.environ.pop(name, None)
    os.umask(0o022)
    ordinary = sum(not root_only for _, root_only in chosen)
    print(f"1..{ordinary + len(chosen) if is_root() else ordinary}")
    number, passed = perform_all(chosen, "root" if is_root() else "user", 0)
    if is_root():
        passed = perform_as_nobody(chosen, number) and passed
    sys.exit(0 if passed else 1)
