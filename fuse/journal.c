/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A kill -9 loses nothing that was stored to shared memory: the pages are the kernel's. So the
 * journal needs no log and no checksum, only an order of stores. Every change is decided by one
 * aligned 8-byte store, the commit: a record's key is written after the rest of it and cleared
 * before the rest means anything else. What a kill leaves half done is then a record that is
 * free, or an inode that no name leads to (a file being made or just unlinked), and store.c
 * drops those when it takes a journal over. Where several records are to change at once (rename)
 * the header has the whole change first, decided by one store as well, and whoever finds it
 * there does it: each step says what a record becomes, so that a step done twice is a step done
 * once.
 *
 * Layout: one page of header, the table of inodes, far behind it the table of names, and behind
 * that the place where a FUSE request is read to. The file is sparse: only touched pages take
 * memory. */
#include "fuse/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"

#ifndef JOURNAL_VERSION
#define JOURNAL_VERSION 3
#endif

#ifndef JOURNAL_VERSION_MIN
#define JOURNAL_VERSION_MIN 3
#endif

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

enum {
	HEADER_SIZE = 4096,
	COUNT_FIRST = 512,
	COUNT_MAX = 8 << 20,
};

static const uint64_t journal_magic = 0x6c6e72756d6873; /* "shmurnl" */
static const uint64_t entries_offset =
	HEADER_SIZE + (uint64_t)COUNT_MAX * sizeof(struct journal_inode);
static const uint64_t request_offset =
	HEADER_SIZE + (uint64_t)COUNT_MAX *
			      (sizeof(struct journal_inode) + sizeof(struct journal_entry));

/* The compiler must not move the stores of a record past its commit. Other processes only look
 * after a kill. */
static void commit(uint64_t *key, uint64_t value)
{
	__atomic_store_n(key, value, __ATOMIC_RELEASE);
}

static int file_grow(int fd, uint64_t size)
{
	struct stat status;

	if (fstat(fd, &status) < 0)
		return -errno;
	if ((uint64_t)status.st_size >= size)
		return 0;
	return ftruncate(fd, (off_t)size) < 0 ? -errno : 0;
}

/* Asked for now: a page that can't be had when it is written is a SIGBUS. */
static int file_reserve(int fd, uint64_t offset, uint64_t size)
{
	return fallocate(fd, 0, (off_t)offset, (off_t)size) < 0 ? -errno : 0;
}

static uint64_t *key_at(const struct journal_table *table, size_t at)
{
	return (uint64_t *)((char *)table->records + at * table->record_size);
}

static int table_extend(struct journal_table *table, int fd, size_t count)
{
	size_t size = count * table->record_size;
	void *records;
	int result = file_grow(fd, table->offset + size);

	if (result == 0)
		result = file_reserve(fd, table->offset, size);
	if (result < 0)
		return result;
	if (table->records)
		records = mremap(table->records, table->count * table->record_size, size,
		                 MREMAP_MAYMOVE);
	else
		records = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		               (off_t)table->offset);
	if (records == MAP_FAILED)
		return -errno;
	table->records = records;
	return 0;
}

/* The free places from `from` on come on top, the lowest last. */
static void list_free_places(struct journal_table *table, size_t from)
{
	for (size_t at = table->count; at > from; at--)
		if (!*key_at(table, at - 1))
			table->free_places[table->free_count++] = (uint32_t)(at - 1);
}

static int table_map(struct journal_table *table, int fd, size_t count)
{
	uint32_t *places = reallocarray(table->free_places, count, sizeof *places);
	size_t before = table->count;
	int result;

	if (!places)
		return -ENOMEM;
	table->free_places = places;
	result = table_extend(table, fd, count);
	if (result < 0)
		return result;
	table->count = count;
	commit(table->count_kept, count);
	list_free_places(table, before);
	return 0;
}

/* The place of a free record, growing the table if there is none. */
static int64_t table_claim(struct journal_table *table, int fd)
{
	int result;

	if (!table->free_count) {
		if (table->count >= COUNT_MAX)
			return -ENOSPC;
		result = table_map(table, fd, table->count * 2);
		if (result < 0)
			return result;
	}
	return table->free_places[--table->free_count];
}

/* Both kinds of record begin with their 8-byte key. */
static int64_t table_add(struct journal_table *table, int fd, const void *record)
{
	int64_t at = table_claim(table, fd);
	uint64_t key;
	char *place;

	if (at < 0)
		return at;
	memcpy(&key, record, sizeof key);
	place = (char *)key_at(table, (size_t)at);
	memcpy(place + sizeof key, (const char *)record + sizeof key,
	       table->record_size - sizeof key);
	commit(key_at(table, (size_t)at), key);
	return at;
}

