#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Looking for what is to come instead of sleeping until it wakes one, at both ends of the socket door:
TAP on standard output.

Aim: a daemon that nobody asks anything uses no processor time, though a client is connected and has just
asked much, or has just worked at the mount, for which idle processors may be kept awake; a client whose call does not wait is not seen asleep in it, while one whose call waits is.
The daemon is looked at for two seconds, with SHMEMU_TEST_LONG for ten. Run it with SHMEMU_PREFIX set to
an installed tree.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True
from client_tap import Skip, Tap
from client_world import PATIENCE, PYTHON, Plain as AtMount, Served, is_root, private, settled, until, world

IDLE_SECONDS = 10 if os.environ.get("SHMEMU_TEST_LONG") else 2
LOOK_SECONDS = 0.3
# Who looks all the time takes a processor from one of the two.
LOOK_EVERY = 0.0002
LOOKS_MAX = 20
# How long processors may take to leave idleness, and where that is as nobody wants anything.
LATENCY = "/dev/cpu_dma_latency"
ANY_LATENCY = 2000 * 1000 * 1000

# Asks in a loop until it is told to stop, then does nothing.
ASK = """
import ctypes, os, select, sys
libc = ctypes.CDLL(None, use_errno=True)
room = ctypes.create_string_buffer(512)
number = libc.shmget(0, 4096, 0o600)
assert number >= 0
print(number, flush=True)
while not select.select([0], [], [], 0)[0]:
    for i in range(100):
        assert libc.shmctl(number, 2, room) == 0
os.read(0, 1)
libc.shmctl(number, 0, None)
print("done", flush=True)
os.read(0, 1)
"""

# A call that waits for ever.
WAIT = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
queue = libc.msgget(0, 0o600)
room = ctypes.create_string_buffer(64)
print(queue, flush=True)
libc.msgrcv(queue, room, 8, 1, 0)
"""


class Plain(Served):
    name = "plain"
    with_library = True

    def start(self):
        self.serve("--no-mount")

    def enter(self):
        return []


@contextlib.contextmanager
def program(w, text):
    process = w.popen(PYTHON, "-c", text, stdin=subprocess.PIPE, env={"SHMEMU_LOG": None})
    try:
        assert int(process.stdout.readline()) >= 0
        yield process
    finally:
        process.kill()
        process.communicate()


def state(stat):
    """As ps shows it."""
    return os.pread(stat, 512, 0).rsplit(b")", 1)[1].split()[0].decode()


def states(pid, seconds):
    counts = {}
    stat = os.open(f"/proc/{pid}/stat", os.O_RDONLY)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        one = state(stat)
        counts[one] = counts.get(one, 0) + 1
        time.sleep(LOOK_EVERY)
    os.close(stat)
    return counts


def usage(pid):
    """What tells that a process was awake: for each thread, how often it slept, and its time."""
    found = {}
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/status") as status:
            switches = [line.split()[1] for line in status if "ctxt_switches" in line]
        with open(f"/proc/{pid}/task/{thread}/stat") as stat:
            times = stat.read().rsplit(")", 1)[1].split()[11:13]
        found[thread] = (*map(int, switches), *map(int, times))
    return found


def check_at_rest(w, seconds):
    """Keeper and worker use no processor time for so long, once they are at rest."""
    # A second later, once, both let go of what they do not need then.
    time.sleep(1.5)
    pids = w.process.pid, w.pid
    before = settled(lambda: {pid: usage(pid) for pid in pids})
    time.sleep(seconds)
    after = {pid: usage(pid) for pid in pids}
    assert after == before, f"{before} {after}"
    return pids


def check_idle(w):
    with program(w, ASK) as process:
        time.sleep(0.3)
        process.stdin.write("x")
        process.stdin.flush()
        assert process.stdout.readline() == "done\n"
        pids = check_at_rest(w, IDLE_SECONDS)
    return f"{len(pids)} processes, {IDLE_SECONDS} s"


class Awake(AtMount):
    options = ("--awake=always",)


def latency():
    with open(LATENCY, "rb") as file:
        return int.from_bytes(file.read(4), sys.byteorder, signed=True)


def check_asleep_again(w):
    """Whether it pays is the daemon's to find out; on a busy machine it does not."""
    name = os.path.join(w.store, "file")
    seen = set()
    deadline = time.monotonic() + 1
    while time.monotonic() < deadline and 0 not in seen:
        for _ in range(200):
            os.close(os.open(name, os.O_CREAT | os.O_RDWR))
            os.unlink(name)
        seen.add(latency())
    until(lambda: latency() == ANY_LATENCY, "processors may sleep, as far as it goes by daemons")
    check_at_rest(w, IDLE_SECONDS)
    return "processors were kept awake" if 0 in seen else "none was kept awake"


def with_mount():
    if not (is_root() and os.path.exists("/dev/fuse") and os.path.exists(LATENCY)):
        raise Skip("that takes root, /dev/fuse and " + LATENCY)
    with world(Awake) as w:
        return check_asleep_again(w)


def ticks(pid):
    with open(f"/proc/{pid}/stat") as file:
        return sum(map(int, file.read().rsplit(")", 1)[1].split()[11:13]))


def others_ticks(pids):
    """That the processors were not idle for, nor for those processes."""
    with open("/proc/stat") as file:
        user, nice, system, _, _, *rest = map(int, file.readline().split()[1:9])
    return user + nice + system + sum(rest) - sum(map(ticks, pids))


def asleep(w):
    """The share of looks at a program that asks again and again, and what others had of a processor."""
    with program(w, ASK) as process:
        pids = process.pid, w.pid, os.getpid()
        before = others_ticks(pids)
        counts = states(process.pid, LOOK_SECONDS)
        others = (others_ticks(pids) - before) / os.sysconf("SC_CLK_TCK") / LOOK_SECONDS
    return counts.get("S", 0) / sum(counts.values()), others


def check_awake(w):
    """On a busy machine the daemon itself may have to wait for longer than anybody looks."""
    looks = []
    while len(looks) < LOOKS_MAX and (not looks or looks[-1][0] > 0.01):
        looks.append(asleep(w))
    if looks[-1][0] > 0.01 and min(others for _, others in looks) > 0.2:
        raise Skip(f"others want the processors: {looks}")
    assert looks[-1][0] <= 0.01, looks
    return f"in {100 * looks[-1][0]:.2f} % of looks"


def check_asleep(w):
    with program(w, WAIT) as process:
        stat = os.open(f"/proc/{process.pid}/stat", os.O_RDONLY)
        until(lambda: state(stat) == "S", "a program that waits is asleep")
        time.sleep(0.05)
        assert state(stat) == "S"
        os.close(stat)
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)


def main():
    private()
    tap = Tap()
    with world(Plain) as w:
        tap.run("nobody asks, and the daemon sleeps", check_idle, w)
        tap.run("a call that does not wait is not seen asleep", check_awake, w)
        tap.run("a call that waits is", check_asleep, w)
    tap.run("nobody works at the mount any more, and all sleep", with_mount)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
