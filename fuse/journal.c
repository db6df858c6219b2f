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
 * Where the file can't be mapped, a store is followed by a write of the same bytes to the file,
 * which a kill does not undo either: so what the next worker finds has come about in the same
 * order.
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
#include <unistd.h>

#include "base/own.h"
#include "fuse/extent.h"

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
	REFUSED = 4095, /* no errno: the file can't be mapped */
};

static const uint64_t journal_magic = 0x6c6e72756d6873; /* "shmurnl" */
static const uint64_t entries_offset =
	HEADER_SIZE + (uint64_t)COUNT_MAX * sizeof(struct journal_inode);
static const uint64_t request_offset =
	HEADER_SIZE + (uint64_t)COUNT_MAX *
			      (sizeof(struct journal_inode) + sizeof(struct journal_entry));

/* Asked for now: a page that can't be had when it is written is a SIGBUS. */
static int file_reserve(int fd, uint64_t offset, uint64_t size)
{
	return extent_allocate(fd, 0, (off_t)offset, (off_t)size);
}

/* Beyond its end a file is zeros. */
static int file_read(int fd, void *memory, size_t size, uint64_t offset)
{
	size_t done = 0;

	while (done < size) {
		ssize_t got = pread(fd, (char *)memory + done, size - done, (off_t)(offset + done));

		if (got < 0 && errno != EINTR)
			return -errno;
		if (got == 0)
			break;
		done += got > 0 ? (size_t)got : 0;
	}
	memset((char *)memory + done, 0, size - done);
	return 0;
}

static bool is_in(const void *place, const void *memory, size_t size)
{
	uintptr_t at = (uintptr_t)place;
	uintptr_t begin = (uintptr_t)memory;

	return memory && at >= begin && at - begin < size;
}

static uint64_t offset_in(const struct journal_table *table, const void *place)
{
	return table->offset + ((uintptr_t)place - (uintptr_t)table->records);
}

static bool is_in_table(const struct journal_table *table, const void *place)
{
	return is_in(place, table->records, table->count * table->record_size);
}

void journal_write_through(const struct journal *journal, const void *place, size_t size)
{
	const char *bytes = place;
	uint64_t offset;

	if (is_in_table(&journal->inodes, place))
		offset = offset_in(&journal->inodes, place);
	else if (is_in_table(&journal->entries, place))
		offset = offset_in(&journal->entries, place);
	else if (is_in(place, journal->header, sizeof *journal->header))
		offset = (uintptr_t)place - (uintptr_t)journal->header;
	else
		abort();
	while (size) {
		ssize_t written = pwrite(journal->fd, bytes, size, (off_t)offset);

		/* There is room, as it was asked for. The next worker sees what there is. */
		if (written == 0 || (written < 0 && errno != EINTR))
			abort();
		if (written < 0)
			continue;
		bytes += written;
		offset += (uint64_t)written;
		size -= (size_t)written;
	}
}

static const uint64_t *key_at(const struct journal_table *table, size_t at)
{
	return (const uint64_t *)((const char *)table->records + at * table->record_size);
}

/* A const that the table alone takes away: to map it elsewhere, and to free it. */
static void *records_of(const struct journal_table *table)
{
	return (void *)(uintptr_t)table->records;
}

/* A second mapping of the same, where the first can't be made larger or smaller. */
static int table_remap(struct journal_table *table, int fd, size_t size)
{
	size_t before = table->count * table->record_size;
	void *records = MAP_FAILED;

	if (table->records)
		records = mremap(records_of(table), before, size, MREMAP_MAYMOVE);
	if (records == MAP_FAILED) {
		records = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		               (off_t)table->offset);
		if (records == MAP_FAILED)
			return -REFUSED;
		if (table->records)
			munmap(records_of(table), before);
	}
	table->records = records;
	return 0;
}

static int table_copy(struct journal_table *table, int fd, size_t size)
{
	size_t before = table->records ? table->count * table->record_size : 0;
	char *records = realloc(records_of(table), size);

	if (!records)
		return -ENOMEM;
	table->records = records;
	if (size <= before)
		return 0;
	return file_read(fd, records + before, size - before, table->offset + before);
}

