/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which version this is, as an ELF note: `shmemu doctor` reads it from the file, which it neither
 * loads nor runs. */
#include <stdint.h>

#include "base/wire.h"

struct version_note {
	uint32_t name_size;
	uint32_t size;
	uint32_t protocol;
	char name[8];
	char version[16];
};

_Static_assert(sizeof SHMEMU_VERSION <= sizeof((struct version_note *)0)->version, "it has room");

__attribute__((used, aligned(4), section(".note.shmemu")))
static const struct version_note note = {
	.name_size = sizeof "shmemu", .size = sizeof note.version, .protocol = WIRE_VERSION,
	.name = "shmemu", .version = SHMEMU_VERSION,
};
