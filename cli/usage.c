/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/usage.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/ask.h"
#include "cli/say.h"

static const char *word_of(uint32_t source)
{
	static const char *const words[] = {"unknown", "tmpfs", "memfd", "files"};

	return words[source < sizeof words / sizeof words[0] ? source : 0];
}

static struct usage_row *add(struct usage *usage)
{
	struct usage_row *rows = reallocarray(usage->rows, usage->count + 1, sizeof *rows);

	if (!rows)
		fail("cannot make a list: %s", strerror(ENOMEM));
	usage->rows = rows;
	rows[usage->count] = (struct usage_row){.is_share = false};
	return &rows[usage->count++];
}

/* Has this user a share here, or will it have one? Not root, nor the daemon's own user. */
static bool is_limited(int sock, const struct wire_limits *limits)
{
	struct ucred daemon;
	socklen_t size = sizeof daemon;

	if (!limits->user_size || geteuid() == 0)
		return false;
	return getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &daemon, &size) == 0 &&
	       daemon.uid != geteuid();
}

/* What statvfs(2) says of the mount; but a size is there as a whole, shares or not. */
static int add_all(int sock, const struct wire_limits *limits, struct usage *usage)
{
	struct usage_row *row = add(usage);
	struct wire_room room;
	int result = ask_try_room(sock, WIRE_ROOM_ALL, &room);

	if (result < 0)
		return result;
	row->size = limits->size && limits->user_size ? limits->size : room.total;
	row->used = limits->size_used;
	row->available = room.available;
	return 0;
}

/* To who has a share the daemon tells what is left of that, or of memory if that is less. */
static int add_own(int sock, struct usage *usage)
{
	struct usage_row *row = NULL;
	struct wire_room room;
	int result = ask_try_room(sock, 0, &room);

	if (result < 0)
		return result;
	for (size_t i = 1; i < usage->count; i++)
		if (usage->rows[i].uid == geteuid())
			row = &usage->rows[i];
	if (!row)
		row = add(usage);
	row->is_share = true;
	row->uid = geteuid();
	row->size = room.total;
	row->available = room.available;
	return 0;
}

static int add_shares(int sock, struct usage *usage)
{
	struct wire_share share = {.uid = 0};
	int result = ask_try_share(sock, 0, &share);

	for (; result > 0; result = ask_try_share(sock, (uint64_t)share.uid + 1, &share))
		*add(usage) = (struct usage_row){
			.is_share = true, .uid = share.uid, .size = share.size, .used = share.used,
			.available = share.size > share.used ? share.size - share.used : 0,
		};
	/* An older daemon knows no such question. */
	return result == -EINVAL || result == -EPERM ? 0 : result;
}

static int read_all(int sock, struct usage *usage)
{
	struct wire_limits limits;
	struct wire_roads roads;
	int result = ask_try_limits(sock, 0, 0, &limits);

	if (result == 0)
		result = ask_try_roads(sock, &roads, usage->mountpoint, sizeof usage->mountpoint);
	if (result == 0)
		result = add_all(sock, &limits, usage);
	if (result == 0 && limits.user_size)
		result = add_shares(sock, usage);
	if (result == 0 && is_limited(sock, &limits))
		result = add_own(sock, usage);
	if (result < 0)
		return result;
	usage->inodes = limits.inodes;
	usage->inodes_used = limits.inodes_used;
	usage->backing = word_of(roads.source);
	return 0;
}

int usage_read(int sock, struct usage *ret_usage)
{
	struct usage usage = USAGE_NULL;
	int result = read_all(sock, &usage);

	if (result < 0)
		usage_free(&usage);
	else
		*ret_usage = usage;
	return result;
}

void usage_free(struct usage *usage)
{
	free(usage->rows);
	usage->rows = NULL;
	usage->count = 0;
}

unsigned usage_percent(uint64_t used, uint64_t available)
{
	double part = (double)used / ((double)used + (double)available) * 100;
	unsigned whole;

	if (!used)
		return 0;
	whole = (unsigned)part;
	return whole + (part > whole);
}
