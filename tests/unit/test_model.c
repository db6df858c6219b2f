/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The store against a model of it: random operations, and now and then a kill in the middle of one,
 * after which the next process takes over and is asked the same again. SHMEMU_TEST_STEPS says how
 * many operations, SHMEMU_TEST_SEED with which seed. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuse/anon.h"
#include "fuse/journal.h"
#include "fuse/store.h"

enum { NAMES = 24, FILES = 64, KEPT = 256 };

/* A file of the model. */
struct file {
	uint64_t ino; /* 0: none */
	int names;
	uint32_t opens;
};

struct model {
	struct file *names[NAMES]; /* NULL: no such name */
	struct file files[FILES];
};

/* The keeper: what a killed process leaves. */
struct keeper {
	struct store_keep keep; /* first */
	uint64_t inos[KEPT];
	int files[KEPT];
};

static struct anon anon;
static struct store *store;
static struct model model;
static struct keeper keeper;
static int journal;
static unsigned seed;
static uint64_t serial;

static int choose(int below)
{
	return rand_r(&seed) % below;
}

static int find_kept(uint64_t ino)
{
	for (int i = 0; i < KEPT; i++)
		if (keeper.inos[i] == ino)
			return i;
	return -1;
}

static int put(struct store_keep *keep, uint64_t ino, int file)
{
	int at = find_kept(0);

	(void)keep;
	cr_assert_geq(at, 0);
	cr_assert_lt(find_kept(ino), 0, "%lu is kept already", (unsigned long)ino);
	keeper.inos[at] = ino;
	keeper.files[at] = dup(file);
	return 0;
}

static void drop(struct store_keep *keep, uint64_t ino)
{
	int at = find_kept(ino);

	(void)keep;
	if (at < 0)
		return;
	close(keeper.files[at]);
	keeper.inos[at] = 0;
}

static void open_store(void)
{
	cr_assert_eq(store_new(&store, dup(journal), &anon, &keeper.keep), 0);
	for (int i = 0; i < KEPT; i++)
		if (keeper.inos[i] &&
		    store_restore_file(store, keeper.inos[i], dup(keeper.files[i])) < 0)
			drop(&keeper.keep, keeper.inos[i]);
	store_restore_end(store);
}

/* As a kill -9 leaves it: nothing is given back but memory. */
static void be_killed(void)
{
	store = store_free(store);
	open_store();
}

static struct file *new_file(uint64_t ino)
{
	for (int i = 0; i < FILES; i++) {
		if (model.files[i].ino)
			continue;
		model.files[i] = (struct file){.ino = ino, .names = 1};
		return &model.files[i];
	}
	cr_assert_fail("the model is full");
	return NULL;
}

static void let_go(struct file *file)
{
	if (!file->names && !file->opens)
		file->ino = 0;
}

static void name_at(int at, char ret_name[static 16])
{
	snprintf(ret_name, 16, "n%d", at);
}

/* Begins a request; sometimes it is one that a killed process has finished but for the answer. */
static bool happens_twice(void)
{
	return choose(20) == 0;
}

static int create_once(const char *name, struct store_node **ret_node)
{
	struct store_birth birth = {.mode = 0600, .uid = geteuid(), .gid = getegid()};

	store_turn_begin(store, 7, serial);
	return store_create(store, name, &birth, ret_node);
}

static void do_create(int at, const char *name)
{
	struct store_node *node = NULL;
	int expected = model.names[at] ? -EEXIST : 0;

	if (find_kept(0) < 0)
		return;
	cr_assert_eq(create_once(name, &node), expected);
	if (happens_twice()) {
		be_killed();
		cr_assert_eq(create_once(name, &node), expected, "again");
	}
	if (expected == 0)
		model.names[at] = new_file(store_node_ino(node));
}

static int unlink_once(const char *name)
{
	struct store_actor self = {.uid = 0};

	store_turn_begin(store, 7, serial);
	return serial % 2 ? store_unlink(store, name) : store_remove(store, &self, name, 0);
}

static void do_unlink(int at, const char *name)
{
	int expected = model.names[at] ? 0 : -ENOENT;

	cr_assert_eq(unlink_once(name), expected);
	if (happens_twice()) {
		be_killed();
		cr_assert_eq(unlink_once(name), expected, "again");
	}
	if (expected < 0)
		return;
	model.names[at]->names--;
	let_go(model.names[at]);
	model.names[at] = NULL;
}

