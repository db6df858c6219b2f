# SPDX-License-Identifier: LGPL-2.1-or-later
"""The heavier cases of test_programs.py: PyTorch, PostgreSQL, Chromium, Open MPI."""

import contextlib
import glob
import hashlib
import os
import pwd
import re
import subprocess

from client_tap import Skip
from client_world import SHMEMU, is_root, until, world
from program_world import (PROGRAMS, Docker, Lambda, Native, Small, built, check_shared,
                           check_unused, segments, worlds)

VENV_PYTHON = os.path.join(os.environ.get("SHMEMU_VENV_HEAVY", ""), "bin/python")
MIB = 1 << 20
PATIENCE = 180

expected = {}  # what was found natively


def equal(found, wanted, done=""):
    assert found == wanted, f"found {found!r}, not {wanted!r}\n{done}"


def check_empty(w):
    until(lambda: w.files() == {}, f"left in the store: {w.files()}")


# PyTorch: a DataLoader with four workers.

STRATEGIES = "file_descriptor", "file_system"
BATCH_MIB, BATCHES = 24, 8


def loader_words(w, strategy, *more):
    return VENV_PYTHON, w.ours("loader.py"), strategy, str(BATCH_MIB), str(BATCHES), *more


def loader(kind, strategy):
    with world(kind) as w:
        done = w.run(*loader_words(w, strategy), patience=PATIENCE)
        items = 4 * BATCHES
        equal((done.status, done.out, done.err), (0, f"{items * (items - 1) // 2}\n", ""), done)
        # The workers made them; who adds up has them all at once.
        told = check_shared(w, done, "torch_[0-9]+_", BATCH_MIB * MIB, 1)
        equal(len(segments(done, BATCH_MIB * MIB)), BATCHES, done.mapped)
        check_empty(w)
        return told


def loader_without_lambda(strategy):
    with world(Lambda) as w:
        done = w.run(*loader_words(w, strategy), patience=PATIENCE, preload=False)
        assert done.status == 1 and re.search(r"^FileNotFoundError: \[Errno 2\]", done.err, re.M), done
        check_unused(done)


def check_no_space(done):
    assert done.status == 1, done
    last = re.findall(r"^(?:Runtime|OS)Error: .*No space left on device.*$", done.err, re.M)
    assert last, done
    assert "us error" not in done.err, done
    return last[-1]


def loader_without_docker(strategy):
    with world(Docker) as w:
        done = w.run(*loader_words(w, strategy), patience=PATIENCE, preload=False)
        check_unused(done)
        return check_no_space(done)


def loader_small(strategy):
    """More than the store can take: an error that says so."""
    with world(Small) as w:
        done = w.run(*loader_words(w, strategy), patience=PATIENCE)
        assert done.seen and "torch_" in done.trace, done
        return check_no_space(done)


def loader_bus_error():
    """PyTorch itself asks for all the space at once, by now; a dataset in shared memory does not."""
    with world(Docker) as w:
        done = w.run(*loader_words(w, "file_system", "cached"), patience=PATIENCE, preload=False)
        check_unused(done)
        assert done.status != 0 and "is killed by signal: Bus error" in done.err, done
        return re.search(r"DataLoader worker \(.*", done.err)[0]


def loader_no_bus_error(strategy):
    with world(Small) as w:
        done = w.run(*loader_words(w, strategy, "cached"), patience=PATIENCE)
        return check_no_space(done)


def loader_cases():
    for strategy in STRATEGIES:
        what = f"DataLoader with 4 workers, {strategy}"
        for kind in worlds():
            yield f"{kind.name}: {what}", loader, kind, strategy
        yield f"lambda, without the library: {what}, fails", loader_without_lambda, strategy
        yield f"docker, without the library: {what}, fails", loader_without_docker, strategy
        yield f"small: {what}, is told", loader_small, strategy
        yield f"small: {what}, cached, is told", loader_no_bus_error, strategy
    yield "docker, without the library: DataLoader, cached, dies of a bus error", loader_bus_error


# PostgreSQL: initdb, pgbench, a parallel query.

HASH_MIB = 100


def postgres_bin():
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda path: int(path.split("/")[4]))
    assert found, "no /usr/lib/postgresql: scripts/setup --tests --heavy"
    return found[-1]


