# SPDX-License-Identifier: LGPL-2.1-or-later
"""Row by row: what shmemu doctor says of the host and of the library is what a Python program meets, in each profile of
`without` and without each call."""

import json

from cli_examine import examine
from cli_world import PYTHON, SHMEMU, case, equal, folder, run

# Each operation in a child, since it may end that: the errno's or signal's name, "yes" or "wrong".
OPERATIONS = r"""
import ctypes, errno, fcntl, json, mmap, os, signal, struct, sys, tempfile, time
libc = ctypes.CDLL(None, use_errno=True)
libc.shmat.restype = libc.mmap.restype = libc.mremap.restype = libc.sem_open.restype = ctypes.c_void_p
NAME = b"/shmemu-truth-%d" % os.getpid()
FLAGS, RIGHTS, PAGE = os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600, 4096

class Wrong(Exception):
    pass

def check(right):
    if not right:
        raise Wrong

def call(function, *arguments, bad=-1):
    result = function(*arguments)
    if result == bad or result == ctypes.c_void_p(-1).value:
        raise OSError(ctypes.get_errno(), "")
    return result

def size(number):
    return ctypes.c_size_t(number)

def shared(fd):
    memory = mmap.mmap(fd, PAGE)
    memory[7] = 55
    try:
        memory.flush()
    except OSError:
        pass
    check(os.pread(fd, 1, 7) == b"7")

def shm_open():
    segment = call(libc.shm_open, NAME, FLAGS, RIGHTS)
    call(libc.shm_unlink, NAME)
    os.ftruncate(segment, PAGE)
    shared(segment)

def paths():
    path = b"/dev/shm" + NAME
    os.close(os.open(path, FLAGS, RIGHTS))
    check(os.path.basename(path) in os.listdir(b"/dev/shm"))
    os.rename(path, path + b"-2")
    os.unlink(path + b"-2")

def sem_open():
    semaphore = ctypes.c_void_p(call(libc.sem_open, NAME, FLAGS, RIGHTS, 1, bad=None))
    call(libc.sem_trywait, semaphore)
    call(libc.sem_close, semaphore)
    call(libc.sem_unlink, NAME)

def mq_open():
    queue = call(libc.mq_open, NAME, FLAGS | os.O_NONBLOCK, RIGHTS, None)
    try:
        call(libc.mq_send, queue, b"text", size(4), 1)
    finally:
        call(libc.mq_unlink, NAME)

def shmget():
    segment = call(libc.shmget, 0, size(PAGE), RIGHTS)
    try:
        address = call(libc.shmat, segment, None, 0)
        ctypes.memset(address, 1, PAGE)
    finally:
        call(libc.shmctl, segment, 0, None)

def semget():
    semaphores = call(libc.semget, 0, 2, RIGHTS)
    call(libc.semctl, semaphores, 1, 16, 5)
    check(call(libc.semctl, semaphores, 1, 12) == 5)
    call(libc.semctl, semaphores, 0, 0)

def msgget():
    queue = call(libc.msgget, 0, RIGHTS)
    call(libc.msgsnd, queue, struct.pack("l8s", 3, b"message"), size(8), 0)
    call(libc.msgctl, queue, 0, None)

def file():
    fd = tempfile.TemporaryFile(buffering=0)
    fd.write(b"a" * PAGE)
    return fd

def mmap_shared():
    fd = file()
    shared(fd.fileno())

def mmap_private():
    fd = file()
    memory = mmap.mmap(fd.fileno(), PAGE, flags=mmap.MAP_PRIVATE)
    memory[0] = 98
    check(memory[1] == 97 and os.pread(fd.fileno(), 1, 0) == b"a")

def mmap_anonymous():
    memory = mmap.mmap(-1, PAGE)
    child = os.fork()
    if child == 0:
        memory[0] = 1
        os._exit(0)
    os.waitpid(child, 0)
    check(memory[0] == 1)

# A waiter is woken by a word's address only where both have the same page.
def atomics():
    fd = file()
    memory = mmap.mmap(fd.fileno(), PAGE)
    memory[0:4] = bytes(4)
    word = (ctypes.c_int * 1).from_buffer(memory)
    child = os.fork()
    if child == 0:
        libc.syscall(202, ctypes.byref(word), 0, 0, ctypes.byref((ctypes.c_long * 2)(5, 0)), None, 0)
        os._exit(0)
    while libc.syscall(202, ctypes.byref(word), 1, 1, None, None, 0) != 1:
        if os.waitpid(child, os.WNOHANG)[0]:
            raise Wrong
        time.sleep(0.01)

def memory():
    return ctypes.c_void_p(call(libc.mmap, None, size(PAGE), 3, 34, -1, ctypes.c_long(0)))

def msync():
    call(libc.msync, memory(), size(PAGE), 4)

def mremap():
    call(libc.mremap, memory(), size(PAGE), size(2 * PAGE), 1)

def madvise():
    call(libc.madvise, memory(), size(PAGE), 4)

def mprotect():
    place = memory()
    call(libc.mprotect, place, size(PAGE), 1)
    child = os.fork()
    if child == 0:
        ctypes.memset(place, 1, 1)
        os._exit(0)
    check(os.WIFSIGNALED(os.waitpid(child, 0)[1]))

def munmap():
    call(libc.munmap, memory(), size(PAGE))

def ftruncate():
    fd = file()
    call(libc.ftruncate, fd.fileno(), ctypes.c_long(3 * PAGE))
    check(os.fstat(fd.fileno()).st_size == 3 * PAGE)

def fallocate():
    fd = file()
    call(libc.fallocate, fd.fileno(), 0, ctypes.c_long(0), ctypes.c_long(3 * PAGE))
    check(os.fstat(fd.fileno()).st_size == 3 * PAGE)

def memfd_create():
    os.write(os.memfd_create("x"), b"x")

def locks():
    fd = file()
    fcntl.fcntl(fd, 37, struct.pack("hhqqi", fcntl.F_WRLCK, 0, 0, 1, 0))

def inotify():
    call(libc.inotify_init1, 0)

ROWS = {"shm_open": shm_open, "paths below /dev/shm": paths, "sem_open": sem_open, "mq_open": mq_open,
        "shmget": shmget, "semget": semget, "msgget": msgget, "shared mmap of files": mmap_shared,
        "private mmap of files": mmap_private, "shared anonymous mmap": mmap_anonymous,
        "atomics and futexes": atomics, "msync": msync, "mremap": mremap, "madvise": madvise,
        "mprotect": mprotect, "munmap": munmap, "ftruncate": ftruncate, "fallocate": fallocate,
        "memfd_create": memfd_create, "OFD locks": locks, "inotify": inotify}

def attempt(operation):
    try:
        operation()
        return "yes"
    except OSError as error:
        return errno.errorcode[error.errno]
    except Wrong:
        return "wrong"

found = {}
for name, operation in ROWS.items():
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(theirs, attempt(operation).encode())
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    found[name] = (signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status)
                   else os.read(ours, 100).decode())
print(json.dumps(found))
"""

