/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuse/marks.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/own.h"

/* What the kernel looks through when the thread ends: one lock, which is never let go. */
static struct robust_list lock;
static struct robust_list_head locks;

static int have_kernel_watch(struct marks *marks)
{
	atomic_store(&marks->owner, (uint32_t)gettid());
	lock.next = &locks.list;
	locks.list.next = &lock;
	locks.futex_offset = (long)((uintptr_t)&marks->owner - (uintptr_t)&lock);
	return syscall(SYS_set_robust_list, &locks, sizeof locks) < 0 ? -errno : 0;
}

static int begin(struct marks *marks, int file)
{
	uint64_t first;

	if (getrandom(&first, sizeof first, 0) != sizeof first)
		return -EIO;
	atomic_store(&marks->all, first >> 1 | 1);
	marks->pid = (uint32_t)getpid();
	marks->file = (uint32_t)file;
	/* The kernel must be able to write to it at the end. */
	mlock(marks, sizeof marks->owner);
	return have_kernel_watch(marks);
}

/* From now on nobody can, but by the mapping that there is, nor make a hole below a reader. */
static int seal(int file)
{
	int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL;

	return fcntl(file, F_ADD_SEALS, seals) < 0 ? -errno : 0;
}

int marks_new(struct marks **ret_marks, int *ret_file)
{
	OWN_FD file = memfd_create("marks", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct marks *marks;
	int result;

	if (file < 0 || ftruncate(file, sizeof *marks) < 0)
		return -errno;
	marks = mmap(NULL, sizeof *marks, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (marks == MAP_FAILED)
		return -errno;
	result = seal(file);
	if (result == 0)
		result = begin(marks, file);
	if (result < 0) {
		munmap(marks, sizeof *marks);
		return result;
	}
	*ret_marks = marks;
	*ret_file = fd_steal(&file);
	return 0;
}

static void count(_Atomic uint64_t *mark)
{
	atomic_fetch_add_explicit(mark, 1, memory_order_release);
}

void marks_change(struct marks *marks, const char *name, size_t length)
{
	count(&marks->names[marks_hash(name, length) % MARKS_COUNT]);
}

void marks_change_all(struct marks *marks)
{
	count(&marks->all);
}
