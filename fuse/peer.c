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

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/own.h"
#include "fuse/proc.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

enum { STATUS_SIZE = 8192, GROUPS_MAX = 1024 };

struct process {
	char status[STATUS_SIZE]; /* /proc/PID/status */
	bool certain;             /* it is the sender's beyond doubt */
};

/* The rest of the line that begins so, or NULL. */
static const char *status_line(const char *status, const char *key)
{
	const char *line = strstr(status, key);

	return line ? line + strlen(key) : NULL;
}

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

static bool is_alive(int pidfd)
{
	struct pollfd process = {.fd = pidfd, .events = POLLIN};

	return poll(&process, 1, 0) == 0;
}

static bool process_read(const struct peer *peer, struct process *ret_process)
{
	OWN_FD pidfd = -1;
	int connected = -1;
	socklen_t size = sizeof connected;
	const char *uids;
	const char *gids;

	if (is_connected_process(peer) &&
	    getsockopt(peer->sock, SOL_SOCKET, SO_PEERPIDFD, &connected, &size) == 0)
		pidfd = connected;
	if (proc_read(peer->pid, "status", ret_process->status, STATUS_SIZE) < 0)
		return false;
	uids = status_line(ret_process->status, "\nUid:\t");
	gids = status_line(ret_process->status, "\nGid:\t");
	ret_process->certain = pidfd >= 0 && is_alive(pidfd);
	return line_has_effective(uids, peer->actor.uid) &&
	       line_has_effective(gids, peer->actor.gid);
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

static bool process_has_group(const struct process *process, gid_t gid)
{
	const char *at = status_line(process->status, "\nGroups:\t");
	char *end;

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
	struct process process;

	return process_read(peer, &process) && process_has_group(&process, gid) &&
	       (process.certain || connection_had_group(peer->sock, gid));
}

/* A capability in another user namespace is none here. */
static bool shares_user_namespace(pid_t pid)
{
	struct stat own;
	struct stat other;

	return stat("/proc/self/ns/user", &own) == 0 && proc_stat(pid, "ns/user", &other) == 0 &&
	       own.st_dev == other.st_dev && own.st_ino == other.st_ino;
}

static bool peer_has_capability(const struct store_actor *actor, int capability)
{
	const struct peer *peer = actor->details;
	struct process process;
	const char *effective;

	/* A process may execute a program that has capabilities of its own: only uid 0 gains
	 * nothing. */
	if (actor->uid != 0 || !process_read(peer, &process))
		return false;
	effective = status_line(process.status, "\nCapEff:\t");
	return effective && (strtoull(effective, NULL, 16) >> capability & 1) &&
	       shares_user_namespace(peer->pid);
}

void peer_init(struct peer *peer, const struct fdpass_sender *sender, int sock)
{
	*peer = (struct peer){
		.actor = {
			.uid = sender->uid,
			.gid = sender->gid,
			.details = peer,
			.in_group = peer_in_group,
			.has_capability = peer_has_capability,
		},
		.pid = sender->pid,
		.sock = sock,
	};
}
