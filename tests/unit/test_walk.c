/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where paths lead: a table of them, in one tree, for several users. What calls make of it
 * test_judge.c compares with the kernel. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/wire.h"
#include "fuse/anon.h"
#include "fuse/store_i.h"
#include "fuse/tree.h"
#include "fuse/walk.h"
#include "tests/scratch.h"

enum { OWNER = 1000, STRANGER = 1001, MEMBER = 1002, GROUP = 2000, ROOT = 0 };

static struct anon anon;
static struct store *store;
static struct scratch scratch;

static bool is_in_group(const struct store_actor *actor, gid_t gid)
{
	return actor->uid == MEMBER && gid == GROUP;
}

static bool is_capable(const struct store_actor *actor, int capability)
{
	(void)capability;
	return actor->uid == ROOT;
}

static struct store_actor actor_of(uid_t uid)
{
	return (struct store_actor){
		.uid = uid,
		.gid = uid,
		.in_group = is_in_group,
		.has_capability = is_capable,
	};
}

static struct store_node *find(const char *path)
{
	struct store_actor root = actor_of(ROOT);
	static struct walk walk;

	cr_assert_eq(walk_path(store, &root, store_root(store), path, strlen(path),
	                       WALK_NOFOLLOW, &walk), 0, "%s", path);
	return walk.node;
}

static void make(const char *folder, const char *name, mode_t mode, uid_t uid, const char *text)
{
	struct store_birth birth = {
		.mode = mode,
		.uid = uid,
		.gid = uid == ROOT ? GROUP : uid,
		.initial = text,
		.initial_length = strlen(text),
	};
	struct store_node *node;

	cr_assert_eq(store_create(store, find(folder), name, &birth, &node), 0, "%s", name);
}

static void make_chain(void)
{
	char name[16];
	char text[16];

	for (int i = 1; i <= 41; i++) {
		snprintf(name, sizeof name, "c%d", i);
		snprintf(text, sizeof text, "c%d", i - 1);
		make("", name, S_IFLNK, ROOT, text);
	}
	make("", "c0", S_IFREG | 0644, ROOT, "");
}

static void begin(void)
{
	scratch = scratch_make();
	if (geteuid() != 0 || anon_init(&anon, ANON_TMPFS, NULL, NULL, scratch.folder) < 0)
		cr_skip_test("only root can make several users' files");
	cr_assert_eq(store_new(&store, memfd_create("journal", MFD_CLOEXEC), &anon, NULL), 0);
	make("", "open", S_IFDIR | 0755, ROOT, "");
	make("open", "file", S_IFREG | 0644, OWNER, "");
	make("open", "private", S_IFDIR | 0700, OWNER, "");
	make("open/private", "deep", S_IFDIR | 0755, OWNER, "");
	make("open/private/deep", "file", S_IFREG | 0644, OWNER, "");
	make("", "group", S_IFDIR | 0750, ROOT, "");
	make("group", "file", S_IFREG | 0640, ROOT, "");
	make("", "to_file", S_IFLNK, OWNER, "open/file");
	make("", "to_file_slash", S_IFLNK, OWNER, "open/file/");
	make("", "to_open", S_IFLNK, OWNER, "open");
	make("", "to_open_slash", S_IFLNK, OWNER, "open//");
	make("", "nowhere", S_IFLNK, OWNER, "open/none");
	make("", "self", S_IFLNK, OWNER, "self");
	make("", "one", S_IFLNK, OWNER, "two/x");
	make("", "two", S_IFLNK, OWNER, "one/y");
	make("", "etc", S_IFLNK, OWNER, "/etc");
	make("open", "up", S_IFLNK, OWNER, "../../sys/x");
	make("open", "back", S_IFLNK, OWNER, "private/../file");
	make_chain();
}

static void end(void)
{
	store_discard(store);
	store_free(store);
	anon_leave_seat(&anon, scratch.folder);
	anon_deinit(&anon);
	cr_expect(scratch_remove(&scratch));
}

struct row {
	const char *path;
	enum walk_end end;
	uid_t uid;
	int result;
	const char *leads; /* to this node; NULL: to none; or with WALK_ELSEWHERE the text */
	enum walk_last last;
	bool slash;
	const char *from; /* NULL: the root */
};

