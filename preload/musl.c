/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What we call of glibc's and musl does not have: musl.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/sys.h"
#include "preload/export.h"

#define NAMES \
	NAME(E2BIG) NAME(EACCES) NAME(EADDRINUSE) NAME(EADDRNOTAVAIL) NAME(EAFNOSUPPORT) \
	NAME(EAGAIN) NAME(EALREADY) NAME(EBADF) NAME(EBADMSG) NAME(EBUSY) NAME(ECANCELED) \
	NAME(ECHILD) NAME(ECONNABORTED) NAME(ECONNREFUSED) NAME(ECONNRESET) NAME(EDEADLK) \
	NAME(EDESTADDRREQ) NAME(EDOM) NAME(EDQUOT) NAME(EEXIST) NAME(EFAULT) NAME(EFBIG) \
	NAME(EHOSTDOWN) NAME(EHOSTUNREACH) NAME(EIDRM) NAME(EILSEQ) NAME(EINPROGRESS) NAME(EINTR) \
	NAME(EINVAL) NAME(EIO) NAME(EISCONN) NAME(EISDIR) NAME(ELOOP) NAME(EMEDIUMTYPE) \
	NAME(EMFILE) NAME(EMLINK) NAME(EMSGSIZE) NAME(ENAMETOOLONG) NAME(ENETDOWN) \
	NAME(ENETUNREACH) NAME(ENFILE) NAME(ENOBUFS) NAME(ENODATA) NAME(ENODEV) NAME(ENOENT) \
	NAME(ENOEXEC) NAME(ENOLCK) NAME(ENOMEM) NAME(ENOMSG) NAME(ENOPROTOOPT) NAME(ENOSPC) \
	NAME(ENOSYS) NAME(ENOTBLK) NAME(ENOTCONN) NAME(ENOTDIR) NAME(ENOTEMPTY) \
	NAME(ENOTRECOVERABLE) NAME(ENOTSOCK) NAME(ENOTTY) NAME(ENXIO) NAME(EOPNOTSUPP) \
	NAME(EOVERFLOW) NAME(EOWNERDEAD) NAME(EPERM) NAME(EPIPE) NAME(EPROTO) \
	NAME(EPROTONOSUPPORT) NAME(EPROTOTYPE) NAME(ERANGE) NAME(EREMOTEIO) NAME(EROFS) \
	NAME(ESPIPE) NAME(ESRCH) NAME(ESTALE) NAME(ETIME) NAME(ETIMEDOUT) NAME(ETXTBSY) \
	NAME(EUSERS) NAME(EXDEV)

/* A constant table, as glibc's. */
const char *strerrorname_np(int error)
{
#define NAME(name) [name] = #name,
	static const char *const names[] = {NAMES};
#undef NAME

	return error > 0 && (size_t)error < sizeof names / sizeof names[0] ? names[error] : NULL;
}

int musl_renameat2(int olddirfd, const char *oldpath, int newdirfd, const char *newpath,
                   unsigned flags)
{
	return export_result((int)sys_call(SYS_renameat2, olddirfd, (long)oldpath, newdirfd,
	                                   (long)newpath, (long)flags, 0));
}

struct entry {
	uint64_t ino;
	int64_t offset;
	uint16_t size;
	uint8_t type;
	char name[];
};

static int close_listed(posix_spawn_file_actions_t *actions, int lowest, int folder,
                        const char *bytes, long size)
{
	for (long at = 0; at < size;) {
		const struct entry *entry = (const struct entry *)(bytes + at);
		long fd = strtol(entry->name, NULL, 10);
		int error = 0;

		if (fd >= lowest && fd != folder)
			error = posix_spawn_file_actions_addclose(actions, (int)fd);
		if (error)
			return error;
		at += entry->size;
	}
	return 0;
}

/* Each by its number, as of now: what another thread opens meanwhile stays. */
int posix_spawn_file_actions_addclosefrom_np(posix_spawn_file_actions_t *actions, int lowest)
{
	OWN_FD folder = sys_openat(AT_FDCWD, "/proc/self/fd", O_DIRECTORY | O_CLOEXEC, 0);
	_Alignas(struct entry) char bytes[2048];
	long size = 0;
	int error = 0;

	if (folder < 0)
		return -folder;
	while (!error && (size = sys_call(SYS_getdents64, folder, (long)bytes, sizeof bytes, 0, 0,
	                                  0)) > 0)
		error = close_listed(actions, lowest, folder, bytes, size);
	return error || size == 0 ? error : (int)-size;
}
