/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What several wrapped calls come down to. */
#ifndef SHMEMU_PRELOAD_EMU_H
#define SHMEMU_PRELOAD_EMU_H

#include <sys/types.h>

#include "base/name.h"

/* name_parse, and a line in the log for a name that can't be. */
int emu_parse(enum name_kind kind, const char *given, struct name *ret_name);

/* open(2) of a file in /dev/shm: `mode` counts with O_CREAT and is put under the umask here.
 * Returns a descriptor owned by the caller, or -errno. */
int emu_open(const struct name *name, int flags, mode_t mode);

/* The same for a possible name, with O_CREAT, by the daemon's word: what is there and is no
 * regular file is -EISDIR, -ENXIO or -ELOOP. */
int emu_create(const struct name *name, int flags, mode_t mode);

/* As emu_open for what need not be a regular file, nor a possible name: "." and "..". `refusal` is
 * the result where paths are none of our business. */
int emu_open_other(const char *name, int flags, mode_t mode, int refusal);

/* unlink(2) of a file in /dev/shm. Returns 0 or -errno. */
int emu_unlink(const struct name *name);

/* shm_unlink and sem_unlink. Returns 0 or -errno: -ENOENT for a name that can't be, as glibc
 * says, and -EACCES where unlink(2) has EPERM. */
int emu_unlink_shared(enum name_kind kind, const char *given);

#endif
