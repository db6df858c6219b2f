/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where a path leads: folder by folder, with the asker's rights and through links, as
 * path_resolution(7) has it. */
#ifndef SHMEMU_FUSE_WALK_H
#define SHMEMU_FUSE_WALK_H

#include <stdbool.h>

#include "base/wire.h"

struct store;
struct store_actor;
struct store_node;

enum {
	WALK_ROOM = 2 * (WIRE_PATH_MAX + 1),
	WALK_ELSEWHERE = 1, /* the path leads out of the store: see walk.text */
};

/* What the last component is. */
enum walk_last {
	WALK_NAME,
	WALK_DOT,     /* "." */
	WALK_DOT_DOT, /* ".." */
	WALK_ITSELF,  /* there is none: the folder that the path began in */
};

struct walk {
	struct store_node *folder; /* of the last component */
	struct store_node *node;   /* that it leads to; NULL: nothing */
	enum walk_last last;
	bool slash;                /* a slash follows it: it is to be a folder */
	bool too_long;             /* there can be no such name: see walk_check_name */
	char name[WIRE_NAME_SIZE]; /* WALK_NAME */
	char text[WALK_ROOM];      /* what is left of the path; WALK_ELSEWHERE: where it leads */
};

enum walk_end {
	WALK_PARENT,   /* the last component is not followed, whatever it is */
	WALK_NOFOLLOW, /* a link at the end is followed only if a slash follows */
	WALK_FOLLOW,
	WALK_CREATE,   /* the same, but not if a slash follows: no file is made there */
};

/* Goes `path` (`length` bytes) from a folder. Returns 0 and fills in all of *walk,
 * WALK_ELSEWHERE, or -errno: -ENOENT, -ENOTDIR, -EACCES, -ELOOP, -ENAMETOOLONG. That the last
 * component is not there, or can't be, is no error. */
int walk_path(struct store *store, const struct store_actor *actor, struct store_node *from,
              const char *path, size_t length, enum walk_end end, struct walk *walk);

/* To be asked where Linux looks the last component up: 0 or -ENAMETOOLONG. */
int walk_check_name(const struct walk *walk);

#endif
