/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The store's tables: fixed-size records in one file of anonymous memory, valid at any instant.
 *
 * The file is mapped, and what is stored there is in it. On a host that does not let us the same is
 * in memory of our own, and each store is also a write to the file. So nothing here is written to
 * but by JOURNAL_SET: all else sees it const. */
#ifndef SHMEMU_FUSE_JOURNAL_H
#define SHMEMU_FUSE_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/wire.h"

enum journal_kind {
	JOURNAL_REGULAR = 1,
	JOURNAL_FOLDER,
	JOURNAL_LINK,
	JOURNAL_FIFO,
	JOURNAL_SOCKET,
	JOURNAL_CHARACTER, /* devices */
	JOURNAL_BLOCK,
	JOURNAL_KIND_COUNT,
};

/* An inode. Free as long as ino is 0. */
struct journal_inode {
	uint64_t ino; /* written last, cleared first */
	uint32_t kind;
	uint32_t creator_pid;
	uint32_t creator_uid;
	uint32_t nameless; /* 1: has never had a name, and may be given one; the root: is being
	                      made */
	uint64_t creator_start;
	char creator_command[WIRE_COMMAND_SIZE];
	uint32_t opens;        /* by the FUSE door's mount */
	int32_t backing;       /* likewise: their backing id, or 0 */
	uint64_t orphan_since; /* seconds since the epoch; 0: is none, as far as is known */
	uint64_t secret; /* of a folder: a part of its file's name */
	uint64_t device; /* of a device: st_rdev */
};

/* A name in a folder. Free as long as cookie is 0. */
struct journal_entry {
	uint64_t cookie; /* written last, cleared first */
	uint64_t parent; /* the folder's inode number */
	uint64_t ino;
	uint32_t inode_at;  /* the place of the inode's record */
	uint32_t parent_at; /* of the folder's */
	char name[WIRE_NAME_SIZE]; /* with a NUL */
};

_Static_assert(sizeof(struct journal_inode) == 128, "the layout is a format");
_Static_assert(sizeof(struct journal_entry) == 288, "the layout is a format");

/* The one request that is being served. A worker that is killed before its answer is through leaves
 * it behind, and the next one, which is asked the same again, must not do twice what was done. */
struct journal_turn {
	uint64_t active; /* written last, cleared first */
	uint64_t asker;  /* a connection's number; 0: the kernel, by the FUSE door */
	uint64_t serial;
	uint64_t cookie_floor;   /* names from here on were made by this request */
	uint64_t cookie_removed; /* the name that it removes; 0: none */
	uint64_t ino_opened;     /* the inode whose opens it changes; 0: none */
	uint32_t opens;          /* to what */
	uint32_t crashes;        /* workers that died of it by themselves */
	int64_t result;          /* of what it did to a file's contents or attributes ... */
	uint64_t done;           /* ... if 1: its answer may be through, so not to be done again */
	uint64_t append_at;      /* where the file ended that it appends to; or, of an extended
	                            attribute, whether it was there; UINT64_MAX: not noted yet */
	uint64_t moved;          /* 1: the names that it moves have been */
	uint64_t ino_linked;     /* the inode whose names it changes in number */
	uint64_t folder_owed;    /* the folder whose times are still to say that it has changed */
	uint64_t reserved;
};

/* One entry's record is to become this; without a cookie: free. */
struct journal_step {
	uint64_t at;
	struct journal_entry entry;
};

enum { JOURNAL_STEPS_MAX = 3 };

/* Several records that change at once: once this is wanted it is done, by whoever comes. */
struct journal_move {
	uint64_t wanted; /* how many steps; written last, cleared when all is done */
	struct journal_step steps[JOURNAL_STEPS_MAX];
};

enum {
	JOURNAL_INIT_SIZE = 256,
	JOURNAL_PATH_SIZE = 1024,
	JOURNAL_REQUEST_SIZE = (1 << 20) + (1 << 16),
};

/* What the FUSE door has agreed upon with the kernel. */
struct journal_fuse {
	int32_t refusal;      /* as channel.h: why nothing is passed through, or 0 */
	int32_t backing_last; /* the highest backing id that was had */
	uint32_t init_size;   /* of the kernel's INIT, written last; 0: none yet */
	uint32_t device;      /* st_dev of the mount */
	char init[JOURNAL_INIT_SIZE];
	char mountpoint[JOURNAL_PATH_SIZE]; /* absolute, with a NUL */
};

/* What is in force, whatever the command line says; 0: none. */
struct journal_limits {
	uint64_t size;
	uint64_t inodes;
	uint64_t user_size;
	uint64_t reserved;
};

