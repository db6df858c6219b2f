#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""bench/run can be relied on to run: TAP on standard output.

Aim: each question is answered on this host or says why it is not, the results can be read and drawn, and
calls that are not ours take few instructions more. Nothing is timed here. Method: bench/run --quick of what
is built in the folder given, else build/gcc; then the chart and the report of that, statistics of figures
that are known, and callgrind's count. Needs gnuplot and valgrind: scripts/setup --tests.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

sys.dont_write_bytecode = True
from client_tap import Skip, Tap

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BENCH = os.path.join(ROOT, "bench")
BUILD = os.path.abspath(sys.argv[1]) if sys.argv[1:] else os.path.join(ROOT, "build/gcc")
PATIENCE = 560
# What no host that runs the tests lacks.
NEVER_SKIPPED = ("segments", "names", "mmap", "startup", "ipc", "emulated")

sys.path.insert(0, BENCH)
import acceptance
import figures
import rounds


def run(program, *arguments, **more):
    done = subprocess.run([os.path.join(BENCH, program), *arguments], capture_output=True, text=True,
                          timeout=PATIENCE, check=False, **more)
    assert done.returncode == 0, f"status {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def run_quick(path, told):
    """Those that fail do so in cases of their own."""
    done = subprocess.run([os.path.join(BENCH, "run"), "--quick", "--json", path, "--build", BUILD],
                          capture_output=True, text=True, timeout=PATIENCE, check=False)
    told.append(done.stdout)
    assert os.path.exists(path), f"status {done.returncode}\n{done.stdout}{done.stderr}"
    assert (done.returncode == 0) == ("failed: " not in done.stdout), done.stdout


def answered(answer, table):
    assert answer["question"] in table, table
    assert "failed" not in answer, answer["failed"]
    if "skipped" in answer:
        assert answer["program"] not in NEVER_SKIPPED, answer["skipped"]
        raise Skip(answer["skipped"])
    assert answer["count"] > 0 and answer["unit"], answer
    assert len(answer["sides"]) >= 2, answer
    for side in answer["sides"]:
        assert len(side["figures"]) == 2 and min(side["figures"]) > 0, side
        for one in side, side["ratio"]:
            assert 0 < one["least"] <= one["quarter"] <= one["median"] <= one["three quarters"], one
    assert answer["sides"][0]["ratio"]["median"] == 1, answer
    return ", ".join(f"not on {side}: {why}" for side, why in answer["without"].items())


def all_asked(result):
    listed = run("run", "--list", "--build", BUILD).splitlines()
    assert len(listed) == len(result["questions"]), listed
    names = [one["question"] for one in result["questions"]]
    assert len(set(names)) == len(names), names
    missing = {row.question for row in acceptance.ROWS} - set(names)
    assert not missing, f"rows of acceptance.py that nobody asks: {missing}"


def host_told(result):
    for what in "kernel", "processor", "cores", "libc", "huge pages", "/dev/shm", "build":
        assert result["host"][what], what
    assert "--no-mount" in result["daemons"], result["daemons"]
    for facts in result["daemons"].values():
        assert facts["resident KiB"] > 0, facts


def drawn(path, result):
    svg = run("chart", path)
    texts = "".join(xml.etree.ElementTree.fromstring(svg).itertext())
    for one in acceptance.found(result):
        assert (one.row.what in texts) == bool(one.side), one.row.what


def reported(folder, path):
    page, chart = os.path.join(folder, "performance.md"), os.path.join(folder, "performance.svg")
    shutil.copy(os.path.join(ROOT, "docs/performance.md"), page)
    for _ in range(2):  # as well over what was reported before
        run("report", path, folder)
    xml.etree.ElementTree.parse(chart)
    with open(page, encoding="utf-8") as file:
        text = file.read()
    part = text[text.index("bench/report: acceptance"):text.index("bench/report: instructions")]
    for row in acceptance.ROWS:
        assert part.count(f"\n| {row.what} | ") == 1, row.what
    # What follows is written by people.
    for line in re.findall(r"^\|.*", text[:text.index("\n## What was found")], re.M):
        assert line.count(" | ") in (1, 4, 6), line


def known_figures():
    question = rounds.Question("x", [], {"name": "x", "count": 1, "sides": "a, b"})
    a, b = figures.sides(question, {"a": [10, 20, 30, 40], "b": [20, 20, 90, 80]})
    assert a["median"] == 25 and a["ratio"]["median"] == 1, a
    assert b["median"] == 50 and b["ratio"]["median"] == 2, b
    assert (b["ratio"]["least"], b["ratio"]["most"]) == (1, 3), b
    faster = rounds.Question("x", [], {"name": "x", "count": 1, "sides": "a, b", "unit": "things/s"})
    assert figures.sides(faster, {"a": [10], "b": [20]})[1]["ratio"]["median"] == 0.5


def counted():
    """Not times: these do not depend on what else the machine does."""
    with tempfile.NamedTemporaryFile(prefix="shmemu-test-bench-") as file:
        table = run("run", "--instructions", "--json", file.name, "--build", BUILD)
        found = json.load(file)["instructions"]
    assert len(found) > 5, found
    for name, (native, ours) in found.items():
        assert name in table, table
        assert 0 < native < ours <= native + acceptance.instructions(name), f"{name}\n{table}"


def nothing_left():
    """Of what bench/run's own processes made there: they name it after themselves."""
    left = [name for name in os.listdir("/dev/shm") if
            (found := re.search(r"shmemu-bench-(\d+)", name)) and not os.path.exists(f"/proc/{found[1]}")]
    assert not left, left


def main():
    tap = Tap()
    with tempfile.TemporaryDirectory(prefix="shmemu-test-bench-") as folder:
        path = os.path.join(folder, "result.json")
        table = []
        tap.run("bench/run --quick", run_quick, path, table)
        with open(path, encoding="utf-8") as file:
            result = json.load(file)
        for answer in result["questions"]:
            tap.run(f"{answer['program']}: {answer['question']}", answered, answer, table[0])
        tap.run("all of them are asked", all_asked, result)
        tap.run("the host is told", host_told, result)
        tap.run("ratios of known figures", known_figures)
        tap.run("the chart", drawn, path, result)
        tap.run("the report", reported, folder, path)
        if shutil.which("valgrind"):
            tap.run("instructions of calls that are not ours", counted)
        tap.run("nothing is left in /dev/shm", nothing_left)
    return tap.end()


sys.exit(main())
