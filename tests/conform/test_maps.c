/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Mapped memory: mmap and its kin, and the sizes of what is mapped. */
#include "tests/conform/conform.h"

#define WHERE_MAPPED(test, ...)                                                                    \
	IN_NATIVE_WORLDS(conform, test, __VA_ARGS__)                                               \
	PROBE_IN(socket_user, conform, WORLD_SOCKET, WORLD_NOBODY, test, __VA_ARGS__)              \
	PROBE_IN(socket_root, conform, WORLD_SOCKET, 0, test, __VA_ARGS__)

#define MAPS(test, ...)                                                                            \
	WHERE_MAPPED(test, __VA_ARGS__)                                                            \
	PROBE_IN(bare_user, conform, WORLD_BARE, WORLD_NOBODY, test, __VA_ARGS__)                  \
	PROBE_IN(bare_root, conform, WORLD_BARE, 0, test, __VA_ARGS__)

MAPS(access, "maps_access")
MAPS(advice, "maps_advice")
MAPS(ends, "maps_ends")
MAPS(family, "maps_family")
MAPS(flags, "maps_flags")
MAPS(moves, "maps_moves")
MAPS(parts, "maps_parts")
MAPS(sizes, "maps_sizes")
MAPS(sync, "maps_sync")

/* What only the kernel can give. */
WHERE_MAPPED(seals, "maps_seals")
