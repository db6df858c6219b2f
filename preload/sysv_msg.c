/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* msgget, msgsnd, msgrcv, msgctl. A message's bytes go from and to the program's memory as they
 * are; its type is beside them there and elsewhere in the request. */
#include <string.h>

#include "base/sys.h"
#include "preload/emu_ipc.h"
#include "preload/export.h"
#include "preload/points.h"
#include "preload/shared.h"
#include "preload/sysv.h"

/* What a program passes. */
struct message {
	long type;
	char bytes[];
};

long emu_msgget(key_t key, int flags)
{
	return sysv_get(WIRE_MSG, key, 0, flags);
}

static struct shared_wait wait_of(int flags)
{
	return (struct shared_wait){
		.never = flags & IPC_NOWAIT,
		.fd = -1,
		.how = CLIENT_NEVER_RESTART,
	};
}

static long ask_for(const struct shared_key *key, const struct shared_wait *wait,
                    struct client_ipc *call)
{
	long result;

	call->asked.since = wait->since;
	result = ask_ipc(call, CLIENT_NEVER_RESTART, true);
	if (result >= 0)
		shared_note(key);
	/* It was there: a daemon that has come since knows of none. */
	return result == -EINVAL && wait->since ? -EIDRM : result;
}

/* To the kernel a message that is too large is that before it is read. */
static bool is_too_large(size_t size)
{
	struct wire_ipc_info limits;

	return sysv_info(WIRE_MSG, IPC_INFO, &limits) >= 0 && size > limits.field[2];
}

static long send_message(int id, const struct message *message, size_t size, int flags)
{
	struct client_ipc call = client_ipc_make(WIRE_MSG_SEND);
	struct shared_key key = {WIRE_MSG, (uint64_t)id, NULL};
	struct shared_wait wait = wait_of(flags);
	long type;
	int result;

	if (sysv_take(&type, &message->type, sizeof type) < 0)
		return -EFAULT;
	if (size > WIRE_BYTES_MAX || id < 0 || type < 1)
		return -EINVAL;
	result = shared_send(&key, type, message->bytes, size, &wait);
	if (result != SHARED_ASK)
		return result;
	call.asked.id = id;
	call.asked.type = type;
	call.asked.flags = (uint32_t)flags;
	call.bytes = message->bytes;
	call.asked.length = (uint32_t)size;
	return ask_for(&key, &wait, &call);
}

long emu_msgsnd(int id, const void *message, size_t size, int flags)
{
	long result;

	points_tell();
	result = send_message(id, message, size, flags);
	if (result == -EFAULT && sysv_look(message, sizeof(long)) == 0 && is_too_large(size))
		result = -EINVAL;
	points_hear();
	return result;
}

static long receive_shared(const struct shared_key *key, struct message *message, size_t size,
                           long type, int flags, struct shared_wait *wait, bool *ret_ask)
{
	struct queue_wish wish = {type, flags, size};
	int64_t got;
	long of;
	long result = shared_receive(key, &wish, message->bytes, &got, wait, ret_ask);

	if (*ret_ask)
		return 0;
	of = got;
	if (result >= 0 && sysv_put(&message->type, &of, sizeof of) < 0)
		return -EFAULT;
	return result == -EAGAIN ? -ENOMSG : result;
}

/* What finds no memory there is lost, as the kernel has it. */
static long receive_message(int id, struct message *message, size_t size, long type, int flags)
{
	struct client_ipc call = client_ipc_make(WIRE_MSG_RECEIVE);
	struct shared_key key = {WIRE_MSG, (uint64_t)id, NULL};
	struct shared_wait wait = wait_of(flags);
	bool ask = true;
	long got;
	long result;

	if (id < 0 || (ssize_t)size < 0)
		return -EINVAL;
	if (size > WIRE_BYTES_MAX)
		size = WIRE_BYTES_MAX;
	if (!(flags & MSG_COPY))
		result = receive_shared(&key, message, size, type, flags, &wait, &ask);
	if (!ask)
		return result;
	call.asked.id = id;
	call.asked.type = type;
	call.asked.flags = (uint32_t)flags;
	call.asked.size = size;
	/* Behind no message there is no memory: the kernel says so. */
	call.text = message->bytes;
	call.text_room = size;
	result = ask_for(&key, &wait, &call);
	if (result < 0)
		return result;
	got = call.told.type;
	if (sysv_put(&message->type, &got, sizeof got) < 0)
		return -EFAULT;
	return call.told.length;
}

