/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where names of the root folder led when the daemon last said so: what leads there still is opened
 * again without asking. */
#ifndef SHMEMU_PRELOAD_KNOWN_H
#define SHMEMU_PRELOAD_KNOWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

struct client_answer;
struct wire_stat;

enum { KNOWN_NOT = -1 }; /* the daemon is to be asked */

/* A name as it is looked up. */
struct known_name {
	const char *bytes; /* borrowed */
	size_t length;
	uint64_t hash;
	uint64_t mark; /* before the daemon is asked; 0: none */
};

/* To be made before the daemon is asked. */
struct known_name known_name(const char *bytes, size_t length);

/* open(2) of what there is: a descriptor owned by the caller, with what fstat(2) says of it, or
 * KNOWN_NOT, for all that depends on more than the name and the file. */
int known_open(const struct known_name *name, int flags, struct stat *ret_status);

/* Can a new file, of this mode and opened with these flags, be opened by its number alone? */
bool known_opens_new(int flags, mode_t mode);
/* Opens one that the daemon has just made for this process: a descriptor owned by the caller, and
 * which file it is (dev and ino alone), or -errno; -ESTALE: it can't be. */
int known_open_new(uint64_t number, int flags, struct wire_stat *ret_status);
/* Asks for what that takes, if it is not there. */
void known_set_out(void);

/* stat(2): 0 or KNOWN_NOT. */
int known_stat(const struct known_name *name, struct stat *ret_status);

/* What the daemon has answered: whether the file has a number (0: none), and which it is. */
void known_learn(const struct known_name *name, uint64_t number, dev_t device, ino_t inode);

/* The same for an answer with the file itself. */
void known_learn_file(const struct known_name *name, const struct client_answer *answer);

#endif
