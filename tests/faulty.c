/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* shmfs with faults: one call of those below fails, as if the host were short of what it asks for.
 * SHMEMU_FAULT is "ROLE:N:NOTE": the Nth such call of the first keeper or worker fails, once, and
 * NOTE is the file that is made then; it holds the call's name. Linked with -Wl,--wrap for each:
 * base/sys.h's raw calls can't be, so what makes them is. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/fdpass.h"

static atomic_long left = -1; /* until the fault; -1: not read yet, 0: never */
static char note[256];

/* Without any call that is wrapped. */
static void read_setting(void)
{
	const char *text = getenv("SHMEMU_FAULT");
	bool is_worker;
	char role[16] = "";
	long number = 0;
	char words[4096];
	long file = syscall(SYS_openat, AT_FDCWD, "/proc/self/cmdline", O_RDONLY | O_CLOEXEC, 0);
	long size = syscall(SYS_read, file, words, sizeof words);

	syscall(SYS_close, file);
	is_worker = size > 0 && memmem(words, (size_t)size, "--worker=", strlen("--worker="));
	atomic_store(&left, 0);
	if (!text || sscanf(text, "%15[a-z]:%ld:%255s", role, &number, note) != 3)
		return;
	if (is_worker == (strcmp(role, "worker") == 0))
		atomic_store(&left, number);
}

