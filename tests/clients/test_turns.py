#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A worker that is killed in the midst of one turn of IPC: TAP on standard output.

Aim: what its successor does about that turn is what the asker may have been told already, all of it or
nothing, whoever else waits, ends or meddles meanwhile; and no other request passes for it. Method: a
daemon whose worker stops at a named point (../stopping.c), where it is killed; the askers are of this
process, without the library, and some have a duplicate of the daemon's end of their socket. Arguments
name cases. Needs SHMEMU_PREFIX and SHMEMU_PROBES.
"""

import contextlib
import errno
import os
import select
import signal
import socket
import struct
import sys
import time

sys.dont_write_bytecode = True
from client_tap import Skip, Tap
from client_world import Served, of_another, private, settled, until, world
from wire_ipc import (CONTROL, GET, LIST, MQ_NOTIFY, MQ_OPEN, MQ_RECEIVE, MQ_SEND, PRESENT, SEM, SEM_OP, STATUS,
                      adopted, connect, operations)

IPC_CREAT, GETVAL, GETNCNT, NOTICE_SIGNAL = 0o1000, 12, 14, 1
LINGER_SECONDS = 6
SO_PASSPIDFD = 76
MAKE = os.O_CREAT | os.O_RDWR


class Stopping(of_another(Served, "stopping")):
    """A daemon that stops where it is told to."""

    name = "stopping"

    def start(self):
        self.stops = self.folder("stops", 0o700)
        # What hardening takes away is what stops it.
        self.serve("--no-mount", "--harden=off")
        self.worker = self.pid

    def program_environment(self):
        return {"STOPS": self.stops}

    def arm(self, point):
        """When nothing is left to do of what was answered before."""
        if self.state() != "T":
            settled(self.switches)
        open(os.path.join(self.stops, point), "w").close()

    def await_stop(self):
        until(lambda: self.state() == "T", "the worker does not stop")

    def children(self):
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children") as children:
            return [int(child) for child in children.read().split()]

    def switches(self):
        with open(f"/proc/{self.worker}/status") as status:
            return [line for line in status if line.startswith("voluntary")]

    def state(self):
        with open(f"/proc/{self.worker}/stat") as file:
            return file.read().rpartition(")")[2].split()[0]

    def kill(self):
        os.kill(self.worker, signal.SIGKILL)
        until(lambda: self.children() not in ([], [self.worker]), "there is no other worker")
        self.worker = self.children()[0]

    def connect(self):
        return connect(self.run_folder)

    def make_set(self, count=1):
        return self.connect().ask(GET, family=SEM, size=count, flags=IPC_CREAT | 0o600).result

    def look(self, semaphores, command=GETVAL, number=0):
        return self.connect().ask(CONTROL, family=SEM, id=semaphores, command=command, number=number).result

    def await_waiters(self, semaphores, count):
        until(lambda: self.look(semaphores, GETNCNT) == count, f"not {count} wait")

    def make_queue(self, asker, name):
        answer = asker.ask(MQ_OPEN, struct.pack("=qq", 5, 100), name=name, mode=0o600, flags=MAKE)
        assert answer.result == 0, answer
        return answer


@contextlib.contextmanager
def stopping():
    with world(Stopping) as w:
        # The first request to IPC makes what all others find.
        w.make_set()
        yield w


def notice():
    """Who has registered has the pipe of the first answer, though two workers have been killed since."""
    with stopping() as w:
        presence = w.connect()
        handle = presence.ask(PRESENT).handle
        asker = w.connect()
        queue = w.make_queue(asker, b"queue").handle
        w.arm("answered")
        pipe = asker.ask(MQ_NOTIFY, command=NOTICE_SIGNAL, presence=handle, queue=queue).fds[0]
        w.await_stop()
        w.arm("begun")
        w.kill()
        w.await_stop()
        w.kill()
        assert asker.receive().result == 0
        assert w.connect().ask(MQ_SEND, b"hello", queue=queue).result == 0
        assert select.select([pipe], [], [], 10)[0]
        assert struct.unpack("=II", os.read(pipe, 100))[0] == os.getpid()
        os.close(pipe)


def given_to_none(end):
    """What comes after a wait that is over, as its asker has been told, is not that one's."""
    with stopping() as w:
        semaphores = w.make_set()
        waiter, giver = w.connect(), w.connect()
        deadline = time.monotonic_ns() + (2_000_000_000 if end == "timed out" else 1 << 60)
        waiter.send(SEM_OP, operations((0, -1, 0)), id=semaphores, deadline=deadline)
        w.await_waiters(semaphores, 1)
        w.arm("answered")
        if end == "interrupted":
            waiter.sock.shutdown(socket.SHUT_WR)
        over = waiter.receive().result
        assert over == (-errno.EINTR if end == "interrupted" else -errno.EAGAIN), over
        w.await_stop()
        giver.send(SEM_OP, operations((0, 1, 0)), id=semaphores)
        w.kill()
        assert giver.receive().result == 0
        value = w.look(semaphores)
        assert value == 1, f"{value}, and the second answer is {waiter.receive().result}"


