/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names move: rename(2) and its flags. What is to become of each record is told to the journal in
 * one go; the index follows. A name that has moved has a new cookie, and so comes last in a
 * listing. */
#include <errno.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>

#include "fuse/anon.h"
#include "fuse/store_i.h"

struct move {
	struct store *store;
	struct store_node *folders[2]; /* from, to */
	const char *names[2];
	struct store_entry *entries[2]; /* what is there */
	struct store_node *whiteout;    /* what the old name is to lead to; NULL: nothing */
	struct journal_step steps[JOURNAL_STEPS_MAX];
	size_t step_count;
};

static void add_step(struct move *move, uint64_t at, struct store_node *folder, const char *name,
                     const struct store_node *node)
{
	struct journal_step *step = &move->steps[move->step_count++];
	uint64_t cookie = node ? journal_next_cookie(&move->store->journal) : 0;

	*step = (struct journal_step){.at = at};
	if (node)
		step->entry = entry_record(folder, name, node, cookie);
}

/* A folder into itself. */
static int check_loops(const struct move *move, unsigned flags)
{
	const struct store_entry *from = move->entries[0];
	const struct store_entry *to = move->entries[1];

	if (from->node->folder && folder_is_below(move->folders[1], from->node))
		return -EINVAL;
	if (to && to->node->folder && folder_is_below(move->folders[0], to->node))
		return flags & RENAME_EXCHANGE ? -EINVAL : -ENOTEMPTY;
	return 0;
}

static int check_target(const struct move *move)
{
	const struct store_node *from = move->entries[0]->node;
	const struct store_node *to = move->entries[1]->node;

	if (from->folder && !to->folder)
		return -ENOTDIR;
	if (!from->folder && to->folder)
		return -EISDIR;
	return to->folder && !folder_is_empty(to) ? -ENOTEMPTY : 0;
}

int store_check_rename_flags(unsigned flags)
{
	if (flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT))
		return -EINVAL;
	if ((flags & RENAME_EXCHANGE) && (flags & (RENAME_NOREPLACE | RENAME_WHITEOUT)))
		return -EINVAL;
	return 0;
}

/* In the kernel's order, which decides the errno. */
static int check(struct move *move, unsigned flags)
{
	int result = name_check(move->names[1]);

	if (store_check_rename_flags(flags) < 0)
		return -EINVAL;
	if (result < 0)
		return result;
	if (!move->entries[0] || !move->folders[1]->links)
		return -ENOENT;
	if ((flags & RENAME_NOREPLACE) && move->entries[1])
		return -EEXIST;
	if ((flags & RENAME_EXCHANGE) && !move->entries[1])
		return -ENOENT;
	result = check_loops(move, flags);
	if (result == 0 && move->entries[1] && !(flags & RENAME_EXCHANGE) &&
	    move->entries[0]->node != move->entries[1]->node)
		result = check_target(move);
	return result;
}

/* The names as the journal has them now. Memory for the index was there a moment ago; without it
 * the next worker has them all the same. */
static int index_steps(struct move *move, struct store_node *const nodes[JOURNAL_STEPS_MAX],
                       struct store_node *const folders[JOURNAL_STEPS_MAX])
{
	int result = 0;

	for (size_t i = 0; i < move->step_count && result == 0; i++)
		if (nodes[i])
			result = entry_new(move->store, &move->steps[i].entry, move->steps[i].at,
			                   folders[i], nodes[i]);
	return result;
}

static void note_changes(struct move *move, bool exchanged, struct store_node *const nodes[2])
{
	folder_changed(move->folders[0]);
	if (move->folders[1] != move->folders[0])
		folder_changed(move->folders[1]);
	node_touch(nodes[0]);
	if (exchanged && nodes[1] != nodes[0])
		node_touch(nodes[1]);
}

