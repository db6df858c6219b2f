/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ftruncate, fallocate and memfd_create, by the host and where it refuses them. */
#include "tests/conform/conform.h"

static void conform_without(enum world_kind kind, uid_t uid, const char *const *argv,
                            const char *const *withheld)
{
	world_withheld = withheld;
	conform(kind, uid, argv);
}

/* ENOSYS, and pages can be touched by madvise. */
static void conform_lacking(enum world_kind kind, uid_t uid, const char *const *argv)
{
	conform_without(kind, uid, argv,
	                (const char *const[]){"ftruncate", "fallocate", "memfd_create", NULL});
}

/* By other errnos, and they can't. */
static void conform_refused(enum world_kind kind, uid_t uid, const char *const *argv)
{
	conform_without(kind, uid, argv,
	                (const char *const[]){"ftruncate=EPERM", "fallocate=EPERM",
	                                      "memfd_create=EPERM", "madvise=EPERM", NULL});
}

/* Mapped by the host, and what was mapped can't be changed. */
static void conform_fixed(enum world_kind kind, uid_t uid, const char *const *argv)
{
	conform_without(kind, uid, argv,
	                (const char *const[]){"msync", "mremap", "madvise", NULL});
}

#define BY_SOCKET(judge, test, ...)                                                                \
	PROBE_IN(socket_user, judge, WORLD_SOCKET, WORLD_NOBODY, test, __VA_ARGS__)                \
	PROBE_IN(socket_root, judge, WORLD_SOCKET, 0, test, __VA_ARGS__)                           \
	PROBE_IN(memfd_user, judge, WORLD_MEMFD, WORLD_NOBODY, test, __VA_ARGS__)

CONFORM(sizes, "lacking")
BY_SOCKET(conform_lacking, sizes_lacking, "lacking")
BY_SOCKET(conform_refused, sizes_refused, "lacking")
PROBE_IN(mount_root, conform_lacking, WORLD_MOUNT, 0, sizes_lacking, "lacking")
PROBE_IN(embedded_user, conform_lacking, WORLD_EMBEDDED, WORLD_NOBODY, sizes_lacking, "lacking")
PROBE_IN(socket_user, conform_fixed, WORLD_SOCKET, WORLD_NOBODY, sizes_fixed, "lacking")
PROBE_IN(embedded_user, conform_fixed, WORLD_EMBEDDED, WORLD_NOBODY, sizes_fixed, "lacking")
