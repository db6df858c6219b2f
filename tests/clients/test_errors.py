#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a program sees when shared memory cannot be had: TAP on standard output.

Aim: one clear errno, one clear line for who asks for it (SHMEMU_LOG=error), no crash and no hang.
Method: each trouble is made on a host without /dev/shm and FUSE, for an ordinary user and for
root, and met by a program that makes one call. Daemons that misbehave are threads of this
process. What takes its time runs beside the rest.
Run it with SHMEMU_PREFIX set to an installed tree that every user can read.
"""

import concurrent.futures
import os
import shutil
import socket
import subprocess
import sys
import time

sys.dont_write_bytecode = True
from client_tap import Skip, Tap
from client_wire import Daemon
from errors_world import (CALLS, CLIENT, IPC_CALLS, NOBODY, ONE_CALL, PREFIX, STRANGER, FakeDaemon,
                          Host, library, reply, until)

OPEN_CALLS = ("shm_open", "sem_open")
# Of System V IPC that would be about an object that is there, and PostgreSQL tries key after key.
ACCESS = {**dict.fromkeys(CALLS, "EACCES"), **dict.fromkeys(IPC_CALLS, "ENOSYS")}


def beside_library(host, script=None, mode=0o755):
    """Returns the path of a copy of the library, with this and nothing else as its daemon."""
    folder = host.folder("alone")
    shutil.copy(library(), folder)
    if script is not None:
        with open(os.path.join(folder, "shmfs"), "w") as file:
            file.write(script)
        os.chmod(file.name, mode)
    return os.path.join(folder, "libshmemu.so")


# No daemon to be had.

def no_daemon_binary(host):
    host.check("ENOSYS", ["shmfs", "alone"], preload=beside_library(host))


def daemon_not_executable(host):
    host.check(ACCESS, "shmfs", preload=beside_library(host, "#!/bin/sh\n", 0o644))


def daemon_that_fails(host):
    alone = beside_library(host, "#!/bin/sh\necho 'shmfs: no luck today' >&2\nexit 1\n")
    host.check("ENOSYS", "no luck today", preload=alone)


def daemon_that_ends_silently(host):
    host.check("ENOSYS", "shmfs", preload=beside_library(host, "#!/bin/sh\nexit 0\n"))


def daemon_that_starts_never(host):
    alone = beside_library(host, '#!/bin/sh\nread -r line <"${0%/*}/pipe"\n')
    os.mkfifo(os.path.join(os.path.dirname(alone), "pipe"), 0o666)
    host.check("ETIMEDOUT", "shmfs", calls=["shm_open"], preload=alone)


# No folder to meet in.

def as_root():
    if os.geteuid() != 0:
        raise Skip("only root can make a stranger's folder")


def folder_without_rights(host):
    if host.uid == 0:
        raise Skip("root may enter any folder")
    host.settings["SHMEMU_DIR"] = host.folder("place", 0)
    host.check(ACCESS, host.settings["SHMEMU_DIR"])


def folder_of_a_stranger(host):
    as_root()
    host.settings["SHMEMU_DIR"] = host.folder("place", 0o755, STRANGER)
    host.check(ACCESS, host.settings["SHMEMU_DIR"])


def default_folder_of_a_stranger(host):
    """Who was there first in a TMPDIR that is open to all."""
    as_root()
    place = host.folder(f"tmp/shmemu-{host.uid}", 0o777, STRANGER)
    host.check(ACCESS, place)
    assert os.listdir(place) == []


def folder_that_is_a_link(host):
    place = host.settings["SHMEMU_DIR"] = os.path.join(host.top, "place")
    os.symlink(host.folder("elsewhere", 0o700), place)
    host.check(ACCESS, place)
    assert os.listdir(os.path.join(host.top, "elsewhere")) == []


def folder_open_to_all(host):
    host.settings["SHMEMU_DIR"] = host.folder("place", 0o777)
    host.check(ACCESS, host.settings["SHMEMU_DIR"])


def folder_open_to_a_group(host):
    host.settings["SHMEMU_DIR"] = host.folder("place", 0o770)
    host.check(ACCESS, host.settings["SHMEMU_DIR"])


def folder_that_is_a_file(host):
    place = host.settings["SHMEMU_DIR"] = os.path.join(host.top, "place")
    open(place, "w").close()
    host.check(ACCESS, place)


def folder_in_none(host):
    host.settings["SHMEMU_DIR"] = os.path.join(host.top, "none", "place")
    host.check("ENOSYS", host.settings["SHMEMU_DIR"])


def folder_of_a_long_path(host):
    host.settings["SHMEMU_DIR"] = "/" + "x" * 254 + "/" + "y" * 254 + "/" + "z" * 254
    host.check("ENOSYS", "xxx")


def socket_of_a_stranger(host):
    """It is never even connected to."""
    as_root()
    place = host.settings["SHMEMU_DIR"] = host.folder("place", 0o755, STRANGER)
    with FakeDaemon(place, lambda op: (reply(op), [0])) as fake:
        os.chown(os.path.join(place, "socket"), STRANGER, STRANGER)
        host.check(ACCESS, place)
        assert fake.accepted == 0


# The program's own limits.

FULL = CLIENT + """
if sys.argv[1] == "connected":
    call("shm_open", b"/before")
resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))
held = []
try:
    while True:
        held.append(os.open("/dev/null", os.O_RDONLY))
except OSError:
    pass
outcomes = [call(function) for function in ("shm_open", "sem_open")[:int(sys.argv[2])]]
for fd in held:
    os.close(fd)
print(*outcomes, call("shm_open", flags=os.O_RDWR), call("sem_open", flags=0))
"""


def full_table(host):
    for connected in "connected", "not":
        done = host.run(FULL, connected, "2")
        assert (done.stdout, done.stderr) == ("EMFILE EMFILE ENOENT ENOENT\n", ""), done
        done = host.run(FULL, connected, "1", log="error")
        assert done.stdout == "EMFILE ENOENT ENOENT\n", done
        assert len(done.stderr.splitlines()) == 1 and "EMFILE" in done.stderr, done.stderr


def long_name(host):
    outcomes = dict(zip(CALLS, ("EINVAL", "EINVAL", "ENOENT", "ENOENT")))
    host.check(outcomes, "name", name="/" + "x" * 300)


# Daemons that are none.

def met_by(host, outcome, words, answer, calls=CALLS, **options):
    """What its own folder has is trusted to be a daemon; how it talks is not."""
    place = host.settings["SHMEMU_DIR"] = host.folder("place")
    with FakeDaemon(place, answer, **options) as fake:
        host.check(outcome, words, calls)
    return fake


def other_version(host):
    met_by(host, "EPROTONOSUPPORT", ["99", "version"], lambda op: (reply(op, version=99), []))


def other_version_in_short(host):
    met_by(host, "EPROTONOSUPPORT", "99", lambda op: (reply(op, version=99)[:8], []))


def other_version_at_length(host):
    met_by(host, "EPROTONOSUPPORT", "99", lambda op: (reply(op, version=99) * 20, [0]))


def closes_at_once(host):
    met_by(host, "ENOSYS", "daemon", None)


def garbage(host):
    met_by(host, "ENOSYS", "daemon", lambda op: (b"HTTP/1.1 400 Bad Request\r\n\r\n", []))


def short_answer(host):
    met_by(host, "ENOSYS", "daemon", lambda op: (reply(op)[:20], []))


def long_answer(host):
    met_by(host, "ENOSYS", "daemon", lambda op: (reply(op) * 1000, []))


def answer_to_another_question(host):
    met_by(host, "ENOSYS", "daemon", lambda op: (reply(op % 2 + 1), [0]))


def impossible_result(host):
    met_by(host, "ENOSYS", "daemon", lambda op: (reply(op, result=-100000), []))


def surplus_files(host):
    for count in 2, 3, 50:
        place = host.settings["SHMEMU_DIR"] = host.folder(f"place{count}")
        with FakeDaemon(place, lambda op, count=count: (reply(op), [0] * count)):
            host.check("ENOSYS", "daemon", OPEN_CALLS)


def files_with_garbage(host):
    met_by(host, "ENOSYS", "daemon", lambda op: (b"?", [0]))


def no_file(host):
    met_by(host, "ENOSYS", "daemon", lambda op: (reply(op), []), OPEN_CALLS)


def answers_never(host):
    began = time.monotonic()
    met_by(host, "ETIMEDOUT", "daemon", lambda op: None, ["shm_open"])
    assert 50 < time.monotonic() - began < 100, "twice half a minute"


def accepts_never(host):
    met_by(host, "ETIMEDOUT", "daemon", None, ["sem_open"], accepts=False)


def queue_full(host):
    """A daemon that hangs, and that others wait for: connecting itself has to wait."""
    place = host.settings["SHMEMU_DIR"] = host.folder("place")
    with FakeDaemon(place, None, accepts=False, backlog=0):
        waiting = [socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(3)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(os.path.join(place, "socket"))
        host.check("ETIMEDOUT", "daemon", ["shm_open"])


# The daemon that starts itself.

HOLD = CLIENT + """
print(call("shm_open", sys.argv[1].encode()), flush=True)
sys.stdin.read()
"""


def idle_end(host):
    """About 10 seconds after the last client and the last segment, and not before."""
    assert host.run(ONE_CALL, "shm_open", "/left").stdout.startswith("ok")
    pid, = host.daemons()
    time.sleep(15)
    assert host.daemons() == [pid], "ended with a segment left"
    client = subprocess.Popen(host.command(HOLD, "/left"), stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True)
    assert client.stdout.readline() == "ok\n"
    assert host.run(ONE_CALL, "shm_unlink", "/left").stdout.startswith("ok")
    time.sleep(15)
    assert host.daemons() == [pid], "ended with a client left"
    client.communicate("", timeout=30)
    began = time.monotonic()
    until(lambda: not host.daemons(), "the daemon's end", 30)
    seconds = time.monotonic() - began
    assert 8 < seconds < 16, f"ended after {seconds} s"
    assert not os.path.exists(os.path.join(host.place, "socket")), "its socket is left"
    assert host.run(ONE_CALL, "shm_open", "/again").stdout.startswith("ok")


def twenty_at_once(host):
    clients = [subprocess.Popen(host.command(HOLD, f"/{i}", log="error"), stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
               for i in range(20)]
    said = [client.stdout.readline() for client in clients]
    daemons = host.daemons()
    files = as_served(host)
    errors = [client.communicate("", timeout=30)[1] for client in clients]
    assert said == ["ok\n"] * 20 and not any(errors), (said, errors)
    assert len(daemons) == 1, f"daemons: {daemons}"
    assert sorted(files) == sorted(str(i) for i in range(20)), files


def as_served(host):
    daemon = Daemon(host.place)
    try:
        return daemon.list()
    finally:
        daemon.close()


def killed(host):
    """Its segments are gone with it, but another is there for the next call."""
    code = CLIENT + """
