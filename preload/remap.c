/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* mremap. A shared view is moved by making another one of its file; a private one takes along
 * what it has. What was one mapping may be several views that follow each other. */
#include <stdarg.h>
#include <string.h>

#include "base/sys.h"
#include "preload/attach.h"
#include "preload/export.h"
#include "preload/host.h"
#include "preload/lacking.h"
#include "preload/lock.h"
#include "preload/maps.h"
#include "preload/real.h"
#include "preload/taken.h"

struct move {
	struct range old;
	size_t new_size; /* whole pages */
	int flags;
	uintptr_t new_address;
};

static bool overlaps(const struct move *move)
{
	return move->new_address < range_end(&move->old) &&
	       move->old.start < move->new_address + move->new_size;
}

/* As the kernel has it, in its order, before it looks at what is mapped. */
static int judge(const struct move *move)
{
	int flags = move->flags;

	if (flags & ~(MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP))
		return -EINVAL;
	if ((flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) && !(flags & MREMAP_MAYMOVE))
		return -EINVAL;
	if ((flags & MREMAP_DONTUNMAP) && move->old.length != move->new_size)
		return -EINVAL;
	if ((move->old.start & (VIEW_PAGE - 1)) || move->new_size == 0)
		return -EINVAL;
	if (move->new_size > ADDRESSES)
		return -EINVAL;
	if ((flags & MREMAP_FIXED) &&
	    (move->new_address > ADDRESSES - move->new_size ||
	     (move->new_address & (VIEW_PAGE - 1)) || overlaps(move)))
		return -EINVAL;
	return 0;
}

/* The views from the old address to its end are one mapping, as far as a program can know. */
static bool is_one(const struct move *move)
{
	struct view *view = views_first(move->old.start), *next;

	while (view_end(view) < range_end(&move->old)) {
		next = views_next(view);
		if (!next || next->start != view_end(view) || next->backing != view->backing ||
		    next->kind != view->kind || next->protection != view->protection ||
		    next->offset != view->offset + (off_t)view->length)
			return false;
		view = next;
	}
	return true;
}

/* A view like the one at the old address, of `length` bytes from `at` bytes behind that. */
static struct view like(const struct move *move, size_t at, size_t length)
{
	const struct view *view = views_first(move->old.start);
	struct view made = *view;

	made.offset += (off_t)(move->old.start - view->start + at);
	made.length = length;
	made.start = 0;
	made.twin = NULL;
	made.held = 0;
	if (made.backing)
		backing_share(made.backing);
	return made;
}

static bool grow(const struct move *move)
{
	struct view more = like(move, move->old.length, move->new_size - move->old.length);

	more.start = range_end(&move->old);
	return !sys_is_error((void *)maps_make_view(&more, MAP_FIXED_NOREPLACE));
}

/* What a private view has that its file has not. */
static void take_along(const struct move *move, long address)
{
	size_t size = move->old.length < move->new_size ? move->old.length : move->new_size;
	struct view *made = views_first((uintptr_t)address);

	host_mprotect((void *)move->old.start, size, PROT_READ | PROT_WRITE);
	host_mprotect((void *)address, size, PROT_READ | PROT_WRITE);
	if (size > view_reach(made))
		size = view_reach(made);
	memcpy((void *)address, (const void *)move->old.start, size);
	twin_protect(made);
}

static void reload(const struct range *range)
{
	for (struct view *view = views_in(range); view && view->start < range_end(range);
	     view = views_next(view)) {
		if (host_madvise((void *)view->start, view_reach(view), MADV_DONTNEED) != 0)
			memset((void *)view->start, 0, view_reach(view));
		twin_fill(view);
		twin_protect(view);
	}
}

static long move_view(const struct move *move)
{
	struct view made = like(move, 0, move->new_size);
	bool is_private = made.kind == VIEW_PRIVATE;
	long address;

	if (views_push_in(&move->old) < 0) {
		backing_leave(made.backing);
		return -ENOMEM;
	}
	made.start = move->flags & MREMAP_FIXED ? move->new_address : 0;
	backing_size(made.backing);
	address = maps_make_view(&made, move->flags & MREMAP_FIXED ? MAP_FIXED : 0);
	if (sys_is_error((void *)address))
		return -ENOMEM;
	if (is_private)
		take_along(move, address);
	if (is_private && (move->flags & MREMAP_DONTUNMAP)) {
		views_cut(&move->old);
		reload(&move->old);
	} else if (move->old.length && !(move->flags & MREMAP_DONTUNMAP)) {
		protect_unmap_locked((void *)move->old.start, move->old.length);
	}
	return address;
}