static int table_resize(struct journal_table *table, const struct journal *journal, size_t count)
{
	size_t size = count * table->record_size;

	return journal->is_mapped ? table_remap(table, journal->fd, size)
	                          : table_copy(table, journal->fd, size);
}

/* The free places from `from` on come on top, the lowest last. */
static void list_free_places(struct journal_table *table, size_t from)
{
	for (size_t at = table->count; at > from; at--)
		if (!*key_at(table, at - 1))
			table->free_places[table->free_count++] = (uint32_t)(at - 1);
}

static int table_grow(struct journal_table *table, const struct journal *journal, size_t count)
{
	uint32_t *places = reallocarray(table->free_places, count, sizeof *places);
	size_t before = table->count;
	int result;

	if (!places)
		return -ENOMEM;
	table->free_places = places;
	result = file_reserve(journal->fd, table->offset, count * table->record_size);
	if (result == 0)
		result = table_resize(table, journal, count);
	if (result < 0)
		return result;
	table->count = count;
	JOURNAL_SET(journal, *table->count_kept, count);
	list_free_places(table, before);
	return 0;
}

/* The place of a free record, growing the table if there is none. */
static int64_t table_claim(struct journal_table *table, const struct journal *journal)
{
	int result;

	if (!table->free_count) {
		if (table->count >= COUNT_MAX)
			return -ENOSPC;
		result = table_grow(table, journal, table->count * 2);
		if (result < 0)
			return result == -REFUSED ? -ENOMEM : result;
	}
	return table->free_places[--table->free_count];
}

/* All of a record but its key, which both kinds begin with, and then that. */
static void put_record(const struct journal *journal, const uint64_t *place, const void *record,
                       size_t size)
{
	uint64_t key;

	memcpy(&key, record, sizeof key);
	journal_put(journal, place + 1, (const char *)record + sizeof key, size - sizeof key);
	JOURNAL_SET(journal, *place, key);
}

static int64_t table_add(struct journal_table *table, const struct journal *journal,
                         const void *record)
{
	int64_t at = table_claim(table, journal);

	if (at >= 0)
		put_record(journal, key_at(table, (size_t)at), record, table->record_size);
	return at;
}

static void table_drop(struct journal_table *table, const struct journal *journal, size_t at)
{
	JOURNAL_SET(journal, *key_at(table, at), 0);
	table->free_places[table->free_count++] = (uint32_t)at;
}

static int header_copy(struct journal *journal)
{
	void *header = calloc(1, HEADER_SIZE);

	if (!header)
		return -ENOMEM;
	journal->header = header;
	return file_read(journal->fd, header, HEADER_SIZE, 0);
}

static int header_map(struct journal *journal)
{
	void *header = mmap(NULL, HEADER_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, journal->fd, 0);

	if (header == MAP_FAILED)
		return -REFUSED;
	journal->header = header;
	return 0;
}

static int header_open(struct journal *journal)
{
	int result = file_reserve(journal->fd, 0, HEADER_SIZE);

	if (result == 0)
		result = journal->is_mapped ? header_map(journal) : header_copy(journal);
	if (result < 0)
		return result;
	journal->inodes.count_kept = &journal->header->inode_count;
	journal->entries.count_kept = &journal->header->entry_count;
	return 0;
}

static int open_tables(struct journal *journal, size_t inode_count, size_t entry_count)
{
	int result = table_grow(&journal->inodes, journal, inode_count);

	return result < 0 ? result : table_grow(&journal->entries, journal, entry_count);
}

