#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""shmemu trace: TAP on standard output.

Aim: each call that is about shared memory is shown as it was made, with what it gave and by which road, whatever the
program does with its threads, children and descriptors; and the program gets what it gets without. Method: programs
whose calls are known run under it, on this host and on hosts that refuse things; the conformance probes say the same
with and without it. All cases run as whoever starts this, and, if that is root, again as uid 65534. SHMEMU_PREFIX is the
folder that has bin/shmemu and the libraries, SHMEMU_PROBES the one with the probes; all users must be able to read them.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
from cli_perform import perform
from cli_world import PATIENCE, PREFIX, PYTHON, SHMEMU, Skip, case, check_refusal, check_statuses, equal, run, until

PROBES = os.environ.get("SHMEMU_PROBES", "")
TRACE = (SHMEMU, "run", "--", SHMEMU, "trace")
LINE = re.compile(r"\[pid (?P<pid>\d+)(?: tid (?P<tid>\d+))?\] (?P<call>\w+)\((?P<arguments>.*)\) = (?P<result>\S+)"
                  r"(?: (?P<error>E\w+))? <(?P<seconds>\d+\.\d{6})> (?P<road>\w+)")

# What all programs begin with.
BEGIN = """
import ctypes, mmap, os, signal, sys, threading, time
c = ctypes.CDLL(None, use_errno=True)
c.mmap.restype = c.shmat.restype = c.sem_open.restype = ctypes.c_void_p
c.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
for name in ("sem_trywait", "sem_post", "sem_close", "shmdt"):
    getattr(c, name).argtypes = [ctypes.c_void_p]
c.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
c.semctl.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
c.msgrcv.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_long, ctypes.c_int]
"""

