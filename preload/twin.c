/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Twin and diff. What is changed is looked for and moved from high addresses to low ones: data
 * behind a header is there before the header says so. Memory is read once, to a place of ours,
 * and changed word by word with compare-and-swap, as other threads go on using it. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

#include "base/sys.h"
#include "preload/host.h"
#include "preload/views_i.h"

enum {
	CHUNK = 1 << 16,
	RUNS_MAX = 16, /* with more changed runs than this a page is read, changed and written */
	SPARSE_FROM = 1 << 20 /* holes are looked for in what is larger */
};

/* Under the lock. */
static char buffer[CHUNK];

static char *memory_of(const struct view *view)
{
	return (char *)view->start;
}

static bool is_writable(const struct view *view)
{
	return view->protection & PROT_WRITE;
}

static size_t least(size_t one, size_t other)
{
	return one < other ? one : other;
}

/* How many bytes of the view the file has. */
static size_t bytes_in_file(const struct view *view)
{
	off_t size = view->backing->size - view->offset;

	return size <= 0 ? 0 : least((size_t)size, view->length);
}

static ssize_t read_file(const struct view *view, void *bytes, size_t size, size_t at)
{
	return sys_pread(view->backing->fd, bytes, size, view->offset + (off_t)at);
}

/* Memory is no subject to RLIMIT_FSIZE: the soft limit is lifted for a moment. The signal that
 * has been sent is taken back; all are blocked. */
static long write_beyond_limit(int fd, const char *bytes, size_t size, off_t offset)
{
	const uint64_t signal = (uint64_t)1 << (SIGXFSZ - 1);
	const struct timespec at_once = {0, 0};
	struct rlimit limit, lifted;
	long written = -EFBIG;

	sys_call(SYS_rt_sigtimedwait, (long)&signal, 0, (long)&at_once, sizeof signal, 0, 0);
	if (sys_call(SYS_prlimit64, 0, RLIMIT_FSIZE, 0, (long)&limit, 0, 0) < 0 ||
	    limit.rlim_cur == limit.rlim_max)
		return written;
	lifted = (struct rlimit){limit.rlim_max, limit.rlim_max};
	sys_call(SYS_prlimit64, 0, RLIMIT_FSIZE, (long)&lifted, 0, 0, 0);
	written = sys_pwrite(fd, bytes, size, offset);
	sys_call(SYS_prlimit64, 0, RLIMIT_FSIZE, (long)&limit, 0, 0, 0);
	if (written == -EFBIG)
		sys_call(SYS_rt_sigtimedwait, (long)&signal, 0, (long)&at_once, sizeof signal, 0,
		         0);
	return written;
}

static int write_file(const struct view *view, const char *bytes, size_t size, size_t at)
{
	while (size > 0) {
		long written = sys_pwrite(view->backing->fd, bytes, size, view->offset + (off_t)at);

		if (written == -EFBIG)
			written = write_beyond_limit(view->backing->fd, bytes, size,
			                             view->offset + (off_t)at);
		if (written == -EINTR)
			continue;
		if (written <= 0)
			return written < 0 ? (int)written : -EIO;
		bytes += written;
		at += (size_t)written;
		size -= (size_t)written;
	}
	return 0;
}

/* Changed bytes that follow each other, as places in the buffer. */
struct run {
	size_t from, to;
};

/* The last run of bytes before `end`, and not before `begin`, in which the two differ. */
static bool find_run(const char *now, const char *twin, size_t begin, size_t end,
                     struct run *ret_run)
{
	while (end > begin && now[end - 1] == twin[end - 1])
		end--;
	ret_run->to = end;
	while (end > begin && now[end - 1] != twin[end - 1])
		end--;
	ret_run->from = end;
	return ret_run->from < ret_run->to;
}

static bool has_many_runs(const char *now, const char *twin, size_t begin, size_t end)
{
	struct run run;

	for (int i = 0; i <= RUNS_MAX; i++) {
		if (!find_run(now, twin, begin, end, &run))
			return false;
		end = run.from;
	}
	return true;
}

struct push {
	struct view *view;
	size_t at;          /* of the chunk in the view */
	struct run pending; /* to be written; nothing if empty */
	bool is_locked;     /* against those who write pages */
	int error;
};

/* What could not be written stays changed. */
static void flush(struct push *push)
{
	const struct run *run = &push->pending;
	size_t size = run->to - run->from;
	int result;

	if (size == 0)
		return;
	if (!push->is_locked)
		push->is_locked = backing_lock(push->view->backing, F_RDLCK);
	result = write_file(push->view, buffer + run->from, size, push->at + run->from);
	if (result == 0)
		memcpy(push->view->twin + push->at + run->from, buffer + run->from, size);
	else
		push->error = result;
	push->pending = (struct run){0, 0};
}

