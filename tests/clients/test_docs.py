#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the documents say can be done: TAP on standard output.

Aim: each shell line of README.md, of docs/hosts and of the manual pages' examples does what a reader expects, and what CI systems
are handed is sound. Method: each block is run by a shell, line by line, as the user that runs the test, in a private mount namespace
where there is one, with the files that the lines speak of (app.py, ./train ...) in the working folder; each line must succeed. Lines
that can't be run in a test are named here, with the reason, and are skipped by name. Needs SHMEMU_PREFIX: scripts/test.
"""

import glob
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
from client_tap import Skip, Tap
from client_world import is_root, library, private

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PREFIX = os.environ["SHMEMU_PREFIX"]
PATIENCE = 120
APP = """#!/usr/bin/python3
import multiprocessing
from multiprocessing import shared_memory

def fill(name):
    shared = shared_memory.SharedMemory(name)
    shared.buf[:5] = b"there"
    shared.close()

if __name__ == "__main__":
    shared = shared_memory.SharedMemory(create=True, size=1 << 20)
    child = multiprocessing.Process(target=fill, args=(shared.name,))
    child.start()
    child.join()
    assert bytes(shared.buf[:5]) == b"there"
    with multiprocessing.Lock():
        pass
    shared.close()
    shared.unlink()
