#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""posix_cases.py FOLDER: asks a filesystem, as root and as three users, what POSIX says of each call,
in the manner of pjdfstest. Prints a JSON list for each case: its family, its name, what came of it.

Each family begins in an empty folder that all may write to. Nothing is judged here: the answers of
two filesystems are compared."""

import contextlib
import ctypes
import errno
import itertools
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.renameat2.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p,
                           ctypes.c_uint]
LIBC.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_long, ctypes.c_long]
FOLDER = sys.argv[1]
USERS = [65533, 65534, 65535]
TICK = 0.012  # the clock by which files are stamped goes by ticks
KINDS = ["file", "folder", "link", "fifo", "socket", "char", "block"]
family = None


def say(name, value):
    print(json.dumps([family, name, value]))


def outcome(function, *arguments, **more):
    try:
        result = function(*arguments, **more)
    except OSError as error:
        return errno.errorcode[error.errno]
    if isinstance(result, int) and function is os.open:
        os.close(result)
    return "ok"


def name_of(function, arguments):
    def shown(value):
        if isinstance(value, str) and len(value) > 60:
            return f"{value[:12]}...{len(value)}"
        return repr(value)
    return f"{function.__name__}({', '.join(map(shown, arguments))})"


def ask(function, *arguments, **more):
    where = f" as {user}" if user != (0, 0, ()) else ""
    say(name_of(function, arguments) + where, outcome(function, *arguments, **more))


user = (0, 0, ())


@contextlib.contextmanager
def being(uid, gid=None, groups=()):
    """As another user, by effective ids."""
    global user
    gid = uid if gid is None else gid
    os.setgroups(list(groups))
    os.setegid(gid)
    os.seteuid(uid)
    user = (uid, gid, tuple(groups))
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups([])
        user = (0, 0, ())


def show(path):
    try:
        status = os.lstat(path)
    except OSError as error:
        say(f"what {path[:20]} is", errno.errorcode[error.errno])
        return
    say(f"what {path[:20]} is", [oct(status.st_mode), status.st_nlink, status.st_uid, status.st_gid,
                            status.st_size, status.st_rdev])


def make(kind, path, mode=0o644):
    if kind == "file":
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode))
    elif kind == "folder":
        os.mkdir(path, mode)
    elif kind == "link":
        os.symlink("target", path)
        return path
    elif kind == "fifo":
        os.mkfifo(path, mode)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(path)
    else:
        os.mknod(path, mode | (stat.S_IFCHR if kind == "char" else stat.S_IFBLK), os.makedev(1, 3))
    os.chmod(path, mode)
    return path


def remove(path):
    if stat.S_ISDIR(os.lstat(path).st_mode):
        for name in os.listdir(path):
            remove(os.path.join(path, name))
        os.rmdir(path)
    else:
        os.unlink(path)


def clear():
    for name in os.listdir("."):
        remove(name)


def rename2(old, new, flags):
    if LIBC.renameat2(-100, old.encode(), -100, new.encode(), flags) < 0:
        raise OSError(ctypes.get_errno(), "")


def noreplace(old, new):
    rename2(old, new, 1)


def exchange(old, new):
    rename2(old, new, 2)


def fallocate(fd, mode, offset, length):
    if LIBC.fallocate(fd, mode, offset, length) < 0:
        raise OSError(ctypes.get_errno(), "")


def set_times(path, *times, follow=True):
    os.utime(path, ns=times, follow_symlinks=follow)


def create(path, mode=0o644):
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT, mode))


def create_exclusive(path, mode=0o644):
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode))


def lchmod_time(path):
    os.utime(path, ns=(10**18, 10**18), follow_symlinks=False)


# What makes a name, what takes one, what changes a thing: each gets all bad paths.

def calls_on(path):
    """Each call that takes one path."""
    yield os.open, path, os.O_RDONLY
    yield os.open, path, os.O_RDWR | os.O_CREAT
    yield os.open, path, os.O_RDWR | os.O_CREAT | os.O_EXCL
    yield os.open, path, os.O_RDONLY | os.O_DIRECTORY
    yield os.open, path, os.O_RDONLY | os.O_NOFOLLOW
    yield os.unlink, path
    yield os.rmdir, path
    yield os.mkdir, path
    yield os.mkfifo, path
    yield os.mknod, path, stat.S_IFREG | 0o600
    yield os.mknod, path, stat.S_IFSOCK | 0o600
    yield os.mknod, path, stat.S_IFCHR | 0o600, 5
    yield os.symlink, "text", path
    yield os.readlink, path
    yield os.link, path, "linked"
    yield os.link, "there", path
    yield os.rename, path, "renamed"
    yield os.rename, "there", path
    yield noreplace, "there", path
    yield exchange, "there", path
    yield os.stat, path
    yield os.lstat, path
    yield os.access, path, os.R_OK
    yield os.chmod, path, 0o600
    yield os.chown, path, 65533, 65533
    yield os.lchown, path, 65533, 65533
    yield os.truncate, path, 5
    yield os.utime, path
    yield set_times, path, 10**9, 2 * 10**9
    yield lchmod_time, path
    yield os.listdir, path
    yield os.statvfs, path
    yield os.chdir, path
    yield os.setxattr, path, "user.a", b"v"
    yield os.getxattr, path, "user.a"
    yield os.listxattr, path


def ask_all(path, prepare=lambda: None):
    for call in calls_on(path):
        prepare()
        ask(*call)
        os.chdir(HOME)
        for name in ("there", "linked", "renamed"):
            with contextlib.suppress(OSError):
                remove(name)


def bad_paths():
    def prepare():
        clear()
        create("there")
        create("file")
        os.symlink("loop", "loop")
        os.symlink("pool", "loop2")
        os.symlink("loop2", "pool")
        os.symlink("none", "dangling")
        os.symlink("file/", "to-file")
        os.mkdir("folder")
        os.symlink("folder", "to-folder")

    for path in ("n" * 255, "n" * 256, "none/x", "file/x", "loop", "loop/x", "loop2", "dangling",
                 "dangling/", "dangling/x", "to-file", "", ".", "..", "folder/.", "folder/..",
                 "folder/", "file/", "file/.", "to-folder", "to-folder/", "to-folder/x", "none/",
                 "x" + "/x" * 2047, "x" + "/x" * 2048, "./" * 2046 + "file", "./" * 2047 + "fil"):
        ask_all(path, prepare)


def every_kind():
    """Each call on each kind of thing, by root and by a stranger."""
    for kind, uid in itertools.product(KINDS, (0, 65534)):
        for mode in (0o644, 0o666):
            def prepare():
                clear()
                make(kind, "thing", mode)
                create("there")
                os.chmod("there", 0o666)
            os.chmod(".", 0o1777 if uid else 0o777)
            for call in calls_on("thing"):
                prepare()
                with being(uid):
                    if kind not in ("fifo",) or call[0] is not os.open:
                        ask(*call)
                    else:
                        ask(os.open, "thing", call[2] | os.O_NONBLOCK)
                os.chdir(HOME)
                show("thing")
    os.chmod(".", 0o777)


def search_permission():
    """A folder on the way that may not be searched, or written to."""
    for mode in (0o777, 0o666, 0o555, 0o300, 0o070, 0o007, 0o711, 0o000):
        for uid, gid, groups in ((65533, 65533, ()), (65534, 65534, ()), (65534, 65533, ()),
                                 (65534, 65534, (65533,))):
            def prepare():
                clear()
                os.mkdir("folder")
                make("file", "folder/thing", 0o666)
                make("file", "there", 0o666)
                os.chown("folder", 65533, 65533)
                os.chown("folder/thing", uid, gid)
                os.chmod("folder", mode)
            for call in calls_on("folder/thing"):
                prepare()
                with being(uid, gid, groups):
                    say(f"mode {mode:o}: {name_of(call[0], call[1:])} {uid} {gid} {groups}",
                        outcome(*call))
                os.chdir(HOME)


def open_rights():
    """Each mode and each way to open, by owner, group, member and other."""
    flags = [os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_RDONLY | os.O_TRUNC, os.O_WRONLY | os.O_APPEND,
             os.O_RDWR | os.O_CREAT]
    for kind in ("file", "folder", "fifo"):
        clear()
        make(kind, "thing")
        os.chown("thing", 65533, 65533)
        for mode in (0o000, 0o777, 0o700, 0o070, 0o007, 0o600, 0o060, 0o006, 0o400, 0o040, 0o004, 0o200,
                     0o020, 0o002, 0o500, 0o477, 0o577):
            os.chmod("thing", mode)
            for uid, gid, groups in ((65533, 65533, ()), (65534, 65533, ()), (65534, 65534, (65533,)),
                                     (65534, 65534, ())):
                with being(uid, gid, groups):
                    say(f"{kind} {mode:o} {uid} {gid} {groups}",
                        [outcome(os.open, "thing", flag | os.O_NONBLOCK) for flag in flags]
                        + [os.access("thing", bit, effective_ids=True) for bit in (1, 2, 4)])


def creation():
    """Who owns what is made, and with which mode."""
    makers = {"file": create_exclusive, "folder": os.mkdir, "fifo": os.mkfifo}
    for kind, maker in makers.items():
        for mask in (0, 0o022, 0o077, 0o137, 0o777):
            for mode in (0o755, 0o644, 0o4755, 0o2755, 0o1755, 0o6777, 0o000):
                for uid, gid in ((0, 0), (65534, 65533)):
                    clear()
                    os.umask(mask)
                    with being(uid, gid):
                        ask(maker, "thing", mode)
                    os.umask(0o022)
                    show("thing")
    for parent in (0o777, 0o2777, 0o3777):
        for kind in KINDS:
            clear()
            os.mkdir("folder")
            os.chown("folder", 65533, 65535)
            os.chmod("folder", parent)
            os.umask(0)
            for uid in (0, 65534):
                with being(uid):
                    try:
                        make(kind, "folder/thing", 0o2775)
                        say(f"{kind} in {parent:o} by {uid}", "ok")
                    except OSError as error:
                        say(f"{kind} in {parent:o} by {uid}", errno.errorcode[error.errno])
                show("folder/thing")
                with contextlib.suppress(FileNotFoundError):
                    remove("folder/thing")
            os.umask(0o022)


def sticky():
    """Who may take a name from a sticky folder, and put one over another."""
    for folder_owner, owner, uid in itertools.product((65533, 65534, 0), (65533, 65534),
                                                      (65533, 65534, 0)):
        for kind in ("file", "folder", "link", "fifo"):
            for mode in (0o1777, 0o777, 0o1755):
                where = f"{mode:o} of {folder_owner}, {kind} of {owner}, by {uid}: "
                for call in ("unlink", "rename", "over", "exchange", "out", "into"):
                    clear()
                    os.mkdir("folder")
                    os.mkdir("own")
                    os.chown("own", uid, uid)
                    make(kind, "folder/thing")
                    make(kind, "own/thing")
                    os.lchown("folder/thing", owner, owner)
                    os.lchown("own/thing", uid, uid)
                    os.chown("folder", folder_owner, folder_owner)
                    os.chmod("folder", mode)
                    with being(uid):
                        say(where + call, outcome(*{
                            "unlink": (os.rmdir if kind == "folder" else os.unlink, "folder/thing"),
                            "rename": (os.rename, "folder/thing", "folder/new"),
                            "over": (os.rename, "own/thing", "folder/thing"),
                            "exchange": (exchange, "own/thing", "folder/thing"),
                            "out": (os.rename, "folder/thing", "own/new"),
                            "into": (os.rename, "own/thing", "folder/new"),
                        }[call]))


def renames():
    """Each kind over each other; also full folders, and names of one file."""
    def prepare(kind, path):
        if kind == "full":
            os.mkdir(path)
            create(path + "/inner")
        elif kind != "none":
            make(kind, path)

    for old, new in itertools.product(KINDS + ["full"], KINDS + ["full", "none"]):
        for call in (os.rename, noreplace, exchange):
            clear()
            prepare(old, "old")
            prepare(new, "new")
            before = os.lstat("old").st_ino
            ask(call, "old", "new")
            say(f"{old} {new}: moved", [os.path.lexists("old"), os.path.lexists("new") and
                                        os.lstat("new").st_ino == before, os.lstat(".").st_nlink,
                                        os.lstat(".").st_size])
    for kind in KINDS:
        clear()
        make(kind, "old")
        if kind != "folder":
            os.link("old", "new", follow_symlinks=False)
            ask(os.rename, "old", "new")
            show("old")
            show("new")
    clear()
    os.makedirs("a/b/c")
    for old, new in (("a", "a/x"), ("a", "a/b"), ("a", "a/b/c/d"), ("a/b", "a"), ("a/b/c", "a/b"),
                     ("a/b", "a/b"), (".", "x"), ("..", "x"), ("a", "."), ("a/.", "x"), ("a/b/..", "x"),
                     ("a", "a/b/.."), ("a/b/", "y/"), ("y", "a/b/")):
        for call in (os.rename, noreplace, exchange):
            ask(call, old, new)


def rename_rights():
    """A folder that is not one's own gets no other parent."""
    for kind in ("file", "folder"):
        for mode in (0o755, 0o700, 0o777, 0o555):
            clear()
            for name in ("one", "two"):
                os.mkdir(name)
                os.chown(name, 65534, 65534)
            make(kind, "one/thing")
            os.chown("one/thing", 65533, 65533)
            os.chmod("one/thing", mode)
            with being(65534):
                ask(os.rename, "one/thing", "one/other")
                ask(os.rename, "one/other", "two/thing")
                ask(os.rename, "one/thing", "two/thing")
                ask(os.link, "one/thing", "two/link")