static void table_drop(struct journal_table *table, size_t at)
{
	commit(key_at(table, at), 0);
	table->free_places[table->free_count++] = (uint32_t)at;
}

static int header_map(struct journal *journal)
{
	void *header;
	int result = file_grow(journal->fd, HEADER_SIZE);

	if (result == 0)
		result = file_reserve(journal->fd, 0, HEADER_SIZE);
	if (result < 0)
		return result;
	header = mmap(NULL, HEADER_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, journal->fd, 0);
	if (header == MAP_FAILED)
		return -errno;
	journal->header = header;
	journal->inodes.count_kept = &journal->header->inode_count;
	journal->entries.count_kept = &journal->header->entry_count;
	return 0;
}

static int map_tables(struct journal *journal, size_t inode_count, size_t entry_count)
{
	int result = table_map(&journal->inodes, journal->fd, inode_count);

	return result < 0 ? result : table_map(&journal->entries, journal->fd, entry_count);
}

/* No magic: new, or killed before it was finished, and then nobody was told of anything in it. */
static int begin(struct journal *journal)
{
	struct journal_header *header = journal->header;
	int result = map_tables(journal, COUNT_FIRST, COUNT_FIRST);

	if (result < 0)
		return result;
	header->version = JOURNAL_VERSION;
	header->ino_next = 2;    /* 1 is the root folder's, which the store makes */
	header->cookie_next = 3; /* 1 and 2 are "." and ".." in a listing */
	header->connection_next = 1; /* 0 is the FUSE door */
	commit(&header->magic, journal_magic);
	return 0;
}

static bool count_is_valid(uint64_t count)
{
	return count >= COUNT_FIRST && count <= COUNT_MAX;
}

static void do_step(struct journal *journal, const struct journal_step *step)
{
	struct journal_entry *entry = journal_entry_at(journal, step->at);

	commit(&entry->cookie, 0);
	memcpy((char *)entry + sizeof entry->cookie,
	       (const char *)&step->entry + sizeof step->entry.cookie,
	       sizeof *entry - sizeof entry->cookie);
	commit(&entry->cookie, step->entry.cookie);
}

/* Also when some of the steps, or all of them, have been done before a kill. */
static void do_move(struct journal *journal)
{
	struct journal_header *header = journal->header;

	for (uint64_t i = 0; i < header->move.wanted; i++)
		do_step(journal, &header->move.steps[i]);
	header->turn.moved = 1;
	commit(&header->move.wanted, 0);
}

static int finish_move(struct journal *journal)
{
	const struct journal_move *move = &journal->header->move;

	if (move->wanted > JOURNAL_STEPS_MAX)
		return -EBADMSG;
	for (uint64_t i = 0; i < move->wanted; i++)
		if (move->steps[i].at >= journal->entries.count)
			return -EBADMSG;
	do_move(journal);
	journal->entries.free_count = 0;
	list_free_places(&journal->entries, 0);
	return 0;
}

static int take_over(struct journal *journal)
{
	const struct journal_header *header = journal->header;
	int result;

	if (header->magic != journal_magic)
		return -EBADMSG;
	if (header->version < JOURNAL_VERSION_MIN || header->version > JOURNAL_VERSION)
		return -EPROTONOSUPPORT;
	if (!count_is_valid(header->inode_count) || !count_is_valid(header->entry_count))
		return -EBADMSG;
	result = map_tables(journal, header->inode_count, header->entry_count);
	return result == 0 && header->move.wanted ? finish_move(journal) : result;
}

int64_t journal_versions(void)
{
	return (int64_t)JOURNAL_VERSION_MIN << 32 | JOURNAL_VERSION;
}

int journal_init(struct journal *journal, int fd)
{
	int result;

	*journal = (struct journal){
		.fd = fd,
		.inodes = {.record_size = sizeof(struct journal_inode), .offset = HEADER_SIZE},
		.entries = {.record_size = sizeof(struct journal_entry), .offset = entries_offset},
	};
	result = header_map(journal);
	if (result == 0)
		result = journal->header->magic ? take_over(journal) : begin(journal);
	if (result < 0)
		journal_deinit(journal);
	return result;
}

static void table_unmap(struct journal_table *table)
{
	if (table->records)
		munmap(table->records, table->count * table->record_size);
	table->records = NULL;
	free(table->free_places);
	table->free_places = NULL;
}

void journal_deinit(struct journal *journal)
{
	table_unmap(&journal->inodes);
	table_unmap(&journal->entries);
	if (journal->request)
		munmap(journal->request, JOURNAL_REQUEST_SIZE);
	if (journal->header)
		munmap(journal->header, HEADER_SIZE);
	fd_close_at(&journal->fd);
	*journal = JOURNAL_NULL;
}

