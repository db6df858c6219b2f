/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A worker parses what strangers send. Whoever takes it over finds no program to execute, no socket
 * to the outside, no other process to trace, and no capability that is not about files. */
#include "fuse/harden.h"

#include <errno.h>
#include <linux/capability.h>
#include <seccomp.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static const int capabilities[] = {
	CAP_CHOWN,            /* a new file is its maker's */
	CAP_DAC_OVERRIDE,     /* modes are judged by the store, or by the kernel at the mount */
	CAP_DAC_READ_SEARCH,
	CAP_FOWNER,
	CAP_FSETID,
	CAP_LEASE,            /* who holds a segment */
	CAP_SYS_PTRACE,       /* a sender's user namespace */
	CAP_SYS_RESOURCE,     /* descriptors on their way to clients */
};

static const int calls[] = {
	/* the loop, and its timers */
	SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_ctl), SCMP_SYS(poll),
	SCMP_SYS(ppoll), SCMP_SYS(timerfd_settime), SCMP_SYS(clock_gettime), SCMP_SYS(time),
	SCMP_SYS(getrusage),
	SCMP_SYS(gettimeofday), SCMP_SYS(restart_syscall),
	/* clients and the keeper */
	SCMP_SYS(accept4), SCMP_SYS(recvmsg), SCMP_SYS(recvfrom), SCMP_SYS(sendmsg),
	SCMP_SYS(getsockopt), SCMP_SYS(setsockopt), SCMP_SYS(shutdown), SCMP_SYS(ioctl),
	SCMP_SYS(pidfd_open),
	/* files */
	SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(close), SCMP_SYS(dup), SCMP_SYS(dup2),
	SCMP_SYS(dup3), SCMP_SYS(fcntl), SCMP_SYS(flock), SCMP_SYS(read), SCMP_SYS(write),
	SCMP_SYS(readv), SCMP_SYS(writev), SCMP_SYS(pread64), SCMP_SYS(pwrite64), SCMP_SYS(preadv),
	SCMP_SYS(pwritev), SCMP_SYS(preadv2), SCMP_SYS(pwritev2), SCMP_SYS(lseek),
	SCMP_SYS(fstat), SCMP_SYS(stat), SCMP_SYS(lstat), SCMP_SYS(newfstatat), SCMP_SYS(statx),
	SCMP_SYS(fstatfs),
	SCMP_SYS(ftruncate), SCMP_SYS(truncate), SCMP_SYS(fallocate), SCMP_SYS(fchmod),
	SCMP_SYS(fchown), SCMP_SYS(fchmodat), SCMP_SYS(fchownat), SCMP_SYS(mkdirat),
	SCMP_SYS(mknodat), SCMP_SYS(linkat), SCMP_SYS(renameat), SCMP_SYS(getdents64),
	SCMP_SYS(setxattr),
	SCMP_SYS(getxattr), SCMP_SYS(listxattr), SCMP_SYS(removexattr),
	SCMP_SYS(utimensat), SCMP_SYS(unlinkat), SCMP_SYS(memfd_create), SCMP_SYS(splice),
	SCMP_SYS(vmsplice), SCMP_SYS(pipe2), SCMP_SYS(readlink), SCMP_SYS(readlinkat),
	/* memory and threads */
	SCMP_SYS(brk), SCMP_SYS(mmap), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(mprotect),
	SCMP_SYS(madvise), SCMP_SYS(futex), SCMP_SYS(clone), SCMP_SYS(clone3),
	SCMP_SYS(set_robust_list), SCMP_SYS(rseq), SCMP_SYS(sched_getaffinity),
	SCMP_SYS(sched_yield), SCMP_SYS(prlimit64), SCMP_SYS(getrandom), SCMP_SYS(sigaltstack),
	/* oneself, and the end */
	SCMP_SYS(getpid), SCMP_SYS(getppid), SCMP_SYS(gettid), SCMP_SYS(getuid), SCMP_SYS(geteuid),
	SCMP_SYS(getgid), SCMP_SYS(getegid), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigreturn), SCMP_SYS(tgkill), SCMP_SYS(exit), SCMP_SYS(exit_group),
};

static uint64_t wanted(bool mounted)
{
	/* For backing ids, and trusted attributes. */
	uint64_t set = mounted ? 1ULL << CAP_SYS_ADMIN : 0;

	for (size_t i = 0; i < sizeof capabilities / sizeof capabilities[0]; i++)
		set |= 1ULL << capabilities[i];
	return set;
}

static int drop_capabilities(bool mounted)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3];
	uint64_t keep = wanted(mounted);

	if (syscall(SYS_capget, &header, sets) < 0)
		return -errno;
	for (int i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
		uint32_t mask = (uint32_t)(keep >> 32 * i);

		sets[i].permitted &= mask;
		sets[i].effective = sets[i].permitted;
		sets[i].inheritable = 0;
	}
	return syscall(SYS_capset, &header, sets) < 0 ? -errno : 0;
}

static int allow_calls(scmp_filter_ctx filter)
{
	int result = seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP, 0);

	/* By a search tree: this is on the way of every call. */
	if (result == 0)
		seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	for (size_t i = 0; i < sizeof calls / sizeof calls[0] && result == 0; i++)
		result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);
	return result;
}

static int filter_calls(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
	int result;

	if (!filter)
		return -ENOMEM;
	result = allow_calls(filter);
	if (result == 0)
		result = seccomp_load(filter);
	seccomp_release(filter);
	return result;
}

int harden(enum harden how, bool mounted)
{
	int result = 0;

	if (how == HARDEN_OFF)
		return 0;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		result = -errno;
	if (result == 0)
		result = drop_capabilities(mounted);
	if (result == 0)
		result = filter_calls();
	return how == HARDEN_REQUIRE ? result : 0;
}
