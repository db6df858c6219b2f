#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Programs of System V IPC and message queues, from Debian and PyPI: TAP on standard output.

Aim: what runs where the kernel has them runs as well where it refuses them. Method: each runs,
unmodified, in the worlds of ipc_world.py; the native one says what is to be expected. What falls back
or skips would pass, so operations are counted, and on the same host without the library the same
commands must fail. PostgreSQL with SHMEMU_TEST_HEAVY set: scripts/test --heavy; each kind of stress
for a minute, not a few seconds, with SHMEMU_TEST_LONG. Arguments are parts of the names of cases to
run. SHMEMU_PREFIX is where shmemu is installed, SHMEMU_VENV what scripts/venv made.
"""

import os
import re
import shutil
import sys

sys.dont_write_bytecode = True
from client_tap import Skip, Tap
from client_world import SHMEMU, VENV, VENV_PYTHON, is_root, private, until, world
from ipc_world import Native, Refused, worlds

HEAVY = bool(os.environ.get("SHMEMU_TEST_HEAVY"))
SECONDS = 60 if os.environ.get("SHMEMU_TEST_LONG") else 5
PROGRAMS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "programs")
PATIENCE = 180
expected = {}  # what was found natively


def equal(found, wanted, done=""):
    assert found == wanted, f"found {found!r}, not {wanted!r}\n{done}"


def needed(name):
    path = shutil.which(name, path="/usr/local/bin:/usr/bin:/bin:/usr/games")
    assert path, f"no {name}: scripts/setup --tests"
    return path


def remembered(what, kind, found, done):
    if kind is Native:
        expected[what] = found
    equal(found, expected.get(what, found), done)


# The test suites of posix_ipc and sysv_ipc, whole.

def source(package):
    found = [entry.path for entry in os.scandir(os.path.join(VENV, "src"))
             if entry.is_dir() and entry.name.startswith(package + "-")]
    equal(len(found), 1, f"of {package} in {VENV}/src: scripts/venv")
    return found[0]


def outcomes(done):
    """How each test of unittest's verbose output ended."""
    found = re.findall(r"^(test\w+ \([\w.]+\)).*?\.\.\. (\w+)", done.err, re.M | re.S)
    ran = int(re.search(r"^Ran (\d+) tests? in", done.err, re.M)[1])
    equal(len(found), ran, done)
    return dict(found)


def suite(kind, package, least, **options):
    with world(kind) as w:
        done = w.run(VENV_PYTHON, "-m", "unittest", "-v", "-b", cwd=source(package),
                     patience=PATIENCE, **options)
        ended = outcomes(done)
        if options:
            return ended, done
        assert done.status == 0 and set(ended.values()) <= {"ok", "skipped"}, done
        assert len(ended) >= least, done
        remembered(package, kind, ended, done)
        return f"{len(ended)} ran, {list(ended.values()).count('ok')} passed"


def suite_without(package):
    ended, done = suite(Refused, package, 0, preload=False)
    failed = [name for name, how in ended.items() if how not in ("ok", "skipped")]
    assert done.status != 0 and len(failed) > 20, done
    return f"{len(failed)} of {len(ended)} fail"


# stress-ng, which counts operations, and exits with 0 where it skipped.

STRESSORS = "shm", "shm-sysv", "sem", "sem-sysv", "mq", "msg", "memfd"


def stress_words(w, names):
    words = [needed("stress-ng"), "--verify", "--metrics-brief", f"--timeout={SECONDS}s",
             "--temp-path=" + w.home, "--yaml=" + os.path.join(w.home, "figures"),
             # Less of each than by default: what is asked for is right answers, not memory.
             "--memfd-bytes=32m", "--memfd-fds=16", "--shm-bytes=2m", "--shm-objs=8",
             "--shm-sysv-bytes=2m", "--shm-sysv-segs=4"]
    return words + [f"--{name}=1" for name in names]


def counted(w):
    """Operations by stressor. It writes none where it skipped all."""
    path = os.path.join(w.home, "figures")
    if not os.path.exists(path):
        return {}
    with open(path) as file:
        found = re.findall(r"- stressor: (\S+)\n\s+bogo-ops: (\d+)", file.read())
    return {name: int(count) for name, count in found}


