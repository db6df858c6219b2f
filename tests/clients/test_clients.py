#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Programs that know nothing of shmemu, from Debian and PyPI: TAP on standard output.

Aim: what runs where shared memory is good runs as well where there is none. Method: each client
runs in the worlds of client_world.py, unmodified; the native world says what is to be expected.
A client that only falls back would pass, so what it shared must have been seen in the store; and on
the same host without the library it must fail.
SHMEMU_PREFIX is where shmemu is installed, SHMEMU_VENV what scripts/venv made; all users must be
able to read both.
"""

import os
import re
import signal
import sys
import textwrap

sys.dont_write_bytecode = True
from client_tap import Skip, Tap
from client_world import (PYTHON, SHMEMU, VENV, VENV_PYTHON, Lambda, Native, Served, private, settled,
                          until, world, worlds)
from client_wire import Daemon

HERE = os.path.dirname(os.path.abspath(__file__))
EXAMPLE = os.path.join(HERE, "../../examples/share.py")
CRITERION = os.environ.get("SHMEMU_CRITERION", "")
ONE_LINE = ("from multiprocessing import shared_memory; "
            "sm = shared_memory.SharedMemory(create=True, size=1024); sm.close(); sm.unlink()")
HELD = ("from multiprocessing import shared_memory; "
        "sm = shared_memory.SharedMemory(create=True, size=1024); print(sm.name, flush=True); "
        "input(); sm.close(); sm.unlink()")
POSIX_IPC_TESTS = ["tests.test_memory", "tests.test_semaphores",
                   "tests.test_module.TestModule.test_unlink_semaphore",
                   "tests.test_module.TestModule.test_unlink_shared_memory"]


def equal(found, wanted, done=""):
    assert found == wanted, f"found {found!r}, not {wanted!r}\n{done}"


def check_silent(done):
    equal((done.status, done.out, done.err), (0, "", ""))


def check_empty(w):
    until(lambda: w.files() == {}, f"left in the store: {w.files()}")


# The one line of Python.

def one_line(kind):
    with world(kind) as w:
        done = w.run(PYTHON, "-c", ONE_LINE)
        check_silent(done)
        if w.with_library:
            assert len(done.traced) == 1 and done.requests >= 2, done.traced
        check_empty(w)
        with w.popen(PYTHON, "-c", HELD, stdin=-1) as process:
            name = process.stdout.readline().strip()
            held = w.files()
            process.communicate("\n")
        equal((process.returncode, held), (0, {name: 1024}))
        check_empty(w)
        return f"{name} seen in the store"


def one_line_by_run(*words):
    with world(Lambda) as w:
        done = w.run(*words, PYTHON, "-c", ONE_LINE, enter=False, env={"SHMEMU_DIR": None})
        check_silent(done)
        equal((len(done.traced), done.requests), (1, 0), "it has a daemon of its own")


def one_line_alone():
    """No daemon anywhere: the library starts one, for this user."""
    with world(Lambda) as w:
        done = w.run(PYTHON, "-c", ONE_LINE, env={"SHMEMU_DIR": None})
        check_silent(done)
        equal((len(done.traced), done.requests), (1, 0), "it has a daemon of its own")
        folder = os.path.join(w.home, f"shmemu-{w.uid}")
        daemon = Daemon(folder)
        status = daemon.status()
        equal((status.names, status.inodes), (0, 0))
        os.kill(status.keeper, signal.SIGTERM)
        daemon.close()
        until(lambda: not os.path.exists(os.path.join(folder, "socket")), "its daemon to end")


def fails_without_library(words, complaint):
    """On the same host, without the library: nothing is shared, and the client says so."""
    with world(Lambda) as w:
        done = w.run(*words(w), preload=False)
        assert done.status != 0 and re.search(complaint, done.out + done.err), done
        equal((done.seen, done.traced, done.requests), ({}, [], 0), done)


# The example of the README.

def example(kind):
    with world(kind) as w:
        done = w.run(w.install(EXAMPLE))
        equal((done.status, done.err), (0, ""), done)
        w.check_used(done)
        assert max(done.seen.values()) > 256 << 20, done.seen
        check_empty(w)
        return f"{len(done.seen)} files seen; it said: {done.out.strip()}"


# posix_ipc's own tests of its SharedMemory and Semaphore.

def source(package):
    found = [entry.path for entry in os.scandir(os.path.join(VENV, "src"))
             if entry.is_dir() and entry.name.startswith(package + "-")]
    equal(len(found), 1, f"of {package} in {VENV}/src")
    return found[0]


def posix_ipc_words(w):
    return VENV_PYTHON, "-m", "unittest", "-v", *POSIX_IPC_TESTS


def outcomes(done):
    """Returns how each test of unittest's verbose output ended."""
    found = re.findall(r"^(test\w+ \([\w.]+\)).*?\.\.\. (\w+)", done.err, re.M | re.S)
    ran = int(re.search(r"^Ran (\d+) tests? in", done.err, re.M)[1])
    equal(len(found), ran, done)
    return dict(found)


