# SPDX-License-Identifier: LGPL-2.1-or-later
"""The socket door's operations on paths, as base/wire.h has them, without the library."""

import os
import socket
import stat
import struct

from client_wire import MAGIC, REPLY, REQUEST

VERSION = 4
TRADE, ROADS, LOOKUP, MAKE, SYMLINK, LINK, RENAME, REMOVE = 8, 9, 10, 12, 13, 14, 15, 16
REMOVE_FOLDER = 4
PLACES = struct.Struct("=QQQQQHHI")
TOLD_MAX = 20000


class Door:
    """A connection; whoever asks is this process."""

    version = VERSION

    def __init__(self, folder):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.settimeout(30)
        self.sock.connect(os.path.join(folder, "socket"))
        self.asked = 0

    def ask(self, op, rest=b"", flags=0, mode=0, cursor=0, ino=0):
        """Returns the descriptors that come with the answer."""
        self.asked += 1
        self.sock.send(REQUEST.pack(MAGIC, self.version, op, flags, mode, self.asked, cursor, ino, 0, 0,
                                    0, b"", b"") + rest)
        while True:
            answer, fds, _, _ = socket.recv_fds(self.sock, REPLY.size + TOLD_MAX, 1)
            reply = REPLY.unpack_from(answer)
            if reply[6] == self.asked:
                break
        if reply[3] < 0:
            raise OSError(-reply[3], os.strerror(-reply[3]))
        return fds

    def on_paths(self, op, path, other="", device=0, **more):
        paths = [os.fsencode(one) for one in (path, other)]
        places = PLACES.pack(0, 0, 0, 0, device, *map(len, paths), 0)
        for fd in self.ask(op, places + b"".join(paths), **more):
            os.close(fd)

    def make(self, path, mode=stat.S_IFREG | 0o666):
        self.on_paths(MAKE, path, mode=mode)

    def remove(self, path, is_folder=False):
        self.on_paths(REMOVE, path, flags=REMOVE_FOLDER if is_folder else 0)

    def rename(self, path, other, flags=0):
        self.on_paths(RENAME, path, other, flags=flags)

    def trade(self, halves):
        return self.ask(TRADE, ino=halves[0], cursor=halves[1])[0]

    def close(self):
        self.sock.close()
