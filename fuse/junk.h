/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What strangers have left in a folder that was to be empty. */
#ifndef SHMEMU_FUSE_JUNK_H
#define SHMEMU_FUSE_JUNK_H

/* Empties a folder of a folder, of some thousand things at most, that nobody waits for long, and to
 * any depth. A link is never followed, nor "..". Returns 0, -ENOTEMPTY when there is more, or
 * -EBUSY for what can't be removed. A folder that is not there, or is none, is empty. */
int junk_clear(int folder, const char *name);

#endif
