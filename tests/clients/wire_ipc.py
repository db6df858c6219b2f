# SPDX-License-Identifier: LGPL-2.1-or-later
"""The socket door's operations on IPC, as base/wire_ipc.h has them, without the library."""

import array
import os
import socket
import struct
import time
from collections import namedtuple

from client_wire import MAGIC, REPLY, REQUEST, VERSION

STATUS, ADOPT = 4, 6
PRESENT, GET, CONTROL, LIST = 21, 22, 23, 24
SEM_OP, MQ_OPEN, MQ_OF, MQ_SEND, MQ_RECEIVE, MQ_NOTIFY = 27, 30, 32, 33, 34, 36
SEM = 2
NEVER = 2**63 - 1
WIRE_IPC = struct.Struct("=QQQQqqqQIiIiiiII")
HANDLE = struct.Struct("=QQ")
TOLD = struct.Struct("=QQqQQII")

Answer = namedtuple("Answer", "result handle bytes fds")


def operations(*each):
    """struct sembuf of each (number, change, flags)."""
    return b"".join(struct.pack("=Hhh", *one) for one in each)


class Asker:
    """A connection; whoever asks is this process."""

    def __init__(self, sock):
        self.sock = sock
        self.sock.settimeout(30)
        self.serial = 0

    def send(self, op, rest=b"", name=b"", mode=0, serial=None, presence=(0, 0), queue=(0, 0),
             deadline=NEVER, since=None, fds=(), **fields):
        """`serial` is another's number, if it is not to be the next."""
        self.serial = serial or time.monotonic_ns()
        given = {key: fields.pop(key, 0) for key in ("type", "size", "family", "id", "flags", "command",
                                                     "number", "value")}
        assert not fields, fields
        wire = b"" if op < PRESENT else WIRE_IPC.pack(
            *presence, *queue, deadline, time.monotonic_ns() if since is None else since,
            *given.values(), len(rest), 0)
        self.sock.sendmsg(
            [REQUEST.pack(MAGIC, VERSION, op, 0, mode, self.serial, 0, 0, len(name), 0, 0, b"", name),
             wire, rest],
            [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else [])

    def receive(self):
        """The answer to what was sent last, which may come twice after a kill."""
        while True:
            answer, fds, _, _ = socket.recv_fds(self.sock, 1 << 17, 4)
            reply = REPLY.unpack_from(answer)
            if reply[6] == self.serial:
                break
        told = answer[REPLY.size:]
        return Answer(reply[3], HANDLE.unpack_from(told), told[TOLD.size:], fds)

    def ask(self, op, *rest, **more):
        self.send(op, *rest, **more)
        return self.receive()


def connect(folder):
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sock.connect(os.path.join(folder, "socket"))
    return Asker(sock)


def adopted(folder):
    """An asker over a socket of its own, and a duplicate of the daemon's end."""
    mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    carrier = connect(folder)
    carrier.send(ADOPT, fds=[theirs.fileno()])
    carrier.ask(LIST)  # what is sent before it is adopted comes from nobody
    theirs.setblocking(False)
    return Asker(mine), theirs
