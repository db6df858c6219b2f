/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A probe must say the same in each world as in the native one, and the world must have been the
 * one that was meant. */
#ifndef SHMEMU_TESTS_CONFORM_H
#define SHMEMU_TESTS_CONFORM_H

#include <criterion/criterion.h>

#include "tests/world.h"

/* Each skips, passes or fails the running test. */
void conform(enum world_kind kind, uid_t uid, const char *const *argv);
/* While the daemon's worker is killed again and again. SHMEMU_TEST_SEED: when. */
void survive(enum world_kind kind, uid_t uid, const char *const *argv);
/* Without a comparison, for what is natively broken. */
void hold(enum world_kind kind, uid_t uid, const char *const *argv);

/* The probe is of System V IPC and queues: what it leaves is looked for, and the road is proved. */
extern bool conform_ipc;

/* `words`: the probe and its arguments, as a list of strings. An ordinary user's tests run as
 * nobody where root runs them. */
#define PROBE_IN(world, judge, kind, uid, test, ...)                                               \
	Test(world, test)                                                                          \
	{                                                                                          \
		judge(kind, uid, (const char *const[]){__VA_ARGS__, NULL});                        \
	}

#define IN_NATIVE_WORLDS(judge, test, ...)                                                         \
	PROBE_IN(native_user, judge, WORLD_NATIVE, WORLD_NOBODY, test, __VA_ARGS__)                \
	PROBE_IN(native_root, judge, WORLD_NATIVE, 0, test, __VA_ARGS__)

#define IN_SERVED_WORLDS(judge, test, ...)                                                         \
	PROBE_IN(socket_user, judge, WORLD_SOCKET, WORLD_NOBODY, test, __VA_ARGS__)                \
	PROBE_IN(socket_root, judge, WORLD_SOCKET, 0, test, __VA_ARGS__)                           \
	PROBE_IN(memfd_user, judge, WORLD_MEMFD, WORLD_NOBODY, test, __VA_ARGS__)                  \
	PROBE_IN(mount_root, judge, WORLD_MOUNT, 0, test, __VA_ARGS__)

#define IN_ROOTS_MOUNTS(judge, test, ...)                                                          \
	PROBE_IN(direct_root, judge, WORLD_DIRECT, 0, test, __VA_ARGS__)                           \
	PROBE_IN(plain_root, judge, WORLD_PLAIN, 0, test, __VA_ARGS__)

#define IN_USERS_MOUNTS(judge, test, ...)                                                          \
	PROBE_IN(mount_user, judge, WORLD_MOUNT, WORLD_NOBODY, test, __VA_ARGS__)                  \
	PROBE_IN(direct_user, judge, WORLD_DIRECT, WORLD_NOBODY, test, __VA_ARGS__)                \
	PROBE_IN(plain_user, judge, WORLD_PLAIN, WORLD_NOBODY, test, __VA_ARGS__)

#define IN_EMBEDDED_WORLDS(judge, test, ...)                                                       \
	PROBE_IN(embedded_user, judge, WORLD_EMBEDDED, WORLD_NOBODY, test, __VA_ARGS__)            \
	PROBE_IN(embedded_root, judge, WORLD_EMBEDDED, 0, test, __VA_ARGS__)                       \
	PROBE_IN(bare_user, judge, WORLD_BARE, WORLD_NOBODY, test, __VA_ARGS__)                    \
	PROBE_IN(bare_root, judge, WORLD_BARE, 0, test, __VA_ARGS__)

#define CONFORM(test, ...)                                                                         \
	IN_NATIVE_WORLDS(conform, test, __VA_ARGS__)                                               \
	IN_SERVED_WORLDS(conform, test, __VA_ARGS__)                                               \
	IN_EMBEDDED_WORLDS(conform, test, __VA_ARGS__)

/* What can be asked by way of a mount too. */
#define CONFORM_ALL(test, ...)                                                                     \
	CONFORM(test, __VA_ARGS__)                                                                 \
	IN_ROOTS_MOUNTS(conform, test, __VA_ARGS__)                                                \
	IN_USERS_MOUNTS(conform, test, __VA_ARGS__)

/* What takes root. */
#define CONFORM_ROOT(test, ...)                                                                    \
	PROBE_IN(native_root, conform, WORLD_NATIVE, 0, test, __VA_ARGS__)                         \
	PROBE_IN(socket_root, conform, WORLD_SOCKET, 0, test, __VA_ARGS__)                         \
	PROBE_IN(embedded_root, conform, WORLD_EMBEDDED, 0, test, __VA_ARGS__)                     \
	PROBE_IN(bare_root, conform, WORLD_BARE, 0, test, __VA_ARGS__)                             \
	PROBE_IN(mount_root, conform, WORLD_MOUNT, 0, test, __VA_ARGS__)                           \
	IN_ROOTS_MOUNTS(conform, test, __VA_ARGS__)

#define SURVIVE(test, ...)                                                                         \
	PROBE_IN(bare_user, survive, WORLD_BARE, WORLD_NOBODY, test, __VA_ARGS__)                  \
	PROBE_IN(bare_root, survive, WORLD_BARE, 0, test, __VA_ARGS__)                             \
	PROBE_IN(memfd_user, survive, WORLD_MEMFD, WORLD_NOBODY, test, __VA_ARGS__)                \
	PROBE_IN(mount_root, survive, WORLD_MOUNT, 0, test, __VA_ARGS__)                           \
	PROBE_IN(direct_root, survive, WORLD_DIRECT, 0, test, __VA_ARGS__)                         \
	PROBE_IN(plain_root, survive, WORLD_PLAIN, 0, test, __VA_ARGS__)

#endif
