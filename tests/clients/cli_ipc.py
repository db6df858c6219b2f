# SPDX-License-Identifier: LGPL-2.1-or-later
"""shmemu ls and rm: System V IPC, message queues and names in one table, and taken away."""

import contextlib
import json
import os
import re
import signal
import socket
import struct
import subprocess
import threading

from cli_limit import daemon, library
from cli_world import (NOBODY, PATIENCE, PYTHON, SHMEMU, case, check_refusal, equal, folder, run,
                       until)
from client_wire import LIST

KEY = 0x5e6d0001

PRELUDE = r"""
import ctypes, errno, json, os, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.shmat.restype = libc.sem_open.restype = ctypes.c_void_p
libc.shmat.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_int)
libc.shmget.argtypes = (ctypes.c_int, ctypes.c_size_t, ctypes.c_int)
libc.msgsnd.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
def check(result):
    if result in (-1, None, 2 ** 64 - 1):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
class attributes(ctypes.Structure):
    _fields_ = [(name, ctypes.c_long) for name in ("flags", "most", "size", "now")] + [
        ("reserved", ctypes.c_long * 4)]
def queue(name, messages):
    queue = check(libc.mq_open(name, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o640,
                               ctypes.byref(attributes(0, 4, 64))))
    for message in messages:
        check(libc.mq_send(queue, message, len(message), 0))
KEY, CREAT = 0x5e6d0001, 0o3000
"""

# Makes one of each kind, tells their numbers, and stays until its standard input ends.
ONE_OF_EACH = PRELUDE + r"""
segment = os.open("/dev/shm/table", os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
os.truncate(segment, 1000)
check(libc.sem_open(b"/table.lock", os.O_CREAT | os.O_EXCL, 0o640, 1))
shm = check(libc.shmget(KEY, 8192, CREAT | 0o600))
for _ in range(2): check(libc.shmat(shm, None, 0))
sem = check(libc.semget(KEY, 3, CREAT | 0o666))
msg = check(libc.msgget(KEY, CREAT | 0o640))
for size in (40, 60): check(libc.msgsnd(msg, b"\1" + 100 * b"\0", size, 0))
queue(b"/table.jobs", [b"twenty bytes of text"])
print(json.dumps([shm, sem, msg]), flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def program(d, script, **options):
    """Runs it under the library until the end, and gives it and what it said first."""
    environment = {**os.environ, "SHMEMU_DIR": d.dir, "LD_PRELOAD": library()}
    with subprocess.Popen([PYTHON, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          text=True, env=environment, **options) as child:
        line = child.stdout.readline()
        assert line, "it ended before it was ready"
        try:
            yield child, json.loads(line)
        finally:
            child.stdin.close()
            child.wait(PATIENCE)


def rows(d, *words):
    """What ls shows, by kind and name."""
    done = run(SHMEMU, "ls", "--json", f"--dir={d.dir}", *words)
    equal((done.returncode, done.stderr), (0, ""))
    listed = json.loads(done.stdout)["segments"] if done.stdout.strip() else []
    return {(row["kind"], row["name"]): row for row in listed}


def remove(d, *words, uid=None):
    as_user = ("setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups") if uid else ()
    return run(*as_user, SHMEMU, "rm", f"--dir={d.dir}", *words)


def removes(d, *words):
    done = remove(d, *words)
    equal((words, done.returncode, done.stdout, done.stderr), (words, 0, "", ""))


def removes_not(d, *words, said, uid=None):
    done = remove(d, *words, uid=uid)
    equal((words, done.returncode, done.stdout), (words, 1, ""))
    assert re.fullmatch(r"shmemu: cannot remove [^\n]+\n", done.stderr), done.stderr
    assert said in done.stderr, done.stderr


KEY_NAME = f"0x{KEY:08x}"
EACH = [("segment", "/table"), ("semaphore", "/table.lock"), ("shm", KEY_NAME), ("sem", KEY_NAME),
        ("msg", KEY_NAME), ("mq", "/table.jobs")]


@case()
def all_kinds_are_in_one_table():
    with daemon() as d:
        equal(rows(d), {})
        with program(d, ONE_OF_EACH) as (child, ids):
            seen = rows(d)
            equal(list(seen), EACH)
            equal([row["id"] for row in seen.values()], [None, None, *ids, None])
            equal([row["size"] for row in seen.values()], [1000, 32, 8192, None, 100, 20])
            equal([row["count"] for row in seen.values()], [None, None, 2, 3, 2, 1])
            equal([row["mode"] for row in seen.values()],
                  ["0600", "0640", "0600", "0666", "0640", "0640"])
            equal([row["state"] for row in seen.values()],
                  ["held", "held", "held", "free", "free", "held"])
            equal(seen["shm", KEY_NAME]["processes"], 1)
            for row in seen.values():
                equal(row["maker"], child.pid)
                assert row["command"].startswith(PYTHON), row
            done = run(SHMEMU, "ls", f"--dir={d.dir}")
            lines = done.stdout.splitlines()
            equal(lines[0].split(), ["NAME", "KIND", "ID", "SIZE", "RESIDENT", "COUNT", "MODE",
                                     "OWNER", "STATE", "AGE", "HOLDERS", "MAKER", "COMMAND"])
            for line, words in zip(lines[3:], ("2 attached", "3 semaphores", "2 messages",
                                               "1 of 4 messages")):
                assert words in line, (line, words)
            # A worker that is killed forgets nothing.
            d.another_worker(signal.SIGKILL)
            equal(rows(d), seen)
        # The daemon learns of the end by the connection's.
        until(lambda: rows(d)["shm", KEY_NAME]["count"] == 0, "attachments are counted off")
        seen = rows(d)
        equal([row["state"] for row in seen.values()], ["orphan"] * 6)
        equal(rows(d, "--orphans"), seen)
        removes(d, "--orphans")
        equal(rows(d), {})


@case()
def a_removed_segment_is_shown_until_it_is_left():
    with daemon() as d:
        script = PRELUDE + r"""