# Everything once. What each line says of it is beside it: PLACE is an address.
ALL = """
fd = c.shm_open(b"/one", os.O_RDWR | os.O_CREAT, 0o640)                     #= shm_open("/one", O_RDWR|O_CREAT, 0640) = 3 daemon
c.shm_open(b"/one", os.O_CREAT | os.O_EXCL, 0o600)                          #= shm_open("/one", O_RDONLY|O_CREAT|O_EXCL, 0600) = -1 EEXIST daemon
c.shm_open(b"/", os.O_RDWR, 0)                                              #= shm_open("/", O_RDWR, 00) = -1 EINVAL library
c.ftruncate(fd, 8192)                                                       #= ftruncate(3, 8192) = 0 kernel
place = c.mmap(None, 8192, 3, 1, fd, 0)                                     #= mmap(NULL, 8192, PROT_READ|PROT_WRITE, MAP_SHARED, 3, 0) = PLACE kernel
c.msync(ctypes.c_void_p(place), 8192, 4)                                    #= msync(PLACE, 8192, MS_SYNC) = 0 kernel
c.mprotect(ctypes.c_void_p(place), 4096, 1)                                 #= mprotect(PLACE, 4096, PROT_READ) = 0 kernel
c.munmap(place, 8192)                                                       #= munmap(PLACE, 8192) = 0 kernel
c.shm_unlink(b"/one")                                                       #= shm_unlink("/one") = 0 daemon
c.shm_unlink(b"/one")                                                       #= shm_unlink("/one") = -1 ENOENT daemon
sem = c.sem_open(b"/two", os.O_CREAT | os.O_EXCL, 0o600, 1)                 #= sem_open("/two", O_RDONLY|O_CREAT|O_EXCL, 0600, 1) = PLACE daemon
c.sem_trywait(sem)                                                          #= sem_trywait(PLACE) = 0 memory
c.sem_trywait(sem)                                                          #= sem_trywait(PLACE) = -1 EAGAIN memory
c.sem_post(sem)                                                             #= sem_post(PLACE) = 0 memory
c.sem_close(sem)                                                            #= sem_close(PLACE) = 0 library
c.sem_unlink(b"/two")                                                       #= sem_unlink("/two") = 0 daemon
c.sem_open(b"/two", 0)                                                      #= sem_open("/two", O_RDONLY) = NULL ENOENT daemon
sems = c.semget(0, 2, 0o1600)                                               #= semget(IPC_PRIVATE, 2, IPC_CREAT|0600) = N daemon
c.semctl(sems, 1, 16, 5)                                                    #= semctl(N, 1, SETVAL, 5) = 0 daemon
c.semctl(sems, 1, 12, 0)                                                    #= semctl(N, 1, GETVAL) = 5 daemon
c.semop(sems, b"\\1\\0\\xff\\xff\\0\\x10" b"\\0\\0\\1\\0\\0\\x08", 2)                   #= semop(N, [{1, -1, SEM_UNDO}, {0, 1, IPC_NOWAIT}], 2) = 0 daemon
c.semop(sems, ctypes.c_void_p(1), 1)                                        #= semop(N, 0x1, 1) = -1 EFAULT library
c.semctl(sems, 0, 0, 0)                                                     #= semctl(N, 0, IPC_RMID) = 0 daemon
queue = c.msgget(0x5a, 0o3600)                                              #= msgget(0x5a, IPC_CREAT|IPC_EXCL|0600) = N daemon
c.msgsnd(queue, b"\\7" + bytes(7) + b"hi\\n", 3, 0o4000)                       #= msgsnd(N, {7, "hi\\n"}, 3, IPC_NOWAIT) = 0 daemon
c.msgrcv(queue, ctypes.create_string_buffer(64), 56, 0, 0)                  #= msgrcv(N, {7, "hi\\n"}, 56, 0, 0) = 3 daemon
c.msgctl(queue, 0, None)                                                    #= msgctl(N, IPC_RMID, NULL) = 0 daemon
shm = c.shmget(0, 4096, 0o600)                                              #= shmget(IPC_PRIVATE, 4096, 0600) = N daemon
at = c.shmat(shm, None, 0o10000)                                            #= shmat(N, NULL, SHM_RDONLY) = PLACE daemon
c.shmdt(at)                                                                 #= shmdt(PLACE) = 0 daemon
c.shmctl(shm, 0, None)                                                      #= shmctl(N, IPC_RMID, NULL) = 0 daemon
attributes = (ctypes.c_long * 8)(0, 5, 64)
mq = c.mq_open(b"/three", os.O_RDWR | os.O_CREAT, 0o600, attributes)        #= mq_open("/three", O_RDWR|O_CREAT, 0600, {mq_flags=0, mq_maxmsg=5, mq_msgsize=64, mq_curmsgs=0}) = N daemon
c.mq_send(mq, b"text", 4, 9)                                                #= mq_send(N, "text", 4, 9) = 0 daemon
c.mq_receive(mq, ctypes.create_string_buffer(64), 64, None)                 #= mq_receive(N, "text", 64, NULL) = 4 daemon
c.mq_close(mq)                                                              #= mq_close(N) = 0 daemon
c.mq_unlink(b"/three")                                                      #= mq_unlink("/three") = 0 daemon
os.close(os.open("/dev/shm/f", os.O_WRONLY | os.O_CREAT))                   #= open("/dev/shm/f", O_WRONLY|O_CREAT|O_CLOEXEC, 0777) = 4 daemon
c.truncate(b"/dev/shm/f", 5)                                                #= truncate("/dev/shm/f", 5) = 0 daemon
os.rename("/dev/shm/f", "/dev/shm/g")                                       #= rename("/dev/shm/f", "/dev/shm/g") = 0 daemon
os.mkdir("/dev/shm/d")                                                      #= mkdir("/dev/shm/d", 0777) = 0 daemon
c.unlinkat(-100, b"/dev/shm/d", 0x200)                                      #= unlinkat(AT_FDCWD, "/dev/shm/d", AT_REMOVEDIR) = 0 daemon
os.unlink("/dev/shm/g")                                                     #= unlink("/dev/shm/g") = 0 daemon
"""


@contextlib.contextmanager
def place():
    path = tempfile.mkdtemp(prefix="shmemu-trace-")
    # Whoever the tool becomes on the way writes there.
    os.chmod(path, 0o777)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def parsed(text):
    """The lines of a trace, each as its parts."""
    lines = []
    for line in text.splitlines():
        found = LINE.fullmatch(line)
        assert found, f"this is no line of a trace: {line!r}"
        lines.append(found.groupdict())
    return lines


def trace(script, *options, before=(), words=TRACE, status=0, **rest):
    """Runs a program under trace; returns the trace and how it ended."""
    with place() as folder:
        output = folder + "/trace"
        done = run(*before, *words, *options, f"--output={output}", "--", PYTHON, "-c", BEGIN + script, **rest)
        assert done.returncode == status, f"status {done.returncode}\n{done.stdout}\n{done.stderr}"
        with open(output, errors="surrogateescape") as file:
            return file.read(), done


