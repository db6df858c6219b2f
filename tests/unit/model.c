/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/model.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const mode_t types[] = {S_IFREG, S_IFREG, S_IFDIR, S_IFDIR, S_IFLNK, S_IFIFO, S_IFCHR};
static const unsigned flags_of_rename[] = {
	0, 0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_EXCHANGE, RENAME_WHITEOUT,
	RENAME_WHITEOUT | RENAME_NOREPLACE, RENAME_EXCHANGE | RENAME_NOREPLACE, 1 << 7,
};

static void clear_children(struct model_thing *thing)
{
	for (int at = 0; at < MODEL_NAMES; at++)
		thing->children[at] = MODEL_NONE;
}

void model_init(struct model *model)
{
	*model = (struct model){.things[MODEL_ROOT] = {
		.ino = STORE_ROOT_INO,
		.type = S_IFDIR,
		.names = 1,
	}};
	clear_children(&model->things[MODEL_ROOT]);
}

static int choose(unsigned *seed, int below)
{
	return rand_r(seed) % below;
}

static bool is_folder(const struct model_thing *thing)
{
	return thing->ino && thing->type == S_IFDIR;
}

static int count(const struct model *model, bool folders)
{
	int found = 0;

	for (int i = 0; i < MODEL_THINGS; i++)
		found += folders ? is_folder(&model->things[i]) : model->things[i].ino != 0;
	return found;
}

static int choose_thing(const struct model *model, unsigned *seed, bool folder)
{
	int at;

	do
		at = choose(seed, MODEL_THINGS);
	while (!model->things[at].ino || (folder && !is_folder(&model->things[at])));
	return at;
}

struct model_op model_choose(const struct model *model, unsigned *seed, int kinds)
{
	struct model_op op;

	do {
		op = (struct model_op){
			.what = (enum model_what)choose(seed, kinds),
			.thing = choose_thing(model, seed, false),
			.folders = {choose_thing(model, seed, true),
			            choose_thing(model, seed, true)},
			.names = {choose(seed, MODEL_NAMES), choose(seed, MODEL_NAMES)},
			.type = types[choose(seed, sizeof types / sizeof types[0])],
			.flags = flags_of_rename[choose(seed, sizeof flags_of_rename /
			                                      sizeof flags_of_rename[0])],
		};
		if (op.what == MODEL_OPEN && choose(seed, 2))
			op.what = MODEL_CLOSE;
		if (op.what == MODEL_NAMELESS)
			op.type = S_IFREG;
	} while ((count(model, false) > MODEL_THINGS - 2 && op.what != MODEL_UNLINK &&
	          op.what != MODEL_CLOSE) ||
	         (op.what == MODEL_CREATE && op.type == S_IFDIR &&
	          count(model, true) >= MODEL_FOLDERS) ||
	         (op.what == MODEL_CLOSE && !model->things[op.thing].opens) ||
	         (op.what == MODEL_OPEN && model->things[op.thing].opens > 3) ||
	         (op.what >= MODEL_OPEN && op.what <= MODEL_CLOSE && op.thing == MODEL_ROOT));
	return op;
}

static int child(const struct model *model, const struct model_op *op, int which)
{
	return model->things[op->folders[which]].children[op->names[which]];
}

static bool is_below(const struct model *model, int folder, int thing)
{
	while (folder != thing && folder != MODEL_ROOT && folder != MODEL_NONE)
		folder = model->things[folder].parent;
	return folder == thing;
}

static bool is_empty(const struct model_thing *folder)
{
	for (int at = 0; at < MODEL_NAMES; at++)
		if (folder->children[at] != MODEL_NONE)
			return false;
	return true;
}

static int expect_over(const struct model_thing *from, const struct model_thing *to)
{
	if (is_folder(from) && !is_folder(to))
		return -ENOTDIR;
	if (!is_folder(from) && is_folder(to))
		return -EISDIR;
	return is_folder(to) && !is_empty(to) ? -ENOTEMPTY : 0;
}