shm = check(libc.shmget(KEY, 4096, CREAT | 0o600))
check(libc.shmat(shm, None, 0))
check(libc.shmctl(shm, 0, None))
queue(b"/gone", [])
check(libc.mq_unlink(b"/gone"))
print(json.dumps(shm), flush=True)
sys.stdin.read()
"""
        with program(d, script) as (child, number):
            seen = rows(d)
            row = seen["shm", "0x00000000"]
            equal((row["id"], row["state"], row["count"]), (number, "removed", 1))
            equal({row["state"] for row in seen.values()}, {"removed"})
            # There is nothing left to remove.
            removes(d, "--all")
            removes_not(d, f"--shm={KEY_NAME}", said="there is none")
        until(lambda: not rows(d), "what was removed goes with the last that holds it")


@case()
def each_is_removed_by_name_number_or_key():
    for words in (lambda ids: [["/table"], ["table.lock"], [f"--shm={ids[0]}"],
                               [f"--sem={KEY_NAME}"], [f"--msg=0x{KEY:X}"], ["/table.jobs"]],
                  lambda ids: [["--segment=table"], ["--semaphore=/table.lock"],
                               [f"--shm={KEY:#x}"], [f"--sem={ids[1]}", f"--msg={ids[2]}"], [],
                               ["--mq=table.jobs"]],
                  lambda ids: [["table", "/table.jobs", "table.lock"], ["--all"]]):
        with daemon() as d, program(d, ONE_OF_EACH) as (_, ids):
            # Removed from a segment that is attached is its key.
            for part in words(ids):
                if part:
                    removes(d, *part)
            equal({row["state"] for row in rows(d).values()}, {"removed"})


@case()
def a_name_that_several_have_removes_none():
    with daemon() as d:
        d.python(PRELUDE + r"""