def posix_ipc(kind):
    with world(kind) as w:
        done = w.run(*posix_ipc_words(w), cwd=source("posix_ipc"))
        ended = outcomes(done)
        assert done.status == 0 and set(ended.values()) == {"ok"}, done
        expected.setdefault("posix_ipc", ended)
        equal(ended, expected["posix_ipc"], done)
        w.check_used(done)
        # One of them leaves its segment behind, natively too.
        equal(sorted(w.files().values()), [4096])
        return f"{len(ended)} ran, all passed; {len(done.seen)} files seen"


def posix_ipc_without():
    with world(Lambda) as w:
        done = w.run(*posix_ipc_words(w), cwd=source("posix_ipc"), preload=False)
        ended = outcomes(done)
        passed = [name for name, how in ended.items() if how == "ok"]
        assert len(ended) == len(expected["posix_ipc"]) and len(passed) < 4, done
        equal((done.seen, done.traced, done.requests), ({}, [], 0), done)
        return f"{len(ended)} ran, {len(passed)} passed"


# shmutils: the examples in its README. Its source package has no other tests.

def check_shmutils():
    """Not every version of Python can run it: that is seen natively."""
    if "shmutils" not in expected:
        with world(Native) as w:
            done = w.run(VENV_PYTHON, "-c", "import shmutils; shmutils.MappedMemory(0, 4096)")
            expected["shmutils"] = done.status == 0 or done.err.strip().splitlines()[-1]
    if expected["shmutils"] is not True:
        raise Skip(f"natively it does not work with this Python: {expected['shmutils']}")


def readme():
    return os.path.join(source("shmutils"), "README.rst")


def readme_example(word):
    """Returns the example that has the word in it."""
    with open(readme()) as file:
        blocks = re.findall(r"code-block:: python\n\n((?: .*\n|\n)+)", file.read())
    found = [textwrap.dedent(block) for block in blocks if word in block]
    equal(len(found), 1, f"examples with {word} in {readme()}")
    return found[0]


def shmutils_doctest(kind):
    check_shmutils()
    with world(kind) as w:
        done = w.run(VENV_PYTHON, "-m", "doctest", "-v", readme())
        told = re.search(r"^(\d+) passed and (\d+) failed\.$|^(\d+) passed\.$", done.out, re.M)
        equal(done.status, 0, done)
        expected.setdefault("doctest", told[0])
        equal(told[0], expected["doctest"], done)
        return told[0]


def shmutils_fork(kind):
    check_shmutils()
    text = readme_example("test-lock")
    with world(kind) as w:
        program = w.install("fork.py", text)
        # Python stays on after the last assert, and does what it reads.
        done = w.run(VENV_PYTHON, "-i", program, input="print('reached', r1 + r2)\n")
        equal((done.status, done.out), (0, "reached 20000\n"), done)
        w.check_used(done)
        equal(w.files(), {"test-lock": 409600})
        return "two workers made 20000 increments; 'test-lock' seen in the store"