static void push_runs(struct push *push, size_t begin, size_t end)
{
	const char *twin = push->view->twin + push->at;
	struct run run;

	for (; find_run(buffer, twin, begin, end, &run); end = run.from) {
		if (push->pending.from != run.to)
			flush(push);
		if (push->pending.to == 0)
			push->pending = run;
		push->pending.from = run.from;
	}
}

/* Others who do the same are kept out meanwhile. Returns false if they can't be. */
static bool push_page(struct push *push, size_t begin, size_t end)
{
	struct view *view = push->view;
	char *twin = view->twin + push->at;
	char page[VIEW_PAGE];
	int result;

	if (push->is_locked)
		push->is_locked = !backing_lock(view->backing, F_UNLCK);
	if (!backing_lock(view->backing, F_WRLCK))
		return false;
	result = (int)read_file(view, page, end - begin, push->at + begin);
	if (result == (int)(end - begin)) {
		for (size_t i = begin; i < end; i++)
			if (buffer[i] != twin[i])
				page[i - begin] = buffer[i];
		result = write_file(view, page, end - begin, push->at + begin);
	} else {
		result = result < 0 ? result : -EIO;
	}
	backing_lock(view->backing, F_UNLCK);
	if (result < 0) {
		push->error = result;
		return true;
	}
	for (size_t i = begin; i < end; i++)
		twin[i] = buffer[i];
	return true;
}

static void push_chunk(struct push *push, size_t size)
{
	const char *twin = push->view->twin + push->at;

	if (memcmp(memory_of(push->view) + push->at, twin, size) == 0)
		return;
	memcpy(buffer, memory_of(push->view) + push->at, size);
	for (size_t end = size; end > 0;) {
		size_t begin = (end - 1) & ~(size_t)(VIEW_PAGE - 1);
		bool is_same = memcmp(buffer + begin, twin + begin, end - begin) == 0;
		bool is_done = is_same;

		if (!is_same && has_many_runs(buffer, twin, begin, end)) {
			flush(push);
			is_done = push_page(push, begin, end);
		}
		if (!is_done)
			push_runs(push, begin, end);
		end = begin;
	}
	flush(push);
}

int twin_push(struct view *view)
{
	struct push push = {.view = view};
	size_t size;

	if (!view_is_synced(view) || !is_writable(view) || !view->backing->can_write)
		return 0;
	backing_size(view->backing);
	size = least(bytes_in_file(view), view->held);
	for (size_t end = size; end > 0;) {
		push.at = (end - 1) & ~(size_t)(CHUNK - 1);
		push_chunk(&push, end - push.at);
		end = push.at;
	}
	if (push.is_locked)
		backing_lock(view->backing, F_UNLCK);
	if (push.error && !view->backing->error)
		view->backing->error = push.error;
	return push.error;
}

void twin_adopt(struct view *view)
{
	if (!view_is_synced(view) || !is_writable(view))
		return;
	for (size_t at = 0; at < view->held; at += VIEW_PAGE)
		if (memcmp(memory_of(view) + at, view->twin + at, VIEW_PAGE) != 0)
			memcpy(view->twin + at, memory_of(view) + at, VIEW_PAGE);
}