def calls(script, *options, **rest):
    text, done = trace(script, *options, **rest)
    equal(done.stderr, "")
    return parsed(text)


def shown(line):
    """Without what is another each time."""
    error = " " + line["error"] if line["error"] else ""
    text = f"{line['call']}({line['arguments']}) = {line['result']}{error} {line['road']}"
    return re.sub(r"0x[0-9a-f]{6,}", "PLACE", text)


def numbered(text):
    """System V's numbers, and queues' descriptors, are any."""
    text = re.sub(r"^((?:sem|msg|shm)get\(.*\)|mq_open\(.*\)) = \d+", r"\1 = N", text)
    return re.sub(r"^((?:semctl|semop|msgsnd|msgrcv|msgctl|shmat|shmctl|mq_send|mq_receive|mq_close)\()\d+", r"\1N", text)


def wanted_of(script):
    return [line.split("#= ", 1)[1].replace("\\\\", "\\") for line in script.splitlines() if "#= " in line]


def check_all(before, replaced=()):
    wanted = wanted_of(ALL)
    for old, new in replaced:
        assert any(old in line for line in wanted), old
        wanted = [line.replace(old, new) for line in wanted]
    found = [numbered(shown(line)) for line in calls(ALL, before=before)]
    for one, other in zip(found, wanted):
        equal(one, other)
    equal(len(found), len(wanted))


@case()
def each_call_is_shown_as_it_was_made():
    check_all(())


@case()
def each_call_is_shown_on_a_host_without_dev_shm():
    check_all((SHMEMU, "without", "lambda", "--"))


@case()
def roads_on_a_host_that_maps_nothing_shared():
    check_all((SHMEMU, "without", "mmap-shared", "msync", "mprotect=EPERM", "sysv", "mqueue", "--"),
              [("MAP_SHARED, 3, 0) = PLACE kernel", "MAP_SHARED, 3, 0) = PLACE emulated"),
               ("MS_SYNC) = 0 kernel", "MS_SYNC) = 0 emulated"),
               ("PROT_READ) = 0 kernel", "PROT_READ) = 0 emulated"),
               ("munmap(PLACE, 8192) = 0 kernel", "munmap(PLACE, 8192) = 0 emulated"),
               ("sem_trywait(PLACE) = 0 memory", "sem_trywait(PLACE) = 0 emulated"),
               ("sem_trywait(PLACE) = -1 EAGAIN memory", "sem_trywait(PLACE) = -1 EAGAIN emulated"),
               ("sem_post(PLACE) = 0 memory", "sem_post(PLACE) = 0 emulated"),
               ("sem_close(PLACE) = 0 library", "sem_close(PLACE) = 0 emulated")])


@case()
def what_is_opened_again_or_shared_takes_no_request():
    found = calls("""
attributes = (ctypes.c_long * 8)(0, 5, 64)
mq = c.mq_open(b"/q", os.O_RDWR | os.O_CREAT, 0o600, attributes)
# Where the daemon says no it is asked again, a thousand calls later.
for i in range(1500):
    c.mq_send(mq, b"x", 1, 0)
    c.mq_receive(mq, ctypes.create_string_buffer(64), 64, None)
c.mq_unlink(b"/q")
c.shm_open(b"/s", os.O_RDWR | os.O_CREAT, 0o600)
for i in range(5): c.shm_open(b"/s", os.O_RDWR, 0)
c.shm_unlink(b"/s")
""")
    sends = [line["road"] for line in found if line["call"] == "mq_send"]
    opens = [line["road"] for line in found if line["call"] == "shm_open"]
    equal((sends[0], sends[-1], len(sends)), ("daemon", "memory", 1500))
    equal((opens[0], len(opens)), ("daemon", 6))
    assert opens[-1] in ("known", "daemon"), opens
    if os.geteuid() == 0:
        equal(opens[-1], "known")


@case(root_only=True)
def a_mount_is_a_road():
    if not os.path.exists("/dev/fuse"):
        raise Skip("there is no /dev/fuse")
    found = calls("""
os.close(os.open("/dev/shm/x", os.O_RDWR | os.O_CREAT, 0o600))
os.rename("/dev/shm/x", "/dev/shm/y")
os.unlink("/dev/shm/y")
""", words=(SHMEMU, "run", "--mount-dev-shm", "--", SHMEMU, "trace"))
    # Where it is mounted was asked first.
    equal([(line["call"], line["road"]) for line in found], [("open", "daemon"), ("rename", "mount"), ("unlink", "mount")])


