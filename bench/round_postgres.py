#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A PostgreSQL server, and pgbench against it. The server's dynamic shared memory is shm_open's; all else
that its processes share is mmap's, so that it is none of the library's business, or System V's. "Connecting":
a process is made for each transaction. "In parallel": a sum by three processes, with a segment made for
each query. The server has the library, pgbench has not.
"""

import contextlib
import glob
import os
import re
import shutil
import subprocess
import tempfile

import round

NOBODY = 65534
CLIENTS = 2
SETTINGS = """
listen_addresses = ''
unix_socket_directories = '{folder}'
dynamic_shared_memory_type = posix
shared_memory_type = {kind}
shared_buffers = 128MB
fsync = off
autovacuum = off
max_parallel_workers_per_gather = 2
parallel_setup_cost = 0
parallel_tuple_cost = 0
min_parallel_table_scan_size = 0
"""
PARALLEL = "select sum(abalance) from pgbench_accounts;"
# How many, and how pgbench is told so.
TRANSACTIONS = {
    "reading": (2000, ["-S"]),
    "writing": (500, []),
    "connecting": (100, ["-S", "-C"]),
    "in parallel": (50, ["-f", "parallel.sql"]),
}
# A server refuses to be root's.
USER = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}


def run(program, *words, **options):
    found = glob.glob("/usr/lib/postgresql/*/bin")
    if not found:
        round.skip("no PostgreSQL: scripts/setup --tests --heavy")
    path = os.path.join(max(found, key=lambda path: int(path.split("/")[4])), program)
    done = subprocess.run([path, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, check=False, **USER, **options)
    assert done.returncode == 0, f"{program}: status {done.returncode}: {done.stdout}"
    return done.stdout


def environment(folder):
    """The server's. What is built may lie where its user can't enter."""
    library = os.environ["SHMEMU_BENCH_LIBRARY"]
    preloaded = {"LD_PRELOAD": shutil.copy(library, folder)} if library else {}
    return {**os.environ, **preloaded}


@contextlib.contextmanager
def server(kind):
    """Yields pgbench, with its tables made, as a function of what more it is told."""
    folder = tempfile.mkdtemp(prefix="shmemu-bench-")
    data = os.path.join(folder, "data")

    def pgbench(*words):
        return run("pgbench", "-h", folder, "-U", "me", *words, "postgres", cwd=folder)
    try:
        preloaded = environment(folder)
        with open(os.path.join(folder, "parallel.sql"), "w", encoding="ascii") as file:
            file.write(PARALLEL)
        if USER:
            os.chown(folder, NOBODY, NOBODY)
        run("initdb", "-D", data, "-U", "me", "-A", "trust", "--no-sync", cwd=folder)
        with open(os.path.join(data, "postgresql.conf"), "a", encoding="ascii") as file:
            file.write(SETTINGS.format(folder=folder, kind=kind))
        run("pg_ctl", "-D", data, "-l", os.path.join(folder, "log"), "-w", "start", cwd=folder,
            env=preloaded)
        try:
            pgbench("-i", "-q")
            yield pgbench
        finally:
            run("pg_ctl", "-D", data, "-m", "fast", "-w", "stop", cwd=folder)
    finally:
        shutil.rmtree(folder)


def transactions(kind, words, count):
    """Returns how many a second."""
    with server(kind) as pgbench:
        pgbench("-n", "-t", "1", *words)
        told = pgbench("-n", "-c", str(CLIENTS), "-t", str(max(1, count // CLIENTS)), *words)
    assert re.search(r"^number of failed transactions: 0 ", told, re.M), told
    return float(re.search(r"^tps = ([\d.]+)", told, re.M)[1])


def question(kind, what):
    count, words = TRANSACTIONS[what]

    def run_one(times):
        if round.is_quick() and (kind, what) != ("sysv", "in parallel"):
            round.skip("not when all is to be quick: each round starts a server")
        return transactions(kind, words, times)
    return round.question(f"PostgreSQL, {kind}: {what}", run_one, count,
                          unit="transactions/s", preload=False, shm=256 << 20)


round.main([question(kind, what) for kind in ("mmap", "sysv") for what in TRANSACTIONS])
