/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Raw system calls: each returns >= 0 or -errno and leaves errno as it was. */
#ifndef SHMEMU_BASE_SYS_H
#define SHMEMU_BASE_SYS_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

/* Inside a host program no call may pass through an exported libc symbol: the program, or another
 * preloaded library, may have replaced it, and libc's are cancellation points that write errno. */
#if defined(__i386__)
#include "base/sys_i386.h"
#else
#include "base/sys_64.h"
#endif

static inline int sys_close(int fd)
{
	return (int)sys_call(SYS_close, fd, 0, 0, 0, 0, 0);
}

static inline ssize_t sys_read(int fd, void *bytes, size_t size)
{
	return sys_call(SYS_read, fd, (long)bytes, (long)size, 0, 0, 0);
}

static inline ssize_t sys_write(int fd, const void *bytes, size_t size)
{
	return sys_call(SYS_write, fd, (long)bytes, (long)size, 0, 0, 0);
}

static inline int sys_mkdirat(int dir, const char *path, mode_t mode)
{
	return (int)sys_call(SYS_mkdirat, dir, (long)path, (long)mode, 0, 0, 0);
}

static inline int sys_fchmod(int fd, mode_t mode)
{
	return (int)sys_call(SYS_fchmod, fd, (long)mode, 0, 0, 0, 0);
}

static inline int sys_fchmodat(int dir, const char *path, mode_t mode)
{
	return (int)sys_call(SYS_fchmodat, dir, (long)path, (long)mode, 0, 0, 0);
}

static inline int sys_flock(int fd, int operation)
{
	return (int)sys_call(SYS_flock, fd, operation, 0, 0, 0, 0);
}

static inline int sys_poll(struct pollfd *fds, nfds_t count, const struct timespec *timeout)
{
	struct timespec left = {0};

	/* The kernel writes back what is left of the timeout. */
	if (timeout)
		left = *timeout;
	return (int)sys_call(SYS_ppoll, (long)fds, (long)count, timeout ? (long)&left : 0, 0, 0, 0);
}

static inline int sys_socket(int domain, int type, int protocol)
{
	return (int)sys_call(SYS_socket, domain, type, protocol, 0, 0, 0);
}

static inline int sys_socketpair(int domain, int type, int protocol, int ret_pair[2])
{
	return (int)sys_call(SYS_socketpair, domain, type, protocol, (long)ret_pair, 0, 0);
}

static inline int sys_connect(int sock, const void *address, socklen_t size)
{
	return (int)sys_call(SYS_connect, sock, (long)address, (long)size, 0, 0, 0);
}

static inline int sys_getsockopt(int sock, int level, int name, void *value, socklen_t *size)
{
	return (int)sys_call(SYS_getsockopt, sock, level, name, (long)value, (long)size, 0);
}

static inline int sys_setsockopt(int sock, int level, int name, const void *value, socklen_t size)
{
	return (int)sys_call(SYS_setsockopt, sock, level, name, (long)value, (long)size, 0);
}

static inline ssize_t sys_sendmsg(int sock, const struct msghdr *message, int flags)
{
	return sys_call(SYS_sendmsg, sock, (long)message, flags, 0, 0, 0);
}

static inline ssize_t sys_recvmsg(int sock, struct msghdr *message, int flags)
{
	return sys_call(SYS_recvmsg, sock, (long)message, flags, 0, 0, 0);
}

static inline pid_t sys_getpid(void)
{
	return (pid_t)sys_call(SYS_getpid, 0, 0, 0, 0, 0, 0);
}

/* Of the calling thread: `set` and `ret_before` are the kernel's, 64 signals in 8 bytes. */
static inline int sys_sigmask(int how, const uint64_t *set, uint64_t *ret_before)
{
	return (int)sys_call(SYS_rt_sigprocmask, how, (long)set, (long)ret_before, sizeof *set, 0,
	                     0);
}

/* Whether there is memory at an address to be read: asked by a call that reads it, unless it is 0,
 * and then fails. Of 8 bytes that begin at a multiple of 8 all are there, or none. */
static inline int sys_can_read(const void *address)
{
	enum { NO_SUCH_WAY = 99, WORD = sizeof(uint64_t) };
	uintptr_t word = (uintptr_t)address / WORD * WORD;

	return word && sys_call(SYS_rt_sigprocmask, NO_SUCH_WAY, (long)word, 0, WORD, 0, 0) !=
	                       -EFAULT;
}

/* Returns the address, or -errno as a pointer: test with sys_is_error. */
static inline void *sys_mmap(size_t size, int protection, int flags, int fd)
{
	return (void *)sys_map(0, size, protection, flags, fd, 0);
}

static inline int sys_munmap(void *address, size_t size)
{
	return (int)sys_call(SYS_munmap, (long)address, (long)size, 0, 0, 0, 0);
}

/* Where the host can't unmap, something is mapped over it: that gives the pages back, too. */
static inline void sys_give(void *address, size_t size)
{
	enum { READ_NONE = 0, PRIVATE = 0x02, FIXED = 0x10, ANONYMOUS = 0x20, NORESERVE = 0x4000 };

	if (sys_munmap(address, size) < 0)
		sys_map((long)address, size, READ_NONE, PRIVATE | FIXED | ANONYMOUS | NORESERVE, -1,
		        0);
}

static inline int sys_is_error(const void *address)
{
	return (uintptr_t)address >= (uintptr_t)-4095L;
}

#endif
