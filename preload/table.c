/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One array under the library's lock. Around fork that is held, so that the child has a table that
 * is whole: open semaphores are inherited. */
#include "preload/table.h"

#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>

#include "base/sys.h"
#include "preload/lock.h"
#include "preload/sem_libc.h"
#include "preload/sync.h"
#include "preload/views.h"

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

enum { COUNT_FIRST = 128, SIZE_SMALLEST = 16 };

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

/* By reading: a page that is touched has to be mapped, and unmapped, at many times the price. */
static bool is_other(int fd)
{
	sem_t image;

	memset(&image, 0, sizeof image);
	return sys_pread(fd, &image, sizeof image, 0) > 0 && sem_libc_is_other(&image);
}

static int map(int fd, const struct stat *status, struct semaphore *place)
{
	long address;

	/* A fifo. */
	if (!S_ISREG(status->st_mode))
		return -ENODEV;
	/* Touching a mapping past its file's last page is a SIGBUS in the program. A semaphore of a
	 * 32-bit program's is shorter, and means something else: libc does not look either. */
	if (status->st_size < SIZE_SMALLEST)
		return -EINVAL;
	if (is_other(fd))
		return -EMEDIUMTYPE;
	address = views_map_quiet_locked(sizeof(sem_t), fd);
	/* mmap(2) knows no other word for it. */
	if (sys_is_error((void *)address))
		return address == -ENFILE ? -EMFILE : (int)address;
	*place = (struct semaphore){(sem_t *)address, status->st_dev, status->st_ino, 0};
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

/* A file that somebody else has made may not say that it is shared between processes: sync_sem.c
 * goes by that. Only our copy is written to. */
static void say_shared(sem_t *sem)
{
	struct sync_semaphore *words = (struct sync_semaphore *)sem;
	struct views_place place;

	if (views_any() && !words->shared && views_find(sem, sizeof *sem, &place))
		words->shared = SYNC_SEMAPHORE_SHARED;
}

int table_open(int fd, const struct stat *status, sem_t **ret_sem)
{
	struct stat asked;
	uint64_t before;
	int result = status ? 0 : sys_fstat(fd, &asked);

	if (result < 0)
		return result;
	before = lock_take();
	result = open_locked(fd, status ? status : &asked, ret_sem);
	lock_leave(before);
	if (result == 0)
		say_shared(*ret_sem);
	return result;
}

static int close_locked(const sem_t *sem)
{
	struct semaphore *place = find_address(sem);

	if (!place)
		return -EINVAL;
	if (--place->opened == 0) {
		views_unmap_quiet_locked(place->address, sizeof(sem_t));
		claims_forget(place->device, place->inode);
		place->address = NULL;
	}
	return 0;
}

int table_close(sem_t *sem)
{
	uint64_t before = lock_take();
	int result = close_locked(sem);

	lock_leave(before);
	return result;
}