@case()
def what_is_none_of_our_business_is_shown_if_asked_for():
    script = """
fd = os.open("/tmp", os.O_RDONLY)
place = c.mmap(None, 4096, 3, 0x22, -1, 0)
c.munmap(place, 4096)
c.ftruncate(fd, 1)
os.chdir("/tmp")
"""
    equal(calls(script), [])
    found = [shown(line) for line in calls(script, "--all")]
    for line in ('open("/tmp", O_RDONLY|O_CLOEXEC) = 3 kernel', "munmap(PLACE, 4096) = 0 kernel",
                 "mmap(NULL, 4096, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = PLACE kernel",
                 "ftruncate(3, 1) = -1 EINVAL kernel", 'chdir("/tmp") = 0 kernel'):
        assert line in found, f"{line} is not in\n" + "\n".join(found[-20:])


@case()
def threads_tell_their_numbers():
    found = calls("""
def work(i): c.shm_unlink(b"/%d" % threading.get_native_id())
threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
c.shm_unlink(b"/%d" % os.getpid())
""")
    equal(len({line["pid"] for line in found}), 1)
    equal(len({line["tid"] for line in found}), 9)
    for line in found:
        equal(line["arguments"], f'"/{line["tid"] or line["pid"]}"')


@case()
def many_threads_lose_no_call():
    found = calls("""
def work(i):
    for n in range(300): c.shm_unlink(b"/%d-%d" % (i, n))
threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
for thread in threads: thread.start()
for thread in threads: thread.join()
""")
    equal(sorted(line["arguments"] for line in found), sorted(f'"/{i}-{n}"' for i in range(6) for n in range(300)))


@case()
def children_and_what_they_execute_are_followed():
    text, done = trace("""
import subprocess
print(os.getpid())
child = os.fork()
if child == 0:
    c.shm_unlink(b"/forked")
    os._exit(0)
os.waitpid(child, 0)
print(child)
spawned = subprocess.Popen([sys.executable, "-c", "import _posixshmem, os; os.open('/dev/shm/spawned', 0)"], stderr=-3)
spawned.wait()
print(spawned.pid)
sys.stdout.flush()
c.shm_unlink(b"/before")
os.execv("/bin/sh", ["sh", "-c", "read line < /dev/shm/executed"])
""", status=2)
    parent, forked, spawned = done.stdout.split()
    equal([(line["pid"], line["arguments"]) for line in parsed(text)],
          [(forked, '"/forked"'), (spawned, '"/dev/shm/spawned", O_RDONLY|O_CLOEXEC'), (parent, '"/before"'),
           (parent, '"/dev/shm/executed", O_RDONLY')])


@case()
def children_leave_no_descriptors_with_their_parents():
    calls("""
import subprocess
def count(): return len(os.listdir("/proc/self/fd"))
c.shm_unlink(b"/x")
before = count()
for i in range(20): subprocess.run(["/bin/true"], close_fds=True)
assert count() == before, (before, count())
""")


@case()
def a_program_that_closes_everything_is_still_shown():
    with place() as folder:
        found = calls(f"""
sockets = lambda: [int(n) for n in os.listdir("/proc/self/fd") if os.path.exists("/proc/self/fd/" + n)
                   and os.readlink("/proc/self/fd/" + n).startswith("socket")]
c.shm_unlink(b"/1")
for fd in range(3, 70000): c.close(fd)
c.shm_unlink(b"/2")
c.close_range(3, 0xffffffff, 0)
c.shm_unlink(b"/3")
# By a way that no library sees, and files in the place.
c.syscall(436, 3, 0xffffffff, 0)
c.shm_unlink(b"/4")
file = os.open("{folder}/file", os.O_CREAT | os.O_RDWR)
for fd in sockets(): c.syscall(33, file, fd)
c.shm_unlink(b"/5")
assert os.fstat(file).st_size == 0
# The lowest number is the program's.
assert os.open("/dev/null", 0) == file + 1
""")
    equal([line["arguments"] for line in found], [f'"/{i}"' for i in range(1, 6)])


@case()
def a_program_with_few_descriptors_keeps_its_numbers():
    found = calls("""
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))
a = os.open("/dev/null", 0)
c.shm_unlink(b"/1")
assert os.open("/dev/null", 0) == a + 1
""")
    equal([line["arguments"] for line in found], ['"/1"'])


