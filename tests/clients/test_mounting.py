#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Mounting shmfs as others do it: TAP on standard output.

Aim: mount(8), /etc/fstab, fusermount3 and user namespaces mount it with tmpfs's options. Method: in
a private mount namespace the stage's bin and sbin are laid over /usr's, so that what mount(8)
looks for is there, and each case runs the real programs and looks at what is mounted.
Run it as root with SHMEMU_PREFIX set to the folder that has bin/shmfs and sbin/mount.fuse.shmfs.
"""

import contextlib
import errno
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import time
import traceback

sys.dont_write_bytecode = True
import cli_mounted
from cli_mounted import has_passthrough, static_program
from client_tap import Skip, Tap
from mount_world import PATIENCE, private_root, until

PREFIX = os.environ.get("SHMEMU_PREFIX", "")
USER = 65534
MIB = 1 << 20
AS_USER = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"]


def run(*command, **options):
    environment = {**os.environ, **options.pop("environment", {})}
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE,
                          stdin=subprocess.DEVNULL, env=environment, **options)


def succeed(*command, **options):
    done = run(*command, **options)
    assert (done.returncode, done.stderr) == (0, ""), (command, done)
    return done.stdout


def refuse(*command, words=()):
    done = run(*command)
    assert done.returncode != 0 and done.stdout == "", (command, done)
    assert re.fullmatch(r"[a-z.]+: [^\n]+\n", done.stderr), done.stderr
    for word in words:
        assert word in done.stderr, (word, done.stderr)


class Place:
    """A mountpoint, and where its daemon meets clients."""

    def __init__(self, owner=0):
        self.top = tempfile.mkdtemp(prefix="shmfs-mounting-")
        os.chmod(self.top, 0o755)
        self.mount = os.path.join(self.top, "mnt")
        self.dir = os.path.join(self.top, "daemon", "dir")
        for path in (self.mount, os.path.dirname(self.dir)):
            os.mkdir(path)
            os.chown(path, owner, owner)

    def line(self):
        """That of /proc/mounts, or None."""
        with open("/proc/self/mounts") as mounts:
            found = [line.split() for line in mounts if line.split()[1] == self.mount]
        return found[-1] if found else None

    def leave(self):
        until(lambda: not os.path.exists(os.path.join(self.dir, "socket")), "the daemon ends")
        assert self.line() is None, self.line()

    def unmount(self):
        succeed("umount", self.mount)
        self.leave()


@contextlib.contextmanager
def place(**more):
    it = Place(**more)
    try:
        yield it
    finally:
        if it.line():
            run("umount", "-l", it.mount)
            time.sleep(0.2)
        shutil.rmtree(it.top)


@contextlib.contextmanager
def bound(path, text, mode=0o644):
    """Another file in the place of one in /etc, or of one that is not there."""
    with tempfile.NamedTemporaryFile("w", prefix="shmfs-mounting-") as file:
        file.write(text)
        file.flush()
        os.chmod(file.name, mode)
        if not os.path.exists(path):
            raise Skip(f"there is no {path} on this host")
        succeed("mount", "--bind", file.name, path)
        try:
            yield
        finally:
            succeed("umount", path)


@contextlib.contextmanager
def fuse_for_all():
    with tempfile.TemporaryDirectory(prefix="shmfs-mounting-") as top:
        device = os.path.join(top, "fuse")
        os.mknod(device, 0o666 | stat.S_IFCHR, os.makedev(10, 229))
        os.chmod(device, 0o666)
        succeed("mount", "--bind", device, "/dev/fuse")
        try:
            yield
        finally:
            # A daemon that leaves may have it open still.
            succeed("umount", "--lazy", "/dev/fuse")


def fill(path, size):
    """Returns the errno's name, or None."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        os.posix_fallocate(fd, 0, size)
    except OSError as error:
        return errno.errorcode[error.errno]
    finally:
        os.close(fd)


def check_limits(p, size, inodes):
    room = os.statvfs(p.mount)
    assert room.f_blocks * room.f_frsize == size, room.f_blocks * room.f_frsize
    assert fill(os.path.join(p.mount, "large"), size) == "ENOSPC"
    os.unlink(os.path.join(p.mount, "large"))
    assert fill(os.path.join(p.mount, "small"), MIB) is None
    for i in range(inodes - 1):
        os.mkdir(os.path.join(p.mount, str(i)))
    try:
        os.mkdir(os.path.join(p.mount, "too many"))
        raise AssertionError(f"more than {inodes} inodes")
    except OSError as error:
        assert error.errno == errno.ENOSPC, error


