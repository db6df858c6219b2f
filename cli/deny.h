/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a command is to go without: a list of operations, put into force by one loop. */
#ifndef SHMEMU_CLI_DENY_H
#define SHMEMU_CLI_DENY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/withheld.h"

enum { DENY_OPS_MAX = 64 };

/* In the order in which they are put into force. */
enum deny_kind {
	DENY_NONE,
	DENY_ENTRY, /* an entry of /dev is not there (ENOENT) */
	DENY_WRITE, /* a folder in /dev is empty and read-only (EROFS) */
	DENY_SPACE, /* a folder in /dev is a new one of `size` bytes */
	DENY_SHIM,  /* a call of libc fails */
	DENY_CALL,  /* system calls fail: of cli/filter.c */
	DENY_ROOT,  /* no root: another user instead, no groups, no capabilities */
	DENY_KIND_COUNT,
};

struct deny_op {
	enum deny_kind kind;
	const char *what; /* the entry's name in /dev, or what calls are about */
	uint64_t size;
	int error;                /* of a call, or FILTER_TRAP */
	struct withheld withheld; /* the shim's word */
};

struct deny {
	struct deny_op ops[DENY_OPS_MAX];
	size_t count;
	uid_t uid; /* who root becomes */
	gid_t gid;
};

/* Adds an operation. An earlier one on the same thing is replaced: the last word on it holds. */
void deny_add(struct deny *deny, const struct deny_op *op);

/* Puts all into force on this process, which is then no more privileged than it was. Ends the
 * program with one line when the host refuses. */
void deny_apply(const struct deny *deny);

#endif
