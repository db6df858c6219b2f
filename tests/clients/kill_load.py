#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""kill_load.py KIND NUMBER MOUNT: one process of mixed load, until standard input ends. Every result
is checked: no operation may fail, or come out otherwise than it would on tmpfs. Prints how many
operations there were and the longest, in microseconds.

KIND is `library` (libshmemu.so is preloaded: segments, semaphores), `mount` (files under MOUNT), or
`direct`: files without passthrough, where a shared mapping is refused.
Names are this process's own, but for one that all share. What is made with O_EXCL must not be there
yet, and what is unlinked must be: a create or an unlink that was done twice shows."""

import ctypes
import errno
import fcntl
import mmap
import os
import random
import select
import sys
import time

import _posixshmem

KIND, NUMBER, MOUNT = sys.argv[1], int(sys.argv[2]), sys.argv[3]
LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.sem_open.restype = ctypes.c_void_p
LIBC.sem_open.argtypes = [ctypes.c_char_p, ctypes.c_int, ctypes.c_uint, ctypes.c_uint]
LIBC.sem_post.argtypes = LIBC.sem_close.argtypes = LIBC.sem_trywait.argtypes = [ctypes.c_void_p]
choose = random.Random(NUMBER)
operations = 0
longest = 0


def timed(function, *arguments, **more):
    global operations, longest
    begun = time.monotonic_ns()
    result = function(*arguments, **more)
    longest = max(longest, time.monotonic_ns() - begun)
    operations += 1
    return result


def refused(number, function, *arguments, **more):
    """The call must fail so, and not otherwise."""
    try:
        timed(function, *arguments, **more)
    except OSError as error:
        assert error.errno == number, f"{function}{arguments}: {error}"
        return
    raise AssertionError(f"{function}{arguments}: no error")


def contents(name, size):
    return (f"{NUMBER} {name} " * (size // 8 + 1)).encode()[:size]


class Library:
    """By shm_open."""

    def open(self, name, flags, mode=0o600):
        return timed(_posixshmem.shm_open, "/" + name, flags, mode=mode)

    def unlink(self, name):
        timed(_posixshmem.shm_unlink, "/" + name)

    def missing(self, name):
        refused(errno.ENOENT, _posixshmem.shm_open, "/" + name, os.O_RDWR)
        refused(errno.ENOENT, _posixshmem.shm_unlink, "/" + name)

    def there(self, name):
        refused(errno.EEXIST, _posixshmem.shm_open, "/" + name,
                os.O_RDWR | os.O_CREAT | os.O_EXCL, mode=0o600)

    def more(self, name):
        semaphore(name)

    def tree(self, name):
        pass


class Mount:
    """By files."""

    def open(self, name, flags, mode=0o600):
        return timed(os.open, os.path.join(MOUNT, name), flags, mode)

    def unlink(self, name):
        timed(os.unlink, os.path.join(MOUNT, name))

    def missing(self, name):
        refused(errno.ENOENT, os.open, os.path.join(MOUNT, name), os.O_RDWR)
        refused(errno.ENOENT, os.unlink, os.path.join(MOUNT, name))

    def there(self, name):
        refused(errno.EEXIST, os.open, os.path.join(MOUNT, name),
                os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)

    def more(self, name):
        """Another name for it, another size, a listing."""
        path, other = os.path.join(MOUNT, name), os.path.join(MOUNT, name + "-too")
        timed(os.link, path, other)
        assert timed(os.stat, other).st_nlink == 2
        assert {name, name + "-too"} <= set(timed(os.listdir, MOUNT))
        timed(os.truncate, other, 10000)
        assert timed(os.stat, path).st_size == 10000
        timed(os.unlink, other)
        assert timed(os.stat, path).st_nlink == 1


    def tree(self, name):
        """A folder and all that can be in one; each is made and undone once."""
        top = os.path.join(MOUNT, name + "-tree")
        below, moved = os.path.join(top, "below"), os.path.join(top, "moved")
        file, link, fifo = (os.path.join(below, kind) for kind in ("file", "link", "fifo"))
        timed(os.mkdir, top)
        refused(errno.EEXIST, os.mkdir, top)
        timed(os.mkdir, below, 0o2750)
        timed(os.mknod, file, 0o600)
        timed(os.symlink, "file", link)
        timed(os.mkfifo, fifo)
        assert timed(os.readlink, link) == "file" and timed(os.stat, link).st_nlink == 1
        folder = timed(os.open, below, os.O_RDONLY | os.O_DIRECTORY)
        assert sorted(timed(os.listdir, folder)) == ["fifo", "file", "link"]
        refused(errno.ENOTEMPTY, os.rmdir, below)
        self.attributes(file)
        self.moves(top, below, moved)
        self.nameless(moved)
        for kind in ("fifo", "file", "link"):
            timed(os.unlink, os.path.join(moved, kind))
        timed(os.rmdir, moved)
        refused(errno.ENOENT, os.rmdir, moved)
        assert timed(os.fstat, folder).st_nlink == 0
        refused(errno.ENOENT, os.open, "file", os.O_RDWR | os.O_CREAT, dir_fd=folder)
        os.close(folder)
        timed(os.rmdir, top)

    def attributes(self, file):
        timed(os.chmod, file, 0o640)
        timed(os.utime, file, ns=(1, 2))
        assert timed(os.stat, file).st_mtime_ns == 2
        timed(os.setxattr, file, "user.name", b"value", os.XATTR_CREATE)
        refused(errno.EEXIST, os.setxattr, file, "user.name", b"other", os.XATTR_CREATE)
        timed(os.setxattr, file, "user.name", b"another", os.XATTR_REPLACE)
        assert timed(os.getxattr, file, "user.name") == b"another"
        assert timed(os.listxattr, file) == ["user.name"]
        timed(os.removexattr, file, "user.name")
        refused(errno.ENODATA, os.removexattr, file, "user.name")
        fd = timed(os.open, file, os.O_RDWR)
        timed(os.posix_fallocate, fd, 0, 5000)
        assert timed(os.fstat, fd).st_size == 5000
        os.close(fd)

    def moves(self, top, below, moved):
        """To another name, in place of another, and there and back."""
        def rename(old, new, flags=0):
            if LIBC.renameat2(-100, os.fsencode(old), -100, os.fsencode(new), flags) < 0:
                raise OSError(ctypes.get_errno(), f"rename {old} {new}")

        other = os.path.join(top, "other")
        timed(os.mknod, other, 0o600)
        ino = timed(os.stat, other).st_ino
        timed(rename, other, os.path.join(below, "file"))
        assert timed(os.stat, os.path.join(below, "file")).st_ino == ino
        refused(errno.ENOENT, os.stat, other)
        timed(os.mkdir, moved)
        refused(errno.EEXIST, rename, below, moved, 1)
        timed(rename, below, moved, 2)
        assert timed(os.listdir, below) == [] and len(timed(os.listdir, moved)) == 3
        timed(rename, moved, below)
        timed(rename, below, moved, 1)
        refused(errno.EINVAL, rename, top, os.path.join(moved, "top"))
        refused(errno.ENOENT, os.stat, below)
        assert sorted(timed(os.listdir, top)) == ["moved"]

    def nameless(self, folder):
        fd = timed(os.open, folder, os.O_RDWR | os.O_TMPFILE, 0o600)
        timed(os.write, fd, b"nameless")
        assert timed(os.fstat, fd).st_nlink == 0
        path = os.path.join(folder, "named")
        timed(link_fd, fd, path)
        refused(errno.EEXIST, link_fd, fd, path)
        assert timed(os.stat, path).st_size == 8 and timed(os.fstat, fd).st_nlink == 1
        timed(os.unlink, path)
        refused(errno.ENOENT, link_fd, fd, path)
        assert timed(os.pread, fd, 20, 0) == b"nameless"
        os.close(fd)


def link_fd(fd, path):
    open_file = f"/proc/self/fd/{fd}".encode()
    if LIBC.linkat(-100, open_file, -100, os.fsencode(path), 0x400) < 0:
        raise OSError(ctypes.get_errno(), "linkat")


def semaphore(name):
    path = f"/{name}".encode()
    made = timed(LIBC.sem_open, path, os.O_CREAT | os.O_EXCL, 0o600, 3)
    assert made, os.strerror(ctypes.get_errno())
    again = timed(LIBC.sem_open, path, 0, 0, 0)
    assert again == made, "the same semaphore is at the same address"
    assert [LIBC.sem_trywait(made) for _ in range(4)] == [0, 0, 0, -1]
    assert LIBC.sem_post(again) == 0
    assert timed(LIBC.sem_unlink, path) == 0, os.strerror(ctypes.get_errno())
    assert LIBC.sem_close(made) == LIBC.sem_close(again) == 0


def check_contents(fd, name, size):
    if KIND == "direct":
        refused(errno.ENODEV, mmap.mmap, fd, size)
        timed(os.pwrite, fd, contents(name, size), 0)
    else:
        memory = mmap.mmap(fd, size)
        memory[:] = contents(name, size)
        memory.close()
    assert os.pread(fd, size, 0) == contents(name, size)


def begin_again(door, name):
    """What was written after a truncation, or behind other bytes, is there once."""
    fd = door.open(name, os.O_RDWR | os.O_TRUNC)
    timed(os.pwrite, fd, name.encode(), 0)
    os.close(fd)
    fd = door.open(name, os.O_RDWR)
    fcntl.fcntl(fd, fcntl.F_SETFL, os.O_APPEND)
    timed(os.write, fd, name.encode())
    timed(os.write, fd, name.encode())
    assert timed(os.pread, fd, 1000, 0) == 3 * name.encode()
    os.close(fd)


def life(door, name):
    """From its making to its end."""
    size = choose.choice((1, 4096, 70000))
    fd = door.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    timed(os.ftruncate, fd, size)
    check_contents(fd, name, size)
    door.there(name)
    if choose.random() < 0.3:
        door.more(name)
        timed(os.ftruncate, fd, size)
    again = door.open(name, os.O_RDONLY)
    assert timed(os.pread, again, size, 0)[:1] == contents(name, 1)
    assert timed(os.fstat, again).st_size == size
    begin_again(door, name)
    door.unlink(name)
    door.missing(name)
    assert timed(os.fstat, again).st_size == 3 * len(name)
    os.close(fd)
    os.close(again)


def share(door):
    """All write to it, each to its place."""
    fd = door.open("shared", os.O_RDWR | os.O_CREAT)
    value = str(choose.random()).encode().ljust(32)
    timed(os.pwrite, fd, value, NUMBER * 32)
    again = door.open("shared", os.O_RDONLY)
    assert timed(os.pread, again, 32, NUMBER * 32) == value
    os.close(fd)
    os.close(again)


def main():
    door = Library() if KIND == "library" else Mount()
    last = door.open(f"lasting-{NUMBER}", os.O_RDWR | os.O_CREAT | os.O_EXCL)
    os.ftruncate(last, 4096)
    os.pwrite(last, contents("lasting", 4096), 0)
    print("ready", flush=True)
    turn = 0
    while not select.select([0], [], [], 0)[0]:
        turn += 1
        life(door, f"n-{NUMBER}-{turn % 7}")
        share(door)
        door.tree(f"n-{NUMBER}")
        again = door.open(f"lasting-{NUMBER}", os.O_RDONLY)
        assert os.pread(again, 4096, 0) == contents("lasting", 4096)
        assert os.fstat(again).st_ino == os.fstat(last).st_ino
        os.close(again)
    print(operations, longest // 1000)


main()