def mount_with_the_options_of_tmpfs():
    with place() as p:
        succeed("mount", "-t", "fuse.shmfs", "a source", p.mount, "-o",
                f"allow_other,uid=1001,gid=1002,mode=0750,size=16m,nr_inodes=10,dir={p.dir}")
        source, _, kind, options = p.line()[:4]
        assert (source, kind) == (r"a\040source", "fuse.shmfs"), p.line()
        assert {"rw", "allow_other", "default_permissions"} <= set(options.split(",")), options
        root = os.stat(p.mount)
        assert (root.st_uid, root.st_gid, root.st_mode) == (1001, 1002, 0o40750), root
        check_limits(p, 16 * MIB, 10)
        p.unmount()
        succeed("mount", "-t", "shmfs", "shmfs", p.mount, "-o", f"dir={p.dir},noatime")
        assert p.line()[2] == "fuse.shmfs" and os.stat(p.mount).st_mode == 0o41777, p.line()
        assert {"noatime"} <= set(p.line()[3].split(",")), p.line()
        assert not {"nosuid", "nodev"} & set(p.line()[3].split(",")), p.line()
        p.unmount()
        succeed("mount", "-t", "shmfs", "shmfs", p.mount, "-o", f"dir={p.dir},nosuid,noexec")
        assert {"nosuid", "noexec"} <= set(p.line()[3].split(",")), p.line()
        assert "nodev" not in p.line()[3].split(","), p.line()
        p.unmount()


def mount_again_at_once():
    with place() as p:
        for _ in range(10):
            succeed("mount", "-t", "shmfs", "shmfs", p.mount, "-o", f"dir={p.dir}")
            succeed("umount", p.mount)
        succeed("mount", "-t", "shmfs", "shmfs", p.mount, "-o", f"dir={p.dir}")
        refuse("shmfs", f"--dir={p.dir}", "--no-mount", words=["another shmfs"])
        refuse("mount", "-t", "shmfs", "shmfs", p.top, "-o", f"dir={p.dir}",
               words=["another shmfs"])
        p.unmount()


def mount_without_a_helper_of_its_own():
    """By mount.fuse3, which looks for shmfs in PATH."""
    if not os.path.exists("/sbin/mount.fuse") and not os.path.exists("/sbin/mount.fuse3"):
        raise Skip("there is no mount.fuse3 on this host")
    succeed("mount", "-t", "tmpfs", "none", os.path.join(PREFIX, "sbin"))
    succeed("umount", "/usr/sbin")
    try:
        with place() as p:
            succeed("mount", "-t", "fuse.shmfs", "shmfs", p.mount, "-o",
                    f"size=16m,nr_inodes=10,mode=0700,dir={p.dir}")
            assert p.line()[0] == "shmfs" and os.stat(p.mount).st_mode == 0o40700, p.line()
            check_limits(p, 16 * MIB, 10)
            p.unmount()
    finally:
        succeed("umount", os.path.join(PREFIX, "sbin"))
        lay_over("sbin")


def mount_by_fstab():
    with place() as p, open("/etc/fstab") as old:
        line = (f"shmfs {p.mount} fuse.shmfs rw,suid,dev,exec,auto,_netdev,defaults,nofail,user,"
                f"x-systemd.automount,x-gvfs-hide,comment=ours,size=16m,nr_inodes=10,user_size=4m,huge=never,"
                f"passthrough=auto,awake=auto,reap=orphans,guard,harden=auto,dir={p.dir} 0 0\n")
        with bound("/etc/fstab", old.read() + line):
            succeed("mount", p.mount)
            assert p.line()[2] == "fuse.shmfs", p.line()
            check_limits(p, 16 * MIB, 10)
            p.unmount()


