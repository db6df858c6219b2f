/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A lane is memory that a child does not inherit, and what asks there is to the daemon the process
 * that it was given to, with the ids that that has. So a child of fork has none, and one of vfork,
 * or a thread that has taken on other ids, asks by the socket. */
#include "preload/lanes.h"

#include <stdatomic.h>
#include <sys/mman.h>

#include "base/own.h"

enum { USES_FIRST = 16, FAILURES_MAX = 3 };

static struct {
	struct lane *memory; /* NULL: none */
	pid_t pid;
	uid_t uid;
	gid_t gid;
	unsigned uses; /* of the connection, until it was asked for */
	atomic_bool is_left;
} lanes[POOL_SIZE];

static atomic_int failures;

static bool may_have(struct line line)
{
	return line.slot >= 0 && line.slot < POOL_SIZE;
}

struct lane *lanes_of(struct line line)
{
	if (!may_have(line) || !lanes[line.slot].memory ||
	    sys_getpid() != lanes[line.slot].pid || sys_geteuid() != lanes[line.slot].uid ||
	    sys_getegid() != lanes[line.slot].gid)
		return NULL;
	return lanes[line.slot].memory;
}

bool lanes_is_wanted(struct line line)
{
	return may_have(line) && !lanes[line.slot].memory && failures < FAILURES_MAX &&
	       ++lanes[line.slot].uses >= USES_FIRST;
}

void lanes_put(struct line line, struct lane *lane)
{
	lanes[line.slot].uses = 0;
	lanes[line.slot].pid = sys_getpid();
	lanes[line.slot].uid = sys_geteuid();
	lanes[line.slot].gid = sys_getegid();
	lanes[line.slot].memory = lane;
	if (!lane)
		failures++;
}

void lanes_give_up_all(void)
{
	failures = FAILURES_MAX;
}

void lanes_give_up(struct line line)
{
	failures++;
	lanes_drop(line.slot, true);
}

void lanes_drop(int slot, bool is_ours)
{
	struct lane *memory;

	if (slot < 0 || slot >= POOL_SIZE)
		return;
	memory = lanes[slot].memory;
	lanes[slot].memory = NULL;
	lanes[slot].uses = 0;
	lanes[slot].is_left = false;
	if (memory && is_ours)
		sys_give(memory, sizeof *memory);
}

/* Kernels that do not know MAP_FIXED_NOREPLACE may map it anywhere. */
void lanes_cut_off(int slot)
{
	struct lane *memory = lanes[slot].memory;
	void *page;

	if (!memory)
		return;
	page = (void *)sys_map((long)memory, sizeof *memory, PROT_READ | PROT_WRITE,
	                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	if (page == memory)
		atomic_store(&memory->state, LANE_CUT);
	else if (!sys_is_error(page))
		sys_give(page, sizeof *memory);
}

bool lanes_is_left(int slot)
{
	return slot >= 0 && slot < POOL_SIZE && lanes[slot].is_left;
}

void lanes_forget_all(void)
{
	for (int slot = 0; slot < POOL_SIZE; slot++) {
		lanes[slot].is_left = lanes[slot].memory;
		pool_look_after(slot);
	}
}
