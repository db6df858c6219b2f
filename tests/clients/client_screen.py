# SPDX-License-Identifier: LGPL-2.1-or-later
"""What people see: a command on a terminal of its own, whose screen is pyte's.

    seen = show(SHMEMU, "ls", columns=80)              # seen.status, .raw (bytes), .lines (of the screen)
    with Terminal(SHMEMU, "top", columns=200) as terminal:
        terminal.until("NAME")
        terminal.press("q")
        terminal.end()
"""

import copy
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time

import pyte

PATIENCE = 60
ALTERNATE = 1049
COLOURS = re.compile(rb"\x1b\[[0-9;]*m")
CONTROLS = re.compile(rb"\x1b\[[0-9;?<>=]*[@-~]|\x1b[()][A-Z0-9]|\x1b[^\[()]|[\x00-\x08\x0b-\x1f\x7f]")


class Screen(pyte.Screen):
    """Goes to another screen and back when told, as xterm does; what it does not know it gathers."""

    def __init__(self, columns, rows):
        self.kept = None
        self.unknown = []
        super().__init__(columns, rows)

    def set_mode(self, *modes, **options):
        if ALTERNATE in modes and options.get("private") and not self.kept:
            self.kept = copy.deepcopy(self.buffer), copy.copy(self.cursor)
            self.erase_in_display(2)
        super().set_mode(*modes, **options)

    def reset_mode(self, *modes, **options):
        if ALTERNATE in modes and options.get("private") and self.kept:
            self.buffer, self.cursor = self.kept
            self.kept = None
            self.dirty.update(range(self.lines))
        super().reset_mode(*modes, **options)

    def debug(self, *arguments, **options):
        self.unknown.append((arguments, options))


def set_size(terminal, columns, rows):
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


class Terminal:
    """A command that runs on one. Where `env` says nothing, neither NO_COLOR nor a size is set."""

    def __init__(self, *words, columns=80, rows=24, term="xterm-256color", env=(), cwd=None):
        self.screen = Screen(columns, rows)
        self.stream = pyte.ByteStream(self.screen)
        self.raw = b""
        self.status = None
        kept = {name: value for name, value in os.environ.items()
                if name not in ("NO_COLOR", "COLUMNS", "LINES")}
        environment = {**kept, "TERM": term, "LC_ALL": "C.UTF-8", **dict(env)}
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            try:
                # A background job's shell has it ignore some, and that goes on.
                for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM,
                               signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU):
                    signal.signal(number, signal.SIG_DFL)
                set_size(0, columns, rows)
                os.chdir(cwd or ".")
                os.execvpe(words[0], words, environment)
            finally:
                os._exit(127)

    def __enter__(self):
        return self

    def __exit__(self, *problem):
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.terminal)

    @property
    def lines(self):
        """Of the screen, without blanks at their ends and without empty lines at the end."""
        lines = [line.rstrip() for line in self.screen.display]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    def colours(self, row):
        """The colours that a row has characters in."""
        return {cell.fg for cell in self.screen.buffer[row].values() if cell.data != " "}

    def _read(self, seconds):
        """Returns whether there may be more."""
        if not select.select([self.terminal], [], [], seconds)[0]:
            return True
        try:
            some = os.read(self.terminal, 65536)
        except OSError:  # nobody has the other side any more
            some = b""
        self.raw += some
        self.stream.feed(some)
        return bool(some)

    def until(self, shown, patience=PATIENCE):
        """Waits for a text on the screen, or for what a function of this terminal says."""
        is_there = shown if callable(shown) else lambda seen: any(shown in line for line in seen.lines)
        deadline = time.monotonic() + patience
        while not is_there(self):
            there_is_more = self._read(0.05)
            assert there_is_more or is_there(self), f"ended before {shown}: {self.lines}"
            assert time.monotonic() < deadline, f"waited in vain for {shown}: {self.lines}"

    def press(self, keys):
        os.write(self.terminal, keys.encode())

    def resize(self, columns, rows):
        self.screen.resize(rows, columns)
        set_size(self.terminal, columns, rows)

    def end(self, patience=PATIENCE):
        """Waits for the command's end; its exit status, below 0 a signal's number, is `status` then."""
        deadline = time.monotonic() + patience
        while self._read(0.05):
            assert time.monotonic() < deadline, f"it does not end: {self.lines}"
        self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self


def show(*words, rows=200, keys=(), **options):
    """Runs a command to its end. `keys` are pairs: what must be on the screen, and what is typed then."""
    with Terminal(*words, rows=rows, **options) as terminal:
        for shown, typed in keys:
            terminal.until(shown)
            terminal.press(typed)
        return terminal.end()


def plain(raw):
    """The lines that were printed, without colours; what else a line has to move about is an error."""
    text = COLOURS.sub(b"", raw).replace(b"\r\n", b"\n")
    moves = CONTROLS.search(text)
    assert not moves, f"there is {moves.group()!r} in {raw!r}"
    return text.decode().splitlines()


def has_colours(raw):
    return bool(COLOURS.search(raw))
