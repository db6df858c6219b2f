/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libshmemu-without.so: beneath a program, and beneath libshmemu.so, whose RTLD_NEXT leads here, a
 * libc whose calls fail as `shmemu without` was asked. The loader and libc itself do not call
 * through these symbols, and so survive. What does not fail goes on to the next library's call;
 * until the constructor has looked that up, dlsym may be what is calling, and the kernel is
 * asked. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/sys.h"
#include "without/rules.h"

#define EXPORT __attribute__((visibility("default")))

/* Of a call without an answer of its own: errno and -1. */
#define IS(what) RULES_IS(WITHHELD_##what)

static struct {
	void *(*mmap)(void *, size_t, int, int, int, off_t);
	void *(*mmap64)(void *, size_t, int, int, int, off64_t);
	int (*munmap)(void *, size_t);
	int (*mprotect)(void *, size_t, int);
	int (*msync)(void *, size_t, int);
	void *(*mremap)(void *, size_t, size_t, int, ...);
	int (*madvise)(void *, size_t, int);
	int (*ftruncate)(int, off_t);
	int (*ftruncate64)(int, off64_t);
	int (*fallocate)(int, int, off_t, off_t);
	int (*fallocate64)(int, int, off64_t, off64_t);
	int (*posix_fallocate)(int, off_t, off_t);
	int (*posix_fallocate64)(int, off64_t, off64_t);
	int (*memfd_create)(const char *, unsigned);
	sem_t *(*sem_open)(const char *, int, ...);
	int (*sem_close)(sem_t *);
	int (*sem_unlink)(const char *);
} next;

static void look_up(const char *name, void *ret_function)
{
	void *function = dlsym(RTLD_NEXT, name);

	__atomic_store_n((void **)ret_function, function, __ATOMIC_RELEASE);
}

__attribute__((constructor)) static void begin(void)
{
	rules_read();
	look_up("mmap", &next.mmap);
	look_up("mmap64", &next.mmap64);
	look_up("munmap", &next.munmap);
	look_up("mprotect", &next.mprotect);
	look_up("msync", &next.msync);
	look_up("mremap", &next.mremap);
	look_up("madvise", &next.madvise);
	look_up("ftruncate", &next.ftruncate);
	look_up("ftruncate64", &next.ftruncate64);
	look_up("fallocate", &next.fallocate);
	look_up("fallocate64", &next.fallocate64);
	look_up("posix_fallocate", &next.posix_fallocate);
	look_up("posix_fallocate64", &next.posix_fallocate64);
	look_up("memfd_create", &next.memfd_create);
	look_up("sem_open", &next.sem_open);
	look_up("sem_close", &next.sem_close);
	look_up("sem_unlink", &next.sem_unlink);
}

/* The kernel's answer as libc gives it. */
static long answer(long result)
{
	if (result >= 0 || result < -4095)
		return result;
	errno = (int)-result;
	return -1;
}

static unsigned mmap_is(int flags)
{
	int type = flags & MAP_TYPE;
	unsigned is = IS(MMAP);

	if (!(flags & MAP_ANONYMOUS))
		is |= IS(MMAP_FILE);
	if (type == MAP_SHARED || type == MAP_SHARED_VALIDATE)
		is |= flags & MAP_ANONYMOUS ? IS(MMAP_SHARED_ANONYMOUS) : IS(MMAP_SHARED);
	return is;
}

static void *kernel_mmap(void *address, size_t size, int protection, int flags, int fd,
                         off64_t offset)
{
#ifdef SYS_mmap2
	enum { UNIT = 4096 };

	if (offset % UNIT || offset / UNIT > (off64_t)(uint32_t)-1)
		return (void *)answer(-EINVAL);
	return (void *)answer(sys_call(SYS_mmap2, (long)address, (long)size, protection, flags, fd,
	                               (long)(offset / UNIT)));
#else
	return (void *)answer(sys_call(SYS_mmap, (long)address, (long)size, protection, flags, fd,
	                               offset));
#endif
}

EXPORT void *mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
	int error = rules_judge(mmap_is(flags));

	if (error)
		return (void *)answer(-error);
	if (!next.mmap)
		return kernel_mmap(address, size, protection, flags, fd, offset);
	return next.mmap(address, size, protection, flags, fd, offset);
}

EXPORT void *mmap64(void *address, size_t size, int protection, int flags, int fd, off64_t offset)
{
	int error = rules_judge(mmap_is(flags));

	if (error)
		return (void *)answer(-error);
	if (!next.mmap64)
		return kernel_mmap(address, size, protection, flags, fd, offset);
	return next.mmap64(address, size, protection, flags, fd, offset);
}

EXPORT int munmap(void *address, size_t size)
{
	int error = rules_judge(IS(MUNMAP));

	if (error)
		return (int)answer(-error);
	if (!next.munmap)
		return (int)answer(sys_munmap(address, size));
	return next.munmap(address, size);
}

EXPORT int mprotect(void *address, size_t size, int protection)
{
	int error = rules_judge(IS(MPROTECT));

	if (error)
		return (int)answer(-error);
	if (!next.mprotect)
		return (int)answer(sys_call(SYS_mprotect, (long)address, (long)size, protection, 0,
		                            0, 0));
	return next.mprotect(address, size, protection);
}

