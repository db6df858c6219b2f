# SPDX-License-Identifier: LGPL-2.1-or-later
"""How many instructions of a program's own the calls of bench/run mmap take without the library and with it, as callgrind
counts them. That tells nothing of what they do in the kernel, and does not depend on what else the machine does: it finds
what times can't tell from noise. It takes valgrind: scripts/setup --bench."""

import re
import subprocess

from sides import Side

FEW, MANY = 1000, 3000
TRUE = "start of true"


def counted(program, library, *arguments):
    """Of the whole process: the least of two runs, since few are more for some reason."""
    kept = {**Side("native").environment(False, True), "SHMEMU_DIR": "/nonexistent"}
    preload = {"LD_PRELOAD": library} if library else {}
    said = [subprocess.run(
        ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", *program, *arguments],
        env={**kept, **preload}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True, check=True).stderr for _ in range(2)]
    return min(int(re.search(r"Collected : (\d+)", one)[1]) for one in said)


def of_a_call(question, library):
    """What more of them take, so that what there is but once does not count."""
    few, many = (counted(question.program, library, "--round", question.name, str(count))
                 for count in (FEW, MANY))
    # A round does a hundredth before, to warm up.
    return (many - few) / ((MANY - FEW) * 1.01)


def count(questions, library):
    """Prints them, and returns for each name what it takes natively and with the library."""
    found = {}
    print(f"\n{'instructions':34} {'native':>10} {'library':>10} {'more':>10}")
    for one in questions:
        if one.program_name == "mmap":
            found[one.name] = of_a_call(one, ""), of_a_call(one, library)
        elif one.name == TRUE:
            found[one.name] = counted(["/bin/true"], ""), counted(["/bin/true"], library)
        else:
            continue
        native, ours = found[one.name]
        print(f"{one.name:34} {native:10,.0f} {ours:10,.0f} {ours - native:10,.0f}", flush=True)
    return found
