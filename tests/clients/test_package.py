#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is made for users: TAP on standard output.

Aim: what scripts/package-lambda makes, a layer for AWS Lambda, holds all that a function takes, asks for no newer glibc than it has
there, and makes Python's multiprocessing work by the wrapper alone; and what scripts/install says at its end is so. Method: the layer is built, unpacked to /opt in a private mount namespace, as Lambda does,
and programs run on a host made like that by the layer's own `shmemu without lambda`. Needs root or a user namespace, and SHMEMU_PREFIX as
the other tests.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile

sys.dont_write_bytecode = True
from client_tap import Skip, Tap
from client_world import is_root, private

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PATIENCE = 300
PYTHON = "/usr/bin/python3"
FUNCTION = """
import multiprocessing
from multiprocessing import shared_memory

def add(name, lock, times):
    shared = shared_memory.SharedMemory(name)
    for _ in range(times):
        with lock:
            shared.buf[0] += 1
    shared.close()

if __name__ == "__main__":
    lock = multiprocessing.Lock()
    shared = shared_memory.SharedMemory(create=True, size=4096)
    children = [multiprocessing.Process(target=add, args=(shared.name, lock, 50)) for _ in range(4)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    with multiprocessing.Pool(2) as pool:
        print(shared.buf[0], pool.map(abs, [-1, -2]))
    shared.unlink()
"""


def run(*words, **options):
    return subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE, **options)


def build(output):
    done = run(ROOT + "/scripts/package-lambda", output)
    assert done.returncode == 0 and output in done.stdout, done


def check_contents(output):
    with zipfile.ZipFile(output) as archive:
        modes = {entry.filename: entry.external_attr >> 16 for entry in archive.infolist()}
        wrapper = archive.read("shmemu-wrapper").decode()
    for name in ("bin/shmfs", "bin/shmemu", "shmemu-wrapper", "lib/libshmemu.so"):
        assert modes.get(name, 0) & 0o444 == 0o444, f"{name}: {modes}"
    assert all(modes[name] & 0o111 == 0o111 for name in ("bin/shmfs", "bin/shmemu", "shmemu-wrapper")), modes
    assert wrapper.startswith("#!/bin/sh\n") and "/opt/lib/libshmemu.so" in wrapper
    return f"{os.path.getsize(output)} bytes"


def unpack(output, folder):
    """As Lambda does, with modes, and over /opt."""
    with zipfile.ZipFile(output) as archive:
        for entry in archive.infolist():
            os.chmod(archive.extract(entry, folder), entry.external_attr >> 16 & 0o777)
    for path, folders, _ in os.walk(folder):
        os.chmod(path, 0o755)
    done = run("mount", "--bind", folder, "/opt")
    assert done.returncode == 0, done


def check_links():
    """What the programs are linked with is found in the layer, or is libc's."""
    for program in ("/opt/bin/shmfs", "/opt/bin/shmemu", "/opt/lib/libshmemu.so"):
        for name, path in re.findall(r"(\S+) => (\S+)", run("ldd", program).stdout):
            own = re.match(r"lib(c|m|dl|rt|pthread)\.so", name)
            assert own or path.startswith(("/opt/", "/opt/bin/../lib/")), f"{program}: {name} is {path}"


def function(folder, *wrapper):
    with open(folder + "/function.py", "w") as file:
        file.write(FUNCTION)
    environment = {"PATH": "/usr/bin:/bin:/opt/bin", "TMPDIR": folder + "/tmp", "LD_LIBRARY_PATH": "/opt/lib"}
    return run("/opt/bin/shmemu", "without", "lambda", "--", *wrapper, PYTHON, folder + "/function.py", env=environment)


def check_function(folder):
    done = function(folder)
    assert done.returncode == 1 and "Error" in done.stderr, f"works without the layer: {done}"
    done = function(folder, "/opt/shmemu-wrapper")
    assert (done.returncode, done.stdout, done.stderr) == (0, "200 [1, 2]\n", ""), done


def check_install(folder):
    """With a name that is none of the loader's folders: so the library's path is told."""
    if not is_root():
        raise Skip("takes root")
    done = run(ROOT + "/scripts/install", folder + "/usr")
    assert (done.returncode, done.stdout) == (0, ""), done
    program = re.search(r"^    (\S+/shmemu run -- )", done.stderr, re.M)[1]
    library = re.search(r"^    LD_PRELOAD=(\S+)$", done.stderr, re.M)[1]
    assert library.startswith(folder) and program.startswith(folder), done.stderr
    for words in (program.split(), ["env", f"LD_PRELOAD={library}", f"SHMEMU_DIR={folder}/met"]):
        host = (f"{folder}/usr/bin/shmemu", "without", "dev-shm", "--")
        done = run(*host, *words, PYTHON, folder + "/function.py", env={"PATH": "/usr/bin:/bin", "TMPDIR": folder + "/tmp"})
        assert (done.returncode, done.stdout, done.stderr) == (0, "200 [1, 2]\n", ""), done


def main():
    private()
    for name in ("LD_PRELOAD", "SHMEMU_DIR", "SHMEMU_LOG", "SHMEMU_MMAP"):
        os.environ.pop(name, None)
    os.umask(0o022)
    tap = Tap()
    folder = tempfile.mkdtemp(prefix="shmemu-package-")
    os.chmod(folder, 0o755)
    os.mkdir(folder + "/layer")
    os.mkdir(folder + "/tmp")
    os.chmod(folder + "/tmp", 0o1777)
    try:
        output = folder + "/layer.zip"
        tap.run("the layer is built", build, output)
        tap.run("it holds what it should", check_contents, output)
        tap.run("it is unpacked over /opt", unpack, output, folder + "/layer")
        tap.run("its programs find their libraries in it", check_links)
        tap.run("a function's multiprocessing works by the wrapper, and not without", check_function, folder)
        tap.run("what scripts/install says is so", check_install, folder)
    finally:
        run("umount", "/opt")
        shutil.rmtree(folder, ignore_errors=True)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
