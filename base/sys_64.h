/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The kernel's door, and the calls whose numbers or arguments depend on the machine: where a long
 * has 64 bits. Part of sys.h. */
#ifndef SHMEMU_BASE_SYS_64_H
#define SHMEMU_BASE_SYS_64_H

#include <errno.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/vfs.h>
#include <unistd.h>

#if defined(__x86_64__) && !defined(__ILP32__)
static inline long sys_call(long number, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long result;

	__asm__ volatile("syscall"
	                 : "=a"(result)
	                 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
	                 : "rcx", "r11", "memory");
	return result;
}
#elif defined(__aarch64__)
static inline long sys_call(long number, long a, long b, long c, long d, long e, long f)
{
	register long x8 __asm__("x8") = number;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register long x5 __asm__("x5") = f;

	__asm__ volatile("svc 0"
	                 : "+r"(x0)
	                 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
	                 : "memory");
	return x0;
}
#else
static inline long sys_call(long number, long a, long b, long c, long d, long e, long f)
{
	int saved = errno;
	long result = syscall(number, a, b, c, d, e, f);

	if (result == -1)
		result = -errno;
	errno = saved;
	return result;
}
#endif

static inline int sys_openat(int dir, const char *path, int flags, mode_t mode)
{
	return (int)sys_call(SYS_openat, dir, (long)path, flags, (long)mode, 0, 0);
}

static inline int sys_fstat(int fd, struct stat *ret_status)
{
	return (int)sys_call(SYS_fstat, fd, (long)ret_status, 0, 0, 0, 0);
}

static inline int sys_fstatat(int dir, const char *path, struct stat *ret_status, int flags)
{
	return (int)sys_call(SYS_newfstatat, dir, (long)path, (long)ret_status, flags, 0, 0);
}

static inline int sys_statfs(const char *path, struct statfs *ret_system)
{
	return (int)sys_call(SYS_statfs, (long)path, (long)ret_system, 0, 0, 0, 0);
}

static inline int sys_fstatfs(int fd, struct statfs *ret_system)
{
	return (int)sys_call(SYS_fstatfs, fd, (long)ret_system, 0, 0, 0, 0);
}

static inline int sys_fcntl(int fd, int command, long argument)
{
	return (int)sys_call(SYS_fcntl, fd, command, argument, 0, 0, 0);
}

static inline ssize_t sys_pread(int fd, void *bytes, size_t size, off_t offset)
{
	return sys_call(SYS_pread64, fd, (long)bytes, (long)size, offset, 0, 0);
}

static inline ssize_t sys_pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
	return sys_call(SYS_pwrite64, fd, (long)bytes, (long)size, offset, 0, 0);
}

static inline off_t sys_lseek(int fd, off_t offset, int whence)
{
	return sys_call(SYS_lseek, fd, offset, whence, 0, 0, 0);
}

static inline int sys_truncate(const char *path, off_t length)
{
	return (int)sys_call(SYS_truncate, (long)path, length, 0, 0, 0, 0);
}

static inline int sys_ftruncate(int fd, off_t length)
{
	return (int)sys_call(SYS_ftruncate, fd, length, 0, 0, 0, 0);
}

static inline int sys_fallocate(int fd, int mode, off_t offset, off_t length)
{
	return (int)sys_call(SYS_fallocate, fd, mode, offset, length, 0, 0);
}

/* mmap(2): the address, or -errno. */
static inline long sys_map(long address, size_t size, int protection, int flags, int fd,
                           off_t offset)
{
	return sys_call(SYS_mmap, address, (long)size, protection, flags, fd, offset);
}

static inline ssize_t sys_sendfile(int to, int from, size_t size)
{
	return sys_call(SYS_sendfile, to, from, 0, (long)size, 0, 0);
}

static inline uid_t sys_geteuid(void)
{
	return (uid_t)sys_call(SYS_geteuid, 0, 0, 0, 0, 0, 0);
}

static inline gid_t sys_getegid(void)
{
	return (gid_t)sys_call(SYS_getegid, 0, 0, 0, 0, 0, 0);
}

#endif
