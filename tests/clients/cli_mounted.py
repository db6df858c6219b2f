# SPDX-License-Identifier: LGPL-2.1-or-later
"""shmemu run --mount-dev-shm: programs without the library, static ones too, have /dev/shm."""

import os
import re
import signal
import subprocess
import tempfile

from cli_run import LINE, daemon_of, exists, started
from cli_world import (PATIENCE, SHMEMU, Skip, case, capabilities, check_refusal, check_statuses,
                       equal, folder, run, until)

# Two mappings of one segment see each other, and the segment is where everybody looks for it.
STATIC = r"""
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int main(void)
{
	int fd = shm_open("/of-static", O_CREAT | O_EXCL | O_RDWR, 0600);
	char *one, *other, text[6] = "";

	if (fd < 0 || ftruncate(fd, 8192) < 0 || pwrite(fd, "first", 5, 4096) != 5)
		return 1;
	if (pread(open("/dev/shm/of-static", O_RDONLY), text, 5, 4096) != 5 || strcmp(text, "first"))
		return 2;
	one = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (one == MAP_FAILED)
		return errno == ENODEV ? printf("read and written\n") < 0 : 3;
	other = mmap(NULL, 8192, PROT_READ, MAP_SHARED, open("/dev/shm/of-static", O_RDONLY), 0);
	strcpy(one, "second");
	if (other == MAP_FAILED || strcmp(other, "second"))
		return 4;
	printf("mapped\n");
	return 0;
}
"""


def static_program(top):
    """Linked statically: no library can be put before it."""
    path = os.path.join(top, "static")
    done = subprocess.run(["gcc", "-static", "-O1", "-x", "c", "-", "-o", path], input=STATIC,
                          capture_output=True, text=True, timeout=PATIENCE)
    if done.returncode:
        raise Skip(f"this host links no static program: {done.stderr.splitlines()[-1]}")
    return path


def has_fuse():
    return os.access("/dev/fuse", os.R_OK | os.W_OK)


def has_passthrough():
    """Linux 6.9, and CAP_SYS_ADMIN on the host."""
    release = tuple(map(int, re.match(r"(\d+)\.(\d+)", os.uname().release).groups()))
    return release >= (6, 9) and capabilities()["CapEff"] & 1 << 21


def need_fuse():
    if not has_fuse():
        raise Skip("this user may not use /dev/fuse")


def run_mounted(*words, options=(), **more):
    return run(SHMEMU, "run", "--mount-dev-shm", *options, "--", *words, **more)


@case()
def static_programs_share_memory():
    need_fuse()
    with folder() as top:
        program = static_program(top)
        done = run_mounted(program)
        equal((done.returncode, done.stdout),
              (0, "mapped\n" if has_passthrough() else "read and written\n"))
        # What it left is told as that of any other.
        left = LINE.format("segment /of-static", 8192, program)
        assert re.fullmatch(left, done.stderr), done.stderr
        equal(run_mounted(program, options=["--strict"]).returncode, 1)
        # On a host without a /dev/shm as well.
        done = run(SHMEMU, "without", "dev-shm", "--", SHMEMU, "run", "--mount-dev-shm", program)
        assert done.returncode == 0 and re.fullmatch(left, done.stderr), done.stderr


@case()
def the_command_keeps_its_identity_and_rights():
    need_fuse()
    script = ("import os, sys; print(os.getresuid(), os.getresgid(), os.getcwd(), "
              "sys.argv[1:], os.environ.get('LD_PRELOAD') is None or 'ours', "
              "[line for line in open('/proc/self/status') if line.startswith('Cap')])")
    command = "/usr/bin/python3", "-c", script, "a b", ""
    options = {"cwd": "/usr"}
    native, ours = run(*command, **options), run_mounted(*command, **options)
    equal((ours.returncode, ours.stderr), (0, ""))
    equal(ours.stdout, native.stdout.replace("True", "ours"))
    assert not exists_here("/dev/shm/shmemu-mounted")
    done = run_mounted("sh", "-c", "echo hello >/dev/shm/shmemu-mounted; cat /dev/shm/*")
    equal((done.returncode, done.stdout), (0, "hello\n"))
    assert not exists_here("/dev/shm/shmemu-mounted")


def exists_here(path):
    return os.path.lexists(path)


@case()
def the_mounted_size_is_the_limit():
    need_fuse()
    done = run_mounted("sh", "-c", "df -B1 --output=size /dev/shm; cat /dev/zero >/dev/shm/x; "
                       "rm /dev/shm/x", options=["--size=8m"])
    if "takes a tmpfs" in done.stderr:
        raise Skip("this host lets this user have no private tmpfs")
    equal(done.stdout.split(), ["1B-blocks", str(8 << 20)])
    assert "No space left on device" in done.stderr, done.stderr
    for size in ("8q", "", "-1"):
        check_refusal(run_mounted("true", options=[f"--size={size}"]), 125)


@case()
def a_mounted_run_ends_as_others_do():
    need_fuse()
    check_statuses("run", "--mount-dev-shm", "--")
    with folder() as top:
        with started(top, "sh", "-c", "echo ready; exec sleep 60",
                     options=["--mount-dev-shm"]) as process:
            daemon = daemon_of(top)
            process.send_signal(signal.SIGTERM)
            equal(process.wait(PATIENCE), -signal.SIGTERM)
            assert not exists(daemon)
    with tempfile.TemporaryDirectory() as top:
        with started(top, "sh", "-c", "echo ready; echo $$; exec sleep 60",
                     options=["--mount-dev-shm"]) as process:
            command, daemon = int(process.stdout.readline()), daemon_of(top)
            process.kill()
            until(lambda: not exists(daemon), "the daemon ends with the tool")
            os.kill(command, signal.SIGKILL)


@case()
def a_host_without_fuse_is_told_in_one_line():
    mounted = SHMEMU, "run", "--mount-dev-shm", "true"
    done = run(SHMEMU, "without", "fuse", "--", *mounted)
    check_refusal(done, 125)
    assert "no /dev/fuse" in done.stderr, done.stderr
    check_refusal(run_mounted("true", options=["--keep"]), 125)
    if not has_fuse():
        done = run(*mounted)
        check_refusal(done, 125)
        assert "/dev/fuse" in done.stderr, done.stderr
