/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The kernel's door, and the calls whose numbers or arguments depend on the machine: of 32-bit
 * programs on x86. All of ours is built with a 64-bit off_t, whose calls take it in two halves.
 * Part of sys.h. */
#ifndef SHMEMU_BASE_SYS_I386_H
#define SHMEMU_BASE_SYS_I386_H

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/vfs.h>
#include <unistd.h>

/* The sixth argument goes in ebp, which may be what locals are found by. */
static inline long sys_call(long number, long a, long b, long c, long d, long e, long f)
{
	long result;

	__asm__ volatile("pushl %[f]\n\t"
	                 "pushl %%ebp\n\t"
	                 "movl 4(%%esp), %%ebp\n\t"
	                 "int $0x80\n\t"
	                 "popl %%ebp\n\t"
	                 "addl $4, %%esp"
	                 : "=a"(result)
	                 : "a"(number), "b"(a), "c"(b), "d"(c), "S"(d), "D"(e), [f] "g"(f)
	                 : "memory");
	return result;
}

/* A 64-bit kernel gives O_LARGEFILE to 64-bit programs by itself. */
static inline int sys_openat(int dir, const char *path, int flags, mode_t mode)
{
	return (int)sys_call(SYS_openat, dir, (long)path, flags | O_LARGEFILE, (long)mode, 0, 0);
}

/* What has a struct or an off_t in it is none of preload/narrow.h's, nor of timed.h's. */
#if !defined(SHMEMU_NARROW) && !defined(SHMEMU_TIMED)

_Static_assert(sizeof(off_t) == 8 && sizeof(struct stat) == sizeof(struct stat64),
               "built with _FILE_OFFSET_BITS=64");

#define SYS_LOW(offset) ((long)(uint32_t)(offset))
#define SYS_HIGH(offset) ((long)((offset) >> 32))

static inline int sys_fstat(int fd, struct stat *ret_status)
{
	return (int)sys_call(SYS_fstat64, fd, (long)ret_status, 0, 0, 0, 0);
}

static inline int sys_fstatat(int dir, const char *path, struct stat *ret_status, int flags)
{
	return (int)sys_call(SYS_fstatat64, dir, (long)path, (long)ret_status, flags, 0, 0);
}

static inline int sys_statfs(const char *path, struct statfs *ret_system)
{
	return (int)sys_call(SYS_statfs64, (long)path, sizeof *ret_system, (long)ret_system, 0, 0,
	                     0);
}

static inline int sys_fstatfs(int fd, struct statfs *ret_system)
{
	return (int)sys_call(SYS_fstatfs64, fd, sizeof *ret_system, (long)ret_system, 0, 0, 0);
}

static inline int sys_fcntl(int fd, int command, long argument)
{
	return (int)sys_call(SYS_fcntl64, fd, command, argument, 0, 0, 0);
}

static inline ssize_t sys_pread(int fd, void *bytes, size_t size, off_t offset)
{
	return sys_call(SYS_pread64, fd, (long)bytes, (long)size, SYS_LOW(offset),
	                SYS_HIGH(offset), 0);
}

static inline ssize_t sys_pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
	return sys_call(SYS_pwrite64, fd, (long)bytes, (long)size, SYS_LOW(offset),
	                SYS_HIGH(offset), 0);
}

static inline off_t sys_lseek(int fd, off_t offset, int whence)
{
	off_t at;
	long result = sys_call(SYS__llseek, fd, SYS_HIGH(offset), SYS_LOW(offset), (long)&at,
	                       whence, 0);

	return result < 0 ? result : at;
}

static inline int sys_truncate(const char *path, off_t length)
{
	return (int)sys_call(SYS_truncate64, (long)path, SYS_LOW(length), SYS_HIGH(length), 0, 0,
	                     0);
}

static inline int sys_ftruncate(int fd, off_t length)
{
	return (int)sys_call(SYS_ftruncate64, fd, SYS_LOW(length), SYS_HIGH(length), 0, 0, 0);
}

static inline int sys_fallocate(int fd, int mode, off_t offset, off_t length)
{
	return (int)sys_call(SYS_fallocate, fd, mode, SYS_LOW(offset), SYS_HIGH(offset),
	                     SYS_LOW(length), SYS_HIGH(length));
}

#endif

/* mmap(2): the address, or -errno; there are addresses that are negative as a long. The kernel
 * takes the offset in pages. */
static inline long sys_map(long address, size_t size, int protection, int flags, int fd,
                           int64_t offset)
{
	enum { PAGE_SHIFT = 12 };

	if (offset & ((1 << PAGE_SHIFT) - 1))
		return -EINVAL;
	if (offset >> PAGE_SHIFT > UINT32_MAX || offset < 0)
		return -EOVERFLOW;
	return sys_call(SYS_mmap2, address, (long)size, protection, flags, fd,
	                (long)(offset >> PAGE_SHIFT));
}

static inline ssize_t sys_sendfile(int to, int from, size_t size)
{
	return sys_call(SYS_sendfile64, to, from, 0, (long)size, 0, 0);
}

/* The calls without a 32 in their names have 16-bit numbers. */
static inline uid_t sys_geteuid(void)
{
	return (uid_t)sys_call(SYS_geteuid32, 0, 0, 0, 0, 0, 0);
}

static inline gid_t sys_getegid(void)
{
	return (gid_t)sys_call(SYS_getegid32, 0, 0, 0, 0, 0, 0);
}

#endif