import signal, time
first = call("shm_open", b"/first")
os.kill(int(open(sys.argv[1]).read()), signal.SIGKILL)
time.sleep(0.2)
print(first, call("shm_open", b"/first", os.O_RDWR), call("shm_open", b"/second"))
"""
    done = host.run(code, os.path.join(host.place, "shmfs.lock"), log="error")
    assert (done.stdout, done.stderr) == ("ok ENOENT ok\n", ""), done


SLOW = [idle_end, daemon_that_starts_never, answers_never, accepts_never, queue_full]
QUICK = [
    no_daemon_binary, daemon_not_executable, daemon_that_fails, daemon_that_ends_silently,
    folder_without_rights, folder_of_a_stranger, default_folder_of_a_stranger,
    folder_that_is_a_link, folder_open_to_all, folder_open_to_a_group, folder_that_is_a_file,
    folder_in_none, folder_of_a_long_path, socket_of_a_stranger, full_table, long_name,
    other_version, other_version_in_short, other_version_at_length, closes_at_once, garbage,
    short_answer, long_answer, answer_to_another_question, impossible_result, surplus_files,
    files_with_garbage, no_file, twenty_at_once, killed,
]


def on_host(case, uid):
    with Host(uid) as host:
        return case(host)


def name_of(case, uid):
    return f"{'root' if uid == 0 else 'user'}: {case.__name__.replace('_', ' ')}"


def main():
    if not PREFIX:
        print("1..0 # SKIP needs an installed tree: run scripts/test")
        return 0
    if os.path.exists("/run/shmemu/socket"):
        print("1..0 # SKIP a system daemon serves this host")
        return 0
    users = [NOBODY, 0] if os.geteuid() == 0 else [os.geteuid()]
    wanted = sys.argv[1:]
    tap = Tap()
    with concurrent.futures.ThreadPoolExecutor(len(SLOW) * len(users)) as beside:
        slow = [(case, uid, beside.submit(on_host, case, uid)) for case in SLOW for uid in users
                if not wanted or case.__name__ in wanted]
        for uid in users:
            for case in QUICK:
                if not wanted or case.__name__ in wanted:
                    tap.run(name_of(case, uid), on_host, case, uid)
        for case, uid, result in slow:
            tap.run(name_of(case, uid), result.result)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
