# SPDX-License-Identifier: LGPL-2.1-or-later
"""shmemu doctor -- COMMAND and --pid: what the library reaches. Where a program can be run, whether it then has the library is
looked at."""

import glob
import os
import shutil
import struct
import subprocess

from cli_examine import inspect
from cli_limit import library
from cli_world import NOBODY, PREFIX, SHMEMU, Skip, case, check_refusal, equal, folder, is_root, run, until

AS_NOBODY = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
# Of a program in a shell's words: it says what it has mapped.
SHOWS = "cat /proc/self/maps"
# Version 2, effective, CAP_NET_RAW.
CAPABILITY = struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0)


def write(path, text, mode=0o755):
    with open(path, "w" if isinstance(text, str) else "wb") as file:
        file.write(text)
    os.chmod(path, mode)
    return path


def build(path, *options, text="int main(void) { return 0; }", compiler="gcc"):
    if not shutil.which(compiler):
        raise Skip(f"there is no {compiler}")
    done = subprocess.run([compiler, "-x", "c", "-", "-o", path, *options], input=text, text=True, capture_output=True)
    equal((done.returncode, done.stderr), (0, ""))
    return path


def machine():
    """What this host's ELF files say they are for."""
    with open("/usr/bin/env", "rb") as file:
        return struct.unpack("<H", file.read(20)[18:])[0]


def elf(number, wide, interpreter=None, kind=2):
    """A file that has no more than headers and its loader's name, and maybe a PT_DYNAMIC of nothing."""
    name = (interpreter or "").encode() + b"\0"
    header, segment = (64, 56) if wide else (52, 32)
    at = header + segment
    ident = b"\x7fELF" + bytes([2 if wide else 1, 1, 1]) + bytes(9)
    if wide:
        head = struct.pack("<HHIQQQIHHHHHH", kind, number, 1, 0, header, 0, 0, header, segment, 1, 0, 0, 0)
        part = struct.pack("<IIQQQQQQ", 3 if interpreter else 0, 4, at, 0, 0, len(name), len(name), 1)
    else:
        head = struct.pack("<HHIIIIIHHHHHH", kind, number, 1, 0, header, 0, 0, header, segment, 1, 0, 0, 0)
        part = struct.pack("<IIIIIIII", 3 if interpreter else 0, at, 0, 0, len(name), len(name), 4, 1)
    return ident + head + part + name


def has_library(*words, before=()):
    done = run(*before, "env", f"LD_PRELOAD={library()}", *words)
    equal(done.returncode, 0)
    return "/libshmemu.so" in done.stdout


def inspect_running(path, *words, says=""):
    """The exit status, the verdict and the row of a process that runs that program, and has begun to."""
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as started:
        try:
            if says:
                equal(started.stdout.readline(), says)
            until(lambda: inspect(f"--pid={started.pid}")[2][0]["program"] == path, "it runs")
            status, verdict, [row] = inspect(f"--pid={started.pid}")
        finally:
            started.kill()
    return status, verdict, row


@case()
def a_program_of_this_host_is_reached():
    status, verdict, [row] = inspect("--", "cat")
    equal((status, verdict, row["library"]), (0, "the library reaches cat", "yes"))
    assert row["program"].endswith("/cat"), row
    assert has_library(*SHOWS.split())


@case()
def what_it_asks_for_is_told():
    row = inspect("--", SHMEMU)[2][0]
    for name in ("shm_open", "sem_open", "mq_open", "shmget", "semget", "msgget"):
        assert name in row["details"], row
    with folder() as top:
        build(f"{top}/libinner.so", "-shared", "-fPIC", text="extern int semget(); int f(void) { return semget(); }")
        build(f"{top}/outer", f"-L{top}", "-linner", "-Wl,--no-as-needed", "-Wl,-rpath,$ORIGIN", "-w",
              text="extern int f(void); int main(void) { return f(); }")
        row = inspect("--", f"{top}/outer")[2][0]
        assert "libinner.so asks for semget" in row["details"], row
        os.unlink(f"{top}/libinner.so")
        row = inspect("--", f"{top}/outer")[2][0]
        assert "libinner.so was not found" in row["details"], row
    row = inspect("--", "true")[2][0]
    assert "asks for no shared memory by name" in row["details"], row