static const struct row rows[] = {
	/* ends */
	{"", WALK_FOLLOW, STRANGER, 0, "", WALK_ITSELF},
	{"//", WALK_FOLLOW, STRANGER, 0, "", WALK_ITSELF},
	{"open", WALK_FOLLOW, STRANGER, 0, "open", WALK_NAME},
	{"//open///", WALK_FOLLOW, STRANGER, 0, "open", WALK_NAME, true},
	{"open/.", WALK_FOLLOW, STRANGER, 0, "open", WALK_DOT, true},
	{"open/..", WALK_PARENT, STRANGER, 0, "", WALK_DOT_DOT, true},
	{"open/../open/./file", WALK_FOLLOW, STRANGER, 0, "open/file", WALK_NAME},
	{"open/file/", WALK_FOLLOW, STRANGER, 0, "open/file", WALK_NAME, true},
	{"open/none", WALK_FOLLOW, STRANGER, 0, NULL, WALK_NAME},
	{"open/none/", WALK_FOLLOW, STRANGER, 0, NULL, WALK_NAME, true},
	{"open/none/x", WALK_FOLLOW, STRANGER, -ENOENT},
	{"open/file/x", WALK_FOLLOW, STRANGER, -ENOTDIR},
	{"open/file/.", WALK_FOLLOW, STRANGER, -ENOTDIR},
	{"open/file/..", WALK_FOLLOW, STRANGER, -ENOTDIR},
	{"x", WALK_FOLLOW, STRANGER, -ENOTDIR, .from = "open/file"},
	{"", WALK_FOLLOW, STRANGER, 0, "open/file", WALK_ITSELF, .from = "open/file"},
	/* rights */
	{"open/private", WALK_FOLLOW, STRANGER, 0, "open/private", WALK_NAME},
	{"open/private/", WALK_FOLLOW, STRANGER, 0, "open/private", WALK_NAME, true},
	{"open/private/.", WALK_FOLLOW, STRANGER, -EACCES},
	{"open/private/..", WALK_FOLLOW, STRANGER, -EACCES},
	{"open/private/deep", WALK_FOLLOW, STRANGER, -EACCES},
	{"open/private/none", WALK_FOLLOW, STRANGER, -EACCES},
	{"open/private/deep", WALK_FOLLOW, OWNER, 0, "open/private/deep", WALK_NAME},
	{"open/private/deep", WALK_FOLLOW, ROOT, 0, "open/private/deep", WALK_NAME},
	{"group/file", WALK_FOLLOW, STRANGER, -EACCES},
	{"group/file", WALK_FOLLOW, MEMBER, 0, "group/file", WALK_NAME},
	{"group/file", WALK_FOLLOW, ROOT, 0, "group/file", WALK_NAME},
	{"file", WALK_FOLLOW, STRANGER, 0, "open/private/deep/file", WALK_NAME,
	 .from = "open/private/deep"},
	{"..", WALK_FOLLOW, STRANGER, 0, "open/private", WALK_DOT_DOT, .from = "open/private/deep"},
	{"../deep", WALK_FOLLOW, STRANGER, -EACCES, .from = "open/private/deep"},
	/* links */
	{"to_file", WALK_FOLLOW, STRANGER, 0, "open/file", WALK_NAME},
	{"to_file", WALK_NOFOLLOW, STRANGER, 0, "to_file", WALK_NAME},
	{"to_file", WALK_PARENT, STRANGER, 0, "to_file", WALK_NAME},
	{"to_file/", WALK_NOFOLLOW, STRANGER, 0, "open/file", WALK_NAME, true},
	{"to_file/", WALK_PARENT, STRANGER, 0, "to_file", WALK_NAME, true},
	{"to_file/", WALK_CREATE, STRANGER, 0, "to_file", WALK_NAME, true},
	{"to_file", WALK_CREATE, STRANGER, 0, "open/file", WALK_NAME},
	{"to_file/x", WALK_PARENT, STRANGER, -ENOTDIR},
	{"to_file_slash", WALK_FOLLOW, STRANGER, 0, "open/file", WALK_NAME, true},
	{"to_open_slash", WALK_FOLLOW, STRANGER, 0, "open", WALK_NAME, true},
	{"to_open/file", WALK_PARENT, STRANGER, 0, "open/file", WALK_NAME},
	{"to_open_slash/file", WALK_FOLLOW, STRANGER, 0, "open/file", WALK_NAME},
	{"to_open/..", WALK_FOLLOW, STRANGER, 0, "", WALK_DOT_DOT},
	{"open/back", WALK_FOLLOW, OWNER, 0, "open/file", WALK_NAME},
	{"open/back", WALK_FOLLOW, STRANGER, -EACCES},
	{"nowhere", WALK_FOLLOW, STRANGER, 0, NULL, WALK_NAME},
	{"nowhere", WALK_NOFOLLOW, STRANGER, 0, "nowhere", WALK_NAME},
	{"nowhere/x", WALK_FOLLOW, STRANGER, -ENOENT},
	{"self", WALK_FOLLOW, STRANGER, -ELOOP},
	{"self", WALK_NOFOLLOW, STRANGER, 0, "self", WALK_NAME},
	{"self/x", WALK_NOFOLLOW, STRANGER, -ELOOP},
	{"one", WALK_FOLLOW, STRANGER, -ELOOP},
	{"c40", WALK_FOLLOW, STRANGER, 0, "c0", WALK_NAME},
	{"c41", WALK_FOLLOW, STRANGER, -ELOOP},
	/* out of the store */
	{"etc", WALK_FOLLOW, STRANGER, WALK_ELSEWHERE, "/etc"},
	{"etc", WALK_NOFOLLOW, STRANGER, 0, "etc", WALK_NAME},
	{"etc/", WALK_NOFOLLOW, STRANGER, WALK_ELSEWHERE, "/etc/"},
	{"open/../etc/passwd", WALK_PARENT, STRANGER, WALK_ELSEWHERE, "/etc/passwd"},
	{"..", WALK_FOLLOW, STRANGER, WALK_ELSEWHERE, "../"},
	{"open/../..", WALK_PARENT, STRANGER, WALK_ELSEWHERE, "../"},
	{"../../x/", WALK_FOLLOW, STRANGER, WALK_ELSEWHERE, "../../x/"},
	{"open/up", WALK_FOLLOW, STRANGER, WALK_ELSEWHERE, "../sys/x"},
	{"open/up/y", WALK_FOLLOW, STRANGER, WALK_ELSEWHERE, "../sys/x/y"},
	{"../../..", WALK_FOLLOW, OWNER, WALK_ELSEWHERE, "../", .from = "open/private"},
	{"open/private/etc", WALK_FOLLOW, STRANGER, -EACCES},
};

