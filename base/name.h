/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The one judge of the names that shm_open, sem_open and their kin take. */
#ifndef SHMEMU_BASE_NAME_H
#define SHMEMU_BASE_NAME_H

#include <stdbool.h>
#include <stddef.h>

enum { NAME_LENGTH_MAX = 255 };

enum name_kind {
	NAME_SEGMENT,   /* shm_open: /dev/shm/NAME */
	NAME_SEMAPHORE, /* sem_open: /dev/shm/sem.NAME */
};

/* A file name in the store's root folder, as a request carries it. */
struct name {
	char bytes[NAME_LENGTH_MAX + 1];
	size_t length;
};

/* Turns what a program passed into the store's name for it: leading slashes go, "sem." comes before
 * a semaphore's. Returns 0, or -EINVAL where glibc refuses the name by itself (glibc reports that
 * as EINVAL on open and ENOENT on unlink), or -ENAMETOOLONG where the kernel would. */
int name_parse(enum name_kind kind, const char *given, struct name *ret_name);

/* May this be a file's name in the store: 1 to 255 bytes, no slash, no NUL, not "." or ".."? */
bool name_is_valid(const char *bytes, size_t length);

/* Is this the file name of a named semaphore? */
bool name_is_semaphore(const char *bytes);

#endif
