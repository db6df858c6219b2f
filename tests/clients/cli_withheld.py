# SPDX-License-Identifier: LGPL-2.1-or-later
"""shmemu without: calls that fail, by seccomp and by the shim. A small script makes each call by libc
and reports as JSON what came of it."""

import errno
import glob
import json
import os
import platform
import re

from cli_world import (PREFIX, PROBE, PYTHON, SHMEMU, Skip, case, check_refusal, equal, is_root, run)

# What is withheld without a moment, and how it fails by default.
DEFAULTS = {
    "mmap-shared": "ENODEV", "mmap-file": "ENODEV", "mmap-shared-anonymous": "ENODEV",
    "msync": "ENOSYS", "mremap": "ENOSYS", "madvise": "ENOSYS", "mprotect": "ENOSYS",
    "munmap": "ENOSYS", "ftruncate": "ENOSYS", "fallocate": "ENOSYS", "memfd_create": "ENOSYS",
}

# The calls of the script that a word is about, but for the call of its own name.
CALLS = {
    "mmap-shared": ("shared", "validated"), "mmap-file": ("private", "shared", "validated"),
    "mmap-shared-anonymous": ("shared-anonymous",),
    "fallocate": ("fallocate", "posix_fallocate"),
}

SCRIPT = r"""
import ctypes, errno, json, os, sys, tempfile
libc = ctypes.CDLL(None, use_errno=True)
pointer, size, int_, off = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_long
for name, result, arguments in (
        ("mmap", pointer, (pointer, size, int_, int_, int_, off)), ("munmap", int_, (pointer, size)),
        ("mprotect", int_, (pointer, size, int_)), ("msync", int_, (pointer, size, int_)),
        ("madvise", int_, (pointer, size, int_)), ("mremap", pointer, (pointer, size, size, int_)),
        ("ftruncate", int_, (int_, off)), ("fallocate", int_, (int_, int_, off, off)),
        ("posix_fallocate", int_, (int_, off, off)), ("memfd_create", int_, (ctypes.c_char_p, int_)),
        ("shmget", int_, (int_, size, int_)), ("unshare", int_, (int_,)),
        ("mount", int_, (ctypes.c_char_p,) * 3 + (ctypes.c_ulong, pointer))):
    function = getattr(libc, name)
    function.restype, function.argtypes = result, arguments
def told(result):
    failed = result in (-1, (1 << 8 * ctypes.sizeof(pointer)) - 1)
    error = ctypes.get_errno()
    return errno.errorcode.get(error, error) if failed else "ok"
PAGE = os.sysconf("SC_PAGESIZE")
SHARED, PRIVATE, VALIDATE, ANONYMOUS = 1, 2, 3, 0x20
def file():
    fd = os.open(os.environ.get("TMPDIR", "/tmp"), os.O_RDWR | os.O_TMPFILE)
    os.write(fd, b"x" * 2 * PAGE)
    return fd
def mmap(flags, fd=-1):
    return libc.mmap(None, 2 * PAGE, 3, flags, fd, 0)
"""

LOOK = SCRIPT + r"""
fd, at = file(), mmap(PRIVATE | ANONYMOUS)
seen = {"anonymous": told(at), "private": told(mmap(PRIVATE, fd)), "shared": told(mmap(SHARED, fd)),
        "validated": told(mmap(VALIDATE, fd)),
        "shared-anonymous": told(mmap(SHARED | ANONYMOUS)),
        "msync": told(libc.msync(at, PAGE, 4)), "madvise": told(libc.madvise(at, PAGE, 4)),
        "mprotect": told(libc.mprotect(at, PAGE, 1)),
        "mremap": told(libc.mremap(at, 2 * PAGE, PAGE, 1)),
        "ftruncate": told(libc.ftruncate(fd, PAGE)),
        "fallocate": told(libc.fallocate(fd, 0, 0, PAGE)),
        "memfd_create": told(libc.memfd_create(b"x", 0)), "munmap": told(libc.munmap(at, PAGE))}
error = libc.posix_fallocate(fd, 0, PAGE)
seen["posix_fallocate"] = errno.errorcode[error] if error else "ok"
print(json.dumps(seen))
"""


def tool(*words):
    return SHMEMU, "without", *words, "--"


def library():
    """With SHMEMU_MMAP=native it does not supply what is missing."""
    return glob.glob(os.path.join(PREFIX, "lib*", "**", "libshmemu.so"), recursive=True)[0]


