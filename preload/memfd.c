/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* memfd_create, where the host refuses it: a file without a name from the store, which is a
 * tmpfs's as a memfd is, and, as one without MFD_ALLOW_SEALING, takes no seals. Seals and huge
 * pages only a memfd has: the daemon, which the host may not refuse it, makes one for us. Nothing
 * else would be honest: seals are for those who do not trust whoever made them, and who would have
 * but our word. */
#include <fcntl.h>
#include <linux/memfd.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>

#include "base/own.h"
#include "preload/ask_ipc.h"
#include "preload/boot.h"
#include "preload/emu_ipc.h"
#include "preload/export.h"
#include "preload/host.h"
#include "preload/maps.h"
#include "preload/paths.h"
#include "preload/real.h"
#include "preload/trace.h"
#include "preload/way.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U /* Linux 6.3 */
#define MFD_EXEC 0x0010U
#endif

enum {
	NAME_LENGTH_MAX = 249,
	WORD = sizeof(uint64_t),
	KNOWN = MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB | MFD_NOEXEC_SEAL | MFD_EXEC,
	ONLY_MEMFDS = MFD_ALLOW_SEALING | MFD_HUGETLB,
};

/* As the kernel does it. */
static int judge_name(const char *name)
{
	for (size_t i = 0; i <= NAME_LENGTH_MAX; i++) {
		/* The compiler thinks that it knows from libc's headers that it is not NULL. */
		const char *at = name + i;

		__asm__("" : "+r"(at));
		if ((i == 0 || (uintptr_t)at % WORD == 0) && !sys_can_read(at))
			return -EFAULT;
		if (!*at)
			return 0;
	}
	return -EINVAL;
}

static int judge_flags(unsigned flags)
{
	unsigned known = KNOWN;

	if (flags & MFD_HUGETLB)
		known |= (unsigned)MFD_HUGE_MASK << MFD_HUGE_SHIFT;
	if (flags & ~known)
		return -EINVAL;
	return (flags & MFD_EXEC) && (flags & MFD_NOEXEC_SEAL) ? -EINVAL : 0;
}

/* What is opened at a mount is FUSE's, and has O_TMPFILE among its flags: both a memfd has not. The
 * file behind it is what the daemon has, and -errno where there is no mount. */
static int behind(int file)
{
	int flags = sys_fcntl(file, F_GETFL, 0);
	int traded;

	if (flags < 0 || (flags & O_TMPFILE) != O_TMPFILE)
		return -EINVAL;
	traded = maps_trade(file);
	if (traded >= 0)
		return traded;
	return sys_openat(AT_FDCWD, way_fd_path(file).bytes, O_RDWR | O_CLOEXEC, 0);
}

/* Returns the program's descriptor, or -errno when there is no such file. */
static int make_file(unsigned flags)
{
	OWN_FD file = path_open(AT_FDCWD, "/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	OWN_FD again = -1;

	if (file < 0)
		return file;
	again = behind(file);
	if (again >= 0) {
		/* The program gets the lower number. */
		int result = (int)sys_call(SYS_dup3, again, file, O_CLOEXEC, 0, 0, 0);

		if (result < 0)
			return result;
	}
	sys_fchmod(file, flags & MFD_NOEXEC_SEAL ? 0666 : 0777);
	if (!(flags & MFD_CLOEXEC))
		sys_fcntl(file, F_SETFD, 0);
	return fd_steal(&file);
}

/* Returns the program's descriptor, or -errno. */
static int have_made(const char *name, unsigned flags)
{
	struct client_ipc call = client_ipc_make(WIRE_MEMFD);
	int result;

	wire_request_name(&call.request, name, strlen(name));
	call.asked.flags = flags;
	result = ask_ipc(&call, CLIENT_PATIENT, false);
	if (result < 0)
		return result;
	if (!(flags & MFD_CLOEXEC))
		sys_fcntl(call.fd, F_SETFD, 0);
	return call.fd;
}

/* These say something that is so. */
static bool is_true(int result)
{
	return result >= 0 || result == -EMFILE || result == -ENFILE || result == -ENOMEM;
}

static void log_refusal(int result)
{
	static atomic_bool is_told;
	struct text line = TEXT_NULL;

	if (atomic_exchange(&is_told, true))
		return;
	text_string(&line, "memfd_create: neither this host nor the daemon makes sealable files "
	            "(MFD_ALLOW_SEALING), so it is EINVAL");
	boot_log_error(line, -result);
}

/* -HOST_LACKS: the host's word holds. */
static int emulate(const char *name, unsigned flags)
{
	int result = judge_flags(flags);

	if (result == 0)
		result = judge_name(name);
	if (result < 0)
		return result;
	if (flags & (ONLY_MEMFDS | MFD_NOEXEC_SEAL)) {
		result = have_made(name, flags);
		if (is_true(result))
			return result;
	}
	if (flags & MFD_ALLOW_SEALING) {
		log_refusal(result);
		return -EINVAL;
	}
	if (!(flags & ONLY_MEMFDS))
		result = make_file(flags);
	/* That there is no store is not the program's affair. */
	return is_true(result) ? result : -HOST_LACKS;
}

long emu_memfd_create(const char *name, unsigned flags)
{
	int before = errno;
	long result = host_memfd_create(name, flags);

	if (result != -HOST_LACKS)
		return result;
	result = emulate(name, flags);
	if (result == -HOST_LACKS) {
		result = REAL(memfd_create)(name, flags);
		result = result < 0 ? -errno : result;
		errno = before;
	} else if (result >= 0) {
		/* A bad name can't be told. */
		trace_name("memfd_create", name, result);
	}
	return result;
}

EXPORT int memfd_create(const char *name, unsigned flags)
{
	return (int)export_long(emu_memfd_create(name, flags));
}
