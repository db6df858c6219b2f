/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/wire.h"

#include <errno.h>
#include <string.h>

#include "base/name.h"

struct wire_request wire_request_make(enum wire_op op)
{
	struct wire_request request;

	/* memset, not an initialiser: no byte of the host's stack may travel, padding included. */
	memset(&request, 0, sizeof request);
	request.header = (struct wire_header){WIRE_MAGIC, WIRE_VERSION, (uint16_t)op};
	return request;
}

void wire_request_name(struct wire_request *request, const char *bytes, size_t length)
{
	memcpy(request->name, bytes, length);
	request->name_length = (uint16_t)length;
}

bool wire_speaks(unsigned version)
{
	return version >= WIRE_VERSION_MIN && version <= WIRE_VERSION;
}

static int check_header(const struct wire_header *header, size_t size)
{
	return size < sizeof *header || header->magic != WIRE_MAGIC ? -EPROTO : 0;
}

static bool carries_name(enum wire_op op)
{
	return op == WIRE_OPEN || op == WIRE_UNLINK;
}

int wire_check_request(const struct wire_request *request, size_t size)
{
	int result = check_header(&request->header, size);

	if (result < 0)
		return result;
	if (!wire_speaks(request->header.version))
		return -EPROTONOSUPPORT;
	if (size != sizeof *request || request->reserved)
		return -EPROTO;
	if (request->header.op < 1 || request->header.op >= WIRE_OP_COUNT)
		return -EPROTO;
	if (!carries_name(request->header.op))
		return request->name_length || request->initial_length ? -EPROTO : 0;
	if (request->initial_length > WIRE_INITIAL_MAX)
		return -EPROTO;
	if (request->name_length >= WIRE_NAME_SIZE || request->name[request->name_length])
		return -EPROTO;
	return name_is_valid(request->name, request->name_length) ? 0 : -EINVAL;
}

int wire_check_reply(const struct wire_reply *reply, size_t size,
                     const struct wire_header *asked)
{
	enum wire_op op = asked->op;
	size_t entries;
	int result = check_header(&reply->header, size);

	if (result < 0)
		return result;
	if (reply->header.version != asked->version)
		return -EPROTONOSUPPORT;
	if (size < sizeof *reply || reply->header.op != op || reply->result < -4095)
		return -EPROTO;
	if (op == WIRE_LIST && reply->result > WIRE_LIST_MAX)
		return -EPROTO;
	entries = op == WIRE_LIST && reply->result > 0 ? (size_t)reply->result : 0;
	return size == sizeof *reply + entries * sizeof(struct wire_entry) ? 0 : -EPROTO;
}
