/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/lane.h"

#include <linux/futex.h>
#include <string.h>

#include "base/sys.h"

bool lane_takes(const struct wire_request *request)
{
	return request->header.op == WIRE_OPEN || request->header.op == WIRE_UNLINK;
}

/* Most of a request is room, which stays where it is: each line of memory costs its way from core
 * to core. The lengths are those of the copy that nobody else can write to. */
enum { HEAD_SIZE = offsetof(struct wire_request, initial) };

static void copy_tail(struct wire_request *to, const struct wire_request *from,
                      size_t initial_length, size_t name_length)
{
	if (initial_length <= sizeof to->initial)
		memcpy(to->initial, from->initial, initial_length);
	if (name_length <= sizeof to->name)
		memcpy(to->name, from->name, name_length);
}

static void copy_in(struct lane *lane, const struct wire_request *request)
{
	memcpy(&lane->request, request, HEAD_SIZE);
	copy_tail(&lane->request, request, request->initial_length, request->name_length);
}

static void copy_out(const struct lane *lane, struct wire_request *ret_request)
{
	memset(ret_request, 0, sizeof *ret_request);
	memcpy(ret_request, &lane->request, HEAD_SIZE);
	/* They are not to be read there again. */
	__asm__ volatile("" ::: "memory");
	copy_tail(ret_request, &lane->request, ret_request->initial_length,
	          ret_request->name_length);
}

static bool take_back(struct lane *lane)
{
	uint32_t state = LANE_ASKED;

	if (atomic_compare_exchange_strong(&lane->state, &state, LANE_FREE))
		return true;
	state = LANE_ASKED | LANE_SLEEPER;
	return atomic_compare_exchange_strong(&lane->state, &state, LANE_FREE);
}

bool lane_ask(struct lane *lane, const struct wire_request *request, bool opens)
{
	if (!atomic_load_explicit(&lane->looks, memory_order_relaxed))
		return false;
	copy_in(lane, request);
	lane->opens = opens;
	/* Either this is seen by who looks no longer, when he looks once more, or that is seen
	 * here: both are seq_cst. */
	atomic_store(&lane->state, LANE_ASKED);
	return atomic_load(&lane->looks) || !take_back(lane);
}

/* Who has looked was killed, and who came after him knows of no lanes; if not, he says so again. */
bool lane_give_up(struct lane *lane)
{
	if (!take_back(lane))
		return false;
	atomic_store(&lane->looks, false);
	return true;
}

enum lane_state lane_look(const struct lane *lane)
{
	return atomic_load_explicit(&lane->state, memory_order_acquire) & ~LANE_SLEEPER;
}

/* As the kernel has a timespec, whatever libc's is. */
struct slice {
	long seconds, nanoseconds;
};

void lane_sleep(struct lane *lane, long nanoseconds)
{
	struct slice longest = {0, nanoseconds};
	uint32_t state = atomic_load(&lane->state);
	uint32_t asleep = state | LANE_SLEEPER;

	if ((state & ~LANE_SLEEPER) != LANE_ASKED && (state & ~LANE_SLEEPER) != LANE_TAKEN)
		return;
	if (!atomic_compare_exchange_strong(&lane->state, &state, asleep))
		return;
	sys_call(SYS_futex, (long)&lane->state, FUTEX_WAIT, asleep, (long)&longest, 0,
	         0);
}

void lane_done(struct lane *lane)
{
	atomic_store_explicit(&lane->state, LANE_FREE, memory_order_release);
}

void lane_set_looks(struct lane *lane, bool looks)
{
	atomic_store(&lane->looks, looks);
}

bool lane_take(struct lane *lane, struct wire_request *ret_request)
{
	uint32_t state = atomic_load(&lane->state);

	/* The second time it has been put to sleep in between. */
	for (int i = 0; i < 2 && (state & ~LANE_SLEEPER) == LANE_ASKED; i++)
		if (atomic_compare_exchange_strong(&lane->state, &state,
		                                   (state & LANE_SLEEPER) | LANE_TAKEN))
			state = LANE_TAKEN;
	if ((state & ~LANE_SLEEPER) != LANE_TAKEN)
		return false;
	copy_out(lane, ret_request);
	return true;
}

void lane_answer(struct lane *lane, enum lane_state how, const struct wire_reply *reply)
{
	if (reply)
		memcpy(&lane->reply, reply, sizeof *reply);
	if (atomic_exchange(&lane->state, how) & LANE_SLEEPER)
		sys_call(SYS_futex, (long)&lane->state, FUTEX_WAKE, 1, 0, 0, 0);
}