def links():
    for kind in KINDS:
        for uid in (0, 65533, 65534):
            for mode in (0o644, 0o666, 0o4755, 0o2755):
                clear()
                os.mkdir("folder")
                make(kind, "thing", mode)
                os.lchown("thing", 65533, 65533)
                if kind != "link":
                    os.chmod("thing", mode)
                os.chmod("folder", 0o777)
                with being(uid):
                    say(f"{kind} {mode:o} by {uid}", outcome(os.link, "thing", "folder/link",
                                                             follow_symlinks=False))
                show("thing")
                show("folder/link")
    clear()
    create("file")
    for number in range(200):
        os.link("file", f"link-{number}")
    show("file")
    for number in range(0, 200, 2):
        os.unlink(f"link-{number}")
    show("link-1")


def modes():
    """chmod by owner and others, and the bits that it drops."""
    for kind in KINDS:
        for uid, gid in ((0, 0), (65533, 65533), (65533, 65534), (65534, 65533), (65534, 65534)):
            clear()
            make(kind, "thing")
            os.lchown("thing", 65533, 65533)
            for mode in (0, 0o111, 0o777, 0o1777, 0o2755, 0o4755, 0o7777, 0o6644):
                if kind == "link":
                    continue
                with being(uid, gid):
                    say(f"{kind} {mode:o} {uid} {gid}", [outcome(os.chmod, "thing", mode),
                                                         oct(os.lstat("thing").st_mode)])
    clear()
    create("target")
    os.symlink("target", "link")
    ask(os.chmod, "link", 0o601)
    show("target")
    show("link")
    ask(os.chmod, "dangling", 0o600)