def script(text, *command, stderr="", **options):
    done = run(*command, PYTHON, "-c", text, **options)
    assert done.returncode == 0, (command, done.returncode, done.stderr)
    assert stderr in done.stderr if stderr else done.stderr == "", done.stderr
    return json.loads(done.stdout)


def look(*command, **options):
    return script(LOOK, *command, **options)


def wanted(**failing):
    """What the script sees where these words, _ for -, are withheld."""
    seen = dict.fromkeys(NATIVE, "ok")
    for word, error in failing.items():
        word = word if word in DEFAULTS else word.replace("_", "-")
        seen.update(dict.fromkeys(CALLS.get(word, (word,)), error))
    return seen


NATIVE = ("anonymous", "private", "shared", "validated", "shared-anonymous", "msync", "madvise",
          "mprotect", "mremap", "ftruncate", "fallocate", "memfd_create", "munmap",
          "posix_fallocate")


@case()
def nothing_is_withheld_from_the_host():
    equal(look(), wanted())


@case()
def each_call_alone():
    for word, error in DEFAULTS.items():
        equal((word, look(*tool(word))), (word, wanted(**{word: error})))
        for moment in ("", ",after=0", ",probability=1"):
            equal((word, moment, look(*tool(f"{word}=EINTR{moment}"))),
                  (word, moment, wanted(**{word: "EINTR"})))


@case()
def errnos_by_name():
    for name, seen in (("EPERM", "EPERM"), ("EDQUOT", "EDQUOT"), ("EHWPOISON", 133),
                       ("ENOTSUP", errno.errorcode[errno.EOPNOTSUPP]), ("EWOULDBLOCK", "EAGAIN")):
        for word in ("msync", "munmap"):
            equal(look(*tool(f"{word}={name}"))[word], seen)


@case()
def all_together():
    seen = look(*tool("nanvix", "munmap", "mprotect=EPERM", "ftruncate", "fallocate"))
    equal(seen, {**dict.fromkeys(NATIVE, "ENOSYS"), "anonymous": "ok", "private": "ENODEV",
                 "shared": "ENODEV", "validated": "ENODEV", "shared-anonymous": "ENODEV",
                 "mprotect": "EPERM"})


@case()
def words_on_one_call_add_up_and_later_ones_override():
    seen = look(*tool("mmap-file=EPERM", "mmap-shared=EIO", "msync=EIO", "msync=EPERM"))
    equal((seen["private"], seen["shared"], seen["msync"]), ("EPERM", "EPERM", "EPERM"))
    equal(look(*tool("mmap-shared=EIO,nth=1", "mmap-shared")), wanted(mmap_shared="ENODEV"))
    equal(look(*tool("nanvix", "msync=EIO,nth=9"))["msync"], "ok")


CALL = SCRIPT + r"""
fd, at = file(), mmap(PRIVATE | ANONYMOUS)
def call():
    return told(libc.msync(at, PAGE, 4))
"""

SEVERAL = CALL + "print(json.dumps([call() for _ in range(12)]))"


def failures(word, **options):
    results = script(SEVERAL, *tool(word), **options)
    equal(set(results) - {"ok", "ENOSYS"}, set())
    return [i + 1 for i, result in enumerate(results) if result != "ok"]


@case()
def moments():
    equal(failures("msync,after=0"), list(range(1, 13)))
    equal(failures("msync,after=9"), [10, 11, 12])
    equal(failures("msync,after=12"), [])
    equal(failures("msync,nth=1"), [1])
    equal(failures("msync,nth=7"), [7])
    equal(failures("msync,probability=0"), [])
    equal(failures("msync,probability=1,seed=3"), list(range(1, 13)))
    equal(script(CALL + """
print(json.dumps([told(mmap(SHARED, fd)) for _ in range(3)] + [told(mmap(PRIVATE, fd))]))
""", *tool("mmap-shared=EIO,nth=2", "mmap-file=EPERM,after=3")), ["ok", "EIO", "ok", "EPERM"])


@case()
def the_same_seed_fails_the_same_calls():
    sequences = {seed: failures(f"msync,probability=0.5,seed={seed}") for seed in range(1, 9)}
    for seed, sequence in sequences.items():
        equal(failures(f"msync,probability=0.5,seed={seed}"), sequence)
    assert len({tuple(sequence) for sequence in sequences.values()}) > 4, sequences
    many = CALL + "print(json.dumps(sum(call() != 'ok' for _ in range(10000))))"
    for probability in (0.01, 0.5, 0.9):
        count = script(many, *tool(f"msync,probability={probability},seed=5"))
        assert abs(count - 10000 * probability) < 300, (probability, count)
    # Without a seed, one is chosen.
    chosen = {tuple(failures("msync,probability=0.5")) for _ in range(6)}
    assert len(chosen) > 1, chosen