/* Two slashes are as good as one. */
static void squeeze(char *text)
{
	char *to = text;

	for (const char *at = text; *at; at++)
		if (at[0] != '/' || at[1] != '/')
			*to++ = *at;
	*to = '\0';
}

static void check(const struct row *row)
{
	struct store_actor actor = actor_of(row->uid);
	static struct walk walk;
	int result = walk_path(store, &actor, find(row->from ? row->from : ""), row->path,
	                       strlen(row->path), row->end, &walk);

	cr_expect_eq(result, row->result, "%s: %d, not %d", row->path, result, row->result);
	if (result == WALK_ELSEWHERE && row->result == WALK_ELSEWHERE) {
		squeeze(walk.text);
		cr_expect_str_eq(walk.text, row->leads, "%s", row->path);
	}
	if (result || row->result)
		return;
	cr_expect_eq(walk.node, row->leads ? find(row->leads) : NULL, "%s", row->path);
	cr_expect_eq(walk.last, row->last, "%s: %d", row->path, (int)walk.last);
	if (walk.last == WALK_NAME)
		cr_expect_eq(walk.slash, row->slash, "%s: slash", row->path);
}

Test(walk, table)
{
	begin();
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		check(&rows[i]);
	end();
}

static int walk_to(const char *path, enum walk_end way, struct walk *walk)
{
	struct store_actor actor = actor_of(STRANGER);

	return walk_path(store, &actor, store_root(store), path, strlen(path), way, walk);
}

Test(walk, what_is_too_long)
{
	static char path[WIRE_PATH_MAX + 2];
	static struct walk walk;

	begin();
	memset(path, 'x', WIRE_NAME_SIZE - 1);
	cr_expect_eq(walk_to(path, WALK_FOLLOW, &walk), 0);
	cr_expect_eq(walk_check_name(&walk), 0);
	strcpy(path + WIRE_NAME_SIZE - 1, "x");
	cr_expect_eq(walk_to(path, WALK_FOLLOW, &walk), 0);
	cr_expect_eq(walk_check_name(&walk), -ENAMETOOLONG);
	cr_expect_eq(tree_check_found(&walk), -ENAMETOOLONG);
	strcat(path, "/x");
	cr_expect_eq(walk_to(path, WALK_FOLLOW, &walk), -ENAMETOOLONG);
	for (int i = 0; i < WIRE_PATH_MAX; i++)
		path[i] = "./"[i % 2];
	path[WIRE_PATH_MAX] = '\0';
	cr_expect_eq(walk_to(path, WALK_FOLLOW, &walk), 0);
	path[WIRE_PATH_MAX] = '/';
	cr_expect_eq(walk_to(path, WALK_FOLLOW, &walk), -ENAMETOOLONG);
	end();
}

