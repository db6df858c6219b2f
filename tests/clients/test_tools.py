#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The tools that everybody has do what a person expects: TAP on standard output.

Aim: ls, cp, mv, ln, rm, find, tar, du, df, dd, stat, touch and their like, and shells, print the same and
leave the same, with the library on /dev/shm and without it on the mount, as on a tmpfs. Method: each line
of LINES is run by a shell, one after the other, in each world; what it prints, and its status, are compared,
with the folder's name, sizes of folders in blocks and dates left out. Needs SHMEMU_PREFIX: scripts/test.
"""

import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True
from client_tap import Tap
from client_world import (Direct, Lambda, Mount, Native, Passthrough, Plain, Served, is_root, library,
                          private, world)

# $T is the folder. Sorted, where the order is the filesystem's.
LINES = r"""
mkdir $T; mkdir -p $T/a/b/c; mkdir $T/a; mkdir $T/none/x
echo text >$T/a/file; echo more >>$T/a/file; cat $T/a/file
printf '%s\n' one two three | tee $T/a/b/lines | wc -l
dd if=/dev/zero of=$T/zeros bs=64k count=10 status=none; stat -c '%n %s %F %a %h %U' $T/zeros
dd if=$T/zeros bs=4k skip=3 count=1 status=none | wc -c
dd if=/dev/urandom of=$T/random bs=1000 count=777 status=none; dd if=$T/random of=$T/again bs=333 conv=notrunc status=none; cmp $T/random $T/again
ls -la --time-style=+ $T | sed 's/^total .*/total/; / \.\.$/d'
ls -lR --time-style=+ $T/a | sed 's/^total .*/total/'
ls -A $T/a; ls -d $T/a; ls $T/none; ls -1 $T/*; ls -F $T; ls -p $T/a
cp $T/a/file $T/b; cp $T/a/file $T/a/b; cp $T/none $T/x; cp $T/a $T/x
cp -r $T/a $T/copy; diff -r $T/a $T/copy; echo $?
cp -a $T/a $T/copy2; diff -r $T/a $T/copy2; stat -c '%Y' $T/a/file $T/copy2/file | uniq | wc -l
cp --sparse=always $T/zeros $T/sparse; cmp $T/zeros $T/sparse; stat -c %b $T/sparse
cp -l $T/b $T/hard; cp -s $T/b $T/soft; stat -c '%n %h %F' $T/b $T/hard $T/soft; cat $T/soft; rm $T/soft
cp -p $T/b $T/kept; cp --reflink=auto $T/random $T/reflinked; cmp $T/random $T/reflinked
ln $T/b $T/b2; ln -s b $T/s; ln -s nothing $T/dangling; ln $T/a $T/a2; ln -s a $T/to-a; ln -sfn copy $T/to-a
readlink $T/s; readlink $T/b; readlink -f $T/s; readlink -e $T/dangling; realpath $T/to-a/../s; realpath --relative-to=$T $T/a/b/c
ls -l --time-style=+ $T | grep -- '->'
mv $T/kept $T/moved; mv $T/copy2 $T/renamed; mv $T/moved $T/renamed; ls $T/renamed; mv $T/none $T/x; mv -n $T/b $T/hard; ls $T/b $T/hard
mv $T/a $T/renamed/b; ls -R $T/renamed; mv $T/renamed/b/a $T/a
mv $T/renamed $T/renamed/b
mv $T/again $O/again && mv $O/again $T/again && cmp $T/again $T/random
mv $T/renamed $O/r && ls -R $O/r && mv $O/r $T/renamed && ls -R $T/renamed
find $T | sort
find $T -type d | sort; find $T -type l | sort; find $T -type f -size +100k | sort
find $T -empty | sort; find $T -name 'f*' -printf '%f %s %m %n %y\n' | sort; find -L $T -name file | sort
find $T -xdev -type f | wc -l; find $T -maxdepth 1 -mindepth 1 | wc -l; find $T -samefile $T/b | sort
find $T/a -exec basename {} ';' | sort; find $T/a -execdir pwd ';' | sort -u; find $T -perm 755 -type d | wc -l
tar cf - -C $T a | tar tf - | sort; tar cf $T/x.tar -C $T a renamed s; tar tvf $T/x.tar | awk '{print $1, $NF}' | sort
mkdir $T/y; tar xf $T/x.tar -C $T/y; diff -r --no-dereference $T/a $T/y/a; find $T/y | sort
stat -c '%A %a %F %h %s' $T $T/a $T/s $T/b; stat -L -c '%F %s' $T/s; stat -f -c '%l %s' $T; stat $T/none
touch -d '2001-02-03 04:05:06.789 UTC' $T/b; stat -c '%Y %y' $T/b | cut -c1-10; touch -r $T/b $T/new; test $T/new -nt $T/random; echo $?
touch -h -d '2001-02-03 UTC' $T/s; stat -c %Y $T/s; touch -c $T/none; ls $T/none; touch $T/a/b/c/deep; touch $T/a; date -r $T/b +%Y
chmod -R u+rwX,go-w $T/a; chmod 600 $T/b; chmod 1777 $T/y; stat -c %a $T/a $T/b $T/y; chmod u+s $T/b; stat -c %A $T/b
chown $(id -u):$(id -g) $T/b; chgrp -R $(id -g) $T/a; chown -h $(id -u) $T/s; echo $?
du -a --apparent-size $T/a | sort -k2 | cut -f2; du -s --inodes $T/a | cut -f1; du -b $T/random | cut -f1; du -sh $T/none
df $T >/dev/null; echo $?; df --output=size,avail $T | awk 'NR == 2 {print $1 > 0, $2 > 0, $2 <= $1}'; df -i $T | wc -l; df $T/none
truncate -s 10000 $T/t; stat -c '%s %b' $T/t; truncate -s -1 $T/t; truncate -s +5 $T/t; stat -c %s $T/t; fallocate -l 8192 $T/f; stat -c %s $T/f; fallocate -p -o 0 -l 4096 $T/f; stat -c %s $T/f
mkfifo $T/p; (echo through the pipe >$T/p &) ; cat $T/p; test -p $T/p; echo $?; mknod $T/q p; ls $T/q
install -m 640 $T/b $T/installed; install -d $T/i/j; stat -c '%a %F' $T/installed $T/i/j
f=$(mktemp -p $T); test -f $f; echo $?; rm $f; d=$(mktemp -d $T/d-XXXXXX); test -d $d; echo $?; rmdir $d
sort -o $T/a/b/lines $T/a/b/lines; cat $T/a/b/lines; seq 100000 | shuf | sort -n -S 100k -T $T | md5sum
sed -i s/text/TEXT/ $T/a/file; cat $T/a/file; grep -r more $T/a; grep -rl more $T/a | sort; grep -c . $T/a/*
split -b 100000 $T/random $T/part-; cat $T/part-* | cmp - $T/random; ls $T/part-*; head -c 5 $T/zeros | wc -c; tail -c 5 $T/random | wc -c; tail -n 1 $T/a/file
cd $T && pwd && ls a && cd a/b && pwd && ls .. && cd ../.. && ls -d a && cd - >/dev/null; cd $T/a; /bin/pwd; cat ../b; ls ./b; cd b/c; ls ../..; echo x >../../../x; cat $T/x
cd $T; for f in *; do test -e $f && echo $f; done | sort; echo ?; echo [ab]*; echo a/*; echo none*
set -C; echo x >$T/b; echo $?; set +C; echo y >|$T/b; cat <$T/b; exec 5<>$T/b; read line <&5; echo $line; exec 5<&-; : >$T/b; test -s $T/b; echo $?
bash -c 'TMPDIR=$T; cat <<< "here"; cat <(echo one) >$T/sub; cat $T/sub; shopt -s globstar; echo $T/a/**/lines; mapfile -t lines <$T/a/b/lines; echo ${#lines[@]}'
printf '#!/bin/sh\necho "$# $1 $(basename "$0")"\n' >$T/script; chmod +x $T/script; $T/script one two; cd $T; ./script three; PATH=$T:$PATH; script four
cp /bin/echo $T/echo; $T/echo from there; cd $T; ./echo from here;
sync $T/b; sync -f $T/b; shred -u $T/new; ls $T/new; cat $T/a $T/none; rm $T/none; rmdir $T/a; rmdir $T/none; unlink $T/a; link $T/b $T/b3; unlink $T/b3
rm -r $T/copy; rm -rf $T/y $T/none; rm $T/a; rm -d $T/i; rmdir -p $T/i/j 2>&1 | head -1; rm -f $T/none; ls $T
chmod 000 $T/a/b; chmod 755 $T/a/b; cp -r $T/a $T/last; find $T/last -delete; ls $T/last; rm -rv $T/renamed | sort
python3 -c 'import os, shutil, tempfile, glob, pathlib; T = os.environ["T"]; d = tempfile.mkdtemp(dir=T); shutil.copytree(T + "/a", d + "/a"); print(sorted(os.listdir(d + "/a")), len(glob.glob(d + "/**", recursive=True)), sorted(str(p.relative_to(d)) for p in pathlib.Path(d).rglob("*")), shutil.disk_usage(T).free > 0, sorted(len(f) for _, _, f in os.walk(d))); shutil.rmtree(d); print(os.path.exists(d), os.path.realpath(T + "/s") == T + "/b")'
perl -e 'opendir(D, $ENV{T}) or die; print join(" ", sort readdir D), "\n"; closedir D; print -d "$ENV{T}/a" ? "d" : "n", -l "$ENV{T}/s" ? "l" : "n", -s "$ENV{T}/random", "\n"; rename "$ENV{T}/b", "$ENV{T}/bb" or die; print stat("$ENV{T}/bb") ? 1 : 0, "\n"'
rm -r $T; ls $T; echo $?
""".strip().splitlines()


class PlainDirect(Plain):
    name = "plain, direct"
    passthrough = "off"


def run_line(a_world, line, folder, outside):
    preload = ["env", "LD_PRELOAD=" + library()] if a_world.with_library else []
    done = subprocess.run(
        [*a_world.enter(), *preload, "sh", "-c", line], capture_output=True, timeout=60,
        cwd=a_world.home, stdin=subprocess.DEVNULL,
        env={**a_world.environment(), "T": folder, "O": outside, "SHMEMU_LOG": "error"})
    text = (done.stdout + b"--\n" + done.stderr).decode(errors="replace")
    text = text.replace(folder, "T").replace(outside, "O")
    return re.sub(r"T/(d-|tmp\.?)\w+", r"T/\1X", text) + f"status {done.returncode}"


def outputs(kind, uid=None):
    """Returns what each line printed, and whom it was printed for."""
    with world(kind, uid) as w:
        outside = w.folder("outside", 0o777)
        os.chmod(outside, 0o777)
        found = [run_line(w, line, "/dev/shm/tools", outside) for line in LINES]
        if isinstance(w, Mount):
            assert os.listdir(w.store) == [], os.listdir(w.store)
        if isinstance(w, Served):
            assert w.requests() > len(LINES) or not w.with_library, "the daemon was asked nothing"
            assert w.daemon.status().names == 0, "something is left"
        return found, w.uid


def check(line, wanted, found):
    assert wanted == found, f"{line}\nnatively:\n{wanted}\nhere:\n{found}"


def main():
    private()
    tap = Tap()
    kinds = [Lambda]
    if is_root() and os.path.exists("/dev/fuse"):
        kinds += [Passthrough, Direct, Plain, PlainDirect]
    natives = {}
    for kind in kinds:
        if sys.argv[1:] and kind.name not in sys.argv[1:]:
            continue
        found = [[], None]
        tap.run(f"{kind.name}: all is run", lambda kind=kind: found.__setitem__(
            slice(None), outputs(kind)))
        uid = found[1]
        if uid not in natives:
            natives[uid] = outputs(Native, uid)[0]
        for line, wanted, here in zip(LINES, natives[uid], found[0]):
            tap.run(f"{kind.name}: {line[:60]}", check, line, wanted, here)
    return tap.end()


sys.exit(main())
