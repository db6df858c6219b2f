/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Claims lie in an array and are taken by a compare-and-swap: no lock, so that a signal handler may
 * post to a semaphore whatever it has interrupted. A forked child has none of its parent's: it
 * would share their locks. */
#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "base/sys.h"
#include "base/text.h"
#include "preload/backing.h"
#include "preload/guard.h"
#include "preload/lock.h"
#include "preload/sync.h"

enum { CLAIMS_MAX = 4096 };
enum { LONGEST_LOOK_NS = 2000000, SHORTEST_LOOK_NS = 20000 };
enum { MOMENT_NS = 1000000, MOMENTS_MAX = 50 };

enum state {
	STATE_NEVER, /* no description */
	STATE_FREE,
	STATE_BUSY,
	STATE_HELD,  /* busy, and offset, holder and kind say with what */
};

static struct {
	atomic_int used;  /* beyond are only STATE_NEVER */
	struct claim all[CLAIMS_MAX];
} claims;

static pthread_key_t robust_key;
static bool has_robust_key;

pid_t sync_thread(void)
{
	return (pid_t)sys_call(SYS_gettid, 0, 0, 0, 0, 0, 0);
}

__attribute__((cold)) void claims_after_fork(void)
{
	int used = atomic_load(&claims.used);

	for (int i = 0; i < used; i++) {
		struct claim *claim = &claims.all[i];

		if (atomic_load(&claim->state) != STATE_NEVER && claim->fd > 0)
			guard_close(&claim->fd);
		atomic_store(&claim->state, STATE_NEVER);
	}
	watch_after_fork();
}

/* A thread that ends leaves its robust mutexes to others, as the kernel has it: still marked as
 * owned. */
static void end_thread(void *unused)
{
	pid_t self = sync_thread();
	int used = atomic_load(&claims.used);

	for (int i = 0; i < used; i++) {
		struct claim *claim = &claims.all[i];

		if (atomic_load(&claim->state) == STATE_HELD && claim->holder == self &&
		    claim->robust)
			claims_give(claim);
	}
}

__attribute__((constructor)) static void construct(void)
{
	has_robust_key = pthread_key_create(&robust_key, end_thread) == 0;
}

static bool is_of(const struct claim *claim, const struct views_place *place)
{
	return claim->inode == place->inode && claim->device == place->device;
}

static bool turn(struct claim *claim, int from)
{
	return atomic_compare_exchange_strong(&claim->state, &from, STATE_BUSY);
}

static struct claim *take_free(const struct views_place *place)
{
	int used = atomic_load(&claims.used);

	for (int i = 0; i < used; i++) {
		struct claim *claim = &claims.all[i];

		if (atomic_load(&claim->state) != STATE_FREE || !is_of(claim, place) ||
		    !turn(claim, STATE_FREE))
			continue;
		if (is_of(claim, place))
			return claim;
		atomic_store(&claim->state, STATE_FREE);
	}
	return NULL;
}

static struct claim *take_new(void)
{
	for (int i = 0; i < CLAIMS_MAX; i++) {
		int used = atomic_load(&claims.used);

		if (!turn(&claims.all[i], STATE_NEVER))
			continue;
		while (used <= i && !atomic_compare_exchange_weak(&claims.used, &used, i + 1))
			;
		return &claims.all[i];
	}
	return NULL;
}

/* Again, since a description that the program has too would have its locks in common with it. */
static int open_again(int fd)
{
	struct text path = TEXT_NULL;
	int result;

	text_string(&path, "/proc/thread-self/fd/");
	text_number(&path, fd);
	result = sys_openat(AT_FDCWD, path.bytes, O_RDWR | O_CLOEXEC | O_NOCTTY, 0);
	if (result >= 0 || result == -EMFILE || result == -ENFILE || result == -ENOMEM)
		return result;
	return -ENOTSUP;
}

static bool is_file(int fd, const struct views_place *place)
{
	struct stat status;

	return sys_fstat(fd, &status) == 0 && status.st_dev == place->device &&
	       status.st_ino == place->inode;
}

