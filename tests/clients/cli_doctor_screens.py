# SPDX-License-Identifier: LGPL-2.1-or-later
"""Screens of shmemu doctor: at 80 and 200 columns, with and without colours, on a terminal and not."""

import re

from cli_doctor_programs import write
from cli_world import SHMEMU, Skip, case, equal, folder, run

try:
    from client_screen import has_colours, plain, show
except ImportError as error:
    missing = error
else:
    missing = None

COLUMNS = (80, 200)


def screens(top):
    """Command lines whose output is the same each time, but for bytes that are free. The last two are long in each cell."""
    script = write(f"{top}/a-script-{'of-a-long-name-' * 9}", f"#!/bin/sh\n{top}/static\n")
    write(f"{top}/static", open(SHMEMU, "rb").read(5000).replace(b"/lib64/ld", b"/lib64/lx"))
    steering = write(f"{top}/\x1b[2Jsteering\n\\x41", "#!/bin/sh\n")
    return [("doctor", f"--dir={top}/none"), ("doctor", "--", steering), ("doctor", "--", "cat"), ("doctor", "--", SHMEMU), ("doctor", "--", script)]


def piped(*words, **options):
    done = run(SHMEMU, *words, **options)
    equal(done.stderr, "")
    return done.returncode, done.stdout


def words_of(text):
    """Without what changes, and without blanks: a path may be cut at a slash."""
    return re.sub(r"\s", "", re.sub(r"[\d.]+ \w+, of which\s+[\d.]+\s+\w+ are", "", text))


def by_rows(lines):
    """What a table says, its last column put together from lines, in the order in which it is read."""
    title = next(line for line in lines if "DETAILS" in line)
    start = title.index("DETAILS")
    told = ""
    for line in lines:
        blank = line[:start].strip() == ""
        told += line[start:] + " " if blank else line + " "
    return told


def check_screen(words, columns, text, status):
    if missing:
        raise Skip(f"python3-pyte is not installed: {missing}")
    seen = show(SHMEMU, *words, columns=columns)
    lines = plain(seen.raw)
    equal((words, columns, seen.status, seen.screen.unknown), (words, columns, status, []))
    # Nothing is cut by the screen, or goes over its edge.
    equal((words, columns, [line for line in lines if len(line) > columns]), (words, columns, []))
    equal(seen.lines, [line.rstrip() for line in lines])
    if text.startswith("PROGRAM"):
        # Two columns have lines of their own: all of it is there, in whatever order.
        equal(sorted(words_of("".join(lines))), sorted(words_of(text)))
        assert "steering" not in text or text.count("\\x1b[2J") == 2, text
    else:
        equal(words_of(by_rows(lines)), words_of(text))
    assert has_colours(seen.raw), seen.raw
    colours = set().union(*(seen.colours(row) for row in range(len(lines))))
    assert colours <= {"default", "green", "red", "brown", "yellow"} and "green" in colours, colours
    return len(lines)


@case()
def screens_are_clean():
    with folder() as top:
        for words in screens(top):
            status, text = piped(*words)
            narrow, wide = (check_screen(words, columns, text, status) for columns in COLUMNS)
            assert narrow >= wide >= len(text.splitlines()), (words, narrow, wide)


@case()
def words_are_whole():
    """Only what is longer than its column is cut."""
    if missing:
        raise Skip(f"python3-pyte is not installed: {missing}")
    with folder() as top:
        whole = set(piped("doctor", f"--dir={top}/none")[1].split())
        for columns in COLUMNS:
            lines = plain(show(SHMEMU, "doctor", f"--dir={top}/none", columns=columns).raw)
            cut = [word for word in " ".join(lines).split() if word not in whole and "/" not in word and not
                   any(word in long for long in whole if "/" in long) and not re.fullmatch(r"[\d.]+", word)]
            equal((columns, cut), (columns, []))


@case()
def colours_are_where_they_are_wanted():
    if missing:
        raise Skip(f"python3-pyte is not installed: {missing}")
    with folder() as top:
        for words in screens(top)[1:]:
            status, text = piped(*words)
            equal((has_colours(text.encode()), piped(*words)), (False, (status, text)))
            for option, env, term, wanted in (("auto", {}, "xterm", True), ("auto", {}, "dumb", False),
                                              ("auto", {"NO_COLOR": "1"}, "xterm", False),
                                              ("auto", {"NO_COLOR": ""}, "xterm", True),
                                              ("always", {"NO_COLOR": "1"}, "dumb", True),
                                              ("never", {}, "xterm", False)):
                seen = show(SHMEMU, words[0], f"--color={option}", *words[1:], columns=200, env=env, term=term)
                equal((option, env, term, has_colours(seen.raw)), (option, env, term, wanted))
            coloured = piped(words[0], "--color=always", *words[1:])[1]
            equal((has_colours(coloured.encode()), plain(coloured.encode())), (True, text.splitlines()))
            # JSON never has any.
            for option in ("always", "auto"):
                assert not has_colours(piped(words[0], "--json", f"--color={option}", *words[1:])[1].encode())


@case()
def a_narrow_screen_is_no_trouble():
    if missing:
        raise Skip(f"python3-pyte is not installed: {missing}")
    with folder() as top:
        for columns in (1, 20, 40):
            seen = show(SHMEMU, "doctor", f"--dir={top}/none", columns=columns, rows=400)
            equal((columns, seen.status, seen.screen.unknown), (columns, 0, []))


@case()
def a_closed_pipe_is_told():
    script = f"{SHMEMU} doctor -- cat 2>&1 >/dev/full"
    done = run("sh", "-c", script)
    equal((done.returncode, done.stdout), (125, "shmemu: cannot write the table\n"))
