# SPDX-License-Identifier: LGPL-2.1-or-later
"""shmemu top: on terminals of all kinds, and for a file."""

import os
import pty
import signal
import subprocess
import termios
import time

from cli_limit import MIB, daemon
from cli_ipc import rows
from cli_ls import NAMES, WAYS, everything
from cli_world import SHMEMU, case, check_refusal, equal, run, until
from client_screen import CONTROLS, COLOURS, Terminal, has_colours

TITLES = ["NAME", "KIND", "ID", "SIZE", "RESIDENT", "COUNT", "MODE", "OWNER", "STATE", "AGE", "HOLDERS", "MAKER",
          "COMMAND"]
QUICK = "--delay=0.2"
DRAWN = b"\x1b[?2026l"  # a screen's end
# By which lines are to rise.
VALUES = {"name": lambda row: row["name"].encode(), "size": lambda row: -row["size"],
          "age": lambda row: row["birth"] or 1 << 60, "resident": lambda row: -row["resident"]}


def top(d, *words, **options):
    return Terminal(SHMEMU, "top", f"--dir={d.dir}", *words, **options)


def names(seen):
    """Those that the screen shows, in their order."""
    start = next(i for i, line in enumerate(seen.lines) if line.startswith("NAME"))
    return [line.split()[0] for line in seen.lines[start + 1:]]


def until_drawn(terminal, shown=None):
    """Until a screen is there as a whole, with that in its first line."""
    terminal.until(lambda seen: seen.raw.endswith(DRAWN) and (shown or "top") in "".join(seen.lines[:1]))


def settings(terminal):
    return termios.tcgetattr(terminal)


def check_as_it_was(terminal):
    """The first screen, as empty as it was, with its cursor, and with the settings of a new terminal."""
    equal((terminal.lines, terminal.screen.kept, terminal.screen.unknown), ([], None, []))
    assert not terminal.screen.cursor.hidden
    master, slave = pty.openpty()
    try:
        equal(settings(terminal.terminal), settings(slave))
    finally:
        os.close(master)
        os.close(slave)


@case()
def a_screen_is_full_and_clean():
    with everything() as d:
        count = len(rows(d))
        for columns, lines in ((80, 24), (80, 10), (200, 60), (40, 24)):
            for env, words, coloured in WAYS:
                if env.get("TERM") == "dumb":
                    continue
                with top(d, *words, columns=columns, rows=lines, env=env) as terminal:
                    until_drawn(terminal)
                    equal((len(terminal.lines), terminal.screen.unknown), (min(lines, 5 + count), []))
                    assert terminal.lines[0].startswith("shmemu top - "), terminal.lines
                    titles = terminal.lines[4].split()
                    equal(titles, TITLES if columns == 200 else [name for name in TITLES if name in titles])
                    raw = terminal.raw
                    equal((env, words, has_colours(raw)), (env, words, coloured))
                    # Nothing that a name has moves the cursor: all that does is top's own.
                    moves = {found.group() for found in CONTROLS.finditer(COLOURS.sub(b"", raw))}
                    assert moves <= {b"\x1b[?1049h", b"\x1b[?25l", b"\x1b[H", b"\x1b[K", b"\x1b[J", b"\r",
                                     b"\x1b[?2026h", DRAWN}, moves
                    terminal.press("q")
                    equal(terminal.end().status, 0)
                    check_as_it_was(terminal)


@case()
def keys_sort():
    with everything() as d:
        with top(d, columns=700, rows=60) as terminal:
            # By the first word that is shown. Of System V several have one key.
            seen = {(f"/{NAMES[name[1:]]}" if name[1:] in NAMES else name).split(" ")[0]: row
                    for (_, name), row in rows(d).items() if name.startswith("/")}
            for key, word in ((None, "resident"), ("n", "name"), ("s", "size"), ("a", "age"), ("r", "resident")):
                if key:
                    terminal.press(key)
                until_drawn(terminal, f"by {word}")
                found = [seen[name] for name in names(terminal) if name.startswith("/")]
                equal(len(found), len(seen))
                values = [VALUES[word](row) for row in found]
                equal((word, values), (word, sorted(values)))
                assert word != "resident" or found[0]["name"] == "/large", found
            terminal.press("x?\x1b[A")  # what is no key of ours
            terminal.press("q")
            equal(terminal.end().status, 0)
        with top(d, "--sort=name") as terminal:
            terminal.until("by name")


