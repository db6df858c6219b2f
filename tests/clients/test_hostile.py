#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Clients that mean harm: TAP on standard output.

Aim: whatever one client sends, the others are served as before, the worker is not so much as
restarted, and nothing stays behind. Method: root's daemon serves all; an attacker, an ordinary user,
does its worst over sockets of its own, while another user's requests are timed and counted. Needs
root, and SHMEMU_PREFIX set to an installed tree that every user can read.
"""

import array
import contextlib
import os
import random
import socket
import struct
import sys
import threading
import time

sys.dont_write_bytecode = True
from client_tap import Skip, Tap
from client_wire import ENTRY_MAX, LIST_MAX, MAGIC, REPLY, REQUEST, VERSION, Daemon
from client_world import NOBODY, Served, is_root, library, private, settled, until, world

OPEN, UNLINK, LIST, STATUS, ROOM, ADOPT = range(1, 7)
OTHER = 12345
LINGER_SECONDS = 6
PROGRAMS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "programs")
PATIENCE_SECONDS = 3
MODES = os.O_RDWR | os.O_CREAT


class System(Served):
    """Root's daemon, for all."""

    name = "system"
    options = ()

    def start(self):
        self.serve("--no-mount", *self.options)


def with_options(*options):
    return type("System", (System,), {"options": options})


def request(op=STATUS, name=b"", flags=0, mode=0, version=VERSION, serial=1, cursor=0):
    return REQUEST.pack(MAGIC, version, op, flags, mode, serial, cursor, 0, len(name), 0, 0, b"",
                        name)


def connect(w):
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sock.settimeout(20)
    sock.connect(os.path.join(w.run_folder, "socket"))
    return sock


def send(sock, data, fds=(), claim=None):
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    if claim:
        ancillary.append((socket.SOL_SOCKET, socket.SCM_CREDENTIALS, struct.pack("3i", *claim)))
    sock.sendmsg([data], ancillary)


def ask(sock, data, fds=()):
    """Returns the answer's fields and its descriptor, or None when the connection is cut."""
    try:
        send(sock, data, fds)
        answer, got, _, _ = socket.recv_fds(sock, REPLY.size + LIST_MAX * ENTRY_MAX, 4)
    except (ConnectionResetError, BrokenPipeError):
        return None, []
    return (REPLY.unpack_from(answer) if answer else None), list(got)


def is_cut(sock):
    try:
        return sock.recv(4096) == b""
    except ConnectionResetError:
        return True