/* No magic: new, or killed before it was finished, and then nobody was told of anything in it. */
static int begin(struct journal *journal)
{
	const struct journal_header *header = journal->header;
	int result = open_tables(journal, COUNT_FIRST, COUNT_FIRST);

	if (result < 0)
		return result;
	JOURNAL_SET(journal, header->version, JOURNAL_VERSION);
	/* 1 is the root folder's, which the store makes. */
	JOURNAL_SET(journal, header->ino_next, 2);
	/* 1 and 2 are "." and ".." in a listing. */
	JOURNAL_SET(journal, header->cookie_next, 3);
	/* 0 is the FUSE door. */
	JOURNAL_SET(journal, header->connection_next, 1);
	JOURNAL_SET(journal, header->magic, journal_magic);
	return 0;
}

static bool count_is_valid(uint64_t count)
{
	return count >= COUNT_FIRST && count <= COUNT_MAX;
}

static void do_step(struct journal *journal, const struct journal_step *step)
{
	const struct journal_entry *entry = journal_entry_at(journal, step->at);

	JOURNAL_SET(journal, entry->cookie, 0);
	put_record(journal, &entry->cookie, &step->entry, sizeof *entry);
}

/* Also when some of the steps, or all of them, have been done before a kill. */
static void do_move(struct journal *journal)
{
	const struct journal_header *header = journal->header;

	for (uint64_t i = 0; i < header->move.wanted; i++)
		do_step(journal, &header->move.steps[i]);
	JOURNAL_SET(journal, header->turn.moved, 1);
	JOURNAL_SET(journal, header->move.wanted, 0);
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
	result = open_tables(journal, header->inode_count, header->entry_count);
	return result == 0 && header->move.wanted ? finish_move(journal) : result;
}

int64_t journal_versions(void)
{
	return (int64_t)JOURNAL_VERSION_MIN << 32 | JOURNAL_VERSION;
}

static int open_file(struct journal *journal)
{
	int result = header_open(journal);

	if (result < 0)
		return result;
	return journal->header->magic ? take_over(journal) : begin(journal);
}

static void table_close(struct journal_table *table, bool is_mapped)
{
	if (!is_mapped)
		free(records_of(table));
	else if (table->records)
		munmap(records_of(table), table->count * table->record_size);
	table->records = NULL;
	table->count = table->free_count = 0;
	free(table->free_places);
	table->free_places = NULL;
}

/* But the file. */
static void close_memory(struct journal *journal)
{
	void *header = (void *)(uintptr_t)journal->header;

	table_close(&journal->inodes, journal->is_mapped);
	table_close(&journal->entries, journal->is_mapped);
	if (journal->request)
		munmap(journal->request, JOURNAL_REQUEST_SIZE);
	if (!journal->is_mapped)
		free(header);
	else if (header)
		munmap(header, HEADER_SIZE);
	journal->request = NULL;
	journal->header = NULL;
}

/* Why a mapping was refused does not matter, nor which. */
int journal_init(struct journal *journal, int fd)
{
	int result;

	*journal = (struct journal){
		.fd = fd,
		.is_mapped = true,
		.inodes = {.record_size = sizeof(struct journal_inode), .offset = HEADER_SIZE},
		.entries = {.record_size = sizeof(struct journal_entry), .offset = entries_offset},
	};
	result = open_file(journal);
	if (result == -REFUSED) {
		close_memory(journal);
		journal->is_mapped = false;
		result = open_file(journal);
	}
	if (result < 0)
		journal_deinit(journal);
	return result;
}

void journal_deinit(struct journal *journal)
{
	close_memory(journal);
	fd_close_at(&journal->fd);
	*journal = JOURNAL_NULL;
}

const struct journal_inode *journal_inode_at(const struct journal *journal, size_t at)
{
	return (const struct journal_inode *)key_at(&journal->inodes, at);
}

const struct journal_entry *journal_entry_at(const struct journal *journal, size_t at)
{
	return (const struct journal_entry *)key_at(&journal->entries, at);
}

uint64_t journal_next_ino(struct journal *journal)
{
	uint64_t ino = journal->header->ino_next;

	JOURNAL_SET(journal, journal->header->ino_next, ino + 1);
	return ino;
}

uint64_t journal_next_cookie(struct journal *journal)
{
	uint64_t cookie = journal->header->cookie_next;

	JOURNAL_SET(journal, journal->header->cookie_next, cookie + 1);
	return cookie;
}

