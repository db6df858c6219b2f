# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sleeps in mq_receive or msgrcv until something else than a message ends it, and prints which errno.

Arguments: "mq" or "msg". Prints "asleep" before. It has used the queue some times, so that where the
library is it has that as memory.
"""

import ctypes
import errno
import os
import sys

IPC_PRIVATE, SIZE = 0, 16

libc = ctypes.CDLL(None, use_errno=True)


class Attributes(ctypes.Structure):
    _fields_ = [(name, ctypes.c_long) for name in ("flags", "maxmsg", "msgsize", "curmsgs")]
    _fields_.append(("reserved", ctypes.c_long * 4))


class Message(ctypes.Structure):
    _fields_ = [("type", ctypes.c_long), ("text", ctypes.c_char * SIZE)]


def must(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def mq():
    attributes = Attributes(maxmsg=4, msgsize=SIZE)
    queue = must(libc.mq_open(b"/asleep", os.O_RDWR | os.O_CREAT, 0o600, ctypes.byref(attributes)))
    text = ctypes.create_string_buffer(SIZE)
    return (lambda: libc.mq_send(queue, b"x", ctypes.c_size_t(1), 0),
            lambda: libc.mq_receive(queue, text, ctypes.c_size_t(SIZE), None))


def msg():
    queue = must(libc.msgget(IPC_PRIVATE, 0o600))
    message = Message(1, b"x")
    return (lambda: libc.msgsnd(queue, ctypes.byref(message), ctypes.c_size_t(1), 0),
            lambda: libc.msgrcv(queue, ctypes.byref(message), ctypes.c_size_t(SIZE),
                                ctypes.c_long(0), 0))


send, receive = {"mq": mq, "msg": msg}[sys.argv[1]]()
for _ in range(8):
    must(send())
    must(receive())
print("asleep", flush=True)
print(errno.errorcode[ctypes.get_errno()] if receive() < 0 else "a message")