@case()
def counts_are_each_process_s():
    seen = script(CALL + r"""
seen = [call(), call()]
reader, writer = os.pipe()
if os.fork() == 0:
    os.write(writer, json.dumps([call(), call()]).encode())
    os._exit(0)
os.wait()
seen += [json.loads(os.read(reader, 99)), call(), call()]
if len(sys.argv) == 1:
    sys.stdout.flush()
    seen.append(json.loads(os.popen(f'{sys.executable} -c "$SCRIPT" again').read()))
print(json.dumps(seen))
""", *tool("msync,after=3"), env={**os.environ, "SCRIPT": CALL + "print(json.dumps([call()]))"})
    equal(seen, ["ok", "ok", ["ok", "ENOSYS"], "ok", "ENOSYS", ["ok"]])


@case()
def nested_hosts_add_up():
    seen = look(*tool("munmap", "msync=EIO"), *tool("mprotect"), *tool("mmap-file=EPERM", "mremap"))
    equal(seen, wanted(munmap="ENOSYS", msync="EIO", mprotect="ENOSYS", mmap_file="EPERM",
                       mremap="ENOSYS"))
    # A call meets the innermost host first, and the outer ones if that lets it through.
    equal(failures_nested("msync=EIO,nth=1", "msync=EPERM,nth=2"), ["EIO", "EPERM", "ok", "ok"])
    equal(failures_nested("munmap,nth=99999", "msync=EPERM,after=2"),
          ["ok", "ok", "EPERM", "EPERM"])
    look(*tool("lambda"), *tool("nanvix"), *tool("docker-64m"), *tool("nanvix"))


def failures_nested(outer, inner):
    return script(CALL + "print(json.dumps([call() for _ in range(4)]))", *tool(outer),
                  *tool(inner))


@case()
def no_environment_gets_rid_of_it():
    failing = wanted(mmap_file="ENODEV", munmap="ENOSYS")
    for command in (["env", "-i"], ["env", "LD_PRELOAD="], ["env", "LD_PRELOAD=libm.so.6"],
                    ["env", "-u", "LD_PRELOAD", "sh", "-c", 'exec "$@"', "sh"],
                    ["env", "-i", "SHMEMU_WITHOUT=", "sh", "-c", "env -i \"$@\"", "sh"]):
        equal(look(*tool("mmap-file", "munmap"), *command), failing)
    equal(look(*tool("mmap-file", "munmap"), env={**os.environ, "LD_PRELOAD": "libm.so.6"}),
          failing)


@case()
def it_lies_beneath_the_library_and_above_libc():
    order = r"""
import json, os
maps = [line.split()[-1] for line in open("/proc/self/maps")]
import ctypes
class info(ctypes.Structure):
    _fields_ = [("address", ctypes.c_void_p), ("name", ctypes.c_char_p)]
names = []
@ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(info), ctypes.c_size_t, ctypes.c_void_p)
def note(entry, size, ignored):
    names.append(os.path.basename(entry[0].name.decode()))
    return 0
ctypes.CDLL(None).dl_iterate_phdr(note, None)
print(json.dumps([n for n in names if n in ("libshmemu.so", "libshmemu-without.so", "libc.so.6")]))
"""
    for environment in (["env", "LD_PRELOAD=" + library()],
                        ["env", "-i", "LD_PRELOAD=" + library()]):
        equal(script(order, *tool("munmap,nth=99999"), *environment),
              ["libshmemu.so", "libshmemu-without.so", "libc.so.6"])
    # The library's RTLD_NEXT finds it. By an errno of its man page the call is there, and fails.
    for word, error in (("mmap-file=EIO", "EIO"), ("mremap=ENOMEM,after=0", "ENOMEM"),
                        ("mprotect=EACCES", "EACCES"), ("munmap=EINVAL", "EINVAL")):
        seen = look(*tool(word), "env", "LD_PRELOAD=" + library(), "SHMEMU_MMAP=native")
        name = "private" if word.startswith("mmap-file") else re.split("[=,]", word)[0]
        equal((word, seen[name]), (word, error))