def owners():
    for kind in KINDS:
        for mode in (0o6777, 0o2745, 0o4711, 0o1777, 0o6700):
            for uid, groups in ((0, ()), (65533, ()), (65533, (65534,)), (65534, ())):
                for new in ((65533, 65533), (65534, -1), (-1, 65534), (-1, -1), (65533, -1),
                            (0, 0), (-1, 65533)):
                    clear()
                    make(kind, "thing")
                    os.lchown("thing", 65533, 65533)
                    if kind != "link":
                        os.chmod("thing", mode)
                    with being(uid, uid, groups):
                        result = outcome(os.lchown, "thing", *new)
                    status = os.lstat("thing")
                    say(f"{kind} {mode:o} to {new} by {uid} {groups}",
                        [result, oct(status.st_mode), status.st_uid, status.st_gid])


def sizes():
    clear()
    create("file")
    fd = os.open("file", os.O_RDWR)
    for size in (0, 1, 4095, 4096, 4097, 1 << 20, 12345, 0, (1 << 40) + 1, -1, 1 << 62, (1 << 63) - 1):
        say(f"truncate {size}", [outcome(os.truncate, "file", size), os.fstat(fd).st_size])
        say(f"ftruncate {size}", [outcome(os.ftruncate, fd, size), os.stat("file").st_size])
    os.ftruncate(fd, 0)
    for offset, length in ((0, 0), (0, 1), (10, 5), (4096, 10000), (-1, 5), (0, -1), (1 << 62, 1 << 62),
                           (0, 100), (100000, 1)):
        say(f"posix_fallocate {offset} {length}",
            [outcome(os.posix_fallocate, fd, offset, length), os.fstat(fd).st_size])
        for mode in (0, 1, 2, 3, 8, 0x10, 0x20, 0x40, 0x80):
            say(f"fallocate {mode} {offset} {length}",
                [outcome(fallocate, fd, mode, offset, length), os.fstat(fd).st_size])
    os.close(fd)
    for mode in (0o644, 0o666, 0o200, 0o222, 0o444, 0o4777):
        for uid in (0, 65533, 65534):
            os.truncate("file", 10)
            os.chown("file", 65533, 65533)
            os.chmod("file", mode)
            with being(uid):
                say(f"truncate, {mode:o} by {uid}", outcome(os.truncate, "file", 5))
            show("file")
    fd = os.open("file", os.O_RDONLY)
    ask(os.ftruncate, fd, 0)
    os.close(fd)
    for kind in KINDS:
        clear()
        make(kind, "thing")
        say(f"truncate {kind}", outcome(os.truncate, "thing", 0))


