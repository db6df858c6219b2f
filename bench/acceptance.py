# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is to be reached: the rows of docs/performance.md's first table, and the bars of its chart."""

import dataclasses

import figures

NOISE = 1.03
HP = "example hp"  # libfuse's example that has passthrough, as our mount has


@dataclasses.dataclass
class Row:
    what: str
    question: str
    limit: float      # of the median of the ratios
    side: str = "shmemu"
    more: float = 0   # or, where this is given: nanoseconds more than the reference
    against: str = ""  # another side than the question's reference


ROWS = [
    Row("life cycle of a segment", "life cycle of a segment, 1 MiB", 1.5),
    Row("attach", "attach", 1.5),
    Row("sem_open, close, unlink", "sem_open, close, unlink; new", 1.5),
    Row("sem_open, close", "sem_open, close", 1.5),
    Row("open, close under /dev/shm", "open, close under /dev/shm", 1.5),
    Row("first touch of 1 GiB, huge pages", "first touch of 1 GiB, a page", 1 / 3),
    Row("first touch of 1 GiB, small pages", "first touch of 1 GiB, a page", NOISE, "small pages"),
    Row("first touch of 1 GiB, memfd", "first touch of 1 GiB, a page", NOISE, "memfd"),
    Row("steady write", "steady write of 256 MiB, a page", NOISE),
    Row("steady write, memfd", "steady write of 256 MiB, a page", NOISE, "memfd"),
    Row("steady read", "steady read of 256 MiB, a page", NOISE),
    Row("steady read, memfd", "steady read of 256 MiB, a page", NOISE, "memfd"),
    Row("random access over 4 GiB, huge pages", "random access over 4 GiB", 1 / 1.3),
    Row("ping-pong by futex", "ping-pong by futex", NOISE),
    Row("ping-pong by semaphore", "ping-pong by semaphore", NOISE),
    Row("sem_post, sem_wait", "sem_post, sem_wait, named", NOISE),
    Row("anonymous mmap, munmap", "mmap, munmap", 1.02),
    Row("open, close of /tmp/x", "open, close of /tmp/x", 1.02),
    Row("dup, close", "dup, close", 1.02),
    Row("read of 1 byte", "read of 1 byte", 1.02),
    Row("write of 1 byte", "write of 1 byte", 1.02),
    Row("mount: create; 1 is passthrough_ll", "at a mount: create, close", NOISE, "mount"),
    Row("mount: open, close; likewise", "at a mount: open, close", NOISE, "mount"),
    Row("mount: stat; likewise", "at a mount: stat", NOISE, "mount"),
    Row("mount: unlink; likewise", "at a mount: unlink", NOISE, "mount"),
    Row("mount: create; 1 is passthrough_hp", "at a mount: create, close", NOISE, "mount", against=HP),
    Row("mount: open, close; by that", "at a mount: open, close", NOISE, "mount", against=HP),
    Row("mount: stat; by that", "at a mount: stat", NOISE, "mount", against=HP),
    Row("mount: unlink; by that", "at a mount: unlink", NOISE, "mount", against=HP),
    Row("100 MB array; 1 is pickle by a pipe", "numpy, 100 MB to another: all read", 1 / 20),
    Row("100 MB array, ends read; likewise", "numpy, 100 MB to another: ends read", 1 / 20),
    Row("start of true", "start of true", 0, more=300_000),
]

# Of every daemon without a mount, and without segments.
IDLE_SWITCHES = 0
IDLE_KIB = 4096

# That a call which is not ours takes more than without the library; and those that take more.
INSTRUCTIONS = 110
INSTRUCTIONS_OF = {"open, close of /dev/null": 200, "start of true": 110_000}


def instructions(name):
    return INSTRUCTIONS_OF.get(name, INSTRUCTIONS)


@dataclasses.dataclass
class Found:
    """A row and what was found, if anything."""
    row: Row
    unit: str = ""
    reference: dict = None
    side: dict = None

    def reached(self):
        if self.row.more:
            return self.side["median"] - self.reference["median"] <= self.row.more
        return self.side["ratio"]["median"] <= self.row.limit


def compared(side, reference):
    pairs = zip(side["figures"], reference["figures"])
    return {**side, "ratio": figures.spread([ours / theirs for ours, theirs in pairs])}


def found(result):
    answers = {one["question"]: one for one in result["questions"]}
    for row in ROWS:
        answer = answers.get(row.question, {})
        sides = {one["side"]: one for one in answer.get("sides", [])}
        reference = sides.get(row.against) if row.against else sides and answer["sides"][0]
        if row.side in sides and reference:
            side = sides[row.side]
            yield Found(row, answer["unit"], reference,
                        compared(side, reference) if row.against else side)
        else:
            yield Found(row)