os.close(os.open("/dev/shm/same", os.O_CREAT | os.O_RDWR, 0o600))
check(libc.sem_open(b"/same", os.O_CREAT, 0o600, 1))
queue(b"/same", [])
os.mkdir("/dev/shm/folder")
os.close(os.open("/dev/shm/folder/same", os.O_CREAT | os.O_RDWR, 0o600))
""")
        removes_not(d, "same", said="a segment and a semaphore: say --segment or --semaphore")
        equal(list(rows(d)), [("segment", "/same"), ("semaphore", "/same"), ("folder", "/folder"),
                              ("segment", "/folder/same"), ("mq", "/same")])
        removes(d, "--segment=same")
        removes_not(d, "/same", said="a semaphore and a message queue: say --semaphore or --mq")
        removes(d, "--semaphore=same")
        removes(d, "/same")
        removes_not(d, "folder", said="not empty")
        removes(d, "/folder/same", "folder")
        equal(rows(d), {})
        d.python("import os; os.makedirs('/dev/shm/a/b'); open('/dev/shm/a/b/c', 'w').close()")
        removes(d, "--all")
        equal(rows(d), {})


@case()
def what_can_t_be_removed_is_told_in_one_line():
    with daemon() as d:
        for words in (["--shm=0"], ["--sem=0x1"], ["--msg=77"], ["--queue=none"], ["--segment=/x"],
                      ["--semaphore=x"], ["--mq=x"]):
            removes_not(d, *words, said="there is none")
        removes_not(d, "none", said="there is no segment, semaphore or message queue")
        for words in ([], ["--what"], ["--shm"], ["--shm="], ["--shm=x"], ["--shm=-1"], ["--sem=1x"],
                      ["--msg=0x"], ["--msg=0xg"], ["--sem=0x0"], ["--shm=0x100000000"],
                      ["--queue="], ["--queue=/"], ["--mq=" + 300 * "x"], ["--all", "name"],
                      ["--all", "--orphans"], ["--orphans", "--shm=1"]):
            check_refusal(remove(d, *words), 125)
        # What comes after is removed all the same.
        with program(d, ONE_OF_EACH):
            done = remove(d, "none", "table", f"--sem={KEY_NAME}", "--msg=77")
            equal((done.returncode, done.stderr.count("\n")), (1, 2))
            assert ("segment", "/table") not in rows(d) and ("sem", KEY_NAME) not in rows(d)
    check_refusal(run(SHMEMU, "rm", "--dir=/nonexistent/folder", "x"), 125)
    equal(run(SHMEMU, "rm", "--help").stderr, "")


@case(root_only=True)
def others_may_look_and_not_remove():
    with daemon() as d:
        with program(d, ONE_OF_EACH):
            as_user = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
            done = run(*as_user, SHMEMU, "ls", "--json", f"--dir={d.dir}")
            equal((done.returncode, done.stderr), (0, ""))
            equal(len(json.loads(done.stdout)["segments"]), 6)
            for words in (["table"], ["table.lock"], ["table.jobs"], [f"--shm={KEY_NAME}"],
                          [f"--sem={KEY_NAME}"], [f"--msg={KEY_NAME}"]):
                removes_not(d, *words, said="another user's", uid=NOBODY)
            done = remove(d, "--all", uid=NOBODY)
            equal((done.returncode, done.stderr.count("another user's")), (1, 6))
            equal(len(rows(d)), 6)


LEAVE = PRELUDE + r"""
check(libc.shmget(KEY, 4096, CREAT | 0o600))
check(libc.semget(0, 2, CREAT | 0o600))
msg = check(libc.msgget(KEY, CREAT | 0o600))
check(libc.msgsnd(msg, b"\1" + 20 * b"\0", 10, 0))
queue(b"/left", [b"x", b"y"])
if len(sys.argv) > 1:
    check(libc.mq_unlink(b"/left"))
    check(libc.msgctl(msg, 0, None))
"""


@case()
def a_run_tells_what_was_left_behind():
    done = run(SHMEMU, "run", "--strict", PYTHON, "-c", LEAVE)
    equal((done.returncode, done.stdout), (1, ""))
    told = [re.sub(r" \(id \d+\)", " (id N)", line.split(", made by process")[0])
            for line in done.stderr.splitlines()]
    equal(told, [f"shmemu: left behind: System V shared memory {KEY_NAME} (id N) of 4096 bytes",
                 "shmemu: left behind: System V semaphores 0x00000000 (id N), 2 of them",
                 f"shmemu: left behind: System V messages {KEY_NAME} (id N), 1 of 10 bytes",
                 "shmemu: left behind: message queue /left with 2 messages"])
    done = run(SHMEMU, "run", "--strict", PYTHON, "-c", LEAVE, "again")
    equal((done.returncode, done.stderr.count("left behind")), (1, 2))


# Everything once, and away with it.
USE = PRELUDE + r"""
shm, sem, msg = (check(call) for call in (libc.shmget(0, 4096, CREAT | 0o600),
                                          libc.semget(KEY, 2, CREAT | 0o600),
                                          libc.msgget(KEY, CREAT | 0o600)))
