/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whether the library reaches a program: what kind of file that is, and who it becomes. */
#ifndef SHMEMU_CLI_JUDGE_H
#define SHMEMU_CLI_JUDGE_H

#include "cli/binary.h"
#include "cli/find.h"

enum { JUDGE_WORDS_SIZE = 1024 };

enum reach {
	REACH_YES,
	REACH_NO,
	REACH_MAY,  /* nobody can tell */
	REACH_NONE, /* no question: it is a script, or shmemu's own */
};

struct judgement {
	enum reach reach;
	char words[JUDGE_WORDS_SIZE];
};

/* What the library was made for. */
struct judge {
	struct parts parts;
	struct binary tool; /* the library's machine and libc are the tool's */
};

void judge_init(struct judge *judge);
void judge_deinit(struct judge *judge);

/* Of a file that was read with binary_read, if it were executed as `path`. */
struct judgement judge_program(const struct judge *judge, const char *path,
                               const struct binary *binary);

/* The same without the rights that it may give: of one that runs. */
struct judgement judge_binary(const struct judge *judge, const struct binary *binary);

const char *judge_reach_name(enum reach reach);

#endif