def mount_all_of_fstab_again():
    """What is mounted already is not mounted over, whatever the kernel calls its type."""
    with place() as p:
        # As short as a line can be; that of another type is there to be left out by -t.
        lines = (f"shmfs {p.mount} shmfs size=50%,mode=1777,dir={p.dir} 0 0\n"
                 f"none {p.top}/none tmpfs defaults 0 0\n")
        with bound("/etc/fstab", lines):
            for _ in range(2):
                succeed("mount", "-a", "-t", "shmfs")
                found = succeed("findmnt", "--noheadings", "--output", "SOURCE,FSTYPE", p.mount)
                assert found.split() == ["shmfs", "fuse.shmfs"], found
            assert os.stat(p.mount).st_mode == 0o41777
            found = succeed("findmnt", "--fstab", "--noheadings", "--output", "FSTYPE", p.mount)
            assert found.split() == ["shmfs"], found
            refuse("mount", "-o", "remount", p.mount, words=["shmemu limit"])
            p.unmount()


def mount_in_another_namespace():
    with place() as p, tempfile.TemporaryFile() as nothing:
        other = subprocess.Popen(["unshare", "--mount", "--propagation=private", "sleep", "1000"], stdin=nothing)
        try:
            until(lambda: os.readlink(f"/proc/{other.pid}/ns/mnt") != os.readlink("/proc/self/ns/mnt") and
                  os.path.basename(os.readlink(f"/proc/{other.pid}/exe")) == "sleep", "the other namespace is there")
            succeed("mount", "-N", str(other.pid), "-t", "shmfs", "shmfs", p.mount, "-o", f"dir={p.dir}")
            with open(f"/proc/{other.pid}/mounts") as mounts:
                assert f" {p.mount} fuse.shmfs " in mounts.read()
            assert p.line() is None, p.line()
            succeed("umount", "-N", str(other.pid), p.mount)
            p.leave()
        finally:
            other.kill()
            other.wait()


def mount_over_dev_shm():
    """A static program there."""
    with place() as p:
        program = static_program(p.top)
        p.mount = "/dev/shm"
        succeed("mount", "-t", "fuse.shmfs", "shmfs", "/dev/shm", "-o", f"dir={p.dir}")
        try:
            said = succeed(program)
            assert said == ("mapped\n" if has_passthrough() else "read and written\n"), said
            assert os.listdir("/dev/shm") == ["of-static"]
        finally:
            succeed("umount", "/dev/shm")


def limits_of_a_mount_change():
    with place() as p:
        succeed("mount", "-t", "fuse.shmfs", "shmfs", p.mount, "-o", f"size=16m,dir={p.dir}")
        path = os.path.join(p.mount, "file")
        assert fill(path, 20 * MIB) == "ENOSPC"
        succeed("shmemu", "limit", f"--dir={p.dir}", "--size=32m")
        room = os.statvfs(p.mount)
        assert room.f_blocks * room.f_frsize == 32 * MIB, room
        assert fill(path, 20 * MIB) is None
        refuse("shmemu", "limit", f"--dir={p.dir}", "--size=16m", words=["are in use"])
        p.unmount()


def user_mounts_by_fstab():
    with place(owner=USER) as p, open("/etc/fstab") as old:
        line = (f"shmfs {p.mount} fuse.shmfs noauto,user,exec,size=16m,nr_inodes=10,"
                f"dir={p.dir} 0 0\n")
        with bound("/etc/fstab", old.read() + line):
            # This user may not use /dev/fuse.
            refuse(*AS_USER, "mount", p.mount, words=["/dev/fuse"])
            with fuse_for_all():
                succeed(*AS_USER, "mount", p.mount)
                assert f"user_id={USER}" in p.line()[3], p.line()
                script = (f"cd {p.mount} && echo hello >file && cat file && stat -c %u file . &&"
                          f"df -B1 --output=size .")
                said = succeed(*AS_USER, "sh", "-c", script)
                assert said.split() == ["hello", str(USER), str(USER), "1B-blocks",
                                        str(16 * MIB)], said
                succeed(*AS_USER, "umount", p.mount)
                p.leave()


def user_mounts_by_fusermount():
    with place(owner=USER) as p, fuse_for_all():
        shmfs = *AS_USER, "shmfs", f"--dir={p.dir}"
        succeed(*shmfs, p.mount)
        assert f"user_id={USER}" in p.line()[3], p.line()
        # Others are kept out by the kernel.
        assert run("ls", p.mount).returncode != 0
        succeed(*AS_USER, "sh", "-c", f"echo hello >{p.mount}/file && cat {p.mount}/file")
        succeed(*AS_USER, "fusermount3", "-u", p.mount)
        p.leave()
        # What fusermount3 has against it is in our one line.
        refuse(*shmfs, p.mount, "-o", "allow_other", words=["user_allow_other"])
        refuse(*shmfs, p.mount, "-o", "uid=7", words=["uid=7", "root"])
        refuse(*shmfs, "/usr", words=["/usr", "fusermount3"])
        with bound("/etc/fuse.conf", "user_allow_other\n"):
            succeed(*shmfs, p.mount, "-o", "allow_other,mode=0755")
            assert os.listdir(p.mount) == [] and os.stat(p.mount).st_uid == USER
            succeed(*AS_USER, "fusermount3", "-u", p.mount)
            p.leave()


