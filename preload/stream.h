/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Directory streams of folders that only the daemon can list. */
#ifndef SHMEMU_PRELOAD_STREAM_H
#define SHMEMU_PRELOAD_STREAM_H

#include <dirent.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/wire.h"

struct stream;

enum { STREAM_COUNT = 512 };

/* Where all of ours lie: [begin, begin + STREAM_RANGE). Without any, where no pointer points. */
extern _Atomic uintptr_t stream_begin;
#define STREAM_RANGE ((uintptr_t)STREAM_COUNT * 20480)

/* Ours, or libc's? NULL is libc's. */
static inline bool stream_is_ours(const DIR *dir)
{
	return (uintptr_t)dir - atomic_load_explicit(&stream_begin, memory_order_relaxed) <
	       STREAM_RANGE;
}

/* A stream of the folder, at its start. `fd` is that folder's and goes over to the stream if all is
 * well. Returns 0 or -errno: -EMFILE when there are STREAM_COUNT. */
int stream_open(int fd, const struct wire_base *base, DIR **ret_dir);

/* Returns what close(2) of its descriptor does. */
int stream_close(DIR *dir);

/* The next entry: 1, or 0 at the end, or -errno. The first is the stream's own and holds until the
 * next call, the second a copy. */
int stream_next(DIR *dir, struct dirent **ret_entry);
int stream_next_copy(DIR *dir, struct dirent *ret_entry);

int stream_fd(DIR *dir);
long stream_tell(DIR *dir);
void stream_seek(DIR *dir, long position);

#endif
