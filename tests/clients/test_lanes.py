#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Requests in memory: TAP on standard output.

Aim: who asks often has a lane, and nobody can tell but by the time it takes: it is nobody else's than who it was
given to, every request is done once, whatever is killed, stopped or replaced meanwhile, and what is written to a
lane harms its writer at most. Method: ../lanes.c is the client; here are the daemon and all that befalls both. How
often: SHMEMU_TEST_KILLS, else some hundreds, or thousands with SHMEMU_TEST_LONG. Arguments name cases. Run it with
SHMEMU_PREFIX set to an installed tree, and SHMEMU_PROBES.
"""

import contextlib
import ctypes
import mmap
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time

sys.dont_write_bytecode = True
from client_tap import Tap
from client_wire import MAGIC, REQUEST, VERSION
from client_world import (NOBODY, PATIENCE, SHMEMU, Lambda, Mount, Served, is_root, library, of_another, private,
                          settled, until, variant, world)
from test_polling import check_at_rest
from wire_paths import PLACES, ROADS, Door

LONG = bool(os.environ.get("SHMEMU_TEST_LONG"))
KILLS = int(os.environ.get("SHMEMU_TEST_KILLS", 2000 if LONG else 200))
STOPS = 200 if LONG else 15
CLIENT_KILLS = 5000 if LONG else 300
AT_ONCE = 40  # more than LANES_MAX
HOSTILE_SECONDS = 60 if LONG else 2
DYING_SECONDS = 60 if LONG else 3
IDLE_SECONDS = 10 if LONG else 1.5
PROBES = os.environ.get("SHMEMU_PROBES", "")
LIBC = ctypes.CDLL(None, use_errno=True)
LANES = os.path.join(PROBES, "lanes")
WANT_LANE = 64
OPEN, UNLINK = 1, 2
# base/lane.h
FREE, ASKED, TAKEN, ANSWERED, SENT, REFUSED, CUT = range(7)
SLEEPER = 0x100
REQUEST_AT = 64
OPENS_AT = 8
LANE_SIZE = 64 + 368 + 8 + 72


class Root(Served):
    """Root's daemon, for all, and root's programs."""

    name = "root"
    with_library = True

    def start(self):
        self.serve("--no-mount", *self.options)

    def enter(self):
        return [SHMEMU, "without", "dev-shm", "--"]


def copied(kind):
    return type(kind.__name__, (kind,), {"copied": True})


def client(w, *words, out="", **options):
    """Runs one to its end, which is a good one."""
    done = w.run(LANES, *words, env={"SHMEMU_LOG": "error"}, **options)
    assert (done.status, done.out) == (0, out) and not done.err, done
    return done


def runs(kind, *words):
    prints(kind, "", *words)


def prints(kind, out, *words):
    with world(kind) as w:
        client(w, *words, out=out)
        assert w.daemon.list() == {}, w.daemon.list()
        assert w.daemon.status().pid == w.pid, "the worker is another"


def runs_and_complains(kind, *words):
    """What goes wrong for want of descriptors is told."""
    with world(kind) as w:
        done = w.run(LANES, *words, env={"SHMEMU_LOG": "error"})
        assert (done.status, done.out) == (0, ""), done


def is_not_for_others():
    """Root's daemon has none for another user."""
    with world(Root) as w:
        words = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", LANES, "lane", "200"]
        done = w.run(*words, env={"SHMEMU_LOG": "error"}, cwd="/")
        assert (done.status, done.out, done.err) == (0, "none\n", ""), done


@contextlib.contextmanager
def secret(w):
    """A name of root's."""
    with Hand(w) as hand:
        fd = hand.make(b"secret")
        yield "secret"
        os.close(fd)
        hand.remove(b"secret")


def is_not_who_it_was():
    """A process that goes on with root's lane as another user."""
    with world(Root) as w, secret(w) as name, loads(w, 1):
        done = w.run(LANES, "forged", name, env={"SHMEMU_LOG": "error"})
        assert done.status == 0 and done.out == "served 0, refused\n", done
        assert name in w.daemon.list(), "root's name is gone"


STRANGE_PROC = """
"$0" --foreground --no-mount &
while [ ! -S "$SHMEMU_DIR/socket" ]; do sleep 0.01; done
LD_PRELOAD=$1 "$2" lane 200
kill $!
wait
"""