@case()
def a_static_program_is_not_reached():
    with folder() as top:
        for options in (["-static"], ["-static-pie"]):
            path = build(f"{top}/static", *options)
            status, verdict, [row] = inspect("--", path)
            equal((status, row["library"]), (1, "no"))
            assert row["details"].startswith("static: "), row
            assert verdict.startswith(f"the library does not reach {path}: static: "), verdict


@case()
def a_static_program_that_is_linked_with_it_is_reached():
    """By the note that the library has: preload/version.c."""
    note = ('__attribute__((used, aligned(4), section(".note.shmemu"))) static const struct { unsigned name, size, type; '
            'char words[8], version[16]; } note = {7, 16, 5, "shmemu", "1.2.3"};\n')
    with folder() as top:
        path = build(f"{top}/static", "-static", text=note + "#include <unistd.h>\nint main(void) { return pause(); }")
        status, _, [row] = inspect("--", path)
        equal((status, row["library"], row["details"]), (0, "yes", "static, and linked with libshmemu 1.2.3"))
        status, _, row = inspect_running(path, path)
        equal((status, row["library"]), (0, "yes"))


@case()
def scripts_are_their_interpreters():
    with folder() as top:
        path = write(f"{top}/script", "#!/bin/sh -e\ntrue\n")
        status, _, rows = inspect("--", path)
        equal((status, [(row["program"], row["library"]) for row in rows]), (0, [(path, None), ("/bin/sh", "yes")]))
        equal(rows[0]["details"], "a script of /bin/sh -e")
        path = write(f"{top}/by-env", "#!/usr/bin/env -S LANG=C python3 -u\n")
        status, _, rows = inspect("--", path)
        equal((status, rows[0]["program"], rows[-1]["library"]), (0, path, "yes"))
        assert "python3" in rows[1]["program"], rows
        status, _, rows = inspect("--", write(f"{top}/plain", "true\n"))
        equal((status, rows[-1]["program"]), (0, "/bin/sh"))
        status, verdict, rows = inspect("--", write(f"{top}/none", "#!/nonexistent/shell\n"))
        equal((status, rows[-1]["library"]), (1, "no"))
        status, verdict, rows = inspect("--", write(f"{top}/none", "#!/usr/bin/env shmemu-nothing\n"))
        equal((status, rows[-1]["library"]), (1, "no"))
        write(f"{top}/turn", f"#!{top}/turn\n")
        status, verdict, rows = inspect("--", f"{top}/turn")
        equal((status, rows[-1]["library"]), (1, "no"))


@case()
def what_a_script_may_start_is_looked_up():
    with folder() as top:
        static = build(f"{top}/static-one", "-static")
        other = build(f"{top}/static-two", "-static")
        path = write(f"{top}/script", f"#!/bin/sh\n# {other}\ntrue && static-one 'x y'; ls\n")
        environment = {**os.environ, "PATH": f"{top}:{os.environ['PATH']}"}
        status, verdict, rows = inspect("--", path, env=environment)
        equal((status, [row["program"] for row in rows]), (0, [path, "/bin/sh", static]))
        assert rows[-1]["details"].startswith(f"{path} may start it: static: "), rows
        equal(verdict, f"the library reaches {path}; it may start what is out of reach: {static}")
        # A shell's words, and those of what starts others.
        text = write(f"{top}/text", f"{other}\n", 0o644)
        for words in (("sh", "-c", f"exec {other}"), ("sh", text), ("sh", other), ("nice", other), ("env", "A=B", other)):
            status, verdict, rows = inspect("--", *words)
            equal((words, status, rows[-1]["program"], rows[-1]["library"]), (words, 0, other, "no"))
        equal(len(inspect("--", "cat", other)[2]), 1)