def numbers(text):
    """The rows of a table, by call and road."""
    rows = {}
    lines = text.splitlines()
    equal(lines[0].split(), ["%TIME", "SECONDS", "USECS/CALL", "CALLS", "ERRORS", "CALL", "ROAD"])
    for line in lines[1:]:
        found = re.fullmatch(r"\s*([\d.]+) +([\d.]+) +([\d.]+) +(\d+) +(\d+)? +(\w+) *(\w*) *", line)
        assert found, line
        rows[found[6], found[7]] = (int(found[4]), int(found[5] or 0))
    return rows


MANY = """
for i in range(40): c.shm_unlink(b"/none")
for i in range(5): c.shm_open(b"/x", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
c.shm_open(b"", 0, 0)
c.shm_unlink(b"/x")
"""


@case()
def a_table_counts_exactly():
    wanted = {("shm_unlink", "daemon"): (41, 40), ("shm_open", "daemon"): (5, 4), ("shm_open", "library"): (1, 1)}
    text, done = trace(MANY, "-c")
    equal(done.stderr, "")
    equal(numbers(text), {**wanted, ("total", ""): (47, 45)})
    text, done = trace(MANY, "--count", "--json")
    rows = json.loads(text)["calls"]
    equal({(row["call"], row["road"]): (row["calls"], row["errors"]) for row in rows}, wanted)
    assert 99 < sum(row["percent"] for row in rows) < 101, rows
    for row in rows:
        assert abs(row["seconds"] * 1e6 / row["calls"] - row["usecs"]) < 0.1, row
    equal([row["seconds"] for row in rows], sorted((row["seconds"] for row in rows), reverse=True))


@case()
def json_has_each_call_as_an_object():
    text, _ = trace(r"""
c.shm_open(b"/caf\xc3\xa9 \"\\\xff\1", os.O_RDWR, 0)
c.semop(-1, b"\0\0\1\0\0\0", 1)
place = c.mmap(None, 4096, 3, 0x21, -1, 0)
c.shmat(-1, None, 0)
""", "--json")
    lines = [json.loads(line) for line in text.splitlines()]
    for line in lines:
        equal(list(line), ["pid", "tid", "begin", "call", "arguments", "result", "error", "seconds", "road"])
        equal(line["pid"], line["tid"])
    assert [line["begin"] for line in lines] == sorted(line["begin"] for line in lines), lines
    equal([(line["call"], line["arguments"], line["error"]) for line in lines],
          [("shm_open", ['/caf\xe9 "\\\xff\1', "O_RDWR", "00"], "ENOENT"),
           ("semop", [-1, lines[1]["arguments"][1], 1], "EINVAL"),
           ("mmap", [None, 4096, "PROT_READ|PROT_WRITE", "MAP_SHARED|MAP_ANONYMOUS", -1, 0], None),
           ("shmat", [-1, None, "0"], "EINVAL")])
    assert re.fullmatch("0x[0-9a-f]+", lines[2]["result"]), lines[2]
    equal(lines[0]["result"], -1)


@case()
def strings_can_not_steer_a_terminal_and_are_cut():
    found = calls(r"""
c.shm_unlink(b"/a\n\x1b[2J\"\\")
c.shm_unlink(b"/" + b"n" * 2000)
""")
    equal(found[0]["arguments"], r'"/a\n\x1b[2J\"\\"')
    equal(found[1]["arguments"], '"/' + "n" * 511 + '"...')


@case()
def a_string_that_ends_where_memory_does_is_no_fault():
    found = calls("""
place = c.mmap(None, 8192, 3, 0x22, -1, 0)
c.munmap(place + 4096, 4096)
ctypes.memset(place, 110, 4096)
c.memfd_create(ctypes.c_void_p(place + 4096 - 250), 0)
ctypes.memset(place + 4095, 0, 1)
fd = c.memfd_create(ctypes.c_void_p(place + 4090), 0)
""")
    equal([shown(line) for line in found], ['memfd_create("' + "n" * 250 + '"..., 0) = -1 EINVAL kernel',
                                            'memfd_create("nnnnn", 0) = 3 kernel'])


def start(script, *options):
    """A program under a tool that is not waited for, with a daemon that needs no tool."""
    return subprocess.Popen([SHMEMU, "trace", *options, "--", SHMEMU, "run", "--", PYTHON, "-c", BEGIN + script],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.PIPE, text=True)