static int open_claim(struct claim *claim, const struct views_place *place)
{
	int result = open_again(place->fd);
	uint64_t before;

	if (result < 0)
		return result;
	claim->fd = result;
	before = lock_take();
	/* It may have moved meanwhile. */
	result = is_file(claim->fd, place) ? guard_keep(&claim->fd) : -ENOTSUP;
	lock_leave(before);
	if (result < 0) {
		sys_close(claim->fd);
		claim->fd = -1;
		return result;
	}
	claim->device = place->device;
	claim->inode = place->inode;
	return 0;
}

static int take_opened(const struct views_place *place, struct claim **ret_claim)
{
	struct claim *claim = take_new();
	int result;

	if (!claim)
		return -EMFILE;
	result = open_claim(claim, place);
	if (result < 0) {
		atomic_store(&claim->state, STATE_NEVER);
		return result;
	}
	*ret_claim = claim;
	return 0;
}

/* Where there is no descriptor to be had any more, other threads give theirs back soon. */
int claims_take(const struct views_place *place, struct claim **ret_claim)
{
	static const struct timespec moment = {0, MOMENT_NS};
	struct claim *claim = take_free(place);
	int result = claim ? 0 : take_opened(place, &claim);

	for (int i = 0; result == -EMFILE && i < MOMENTS_MAX; i++) {
		sys_poll(NULL, 0, &moment);
		claim = take_free(place);
		result = claim ? 0 : -EMFILE;
	}
	if (result < 0)
		return result;
	claim->is_quiet = place->is_quiet;
	claim->robust = false;
	claim->inconsistent = false;
	claim->depth = 0;
	*ret_claim = claim;
	return 0;
}

/* Where the descriptor was moved meanwhile what was asked for may have been done to another file,
 * to which it does not matter. */
static int lock_at(const struct claim *claim, off_t offset, int command, short kind)
{
	struct flock lock = {
		.l_type = kind,
		.l_whence = SEEK_SET,
		.l_start = BACKING_LOCKS + offset,
		.l_len = 1,
	};
	const volatile int *place = &claim->fd;
	int result, fd;

	do {
		fd = *place;
		result = sys_fcntl(fd, command, (long)&lock);
	} while (fd != *place);

	if (result == -EACCES)
		return -EAGAIN;
	/* Not known to this kernel, or to this file system. */
	if (result == -EINVAL || result == -ENOSYS || result == -EOPNOTSUPP)
		return -ENOTSUP;
	return result;
}

void claims_give(struct claim *claim)
{
	/* First it is not to be found any more: the next holder may be there at once. */
	if (turn(claim, STATE_HELD))
		lock_at(claim, atomic_load(&claim->offset), F_OFD_SETLK, F_UNLCK);
	atomic_store(&claim->state, STATE_FREE);
}

struct claim *claims_find(const struct views_place *place, pid_t holder)
{
	int used = atomic_load(&claims.used);

	for (int i = 0; i < used; i++) {
		struct claim *claim = &claims.all[i];

		if (atomic_load(&claim->state) == STATE_HELD && claim->offset == place->offset &&
		    is_of(claim, place) && (!holder || claim->holder == holder))
			return claim;
	}
	return NULL;
}

int claim_try(struct claim *claim, off_t offset, short kind)
{
	return lock_at(claim, offset, F_OFD_SETLK, kind);
}

/* The kernel has no deadline for these locks. */
static int look_again(struct claim *claim, off_t offset, short kind,
                      const struct deadline *deadline)
{
	long pause = SHORTEST_LOOK_NS;
	int result;

	while ((result = claim_try(claim, offset, kind)) == -EAGAIN) {
		struct timespec left = {0, deadline_left(deadline, pause)};

		if (left.tv_nsec == 0)
			return -ETIMEDOUT;
		sys_poll(NULL, 0, &left);
		pause = pause * 2 < LONGEST_LOOK_NS ? pause * 2 : LONGEST_LOOK_NS;
	}
	return result;
}

