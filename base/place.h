/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where a daemon and its clients meet: a folder with a socket and two lock files. */
#ifndef SHMEMU_BASE_PLACE_H
#define SHMEMU_BASE_PLACE_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/text.h"

/* Names in the folder. */
#define PLACE_SOCKET "socket"     /* the daemon listens here */
#define PLACE_DAEMON_LOCK                                                                          \
	"shmfs.lock" /* flocked by the daemon as long as it serves; holds its pid */
#define PLACE_START_LOCK "start.lock"  /* flocked by whoever is starting one */

#define PLACE_SYSTEM "/run/shmemu"

enum { PLACE_PATIENCE_SECONDS = 30 };

/* What the environment says; each NULL where unset. Read with secure_getenv by the caller. */
struct place_hints {
	const char *shmemu_dir;      /* SHMEMU_DIR */
	const char *xdg_runtime_dir; /* XDG_RUNTIME_DIR */
	const char *tmpdir;          /* TMPDIR */
};

/* Puts the folders to try into ret_paths, the best first, and returns their number: SHMEMU_DIR
 * alone if set; else /run/shmemu, then the user's own, $XDG_RUNTIME_DIR/shmemu or
 * $TMPDIR/shmemu-UID. The last is where a user's daemon is to be started. A path too long for a
 * text is left cut. */
enum { PLACE_CANDIDATES_MAX = 2 };
size_t place_candidates(const struct place_hints *hints, uid_t uid,
                        struct text ret_paths[static PLACE_CANDIDATES_MAX]);

/* Opens the folder (O_PATH) and makes sure that nobody but its owner can put a socket there, and
 * that the owner is root or `uid`. Returns a descriptor that the caller owns, or -errno: -EACCES
 * when it is somebody else's, open to others, or a link, and what open(2) says otherwise. */
int place_open(const char *path, uid_t uid);

/* Makes the folder if it is not there, its own and nobody else's (0700), and opens it like
 * place_open. The folder above must exist. */
int place_make(const char *path, uid_t uid);

/* Connects to the daemon of a folder that place_open opened. Returns a SEQPACKET socket that the
 * caller owns, or -errno: -ENOENT or -ECONNREFUSED when none is listening, -EACCES when the one
 * that listens is neither root's nor `uid`'s. */
int place_connect(int folder, const char *path, uid_t uid);

/* Opens and flocks one of the folder's lock files, waiting if `wait`. Returns a descriptor that the
 * caller owns and that holds the lock until closed, or -errno (-EAGAIN: taken, and not `wait`). */
int place_lock(int folder, const char *name, bool wait);

/* Fills in the path of a thing in an open folder, by way of /proc: true whatever became of the
 * path's name since, and short enough for a socket's address. */
struct text place_at(int folder, const char *name);

#endif
