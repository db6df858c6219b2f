/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "preload/host.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "base/own.h"
#include "preload/boot.h"
#include "preload/real.h"
#include "preload/taken.h"

enum { TRIES_MAX = 100, PAGE = 4096, LISTED_MAX = 13 };

/* What the man pages have, up to a 0. */
static const int listed_mmap[LISTED_MAX] = {
	EACCES, EAGAIN, EBADF, EEXIST, EINVAL, ENFILE, ENODEV, ENOMEM, EOVERFLOW, EPERM, ETXTBSY,
};
static const int listed_munmap[LISTED_MAX] = {EINVAL, ENOMEM};
static const int listed_msync[LISTED_MAX] = {EBUSY, EINVAL, ENOMEM, EIO};
static const int listed_mremap[LISTED_MAX] = {EAGAIN, EFAULT, EINVAL, ENOMEM};
static const int listed_madvise[LISTED_MAX] = {
	EACCES, EAGAIN, EBADF, EBUSY, EFAULT, EINVAL, EIO, ENOMEM, EPERM,
};
static const int listed_mprotect[LISTED_MAX] = {EACCES, EINVAL, ENOMEM};
static const int listed_ftruncate[LISTED_MAX] = {
	EBADF, EFBIG, EINTR, EINVAL, EIO, EPERM, EROFS, ETXTBSY, EACCES, EISDIR,
};
static const int listed_fallocate[LISTED_MAX] = {
	EBADF, EFBIG, EINTR, EINVAL, EIO, ENODEV, ENOSPC, EOPNOTSUPP, EPERM, ESPIPE,
	ETXTBSY, EDQUOT,
};
static const int listed_memfd_create[LISTED_MAX] = {
	EFAULT, EINVAL, EMFILE, ENFILE, ENOMEM, EACCES,
};

static bool is_listed(const int *listed, int error)
{
	for (int i = 0; i < LISTED_MAX && listed[i]; i++)
		if (listed[i] == error)
			return true;
	return false;
}

/* The result of a libc call as >= 0 or -errno. errno is put back by who called. */
static long result_of(long result)
{
	return result == -1 ? -errno : result;
}

/* The host lacks the call, and we go on without it. */
static int lacks(void)
{
	taken_note(TRACED_EMULATED);
	return -HOST_LACKS;
}

/* Makes the call, again when it was interrupted and can't be, and sets `result`. */
#define ASK(listed, call) \
	int before = errno; \
	long result = 0; \
	for (int i = 0; i < TRIES_MAX; i++) { \
		result = result_of((long)(call)); \
		if (result != -EINTR || is_listed(listed, EINTR)) \
			break; \
	} \
	errno = before; \
	if (result < 0 && result > -4096 && !is_listed(listed, (int)-result)) \
		result = lacks()

enum probe { PROBE_SHARED, PROBE_PRIVATE, PROBE_ANONYMOUS, PROBE_COUNT };

static long try_mapping(enum probe probe)
{
	OWN_FD file = -1;
	void *mapped;
	long result;

	if (probe == PROBE_ANONYMOUS) {
		mapped = REAL(mmap)(NULL, PAGE, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	} else {
		file = sys_openat(AT_FDCWD, boot_config()->library.bytes, O_RDONLY | O_CLOEXEC, 0);
		if (file < 0)
			return 0;
		mapped = REAL(mmap)(NULL, PAGE, PROT_READ,
		                   probe == PROBE_SHARED ? MAP_SHARED : MAP_PRIVATE, file, 0);
	}
	result = result_of((long)mapped);
	if (!sys_is_error((void *)result))
		sys_munmap((void *)result, PAGE);
	return sys_is_error((void *)result) ? result : 0;
}

/* Does the host refuse what it must be able to do with this library's own file, or with none? */
static bool lacks_mapping(enum probe probe)
{
	enum { UNKNOWN, HAS, LACKS };
	static atomic_int known[PROBE_COUNT];
	int is = atomic_load(&known[probe]);

	if (is == UNKNOWN) {
		is = try_mapping(probe) < 0 ? LACKS : HAS;
		atomic_store(&known[probe], is);
	}
	return is == LACKS;
}

/* Those of /proc and its kin say ENODEV themselves. */
bool host_can_map(int fd)
{
	struct statfs system;
	struct stat status;

	if (sys_fstat(fd, &status) < 0)
		return false;
	if (S_ISCHR(status.st_mode))
		return status.st_rdev == makedev(1, 5); /* /dev/zero */
	if (!S_ISREG(status.st_mode) || sys_fstatfs(fd, &system) < 0)
		return false;
	return system.f_type != 0x9fa0 /* proc */ && system.f_type != 0x62656572 /* sysfs */ &&
	       system.f_type != 0x64626720 /* debugfs */ &&
	       system.f_type != 0x27e0eb /* cgroup */ &&
	       system.f_type != 0x63677270 /* cgroup2 */;
}

static bool is_refusal(long result, int flags, int fd)
{
	int type = flags & MAP_TYPE;
	bool is_shared = type == MAP_SHARED || type == MAP_SHARED_VALIDATE;

	if (flags & MAP_ANONYMOUS)
		return is_shared && (result == -ENODEV || result == -EPERM || result == -EACCES ||
		                     result == -EINVAL) && lacks_mapping(PROBE_ANONYMOUS);
	/* Who refuses all may have looked at nothing else. */
	if (result == -ENODEV)
		return host_can_map(fd) ||
		       lacks_mapping(is_shared ? PROBE_SHARED : PROBE_PRIVATE);
	if (result != -EPERM && result != -EACCES && result != -EINVAL)
		return false;
	return host_can_map(fd) && lacks_mapping(is_shared ? PROBE_SHARED : PROBE_PRIVATE);
}

long host_mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset)
{
	ASK(listed_mmap, REAL(mmap)(address, length, protection, flags, fd, offset));

	if (sys_is_error((void *)result) && is_refusal(result, flags, fd))
		return lacks();
	return result;
}