@case()
def a_host_without_private_mounts():
    refusing = tool("namespaces")
    told = "refuses private mounts"
    if is_root():
        refusing = (*tool("namespaces"), "setpriv", "--bounding-set=-sys_admin",
                    "--inh-caps=-sys_admin")
    equal(look(*refusing, *tool("mmap-file=EIO", "msync=EIO,nth=1"), stderr=told),
          wanted(mmap_file="EIO", msync="EIO"))
    done = run(*refusing, *tool("munmap"), "sh", "-c", "echo $LD_PRELOAD; echo $SHMEMU_WITHOUT",
               env={**os.environ, "LD_PRELOAD": library()})
    first, second = done.stdout.split()
    equal(first, library() + ":" + library().replace("libshmemu", "libshmemu-without"))
    equal(second, "munmap=38")
    assert told in done.stderr and done.stderr.count("\n") == 1, done.stderr
    seen = look(*refusing, *tool("munmap"), *tool("mprotect=EPERM"), stderr=told)
    equal(seen, wanted(munmap="ENOSYS", mprotect="EPERM"))
    # What takes mounts besides is refused, as ever.
    check_refusal(run(*refusing, *tool("dev-shm", "munmap"), "true"), 125)
    # By the kernel it goes without.
    equal(look(*refusing, *tool("msync=EIO")), wanted(msync="EIO"))


ETC = r"""
import json, os
def told(name):
    path = os.path.join("/etc", name)
    status = os.lstat(path)
    target = os.readlink(path) if os.path.islink(path) else None
    same = target is None and (status.st_ino, status.st_mode)
    return [name, target, same, os.access(path, os.R_OK)]
print(json.dumps([told(name) for name in sorted(os.listdir("/etc")) if name != "ld.so.preload"] +
                 [os.stat("/etc").st_mode & 0o7555]))
"""


@case()
def the_folder_etc_is_as_before():
    before = script(ETC)
    existed = os.path.lexists("/etc/ld.so.preload")
    equal(script(ETC, *tool("munmap,nth=99999")), before)
    equal(os.path.lexists("/etc/ld.so.preload"), existed)
    equal(run(*tool("munmap"), "id", "-un").stdout, run("id", "-un").stdout)
    equal(run(*tool("munmap"), "pwd", cwd="/etc").stdout, "/etc\n")
    equal(run(*tool("munmap"), *tool("munmap"), "pwd", cwd="/etc").stdout, "/etc\n")
    made = run(*tool("munmap"), "sh", "-c", "rm -f /etc/ld.so.preload; echo >/etc/ld.so.preload")
    assert is_root() or "Permission denied" in made.stderr, made


@case(root_only=True)
def an_ld_so_preload_that_is_there_stays():
    """Root can write to the /etc of its own: other hosts are made there."""
    shim = library().replace("libshmemu", "libshmemu-without")
    once = "munmap=5"
    twice = "munmap=5 munmap=38,nth=99999"
    for commands, words, libraries in (
            ("printf '# mine\\n' >/etc/ld.so.preload", once, [shim]),
            ("printf '# mine' >/etc/ld.so.preload", once, [shim]),
            ("printf '# 1\\n# 2\\nlibm.so.6 # 3\\n#4' >/etc/ld.so.preload", once,
             ["libm.so.6", shim]),
            (f"echo libm.so.6:{shim} >/etc/ld.so.preload", once, ["libm.so.6:" + shim]),
            ("printf libm.so.6 >/etc/ld.so.preload", once, ["libm.so.6", shim]),
            (">/etc/ld.so.preload", once, [shim]),
            ("rm /etc/ld.so.preload", once, [shim]),
            ("ln -sf /nowhere /etc/ld.so.preload", once, [shim]),
            ("cd /etc; mv ld.so.preload else; ln -s else ld.so.preload", twice, [shim]),
            ("mkdir -m 0 /etc/closed; ln -s closed/none /etc/dangling", twice, [shim])):
        shell = (*tool("munmap,nth=99999"), "sh", "-euc", commands + '; exec "$@"', "sh")
        # The loader of glibc 2.36 takes a second comment for libraries: in the tool, not beyond.
        stderr = "object '3'" if "# 3" in commands else ""
        equal(look(*shell, *tool("munmap=EIO"), stderr=stderr), wanted(munmap="EIO"))
        content = run(*shell, *tool("munmap=EIO"), "cat", "/etc/ld.so.preload").stdout
        equal((commands, content.split("\n", 1)[0], content.split()[1 + len(words.split()):]),
              (commands, "#shmemu-without " + words, libraries))


