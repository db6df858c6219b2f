/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Two places: this process's own, and while it forks its child's. In the child they change sides,
 * as a guarded descriptor's place can't move. */
#include "preload/presence.h"

#include <stdatomic.h>

#include "base/client.h"
#include "base/client_ipc.h"
#include "base/own.h"
#include "preload/ask_i.h"
#include "preload/attach.h"
#include "preload/boot.h"
#include "preload/guard.h"
#include "preload/lock.h"

struct presence {
	struct wire_handle handle; /* number 0: none */
	int sock;                  /* guarded */
	dev_t device;              /* of the socket, ... */
	ino_t inode;               /* ... as programs may close what they did not open */
};

/* Under the lock. */
static struct {
	struct presence each[2];
	int own;
} presences = {.each = {{.sock = -1}, {.sock = -1}}};

/* The own one's, for presence_self: its handle's number, and the pid in a word of its own. */
static _Atomic uint64_t self_number;
static _Atomic uint32_t self_pid;

static void note_self(void)
{
	atomic_store(&self_pid, (uint32_t)sys_getpid());
	atomic_store(&self_number, presences.each[presences.own].handle.number);
}

bool presence_self(struct presence_self *ret_self)
{
	uint64_t number = atomic_load_explicit(&self_number, memory_order_relaxed);

	*ret_self = (struct presence_self){
		.pid = atomic_load_explicit(&self_pid, memory_order_relaxed),
		.owner = number & WIRE_OWNER_MASK,
	};
	return number != 0;
}

/* Asks over a new connection, which is then the presence. The parent's handle is in the call. */
static int ask_for(int other, struct client_ipc *call, struct presence *ret_presence)
{
	OWN_FD sock = client_adopt(other);
	struct stat status;
	int result = sock < 0 ? sock : client_ipc_send(sock, call);

	if (result == 0)
		result = client_ipc_receive(sock, call, CLIENT_PATIENT);
	if (result < 0 || call->reply.result < 0)
		return result;
	result = sys_fstat(sock, &status);
	if (result < 0)
		return result;
	*ret_presence = (struct presence){
		.handle = call->told.handle,
		.device = status.st_dev,
		.inode = status.st_ino,
		.sock = fd_steal(&sock),
	};
	return 0;
}

struct birth {
	struct client_ipc call;
	struct presence made;
};

static int put(const struct question *question, struct line line)
{
	struct birth *birth = question->what;

	return ask_for(line.sock, &birth->call, &birth->made);
}

/* The program may have closed it by ways that the guard does not see. The lock is held. */
static void drop(struct presence *presence)
{
	struct stat status;

	if (presence->sock < 0)
		return;
	if (sys_fstat(presence->sock, &status) < 0 || status.st_dev != presence->device ||
	    status.st_ino != presence->inode)
		guard_forget(&presence->sock);
	else
		guard_close(&presence->sock);
	presence->handle = (struct wire_handle){0};
	note_self();
}

/* Puts it at its place. */
static int settle(struct presence *place, const struct presence *made)
{
	int result;

	*place = *made;
	result = guard_keep(&place->sock);
	if (result == 0)
		return 0;
	sys_close(place->sock);
	*place = (struct presence){.sock = -1};
	return result;
}

static int make(struct wire_handle *ret_handle)
{
	struct birth birth = {
		.call = client_ipc_make(WIRE_IPC_PRESENT),
		.made = {.sock = -1},
	};
	struct question question = {
		.put = put,
		.what = &birth,
		.needs_number = true,
		.header = &birth.call.reply.header,
	};
	int result = ask_question_ipc(&question);
	struct presence *own;
	uint64_t before;

	if (result == 0)
		result = birth.call.reply.result;
	if (result < 0)
		return result;
	before = lock_take();
	own = &presences.each[presences.own];
	/* Another thread may have been here first. */
	if (own->handle.number)
		sys_close(birth.made.sock);
	else
		result = settle(own, &birth.made);
	note_self();
	*ret_handle = own->handle;
	lock_leave(before);
	return result;
}

int presence_get(struct wire_handle *ret_handle)
{
	uint64_t before = lock_take();

	*ret_handle = presences.each[presences.own].handle;
	lock_leave(before);
	if (ret_handle->number)
		return 0;
	/* A child of vfork has descriptors of its own, which its parent knows nothing of. */
	return boot_is_borrowed() ? -ENOSYS : make(ret_handle);
}

bool presence_is(uint64_t number, struct wire_handle *ret_handle)
{
	uint64_t before = lock_take();

	*ret_handle = presences.each[presences.own].handle;
	lock_leave(before);
	return number && ret_handle->number == number;
}

void presence_forget(const struct wire_handle *handle)
{
	struct presence *own;
	uint64_t before;

	if (boot_is_borrowed())
		return;
	before = lock_take();
	own = &presences.each[presences.own];
	if (own->handle.number == handle->number && own->handle.secret == handle->secret)
		drop(own);
	lock_leave(before);
}

static void log_uncounted(int result)
{
	struct text line = TEXT_NULL;

	text_string(&line, "a forked child's attachments of shared memory are not counted");
	boot_log_error(line, -result);
}

/* By the parent's own connection: if its daemon is gone there is nothing to be inherited, and none
 * is started. */
__attribute__((cold)) void presence_before_fork(void)
{
	const struct presence *own = &presences.each[presences.own];
	struct client_ipc call;
	struct presence made = {.sock = -1};
	int result;

	if (!own->handle.number)
		return;
	call = client_ipc_make(WIRE_IPC_PRESENT);
	call.asked.presence = own->handle;
	result = ask_for(own->sock, &call, &made);
	if (result == 0)
		result = call.reply.result;
	if (result == 0)
		result = settle(&presences.each[!presences.own], &made);
	if (result < 0 && result != -ECONNRESET && result != -ESTALE)
		log_uncounted(result);
}

__attribute__((cold)) void presence_after_fork_parent(void)
{
	drop(&presences.each[!presences.own]);
}

__attribute__((cold)) void presence_after_fork_child(void)
{
	struct presence *parents = &presences.each[presences.own];
	struct presence *own = &presences.each[!presences.own];
	struct client_ipc call;

	if (!parents->handle.number)
		return;
	attach_renumber(parents->handle.number, own->handle.number);
	drop(parents);
	presences.own = !presences.own;
	note_self();
	if (!own->handle.number)
		return;
	call = client_ipc_make(WIRE_IPC_PRESENT);
	call.asked.presence = own->handle;
	call.asked.flags = WIRE_PRESENT_CHILD;
	client_ipc_send(own->sock, &call);
}