/* Is this the one? */
static bool fails(const char *call)
{
	int error = errno;
	long file;

	if (atomic_load(&left) < 0)
		read_setting();
	errno = error;
	if (atomic_load(&left) <= 0 || atomic_fetch_sub(&left, 1) != 1)
		return false;
	file = syscall(SYS_openat, AT_FDCWD, note, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (file < 0) {
		errno = error;
		return false;
	}
	syscall(SYS_write, file, call, strlen(call));
	syscall(SYS_close, file);
	return true;
}

#define WRAP(type, name, failure, error, parameters, arguments) \
	type __real_##name parameters; \
	type __wrap_##name parameters; \
	type __wrap_##name parameters \
	{ \
		if (!fails(#name)) \
			return __real_##name arguments; \
		errno = error; \
		return failure; \
	}

WRAP(void *, malloc, NULL, ENOMEM, (size_t size), (size))
WRAP(void *, calloc, NULL, ENOMEM, (size_t count, size_t size), (count, size))
WRAP(void *, realloc, NULL, ENOMEM, (void *block, size_t size), (block, size))
WRAP(void *, reallocarray, NULL, ENOMEM, (void *block, size_t count, size_t size),
     (block, count, size))
WRAP(void *, mmap, MAP_FAILED, ENOMEM,
     (void *address, size_t size, int protection, int flags, int file, off_t offset),
     (address, size, protection, flags, file, offset))
WRAP(void *, mremap, MAP_FAILED, ENOMEM, (void *address, size_t size, size_t new_size, int flags),
     (address, size, new_size, flags))
WRAP(int, open, -1, EMFILE, (const char *path, int flags, long mode), (path, flags, mode))
WRAP(int, openat, -1, EMFILE, (int folder, const char *path, int flags, long mode),
     (folder, path, flags, mode))
WRAP(int, fcntl, -1, EMFILE, (int file, int command, long argument), (file, command, argument))
WRAP(int, ioctl, -1, EIO, (int file, unsigned long command, void *argument),
     (file, command, argument))
WRAP(ssize_t, read, -1, EIO, (int file, void *bytes, size_t size), (file, bytes, size))
WRAP(ssize_t, write, -1, EIO, (int file, const void *bytes, size_t size), (file, bytes, size))
WRAP(ssize_t, writev, -1, ENOMEM, (int file, const struct iovec *parts, int count),
     (file, parts, count))
WRAP(ssize_t, pread, -1, EIO, (int file, void *bytes, size_t size, off_t offset),
     (file, bytes, size, offset))
WRAP(ssize_t, pwrite, -1, ENOSPC, (int file, const void *bytes, size_t size, off_t offset),
     (file, bytes, size, offset))
WRAP(ssize_t, pwritev2, -1, ENOSPC,
     (int file, const struct iovec *parts, int count, off_t offset, int flags),
     (file, parts, count, offset, flags))
WRAP(int, ftruncate, -1, ENOMEM, (int file, off_t size), (file, size))
WRAP(int, fallocate, -1, ENOSPC, (int file, int mode, off_t offset, off_t size),
     (file, mode, offset, size))
WRAP(int, fchmod, -1, EPERM, (int file, mode_t mode), (file, mode))
WRAP(int, fchown, -1, EPERM, (int file, uid_t uid, gid_t gid), (file, uid, gid))
WRAP(int, fstat, -1, EIO, (int file, struct stat *status), (file, status))
WRAP(int, fstatat, -1, EIO, (int folder, const char *path, struct stat *status, int flags),
     (folder, path, status, flags))
WRAP(int, memfd_create, -1, EMFILE, (const char *name, unsigned flags), (name, flags))
WRAP(int, socket, -1, EMFILE, (int domain, int type, int protocol), (domain, type, protocol))
WRAP(int, socketpair, -1, EMFILE, (int domain, int type, int protocol, int pair[2]),
     (domain, type, protocol, pair))
WRAP(int, bind, -1, EIO, (int sock, const void *address, unsigned size), (sock, address, size))
WRAP(int, listen, -1, EIO, (int sock, int backlog), (sock, backlog))
WRAP(int, accept4, -1, EMFILE, (int sock, void *address, unsigned *size, int flags),
     (sock, address, size, flags))
WRAP(int, getsockopt, -1, ENOBUFS, (int sock, int level, int name, void *value, unsigned *size),
     (sock, level, name, value, size))
WRAP(int, setsockopt, -1, ENOBUFS,
     (int sock, int level, int name, const void *value, unsigned size),
     (sock, level, name, value, size))
WRAP(ssize_t, recv, -1, ENOMEM, (int sock, void *bytes, size_t size, int flags),
     (sock, bytes, size, flags))
WRAP(int, epoll_create1, -1, EMFILE, (int flags), (flags))
WRAP(int, epoll_ctl, -1, ENOMEM, (int poll, int operation, int file, struct epoll_event *event),
     (poll, operation, file, event))
WRAP(int, timerfd_create, -1, EMFILE, (int clock, int flags), (clock, flags))
WRAP(int, timerfd_settime, -1, EINVAL, (int file, int flags, const void *value, void *before),
     (file, flags, value, before))
WRAP(int, signalfd, -1, EMFILE, (int file, const sigset_t *set, int flags), (file, set, flags))
WRAP(int, pipe2, -1, EMFILE, (int ends[2], int flags), (ends, flags))
WRAP(int, dup3, -1, EMFILE, (int file, int to, int flags), (file, to, flags))
WRAP(pid_t, fork, -1, EAGAIN, (void), ())
WRAP(int, pthread_create, EAGAIN, EAGAIN,
     (pthread_t * thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument),
     (thread, attributes, run, argument))
WRAP(int, fsopen, -1, EMFILE, (const char *name, unsigned flags), (name, flags))
WRAP(int, fsmount, -1, EMFILE, (int context, unsigned flags, unsigned attributes),
     (context, flags, attributes))
WRAP(int, unlinkat, -1, EIO, (int folder, const char *path, int flags), (folder, path, flags))
WRAP(int, fdpass_send, -ENOMEM, ENOMEM,
     (int sock, const struct iovec *parts, size_t count, int file,
      const struct fdpass_sender *sender, int flags),
     (sock, parts, count, file, sender, flags))
WRAP(ssize_t, fdpass_receive, -ENOMEM, ENOMEM,
     (int sock, const struct iovec *parts, size_t count, int *file, struct fdpass_sender *sender,
      int flags),
     (sock, parts, count, file, sender, flags))
