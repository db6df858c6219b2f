# SPDX-License-Identifier: LGPL-2.1-or-later
"""shmemu without: a small script looks at its host from inside and reports it as JSON."""

import json
import os
import re

from cli_world import (NOBODY, PROBE, PYTHON, SHMEMU, Skip, capabilities, case, check_refusal,
                       check_statuses, equal, folder, is_root, run)

MIB = 1 << 20

LOOK = r"""
touch = TOUCH
import errno, json, os, sys
def attempt(call, *arguments):
    try:
        call(*arguments)
        return "ok"
    except OSError as error:
        return errno.errorcode[error.errno]
def read(path):
    with open(path, "rb", buffering=0) as file: return file.read(4)
def write(path, flags):
    fd = os.open(path, os.O_WRONLY | flags, 0o600)
    os.write(fd, b"x")
    os.close(fd)
def terminal():
    for fd in os.openpty(): os.ttyname(fd)
with open("/proc/self/status") as file:
    status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
shm = os.statvfs("/dev/shm") if os.path.isdir("/dev/shm") else None
print(json.dumps({
    "stat": attempt(os.stat, "/dev/shm"), "lstat": attempt(os.lstat, "/dev/shm"),
    "names": sorted(os.listdir("/dev/shm")) if shm else None,
    "create": attempt(write, "/dev/shm/PROBE", os.O_CREAT | os.O_EXCL) if touch else None,
    "listed": sorted(set(os.listdir("/dev")) & {"shm", "fuse"}),
    "size": shm and shm.f_blocks * shm.f_frsize,
    "fuse": attempt(os.stat, "/dev/fuse"), "memfd": attempt(os.memfd_create, "x"),
    "uid": os.getresuid(), "gid": os.getresgid(), "groups": os.getgroups(),
    "caps": {key: int(value, 16) for key, value in status.items() if key.startswith("Cap")},
    "no_new_privs": status["NoNewPrivs"],
    "null": attempt(write, "/dev/null", 0), "zero": attempt(read, "/dev/zero"),
    "urandom": attempt(read, "/dev/urandom"), "terminal": attempt(terminal),
    "fd": attempt(os.listdir, "/dev/fd"), "comm": attempt(write, "/proc/self/comm", 0),
    "exe": attempt(os.readlink, "/proc/self/exe"),
    "cwd": os.getcwd()}))
""".replace("PROBE", PROBE)

DEVICES = ("null", "zero", "urandom", "terminal", "fd", "comm", "exe")

def script_for(command):
    """Looks, and where /dev/shm is not the real one, touches."""
    return LOOK.replace("TOUCH", str(any(re.match("dev-shm|lambda|docker", w) for w in command)))


def look(*command, **options):
    """Runs the script at the end of this command line."""
    done = run(*command, PYTHON, "-c", script_for(command), **options)
    assert done.returncode == 0, (done.returncode, done.stderr)
    equal(done.stderr, "")
    return json.loads(done.stdout)


def without(*words, **options):
    return look(SHMEMU, "without", *words, "--", **options)


def check_devices(seen):
    equal({key: seen[key] for key in DEVICES}, dict.fromkeys(DEVICES, "ok"))


def check_missing(seen):
    equal((seen["stat"], seen["lstat"], seen["create"]), ("ENOENT",) * 3)
    assert "shm" not in seen["listed"]


@case()
def dev_shm_is_missing():
    seen = without("dev-shm")
    check_missing(seen)
    check_devices(seen)
    if os.path.exists("/dev/fuse"):
        equal(seen["fuse"], "ok")


@case()
def dev_shm_is_read_only():
    seen = without("dev-shm=ro")
    equal((seen["stat"], seen["create"], seen["names"]), ("ok", "EROFS", []))
    check_devices(seen)


