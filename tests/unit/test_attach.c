/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The pieces of attachments, against what Linux counts in shm_nattch. Addresses are numbers here:
 * nothing is mapped. */
#include <criterion/criterion.h>
#include <errno.h>
#include <sys/mman.h>

#include "base/sys.h"
#include "preload/ask_ipc.h"
#include "preload/attach.h"
#include "preload/host.h"
#include "preload/presence.h"

enum { PAGE = VIEW_PAGE, ID = 7, OTHER = 8, OWN = 3 };

static const uintptr_t base = 0x10000000;
static int told[2]; /* of ID and OTHER, as the daemon knows it; -1: never */

int ask_ipc(struct client_ipc *call, enum client_wait wait, bool is_cancellable)
{
	cr_assert_eq(call->request.header.op, WIRE_SHM_COUNT);
	cr_assert_eq(call->asked.presence.number, OWN);
	told[call->asked.id - ID] = call->asked.number;
	return 0;
}

bool presence_is(uint64_t number, struct wire_handle *ret_handle)
{
	*ret_handle = (struct wire_handle){OWN, 1};
	return number == OWN;
}

void *host_take(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

static struct range pages(size_t from, size_t count)
{
	return (struct range){base + from * PAGE, count * PAGE};
}

static void add(int id, size_t page, size_t count)
{
	struct attachment attachment = {
		.id = id, .size = count * PAGE, .presence = OWN,
		.protection = PROT_READ | PROT_WRITE,
	};

	cr_assert_eq(attach_reserve(), 0);
	attach_add(&attachment, base + page * PAGE);
	attach_tell();
}

static void cut(size_t from, size_t count)
{
	struct range range = pages(from, count);

	cr_assert_eq(attach_reserve(), 0);
	attach_cut(&range);
	attach_tell();
}

static void move(size_t from, size_t count, size_t to, size_t new_count, bool is_left)
{
	struct range old = pages(from, count), new = pages(to, new_count);

	cr_assert_eq(attach_reserve(), 0);
	attach_moved(&old, &new, is_left);
	attach_tell();
}

static void protect(size_t from, size_t count, int protection)
{
	struct range range = pages(from, count);

	attach_protect(&range, protection);
	attach_tell();
}

/* How many pieces shmdt finds, and takes. */
static int detach(size_t page)
{
	struct attach_cursor cursor = {0};
	struct range range;
	int pieces = 0;

	cr_assert_eq(attach_reserve(), 0);
	for (; attach_find(base + page * PAGE, &cursor, &range); pieces++)
		attach_cut(&range);
	attach_tell();
	return pieces;
}

static void begin(void)
{
	told[0] = told[1] = -1;
}

TestSuite(attach, .init = begin);

Test(attach, whole)
{
	add(ID, 0, 4);
	cr_assert_eq(told[0], -1, "the daemon counted it itself");
	cr_assert(attach_may_touch((void *)(base + 3 * PAGE), 1));
	cr_assert_not(attach_may_touch((void *)(base + 4 * PAGE), 1));
	cr_assert_not(attach_may_touch((void *)(base - PAGE), PAGE));
	cr_assert_eq(detach(1), 0);
	cr_assert_eq(detach(0), 1);
	cr_assert_eq(told[0], 0);
	cr_assert_eq(detach(0), 0);
	cr_assert_not(attach_may_touch((void *)base, PAGE));
}

Test(attach, a_hole_makes_two)
{
	add(ID, 0, 4);
	cut(1, 1);
	cr_assert_eq(told[0], 2);
	cr_assert_eq(detach(1), 0);
	cr_assert_eq(detach(2), 0, "it is not where it was attached");
	cr_assert_eq(detach(0), 2);
	cr_assert_eq(told[0], 0);
}

/* remap_file_pages: what is there is no longer as it was attached. */
Test(attach, shifted)
{
	struct range two = pages(1, 2), all = pages(0, 4);
	struct attachment of;

	add(ID, 0, 4);
	cr_assert_eq(attach_reserve(), 0);
	cr_assert(attach_of(two.start, &of) && of.id == ID);
	cr_assert_eq(attach_count_in(&of, &two), 0);
	cr_assert_eq(attach_count_in(&of, &all), 1);
	attach_shifted(&two, 7 * PAGE);
	attach_tell();
	cr_assert_eq(told[0], 3);
	cr_assert_eq(attach_count_in(&of, &two), 1);
	cr_assert_eq(detach(0), 2);
	cr_assert_eq(told[0], 1);
	cr_assert_eq(detach(1), 0);
	cr_assert_not(attach_of(base, &of));
}

Test(attach, neighbours)
{
	add(ID, 0, 2);
	add(ID, 2, 2);
	add(OTHER, 4, 1);
	cut(1, 4);
	cr_assert_eq(told[0], 1);
	cr_assert_eq(told[1], 0);
	cr_assert_eq(detach(0), 1);
	cr_assert_eq(told[0], 0);
}

Test(attach, only_that_attachment)
{
	add(ID, 0, 4);
	cut(2, 2);
	add(ID, 2, 4);
	cr_assert_eq(detach(0), 1, "the one behind it is another");
	cr_assert_eq(told[0], 1);
	cr_assert_eq(detach(2), 1);
}

Test(attach, protection)
{
	add(ID, 0, 4);
	protect(0, 1, PROT_READ | PROT_WRITE);
	cr_assert_eq(told[0], -1);
	protect(0, 1, PROT_READ);
	cr_assert_eq(told[0], 2);
	protect(0, 1, PROT_READ | PROT_WRITE);
	cr_assert_eq(told[0], 2);
	protect(2, 1, PROT_READ);
	cr_assert_eq(told[0], 4);
	protect(0, 4, PROT_READ | PROT_WRITE);
	cr_assert_eq(told[0], 4);
	cr_assert_eq(detach(0), 4);
	cr_assert_eq(told[0], 0);
}

Test(attach, what_is_attached_to_be_read)
{
	struct attachment attachment = {.id = ID, .size = PAGE, .presence = OWN};
	struct range before = pages(0, 4), there = pages(3, 2), behind = pages(5, 1);

	cr_assert_eq(attach_reserve(), 0);
	attach_add(&attachment, base + 4 * PAGE);
	cr_assert(attach_may_write(&before));
	cr_assert_not(attach_may_write(&there));
	cr_assert(attach_may_write(&behind));
}

Test(attach, moving)
{
	add(ID, 0, 4);
	move(1, 1, 11, 1, false);
	cr_assert_eq(told[0], 3);
	cr_assert_eq(detach(11), 0);
	cr_assert_eq(detach(10), 1, "its first page would be there");
	cr_assert_eq(told[0], 2);
	cr_assert_eq(detach(0), 2);
}

Test(attach, growing_and_once_more)
{
	add(ID, 0, 4);
	move(0, 4, 10, 8, false);
	cr_assert_eq(told[0], 1);
	cr_assert_eq(detach(0), 0);
	move(10, 8, 10, 2, false);
	cr_assert_eq(told[0], 1);
	move(10, 0, 20, 2, true);
	cr_assert_eq(told[0], 2);
	move(10, 2, 10, 3, false);
	cr_assert_eq(told[0], 2);
	cr_assert(attach_may_touch((void *)(base + 12 * PAGE), 1));
	cr_assert_eq(detach(10), 1);
	cr_assert_eq(detach(20), 1);
	cr_assert_eq(told[0], 0);
}

Test(attach, twice_at_one_place)
{
	add(ID, 0, 4);
	add(ID, 0, 4);
	cut(0, 4);
	cr_assert_eq(told[0], 1);
	cr_assert_eq(detach(0), 1);
	cr_assert_eq(told[0], 0);
}

Test(attach, of_another_daemon)
{
	add(ID, 0, 4);
	attach_renumber(OWN, OWN + 1);
	cr_assert_eq(detach(0), 1);
	cr_assert_eq(told[0], -1);
}

Test(attach, many)
{
	for (size_t i = 0; i < 1000; i++)
		add(ID, i * 2, 1);
	cut(1, 1997);
	cr_assert_eq(told[0], 2);
	cr_assert_eq(detach(0), 1);
	cr_assert_eq(detach(1998), 1);
	cr_assert_eq(told[0], 0);
}