@case()
def what_is_no_program_is_refused():
    with folder() as top:
        check_refusal(run(SHMEMU, "doctor", "--", "shmemu-nothing", env={"PATH": f"/nowhere:{top}"}), 127)
        check_refusal(run(SHMEMU, "doctor", "--", f"{top}/none"), 127)
        check_refusal(run(SHMEMU, "doctor", "--", write(f"{top}/file", "true\n", 0o644)), 126)
        check_refusal(run(SHMEMU, "doctor", "--", top), 126)
        # Cut short, or full of lies: none of it ends the tool.
        whole = elf(machine(), True, "/lib/ld.so")
        for text in (whole[:30], whole[:80], whole[:32] + b"\xff" * 8 + whole[40:], whole[:56] + b"\xff\xff" + whole[58:],
                     whole[:72] + b"\xff" * 8 + whole[80:], whole[:96] + b"\xff" * 8 + whole[104:]):
            status = run(SHMEMU, "doctor", "--", write(f"{top}/cut", text)).returncode
            assert status in (0, 1), (text, status)


@case()
def other_machines_and_libcs_are_told():
    has_musl = glob.glob(f"{PREFIX}/lib*/**/libshmemu-musl.so", recursive=True)
    with folder() as top:
        for text, begin in ((elf(183 if machine() != 183 else 62, True, "/lib/ld-linux-aarch64.so.1"), "for "),
                            (elf(machine(), True, "/lib/ld-musl-x86_64.so.1"), "of another kind ("),
                            (elf(machine(), True, kind=4), "no program"),
                            (elf(machine(), True, kind=3), "static: ")):
            status, _, [row] = inspect("--", write(f"{top}/other", text))
            is_found = begin == "of another kind (" and has_musl
            equal((status, row["library"]), (0, "yes") if is_found else (1, "no"))
            assert row["details"].startswith(begin), (begin, row)


@case()
def a_library_of_another_kind_is_found():
    """Beside ours, as distributions have them."""
    if machine() != 62:
        raise Skip("this is no x86_64")
    with folder() as top:
        prefix = f"{top}/prefix"
        shutil.copytree(PREFIX, prefix, symlinks=True)
        narrow = write(f"{top}/narrow", elf(3, False, "/lib/ld-linux.so.2"))
        tool = f"{prefix}/bin/shmemu"
        done = run(tool, "doctor", "--", narrow)
        equal(done.returncode, 1)
        assert "of another kind (i386, ld-linux.so.2)" in done.stdout, done
        [ours] = glob.glob(f"{prefix}/lib*/**/libshmemu.so", recursive=True)
        lib = os.path.join(os.path.dirname(os.path.dirname(ours)), "i386-linux-gnu")
        os.mkdir(lib)
        # What is no library of that kind is none.
        write(f"{lib}/libshmemu.so", elf(62, True, kind=3))
        equal(run(tool, "doctor", "--", narrow).returncode, 1)
        write(f"{lib}/libshmemu.so", elf(3, False, kind=3))
        done = run(tool, "doctor", "--", narrow)
        equal(done.returncode, 0)
        assert f"{lib}/libshmemu.so" in done.stdout, done
        # musl's has a name of its own, and lies beside ours. It is known by its libc, which this has not.
        musl = write(f"{top}/musl", elf(62, True, "/lib/ld-musl-x86_64.so.1"))
        other = write(f"{os.path.dirname(ours)}/libshmemu-musl.so", elf(62, True, kind=3))
        equal(run(tool, "doctor", "--", musl).returncode, 1)
        if shutil.which("musl-gcc"):
            build(other, "-shared", "-fPIC", text="int one = 1;", compiler="musl-gcc")
            done = run(tool, "doctor", "--", musl)
            equal(done.returncode, 0)
            assert "of another kind (x86_64, musl), for which LD_PRELOAD must have " + other in done.stdout, done


def check_rights(path, begin, before=AS_NOBODY, effect=True):
    status, _, [row] = inspect("--", path, before=before)
    equal((begin, status, row["library"]), (begin, 1, "no") if effect else (begin, 0, "yes"))
    if effect:
        assert row["details"].startswith(begin), row
    elif begin:
        assert begin in row["details"], row
    equal((begin, has_library(path, "/proc/self/maps", before=before)), (begin, not effect))


