# SPDX-License-Identifier: LGPL-2.1-or-later
"""shmemu dump and load: what a segment holds, from and to files."""

import fcntl
import hashlib
import os
import pty
import select
import struct
import subprocess
import termios

from cli_limit import daemon, library
from cli_world import PATIENCE, PYTHON, SHMEMU, case, check_refusal, equal, folder, run

MIB = 1 << 20
TOOL = 125


def tool(served, word, *words, **options):
    return subprocess.run((SHMEMU, word, f"--dir={served.dir}", *words), stderr=subprocess.PIPE, timeout=PATIENCE, **options)


def load(served, *words, data=b"", **options):
    if "stdin" not in options:
        options["input"] = data
    done = tool(served, "load", *words, **options)
    equal((done.returncode, done.stderr), (0, b""))


def dump(served, name):
    done = tool(served, "dump", name, stdout=subprocess.PIPE)
    equal((done.returncode, done.stderr), (0, b""))
    return done.stdout


def refused(done, *words):
    equal(done.returncode, TOOL)
    text = done.stderr.decode()
    equal(text.count("\n"), 1)
    for word in words:
        assert word in text, f"{word!r} is not in {text!r}"


def python(served, code, *words):
    done = run(PYTHON, "-c", code, *words, env=dict(os.environ, LD_PRELOAD=library(), SHMEMU_DIR=served.dir))
    equal((done.returncode, done.stderr), (0, ""))
    return done.stdout


@case()
def dump_writes_what_a_program_stored_and_load_what_it_finds():
    data = os.urandom(3 * MIB + 17)
    with daemon() as served:
        load(served, "/first", data=data)
        equal(dump(served, "first"), data)
        found = python(served, "import hashlib, os; print(hashlib.sha256(open('/dev/shm/first', 'rb').read()).hexdigest(), "
                               "oct(os.stat('/dev/shm/first').st_mode))")
        equal(found, f"{hashlib.sha256(data).hexdigest()} 0o100600\n")
        python(served, "open('/dev/shm/second', 'w').write('stored by a program')")
        equal(dump(served, "/second"), b"stored by a program")
        load(served, "empty")
        equal(dump(served, "empty"), b"")


@case()
def holes_stay_holes_in_files_both_ways():
    with daemon() as served, folder() as top:
        with open(top + "/sparse", "w+b") as file:
            for at in (5 * MIB, 40 * MIB):
                file.seek(at)
                file.write(b"bytes" * 1000)
            file.truncate(64 * MIB)
            file.seek(0)
            load(served, "sparse", stdin=file)
        with open(top + "/again", "w+b") as file:
            done = tool(served, "dump", "sparse", stdout=file)
            equal((done.returncode, done.stderr), (0, b""))
        equal(subprocess.run(["cmp", top + "/sparse", top + "/again"], timeout=PATIENCE).returncode, 0)
        assert os.stat(top + "/again").st_blocks * 512 < MIB, os.stat(top + "/again")
        blocks = int(python(served, "import os; print(os.stat('/dev/shm/sparse').st_blocks)"))
        assert blocks * 512 <= 4 * MIB, blocks
        # Behind what is there already, and where nothing can be left out.
        with open(top + "/behind", "wb") as file:
            file.write(b"before")
            file.flush()
            equal(tool(served, "dump", "sparse", stdout=file).returncode, 0)
        equal(os.stat(top + "/behind").st_size, 64 * MIB + 6)
        with open(top + "/appended", "ab") as file:
            equal(tool(served, "dump", "sparse", stdout=file).returncode, 0)
        equal(subprocess.run(["cmp", top + "/sparse", top + "/appended"], timeout=PATIENCE).returncode, 0)


@case()
def load_replaces_only_when_told_to_and_then_at_once():
    with daemon() as served:
        load(served, "one", data=b"old")
        refused(tool(served, "load", "one", input=b"new"), "one", "--force")
        equal(dump(served, "one"), b"old")
        code = ("import os, subprocess, sys; fd = os.open('/dev/shm/one', os.O_RDONLY); "
                "subprocess.run(sys.argv[1:], input=b'new', check=True); "
                "print(os.pread(fd, 9, 0), open('/dev/shm/one', 'rb').read(), os.listdir('/dev/shm'))")
        equal(python(served, code, SHMEMU, "load", "--force", "--mode=640", "one"), "b'old' b'new' ['one']\n")
        equal(python(served, "import os; print(oct(os.stat('/dev/shm/one').st_mode))"), "0o100640\n")


@case()
def what_cannot_be_dumped_or_loaded_is_one_line():
    with daemon() as served, folder() as top:
        refused(tool(served, "dump", "none", stdout=subprocess.DEVNULL), "/none", "shmemu ls")
        python(served, "import os; os.mkdir('/dev/shm/folder'); os.symlink('/etc/passwd', '/dev/shm/link')")
        refused(tool(served, "dump", "folder", stdout=subprocess.DEVNULL), "/folder", "folder")
        refused(tool(served, "dump", "link", stdout=subprocess.DEVNULL), "/link", "link")
        refused(tool(served, "load", "missing/one", input=b""), "/missing/one", "no such folder")
        refused(tool(served, "load", "--mode=8", "one", input=b""), "--mode", "8")
        load(served, "folder/one", data=b"inside")
        equal(dump(served, "folder/one"), b"inside")
        with open("/dev/full", "wb") as full:
            refused(tool(served, "dump", "folder/one", stdout=full), "/folder/one", "No space left")
        directory = os.open(top, os.O_RDONLY)
        refused(tool(served, "load", "two", stdin=directory), "/two", "standard input", "directory")
        os.close(directory)
        for words in (("dump",), ("load",), ("dump", "a", "b"), ("load", "/"), ("dump", "--force", "a")):
            check_refusal(run(SHMEMU, *words), TOOL)


def on_terminal(command, columns):
    """What it shows a person."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv("/bin/sh", ["sh", "-c", command])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    seen = b""
    try:
        while select.select([terminal], [], [], PATIENCE)[0]:
            seen += os.read(terminal, 4096)
    except OSError:  # so a terminal says that nobody has it any more
        pass
    os.close(terminal)
    os.waitpid(pid, 0)
    return seen.decode()


@case()
def a_terminal_shows_how_far_it_is():
    with daemon() as served:
        feed = "sleep 0.3; for i in 1 2 3 4 5 6; do head -c 1000000 /dev/zero; sleep 0.1; done"
        for columns in (80, 200, 30):
            seen = on_terminal(f"({feed}) | {SHMEMU} load --force --dir={served.dir} large", columns)
            frames = seen.split("\r")
            assert any(frame.startswith("large ") and "/s" in frame for frame in frames), seen
            assert all(len(frame.replace("\033[K", "").rstrip("\n")) < columns for frame in frames), seen
            assert seen.endswith("\r\033[K"), seen
            seen = on_terminal(f"{SHMEMU} dump --dir={served.dir} large | (for i in 1 2 3 4 5; do sleep 0.1; head -c 1200000; "
                               "done) >/dev/null", columns)
            assert "% " in seen and ("[#" in seen or columns == 30), seen
            assert seen.endswith("\r\033[K"), seen
        seen = on_terminal(f"{SHMEMU} dump --dir={served.dir} large", 80)
        assert "terminal" in seen and "\0" not in seen, seen
