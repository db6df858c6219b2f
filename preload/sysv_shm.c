/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* shmget, shmat, shmdt, shmctl, as ipc/shm.c has them, and what remap_file_pages does with those
 * mappings. What is attached is the daemon's file of the segment, mapped as any other: natively or,
 * where the host can't, as a view. */
#include <limits.h>
#include <string.h>

#include "base/own.h"
#include "preload/attach.h"
#include "preload/emu_ipc.h"
#include "preload/export.h"
#include "preload/lock.h"
#include "preload/maps.h"
#include "preload/points.h"
#include "preload/sysv.h"

#ifndef SHM_STAT_ANY
#define SHM_STAT_ANY 15
#endif

/* shmat's arguments, as mmap needs them. */
struct wish {
	uintptr_t address;
	int flags; /* shmat's */
	int protection;
	int map_flags;
};

static int parse(const void *address, int flags, struct wish *ret_wish)
{
	struct wish wish = {(uintptr_t)address, flags, PROT_READ, MAP_SHARED};

	if (!wish.address && (flags & SHM_REMAP))
		return -EINVAL;
	if (wish.address) {
		if ((wish.address & (VIEW_PAGE - 1)) && !(flags & SHM_RND))
			return -EINVAL;
		wish.address &= ~(uintptr_t)(VIEW_PAGE - 1);
		if (!wish.address && (flags & SHM_REMAP))
			return -EINVAL;
		/* What rounding has made 0 is an address, as the kernel sees it. */
		wish.map_flags |= wish.address && !(flags & SHM_REMAP) ? MAP_FIXED_NOREPLACE :
		                                                         MAP_FIXED;
	}
	if (!(flags & SHM_RDONLY))
		wish.protection |= PROT_WRITE;
	if (flags & SHM_EXEC)
		wish.protection |= PROT_EXEC;
	*ret_wish = wish;
	return 0;
}

/* Returns the address, or -errno. */
static long map(const struct wish *wish, size_t size, int file)
{
	long result = -EINVAL;

	/* In the kernel's numbers, whose are 64 bits for whatever program. */
	if (!(wish->map_flags & MAP_FIXED_NOREPLACE) ||
	    (uint64_t)wish->address + size >= wish->address)
		result = maps_mmap((void *)wish->address, size, wish->protection, wish->map_flags,
		                   file);
	/* A kernel that does not know MAP_FIXED_NOREPLACE takes it for a hint. */
	if (!sys_is_error((void *)result) && (wish->map_flags & MAP_FIXED_NOREPLACE) &&
	    (uintptr_t)result != wish->address) {
		protect_munmap((void *)result, size);
		result = -EEXIST;
	}
	return result == -EEXIST ? -EINVAL : result;
}

static long attach(int id, const struct wish *wish)
{
	struct client_ipc call = client_ipc_make(WIRE_SHM_ATTACH);
	struct attachment attachment = {
		.id = id, .protection = wish->protection,
		.may_write = wish->protection & PROT_WRITE,
	};
	struct range range;
	long result = attach_reserve();

	if (result < 0)
		return result;
	call.asked.id = id;
	call.asked.flags = (uint32_t)wish->flags;
	result = ask_ipc_present(&call, CLIENT_PATIENT, false);
	if (result < 0 && result != -EMFILE)
		return result == -ENFILE ? -ENOMEM : result;

	OWN_FD file = call.fd;

	attachment.presence = call.asked.presence.number;
	attachment.size = page_up((size_t)call.told.size);
	/* A 32-bit program may be shown more than it has addresses for. */
	if (file < 0 || attachment.size < call.told.size)
		result = -ENOMEM;
	else
		result = map(wish, attachment.size, file);
	if (sys_is_error((void *)result)) {
		/* It is not attached after all. */
		attach_tell_of(&attachment);
		return result;
	}
	range = (struct range){(uintptr_t)result, attachment.size};
	if (wish->map_flags & MAP_FIXED)
		attach_cut(&range);
	attach_add(&attachment, range.start);
	attach_tell();
	return result;
}

long emu_shmget(key_t key, size_t size, int flags)
{
	long result = sysv_get(WIRE_SHM, key, size, flags);

	trace_number("shmget", key, result);
	return result;
}

long emu_shmat(int id, const void *address, int flags)
{
	struct wish wish;
	uint64_t before;
	long result = id < 0 ? -EINVAL : parse(address, flags, &wish);

	if (result < 0)
		return result;
	before = lock_take_attachments();
	result = attach(id, &wish);
	lock_leave_attachments(before);
	trace_number("shmat", id, result);
	return result;
}

static long detach(uintptr_t address)
{
	struct attach_cursor cursor = {0};
	struct range range;
	long result = -EINVAL;

	if (attach_reserve() < 0)
		return -ENOMEM;
	while (attach_find(address, &cursor, &range)) {
		protect_munmap((void *)range.start, range.length);
		attach_cut(&range);
		result = 0;
	}
	attach_tell();
	return result;
}

long emu_shmdt(const void *address)
{
	uint64_t before;
	long result;

	if ((uintptr_t)address & (VIEW_PAGE - 1))
		return -EINVAL;
	before = lock_take_attachments();
	result = detach((uintptr_t)address);
	lock_leave_attachments(before);
	trace_number("shmdt", (long)address, result);
	return result;
}

/* What is mapped anew is unmapped first: a removed segment's end, if nothing else keeps it. */
static bool is_last(const struct range *range)
{
	enum { INDEX_MASK = 0x7fff };
	struct wire_ipc_stat stat;
	struct attachment of;

	return attach_of(range->start, &of) &&
	       sysv_stat(WIRE_SHM, of.id & INDEX_MASK, SHM_STAT_ANY, &stat) == of.id &&
	       (stat.mode & SHM_DEST) && stat.count == attach_count_in(&of, range);
}

