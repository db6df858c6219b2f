/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* mmap. What the host maps, the host maps. Else there are these roads: a file on a mount of ours
 * without passthrough is traded for the file behind it; anonymous memory to share is that of an
 * anonymous file; and what can't be mapped at all becomes a view. */
#include "preload/maps.h"

#include <string.h>
#include <linux/magic.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "base/own.h"
#include "base/token.h"
#include "preload/ask.h"
#include "preload/attach.h"
#include "preload/boot.h"
#include "preload/export.h"
#include "preload/host.h"
#include "preload/lacking.h"
#include "preload/lock.h"
#include "preload/paths.h"
#include "preload/real.h"
#include "preload/refresh.h"
#include "preload/resize.h"
#include "preload/taken.h"
#include "preload/trace.h"

#ifndef MAP_UNINITIALIZED
#define MAP_UNINITIALIZED 0x4000000
#endif

/* Where the kernel has the size of huge pages. */
#define MAP_SIZES ((21 << MAP_HUGE_SHIFT) | (30 << MAP_HUGE_SHIFT))

enum {
	TRADES_MAX = 20,
	MEMORY_FLAGS = MAP_FIXED | MAP_FIXED_NOREPLACE | MAP_NORESERVE | MAP_STACK | MAP_LOCKED |
		       MAP_32BIT,
	/* What MAP_SHARED_VALIDATE does not refuse. */
	KNOWN_FLAGS = MAP_TYPE | MAP_FIXED | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_DENYWRITE |
		      MAP_EXECUTABLE | MAP_LOCKED | MAP_NORESERVE | MAP_POPULATE | MAP_NONBLOCK |
		      MAP_STACK | MAP_HUGETLB | MAP_32BIT | MAP_UNINITIALIZED | MAP_SIZES,
};

/* The arguments of mmap(2). */
struct wish {
	void *address;
	size_t length;
	int protection;
	int flags;
	int fd;
	off_t offset;
};

static bool is_shared(int flags)
{
	return (flags & MAP_TYPE) == MAP_SHARED || (flags & MAP_TYPE) == MAP_SHARED_VALIDATE;
}

static long ask_host(const struct wish *wish)
{
	return host_mmap(wish->address, wish->length, wish->protection, wish->flags, wish->fd,
	                 wish->offset);
}

/* The file behind an open one at the mount, owned by the caller; or -errno: -ENOENT when nobody
 * knows the token. */
static int trade_once(int fd)
{
	struct wire_request request = wire_request_make(WIRE_TRADE);
	struct client_answer answer;
	uint64_t token[2];
	int result = (int)sys_call(SYS_ioctl, fd, (long)SHMEMU_IOC_TOKEN, (long)token, 0, 0, 0);

	if (result < 0)
		return result;
	request.ino = token[0];
	request.cursor = token[1];
	result = ask(&request, &answer);
	return result < 0 ? result : answer.fd;
}

/* A token ends with the worker that gave it: then the next one gives another. */
int maps_trade(int fd)
{
	int file = -ENOENT;

	for (int i = 0; file == -ENOENT && i < TRADES_MAX; i++)
		file = trade_once(fd);
	return file;
}