@case()
def it_looks_again():
    with daemon() as d, top(d, QUICK) as terminal:
        terminal.until("0 objects, 0 orphans")
        d.python("import os; os.posix_fallocate(os.open('/dev/shm/new', os.O_CREAT | os.O_RDWR), 0, 1 << 20)")
        until_drawn(terminal, "1 object, 1 orphan")
        equal(names(terminal), ["/new"])
        d.unlink("/new")
        until_drawn(terminal, "0 objects")
        equal([line for line in terminal.lines if "/new" in line], [])


@case()
def another_size_is_another_screen():
    with everything() as d, top(d, "--delay=1000", columns=80, rows=24) as terminal:
        terminal.until("NAME")
        count = len(rows(d))
        for columns, lines in ((200, 50), (60, 7), (30, 3), (80, 24)):
            terminal.resize(columns, lines)
            terminal.until(lambda seen: seen.raw.endswith(DRAWN) and len(seen.lines) == min(lines, 5 + count) and (
                lines < 5 or ("COUNT" in seen.lines[4]) == (columns == 200)))
            equal(terminal.screen.unknown, [])
        terminal.press("q")
        equal(terminal.end().status, 0)
        check_as_it_was(terminal)


@case()
def a_signal_leaves_the_terminal_as_it_was():
    with everything() as d:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            with top(d) as terminal:
                terminal.until("NAME")
                os.kill(terminal.pid, number)
                equal(terminal.end().status, -number)
                check_as_it_was(terminal)
        for key, number in (("\x03", signal.SIGINT), ("\x1c", signal.SIGQUIT)):
            with top(d) as terminal:
                terminal.until("NAME")
                terminal.press(key)
                equal(terminal.end().status, -number)
                check_as_it_was(terminal)


@case()
def a_daemon_that_hangs_hangs_nobody():
    with everything() as d, top(d, QUICK) as terminal:
        until_drawn(terminal)
        worker = d.worker()
        os.kill(worker, signal.SIGSTOP)
        try:
            time.sleep(1)  # by now it has asked, and waits
            terminal.press("\x03")
            equal(terminal.end().status, -signal.SIGINT)
            check_as_it_was(terminal)
        finally:
            os.kill(worker, signal.SIGCONT)


@case()
def it_stops_and_goes_on_as_a_job():
    with everything() as d, Terminal("bash", "--norc", "--noprofile", "-i", columns=80, rows=24,
                                     env={"PS1": "ready> "}) as shell:
        def job(typed, *shown):
            shell.press(typed)
            for text in shown:
                shell.until(text)

        shell.until("ready>")
        job("set -b; clear\r", "ready>")
        job(f"{SHMEMU} top --dir={d.dir} --delay=1000\r", "shmemu top - ")
        job("\x1a", "Stopped")
        assert not any("NAME" in line for line in shell.lines), shell.lines
        assert not shell.screen.cursor.hidden
        # In the background it waits until it is back.
        shell.press("bg\r")
        shell.until(lambda seen: sum("]+  Stopped" in line for line in seen.lines) == 2)
        job("fg\r", "shmemu top - ", "NAME")
        shell.press("q")
        shell.until(lambda seen: not any("NAME" in line for line in seen.lines))
        job("echo status $?\r", "status 0")
        job("clear\r", "ready>")
        # A SIGSTOP can't be seen coming: what it leaves is set right when it goes on.
        job(f"{SHMEMU} top --dir={d.dir} --delay=1000\r", "shmemu top - ")
        children = f"/proc/{shell.pid}/task/{shell.pid}/children"
        with open(children) as file:
            pid = int(file.read())
        os.kill(pid, signal.SIGSTOP)
        shell.until(lambda seen: sum("]+  Stopped" in line for line in seen.lines) == 1)
        job("fg\r", "shmemu top - ", "NAME")
        shell.press("q")
        job("echo status $?\r", "status 0")
        shell.press("exit\r")
        equal((shell.end().status, shell.screen.unknown), (0, []))


