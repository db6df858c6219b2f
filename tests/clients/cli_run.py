# SPDX-License-Identifier: LGPL-2.1-or-later
"""shmemu run: invisible, but for its report."""

import contextlib
import glob
import os
import pty
import re
import shutil
import signal
import subprocess

from cli_world import (PATIENCE, PREFIX, PYTHON, SHMEMU, capabilities, case, check_refusal,
                       check_statuses, equal, folder, is_root, run, status_of, until)

CLEAN = """
from multiprocessing import shared_memory
segment = shared_memory.SharedMemory(create=True, size=1024)
segment.close()
segment.unlink()
"""

LEAK = """
import _multiprocessing, _posixshmem, os
fd = _posixshmem.shm_open("/psm_1", os.O_CREAT | os.O_RDWR, 0o600)
os.ftruncate(fd, 1024)
_multiprocessing.SemLock(1, 1, 1, "/mp-x", False)
"""

# Ends with 3 once it got a SIGTERM, and says how many it got by then and a while later.
COUNT = """
import os, signal, sys, time
seen = []
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
    signal.signal(number, lambda number, frame: seen.append(signal.Signals(number).name))
print("ready", flush=True)
while not seen: signal.pause()
end = time.monotonic() + 0.5
while time.monotonic() < end: time.sleep(0.05)
print(" ".join(seen), flush=True)
sys.exit(3)
"""

LINE = r"shmemu: left behind: {} of {} bytes, made by process \d+ \({}[^\n]*\)\n"
LEAK_LINES = (LINE.format("segment /psm_1", 1024, PYTHON) +
              LINE.format("semaphore /mp-x", r"\d+", PYTHON))


def leak(*words, **options):
    done = run(*words, PYTHON, "-c", LEAK, **options)
    equal(done.stdout, "")
    assert re.fullmatch(LEAK_LINES, done.stderr), done.stderr
    return done.returncode


def exists(pid):
    return os.path.exists(f"/proc/{pid}")


def private_place(tmpdir):
    """The SHMEMU_DIR of the one run whose TMPDIR this is."""
    outer, = glob.glob(os.path.join(tmpdir, "shmemu-run-*"))
    equal(os.stat(outer).st_mode & 0o777, 0o711 if is_root() else 0o700)
    if not is_root():
        return outer
    inner, = os.listdir(outer)
    assert re.fullmatch("[0-9a-f]{32}", inner), inner
    return os.path.join(outer, inner)


def daemon_of(tmpdir):
    with open(os.path.join(private_place(tmpdir), "shmfs.lock")) as lock:
        return int(lock.read())


@contextlib.contextmanager
def started(tmpdir, *command, options=(), **arguments):
    """A run whose command has said that it is ready."""
    environment = {**os.environ, "TMPDIR": tmpdir}
    with subprocess.Popen((SHMEMU, "run", *options, "--", *command), env=environment, text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, **arguments) as process:
        try:
            equal(process.stdout.readline(), "ready\n")
            yield process
        except BaseException:
            process.send_signal(signal.SIGCONT)
            process.terminate()
            raise


@case()
def a_clean_run_says_nothing():
    with folder() as tmpdir:
        for command in (CLEAN, "print('hello')"):
            done = run(SHMEMU, "run", "--strict", PYTHON, "-c", command,
                       env={**os.environ, "TMPDIR": tmpdir})
            equal((done.returncode, done.stderr), (0, ""))


@case()
def the_command_is_as_it_was():
    """Arguments, environment, descriptors, working folder, signals: nothing is added or taken."""
    script = ("import os, signal, sys; print(sys.argv[1:], os.getcwd(), sorted(os.listdir("
              "'/proc/self/fd')), sorted(signal.pthread_sigmask(0, [])), signal.getsignal("
              "signal.SIGCHLD), sys.stdin.read(), {k: v for k, v in os.environ.items() if k not in "
              "('SHMEMU_DIR', 'LD_PRELOAD', '_')})")
    command = PYTHON, "-c", script, "a b", "--keep", "--", ""
    reader, writer = os.pipe()
    options = {"input": "typed", "stdin": None, "cwd": "/usr", "pass_fds": [writer]}
    native, ours = run(*command, **options), run(SHMEMU, "run", *command, **options)
    os.close(reader)
    os.close(writer)
    equal((ours.returncode, ours.stderr, ours.stdout), (0, "", native.stdout))