@case()
def dev_shm_has_a_size():
    for word, size in (("64m", 64 * MIB), ("128K", 128 << 10), ("1G", 1 << 30)):
        seen = without("dev-shm=" + word)
        equal((seen["create"], seen["names"], seen["size"]), ("ok", [], size))
    df = run(SHMEMU, "without", "dev-shm=64m", "--", "df", "-k", "--output=size", "/dev/shm")
    equal(df.stdout.split()[-1], "65536")
    full = run(SHMEMU, "without", "dev-shm=2m", "--", "dd", "if=/dev/zero", "of=/dev/shm/full",
               "bs=1M", "count=3")
    assert "No space left" in full.stderr, full.stderr


@case()
def fuse_is_missing():
    if not os.path.exists("/dev/fuse"):
        raise Skip("the host has no /dev/fuse")
    seen = without("fuse")
    equal((seen["fuse"], seen["stat"]), ("ENOENT", "ok"))
    assert "fuse" not in seen["listed"]
    check_devices(seen)


@case()
def memfd_create_is_missing():
    equal(look()["memfd"], "ok")
    seen = without("memfd_create")
    equal(seen["memfd"], "ENOSYS")
    # Setuid programs are changed only where there is no other way.
    equal(seen["no_new_privs"], "0" if is_root() else "1")
    equal(seen["stat"], "ok")
    check_devices(seen)


@case()
def lambda_is_nobody():
    seen = without("lambda")
    check_missing(seen)
    check_devices(seen)
    equal((seen["fuse"], seen["memfd"]), ("ENOENT", "ok"))
    made = run(SHMEMU, "without", "lambda", "--", "mkdir", "/dev/shm")
    assert "Permission denied" in made.stderr, made
    wanted = NOBODY if is_root() else os.geteuid()
    equal((seen["uid"], seen["gid"]), ([wanted] * 3, [NOBODY if is_root() else os.getegid()] * 3))
    if is_root():
        before = "setpriv", "--groups=4,20"
        equal(look(*before)["groups"], [4, 20])
        equal(look(*before, SHMEMU, "without", "lambda", "--")["groups"], [])
    for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        equal((name, seen["caps"][name]), (name, 0))


@case()
def docker_has_64_mib():
    seen = without("docker-64m")
    equal((seen["size"], seen["create"], seen["fuse"]), (64 * MIB, "ok", "ENOENT"))


@case()
def rights_stay_as_they_were():
    for words in (["dev-shm"], ["docker-64m"], ["memfd_create"], ["dev-shm", "memfd_create"]):
        seen = without(*words)
        equal(seen["caps"], capabilities())
        equal((seen["uid"], seen["gid"]), ([os.geteuid()] * 3, [os.getegid()] * 3))


@case()
def user_is_chosen():
    done = run(SHMEMU, "without", "--user=1234:1235", "dev-shm", "--", "id")
    if not is_root():
        check_refusal(done, 125)
        return
    assert done.stdout.startswith("uid=1234"), done.stdout
    assert "gid=1235" in done.stdout, done.stdout
    environment = {**os.environ, "XDG_RUNTIME_DIR": "/run/user/0"}
    done = run(SHMEMU, "without", "--user", "7", "dev-shm", "--", "sh", "-c",
               "id -u; id -g; echo $XDG_RUNTIME_DIR", env=environment)
    equal(done.stdout.split(), ["7", "7"])


@case()
def nested():
    def tool(*words):
        return SHMEMU, "without", *words, "--"

    seen = look(*tool("memfd_create"), *tool("lambda"), *tool("dev-shm=2m"), *tool("fuse"))
    equal((seen["memfd"], seen["size"], seen["fuse"]), ("ENOSYS", 2 * MIB, "ENOENT"))
    check_devices(seen)
    for outer in ("dev-shm=ro", "dev-shm=64m", "docker-64m", "lambda", "fuse"):
        for inner in ("dev-shm", "lambda"):
            check_missing(look(*tool(outer), *tool(inner)))
    equal(look(*tool("lambda"), *tool("lambda"))["caps"]["CapEff"], 0)


@case()
def later_words_override():
    equal(without("lambda", "dev-shm=64m")["size"], 64 * MIB)
    check_missing(without("docker-64m", "dev-shm"))


@case()
def working_folder_stays():
    equal(without("lambda", "memfd_create", cwd="/tmp")["cwd"], "/tmp")
    equal(without("dev-shm", cwd="/dev/shm")["cwd"], "/")
    equal(without("dev-shm", cwd="/dev")["cwd"], "/dev")


