/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the families of IPC stand on: objects, ids, permissions, presences, and turns. */
#include <criterion/criterion.h>
#include <errno.h>
#include <sys/ipc.h>
#include <unistd.h>

#include "fuse/anon.h"
#include "fuse/ipc_i.h"
#include "fuse/keep.h"
#include "fuse/peer.h"
#include "fuse/siphash.h"

static struct anon memory = {.kind = ANON_MEMFD, .folder = -1, .nodes = -1, .namespace = -1};
static struct {
	struct wire_request request;
	struct wire_ipc asked;
} message;
static struct peer peer;

static struct ipc_call call_as(uid_t uid, uint64_t connection)
{
	peer = (struct peer){.actor = {.uid = uid, .gid = uid}, .pid = 77};
	return (struct ipc_call){
		.request = &message.request,
		.asked = &message.asked,
		.peer = &peer,
		.connection = connection,
		.passed = -1,
		.fd = -1,
	};
}

static struct ipc *begin(void)
{
	struct ipc *ipc;

	cr_assert_eq(ipc_new(&ipc, &memory, NULL), 0);
	message.request = wire_request_make(WIRE_IPC_PRESENT);
	message.asked = (struct wire_ipc){.since = 0};
	return ipc;
}

/* Another process's presence. */
static struct wire_handle present(struct ipc *ipc, uint64_t connection)
{
	struct ipc_call call = call_as(1000, connection);

	message.request = wire_request_make(WIRE_IPC_PRESENT);
	message.asked.presence = (struct wire_handle){0, 0};
	cr_assert_eq(ipc_perform(ipc, &call), 0);
	return call.told.handle;
}

static const struct ipc_object *add(struct ipc *ipc, int32_t key, uint32_t mode)
{
	struct ipc_call call = call_as(1000, 1);
	const struct ipc_object *object;

	cr_assert_eq(ipc_add(ipc, &call, WIRE_MSG, key, mode, 100, &object), 0);
	return object;
}

Test(ipc, a_presence_is_the_same_when_its_turn_is_done_again)
{
	struct ipc *ipc = begin();
	struct wire_handle first = present(ipc, 5);
	struct wire_handle other;

	ipc_roll_back(ipc);
	other = present(ipc, 5);
	cr_expect_eq(first.number, other.number);
	cr_expect_eq(first.secret, other.secret);
	ipc_commit(ipc);
	other = present(ipc, 6);
	cr_expect_neq(first.number, other.number);
	cr_expect_neq(first.secret, other.secret);
	ipc_commit(ipc);
	ipc_free(ipc);
}

Test(ipc, a_presence_ends_with_its_connection)
{
	struct ipc *ipc = begin();
	struct wire_handle handle = present(ipc, 5);
	const struct ipc_presence *presence;
	struct wire_handle wrong = handle;

	ipc_commit(ipc);
	wrong.secret++;
	cr_expect_eq(ipc_presence_of(ipc, &wrong, &presence), -ESTALE);
	cr_expect_eq(ipc_presence_of(ipc, &handle, &presence), 0);
	cr_expect_eq(presence->connection, 5);
	ipc_connection_ended(ipc, 4);
	cr_expect_eq(ipc_presence_of(ipc, &handle, &presence), 0);
	ipc_connection_ended(ipc, 5);
	cr_expect_eq(ipc_presence_of(ipc, &handle, &presence), -ESTALE);
	cr_expect_eq(ipc_header(ipc)->presences, 0);
	cr_expect_neq(present(ipc, 5).number, handle.number);
	ipc_commit(ipc);
	ipc_free(ipc);
}

Test(ipc, ids_are_as_the_kernel_gives_them)
{
	struct ipc *ipc = begin();
	const struct ipc_object *object;
	int32_t first;

	present(ipc, 5);
	object = add(ipc, 17, 0600);
	first = object->id;
	cr_expect_eq(first, 0);
	cr_expect_eq(ipc_find(ipc, WIRE_MSG, first, &object), 0);
	cr_expect_eq(ipc_find_key(ipc, WIRE_MSG, 17), object);
	cr_expect_null(ipc_find_key(ipc, WIRE_MSG, IPC_PRIVATE));
	ipc_remove(ipc, object);
	cr_expect_eq(ipc_find(ipc, WIRE_MSG, first, &object), -EINVAL);
	cr_expect(ipc_was_removed(ipc, WIRE_MSG, first, 1));
	cr_expect(!ipc_was_removed(ipc, WIRE_MSG, first, INT64_MAX));
	ipc_commit(ipc);
	for (int i = 1; i < 64; i++) {
		object = add(ipc, 17, 0600);
		cr_expect_eq(object->id, i);
		ipc_remove(ipc, object);
		ipc_commit(ipc);
	}
	cr_expect_eq(add(ipc, 17, 0600)->id, 1 << 15);
	ipc_commit(ipc);
	cr_expect(!ipc_is_empty(ipc));
	ipc_free(ipc);
}