# Beside the profiles; what an errno is chosen for must come out as it.
WORDS = ("dev-shm", "dev-shm=ro", "fuse", "mmap-shared", "mmap-file", "mmap-shared-anonymous", "msync=EPERM",
         "mremap", "madvise", "mprotect", "munmap", "ftruncate", "fallocate=EPERM", "memfd_create",
         "memfd_create=SIGSYS", "ftruncate fallocate memfd_create msync", "sysv", "sysv=SIGSYS", "mqueue=SIGSYS",
         "mq_send", "sem_open", "sysv=EPERM mqueue sem_open=EACCES", "mount namespaces", "fsopen")


def meet(*before):
    done = run(*before, PYTHON, "-c", OPERATIONS)
    equal(done.returncode, 0)
    return json.loads(done.stdout)


def profiles():
    listed = json.loads(run(SHMEMU, "without", "--list", "--json").stdout)["things"]
    return [row["name"] for row in listed if row["kind"] == "profile"]


def check_rows(words):
    # Names are made in no real /dev/shm.
    before = (SHMEMU, "without", "dev-shm=64m", *words.split(), "--")
    with folder() as top:
        status, facts = examine(f"--dir={top}/none", before=before)
        for column, met in (("host", meet(*before)), ("shmemu", meet(*before, SHMEMU, "run", "--"))):
            told = {name: facts[name][column] for name in met}
            equal((words, column, told), (words, column, met))
        # All calls are among those that were made here, and the verdict and the status are as they say.
        calls = [name for name, row in facts.items() if row["host"] and row["shmemu"]]
        equal(calls, list(met))
        verdict = facts["verdict"]["details"]
        missed = {column: [name for name in calls if facts[name][column] != "yes"] for column in ("host", "shmemu")}
        equal((words, status), (words, 1 if missed["shmemu"] else 0))
        begin = "all works here but " + ", ".join(missed["shmemu"]) if missed["shmemu"] else "everything works here"
        equal(verdict, f"with the library {begin}; the host by itself lacks {', '.join(missed['host']) or 'nothing'}")


@case()
def the_rows_of_this_host_are_true():
    check_rows("")


@case()
def the_rows_of_each_profile_are_true():
    names = profiles()
    assert {"lambda", "docker-64m", "docker-default", "gvisor", "termux", "nanvix"} <= set(names), names
    for name in names:
        check_rows(name)


@case()
def the_rows_without_each_call_are_true():
    for words in WORDS:
        check_rows(words)
