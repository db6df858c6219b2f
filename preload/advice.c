/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* madvise. On a view hints are hints; what is more than a hint is done to the view and its file. */
#include <fcntl.h>
#include <string.h>

#include "preload/export.h"
#include "preload/host.h"
#include "preload/lacking.h"
#include "preload/lock.h"
#include "preload/real.h"
#include "preload/refresh.h"
#include "preload/resize.h"
#include "preload/taken.h"
#include "preload/views_i.h"

#ifndef MADV_COLD
#define MADV_COLD 20 /* Linux 5.4 */
#endif

#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24 /* Linux 5.18 */
#endif

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22 /* Linux 5.14 */
#endif

enum { ADVICE_LAST = 25 /* MADV_COLLAPSE, Linux 6.1 */ };

static bool is_known(int advice)
{
	return (advice >= MADV_NORMAL && advice <= MADV_DONTNEED) ||
	       (advice >= MADV_FREE && advice <= ADVICE_LAST) || advice == MADV_HWPOISON;
}

/* A hint that the kernel does not take for locked memory. */
static bool is_locked(const struct view *view)
{
	struct range range = {view->start, view->length};
	int result = host_madvise((void *)view->start, view->length, MADV_COLD);

	return result == -HOST_LACKS ? lacking_is_locked(&range) : result == -EINVAL;
}

/* A private view is then as if mapped anew; what a shared one has, its file has. */
static int drop(struct view *view)
{
	size_t reach = view_reach(view);

	if (view->kind != VIEW_PRIVATE)
		return 0;
	host_mprotect((void *)view->start, reach, PROT_READ | PROT_WRITE);
	if (host_madvise((void *)view->start, reach, MADV_DONTNEED) != 0)
		memset((void *)view->start, 0, reach);
	if (view->backing)
		twin_fill(view);
	twin_protect(view);
	return 0;
}

/* Zeros, and the memory given back, if the host can. */
static int punch(struct view *view)
{
	int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
	int fd = view->backing->fd;
	int result;

	if (view->kind != VIEW_SHARED || !view->may_write)
		return -EACCES;
	result = host_fallocate(fd, mode, view->offset, (off_t)view->length);
	if (result == -HOST_LACKS)
		result = resize_allocate(fd, mode, view->offset, (off_t)view->length);
	if (result < 0)
		return -EINVAL;
	twin_pull(view);
	return 0;
}

static int advise_view(struct view *view, int advice)
{
	if ((advice == MADV_DONTNEED || advice == MADV_REMOVE) && is_locked(view))
		return -EINVAL;
	switch (advice) {
	case MADV_DONTNEED:
	case MADV_DONTNEED_LOCKED:
		return drop(view);
	case MADV_DONTFORK:
	case MADV_DOFORK:
		view->kept_back = advice == MADV_DONTFORK;
		host_madvise((void *)view->start, view->length, advice);
		return 0;
	case MADV_REMOVE:
		return punch(view);
	case MADV_FREE:
	case MADV_WIPEONFORK:
		return -EINVAL;
	case MADV_HWPOISON:
		return host_madvise((void *)view->start, view->length, advice);
	default:
		return 0;
	}
}

static int advise_other(const struct range *range, int advice)
{
	int result = host_madvise((void *)range->start, range->length, advice);

	return result == -HOST_LACKS ? lacking_madvise(range, advice) : result;
}

/* From left to right, what is a view and what is none. A hole is told of when all is done. */
static int advise_parts(const struct range *whole, int advice)
{
	struct range left = *whole;
	bool has_hole = false;

	while (left.length) {
		struct view *view = views_first(left.start);
		struct range part = left;
		int result = -ENOMEM;

		if (!view || view->start > left.start) {
			if (view && view->start < range_end(&left))
				part.length = view->start - left.start;
			result = advise_other(&part, advice);
		} else {
			part.length = view->length;
			if (view->kind != VIEW_GONE)
				result = advise_view(view, advice);
		}
		if (result == -ENOMEM)
			has_hole = true;
		else if (result < 0)
			return result;
		left.start += part.length;
		left.length -= part.length;
	}
	return has_hole ? -ENOMEM : 0;
}

static int advise_locked(void *address, size_t length, int advice)
{
	struct range range = range_of(address, length);
	int result = views_reserve(2);

	if (!is_known(advice) || (range.start & (VIEW_PAGE - 1)) || (length && !range.length) ||
	    range_end(&range) < range.start)
		return -EINVAL;
	if (range.length == 0 || result < 0)
		return result;
	if ((!views_in(&range) && !views_have_gone(&range)) || advice == MADV_POPULATE_READ ||
	    advice == MADV_POPULATE_READ + 1)
		return advise_other(&range, advice);
	taken_note(TRACED_EMULATED);
	/* What is read anew is to have what shared views have. */
	refresh_release_locked();
	views_cut(&range);
	return advise_parts(&range, advice);
}

/* Returns the error. Its own advice is fewer and only hints. */
EXPORT int posix_madvise(void *addr, size_t len, int advice)
{
	int result = REAL(posix_madvise)(addr, len, advice);
	uint64_t before;

	if (result == 0 || result == EINVAL || result == ENOMEM)
		return result;
	before = lock_take();
	result = advise_locked(addr, len, advice);
	lock_leave(before);
	return -result;
}

EXPORT int madvise(void *addr, size_t length, int advice)
{
	int before_errno = errno;
	uint64_t before;
	int result;

	if (!views_any()) {
		result = host_madvise(addr, length, advice);
		if (result != -HOST_LACKS)
			return export_result(result);
	}
	before = lock_take();
	result = advise_locked(addr, length, advice);
	lock_leave(before);
	errno = before_errno;
	return export_result(result);
}