@case()
def what_goes_on_in_the_background_is_told_of():
    """With --keep it has what it uses."""
    stay = LEAK + """
import sys, time
print("ready", flush=True)
os.dup2(os.open("/dev/null", os.O_WRONLY), 1)
os.dup2(1, 2)
time.sleep(600)
"""
    start = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], start_new_session=True,
                         stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
"""
    left = LINE.format("segment /psm_1", 1024, PYTHON)[:-len("\\n")] + ", in use\n"
    for options in (), ("--keep",):
        done = run(SHMEMU, "run", *options, "--", PYTHON, "-c", start, stay)
        os.kill(int(done.stdout), signal.SIGKILL)
        assert re.search(left, done.stderr), done.stderr
        equal("goes into the background" in done.stderr, not options)
        kept = re.search(r"kept: .*process (\d+),", done.stderr)
        equal(bool(kept), bool(options))
        if kept:
            os.kill(int(kept[1]), signal.SIGTERM)
            until(lambda daemon=kept[1]: not exists(daemon), "the daemon ends")


@case()
def the_library_comes_first():
    command = SHMEMU, "run", "sh", "-c", "echo $LD_PRELOAD"
    library = run(*command).stdout.strip()
    assert library.startswith(PREFIX) and library.endswith("/libshmemu.so"), library
    other = glob.glob("/usr/lib/*/libpthread.so.0")[0]
    equal(run(*command, env={**os.environ, "LD_PRELOAD": other}).stdout.strip(),
          f"{library}:{other}")
    equal(run(*command, env={**os.environ, "LD_PRELOAD": library}).stdout.strip(), library)


@case()
def leaks_are_reported():
    with folder() as tmpdir:
        environment = {**os.environ, "TMPDIR": tmpdir}
        equal(leak(SHMEMU, "run", env=environment), 0)
        equal(leak(SHMEMU, "run", "--strict", env=environment), 1)
    done = run(SHMEMU, "run", "--strict", PYTHON, "-c", LEAK + "raise SystemExit(5)")
    equal(done.returncode, 5)
    assert re.fullmatch(LEAK_LINES, done.stderr), done.stderr


@case()
def many_leaks_are_all_reported():
    script = LEAK + "for i in range(100): _posixshmem.shm_open(f'/many-{i}', 66, 0o600)"
    lines = run(SHMEMU, "run", PYTHON, "-c", script).stderr.splitlines()
    equal(len(lines), 102)
    equal(len(set(lines)), 102)


@case()
def control_characters_are_escaped():
    script = LEAK.replace("/psm_1", r"/a\x1b[31m\nb") + "# \x1b[2J"
    done = run(SHMEMU, "run", PYTHON, "-c", script)
    assert r"segment /a\x1b[31m\x0ab of" in done.stderr, done.stderr
    assert "\x1b" not in done.stderr
    equal(len(done.stderr.splitlines()), 2)


@case()
def composes_with_without():
    without = SHMEMU, "without", "lambda", "memfd_create", "--"
    equal(leak(SHMEMU, "run", *without), 0)
    equal(leak(SHMEMU, "run", SHMEMU, "without", "dev-shm", "--", *without), 0)
    equal(leak(*without, SHMEMU, "run"), 0)
    equal(leak(*without, SHMEMU, "run", SHMEMU, "without", "dev-shm=ro", "--"), 0)
    # What the inner run is told of, the outer has not.
    equal(leak(SHMEMU, "run", SHMEMU, "run"), 0)
    assert run(*without, PYTHON, "-c", CLEAN).returncode, "shared memory without the library?"


@case()
def who_clears_up_late_is_waited_for():
    """As Python's resource tracker does, when its parent was killed."""
    script = (LEAK + "reader, writer = os.pipe()\n"
              "if os.fork(): os.kill(os.getpid(), 9)\n"
              "import time; time.sleep(0.3); _posixshmem.shm_unlink('/psm_1')\n")
    done = run(SHMEMU, "run", PYTHON, "-c", script)
    equal(done.returncode, -signal.SIGKILL)
    assert re.fullmatch(LINE.format("semaphore /mp-x", r"\d+", PYTHON), done.stderr), done.stderr


