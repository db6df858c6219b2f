#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Shells complete shmemu's command lines: TAP on standard output.

Aim: bash, zsh and fish, as they come with Debian and with the files that are installed, complete what a
person has begun to write. Method: each shell on a terminal of its own is typed a line and a tab, and what
stands on the terminal then is looked for. Needs SHMEMU_PREFIX: scripts/test.
"""

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
from client_tap import Skip, Tap
from client_world import library

PREFIX = os.environ["SHMEMU_PREFIX"]
SHARE = PREFIX + "/share"
PATIENCE = 20
PROMPT = "ready> "
BEGIN = {
    "bash": (["bash", "--noprofile", "--norc", "-i"],
             f"bind 'set bell-style none'; source {SHARE}/bash-completion/completions/shmemu; PS1='{PROMPT}'\r"),
    "zsh": (["zsh", "-f", "-i"],
            f"unsetopt beep zle_bracketed_paste prompt_sp; fpath=({SHARE}/zsh/site-functions $fpath); autoload -U compinit; "
            f"compinit -D -u; PS1='{PROMPT}'\r"),
    "fish": (["fish", "--no-config", "--private", "-i"],
             f"source {SHARE}/fish/vendor_completions.d/shmemu.fish; function fish_prompt; echo -n '{PROMPT}'; end\r"),
}
# What is typed, and what then is there. @ is a folder with a folder "inner-folder" in it.
LINES = [
    ("shmemu wi", "shmemu without "),
    ("shmemu ls --js", "shmemu ls --json "),
    ("shmemu run --si", "shmemu run --size="),
    ("shmemu run --strict slee", "shmemu run --strict sleep"),
    ("shmemu without lamb", "shmemu without lambda "),
    ("shmemu without lambda -- slee", "shmemu without lambda -- sleep"),
    ("shmemu ls --dir=@/inn", "shmemu ls --dir=@/inner-folder/"),
    ("shmemu doctor --color=al", "shmemu doctor --color=always "),
    ("shmemu ls --output=NAME,BIR", "shmemu ls --output=NAME,BIRTH "),
    ("shmemu top --it", "shmemu top --iterations="),
    ("shmemu rm only-o", "shmemu rm only-one "),
    ("shmemu trace --cou", "shmemu trace --count "),
    ("shmemu trace --output=@/inn", "shmemu trace --output=@/inner-folder/"),
    ("shmemu trace --json -- slee", "shmemu trace --json -- sleep"),
]
CONTROL = re.compile(r"\x1b\[[0-9;?<>=]*[a-zA-Z]|\x1b[()][A-Z0-9]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[=>]|\x07|[\x00-\x08\x0e\x0f]")


class Shell:
    """One that a person sits before."""

    def __init__(self, name, environment):
        words, begin = BEGIN[name]
        if not shutil.which(words[0]):
            raise Skip(f"{name} is not installed")
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.execvpe(words[0], words, environment)
        self.seen = ""
        time.sleep(0.3)
        self.type(begin)
        self.wait(lambda text: text.rstrip("\r ").endswith(PROMPT.strip()))

    def __enter__(self):
        return self

    def __exit__(self, *problem):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.terminal)

    def type(self, text):
        os.write(self.terminal, text.encode())

    def wait(self, shows):
        deadline = time.monotonic() + PATIENCE
        while not shows(CONTROL.sub("", self.seen)):
            if time.monotonic() > deadline:
                raise AssertionError(f"the terminal shows {CONTROL.sub('', self.seen)[-300:]!r}")
            if select.select([self.terminal], [], [], 0.1)[0]:
                self.seen += os.read(self.terminal, 4096).decode(errors="replace")


def complete(name, typed, wanted, folder, environment):
    with Shell(name, environment) as shell:
        shell.seen = ""
        shell.type(typed.replace("@", folder) + "\t")
        # Only what was added: shells draw a line anew in their own ways.
        shell.wait(lambda text: wanted.replace("@", folder)[len(typed.replace("@", folder)):] in
                   text.replace(typed.replace("@", folder), "", 1).replace("\r", "").replace("\n", ""))


def main():
    tap = Tap()
    with tempfile.TemporaryDirectory(prefix="shmemu-completion-") as folder:
        os.mkdir(folder + "/inner-folder")
        os.mkdir(folder + "/served", 0o700)
        environment = dict(os.environ, PATH=f"{PREFIX}/bin:/usr/bin:/bin", TERM="xterm", HOME=folder, LC_ALL="C.UTF-8",
                           SHMEMU_DIR=folder + "/served", LINES="24", COLUMNS="200")
        environment.pop("LD_PRELOAD", None)
        with subprocess.Popen([PREFIX + "/bin/shmfs", "--no-mount", "--foreground", "--ready-fd=1"], env=environment,
                              stdout=subprocess.PIPE) as daemon:
            daemon.stdout.read(1)
            code = "import os; fd = os.open('/dev/shm/only-one', os.O_CREAT | os.O_RDWR)"
            subprocess.run([sys.executable, "-c", code], check=True,
                           env=dict(environment, LD_PRELOAD=library()))
            tap.run_beside(2, [[(f"{shell}: {typed}", complete, shell, typed, wanted, folder, environment)
                                for typed, wanted in LINES] for shell in BEGIN])
            daemon.terminate()
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
