/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* munmap, mprotect, msync. Each first as the host does it: a view's memory is memory like other, so
 * holes and locked pages are the kernel's to judge. */
#include <string.h>

#include "base/sys.h"
#include "preload/attach.h"
#include "preload/export.h"
#include "preload/host.h"
#include "preload/lacking.h"
#include "preload/lock.h"
#include "preload/maps.h"
#include "preload/real.h"
#include "preload/refresh.h"
#include "preload/taken.h"
#include "preload/views_i.h"

static bool is_aligned(const void *address)
{
	return ((uintptr_t)address & (VIEW_PAGE - 1)) == 0;
}

/* For the calls that a range without a view has gone to the host for: an errno that the call does
 * not have goes our way. */
static bool is_answered(int result, int one, int other, int third)
{
	return result == 0 || errno == one || errno == other || errno == third;
}

static int unmap_range(const struct range *range)
{
	int result = host_munmap((void *)range->start, range->length);

	if (result == -HOST_LACKS)
		return lacking_munmap(range);
	if (result == 0) {
		views_cut(range);
		views_forget(range);
	}
	return result;
}

/* What is mapped more than once stays, for the others. */
static int unmap_parts(const struct range *whole)
{
	struct range left = *whole;
	int result = 0;

	views_cut(whole);
	while (result == 0 && left.length) {
		struct view *view = views_first(left.start);
		struct range part = left;

		if (view && view->start > left.start && view->start < range_end(&left))
			part.length = view->start - left.start;
		else if (view && view->start == left.start)
			part.length = view->length;
		if (view && view->start == left.start && view->aliases)
			view->aliases--;
		else
			result = unmap_range(&part);
		left.start += part.length;
		left.length -= part.length;
	}
	return result;
}

int protect_unmap_locked(void *address, size_t length)
{
	struct range range = range_of(address, length);
	int result = views_reserve(3);
	bool had_views;

	if (!is_aligned(address) || range.length == 0 || range.start > ADDRESSES ||
	    length > ADDRESSES - range.start)
		return -EINVAL;
	if (result < 0)
		return result;
	had_views = views_in(&range);
	if (had_views)
		taken_note(TRACED_EMULATED);
	views_push_in(&range);
	result = views_have_aliases(&range) ? unmap_parts(&range) : unmap_range(&range);
	/* Other views of the same file. */
	if (had_views && views_shared_any())
		refresh_acquire_locked();
	return result;
}

int protect_munmap(void *address, size_t length)
{
	int result = -HOST_LACKS;
	uint64_t before;

	if (!views_any())
		result = host_munmap(address, length);
	if (result != -HOST_LACKS)
		return result;
	before = lock_take();
	result = protect_unmap_locked(address, length);
	lock_leave(before);
	return result;
}

/* Of shared memory of System V. */
__attribute__((noinline)) static int unmap_attached(void *address, size_t length)
{
	struct range range = range_of(address, length);
	int before_errno = errno;
	uint64_t before = lock_take_attachments();
	int result = attach_reserve();

	if (result == 0)
		result = protect_munmap(address, length);
	if (result == 0) {
		attach_cut(&range);
		attach_tell();
	}
	lock_leave_attachments(before);
	errno = before_errno;
	return export_result(result);
}

/* Of an emulated mapping, or of any where the host does not have the call. */
__attribute__((noinline)) static int unmap_ourselves(void *address, size_t length, int before_errno)
{
	uint64_t before = lock_take();
	int result = protect_unmap_locked(address, length);

	lock_leave(before);
	errno = before_errno;
	return export_result(result);
}

EXPORT int munmap(void *addr, size_t len)
{
	int before = errno;
	int result;

	if (attach_may_touch(addr, len) && !lock_has_attachments())
		return unmap_attached(addr, len);
	if (__builtin_expect(views_any(), 0))
		return unmap_ourselves(addr, len, before);
	result = REAL(munmap)(addr, len);
	if (is_answered(result, EINVAL, ENOMEM, EINVAL))
		return result;
	return unmap_ourselves(addr, len, before);
}

/* A view gets what was asked for, where the file has pages. */
static void protect_view(struct view *view, int protection)
{
	bool was_stale = view->stale;

	/* Others may need what this one gives up. */
	if (view->aliases)
		protection |= view->protection;
	view->protection = protection & (PROT_READ | PROT_WRITE | PROT_EXEC);
	if (was_stale && view->protection != PROT_NONE) {
		backing_size(view->backing);
		twin_pull(view);
	}
	twin_protect(view);
}

static int protect_views(const struct range *range, int protection)
{
	if (views_reserve(2) < 0)
		return -ENOMEM;
	views_cut(range);
	for (struct view *view = views_in(range); view && view->start < range_end(range);
	     view = views_next(view))
		protect_view(view, protection);
	return 0;
}