def shmutils_spawn(kind):
    """As it is printed it ends in an exception; how far it goes must be the same everywhere."""
    text = readme_example("test-mmap-spawn")
    with world(kind) as w:
        done = w.run(VENV_PYTHON, w.install("spawn.py", text))
        reached = (done.status, re.findall(r"line (\d+), in <module>", done.err),
                   done.err.strip().splitlines()[-1])
        expected.setdefault("spawn", reached)
        equal(reached, expected["spawn"], done)
        if w.with_library:
            assert "test-mmap-spawn" in done.traced, done
        return f"to line {reached[1][-1]} of {text.count(chr(10))}: {reached[2]}"


# The published version has neither this indexing nor a detach() that gives two values; and 1 GiB at
# a fixed address overwrites what is there, unless addresses are given from below (setarch -L).
MENDED = {"unused_space[len(unused_space) - PAGE": "unused_space.at[len(unused_space) - PAGE",
          "raw_address, size = unused": "_, raw_address, size, *_ = unused"}


def mended():
    text = readme_example("test-mmap-spawn")
    for printed, meant in MENDED.items():
        equal(text.count(printed), 1, printed)
        text = text.replace(printed, meant)
    return text


def shmutils_spawn_words(w):
    return "setarch", "-L", VENV_PYTHON, "-i", w.install("spawn.py", mended())


def shmutils_spawn_mended(kind):
    check_shmutils()
    with world(kind) as w:
        done = w.run(*shmutils_spawn_words(w), input="print('reached', future.result())\n")
        equal((done.status, done.out), (0, "reached 1923\n"), done)
        w.check_used(done)
        equal(done.seen["test-mmap-spawn"], 1 << 30)
        check_empty(w)
        return "1 GiB at one address in both processes; 'test-mmap-spawn' seen in the store"


# numpy: 1 GiB shared by two processes.

def numpy_words(w):
    return VENV_PYTHON, w.install(os.path.join(HERE, "numpy_sum.py"))


