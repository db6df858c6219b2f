/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An array in the order of addresses. */
#include "preload/views.h"

#include <errno.h>
#include <string.h>

#include "base/sys.h"
#include "preload/host.h"
#include "preload/lock.h"
#include "preload/views_i.h"

enum { COUNT_FIRST = 64 };

atomic_size_t views_count;
atomic_size_t views_shared_count;

static struct {
	struct view *places;
	size_t count, room;
} views;

int views_reserve(size_t count)
{
	size_t room = views.room ? views.room : COUNT_FIRST;
	struct view *places;

	if (views.count + count <= views.room)
		return 0;
	while (room < views.count + count)
		room *= 2;
	places = host_take(room * sizeof *places);
	if (!places)
		return -ENOMEM;
	if (views.places) {
		memcpy(places, views.places, views.count * sizeof *places);
		sys_give(views.places, views.room * sizeof *places);
	}
	views.places = places;
	views.room = room;
	return 0;
}

/* The place of the first view that ends behind the address, or their number. */
static size_t place_of(uintptr_t address)
{
	size_t low = 0, high = views.count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (view_end(&views.places[middle]) > address)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

/* A private view only as long as its file may grow into it. */
static bool needs_points(const struct view *view)
{
	return view->kind == VIEW_SHARED ||
	       (view->kind == VIEW_PRIVATE && view->backing && view->held < view->length);
}

static void count_kinds(void)
{
	size_t shared = 0;

	for (size_t i = 0; i < views.count; i++)
		shared += needs_points(&views.places[i]);
	atomic_store(&views_shared_count, shared);
	atomic_store(&views_count, views.count);
}

struct view *views_add(const struct view *view)
{
	size_t at = place_of(view->start);

	memmove(&views.places[at + 1], &views.places[at], (views.count - at) * sizeof *view);
	views.places[at] = *view;
	views.count++;
	count_kinds();
	return &views.places[at];
}

struct view *views_first(uintptr_t address)
{
	size_t at = place_of(address);

	return at < views.count ? &views.places[at] : NULL;
}

struct view *views_next(struct view *view)
{
	return view + 1 < views.places + views.count ? view + 1 : NULL;
}

struct view *views_in(const struct range *range)
{
	struct view *view = views_first(range->start);

	while (view && view->kind == VIEW_GONE && view->start < range_end(range))
		view = views_next(view);
	return view && view->start < range_end(range) ? view : NULL;
}

bool views_have_gone(const struct range *range)
{
	for (struct view *view = views_first(range->start);
	     view && view->start < range_end(range); view = views_next(view))
		if (view->kind == VIEW_GONE)
			return true;
	return false;
}

bool views_are_gone(const struct range *range)
{
	uintptr_t at = range->start;

	for (struct view *view = views_first(at); view && at < range_end(range);
	     view = views_next(view)) {
		if (view->kind != VIEW_GONE || view->start > at)
			return false;
		at = view_end(view);
	}
	return at >= range_end(range);
}

uintptr_t views_find_gone(size_t length)
{
	for (size_t i = 0; i < views.count; i++)
		if (views.places[i].kind == VIEW_GONE && views.places[i].length >= length)
			return views.places[i].start;
	return 0;
}

int views_push_in(const struct range *range)
{
	int error = 0;

	for (struct view *view = views_first(range->start);
	     view && view->start < range_end(range); view = views_next(view)) {
		int result = twin_push(view);

		if (error == 0)
			error = result;
	}
	return error;
}

static size_t less(size_t whole, size_t part)
{
	return whole > part ? whole - part : 0;
}

static void cut_at(uintptr_t address)
{
	struct view *view = views_first(address);
	struct view rest;
	size_t kept;

	if (!view || view->start >= address)
		return;
	kept = address - view->start;
	rest = *view;
	rest.start = address;
	rest.length -= kept;
	rest.offset += (off_t)kept;
	rest.held = less(view->held, kept);
	rest.twin = view->twin ? view->twin + kept : NULL;
	if (rest.backing)
		backing_share(rest.backing);
	view->length = kept;
	if (view->held > kept)
		view->held = kept;
	views_add(&rest);
}

void views_cut(const struct range *range)
{
	cut_at(range->start);
	cut_at(range_end(range));
}

static bool is_like(const struct view *view, const struct stat *status,
                    const struct view *wanted, bool can_write)
{
	return view->kind == VIEW_SHARED && view->backing->inode == status->st_ino &&
	       view->backing->device == status->st_dev && view->backing->can_write == can_write &&
	       view->protection == wanted->protection && view->may_write == wanted->may_write &&
	       !view->kept_back;
}

/* From this view on, do they go on until the end of what is wanted? */
static bool covers(const struct view *view, const struct stat *status, const struct view *wanted,
                   bool can_write)
{
	const struct view *end = views.places + views.count;
	off_t last = wanted->offset + (off_t)wanted->length;

	for (; is_like(view, status, wanted, can_write); view++) {
		if (view->offset + (off_t)view->length >= last)
			return true;
		if (view + 1 == end || view[1].start != view_end(view) ||
		    view[1].offset != view->offset + (off_t)view->length)
			return false;
	}
	return false;
}

static uintptr_t find_alias(const struct stat *status, const struct view *wanted, bool can_write)
{
	for (size_t i = 0; i < views.count; i++) {
		const struct view *view = &views.places[i];

		if (view->kind == VIEW_SHARED && view->offset <= wanted->offset &&
		    view->offset + (off_t)view->length > wanted->offset &&
		    covers(view, status, wanted, can_write))
			return view->start + (size_t)(wanted->offset - view->offset);
	}
	return 0;
}

uintptr_t views_alias(const struct stat *status, const struct view *wanted, bool can_write)
{
	struct range range = {find_alias(status, wanted, can_write), wanted->length};

	if (!range.start)
		return 0;
	views_cut(&range);
	for (struct view *view = views_first(range.start); view && view->start < range_end(&range);
	     view = views_next(view))
		view->aliases++;
	return range.start;
}

bool views_have_aliases(const struct range *range)
{
	for (struct view *view = views_first(range->start);
	     view && view->start < range_end(range); view = views_next(view))
		if (view->aliases)
			return true;
	return false;
}

void views_forget(const struct range *range)
{
	size_t from = place_of(range->start), to = from;

	for (; to < views.count && views.places[to].start < range_end(range); to++) {
		struct view *view = &views.places[to];

		if (view->twin)
			sys_give(view->twin, view->length);
		if (view->backing && view->kind == VIEW_SHARED)
			view->backing->bytes -= view->length;
		if (view->backing)
			backing_leave(view->backing);
	}
	memmove(&views.places[from], &views.places[to],
	        (views.count - to) * sizeof *views.places);
	views.count -= to - from;
	count_kinds();
}

void views_forget_kept_back(void)
{
	for (size_t i = views.count; i > 0; i--) {
		struct range range = {views.places[i - 1].start, views.places[i - 1].length};

		if (!views.places[i - 1].kept_back)
			continue;
		views_forget(&range);
		/* Where the host has not seen to it. */
		host_munmap((void *)range.start, range.length);
	}
}

bool views_write(int fd)
{
	struct stat status;
	uint64_t before;
	bool found = false;

	if (!views_any() || sys_fstat(fd, &status) < 0)
		return false;
	before = lock_take();
	for (size_t i = 0; i < views.count && !found; i++) {
		const struct view *view = &views.places[i];

		found = view->kind == VIEW_SHARED && view->may_write &&
			view->backing->inode == status.st_ino &&
			view->backing->device == status.st_dev;
	}
	lock_leave(before);
	return found;
}

static bool find_locked(const void *address, size_t size, struct views_place *ret_place)
{
	uintptr_t at = (uintptr_t)address;
	const struct view *view = views_first(at);

	if (!view || view->start > at || view_end(view) - at < size || !view->backing ||
	    (view->kind != VIEW_SHARED && view->kind != VIEW_QUIET))
		return false;
	*ret_place = (struct views_place){
		.fd = view->backing->fd, .offset = view->offset + (off_t)(at - view->start),
		.device = view->backing->device, .inode = view->backing->inode,
		.is_quiet = view->kind == VIEW_QUIET,
	};
	return true;
}

bool views_find(const void *address, size_t size, struct views_place *ret_place)
{
	uint64_t before;
	bool found;

	if (!views_any())
		return false;
	before = lock_take();
	found = find_locked(address, size, ret_place);
	lock_leave(before);
	return found;
}

int views_push(const void *address, size_t size)
{
	uint64_t before = lock_take();
	struct views_place place;
	ssize_t written = -EINVAL;

	if (find_locked(address, size, &place)) {
		const struct view *view = views_first((uintptr_t)address);

		written = sys_pwrite(place.fd, address, size, place.offset);
		if (view->twin)
			memcpy(view->twin + ((uintptr_t)address - view->start), address, size);
	}
	lock_leave(before);
	return written < 0 ? (int)written : 0;
}
