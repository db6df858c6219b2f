/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* No lock: a slot is taken and given back by a compare-and-swap, so a thread that forks, or
 * leaves a signal handler by longjmp, can at worst lose one slot, never stop another thread.
 *
 * A slot's state names the process it belongs to; in a forked child all slots are a stranger's,
 * whatever their state was. Pids can't name it, for a child in a pid namespace of its own may
 * have its parent's: a process is its generation, which stands in a page that the kernel clears
 * in every child (MADV_WIPEONFORK), and is then counted on. A host without that has both: the pid,
 * and how often forking has led to it.
 *
 * Programs close descriptors that they did not open. Before a kept one is used it must still be
 * the socket that was put there: st_dev and st_ino tell, as no two sockets have the same. */
#include "preload/pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "base/own.h"
#include "preload/lanes.h"

enum {
	FDS_ABOVE = 1024,
	FDS_RESERVED = 64,
	WAITS_MAX = 64, /* noted; POOL_SIZE of them are kept */
	SLOTS = POOL_SIZE + WAITS_MAX,
	KEPT = 2 * POOL_SIZE, /* the first of them */
};

/* The socket is the user's to change, while in use, and anybody's to look at. */
struct slot {
	_Atomic uint64_t state; /* generation << 1 | in use; 0: never used */
	_Atomic int sock;       /* -1: none; 0 before the first use */
	_Atomic dev_t device;
	_Atomic ino_t inode;
	/* Of who waits in it, as long as it does. */
	_Atomic pthread_t thread;
	_Atomic uintptr_t frame;
};

static struct {
	struct slot slots[SLOTS]; /* from POOL_SIZE on they are to wait over */
	_Atomic(_Atomic uint64_t *) generation; /* the wiped page; NULL: not mapped yet; &forks: it
	                                           can't be had */
	_Atomic uint64_t generation_last; /* what it was, in whoever forked us too */
	_Atomic uint64_t forks;           /* that led here, where there is no page */
} pool;

enum { PID_BITS = 32 };

static void count_fork(void)
{
	atomic_fetch_add(&pool.forks, 1);
}

static _Atomic uint64_t *map_page(void)
{
	_Atomic uint64_t *page =
		sys_mmap(sizeof *page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);

	if (!sys_is_error(page)) {
		if (sys_call(SYS_madvise, (long)page, sizeof *page, MADV_WIPEONFORK, 0, 0, 0) == 0)
			return page;
		sys_give(page, sizeof *page);
	}
	/* Twice counts as well. */
	pthread_atfork(NULL, NULL, count_fork);
	return &pool.forks;
}

/* The page, or &pool.forks, by whichever thread comes first: all must have the same. */
static _Atomic uint64_t *generation_page(void)
{
	_Atomic uint64_t *page = atomic_load(&pool.generation);
	_Atomic uint64_t *none = NULL;

	if (page)
		return page;
	page = map_page();
	if (atomic_compare_exchange_strong(&pool.generation, &none, page))
		return page;
	if (page != &pool.forks)
		sys_give(page, sizeof *page);
	return none;
}

static uint64_t own_generation(void)
{
	_Atomic uint64_t *page = generation_page();
	uint64_t none = 0;
	uint64_t next;

	if (page == &pool.forks)
		return (atomic_load(page) << PID_BITS | (uint64_t)sys_getpid()) & UINT64_MAX >> 1;
	if (atomic_load(page))
		return atomic_load(page);
	next = atomic_load(&pool.generation_last) + 1;
	if (atomic_compare_exchange_strong(page, &none, next))
		atomic_store(&pool.generation_last, next);
	return atomic_load(page);
}

static bool is_kept_socket(const struct slot *slot, int fd)
{
	struct stat status;

	return fd >= 0 && sys_fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode) &&
	       status.st_dev == slot->device && status.st_ino == slot->inode;
}

static bool claim(struct slot *slot, uint64_t self, uint64_t *ret_before)
{
	uint64_t state = atomic_load(&slot->state);
	bool in_use = (state & 1) && state >> 1 == self;

	*ret_before = state;
	return !in_use && atomic_compare_exchange_strong(&slot->state, &state, self << 1 | 1);
}

/* A duplicate of whichever connection there is that nobody waits over. First duplicated, then
 * looked at: its user may be closing it, and its number be another file's by then. */
static int duplicate_any(void)
{
	for (int at = 0; at < POOL_SIZE; at++) {
		const struct slot *slot = &pool.slots[at];
		OWN_FD copy = -1;

		if (!slot->state || slot->sock < 0)
			continue;
		copy = sys_fcntl(slot->sock, F_DUPFD_CLOEXEC, 0);
		if (is_kept_socket(slot, copy))
			return fd_steal(&copy);
	}
	return -1;
}

/* One of those from a place on, without what other there may be. */
static struct line take(int from, int end, int *ret_strangers)
{
	uint64_t self = own_generation();

