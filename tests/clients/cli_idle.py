# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the library and a daemon take that have nothing to do."""

import os
import re
import shutil

from cli_limit import SHMFS, daemon, library
from cli_world import PREFIX, Skip, case, folder, run, until

MAX_KIB = 4096  # of both processes, with all that they share with others counted in each


def need_no_sanitizer():
    with open(SHMFS, "rb") as file:
        if any(word in file.read() for word in (b"__asan_init", b"__tsan_init")):
            raise Skip("a sanitizer has memory of its own")


def resident(pid):
    with open(f"/proc/{pid}/status") as file:
        sizes = dict(line.split(":", 1) for line in file if line.startswith(("VmRSS", "RssAnon")))
    return {name: int(text.split()[0]) for name, text in sizes.items()}


def check_memory(pids):
    # What started them up is let go once they serve, which is told before.
    until(lambda: sum(resident(pid)["VmRSS"] for pid in pids) < MAX_KIB,
          f"less than {MAX_KIB} KiB, not {[resident(pid) for pid in pids]}")
    assert sum(resident(pid)["RssAnon"] for pid in pids) < MAX_KIB // 4, list(map(resident, pids))


@case()
def an_idle_daemon_takes_little():
    need_no_sanitizer()
    for options in ((), ("--size=64m", "--guard", "--reap=orphans")):
        with daemon(*options) as d:
            check_memory((d.keeper, d.worker()))
            assert d.fill("/a", 1 << 20) == ""
            d.unlink("/a")
            check_memory((d.keeper, d.worker()))


@case(root_only=True)
def a_mounted_one_too():
    need_no_sanitizer()
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        raise Skip("there is no /dev/fuse")
    for how in ("auto", "off"):
        with folder() as top:
            script = (f"mount --make-rprivate / && mkdir {top}/mnt && {PREFIX}/bin/shmfs "
                      f"--dir={top}/d --passthrough={how} {top}/mnt && ls {top}/mnt && sleep 1 && "
                      f"keeper=$(cat {top}/d/shmfs.lock) && "
                      f"grep -h VmRSS /proc/$keeper/status /proc/$(pgrep -P $keeper)/status; "
                      f"status=$?; umount {top}/mnt; exit $status")
            done = run("unshare", "-m", "sh", "-c", script)
            assert (done.returncode, done.stderr) == (0, ""), done
            sizes = [int(line.split()[1]) for line in done.stdout.splitlines()]
            assert len(sizes) == 2 and sum(sizes) < MAX_KIB, sizes


@case()
def the_library_looks_nothing_up_at_the_start():
    """From the loader's own account of it: what it is asked for when the library's constructors run,
    and that nothing is allocated."""
    done = run("env", "LD_DEBUG=libs,symbols", f"LD_PRELOAD={library()}", "/bin/true")
    start = re.search(r"calling init: \S*libshmemu\.so\n(.*?)(calling init|initialize program)",
                      done.stderr, re.DOTALL)
    assert start, done.stderr[-2000:]
    assert "symbol=" not in start[1], start[1][:2000]
    if not shutil.which("valgrind"):
        raise Skip("without valgrind nobody counts what is allocated")
    done = run("env", f"LD_PRELOAD={library()}", "valgrind", "/bin/true")
    assert "total heap usage: 0 allocs" in done.stderr, done.stderr
