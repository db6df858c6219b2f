/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/wire.h"

#include <errno.h>
#include <string.h>

#include "base/name.h"
#include "base/wire_ipc.h"

/* What programs ask has not changed since; what the tool asks has, and can be asked in older
 * versions as well. */
static uint16_t version_of(enum wire_op op)
{
	bool is_tools = op == WIRE_LIST || op == WIRE_STATUS || op == WIRE_LIMIT;

	return is_tools || WIRE_VERSION < WIRE_VERSION_IPC ? WIRE_VERSION : WIRE_VERSION_IPC;
}

struct wire_request wire_request_make(enum wire_op op)
{
	struct wire_request request;

	/* memset, not an initialiser: no byte of the host's stack may travel, padding included. */
	memset(&request, 0, sizeof request);
	request.header = (struct wire_header){WIRE_MAGIC, version_of(op), (uint16_t)op};
	return request;
}

void wire_request_name(struct wire_request *request, const char *bytes, size_t length)
{
	memcpy(request->name, bytes, length);
	request->name_length = (uint16_t)length;
}

size_t wire_entry_size(unsigned version)
{
	return version >= WIRE_VERSION_BIRTH ? sizeof(struct wire_entry) :
	                                       offsetof(struct wire_entry, resident);
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

static bool carries_other_name(enum wire_op op)
{
	return op == WIRE_MQ_OPEN || op == WIRE_MQ_UNLINK || op == WIRE_MEMFD;
}

bool wire_is_on_paths(unsigned op)
{
	return op >= WIRE_OP_PATHS && op < WIRE_OP_IPC;
}

bool wire_is_ipc(unsigned op)
{
	return op >= WIRE_OP_IPC && op < WIRE_OP_COUNT;
}

bool wire_takes_file(unsigned op)
{
	return op == WIRE_ADOPT || op == WIRE_LINK_FILE || op == WIRE_MQ_OF;
}

bool wire_brings_file(const struct wire_request *request)
{
	switch (request->header.op) {
	case WIRE_OPEN: case WIRE_OPEN_PATH: case WIRE_TRADE: return true;
	case WIRE_LOOKUP: return request->flags & WIRE_WANT_FILE;
	case WIRE_ROADS:
		return request->flags & (WIRE_WANT_MARKS | WIRE_WANT_FOLDER | WIRE_WANT_LANE);
	default: return false;
	}
}

/* How many paths an operation takes. */
static int path_count(enum wire_op op)
{
	switch (op) {
	case WIRE_ROADS: return 0;
	case WIRE_SYMLINK: case WIRE_LINK: case WIRE_RENAME: return 2;
	default: return 1;
	}
}

const char *wire_path(const struct wire_request *request, int which)
{
	const struct wire_places *places = wire_places_of(request);
	const char *paths = (const char *)(places + 1);

	return which ? paths + places->length[0] : paths;
}

static int check_path(const char *path, size_t length)
{
	if (length > WIRE_PATH_MAX)
		return -EPROTO;
	return memchr(path, '\0', length) ? -EPROTO : 0;
}

/* An operation on paths, whose fixed part is there. */
static int check_places(const struct wire_request *request, size_t size)
{
	const struct wire_places *places = wire_places_of(request);
	int count = path_count(request->header.op);
	int result = 0;

	if (size < sizeof *request + sizeof *places || places->reserved)
		return -EPROTO;
	if (size != sizeof *request + sizeof *places + places->length[0] + places->length[1])
		return -EPROTO;
	for (int i = 0; i < 2 && result == 0; i++) {
		if (i >= count && places->length[i])
			return -EPROTO;
		result = check_path(wire_path(request, i), places->length[i]);
	}
	return result;
}

int wire_check_request(const struct wire_request *request, size_t size)
{
	int result = check_header(&request->header, size);

	if (result < 0)
		return result;
	if (!wire_speaks(request->header.version))
		return -EPROTONOSUPPORT;
	if (size < sizeof *request || request->reserved)
		return -EPROTO;
	if (request->header.op < 1 || request->header.op >= WIRE_OP_COUNT)
		return -EPROTO;
	if (request->header.op >= WIRE_OP_NEW && request->header.version < WIRE_VERSION_NEW)
		return -EPROTO;
	if (request->header.op >= WIRE_OP_IPC && request->header.version < WIRE_VERSION_IPC)
		return -EPROTO;
	if (!carries_name(request->header.op) &&
	    ((request->name_length && !carries_other_name(request->header.op)) ||
	     request->initial_length))
		return -EPROTO;
	if (wire_is_on_paths(request->header.op))
		return check_places(request, size);
	if (wire_is_ipc(request->header.op))
		return wire_check_ipc(request, size);
	if (size != sizeof *request)
		return -EPROTO;
	if (!carries_name(request->header.op))
		return 0;
	if (request->initial_length > WIRE_INITIAL_MAX)
		return -EPROTO;
	if (request->name_length >= WIRE_NAME_SIZE || request->name[request->name_length])
		return -EPROTO;
	return name_is_valid(request->name, request->name_length) ? 0 : -EINVAL;
}

/* An answer to an operation on paths: its tail is in its place behind it. */
static int check_told(const struct wire_reply *reply, size_t size, const struct wire_told *told)
{
	if (size < sizeof *reply + sizeof *told || told->text_length > WIRE_TEXT_MAX ||
	    told->which > 1)
		return -EPROTO;
	return size == sizeof *reply + sizeof *told + told->text_length ? 0 : -EPROTO;
}

int wire_check_reply(const struct wire_reply *reply, size_t size,
                     const struct wire_header *asked, const struct wire_told *told)
{
	enum wire_op op = asked->op;
	size_t entries;
	int result = check_header(&reply->header, size);

	if (result < 0)
		return result;
	if (reply->header.version != asked->version)
		return -EPROTONOSUPPORT;
	if (size < sizeof *reply || reply->result < -4095 ||
	    reply->header.op != (wire_is_on_paths(op) ? op | WIRE_ANSWER : op))
		return -EPROTO;
	if (wire_is_on_paths(op))
		return told ? check_told(reply, size, told) : -EPROTO;
	if (op == WIRE_LIST && reply->result > WIRE_LIST_MAX)
		return -EPROTO;
	entries = op == WIRE_LIST && reply->result > 0 ? (size_t)reply->result : 0;
	return size == sizeof *reply + entries * wire_entry_size(asked->version) ? 0 : -EPROTO;
}
