/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The operations on names, and on the daemon itself. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuse/door_i.h"
#include "fuse/holders.h"
#include "fuse/journal.h"
#include "fuse/limit.h"
#include "fuse/peer.h"
#include "fuse/token.h"
#include "fuse/tree.h"

enum { BLOCK_SIZE = 512 };

/* The asker opens what is new itself, by its number. */
static int make_unopened(struct call *call, const struct peer *peer,
                         const struct store_birth *birth)
{
	const struct wire_request *request = call->request;
	struct store *store = call->connection->door->store;
	struct store_node *node;
	int result = store_make(store, &peer->actor, store_root(store), request->name,
	                        (int)request->flags, birth, &node);

	if (result < 0)
		return result;
	call->reply.ino = store_node_ino(node);
	call->reply.created = true;
	call_tell_limits(call);
	call->reply.roads.number = store_number(store, request->name);
	return 0;
}

static int open_and_send(struct call *call, const struct peer *peer,
                         const struct store_birth *birth)
{
	const struct wire_request *request = call->request;
	struct store *store = call->connection->door->store;
	struct store_node *node = NULL;
	bool created = false;
	int fd = store_open(store, &peer->actor, store_root(store), request->name,
	                    (int)request->flags, birth, &node, &created);

	if (fd < 0)
		return fd;
	/* What shm_open gives can be read, and whoever asks so knows of no other kind. */
	if (!S_ISREG(store_node_type(node)) && !(request->flags & O_PATH)) {
		close(fd);
		return S_ISDIR(store_node_type(node)) ? -EISDIR : -ENXIO;
	}
	call->fd = fd;
	call->reply.ino = store_node_ino(node);
	call->reply.created = created;
	/* Which is of use to who can ask for roads. */
	if (request->header.version >= WIRE_VERSION_NEW)
		call->reply.roads.number = store_number(store, request->name);
	return 0;
}

int call_open(struct call *call)
{
	const struct wire_request *request = call->request;
	struct store *store = call->connection->door->store;
	struct store_birth birth = {
		.mode = request->mode & 07777,
		.uid = call->sender.uid,
		.gid = call->sender.gid,
		.initial = request->initial,
		.initial_length = request->initial_length,
	};
	bool is_new = (request->flags & O_CREAT) &&
	              !store_lookup(store, store_root(store), request->name);
	struct peer peer;

	peer_init(&peer, &call->sender, call->connection->source.fd);
	if (is_new)
		birth.creator = *call_creator(call);
	if (is_new && call->opens && store_has_numbers(store, call->sender.uid))
		return make_unopened(call, &peer, &birth);
	return open_and_send(call, &peer, &birth);
}

/* Python's resource tracker takes away what others still use. */
static bool is_guarded(struct call *call)
{
	const struct door *door = call->connection->door;
	struct store_node *node = store_lookup(door->store, store_root(door->store),
	                                       call->request->name);

	return door->options.guard && node && holders_any(node) &&
	       holders_is_tracker(call->sender.pid);
}

int call_unlink(struct call *call)
{
	struct store *store = call->connection->door->store;
	struct peer peer;

	if (is_guarded(call))
		return -EPERM;
	peer_init(&peer, &call->sender, call->connection->source.fd);
	return store_remove(store, &peer.actor, store_root(store), call->request->name, false,
	                    call->request->ino);
}

/* 0: on this kernel none is told, or not of this kind. */
static int64_t describe_birth(struct store_node *node)
{
	struct timespec birth;

	return store_node_born(node, &birth) < 0 ? 0 : birth.tv_sec;
}

static uint32_t describe_holders(struct store_node *node)
{
	if (holders_any(node))
		return WIRE_ENTRY_HELD;
	return holders_creator_lives(node) ? 0 : WIRE_ENTRY_ORPHAN;
}

/* The path from the root; of one that is too long its end. */
static void describe_name(const struct store_entry *entry, char name[static WIRE_NAME_SIZE])
{
	char path[WIRE_PATH_MAX + WIRE_NAME_SIZE + 1];
	ssize_t length = store_node_path(store_entry_folder(entry), path, WIRE_PATH_MAX);
	size_t whole;

	snprintf(path + (length > 0 ? length : 0), sizeof path - (size_t)(length > 0 ? length : 0),
	         "%s%s", length > 0 ? "/" : "", store_entry_name(entry));
	whole = strlen(path);
	strcpy(name, whole < WIRE_NAME_SIZE ? path : path + whole - (WIRE_NAME_SIZE - 1));
}

