# SPDX-License-Identifier: LGPL-2.1-or-later
"""Questions, and rounds of them."""

import glob
import json
import os
import subprocess

import host

SKIPPED = 77
PATIENCE = 600


class Skip(Exception):
    """This can't be measured here."""


class Failed(Exception):
    """A round did not end well."""


def name_of(side):
    return side if isinstance(side, str) else side["name"]


class Question:
    def __init__(self, program_name, program, told):
        self.program_name = program_name
        self.program = program
        self.name = told["name"]
        self.count = told["count"]
        self.unit = told.get("unit", "ns")
        wanted = told.get("sides", "native, shmemu")
        self.sides = wanted.split(", ") if isinstance(wanted, str) else wanted
        self.memory = told.get("memory", 0)
        self.shm = told.get("shm", 0)
        self.turns = told.get("turns", 0)
        self.preload = told.get("preload", True)

    def more_is_better(self):
        return self.unit.endswith("/s")

    def side_names(self):
        return [name_of(one) for one in self.sides]

    def told(self):
        return {"program": self.program_name, "question": self.name, "unit": self.unit}

    def check(self):
        if self.memory > host.memory_available():
            raise Skip(f"takes {self.memory / 2**30:.1f} GiB of memory")

    def round(self, side, count, quick):
        """Does one, and returns what it tells."""
        command = [*side.prefix, *self.program, "--round", self.name, str(count)]
        try:
            done = subprocess.run(command, env=side.environment(self.preload, quick), text=True,
                                  timeout=PATIENCE, stdin=subprocess.DEVNULL, capture_output=True)
        except subprocess.TimeoutExpired as late:
            raise Failed(f"{self.name}, {side.name}: took longer than {PATIENCE} s") from late
        except OSError as error:
            raise Failed(f"{self.name}, {side.name}: {error}") from error
        if done.returncode == SKIPPED:
            raise Skip(done.stdout.strip())
        if done.returncode != 0:
            raise Failed(f"{self.name}, {side.name}: status {done.returncode}:"
                               f" {' '.join(command)}\n{done.stdout}{done.stderr}")
        figure = float(done.stdout)
        if not figure > 0:
            raise Failed(f"{self.name}, {side.name}: {done.stdout.strip()}")
        return figure


def programs(build):
    """Their names, and how they are started."""
    for program in sorted(glob.glob(os.path.join(build, "bench/bench-*"))):
        if os.path.isfile(program):
            yield os.path.basename(program).removeprefix("bench-"), [program]
    venv = os.environ.get("SHMEMU_VENV")
    python = os.path.join(venv, "bin/python") if venv else "/usr/bin/python3"
    for program in sorted(glob.glob(os.path.join(host.ROOT, "bench/round_*.py"))):
        yield os.path.basename(program)[len("round_"):-len(".py")], [python, program]


def questions(build):
    found = []
    for name, program in programs(build):
        told = subprocess.run([*program, "--list"], check=True, capture_output=True, text=True)
        found += [Question(name, program, json.loads(line)) for line in told.stdout.splitlines()]
    return found