@case()
def every_word_keeps_programs_alive():
    words = [*DEFAULTS, *(f"{word},probability=0.2,seed=1" for word in DEFAULTS), "mmap,after=2000",
             "sysv=SIGSYS", "mqueue=SIGSYS", "mq_send", "sem_open", "mount", "fsopen", "namespaces", "userfaultfd", "io_uring", "keyrings",
             "pkeys", "copy_file_range", "lambda", "docker-64m", "docker-default", "gvisor",
             "termux", "nanvix"]
    commands = ([PYTHON, "-c", "import ctypes, ssl, sqlite3, multiprocessing, threading\n"
                 "t = threading.Thread(target=print, args=('alive',)); t.start(); t.join()"],
                ["bash", "-c", "cat </etc/passwd | sort | head -n 1 >/dev/null; ls -l / >/dev/null; "
                 "cp /etc/passwd /dev/null; date >/dev/null; echo alive"])
    for word in words:
        for command in commands:
            done = run(*tool(word), *command)
            equal((word, done.stdout, done.stderr, done.returncode), (word, "alive\n", "", 0))


@case()
def system_v_is_killed_where_it_is_on_android():
    get = SCRIPT + "print(json.dumps(told(libc.shmget(0, 4096, 0o600))))"
    equal(script(get, *tool("sysv=EACCES")), "EACCES")
    equal(script(get, *tool("sysv")), "ENOSYS")
    equal(run(*tool("termux"), PYTHON, "-c", get).returncode, -31)


IPC = r"""
import ctypes, errno, json, os
libc = ctypes.CDLL(None, use_errno=True)
libc.sem_open.restype = ctypes.c_void_p
def told(call, *arguments):
    ctypes.set_errno(0)
    result = getattr(libc, call)(*arguments)
    return errno.errorcode.get(ctypes.get_errno(), "ok") if result in (-1, None) else "ok"
"""

# Each call with arguments that are wrong: what it is told by is that there is such a call.
SYSV = IPC + r"""
print(json.dumps([told("shmget", 0, 0, 0), told("shmat", -1, None, 0), told("shmdt", None),
                  told("shmctl", -1, 0, None), told("semget", 0, -1, 0), told("semop", -1, None, 1),
                  told("semtimedop", -1, None, 1, None), told("semctl", -1, 0, 0, 0),
                  told("msgget", 12345678, 0), told("msgsnd", -1, None, 0, 0),
                  told("msgrcv", -1, None, 0, 0, 0), told("msgctl", -1, 0, None)]))
"""

# The queue is opened by whoever has the calls, and has its name for a moment only.
QUEUES = IPC + r"""
name, flags = b"/NAME", os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_NONBLOCK
opened = told("mq_open", name, flags, 0o600, None)
libc.mq_unlink(name)
queue = libc.mq_open(name, flags, 0o600, None)
room = ctypes.create_string_buffer(65536)
print(json.dumps([opened, told("mq_unlink", name), told("mq_send", queue, b"x", 1, 0),
                  told("mq_receive", queue, room, 65536, None), told("mq_getattr", queue, room),
                  told("mq_notify", queue, None)]))
""".replace("NAME", PROBE)

NAMED = IPC + r"""
name = b"/NAME"
def attempts():
    libc.sem_unlink(name)
    return told("sem_open", name, os.O_CREAT | os.O_EXCL, 0o600, 1)
seen = [attempts(), attempts(), attempts(), told("sem_unlink", name), told("sem_close", None)]
print(json.dumps(seen))
""".replace("NAME", PROBE)


@case()
def system_v_calls_are_missing():
    native = script(SYSV)
    assert "ENOSYS" not in native and "ok" not in native, native
    equal(script(SYSV, *tool("sysv")), ["ENOSYS"] * 12)
    equal(script(SYSV, *tool("sysv=EPERM")), ["EPERM"] * 12)


@case()
def message_queues_are_missing():
    native = script(QUEUES)
    equal(native, ["ok"] * 6)
    equal(script(QUEUES, *tool("mqueue")), ["ENOSYS"] * 6)
    equal(script(QUEUES, *tool("mqueue=EIO", "mq_send")), ["EIO"] * 6)
    for word in ("mq_send", "gvisor"):
        equal((word, script(QUEUES, *tool(word))), (word, ["ok"] * 2 + ["ENOSYS"] * 4))
    equal(run(*tool("termux"), PYTHON, "-c", QUEUES).returncode, -31)