static int exchange(struct move *move)
{
	struct store_node *nodes[JOURNAL_STEPS_MAX] = {move->entries[1]->node,
	                                               move->entries[0]->node};
	struct store_node *folders[JOURNAL_STEPS_MAX] = {move->folders[0], move->folders[1]};

	add_step(move, move->entries[0]->record, move->folders[0], move->names[0], nodes[0]);
	add_step(move, move->entries[1]->record, move->folders[1], move->names[1], nodes[1]);
	note_changes(move, true, nodes);
	journal_move_entries(&move->store->journal, move->steps, move->step_count);
	entry_forget(move->store, move->entries[0]);
	entry_forget(move->store, move->entries[1]);
	return index_steps(move, nodes, folders);
}

/* A character device 0:0 takes the old name. */
static int make_whiteout(struct move *move, const struct store_actor *actor)
{
	struct store_birth birth = {.mode = S_IFCHR, .uid = actor->uid, .gid = actor->gid};
	int64_t at;
	int result;

	if (!shares_allow(&move->store->names, actor->uid))
		return -ENOSPC;
	result = node_make(move->store, move->folders[0], &birth, NULL, NULL, &move->whiteout);
	if (result < 0)
		return result;
	at = journal_claim_entry(&move->store->journal);
	if (at < 0) {
		node_lost_name(move->store, move->whiteout);
		return (int)at;
	}
	add_step(move, (uint64_t)at, move->folders[0], move->names[0], move->whiteout);
	return 0;
}

static int replace(struct move *move)
{
	struct store_node *gone = move->entries[1] ? move->entries[1]->node : NULL;
	struct store_node *nodes[JOURNAL_STEPS_MAX] = {move->whiteout};
	struct store_node *folders[JOURNAL_STEPS_MAX] = {move->folders[0]};
	size_t at = move->step_count;
	int result;

	nodes[at] = move->entries[0]->node;
	folders[at] = move->folders[1];
	add_step(move, move->entries[0]->record, folders[at], move->names[1], nodes[at]);
	if (gone) {
		add_step(move, move->entries[1]->record, NULL, NULL, NULL);
		JOURNAL_SET(&move->store->journal, move->store->journal.header->turn.ino_linked,
		            gone->ino);
	}
	note_changes(move, false, &nodes[at]);
	if (gone && (gone->links > 1 || record_of(gone)->opens))
		node_touch(gone);
	journal_move_entries(&move->store->journal, move->steps, move->step_count);
	entry_forget(move->store, move->entries[0]);
	if (gone)
		entry_forget(move->store, move->entries[1]);
	result = index_steps(move, nodes, folders);
	if (gone)
		node_lost_name(move->store, gone);
	return result;
}

bool store_has_moved(const struct store *store)
{
	return store->again && store->journal.header->turn.moved;
}

/* Whether the times were set before the kill is not known. */
static int note_moved(struct move *move)
{
	struct store_entry *entry = entry_find(move->store, move->folders[1], move->names[1]);

	folder_changed(move->folders[0]);
	folder_changed(move->folders[1]);
	if (entry)
		node_touch(entry->node);
	return 0;
}

int store_rename(struct store *store, struct store_node *folder, const char *name,
                 struct store_node *new_folder, const char *new_name, unsigned flags,
                 const struct store_actor *actor)
{
	struct move move = {
		.store = store,
		.folders = {folder, new_folder},
		.names = {name, new_name},
	};
	int result;

	if (store_has_moved(store))
		return note_moved(&move);
	move.entries[0] = entry_find(store, folder, name);
	move.entries[1] = entry_find(store, new_folder, new_name);
	result = check(&move, flags);
	if (result < 0)
		return result;
	/* Two names of one file: both stay. */
	if (move.entries[1] && move.entries[0]->node == move.entries[1]->node)
		return 0;
	if (flags & RENAME_EXCHANGE)
		return exchange(&move);
	if (move.entries[1])
		result = node_prepare_to_go(move.entries[1]->node);
	/* The last that can fail. */
	if (result == 0 && (flags & RENAME_WHITEOUT))
		result = make_whiteout(&move, actor);
	return result < 0 ? result : replace(&move);
}
