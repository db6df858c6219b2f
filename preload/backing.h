/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The files behind views, one each however often it is mapped. All calls with the lock held. */
#ifndef SHMEMU_PRELOAD_BACKING_H
#define SHMEMU_PRELOAD_BACKING_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>

/* Above any offset that a program locks: the library's own record locks. At BACKING_LOCKS + N
 * is that of an object at offset N of the file. */
#define BACKING_LOCKS ((off_t)1 << 62)
#define BACKING_LOCK_PAGES (INT64_MAX - 1)

struct backing {
	int fd;           /* guarded; -1: a free place */
	int lock_fd;      /* an open file description of this process alone, or -1; guarded */
	bool can_write;   /* fd is open for writing */
	bool no_lock;     /* lock_fd can't be had */
	bool is_pulled;   /* as far as was seen by whoever has the lock */
	unsigned users;   /* views */
	size_t bytes;     /* that they have of it */
	dev_t device;
	ino_t inode;
	off_t size;       /* when it was last looked at */
	/* When pulling all of it was last begun, by the clock of file times; and st_ctim then. */
	struct timespec pulled, changed;
	int error;        /* the first that writing it met, until somebody is told */
};

/* The one for the file that is open as `fd` (borrowed), made if there is none; counts one user.
 * Returns 0 or -errno: -ENFILE when there is no descriptor left. */
int backing_open(int fd, const struct stat *status, struct backing **ret_backing);

/* The one for the file of st_dev and st_ino, which may lie at the path, open for `access` (O_RDONLY
 * or O_RDWR). As backing_open. */
int backing_open_path(const char *path, int access, const struct stat *wanted,
                      struct backing **ret_backing);

/* Counts one user less. The last one closes the file, or keeps it as long as a record lock is
 * on it: closing would take away this process's. */
void backing_leave(struct backing *backing);

struct backing *backing_share(struct backing *backing);

/* Looks at the file's size. Returns it, or the last one known. */
off_t backing_size(struct backing *backing);

/* A descriptor with a position of its own (borrowed), or -1. */
int backing_own(struct backing *backing);

/* BACKING_LOCK_PAGES: F_WRLCK before a page is read, changed and written, F_RDLCK before
 * anything else is, F_UNLCK. From the first of these to the second by way of the third.
 * Returns false where there is no lock to be had: then a page can't be written so. */
bool backing_lock(struct backing *backing, short type);

/* Whether the file is as it was when all of it was last pulled. Looks at its size, too. If
 * not, all of it is to be pulled now. */
bool backing_is_unchanged(struct backing *backing);

/* Whether it has changed since that was last called: then pulling it has begun anew now. */
bool backing_has_moved_on(struct backing *backing);

/* Calls `visit` for each that has users. */
void backing_each(void (*visit)(struct backing *backing));

/* In a forked child. */
void backing_after_fork(void);

#endif