/* The kernel goes as far as the first hole. */
static bool stop_at_gone(struct range *range)
{
	for (struct view *view = views_first(range->start);
	     view && view->start < range_end(range); view = views_next(view)) {
		if (view->kind != VIEW_GONE)
			continue;
		range->length = view->start > range->start ? view->start - range->start : 0;
		return true;
	}
	return false;
}

static int protect_locked(void *address, size_t length, int protection)
{
	struct range range = range_of(address, length);
	bool has_hole;
	int result = 0;

	if (!is_aligned(address))
		return -EINVAL;
	if (range.length == 0)
		return length ? -ENOMEM : 0;
	for (struct view *view = views_in(&range); view && view->start < range_end(&range);
	     view = views_next(view)) {
		taken_note(TRACED_EMULATED);
		if ((protection & PROT_WRITE) && !view->may_write)
			return -EACCES;
	}
	views_push_in(&range);
	has_hole = stop_at_gone(&range);
	if (range.length && !views_have_aliases(&range))
		result = host_mprotect(address, range.length, protection);
	if (result == -HOST_LACKS)
		result = lacking_is_mapped(&range) ? 0 : -ENOMEM;
	if (result == 0)
		result = protect_views(&range, protection);
	return result == 0 && has_hole ? -ENOMEM : result;
}

static int protect(void *address, size_t length, int protection)
{
	uint64_t before = lock_take();
	int result = protect_locked(address, length, protection);

	lock_leave(before);
	return result;
}

/* Of shared memory of System V. */
__attribute__((noinline)) static int protect_attached(void *address, size_t length, int protection)
{
	struct range range = range_of(address, length);
	int before_errno = errno;
	uint64_t before = lock_take_attachments();
	int result = -HOST_LACKS;

	if ((protection & PROT_WRITE) && !attach_may_write(&range))
		result = -EACCES;
	else if (!views_any())
		result = host_mprotect(address, length, protection);
	if (result == -HOST_LACKS)
		result = protect(address, length, protection);
	if (result == 0) {
		attach_protect(&range, protection & (PROT_READ | PROT_WRITE | PROT_EXEC));
		attach_tell();
	}
	lock_leave_attachments(before);
	errno = before_errno;
	return export_result(result);
}

EXPORT int mprotect(void *addr, size_t len, int prot)
{
	int before_errno = errno;
	int result;

	if (attach_may_touch(addr, len) && !lock_has_attachments())
		return protect_attached(addr, len, prot);
	if (!views_any()) {
		result = REAL(mprotect)(addr, len, prot);
		if (result == 0)
			host_note_protects();
		if (is_answered(result, EINVAL, ENOMEM, EACCES))
			return result;
		errno = before_errno;
	}
	result = protect(addr, len, prot);
	errno = before_errno;
	return export_result(result);
}

/* Each file in the range is told to the disk once for each of its views: seldom more than one. */
static int sync_views(const struct range *range, int flags)
{
	int result = views_push_in(range);

	for (struct view *view = views_in(range); view && view->start < range_end(range);
	     view = views_next(view)) {
		int synced = 0;

		if (!view_is_synced(view))
			continue;
		if (result == 0)
			result = view->backing->error;
		view->backing->error = 0;
		if (flags & MS_SYNC)
			synced = (int)sys_call(SYS_fdatasync, view->backing->fd, 0, 0, 0, 0, 0);
		if (result == 0 && synced == -EIO)
			result = synced;
	}
	refresh_acquire_locked();
	return result < 0 ? -EIO : 0;
}

static int sync_locked(void *address, size_t length, int flags)
{
	struct range range = range_of(address, length);
	int result;

	if ((flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC)) || !is_aligned(address) ||
	    ((flags & MS_ASYNC) && (flags & MS_SYNC)))
		return -EINVAL;
	if (range.length == 0)
		return 0;
	if (range_end(&range) < range.start)
		return -ENOMEM;
	result = host_msync(address, length, flags);
	if (result == -HOST_LACKS)
		result = lacking_msync(&range, flags);
	if (views_in(&range)) {
		int synced = sync_views(&range, flags);

		taken_note(TRACED_EMULATED);
		result = result < 0 ? result : synced;
	}
	return result == 0 && views_have_gone(&range) ? -ENOMEM : result;
}

EXPORT int msync(void *addr, size_t length, int flags)
{
	int before_errno = errno;
	uint64_t before;
	int result;

	if (!views_any()) {
		result = REAL(msync)(addr, length, flags);
		if (is_answered(result, EINVAL, ENOMEM, EBUSY) || errno == EIO)
			return result;
		errno = before_errno;
	}
	before = lock_take();
	result = sync_locked(addr, length, flags);
	lock_leave(before);
	errno = before_errno;
	return export_result(result);
}