def as_user(uid, function, *arguments):
    """Runs it in a process of that user's; what it returns is told by its exit."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            status = 0 if function(*arguments) is not False else 2
        except BaseException as error:
            print(f"# {function.__name__}: {error!r}", flush=True)
        finally:
            os._exit(status)
    return pid


class Bystander(threading.Thread):
    """Another client, whose requests are to be served all the while."""

    def __init__(self, w):
        super().__init__(daemon=True)
        self.sock = connect(w)
        self.over = threading.Event()
        self.worst = 0
        self.served = 0
        self.problem = None

    def run(self):
        try:
            while not self.over.wait(0.001):
                self.one(b"bystander")
        except BaseException as error:
            self.problem = error

    def one(self, name):
        begun = time.monotonic()
        self.served += 1
        for op, result in ((OPEN, 0), (UNLINK, 0)):
            reply, fds = ask(self.sock,
                             request(op, name, MODES, 0o600, serial=time.monotonic_ns()))
            assert reply and reply[3] == result, reply
            for fd in fds:
                os.close(fd)
        self.worst = max(self.worst, time.monotonic() - begun)


def state(w):
    status = w.daemon.status()
    fds = [len(os.listdir(f"/proc/{pid}/fd")) for pid in (status.keeper, status.pid)]
    return status.names, status.inodes, status.connections, fds


@contextlib.contextmanager
def bystander(w):
    """All goes on, and in the end all is as it was."""
    before = settled(lambda: state(w))
    other = Bystander(w)
    other.start()
    try:
        yield other
    finally:
        other.over.set()
        other.join(30)
        other.sock.close()
    assert not other.problem, f"another client: {other.problem!r}"
    assert other.served > 0 and other.worst < PATIENCE_SECONDS, f"another client waited {other.worst}"
    assert w.daemon.status().pid == w.pid, "the worker did not survive"
    until(lambda: state(w) == before, f"{before}, not {state(w)}", 20)


def attack(function, kind=System, uid=NOBODY, warm=False):
    with world(kind) as w:
        # A user's first segment has the daemon make it a folder, for good.
        if warm:
            os.waitpid(as_user(uid, function, w), 0)
        with bystander(w) as other:
            attacker = as_user(uid, function, w)
            _, status = os.waitpid(attacker, 0)
            assert status == 0, f"the attack itself went wrong: {status}"
            count = other.served
            until(lambda: other.served > count + 20, "another client is served", 20)
        return f"another client waited {1000 * other.worst:.1f} ms at most"


# Attacks: each returns when it has done its worst, and False if it was not met as it should be.

def garbage(w):
    choose = random.Random(1)
    for size in [1, 7, 8, 9, 100, REQUEST.size - 1, REQUEST.size + 1, 4096, 5000, 60000]:
        for _ in range(20):
            sock = connect(w)
            sock.send(choose.randbytes(size))
            if not is_cut(sock):
                return False


def bits_turned(w):
    """Each answer is one, or the connection is cut; never silence."""
    choose = random.Random(2)
    for _ in range(2000):
        data = bytearray(request(choose.choice([OPEN, UNLINK, LIST, STATUS, ROOM]), b"x",
                                 os.O_RDONLY))
        for _ in range(choose.randrange(1, 4)):
            data[choose.randrange(len(data))] ^= 1 << choose.randrange(8)
        with connect(w) as sock:
            for fd in ask(sock, bytes(data))[1]:
                os.close(fd)
    # A bit more in the flags is O_CREAT: names of all kinds came about.
    with connect(w) as sock:
        for serial, name in enumerate(w_names(w)):
            if name != b"bystander":
                ask(sock, request(UNLINK, name, serial=serial))


def w_names(w):
    daemon = Daemon(w.run_folder)
    try:
        return [os.fsencode(name) for name in daemon.list()]
    finally:
        daemon.close()


def other_versions(w):
    for version in (0, 1, VERSION + 1, 99, 65535):
        with connect(w) as sock:
            reply, _ = ask(sock, request(version=version))
            if not reply or reply[1] != VERSION or reply[3] != -93:
                return False


def surplus_descriptors(w):
    for count in (1, 2, 3, 100, 253):
        for op in (OPEN, UNLINK, STATUS, LIST, ADOPT):
            with connect(w) as sock:
                fds = [os.dup(0) for _ in range(count)]
                send(sock, request(op, b"x" if op < LIST else b""), fds)
                for fd in fds:
                    os.close(fd)
                if (op != ADOPT or count > 1) and not is_cut(sock):
                    return False


def lingering(listener):
    """A socket whose last close takes its linger time."""
    client = socket.create_connection(listener.getsockname())
    server_kept.append(listener.accept()[0])
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, LINGER_SECONDS))
    client.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            client.send(b"x" * 65536)
    return client


server_kept = []


def slow_to_close(w):
    """It is sent where it belongs, and where it does not."""
    listener = socket.create_server(("127.0.0.1", 0))
    for op in (STATUS, ADOPT, OPEN):
        for _ in range(4):
            with lingering(listener) as client, connect(w) as sock:
                send(sock, request(op, b"x" if op == OPEN else b""), [client.fileno()])
    time.sleep(1)
    for server in server_kept:
        server.close()


def slow_inside(w):
    """It is in the queue of a socket that is handed over."""
    listener = socket.create_server(("127.0.0.1", 0))
    for _ in range(4):
        mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with lingering(listener) as client:
            for _ in range(3):
                send(mine, request(STATUS), [client.fileno()])
        with connect(w) as sock:
            send(sock, request(ADOPT), [theirs.fileno()])
            theirs.close()
        mine.close()
    time.sleep(1)


def never_reads(w):
    socks = [connect(w) for _ in range(50)]
    for sock in socks:
        sock.setblocking(False)
        with contextlib.suppress(BlockingIOError, BrokenPipeError, ConnectionResetError):
            for _ in range(200):
                sock.send(request(LIST))


def half_sent(w):
    """A SEQPACKET message is whole or not there, so half of one is a short one."""
    socks = [connect(w) for _ in range(50)]
    for sock in socks:
        sock.send(request()[:100])
    return all(map(is_cut, socks))


def hangs_on(w):
    """Connections that say nothing cost nobody anything."""
    socks = [connect(w) for _ in range(200)]
    time.sleep(0.5)
    for sock in socks:
        reply, _ = ask(sock, request())
        if not reply or reply[3] != 0:
            return False


def itself(w):
    """The daemon is handed its own end, or one that it must talk to itself by."""
    for _ in range(20):
        one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with connect(w) as sock:
            send(sock, request(ADOPT), [one.fileno()])
            send(sock, request(ADOPT), [other.fileno()])
        # It may have cut both by now: it has found its own answers there.
        with contextlib.suppress(OSError):
            one.send(request(STATUS))
            other.send(request(LIST))
        time.sleep(0.01)
        for end in (one, other):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


def wrong_sockets(w):
    kinds = [(socket.AF_UNIX, socket.SOCK_STREAM), (socket.AF_UNIX, socket.SOCK_DGRAM),
             (socket.AF_INET, socket.SOCK_DGRAM)]
    for family, kind in kinds:
        with connect(w) as sock, socket.socket(family, kind) as wrong:
            send(sock, request(ADOPT), [wrong.fileno()])
            reply, _ = ask(sock, request())
            if not reply or reply[3] != 0:
                return False


def claims_to_be_root(w):
    with connect(w) as sock:
        try:
            send(sock, request(OPEN, b"x", MODES, 0o600), claim=(os.getpid(), 0, 0))
        except PermissionError:
            return True
    return False


def without_credentials(w):
    """What was sent before the daemon asked for credentials is nobody's."""
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    one.settimeout(20)
    one.send(request(OPEN, b"x", MODES, 0o600))
    with connect(w) as sock:
        send(sock, request(ADOPT), [other.fileno()])
        other.close()
        reply = REPLY.unpack_from(one.recv(4096))
        one.close()
        return reply[3] == -13