@case()
def statuses_and_signals():
    check_statuses("run")
    check_statuses("run", "--strict", "--")


@case()
def signals_are_forwarded_once():
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        with folder() as tmpdir, started(tmpdir, PYTHON, "-c", COUNT) as process:
            process.send_signal(number)
            equal(process.stdout.read().split(), [number.name])
            equal((process.wait(PATIENCE), process.stderr.read()), (3, ""))


@case()
def a_signal_that_ends_the_command_clears_up():
    with folder() as tmpdir:
        with started(tmpdir, "sh", "-c", "echo ready; exec sleep 60") as process:
            daemon = daemon_of(tmpdir)
            process.send_signal(signal.SIGHUP)
            equal(process.wait(PATIENCE), -signal.SIGHUP)
            assert not exists(daemon)


@case()
def the_command_may_be_stopped():
    def state(pid):
        return status_of(pid)["State"][0]

    with folder() as tmpdir:
        script = "print('ready', flush=True); import os, sys, time; time.sleep(60)"
        # In a group of its own, as a shell's job is: orphaned groups are not stopped.
        with started(tmpdir, PYTHON, "-c", script, preexec_fn=os.setpgrp) as process:
            process.send_signal(signal.SIGTSTP)
            until(lambda: state(process.pid) == "T", "the tool stops with its command")
            process.send_signal(signal.SIGCONT)
            until(lambda: state(process.pid) != "T", "the tool goes on")
            process.send_signal(signal.SIGTERM)
            equal(process.wait(PATIENCE), -signal.SIGTERM)


@case()
def ctrl_c_arrives_once():
    with folder() as tmpdir:
        pid, terminal = pty.fork()
        if pid == 0:
            os.environ["TMPDIR"] = tmpdir
            os.execv(SHMEMU, [SHMEMU, "run", PYTHON, "-c", COUNT])
        with open(terminal, "r+b", buffering=0) as screen:
            equal(screen.readline(), b"ready\r\n")
            screen.write(b"\x03")
            equal(screen.readline(), b"^CSIGINT\r\n")
            equal(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 3)


@case()
def a_terminal_that_goes_away_ends_the_command():
    with folder() as tmpdir:
        pid, terminal = pty.fork()
        if pid == 0:
            os.environ["TMPDIR"] = tmpdir
            os.execv(SHMEMU, [SHMEMU, "run", "sh", "-c", "echo ready; exec sleep 60"])
        with open(terminal, "rb", buffering=0) as screen:
            equal(screen.readline(), b"ready\r\n")
        equal(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), -signal.SIGHUP)


@case()
def keep_leaves_what_is_there():
    with folder() as tmpdir:
        done = run(SHMEMU, "run", "--keep", PYTHON, "-c", LEAK,
                   env={**os.environ, "TMPDIR": tmpdir})
        equal(done.returncode, 0)
        last = done.stderr.splitlines()[-1]
        place, library, daemon = re.match(
            r"shmemu: kept: .*SHMEMU_DIR=(\S+) LD_PRELOAD=(\S+); .*process (\d+),", last).groups()
        equal(place, private_place(tmpdir))
        again = run(PYTHON, "-c", LEAK.replace("os.O_CREAT | ", "").replace(", 1024", ", 512") +
                    "_posixshmem.shm_unlink('/psm_1')",
                    env={**os.environ, "SHMEMU_DIR": place, "LD_PRELOAD": library})
        # The segment is found; the semaphore is there already.
        assert "FileExistsError" in again.stderr, again.stderr
        os.kill(int(daemon), signal.SIGTERM)
        until(lambda: not exists(daemon) and not os.listdir(tmpdir), "the folder goes too")


@case()
def keep_keeps_nothing_when_nothing_is_left():
    with folder() as tmpdir:
        done = run(SHMEMU, "run", "--keep", PYTHON, "-c", CLEAN,
                   env={**os.environ, "TMPDIR": tmpdir})
        equal((done.returncode, done.stderr, os.listdir(tmpdir)), (0, "", []))


