#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The mount does what tmpfs does: TAP on standard output.

Aim: thousands of cases of every call, in the manner of pjdfstest, by root and three users, come out at
the mount, with passthrough and without, as they do on a tmpfs, errno for errno, with the same modes,
owners, links and sizes, and the same times changed. Method: posix_cases.py prints what came of each
case; what differs and is not in DIFFERENCES fails. Needs root, /dev/fuse, and SHMEMU_PREFIX set to an
installed tree. Arguments name families.
"""

import json
import os
import subprocess
import sys

sys.dont_write_bytecode = True
from client_tap import Tap
from client_world import Mount, is_root, private, world

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "posix_cases.py")

# What remains, by family and case: what it is here instead. See docs/design.md.
REMOVED_FIFO = ["ESTALE", ["0o10644", 0, 0, 0]]
DIFFERENCES = {
    # The kernel opens a fifo without a word to the daemon: a removed one is remembered, no more.
    ("removed_while_open", "fifo: fchmod"): REMOVED_FIFO,
    ("removed_while_open", "fifo: fchown"): REMOVED_FIFO,
    ("removed_while_open", "fifo: futimens"): REMOVED_FIFO,
    # The kernel has a file truncated with its opening, and looks afterwards whether it is running.
    ("busy_text", "run"): "ENOEXEC",
}


class Direct(Mount):
    name = "direct"
    passthrough = "off"


class Passthrough(Mount):
    name = "passthrough"


def cases_in(folder, environment=None):
    """Returns the value of each case, by family and name, in order."""
    done = subprocess.run([sys.executable, SCRIPT, folder, *sys.argv[1:]], capture_output=True,
                          text=True, timeout=280, env=environment)
    assert done.returncode == 0 and not done.stderr, done.stderr
    return [((family, name), value) for family, name, value in map(json.loads,
                                                                   done.stdout.splitlines())]


def native():
    folder = "/tmp/shmemu-posix"
    os.makedirs(folder, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=1777,nosuid,nodev", "tmpfs", folder],
                   check=True)
    try:
        return cases_in(folder)
    finally:
        subprocess.run(["umount", folder], check=True)
        os.rmdir(folder)


def here(kind):
    with world(kind) as w:
        found = cases_in(w.store)
        assert w.daemon.status().names == 0, "something is left"
        return found


def compare(family, expected, found):
    """Returns how many cases there were."""
    assert found, "it did not run"
    wrong = []
    for (case, wanted), (_, value) in zip(expected, found):
        if value != DIFFERENCES.get(case, wanted):
            wrong.append(f"{case[1]}: natively {wanted}, here {value}")
    assert [case for case, _ in expected] == [case for case, _ in found], "other cases"
    assert not wrong, f"{len(wrong)} of {len(expected)} differ:\n" + "\n".join(wrong[:20])
    return f"{len(expected)} cases"


def main():
    if not is_root() or not os.path.exists("/dev/fuse"):
        print("1..0 # SKIP mounting takes root and /dev/fuse")
        return 0
    private()
    tap = Tap()
    expected = native()
    families = list(dict.fromkeys(case[0] for case, _ in expected))
    for kind in (Passthrough, Direct):
        found = []
        tap.run(f"{kind.name}: it runs", lambda kind=kind: found.extend(here(kind)))
        for family in families:
            tap.run(f"{kind.name}: {family}", compare, family,
                    [one for one in expected if one[0][0] == family],
                    [one for one in found if one[0][0] == family])
    return tap.end()


sys.exit(main())
