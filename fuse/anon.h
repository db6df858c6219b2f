/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where anonymous files come from: the one place that knows how this host makes them. */
#ifndef SHMEMU_FUSE_ANON_H
#define SHMEMU_FUSE_ANON_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "fuse/tmpfs.h"

enum anon_kind {
	ANON_AUTO,   /* the best of the first two that the host allows */
	ANON_TMPFS,  /* files in a tmpfs of our own that is mounted nowhere */
	ANON_MEMFD,  /* memfd_create */
	ANON_TMPDIR, /* unlinked files in $TMPDIR: can reach a disk, so only when asked for by name
	              */
	ANON_KIND_COUNT,
};

struct anon_user;

struct anon {
	enum anon_kind kind; /* never ANON_AUTO once initialised */
	int folder;          /* ANON_TMPFS, ANON_TMPDIR: the folder, owned; else -1 */
	int nodes;           /* the folder of what is no regular file; owned */
	int namespace;       /* the user namespace that the tmpfs was borrowed from, owned; or -1 */
	bool by_name;        /* any of its files can be opened again without its descriptor */
	uint64_t size;       /* bytes that there is room for; 0: no limit. See limit.h */
	int (*mount)(struct anon *anon, uid_t uid); /* NULL: users have no folder of their own */
	struct anon_user *users; /* owned: those that have */
};

/* Finds a source of the wanted kind, by plan (NULL: the default): one with a size, or with huge
 * pages that are asked for, is a tmpfs. What is no regular file is made in the same tmpfs, or,
 * where there is none, in a folder "nodes" of the folder `seat` (borrowed): empty folders and
 * fifos, which hold nothing. Returns 0 or -errno, that of the last road tried: -EOPNOTSUPP when it
 * can't be as planned. */
int anon_init(struct anon *anon, enum anon_kind wanted, const char *tmpdir,
              const struct tmpfs_plan *plan, int seat);
void anon_deinit(struct anon *anon);

/* From now on the files of every user but root and our own go to a tmpfs of that user's, which
 * `mount` makes: it returns the folder, owned by the caller, or -errno. anon_add_user (folder:
 * taken) is for those that were made before. Needs by_name. */
void anon_limit_users(struct anon *anon, int (*mount)(struct anon *anon, uid_t uid));
int anon_add_user(struct anon *anon, uid_t uid, int folder);

bool anon_has_users(const struct anon *anon); /* can have, now or later */

/* There is nothing of that user's any more. */
void anon_remove_user(struct anon *anon, uid_t uid);
/* Goes through them until one is not 0, and returns that or 0. */
int anon_each_user(const struct anon *anon, int (*each)(uid_t uid, int folder, void *details),
                   void *details);

/* Have this user's files a tmpfs of their own, and is there a limit to where they are? */
bool anon_has_share(const struct anon *anon, uid_t uid);
bool anon_is_limited(const struct anon *anon, uid_t uid);

/* st_dev of this user's files; 0: not known. */
uint64_t anon_device(const struct anon *anon, uid_t uid);

/* How many bytes there are, and are left, for a user; -EOPNOTSUPP where there is no limit. */
int anon_room(const struct anon *anon, uid_t uid, uint64_t *ret_total, uint64_t *ret_available);

/* "tmpfs", "memfd", "tmpdir" or "auto", and back (-EINVAL). */
const char *anon_kind_name(enum anon_kind kind);
int anon_kind_parse(const char *name, enum anon_kind *ret_kind);

/* Makes an empty file of a user's, known to the source by both, `uid` and `ino`, readable and
 * writable by the daemon alone (0600). Returns a read-write descriptor that the caller owns, or
 * -errno. */
int anon_create(struct anon *anon, uid_t uid, uint64_t ino);

/* The same, where files are opened by name: the descriptor is what open(2)'s `flags` say, to be
 * handed out. */
int anon_create_open(struct anon *anon, uid_t uid, uint64_t ino, int flags);

/* Opens the file again with open(2)'s `flags`: a new open file description, owned by the caller.
 * `fd` is the one from anon_create, or, where files are opened by name, -1. Access is judged by the
 * caller: this overrides the mode where the host lets us. Returns a descriptor or -errno. */
int anon_reopen(const struct anon *anon, uid_t uid, uint64_t ino, int fd, int flags);

/* What stat(2) says of the file, where files are opened by name. Returns 0 or -errno. */
int anon_stat(const struct anon *anon, uid_t uid, uint64_t ino, struct stat *ret_status);

/* A regular file's further names are counted by names of its own, which makes its st_nlink true
 * where it has names at all: the `count`th comes or goes. */
void anon_link(struct anon *anon, uid_t uid, uint64_t ino, uint32_t count);
void anon_unlink(struct anon *anon, uid_t uid, uint64_t ino, uint32_t count);

/* O_TMPFILE: as anon_create, but nobody knows it. `linkable`: anon_adopt may give it a number,
 * where files have names. */
int anon_create_nameless(struct anon *anon, uid_t uid, bool linkable);

/* Makes a file (borrowed) of where this user's are, which has no number, known to the source. 0, or
 * -ENOENT for one that may have none, or has lost it. */
int anon_adopt(struct anon *anon, uid_t uid, uint64_t ino, int file);

/* Is it a file of where ours are, and which number does it say that it has (0: none)? Asked of the
 * kernel alone: whatever a stranger's file is, nobody is waited for. 0 or -EXDEV. */
int anon_identify(const struct anon *anon, int file, struct stat *ret_status, uint64_t *ret_ino);

/* A kernel object that is no regular file: an empty folder, a fifo, a socket, or, in the place
 * of a device, an empty file. Under its name in anon->nodes, the daemon's own and nobody else's.
 * Returns 0 or -errno. */
int anon_make_node(struct anon *anon, mode_t type, const char *name);
/* What somebody has put into it by the kernel goes, as junk_clear has it. */
int anon_clear_node(const struct anon *anon, const char *name);
/* With whatever is in it. */
void anon_forget_node(struct anon *anon, const char *name);

/* Takes the folder "nodes" away that anon_init has made in `seat`, where it has. */
void anon_leave_seat(const struct anon *anon, int seat);

/* The file's last name is gone: open descriptors and mappings keep it, with st_nlink 0. */
void anon_forget(struct anon *anon, uid_t uid, uint64_t ino);
/* The same, whosever it is. */
void anon_forget_anywhere(struct anon *anon, uint64_t ino);

#endif