UNHARMED = """
print("begun", flush=True)
sys.stdin.readline()
for i in range(2000):
    assert c.shm_open(b"/none", 0, 0) == -1 and ctypes.get_errno() == 2
print("done", flush=True)
sys.stdin.readline()
c.shm_unlink(b"/last")
"""


@case()
def a_tool_that_is_killed_leaves_the_program_unharmed():
    with place() as folder:
        process = start(UNHARMED + f"open('{folder}/done', 'w').close()", "--output=" + folder + "/trace")
        equal(process.stdout.readline(), "begun\n")
        process.kill()
        process.stdin.write("\n")
        process.stdin.flush()
        equal(process.stdout.readline(), "done\n")
        process.communicate("\n", timeout=PATIENCE)
        until(lambda: os.path.exists(folder + "/done"), "the program's end")
        equal(process.returncode, -signal.SIGKILL)


@case()
def what_a_slow_tool_does_not_take_is_counted():
    with place() as folder:
        process = start(UNHARMED, "--output=" + folder + "/trace")
        equal(process.stdout.readline(), "begun\n")
        process.send_signal(signal.SIGSTOP)
        process.stdin.write("\n")
        process.stdin.flush()
        equal(process.stdout.readline(), "done\n")
        process.send_signal(signal.SIGCONT)
        _, err = process.communicate("\n", timeout=PATIENCE)
        equal(process.returncode, 0)
        told = re.fullmatch(r"shmemu: trace: (\d+) calls are not shown: they came faster than they were written\n", err)
        assert told, err
        with open(folder + "/trace") as file:
            equal(len(parsed(file.read())) + int(told[1]), 2001)


@case()
def results_are_as_without():
    if not os.path.isdir(PROBES):
        raise Skip("SHMEMU_PROBES is not set")
    for name in ("names", "opens", "sem", "fds", "maps_family", "maps_sizes", "ipc_sem", "ipc_msg", "mq_open", "mq_send",
                 "talks_close", "life"):
        probe = os.path.join(PROBES, name)
        with place() as folder:
            alone = run(SHMEMU, "run", "--", probe)
            output = folder + "/trace"
            traced = run(*TRACE, "--all", "-o", output, "--", probe)
            equal((name, traced.returncode, traced.stdout), (name, alone.returncode, alone.stdout))
            assert alone.stdout, f"{name} says nothing"
            with open(output) as file:
                assert parsed(file.read()), f"nothing of {name} is shown"


@case()
def it_ends_as_the_command_does():
    check_statuses("trace", "--")
    check_statuses("trace", "--count", "--output=/dev/null", "--")


@case()
def it_goes_to_standard_error_and_leaves_the_rest_alone():
    done = run(*TRACE, "--", "sh", "-c", "echo out; echo err >&2; cat; ! test -e /dev/shm/none", input="in", stdin=None)
    equal((done.returncode, done.stdout), (0, "out\nin"))
    lines = done.stderr.splitlines()
    equal(lines[0], "err")
    equal([line["call"] + line["arguments"].split(",")[0] for line in parsed("\n".join(lines[1:]))], ['stat"/dev/shm/none"'])


@case()
def it_is_refused_what_makes_no_sense():
    check_refusal(run(SHMEMU, "trace"), 125)
    check_refusal(run(SHMEMU, "trace", "--"), 125)
    check_refusal(run(SHMEMU, "trace", "--no-such", "true"), 125)
    check_refusal(run(SHMEMU, "trace", "--output=/nonexistent/file", "true"), 125)
    check_refusal(run(SHMEMU, "trace", "-o"), 125)


@case()
def it_goes_with_run_and_without_in_any_order():
    tool = (SHMEMU, "trace", "--output=OUTPUT", "--")
    run_it, lacks = (SHMEMU, "run", "--"), (SHMEMU, "without", "lambda", "--")
    for words in ((*run_it, *tool), (*tool, *run_it), (*tool, *lacks, *run_it), (*tool, *run_it, *lacks),
                  (*lacks, *tool, *run_it), (*lacks, *run_it, *tool), (*run_it, *tool, *run_it)):
        with place() as folder:
            output = folder + "/trace"
            words = [word.replace("OUTPUT", output) for word in words]
            done = run(*words, PYTHON, "-c", BEGIN + 'c.shm_unlink(b"/none")')
            equal((done.returncode, done.stderr), (0, ""))
            with open(output) as file:
                equal([shown(line) for line in parsed(file.read())], ['shm_unlink("/none") = -1 ENOENT daemon'])


