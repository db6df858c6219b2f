# SPDX-License-Identifier: LGPL-2.1-or-later
"""parties.py FOLDER all|opens: a table of what every party gets of every operation on files of every owner
and mode in FOLDER: one line each, with what became of the file. `opens` are those that the library
passes on. Run as root; what it prints on tmpfs is what it must print elsewhere."""

import json
import os
import sys

FOLDER, WHICH = sys.argv[1:3]
OWNER, MEMBER, OTHER = 12345, 23456, 65534
PARTIES = {
    "root": (0, 0, []),
    "owner": (OWNER, OWNER, []),
    "member": (MEMBER, MEMBER, [OWNER]),
    "other": (OTHER, OTHER, []),
}
OWNERS = {"owner's": OWNER, "root's": 0}
MODES = [0o000, 0o400, 0o200, 0o600, 0o440, 0o240, 0o640, 0o060, 0o040, 0o004, 0o006, 0o604, 0o606, 0o644,
         0o666, 0o777, 0o4755, 0o2755, 0o1600]
PATH = os.path.join(FOLDER, "f")
NEW = os.path.join(FOLDER, "new")


def opening(flags):
    def operation():
        fd = os.open(PATH, flags, 0o640)
        if flags & os.O_ACCMODE and not flags & os.O_PATH:
            os.write(fd, b"written")
        os.close(fd)
    return operation


def make():
    os.umask(0o022)
    os.close(os.open(NEW, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666))


OPENS = {
    "open r": opening(os.O_RDONLY),
    "open w": opening(os.O_WRONLY),
    "open rw": opening(os.O_RDWR),
    "open both": opening(3),
    "open r, trunc": opening(os.O_RDONLY | os.O_TRUNC),
    "open w, trunc": opening(os.O_WRONLY | os.O_TRUNC),
    "open r, creat": opening(os.O_RDONLY | os.O_CREAT),
    "open rw, creat": opening(os.O_RDWR | os.O_CREAT),
    "open rw, creat, trunc": opening(os.O_RDWR | os.O_CREAT | os.O_TRUNC),
    "open excl": opening(os.O_RDWR | os.O_CREAT | os.O_EXCL),
    "open path": opening(os.O_PATH),
    "open noatime": opening(os.O_RDONLY | os.O_NOATIME),
    "open directory": opening(os.O_RDONLY | os.O_DIRECTORY),
    "unlink": lambda: os.unlink(PATH),
    "make": make,
}
OTHERS = {
    "stat": lambda: os.stat(PATH),
    "access r": lambda: access(os.R_OK),
    "access w": lambda: access(os.W_OK),
    "access x": lambda: access(os.X_OK),
    "chmod": lambda: os.chmod(PATH, 0o640),
    "chmod set-id": lambda: os.chmod(PATH, 0o6755),
    "chown to me": lambda: os.chown(PATH, os.geteuid(), -1),
    "chown to other": lambda: os.chown(PATH, OTHER, -1),
    "chgrp": lambda: os.chown(PATH, -1, OWNER),
    "truncate": lambda: os.truncate(PATH, 3),
    "grow": lambda: os.truncate(PATH, 5000),
    "touch": lambda: os.utime(PATH),
    "set times": lambda: os.utime(PATH, (1, 2)),
    "link": lambda: os.link(PATH, NEW),
    "rmdir": lambda: os.rmdir(PATH),
    "list": lambda: os.listdir(FOLDER),
}


def access(mode):
    if not os.access(PATH, mode, effective_ids=True):
        raise PermissionError(13, "")


def outcome(party, operation):
    """Returns the errno of the operation by that party."""
    uid, gid, groups = PARTIES[party]
    pid = os.fork()
    if pid == 0:
        status = 255
        try:
            os.setgroups(groups)
            os.setresgid(gid, gid, gid)
            os.setresuid(uid, uid, uid)
            operation()
            status = 0
        except OSError as error:
            status = error.errno
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def state(path):
    try:
        fd = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    status = os.fstat(fd)
    os.close(fd)
    return [oct(status.st_mode), status.st_uid, status.st_gid, status.st_size]


def prepare(owner, mode):
    for path in PATH, NEW:
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass
    fd = os.open(PATH, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    os.write(fd, b"hello")
    os.fchown(fd, owner, owner)
    os.fchmod(fd, mode)
    os.close(fd)


def main():
    operations = {**OPENS, **(OTHERS if WHICH == "all" else {})}
    for whose, owner in OWNERS.items():
        for mode in MODES:
            for name, operation in operations.items():
                for party in PARTIES:
                    prepare(owner, mode)
                    result = outcome(party, operation)
                    row = [f"{party}: {name} of {whose} {mode:04o}", result, state(PATH), state(NEW)]
                    print(json.dumps(row))
    prepare(0, 0)
    os.unlink(PATH)


main()
