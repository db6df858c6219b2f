#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""An array of 100 MB for another process, which is there already.

Timed is from having the array to knowing that the other process has seen it: all of it, or its ends only.
By SharedMemory the array was made in shared memory, as its users do, and is attached by a name that is new
each time; "copied in": it was not, so the segment is made, filled and removed within the time. A pipe and a
manager pickle what they are given, and what the other process gets is a copy of its own: then "ends only" is
as much work as all.
"""

import contextlib
import multiprocessing
import time
from multiprocessing import resource_tracker, shared_memory

import round

try:
    import numpy
except ImportError:
    numpy = None

COUNT = (1_000_000 if round.is_quick() else 100_000_000) // 8
PIPE, MANAGER = "pickle over a pipe", "Manager"
SIDES = [PIPE, "native", "shmemu", MANAGER]


def all_of_it(array):
    return float(array.sum())


def ends_only(array):
    return float(array[0] + array[-1])


def viewed(memory):
    return numpy.ndarray(COUNT, numpy.float64, memory.buf)


class Segment:
    """Sends the name of a segment that the array is in."""

    @staticmethod
    @contextlib.contextmanager
    def ready(array):
        memory = shared_memory.SharedMemory(create=True, size=array.nbytes)
        try:
            viewed(memory)[:] = array
            yield memory.name
        finally:
            memory.close()
            memory.unlink()

    @staticmethod
    def seen(name, look):
        memory = shared_memory.SharedMemory(name)
        try:
            return look(viewed(memory))
        finally:
            memory.close()


class Pickled:
    """Sends the array itself."""

    ready = contextlib.nullcontext

    @staticmethod
    def seen(array, look):
        return look(array)


class Managed:
    """Sends word of an array that a manager's process was given."""

    def __init__(self):
        self.shared = multiprocessing.Manager().Namespace()

    @contextlib.contextmanager
    def ready(self, array):
        self.shared.array = array
        yield None

    def seen(self, _, look):
        return look(self.shared.array)


def serve(way, pipe, look):
    while True:
        pipe.send(way.seen(pipe.recv(), look))


def share(look, copied, count):
    if not numpy:
        round.skip("no numpy: SHMEMU_VENV, made by scripts/venv")
    way = {PIPE: Pickled, MANAGER: Managed}.get(round.side(), Segment)()
    in_time = copied or not isinstance(way, Segment)
    array = numpy.arange(COUNT, dtype=numpy.float64)
    expected = look(array)
    resource_tracker.ensure_running()  # else each process has one of its own, which complains
    here, there = multiprocessing.Pipe()
    multiprocessing.Process(target=serve, args=(way, there, look), daemon=True).start()
    took = []
    for _ in range(count + 1):
        began = time.perf_counter_ns()
        with way.ready(array) as given:
            if not in_time:
                began = time.perf_counter_ns()
            here.send(given)
            assert here.recv() == expected
            seen = time.perf_counter_ns()
        took.append((time.perf_counter_ns() if in_time else seen) - began)
    # The first one is to warm up.
    return sum(took[1:]) / count


def question(what, look, copied):
    return round.question(f"numpy, 100 MB to another: {what}",
                          lambda count: share(look, copied, count), 3, sides=SIDES,
                          memory=1 << 30, shm=256 << 20)


round.main([
    question("all read", all_of_it, False),
    question("ends read", ends_only, False),
    question("copied in, all read", all_of_it, True),
])
