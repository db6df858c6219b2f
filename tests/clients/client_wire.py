# SPDX-License-Identifier: LGPL-2.1-or-later
"""Asks a daemon what it holds: the STATUS and LIST of base/wire.h."""

import os
import socket
import struct
from collections import namedtuple

MAGIC, VERSION = 0x756d6873, 7
ASKED = 5   # what programs ask in
SPOKEN = 2  # what daemons of other versions understand too
LIST, STATUS = 3, 4
REQUEST = struct.Struct("=IHHIIQQQHHI64s256s")
REPLY = struct.Struct("=IHHiIQQ4QII")
ENTRY = struct.Struct("=QQQIIIIQIIQQ64s256s")  # as SPOKEN has it; a newer one is followed by more
ENTRY_MAX = ENTRY.size + 16
LIST_MAX = 16

Status = namedtuple("Status", "requests connections names inodes pid keeper")


class Daemon:
    """A connection to the daemon that serves a folder."""

    def __init__(self, folder):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.settimeout(30)
        self.sock.connect(os.path.join(folder, "socket"))
        self.asked = 0

    def ask(self, op, cursor=0):
        self.asked += 1
        self.sock.send(REQUEST.pack(MAGIC, SPOKEN, op, 0, 0, self.asked, cursor, 0, 0, 0, 0, b"",
                                    b""))
        while True:
            answer = self.sock.recv(REPLY.size + LIST_MAX * ENTRY.size)
            reply = REPLY.unpack_from(answer)
            # After a kill the last answer may come twice.
            if reply[6] == self.asked:
                break
        assert reply[:3] == (MAGIC, SPOKEN, op) and reply[3] >= 0, reply
        return reply, answer[REPLY.size:]

    def status(self):
        return Status(*self.ask(STATUS)[0][7:])

    def list(self):
        """Returns the sizes of all files, by name."""
        sizes, cursor = {}, 0
        while True:
            reply, rest = self.ask(LIST, cursor)
            if reply[3] == 0:
                return sizes
            for entry in ENTRY.iter_unpack(rest[:reply[3] * ENTRY.size]):
                cursor = entry[0]
                sizes[os.fsdecode(entry[13].rstrip(b"\0"))] = entry[2]

    def close(self):
        self.sock.close()
