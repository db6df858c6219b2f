/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A table of fixed places, looked up without a lock. Whoever works on an object is counted at its
 * place, and what is gone is unmapped by the last of them. */
#include "preload/shared.h"

#include <errno.h>
#include <linux/futex.h>
#include <linux/time_types.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <time.h>

#include "base/look.h"
#include "base/own.h"
#include "base/semwords.h"
#include "base/slots.h"
#include "preload/ask_ipc.h"
#include "preload/host.h"
#include "preload/presence.h"
#include "preload/sysv.h"
#include "preload/taken.h"

enum {
	PLACES = 256, /* a power of two */
	PROBES = 8,
	NOTES_WANTED = 3,
	/* Where the daemon has said no, it is asked again after so many more. */
	NOTES_AFTER_REFUSAL = 1024,
	SLEEP_SECONDS = 5, /* at a futex: the end of a daemon that is killed with its keeper wakes
	                      nobody there */
	TEXT_MAX = 8192, /* of messages, on the stack */
};

/* A place's state: the lowest bits what it is, the rest how many are at work on it. */
enum { PLACE_FREE, PLACE_BUSY, PLACE_COUNTS, PLACE_LIVE, PLACE_GONE, PLACE_STATES = 8 };

struct place {
	atomic_uint state;
	uint32_t family;
	uint64_t number;
	atomic_uint notes;
	unsigned wanted;
	void *memory;
	size_t size;
	struct slots slots;
	struct semwords words;
};

static struct place places[PLACES];

static unsigned state_of(unsigned word)
{
	return word % PLACE_STATES;
}

static struct place *place_at(const struct shared_key *key, unsigned probe)
{
	uint64_t hash = (key->number * 4 + key->family) * UINT64_C(0x9e3779b97f4a7c15);

	return &places[((hash >> 32) + probe) % PLACES];
}

static void unmap(struct place *place)
{
	sys_give(place->memory, place->size);
	atomic_store(&place->state, PLACE_FREE);
}

/* No longer at work on it. */
static void leave(struct place *place)
{
	unsigned word = atomic_fetch_sub(&place->state, PLACE_STATES) - PLACE_STATES;

	if (word == PLACE_GONE && atomic_compare_exchange_strong(&place->state, &word, PLACE_BUSY))
		unmap(place);
}

static void mark_gone(struct place *place)
{
	unsigned word = atomic_load(&place->state);

	while (state_of(word) == PLACE_LIVE &&
	       !atomic_compare_exchange_weak(&place->state, &word,
	                                     word - PLACE_LIVE + PLACE_GONE))
		;
}

static bool is_for(const struct place *place, const struct shared_key *key)
{
	return place->number == key->number && place->family == key->family;
}

/* Is at work on a place in this state, if there is one for the object. */
static struct place *enter(const struct shared_key *key, unsigned wanted)
{
	for (unsigned probe = 0; probe < PROBES; probe++) {
		struct place *place = place_at(key, probe);
		unsigned word = atomic_load_explicit(&place->state, memory_order_acquire);

		if (state_of(word) != wanted || !is_for(place, key))
			continue;
		while (state_of(word) == wanted &&
		       !atomic_compare_exchange_weak(&place->state, &word, word + PLACE_STATES))
			;
		if (state_of(word) != wanted)
			continue;
		if (is_for(place, key))
			return place;
		leave(place);
	}
	return NULL;
}

static bool is_gone(const uint32_t *gone)
{
	return __atomic_load_n(gone, __ATOMIC_RELAXED);
}

static struct queue_stamp stamp_of(uint32_t pid)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	return (struct queue_stamp){pid, now.tv_sec};
}

/* Whoever has no presence, such as a forked child that got none, works on nothing. */
static struct place *enter_live(const struct shared_key *key, struct presence_self *ret_self)
{
	struct place *place = presence_self(ret_self) ? enter(key, PLACE_LIVE) : NULL;

	if (place)
		taken_note(TRACED_MEMORY);
	return place;
}

