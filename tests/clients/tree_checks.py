# SPDX-License-Identifier: LGPL-2.1-or-later
"""More of what a mounted store is to do, as mount_checks.py: folders, links, special files,
attributes, and what the socket door does meanwhile. test_tree.py compares all this with tmpfs; here
is what that can't see."""

import contextlib
import ctypes
import errno
import fcntl
import mmap
import os
import random
import signal
import socket
import stat
import struct
import time

from mount_checks import LIBC, PAGE, link_fd
from mount_world import NOBODY, errno_of, in_child
from wire_paths import Door

TOKEN = 0x8010e953  # SHMEMU_IOC_TOKEN
AT_FDCWD, AT_STATX_FORCE_SYNC = -100, 0x2000
PLENTY = int(os.environ.get("SHMEMU_TEST_LONG", 0)) * 20000 + 2000


def asked_stat(path):
    """The mtime and ctime, in nanoseconds, and the mode that the daemon has, whatever the kernel
    remembers."""
    told = ctypes.create_string_buffer(256)
    assert LIBC.statx(AT_FDCWD, os.fsencode(path), AT_STATX_FORCE_SYNC, 0x7ff, told) == 0
    mode = struct.unpack_from("=H", told, 28)[0]
    ctime = struct.unpack_from("=qI", told, 96)
    mtime = struct.unpack_from("=qI", told, 112)
    return tuple(seconds * 10 ** 9 + more for seconds, more in (mtime, ctime)) + (mode,)


def remembered_stat(path):
    status = os.stat(path)
    return status.st_mtime_ns, status.st_ctime_ns, status.st_mode


@contextlib.contextmanager
def busy(function, count):
    """Processes that do something over and over."""
    pids = []
    for number in range(count):
        pid = os.fork()
        if pid == 0:
            turn = 0
            while True:
                function(number, turn)
                turn += 1
        pids.append(pid)
    try:
        yield
        for pid in pids:
            assert os.waitpid(pid, os.WNOHANG) == (0, 0), "one has ended"
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)


def empty(w):
    for place, folders, files in os.walk(w.mount, topdown=False):
        for name in files:
            os.unlink(os.path.join(place, name))
        for name in folders:
            path = os.path.join(place, name)
            (os.unlink if os.path.islink(path) else os.rmdir)(path)