/* A folder that a stranger may not look into keeps its names to itself. */
static bool may_know(const struct peer *peer, const struct store_entry *entry)
{
	return peer->actor.uid == geteuid() ||
	       tree_is_listable(&peer->actor, store_entry_folder(entry));
}

static int describe_entry(const struct store_entry *entry, const struct peer *peer,
                          uint32_t flags, struct wire_entry *ret_entry)
{
	struct store_node *node = store_entry_node(entry);
	struct store_creator creator;
	struct stat status;
	struct stat file;
	int result = store_node_stat(node, &status);

	if (result < 0)
		return result;
	result = store_node_stat_file(node, &file);
	if (result < 0)
		return result;
	store_node_creator(node, &creator);
	memset(ret_entry, 0, sizeof *ret_entry);
	ret_entry->cookie = store_entry_cookie(entry);
	ret_entry->ino = status.st_ino;
	ret_entry->size = (uint64_t)status.st_size;
	ret_entry->mode = status.st_mode;
	ret_entry->uid = status.st_uid;
	ret_entry->gid = status.st_gid;
	ret_entry->creator_pid = creator.pid;
	ret_entry->creator_start = creator.start;
	ret_entry->creator_uid = creator.uid;
	ret_entry->device = file.st_dev;
	ret_entry->file = file.st_ino;
	ret_entry->resident = (uint64_t)status.st_blocks * BLOCK_SIZE;
	if (flags & WIRE_LIST_HOLDERS)
		ret_entry->flags = describe_holders(node);
	if (flags & WIRE_LIST_BIRTH)
		ret_entry->birth = describe_birth(node);
	memcpy(ret_entry->creator_command, creator.command, sizeof creator.command);
	if (may_know(peer, entry))
		describe_name(entry, ret_entry->name);
	else
		strcpy(ret_entry->name, "?");
	return 0;
}

int call_list(struct call *call)
{
	struct door *door = call->connection->door;
	const struct store_entry *entry = store_entry_after(door->store, call->request->cursor);
	struct peer peer;
	int count = 0;

	peer_init(&peer, &call->sender, call->connection->source.fd);
	while (entry && count < WIRE_LIST_MAX) {
		int result = describe_entry(entry, &peer, call->request->flags,
		                            &door->entries[count]);

		if (result < 0)
			return result;
		count++;
		entry = store_entry_after(door->store, store_entry_cookie(entry));
	}
	return count;
}

int call_status(struct call *call)
{
	const struct door *door = call->connection->door;

	call->reply.status = (struct wire_status){
		.requests = store_journal(door->store)->header->requests,
		.connections = door->connection_count,
		.names = store_names(door->store),
		.inodes = store_inodes(door->store),
		.pid = (uint32_t)getpid(),
		.keeper = (uint32_t)getppid(),
	};
	return 0;
}

int call_room(struct call *call)
{
	const struct store *store = call->connection->door->store;
	struct wire_room *room = &call->reply.room;

	room->inodes = store_inodes(store);
	room->inodes_max = store_inodes_limit(store);
	return store_room(store, call->request->flags & WIRE_ROOM_ALL ? 0 : call->sender.uid,
	                  &room->total, &room->available);
}

int call_limit(struct call *call)
{
	struct limits *limits = call->connection->door->options.limits;

	if (!limits)
		return -EOPNOTSUPP;
	if (call->request->mode == WIRE_LIMIT_SHARE)
		return limit_next_share(limits, call->sender.uid, call->request->cursor,
		                        &call->reply.share);
	return limit_change(limits, call->sender.uid, call->request->mode, call->request->ino,
	                    &call->reply.limits);
}

/* Once more after a kill, the token is gone: whoever holds it asks the mount for another. */
int call_trade(struct call *call)
{
	const struct door *door = call->connection->door;
	const uint64_t halves[2] = {call->request->ino, call->request->cursor};
	struct store_node *node;
	uint64_t ino;
	int flags;
	int result = -ENOENT;

	if (door->options.tokens)
		result = token_take(door->options.tokens, halves, &ino, &flags);
	if (result < 0)
		return result;
	node = store_node_find(door->store, ino);
	if (!node)
		return -ENOENT;
	result = store_node_reopen(door->store, node, flags);
	if (result < 0)
		return result;
	call->fd = result;
	return 0;
}