def is_not_found_by_anothers_number():
    """Where /proc is another pid namespace's, the daemon finds others there by its clients' pids."""
    with world(Root) as w:
        folder = w.folder("strange", 0o755)
        done = w.run("unshare", "--pid", "--fork", "--kill-child", "sh", "-c", STRANGE_PROC, w.program, library(),
                     LANES, enter=False, env={"SHMEMU_LOG": "error", "SHMEMU_DIR": folder})
        assert (done.status, done.out, done.err) == (0, "none\n", ""), done


def times_at_mount(kind):
    """As the kernel has them, who asks us for each."""
    with world(kind) as w:
        client(w, "times", w.store)


# Load


class Loads:
    def __init__(self, w, count):
        self.world = w
        self.processes = [w.popen(LANES, "load", ("shm", "sem")[number % 2], str(number),
                                  stdin=subprocess.PIPE, env={"SHMEMU_LOG": "error"})
                          for number in range(count)]
        for process in self.processes:
            assert process.stdout.readline() == "ready\n", process.communicate()

    def check(self):
        for process in self.processes:
            assert process.poll() is None, (process.returncode, *process.communicate())

    def end(self):
        """Returns how many rounds there were, and in how many looks at it the lane had been used."""
        ended = [process.communicate("x", timeout=PATIENCE) for process in self.processes]
        for process, (out, errors) in zip(self.processes, ended):
            assert process.returncode == 0 and not errors, (process.returncode, out, errors)
        return [tuple(map(int, out.split())) for out, _ in ended]

    def kill(self):
        for process in self.processes:
            process.kill()
            process.communicate()


@contextlib.contextmanager
def loads(w, count):
    a_load = Loads(w, count)
    try:
        yield a_load
    finally:
        a_load.kill()


def fds_of(w):
    status = w.daemon.status()
    return [len(os.listdir(f"/proc/{pid}/fd")) for pid in (status.pid, status.keeper)]


def check_fds(w, before):
    """A worker that was taken over to may have fewer than the first."""
    until(lambda: fds_of(w)[0] <= before[0] and fds_of(w)[1] == before[1],
          f"descriptors: {before} before, now {fds_of(w)}", 20)


def under_load(kind, how, times, count=4):
    """Nothing may go wrong, and all is in the end as it was."""
    with world(kind) as w:
        before = settled(lambda: fds_of(w))
        with loads(w, count) as a_load:
            for _ in range(times):
                time.sleep(random.random() * 0.02)
                how(w)
                a_load.check()
            ended = a_load.end()
        assert any(by_lane for _, by_lane in ended), f"nobody used a lane: {ended}"
        assert w.daemon.list() == {}, w.daemon.list()
        check_fds(w, before)
        return f"{times} times, {ended} rounds"


def replaced(w, how):
    before = w.daemon.status().pid
    how(before)
    until(lambda: w.daemon.status().pid != before, "another worker serves", 30)


def killed(kind):
    return under_load(kind, lambda w: replaced(w, lambda pid: os.kill(pid, signal.SIGKILL)), KILLS)