def stress(kind):
    with world(kind) as w:
        done = w.run(*stress_words(w, STRESSORS), patience=SECONDS + PATIENCE, interval=0.2)
        said = done.out + done.err
        equal(done.status, 0, done)
        assert not re.search(r"\bfail\b|skipp|unexpected|not implemented", said), done
        figures = counted(w)
        equal(set(figures), set(STRESSORS), done)
        assert min(figures.values()) > 0, figures
        if kind is not Native:
            w.check_empty()
        return ", ".join(f"{name} {count}" for name, count in figures.items())


def stress_without():
    with world(Refused) as w:
        names = [name for name in STRESSORS if name != "memfd"]
        done = w.run(*stress_words(w, names), patience=SECONDS + PATIENCE, preload=False)
        done_some = [name for name, count in counted(w).items() if count]
        equal(done_some, [], done)


# fakeroot over System V messages and semaphores.

DISGUISE = ("touch file && chown 123:456 file && mknod device c 1 3 && mkdir folder && "
            "chown 7:8 folder && stat -c '%u %g %F' file device folder && id -u && "
            "for i in 1 2 3 4 5 6 7 8 9 10; do (touch $i && chown $i:$i $i) & done; wait; "
            "stat -c %u 1 2 3 4 5 6 7 8 9 10 | xargs")


def fakeroot(kind):
    with world(kind) as w:
        done = w.run(needed("fakeroot-sysv"), "sh", "-c", DISGUISE)
        equal((done.status, done.out), (0, "123 456 regular empty file\n"
                                           "0 0 character special file\n7 8 directory\n0\n"
                                           "1 2 3 4 5 6 7 8 9 10\n"), done)
        if kind is not Native:
            w.check_empty()


def fakeroot_without():
    with world(Refused) as w:
        done = w.run(needed("fakeroot-sysv"), "sh", "-c", DISGUISE, preload=False)
        assert done.status != 0 or "123 456" not in done.out, done


# util-linux's ipcmk, ipcs and ipcrm: /proc/sysvipc, and what the calls tell of all.

LISTED = ("ipcmk -M 12345 -p 0640 && ipcmk -S 3 -p 0600 && ipcmk -Q && ipcs -a && ipcs -c && ipcs -u && "
          "ipcs -l && ipcs -m -i 0 && ipcs -s -i 0 && ipcs -q -i 0 && cat /proc/sysvipc/* && "
          "ipcrm -a && ipcs -a")


def listed(text):
    """Without what is another's each time: keys, pids, times, and who it is."""
    text = re.sub(r"0x[0-9a-f]{8}", "KEY", text)
    text = re.sub(r"\b[A-Z][a-z]{2} [ \d]\d \d\d:\d\d(:\d\d)?( \d{4})?\b", "TIME", text)
    text = re.sub(r"(?m)^ *-?\d+( +\d+ +\d{3} ).*$", r"\1...", text)
    text = re.sub(r"(pid=)[1-9]\d*", r"\1PID", text)
    text = re.sub(r"\bc?[ug]id=\d+|\b(root|nobody|nogroup)\b", "WHO", text)
    return re.sub(r"[ \t]+", " ", text)


def lists(kind):
    with world(kind) as w:
        done = w.run("bash", "-c", LISTED)
        equal((done.status, done.err), (0, ""), done)
        assert re.search(r"KEY 0 \S+ 640 12345 0\b", listed(done.out)), done
        remembered("ipcs", kind, listed(done.out), done)
        if kind is not Native:
            w.check_empty()


# Xvfb, its screen in a segment, and a client that puts pictures by MIT-SHM.

DRAW = """
Xvfb -displayfd 3 -screen 0 1280x1024x24 -shmem -nolisten tcp -noreset 3>display 2>server &
server=$!
for i in $(seq 300); do [ -s display ] && break; sleep 0.1; done
export DISPLAY=:$(cat display)
x11perf -repeat 1 -reps 500 -shmput100 -shmget100 -shmputxy100 2>&1
echo "status $?"
kill $server
wait $server
grep shmid server
"""


