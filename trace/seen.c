/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Two tables without a lock: a number is there or not. */
#include "trace/seen.h"

#include <stdatomic.h>
#include <stdint.h>

#include "base/sys.h"

enum { SLOTS = 1024, PROBES = 8 }; /* a power of two */

struct table {
	_Atomic uint64_t slots[SLOTS];
	atomic_bool has_any;
};

static struct table places;
static struct table files;

static _Atomic uint64_t *slot_of(struct table *table, uint64_t number, unsigned probe)
{
	uint64_t hash = number * UINT64_C(0x9e3779b97f4a7c15);

	return &table->slots[((hash >> 32) + probe) % SLOTS];
}

static _Atomic uint64_t *find(struct table *table, uint64_t number)
{
	for (unsigned probe = 0; probe < PROBES; probe++) {
		_Atomic uint64_t *slot = slot_of(table, number, probe);

		if (atomic_load_explicit(slot, memory_order_relaxed) == number)
			return slot;
	}
	return NULL;
}

/* Where there is no free slot near, what is there makes room. */
static void add(struct table *table, uint64_t number)
{
	if (find(table, number))
		return;
	atomic_store_explicit(&table->has_any, true, memory_order_relaxed);
	for (unsigned probe = 0; probe < PROBES; probe++) {
		uint64_t none = 0;

		if (atomic_compare_exchange_strong(slot_of(table, number, probe), &none, number))
			return;
	}
	atomic_store(slot_of(table, number, 0), number);
}

static bool has(struct table *table, uint64_t number)
{
	return atomic_load_explicit(&table->has_any, memory_order_relaxed) &&
	       find(table, number);
}

void seen_place(const void *address)
{
	add(&places, (uintptr_t)address);
}

bool seen_has_place(const void *address)
{
	return address && has(&places, (uintptr_t)address);
}

void seen_forget_place(const void *address)
{
	_Atomic uint64_t *slot = find(&places, (uintptr_t)address);
	uint64_t number = (uintptr_t)address;

	if (slot)
		atomic_compare_exchange_strong(slot, &number, 0);
}

/* 0: it is no regular file. */
static uint64_t file_of(int fd)
{
	struct stat status;

	if (sys_fstat(fd, &status) < 0 || !S_ISREG(status.st_mode))
		return 0;
	return (status.st_dev << 44 ^ status.st_ino) | (uint64_t)1 << 63;
}

void seen_file(int fd)
{
	uint64_t file = file_of(fd);

	if (file)
		add(&files, file);
}

bool seen_has_file(int fd)
{
	uint64_t file = 0;

	if (atomic_load_explicit(&files.has_any, memory_order_relaxed))
		file = file_of(fd);
	return file && find(&files, file);
}