int host_munmap(void *address, size_t length)
{
	ASK(listed_munmap, REAL(munmap)(address, length));

	return (int)result;
}

int host_msync(void *address, size_t length, int flags)
{
	ASK(listed_msync, REAL(msync)(address, length, flags));

	return (int)result;
}

long host_mremap(void *address, size_t old_size, size_t new_size, int flags, void *new_address)
{
	ASK(listed_mremap,
	    REAL(mremap)(address, old_size, new_size, flags, new_address));

	return result;
}

int host_madvise(void *address, size_t length, int advice)
{
	ASK(listed_madvise, REAL(madvise)(address, length, advice));

	/* Only for advice that nobody else gives. */
	if (result == -EPERM && advice != MADV_HWPOISON && advice != 101 /* MADV_SOFT_OFFLINE */)
		return lacks();
	return (int)result;
}

atomic_bool host_protects;

static int ask_mprotect(void *address, size_t length, int protection)
{
	ASK(listed_mprotect, REAL(mprotect)(address, length, protection));

	return (int)result;
}

/* Once: it may be asked for thousands of times. */
static void tell_unprotected(void)
{
	static atomic_bool is_told;
	struct text line = TEXT_NULL;

	if (atomic_exchange(&is_told, true))
		return;
	text_string(&line, "mprotect: this host has none, so protection of memory is not enforced");
	boot_log_error(line, ENOSYS);
}

/* Where it has worked once the host has it: to go on as if nothing were to be done would then be
 * wrong, for memory may be as an earlier call has made it. */
int host_mprotect(void *address, size_t length, int protection)
{
	int result = ask_mprotect(address, length, protection);

	for (int i = 0; i < TRIES_MAX && result == -HOST_LACKS && host_protects; i++)
		result = ask_mprotect(address, length, protection);
	if (result == 0)
		host_note_protects();
	if (result == -HOST_LACKS && !host_protects)
		tell_unprotected();
	return result == -HOST_LACKS && host_protects ? -ENOMEM : result;
}

static bool is_sealed(int fd)
{
	int seals = sys_fcntl(fd, F_GET_SEALS, 0);

	return seals > 0 && (seals & (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE |
	                              F_SEAL_FUTURE_WRITE));
}

int host_ftruncate(int fd, off_t length)
{
	ASK(listed_ftruncate, REAL(ftruncate)(fd, length));

	if (result == -EPERM && !is_sealed(fd))
		return lacks();
	return (int)result;
}

int host_fallocate(int fd, int mode, off_t offset, off_t length)
{
	ASK(listed_fallocate, REAL(fallocate)(fd, mode, offset, length));

	if (result == -EPERM && !is_sealed(fd))
		return lacks();
	return (int)result;
}

int host_memfd_create(const char *name, unsigned flags)
{
	ASK(listed_memfd_create, REAL(memfd_create)(name, flags));

	return (int)result;
}

void *host_take(size_t size)
{
	void *memory = sys_mmap(size, PROT_READ | PROT_WRITE,
	                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);

	return sys_is_error(memory) ? NULL : memory;
}
