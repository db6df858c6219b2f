/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of views, for those who work on it. All calls with the lock held. */
#ifndef SHMEMU_PRELOAD_VIEWS_I_H
#define SHMEMU_PRELOAD_VIEWS_I_H

#include <stdint.h>
#include <sys/mman.h>

#include "preload/backing.h"
#include "preload/views.h"

enum { VIEW_PAGE = 4096 };

/* As the kernel has them for programs, but for the last page. */
#if defined(__i386__)
#define ADDRESSES ((size_t)0xffffe000)
#elif defined(__x86_64__)
#define ADDRESSES (((size_t)1 << 47) - VIEW_PAGE)
#else
#define ADDRESSES ((size_t)1 << 48)
#endif

enum view_kind {
	VIEW_SHARED,
	VIEW_PRIVATE,
	VIEW_QUIET, /* shared; its users go to the file themselves */
	VIEW_GONE,  /* unmapped by the program, but the host can't: nothing is there */
};

struct view {
	uintptr_t start;
	size_t length; /* whole pages */
	off_t offset;  /* in the file */
	struct backing *backing; /* one of its users; NULL: none */
	char *twin;    /* owned, of the same length; shared views only */
	size_t held;   /* how much of it there is in the file; what is in later pages faults */
	int protection; /* as the program has asked */
	enum view_kind kind;
	unsigned aliases; /* how often more this was mapped, and is not unmapped yet */
	bool may_write; /* by how its file is open; a private one always */
	bool stale;     /* could not be pulled */
	bool kept_back; /* not a forked child's: MADV_DONTFORK */
};

/* A range of addresses. */
struct range {
	uintptr_t start;
	size_t length;
};

static inline size_t page_up(size_t size)
{
	return (size + VIEW_PAGE - 1) & ~(size_t)(VIEW_PAGE - 1);
}

static inline struct range range_of(const void *address, size_t length)
{
	return (struct range){(uintptr_t)address, page_up(length)};
}

static inline uintptr_t range_end(const struct range *range)
{
	return range->start + range->length;
}

static inline uintptr_t view_end(const struct view *view)
{
	return view->start + view->length;
}

/* How much of it may be touched. */
static inline size_t view_reach(const struct view *view)
{
	return page_up(view->held);
}

static inline bool view_is_synced(const struct view *view)
{
	return view->kind == VIEW_SHARED && view->twin;
}

/* Room for `count` more views, so that adding them can't fail. Returns 0 or -ENOMEM. */
int views_reserve(size_t count);

/* Takes the view, and what it owns. */
struct view *views_add(const struct view *view);

/* The first view that ends behind the address, in their order; NULL: none. views_next: the one
 * after it. Valid until a view is added or removed. */
struct view *views_first(uintptr_t address);
struct view *views_next(struct view *view);

/* The first view in the range that is not VIEW_GONE, or NULL. */
struct view *views_in(const struct range *range);

/* Whether a part of the range is VIEW_GONE. */
bool views_have_gone(const struct range *range);

/* Whether all of the range is. */
bool views_are_gone(const struct range *range);

/* The first place of that length in what is VIEW_GONE, or 0. */
uintptr_t views_find_gone(size_t length);

/* Pushes the shared views in the range. Returns 0, or the first error. */
int views_push_in(const struct range *range);

/* Cuts views so that none crosses the ends of the range. Needs room for two. */
void views_cut(const struct range *range);

/* Where in shared views, if anywhere, that much of the file is mapped from the offset on, with that
 * protection, by descriptors that can do the same; 0: nowhere. What is mapped once more there is
 * counted: two mappings in one process are to be one memory, as a program expects that wrote by one
 * and reads by the other. Room for two views is needed. */
uintptr_t views_alias(const struct stat *status, const struct view *wanted, bool can_write);

/* Whether some of the range is mapped more than once. */
bool views_have_aliases(const struct range *range);

/* Forgets the views in the range (cut before), without touching their memory. */
void views_forget(const struct range *range);

/* In a forked child: those that are not its own. */
void views_forget_kept_back(void);

/* What of the view was changed here goes to its file. Returns 0 or -errno. */
int twin_push(struct view *view);

/* What differs is taken for known. */
void twin_adopt(struct view *view);

/* What others changed in the file comes to the view; its size is looked at before. */
void twin_pull(struct view *view);

/* Fills a view that was just made, whose memory is all zeros and may be written. Returns 0 or
 * -errno. */
int twin_fill(struct view *view);

/* Makes as much of the view reachable as the file (backing->size) has pages for it. */
void twin_fit(struct view *view);

/* Gives the view's memory the protection that it is to have by what was asked for and what the file
 * has. */
void twin_protect(const struct view *view);

#endif