"""
# Such as the programs and files that the documents speak of; ./static is one that has no need of the library.
PROGRAMS = {"app.py": APP, "train": APP, "train.py": APP, "db": APP, "app": APP, "make": APP, "static": "#!/bin/sh\necho static >/dev/shm/static\n"}
SKIPPED = {
    "scripts/run": "is CI's own first step", "scripts/test": "is what runs this", "scripts/setup": "scripts/test does it",
    "scripts/install": "test_package.py does it",
    "meson setup build": "scripts/test does it", "meson compile -C build": "scripts/test does it",
    "meson install -C build": "scripts/test does it", "bench/run": "measures, and has a test of its own",
    "scripts/package-": "has a test of its own", "apt install": "scripts/package-debian --check does it",
    "systemctl ": "takes systemd: test_activation.py does what it does", "mount ": "test_mounting.py does it",
    "shmemu without sysv -- shmemu run postgres": "test_ipc.py does it",
    "LD_PRELOAD=libshmemu.so pg_ctl": "test_ipc.py does it", "echo \"LD_PRELOAD": "scripts/package-debian --check does it",
    "cc -static app.c": "test_static.py does it", "LD_PRELOAD=/usr/lib/x86_64-linux-gnu/libshmemu-musl": "test_musl.py does it",
    "pg_ctlcluster": "scripts/package-debian --check does it", "su postgres": "scripts/package-debian --check does it",
}
# Shown because they end in an error, on a host made for that.
FAILS = ("shmemu without dev-shm -- python3 app.py", "shmemu without lambda -- python3 app.py")
ROOT_ONLY = ("shmfs /mnt/shm",)


def blocks(path):
    """The shell lines of a document, in blocks: indented in README.md, in manual pages after .Dl $, else marked as sh."""
    with open(path) as file:
        text = file.read()
    if path.endswith("README.md"):
        found = re.findall(r"(?:^|\n\n)((?:    \S.*\n)+)", text)
        return [lines for block in found if is_shell(lines := [line[4:] for line in block.splitlines()])]
    if path.endswith(".md"):
        return [block.splitlines() for block in re.findall(r"^```sh\n(.*?)^```$", text, re.M | re.S)]
    return [[re.sub(r"\\(-|&)", lambda found: found[1].strip("&"), line)] for line in re.findall(r"^\.Dl (?:\$|#) (.*)$", text, re.M)]


def is_shell(lines):
    return bool(re.match(r"(LD_PRELOAD=|shmemu |shmfs |scripts/|meson |cc |bench/|mount |systemctl )", lines[0]))


def prepared(folder):
    for name, text in PROGRAMS.items():
        with open(os.path.join(folder, name), "w", opener=lambda path, flags: os.open(path, flags, 0o755)) as file:
            file.write(text)
    with open(folder + "/file", "w") as file:
        file.write("what a segment is to hold")
    os.symlink(sys.executable, folder + "/python")
    os.chmod(folder, 0o755)
    # Hosts that `without` makes have another user than root.
    os.mkdir(folder + "/tmp")
    os.chmod(folder + "/tmp", 0o1777)
    return dict(os.environ, PATH=f"{PREFIX}/bin:{PREFIX}/sbin:{folder}:/usr/bin:/bin:/usr/sbin:/sbin",
                LD_LIBRARY_PATH=os.path.dirname(library()), TMPDIR=folder + "/tmp", HOME=folder)


def adapted(line):
    """The line, with what the reader has installed where this test has it."""
    return re.sub(r"/usr/lib/\S*?libshmemu\.so", library(), line)


def run_line(line, folder, environment):
    done = subprocess.run(["bash", "-c", adapted(line)], cwd=folder, env=environment, stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE)
    assert (done.returncode == 0) != (line in FAILS), f"{line}\nends with {done.returncode}: {done.stdout}{done.stderr}"


def why_skipped(line):
    for beginning, reason in SKIPPED.items():
        if line.startswith(beginning):
            return reason
    if not is_root() and line.startswith(ROOT_ONLY):
        return "takes root"
    if re.search(r"shmfs (?!--no-mount)|--mount-dev-shm", line) and not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "no /dev/fuse that this user may use"
    return None


def end_daemons(folder):
    """The keepers that serve folders below."""
    ours = ["/run/shmemu/shmfs.lock"] if is_root() and os.path.exists("/run/shmemu/shmfs.lock") else []
    for path in [*glob.glob(folder + "/**/shmfs.lock", recursive=True), *ours]:
        with open(path) as lock:
            text = lock.read()
        if text.strip().isdigit() and is_daemon(int(text)):
            os.kill(int(text), signal.SIGTERM)


def is_daemon(pid):
    try:
        return os.path.basename(os.readlink(f"/proc/{pid}/exe")) == "shmfs"
    except OSError:
        return False


def document(tap, path):
    name = os.path.relpath(path, ROOT)
    for block in blocks(path):
        with tempfile.TemporaryDirectory(prefix="shmemu-docs-", ignore_cleanup_errors=True) as folder:
            environment = prepared(folder)
            store_things(folder, environment)
            for line in block:
                words = re.sub(r"\s+#.*", "", line)
                tap.run(f"{name}: {words}", perform, words, folder, environment)
            end_daemons(folder)


def store_things(folder, environment):
    """What lines that look at things, and remove them, speak of."""
    code = ("import ctypes, os; os.open('/dev/shm/segment', os.O_CREAT | os.O_RDWR); c = ctypes.CDLL(None); "
            "assert c.shmget(0x52e2c1, 4096, 0o1600) >= 0 and c.semget(0x4b5a, 1, 0o1600) >= 0; "
            "assert c.mq_open(b'/jobs', os.O_CREAT | os.O_RDWR, 0o600, None) >= 0")
    run_line(f"LD_PRELOAD=/usr/lib/libshmemu.so python3 -c \"{code}\"", folder, environment)


def perform(line, folder, environment):
    reason = why_skipped(line)
    if reason:
        raise Skip(reason)
    if "shmfs" in line:
        end_daemons(folder)
    if line.startswith("shmfs /mnt/shm"):
        made = not os.path.exists("/mnt/shm")
        os.makedirs("/mnt/shm", exist_ok=True)
        try:
            run_line(line.replace("shmfs ", "shmfs --wait "), folder, environment)
        finally:
            subprocess.run(["umount", "/mnt/shm"], stderr=subprocess.DEVNULL)
            if made:
                os.rmdir("/mnt/shm")
        return
    # The one before may take a moment.
    run_line(line.replace("shmfs --no-mount", "shmfs --wait --no-mount"), folder, environment)


def command(folder, environment, **settings):
    variables = {f"SHMEMU_{name.upper()}": value for name, value in settings.items()}
    return subprocess.run([ROOT + "/ci/run-command"], cwd=folder, env={**environment, **variables}, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE)


def check_command():
    """What the action and the include call."""
    with tempfile.TemporaryDirectory(prefix="shmemu-docs-") as folder:
        environment = prepared(folder)
        python = "python3 app.py\necho done"
        for settings, status, told in (
                ({"command": python}, 0, "done\n"),
                ({"command": python, "profile": "lambda"}, 0, "done\n"),
                ({"command": python, "profile": "dev-shm root", "size": "64m", "strict": "true"}, 0, "done\n"),
                ({"command": python, "profile": "lambda", "emulate": "false"}, 1, ""),
                ({"command": "false\necho not reached"}, 1, ""),
                ({"command": "exit 7", "profile": "lambda"}, 7, ""),
                ({"command": "echo left >/dev/shm/left", "profile": "lambda", "strict": "true"}, 1, ""),
                ({"command": "head -c 2000000 /dev/zero >/dev/shm/large", "size": "1m"}, 1, ""),
                ({"command": "true", "strict": "maybe"}, 2, ""),
                ({}, 1, "")):
            done = command(folder, environment, **settings)
            assert (done.returncode, done.stdout) == (status, told), f"{settings}: {done}"


def yaml():
    try:
        import yaml as found
    except ImportError:
        raise Skip("python3-yaml is not installed")
    return found


def check_action():
    with open(ROOT + "/action.yml") as file:
        action = yaml().safe_load(file)
    assert set(action) == {"name", "description", "branding", "inputs", "runs"}, action
    assert action["runs"]["using"] == "composite"
    used = set(re.findall(r"\$\{\{ inputs\.(\w+) \}\}", str(action["runs"])))
    assert used == set(action["inputs"]), (used, set(action["inputs"]))
    for step in action["runs"]["steps"]:
        assert step["shell"] == "bash"
        script, = re.findall(r"\$GITHUB_ACTION_PATH/([\w/-]+)", step["run"])
        assert os.access(os.path.join(ROOT, script), os.X_OK), script
    given = {name.removeprefix("SHMEMU_").lower() for name in action["runs"]["steps"][-1]["env"]}
    check_settings(given)


def check_settings(given):
    """Just those that run-command reads."""
    with open(ROOT + "/ci/run-command") as file:
        read = {name.lower() for name in re.findall(r"\$\{SHMEMU_(\w+)[-:?}]", file.read())}
    assert read <= given, (read, given)


def check_include():
    with open(ROOT + "/ci/gitlab.yml") as file:
        job = yaml().safe_load(file)[".shmemu"]
    check_settings({name.removeprefix("SHMEMU_").lower() for name in job["variables"]})
    scripts = re.findall(r"/tmp/shmemu/([\w/-]+)", str(job))
    assert scripts and all(os.access(os.path.join(ROOT, script), os.X_OK) for script in scripts), scripts


def check_examples_of_yaml():
    with open(ROOT + "/action.yml") as file:
        inputs = set(yaml().safe_load(file)["inputs"])
    number = 0
    for path in glob.glob(ROOT + "/docs/hosts/*.md"):
        with open(path) as file:
            for block in re.findall(r"^```yaml\n(.*?)^```$", file.read(), re.M | re.S):
                told = yaml().safe_load(block)
                number += 1
                for step in told.get("steps", []):
                    assert set(step.get("with", {})) <= inputs, step
    assert number >= 4, number
    return f"{number} examples"


def instructions(path):
    with open(path) as file:
        text = re.sub(r"\\\n", " ", file.read())
    return [line.split(None, 1) for line in text.splitlines() if line.strip() and not line.startswith("#")]


def check_dockerfile():
    """No engine is here: its instructions, and the packages it names, which are those of scripts/setup."""
    found = instructions(ROOT + "/ci/Dockerfile")
    known = {"FROM", "RUN", "COPY", "ENV", "CMD"}
    assert {word for word, _ in found} == known, found
    with open(ROOT + "/scripts/setup") as file:
        needed = set(re.search(r"^packages=\((.*?)\)", file.read(), re.M)[1].split()) - {"fuse3"}
    first = next(rest for word, rest in found if word == "RUN")
    named = set(re.findall(r"[a-z0-9+-]+", first))
    assert needed <= named, needed - named
    options = next(rest for word, rest in found if word == "RUN" and "meson setup" in rest)
    for option in re.findall(r"-D(\w+)=", options):
        with open(ROOT + "/meson_options.txt") as file:
            assert f"'{option}'" in file.read(), option


def check_links():
    """Of one document to another."""
    number = 0
    for path in [ROOT + "/" + name for name in os.listdir(ROOT) if name.endswith(".md")] + \
            glob.glob(ROOT + "/docs/**/*.md", recursive=True):
        with open(path) as file:
            for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", file.read()):
                number += 1
                assert os.path.exists(os.path.join(os.path.dirname(path), link)), f"{path}: {link}"
    assert number > 5, number
    return f"{number} links"


def main():
    if not shutil.which("bash"):
        sys.exit("these tests take bash")
    private()
    if is_root():
        # Root's daemons meet their clients in /run.
        subprocess.run(["mount", "-t", "tmpfs", "docs", "/run"], check=True)
    for name in ("LD_PRELOAD", "SHMEMU_DIR", "SHMEMU_LOG", "SHMEMU_MMAP"):
        os.environ.pop(name, None)
    os.umask(0o022)
    tap = Tap()
    for path in [ROOT + "/README.md", ROOT + "/docs/walkthroughs.md", *sorted(glob.glob(ROOT + "/docs/hosts/*.md")),
                 *sorted(glob.glob(ROOT + "/docs/*.[0-9]") + glob.glob(ROOT + "/docs/*.[0-9].in"))]:
        document(tap, path)
    tap.run("ci/run-command", check_command)
    tap.run("action.yml", check_action)
    tap.run("ci/gitlab.yml", check_include)
    tap.run("examples in YAML", check_examples_of_yaml)
    tap.run("ci/Dockerfile", check_dockerfile)
    tap.run("links between documents", check_links)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
