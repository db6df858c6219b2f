/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* scandir, scandirat. What they return the program frees, so it is from the program's malloc. */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "preload/dirs.h"
#include "preload/export.h"
#include "preload/heap.h"
#include "preload/real.h"
#include "preload/way.h"

typedef int filter_of(const struct dirent *entry);
typedef int order_of(const struct dirent **left, const struct dirent **right);

enum { ROOM_FIRST = 16 };

struct found {
	struct dirent **entries;
	size_t count, room;
};

static int add(struct found *found, const struct dirent *entry)
{
	struct dirent *copy;

	if (found->count == found->room) {
		size_t room = found->room ? found->room * 2 : ROOM_FIRST;
		void *entries = heap_resize(found->entries, room * sizeof *found->entries);

		if (!entries)
			return -ENOMEM;
		found->entries = entries;
		found->room = room;
	}
	copy = heap_take(entry->d_reclen);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, entry, entry->d_reclen);
	found->entries[found->count++] = copy;
	return 0;
}

static int collect(DIR *dir, filter_of *filter, struct found *found)
{
	struct dirent *entry;
	int result;

	while ((result = dir_next(dir, &entry)) > 0) {
		if (filter && !filter(entry))
			continue;
		result = add(found, entry);
		if (result < 0)
			return result;
	}
	return result;
}

static int scan(int dirfd, const char *path, struct dirent ***ret_list, filter_of *filter,
                order_of *order)
{
	struct found found = {0};
	DIR *dir;
	int result = dir_open(dirfd, path, &dir);

	if (result < 0)
		return result;
	result = collect(dir, filter, &found);
	dir_close(dir);
	if (result < 0) {
		while (found.count)
			heap_give(found.entries[--found.count]);
		heap_give(found.entries);
		return result;
	}
	if (order && found.count)
		qsort(found.entries, found.count, sizeof *found.entries,
		      (int (*)(const void *, const void *))(uintptr_t)order);
	/* Not NULL, not even when it is empty. */
	if (!found.entries)
		found.entries = heap_take(sizeof *found.entries);
	if (!found.entries)
		return -ENOMEM;
	*ret_list = found.entries;
	return (int)found.count;
}

static int scan_ours(const char *call, int dirfd, const char *path, struct dirent ***ret_list,
                     filter_of *filter, order_of *order)
{
	int before = errno;
	int result = scan(dirfd, path, ret_list, filter, order);

	errno = before;
	return export_named(call, path, result);
}

EXPORT int scandir(const char *dirp, struct dirent ***namelist, filter_of *filter, order_of *compar)
{
	if (way_is_foreign(AT_FDCWD, dirp))
		return REAL(scandir)(dirp, namelist, filter, compar);
	return scan_ours("scandir", AT_FDCWD, dirp, namelist, filter, compar);
}

EXPORT int scandirat(int dirfd, const char *dirp, struct dirent ***namelist, filter_of *filter,
                     order_of *compar)
{
	if (way_is_foreign(dirfd, dirp))
		return REAL(scandirat)(dirfd, dirp, namelist, filter, compar);
	return scan_ours("scandirat", dirfd, dirp, namelist, filter, compar);
}

/* One layout (dirs.c). */
EXPORT_WIDE(scandir64, scandir);
EXPORT_WIDE(scandirat64, scandirat);