static int expect_rename(const struct model *model, const struct model_op *op)
{
	int from = child(model, op, 0);
	int to = child(model, op, 1);
	bool exchange = op->flags == RENAME_EXCHANGE;

	if (op->flags == (RENAME_EXCHANGE | RENAME_NOREPLACE) || op->flags == 1 << 7)
		return -EINVAL;
	if (from == MODEL_NONE || !model->things[op->folders[1]].names)
		return -ENOENT;
	if ((op->flags & RENAME_NOREPLACE) && to != MODEL_NONE)
		return -EEXIST;
	if (exchange && to == MODEL_NONE)
		return -ENOENT;
	if (is_folder(&model->things[from]) && is_below(model, op->folders[1], from))
		return -EINVAL;
	if (to == MODEL_NONE || from == to)
		return 0;
	if (is_folder(&model->things[to]) && is_below(model, op->folders[0], to))
		return exchange ? -EINVAL : -ENOTEMPTY;
	return exchange ? 0 : expect_over(&model->things[from], &model->things[to]);
}

int model_expect(const struct model *model, const struct model_op *op)
{
	const struct model_thing *thing = &model->things[op->thing];
	int there = child(model, op, 0);

	switch (op->what) {
	case MODEL_CREATE:
		return !model->things[op->folders[0]].names ? -ENOENT
		                                            : there != MODEL_NONE ? -EEXIST : 0;
	case MODEL_UNLINK:
		if (there == MODEL_NONE)
			return -ENOENT;
		return is_folder(&model->things[there]) && !is_empty(&model->things[there]) ?
			-ENOTEMPTY : 0;
	case MODEL_LINK:
		if (is_folder(thing))
			return -EPERM;
		if (!model->things[op->folders[0]].names)
			return -ENOENT;
		if (there != MODEL_NONE)
			return -EEXIST;
		return thing->names || thing->nameless ? 0 : -ENOENT;
	case MODEL_RENAME: return expect_rename(model, op);
	case MODEL_NAMELESS: case MODEL_OPEN: case MODEL_CLOSE: case MODEL_KINDS: break;
	}
	return 0;
}

static void name_at(int at, char ret_name[static 16])
{
	snprintf(ret_name, 16, "n%d", at);
}

static struct store_node *folder_of(const struct model *model, const struct model_op *op,
                                    int which, struct store *store)
{
	return store_node_find(store, model->things[op->folders[which]].ino);
}

static int create(const struct model *model, const struct model_op *op, struct store *store,
                  const char *name, struct store_node **ret_node)
{
	struct store_birth birth = {
		.mode = op->type | 0700,
		.uid = geteuid(),
		.gid = getegid(),
		.initial = "text",
		.initial_length = op->type == S_IFREG || op->type == S_IFLNK ? 4 : 0,
	};

	if (op->what == MODEL_NAMELESS)
		return store_create_nameless(store, folder_of(model, op, 0, store), &birth,
		                             ret_node);
	return store_create(store, folder_of(model, op, 0, store), name, &birth, ret_node);
}

static int rename_it(const struct model *model, const struct model_op *op, struct store *store,
                     const char *name)
{
	struct store_actor self = {.uid = geteuid(), .gid = getegid()};
	char new_name[16];

	name_at(op->names[1], new_name);
	return store_rename(store, folder_of(model, op, 0, store), name,
	                    folder_of(model, op, 1, store), new_name, op->flags, &self);
}

/* A request that comes again may find what it closed, or what is to be closed, gone. */
static void close_it(struct store *store, uint64_t ino)
{
	struct store_node *node = store_node_find(store, ino);

	if (node)
		store_node_close(store, node);
}

static int do_it(const struct model *model, const struct model_op *op, struct store *store,
                 const char *name, struct store_node **ret_node)
{
	uint64_t ino = model->things[op->thing].ino;

	switch (op->what) {
	case MODEL_CREATE: case MODEL_NAMELESS:
		return create(model, op, store, name, ret_node);
	case MODEL_UNLINK:
		return store_unlink(store, folder_of(model, op, 0, store), name);
	case MODEL_LINK:
		return store_link(store, store_node_find(store, ino),
		                  folder_of(model, op, 0, store), name);
	case MODEL_RENAME: return rename_it(model, op, store, name);
	case MODEL_OPEN: store_node_open(store, store_node_find(store, ino)); return 0;
	case MODEL_CLOSE: close_it(store, ino); return 0;
	case MODEL_KINDS: break;
	}
	return -EINVAL;
}