struct journal_header {
	uint64_t magic; /* written last */
	uint32_t version;
	uint32_t reserved;
	uint64_t ino_next;    /* numbers below it are used up, for good */
	uint64_t cookie_next; /* likewise */
	uint64_t inode_count; /* records that the file has room for */
	uint64_t entry_count;
	uint64_t connection_next;
	uint64_t requests; /* answered */
	uint64_t takeovers;
	struct journal_turn turn;
	struct journal_fuse fuse;
	struct journal_move move;
	struct journal_limits limits;
};

/* A table's window on the file, or its copy. Records are named by their place, for the window moves
 * when it grows. */
struct journal_table {
	const void *records;
	size_t count;
	size_t record_size;
	uint64_t offset; /* in the file */
	const uint64_t *count_kept; /* where the header has the count */
	uint32_t *free_places; /* owned; a stack, the lowest place on top */
	size_t free_count;
};

struct journal {
	int fd; /* owned */
	bool is_mapped; /* else records and header are copies, on the heap */
	const struct journal_header *header;
	char *request; /* JOURNAL_REQUEST_SIZE bytes; NULL: not asked for */
	struct journal_table inodes;
	struct journal_table entries;
};

_Static_assert(sizeof(struct journal_header) <= 4096, "one page");

#define JOURNAL_NULL ((struct journal){.fd = -1})

/* The versions of journals that this program can do: the lowest in the higher half, the highest,
 * which it writes, in the lower. */
int64_t journal_versions(void);

/* Maps the file, which it takes, or copies it; an empty one is made into a journal without records.
 * Returns 0 or -errno, -EPROTONOSUPPORT for another version, -EBADMSG for what is no journal. */
int journal_init(struct journal *journal, int fd);
void journal_deinit(struct journal *journal);

/* The record at a place below the table's count. Valid until the next claim. */
const struct journal_inode *journal_inode_at(const struct journal *journal, size_t at);
const struct journal_entry *journal_entry_at(const struct journal *journal, size_t at);

/* What has just been stored goes to the file, or that is this process's end. For journal_put. */
void journal_write_through(const struct journal *journal, const void *place, size_t size);

/* Stores to a place in the header or in a record. All stores are done in the order that they are
 * written in, and one of 4 or 8 bytes is done whole or not at all, whenever a kill comes. Other
 * processes only look after that: it is the compiler that must keep to the order. */
static inline void journal_put(const struct journal *journal, const void *place, const void *value,
                               size_t size)
{
	void *to = (void *)(uintptr_t)place;
	uint64_t eight;
	uint32_t four;

	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	if (size == sizeof eight) {
		memcpy(&eight, value, sizeof eight);
		__atomic_store_n((uint64_t *)to, eight, __ATOMIC_RELEASE);
	} else if (size == sizeof four) {
		memcpy(&four, value, sizeof four);
		__atomic_store_n((uint32_t *)to, four, __ATOMIC_RELEASE);
	} else {
		memcpy(to, value, size);
	}
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	if (!journal->is_mapped)
		journal_write_through(journal, place, size);
}

/* JOURNAL_SET(journal, journal->header->turn.done, 1): any place of a type that can be assigned. */
#define JOURNAL_SET(journal, place, ...)                                                           \
	do {                                                                                       \
		const __typeof__(place) journal_value = (__VA_ARGS__);                             \
                                                                                                   \
		journal_put(journal, &(place), &journal_value, sizeof journal_value);              \
	} while (0)

/* Number that was never given out before, and never will be again. */
uint64_t journal_next_ino(struct journal *journal);
uint64_t journal_next_cookie(struct journal *journal);
uint64_t journal_next_connection(struct journal *journal);

/* Begins the turn of a request. Returns whether it is one that an earlier worker has begun: then
 * what the turn says holds. journal_turn_end is called when its answer is through. */
bool journal_turn_begin(struct journal *journal, uint64_t asker, uint64_t serial);
void journal_turn_end(struct journal *journal);

/* Maps the place for FUSE requests, which outlives the worker like the rest. What is read there
 * must be there at once: without a mapping it is -EOPNOTSUPP. Returns 0 or -errno. */
int journal_map_request(struct journal *journal);

/* Each writes one record and returns its place, or -errno (-ENOSPC: the table is full). The
 * record's first field is set last, by one store: a kill before it leaves a free record, after it
 * a whole one. */
int64_t journal_add_inode(struct journal *journal, const struct journal_inode *inode);
int64_t journal_add_entry(struct journal *journal, const struct journal_entry *entry);

/* A free record, not written yet: of a place that journal_move_entries is to fill. */
int64_t journal_claim_entry(struct journal *journal);

/* Does the steps, all or none, and notes it in the turn. Records that become free may be claimed
 * again at once. */
void journal_move_entries(struct journal *journal, const struct journal_step *steps, size_t count);

/* Free a record, by one store. */
void journal_drop_inode(struct journal *journal, size_t at);
void journal_drop_entry(struct journal *journal, size_t at);

/* Gives back the memory of tables that have grown. To be called when they have no record but the
 * root's, the first. */
void journal_shrink(struct journal *journal);

#endif