int claim_wait(struct claim *claim, off_t offset, short kind, const struct deadline *deadline)
{
	int result;

	if (deadline && deadline->at) {
		result = claim_try(claim, offset, kind);
		if (result == -EAGAIN && !deadline_is_valid(deadline))
			return -EINVAL;
		return result == -EAGAIN ? look_again(claim, offset, kind, deadline) : result;
	}
	do
		result = lock_at(claim, offset, F_OFD_SETLKW, kind);
	while (result == -EINTR);
	return result;
}

void claim_keep(struct claim *claim, off_t offset, short kind, pid_t holder)
{
	claim->kind = kind;
	atomic_store(&claim->offset, offset);
	atomic_store(&claim->holder, holder);
	if (claim->robust && has_robust_key)
		pthread_setspecific(robust_key, claim);
	atomic_store(&claim->state, STATE_HELD);
}

void claims_drop(const struct views_place *place)
{
	struct claim *claim;

	while ((claim = claims_find(place, 0)))
		claims_give(claim);
}

int claims_probe(const struct views_place *place)
{
	struct claim *claim;
	int result = claims_take(place, &claim);

	if (result < 0)
		return result;
	/* What is locked already can be locked. */
	result = lock_at(claim, place->offset, F_OFD_SETLK, F_UNLCK);
	claims_give(claim);
	return result;
}

void claims_forget(dev_t device, ino_t inode)
{
	struct views_place place = {.device = device, .inode = inode};
	struct claim *claim;

	while ((claim = take_free(&place))) {
		guard_close(&claim->fd);
		atomic_store(&claim->state, STATE_NEVER);
	}
}

int claim_read_locked(const struct claim *claim, off_t offset, void *ret_bytes, size_t size)
{
	long result = sys_pread(claim->fd, ret_bytes, size, offset);

	if (result < 0)
		return (int)result;
	return (size_t)result == size ? 0 : -EINVAL;
}

int claim_write_locked(const struct claim *claim, off_t offset, const void *bytes, size_t size)
{
	static const off_t pages = BACKING_LOCK_PAGES - BACKING_LOCKS;
	long result;

	if (!claim->is_quiet)
		lock_at(claim, pages, F_OFD_SETLKW, F_RDLCK);
	result = sys_pwrite(claim->fd, bytes, size, offset);
	if (!claim->is_quiet)
		lock_at(claim, pages, F_OFD_SETLK, F_UNLCK);
	if (result < 0)
		return (int)result;
	return (size_t)result == size ? 0 : -ENOSPC;
}

int gate_enter(struct gate *gate, const struct views_place *place)
{
	const uint64_t all = UINT64_MAX;
	int result;

	gate->place = place;
	result = claims_take(place, &gate->claim);
	if (result < 0)
		return result;
	sys_sigmask(SIG_SETMASK, &all, &gate->signals);
	do
		result = lock_at(gate->claim, place->offset, F_OFD_SETLKW, F_WRLCK);
	while (result == -EINTR);
	if (result < 0) {
		sys_sigmask(SIG_SETMASK, &gate->signals, NULL);
		claims_give(gate->claim);
		return result;
	}
	lock_enter();
	return 0;
}

int gate_read(const struct gate *gate, void *ret_bytes, size_t size)
{
	return claim_read_locked(gate->claim, gate->place->offset, ret_bytes, size);
}

int gate_write(const struct gate *gate, const void *bytes, size_t size)
{
	return claim_write_locked(gate->claim, gate->place->offset, bytes, size);
}

void gate_leave(struct gate *gate)
{
	lock_exit();
	lock_at(gate->claim, gate->place->offset, F_OFD_SETLK, F_UNLCK);
	claims_give(gate->claim);
	sys_sigmask(SIG_SETMASK, &gate->signals, NULL);
}

int gate_peek(const struct views_place *place, void *ret_bytes, size_t size)
{
	struct claim *claim;
	uint64_t before;
	int result = claims_take(place, &claim);

	if (result < 0)
		return result;
	before = lock_take();
	result = claim_read_locked(claim, place->offset, ret_bytes, size);
	lock_leave(before);
	claims_give(claim);
	return result;
}
