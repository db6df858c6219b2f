/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The daemon's IPC without a daemon, asked by several users, beside the kernel's own in an IPC
 * namespace, whose calls are made with the ids of the same users. At any moment the one can be
 * killed and the turn that it was in served again. */
#ifndef SHMEMU_TESTS_IPC_WORLD_H
#define SHMEMU_TESTS_IPC_WORLD_H

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuse/anon.h"
#include "fuse/ipc.h"
#include "fuse/ipc_i.h"
#include "fuse/keep.h"
#include "fuse/peer.h"
#include "tests/scratch.h"

enum { HELD_MAX = 4096, CONNECTION = 7 };

struct user {
	uid_t uid;
	gid_t gid;
	gid_t group; /* a supplementary one */
};

static const struct user users[] = {
	{0, 0, 0}, {1000, 1000, 1000}, {1001, 1001, 1000}, {1002, 2000, 1001},
};

enum { USERS = sizeof users / sizeof users[0] };

struct asking {
	struct ipc_call call;
	struct wire_request request;
	struct wire_ipc asked;
	struct peer peer;
	char text[WIRE_BYTES_MAX];
};

static struct anon anon;
static struct ipc *ipc;
static struct scratch scratch;
static unsigned seed;
static unsigned long long capabilities; /* root's */
static bool is_disturbed; /* by kills and roll backs */

static inline int choose(int below)
{
	return rand_r(&seed) % below;
}

static inline unsigned long from_environment(const char *name, unsigned long otherwise)
{
	const char *text = getenv(name);

	return text ? strtoul(text, NULL, 10) : otherwise;
}

static inline bool is_in_group(const struct store_actor *actor, gid_t gid)
{
	const struct user *user = actor->details;

	return user->group == gid;
}

static inline bool is_capable(const struct store_actor *actor, int capability)
{
	return actor->uid == 0 && (capabilities >> capability & 1);
}

static inline void world_begin(void)
{
	char line[256];
	FILE *status = fopen("/proc/self/status", "r");

	while (status && fgets(line, sizeof line, status))
		sscanf(line, "CapEff: %llx", &capabilities);
	if (status)
		fclose(status);
	seed = (unsigned)from_environment("SHMEMU_TEST_SEED", 1);
	scratch = scratch_make();
	cr_assert_eq(anon_init(&anon, ANON_AUTO, NULL, NULL, scratch.folder), 0);
	cr_assert_eq(ipc_new(&ipc, &anon, NULL), 0);
}

static inline void world_end(void)
{
	ipc_discard(ipc);
	ipc = ipc_free(ipc);
	anon_leave_seat(&anon, scratch.folder);
	anon_deinit(&anon);
	cr_assert(scratch_remove(&scratch));
}

/* An own one: nothing is left of what is made in it. Needed are all users' ids. */
static inline bool have_native(void)
{
	return geteuid() == 0 && unshare(CLONE_NEWIPC) == 0;
}

static inline void become(const struct user *user)
{
	cr_assert_eq(seteuid(0), 0);
	cr_assert_eq(setgroups(1, &user->group), 0);
	cr_assert_eq(setegid(user->gid), 0);
	cr_assert_eq(seteuid(user->uid), 0);
}

static inline void asking_init(struct asking *asking, enum wire_op op, const struct user *user)
{
	asking->request = wire_request_make(op);
	asking->asked = (struct wire_ipc){
		.deadline = WIRE_NO_DEADLINE, .since = INT64_MAX};
	asking->peer = (struct peer){
		.pid = getpid(),
		.sock = -1,
		.actor = {.uid = user->uid, .gid = user->gid, .details = user,
		          .in_group = is_in_group, .has_capability = is_capable},
	};
	asking->call = (struct ipc_call){
		.request = &asking->request,
		.asked = &asking->asked,
		.peer = &asking->peer,
		.connection = CONNECTION,
		.passed = -1,
		.text = asking->text,
		.fd = -1,
	};
}

/* The worker dies, and what the keeper has goes to the next one. With `serve_again`
 * ipc_restore_done is the caller's. */
static inline void world_restart(bool serve_again)
{
	struct { uint32_t kind; uint64_t serial; int fd; } held[HELD_MAX];
	int count = 0;
	int arena;

	if (!ipc->arena.bytes)
		return;
	for (int family = WIRE_SHM; family < WIRE_FAMILY_COUNT; family++) {
		const struct ipc_object *object = NULL;

		while ((object = ipc_next(ipc, (enum wire_family)family, object))) {
			for (uint32_t kind = KEEP_SEGMENT; kind <= KEEP_BODY; kind++) {
				int fd = ipc_held(ipc, kind, object->serial);

				cr_assert_lt(count, HELD_MAX);
				if (fd < 0)
					continue;
				held[count].kind = kind;
				held[count].serial = object->serial;
				held[count++].fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
			}
		}
	}
	arena = fcntl(ipc->arena.fd, F_DUPFD_CLOEXEC, 0);
	ipc_free(ipc);
	cr_assert_eq(ipc_new(&ipc, &anon, NULL), 0);
	cr_assert_eq(ipc_restore(ipc, KEEP_ARENA, 0, arena), 0);
	for (int i = 0; i < count; i++)
		cr_assert_eq(ipc_restore(ipc, held[i].kind, held[i].serial, held[i].fd), 0);
	ipc_restore_connection(ipc, CONNECTION);
	ipc_restore_end(ipc, serve_again);
	if (!serve_again)
		ipc_restore_done(ipc);
}

/* Its result; sometimes there is a kill or a roll back, and all is as before. What is read of
 * asking->call is what was answered first. */
static inline int perform(struct asking *asking)
{
	struct ipc_call first = asking->call;
	int result = ipc_perform(ipc, &first);
	int how = is_disturbed ? choose(6) : 5;

	if (how == 0 && result >= 0 && result != IPC_WAITS) {
		struct ipc_call second = asking->call;

		world_restart(true);
		cr_assert_eq(ipc_perform(ipc, &second), result);
		ipc_restore_done(ipc);
		cr_assert_arr_eq(&first.told, &second.told, sizeof first.told);
		cr_assert_eq(first.fd < 0, second.fd < 0);
		if (second.fd >= 0)
			close(second.fd);
	} else if (how == 1 && result >= 0 && result != IPC_WAITS) {
		if (first.fd >= 0)
			close(first.fd);
		first = asking->call;
		ipc_roll_back(ipc);
		cr_assert_eq(ipc_perform(ipc, &first), result);
	}
	if (result < 0 || result == IPC_WAITS) {
		cr_assert_lt(first.fd, 0);
		cr_assert_not(ipc_is_dirty(ipc));
	}
	asking->call = first;
	ipc_commit(ipc);
	if (is_disturbed && choose(40) == 0)
		world_restart(false);
	return result;
}

#endif
