# SPDX-License-Identifier: LGPL-2.1-or-later
"""shmemu df: it agrees with statvfs(2), with shmemu limit and with itself."""

import json
import os
import signal

from cli_limit import FILL, MIB, SHMFS, daemon, limited
from cli_world import PYTHON, SHMEMU, Skip, case, check_refusal, equal, folder, run
from client_screen import plain, show

COLUMNS = ["SHARE", "BACKING", "SIZE", "USED", "AVAIL", "USE%", "INODES", "IUSED", "IFREE", "TARGET"]
STATVFS = "import os, sys; s = os.statvfs(sys.argv[1]); print(s.f_blocks * s.f_frsize, s.f_bavail * s.f_frsize, " \
          "s.f_files, s.f_files - s.f_ffree)"


def df(d, *words, uid=None):
    as_user = ("setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups") if uid else ()
    done = run(*as_user, SHMEMU, "df", "--json", f"--dir={d.dir}", *words)
    equal((done.returncode, done.stderr), (0, ""))
    return json.loads(done.stdout)["stores"]


def percent(row):
    return -(-row["used"] * 100 // (row["used"] + row["avail"]))


@case()
def it_agrees_with_statvfs_and_limit():
    with limited("--size=16m", "--inodes=100") as d:
        for size in (0, MIB, 5 * MIB + 4096):
            if size:
                equal(d.fill(f"/{size}", size), "")
            row, = df(d)
            limits = d.limits()
            total, available, inodes, inodes_used = map(int, d.python(STATVFS, "/dev/shm").split())
            equal((row["size"], row["avail"], row["inodes"], row["iused"]), (total, available, inodes, inodes_used))
            equal((row["size"], row["used"], row["inodes"], row["iused"]),
                  (limits["size"]["max"], limits["size"]["used"], limits["inodes"]["max"], limits["inodes"]["used"]))
            equal((row["share"], row["backing"], row["target"], row["ifree"]),
                  ("all", "tmpfs", d.dir, 100 - row["iused"]))
            equal((row["size"], row["use%"]), (row["used"] + row["avail"], percent(row)))
        equal(df(d)[0]["used"] // MIB, 6)
        d.another_worker(signal.SIGKILL)
        equal(df(d)[0]["used"] // MIB, 6)


@case()
def a_store_without_limits_has_what_there_is():
    with daemon() as d:
        equal(d.fill("/a", 2 * MIB), "")
        row, = df(d)
        total = int(d.python(STATVFS, "/dev/shm").split()[0])
        equal((row["size"], row["inodes"], row["ifree"], row["used"]),
              (total, None, None, d.limits()["size"]["used"]))
        assert 0 < row["avail"] < row["size"] and row["used"] >= 2 * MIB, row


@case()
def memory_comes_from_where_it_comes_from():
    script = f"{SHMEMU} df --noheadings --raw --bytes; exec {SHMEMU} limit"
    done = run(SHMEMU, "without", "docker-default", "--", SHMEMU, "run", "--", "sh", "-c",
               f"{PYTHON} -c '{FILL}' /a {MIB}; {script}")
    equal(done.returncode, 0)
    share, backing, size, used, avail, use, inodes, iused, ifree, target = done.stdout.splitlines()[0].split(" ")
    equal((share, backing, inodes, ifree, int(used)), ("all", "memfd", "-", "-", MIB))
    assert int(size) > int(avail) > 0 and target.startswith("/"), done.stdout


@case(root_only=True)
def users_see_their_shares():
    with limited("--size=16m", "--user-size=2m") as d:
        equal(d.fill("/a", MIB, uid=1001), "")
        equal(d.fill("/b", 2 * MIB, uid=1002), "")
        equal(d.fill("/c", 3 * MIB), "")
        def figures(rows):
            return [(row["share"], row["size"], row["used"], row["avail"]) for row in rows]

        everybody, *shares = df(d)
        equal(figures(shares), [("1001", 2 * MIB, MIB, MIB), ("1002", 2 * MIB, 2 * MIB, 0)])
        equal((everybody["size"], everybody["used"]), (16 * MIB, d.limits()["size"]["used"]))
        # What is set aside for them is nobody else's.
        equal(everybody["avail"], int(d.python(STATVFS, "/dev/shm").split()[1]))
        equal(everybody["avail"], 16 * MIB - 2 * 2 * MIB - (everybody["used"] - 3 * MIB))
        for uid, wanted in ((1001, figures(shares)[0]), (1002, figures(shares)[1]),
                            (1003, ("1003", 2 * MIB, 0, 2 * MIB))):
            rows = df(d, uid=uid)
            equal(figures(rows), [figures([everybody])[0], wanted])
            total, available, *_ = map(int, d.python(STATVFS, "/dev/shm", uid=uid).split())
            equal((rows[1]["size"], rows[1]["avail"]), (total, available))
        d.unlink("/a", uid=1001)
        equal(figures(df(d))[1], ("1001", 2 * MIB, 0, 2 * MIB))


@case(root_only=True)
def it_tells_where_it_is_mounted():
    if not os.path.exists("/dev/fuse"):
        raise Skip("there is no /dev/fuse")
    with folder() as top:
        os.mkdir(f"{top}/mount")
        script = (f"{SHMFS} --dir={top}/run --size=16m --inodes=50 {top}/mount && {PYTHON} -c '{STATVFS}' {top}/mount && "
                  f"{SHMEMU} df --json --dir={top}/run; kill $(cat {top}/run/shmfs.lock)")
        done = run("unshare", "-m", "sh", "-c", script)
        equal((done.returncode, done.stderr), (0, ""))
        told, rest = done.stdout.split("\n", 1)
        wanted = list(map(int, told.split()))
        row, = json.loads(rest)["stores"]
        equal([row[key] for key in ("size", "avail", "inodes", "iused", "target")], [*wanted, f"{top}/mount"])


@case()
def it_fits_a_screen():
    with daemon() as d:
        equal(d.fill("/a", 2 * MIB), "")
        for columns in (40, 80, 200):
            seen = show(SHMEMU, "df", f"--dir={d.dir}", columns=columns)
            equal((seen.status, seen.screen.unknown, len(seen.lines)), (0, [], 2))
            equal(seen.lines, [line.rstrip() for line in plain(seen.raw)])
            titles = seen.lines[0].split()
            assert {"SHARE", "SIZE", "USED", "AVAIL", "USE%"} <= set(titles), titles
            assert columns < 80 or titles == COLUMNS, titles
        for words in ([], ["-h"], ["--bytes", "-h"], ["--human-readable"]):
            used = run(SHMEMU, "df", f"--dir={d.dir}", "--noheadings", *words).stdout.split()[3]
            assert used.endswith(("M", "K")), used
        used = run(SHMEMU, "df", f"--dir={d.dir}", "--noheadings", "--bytes").stdout.split()[3]
        assert int(used) >= 2 * MIB, used
        check_refusal(run(SHMEMU, "df", f"--dir={d.dir}", "--json", "--raw"), 125)
        check_refusal(run(SHMEMU, "df", f"--dir={d.dir}", "/"), 125)
    check_refusal(run(SHMEMU, "df", f"--dir={d.dir}"), 125)
    equal(run(SHMEMU, "df", "--help").stdout.split("\n")[0], "usage: shmemu df [OPTION]...")
