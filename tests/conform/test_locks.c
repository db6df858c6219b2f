/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Objects of POSIX that processes share: the kernel's where memory is mapped, and served by way of
 * their file where it is not. */
#include "tests/conform/conform.h"

#define WHERE_SHARED(test, ...)                                                                    \
	IN_NATIVE_WORLDS(conform, test, __VA_ARGS__)                                               \
	PROBE_IN(socket_user, conform, WORLD_SOCKET, WORLD_NOBODY, test, __VA_ARGS__)              \
	PROBE_IN(socket_root, conform, WORLD_SOCKET, 0, test, __VA_ARGS__)                         \
	PROBE_IN(bare_user, conform, WORLD_BARE, WORLD_NOBODY, test, __VA_ARGS__)                  \
	PROBE_IN(bare_root, conform, WORLD_BARE, 0, test, __VA_ARGS__)

WHERE_SHARED(locks_cond, "locks_cond")
WHERE_SHARED(locks_mutex, "locks_mutex")
WHERE_SHARED(locks_rw, "locks_rw")
WHERE_SHARED(locks_sem, "locks_sem")
