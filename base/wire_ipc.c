/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/wire_ipc.h"

#include <errno.h>
#include <string.h>
#include <sys/sem.h>

enum { ATTRIBUTES_SIZE = 2 * sizeof(int64_t) };

/* Can that many bytes follow? What they say is for the call itself to judge. */
static bool length_fits(enum wire_op op, uint32_t length)
{
	switch (op) {
	case WIRE_SEM_OP: return length % sizeof(struct sembuf) == 0;
	case WIRE_IPC_CONTROL: return true;
	case WIRE_MSG_SEND: case WIRE_MQ_SEND: return true;
	case WIRE_MQ_OPEN: return length == 0 || length == ATTRIBUTES_SIZE;
	default: return length == 0;
	}
}

static bool family_fits(enum wire_op op, uint32_t family)
{
	switch (op) {
	case WIRE_IPC_GET: case WIRE_IPC_CONTROL: return family >= WIRE_SHM && family <= WIRE_MSG;
	case WIRE_IPC_LIST: return family < WIRE_FAMILY_COUNT;
	default: return true;
	}
}

int wire_check_ipc(const struct wire_request *request, size_t size)
{
	const struct wire_ipc *asked = wire_ipc_of(request);
	enum wire_op op = request->header.op;

	if (size < sizeof *request + sizeof *asked || asked->reserved ||
	    asked->length > WIRE_BYTES_MAX)
		return -EPROTO;
	if (size != sizeof *request + sizeof *asked + asked->length)
		return -EPROTO;
	if (!length_fits(op, asked->length) || !family_fits(op, asked->family))
		return -EPROTO;
	if (request->name_length >= WIRE_NAME_SIZE || request->name[request->name_length] ||
	    memchr(request->name, '\0', request->name_length))
		return -EPROTO;
	return 0;
}

int wire_check_ipc_told(const struct wire_reply *reply, size_t size,
                        const struct wire_header *asked, const struct wire_ipc_told *told)
{
	if (size < sizeof reply->header || reply->header.magic != WIRE_MAGIC)
		return -EPROTO;
	if (reply->header.version != asked->version)
		return -EPROTONOSUPPORT;
	if (size < sizeof *reply + sizeof *told || reply->result < -4095 ||
	    reply->header.op != (asked->op | WIRE_ANSWER))
		return -EPROTO;
	if (told->length > WIRE_BYTES_MAX || size != sizeof *reply + sizeof *told + told->length)
		return -EPROTO;
	return 0;
}