int model_perform(const struct model *model, const struct model_op *op, struct store *store,
                  uint64_t serial, uint64_t *ret_ino)
{
	struct store_node *node = NULL;
	char name[16];
	int result;

	name_at(op->names[0], name);
	store_turn_begin(store, 7, serial);
	result = do_it(model, op, store, name, &node);
	if (result == 0 && op->what == MODEL_RENAME && (op->flags & RENAME_WHITEOUT))
		node = store_lookup(store, folder_of(model, op, 0, store), name);
	*ret_ino = result == 0 && node ? store_node_ino(node) : 0;
	return result;
}

static int new_thing(struct model *model, uint64_t ino, mode_t type)
{
	int at = 0;

	while (model->things[at].ino)
		at++;
	model->things[at] = (struct model_thing){
		.ino = ino,
		.type = type,
		.parent = MODEL_NONE,
	};
	clear_children(&model->things[at]);
	return at;
}

static void let_go(struct model_thing *thing)
{
	if (!thing->names && !thing->opens)
		thing->ino = 0;
}

static void give_name(struct model *model, int folder, int at, int child)
{
	struct model_thing *thing = &model->things[child];

	model->things[folder].children[at] = child;
	thing->names++;
	thing->nameless = false;
	if (is_folder(thing)) {
		thing->parent = folder;
		thing->at = at;
	}
}

/* The thing stays even without a name: see let_go. */
static int take_name(struct model *model, int folder, int at)
{
	int child = model->things[folder].children[at];

	model->things[folder].children[at] = MODEL_NONE;
	if (child == MODEL_NONE)
		return child;
	model->things[child].names--;
	model->things[child].parent = MODEL_NONE;
	return child;
}

static void apply_rename(struct model *model, const struct model_op *op, uint64_t whiteout)
{
	int from;
	int to;

	if (child(model, op, 0) == child(model, op, 1))
		return;
	from = take_name(model, op->folders[0], op->names[0]);
	to = take_name(model, op->folders[1], op->names[1]);
	give_name(model, op->folders[1], op->names[1], from);
	if (op->flags & RENAME_EXCHANGE)
		give_name(model, op->folders[0], op->names[0], to);
	else if (to != MODEL_NONE)
		let_go(&model->things[to]);
	if (op->flags & RENAME_WHITEOUT)
		give_name(model, op->folders[0], op->names[0],
		          new_thing(model, whiteout, S_IFCHR));
}

void model_apply(struct model *model, const struct model_op *op, uint64_t ino)
{
	struct model_thing *thing = &model->things[op->thing];
	int at;

	switch (op->what) {
	case MODEL_CREATE:
		give_name(model, op->folders[0], op->names[0], new_thing(model, ino, op->type));
		break;
	case MODEL_NAMELESS:
		at = new_thing(model, ino, S_IFREG);
		model->things[at].opens = 1;
		model->things[at].nameless = model->things[at].was_nameless = true;
		break;
	case MODEL_UNLINK:
		let_go(&model->things[take_name(model, op->folders[0], op->names[0])]);
		break;
	case MODEL_LINK: give_name(model, op->folders[0], op->names[0], op->thing); break;
	case MODEL_RENAME: apply_rename(model, op, ino); break;
	case MODEL_OPEN: thing->opens++; break;
	case MODEL_CLOSE:
		thing->opens--;
		let_go(thing);
		break;
	case MODEL_KINDS: break;
	}
}

static size_t path_to(const struct model *model, int at, char *path)
{
	const struct model_thing *thing = &model->things[at];
	size_t length;

	if (at == MODEL_ROOT) {
		path[0] = '\0';
		return 0;
	}
	length = path_to(model, thing->parent, path);
	return length + (size_t)sprintf(path + length, "%sn%d", length ? "/" : "", thing->at);
}