int shared_semop(int id, const struct sembuf *operations, size_t count)
{
	struct shared_key key = {WIRE_SEM, (uint64_t)id, NULL};
	struct presence_self self;
	struct place *place = enter_live(&key, &self);
	struct queue_stamp stamp;
	struct sembuf copy[SHARED_OPERATIONS_MAX];
	int result;

	if (!place)
		return SHARED_ASK;
	stamp = stamp_of(self.pid);
	result = sysv_take(copy, operations, count * sizeof *copy);
	if (result == 0)
		result = semwords_operate(&place->words, copy, count, stamp.pid, stamp.now);
	if (result == SEMWORDS_ASK && is_gone(&place->words.head->gone))
		mark_gone(place);
	leave(place);
	return result == SEMWORDS_ASK ? SHARED_ASK : result;
}

/* Where a call sleeps until there is a message, or room for one. */
struct bed {
	struct place *place;
	uint32_t *word;
	uint32_t *sleepers, *choosy, *crowd; /* counted there; choosy may be NULL */
	uint32_t seen;
	bool sends;
};

/* The wish is a receiver's, NULL: it is a sender's. */
static struct bed bed_of(struct place *place, unsigned owner, const struct queue_wish *wish)
{
	struct slots_head *head = place->slots.head;
	uint32_t *word = wish ? &head->arrivals : &head->departures;

	return (struct bed){
		.place = place,
		.word = word,
		.sleepers = wish ? &head->receivers : &head->senders,
		.choosy = wish && wish->type ? &head->choosy : NULL,
		.crowd = &head->crowds[owner % SLOTS_CROWDS],
		.seen = slots_tick(word),
		.sends = !wish,
	};
}

static void lie_down(const struct bed *bed)
{
	if (bed->choosy)
		__atomic_fetch_add(bed->choosy, 1, __ATOMIC_SEQ_CST);
	__atomic_fetch_add(bed->sleepers, 1, __ATOMIC_SEQ_CST);
}

static void rise(const struct bed *bed)
{
	__atomic_fetch_sub(bed->sleepers, 1, __ATOMIC_SEQ_CST);
	if (bed->choosy)
		__atomic_fetch_sub(bed->choosy, 1, __ATOMIC_SEQ_CST);
}

/* It may have been woken for what another is to have then. */
static void pass_on(const struct bed *bed)
{
	slots_wake(bed->word, 1);
}

/* A call that has slept is at its end. */
static void get_up(const struct bed *bed, bool has_it)
{
	__atomic_fetch_sub(bed->crowd, 1, __ATOMIC_SEQ_CST);
	if (!has_it)
		pass_on(bed);
}

/* The thread is cancelled. */
static void give_way(void *bed_place)
{
	const struct bed *bed = bed_place;

	rise(bed);
	get_up(bed, false);
	leave(bed->place);
}

/* A wait at one word with a timeout is never begun anew after a handler. */
static long sleep_once(const struct bed *bed)
{
	const struct timespec most = {.tv_sec = SLEEP_SECONDS};

	return sys_call(SYS_futex, (long)bed->word, FUTEX_WAIT, bed->seen, (long)&most, 0, 0);
}

/* One at several words is as SA_RESTART has it. Where the host has no such call nothing but a
 * message ends the sleep. */
static long sleep_restarting(const struct bed *bed)
{
	struct futex_waitv word = {
		.val = bed->seen,
		.uaddr = (uintptr_t)bed->word,
		.flags = FUTEX_32,
	};
	struct __kernel_timespec end;
	struct timespec now;
	long result;

	clock_gettime(CLOCK_MONOTONIC, &now);
	end = (struct __kernel_timespec){now.tv_sec + SLEEP_SECONDS, now.tv_nsec};
	result = sys_call(SYS_futex_waitv, (long)&word, 1, 0, (long)&end, CLOCK_MONOTONIC, 0);
	if (result == -ENOSYS || result == -EPERM || result == -EACCES)
		return sys_call(SYS_futex, (long)bed->word, FUTEX_WAIT, bed->seen, 0, 0, 0);
	return result;
}