def times_rights():
    for kind in KINDS:
        for mode in (0o644, 0o666, 0o444):
            for uid in (0, 65533, 65534):
                for what, call in (("now", lambda: os.utime("thing", follow_symlinks=False)),
                                   ("set", lambda: set_times("thing", 10**9, 2 * 10**9 + 7,
                                                             follow=False))):
                    clear()
                    make(kind, "thing")
                    os.lchown("thing", 65533, 65533)
                    if kind != "link":
                        os.chmod("thing", mode)
                    with being(uid):
                        say(f"{kind} {mode:o} {what} by {uid}", outcome(call))
                    status = os.lstat("thing")
                    say(f"{kind} {mode:o} {what} by {uid}: when",
                        [status.st_atime_ns, status.st_mtime_ns] if what == "set" and uid != 65534
                        else abs(status.st_mtime - time.time()) < 60)
    for ns in (0, 1, 999999999, 10**9, -1, -10**9, (1 << 31) * 10**9, (1 << 32) * 10**9, (1 << 33) * 10**9):
        set_times("thing", ns, ns + 1, follow=False)
        status = os.lstat("thing")
        say(f"at {ns}", [status.st_atime_ns, status.st_mtime_ns])


OLD = 10**18


def stamps(paths):
    found = []
    for path in paths:
        try:
            status = os.lstat(path)
            found.append((status.st_mtime_ns, status.st_ctime_ns))
        except OSError:
            found.append(None)
    return found