static void check_path(const struct model *model, int at, const struct store_node *node)
{
	char expected[MODEL_FOLDERS * 4];
	char path[256];

	if (!model->things[at].names) {
		cr_assert_eq(store_node_path(node, path, sizeof path), -ENOENT);
		return;
	}
	path_to(model, at, expected);
	cr_assert_eq(store_node_path(node, path, sizeof path), (ssize_t)strlen(expected));
	cr_assert_str_eq(path, expected);
}

static uint32_t check_listing(const struct model *model, int at, const struct store_node *node)
{
	const struct model_thing *folder = &model->things[at];
	const struct store_entry *entry;
	uint64_t cookie = 0;
	uint32_t folders = 0;
	int names = 0;

	while ((entry = store_entry_after_in(node, cookie))) {
		int child = folder->children[atoi(store_entry_name(entry) + 1)];

		cr_assert_gt(store_entry_cookie(entry), cookie);
		cr_assert_neq(child, MODEL_NONE, "%s", store_entry_name(entry));
		cr_assert_eq(store_node_ino(store_entry_node(entry)), model->things[child].ino);
		cookie = store_entry_cookie(entry);
		folders += is_folder(&model->things[child]);
		names++;
	}
	for (int i = 0; i < MODEL_NAMES; i++)
		names -= folder->children[i] != MODEL_NONE;
	cr_assert_eq(names, 0, "a listing has each name once");
	return folders;
}

static void check_thing(const struct model *model, int at, struct store *store, bool links_show)
{
	const struct model_thing *thing = &model->things[at];
	struct store_node *node = store_node_find(store, thing->ino);
	nlink_t links = (nlink_t)thing->names;
	struct stat status;
	char text[8];

	cr_assert_not_null(node, "%d is lost", at);
	cr_assert_eq(store_node_type(node), thing->type);
	if (is_folder(thing)) {
		links = check_listing(model, at, node) + 2;
		links = thing->names ? links : 0;
		check_path(model, at, node);
	}
	cr_assert_eq(store_node_stat(node, &status), 0, "%d: type %o, %d names, %u opens", at,
	             thing->type, thing->names, thing->opens);
	cr_assert_eq(status.st_nlink, links);
	cr_assert_eq(status.st_mode & S_IFMT, thing->type);
	cr_assert_eq(store_node_opens(node), thing->opens);
	if (thing->type == S_IFLNK)
		cr_assert_eq(store_node_readlink(node, text, sizeof text), 4);
	if (!links_show || thing->was_nameless ||
	    (thing->type != S_IFREG && thing->type != S_IFLNK))
		return;
	cr_assert_eq(store_node_stat_file(node, &status), 0);
	cr_assert_eq(status.st_nlink, links, "the file has %lu names, not %lu",
	             (unsigned long)status.st_nlink, (unsigned long)links);
}

void model_check(const struct model *model, struct store *store, bool links_show)
{
	uint64_t names = 0;

	for (int at = 0; at < MODEL_THINGS; at++) {
		if (!model->things[at].ino)
			continue;
		names += (uint64_t)model->things[at].names;
		check_thing(model, at, store, links_show);
	}
	cr_assert_eq(store_names(store), names - 1);
	cr_assert_eq(store_inodes(store), (uint64_t)count(model, false) - 1);
}

static bool choose_name(const struct model *model, int folder, struct model_op *op)
{
	for (int at = 0; at < MODEL_NAMES; at++) {
		int child = model->things[folder].children[at];

		if (child == MODEL_NONE ||
		    (is_folder(&model->things[child]) && !is_empty(&model->things[child])))
			continue;
		*op = (struct model_op){
			.what = MODEL_UNLINK,
			.folders = {folder},
			.names = {at},
		};
		return true;
	}
	return false;
}

bool model_choose_less(const struct model *model, struct model_op *ret_op)
{
	for (int i = 0; i < MODEL_THINGS; i++) {
		const struct model_thing *thing = &model->things[i];

		if (thing->ino && thing->opens) {
			*ret_op = (struct model_op){.what = MODEL_CLOSE, .thing = i};
			return true;
		}
		if (is_folder(thing) && choose_name(model, i, ret_op))
			return true;
	}
	return false;
}