EXPORT int msync(void *address, size_t size, int flags)
{
	int error = rules_judge(IS(MSYNC));

	if (error)
		return (int)answer(-error);
	if (!next.msync)
		return (int)answer(sys_call(SYS_msync, (long)address, (long)size, flags, 0, 0, 0));
	return next.msync(address, size, flags);
}

EXPORT void *mremap(void *address, size_t size, size_t new_size, int flags, ...)
{
	int error = rules_judge(IS(MREMAP));
	void *new_address = NULL;
	va_list arguments;

	if (error)
		return (void *)answer(-error);
	if (flags & (MREMAP_FIXED | 4 /* MREMAP_DONTUNMAP */)) {
		va_start(arguments, flags);
		new_address = va_arg(arguments, void *);
		va_end(arguments);
	}
	if (!next.mremap)
		return (void *)answer(sys_call(SYS_mremap, (long)address, (long)size,
		                               (long)new_size, flags, (long)new_address, 0));
	return next.mremap(address, size, new_size, flags, new_address);
}

EXPORT int madvise(void *address, size_t size, int advice)
{
	int error = rules_judge(IS(MADVISE));

	if (error)
		return (int)answer(-error);
	if (!next.madvise)
		return (int)answer(sys_call(SYS_madvise, (long)address, (long)size, advice, 0, 0,
		                            0));
	return next.madvise(address, size, advice);
}

/* What comes before the constructor and takes a 64 bit offset is left to 64 bit machines: there
 * a raw call needs no halves. */
EXPORT int ftruncate(int fd, off_t size)
{
	int error = rules_judge(IS(FTRUNCATE));

	if (error)
		return (int)answer(-error);
	if (!next.ftruncate)
		return (int)answer(sys_call(SYS_ftruncate, fd, size, 0, 0, 0, 0));
	return next.ftruncate(fd, size);
}

EXPORT int ftruncate64(int fd, off64_t size)
{
	int error = rules_judge(IS(FTRUNCATE));

	if (error)
		return (int)answer(-error);
	if (!next.ftruncate64)
		return ftruncate(fd, (off_t)size);
	return next.ftruncate64(fd, size);
}

static long kernel_fallocate(int fd, int mode, off_t offset, off_t size)
{
	return sys_call(SYS_fallocate, fd, mode, offset, size, 0, 0);
}

EXPORT int fallocate(int fd, int mode, off_t offset, off_t size)
{
	int error = rules_judge(IS(FALLOCATE));

	if (error)
		return (int)answer(-error);
	if (!next.fallocate)
		return (int)answer(kernel_fallocate(fd, mode, offset, size));
	return next.fallocate(fd, mode, offset, size);
}

EXPORT int fallocate64(int fd, int mode, off64_t offset, off64_t size)
{
	int error = rules_judge(IS(FALLOCATE));

	if (error)
		return (int)answer(-error);
	if (!next.fallocate64)
		return (int)answer(kernel_fallocate(fd, mode, (off_t)offset, (off_t)size));
	return next.fallocate64(fd, mode, offset, size);
}

/* These return the error. */
EXPORT int posix_fallocate(int fd, off_t offset, off_t size)
{
	int error = rules_judge(IS(FALLOCATE));

	if (error)
		return error;
	if (!next.posix_fallocate)
		return (int)-kernel_fallocate(fd, 0, offset, size);
	return next.posix_fallocate(fd, offset, size);
}

EXPORT int posix_fallocate64(int fd, off64_t offset, off64_t size)
{
	int error = rules_judge(IS(FALLOCATE));

	if (error)
		return error;
	if (!next.posix_fallocate64)
		return (int)-kernel_fallocate(fd, 0, (off_t)offset, (off_t)size);
	return next.posix_fallocate64(fd, offset, size);
}

EXPORT int memfd_create(const char *name, unsigned flags)
{
	int error = rules_judge(IS(MEMFD_CREATE));

	if (error)
		return (int)answer(-error);
	if (!next.memfd_create)
		return (int)answer(sys_call(SYS_memfd_create, (long)name, flags, 0, 0, 0, 0));
	return next.memfd_create(name, flags);
}

/* A C library without named semaphores, as bionic is: all three fail. No call of the kernel's
 * stands for them, so before the constructor they fail in any case. */
EXPORT sem_t *sem_open(const char *name, int flags, ...)
{
	int error = rules_judge(IS(SEM_OPEN));
	unsigned value = 0;
	mode_t mode = 0;
	va_list arguments;

	if (error || !next.sem_open) {
		errno = error ? error : ENOSYS;
		return SEM_FAILED;
	}
	if (flags & O_CREAT) {
		va_start(arguments, flags);
		mode = va_arg(arguments, mode_t);
		value = va_arg(arguments, unsigned);
		va_end(arguments);
	}
	return next.sem_open(name, flags, mode, value);
}

EXPORT int sem_close(sem_t *semaphore)
{
	int error = rules_judge_kin(IS(SEM_OPEN));

	if (error || !next.sem_close)
		return (int)answer(error ? -error : -ENOSYS);
	return next.sem_close(semaphore);
}

EXPORT int sem_unlink(const char *name)
{
	int error = rules_judge_kin(IS(SEM_OPEN));

	if (error || !next.sem_unlink)
		return (int)answer(error ? -error : -ENOSYS);
	return next.sem_unlink(name);
}