/* Of that size, owned by the caller; or -ENOMEM. */
static int make_anonymous_file(size_t size)
{
	OWN_FD file = host_memfd_create("shmemu", 1 /* MFD_CLOEXEC */);
	int result;

	if (file < 0)
		file = path_open(AT_FDCWD, "/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (file < 0)
		return -ENOMEM;
	result = host_ftruncate(file, (off_t)size);
	if (result == -HOST_LACKS)
		result = resize_truncate(file, (off_t)size);
	return result < 0 ? -ENOMEM : fd_steal(&file);
}

/* Memory for a view, which can be written. */
static long take_memory(const struct view *view, int flags)
{
	struct range range = {view->start, view->length};
	uintptr_t address = view->start, gone;

	flags &= MEMORY_FLAGS;
	gone = lacking_place((void *)address, view->length, flags);
	if (gone) {
		address = gone;
		flags = (flags & ~MAP_FIXED_NOREPLACE) | MAP_FIXED;
	}
	if (flags & MAP_FIXED)
		views_push_in(&range);
	return host_mmap((void *)address, view->length, PROT_READ | PROT_WRITE,
	                 flags | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

/* Not beside an address that was asked for: what comes there next is the program's to say. */
static void *take_twin(const struct view *view)
{
	static uintptr_t next = ADDRESSES / 4 * 3 & -(uintptr_t)VIEW_PAGE;
	long twin = -EINVAL;

	if (view->start) {
		twin = host_mmap((void *)next, view->length, PROT_READ | PROT_WRITE,
		                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		next += view->length;
	}
	return sys_is_error((void *)twin) ? host_take(view->length) : (void *)twin;
}

static void drop_view(const struct view *view)
{
	if (view->twin)
		sys_give(view->twin, view->length);
	if (view->backing)
		backing_leave(view->backing);
}

long maps_make_view(struct view *view, int flags)
{
	struct range range;
	long address = -ENOMEM, result;

	if (view->kind == VIEW_SHARED)
		view->twin = take_twin(view);
	if (view->kind != VIEW_SHARED || view->twin)
		address = take_memory(view, flags);
	if (sys_is_error((void *)address)) {
		drop_view(view);
		return address == -HOST_LACKS ? -ENOMEM : address;
	}
	view->start = (uintptr_t)address;
	range = (struct range){view->start, view->length};
	views_cut(&range);
	views_forget(&range);
	view->held = 0;
	if (view->backing->size > view->offset)
		view->held = (size_t)(view->backing->size - view->offset);
	if (view->held > view->length)
		view->held = view->length;
	result = twin_fill(view);
	if (result < 0) {
		sys_give((void *)address, view->length);
		drop_view(view);
		return result;
	}
	twin_protect(view);
	if (view->kind == VIEW_SHARED)
		view->backing->bytes += view->length;
	views_add(view);
	trace_address("view", (void *)address, 0);
	return address;
}

static bool is_on_tmpfs(int fd)
{
	struct statfs system;

	return sys_fstatfs(fd, &system) == 0 && system.f_type == TMPFS_MAGIC;
}

/* What the kernel says of a mapping of that file, in its order. Returns 0 or -errno. */
static int judge(const struct wish *wish, bool *ret_may_write)
{
	int flags = sys_fcntl(wish->fd, F_GETFL, 0);
	int seals;

	if (wish->offset & (VIEW_PAGE - 1))
		return -EINVAL;
	if (flags < 0 || (flags & O_PATH))
		return -EBADF;
	if (wish->length == 0)
		return -EINVAL;
	if (page_up(wish->length) == 0 || page_up(wish->length) > ADDRESSES + VIEW_PAGE)
		return -ENOMEM;
	if (wish->offset < 0 || wish->offset > INT64_MAX - (off_t)page_up(wish->length))
		return -EOVERFLOW;
	if (!is_shared(wish->flags) && (wish->flags & MAP_TYPE) != MAP_PRIVATE)
		return -EINVAL;
	if ((wish->flags & MAP_TYPE) == MAP_SHARED_VALIDATE && (wish->flags & ~KNOWN_FLAGS))
		return -EOPNOTSUPP;
	*ret_may_write = true;
	if (is_shared(wish->flags)) {
		*ret_may_write = (flags & O_ACCMODE) == O_RDWR;
		if ((wish->protection & PROT_WRITE) && (flags & O_ACCMODE) == O_RDONLY)
			return -EACCES;
		seals = sys_fcntl(wish->fd, F_GET_SEALS, 0);
		if (seals > 0 && (seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)))
			*ret_may_write = false;
		if ((wish->protection & PROT_WRITE) && (flags & O_ACCMODE) == O_RDWR &&
		    !*ret_may_write)
			return -EPERM;
	}
	if ((flags & O_ACCMODE) == O_WRONLY)
		return -EACCES;
	if ((wish->flags & MAP_SYNC) && !is_on_tmpfs(wish->fd))
		return -EOPNOTSUPP;
	return wish->flags & (MAP_GROWSDOWN | MAP_HUGETLB) ? -EINVAL : 0;
}

static bool can_write(int fd)
{
	return (sys_fcntl(fd, F_GETFL, 0) & O_ACCMODE) == O_RDWR;
}

static long make_locked(const struct wish *wish, const struct stat *status, bool may_write)
{
	struct view view = {
		.start = (uintptr_t)wish->address,
		.length = page_up(wish->length),
		.offset = wish->offset,
		.protection = wish->protection & (PROT_READ | PROT_WRITE | PROT_EXEC),
		.kind = is_shared(wish->flags) ? VIEW_SHARED : VIEW_PRIVATE,
		.may_write = may_write,
	};
	int result = views_reserve(4);
	uintptr_t alias = 0;

	if (result == 0 && view.kind == VIEW_SHARED && !wish->address &&
	    !(wish->flags & (MAP_FIXED | MAP_32BIT | MAP_LOCKED)))
		alias = views_alias(status, &view, can_write(wish->fd));
	if (alias)
		return (long)alias;
	if (result == 0)
		result = backing_open(wish->fd, status, &view.backing);
	if (result < 0)
		return result;
	backing_size(view.backing);
	/* Here and not when it is first needed: a thread of ours must not take a number that the
	 * program is just about to have. */
	if (view.kind == VIEW_SHARED && may_write)
		backing_own(view.backing);
	return maps_make_view(&view, wish->flags);
}

static long view_file(const struct wish *wish)
{
	bool may_write;
	struct stat status;
	uint64_t before;
	long result = judge(wish, &may_write);

	if (result == 0)
		result = sys_fstat(wish->fd, &status);
	if (result == 0 && (!S_ISREG(status.st_mode) || !host_can_map(wish->fd)))
		result = -ENODEV;
	if (result < 0)
		return result;
	before = lock_take();
	result = make_locked(wish, &status, may_write);
	lock_leave(before);
	if (!sys_is_error((void *)result))
		refresh_begin();
	return result;
}

static bool is_zero_device(int fd)
{
	struct stat status;

	return sys_fstat(fd, &status) == 0 && S_ISCHR(status.st_mode) &&
	       status.st_rdev == makedev(1, 5);
}

/* Anonymous memory to share is that of a file that nobody else knows. */
static long share_anonymous(const struct wish *wish)
{
	struct wish file_wish = *wish;
	OWN_FD file = -1;
	long result = -HOST_LACKS;

	if (wish->length == 0 || (wish->flags & MAP_TYPE) != MAP_SHARED ||
	    (wish->offset & (VIEW_PAGE - 1)))
		return -EINVAL;
	if (page_up(wish->length) == 0 || (wish->flags & MAP_HUGETLB))
		return -ENOMEM;
	file = make_anonymous_file(page_up(wish->length));
	if (file < 0)
		return file;
	file_wish.fd = file;
	file_wish.offset = 0;
	file_wish.flags &= ~MAP_ANONYMOUS;
	if (boot_config()->mmap != MMAP_EMULATE)
		result = ask_host(&file_wish);
	return result == -HOST_LACKS ? view_file(&file_wish) : result;
}

/* Of /dev/zero it is anonymous memory. */
static long map_zeros(const struct wish *wish)
{
	struct wish anonymous = *wish;
	bool may_write;
	int result = judge(wish, &may_write);

	if (result < 0)
		return result;
	anonymous.fd = -1;
	anonymous.flags = (wish->flags & ~MAP_TYPE) | MAP_ANONYMOUS |
			  (is_shared(wish->flags) ? MAP_SHARED : MAP_PRIVATE);
	return is_shared(wish->flags) ? share_anonymous(&anonymous) : ask_host(&anonymous);
}

/* When the host has refused. */
static long supply(const struct wish *wish)
{
	struct wish traded = *wish;
	OWN_FD file = -1;
	long result = -HOST_LACKS;

	if (wish->flags & MAP_ANONYMOUS)
		return is_shared(wish->flags) ? share_anonymous(wish) : -ENOMEM;
	if (is_zero_device(wish->fd))
		return map_zeros(wish);
	if (is_shared(wish->flags))
		file = maps_trade(wish->fd);
	if (file >= 0) {
		traded.fd = file;
		result = ask_host(&traded);
	}
	return result == -HOST_LACKS ? view_file(&traded) : result;
}

/* As the program says: the host is not asked. */
static bool is_to_be_emulated(const struct wish *wish)
{
	if (boot_config()->mmap != MMAP_EMULATE)
		return false;
	if (wish->flags & MAP_ANONYMOUS)
		return is_shared(wish->flags);
	return (is_shared(wish->flags) || (wish->flags & MAP_TYPE) == MAP_PRIVATE) &&
	       host_can_map(wish->fd) && !is_zero_device(wish->fd);
}

static void push_before(const struct range *range)
{
	uint64_t before = lock_take();

	views_push_in(range);
	lock_leave(before);
}

/* A mapping of the host's has come where views were, or where it can't unmap. */
static void take_place(const struct range *range)
{
	uint64_t before = lock_take();

	if (views_reserve(2) == 0) {
		views_cut(range);
		views_forget(range);
	}
	lock_leave(before);
}

/* Where the host can't unmap, what is gone is used again. */
static long reuse(const struct wish *wish)
{
	struct wish there = *wish;
	struct range range = range_of(wish->address, wish->length);
	uint64_t before = lock_take();
	uintptr_t gone = lacking_place(wish->address, wish->length, wish->flags);
	long result = -HOST_LACKS;

	if (gone && views_reserve(2) == 0) {
		there.address = (void *)gone;
		there.flags = (wish->flags & ~MAP_FIXED_NOREPLACE) | MAP_FIXED;
		result = ask_host(&there);
		range.start = gone;
		if (!sys_is_error((void *)result) && result != -HOST_LACKS) {
			views_cut(&range);
			views_forget(&range);
		}
	}
	lock_leave(before);
	return result;
}

static long map(const struct wish *wish)
{
	struct range range = range_of(wish->address, wish->length);
	long result = -HOST_LACKS;

	/* What a new mapping shows is what the file has. */
	if (!(wish->flags & MAP_ANONYMOUS))
		views_release();
	if (is_to_be_emulated(wish)) {
		taken_note(TRACED_EMULATED);
		return (wish->flags & MAP_ANONYMOUS) ? share_anonymous(wish) : view_file(wish);
	}
	if (views_any() && (wish->flags & MAP_FIXED))
		push_before(&range);
	if (views_any())
		result = reuse(wish);
	if (result == -HOST_LACKS)
		result = ask_host(wish);
	if (result == -HOST_LACKS)
		return supply(wish);
	if (views_any() && (wish->flags & MAP_FIXED) && !sys_is_error((void *)result))
		take_place(&range);
	return result;
}

/* SHMEMU_MMAP=native: the host, and the kernel's file behind one at a mount of ours. */
static long map_natively(const struct wish *wish)
{
	OWN_FD file = -1;
	void *mapped = REAL(mmap)(wish->address, wish->length, wish->protection,
	                                  wish->flags, wish->fd, wish->offset);
	int error = errno;

	if (mapped == MAP_FAILED && error == ENODEV && is_shared(wish->flags) && wish->fd >= 0)
		file = maps_trade(wish->fd);
	if (file >= 0) {
		mapped = REAL(mmap)(wish->address, wish->length, wish->protection,
		                            wish->flags, file, wish->offset);
		error = errno;
	}
	return mapped == MAP_FAILED ? -error : (long)mapped;
}

/* By the road that is the process's. */
static long map_somehow(const struct wish *wish)
{
	int before = errno;
	long result;

	result = boot_config()->mmap == MMAP_NATIVE ? map_natively(wish) : map(wish);
	errno = before;
	return result == -HOST_LACKS ? -ENOMEM : result;
}

long maps_mmap(void *address, size_t length, int protection, int flags, int fd)
{
	return map_somehow(&(struct wish){address, length, protection, flags, fd, 0});
}

/* Over shared memory of System V. */
static long map_over(const struct wish *wish)
{
	struct range range = range_of(wish->address, wish->length);
	uint64_t before = lock_take_attachments();
	long result = attach_reserve();

	if (result == 0)
		result = map_somehow(wish);
	if (!sys_is_error((void *)result)) {
		attach_cut(&range);
		attach_tell();
	}
	lock_leave_attachments(before);
	return result;
}

static bool is_over(const struct wish *wish)
{
	return (wish->flags & MAP_FIXED) && !(wish->flags & MAP_FIXED_NOREPLACE) &&
	       attach_may_touch(wish->address, wish->length) && !lock_has_attachments();
}

static void *export_address(long result)
{
	return export_long(sys_is_error((void *)result) ? result : 0) < 0 ? MAP_FAILED :
	                                                                    (void *)result;
}

__attribute__((noinline)) static void *map_carefully(void *address, size_t length, int protection,
                                                     int flags, int fd, off_t offset)
{
	struct wish wish = {address, length, protection, flags, fd, offset};

	return export_address(is_over(&wish) ? map_over(&wish) : map_somehow(&wish));
}

/* Of all programs' calls most are for private anonymous memory, from allocators: straight on. */
EXPORT void *mmap(void *addr, size_t length, int prot, int flags, int fd, off_t offset)
{
	static const int kind = MAP_TYPE | MAP_ANONYMOUS | MAP_FIXED;
	int before = errno;
	void *mapped;

	if ((flags & kind) != (MAP_PRIVATE | MAP_ANONYMOUS) || views_any())
		return map_carefully(addr, length, prot, flags, fd, offset);
	mapped = REAL(mmap)(addr, length, prot, flags, fd, offset);
	if (mapped != MAP_FAILED || errno == ENOMEM || errno == EINVAL || errno == EEXIST ||
	    errno == EAGAIN || errno == EPERM)
		return mapped;
	errno = before;
	return map_carefully(addr, length, prot, flags, fd, offset);
}

EXPORT_WIDE(mmap64, mmap);

void views_unmap_quiet_locked(void *address, size_t length)
{
	protect_unmap_locked(address, length);
}

long views_map_quiet_locked(size_t length, int fd)
{
	struct wish wish = {NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0};
	struct view view = {
		.length = page_up(length), .protection = wish.protection, .kind = VIEW_QUIET,
		.may_write = true,
	};
	struct stat status;
	long result = -HOST_LACKS;

	if (boot_config()->mmap != MMAP_EMULATE)
		result = ask_host(&wish);
	if (result != -HOST_LACKS || boot_config()->mmap == MMAP_NATIVE)
		return result == -HOST_LACKS ? -ENODEV : result;
	result = sys_fstat(fd, &status);
	if (result == 0)
		result = views_reserve(4);
	if (result == 0)
		result = backing_open(fd, &status, &view.backing);
	return result < 0 ? result : maps_make_view(&view, 0);
}
