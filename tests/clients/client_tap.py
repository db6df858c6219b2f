# SPDX-License-Identifier: LGPL-2.1-or-later
"""TAP on standard output."""

import concurrent.futures
import traceback


class Skip(Exception):
    """The host cannot run this case."""


def attempt_all(chain):
    """Returns for each case a function that returns or raises what the case did."""
    outcomes = []
    for _, function, *arguments in chain:
        outcome = concurrent.futures.Future()
        try:
            outcome.set_result(function(*arguments))
        except Exception as problem:
            outcome.set_exception(problem)
        outcomes.append(outcome.result)
    return outcomes


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
            print(f"not ok {self.number} - {what}", flush=True)
            self.say(traceback.format_exc())

    def run_beside(self, at_once, chains):
        """Runs chains of cases side by side, so many at once, and the cases of each, which are a name,
        a function and its arguments, one after another. They are told in order."""
        with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
            for names, outcomes in [([what for what, *_ in chain], pool.submit(attempt_all, chain))
                                    for chain in map(list, chains)]:
                for what, outcome in zip(names, outcomes.result()):
                    self.run(what, outcome)

    def end(self):
        """Returns the exit status."""
        print(f"1..{self.number}", flush=True)
        return 1 if self.failed else 0
