/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the store's files share: store.c has the names, move.c moves them, nodes.c has the inodes
 * and attributes.c what is said of them, restore.c takes a journal over, open.c judges. */
#ifndef SHMEMU_FUSE_STORE_I_H
#define SHMEMU_FUSE_STORE_I_H

#include "fuse/hash.h"
#include "fuse/journal.h"
#include "fuse/order.h"
#include "fuse/share.h"
#include "fuse/store.h"

/* While a journal is taken over: see check_tree. */
enum folder_seen { FOLDER_UNSEEN, FOLDER_PASSED, FOLDER_SOUND };

/* What a node that is a folder has besides. */
struct folder {
	struct store_node *parent; /* the root's: itself; NULL: it has been removed */
	const struct store_entry *entry; /* the one name that leads to it; the root's: NULL */
	struct order order;        /* of its entries, by cookie */
	uint64_t folders;          /* of its entries */
	enum folder_seen seen;
};

struct store_node {
	struct store *store;
	uint64_t ino;
	size_t record; /* its place in the journal */
	uint32_t links; /* names that lead to it; the root has one that nothing says */
	struct folder *folder; /* owned; NULL: it is none */
	bool shown;  /* a folder: whoever has its object sees its times without us */
	bool lent;   /* likewise: and may change whose it is, and its mode */
	bool has_rights; /* see folder_rights; */
	mode_t mode;
	uid_t uid;
	gid_t gid;
	bool pinned; /* the file is open as long as the node lives, and the keeper's too */
	int file;    /* owned; -1: not open now */
	struct store_node *prev, *next; /* among the open ones that are not pinned */
	UT_hash_handle hh;
};

/* Its folder's number and its name, without a NUL, are the key. */
struct entry_key {
	uint64_t folder;
	char name[WIRE_NAME_SIZE];
};

struct store_entry {
	struct store_node *node;
	struct store_node *folder;
	uint64_t cookie;
	size_t record;
	UT_hash_handle hh; /* by key */
	uint64_t folder_ino;
	char name[]; /* with a NUL; behind folder_ino, as in struct entry_key */
};

_Static_assert(offsetof(struct store_entry, name) ==
               offsetof(struct store_entry, folder_ino) + offsetof(struct entry_key, name),
               "a key in a row");

/* The values of /proc/sys/fs/protected_regular and its kin. */
struct store_protected {
	int regular, fifos, links, hardlinks;
};

struct store {
	struct journal journal;
	struct anon *anon; /* borrowed */
	struct store_keep *keep; /* borrowed; NULL: none */
	struct store_node *nodes;
	struct store_node *open_nodes; /* not pinned; the last used first */
	size_t open_count;
	struct store_entry *entries;
	struct order order;  /* of entries, by cookie */
	struct shares names; /* of each uid */
	uint64_t inodes_max; /* 0: no limit */
	bool again;         /* the request under way was begun before a kill */
	bool may_owe;       /* see store_owe_times */
	uint64_t made;      /* in this request, and not open for us: number, or 0 */
	int leftover;       /* owned, or -1: see store_close_later */
	int root;           /* the root's object, by path only; owned, or -1 */
	struct store_protected protected;
	struct marks *marks; /* borrowed; NULL: nobody remembers where names lead */
	void (*changed)(void *details, uint64_t ino); /* NULL: nobody listens */
	void *changed_details;
};

static inline const struct journal_inode *record_of(const struct store_node *node)
{
	return journal_inode_at(&node->store->journal, node->record);
}

static inline bool node_is_folder(const struct store_node *node)
{
	return record_of(node)->kind == JOURNAL_FOLDER;
}

/* Is its kernel object one of the source's nodes, by name, and no regular file? */
static inline bool node_is_special(const struct store_node *node)
{
	uint32_t kind = record_of(node)->kind;

	return kind != JOURNAL_REGULAR && kind != JOURNAL_LINK;
}

/* A field of the node's record becomes this. */
#define RECORD_SET(node, field, value)                                                             \
	JOURNAL_SET(&(node)->store->journal, record_of(node)->field, value)

/* The name of that object. */
struct node_name {
	char text[64];
};

struct node_name node_name_of(const struct journal_inode *record);

/* A node with a record in the journal. `file` is taken on success only: to keep open, or -1. NULL:
 * no memory. */