@case()
def the_daemon_gets_nothing_of_the_callers():
    with folder() as tmpdir:
        reader, writer = os.pipe()
        other = glob.glob("/usr/lib/*/libpthread.so.0")[0]
        os.environ["LD_PRELOAD"] = other
        try:
            with started(tmpdir, PYTHON, "-c", COUNT, pass_fds=[writer]) as process:
                daemon = daemon_of(tmpdir)
                assert os.getsid(daemon) == daemon, "the daemon is in the terminal's session"
                equal(os.getsid(process.pid), os.getsid(0))
                if capabilities()["CapEff"] & 1 << 19:
                    targets = {os.readlink(path) for path in glob.glob(f"/proc/{daemon}/fd/*")}
                    assert os.readlink(f"/proc/self/fd/{writer}") not in targets, targets
                    with open(f"/proc/{daemon}/environ") as file:
                        assert "LD_PRELOAD" not in file.read()
                process.terminate()
        finally:
            del os.environ["LD_PRELOAD"]
            os.close(reader)
            os.close(writer)


@case()
def a_killed_tool_takes_its_daemon_along():
    with folder() as tmpdir:
        with started(tmpdir, "sh", "-c", "echo ready; echo $$; exec sleep 60") as process:
            command = int(process.stdout.readline())
            daemon = daemon_of(tmpdir)
            process.kill()
            until(lambda: not exists(daemon), "the daemon ends")
            os.kill(command, signal.SIGKILL)
        # Nobody is left to remove it.
        shutil.rmtree(glob.glob(os.path.join(tmpdir, "shmemu-run-*"))[0])


@case()
def a_killed_daemon_is_told():
    for options, status in (((), 0), (("--strict",), 1)):
        with folder() as tmpdir:
            fifo = os.path.join(tmpdir, "fifo")
            os.mkfifo(fifo)
            with started(tmpdir, "sh", "-c", "echo ready; read line <$0", fifo,
                         options=options) as process:
                daemon = daemon_of(tmpdir)
                os.kill(daemon, signal.SIGKILL)
                until(lambda: not exists(daemon), "the daemon is reaped")
                with open(fifo, "w") as file:
                    file.write("go\n")
                equal(process.wait(PATIENCE), status)
                assert re.fullmatch(r"shmemu: the daemon died [^\n]+\n", process.stderr.read())


@case()
def what_a_daemon_leaves_in_its_folder_goes_too():
    with folder() as tmpdir:
        script = ("cd $SHMEMU_DIR && mkdir -p nodes/a/b && mkfifo nodes/c && touch nodes/a/d && "
                  "ln -s / nodes/e")
        done = run(SHMEMU, "run", "--strict", "sh", "-c", script,
                   env={**os.environ, "TMPDIR": tmpdir})
        equal((done.returncode, done.stdout, done.stderr), (0, "", ""))


@case()
def a_broken_installation_is_told():
    with folder() as tmpdir:
        os.mkdir(os.path.join(tmpdir, "bin"))
        tool = shutil.copy(SHMEMU, os.path.join(tmpdir, "bin"))
        environment = {**os.environ, "TMPDIR": tmpdir}
        check_refusal(run(tool, "run", "true", env=environment), 125)
        shmfs = os.path.join(tmpdir, "bin/shmfs")
        with open(shmfs, "w") as file:
            file.write("#!/bin/sh\nexit 1\n")
        library = run(SHMEMU, "run", "sh", "-c", "echo $LD_PRELOAD").stdout.strip()
        ours = os.path.join(tmpdir, os.path.relpath(library, PREFIX))
        os.makedirs(os.path.dirname(ours))
        shutil.copy(library, ours)
        check_refusal(run(tool, "run", "true", env=environment), 125)  # not executable
        os.chmod(shmfs, 0o755)
        check_refusal(run(tool, "run", "true", env=environment), 125)
        with open(shmfs, "w") as file:
            file.write("#!/bin/sh\necho 'shmfs: no way' >&2\nexit 1\n")
        done = run(tool, "run", "true", env=environment)
        equal((done.returncode, done.stderr), (125, "shmemu: shmfs: no way\n"))
        check_refusal(run(SHMEMU, "run", "true", env={**os.environ, "TMPDIR": "/nowhere"}), 125)
