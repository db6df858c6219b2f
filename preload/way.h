/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The way a path takes: to the host's files, to a mount of the store, or to the daemon. */
#ifndef SHMEMU_PRELOAD_WAY_H
#define SHMEMU_PRELOAD_WAY_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/client.h"
#include "preload/known.h"

struct name;

/* What every wrapped call looks at first; all else is behind it. */
#pragma GCC visibility push(hidden)
extern struct way_state {
	_Atomic unsigned char letters[UCHAR_MAX + 1]; /* may one of ours begin with "/" and this? */
	_Atomic unsigned char inner[UCHAR_MAX + 1]; /* and with "/dev/" or "/proc/" and this? */
	_Atomic unsigned char in_folder; /* the working folder may be ours, or above the store */
	_Atomic unsigned char folders;   /* this process may have had a folder of ours open */
} way_state;
#pragma GCC visibility pop

/* Judges what way_is_foreign could not. */
__attribute__((noinline)) bool way_leads_here(int dirfd, const char *path);

static inline bool way_is_plainly_foreign(int dirfd, const char *path)
{
	/* The compiler thinks that it knows from libc's headers that it is not NULL. */
	__asm__("" : "+r"(path));
	if (!path)
		return true;
	return path[0] == '/' ? !way_state.letters[(unsigned char)path[1]] :
	       dirfd == AT_FDCWD ? !way_state.in_folder : !way_state.folders;
}

/* Is (dirfd, path) none of our business? Then the real function is to be called with both as they
 * came. Else the call is way_go's. Without a system call for whatever is foreign, unless the
 * working folder, or some open folder, is ours. "" and NULL are foreign. */
static inline bool way_is_foreign(int dirfd, const char *path)
{
	return way_is_plainly_foreign(dirfd, path) || !way_leads_here(dirfd, path);
}

enum way_kind {
	WAY_NATIVE, /* on the host, or on a mount: path for the real function */
	WAY_SOCKET, /* path for the daemon, from the folder `base` on, without a slash before it */
};

enum { WAY_TURNS_MAX = 40 }; /* links out of the store and back, then ELOOP, as in the kernel */
#define WAY_AGAIN LONG_MIN   /* not a result: the call is to be made anew */

/* Lives in way_go, in memory of its own: stacks may be small. */
struct way {
	int result; /* 0, or -errno: no way leads there */
	enum way_kind kind;
	int dirfd;
	const char *path;
	bool by_mount;    /* WAY_NATIVE: rewritten */
	const char *rest; /* by_mount: path for the daemon, all the same */
	struct wire_base base;
	int turns;
	int stand_in; /* -1, or an O_PATH descriptor; owned */
	char *text;   /* WIRE_TEXT_MAX + 1 bytes, where way_ask has the answer's text */
	/* What way_ask sends besides; set by `served`. */
	uint64_t device;     /* MAKE */
	const char *content; /* SYMLINK: the link's text */
	struct way *other;   /* LINK, RENAME: where the second path leads */
	const int *file;     /* LINK_FILE: borrowed */
};

/* A call that is to be made wherever its path leads. */
struct errand {
	/* Makes it by the real function: >= 0 or -errno. With `nofollow` on a link at the end
	 * itself. It may be cancelled in there, and must then have nothing to release. */
	long (*natively)(const struct errand *errand, int dirfd, const char *path, bool nofollow);
	/* Makes it by way_ask: what that returned, if it is < 0 (WAY_AGAIN too), else the call's
	 * result. NULL: natively does it, on a path (way_fd_path) that stands for the thing,
	 * and is to be followed whatever the thing is. */
	long (*served)(const struct errand *errand, struct way *way);
	bool nofollow; /* a link at the end is meant itself */
	void *details; /* the two functions' own */
};

/* Returns the result, >= 0 or -errno, and leaves errno as it was. No system call on a foreign path
 * but natively's. */
long way_go(int dirfd, const char *path, const struct errand *errand);

/* Asks the daemon for an operation on way->path. `request` has its operation, flags and mode set.
 * Returns the reply's result, or -errno, or WAY_AGAIN. The answer's text is in way->text, its
 * length in ret_answer->told.text_length; ret_answer->fd is the caller's. */
long way_ask(struct way *way, struct wire_request *request, struct client_answer *ret_answer);

/* Is way->path a possible name of the root folder, and which? */
bool way_root_name(const struct way *way, struct name *ret_name);

/* The name of the root folder that way->path is; if it is none, it has no mark, and no number. */
struct known_name way_known_name(const struct way *way);
/* The same of a path at first sight, where the daemon is the road to it. */
struct known_name way_known_path(const char *path);

/* Gets the thing that way->path leads to as way->stand_in, O_PATH, and what stat(2) says of it. 0,
 * or as way_ask. */
long way_find(struct way *way, bool nofollow, struct wire_stat *ret_stat);

/* Makes a call natively on way->stand_in. */
long way_natively(struct way *way, const struct errand *errand);

/* "/proc/thread-self/fd/N": the first thread may have ended, or have other descriptors. */
struct way_fd_path {
	char bytes[40];
};
struct way_fd_path way_fd_path(int fd);

/* A call on two paths, of both of which at least one is not foreign. */
struct errand_two {
	long (*natively)(const struct errand_two *errand, const int dirfds[2],
	                 const char *const paths[2]);
	/* way->other is the second. */
	long (*served)(const struct errand_two *errand, struct way *way);
	bool follow; /* a link at the end of the first path */
	void *details;
};

/* As way_go. -EXDEV when one path leads to the daemon and the other does not. */
long way_go_two(const int dirfds[2], const char *const paths[2], const struct errand_two *errand);

/* -1 and errno of a real function as -errno. */
static inline long way_result(long result)
{
	return result == -1 ? -errno : result;
}

/* The folder of ours that a descriptor (AT_FDCWD: the working folder) is. No folder of ours: false.
 * A system call. */
bool way_base_of(int fd, struct wire_base *ret_base);

/* The same for what readlink(2) in /proc says of it. */
bool way_base_in(const char *text, struct wire_base *ret_base);
/* way_go for such a folder itself: errand->served only. */
long way_go_base(const struct wire_base *base, const struct errand *errand);

/* To be told of by whoever opens a folder of ours, before the program gets its descriptor. */
void way_had_folder(void);
/* To be told of after each chdir, fchdir and the like that succeeded, on whatever road. */
void way_moved(void);

/* The prefix that stands for the store in what is told to the program ("/dev/shm"). */
const char *way_prefix(void);
/* Path of the mount that this process sees, or NULL. May ask the daemon once. Never freed. */
const char *way_mount(void);

#endif
