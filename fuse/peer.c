/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A message carries a uid and a gid that the kernel has checked, but neither supplementary groups
 * nor capabilities. Those are read from /proc/PID/status, and only when the mode bits leave it
 * open. The pid might by then be another process's, so what is read there only ever narrows what
 * is certain: groups count if the connection had them when it was made (SO_PEERGROUPS) and the
 * process has them now; a capability counts only for a sender that is uid 0 to the kernel. */
#include "fuse/peer.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "fuse/proc.h"

enum { STATUS_SIZE = 8192, GROUPS_MAX = 1024 };

/* The rest of the line that begins so, or NULL. */
static const char *status_line(const char *status, const char *key)
{
	const char *line = strstr(status, key);

	return line ? line + strlen(key) : NULL;
}

static bool connection_had_group(int sock, gid_t gid)
{
	gid_t groups[GROUPS_MAX];
	socklen_t size = sizeof groups;

	if (getsockopt(sock, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0)
		return false;
	for (size_t i = 0; i < size / sizeof groups[0]; i++)
		if (groups[i] == gid)
			return true;
	return false;
}

static bool process_has_group(pid_t pid, gid_t gid)
{
	char status[STATUS_SIZE];
	const char *at;
	char *end;

	if (proc_read(pid, "status", status, sizeof status) < 0)
		return false;
	at = status_line(status, "\nGroups:\t");
	while (at && *at != '\n') {
		unsigned long one = strtoul(at, &end, 10);

		if (end == at)
			return false;
		if (one == gid)
			return true;
		at = end + strspn(end, " ");
	}
	return false;
}

static bool peer_in_group(const struct store_actor *actor, gid_t gid)
{
	const struct peer *peer = actor->details;

	return connection_had_group(peer->sock, gid) && process_has_group(peer->pid, gid);
}

static bool peer_may_override(const struct store_actor *actor)
{
	const struct peer *peer = actor->details;
	char status[STATUS_SIZE];
	const char *effective;

	if (actor->uid != 0 || proc_read(peer->pid, "status", status, sizeof status) < 0)
		return false;
	effective = status_line(status, "\nCapEff:\t");
	return effective && (strtoull(effective, NULL, 16) >> CAP_DAC_OVERRIDE & 1);
}

void peer_init(struct peer *peer, const struct fdpass_sender *sender, int sock)
{
	*peer = (struct peer){
		.actor = {
			.uid = sender->uid,
			.gid = sender->gid,
			.details = peer,
			.in_group = peer_in_group,
			.may_override = peer_may_override,
		},
		.pid = sender->pid,
		.sock = sock,
	};
}