static long remap(const struct range *range, size_t page, int flags)
{
	struct attachment of;
	long result;

	if (attach_reserve() < 0)
		return -ENOMEM;
	if (is_last(range)) {
		protect_munmap((void *)range->start, range->length);
		attach_cut(range);
		result = -EINVAL;
	} else {
		result = sys_call(SYS_remap_file_pages, (long)range->start, (long)range->length, 0,
		                  (long)page, flags, 0);
		if (result == 0 && attach_of(range->start, &of))
			attach_shifted(range, page * VIEW_PAGE);
	}
	attach_tell();
	return result;
}

long emu_remap_file_pages(void *address, size_t size, int protection, size_t page, int flags)
{
	struct range range = {(uintptr_t)address & ~(uintptr_t)(VIEW_PAGE - 1),
	                      size & ~(size_t)(VIEW_PAGE - 1)};
	uint64_t before;
	long result;

	if (protection || range_end(&range) <= range.start ||
	    !attach_may_touch((void *)range.start, range.length))
		return sys_call(SYS_remap_file_pages, (long)address, (long)size, protection,
		                (long)page, flags, 0);
	before = lock_take_attachments();
	result = remap(&range, page, flags);
	lock_leave_attachments(before);
	return result;
}

static long describe(int id, int command, struct shmid_ds *ret_status)
{
	struct wire_ipc_stat stat;
	long result = sysv_stat(WIRE_SHM, id, command, &stat);
	int copied;

	if (result < 0)
		return result;
	copied = sysv_put(ret_status, &(struct shmid_ds){
		.shm_perm = sysv_perm(&stat),
		.shm_segsz = stat.size,
		.shm_atime = stat.time[0],
		.shm_dtime = stat.time[1],
		.shm_ctime = stat.time[2],
		.shm_cpid = (pid_t)stat.pid[0],
		.shm_lpid = (pid_t)stat.pid[1],
		.shm_nattch = stat.count,
	}, sizeof *ret_status);
	return copied < 0 ? copied : result;
}

/* As the kernel has it for 32-bit programs. */
static unsigned long at_most(uint64_t size)
{
	return sizeof(long) < sizeof size && size > INT_MAX ? INT_MAX : (unsigned long)size;
}

static long tell_limits(struct shminfo *ret_limits)
{
	struct wire_ipc_info info;
	long result = sysv_info(WIRE_SHM, IPC_INFO, &info);
	int copied;

	if (result < 0)
		return result;
	copied = sysv_put(ret_limits, &(struct shminfo){
		.shmmax = at_most(info.field[0]),
		.shmmin = info.field[1],
		.shmmni = info.field[2],
		.shmseg = info.field[3],
		.shmall = info.field[4],
	}, sizeof *ret_limits);
	return copied < 0 ? copied : result;
}

static long tell_usage(struct shm_info *ret_usage)
{
	struct wire_ipc_info info;
	struct shm_info usage;
	long result = sysv_info(WIRE_SHM, SHM_INFO, &info);
	int copied;

	if (result < 0)
		return result;
	memset(&usage, 0, sizeof usage);
	usage.used_ids = (int)info.field[0];
	usage.shm_tot = info.field[1];
	usage.shm_rss = info.field[2];
	usage.shm_swp = info.field[3];
	usage.swap_attempts = info.field[4];
	usage.swap_successes = info.field[5];
	copied = sysv_put(ret_usage, &usage, sizeof usage);
	return copied < 0 ? copied : result;
}

static long set(int id, const struct shmid_ds *wanted)
{
	struct shmid_ds status;
	int result = sysv_take(&status, wanted, sizeof status);

	return result < 0 ? result : sysv_set(WIRE_SHM, id, &status.shm_perm, 0);
}

static long control(int id, int command, void *buffer)
{
	struct client_ipc call;

	if (id < 0 || command < 0)
		return -EINVAL;
	switch (command) {
	case IPC_INFO:
		return tell_limits(buffer);
	case SHM_INFO:
		return tell_usage(buffer);
	case IPC_STAT: case SHM_STAT: case SHM_STAT_ANY:
		return describe(id, command, buffer);
	case IPC_SET:
		return set(id, buffer);
	case IPC_RMID: case SHM_LOCK: case SHM_UNLOCK:
		call = sysv_control(WIRE_SHM, id, command);
		return ask_ipc(&call, CLIENT_PATIENT, false);
	default:
		return -EINVAL;
	}
}

long emu_shmctl(int id, int command, void *buffer)
{
	long result = control(id, command, buffer);

	trace_number("shmctl", id, result);
	return result;
}

EXPORT int shmget(key_t key, size_t size, int flags)
{
	return (int)export_long(emu_shmget(key, size, flags));
}

EXPORT void *shmat(int id, const void *address, int flags)
{
	long result = emu_shmat(id, address, flags);

	return (void *)(sys_is_error((void *)result) ? export_long(result) : result);
}

EXPORT int shmdt(const void *address)
{
	return (int)export_long(emu_shmdt(address));
}

EXPORT int remap_file_pages(void *address, size_t size, int protection, size_t page, int flags)
{
	return (int)export_long(emu_remap_file_pages(address, size, protection, page, flags));
}

EXPORT int shmctl(int id, int command, struct shmid_ds *buffer)
{
	return (int)export_long(emu_shmctl(id, command, buffer));
}
