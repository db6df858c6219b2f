# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is built, and the machine that it runs on."""

import glob
import json
import os
import platform
import re
import subprocess
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def output(*command, **more):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                          check=False, **more)
    return done.stdout.strip()


def succeeds(*command):
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                          check=False).returncode == 0


def read(path):
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().strip()
    except OSError:
        return ""


def build():
    """Builds with optimization, as what is installed is, and returns the folder."""
    folder = os.path.join(ROOT, "build/bench")
    if not os.path.exists(os.path.join(folder, "build.ninja")):
        subprocess.run(["meson", "setup", folder, ROOT, "--buildtype=release", "-Dtests=disabled"],
                       stdout=subprocess.DEVNULL, check=True)
    wanted = ["preload/libshmemu.so", "fuse/shmfs", "cli/shmemu", "bench-programs"]
    subprocess.run(["ninja", "-C", folder, *wanted], stdout=subprocess.DEVNULL, check=True)
    return folder


def tools(folder):
    found = {"library": glob.glob(os.path.join(folder, "preload/**/libshmemu.so"), recursive=True)[0],
             "shmfs": os.path.join(folder, "fuse/shmfs"), "shmemu": os.path.join(folder, "cli/shmemu")}
    return {name: os.path.abspath(path) for name, path in found.items()}


def has_option(program, option):
    return option in output(program, "--help")


def meminfo(name):
    return int(re.search(rf"^{name}: *(\d+) kB", read("/proc/meminfo"), re.M)[1]) * 1024


def memory_available():
    return meminfo("MemAvailable")


def free_in(folder):
    try:
        told = os.statvfs(folder)
    except OSError:
        return 0
    return told.f_bavail * told.f_frsize


def load():
    return read("/proc/loadavg").split(" ")[0]


def chosen(path):
    """Of "always [madvise] never", what is in effect."""
    found = re.search(r"\[(.*)\]", read(path))
    return found[1] if found else "?"


def facts(folder):
    pages = "/sys/kernel/mm/transparent_hugepage/"
    model = re.search(r"^model name\s*: (.*)", read("/proc/cpuinfo"), re.M)
    options = {one["name"]: one["value"] for one in
               json.loads(output("meson", "introspect", folder, "--buildoptions") or "[]")}
    return {
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "processor": model[1] if model else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory": f"{meminfo('MemTotal') / 2**30:.1f} GiB",
        "virtual": output("systemd-detect-virt") or "?",
        "kernel": f"{platform.system()} {platform.release()}, {platform.machine()}",
        "libc": os.confstr("CS_GNU_LIBC_VERSION"),
        "huge pages": f"anonymous {chosen(pages + 'enabled')}, shmem {chosen(pages + 'shmem_enabled')}",
        "/dev/shm": f"{free_in('/dev/shm') / 2**30:.1f} GiB free",
        "user": "root" if os.geteuid() == 0 else "ordinary",
        "version": output("git", "-C", ROOT, "describe", "--always", "--dirty") or "?",
        "build": f"{options.get('buildtype', '?')}, -O{options.get('optimization', '?')}",
        "load at the start": load(),
    }


def road(shmemu, folder):
    """What the tool says of a daemon."""
    told = output(shmemu, "doctor", "--json", env={**os.environ, "SHMEMU_DIR": folder})
    wanted = ("private tmpfs", "huge pages", "huge pages in segments", "polling", "mount", "passthrough")
    return {one["what"]: one["details"] for one in json.loads(told or '{"facts": []}')["facts"]
            if one["what"] in wanted}


def children(pid):
    return [int(one) for one in read(f"/proc/{pid}/task/{pid}/children").split()]


def switches(pids):
    """How often their threads were let run."""
    total = 0
    for pid in pids:
        for status in glob.glob(f"/proc/{pid}/task/*/status"):
            total += sum(int(one) for one in re.findall(r"ctxt_switches:\s*(\d+)", read(status)))
    return total


def resident(pids, what):
    return sum(int(one) for pid in pids
               for one in re.findall(rf"^{what}: *(\d+) kB", read(f"/proc/{pid}/smaps_rollup"), re.M))


def idle(keepers, seconds):
    """Of each daemon, that nobody asks anything: how often it runs, and what memory it has."""
    processes = [[keeper, *children(keeper)] for keeper in keepers]
    time.sleep(2)
    before = [switches(pids) for pids in processes]
    time.sleep(seconds)
    return [{"seconds idle": seconds, "switches": switches(pids) - began,
             "resident KiB": resident(pids, "Rss"), "proportional KiB": resident(pids, "Pss")}
            for pids, began in zip(processes, before)]
