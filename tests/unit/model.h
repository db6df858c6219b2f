/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the store is to do, by a few arrays: operations are chosen at random, and what becomes of
 * each is known before. */
#ifndef SHMEMU_TESTS_UNIT_MODEL_H
#define SHMEMU_TESTS_UNIT_MODEL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "fuse/store.h"

enum { MODEL_THINGS = 96, MODEL_FOLDERS = 9, MODEL_NAMES = 5, MODEL_NONE = -1, MODEL_ROOT = 0 };

enum model_what {
	MODEL_CREATE,
	MODEL_UNLINK,
	MODEL_LINK,
	MODEL_RENAME,
	MODEL_KINDS_OF_NAMES, /* from here on things are open, which takes a keeper */
	MODEL_OPEN = MODEL_KINDS_OF_NAMES,
	MODEL_CLOSE,
	MODEL_NAMELESS,
	MODEL_KINDS,
};

/* An inode. */
struct model_thing {
	uint64_t ino; /* 0: none */
	mode_t type;
	int names;
	uint32_t opens;
	bool nameless;     /* may get its first name */
	bool was_nameless; /* the kernel's file has no name */
	int parent;        /* of a folder; MODEL_NONE: it has been removed */
	int at;            /* the name that leads to a folder */
	int children[MODEL_NAMES];
};

struct model {
	struct model_thing things[MODEL_THINGS]; /* the first is the root */
};

struct model_op {
	enum model_what what;
	int thing;            /* LINK, OPEN, CLOSE */
	int folders[2];       /* things */
	int names[2];
	mode_t type;          /* CREATE */
	unsigned flags;       /* RENAME */
};

void model_init(struct model *model);

/* An operation that there is room for. */
struct model_op model_choose(const struct model *model, unsigned *seed, int kinds);
int model_expect(const struct model *model, const struct model_op *op);

/* Asks the store for it, as a request of this number, whose turn goes on. `ret_ino` is the inode
 * that it has made, or 0. */
int model_perform(const struct model *model, const struct model_op *op, struct store *store,
                  uint64_t serial, uint64_t *ret_ino);

/* It has been done, and this is the inode that it made. */
void model_apply(struct model *model, const struct model_op *op, uint64_t ino);

/* Is the store what the model is? `links_show`: the kernel's files count their names. */
void model_check(const struct model *model, struct store *store, bool links_show);

/* An operation that makes the model smaller, or false: there is nothing left. */
bool model_choose_less(const struct model *model, struct model_op *ret_op);

#endif
