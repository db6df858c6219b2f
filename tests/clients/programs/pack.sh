#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# pack.sh REPOSITORY CLONE: what is done with a large pack, which git maps to read it; prints what must be the same
# everywhere.
set -e
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_AUTHOR_DATE='1700000000 +0000'
export GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b GIT_COMMITTER_DATE='1700000000 +0000'
cd "$1"
git fsck --full --strict
git log -p --all >"$2.log"
sha256sum <"$2.log"
git rev-list --objects --all >"$2.objects"
cut -d' ' -f1 "$2.objects" | git cat-file --batch >"$2.contents"
sha256sum <"$2.contents"
for object in $(head -20 "$2.objects" | cut -d' ' -f1); do
	git cat-file -t "$object"
done
git clone -q --no-local "file://$1" "$2"
git -C "$2" fsck --full --strict
git -C "$2" log -p >"$2.log"
sha256sum <"$2.log"
git -C "$2" status --short
echo another >>"$2/file-0"
git -C "$2" commit -q -a -m another
git -C "$2" push -q origin HEAD:refs/heads/other
git rev-parse other
git gc -q --prune=now
git count-objects -v | grep -E '^(count|in-pack|packs|garbage):'
git fsck --full --strict
git verify-pack .git/objects/pack/*.idx
git diff --stat HEAD~1 HEAD