def user_mounts_in_a_namespace():
    with place(owner=USER) as p, fuse_for_all():
        script = (f"mount -t fuse.shmfs shmfs {p.mount} -o size=16m,allow_other,mode=0700,"
                  f"dir={p.dir} && stat -c '%a %u' {p.mount} && "
                  f"echo hello >{p.mount}/file && cat {p.mount}/file && "
                  f"df -B1 --output=size {p.mount} && umount {p.mount}")
        said = succeed(*AS_USER, "unshare", "-Urm", "sh", "-c", script)
        assert said.split() == ["700", "0", "hello", "1B-blocks", str(16 * MIB)], said
        p.leave()


def user_runs_commands_with_a_mount():
    """The cases of `shmemu run --mount-dev-shm`, which test_cli.py can't run where /dev/fuse is
    root's."""
    with fuse_for_all():
        for case in (cli_mounted.static_programs_share_memory,
                     cli_mounted.the_command_keeps_its_identity_and_rights,
                     cli_mounted.the_mounted_size_is_the_limit,
                     cli_mounted.a_mounted_run_ends_as_others_do):
            in_child(case)


def in_child(case):
    child = os.fork()
    if child == 0:
        os.chdir("/")
        os.setgroups([])
        os.setresgid(USER, USER, USER)
        os.setresuid(USER, USER, USER)
        try:
            case()
        except BaseException:  # whatever it is, it belongs to this case
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0, case.__name__


def mistakes_are_told_in_one_line():
    with place() as p:
        for option, word in (("size=16q", "16q"), ("nr_inodes=1%", "1%"), ("size", "size"),
                             ("uid=nosuch", "nosuch"), ("mode=9", "mode"), ("guard=no", "guard"),
                             ("passthrough=maybe", "maybe"), ("what=ever", "mount option"),
                             ("size=64k", "--size"), ("source=memfd,size=1m", "--size")):
            refuse("mount", "-t", "fuse.shmfs", "shmfs", p.mount, "-o",
                   f"{option},dir={p.dir}", words=[word])
            assert p.line() is None, p.line()
        refuse("mount", "-t", "shmfs", "shmfs", p.mount + "/none", words=["none"])
        refuse("shmfs", "one", "two", p.mount, words=["3"])
        succeed("mount", "-t", "shmfs", "shmfs", p.mount, "-o", f"dir={p.dir}")
        refuse("mount", "-o", "remount,size=8m", p.mount, words=["shmemu limit"])
        p.unmount()
        # "Fake" mounts nothing.
        succeed("mount", "-f", "-t", "shmfs", "shmfs", p.mount, "-o", f"dir={p.dir}")
        assert p.line() is None, p.line()


CASES = [mount_with_the_options_of_tmpfs, mount_again_at_once,
         mount_without_a_helper_of_its_own, mount_by_fstab, mount_all_of_fstab_again,
         mount_in_another_namespace, mount_over_dev_shm,
         limits_of_a_mount_change, user_mounts_by_fstab, user_mounts_by_fusermount,
         user_mounts_in_a_namespace, user_runs_commands_with_a_mount,
         mistakes_are_told_in_one_line]


def lay_over(name):
    """What is in the stage's folder is in /usr's."""
    done = run("mount", "-t", "overlay", "overlay", "-o",
               f"lowerdir={os.path.join(PREFIX, name)}:/usr/{name}", f"/usr/{name}")
    return done.returncode == 0


def main():
    if not private_root():
        return 0
    if not (lay_over("bin") and lay_over("sbin")):
        print("1..0 # SKIP this host has no overlayfs, by which mount(8) would find our helper")
        return 0
    tap = Tap()
    for case in CASES:
        tap.run(case.__name__.replace("_", " "), case)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