memory = (ctypes.c_char * 4096).from_address(check(libc.shmat(shm, None, 0)))
memory[4095] = b"x"
child = os.fork()
if child == 0:
    assert memory[4095] == b"x"
    check(libc.semop(sem, (ctypes.c_short * 3)(1, 1, 0), 1))
    check(libc.msgsnd(msg, b"\1" + 7 * b"\0" + b"hello", 5, 0))
    os._exit(0)
check(libc.semop(sem, (ctypes.c_short * 3)(1, -1, 0), 1))
room = ctypes.create_string_buffer(64)
assert check(libc.msgrcv(msg, room, 56, 0, 0)) == 5 and room.raw[8:13] == b"hello"
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
queue(b"/used", [b"x"])
for call in (libc.mq_unlink(b"/used"), libc.shmctl(shm, 0, None), libc.semctl(sem, 0, 0),
             libc.msgctl(msg, 0, None), libc.sem_open(b"/used", os.O_CREAT, 0o600, 1),
             libc.sem_unlink(b"/used")):
    check(call)
print("used")
"""


@case()
def hosts_that_refuse_them_are_supplied():
    for words in (["sysv"], ["sysv=SIGSYS"], ["mqueue"], ["mq_send"], ["sem_open"], ["lambda"],
                  ["docker-64m"], ["docker-default"], ["gvisor"], ["termux"],
                  ["nanvix", "sysv", "mqueue", "sem_open"],
                  ["lambda", "memfd_create", "sysv=EPERM", "mqueue=EACCES", "sem_open=EACCES"]):
        done = run(SHMEMU, "without", *words, "--", SHMEMU, "run", "--strict", PYTHON, "-c", USE)
        equal((words, done.returncode, done.stdout, done.stderr), (words, 0, "used\n", ""))
    # And by themselves they refuse them.
    for words in (["sysv"], ["mqueue"], ["mq_send"], ["sem_open"], ["gvisor"]):
        done = run(SHMEMU, "without", *words, "--", "unshare", "-Uri", PYTHON, "-c", USE)
        assert "OSError: [Errno 38]" in done.stderr, (words, done)


def serve_as_older(listener, entry=b""):
    """A daemon of version 4 that has no names, or one: what it does not know it refuses by its version."""
    connection = listener.accept()[0]
    while message := connection.recv(1 << 17):
        magic, version, op = struct.unpack("<IHH", message[:8])
        cursor, = struct.unpack("<Q", message[24:32])
        told = entry if version <= 4 and op == LIST and cursor == 0 else b""
        result = -93 if version > 4 else bool(told)
        connection.send(struct.pack("<IHHiIQ", magic, 4, op, result, 0, 0) + message[16:24] +
                        bytes(40) + told)


@case()
def an_older_daemon_has_names_only():
    with folder() as top, socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        os.chmod(top, 0o700)
        listener.bind(f"{top}/socket")
        listener.listen()
        for words, wanted in ((["ls"], (0, "")), (["rm", "--all"], (0, "")),
                              (["rm", "--sem=1"], (125, "older version"))):
            server = threading.Thread(target=serve_as_older, args=(listener,))
            server.start()
            done = run(SHMEMU, *words, f"--dir={top}")
            server.join()
            assert wanted[1] in done.stderr and done.stdout == "", done
            equal((words, done.returncode), (words, wanted[0]))


@case()
def nothing_of_the_host_is_touched():
    with daemon() as d:
        before = run("ipcs", "-a").stdout
        with program(d, ONE_OF_EACH):
            equal(run("ipcs", "-a").stdout, before)
