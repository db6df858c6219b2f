# SPDX-License-Identifier: LGPL-2.1-or-later
"""One side of the comparison in test_tree.py: a process with its root in a tree, which does what
it is told and says what came of it. Operations are tuples: who, name, arguments."""

import ctypes
import errno
import fcntl
import hashlib
import mmap
import multiprocessing
import os
import signal
import socket
import stat
import struct
import time
import traceback

LIBC = ctypes.CDLL(None, use_errno=True)
AT_FDCWD, AT_SYMLINK_FOLLOW, AT_EMPTY_PATH = -100, 0x400, 0x1000
OLD = 10 ** 7  # a time before that many seconds was set by a test
NONE = 99999  # no descriptor
GROUPS = {0: (0, []), 65534: (65534, [65532]), 65533: (65533, [65532, 65531])}
USERS = list(GROUPS)


def call(name, *arguments):
    given = [os.fsencode(one) if isinstance(one, str) else one for one in arguments]
    result = getattr(LIBC, name)(*given)
    if result < 0:
        raise OSError(ctypes.get_errno(), name)
    return result


class Inodes:
    """Numbers differ between the sides; which are the same must not."""

    def __init__(self):
        self.known = {}

    def of(self, status):
        return self.known.setdefault(status.st_ino, len(self.known))


def time_of(seconds, nanoseconds):
    return nanoseconds if seconds < OLD else "now"


