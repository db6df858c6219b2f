/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One array under one lock, the library's only one. Nothing waits under it but for the kernel's
 * mmap. Around fork it is held, so that the child has a table that is whole: open semaphores are
 * inherited. */
#include "preload/table.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>

#include "base/sys.h"

struct semaphore {
	sem_t *address; /* NULL: a free place */
	dev_t device;
	ino_t inode;
	unsigned opened;
};

static struct {
	struct semaphore *places;
	size_t count;
} semaphores;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

enum { COUNT_FIRST = 128 };

static void before_fork(void)
{
	pthread_mutex_lock(&lock);
}

static void after_fork_parent(void)
{
	pthread_mutex_unlock(&lock);
}

static void after_fork_child(void)
{
	pthread_mutex_init(&lock, NULL);
}

__attribute__((constructor)) static void watch_forks(void)
{
	pthread_atfork(before_fork, after_fork_parent, after_fork_child);
}

/* With all signals blocked: a handler may fork, and then waits for the lock that its own thread
 * has. Returns the mask to go back to. */
static uint64_t take_lock(void)
{
	const uint64_t all = UINT64_MAX;
	uint64_t before;

	sys_sigmask(SIG_SETMASK, &all, &before);
	pthread_mutex_lock(&lock);
	return before;
}

static void leave_lock(uint64_t before)
{
	pthread_mutex_unlock(&lock);
	sys_sigmask(SIG_SETMASK, &before, NULL);
}

static struct semaphore *find_file(const struct stat *status)
{
	for (size_t i = 0; i < semaphores.count; i++) {
		struct semaphore *place = &semaphores.places[i];

		if (place->address && place->inode == status->st_ino &&
		    place->device == status->st_dev)
			return place;
	}
	return NULL;
}

static struct semaphore *find_address(const sem_t *address)
{
	for (size_t i = 0; address && i < semaphores.count; i++)
		if (semaphores.places[i].address == address)
			return &semaphores.places[i];
	return NULL;
}

static struct semaphore *find_free(void)
{
	for (size_t i = 0; i < semaphores.count; i++)
		if (!semaphores.places[i].address)
			return &semaphores.places[i];
	return NULL;
}

static int grow(void)
{
	size_t count = semaphores.count ? semaphores.count * 2 : COUNT_FIRST;
	struct semaphore *places = sys_mmap(count * sizeof *places, PROT_READ | PROT_WRITE,
	                                    MAP_PRIVATE | MAP_ANONYMOUS, -1);

	if (sys_is_error(places))
		return -ENOMEM;
	if (semaphores.places) {
		memcpy(places, semaphores.places, semaphores.count * sizeof *places);
		sys_munmap(semaphores.places, semaphores.count * sizeof *places);
	}
	semaphores.places = places;
	semaphores.count = count;
	return 0;
}

static int map(int fd, const struct stat *status, struct semaphore *place)
{
	void *address;

	/* A fifo. */
	if (!S_ISREG(status->st_mode))
		return -ENODEV;
	/* Touching a mapping past its file's end is a SIGBUS in the program. */
	if ((size_t)status->st_size < sizeof(sem_t))
		return -EINVAL;
	address = sys_mmap(sizeof(sem_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd);
	if (sys_is_error(address))
		return (int)(intptr_t)address;
	*place = (struct semaphore){address, status->st_dev, status->st_ino, 0};
	return 0;
}

static int open_locked(int fd, const struct stat *status, sem_t **ret_sem)
{
	struct semaphore *place = find_file(status);
	int result = 0;

	if (!place) {
		if (!find_free())
			result = grow();
		place = result < 0 ? NULL : find_free();
		if (place)
			result = map(fd, status, place);
	}
	if (result < 0)
		return result;
	place->opened++;
	*ret_sem = place->address;
	return 0;
}

int table_open(int fd, sem_t **ret_sem)
{
	struct stat status;
	uint64_t before;
	int result = sys_fstat(fd, &status);

	if (result < 0)
		return result;
	before = take_lock();
	result = open_locked(fd, &status, ret_sem);
	leave_lock(before);
	return result;
}

static int close_locked(const sem_t *sem)
{
	struct semaphore *place = find_address(sem);

	if (!place)
		return -EINVAL;
	if (--place->opened == 0) {
		sys_munmap(place->address, sizeof(sem_t));
		place->address = NULL;
	}
	return 0;
}

int table_close(sem_t *sem)
{
	uint64_t before = take_lock();
	int result = close_locked(sem);

	leave_lock(before);
	return result;
}