def holds_a_fifo(w):
    done = w.run("/usr/bin/python3", w.install(os.path.join(PROGRAMS, "holds_fifo.py")),
                 enter=False, env={"LD_PRELOAD": library()})
    if (done.status, done.out, done.err) != (0, "held\ndone\n", ""):
        print(f"# {done}".replace("\n", "\n# "), flush=True)
        return False


def takes_all_names(w):
    with connect(w) as sock:
        results = []
        for number in range(60):
            reply, fds = ask(sock, request(OPEN, b"mine-%d" % number, MODES, 0o600, serial=number))
            results.append(reply[3])
            for fd in fds:
                os.close(fd)
        for number in range(60):
            ask(sock, request(UNLINK, b"mine-%d" % number, serial=100 + number))
        if results != [0] * 40 + [-28] * 20:
            print(f"# {results}", flush=True)
            return False
        reply, fds = ask(sock, request(OPEN, b"again", MODES, 0o600, serial=999))
        os.close(fds[0])
        ask(sock, request(UNLINK, b"again", serial=1000))
        return reply[3] == 0


def takes_all_connections(w):
    socks = [connect(w) for _ in range(100)]
    served = 0
    for sock in socks:
        with contextlib.suppress(OSError):
            reply, _ = ask(sock, request())
            served += reply is not None
    with connect(w) as sock:
        pass
    if served != 40:
        print(f"# {served} were served", flush=True)
        return False
    # Nor by handing over.
    for _ in range(5):
        one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        send(socks[0], request(ADOPT), [other.fileno()])
        other.close()
        if not is_cut(one):
            return False