@case()
def the_daemon_may_go_and_come_back():
    with everything() as d, top(d, QUICK, columns=120, rows=40) as terminal:
        terminal.until("NAME")
        d.another_worker(signal.SIGKILL)
        clock = terminal.lines[0].split()[3]
        terminal.until(lambda seen: seen.lines[0].split()[3] != clock)
        until_drawn(terminal)
        assert "/large" in names(terminal)
    with daemon() as d:
        equal(d.fill("/first", MIB), "")
        with top(d, QUICK, columns=120) as terminal:
            until_drawn(terminal)
            os.kill(d.keeper, signal.SIGTERM)
            terminal.until(f"No daemon serves {d.dir} any more")
            until(lambda: not os.path.exists(os.path.join(d.dir, "socket")), "the daemon ends")
            equal(names(terminal), ["/first"])
            d.start()
            until_drawn(terminal, "0 objects")
            assert not any("No daemon" in line for line in terminal.lines), terminal.lines
            terminal.press("q")
            equal(terminal.end().status, 0)


@case()
def for_a_file_it_is_a_table_after_the_other():
    with everything() as d:
        count = len(rows(d))
        for words, times in (((), 1), (("--iterations=3", "--delay=0.1"), 3), (("--batch", "--iterations=1"), 1)):
            done = run(SHMEMU, "top", f"--dir={d.dir}", *words, env={**os.environ, "LC_ALL": "C.UTF-8"})
            equal((words, done.returncode, done.stderr), (words, 0, ""))
            lines = done.stdout.splitlines()
            equal((words, len(lines)), (words, times * (5 + count) + times - 1))
            equal(sum(line.startswith("shmemu top - ") for line in lines), times)
            equal(lines[4].split(), TITLES)
            assert lines[5].startswith("/large "), lines
            assert all(character.isprintable() for line in lines for character in line), done.stdout
        assert "\x1b[1mNAME" in run(SHMEMU, "top", f"--dir={d.dir}", "--color=always").stdout
        with Terminal(SHMEMU, "top", f"--dir={d.dir}", "--batch", "--iterations=2", QUICK, columns=400,
                      rows=100) as terminal:
            equal(terminal.end().status, 0)
            equal(sum(line.startswith("shmemu top - ") for line in terminal.lines), 2)
        with Terminal(SHMEMU, "top", f"--dir={d.dir}", "--iterations=2", QUICK) as terminal:
            equal(terminal.end().status, 0)
            check_as_it_was(terminal)
        # Who reads no more ends it.
        with subprocess.Popen([SHMEMU, "top", f"--dir={d.dir}", "--batch", "--delay=0.1"],
                              stdout=subprocess.PIPE) as child:
            child.stdout.readline()
            child.stdout.close()
            equal(child.wait(60), -signal.SIGPIPE)


@case()
def what_can_t_be_is_said_in_a_line():
    with daemon() as d:
        for term in ("dumb", ""):
            with top(d, term=term) as terminal:
                equal(terminal.end().status, 125)
                equal(len(terminal.raw.splitlines()), 1)
                assert b"--batch" in terminal.raw, terminal.raw
        for words in (["--delay=0"], ["--delay=x"], ["--delay=nan"], ["--delay=-1"], ["--iterations=0"],
                      ["--iterations=x"], ["--sort=colour"], ["--color=sometimes"], ["/"]):
            check_refusal(run(SHMEMU, "top", f"--dir={d.dir}", *words), 125)
        where = d.dir
    done = run(SHMEMU, "top", f"--dir={where}")
    check_refusal(done, 125)
    equal(done.stderr, run(SHMEMU, "ls", f"--dir={where}").stderr)