def watched(name, call, paths):
    """Which of mtime and ctime a call changes, of the things and of the folder."""
    for path in paths:
        with contextlib.suppress(OSError):
            os.utime(path, ns=(OLD, OLD), follow_symlinks=False)
    before = stamps(paths)
    time.sleep(TICK)
    result = outcome(call)
    after = stamps(paths)
    say(name, [result] + ["none" if not new else "new" if not old else
                          ("m" if old[0] != new[0] else "-") + ("c" if old[1] != new[1] else "-")
                          for old, new in zip(before, after)])


def changed_times():
    for kind in KINDS:
        clear()
        make(kind, "thing")
        os.mkdir("folder")
        paths = ["thing", ".", "folder", "new", "folder/new"]
        calls = [("chown", lambda: os.lchown("thing", 65533, 65533)),
                 ("chown to the same", lambda: os.lchown("thing", 65533, 65533)),
                 ("chown of neither", lambda: os.lchown("thing", -1, -1)),
                 ("utime", lambda: os.utime("thing", ns=(5, 5), follow_symlinks=False)),
                 ("rename", lambda: os.rename("thing", "new")),
                 ("rename back", lambda: os.rename("new", "thing")),
                 ("rename to itself", lambda: os.rename("thing", "thing")),
                 ("rename away", lambda: os.rename("thing", "folder/new")),
                 ("rename back again", lambda: os.rename("folder/new", "thing")),
                 ("rename to none", lambda: os.rename("thing", "none/x"))]
        if kind != "link":
            calls += [("chmod", lambda: os.chmod("thing", 0o700)),
                      ("chmod to the same", lambda: os.chmod("thing", 0o700))]
        if kind != "folder":
            calls += [("link", lambda: os.link("thing", "new", follow_symlinks=False)),
                      ("unlink the link", lambda: os.unlink("new")),
                      ("link that is there", lambda: os.link("thing", "folder")),
                      ("unlink", lambda: os.unlink("thing")),
                      ("make", lambda: make(kind, "thing")),
                      ("make again", lambda: make(kind, "thing"))]
        else:
            calls += [("rmdir", lambda: os.rmdir("thing")), ("mkdir", lambda: os.mkdir("thing")),
                      ("mkdir again", lambda: os.mkdir("thing")),
                      ("mkdir in it", lambda: os.mkdir("thing/inner")),
                      ("rmdir full", lambda: os.rmdir("thing")),
                      ("rmdir in it", lambda: os.rmdir("thing/inner"))]
        if kind == "file":
            fd = os.open("thing", os.O_RDWR | os.O_CREAT)
            calls += [("open", lambda: create("thing")),
                      ("open, exclusive", lambda: create_exclusive("thing")),
                      ("truncate", lambda: os.truncate("thing", 10)),
                      ("truncate to the same", lambda: os.truncate("thing", 10)),
                      ("truncate to -1", lambda: os.truncate("thing", -1)),
                      ("open, truncating", lambda: os.close(os.open("thing",
                                                                    os.O_WRONLY | os.O_TRUNC))),
                      ("again", lambda: os.close(os.open("thing", os.O_WRONLY | os.O_TRUNC))),
                      ("set xattr", lambda: os.setxattr("thing", "user.a", b"v")),
                      ("remove xattr", lambda: os.removexattr("thing", "user.a"))]
            os.close(fd)
        for name, call in calls:
            watched(f"{kind}: {name}", call, paths)


