# SPDX-License-Identifier: LGPL-2.1-or-later
"""Reads a message queue's descriptor, which is a fifo where the library is, to memory that never
comes, and so has its lock; then does all that has the daemon do something to that fifo. Needs the
right to make userfaultfds that the kernel's own faults wait for.

Prints "held" when the lock is its own, and "done".
"""

import ctypes
import errno
import fcntl
import mmap
import os
import platform
import struct
import threading
import time

SIZE, PAGE = 16, mmap.PAGESIZE
SYS_USERFAULTFD = {"x86_64": 323}.get(platform.machine(), 282)
UFFD_API, UFFDIO_API, UFFDIO_REGISTER, REGISTER_MODE_MISSING = 0xaa, 0xc018aa3f, 0xc020aa00, 1

libc = ctypes.CDLL(None, use_errno=True)


class Attributes(ctypes.Structure):
    _fields_ = [(name, ctypes.c_long) for name in ("flags", "maxmsg", "msgsize", "curmsgs")]
    _fields_.append(("reserved", ctypes.c_long * 4))


def must(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def memory_that_never_comes():
    faults = must(libc.syscall(SYS_USERFAULTFD, os.O_CLOEXEC))
    fcntl.ioctl(faults, UFFDIO_API, struct.pack("QQQ", UFFD_API, 0, 0))
    memory = mmap.mmap(-1, PAGE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    fcntl.ioctl(faults, UFFDIO_REGISTER,
                struct.pack("QQQQ", address, PAGE, REGISTER_MODE_MISSING, 0))
    return memory, address


def open_queue():
    attributes = Attributes(maxmsg=4, msgsize=SIZE)
    return libc.mq_open(b"/held", os.O_RDWR | os.O_CREAT, 0o600, ctypes.byref(attributes))


memory, address = memory_that_never_comes()
queue = must(open_queue())
must(libc.mq_send(queue, b"x", ctypes.c_size_t(1), 0))
reader = threading.Thread(target=libc.read, daemon=True,
                          args=(queue, ctypes.c_void_p(address), ctypes.c_size_t(1)))
reader.start()
time.sleep(0.3)
assert reader.is_alive()
print("held", flush=True)
must(libc.mq_receive(queue, ctypes.create_string_buffer(SIZE), ctypes.c_size_t(SIZE), None))
for _ in range(3):
    told = open_queue() < 0 and ctypes.get_errno()
    assert told == errno.ENFILE, f"to open it once more: {told}"
    must(libc.mq_send(queue, b"x", ctypes.c_size_t(1), 0))
# As if nobody had it open.
fcntl.flock(queue, fcntl.LOCK_UN)
must(libc.mq_unlink(b"/held"))
other = must(open_queue())
must(libc.mq_unlink(b"/held"))
must(libc.mq_close(other))
time.sleep(1)
print("done", flush=True)
os._exit(0)
