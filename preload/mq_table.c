/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A place's number of changes is odd while it is being changed: whoever reads looks at it before
 * and after, and who would change it leaves it alone. */
#include "preload/mq_table.h"

#include <stddef.h>

enum { SETS = 32, WAYS = 4 };

struct place {
	_Atomic uint64_t changes;
	_Atomic uint64_t device, inode, access;
	_Atomic uint64_t number, secret; /* number 0: free */
	_Atomic uint64_t size;
};

static struct place places[SETS][WAYS];
static atomic_uint next_way;

/* That of a descriptor that came by exec(3) as well. */
atomic_bool mq_has_any;

_Atomic uint64_t mq_marks[MQ_MARKS_MAX / MQ_MARKS_EACH];

static struct place *set_of(const struct mq_key *key)
{
	return places[key->inode % SETS];
}

static uint64_t look(const _Atomic uint64_t *word)
{
	return atomic_load_explicit(word, memory_order_relaxed);
}

static bool is_of(const struct place *place, const struct mq_key *key)
{
	return look(&place->number) && look(&place->inode) == key->inode &&
	       look(&place->device) == key->device && look(&place->access) == key->access;
}

static bool read_place(const struct place *place, const struct mq_key *key,
                       struct mq_known *ret_known)
{
	uint64_t changes = atomic_load_explicit(&place->changes, memory_order_acquire);
	bool found = is_of(place, key);

	ret_known->handle = (struct wire_handle){look(&place->number), look(&place->secret)};
	ret_known->size = look(&place->size);
	atomic_thread_fence(memory_order_acquire);
	return found && changes % 2 == 0 && look(&place->changes) == changes;
}

bool mq_table_find(const struct mq_key *key, struct mq_known *ret_known)
{
	const struct place *set = set_of(key);

	for (int way = 0; way < WAYS; way++)
		if (read_place(&set[way], key, ret_known))
			return true;
	return false;
}

static void put(_Atomic uint64_t *word, uint64_t value)
{
	atomic_store_explicit(word, value, memory_order_relaxed);
}

static void write_place(struct place *place, const struct mq_key *key,
                        const struct mq_known *known)
{
	uint64_t changes = look(&place->changes);

	if (changes % 2 || !atomic_compare_exchange_strong(&place->changes, &changes, changes + 1))
		return;
	atomic_thread_fence(memory_order_release);
	put(&place->device, key->device);
	put(&place->inode, key->inode);
	put(&place->access, key->access);
	put(&place->number, known->handle.number);
	put(&place->secret, known->handle.secret);
	put(&place->size, known->size);
	atomic_store_explicit(&place->changes, changes + 2, memory_order_release);
}

void mq_table_add(const struct mq_key *key, const struct mq_known *known)
{
	struct place *set = set_of(key);
	struct place *chosen = NULL;

	for (int way = 0; way < WAYS && !chosen; way++)
		if (is_of(&set[way], key))
			chosen = &set[way];
	for (int way = 0; way < WAYS && !chosen; way++)
		if (!look(&set[way].number))
			chosen = &set[way];
	atomic_store_explicit(&mq_has_any, true, memory_order_relaxed);
	if (!chosen)
		chosen = &set[atomic_fetch_add(&next_way, 1) % WAYS];
	write_place(chosen, key, known);
}

void mq_table_forget(const struct mq_key *key)
{
	static const struct mq_known nothing;
	struct place *set = set_of(key);

	for (int way = 0; way < WAYS; way++)
		if (is_of(&set[way], key))
			write_place(&set[way], key, &nothing);
}

/* Written before its number is marked. */
static struct quick {
	_Atomic uint64_t number, secret, size, access, told;
} quick[MQ_QUICK_MAX];

void mq_quick_set(int fd, const struct mq_key *key, const struct mq_known *known)
{
	atomic_store_explicit(&mq_has_any, true, memory_order_relaxed);
	if ((unsigned)fd >= MQ_QUICK_MAX)
		return;
	put(&quick[fd].number, known->handle.number);
	put(&quick[fd].secret, known->handle.secret);
	put(&quick[fd].size, known->size);
	put(&quick[fd].access, key->access);
	put(&quick[fd].told, 0);
}

bool mq_quick_find(int fd, unsigned *ret_access, struct mq_known *ret_known)
{
	if ((unsigned)fd >= MQ_QUICK_MAX || !mq_is_marked(fd))
		return false;
	*ret_known = (struct mq_known){
		.handle = {look(&quick[fd].number), look(&quick[fd].secret)},
		.size = look(&quick[fd].size),
	};
	*ret_access = (unsigned)look(&quick[fd].access);
	return true;
}

bool mq_quick_is_told(int fd)
{
	return (unsigned)fd < MQ_QUICK_MAX && mq_is_marked(fd) && look(&quick[fd].told);
}

void mq_quick_tell(int fd)
{
	if ((unsigned)fd < MQ_QUICK_MAX && mq_is_marked(fd))
		put(&quick[fd].told, 1);
}

void mq_mark(int fd, bool is_queue)
{
	uint64_t bit = (uint64_t)1 << (unsigned)fd % MQ_MARKS_EACH;

	if ((unsigned)fd >= MQ_MARKS_MAX)
		return;
	if (is_queue)
		atomic_fetch_or(&mq_marks[fd / MQ_MARKS_EACH], bit);
	else
		atomic_fetch_and(&mq_marks[fd / MQ_MARKS_EACH], ~bit);
}