def written_times():
    clear()
    fd = os.open("file", os.O_RDWR | os.O_CREAT)
    watched("write", lambda: os.write(fd, b"bytes"), ["file", "."])
    watched("write nothing", lambda: os.write(fd, b""), ["file", "."])
    watched("pwrite", lambda: os.pwrite(fd, b"bytes", 100), ["file", "."])
    watched("ftruncate", lambda: os.ftruncate(fd, 50), ["file", "."])
    watched("ftruncate to the same", lambda: os.ftruncate(fd, 50), ["file", "."])
    watched("fchmod", lambda: os.fchmod(fd, 0o600), ["file", "."])
    watched("fchown", lambda: os.fchown(fd, 0, 0), ["file", "."])
    watched("posix_fallocate", lambda: os.posix_fallocate(fd, 0, 100), ["file", "."])
    watched("keep size", lambda: fallocate(fd, 1, 0, 10000), ["file", "."])
    watched("punch", lambda: fallocate(fd, 3, 0, 10000), ["file", "."])
    watched("fsync", lambda: os.fsync(fd), ["file", "."])
    watched("read", lambda: os.pread(fd, 10, 0), ["file", "."])
    os.unlink("file")
    watched("write without a name", lambda: os.write(fd, b"x"), ["."])
    os.close(fd)


def busy_text():
    """The text of what runs can't be written to."""
    clear()
    with open("/bin/sleep", "rb") as program, open("sleep", "wb") as copy:
        copy.write(program.read())
    os.chmod("sleep", 0o755)
    process = subprocess.Popen(["./sleep", "60"])
    try:
        while b"sleep" not in open(f"/proc/{process.pid}/cmdline", "rb").read().split(b"\0")[0]:
            time.sleep(0.001)
        for flags in (os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_APPEND,
                      os.O_WRONLY | os.O_TRUNC):
            ask(os.open, "sleep", flags)
        ask(os.truncate, "sleep", 10)
        ask(os.chmod, "sleep", 0o700)
        ask(os.link, "sleep", "again")
        ask(os.rename, "sleep", "other")
        ask(os.unlink, "other")
        ask(os.open, "again", os.O_RDONLY | os.O_TRUNC)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    fd = os.open("again", os.O_RDWR)
    try:
        say("run while it is written", outcome(subprocess.run, ["./again", "0"]))
    finally:
        os.close(fd)
    say("run", outcome(subprocess.run, ["./again", "0"]))


