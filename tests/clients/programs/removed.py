# SPDX-License-Identifier: LGPL-2.1-or-later
"""Removes a semaphore set that its child waits for, and prints which errno ended the child's wait.

Argument: flags of the child's operation. Prints its pid when the set is made; begins the child at a line
on standard input, and prints its pid; removes the set at another line.
"""

import ctypes
import errno
import os
import sys

IPC_PRIVATE, IPC_RMID = 0, 0

libc = ctypes.CDLL(None, use_errno=True)


class Operation(ctypes.Structure):
    _fields_ = [("number", ctypes.c_ushort), ("change", ctypes.c_short), ("flags", ctypes.c_short)]


semaphores = libc.semget(IPC_PRIVATE, 1, 0o600)
take = Operation(0, -1, int(sys.argv[1]))
assert semaphores >= 0, errno.errorcode[ctypes.get_errno()]
print(os.getpid(), flush=True)
sys.stdin.readline()
child = os.fork()
if child == 0:
    ctypes.set_errno(0)
    libc.semop(semaphores, ctypes.byref(take), ctypes.c_size_t(1))
    os._exit(ctypes.get_errno())
print(child, flush=True)
sys.stdin.readline()
assert libc.semctl(semaphores, 0, IPC_RMID) == 0
print(errno.errorcode[os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])])