@case()
def what_can_not_be_traced_is_told_once():
    static = "/sbin/ldconfig"
    if not os.path.exists(static) or b"interpreter" in subprocess.run(["file", "-L", static], capture_output=True).stdout:
        raise Skip(f"{static} is no static program here")
    told = f"shmemu: trace: what {static} does is not shown: "
    done = run(SHMEMU, "trace", static, "-p")
    equal((done.returncode, done.stderr.count(told), done.stderr.count("\n")), (0, 1, 1))
    done = run(*TRACE, "sh", "-c", f"{static} -p >&-; {static} -p >/dev/null; exit 0")
    equal((done.returncode, done.stderr.count(told)), (0, 1))
    done = run(SHMEMU, "trace", "sh", "-c", "true; /bin/true")
    equal((done.returncode, done.stderr), (0, ""))


@case()
def what_others_send_is_not_believed():
    found = calls("""
import socket
address = os.environ["SHMEMU_TRACE"].split(":")[0]
sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
c.shm_unlink(b"/1")
for size in (0, 1, 119, 120, 500, 4000): sender.sendto(bytes(size), "\\0" + address)
c.shm_unlink(b"/2")
""")
    equal([line["arguments"] for line in found], ['"/1"', '"/2"'])


@case()
def records_that_make_no_sense_do_no_harm():
    text, done = trace("""
import random, socket, struct
address, key = os.environ["SHMEMU_TRACE"].split(":")[:2]
sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
chance = random.Random(1)
for i in range(3000):
    head = struct.pack("=QHHB", int(key, 16), 1, chance.randrange(160), chance.randrange(9))
    rest = bytes(chance.choice((0, 1, 5, 16, 255, 128)) for _ in range(120 - len(head) - 16))
    lengths = struct.pack("=8H", *(chance.choice((0, 0, 0, 1, 8, 0x8003)) for _ in range(6)), 0, 0)
    sender.sendto(head + rest + lengths + bytes(chance.randrange(256) for _ in range(chance.randrange(40))), "\\0" + address)
c.shm_unlink(b"/last")
""")
    assert re.fullmatch(r"(shmemu: trace: [^\n]*\n)*", done.stderr), done.stderr
    equal(parsed(text.splitlines()[-1])[0]["arguments"], '"/last"')


@case()
def an_address_where_nobody_is_does_no_harm():
    for setting in ("0123456789abcdef:1", "", "x", ":", "a:", "a:0", "a:1:al", "b" * 200 + ":1:all"):
        env = {**os.environ, "SHMEMU_TRACE": setting,
               "LD_PRELOAD": ":".join((tracer(), tracer().replace("-trace", "")))}
        done = run(SHMEMU, "run", "--", PYTHON, "-c", BEGIN + UNHARMED, env=env, input="\n\n", stdin=None)
        equal((done.returncode, done.stdout, done.stderr), (0, "begun\ndone\n", ""))


def tracer():
    for folder, _, names in os.walk(PREFIX):
        if "libshmemu-trace.so" in names:
            return os.path.join(folder, "libshmemu-trace.so")
    raise AssertionError(f"there is no tracer in {PREFIX}")


@case()
def a_call_in_a_handler_has_a_road_of_its_own():
    found = calls("""
attributes = (ctypes.c_long * 8)(0, 1, 8)
mq = c.mq_open(b"/q", os.O_RDWR | os.O_CREAT, 0o600, attributes)
# The handler is libc's: mq_close(10).
c.signal(signal.SIGUSR1, ctypes.cast(c.mq_close, ctypes.c_void_p))
if os.fork() == 0:
    time.sleep(0.3)
    os.kill(os.getppid(), signal.SIGUSR1)
    time.sleep(0.3)
    c.mq_send(mq, b"x", 1, 0)
    os._exit(0)
c.mq_receive(mq, ctypes.create_string_buffer(64), 64, None)
os.wait()
c.mq_unlink(b"/q")
""")
    lines = [(line["call"], line["error"], line["road"]) for line in found if line["pid"] == found[0]["pid"]]
    equal(lines, [("mq_open", None, "daemon"), ("mq_close", "EBADF", "library"), ("mq_receive", None, "daemon"),
                  ("mq_unlink", None, "daemon")])


perform()