def pictures(w, **options):
    needed("Xvfb")
    needed("x11perf")
    return w.run("sh", "-c", DRAW, patience=120, interval=0.05, **options)


def xvfb(kind):
    with world(kind) as w:
        done = pictures(w)
        equal(re.findall(r"^status (\d+)$", done.out, re.M), ["0"], done)
        drawn = re.findall(r"^\s*\d+ reps @ .*: (.*)$", done.out, re.M)
        equal(len(drawn), 3, done)
        assert re.search(r"screen 0 shmid \d+", done.out), done
        if kind is not Native:
            # It leaves its screen behind, natively too; attached by nobody.
            until(lambda: [(row["kind"], row["processes"]) for row in w.objects()] == [("shm", 0)],
                  f"left in the store: {w.objects()}", 10)
        return "; ".join(drawn)


def xvfb_without():
    with world(Refused) as w:
        done = pictures(w, preload=False)
        assert not re.search(r"^\s*\d+ reps @ ", done.out, re.M), done


# PostgreSQL, which goes by the number of attachments.

def postgres_bin():
    folders = [entry.path for entry in os.scandir("/usr/lib/postgresql")]
    return os.path.join(max(folders, key=lambda path: int(os.path.basename(path))), "bin")


def run_postgres(w, **options):
    before = []
    folder = w.folder("postgres", 0o700)
    if w.uid == 0:
        os.chown(folder, 65534, 65534)
        before = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    return w.run(*before, "bash", os.path.join(PROGRAMS, "postgres_sysv.sh"), postgres_bin(), folder,
                 patience=PATIENCE, cwd=folder, interval=0.2,
                 env={"HOME": folder, "TMPDIR": folder}, **options)


def postgres(kind):
    with world(kind) as w:
        done = run_postgres(w)
        equal(done.status, 0, done)
        equal(re.findall(r"^== (.*)$", done.out, re.M),
              ["rows 1000", "a backend was killed", "rows 1000", "a second one: lock file",
               "a second one, no lock file: still in use", "the postmaster was killed",
               "rows 1001", "stopped"], done)
        if kind is not Native:
            w.check_empty()


def postgres_without():
    with world(Refused) as w:
        done = run_postgres(w, preload=False)
        assert done.status != 0 and "Function not implemented" in done.out + done.err, done


def not_asked_for(*arguments):
    raise Skip("heavy: scripts/test --heavy")


def cases():
    """Yields the name of each, its function, and what that is given."""
    for package, least in ("posix_ipc", 80), ("sysv_ipc", 60):
        for kind in worlds():
            yield f"{kind.name}: {package}: its tests", suite, kind, package, least
        yield f"refused, without the library: {package}: its tests fail", suite_without, package
    for kind in worlds():
        yield f"{kind.name}: ipcmk, ipcs, ipcrm", lists, kind
    for what, function, without in (
            (f"stress-ng for {SECONDS} s", stress, stress_without),
            ("fakeroot-sysv", fakeroot, fakeroot_without),
            ("Xvfb and MIT-SHM", xvfb, xvfb_without)):
        for kind in worlds():
            yield f"{kind.name}: {what}", function, kind
        yield f"refused, without the library: {what} fails", without
    what = "PostgreSQL with shared_memory_type=sysv"
    for kind in worlds():
        yield f"{kind.name}: {what}", postgres if HEAVY else not_asked_for, kind
    yield (f"refused, without the library: {what} fails",
           postgres_without if HEAVY else not_asked_for)


def main():
    if not os.access(SHMEMU, os.X_OK) or not os.access(VENV_PYTHON, os.X_OK):
        sys.exit("SHMEMU_PREFIX must be where shmemu is installed, SHMEMU_VENV what scripts/venv "
                 f"made: there is no '{SHMEMU}' or no '{VENV_PYTHON}'")
    private()
    for name in ("LD_PRELOAD", "SHMEMU_DIR", "SHMEMU_LOG", "PYTHONPATH", "PYTHONHOME"):
        os.environ.pop(name, None)
    os.umask(0o022)
    tap = Tap()
    for what, function, *arguments in cases():
        if len(sys.argv) == 1 or any(word in what for word in sys.argv[1:]):
            tap.run(what, function, *arguments)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
