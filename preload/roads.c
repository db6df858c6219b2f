/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "preload/roads.h"

#include <limits.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#include "base/sys.h"
#include "preload/ask.h"

enum { ROOT_INO = 1 };

/* In pages of its own, which others may be reading for as long as they like. */
struct found {
	struct roads roads;
	char mount[PATH_MAX];
};

static _Atomic(const struct roads *) known;
static _Atomic uint64_t limited;
static _Atomic uint64_t limited_share;

bool roads_has_mount(const struct roads *roads)
{
	struct stat status;

	if (sys_fstatat(AT_FDCWD, roads->mount, &status, 0) < 0)
		return false;
	return status.st_dev == roads->mount_device && status.st_ino == ROOT_INO;
}

static int ask_roads(struct found *ret_found)
{
	static const struct client_places nowhere;
	struct wire_request request = wire_request_make(WIRE_ROADS);
	struct client_answer answer = {
		.text = ret_found->mount, .text_room = sizeof ret_found->mount,
	};
	int result = ask_places(&request, &nowhere, &answer);

	if (result < 0)
		return result;
	ret_found->roads = (struct roads){
		.mount = ret_found->mount,
		.mount_device = answer.reply.roads.mount_device,
	};
	/* In another mount namespace the path is something else, or nothing. */
	if (!roads_has_mount(&ret_found->roads))
		ret_found->mount[0] = '\0';
	return 0;
}

int roads_find(const struct roads **ret_roads)
{
	struct found *found;
	int result;

	*ret_roads = atomic_load(&known);
	if (*ret_roads)
		return 0;
	found = sys_mmap(sizeof *found, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	if (sys_is_error(found))
		return -ENOMEM;
	result = ask_roads(found);
	if (result < 0) {
		sys_give(found, sizeof *found);
		return result;
	}
	*ret_roads = &found->roads;
	atomic_store(&known, &found->roads);
	return 0;
}

const struct roads *roads_known(void)
{
	return atomic_load(&known);
}

void roads_forget(void)
{
	atomic_store(&known, NULL);
}

void roads_note_limits(const struct wire_roads *told)
{
	atomic_store_explicit(&limited, told->limited, memory_order_relaxed);
	atomic_store_explicit(&limited_share, told->limited_share, memory_order_relaxed);
}

bool roads_limits(struct roads_limits *ret_limits)
{
	ret_limits->all = atomic_load_explicit(&limited, memory_order_relaxed);
	ret_limits->share = atomic_load_explicit(&limited_share, memory_order_relaxed);
	return ret_limits->all || ret_limits->share;
}