/* 0, -EINTR, or SHARED_ASK: from now on it waits at the daemon, whose end it sees. */
static __attribute__((noinline)) int sleep_now(const struct bed *bed, enum client_wait how)
{
	long result = 0;
	int type;

	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &type);
	if (slots_tick(bed->word) == bed->seen)
		result = how == CLIENT_NEVER_RESTART ? sleep_once(bed) : sleep_restarting(bed);
	pthread_setcanceltype(type, NULL);
	if (result == -ETIMEDOUT)
		return SHARED_ASK;
	return result == -EINTR ? -EINTR : 0;
}

static int sleep_in(struct bed *bed, enum client_wait how)
{
	int result;

	lie_down(bed);
	pthread_cleanup_push(give_way, bed);
	result = sleep_now(bed, how);
	pthread_cleanup_pop(0);
	rise(bed);
	return result;
}

/* After -EAGAIN: 0: to be tried again. */
static int wait_for(struct bed *bed, struct shared_wait *wait)
{
	if (wait->never || (wait->fd >= 0 && (sys_fcntl(wait->fd, F_GETFL, 0) & O_NONBLOCK)))
		return -EAGAIN;
	/* Who was woken for nothing would lie down behind all others, and of two senders that are
	 * woken the second may be first: the daemon knows the line. */
	if (wait->asks || wait->since || (bed->sends && slots_tick(bed->sleepers)))
		return SHARED_ASK;
	wait->since = (int64_t)look_now();
	__atomic_fetch_add(bed->crowd, 1, __ATOMIC_SEQ_CST);
	return sleep_in(bed, wait->how);
}

int shared_send(const struct shared_key *key, int64_t type, const void *bytes, size_t size,
                struct shared_wait *wait)
{
	struct presence_self self;
	struct place *place = enter_live(key, &self);
	struct queue_stamp stamp;
	int again = 0;
	int result;

	if (!place)
		return SHARED_ASK;
	stamp = stamp_of(self.pid);
	do {
		struct bed bed = bed_of(place, self.owner, NULL);

		result = sysv_look(bytes, size);
		if (result == 0)
			result = slots_send(&place->slots, self.owner, type, bytes, size, &stamp);
		again = result == -EAGAIN ? wait_for(&bed, wait) : 1;
		if (again && wait->since)
			get_up(&bed, result >= 0);
	} while (again == 0);
	if (result == -EAGAIN)
		result = again;
	if (result == SLOTS_ASK && is_gone(&place->slots.head->gone))
		mark_gone(place);
	leave(place);
	return result == SLOTS_ASK ? SHARED_ASK : result;
}

int64_t shared_receive(const struct shared_key *key, const struct queue_wish *wish, void *room,
                       int64_t *ret_type, struct shared_wait *wait, bool *ret_ask)
{
	struct presence_self self;
	struct place *place = enter_live(key, &self);
	struct queue_stamp stamp;
	char text[TEXT_MAX];
	int64_t result;
	int again = 0;

	*ret_ask = !place;
	if (!place)
		return 0;
	stamp = stamp_of(self.pid);
	do {
		struct bed bed = bed_of(place, self.owner, wish);

		result = slots_receive(&place->slots, wish, text, ret_type, &stamp, ret_ask);
		if (result == -EAGAIN && slots_is_tight(&place->slots, wish))
			wait->asks = true;
		again = result == -EAGAIN ? wait_for(&bed, wait) : 1;
		if (again && wait->since)
			get_up(&bed, result >= 0);
	} while (again == 0);
	if (result == -EAGAIN) {
		*ret_ask = again == SHARED_ASK;
		result = again < 0 ? again : 0;
	}
	if (*ret_ask && is_gone(&place->slots.head->gone))
		mark_gone(place);
	leave(place);
	/* What finds no memory there is lost, as the kernel has it. */
	if (result > 0 && sysv_put(room, text, (size_t)result) < 0)
		return -EFAULT;
	return result;
}

