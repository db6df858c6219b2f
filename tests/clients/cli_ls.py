# SPDX-License-Identifier: LGPL-2.1-or-later
"""shmemu ls: what it tells of each, and how that looks on terminals, in pipes and to programs."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import threading
import time
import unicodedata

from cli_ipc import EACH, ONE_OF_EACH, PRELUDE, program, rows, serve_as_older
from cli_limit import daemon
from cli_world import NOBODY, PYTHON, SHMEMU, Skip, case, check_refusal, equal, folder, run
from client_screen import has_colours, plain, show
from client_wire import ENTRY

MIB = 1 << 20
COLUMNS = ["NAME", "KIND", "ID", "SIZE", "RESIDENT", "COUNT", "MODE", "OWNER", "STATE", "AGE", "HOLDERS", "MAKER",
           "COMMAND"]
# At 80 columns there are at least these, when there is something in all.
KEPT = {"NAME", "SIZE", "RESIDENT", "OWNER", "STATE", "AGE", "HOLDERS", "COMMAND"}
# Name, and how a person sees it.
NAMES = {
    "new\nline\tand\rmore": r"new\x0aline\x09and\x0dmore",
    "\x1b[31mred\x1b[2J\x07": r"\x1b[31mred\x1b[2J\x07",
    "del\x7f": r"del\x7f",
    r"back\x41slash": r"back\x5cx41slash",
    "gr\u00fc\u00dfe": "gr\u00fc\u00dfe",
    "\u6f22\u5b57" * 40: "\u6f22\u5b57" * 40,
    "a blank": "a blank",
    "x" * 250: "x" * 250,
}
# Makes them, one of 7 EiB, and one that is nobody's any more but for its name. Then as ONE_OF_EACH.
MAKE = ONE_OF_EACH.replace("print(", f"""
for name in {list(NAMES)!r}:
    os.close(os.open("/dev/shm/" + name, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
os.mkdir("/dev/shm/folder")
large = os.open("/dev/shm/large", os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
os.truncate(large, 7 << 60)
os.pwrite(large, b"x" * 300000, 1 << 40)
if os.fork() == 0:
    os.close(os.open("/dev/shm/orphan", os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    os._exit(0)
os.wait()
print(""", 1)


@contextlib.contextmanager
def everything(*options):
    with daemon(*options) as d, program(d, MAKE):
        yield d


def shown(d, *words, **options):
    seen = show(SHMEMU, "ls", f"--dir={d.dir}", *words, **options)
    equal(seen.status, 0)
    return seen


def check_screen(seen, count):
    """What was printed stands there as it was, a line to a row."""
    printed = [line.rstrip() for line in plain(seen.raw)]
    equal(seen.screen.unknown, [])
    equal([unicodedata.normalize("NFC", line) for line in seen.lines], printed)
    equal(len(seen.lines), count + 1)


WAYS = (({}, (), True), ({"NO_COLOR": "1"}, (), False), ({}, ("--color=never",), False),
        ({"NO_COLOR": "1"}, ("--color=always",), True), ({"TERM": "dumb"}, (), False))


@case()
def a_line_is_a_row_of_the_screen():
    with everything() as d:
        count = len(rows(d))
        for columns in (40, 80, 132, 200, 400):
            for env, words, coloured in WAYS:
                seen = shown(d, *words, columns=columns, env=env)
                check_screen(seen, count)
                equal((columns, env, words, has_colours(seen.raw)), (columns, env, words, coloured))
            titles = seen.lines[0].split()
            equal(titles, [name for name in COLUMNS if name in titles])
            assert columns < 80 or KEPT <= set(titles), titles
            assert columns < 200 or titles == COLUMNS, titles


@case()
def orphans_are_marked():
    with everything() as d:
        seen = shown(d, columns=200)
        marked = {line.split()[0] for row, line in enumerate(seen.lines) if seen.colours(row) - {"default"}}
        equal(marked, {"/orphan"})
        assert " orphan " in next(line for line in seen.lines if line.startswith("/orphan")), seen.lines
        equal(list(rows(d, "--orphans")), [("segment", "/orphan")])


@case()
def in_a_pipe_all_is_there():
    with everything() as d:
        done = run(SHMEMU, "ls", f"--dir={d.dir}", env={**os.environ, "LC_ALL": "C.UTF-8"})
        equal((done.returncode, done.stderr), (0, ""))
        lines = done.stdout.splitlines()
        equal(lines[0].split(), COLUMNS)
        for name in NAMES.values():
            assert any(line.startswith(f"/{name} ") for line in lines), (name, lines)
        assert all(character.isprintable() for line in lines for character in line), done.stdout
        large = next(line for line in lines if line.startswith("/large "))
        assert " 7E " in large and " held " in large, large
        done = run(SHMEMU, "ls", f"--dir={d.dir}", "--color=always")
        assert "\x1b[" in done.stdout and "\x1b[31" not in done.stdout, done.stdout
        # JSON has them as they are, and no colours.
        seen = rows(d, "--color=always")
        equal({name for kind, name in seen if kind == "segment"},
              {"/" + name for name in NAMES} | {"/table", "/large", "/orphan"})
        equal(seen["segment", "/large"]["size"], 7 << 60)


@case()
def programs_have_it_as_they_ask_for_it():
    with everything() as d:
        def ls(*words):
            done = run(SHMEMU, "ls", f"--dir={d.dir}", *words)
            equal((words, done.returncode, done.stderr), (words, 0, ""))
            return done.stdout.splitlines()

        seen = rows(d)
        raw = ls("--raw", "--bytes", "--noheadings", "--output=kind,NAME,Size,birth")
        equal(len(raw), len(seen))
        for line, ((kind, name), row) in zip(raw, seen.items()):
            cells = line.split(" ")
            equal((len(cells), cells[0]), (4, kind))
            equal(cells[2], "" if row["size"] is None else str(row["size"]))
            if kind == "segment" and "/table" in name:
                assert time.strptime(cells[3], "%Y-%m-%dT%H:%M:%S%z"), cells
        assert r"/a\x20blank" in {line.split(" ")[1] for line in raw}, raw
        equal(ls("--output=SIZE,NAME")[0].split(), ["SIZE", "NAME"])
        one = json.loads("\n".join(ls("--json", "--output=NAME,AGE")))["segments"][0]
        equal((list(one), one["name"], type(one["age"])), (["name", "age"], "/table", int))
        # Columns that were asked for stay, however narrow the screen is.
        equal(shown(d, "--output=COUNT,ID,NAME", columns=40).lines[0].split(), ["COUNT", "ID", "NAME"])
        for words in (["--output=NAME,NONE"], ["--output="], ["--output=NAME,"], ["--json", "--raw"],
                      ["--output=" + ",".join(["NAME"] * 99)], ["--color=sometimes"]):
            check_refusal(run(SHMEMU, "ls", f"--dir={d.dir}", *words), 125)


@case()
def where_there_is_nothing_nothing_is_said():
    with daemon() as d:
        for words, wanted in (([], ""), (["--raw"], ""), (["--orphans"], "")):
            done = run(SHMEMU, "ls", f"--dir={d.dir}", *words)
            equal((done.returncode, done.stdout, done.stderr), (0, wanted, ""))
        equal(json.loads(run(SHMEMU, "ls", f"--dir={d.dir}", "--json").stdout), {"segments": []})
        equal(shown(d, columns=80).lines, [])


def kernel_tells_births():
    file = os.memfd_create("when")
    try:
        done = run("stat", "-L", "-c", "%W", f"/proc/self/fd/{file}", pass_fds=[file])
    finally:
        os.close(file)
    return done.stdout.strip() not in ("", "-", "0")


@case()
def births_are_known_and_outlive_the_worker():
    if not kernel_tells_births():
        raise Skip("this kernel does not tell when a file was made")
    with daemon() as d:
        before = int(time.time())
        with program(d, ONE_OF_EACH):
            seen = rows(d)
            equal(list(seen), EACH)
            for row in seen.values():
                assert before <= row["birth"] <= time.time(), (before, row)
            d.another_worker(signal.SIGKILL)
            equal(rows(d), seen)
            # What is changed is as old as it was.
            time.sleep(1.1)
            d.python(PRELUDE + "os.utime('/dev/shm/table', (1, 1)); os.chmod('/dev/shm/table', 0o640)\n"
                     "check(libc.msgctl(check(libc.msgget(KEY, 0)), 1, ctypes.create_string_buffer(512)))")
            again = rows(d)
            equal({key: row["birth"] for key, row in again.items()}, {key: row["birth"] for key, row in seen.items()})


# Tells what ls says of a segment, and what the file itself has. argv: shmemu, then bytes to write.
RESIDENT = r"""
import json, os, subprocess, sys
segment = os.open("/dev/shm/sparse", os.O_CREAT | os.O_RDWR, 0o600)
os.truncate(segment, 64 << 20)
for at in range(0, int(sys.argv[2]), 65536):
    os.pwrite(segment, b"x" * 65536, (32 << 20) + at)
listed = json.loads(subprocess.run([sys.argv[1], "ls", "--json"], check=True, stdout=subprocess.PIPE,
                                   env={**os.environ, "LD_PRELOAD": ""}).stdout)["segments"]
print(json.dumps([listed[0], os.fstat(segment).st_blocks * 512]))
"""


@case()
def resident_is_the_memory_that_is_used():
    for words in ([], ["lambda"], ["docker-default"], ["nanvix"], ["ftruncate", "fallocate"]):
        for size in (0, MIB):
            before = [SHMEMU, "without", *words, "--"] if words else []
            done = run(*before, SHMEMU, "run", "--", PYTHON, "-c", RESIDENT, SHMEMU, str(size))
            equal((words, done.returncode), (words, 0))
            row, blocks = json.loads(done.stdout)
            equal((words, size, row["name"], row["size"], row["resident"]), (words, size, "/sparse", 64 * MIB, blocks))
            assert size <= row["resident"] < 64 * MIB, (words, row)


@case(root_only=True)
def others_are_told_as_much():
    with daemon() as d:
        d.python("import os; os.posix_fallocate(os.open('/dev/shm/theirs', os.O_CREAT | os.O_RDWR, 0o600), 0, 70000)",
                 uid=1001)
        as_nobody = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
        done = run(*as_nobody, SHMEMU, "ls", "--json", f"--dir={d.dir}")
        row, = json.loads(done.stdout)["segments"]
        equal((row["name"], row["owner"], row["mode"], row["size"], row["state"]),
              ("/theirs", "1001", "0600", 70000, "orphan"))
        assert row["resident"] >= 70000, row
        equal(row, rows(d)["segment", "/theirs"])


@case()
def an_older_daemon_tells_less():
    with folder() as top, socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        os.chmod(top, 0o700)
        listener.bind(f"{top}/socket")
        listener.listen()
        entry = ENTRY.pack(7, 9, 1000, 0o100640, 0, 0, os.getpid(), 0, 0, 0, 0, 0, b"a command", b"old")
        server = threading.Thread(target=serve_as_older, args=(listener, entry))
        server.start()
        done = run(SHMEMU, "ls", "--json", f"--dir={top}")
        server.join()
        row, = json.loads(done.stdout)["segments"]
        equal([row[key] for key in ("name", "size", "mode", "resident", "birth", "command")],
              ["/old", 1000, "0640", None, None, "a command"])


@case()
def a_reader_that_goes_is_not_waited_for():
    with everything() as d, open("/dev/full", "w") as full:
        done = subprocess.run([SHMEMU, "ls", f"--dir={d.dir}"], stdout=full, stderr=subprocess.PIPE, text=True)
        equal((done.returncode, done.stderr), (125, "shmemu: cannot write the table\n"))