struct journal_inode *journal_inode_at(const struct journal *journal, size_t at)
{
	return (struct journal_inode *)key_at(&journal->inodes, at);
}

struct journal_entry *journal_entry_at(const struct journal *journal, size_t at)
{
	return (struct journal_entry *)key_at(&journal->entries, at);
}

uint64_t journal_next_ino(struct journal *journal)
{
	uint64_t ino = journal->header->ino_next;

	commit(&journal->header->ino_next, ino + 1);
	return ino;
}

uint64_t journal_next_cookie(struct journal *journal)
{
	uint64_t cookie = journal->header->cookie_next;

	commit(&journal->header->cookie_next, cookie + 1);
	return cookie;
}

uint64_t journal_next_connection(struct journal *journal)
{
	uint64_t number = journal->header->connection_next;

	commit(&journal->header->connection_next, number + 1);
	return number;
}

bool journal_turn_begin(struct journal *journal, uint64_t asker, uint64_t serial)
{
	struct journal_turn *turn = &journal->header->turn;

	if (turn->active && turn->asker == asker && turn->serial == serial)
		return true;
	commit(&turn->active, 0);
	turn->asker = asker;
	turn->serial = serial;
	turn->cookie_floor = journal->header->cookie_next;
	turn->cookie_removed = 0;
	turn->ino_opened = 0;
	turn->crashes = 0;
	turn->done = 0;
	turn->append_at = UINT64_MAX;
	turn->moved = 0;
	turn->ino_linked = 0;
	commit(&turn->active, 1);
	return false;
}

void journal_turn_end(struct journal *journal)
{
	commit(&journal->header->turn.active, 0);
}

int journal_map_request(struct journal *journal)
{
	int result = file_grow(journal->fd, request_offset + JOURNAL_REQUEST_SIZE);
	void *request;

	if (result == 0)
		result = file_reserve(journal->fd, request_offset, JOURNAL_REQUEST_SIZE);
	if (result < 0)
		return result;
	request = mmap(NULL, JOURNAL_REQUEST_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, journal->fd,
	               (off_t)request_offset);
	if (request == MAP_FAILED)
		return -errno;
	/* Reading a request there must not meet a page that is missing: with a SIGKILL pending the
	 * kernel gives up then, and its client gets an EIO. */
	if (madvise(request, JOURNAL_REQUEST_SIZE, MADV_POPULATE_WRITE) == 0)
		mlock(request, JOURNAL_REQUEST_SIZE);
	journal->request = request;
	return 0;
}

int64_t journal_add_inode(struct journal *journal, const struct journal_inode *inode)
{
	return table_add(&journal->inodes, journal->fd, inode);
}

int64_t journal_add_entry(struct journal *journal, const struct journal_entry *entry)
{
	return table_add(&journal->entries, journal->fd, entry);
}

int64_t journal_claim_entry(struct journal *journal)
{
	return table_claim(&journal->entries, journal->fd);
}

void journal_move_entries(struct journal *journal, const struct journal_step *steps, size_t count)
{
	struct journal_move *move = &journal->header->move;

	memcpy(move->steps, steps, count * sizeof *steps);
	commit(&move->wanted, count);
	do_move(journal);
	for (size_t i = 0; i < count; i++)
		if (!steps[i].entry.cookie)
			journal->entries.free_places[journal->entries.free_count++] =
				(uint32_t)steps[i].at;
}

void journal_drop_inode(struct journal *journal, size_t at)
{
	table_drop(&journal->inodes, at);
}

void journal_drop_entry(struct journal *journal, size_t at)
{
	table_drop(&journal->entries, at);
}

/* The count goes first: a kill leaves at worst memory that is not given back. */
static void table_shrink(struct journal_table *table, int fd)
{
	size_t size = table->count * table->record_size;
	size_t size_first = COUNT_FIRST * table->record_size;
	void *records;

	if (table->count == COUNT_FIRST)
		return;
	commit(table->count_kept, COUNT_FIRST);
	records = mremap(table->records, size, size_first, MREMAP_MAYMOVE);
	if (records == MAP_FAILED) {
		commit(table->count_kept, table->count);
		return;
	}
	table->records = records;
	table->count = COUNT_FIRST;
	table->free_count = 0;
	list_free_places(table, 0);
	fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
	          (off_t)(table->offset + size_first), (off_t)(size - size_first));
}

void journal_shrink(struct journal *journal)
{
	table_shrink(&journal->inodes, journal->fd);
	table_shrink(&journal->entries, journal->fd);
}