/* Each link goes through thousands of components: nobody else is served meanwhile. */
Test(walk, long_ways_end)
{
	static char text[WIRE_PATH_MAX + 1];
	static struct walk walk;

	begin();
	for (int i = 0; i + 2 < WIRE_PATH_MAX; i++)
		text[i] = "./"[i % 2];
	for (int i = 0; i < 20; i++) {
		char name[16];

		snprintf(text + WIRE_PATH_MAX - 5, 5, "w%d", i ? i - 1 : 99);
		snprintf(name, sizeof name, "w%d", i);
		make("", name, S_IFLNK, OWNER, text);
	}
	make("", "w99", S_IFREG, OWNER, "");
	cr_expect_eq(walk_to("w2", WALK_FOLLOW, &walk), 0);
	cr_expect_eq(walk.node, find("w99"));
	cr_expect_eq(walk_to("w19", WALK_FOLLOW, &walk), -ELOOP);
	end();
}

/* fs.protected_symlinks, whatever this host's setting is. */
Test(walk, protected_links)
{
	static struct walk walk;

	begin();
	store->protected.links = 1;
	cr_expect_eq(walk_to("to_file", WALK_FOLLOW, &walk), -EACCES, "a stranger's");
	cr_expect_eq(walk_to("to_file", WALK_NOFOLLOW, &walk), 0, "not followed");
	cr_expect_eq(walk_to("to_file/", WALK_NOFOLLOW, &walk), -EACCES);
	cr_expect_eq(walk_to("to_open/file", WALK_FOLLOW, &walk), 0, "on the way");
	cr_expect_eq(walk_to("etc", WALK_FOLLOW, &walk), -EACCES);
	cr_expect_eq(walk_to("c1", WALK_FOLLOW, &walk), 0, "the folder's owner's");
	cr_expect_eq(walk_to("self/x", WALK_FOLLOW, &walk), -ELOOP);
	cr_expect_eq(store_node_chown(find("to_file"), STRANGER, STRANGER), 0);
	cr_expect_eq(walk_to("to_file", WALK_FOLLOW, &walk), 0, "one's own");
	cr_expect_eq(store_node_chmod(store_root(store), 0777), 0);
	cr_expect_eq(walk_to("nowhere", WALK_FOLLOW, &walk), 0, "not sticky");
	end();
}

/* It has no ".." any more, and nothing can be made in it. */
Test(walk, a_removed_folder)
{
	struct store_actor actor = actor_of(OWNER);
	struct store_birth birth = {.mode = S_IFREG | 0600, .uid = OWNER, .gid = OWNER};
	static struct walk walk;
	struct store_node *folder;

	begin();
	make("open/private", "gone", S_IFDIR | 0700, OWNER, "");
	folder = find("open/private/gone");
	store_node_open(store, folder);
	cr_assert_eq(store_unlink(store, find("open/private"), "gone"), 0);
	cr_expect_eq(walk_path(store, &actor, folder, "..", 2, WALK_FOLLOW, &walk), -ENOENT);
	cr_assert_eq(walk_path(store, &actor, folder, "x", 1, WALK_PARENT, &walk), 0);
	cr_expect_eq(tree_make(store, &actor, &walk, &birth), -ENOENT);
	store_node_close(store, folder);
	end();
}

Test(walk, who_may_list)
{
	struct store_actor stranger = actor_of(STRANGER);
	struct store_actor member = actor_of(MEMBER);
	struct store_actor owner = actor_of(OWNER);

	begin();
	cr_expect(tree_is_listable(&stranger, find("open")));
	cr_expect(!tree_is_listable(&stranger, find("open/private")));
	cr_expect(!tree_is_listable(&stranger, find("open/private/deep")), "open itself");
	cr_expect(tree_is_listable(&owner, find("open/private/deep")));
	cr_expect(!tree_is_listable(&owner, find("group")));
	cr_expect(tree_is_listable(&member, find("group")));
	end();
}