@case()
def named_semaphores_are_missing():
    equal(script(NAMED), ["ok", "ok", "ok", "ok", "EINVAL"])
    for words, error in ((["sem_open"], "ENOSYS"), (["sem_open=EACCES"], "EACCES"),
                         (["termux"], "ENOSYS")):
        equal((words, script(NAMED, *tool(*words))), (words, [error] * 5))
    # A moment is of sem_open alone.
    equal(script(NAMED, *tool("sem_open,nth=2")), ["ok", "ENOSYS", "ok", "ok", "EINVAL"])
    # As Python tells it on AWS Lambda.
    done = run(*tool("sem_open"), PYTHON, "-c", "import multiprocessing; multiprocessing.Lock()")
    assert "[Errno 38] Function not implemented" in done.stderr, done.stderr
    done = run(*tool("lambda", "sem_open"), SHMEMU, "run", "--strict", PYTHON, "-c",
               "import multiprocessing; multiprocessing.Lock()")
    equal((done.returncode, done.stderr), (0, ""))


@case()
def docker_refuses_mounts_and_namespaces():
    seen = script(SCRIPT + r"""
results = [told(libc.mount(b"x", b"/tmp", b"tmpfs", 0, None)), told(libc.unshare(0x10000000)),
           told(libc.syscall(430, b"tmpfs", 0)), told(libc.syscall(435, 0, 0)),
           told(libc.syscall(56 if CLONE else 220, 0x10000000, 0, 0, 0, 0)), os.fork() >= 0]
if results[-1]: print(json.dumps(results)) if os.getpid() != os.getsid(0) else None
""".replace("CLONE", str(platform.machine() == "x86_64")).replace(
        "if results[-1]: print(json.dumps(results)) if os.getpid() != os.getsid(0) else None",
        "pid = os.wait()[0] if os.getpid() == PID else os._exit(0)\n"
        "print(json.dumps(results))").replace("\nresults =", "\nPID = os.getpid()\nresults ="),
                  *tool("docker-default"))
    equal(seen, ["EPERM", "EPERM", "EPERM", "ENOSYS", "EPERM", True])


@case()
def the_list_tells_all():
    done = run(SHMEMU, "without", "--list")
    equal((done.returncode, done.stderr), (0, ""))
    listed = json.loads(run(SHMEMU, "without", "--list", "--json").stdout)["things"]
    things = {entry["name"]: entry for entry in listed}
    for word, error in {**DEFAULTS, "mmap": "ENOMEM", "sem_open": "ENOSYS"}.items():
        entry = things[word]
        equal((entry["errno"], entry["moment"], entry["kind"]), (error, True, "thing"))
        assert entry["how"] in ("seccomp", "shim"), entry
    profiles = [entry for entry in listed if entry["kind"] == "profile"]
    equal({entry["name"] for entry in profiles},
          {"lambda", "docker-64m", "docker-default", "gvisor", "termux", "nanvix"})
    for entry in profiles:
        assert entry["source"] and entry["summary"], entry
        for part in entry["parts"].split():
            assert part.split("=")[0] in things, part
    for name in things:
        assert name in done.stdout, name
    # How it is said to be withheld is how it is.
    raw = SCRIPT + "print(json.dumps(told(libc.syscall(ctypes.c_long(NUMBER), 0, 0, 0, 0, 0, 0))))"
    if platform.machine() == "x86_64":
        for word, number in (("msync", 26), ("madvise", 28), ("mprotect", 10), ("munmap", 11)):
            seen = script(raw.replace("NUMBER", str(number)), *tool(word + "=EXDEV"))
            equal((word, seen == "EXDEV"), (word, things[word]["how"] == "seccomp"))


@case()
def mistaken_words_are_told_in_one_line():
    for word in ("msync=ENONSENSE", "msync=", "msync=5", "msync,after", "msync,after=", "msync,nth=0",
                 "msync,after=-1", "msync,after=1x", "msync,after=1,nth=2", "msync,seed=1",
                 "msync,probability=2", "msync,probability=-0.1", "msync,probability=x",
                 "msync,probability=nan", "msync,probability=0.5,seed=x", "msync,never",
                 "msync,probability=0.5,seed=1,seed=2", "sysv,after=1", "mqueue,nth=1",
                 "sem_open=SIGSYS", "dev-shm,after=1",
                 "fuse=EPERM", "root=EPERM", "munmap=SIGSYS", "msync=SIGSYS,after=1",
                 "nanvix=EPERM", "nanvix,after=3", "mmap-", "mmap-shared-", "msync," + "x" * 300):
        check_refusal(run(SHMEMU, "without", word, "--", "true"), 125)
    check_refusal(run(SHMEMU, "without", "--json", "--", "true"), 125)