@case(root_only=True)
def shm_may_be_a_link_or_a_pile():
    """The /dev that `without` makes for root can be written to: other hosts are made there."""
    def made(commands, *words):
        done = run(SHMEMU, "without", "dev-shm", "--", "sh", "-euc",
                   commands + '; exec "$@"', "sh", SHMEMU, "without", *words, "--",
                   PYTHON, "-c", script_for(words))
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    with folder() as path:
        link = f"ln -s {path} /dev/shm"
        pile = ("mkdir /dev/shm; touch /dev/shm/below; mount -t tmpfs x /dev/shm; "
                "touch /dev/shm/middle; mount -t tmpfs x /dev/shm")
        dangling = "ln -s /nowhere /dev/shm"
        for commands in (link, pile, dangling):
            check_missing(made(commands, "lambda"))
            seen = made(commands, "dev-shm=2m")
            equal((seen["size"], seen["names"]), (2 * MIB, []))
            equal(made(commands, "dev-shm=ro")["create"], "EROFS")
        equal(os.listdir(path), [])


@case(root_only=True)
def root_may_lack_the_right_to_mount():
    bare = ("setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin")
    before = look(*bare, SHMEMU, "without", "memfd_create", "--")["caps"]
    try:
        seen = look(*bare, SHMEMU, "without", "dev-shm", "--")
    except AssertionError as error:
        raise Skip(f"no user namespaces here: {error}") from error
    check_missing(seen)
    equal(seen["uid"], [0, 0, 0])
    equal(seen["caps"], before)
    seen = look(*bare, SHMEMU, "without", "lambda", "--")
    check_missing(seen)
    equal((seen["uid"], seen["caps"]["CapEff"]), ([NOBODY] * 3, 0))


@case()
def refused_namespaces_are_told():
    refuse = ("unshare", "-Ur", "sh", "-c", "echo 0 >/proc/sys/user/max_user_namespaces && "
              'exec setpriv --bounding-set=-all --inh-caps=-all "$@"', "sh")
    if run(*refuse, "true").returncode:
        raise Skip("no user namespaces here")
    check_refusal(run(*refuse, SHMEMU, "without", "dev-shm", "--", "true"), 125)
    # What is missing already needs no namespace.
    done = run(SHMEMU, "without", "dev-shm", "--", *refuse, SHMEMU, "without", "dev-shm", "--",
               "true")
    equal((done.returncode, done.stderr), (0, ""))


@case()
def mistakes_are_told_in_one_line():
    for words in ([], ["nonsense"], ["--nonsense"], ["without"], ["without", "dev-shm"],
                  ["without", "--", "true"], ["without", "dev-shm", "--"],
                  ["without", "dev-shn", "--", "true"], ["without", "dev-shm=0m", "--", "true"],
                  ["without", "dev-shm=64", "--", "true"], ["without", "dev-shm=", "--", "true"],
                  ["without", "dev-shm=-1m", "--", "true"],
                  ["without", "dev-shm=99999999999g", "--", "true"],
                  ["without", "--user=0", "--", "true"], ["without", "--user=x", "--", "true"],
                  ["without", "--user=1:", "--", "true"], ["without", "--user"],
                  ["without", "--nonsense", "--", "true"], ["run"], ["run", "--"],
                  ["run", "--nonsense", "true"]):
        check_refusal(run(SHMEMU, *words), 125)


@case()
def help_and_version():
    for words, wanted in ((["--help"], ["run", "without"]), (["run", "--help"], ["--keep"]),
                          (["without", "--help"], ["dev-shm=SIZE", "lambda", "docker-64m"])):
        done = run(SHMEMU, *words)
        equal((done.returncode, done.stderr), (0, ""))
        assert all(word in done.stdout for word in wanted), done.stdout
    assert re.fullmatch(r"shmemu \d+\.\d+\.\d+\n", run(SHMEMU, "--version").stdout)


@case()
def statuses_and_signals_of_without():
    check_statuses("without", "lambda", "--")
