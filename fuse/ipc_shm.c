/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* shmget(2), shmctl(2) and what is attached, in the order of Linux's ipc/shm.c: of several reasons
 * to fail the first one there is the first one here. A segment's memory is a file of anon.h that
 * grows as it is used; its number there is the segment's serial number, in a space of its own. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/shm.h>
#include <unistd.h>

#include "base/own.h"
#include "fuse/anon.h"
#include "fuse/extent.h"
#include "fuse/ipc_i.h"
#include "fuse/judge.h"
#include "fuse/keep.h"
#include "fuse/memory.h"
#include "fuse/peer.h"
#include "fuse/proc.h"

/* TIE_LOG: how much of the log one more tie takes, at most. HUGE_SHIFT: linux/shm.h. */
enum { SIZE_MIN = 1, TIE_LOG = 1024, BLOCK_SIZE = 512, HUGE_SHIFT = 26 };

/* Less than this there is: nobody reads /proc/meminfo to know. */
#define SMALL ((uint64_t)16 << 20)

static uint64_t number_of(uint64_t serial)
{
	return serial | 1ULL << 62;
}

static uint64_t page_size(void)
{
	return (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t pages_of(uint64_t size)
{
	return size / page_size() + (size % page_size() != 0);
}

/* Nothing is reserved. But what can't ever have its memory is refused now: later it would be a
 * SIGBUS. */
static int check_room(const struct anon *anon, uid_t uid, uint64_t size)
{
	struct memory memory;
	uint64_t total;
	uint64_t available;

	if (anon_room(anon, uid, &total, &available) == 0)
		return size > available ? -ENOMEM : 0;
	if (size > SMALL && memory_read(&memory) == 0 && size > memory.total)
		return -ENOMEM;
	return 0;
}

static off_t file_size(uint64_t size)
{
	uint64_t most = INT64_MAX - page_size() + 1;

	return (off_t)(size > most ? most : pages_of(size) * page_size());
}

/* A file that is there already is from before a kill: this very request has made it, and there was
 * room. */
static int make_memory(struct ipc *ipc, const struct ipc_object *object, uint64_t size, bool sparse)
{
	uint64_t number = number_of(object->serial);
	OWN_FD file = anon_create(ipc->anon, object->cuid, number);
	int result = 0;

	if (file == -EEXIST) {
		anon_forget(ipc->anon, object->cuid, number);
		file = anon_create(ipc->anon, object->cuid, number);
	} else if (file >= 0 && !sparse) {
		result = check_room(ipc->anon, object->cuid, size);
	}
	if (file < 0)
		return file == -ENOSPC ? -ENOSPC : -ENOMEM;
	if (result == 0 && extent_set_size(file, file_size(size)) < 0)
		result = -ENOMEM;
	if (result == 0 && !ipc->anon->by_name &&
	    ipc_hold(ipc, KEEP_SEGMENT, object->serial, fd_steal(&file)) < 0)
		result = -ENOMEM;
	if (result < 0)
		anon_forget(ipc->anon, object->cuid, number);
	return result;
}

void ipc_shm_forget(struct ipc *ipc, uint64_t serial)
{
	anon_forget_anywhere(ipc->anon, number_of(serial));
}

static int open_memory(struct ipc *ipc, const struct ipc_object *object, int flags)
{
	int held = ipc->anon->by_name ? -1 : ipc_held(ipc, KEEP_SEGMENT, object->serial);
	int file = anon_reopen(ipc->anon, object->cuid, number_of(object->serial), held, flags);

	return file < 0 ? -ENOMEM : file;
}

/* What a host without huge pages set aside says: shmget(2) does not fall back to others. */
static int refuse_huge(const struct ipc_call *call)
{
	const struct store_actor *actor = &call->peer->actor;
	unsigned order = call->asked->flags >> HUGE_SHIFT & 0x3f;

	if (order != 0 && order != 21 && order != 30)
		return -EINVAL;
	if (!judge_has_capability(actor, CAP_IPC_LOCK) &&
	    !judge_in_group(actor, ipc_limits_huge_group()))
		return -EPERM;
	return -ENOMEM;
}

static int make(struct ipc *ipc, struct ipc_call *call)
{
	const struct wire_ipc *asked = call->asked;
	const struct ipc_header *header = ipc_header(ipc);
	uint64_t pages = pages_of(asked->size);
	const struct ipc_object *object;
	int result;

	if (asked->size < SIZE_MIN || asked->size > ipc->limits.shmmax)
		return -EINVAL;
	if (header->shm_pages + pages < pages || header->shm_pages + pages > ipc->limits.shmall)
		return -ENOSPC;
	if (asked->flags & SHM_HUGETLB)
		return refuse_huge(call);
	if (asked->size > INT64_MAX)
		return -EINVAL;
	result = ipc_add(ipc, call, WIRE_SHM, asked->id, asked->flags, ipc->limits.shmmni,
	                 &object);
	if (result == 0)
		result = make_memory(ipc, object, asked->size, asked->flags & SHM_NORESERVE);
	if (result < 0)
		return result;
	ARENA_SET(&ipc->arena, object->size, asked->size);
	ARENA_SET(&ipc->arena, object->pid[0], (uint32_t)call->peer->pid);
	ARENA_SET(&ipc->arena, header->shm_pages, header->shm_pages + pages);
	return object->id;
}

static int fits(const struct ipc_object *object, const struct ipc_call *call)
{
	return object->size < call->asked->size ? -EINVAL : 0;
}

int ipc_shm_get(struct ipc *ipc, struct ipc_call *call)
{
	return ipc_get(ipc, call, WIRE_SHM, make, fits);
}

/* The memory's name goes with the commit: by ipc_shm_forget. */
static void destroy(struct ipc *ipc, const struct ipc_object *object)
{
	const struct ipc_header *header = ipc_header(ipc);

	ARENA_SET(&ipc->arena, header->shm_pages, header->shm_pages - pages_of(object->size));
	ARENA_SET(&ipc->arena, header->shm_removed, object->serial);
	ipc_remove(ipc, object);
}

static int highest_index(const struct ipc *ipc)
{
	int highest = 0;

	for (const struct ipc_object *object = ipc_next(ipc, WIRE_SHM, NULL); object;
	     object = ipc_next(ipc, WIRE_SHM, object))
		if ((object->id & IPC_INDEX_MASK) > highest)
			highest = object->id & IPC_INDEX_MASK;
	return highest;
}

uint64_t ipc_shm_resident(const struct ipc *ipc, const struct ipc_object *object)
{
	uint64_t number = number_of(object->serial);
	int held = ipc->anon->by_name ? -1 : ipc_held(ipc, KEEP_SEGMENT, object->serial);
	struct stat status;
	int result = held < 0 ? anon_stat(ipc->anon, object->cuid, number, &status) :
	                        fstat(held, &status);

	return result == 0 ? (uint64_t)status.st_blocks * BLOCK_SIZE : 0;
}

static uint64_t resident_pages(const struct ipc *ipc)
{
	uint64_t bytes = 0;

	for (const struct ipc_object *object = ipc_next(ipc, WIRE_SHM, NULL); object;
	     object = ipc_next(ipc, WIRE_SHM, object))
		bytes += ipc_shm_resident(ipc, object);
	return bytes / page_size();
}

static int tell_info(struct ipc *ipc, struct ipc_call *call)
{
	const struct ipc_limits *limits = &ipc->limits;
	struct wire_ipc_info info = {.field = {
		limits->shmmax, SIZE_MIN, limits->shmmni, limits->shmmni, limits->shmall,
	}};

	if (call->asked->command == SHM_INFO)
		info = (struct wire_ipc_info){.field = {
			ipc_header(ipc)->used[WIRE_SHM], ipc_header(ipc)->shm_pages,
			resident_pages(ipc),
		}};
	memcpy(call->text, &info, sizeof info);
	call->told.length = sizeof info;
	return highest_index(ipc);
}

static int tell_status(struct ipc *ipc, struct ipc_call *call)
{
	const struct wire_ipc *asked = call->asked;
	const struct ipc_object *object;
	struct wire_ipc_stat stat;
	int result = ipc_find_asked(ipc, call, WIRE_SHM, SHM_STAT_ANY, &object);

	if (result < 0)
		return result;
	stat = ipc_describe(object);
	memcpy(call->text, &stat, sizeof stat);
	call->told.length = sizeof stat;
	return asked->command == IPC_STAT ? 0 : object->id;
}

/* Who has it attached keeps it, and whoever has its id can attach it, but nobody finds it any more.
 */
static void remove_segment(struct ipc *ipc, const struct ipc_object *object)
{
	if (!object->count) {
		destroy(ipc, object);
		return;
	}
	ARENA_SET(&ipc->arena, object->flags, object->flags | IPC_DEST);
	ARENA_SET(&ipc->arena, object->key, IPC_PRIVATE);
}

static uint64_t locked_pages(const struct ipc *ipc, uid_t uid)
{
	uint64_t pages = 0;

	for (const struct ipc_object *object = ipc_next(ipc, WIRE_SHM, NULL); object;
	     object = ipc_next(ipc, WIRE_SHM, object))
		if ((object->flags & IPC_LOCKED) && object->uid == uid)
			pages += pages_of(object->size);
	return pages;
}

/* RLIMIT_MEMLOCK, as far as it can be known: of what is locked elsewhere we know nothing. */
static int check_lock(const struct ipc *ipc, const struct ipc_call *call,
                      const struct ipc_object *object)
{
	const struct store_actor *actor = &call->peer->actor;
	bool locks = call->asked->command == SHM_LOCK;
	uint64_t limit;
	uint64_t pages;

	if (judge_has_capability(actor, CAP_IPC_LOCK))
		return 0;
	if (actor->uid != object->uid && actor->uid != object->cuid)
		return -EPERM;
	if (!locks)
		return 0;
	limit = proc_limit(call->peer->pid, "\nMax locked memory", PROC_UNLIMITED);
	if (limit == 0)
		return -EPERM;
	if (limit == PROC_UNLIMITED || (object->flags & IPC_LOCKED))
		return 0;
	pages = locked_pages(ipc, actor->uid) + pages_of(object->size);
	return pages > limit / page_size() ? -ENOMEM : 0;
}

/* That it is locked is noted. To keep it from being swapped out is not ours. */
static int lock_segment(struct ipc *ipc, struct ipc_call *call)
{
	const struct ipc_object *object;
	uint32_t flags;
	int result = ipc_find(ipc, WIRE_SHM, call->asked->id, &object);

	if (result == 0)
		result = check_lock(ipc, call, object);
	if (result < 0)
		return result;
	flags = object->flags & ~(uint32_t)IPC_LOCKED;
	if (call->asked->command == SHM_LOCK)
		flags |= IPC_LOCKED;
	ARENA_SET(&ipc->arena, object->flags, flags);
	return 0;
}

int ipc_shm_control(struct ipc *ipc, struct ipc_call *call)
{
	if (call->asked->id < 0)
		return -EINVAL;
	switch (call->asked->command) {
	case IPC_INFO: case SHM_INFO: return tell_info(ipc, call);
	case IPC_STAT: case SHM_STAT: case SHM_STAT_ANY: return tell_status(ipc, call);
	case IPC_SET: case IPC_RMID:
		return ipc_own(ipc, call, WIRE_SHM, ipc_set_owner, remove_segment);
	case SHM_LOCK: case SHM_UNLOCK: return lock_segment(ipc, call);
	default: return -EINVAL;
	}
}

static const struct ipc_tie *tie_at(const struct ipc *ipc, uint64_t at)
{
	return arena_at(&ipc->arena, at, sizeof(struct ipc_tie));
}

static const struct ipc_object *object_of(const struct ipc *ipc, const struct ipc_tie *tie)
{
	const struct ipc_object *object = arena_at(&ipc->arena, tie->object, sizeof *object);

	return object && object->serial == tie->serial ? object : NULL;
}

/* *ret_link leads to it. */
static const struct ipc_tie *find_tie(const struct ipc *ipc, const struct ipc_presence *presence,
                                      uint64_t serial, const uint64_t **ret_link)
{
	const uint64_t *link = &presence->ties;
	const struct ipc_tie *tie = tie_at(ipc, *link);

	while (tie && tie->serial != serial) {
		link = &tie->next;
		tie = tie_at(ipc, *link);
	}
	*ret_link = link;
	return tie;
}

static int add_tie(struct ipc *ipc, const struct ipc_presence *presence,
                   const struct ipc_object *object, uint64_t count)
{
	struct ipc_tie tie = {
		.next = presence->ties,
		.object = arena_offset(&ipc->arena, object),
		.serial = object->serial,
		.count = count,
	};
	int64_t at = arena_take(&ipc->arena, sizeof tie);

	if (at < 0)
		return -ENOMEM;
	arena_fill(&ipc->arena, tie_at(ipc, (uint64_t)at), &tie, sizeof tie);
	ARENA_SET(&ipc->arena, presence->ties, (uint64_t)at);
	return 0;
}

static void drop_tie(struct ipc *ipc, const uint64_t *link, const struct ipc_tie *tie)
{
	uint64_t at = *link;

	ARENA_SET(&ipc->arena, *link, tie->next);
	arena_give(&ipc->arena, at, sizeof *tie);
}

/* Which of an object's times. */
enum { ATTACHED, DETACHED };

static void recount(struct ipc *ipc, const struct ipc_object *object, uint64_t count, int when,
                    uint32_t pid)
{
	ARENA_SET(&ipc->arena, object->count, count);
	ARENA_SET(&ipc->arena, object->time[when], ipc_now());
	ARENA_SET(&ipc->arena, object->pid[1], pid);
	if (!count && (object->flags & IPC_DEST))
		destroy(ipc, object);
}

static int presence_of(const struct ipc *ipc, const struct ipc_call *call,
                       const struct ipc_presence **ret_presence)
{
	int result = ipc_presence_of(ipc, &call->asked->presence, ret_presence);

	return result == 0 && !*ret_presence ? -ESTALE : result;
}

static int tie(struct ipc *ipc, const struct ipc_call *call, const struct ipc_presence *presence,
               const struct ipc_object *object)
{
	const uint64_t *link;
	const struct ipc_tie *tie = find_tie(ipc, presence, object->serial, &link);
	int result = 0;

	if (tie)
		ARENA_SET(&ipc->arena, tie->count, tie->count + 1);
	else
		result = add_tie(ipc, presence, object, 1);
	if (result == 0)
		recount(ipc, object, object->count + 1, ATTACHED, (uint32_t)call->peer->pid);
	return result;
}

int ipc_shm_attach(struct ipc *ipc, struct ipc_call *call)
{
	const struct wire_ipc *asked = call->asked;
	bool reads_only = asked->flags & SHM_RDONLY;
	uint32_t want = (reads_only ? 0444 : 0666) | (asked->flags & SHM_EXEC ? 0111 : 0);
	const struct ipc_presence *presence;
	const struct ipc_object *object;
	OWN_FD file = -1;
	int result = asked->id < 0 ? -EINVAL : ipc_find(ipc, WIRE_SHM, asked->id, &object);

	if (result == 0)
		result = ipc_allow(call, object, want);
	if (result == 0)
		result = presence_of(ipc, call, &presence);
	if (result < 0)
		return result;
	file = open_memory(ipc, object, reads_only ? O_RDONLY : O_RDWR);
	if (file < 0)
		return file;
	result = tie(ipc, call, presence, object);
	if (result < 0)
		return result;
	call->told.size = object->size;
	call->fd = fd_steal(&file);
	return 0;
}

static void set_count(struct ipc *ipc, const struct ipc_call *call,
                      const struct ipc_object *object, const uint64_t *link,
                      const struct ipc_tie *tie)
{
	uint64_t before = tie->count;
	uint64_t after = (uint64_t)call->asked->number;

	if (after == before)
		return;
	if (after)
		ARENA_SET(&ipc->arena, tie->count, after);
	else
		drop_tie(ipc, link, tie);
	recount(ipc, object, object->count - before + after, after > before ? ATTACHED : DETACHED,
	        (uint32_t)call->peer->pid);
}

int ipc_shm_count(struct ipc *ipc, struct ipc_call *call)
{
	const struct wire_ipc *asked = call->asked;
	const struct ipc_presence *presence;
	const struct ipc_object *object;
	const struct ipc_tie *tie;
	const uint64_t *link;
	int result;

	if (asked->id < 0 || asked->number < 0)
		return -EINVAL;
	result = presence_of(ipc, call, &presence);
	if (result == 0)
		result = ipc_find(ipc, WIRE_SHM, asked->id, &object);
	if (result < 0)
		return result;
	tie = find_tie(ipc, presence, object->serial, &link);
	if (tie)
		set_count(ipc, call, object, link, tie);
	else if (asked->number)
		return -EINVAL;
	return 0;
}

/* The parent is who attaches them, in the kernel as well. */
int ipc_shm_inherit(struct ipc *ipc, const struct ipc_presence *parent,
                    const struct ipc_presence *child)
{
	for (const struct ipc_tie *tie = tie_at(ipc, parent->ties); tie;
	     tie = tie_at(ipc, tie->next)) {
		const struct ipc_object *object = object_of(ipc, tie);
		int result;

		if (!object)
			continue;
		if (arena_room(&ipc->arena) < TIE_LOG)
			return -ENOMEM;
		result = add_tie(ipc, child, object, tie->count);
		if (result < 0)
			return result;
		recount(ipc, object, object->count + tie->count, ATTACHED, parent->pid);
	}
	return 0;
}

bool ipc_shm_leave(struct ipc *ipc, const struct ipc_presence *presence)
{
	const struct ipc_tie *tie = tie_at(ipc, presence->ties);
	const struct ipc_object *object = tie ? object_of(ipc, tie) : NULL;
	uint64_t count = tie ? tie->count : 0;

	if (!tie)
		return false;
	drop_tie(ipc, &presence->ties, tie);
	if (object)
		recount(ipc, object, object->count - count, DETACHED, presence->pid);
	return true;
}

uint32_t ipc_shm_holders(const struct ipc *ipc, const struct ipc_object *object)
{
	const uint64_t *link;
	uint32_t holders = 0;

	for (const struct ipc_presence *presence = ipc_presence_next(ipc, NULL); presence;
	     presence = ipc_presence_next(ipc, presence))
		holders += find_tie(ipc, presence, object->serial, &link) != NULL;
	return holders;
}