def run_postgres(w, **options):
    if not is_root() and os.geteuid() not in {user.pw_uid for user in pwd.getpwall()}:
        raise Skip("initdb wants a user that has a name")
    before, folder = w.as_nobody()
    return w.run(*before, "bash", os.path.join(PROGRAMS, "postgres.sh"), postgres_bin(), folder,
                 patience=PATIENCE, cwd=folder, env={"HOME": folder, "TMPDIR": folder}, **options)


def check_bench(done):
    """Everything before the parallel query."""
    assert re.search(r"^number of transactions actually processed: 1000/1000$", done.out, re.M), done
    return re.search(r"^tps = (\d+)", done.out, re.M)[1]


def postgres(kind):
    with world(kind) as w:
        done = run_postgres(w)
        equal(done.status, 0, done)
        assert "selecting dynamic shared memory implementation ... posix" in done.out, done
        tps = check_bench(done)
        equal(re.findall(r"Workers Launched: (\d+)|^(joined \d+)$", done.out, re.M),
              [("4", ""), ("", "joined 1500000")], done)
        told = check_shared(w, done, r"/PostgreSQL\.\d+", 16 * MIB, 5)
        assert sum(segments(done, MIB, 5)) > HASH_MIB * MIB, done.mapped
        assert all(name.startswith("PostgreSQL.") for name in done.seen), done.seen
        check_empty(w)
        return f"{tps} transactions a second; {told}"


def postgres_without_lambda():
    """initdb would make do with System V; what was asked for it has not."""
    with world(Lambda) as w:
        done = run_postgres(w, preload=False)
        assert "selecting dynamic shared memory implementation ... sysv" in done.out, done
        assert done.status == 1 and re.search(
            "FATAL:  could not open shared memory segment .*: No such file", done.err), done
        check_unused(done)


def postgres_without_docker():
    with world(Docker) as w:
        done = run_postgres(w, preload=False)
        check_bench(done)
        told = re.search(r"ERROR:  could not resize shared memory segment .* No space left on device",
                         done.err)
        assert done.status != 0 and told, done
        check_unused(done)
        return told[0]


def postgres_small():
    """A store that is too small says so as early as tmpfs does, and the server goes on."""
    with world(Small) as w:
        done = run_postgres(w)
        check_bench(done)
        told = re.search(r"ERROR:  could not resize shared memory segment .* No space left on device",
                         done.err)
        assert done.status != 0 and told, done
        check_empty(w)
        return told[0]


def postgres_cases():
    what = "PostgreSQL: initdb, pgbench, a parallel query"
    for kind in worlds():
        yield f"{kind.name}: {what}", postgres, kind
    yield f"lambda, without the library: {what}, fails", postgres_without_lambda
    yield f"docker, without the library: {what}, fails", postgres_without_docker
    yield f"small: {what}, is told", postgres_small


# Chromium: a page with a canvas of 4000 x 4000. Debian's wrapper would add --disable-dev-shm-usage where
# /dev/shm is small, so without that. It has its shared memory from memfd_create, by a system call of its
# own, and uses /dev/shm where there is none.

CHROMIUM = "/usr/lib/chromium/chromium"
FLAGS = ("--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
         "--disable-background-networking --disable-component-update --disable-sync").split()
CANVAS_BYTES = 4 * 4000 * 4000


def run_chromium(w, *lacks, **options):
    assert os.path.exists(CHROMIUM), f"no {CHROMIUM}: scripts/setup --tests --heavy"
    lacking = [SHMEMU, "without", *lacks, "--"] if lacks else []
    picture = os.path.join(w.home, "picture.png")
    done = w.run(*lacking, CHROMIUM, *FLAGS, "--user-data-dir=" + os.path.join(w.home, "profile"),
                 "--window-size=1200,1000", "--dump-dom", "--screenshot=" + picture,
                 "file://" + w.ours("canvas.html"), **options)
    found = re.search(r'<p id="sum">sum=(\d+)</p>', done.out)
    digest = None
    if os.path.exists(picture):
        with open(picture, "rb") as file:
            digest = hashlib.sha256(file.read()).hexdigest()
    return done, (found and found[1], digest)


def chromium(kind):
    with world(kind) as w:
        done, drawn = run_chromium(w, "memfd_create", patience=PATIENCE)
        assert done.status == 0 and None not in drawn, done
        expected.setdefault("chromium", drawn)
        equal(drawn, expected["chromium"], done)
        told = check_shared(w, done, r"/\.org\.chromium\.Chromium\.\w{6}", MIB, killed=True)
        # It kills its children in the end, some between making a file and removing it, natively too.
        removed = [name for name in w.files() if f'unlink("/dev/shm/{name}") = 0' in done.trace]
        equal(removed, [], done)
        return f"{told}; {len(w.files())} left behind"


