/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tokens for open files at the mount, to be traded at the socket door: see base/token.h. */
#ifndef SHMEMU_FUSE_TOKEN_H
#define SHMEMU_FUSE_TOKEN_H

#include <stdint.h>

enum { TOKENS_MAX = 256 };

struct token {
	uint64_t halves[2];
	uint64_t ino;
	int flags;     /* the access that the file was opened with: O_RDONLY, O_WRONLY, O_RDWR */
	int64_t until; /* CLOCK_MONOTONIC, in seconds; 0: was taken, or never made */
};

/* All 0: none. They are lost with the worker; whoever misses one asks for another. */
struct tokens {
	struct token places[TOKENS_MAX];
	unsigned next;
};

/* Makes a token that nobody can guess, in the place of the oldest. Returns 0 or -errno. */
int token_make(struct tokens *tokens, uint64_t ino, int flags, uint64_t ret_halves[static 2]);

/* Takes a token: it is good once. Returns 0, or -ENOENT (there is none such, or it is too old). */
int token_take(struct tokens *tokens, const uint64_t halves[static 2], uint64_t *ret_ino,
               int *ret_flags);

#endif