static long remap_view(const struct move *move)
{
	const struct view *view = views_first(move->old.start);
	bool is_to_move = move->flags & (MREMAP_FIXED | MREMAP_DONTUNMAP);

	taken_note(TRACED_EMULATED);
	if (!move->old.length && view->kind == VIEW_PRIVATE)
		return -EINVAL;
	if (move->old.length && move->new_size < move->old.length && !is_to_move) {
		int result = protect_unmap_locked((void *)(move->old.start + move->new_size),
		                                  move->old.length - move->new_size);

		return result < 0 ? result : (long)move->old.start;
	}
	if (!is_one(move))
		return -EFAULT;
	if (!is_to_move && move->new_size == move->old.length)
		return (long)move->old.start;
	if (!is_to_move && move->old.length && grow(move))
		return (long)move->old.start;
	if (!(move->flags & MREMAP_MAYMOVE))
		return -ENOMEM;
	return move_view(move);
}

static long remap_other(const struct move *move, size_t old_size)
{
	struct range there = {move->new_address, move->new_size};
	bool is_to_move = move->flags & (MREMAP_FIXED | MREMAP_DONTUNMAP);
	long result;

	if (!is_to_move && move->old.length && lacking_grow(&move->old, move->new_size))
		return (long)move->old.start;
	result = host_mremap((void *)move->old.start, old_size, move->new_size, move->flags,
	                          (void *)move->new_address);

	if (result == -HOST_LACKS)
		result = lacking_mremap(&move->old, move->new_size, move->flags,
		                        (void *)move->new_address);
	if (!sys_is_error((void *)result) && (move->flags & MREMAP_FIXED)) {
		views_cut(&there);
		views_forget(&there);
	}
	return result;
}

static long remap_locked(const struct move *move, size_t old_size)
{
	const struct view *view = views_first(move->old.start);
	int result = judge(move);

	if (result == 0)
		result = views_reserve(8);
	if (result < 0)
		return result;
	view = views_first(move->old.start);
	if (!view || view->start > move->old.start)
		return remap_other(move, old_size);
	return view->kind == VIEW_GONE ? -EFAULT : remap_view(move);
}

static long remap(const struct move *move, size_t old_size, size_t new_size)
{
	int before_errno = errno;
	long result = -HOST_LACKS;
	uint64_t before;

	if (!views_any())
		result = host_mremap((void *)move->old.start, old_size, new_size, move->flags,
		                     (void *)move->new_address);
	if (result == -HOST_LACKS) {
		before = lock_take();
		result = remap_locked(move, old_size);
		lock_leave(before);
	}
	errno = before_errno;
	return result;
}

/* Of shared memory of System V, or over it. */
static long remap_attached(const struct move *move, size_t old_size, size_t new_size)
{
	bool is_left = !old_size || (move->flags & MREMAP_DONTUNMAP);
	uint64_t before = lock_take_attachments();
	long result = attach_reserve();

	if (result == 0)
		result = remap(move, old_size, new_size);
	if (!sys_is_error((void *)result)) {
		struct range there = {(uintptr_t)result, move->new_size};

		attach_moved(&move->old, &there, is_left);
		attach_tell();
	}
	lock_leave_attachments(before);
	return result;
}

static bool touches_attachments(const struct move *move)
{
	return (attach_may_touch((void *)move->old.start, move->old.length + 1) ||
	        ((move->flags & MREMAP_FIXED) &&
	         attach_may_touch((void *)move->new_address, move->new_size))) &&
	       !lock_has_attachments();
}

EXPORT void *mremap(void *old_address, size_t old_size, size_t new_size, int flags, ...)
{
	struct move move = {
		.old = range_of(old_address, old_size),
		.new_size = page_up(new_size),
		.flags = flags,
	};
	va_list rest;
	long result;

	va_start(rest, flags);
	if (flags & (MREMAP_FIXED | MREMAP_DONTUNMAP))
		move.new_address = (uintptr_t)va_arg(rest, void *);
	va_end(rest);
	result = touches_attachments(&move) ? remap_attached(&move, old_size, new_size) :
	                                      remap(&move, old_size, new_size);
	return export_long(sys_is_error((void *)result) ? result : 0) < 0 ? MAP_FAILED :
	                                                                    (void *)result;
}