Test(ipc, modes_are_judged_as_the_kernel_does)
{
	struct ipc *ipc = begin();
	struct ipc_call call;
	const struct ipc_object *object;

	present(ipc, 5);
	object = add(ipc, 17, 0604);
	call = call_as(1000, 1);
	cr_expect_eq(ipc_allow(&call, object, 4 | 2), 0);
	cr_expect_eq(ipc_allow(&call, object, 0600), 0);
	cr_expect_eq(ipc_allow_owner(&call, object), 0);
	call = call_as(1001, 1);
	cr_expect_eq(ipc_allow(&call, object, 4), 0);
	cr_expect_eq(ipc_allow(&call, object, 0200), -EACCES);
	cr_expect_eq(ipc_allow_owner(&call, object), -EPERM);
	peer.actor.gid = 1000;
	cr_expect_eq(ipc_allow(&call, object, 4), -EACCES, "the group's bits");
	ipc_commit(ipc);
	ipc_free(ipc);
}

Test(ipc, what_a_turn_has_held_or_changed_goes_with_it)
{
	struct ipc *ipc = begin();
	const struct ipc_object *object;
	uint64_t serial;

	present(ipc, 5);
	object = add(ipc, 17, 0600);
	serial = object->serial;
	cr_expect_eq(ipc_hold(ipc, KEEP_QUEUE, serial, dup(0)), 0);
	ipc_changed(ipc, object);
	cr_expect_geq(ipc_held(ipc, KEEP_QUEUE, serial), 0);
	ipc_roll_back(ipc);
	cr_expect_eq(ipc_held(ipc, KEEP_QUEUE, serial), -1);
	cr_expect_eq(ipc_next_changed(ipc), 0);
	cr_expect_null(ipc_find_serial(ipc, WIRE_MSG, serial));
	object = add(ipc, 17, 0600);
	cr_expect_eq(object->serial, serial);
	cr_expect_eq(ipc_hold(ipc, KEEP_QUEUE, serial, dup(0)), 0);
	ipc_commit(ipc);
	ipc_remove(ipc, object);
	cr_expect_geq(ipc_held(ipc, KEEP_QUEUE, serial), 0);
	ipc_commit(ipc);
	cr_expect_eq(ipc_held(ipc, KEEP_QUEUE, serial), -1);
	cr_expect_eq(ipc_next_changed(ipc), serial);
	cr_expect_eq(ipc_next_changed(ipc), 0);
	ipc_free(ipc);
}

Test(ipc, who_waits_longer_comes_first)
{
	struct ipc *ipc = begin();
	struct ipc_waiter waiters[] = {
		{.serial = 1, .since = 30}, {.serial = 2, .since = 10},
		{.serial = 1, .since = 20}, {.serial = 1, .since = 30},
	};

	for (int i = 0; i < 4; i++)
		ipc_waiter_add(ipc, &waiters[i]);
	cr_expect_eq(ipc_waiter_first(ipc, 0), &waiters[1]);
	cr_expect_eq(ipc_waiter_first(ipc, 1), &waiters[2]);
	cr_expect_eq(ipc_waiter_after(&waiters[2], 1), &waiters[0]);
	cr_expect_eq(ipc_waiter_after(&waiters[0], 1), &waiters[3]);
	cr_expect_null(ipc_waiter_after(&waiters[3], 1));
	ipc_waiter_remove(ipc, &waiters[0]);
	cr_expect_eq(ipc_waiter_after(&waiters[2], 1), &waiters[3]);
	ipc_free(ipc);
}

/* As a worker's successor does. */
Test(ipc, what_a_killed_worker_leaves_is_put_right)
{
	struct ipc *ipc = begin();
	struct wire_handle gone = present(ipc, 5);
	struct wire_handle here;
	const struct ipc_presence *presence;
	struct ipc *next;
	int file;

	ipc_commit(ipc);
	here = present(ipc, 6);
	ipc_commit(ipc);
	add(ipc, 17, 0600);
	file = dup(ipc->arena.fd);
	ipc_free(ipc);

	cr_assert_eq(ipc_new(&next, &memory, NULL), 0);
	cr_assert_eq(ipc_restore(next, KEEP_ARENA, 0, file), 0);
	cr_assert_eq(ipc_restore(next, KEEP_QUEUE, 9, dup(0)), 0);
	cr_expect(ipc_is_dirty(next));
	ipc_restore_connection(next, 6);
	ipc_restore_connection(next, 7);
	ipc_restore_end(next, true);
	ipc_restore_done(next);
	cr_expect(!ipc_is_dirty(next));
	cr_expect_null(ipc_find_key(next, WIRE_MSG, 17));
	cr_expect_eq(ipc_held(next, KEEP_QUEUE, 9), -1);
	cr_expect_eq(ipc_presence_of(next, &gone, &presence), -ESTALE);
	cr_expect_eq(ipc_presence_of(next, &here, &presence), 0);
	ipc_free(next);
}

