/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A message carries a uid and a gid that the kernel has checked, but neither supplementary groups
 * nor capabilities. Those are read from /proc/PID/status, and only when the mode bits leave it
 * open. By then the pid might be another process's, or the process might have executed another
 * program. So the process must still have the ids that the message had, and it must be the one
 * that made the connection and be alive after the reading (SO_PEERPIDFD, Linux 6.5). Where that
 * can't be told, a group counts only if the connection had it when it was made (SO_PEERGROUPS).
 * Capabilities count for uid 0 alone, for executing a program can add capabilities, but no
 * groups. */
#include "fuse/peer.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/own.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

enum { GROUPS_MAX = 1024 };

/* Real, effective, saved and file system id, in this order. */
static bool line_has_effective(const char *line, unsigned long wanted)
{
	char *end;

	if (!line)
		return false;
	strtoul(line, &end, 10);
	return strtoul(end, NULL, 10) == wanted;
}

static bool is_connected_process(const struct peer *peer)
{
	struct ucred connected;
	socklen_t size = sizeof connected;

	return getsockopt(peer->sock, SOL_SOCKET, SO_PEERCRED, &connected, &size) == 0 &&
	       connected.pid == peer->pid;
}

static bool read_process(struct peer *peer)
{
	OWN_FD pidfd = -1;
	int connected = -1;
	socklen_t size = sizeof connected;
	const char *uids;
	const char *gids;

	if (is_connected_process(peer) &&
	    getsockopt(peer->sock, SOL_SOCKET, SO_PEERPIDFD, &connected, &size) == 0)
		pidfd = connected;
	if (proc_read(peer->pid, "status", peer->status, sizeof peer->status) < 0)
		return false;
	uids = proc_status_line(peer->status, "\nUid:\t");
	gids = proc_status_line(peer->status, "\nGid:\t");
	peer->is_certain = pidfd >= 0 && proc_is_alive(pidfd);
	return line_has_effective(uids, peer->actor.uid) &&
	       line_has_effective(gids, peer->actor.gid);
}

/* A path may ask in each of its folders. */
static struct peer *peer_of(const struct store_actor *actor)
{
	struct peer *peer = (struct peer *)(uintptr_t)actor->details;

	if (!peer->is_read)
		peer->is_known = read_process(peer);
	peer->is_read = true;
	return peer;
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

static bool peer_in_group(const struct store_actor *actor, gid_t gid)
{
	const struct peer *peer = peer_of(actor);

	return peer->is_known && proc_has_group(peer->pid, peer->status, gid) &&
	       (peer->is_certain || connection_had_group(peer->sock, gid));
}

static bool peer_has_capability(const struct store_actor *actor, int capability)
{
	const struct peer *peer;

	/* A process may execute a program that has capabilities of its own: only uid 0 gains
	 * nothing. */
	if (actor->uid != 0)
		return false;
	peer = peer_of(actor);
	return peer->is_known && proc_has_capability(peer->pid, peer->status, capability);
}

void peer_init(struct peer *peer, const struct fdpass_sender *sender, int sock)
{
	peer->actor = (struct store_actor){
		.uid = sender->uid,
		.gid = sender->gid,
		.details = peer,
		.in_group = peer_in_group,
		.has_capability = peer_has_capability,
	};
	peer->pid = sender->pid;
	peer->sock = sock;
	peer->is_read = false;
}
