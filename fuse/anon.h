/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where anonymous files come from: the one place that knows how this host makes them. */
#ifndef SHMEMU_FUSE_ANON_H
#define SHMEMU_FUSE_ANON_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

enum anon_kind {
	ANON_AUTO,   /* the best of the first two that the host allows */
	ANON_TMPFS,  /* files in a tmpfs of our own that is mounted nowhere, with huge pages
	                within_size */
	ANON_MEMFD,  /* memfd_create */
	ANON_TMPDIR, /* unlinked files in $TMPDIR: can reach a disk, so only when asked for by name
	              */
	ANON_KIND_COUNT,
};

struct anon_user;

struct anon {
	enum anon_kind kind; /* never ANON_AUTO once initialised */
	int folder;          /* ANON_TMPFS, ANON_TMPDIR: the folder, owned; else -1 */
	bool by_name;        /* any of its files can be opened again without its descriptor */
	uint64_t size;       /* bytes that there is room for; 0: no limit */
	int (*mount)(struct anon *anon, uid_t uid); /* NULL: users have no folder of their own */
	struct anon_user *users; /* owned: those that have */
};

/* Finds a source of the wanted kind, with room for `size` bytes (0: any; else a tmpfs). Returns 0
 * or -errno, that of the last road tried. */
int anon_init(struct anon *anon, enum anon_kind wanted, const char *tmpdir, uint64_t size);
void anon_deinit(struct anon *anon);

/* From now on the files of every user but root and our own go to a tmpfs of that user's, which
 * `mount` makes: it returns the folder, owned by the caller, or -errno. anon_add_user (folder:
 * taken) is for those that were made before. Needs by_name. */
void anon_limit_users(struct anon *anon, int (*mount)(struct anon *anon, uid_t uid));
int anon_add_user(struct anon *anon, uid_t uid, int folder);

/* How many bytes there are, and are left, for a user; -EOPNOTSUPP where there is no limit. */
int anon_room(const struct anon *anon, uid_t uid, uint64_t *ret_total, uint64_t *ret_available);

/* "tmpfs", "memfd", "tmpdir" or "auto", and back (-EINVAL). */
const char *anon_kind_name(enum anon_kind kind);
int anon_kind_parse(const char *name, enum anon_kind *ret_kind);

/* Makes an empty file of a user's, known to the source by both, `uid` and `ino`, readable and
 * writable by the daemon alone (0600). Returns a read-write descriptor that the caller owns, or
 * -errno. */
int anon_create(struct anon *anon, uid_t uid, uint64_t ino);

/* Opens the file again with open(2)'s `flags`: a new open file description, owned by the caller.
 * `fd` is the one from anon_create, or, where files are opened by name, -1. Access is judged by the
 * caller: this overrides the mode where the host lets us. Returns a descriptor or -errno. */
int anon_reopen(const struct anon *anon, uid_t uid, uint64_t ino, int fd, int flags);

/* What stat(2) says of the file, where files are opened by name. Returns 0 or -errno. */
int anon_stat(const struct anon *anon, uid_t uid, uint64_t ino, struct stat *ret_status);

/* The file's last name is gone: open descriptors and mappings keep it, with st_nlink 0. */
void anon_forget(struct anon *anon, uid_t uid, uint64_t ino);
/* The same, whosever it is. */
void anon_forget_anywhere(struct anon *anon, uint64_t ino);

#endif