def chromium_needs_none():
    """Where there is memfd_create it needs no help, and takes none."""
    with world(Lambda) as w:
        done, drawn = run_chromium(w, patience=PATIENCE)
        equal((done.status, drawn), (0, expected.get("chromium", drawn)), done)
        equal((segments(done), "/.org.chromium.Chromium." in done.trace), ([], False))


def chromium_without_lambda():
    with world(Lambda) as w:
        done, drawn = run_chromium(w, "memfd_create", patience=PATIENCE, preload=False)
        assert done.status != 0 and drawn == (None, None), done
        told = re.search(r"Creating shared memory in /dev/shm/.* failed: No such file or directory",
                         done.err)
        assert told, done
        check_unused(done)
        return told[0]


def chromium_without_docker():
    """It hangs, or ends with nothing drawn."""
    with world(Docker) as w:
        done, drawn = run_chromium(w, "memfd_create", patience=15, preload=False)
        assert drawn[0] is None, done
        check_unused(done)
        return f"nothing drawn, status {done.status}"


def chromium_cases():
    what = "Chromium, without memfd_create: a large canvas"
    for kind in worlds():
        yield f"{kind.name}: {what}", chromium, kind
    yield "lambda: Chromium, with memfd_create, needs nothing", chromium_needs_none
    yield f"lambda, without the library: {what}, fails", chromium_without_lambda
    yield f"docker, without the library: {what}, fails", chromium_without_docker


# Open MPI: its transport by shared memory, "vader" and, from 5.0 on, "sm".

RANKS = 3
HUGE = 64 * MIB


@contextlib.contextmanager
def ring():
    with built("mpicc", "ring.c") as program:
        yield program


def transport():
    known = subprocess.run(["ompi_info"], capture_output=True, text=True, check=True).stdout
    return "vader" if re.search(r"MCA btl: vader", known) else "sm"


def run_ring(w, *more, **options):
    """`more`: parameters of the transport, and their values."""
    btl = transport()
    chosen = [word for name, value in zip(more[::2], more[1::2])
              for word in ("--mca", f"btl_{btl}_{name}", value)]
    with ring() as program:
        return w.run("mpirun", "--allow-run-as-root", "--oversubscribe", "--mca", "btl", btl + ",self",
                     *chosen, "-np", str(RANKS), w.install(program), patience=PATIENCE, **options)


def check_ring(done):
    told = re.fullmatch(r"token 3000, (\d+) MB/s\n", done.out)
    assert done.status == 0 and told, done
    return told[1] + " MB/s"


def open_mpi(kind, *more):
    with world(kind) as w:
        done = run_ring(w, *more)
        speed = check_ring(done)
        told = check_shared(w, done, r"/(vader|sm)_segment\.", 4 * MIB, RANKS)
        equal(len(segments(done, 4 * MIB, RANKS)), RANKS)
        check_empty(w)
        return f"{speed}; {told}"


def open_mpi_falls_back():
    """It says nothing, and uses a folder in $TMPDIR."""
    with world(Lambda) as w:
        done = run_ring(w, preload=False)
        check_ring(done)
        check_unused(done)


def open_mpi_without_lambda():
    with world(Lambda) as w:
        done = run_ring(w, "backing_directory", "/dev/shm", preload=False)
        assert done.status != 0 and "unable to reach each other" in done.out + done.err, done
        check_unused(done)


def open_mpi_without_docker():
    with world(Docker) as w:
        done = run_ring(w, "segment_size", str(HUGE), preload=False)
        assert done.status != 0 and "not enough space" in done.out + done.err, done
        check_unused(done)


def open_mpi_cases():
    what = "Open MPI's shared memory"
    for kind in worlds():
        yield f"{kind.name}: {what}", open_mpi, kind
    yield f"lambda: {what}, told to use it", open_mpi, Lambda, "backing_directory", "/dev/shm"
    yield f"docker: {what}, large segments", open_mpi, Docker, "segment_size", str(HUGE)
    yield f"lambda, without the library: {what}, makes do", open_mpi_falls_back
    yield f"lambda, without the library: {what}, told to use it, fails", open_mpi_without_lambda
    yield f"docker, without the library: {what}, large segments, fails", open_mpi_without_docker


def cases():
    """Yields the name of each, its function, and what that is given."""
    for some in loader_cases, postgres_cases, chromium_cases, open_mpi_cases:
        yield from some()