struct store_node *node_new(struct store *store, uint64_t ino, size_t record, int file);

/* Out of the index and the journal, its file with it. The source has forgotten it with its last
 * name. */
void node_free(struct store *store, struct store_node *node);

/* Takes what may be a segment's last descriptor (-1: none): its pages are given back when the
 * request is answered. */
void store_close_later(struct store *store, int file);

/* Has the file kept, open and by the keeper. 0 or -errno. */
int node_pin(struct store_node *node);

/* ctime, or for a folder whose entries have changed mtime too, is now. */
void node_touch(struct store_node *node);
void folder_changed(struct store_node *folder);
/* Its mode, uid and gid alone: they are asked for once, if nobody changes them but by us. */
int folder_rights(struct store_node *folder, struct stat *ret_status);
/* What store_owe_times has put off. */
void store_pay_times(struct store *store);
/* Has nothing in it? */
bool folder_is_empty(const struct store_node *node);

/* Is a folder the node, or somewhere below it? */
bool folder_is_below(const struct store_node *folder, const struct store_node *node);

/* Which node's file is it that a stranger has sent (borrowed)? NULL: none's, but it is of where the
 * store's are. 0, or -EXDEV for any other. Asks nothing that somebody else would have to answer. */
int store_identify(struct store *store, int file, struct store_node **ret_node);

/* Gives a file (borrowed) that O_TMPFILE has made its first name, and what has a name. 0, -ENOENT
 * for one that is to have none, or has lost it, or as store_create. */
int store_adopt(struct store *store, int file, const struct store_creator *creator,
                struct store_node *folder, const char *name);

/* An inode with a record for a file like that. */
int node_adopt(struct store *store, int file, const struct store_creator *creator,
               struct store_node **ret_node);

/* O_TMPFILE: a file of what has no name, opened with `flags`. A descriptor owned by the caller, or
 * -errno. */
int node_make_nameless(struct store *store, const struct store_node *folder,
                       const struct store_birth *birth, int flags);

/* A name with a record in the journal, in the index. 0 or -ENOMEM. */
int entry_new(struct store *store, const struct journal_entry *from, size_t record,
              struct store_node *folder, struct store_node *node);
int entry_remove(struct store *store, struct store_entry *entry); /* as store_unlink */
/* Out of the index and out of memory; the record is the caller's. */
void entry_forget(struct store *store, struct store_entry *entry);
struct store_entry *entry_find(const struct store *store, const struct store_node *folder,
                               const char *name);
/* A record for a name. */
struct journal_entry entry_record(const struct store_node *folder, const char *name,
                                  const struct store_node *node, uint64_t cookie);
/* A name has gone: the node with the last one, unless it is open. */
void node_lost_name(struct store *store, struct store_node *node);
/* What can fail before a name is taken away: what strangers have put into a folder by the kernel is
 * in its way, and see node_keep_nameless. */
int node_prepare_to_go(struct store_node *node);
/* Whoever has it open through the mount must find it when its last name goes. 0 or -errno. */
int node_keep_nameless(struct store_node *node);
int name_check(const char *name); /* 0, -EINVAL, -ENAMETOOLONG */

/* A new inode with all that it is to have, but a name. */
int node_make(struct store *store, const struct store_node *folder,
              const struct store_birth *birth, const int *flags, int *ret_opened,
              struct store_node **ret_node);

/* store_create that also opens the new file with `flags`, before its mode can stand in the way: a
 * file may be created 0000 and yet be open for writing. Returns the descriptor, owned by the
 * caller, or -errno. */
int store_create_open(struct store *store, struct store_node *folder, const char *name,
                      const struct store_birth *birth, int flags, struct store_node **ret_node);

/* What a folder with set-group-id hands on. */
void node_inherit(const struct stat *folder, struct store_birth *birth);

/* May the actor make this in the folder? Takes what it may not have out of its mode, and adds what
 * the folder hands on. 0, -EACCES, or
 * -ENOENT for a folder that has been removed. */
int store_judge_birth(const struct store_actor *actor, struct store_node *folder,
                      struct store_birth *birth);

/* The node that the request under way has made under this name before a kill, or NULL; and opening
 * that as store_create_open would have. */
struct store_node *store_made_before(const struct store *store, const struct store_node *folder,
                                     const char *name);
int store_reopen_made(struct store *store, struct store_node *node, int flags);

#endif
