# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a mounted store is to do, by plain system calls. Each check takes a world
and leaves no file in it. Where passthrough makes a difference the check names it."""

import ctypes
import errno
import mmap
import os
import signal
import stat
import time

from mount_world import NOBODY, errno_of, in_child

PAGE = mmap.PAGESIZE
PUNCH_HOLE = 1 | 2  # with FALLOC_FL_KEEP_SIZE
LIBC = ctypes.CDLL(None, use_errno=True)


def link_fd(fd, path):
    """linkat(2) through /proc, which Python's os.link can't do; returns the errno."""
    from_here, follow = -100, 0x400
    open_file = f"/proc/self/fd/{fd}".encode()
    result = LIBC.linkat(from_here, open_file, from_here, path.encode(), follow)
    return ctypes.get_errno() if result < 0 else 0


def check_root_folder(w):
    status = os.stat(w.mount)
    assert stat.S_IMODE(status.st_mode) == 0o1777 and status.st_uid == 0, oct(status.st_mode)
    assert status.st_ino == 1 and os.listdir(w.mount) == [] and status.st_nlink == 2
    os.chmod(w.mount, 0o700)
    os.chown(w.mount, 12, 34)
    status = os.stat(w.mount)
    assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) == (0o700, 12, 34)
    assert in_child(lambda: os.listdir(w.mount), NOBODY) == errno.EACCES
    os.chown(w.mount, 0, 0)
    os.chmod(w.mount, 0o1777)
    assert in_child(lambda: os.listdir(w.mount), NOBODY) == 0


def check_list_and_stat(w):
    os.umask(0o027)
    before = time.time()
    w.make("one", b"12345", 0o666)
    w.make("two")
    os.umask(0o022)
    assert sorted(os.listdir(w.mount)) == ["one", "two"]
    status = os.stat(w.path("one"))
    assert stat.S_ISREG(status.st_mode) and stat.S_IMODE(status.st_mode) == 0o640
    assert (status.st_size, status.st_nlink, status.st_uid, status.st_gid) == (5, 1, 0, 0)
    assert before - 1 <= status.st_mtime <= time.time() + 1
    for entry in os.scandir(w.mount):
        assert entry.is_file(follow_symlinks=False) and entry.inode() == os.stat(entry.path).st_ino
        os.unlink(entry.path)
    assert errno_of(os.stat, w.path("one")) == errno.ENOENT


def check_names(w):
    w.make("n" * 255)
    os.unlink(w.path("n" * 255))
    too_long = w.path("n" * 256)
    assert errno_of(os.open, too_long, os.O_RDWR | os.O_CREAT) == errno.ENAMETOOLONG
    assert errno_of(os.stat, too_long) == errno.ENAMETOOLONG
    assert errno_of(os.unlink, w.path("absent")) == errno.ENOENT


def check_read_write(w):
    fd = os.open(w.path("file"), os.O_RDWR | os.O_CREAT)
    big = os.urandom(3 * 1024 * 1024 + 17)
    assert os.write(fd, big[:5]) == 5 and os.pread(fd, 100, 0) == big[:5]
    with open(w.path("file"), "r+b") as file:
        file.write(big)
    assert os.fstat(fd).st_size == len(big)
    with open(w.path("file"), "rb") as file:
        assert file.read() == big
    os.pwrite(fd, b"end", 5 * 1024 * 1024)
    assert os.pread(fd, 10, 4 * 1024 * 1024) == bytes(10)
    assert os.pread(fd, 10, 5 * 1024 * 1024) == b"end" and os.pread(fd, 10, 1 << 40) == b""
    assert os.lseek(fd, 0, os.SEEK_END) == 5 * 1024 * 1024 + 3
    os.close(fd)
    reader = os.open(w.path("file"), os.O_RDONLY)
    assert errno_of(os.write, reader, b"x") == errno.EBADF
    os.close(reader)
    os.unlink(w.path("file"))


def check_append(w):
    """Two processes append at once: nothing is written over."""
    path = w.make("log")

    def append(byte):
        fd = os.open(path, os.O_WRONLY | os.O_APPEND)
        for _ in range(500):
            os.write(fd, byte * 7)

    pid = os.fork()
    if pid == 0:
        append(b"a")
        os._exit(0)
    append(b"b")
    assert os.waitpid(pid, 0)[1] == 0
    with open(path, "rb") as file:
        text = file.read()
    assert len(text) == 7000 and text.replace(b"a" * 7, b"").replace(b"b" * 7, b"") == b""
    os.unlink(path)


def check_truncate(w):
    path = w.make("file", b"x" * 10000)
    fd = os.open(path, os.O_RDWR)
    os.truncate(path, 10)
    assert os.fstat(fd).st_size == 10 and os.pread(fd, 100, 0) == b"x" * 10
    os.ftruncate(fd, 3 * PAGE)
    assert os.stat(path).st_size == 3 * PAGE and os.pread(fd, PAGE, PAGE) == bytes(PAGE)
    os.close(os.open(path, os.O_WRONLY | os.O_TRUNC))
    assert os.fstat(fd).st_size == 0 and os.pread(fd, 1, 0) == b""
    os.close(fd)
    os.unlink(path)


def check_allocate(w):
    fd = os.open(w.path("file"), os.O_RDWR | os.O_CREAT)
    os.posix_fallocate(fd, 0, 16 * PAGE)
    status = os.fstat(fd)
    assert status.st_size == 16 * PAGE and status.st_blocks * 512 >= 16 * PAGE, status
    os.pwrite(fd, b"d" * 16 * PAGE, 0)
    hole = [ctypes.c_long(4 * PAGE), ctypes.c_long(8 * PAGE)]
    assert LIBC.fallocate(fd, PUNCH_HOLE, *hole) == 0, os.strerror(ctypes.get_errno())
    assert os.pread(fd, PAGE, 5 * PAGE) == bytes(PAGE)
    assert os.lseek(fd, 0, os.SEEK_HOLE) == 4 * PAGE
    assert os.lseek(fd, 4 * PAGE, os.SEEK_DATA) == 12 * PAGE
    os.close(fd)
    os.unlink(w.path("file"))


def check_attributes(w):
    path = w.make("file", b"x")
    os.chmod(path, 0o4751)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o4751
    os.chown(path, 12, 34)
    status = os.stat(path)
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (12, 34, 0o751)
    os.chown(path, -1, 56)
    assert (os.stat(path).st_uid, os.stat(path).st_gid) == (12, 56)
    os.utime(path, ns=(1_000_000_001, 2_000_000_002))
    status = os.stat(path)
    assert (status.st_atime_ns, status.st_mtime_ns) == (1_000_000_001, 2_000_000_002)
    os.utime(path)
    assert abs(os.stat(path).st_mtime - time.time()) < 5
    os.unlink(path)


def check_exclusive(w):
    path = w.make("file", b"kept")
    exclusive = os.O_RDWR | os.O_CREAT | os.O_EXCL
    assert errno_of(os.open, path, exclusive) == errno.EEXIST
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o777))
    assert os.stat(path).st_size == 4 and stat.S_IMODE(os.stat(path).st_mode) == 0o600
    os.unlink(path)
    fd = os.open(path, exclusive, 0)
    assert os.write(fd, b"open all the same") == 17
    os.close(fd)
    os.unlink(path)


def check_unlink_while_open(w):
    fd = os.open(w.path("file"), os.O_RDWR | os.O_CREAT)
    os.write(fd, b"still here")
    ino = os.fstat(fd).st_ino
    os.unlink(w.path("file"))
    assert os.listdir(w.mount) == []
    status = os.fstat(fd)
    assert (status.st_nlink, status.st_ino, status.st_size) == (0, ino, 10), status
    w.make("file", b"another")
    assert os.stat(w.path("file")).st_ino != ino
    os.ftruncate(fd, 5)
    assert os.pread(fd, 20, 0) == b"still"
    assert link_fd(fd, w.path("back")) == errno.ENOENT
    os.close(fd)
    os.unlink(w.path("file"))


def check_link(w):
    path = w.make("file", b"one file")
    os.link(path, w.path("name"))
    assert os.stat(path).st_nlink == 2 and os.path.samefile(path, w.path("name"))
    assert errno_of(os.link, path, w.path("name")) == errno.EEXIST
    fd = os.open(path, os.O_RDONLY)
    assert link_fd(fd, w.path("third")) == 0 and os.fstat(fd).st_nlink == 3
    os.close(fd)
    os.unlink(w.path("third"))
    os.unlink(path)
    with open(w.path("name"), "rb") as file:
        assert file.read() == b"one file"
    assert os.stat(w.path("name")).st_nlink == 1
    os.unlink(w.path("name"))


def check_two_users(w):
    private = w.make("private", b"secret")
    public = w.make("public", b"read me", 0o644)
    assert in_child(lambda: os.open(private, os.O_RDONLY), NOBODY) == errno.EACCES
    assert in_child(lambda: os.open(public, os.O_RDONLY), NOBODY) == 0
    assert in_child(lambda: os.open(public, os.O_RDWR), NOBODY) == errno.EACCES
    assert in_child(lambda: os.truncate(public, 0), NOBODY) == errno.EACCES
    assert in_child(lambda: os.chmod(public, 0o666), NOBODY) == errno.EPERM
    assert in_child(lambda: os.chown(public, NOBODY, NOBODY), NOBODY) == errno.EPERM
    assert in_child(lambda: os.unlink(public), NOBODY) == errno.EPERM
    assert in_child(lambda: w.make("theirs", b"x"), NOBODY) == 0
    assert os.stat(w.path("theirs")).st_uid == NOBODY
    assert in_child(lambda: os.unlink(w.path("theirs")), 4711) == errno.EPERM
    assert in_child(lambda: os.unlink(w.path("theirs")), NOBODY) == 0
    os.chmod(public, 0o4777)
    assert in_child(lambda: os.write(os.open(public, os.O_WRONLY), b"x"), NOBODY) == 0
    assert stat.S_IMODE(os.stat(public).st_mode) == 0o777, "set-id outlived a stranger's write"
    os.unlink(private)
    os.unlink(public)


def check_mapping_between_processes(w):
    """One process maps and another reads and writes; then both map, one of them through fork."""
    fd = os.open(w.path("file"), os.O_RDWR | os.O_CREAT)
    os.ftruncate(fd, 5 * PAGE)
    if not w.passthrough:
        assert errno_of(mmap.mmap, fd, 5 * PAGE) == errno.ENODEV
        os.close(fd)
        os.unlink(w.path("file"))
        return
    memory = mmap.mmap(fd, 5 * PAGE)

    def other():
        own = os.open(w.path("file"), os.O_RDWR)
        assert os.pread(own, 5, 2 * PAGE) == b"hello"
        os.pwrite(own, b"world", 3 * PAGE)
        mapped = mmap.mmap(own, 5 * PAGE)
        assert mapped[2 * PAGE:2 * PAGE + 5] == b"hello"
        mapped[4 * PAGE] = 42
        memory[0] = 43  # came by fork

    memory[2 * PAGE:2 * PAGE + 5] = b"hello"
    assert os.pread(fd, 5, 2 * PAGE) == b"hello"
    assert in_child(other) == 0
    assert memory[3 * PAGE:3 * PAGE + 5] == b"world" and memory[4 * PAGE] == 42 and memory[0] == 43
    os.close(fd)
    os.unlink(w.path("file"))
    memory[PAGE] = 1
    assert memory[PAGE] == 1 and memory[0] == 43
    memory.close()


def check_mapping_and_size(w):
    if not w.passthrough:
        return
    fd = os.open(w.path("file"), os.O_RDWR | os.O_CREAT)
    os.ftruncate(fd, 8 * PAGE)
    memory = mmap.mmap(fd, 8 * PAGE)
    memory[7 * PAGE] = 7
    os.ftruncate(fd, 2 * PAGE)
    assert in_child(lambda: memory[5 * PAGE]) == -signal.SIGBUS
    os.ftruncate(fd, 8 * PAGE)
    assert memory[7 * PAGE] == 0
    memory.close()
    os.close(fd)
    os.unlink(w.path("file"))


def check_mapping_rights(w):
    path = w.make("file", b"x" * PAGE)
    fd = os.open(path, os.O_RDONLY)
    assert errno_of(mmap.mmap, fd, PAGE) == errno.EACCES
    private = mmap.mmap(fd, PAGE, flags=mmap.MAP_PRIVATE)
    private[0] = 0
    assert os.pread(fd, 1, 0) == b"x" and private[:2] == b"\0x"
    private.close()
    os.close(fd)
    os.unlink(path)


def check_listing_under_change(w):
    """10,000 names that stay are listed exactly once while others come and go."""
    staying = {f"stays-{i}" for i in range(10000)}
    for name in staying:
        os.close(os.open(w.path(name), os.O_WRONLY | os.O_CREAT))
    pid = os.fork()
    if pid == 0:
        for i in range(1 << 30):
            os.close(os.open(w.path(f"goes-{i}"), os.O_WRONLY | os.O_CREAT))
            if i >= 10:
                os.unlink(w.path(f"goes-{i - 10}"))
    try:
        for _ in range(3):
            listed = [name for name in os.listdir(w.mount) if name.startswith("stays-")]
            assert len(listed) == len(staying) and set(listed) == staying
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        inodes = {os.stat(w.path(name)).st_ino for name in staying}
        for name in os.listdir(w.mount):
            os.unlink(w.path(name))
    assert len(inodes) == len(staying)


def check_inode_numbers(w):
    seen = set()
    for i in range(300):
        path = w.make("file")
        ino = os.stat(path).st_ino
        assert ino not in seen and os.stat(path).st_ino == ino
        seen.add(ino)
        os.unlink(path)


def check_room(w):
    with open("/proc/meminfo") as meminfo:
        lines = dict(line.split(":") for line in meminfo)
    available = int(lines["MemAvailable"].split()[0]) * 1024
    status = os.statvfs(w.mount)
    assert 0.5 < status.f_bavail * status.f_frsize / available < 2, (available, status)
    assert status.f_namemax == 255 and status.f_files > 0


CHECKS = [value for name, value in list(globals().items()) if name.startswith("check_")]