def numpy_sum(kind):
    size, count = 1 << 20, 1 << 27  # in kB, of items
    with world(kind) as w:
        done = w.run(*numpy_words(w))
        equal((done.status, done.err), (0, ""), done)
        (total, *reader), writer = ([int(word) for word in line.split()]
                                    for line in done.out.splitlines())
        equal(total, count * (count - 1) // 2, done)
        for shared, private, portion in (reader, writer):
            assert size <= shared < 1.05 * size and private < 0.1 * size, done
            assert 0.45 * size < portion < 0.55 * size, done
        w.check_used(done)
        equal(max(done.seen.values()), 1 << 30)
        check_empty(w)
        return (f"resident in kB, reader and writer: {reader[0]} and {writer[0]} shared, "
                f"{reader[2] + writer[2]} in truth; {reader[1]} and {writer[1]} private")


# 200 processes at once.

PROCESSES, SEGMENTS = 200, 50


def storm_words(w, segments):
    return PYTHON, w.install(os.path.join(HERE, "storm.py")), str(PROCESSES), str(segments)


def room_for_fds(pid):
    with open(f"/proc/{pid}/limits") as file:
        hard = re.search(r"^Max open files +\d+ +(\d+)", file.read(), re.M)[1]
    return int(hard) - 500


def storm(kind):
    with world(kind) as w:
        served = isinstance(w, Served)
        if served and room_for_fds(w.pid) < PROCESSES * SEGMENTS:
            raise Skip(f"the daemon may have {room_for_fds(w.pid)} descriptors only")
        if served:
            w.run(PYTHON, "-c", ONE_LINE)  # what a daemon opens once is open now
            w.files()
        before = settled(w.fds) if served else 0
        done = w.run(*storm_words(w, SEGMENTS), patience=300, interval=0.1)
        equal((done.status, done.out, done.err), (0, f"{PROCESSES}\n", ""), done)
        w.check_used(done)
        if w.with_library:
            equal(len(done.traced), 2 * PROCESSES * SEGMENTS)
        check_empty(w)
        if served:
            until(lambda: w.fds() == before, f"{w.fds()} descriptors, {before} before")
        return f"{done.seconds:.1f} s; {len(done.seen)} segments seen; descriptors: {before} again"


def storm_without(w):
    return PYTHON, w.install(os.path.join(HERE, "storm.py")), "3", "3"


# A test of our own: Criterion's runner keeps its arenas in shared memory.

def criterion_words(w):
    return w.install(CRITERION), "--tap=-"


def criterion(kind):
    with world(kind) as w:
        done = w.run(*criterion_words(w))
        cases = re.findall(r"^(not ok|ok) - ", done.out, re.M)
        equal((done.status, set(cases)), (0, {"ok"}), done)
        if w.with_library:
            # Unlinked as soon as made: to be seen in the trace only.
            assert any(name.startswith("bxf_arena_") for name in done.traced), done
            assert done.requests >= len(set(done.traced)), done
        check_empty(w)
        return f"{len(cases)} cases ran, {len(done.traced)} arenas traced"


expected = {}  # what was found natively

IN_WORLDS = [
    ("one line of Python", one_line),
    ("the example of the README", example),
    ("posix_ipc: its tests of SharedMemory and Semaphore", posix_ipc),
    ("shmutils: doctest of its README", shmutils_doctest),
    ("shmutils: its fork example", shmutils_fork),
    ("shmutils: its spawn example, as printed", shmutils_spawn),
    ("shmutils: its spawn example, mended", shmutils_spawn_mended),
    ("numpy: 1 GiB summed in another process", numpy_sum),
    ("a Criterion test", criterion),
    (f"{PROCESSES} processes, {SEGMENTS} segments each", storm),
]
WITHOUT = [
    ("one line of Python", lambda w: (PYTHON, "-c", ONE_LINE), "FileNotFoundError.*psm_"),
    ("the example of the README", lambda w: (w.install(EXAMPLE),), "FileNotFoundError.*psm_"),
    ("shmutils: its fork example",
     lambda w: (VENV_PYTHON, w.install("fork.py", readme_example("test-lock"))),
     "FileNotFoundError"),
    ("shmutils: its spawn example, mended", lambda w: shmutils_spawn_words(w)[:3]
     + shmutils_spawn_words(w)[4:], "FileNotFoundError"),
    ("numpy: 1 GiB", numpy_words, "FileNotFoundError.*psm_"),
    ("a Criterion test", criterion_words, ""),
    ("processes with segments", storm_without, "FileNotFoundError"),
]


def main():
    for path in (SHMEMU, VENV_PYTHON, CRITERION):
        if not os.access(path, os.X_OK):
            sys.exit("SHMEMU_PREFIX must be where shmemu is installed, SHMEMU_VENV what "
                     "scripts/venv made, SHMEMU_CRITERION a Criterion test: "
                     f"there is no '{path}'")
    private()
    for name in ("LD_PRELOAD", "SHMEMU_DIR", "SHMEMU_LOG", "PYTHONPATH", "PYTHONHOME"):
        os.environ.pop(name, None)
    os.umask(0o022)
    tap = Tap()
    for what, function in IN_WORLDS:
        for kind in worlds():
            tap.run(f"{kind.name}: {what}", function, kind)
    run, without = (SHMEMU, "run", "--"), (SHMEMU, "without", "lambda", "--")
    tap.run("lambda: one line by 'run -- without lambda'", one_line_by_run, *run, *without)
    tap.run("lambda: one line by 'without lambda -- run'", one_line_by_run, *without, *run)
    tap.run("lambda: one line, the library alone", one_line_alone)
    for what, words, complaint in WITHOUT:
        tap.run(f"lambda, without the library: {what} fails", fails_without_library,
                words, complaint)
    tap.run("lambda, without the library: posix_ipc's tests fail", posix_ipc_without)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