def half_is_nothing():
    """Not even if the request is in the socket no more."""
    with stopping() as w:
        semaphores = w.make_set(2)
        asker, daemons_end = adopted(w.run_folder)
        w.arm("changed")
        asker.send(SEM_OP, operations((0, 1, 0), (1, 1, 0)), id=semaphores)
        w.await_stop()
        assert daemons_end.recv(1000)
        w.kill()
        assert [w.look(semaphores, number=number) for number in (0, 1)] == [0, 0]


def same_number(op):
    """Another request with the number of the one that was answered is another one: what that has given
    away is not given away again."""
    with stopping() as w:
        queue = w.connect()
        asker, daemons_end = adopted(w.run_folder)
        w.arm("answered")
        mine = w.make_queue(asker, b"mine")
        w.await_stop()
        assert daemons_end.recv(1000)
        asker.send(op, serial=asker.serial)
        w.kill()
        other = w.make_queue(queue, b"other")
        assert mine.handle != other.handle, mine
        assert queue.ask(MQ_SEND, b"secret", queue=other.handle).result == 0
        stolen = w.connect().ask(MQ_RECEIVE, queue=mine.handle, size=100, flags=os.O_NONBLOCK)
        assert stolen.result == -errno.EAGAIN, stolen
        for fd in mine.fds + other.fds:
            os.close(fd)
        # Likewise of presences.
        asker, daemons_end = adopted(w.run_folder)
        w.arm("answered")
        presence = asker.ask(PRESENT).handle
        w.await_stop()
        assert daemons_end.recv(1000)
        asker.send(op, serial=asker.serial)
        w.kill()
        assert w.connect().ask(PRESENT).handle != presence


def order():
    """Those whose clock is ahead wait in the order in which they came."""
    with stopping() as w:
        semaphores = w.make_set()
        waiters = []
        for count in range(1, 5):
            waiters.append(w.connect())
            waiters[-1].send(SEM_OP, operations((0, -1, 0)), id=semaphores, since=1 << 62)
            w.await_waiters(semaphores, count)
        w.arm("answered")
        assert w.look(semaphores) == 0
        w.await_stop()
        w.kill()
        for waiter in waiters:
            assert w.connect().ask(SEM_OP, operations((0, 1, 0)), id=semaphores).result == 0
            ready = select.select([one.sock for one in waiters], [], [], 10)[0]
            assert ready == [waiter.sock], f"{ready} instead of {waiter.sock}"
            assert waiter.receive().result == 0


def counted():
    """Who has waited is counted by the request that is served again."""
    with stopping() as w:
        semaphores = w.make_set()
        waiter, asker = w.connect(), w.connect()
        waiter.send(SEM_OP, operations((0, -1, 0)), id=semaphores)
        w.await_waiters(semaphores, 1)
        w.arm("answered")
        assert asker.ask(CONTROL, family=SEM, id=semaphores, command=GETNCNT).result == 1
        w.await_stop()
        w.kill()
        assert asker.receive().result == 1


def lingering():
    """A connection whose close takes its time."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    listener.bind(("127.0.0.1", 0))
    listener.listen(1)
    sock = socket.create_connection(listener.getsockname())
    other, _ = listener.accept()
    sock.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            sock.send(bytes(1 << 16))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, LINGER_SECONDS))
    return sock, (listener, other)


def swapped():
    """Nobody waits for the close of what is in the socket instead of a request that has waited."""
    with stopping() as w:
        semaphores = w.make_set()
        waiter, daemons_end = adopted(w.run_folder)
        waiter.send(SEM_OP, operations((0, -1, 0)), id=semaphores)
        w.await_waiters(semaphores, 1)
        assert daemons_end.recv(1000)
        sock, _kept = lingering()
        socket.send_fds(waiter.sock, [bytes(400)], [sock.fileno()])
        sock.close()
        begun = time.monotonic()
        assert w.connect().ask(SEM_OP, operations((0, 1, 0)), id=semaphores).result == 0
        assert w.look(semaphores) == 0
        assert time.monotonic() - begun < LINGER_SECONDS / 2, time.monotonic() - begun


def unasked():
    """A client can have the kernel send a pidfd to the daemon with each message of its own."""
    with stopping() as w:
        asker, daemons_end = adopted(w.run_folder)
        try:
            daemons_end.setsockopt(socket.SOL_SOCKET, SO_PASSPIDFD, 1)
        except OSError as error:
            raise Skip(f"no SO_PASSPIDFD: {error}") from error
        before = settled(w.fds)
        for _ in range(50):
            assert asker.ask(LIST).result >= 0
        after = settled(w.fds)
        assert after == before, f"descriptors: {before} before, now {after}"


def main():
    private()
    tap = Tap()
    cases = [
        ("a registration for a notice is the same after two kills", notice),
        ("who has been told that it timed out is given nothing", given_to_none, "timed out"),
        ("who has been told that it was interrupted is given nothing", given_to_none, "interrupted"),
        ("half a turn is none", half_is_nothing),
        ("another request of the same number, of IPC", same_number, LIST),
        ("another request of the same number, not of IPC", same_number, STATUS),
        ("who waits, by a clock that is ahead, keeps the order", order),
        ("who waits is counted", counted),
        ("a request that waits is swapped for one whose close lingers", swapped),
        ("a pidfd comes with each request", unasked),
    ]
    for what, case, *more in cases:
        if not sys.argv[1:] or what in sys.argv[1:]:
            tap.run(what, case, *more)
    return tap.end()


sys.exit(main())