/* The memory, and what is in it: 0 or -errno. */
static int map(struct place *place, const struct client_ipc *call)
{
	size_t size = call->told.size;
	long memory = host_mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, call->fd, 0);
	int result;

	if (memory < 0)
		return (int)memory;
	place->memory = (void *)memory;
	place->size = size;
	if (place->family == WIRE_SEM)
		result = semwords_view(&place->words, place->memory, size);
	else
		result = slots_view(&place->slots, place->memory, size);
	if (result == 0 && place->family != WIRE_SEM && place->slots.room > TEXT_MAX)
		result = -EMSGSIZE;
	if (result < 0)
		sys_give(place->memory, size);
	return result;
}

void shared_forget_all(void)
{
	for (unsigned i = 0; i < PLACES; i++) {
		struct place *place = &places[i];
		unsigned word = atomic_load(&place->state);

		while (state_of(word) == PLACE_LIVE &&
		       !atomic_compare_exchange_weak(&place->state, &word, word + PLACE_STATES))
			;
		if (state_of(word) != PLACE_LIVE)
			continue;
		mark_gone(place);
		leave(place);
	}
}

static int fetch(struct place *place, const struct shared_key *key)
{
	struct client_ipc call = client_ipc_make(WIRE_IPC_SHARE);
	int result;

	call.asked.family = key->family;
	call.asked.id = key->queue ? 0 : (int32_t)key->number;
	if (key->queue)
		call.asked.queue = *key->queue;
	result = ask_ipc_present(&call, CLIENT_PATIENT, false);
	if (result < 0)
		return result;
	result = map(place, &call);
	fd_close_at(&call.fd);
	return result;
}

/* One thread does it; the others ask meanwhile. */
static void share(struct place *place, const struct shared_key *key)
{
	unsigned word = PLACE_COUNTS;

	if (!atomic_compare_exchange_strong(&place->state, &word, PLACE_BUSY))
		return;
	/* It may have become another's meanwhile. */
	if (!is_for(place, key)) {
		atomic_store(&place->state, PLACE_COUNTS);
		return;
	}
	if (fetch(place, key) == 0) {
		atomic_store(&place->state, PLACE_LIVE);
		return;
	}
	place->wanted = NOTES_AFTER_REFUSAL;
	atomic_store(&place->notes, 0);
	atomic_store(&place->state, PLACE_COUNTS);
}

/* A free place, or that of another object that has not come far. */
static void begin(const struct shared_key *key)
{
	for (unsigned probe = 0; probe < PROBES; probe++) {
		struct place *place = place_at(key, probe);
		unsigned word = atomic_load(&place->state);

		if (state_of(word) != PLACE_FREE && (word != PLACE_COUNTS || probe < PROBES - 1))
			continue;
		if (!atomic_compare_exchange_strong(&place->state, &word, PLACE_BUSY))
			continue;
		place->family = key->family;
		place->number = key->number;
		place->wanted = NOTES_WANTED;
		atomic_store(&place->notes, 1);
		atomic_store(&place->state, PLACE_COUNTS);
		return;
	}
}

static bool is_known(const struct shared_key *key)
{
	for (unsigned probe = 0; probe < PROBES; probe++) {
		struct place *place = place_at(key, probe);
		unsigned state = state_of(atomic_load(&place->state));

		if (state != PLACE_FREE && is_for(place, key))
			return true;
	}
	return false;
}

void shared_note(const struct shared_key *key)
{
	for (unsigned probe = 0; probe < PROBES; probe++) {
		struct place *place = place_at(key, probe);

		if (atomic_load(&place->state) != PLACE_COUNTS || !is_for(place, key))
			continue;
		if (atomic_fetch_add(&place->notes, 1) + 1 >= place->wanted)
			share(place, key);
		return;
	}
	if (!is_known(key))
		begin(key);
}
