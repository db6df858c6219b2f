/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What `shmemu without` tells the shim that it puts beneath a program (without/shim.c): which
 * calls fail, how, and when. The words lie as comments in /etc/ld.so.preload, which names the
 * shim too, or in the environment. */
#ifndef SHMEMU_BASE_WITHHELD_H
#define SHMEMU_BASE_WITHHELD_H

#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

#define WITHHELD_FILE "/etc/ld.so.preload"
#define WITHHELD_MARK "#shmemu-without " /* begins a line; words with blanks between follow */
#define WITHHELD_VARIABLE "SHMEMU_WITHOUT"

/* One call may be several of these. */
enum withheld_what {
	WITHHELD_MMAP,
	WITHHELD_MMAP_FILE,
	WITHHELD_MMAP_SHARED, /* of a file */
	WITHHELD_MMAP_SHARED_ANONYMOUS,
	WITHHELD_MSYNC,
	WITHHELD_MREMAP,
	WITHHELD_MADVISE,
	WITHHELD_MPROTECT,
	WITHHELD_MUNMAP,
	WITHHELD_FTRUNCATE,
	WITHHELD_FALLOCATE,
	WITHHELD_MEMFD_CREATE,
	WITHHELD_SEM_OPEN, /* and sem_close, sem_unlink */
	WITHHELD_COUNT,
};

enum withheld_moment {
	WITHHELD_ALWAYS,
	WITHHELD_AFTER,  /* the first `number` calls work */
	WITHHELD_NTH,    /* only the `number`-th fails, counted from 1 */
	WITHHELD_CHANCE, /* `number` of 2^32 fail, which ones is `seed`'s */
};

struct withheld {
	enum withheld_what what;
	enum withheld_moment moment;
	int error;
	uint64_t number;
	uint64_t seed;
};

/* Returns an enum withheld_what or -ENOENT. */
int withheld_find(const char *name, size_t length);

/* Appends the word. */
void withheld_print(struct text *text, const struct withheld *withheld);

/* Reads the word at *text, which blanks, a line's end or `end` ends, and moves *text behind it.
 * Returns 0, -EINVAL for what is no such word, or -ENOENT at the end of the line. */
int withheld_parse(const char **text, const char *end, struct withheld *ret_withheld);

#endif