/* Takes from the file what this process has not changed. */
static void pull_word(char *memory, char *twin, const char *file)
{
	uint64_t known, wanted, seen, merged;

	memcpy(&known, twin, sizeof known);
	memcpy(&wanted, file, sizeof wanted);
	if (known == wanted)
		return;
	seen = __atomic_load_n((uint64_t *)(void *)memory, __ATOMIC_RELAXED);
	do {
		merged = seen;
		for (unsigned bit = 0; bit < 64; bit += 8) {
			uint64_t mask = (uint64_t)0xff << bit;

			if (((seen ^ known) & mask) == 0)
				merged = (merged & ~mask) | (wanted & mask);
		}
	} while (!__atomic_compare_exchange_n((uint64_t *)(void *)memory, &seen, merged, false,
	                                      __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
	memcpy(twin, &wanted, sizeof wanted);
}

static void make_writable(const struct view *view)
{
	if (!is_writable(view))
		host_mprotect(memory_of(view), view_reach(view), PROT_READ | PROT_WRITE);
}

static void pull_chunk(struct view *view, size_t at, size_t size, bool *opened)
{
	char *memory = memory_of(view) + at, *twin = view->twin + at;
	ssize_t had = read_file(view, buffer, size, at);

	if (had < 0)
		return;
	memset(buffer + had, 0, size - (size_t)had);
	if (memcmp(buffer, twin, size) == 0)
		return;
	if (!*opened)
		make_writable(view);
	*opened = true;
	for (size_t end = size; end > 0; end -= VIEW_PAGE) {
		size_t begin = end - VIEW_PAGE;

		if (memcmp(buffer + begin, twin + begin, VIEW_PAGE) == 0)
			continue;
		for (size_t word = end; word > begin; word -= sizeof(uint64_t)) {
			size_t place = word - sizeof(uint64_t);

			pull_word(memory + place, twin + place, buffer + place);
		}
	}
}

void twin_pull(struct view *view)
{
	bool opened = false;

	if (!view_is_synced(view))
		return;
	view->stale = view->protection == PROT_NONE;
	if (view->stale)
		return;
	for (size_t end = view_reach(view); end > 0;) {
		size_t at = (end - 1) & ~(size_t)(CHUNK - 1);

		pull_chunk(view, at, end - at, &opened);
		end = at;
	}
	if (opened && !is_writable(view))
		twin_protect(view);
}

static int fill_range(struct view *view, size_t at, size_t end)
{
	while (at < end) {
		size_t size = least(end - at, CHUNK);
		ssize_t had = read_file(view, buffer, size, at);

		if (had == -EINTR)
			continue;
		if (had < 0)
			return (int)had;
		if (had == 0)
			return 0;
		memcpy(memory_of(view) + at, buffer, (size_t)had);
		if (view->twin)
			memcpy(view->twin + at, buffer, (size_t)had);
		at += (size_t)had;
	}
	return 0;
}

/* The next data at or after `at`, as places in the view: none, or all that is left where that
 * is not known. */
static struct run find_data(struct view *view, size_t at)
{
	int fd = view->held > SPARSE_FROM ? backing_own(view->backing) : -1;
	off_t from = fd < 0 ? -1 : sys_lseek(fd, view->offset + (off_t)at, SEEK_DATA);
	off_t to;

	if (from == -ENXIO)
		return (struct run){view->held, view->held};
	if (from < 0)
		return (struct run){at, view->held};
	to = sys_lseek(fd, from, SEEK_HOLE);
	from -= view->offset;
	to = to < 0 ? (off_t)view->held : to - view->offset;
	return (struct run){least((size_t)from, view->held), least((size_t)to, view->held)};
}

int twin_fill(struct view *view)
{
	struct run data = {0, 0};
	int result = 0;

	while (result == 0 && data.to < view->held) {
		data = find_data(view, data.to);
		result = fill_range(view, data.from, data.to);
		if (data.from >= data.to)
			break;
	}
	return result;
}

static void clear(char *memory, size_t from, size_t to)
{
	size_t whole = least(page_up(from), to);

	memset(memory + from, 0, whole - from);
	if (to > whole && host_madvise(memory + whole, to - whole, MADV_DONTNEED) != 0)
		memset(memory + whole, 0, to - whole);
}

void twin_protect(const struct view *view)
{
	size_t reach = view_reach(view);

	if (reach > 0)
		host_mprotect(memory_of(view), reach, view->protection);
	if (reach < view->length)
		host_mprotect(memory_of(view) + reach, view->length - reach, PROT_NONE);
}

/* Has this process stored to the private page that ends before, or with, the byte at `end`? */
static bool is_own_copy(const struct view *view, size_t end)
{
	size_t begin = (end - 1) & ~(size_t)(VIEW_PAGE - 1);
	char page[VIEW_PAGE];

	return read_file(view, page, end - begin, begin) != (ssize_t)(end - begin) ||
	       memcmp(memory_of(view) + begin, page, end - begin) != 0;
}

/* The kernel clears what is behind the file's end in its last page when the file gets longer or
 * shorter; not in a private copy that gets shorter. */
void twin_fit(struct view *view)
{
	size_t before = view->held, now = bytes_in_file(view);
	size_t most = page_up(before > now ? before : now);
	size_t from = least(before, now);

	if (before == now)
		return;
	host_mprotect(memory_of(view), most, PROT_READ | PROT_WRITE);
	if (view->kind == VIEW_PRIVATE && from > 0 && is_own_copy(view, from))
		from = page_up(from);
	if (from < page_up(before))
		clear(memory_of(view), from, page_up(before));
	if (view->twin)
		clear(view->twin, least(before, now), page_up(before));
	view->held = now;
	if (now > from && view->kind == VIEW_PRIVATE)
		fill_range(view, from, now);
	twin_protect(view);
}
