# SPDX-License-Identifier: LGPL-2.1-or-later
"""What shmemu doctor says, as a program reads it."""

import json

from cli_world import SHMEMU, equal, run


def examine(*words, before=(), **options):
    """Returns the exit status, and the rows by what they are about: host, shmemu and details."""
    done = run(*before, SHMEMU, "doctor", "--json", *words, **options)
    equal(done.stderr, "")
    return done.returncode, {row["what"]: row for row in json.loads(done.stdout)["facts"]}


def inspect(*words, before=(), **options):
    """Of `doctor -- COMMAND` and `doctor --pid`: the exit status, the verdict, and the rows in order."""
    done = run(*before, SHMEMU, "doctor", "--json", *words, **options)
    equal(done.stderr, "")
    *rows, verdict = json.loads(done.stdout)["programs"]
    equal(verdict["program"], "verdict")
    return done.returncode, verdict["details"], rows