	*ret_strangers = -1;
	for (int at = from; at < end; at++) {
		struct slot *slot = &pool.slots[at];
		uint64_t before;

		if (!claim(slot, self, &before))
			continue;
		if (before && is_kept_socket(slot, slot->sock)) {
			if (before >> 1 == self)
				return (struct line){.sock = slot->sock, .slot = at};
			*ret_strangers = slot->sock;
		}
		lanes_drop(at, before >> 1 == self);
		slot->sock = -1;
		return (struct line){.sock = -1, .slot = at};
	}
	return (struct line){.sock = -1, .slot = -1};
}

struct line pool_take(int *ret_other)
{
	struct line line = take(0, POOL_SIZE, ret_other);

	if (line.sock < 0 && *ret_other < 0)
		*ret_other = duplicate_any();
	return line;
}

static bool is_on_other_stack(void)
{
	stack_t stack;

	return sys_call(SYS_sigaltstack, 0, (long)&stack, 0, 0, 0, 0) < 0 ||
	       (stack.ss_flags & SS_ONSTACK);
}

/* Waits that this thread's signal handlers have left by longjmp: they had begun where its stack has
 * ended meanwhile. The daemon must not go on waiting. */
static void hang_up_those_left(uintptr_t frame)
{
	uint64_t in_use = own_generation() << 1 | 1;

	for (int at = POOL_SIZE; at < SLOTS; at++) {
		struct slot *slot = &pool.slots[at];

		if (slot->state != in_use || slot->thread != pthread_self() ||
		    slot->frame > frame || is_on_other_stack())
			continue;
		if (is_kept_socket(slot, slot->sock))
			sys_close(slot->sock);
		slot->sock = -1;
		slot->thread = 0;
		atomic_store(&slot->state, in_use & ~1ULL);
	}
}

struct line pool_take_to_wait(int *ret_other)
{
	uintptr_t frame = (uintptr_t)__builtin_frame_address(0);
	struct line line;

	hang_up_those_left(frame);
	line = take(POOL_SIZE, SLOTS, ret_other);
	fd_close_at(ret_other);
	if (line.sock < 0)
		*ret_other = duplicate_any();
	if (line.slot >= 0) {
		pool.slots[line.slot].frame = frame;
		pool.slots[line.slot].thread = pthread_self();
	}
	return line;
}

static void give_back(int at)
{
	if (at < 0)
		return;
	pool.slots[at].thread = 0;
	atomic_store(&pool.slots[at].state, own_generation() << 1);
}

static bool note(struct line line)
{
	struct stat status;

	if (line.slot < 0 || sys_fstat(line.sock, &status) < 0)
		return false;
	pool.slots[line.slot].sock = -1;
	pool.slots[line.slot].device = status.st_dev;
	pool.slots[line.slot].inode = status.st_ino;
	pool.slots[line.slot].sock = line.sock;
	return true;
}

void pool_note(struct line line)
{
	note(line);
}

void pool_put(struct line line)
{
	bool is_noted = line.slot >= 0 && pool.slots[line.slot].sock == line.sock;

	if (line.slot >= KEPT || (!is_noted && !note(line)))
		pool_cut(line);
	else
		give_back(line.slot);
	if (lanes_is_left(line.slot))
		pool_look_after(line.slot);
}

void pool_look_after(int slot)
{
	uint64_t self = own_generation();
	uint64_t idle = self << 1;

	if (!lanes_is_left(slot) ||
	    !atomic_compare_exchange_strong(&pool.slots[slot].state, &idle, self << 1 | 1))
		return;
	lanes_drop(slot, true);
	give_back(slot);
}

__attribute__((cold)) void pool_after_fork_child(void)
{
	for (int at = 0; at < POOL_SIZE; at++)
		if (pool.slots[at].state & 1)
			lanes_cut_off(at);
	for (int at = POOL_SIZE; at < SLOTS; at++) {
		struct slot *slot = &pool.slots[at];

		if (slot->state && is_kept_socket(slot, slot->sock))
			sys_close(slot->sock);
		slot->sock = -1;
		slot->thread = 0;
		slot->state = 0;
	}
}

void pool_cut(struct line line)
{
	if (line.slot >= 0) {
		lanes_drop(line.slot, pool.slots[line.slot].state >> 1 == own_generation());
		pool.slots[line.slot].sock = -1;
	}
	fd_close_at(&line.sock);
	give_back(line.slot);
}

int pool_copy_up(int fd)
{
	struct rlimit limit = {FDS_ABOVE, FDS_ABOVE};

	sys_call(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, (long)&limit, 0, 0);
	if (limit.rlim_cur > FDS_ABOVE)
		limit.rlim_cur = FDS_ABOVE;
	if (limit.rlim_cur <= 2 * FDS_RESERVED)
		return -EMFILE;
	return sys_fcntl(fd, F_DUPFD_CLOEXEC, (long)limit.rlim_cur - FDS_RESERVED);
}

int pool_move_up(int fd)
{
	int moved = pool_copy_up(fd);

	if (moved < 0)
		return fd;
	sys_close(fd);
	return moved;
}