def takes_all_memory(w):
    """Written by its own descriptor, which the daemon does not see."""
    with connect(w) as sock:
        for turn in range(2):
            _, fds = ask(sock, request(OPEN, b"big", MODES, 0o600, serial=3 * turn))
            try:
                os.posix_fallocate(fds[0], 0, 512 << 10)
                os.pwrite(fds[0], b"x" * (512 << 10), 0)
                os.pwrite(fds[0], b"x" * (2 << 20), 0)
                os.pwrite(fds[0], b"x", 4 << 20)
                return False
            except OSError as error:
                if error.errno != 28:
                    return False
            reply, _ = ask(sock, request(ROOM, serial=3 * turn + 1))
            if reply[7] != 1 << 20:
                return False
            os.close(fds[0])
            ask(sock, request(UNLINK, b"big", serial=3 * turn + 2))


def users_have_their_share():
    """The same for the next user, and after a kill; root has all there is."""
    with world(with_options("--user-size=1m")) as w:
        for uid in NOBODY, OTHER, NOBODY:
            _, status = os.waitpid(as_user(uid, takes_all_memory, w), 0)
            assert status == 0
            before = w.daemon.status().pid
            os.kill(before, 9)
            until(lambda: w.daemon.status().pid != before, "another serves")
        with connect(w) as sock:
            reply, fds = ask(sock, request(OPEN, b"root", MODES, 0o600))
            os.posix_fallocate(fds[0], 0, 8 << 20)
            os.close(fds[0])


def all_have_a_share():
    with world(with_options("--size=2m")) as w, connect(w) as sock:
        reply, fds = ask(sock, request(OPEN, b"big", MODES, 0o600))
        try:
            os.posix_fallocate(fds[0], 0, 3 << 20)
        except OSError as error:
            assert error.errno == 28, error
        else:
            raise AssertionError("3 of 2 MiB")
        os.close(fds[0])


def takes_others_names(w):
    """What is another's is neither opened, emptied nor removed."""
    with connect(w) as sock:
        for flags in (os.O_RDONLY, os.O_RDWR, os.O_RDONLY | os.O_TRUNC):
            reply, _ = ask(sock, request(OPEN, b"secret", flags, serial=flags))
            if reply[3] != -13:
                return False
        reply, _ = ask(sock, request(UNLINK, b"secret", serial=77))
        return reply[3] == -1


def others(w):
    root = connect(w)
    reply, fds = ask(root, request(OPEN, b"secret", MODES, 0o600))
    os.write(fds[0], b"secret")
    return root, fds[0]


def check_others():
    with world(System) as w:
        root, fd = others(w)
        for uid in (NOBODY, OTHER):
            _, status = os.waitpid(as_user(uid, takes_others_names, w), 0)
            assert status == 0
        assert os.fstat(fd).st_size == 6
        ask(root, request(UNLINK, b"secret", serial=5))
        os.close(fd)
        root.close()


CASES = [garbage, bits_turned, other_versions, surplus_descriptors, slow_to_close, slow_inside,
         never_reads, half_sent, hangs_on, itself, wrong_sockets, claims_to_be_root,
         without_credentials]
LIMITED = [(takes_all_names, with_options("--user-names=40")),
           (takes_all_connections, with_options("--user-connections=40"))]


def main():
    tap = Tap()
    if not is_root():
        tap.run("attacks of one user on another", lambda: (_ for _ in ()).throw(Skip("needs root")))
        return tap.end()
    private()
    for case in CASES:
        tap.run(case.__name__.replace("_", " "), attack, case)
    for case, kind in LIMITED:
        tap.run(case.__name__.replace("_", " "), attack, case, kind)
    tap.run("takes all memory", attack, takes_all_memory, with_options("--user-size=1m"),
            NOBODY, True)
    # Who may make such memory: root, or who has a filesystem of its own.
    tap.run("holds a fifo", attack, holds_a_fifo, System, 0, True)
    tap.run("each user has a share", users_have_their_share)
    tap.run("all have a share", all_have_a_share)
    tap.run("another's names", check_others)
    return tap.end()


sys.exit(main())