def upgraded(kind):
    return under_load(kind, lambda w: replaced(w, lambda _: os.kill(w.process.pid, signal.SIGHUP)), KILLS // 8)


def stopped(kind):
    """For longer than who asks in a lane waits there."""

    def stop(w):
        pid = w.daemon.status().pid
        os.kill(pid, signal.SIGSTOP)
        time.sleep(0.1)
        os.kill(pid, signal.SIGCONT)

    return under_load(kind, stop, STOPS)


def replaced_by_others(kind):
    """By programs that know of lanes and by such as do not."""
    programs = [variant(name) for name in ("previous", "older", "newer")]

    def replace(w):
        shutil.copy(random.choice(programs), w.program + ".new")
        os.rename(w.program + ".new", w.program)
        replaced(w, lambda _: os.kill(w.process.pid, signal.SIGHUP))

    with world(copied(kind)) as w:
        with loads(w, 4) as a_load:
            for _ in range(KILLS // 20):
                time.sleep(random.random() * 0.05)
                replace(w)
                a_load.check()
            a_load.end()
        assert w.daemon.list() == {}, w.daemon.list()


def dies_of_itself(kind):
    """At all the moments that matter."""
    with world(of_another(kind, "dying")) as w:
        workers = set()
        with loads(w, 4) as a_load:
            deadline = time.monotonic() + DYING_SECONDS
            while time.monotonic() < deadline:
                workers.add(w.daemon.status().pid)
                a_load.check()
            ended = a_load.end()
        assert any(by_lane for _, by_lane in ended), f"nobody used a lane: {ended}"
        assert len(workers) > 10, f"only {len(workers)} have served"
        assert w.daemon.list() == {}, w.daemon.list()
        return f"more than {len(workers)} workers, {ended} rounds"


def served_by(kind, name, times):
    """A daemon without lanes: nobody complains, and nobody asks again and again."""
    with world(of_another(kind, name)) as w:
        before = w.daemon.status().requests
        client(w, "lane", "1000", out="none\n")
        # What a round asks: to open, to unlink, and to unlink once more; of an old one in two versions.
        asked = w.daemon.status().requests - before
        assert asked < times * 3 * 1000 + 200, f"{asked} requests"


def both_killed(kind):
    """A worker that is stopped, so that it hears nothing of its clients' end, and then killed."""
    with world(kind) as w:
        before = settled(lambda: fds_of(w))
        for _ in range(KILLS // 20):
            with loads(w, 4) as a_load:
                for process in a_load.processes:
                    until(lambda: has_lane(process.pid), "a lane")
                worker = w.daemon.status().pid
                os.kill(worker, signal.SIGSTOP)
            os.kill(worker, signal.SIGKILL)
        client(w, "remove", *w.daemon.list())
        check_fds(w, before)


def has_lane(pid):
    with open(f"/proc/{pid}/maps") as maps:
        return "memfd:shmemu-lane" in maps.read()


def clients_killed(kind):
    """More at once than there are lanes, each killed in its midst, while another is served."""
    with world(kind) as w:
        before = settled(lambda: fds_of(w))
        with loads(w, 1) as other:
            processes = []
            for number in range(CLIENT_KILLS):
                processes.append(w.popen(LANES, "load", "shm", "k", stdin=subprocess.PIPE, env={"SHMEMU_LOG": "error"}))
                if len(processes) >= AT_ONCE:
                    # Some have hardly begun.
                    victim = processes.pop(random.randrange(AT_ONCE))
                    victim.kill()
                    _, errors = victim.communicate()
                    assert not errors, errors
            other.check()
            for victim in processes:
                victim.kill()
                victim.communicate()
            other.end()
        left = w.daemon.list()
        assert len(left) <= CLIENT_KILLS, left
        client(w, "remove", *left)
        assert w.daemon.list() == {} and w.daemon.status().inodes <= 1, w.daemon.status()
        check_fds(w, before)
        assert w.daemon.status().pid == w.pid, "the worker is another"
        return f"{CLIENT_KILLS} killed, {len(left)} names were left"


def crowd(kind):
    """All are served, though not all can have a lane."""
    with world(kind) as w:
        before = settled(lambda: fds_of(w))
        with loads(w, AT_ONCE) as a_load:
            time.sleep(1)
            a_load.check()
            ended = a_load.end()
        assert min(rounds for rounds, _ in ended) > 0, ended
        check_fds(w, before)
        return f"{sum(rounds for rounds, _ in ended)} rounds"


# By hand


class Hand(Door):
    """A client of the daemon's own user without the library."""

    version = VERSION

    def __init__(self, w):
        super().__init__(w.run_folder)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def ask_name(self, op, name, flags=0):
        self.asked += 1
        self.sock.send(request(op, name, flags, serial=self.asked))
        while True:
            answer, fds, _, _ = socket.recv_fds(self.sock, 4096, 1)
            fields = struct.unpack_from("=IHHiIQQ", answer)
            if fields[6] == self.asked:
                return fields[3], list(fds)

    def make(self, name):
        result, fds = self.ask_name(OPEN, name, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        assert result >= 0, result
        return fds[0]

    def remove(self, name):
        return self.ask_name(UNLINK, name)[0]

    def lane(self):
        file, = self.ask(ROADS, PLACES.pack(0, 0, 0, 0, 0, 0, 0, 0), flags=WANT_LANE)
        return file, mmap.mmap(file, LANE_SIZE)


def request(op, name, flags=0, mode=0o600, serial=None, version=VERSION, initial=b""):
    return REQUEST.pack(MAGIC, version, op, flags, mode, serial or time.monotonic_ns(), 0, 0, len(name),
                        len(initial), 0, initial, name)


def set_state(lane, state):
    lane[:4] = struct.pack("=I", state)


def state_of(lane):
    return struct.unpack("=I", lane[:4])[0]


def impossible(choose):
    """A request that is no request, or not one of those that go by a lane."""
    data = bytearray(request(choose.choice([OPEN, UNLINK]), b"hostile", os.O_RDWR | os.O_CREAT))
    kind = choose.randrange(6)
    if kind == 0:
        struct.pack_into("=HH", data, 4, choose.randrange(65536), choose.randrange(65536))
    elif kind == 1:
        struct.pack_into("=HH", data, 40, choose.choice([0, 255, 256, 257, 65535]),
                         choose.choice([0, 64, 65, 65535]))
    elif kind == 2:
        struct.pack_into("=II", data, 8, choose.getrandbits(32), choose.getrandbits(32))
    elif kind == 3:
        data[112:368] = choose.choice([b"\xff" * 256, b"/" * 256, b"../../etc/passwd".ljust(256, b"\0"), bytes(256)])
    elif kind == 4:
        data = bytearray(choose.randbytes(REQUEST.size))
    return bytes(data)


def well_formed():
    """Requests, and the states that each may come to."""
    base = request(UNLINK, b"not there")

    def with_field(form, at, *values):
        data = bytearray(base)
        struct.pack_into(form, data, at, *values)
        return bytes(data)

    yield base, ANSWERED
    yield with_field("=I", 0, MAGIC + 1), CUT
    yield with_field("=H", 4, VERSION + 1), ANSWERED
    for op in (0, 31, 255, 65535):
        yield with_field("=H", 6, op), (CUT, REFUSED)
    # STATUS, ROOM: well-formed, and not for lanes; their names would be in the way.
    for op in (4, 5):
        yield with_field("=HHIIQQQHH", 4, VERSION, op, 0, 0, time.monotonic_ns(), 0, 0, 0, 0), REFUSED
    for length in (256, 257, 32768, 65535):
        yield with_field("=H", 40, length), CUT
    for length in (65, 256, 65535):
        yield with_field("=H", 42, length), CUT
    yield with_field("=I", 44, 1), CUT
    for name in (b"", b"a/b", b".", b".."):
        yield request(UNLINK, name), ANSWERED
    # Nobody waits for that any more.
    for serial in (1, 1 << 63, (1 << 64) - 1):
        yield with_field("=Q", 16, serial), REFUSED


def come_to(hand, lane, data):
    """The state that a request ends in, asked while the worker looks: after one by the socket."""
    for _ in range(300):
        # Which may cut it, for what was seen late.
        with contextlib.suppress(OSError, struct.error):
            hand.ask_name(UNLINK, b"not there")
        if state_of(lane) & ~SLEEPER not in (FREE, ASKED, TAKEN):
            return state_of(lane)
        lane[REQUEST_AT:REQUEST_AT + REQUEST.size] = data
        set_state(lane, ASKED)
        deadline = time.monotonic() + 0.01
        while time.monotonic() < deadline:
            if state_of(lane) & ~SLEEPER not in (ASKED, TAKEN):
                return state_of(lane)
    raise AssertionError("nobody looks")


def asked_by_hand(kind):
    """Each goes where it is to go, and no further."""
    with world(kind) as w, loads(w, 1) as other:
        for data, states in well_formed():
            with Hand(w) as hand:
                file, lane = hand.lane()
                os.close(file)
                state = come_to(hand, lane, data)
                assert state in (states if isinstance(states, tuple) else (states,)), f"{data[:48]}: {state}"
                if state == ANSWERED:
                    # As base/wire.h has a reply.
                    result, = struct.unpack_from("=i", lane, REQUEST_AT + REQUEST.size + 8 + 8)
                    assert result < 0, f"{data[:48]}: {result}"
                lane.close()
        other.check()
        other.end()
        assert w.daemon.status().pid == w.pid, "the worker did not survive"


def harm(w, choose):
    """One connection's life: ends when that is cut."""
    with contextlib.suppress(ConnectionResetError, BrokenPipeError, TimeoutError), Hand(w) as hand:
        file, lane = hand.lane()
        hand.sock.setblocking(False)
        try:
            for _ in range(300):
                what = choose.randrange(8)
                if what == 0:
                    lane[:] = choose.randbytes(LANE_SIZE)
                elif what == 1:
                    set_state(lane, choose.choice([*range(9), *(SLEEPER | state for state in range(9)),
                                                   choose.getrandbits(32)]))
                elif what == 2:
                    punch(file)
                else:
                    lane[OPENS_AT:OPENS_AT + 4] = struct.pack("=I", choose.randrange(3))
                    lane[REQUEST_AT:REQUEST_AT + REQUEST.size] = impossible(choose)
                    set_state(lane, choose.choice([ASKED, ASKED, TAKEN, ASKED | SLEEPER]))
                    for _ in range(choose.randrange(40)):
                        # While it is looked at.
                        lane[REQUEST_AT + 40:REQUEST_AT + 44] = choose.randbytes(4)
                # Answers are read, sometimes.
                with contextlib.suppress(BlockingIOError):
                    _, fds, _, _ = socket.recv_fds(hand.sock, 4096, 4)
                    for fd in fds:
                        os.close(fd)
                if state_of(lane) in (REFUSED, CUT):
                    break
        finally:
            os.close(file)
            lane.close()


def harm_for_long(w):
    """In a child, as the daemon's own user."""
    status = 1
    try:
        if is_root():
            os.setgroups([])
            os.setresgid(w.uid, w.uid, w.uid)
            os.setresuid(w.uid, w.uid, w.uid)
        choose = random.Random(int(os.environ.get("SHMEMU_TEST_SEED", "1")))
        deadline = time.monotonic() + HOSTILE_SECONDS
        count = 0
        while time.monotonic() < deadline:
            harm(w, choose)
            count += 1
        print(f"# {count} connections", flush=True)
        status = 0
    except BaseException as error:
        print(f"# {error!r}", flush=True)
    finally:
        os._exit(status)


def punch(file):
    """A hole for all of it, and ends that it can't have."""
    LIBC.fallocate(file, 3, ctypes.c_long(0), ctypes.c_long(4096))
    for size in (0, 1 << 20):
        with contextlib.suppress(OSError):
            os.ftruncate(file, size)


def hostile(kind):
    with world(kind) as w:
        before = settled(lambda: fds_of(w))
        with loads(w, 1) as other:
            pid = os.fork()
            if pid == 0:
                harm_for_long(w)
            _, status = os.waitpid(pid, 0)
            assert status == 0, f"the attack itself went wrong: {status}"
            other.check()
            other.end()
        assert w.daemon.status().pid == w.pid, "the worker did not survive"
        client(w, "remove", *w.daemon.list())
        check_fds(w, before)


def idle(kind):
    with world(kind) as w:
        process = w.popen(LANES, "hold", stdin=subprocess.PIPE, env={"SHMEMU_LOG": "error"})
        assert process.stdout.readline() == "lane\n", process.communicate()
        check_at_rest(w, IDLE_SECONDS)
        out, errors = process.communicate("x", timeout=PATIENCE)
        assert (process.returncode, out, errors) == (0, "lane\n", ""), (out, errors)


def cases():
    kinds = [Root, Lambda] if is_root() else [Lambda]
    mounts = [Mount] if is_root() and os.path.exists("/dev/fuse") else []
    for kind in kinds + mounts:
        yield "five times is not often", kind, prints, "none\n", "lane", "5"
        yield "sixty times is", kind, prints, "lane\n", "lane", "60"
        yield "children", kind, prints, "none\n", "children"
        yield "descriptors lost", kind, runs, "fds"
        yield "modes and flags", kind, runs, "modes"
        yield "a full table", kind, runs_and_complains, "full"
        yield "a folder's times", kind, runs, "times"
        yield "signal handlers and threads", kind, runs, "handlers"
        yield "a handler that forks", kind, runs_and_complains, "forking-handler"
    for kind in mounts:
        yield "the mount's times", kind, times_at_mount
    for kind in kinds:
        yield "worker killed", kind, killed
        yield "worker dies of itself", kind, dies_of_itself
        yield "worker stopped", kind, stopped
        yield "upgraded", kind, upgraded
        yield "replaced by other versions", kind, replaced_by_others
        yield "served by one without lanes", kind, served_by, "previous", 1
        yield "served by an old one", kind, served_by, "older", 2
        yield "clients killed", kind, clients_killed
        yield "worker killed with its clients", kind, both_killed
        yield "more clients than lanes", kind, crowd
        yield "hostile", kind, hostile
        yield "idle", kind, idle
    # As who we are.
    yield "asked by hand", Root, asked_by_hand
    if is_root():
        yield "ids", Root, runs, "ids"
        yield "a thread's own ids", Root, runs, "thread-ids"
        yield "ids changed unseen", Root, runs, "raw-ids"
        yield "another user's", Root, lambda _: is_not_for_others()
        yield "another pid namespace's /proc", Root, lambda _: is_not_found_by_anothers_number()
        yield "a process that was another user", Root, lambda _: is_not_who_it_was()


def main():
    private()
    tap = Tap()
    for what, kind, function, *arguments in cases():
        name = f"{what}: {kind.name}"
        if not sys.argv[1:] or name in sys.argv[1:] or what in sys.argv[1:]:
            tap.run(name, function, kind, *arguments)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
