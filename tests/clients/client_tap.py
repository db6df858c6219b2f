# SPDX-License-Identifier: LGPL-2.1-or-later
"""TAP on standard output."""

import traceback


class Skip(Exception):
    """The host cannot run this case."""


class Tap:
    def __init__(self):
        self.number = 0
        self.failed = 0

    def say(self, text):
        for line in str(text).splitlines():
            print("#", line, flush=True)

    def run(self, what, function, *arguments):
        """Runs a case. What it returns, if anything, is told behind its name."""
        self.number += 1
        try:
            told = function(*arguments)
            print(f"ok {self.number} - {what}" + (f": {told}" if told else ""), flush=True)
        except Skip as skip:
            print(f"ok {self.number} - {what} # SKIP {skip}", flush=True)
        except Exception:  # whatever it is, it belongs to this case
            self.failed += 1
            self.say(traceback.format_exc())
            print(f"not ok {self.number} - {what}", flush=True)

    def end(self):
        """Returns the exit status."""
        print(f"1..{self.number}", flush=True)
        return 1 if self.failed else 0