class Side:
    def __init__(self):
        self.fds = {}
        self.inodes = Inodes()

    def described(self, status):
        is_folder = stat.S_ISDIR(status.st_mode)
        # Who writes to a fifo sets its times where the kernel does not let us know of it.
        times = {} if stat.S_ISFIFO(status.st_mode) else {
            "atime": time_of(status.st_atime, status.st_atime_ns),
            "mtime": time_of(status.st_mtime, status.st_mtime_ns)}
        return {
            **times,
            "mode": oct(status.st_mode), "links": status.st_nlink, "uid": status.st_uid,
            "gid": status.st_gid, "size": None if is_folder else status.st_size,
            "device": status.st_rdev, "ino": self.inodes.of(status),
        }

    # Each returns what is to be the same on both sides.

    def open(self, slot, path, flags, mode):
        self.close(slot)
        self.fds[slot] = os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY, mode)

    def openat(self, slot, base, path, flags, mode):
        base = self.fd(base)
        self.close(slot)
        self.fds[slot] = os.open(path, flags | os.O_NONBLOCK, mode, dir_fd=base)

    def close(self, slot):
        if slot in self.fds:
            os.close(self.fds.pop(slot))

    def fd(self, slot):
        return self.fds.get(slot, NONE)

    def read(self, slot, size, offset):
        return os.pread(self.fd(slot), size, offset)

    def write(self, slot, data, offset):
        return os.pwrite(self.fd(slot), data, offset)

    def append(self, slot, data):
        return os.write(self.fd(slot), data)

    def copy(self, slot, to, size, offset, to_offset):
        return os.copy_file_range(self.fd(slot), self.fd(to), size, offset, to_offset)

    def fallocate(self, slot, mode, offset, length):
        call("fallocate", self.fd(slot), mode, ctypes.c_long(offset), ctypes.c_long(length))

    def seek(self, slot, offset, whence):
        if stat.S_ISDIR(os.fstat(self.fd(slot)).st_mode):
            return "nobody's business"
        return os.lseek(self.fd(slot), offset, whence)

    def fstat(self, slot):
        return self.described(os.fstat(self.fd(slot)))

    def ftruncate(self, slot, size):
        os.ftruncate(self.fd(slot), size)

    def lasting(self, slot):
        """Not a fifo that has lost its name: the kernel does not tell that it is open."""
        status = os.fstat(self.fd(slot))
        return NONE if stat.S_ISFIFO(status.st_mode) and not status.st_nlink else self.fd(slot)

    def fchmod(self, slot, mode):
        os.fchmod(self.lasting(slot), mode)

    def fchown(self, slot, uid, gid):
        os.fchown(self.lasting(slot), uid, gid)

    def futime(self, slot, times):
        os.utime(self.lasting(slot), ns=times)

    def flist(self, slot):
        return sorted(os.listdir(self.fd(slot)))

    def flink(self, slot, path):
        call("linkat", self.fd(slot), "", AT_FDCWD, path, AT_EMPTY_PATH)

    def linkat(self, base, path, to_base, to_path, flags):
        call("linkat", self.fd(base), path, self.fd(to_base), to_path, flags)

    def renameat(self, base, path, to_base, to_path, flags):
        call("renameat2", self.fd(base), path, self.fd(to_base), to_path, flags)

    def unlinkat(self, base, path, is_folder):
        (os.rmdir if is_folder else os.unlink)(path, dir_fd=self.fd(base))

    def mkdirat(self, base, path, mode):
        os.mkdir(path, mode, dir_fd=self.fd(base))

    def statat(self, base, path):
        return self.described(os.stat(path, dir_fd=self.fd(base)))

    def mkdir(self, path, mode):
        os.mkdir(path, mode)

    def rmdir(self, path):
        os.rmdir(path)

    def unlink(self, path):
        os.unlink(path)

    def rename(self, path, to, flags):
        call("renameat2", AT_FDCWD, path, AT_FDCWD, to, flags)

    def link(self, path, to, flags):
        call("linkat", AT_FDCWD, path, AT_FDCWD, to, flags)

    def symlink(self, text, path):
        os.symlink(text, path)

    def readlink(self, path):
        return os.readlink(path)

    def mknod(self, path, mode, device):
        os.mknod(path, mode, device)

    def bind(self, path):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(path)

    def connect(self, path):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(path)

    def chmod(self, path, mode):
        os.chmod(path, mode)

    def chown(self, path, uid, gid):
        os.chown(path, uid, gid)

    def lchown(self, path, uid, gid):
        os.lchown(path, uid, gid)

    def truncate(self, path, size):
        os.truncate(path, size)

    def utime(self, path, times, follow):
        os.utime(path, ns=times, follow_symlinks=follow)

    def touch(self, path):
        os.utime(path)

    def access(self, path, mode):
        return os.access(path, mode, effective_ids=True)

    def stat(self, path):
        return self.described(os.stat(path))

    def lstat(self, path):
        return self.described(os.lstat(path))

    def list(self, path):
        return sorted(os.listdir(path))

    def chdir(self, path):
        os.chdir(path)

    def fchdir(self, slot):
        os.fchdir(self.fd(slot))

    def getcwd(self):
        return os.getcwd()

    def setxattr(self, path, name, value, flags, follow):
        os.setxattr(path, name, value, flags, follow_symlinks=follow)

    def getxattr(self, path, name, follow):
        return os.getxattr(path, name, follow_symlinks=follow)

    def listxattr(self, path, follow):
        return sorted(os.listxattr(path, follow_symlinks=follow))

    def removexattr(self, path, name, follow):
        os.removexattr(path, name, follow_symlinks=follow)

    def utimens(self, path, times, flags):
        """As the kernel takes them, with UTIME_NOW and UTIME_OMIT."""
        call("utimensat", AT_FDCWD, path, (ctypes.c_long * 4)(*times), flags)

    def exact_times(self, path):
        status = os.stat(path)
        return status.st_atime_ns, status.st_mtime_ns

    def statx(self, path):
        """All that statx(2) tells of, and how long ago it was made."""
        told = ctypes.create_string_buffer(256)
        call("statx", AT_FDCWD, path, 0, 0xfff, told)
        mask, links, mode = (struct.unpack_from("=I", told, at)[0] for at in (0, 16, 28))
        born = struct.unpack_from("=q", told, 80)[0]
        return mask & 0xfff, links, mode & 0xffff, abs(time.time() - born) < 100

    def execute(self, path):
        pid = os.fork()
        if pid == 0:
            try:
                os.execv(path, [path])
            except OSError as error:
                os._exit(error.errno)
        return os.waitpid(pid, 0)[1]

    def lock(self, slot, kind):
        fcntl.flock(self.fd(slot), kind | fcntl.LOCK_NB)

    def record_lock(self, slot, kind, length, start):
        fcntl.lockf(self.fd(slot), kind | fcntl.LOCK_NB, length, start)

    def lease(self, slot, kind):
        fcntl.fcntl(self.fd(slot), fcntl.F_SETLEASE, kind)

    def flags(self, slot):
        return oct(fcntl.fcntl(self.fd(slot), fcntl.F_GETFL))

    def seal(self, slot):
        return fcntl.fcntl(self.fd(slot), fcntl.F_GET_SEALS)

    def map(self, slot, length, protection, kind):
        with mmap.mmap(self.fd(slot), length, kind, protection) as memory:
            return hashlib.sha1(memory[:]).hexdigest()

    def sendfile(self, to, slot, offset, count):
        return os.sendfile(self.fd(to), self.fd(slot), offset, count)

    def statvfs(self, path):
        told = os.statvfs(path)
        return told.f_bsize, told.f_frsize, told.f_namemax

    def handle(self, path):
        """Opens again by number, in the folder that is the root."""
        handle = ctypes.create_string_buffer(8 + 128)
        struct.pack_into("=I", handle, 0, 128)
        call("name_to_handle_at", AT_FDCWD, path, handle, ctypes.byref(ctypes.c_int()), 0)
        root = os.open("/", os.O_RDONLY)
        try:
            os.close(call("open_by_handle_at", root, handle, os.O_RDONLY | os.O_NONBLOCK))
        finally:
            os.close(root)

    def umask(self, mask):
        os.umask(mask)

    def snapshot(self):
        """All there is, by root."""
        tree = {}
        places = ["/"]
        while places:
            place = places.pop()
            tree[place] = self.thing(place)
            if stat.S_ISDIR(os.lstat(place).st_mode):
                places += [os.path.join(place, name) for name in sorted(os.listdir(place))]
        return tree

    def thing(self, path):
        status = os.lstat(path)
        told = self.described(status)
        told["xattrs"] = {name: os.getxattr(path, name, follow_symlinks=False)
                          for name in sorted(os.listxattr(path, follow_symlinks=False))}
        if stat.S_ISLNK(status.st_mode):
            told["text"] = os.readlink(path)
        elif stat.S_ISREG(status.st_mode):
            with open(path, "rb") as file:
                told["contents"] = hashlib.sha1(file.read()).hexdigest()
        return told

    def clear(self):
        for slot in list(self.fds):
            self.close(slot)
        os.chdir("/")
        for place, folders, files in os.walk("/", topdown=False):
            for name in files:
                os.unlink(os.path.join(place, name))
            for name in folders:
                path = os.path.join(place, name)
                (os.unlink if os.path.islink(path) else os.rmdir)(path)

    def become(self, uid):
        gid, groups = GROUPS[uid]
        os.seteuid(0)
        os.setegid(gid)
        os.setgroups(groups)
        os.seteuid(uid)

    def do(self, operation):
        uid, name, *arguments = operation
        try:
            self.become(uid)
            return getattr(self, name)(*arguments)
        except OSError as error:
            return errno.errorcode.get(error.errno, error.errno)
        except (OverflowError, ValueError) as error:  # Python's own
            return str(error)


def serve(connection, root):
    os.chroot(root)
    os.chdir("/")
    side = Side()
    while True:
        connection.send([side.do(operation) for operation in connection.recv()])


class Remote:
    """A side, from outside."""

    def __init__(self, root):
        self.connection, other = multiprocessing.Pipe()
        self.pid = os.fork()
        if self.pid == 0:
            self.connection.close()
            try:
                serve(other, root)
            except EOFError:
                os._exit(0)
            except BaseException:
                traceback.print_exc()
            os._exit(1)
        other.close()

    def send(self, operations):
        self.connection.send(operations)

    def results(self):
        return self.connection.recv()

    def do(self, operations):
        self.send(operations)
        return self.results()

    def end(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        self.connection.close()