def check_root_by_other_door(w):
    """What the kernel remembers of the root folder is what is so, while both doors are busy in it
    in all ways that lock it. Nothing stands still."""
    door = Door(w.run)
    os.mkdir(w.path("folder"))

    def churn(number, turn):
        path = w.path(f"{number}")
        os.close(os.open(path, os.O_RDWR | os.O_CREAT))
        os.rename(path, w.path(f"folder/{number}"))
        os.stat(w.mount)
        os.listdir(w.mount)
        os.unlink(w.path(f"folder/{number}"))

    with busy(churn, 2):
        for turn in range(PLENTY // 2):
            door.make(f"by-socket-{turn}")
            os.rename(w.path(f"by-socket-{turn}"), w.path("by-mount"))
            door.remove("by-mount")
    empty(w)
    os.mkdir(w.path("folder"))
    for turn in range(PLENTY // 10):
        os.stat(w.mount)
        for change in (lambda: door.make("one"), lambda: door.rename("one", "two"),
                       lambda: os.rename(w.path("two"), w.path("three")),
                       lambda: os.chmod(w.mount, 0o1777 - turn % 2),
                       lambda: door.remove("three")):
            time.sleep(0.0005)
            change()
            assert remembered_stat(w.mount) == asked_stat(w.mount), turn
    os.chmod(w.mount, 0o1777)
    door.make("sub", stat.S_IFDIR | 0o755)
    assert os.stat(w.mount).st_nlink == 4
    door.remove("sub", True)
    assert os.stat(w.mount).st_nlink == 3
    door.close()
    empty(w)


def check_folders_of_both_doors(w):
    """Two processes move folders and files about by the mount, one by the socket: all of them are
    somewhere in the end, once."""
    door = Door(w.run)
    folders = ["a", "b", "a/c", "b/d"]
    for folder in folders:
        os.mkdir(w.path(folder))
    names = {f"file-{i}" for i in range(20)}
    for name in names:
        w.make(name)
    places = ["", *folders]

    def somewhere(choose, name):
        return os.path.join(choose.choice(places), name)

    def churn(number, turn):
        choose = random.Random(number * 10 ** 6 + turn)
        name = choose.choice(sorted(names))
        there = somewhere(choose, name)
        with contextlib.suppress(FileNotFoundError):
            os.rename(w.path(somewhere(choose, name)), w.path(there))
        with contextlib.suppress(FileNotFoundError):
            os.stat(w.path(there))
        with contextlib.suppress(OSError):
            os.rename(w.path("a"), w.path("e"))
            os.rename(w.path("e"), w.path("a"))

    with busy(churn, 2):
        choose = random.Random(1)
        for _ in range(PLENTY):
            name = choose.choice(sorted(names))
            with contextlib.suppress(FileNotFoundError):
                door.rename(somewhere(choose, name), somewhere(choose, name))
    found = [name for _, _, files in os.walk(w.mount) for name in files]
    assert sorted(found) == sorted(names), sorted(found)
    door.close()
    empty(w)


def check_removed_by_other_door(w):
    """What is open stays, what is not is gone."""
    door = Door(w.run)
    door.make("folder", stat.S_IFDIR | 0o777)
    fd = os.open(w.path("folder"), os.O_RDONLY | os.O_DIRECTORY)
    assert os.listdir(fd) == [] and os.fstat(fd).st_nlink == 2
    door.remove("folder", True)
    assert errno_of(os.stat, w.path("folder")) == errno.ENOENT
    assert os.fstat(fd).st_nlink == 0
    make = os.O_RDWR | os.O_CREAT
    assert errno_of(os.open, "file", make, dir_fd=fd) == errno.ENOENT
    assert errno_of(os.mkdir, "sub", dir_fd=fd) == errno.ENOENT
    assert errno_of(os.stat, "file", dir_fd=fd) == errno.ENOENT
    assert os.listdir(fd) == []
    os.close(fd)
    door.make("folder", stat.S_IFDIR | 0o777)
    os.rmdir(w.path("folder"))
    door.close()


def check_sticky_by_other_door(w):
    """The kernel judges by what it last saw; a stranger's name that came meanwhile is safe."""
    os.mkdir(w.path("sticky"))
    os.chmod(w.path("sticky"), 0o1777)
    w.make("sticky/root's", b"kept", 0o666)
    assert in_child(lambda: os.unlink(w.path("sticky/root's")), NOBODY) == errno.EPERM
    assert in_child(lambda: w.make("sticky/theirs"), NOBODY) == 0
    assert in_child(lambda: os.rename(w.path("sticky/theirs"), w.path("sticky/root's")),
                    NOBODY) == errno.EPERM
    assert in_child(lambda: os.rename(w.path("sticky/root's"), w.path("sticky/x")),
                    NOBODY) == errno.EPERM
    assert in_child(lambda: os.rename(w.path("sticky/theirs"), w.path("sticky/own")), NOBODY) == 0
    empty(w)
    os.chmod(w.mount, 0o1777)
    door = Door(w.run)

    def stranger(number, turn):
        if os.geteuid() == 0:
            os.setresuid(NOBODY, NOBODY, NOBODY)
        with contextlib.suppress(FileExistsError):
            os.close(os.open(w.path("bait"), os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        with contextlib.suppress(FileNotFoundError, PermissionError):
            os.unlink(w.path("bait"))
        with contextlib.suppress(FileNotFoundError, PermissionError):
            os.rename(w.path("bait"), w.path("away"))
        with contextlib.suppress(FileNotFoundError, PermissionError):
            os.unlink(w.path("away"))

    with busy(stranger, 2):
        for turn in range(PLENTY // 2):
            with contextlib.suppress(FileNotFoundError):
                door.remove("bait")
            with contextlib.suppress(FileExistsError):
                door.make("bait")
                for _ in range(3):
                    assert os.stat(w.path("bait")).st_uid == 0, turn
    door.close()
    empty(w)


def check_groups(w):
    """A folder that a supplementary group may write to."""
    os.mkdir(w.path("team"))
    os.chown(w.path("team"), 0, 4242)
    os.chmod(w.path("team"), 0o2770)

    def member():
        os.setgroups([4242])
        os.setresuid(NOBODY, NOBODY, NOBODY)
        os.mkdir(w.path("team/sub"), 0o755)
        w.make("team/sub/file")
        os.rename(w.path("team/sub/file"), w.path("team/file"))
        os.unlink(w.path("team/file"))

    assert in_child(member) == 0
    status = os.stat(w.path("team/sub"))
    assert (status.st_gid, stat.S_IMODE(status.st_mode)) == (4242, 0o2755)
    assert in_child(lambda: os.mkdir(w.path("team/x")), NOBODY) == errno.EACCES
    empty(w)


def check_nameless(w):
    fd = os.open(w.mount, os.O_TMPFILE | os.O_RDWR, 0o640)
    os.write(fd, b"without a name")
    assert os.listdir(w.mount) == [] and os.fstat(fd).st_nlink == 0
    other = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY)
    assert os.read(other, 20) == b"without a name"
    os.close(other)
    assert link_fd(fd, w.path("named")) == 0 and os.fstat(fd).st_nlink == 1
    os.unlink(w.path("named"))
    assert link_fd(fd, w.path("again")) == errno.ENOENT
    os.close(fd)
    fd = os.open(w.mount, os.O_TMPFILE | os.O_WRONLY | os.O_EXCL, 0o600)
    assert link_fd(fd, w.path("never")) == errno.ENOENT
    os.close(fd)
    if w.passthrough:
        fd = os.open(w.mount, os.O_TMPFILE | os.O_RDWR, 0o600)
        os.ftruncate(fd, PAGE)
        with mmap.mmap(fd, PAGE) as memory:
            memory[0] = 1
            assert os.pread(fd, 1, 0) == b"\1"
        os.close(fd)


def check_special_files(w):
    os.mkfifo(w.path("fifo"))
    reader = os.open(w.path("fifo"), os.O_RDONLY | os.O_NONBLOCK)
    with open(w.path("fifo"), "wb", buffering=0) as fifo:
        fifo.write(b"through")
    assert os.read(reader, 10) == b"through"
    os.close(reader)
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(w.path("socket"))
        server.listen()
        client.connect(w.path("socket"))
    os.mknod(w.path("null"), stat.S_IFCHR | 0o666, os.makedev(1, 3))
    status = os.stat(w.path("null"))
    assert stat.S_ISCHR(status.st_mode) and status.st_rdev == os.makedev(1, 3)
    assert errno_of(os.open, w.path("null"), os.O_RDWR) == errno.EACCES, "the mount is nodev"
    empty(w)


def check_attributes_listed(w):
    path = w.make("file")
    os.setxattr(path, "user.one", b"1" * 3000)
    os.setxattr(path, "trusted.two", b"2")
    os.chmod(path, 0o666)
    assert sorted(os.listxattr(path)) == ["trusted.two", "user.one"]

    def stranger():
        assert os.listxattr(path) == ["user.one"] and os.getxattr(path, "user.one")[:1] == b"1"
        assert errno_of(os.getxattr, path, "trusted.two") == errno.ENODATA
        assert errno_of(os.setxattr, path, "trusted.two", b"") == errno.EPERM

    assert in_child(stranger, NOBODY) == 0
    assert errno_of(os.setxattr, path, "system.posix_acl_access", b"") == errno.EOPNOTSUPP
    assert errno_of(os.getxattr, path, "system.posix_acl_access") == errno.EOPNOTSUPP
    os.unlink(path)


def open_by_handle(w, path):
    """As a file server does. Returns the errno of opening again by number."""
    handle = ctypes.create_string_buffer(8 + 128)
    struct.pack_into("=I", handle, 0, 128)
    mount = ctypes.c_int()
    assert LIBC.name_to_handle_at(AT_FDCWD, os.fsencode(path), handle, ctypes.byref(mount), 0) == 0
    folder = os.open(w.mount, os.O_RDONLY)

    def again():
        fd = LIBC.open_by_handle_at(folder, handle, os.O_RDONLY)
        number = ctypes.get_errno() if fd < 0 else 0
        if fd >= 0:
            os.close(fd)
        return number

    return again


def check_handles(w):
    os.makedirs(w.path("a/b"))
    again = open_by_handle(w, w.make("a/b/file"))
    folder_again = open_by_handle(w, w.path("a/b"))
    assert again() == 0 and folder_again() == 0
    with open("/proc/sys/vm/drop_caches", "w") as caches:
        with contextlib.suppress(OSError):
            caches.write("2")
    assert again() == 0 and folder_again() == 0
    os.unlink(w.path("a/b/file"))
    assert again() == errno.ESTALE
    empty(w)


def token_of(fd):
    halves = bytearray(16)
    fcntl.ioctl(fd, TOKEN, halves)
    return struct.unpack("=QQ", halves)


def check_tokens(w):
    """A token is good once, for the file it was given for, with the access that was there."""
    door = Door(w.run)
    path = w.make("file", b"contents")
    reader, writer = os.open(path, os.O_RDONLY), os.open(path, os.O_RDWR)
    token = token_of(reader)
    assert token != token_of(reader) and 0 not in token
    real = door.trade(token)
    assert os.pread(real, 20, 0) == b"contents"
    assert errno_of(os.write, real, b"x") == errno.EBADF
    assert errno_of(door.trade, token) == errno.ENOENT, "taken"
    os.close(real)
    real = door.trade(token_of(writer))
    os.ftruncate(real, PAGE)
    with mmap.mmap(real, PAGE) as memory:
        memory[0:5] = b"Shown"
        assert os.pread(reader, 5, 0) == b"Shown"
    os.close(real)
    assert errno_of(door.trade, (1, 2)) == errno.ENOENT
    assert errno_of(door.trade, (0, 0)) == errno.ENOENT
    os.close(writer)
    writer = os.open(path, os.O_WRONLY)
    real = door.trade(token_of(writer))
    assert errno_of(os.pread, real, 1, 0) == errno.EBADF and os.pwrite(real, b"s", 0) == 1
    for fd in (real, reader, writer):
        os.close(fd)
    folder = os.open(w.mount, os.O_RDONLY)
    assert errno_of(token_of, folder) == errno.ENOTTY
    os.close(folder)
    door.close()
    os.unlink(path)


def check_set_id(w):
    """Who writes takes set-id bits away, but root does not."""
    def modes(change, mode=0o6777, uid=None):
        path = w.make("file", b"x" * 10)
        os.chmod(path, mode)
        assert in_child(lambda: change(path), uid) == 0
        after = stat.S_IMODE(os.stat(path).st_mode)
        os.unlink(path)
        return after

    def write(path):
        os.write(os.open(path, os.O_WRONLY), b"x")

    def truncate_at_open(path):
        os.open(path, os.O_WRONLY | os.O_TRUNC)

    def truncate(path):
        os.truncate(path, 1)

    def allocate(path):
        os.posix_fallocate(os.open(path, os.O_WRONLY), 0, PAGE)

    for change in (write, truncate_at_open, truncate, allocate):
        assert modes(change) == 0o6777, change
        assert modes(change, uid=NOBODY) == 0o777, change
        assert modes(change, 0o2666, NOBODY) == 0o666, change
    assert modes(lambda path: os.chown(path, -1, -1)) == 0o777
    assert modes(lambda path: os.chown(path, 12, -1)) == 0o777


def check_dead_folders(w):
    """Whose working folder is removed finds it dead, and not unknown."""
    for end in (lambda: os.rmdir(w.path("here")),
                lambda: os.rename(w.path("other"), w.path("here"))):
        os.mkdir(w.path("here"))
        os.mkdir(w.path("other"))

        def inside():
            os.chdir(w.path("here"))
            end()
            assert os.stat(".").st_nlink == 0
            assert errno_of(os.open, "file", os.O_RDWR | os.O_CREAT) == errno.ENOENT
            assert errno_of(os.stat, "file") == errno.ENOENT
            assert errno_of(os.getcwd) == errno.ENOENT
            os.stat("..")

        assert in_child(inside) == 0
        empty(w)


def check_deep_and_wide(w):
    path = w.mount
    for depth in range(60):
        path = os.path.join(path, "down" * 10)
        os.mkdir(path)
    assert os.stat(path + "/.." * 60).st_ino == 1
    os.rename(w.path("down" * 10), w.path("moved"))
    assert len(list(os.walk(w.mount))) == 61
    empty(w)
    for number in range(300):
        os.mkdir(w.path(f"{number}"))
    assert os.stat(w.mount).st_nlink == 302 and len(os.listdir(w.mount)) == 300
    empty(w)
    assert os.stat(w.mount).st_nlink == 2


CHECKS = [value for name, value in list(globals().items()) if name.startswith("check_")]
