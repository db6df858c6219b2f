/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A daemon whose worker stops at a point of a turn, to be killed there: when a file of the point's
 * name is in $STOPS, which is removed then. Linked with --wrap. See clients/test_turns.py. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/arena.h"
#include "fuse/disposal.h"
#include "fuse/ipc.h"

int __real_disposal_message(int sock);
int __wrap_disposal_message(int sock);
int __real_ipc_perform(struct ipc *ipc, struct ipc_call *call);
int __wrap_ipc_perform(struct ipc *ipc, struct ipc_call *call);
void __real_arena_set(struct arena *arena, const void *place, const void *bytes, size_t size);
void __wrap_arena_set(struct arena *arena, const void *place, const void *bytes, size_t size);

static void stop_at(const char *point)
{
	char path[256];

	snprintf(path, sizeof path, "%s/%s", getenv("STOPS"), point);
	if (unlink(path) == 0)
		raise(SIGSTOP);
}

/* The answer is through, and the request in its socket. */
int __wrap_disposal_message(int sock)
{
	stop_at("answered");
	return __real_disposal_message(sock);
}

int __wrap_ipc_perform(struct ipc *ipc, struct ipc_call *call)
{
	stop_at("begun");
	return __real_ipc_perform(ipc, call);
}

void __wrap_arena_set(struct arena *arena, const void *place, const void *bytes, size_t size)
{
	__real_arena_set(arena, place, bytes, size);
	stop_at("changed");
}
