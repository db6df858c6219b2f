#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who may do what: TAP on standard output.

Aim: root and three users get of each operation on files of each owner and mode what tmpfs gives them,
errno for errno, and the file is afterwards what it is there. Method: parties.py prints a table on a
tmpfs and by each road; the tables must be equal. Needs root, and SHMEMU_PREFIX set to an installed tree
that every user can read.
"""

import json
import os
import sys

sys.dont_write_bytecode = True
from client_tap import Skip, Tap
from client_world import PYTHON, Lambda, Mount, Native, Served, is_root, private, world

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "parties.py")


class Direct(Mount):
    name = "direct"
    passthrough = "off"


class Library(Served):
    """Root's daemon, for all."""

    name = "library"
    with_library = True

    def start(self):
        self.serve("--no-mount")

    def environment(self):
        return {**super().environment(), "SHMEMU_LOG": None}

    def enter(self):
        return []


def table(kind, which):
    """Returns a dict of rows."""
    with world(kind, 0) as w:
        folder = getattr(w, "store", "/dev/shm") if kind is not Native else "/dev/shm"
        done = w.run(PYTHON, w.install(SCRIPT), folder, which, patience=250, interval=10,
                     preload=w.with_library and kind is Library)
        assert done.status == 0 and not done.err, done
        if hasattr(w, "daemon"):
            assert w.requests() > 100 or kind is not Library, "the daemon was asked nothing"
        return {row[0]: row[1:] for row in map(json.loads, done.out.splitlines())}


def same(kind, which, reference):
    """`which` operations give what they give on the reference."""
    rows = table(kind, which)
    assert rows and set(rows) <= set(reference), "another table"
    assert len(rows) == len(reference) or which == "opens"
    wrong = {name: (rows[name], reference[name]) for name in rows if rows[name] != reference[name]}
    for name, (ours, theirs) in list(wrong.items())[:20]:
        print(f"# {name}: {ours}, on tmpfs {theirs}", flush=True)
    assert not wrong, f"{len(wrong)} of {len(rows)} rows differ"
    return f"{len(rows)} rows"


def main():
    tap = Tap()
    if not is_root():
        tap.run("parties", lambda: (_ for _ in ()).throw(Skip("needs root")))
        return tap.end()
    private()
    reference = {}

    def on_tmpfs():
        reference.update(table(Native, "all"))
        assert len({json.dumps(row) for row in reference.values()}) > 20, "all the same"
        return f"{len(reference)} rows"

    tap.run("tmpfs", on_tmpfs)
    tap.run("library", same, Library, "opens", reference)
    for kind in [Mount, Direct] if os.path.exists("/dev/fuse") else []:
        tap.run(kind.name, same, kind, "all", reference)
    return tap.end()


sys.exit(main())