static int link_once(uint64_t ino, const char *name)
{
	store_turn_begin(store, 7, serial);
	return store_link(store, store_node_find(store, ino), name);
}

static void do_link(int at, const char *name)
{
	struct file *file = model.names[choose(NAMES)];
	int expected = model.names[at] ? -EEXIST : 0;

	if (!file)
		return;
	cr_assert_eq(link_once(file->ino, name), expected);
	if (happens_twice()) {
		be_killed();
		cr_assert_eq(link_once(file->ino, name), expected, "again");
	}
	if (expected < 0)
		return;
	file->names++;
	model.names[at] = file;
}

static void open_once(uint64_t ino)
{
	store_turn_begin(store, 7, serial);
	store_node_open(store, store_node_find(store, ino));
}

static void do_open(int at)
{
	struct file *file = model.names[at];

	if (!file || file->opens > 3)
		return;
	open_once(file->ino);
	if (happens_twice()) {
		be_killed();
		open_once(file->ino);
	}
	file->opens++;
}

static void close_once(uint64_t ino)
{
	struct store_node *node = store_node_find(store, ino);

	store_turn_begin(store, 7, serial);
	if (node)
		store_node_close(store, node);
}

static void do_close(void)
{
	struct file *file = &model.files[choose(FILES)];

	if (!file->ino || !file->opens)
		return;
	close_once(file->ino);
	if (happens_twice()) {
		be_killed();
		close_once(file->ino);
	}
	file->opens--;
	let_go(file);
}

static void step(void)
{
	int at = choose(NAMES);
	char name[16];

	name_at(at, name);
	serial++;
	switch (choose(6)) {
	case 0: do_create(at, name); break;
	case 1: do_unlink(at, name); break;
	case 2: do_link(at, name); break;
	case 3: do_open(at); break;
	default: do_close(); break;
	}
	store_turn_end(store);
}

static void check_name(int at)
{
	struct store_node *node;
	struct stat status;
	char name[16];

	name_at(at, name);
	node = store_lookup(store, name);
	cr_assert_eq(node != NULL, model.names[at] != NULL, "%s", name);
	if (!node)
		return;
	cr_assert_eq(store_node_ino(node), model.names[at]->ino, "%s", name);
	cr_assert_eq(store_node_stat(node, &status), 0);
	cr_assert_eq(status.st_nlink, (nlink_t)model.names[at]->names, "%s", name);
	cr_assert_eq(store_node_opens(node), model.names[at]->opens, "%s", name);
}

static void check_all(void)
{
	uint64_t files = 0;
	uint64_t names = 0;
	uint64_t cookie = 0;
	const struct store_entry *entry;

	for (int at = 0; at < NAMES; at++) {
		names += model.names[at] != NULL;
		check_name(at);
	}
	for (int i = 0; i < FILES; i++)
		files += model.files[i].ino != 0;
	cr_assert_eq(store_names(store), names);
	cr_assert_eq(store_inodes(store), files);
	while ((entry = store_entry_after(store, cookie))) {
		cr_assert_gt(store_entry_cookie(entry), cookie);
		cookie = store_entry_cookie(entry);
		names--;
	}
	cr_assert_eq(names, 0, "a listing has each name once");
}

static long setting(const char *name, long otherwise)
{
	const char *text = getenv(name);

	return text ? atol(text) : otherwise;
}

static void run_model(enum anon_kind kind)
{
	long steps = setting("SHMEMU_TEST_STEPS", 60000);

	seed = (unsigned)setting("SHMEMU_TEST_SEED", 1);
	keeper.keep = (struct store_keep){.put = put, .drop = drop};
	if (anon_init(&anon, kind, NULL, 0) < 0)
		cr_skip_test("this host has no %s files", anon_kind_name(kind));
	journal = memfd_create("journal", MFD_CLOEXEC);
	open_store();
	for (long i = 0; i < steps; i++) {
		step();
		if (choose(50) == 0)
			check_all();
		if (choose(500) == 0)
			be_killed();
	}
	check_all();
	store_free(store);
	anon_deinit(&anon);
	close(journal);
}

Test(model, files_by_name, .timeout = 600) { run_model(ANON_TMPFS); }
Test(model, files_kept, .timeout = 600) { run_model(ANON_MEMFD); }
