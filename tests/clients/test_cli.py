#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""shmemu, the command: TAP on standard output.

Aim: `without` makes the hosts that it promises, for root and for ordinary users, and takes nothing
from the real one; `run` is invisible but for its report. Method: all cases run as whoever starts
this, and, if that is root, again as uid 65534; after each the host must be as it was before.
SHMEMU_PREFIX is the folder that has bin/shmemu, bin/shmfs and the library; all users must be able
to read it.
"""

import os
import sys
import traceback

sys.dont_write_bytecode = True
import cli_doctor  # noqa: F401, the imports are what adds the cases
import cli_dump  # noqa: F401
import cli_huge  # noqa: F401
import cli_idle  # noqa: F401
import cli_ipc  # noqa: F401
import cli_limit  # noqa: F401
import cli_mounted  # noqa: F401
import cli_run  # noqa: F401
import cli_withheld  # noqa: F401
import cli_without  # noqa: F401
from cli_world import NOBODY, SHMEMU, Skip, cases, host, is_root


def comment(text):
    for line in text.splitlines():
        print("#", line)


def perform(function):
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


def perform_all(user, number):
    """Returns the number of the last case and whether all passed."""
    passed = True
    for function, root_only in cases:
        if root_only and not is_root():
            continue
        number += 1
        verdict, rest = perform(function)
        passed = passed and verdict == "ok"
        name = function.__name__.replace("_", " ")
        print(f"{verdict} {number} - {user}: {name}{rest}", flush=True)
    return number, passed


def perform_as_nobody(number):
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        os.chdir("/")
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
        passed = perform_all("nobody", number)[1]
        sys.stdout.flush()
        os._exit(0 if passed else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def main():
    if not os.access(SHMEMU, os.X_OK):
        sys.exit(f"SHMEMU_PREFIX must be a folder with bin/shmemu in it: there is no {SHMEMU}")
    for name in ("LD_PRELOAD", "SHMEMU_DIR", "SHMEMU_LOG", "SHMEMU_MMAP"):
        os.environ.pop(name, None)
    os.umask(0o022)
    ordinary = sum(not root_only for _, root_only in cases)
    print(f"1..{ordinary + len(cases) if is_root() else ordinary}")
    number, passed = perform_all("root" if is_root() else "user", 0)
    if is_root():
        passed = perform_as_nobody(number) and passed
    sys.exit(0 if passed else 1)


main()
