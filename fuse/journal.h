/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The store's tables: fixed-size records in one file of anonymous memory, valid at any instant. */
#ifndef SHMEMU_FUSE_JOURNAL_H
#define SHMEMU_FUSE_JOURNAL_H

#include <stddef.h>
#include <stdint.h>

#include "base/wire.h"

enum journal_kind { JOURNAL_REGULAR = 1 };

/* An inode. Free as long as ino is 0. */
struct journal_inode {
	uint64_t ino; /* written last, cleared first */
	uint32_t kind;
	uint32_t creator_pid;
	uint32_t creator_uid;
	uint32_t reserved;
	uint64_t creator_start;
	char creator_command[WIRE_COMMAND_SIZE];
	uint8_t spare[32];
};

/* A name in a folder. Free as long as cookie is 0. */
struct journal_entry {
	uint64_t cookie; /* written last, cleared first */
	uint64_t parent; /* the folder's inode number */
	uint64_t ino;
	uint32_t name_length;
	uint32_t reserved;
	char name[WIRE_NAME_SIZE];
};

_Static_assert(sizeof(struct journal_inode) == 128, "the layout is a format");
_Static_assert(sizeof(struct journal_entry) == 288, "the layout is a format");

struct journal_header {
	uint64_t magic; /* written last */
	uint32_t version;
	uint32_t reserved;
	uint64_t ino_next;    /* numbers below it are used up, for good */
	uint64_t cookie_next; /* likewise */
	uint64_t inode_count; /* records that the file has room for */
	uint64_t entry_count;
};

/* A table's window on the file. Records are named by their place, for the window moves when it
 * grows. */
struct journal_table {
	void *records;
	size_t count; /* mapped */
	size_t record_size;
	uint64_t offset; /* in the file */
	uint64_t *count_kept; /* where the header has the count */
	size_t free_hint; /* none free below it */
};

struct journal {
	int fd; /* owned */
	struct journal_header *header;
	struct journal_table inodes;
	struct journal_table entries;
};

#define JOURNAL_NULL ((struct journal){.fd = -1})

/* Maps the file, which it takes; an empty one is made into a journal without records. Returns 0
 * or -errno, -EPROTONOSUPPORT for another version, -EBADMSG for what is no journal. */
int journal_init(struct journal *journal, int fd);
void journal_deinit(struct journal *journal);

/* The record at a place below the table's count. Valid until the next claim. */
struct journal_inode *journal_inode_at(const struct journal *journal, size_t at);
struct journal_entry *journal_entry_at(const struct journal *journal, size_t at);

/* Number that was never given out before, and never will be again. */
uint64_t journal_next_ino(struct journal *journal);
uint64_t journal_next_cookie(struct journal *journal);

/* Each writes one record and returns its place, or -errno (-ENOSPC: the table is full). The
 * record's first field is set last, by one store: a kill before it leaves a free record, after it
 * a whole one. */
int64_t journal_add_inode(struct journal *journal, const struct journal_inode *inode);
int64_t journal_add_entry(struct journal *journal, const struct journal_entry *entry);

/* Free a record, by one store. */
void journal_drop_inode(struct journal *journal, size_t at);
void journal_drop_entry(struct journal *journal, size_t at);

#endif
