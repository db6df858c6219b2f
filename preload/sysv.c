/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "preload/sysv.h"

#include <signal.h>
#include <string.h>

#include "base/sys.h"

enum { PAGE = 4096, WORD = sizeof(uint64_t) };

/* The next address to be looked at, after one in the same page: where another page begins, or
 * near the end; 0: all was seen. */
static uintptr_t next_look(uintptr_t at, uintptr_t end)
{
	uintptr_t page = (at | (PAGE - 1)) + 1;

	if (at + WORD >= end)
		return 0;
	return page && page + WORD <= end ? page : end - WORD;
}

/* A call that reads 8 bytes and then fails. At 0 it would read none. */
static bool is_readable(uintptr_t at)
{
	enum { NO_SUCH_WAY = 99 };

	return at && sys_call(SYS_rt_sigprocmask, NO_SUCH_WAY, (long)at, 0, WORD, 0, 0) != -EFAULT;
}

/* Calls that write there: what they write is about to be written over. */
static bool is_writable(uintptr_t at)
{
	return sys_call(SYS_rt_sigprocmask, SIG_BLOCK, 0, (long)at, WORD, 0, 0) != -EFAULT;
}

static bool is_writable_part(uintptr_t at, size_t size)
{
	enum { DONT_WAIT = 1 };

	return sys_call(SYS_getrandom, (long)at, (long)size, DONT_WAIT, 0, 0, 0) != -EFAULT;
}

int sysv_look(const void *from, size_t size)
{
	uintptr_t at = (uintptr_t)from, end = at + size;

	if (size == 0)
		return 0;
	if (!at || end < at)
		return -EFAULT;
	/* Of 8 bytes that begin at a multiple of 8 all are there, or none. */
	if (size < WORD &&
	    (!is_readable(at / WORD * WORD) || !is_readable((end - 1) / WORD * WORD)))
		return -EFAULT;
	for (; size >= WORD && at; at = next_look(at, end))
		if (!is_readable(at))
			return -EFAULT;
	return 0;
}

int sysv_take(void *ret_copy, const void *from, size_t size)
{
	int result = sysv_look(from, size);

	if (result == 0)
		memcpy(ret_copy, from, size);
	return result;
}

int sysv_put(void *to, const void *bytes, size_t size)
{
	uintptr_t at = (uintptr_t)to, end = at + size;

	if (!at || end < at)
		return -EFAULT;
	if (size < WORD && !is_writable_part(at, size))
		return -EFAULT;
	for (; size >= WORD && at; at = next_look(at, end))
		if (!is_writable(at))
			return -EFAULT;
	memcpy(to, bytes, size);
	return 0;
}

long sysv_get(enum wire_family family, key_t key, uint64_t size, int flags)
{
	struct client_ipc call = client_ipc_make(WIRE_IPC_GET);

	call.asked.family = family;
	call.asked.id = key;
	call.asked.size = size;
	call.asked.flags = (uint32_t)flags;
	return ask_ipc(&call, CLIENT_PATIENT, false);
}

struct client_ipc sysv_control(enum wire_family family, int id, int command)
{
	struct client_ipc call = client_ipc_make(WIRE_IPC_CONTROL);

	call.asked.family = family;
	call.asked.id = id;
	call.asked.command = command;
	return call;
}

static long ask_for(struct client_ipc *call, void *text, size_t size)
{
	int result;

	memset(text, 0, size);
	call->text = text;
	call->text_room = size;
	result = ask_ipc(call, CLIENT_PATIENT, false);
	return result >= 0 && call->told.length != size ? -ENOSYS : result;
}

long sysv_stat(enum wire_family family, int id, int command, struct wire_ipc_stat *ret_stat)
{
	struct client_ipc call = sysv_control(family, id, command);

	return ask_for(&call, ret_stat, sizeof *ret_stat);
}

long sysv_info(enum wire_family family, int command, struct wire_ipc_info *ret_info)
{
	struct client_ipc call = sysv_control(family, 0, command);

	return ask_for(&call, ret_info, sizeof *ret_info);
}

long sysv_set(enum wire_family family, int id, const struct ipc_perm *perm, uint64_t size)
{
	struct client_ipc call = sysv_control(family, id, IPC_SET);
	struct wire_ipc_stat wanted = {
		.uid = perm->uid, .gid = perm->gid, .mode = perm->mode, .size = size,
	};

	call.bytes = &wanted;
	call.asked.length = sizeof wanted;
	return ask_ipc(&call, CLIENT_PATIENT, false);
}

struct ipc_perm sysv_perm(const struct wire_ipc_stat *stat)
{
	return (struct ipc_perm){
		.__key = stat->key,
		.uid = stat->uid,
		.gid = stat->gid,
		.cuid = stat->cuid,
		.cgid = stat->cgid,
		.mode = (mode_t)stat->mode,
		.__seq = (unsigned short)stat->sequence,
	};
}
