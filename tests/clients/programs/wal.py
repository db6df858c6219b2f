# SPDX-License-Identifier: LGPL-2.1-or-later
"""SQLite in WAL mode, whose -shm file is a shared mapping: processes write, one is killed in the midst,
readers hold that no transaction is seen in part.

Arguments: a database, how many writers, how many transactions each. Prints as JSON how it went.
"""

import json
import multiprocessing
import os
import signal
import sqlite3
import sys
import time

ACCOUNTS, BALANCE = 20, 1000


def connect(path):
    base = sqlite3.connect(path, timeout=60, isolation_level=None)
    base.execute("PRAGMA synchronous=OFF")
    return base


def write(path, number, count, done):
    base = connect(path)
    for i in range(count):
        base.execute("BEGIN IMMEDIATE")
        base.execute("UPDATE accounts SET balance = balance - 1 WHERE id = ?", (i % ACCOUNTS,))
        base.execute("UPDATE accounts SET balance = balance + 1 WHERE id = ?",
                     ((i + 7) % ACCOUNTS,))
        base.execute("INSERT INTO entries VALUES (?, ?, ?)", (number, i, f"{number}-{i}" * 20))
        base.execute("COMMIT")
        done[number] = i + 1
    base.close()


def read(path, over, looks):
    base = connect(path)
    while not over.is_set():
        total, = base.execute("SELECT sum(balance) FROM accounts").fetchone()
        assert total == ACCOUNTS * BALANCE, total
        looks.value += 1
        time.sleep(0.002)
    base.close()


def make(path):
    base = connect(path)
    mode, = base.execute("PRAGMA journal_mode=WAL").fetchone()
    base.execute("CREATE TABLE accounts (id INTEGER PRIMARY KEY, balance INTEGER)")
    base.execute("CREATE TABLE entries (writer INTEGER, number INTEGER, text TEXT, "
                 "PRIMARY KEY (writer, number))")
    base.executemany("INSERT INTO accounts VALUES (?, ?)", [(i, BALANCE) for i in range(ACCOUNTS)])
    base.close()
    return mode


def check(path, writers):
    base = connect(path)
    integrity, = base.execute("PRAGMA integrity_check").fetchone()
    total, = base.execute("SELECT sum(balance) FROM accounts").fetchone()
    rows = [base.execute("SELECT count(*), coalesce(max(number), -1) + 1 FROM entries "
                         "WHERE writer = ?", (i,)).fetchone() for i in range(writers)]
    base.close()
    return integrity, total, rows


def main():
    path, writers, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    fork = multiprocessing.get_context("fork")
    mode = make(path)
    # What the processes tell one another here goes by pipes and files, not by memory that is shared.
    manager = fork.Manager()
    done, over, looks = manager.dict(), manager.Event(), manager.Value("l", 0)
    at_work = [fork.Process(target=write, args=(path, i, count, done)) for i in range(writers)]
    victim = fork.Process(target=write, args=(path, writers, 1 << 30, done))
    reader = fork.Process(target=read, args=(path, over, looks))
    for process in (*at_work, victim, reader):
        process.start()
    # Not before: a connection must not be inherited.
    held = connect(path)
    held.execute("SELECT count(*) FROM entries").fetchone()
    while done.get(writers, 0) < count // 4 and victim.is_alive():
        time.sleep(0.01)
    os.kill(victim.pid, signal.SIGKILL)
    for process in (*at_work, victim):
        process.join()
    over.set()
    reader.join()
    killed = done.get(writers, 0)
    # The index of the log, as the file has it.
    with open(path + "-shm", "rb") as file:
        index = file.read(4).hex()
    held.close()
    integrity, total, rows = check(path, writers + 1)
    print(json.dumps({
        "mode": mode, "integrity": integrity, "total": total - ACCOUNTS * BALANCE, "rows": rows,
        "killed": killed, "statuses": [process.exitcode for process in (*at_work, victim, reader)],
        "looks": looks.value > 0, "index": index}))


if __name__ == "__main__":
    main()