uint64_t journal_next_connection(struct journal *journal)
{
	uint64_t number = journal->header->connection_next;

	JOURNAL_SET(journal, journal->header->connection_next, number + 1);
	return number;
}

bool journal_turn_begin(struct journal *journal, uint64_t asker, uint64_t serial)
{
	const struct journal_turn *turn = &journal->header->turn;
	const struct journal_turn begun = {
		.asker = asker,
		.serial = serial,
		.cookie_floor = journal->header->cookie_next,
		.append_at = UINT64_MAX,
		.folder_owed = turn->active ? turn->folder_owed : 0,
	};

	if (turn->active && turn->asker == asker && turn->serial == serial)
		return true;
	if (turn->active)
		JOURNAL_SET(journal, turn->active, 0);
	JOURNAL_SET(journal, *turn, begun);
	JOURNAL_SET(journal, turn->active, 1);
	return false;
}

void journal_turn_end(struct journal *journal)
{
	JOURNAL_SET(journal, journal->header->turn.active, 0);
}

int journal_map_request(struct journal *journal)
{
	void *request;
	int result;

	if (!journal->is_mapped)
		return -EOPNOTSUPP;
	result = file_reserve(journal->fd, request_offset, JOURNAL_REQUEST_SIZE);
	if (result < 0)
		return result;
	request = mmap(NULL, JOURNAL_REQUEST_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, journal->fd,
	               (off_t)request_offset);
	if (request == MAP_FAILED)
		return errno == ENOMEM ? -ENOMEM : -EOPNOTSUPP;
	/* Reading a request there must not meet a page that is missing: with a SIGKILL pending the
	 * kernel gives up then, and its client gets an EIO. */
	if (madvise(request, JOURNAL_REQUEST_SIZE, MADV_POPULATE_WRITE) == 0)
		mlock(request, JOURNAL_REQUEST_SIZE);
	journal->request = request;
	return 0;
}

int64_t journal_add_inode(struct journal *journal, const struct journal_inode *inode)
{
	return table_add(&journal->inodes, journal, inode);
}

int64_t journal_add_entry(struct journal *journal, const struct journal_entry *entry)
{
	return table_add(&journal->entries, journal, entry);
}

int64_t journal_claim_entry(struct journal *journal)
{
	return table_claim(&journal->entries, journal);
}

void journal_move_entries(struct journal *journal, const struct journal_step *steps, size_t count)
{
	const struct journal_move *move = &journal->header->move;

	journal_put(journal, move->steps, steps, count * sizeof *steps);
	JOURNAL_SET(journal, move->wanted, count);
	do_move(journal);
	for (size_t i = 0; i < count; i++)
		if (!steps[i].entry.cookie)
			journal->entries.free_places[journal->entries.free_count++] =
				(uint32_t)steps[i].at;
}

void journal_drop_inode(struct journal *journal, size_t at)
{
	table_drop(&journal->inodes, journal, at);
}

void journal_drop_entry(struct journal *journal, size_t at)
{
	table_drop(&journal->entries, journal, at);
}

/* The count goes first: a kill leaves at worst memory that is not given back. */
static void table_shrink(struct journal_table *table, const struct journal *journal)
{
	size_t size = table->count * table->record_size;
	size_t size_first = COUNT_FIRST * table->record_size;

	if (table->count == COUNT_FIRST)
		return;
	JOURNAL_SET(journal, *table->count_kept, COUNT_FIRST);
	if (table_resize(table, journal, COUNT_FIRST) < 0) {
		JOURNAL_SET(journal, *table->count_kept, table->count);
		return;
	}
	table->count = COUNT_FIRST;
	table->free_count = 0;
	list_free_places(table, 0);
	/* Where there is no such call they stay: zeros would take as much. */
	fallocate(journal->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
	          (off_t)(table->offset + size_first), (off_t)(size - size_first));
}

void journal_shrink(struct journal *journal)
{
	table_shrink(&journal->inodes, journal);
	table_shrink(&journal->entries, journal);
}