long emu_msgrcv(int id, void *message, size_t size, long type, int flags)
{
	long result;

	points_tell();
	result = receive_message(id, message, size, type, flags);
	points_hear();
	return result;
}

static long get_stat(int id, int command, struct msqid_ds *buffer)
{
	struct wire_ipc_stat stat;
	struct msqid_ds queue;
	long result = sysv_stat(WIRE_MSG, id, command, &stat);

	if (result < 0)
		return result;
	memset(&queue, 0, sizeof queue);
	queue.msg_perm = sysv_perm(&stat);
	queue.msg_stime = stat.time[0];
	queue.msg_rtime = stat.time[1];
	queue.msg_ctime = stat.time[2];
	queue.msg_cbytes = stat.bytes;
	queue.msg_qnum = stat.count;
	queue.msg_qbytes = stat.size;
	queue.msg_lspid = (pid_t)stat.pid[0];
	queue.msg_lrpid = (pid_t)stat.pid[1];
	return sysv_put(buffer, &queue, sizeof queue) < 0 ? -EFAULT : result;
}

static long get_info(int command, struct msginfo *buffer)
{
	struct wire_ipc_info wire;
	struct msginfo info;
	long result = sysv_info(WIRE_MSG, command, &wire);

	if (result < 0)
		return result;
	memset(&info, 0, sizeof info);
	info.msgpool = (int)wire.field[0];
	info.msgmap = (int)wire.field[1];
	info.msgmax = (int)wire.field[2];
	info.msgmnb = (int)wire.field[3];
	info.msgmni = (int)wire.field[4];
	info.msgssz = (int)wire.field[5];
	info.msgtql = (int)wire.field[6];
	info.msgseg = (unsigned short)wire.field[7];
	return sysv_put(buffer, &info, sizeof info) < 0 ? -EFAULT : result;
}

static long set_owner(int id, const struct msqid_ds *buffer)
{
	struct msqid_ds queue;

	if (sysv_take(&queue, buffer, sizeof queue) < 0)
		return -EFAULT;
	return sysv_set(WIRE_MSG, id, &queue.msg_perm, queue.msg_qbytes);
}

long emu_msgctl(int id, int command, void *buffer)
{
	struct client_ipc call;

	if (id < 0)
		return -EINVAL;
	switch (command) {
	case IPC_STAT: case MSG_STAT: case MSG_STAT_ANY:
		return get_stat(id, command, buffer);
	case IPC_INFO: case MSG_INFO:
		return get_info(command, buffer);
	case IPC_SET:
		return set_owner(id, buffer);
	case IPC_RMID:
		call = sysv_control(WIRE_MSG, id, command);
		return ask_ipc(&call, CLIENT_PATIENT, false);
	default:
		return -EINVAL;
	}
}

static long traced(const char *call, long id, long result)
{
	trace_address(call, (void *)id, (int)result);
	return export_long(result);
}

EXPORT int msgget(key_t key, int flags)
{
	return (int)traced("msgget", key, emu_msgget(key, flags));
}

EXPORT int msgsnd(int id, const void *message, size_t size, int flags)
{
	return (int)traced("msgsnd", id, emu_msgsnd(id, message, size, flags));
}

EXPORT ssize_t msgrcv(int id, void *message, size_t size, long type, int flags)
{
	return traced("msgrcv", id, emu_msgrcv(id, message, size, type, flags));
}

EXPORT int msgctl(int id, int command, struct msqid_ds *buffer)
{
	return (int)traced("msgctl", id, emu_msgctl(id, command, buffer));
}