Test(ipc, hashes_are_those_of_the_paper)
{
	static const uint64_t key[] = {0x0706050403020100, 0x0f0e0d0c0b0a0908};
	static const unsigned char bytes[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14};

	cr_expect_eq(siphash(key, bytes, 0), 0x726fdb47dd0e0e31);
	cr_expect_eq(siphash(key, bytes, 1), 0x74f839c593dc67fd);
	cr_expect_eq(siphash(key, bytes, 15), 0xa129ca6149be45e5);
}

static void wait_over(struct ipc *ipc, struct ipc_waiter *waiter, uint64_t connection)
{
	*waiter = (struct ipc_waiter){
		.connection = connection,
		.serial = 100 + connection,
		.blocked_on = 7,
		.since = 1000 + (int64_t)connection,
	};
	message.request.serial = connection;
	ipc_wait_note(ipc, waiter, &message.request, sizeof message.request);
	cr_assert_neq(waiter->record, 0);
}

/* As the next worker. */
static struct ipc *take_over(struct ipc *ipc)
{
	int file = dup(ipc->arena.fd);
	struct ipc *next;

	ipc_free(ipc);
	cr_assert_eq(ipc_new(&next, &memory, NULL), 0);
	cr_assert_eq(ipc_restore(next, KEEP_ARENA, 0, file), 0);
	ipc_restore_end(next, false);
	ipc_restore_done(next);
	return next;
}

static bool recall(struct ipc *ipc, struct ipc_waiter *ret_waiter, uint64_t connection,
                   uint64_t serial)
{
	*ret_waiter = (struct ipc_waiter){.connection = connection};
	message.request.serial = serial;
	return ipc_recall(ipc, ret_waiter, &message.request, sizeof message.request);
}

Test(ipc, who_has_waited_is_known_to_the_next_worker)
{
	struct ipc *ipc = begin();
	struct ipc_waiter first, second, third;
	int64_t since;

	present(ipc, 5);
	ipc_commit(ipc);
	message.request = wire_request_make(WIRE_MQ_RECEIVE);
	wait_over(ipc, &third, 3);
	wait_over(ipc, &first, 1);
	wait_over(ipc, &second, 2);
	second.blocked_on = 8;
	ipc_wait_move(ipc, &second);
	ipc_wait_end(ipc, &third);
	ipc = take_over(ipc);
	cr_assert(ipc_recall_begin(ipc));
	cr_expect(ipc_recall_knows(ipc, 1, &since) && ipc_recall_knows(ipc, 2, &since));
	cr_expect_eq(since, 1002);
	cr_expect(!ipc_recall_knows(ipc, 3, &since) && !ipc_recall_knows(ipc, 4, &since));
	cr_expect(!recall(ipc, &first, 1, 9), "another request");
	cr_expect(!recall(ipc, &third, 3, 3), "it waits no longer");
	cr_expect(recall(ipc, &second, 2, 2));
	cr_expect_eq(second.serial, 102);
	cr_expect_eq(second.blocked_on, 8);
	cr_expect_eq(second.since, 1002);
	cr_expect(!recall(ipc, &third, 2, 2), "once");
	ipc_recall_end(ipc);

	/* What was not asked for is gone, and its place used again. */
	wait_over(ipc, &first, 4);
	wait_over(ipc, &third, 6);
	cr_expect_eq(ipc_header(ipc)->waits_top, 3);
	cr_expect(first.record != second.record && first.record != third.record &&
	          second.record != third.record);
	ipc = take_over(ipc);
	cr_assert(ipc_recall_begin(ipc));
	cr_expect(!ipc_recall_knows(ipc, 1, &since));
	cr_expect(recall(ipc, &first, 4, 4) && recall(ipc, &second, 2, 2) &&
	          recall(ipc, &third, 6, 6));
	ipc_recall_end(ipc);
	ipc_wait_end(ipc, &first);
	ipc_wait_end(ipc, &second);
	ipc_wait_end(ipc, &third);
	cr_expect(!ipc_recall_begin(ipc));
	ipc_recall_end(ipc);
	ipc_free(ipc);
}

/* Of clients that wait by the ten thousand some may be without a record, and that is all. */
Test(ipc, records_of_who_waits_come_to_an_end)
{
	struct ipc *ipc = begin();
	struct ipc_waiter waiter, one_more = {.connection = 1};

	present(ipc, 5);
	ipc_commit(ipc);
	for (int i = 0; i < IPC_WAITS_MAX; i++)
		wait_over(ipc, &waiter, 10 + (uint64_t)i);
	ipc_wait_note(ipc, &one_more, &message.request, sizeof message.request);
	cr_expect_eq(one_more.record, 0);
	ipc_wait_move(ipc, &one_more);
	ipc_wait_end(ipc, &one_more);
	ipc_wait_end(ipc, &waiter);
	ipc_wait_note(ipc, &one_more, &message.request, sizeof message.request);
	cr_expect_neq(one_more.record, 0);
	ipc_free(ipc);
}