def written_modes():
    """Which bits a write takes away, whoever writes."""
    for mode in (0o6777, 0o4755, 0o2777, 0o2767, 0o6666, 0o1777):
        for uid in (0, 65533, 65534):
            for how in ("write", "truncate", "open", "append", "fallocate"):
                clear()
                make("file", "thing")
                os.truncate("thing", 10)
                os.chown("thing", 65533, 65533)
                os.chmod("thing", mode)
                with being(uid):
                    try:
                        if how == "truncate":
                            os.truncate("thing", 5)
                        else:
                            fd = os.open("thing", os.O_WRONLY | (os.O_TRUNC if how == "open" else
                                         os.O_APPEND if how == "append" else 0))
                            if how == "fallocate":
                                os.posix_fallocate(fd, 0, 100)
                            elif how != "open":
                                os.write(fd, b"x")
                            os.close(fd)
                        result = "ok"
                    except OSError as error:
                        result = errno.errorcode[error.errno]
                say(f"{mode:o} {how} by {uid}", [result, oct(os.stat("thing").st_mode)])


def of_open(fd):
    try:
        status = os.fstat(fd)
    except OSError as error:
        return errno.errorcode[error.errno]
    return [oct(status.st_mode), status.st_nlink, status.st_uid, status.st_gid]


def removed_while_open():
    for kind in ("file", "folder", "fifo"):
        clear()
        make(kind, "thing")
        fd = os.open("thing", os.O_RDONLY | os.O_NONBLOCK)
        (os.rmdir if kind == "folder" else os.unlink)("thing")
        say(f"{kind}: links", of_open(fd))
        say(f"{kind}: fchmod", [outcome(os.fchmod, fd, 0o600), of_open(fd)])
        say(f"{kind}: fchown", [outcome(os.fchown, fd, 5, 6), of_open(fd)])
        say(f"{kind}: futimens", [outcome(os.utime, fd, ns=(5, 6)), of_open(fd)])
        say(f"{kind}: list", outcome(os.listdir, fd))
        os.close(fd)
    clear()
    fd = os.open("file", os.O_RDWR | os.O_CREAT)
    os.link("file", "second")
    os.unlink("file")
    say("one name left", os.fstat(fd).st_nlink)
    os.unlink("second")
    say("write", [os.write(fd, b"without a name"), os.pread(fd, 100, 0).decode()])
    os.close(fd)


def long_chains():
    clear()
    create("file")
    for count in (1, 39, 40, 41):
        previous = "file"
        for number in range(count):
            os.symlink(previous, f"chain-{count}-{number}")
            previous = f"chain-{count}-{number}"
        ask(os.stat, previous)
        ask(os.open, previous, os.O_RDWR)
        ask(os.open, previous, os.O_RDWR | os.O_CREAT)
        ask(os.truncate, previous, 0)
        ask(os.chmod, previous, 0o600)
    clear()
    path = "."
    for _ in range(60):
        path += "/d"
        os.mkdir(path)
    ask(os.stat, path)
    ask(os.rename, "d/d", "e")
    ask(os.stat, "e" + "/d" * 58)


FAMILIES = [bad_paths, every_kind, search_permission, open_rights, creation, sticky, renames,
            rename_rights, links, modes, owners, sizes, times_rights, changed_times, written_times,
            busy_text, written_modes, removed_while_open, long_chains]
os.umask(0o022)
HOME = os.path.join(FOLDER, "posix")
os.mkdir(HOME)
for one in FAMILIES:
    if len(sys.argv) > 2 and one.__name__ not in sys.argv[2:]:
        continue
    family = one.__name__
    os.chdir(HOME)
    os.chmod(".", 0o777)
    begun = time.monotonic()
    one()
    os.chdir(HOME)
    clear()
    if os.environ.get("POSIX_CASES_TIMES"):
        print(family, round(time.monotonic() - begun, 2), file=sys.stderr)
os.chdir("/")
os.rmdir(HOME)