@case(root_only=True)
def programs_with_more_rights_are_not_reached():
    with folder() as top:
        if os.statvfs(top).f_flag & os.ST_NOSUID:
            raise Skip(f"{top} is nosuid")
        path = shutil.copy(shutil.which("cat"), f"{top}/cat")
        os.chmod(path, 0o4755)
        check_rights(path, "setuid")
        # Not where nothing changes: root's own, and where it is forbidden.
        check_rights(path, "", before=(), effect=False)
        check_rights(path, "without effect: no_new_privs", before=(*AS_NOBODY, "--no-new-privs"), effect=False)
        inside = ("setpriv", "--reuid=1", "--regid=1", "--clear-groups", "unshare", "--user", "--map-current-user")
        if run(*inside, "true").returncode == 0:
            check_rights(path, "without effect: its owner is not known", before=inside, effect=False)
        os.chmod(path, 0o2755)
        check_rights(path, "setgid")
        os.chmod(path, 0o2745)
        check_rights(path, "", effect=False)
        os.chmod(path, 0o755)
        check_rights(path, "", effect=False)
        try:
            os.setxattr(path, "security.capability", CAPABILITY)
        except OSError as error:
            raise Skip(f"no capabilities of files here: {error}") from error
        check_rights(path, "with capabilities")
        check_rights(path, "", before=(), effect=False)


@case(root_only=True)
def a_nosuid_mount_takes_rights_away():
    with folder() as top:
        script = (f"mount -t tmpfs -o nosuid none {top} && cp $(which cat) {top}/cat && chmod 4755 {top}/cat && "
                  f"exec {' '.join(AS_NOBODY)} {SHMEMU} doctor -- {top}/cat")
        done = run("unshare", "-m", "sh", "-c", script)
        equal(done.returncode, 0)
        assert "without effect: its mount is nosuid" in done.stdout, done


@case()
def what_can_not_be_read_may_be_anything():
    with folder() as top:
        path = shutil.copy(shutil.which("true"), f"{top}/true")
        os.chmod(path, 0o111)
        before = AS_NOBODY if is_root() else ()
        status, verdict, [row] = inspect("--", path, before=before)
        equal((status, row["library"]), (1, "?"))
        assert verdict.startswith(f"the library may or may not reach {path}: "), verdict


@case()
def processes_are_looked_at():
    shell = os.path.basename(os.path.realpath(shutil.which("sh")))
    wanted = sorted([("shmemu", "-"), ("shmfs", "-"), ("shmfs", "-"), (shell, "yes"), ("sleep", "yes"),
                     ("static", "no"), ("sleep", "no")])
    with folder() as top:
        static = build(f"{top}/static", "-static", text="#include <unistd.h>\nint main(void) { return pause(); }")
        script = f"sleep 1000 & {static} & env -u LD_PRELOAD sleep 1000 & wait"
        with subprocess.Popen([SHMEMU, "run", "--", "sh", "-c", script], start_new_session=True) as started:
            def looked_at():
                return inspect(f"--pid={started.pid}")

            def found():
                return sorted((os.path.basename(row["program"]), row["library"] or "-") for row in looked_at()[2])

            try:
                # Each begins as a copy of its parent, and its loader takes its time.
                until(lambda: found() == wanted, "all of them run")
                status, verdict, rows = looked_at()
            finally:
                os.killpg(started.pid, 15)
        equal((status, verdict, rows[0]["pid"]), (1, "of 4 processes 2 have the library, 2 not", started.pid))
        words = {row["details"] for row in rows if row["library"] == "no"}
        assert "it was started without the library in LD_PRELOAD" in words, words
        assert any(word.startswith("static: ") for word in words), words


@case()
def a_process_with_the_library_is_fit():
    # Its loader has done its work when it says so.
    path = os.path.realpath(shutil.which("sh"))
    status, verdict, row = inspect_running(path, "env", f"LD_PRELOAD={library()}", "sh", "-c", "echo go; read word",
                                           says="go\n")
    equal((status, verdict, row["library"]), (0, "of 1 processes 1 have the library", "yes"))


@case(root_only=True)
def a_process_with_more_rights_is_told():
    with folder() as top:
        if os.statvfs(top).f_flag & os.ST_NOSUID:
            raise Skip(f"{top} is nosuid")
        path = shutil.copy(shutil.which("sleep"), f"{top}/sleep")
        os.chmod(path, 0o4755)
        status, _, row = inspect_running(path, *AS_NOBODY, "env", f"LD_PRELOAD={library()}", path, "1000")
        equal((status, row["library"]), (1, "no"))
        assert row["details"].startswith("it has more rights than its caller"), row
