/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The store over each source of anonymous files, and after a kill -9 at any instant. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fuse/anon.h"
#include "fuse/journal.h"
#include "fuse/store.h"
#include "tests/scratch.h"

static struct anon anon;
static struct store *store;
static struct scratch scratch;

static struct store_node *root(void)
{
	return store_root(store);
}

static void begin(enum anon_kind kind)
{
	int result;

	scratch = scratch_make();
	result = anon_init(&anon, kind, "/tmp", NULL, scratch.folder);

	if (result == -EPERM || result == -ENOSYS)
		cr_skip_test("this host has no %s files: %s", anon_kind_name(kind),
		             strerror(-result));
	cr_assert_eq(result, 0, "%s: %s", anon_kind_name(kind), strerror(-result));
	cr_assert_eq(store_new(&store, memfd_create("journal", MFD_CLOEXEC), &anon, NULL), 0);
}

static void end(void)
{
	store_discard(store);
	store = store_free(store);
	anon_leave_seat(&anon, scratch.folder);
	anon_deinit(&anon);
	cr_expect(scratch_remove(&scratch), "nothing is left in the seat");
}

static struct store_birth birth(mode_t mode)
{
	return (struct store_birth){.mode = mode, .uid = geteuid(), .gid = getegid()};
}

static int count_fds(void)
{
	DIR *folder = opendir("/proc/self/fd");
	int count = 0;

	while (readdir(folder))
		count++;
	closedir(folder);
	return count;
}

static void make(const char *name)
{
	struct store_birth plain = birth(0600);
	struct store_node *node;

	cr_assert_eq(store_create(store, root(), name, &plain, &node), 0);
}

static void check_life(enum anon_kind kind)
{
	struct store_birth semaphore = birth(0640);
	struct store_node *node;
	struct stat status;
	char bytes[8] = "";

	begin(kind);
	semaphore.initial = "hello";
	semaphore.initial_length = 5;
	cr_assert_eq(store_create(store, root(), "a", &semaphore, &node), 0);
	cr_assert_eq(store_create(store, root(), "a", &semaphore, &node), -EEXIST);
	cr_assert_eq(store_lookup(store, root(), "a"), node);
	cr_assert_eq(store_node_stat(node, &status), 0);
	cr_expect_eq(status.st_mode, (mode_t)(S_IFREG | 0640));
	cr_expect_eq(status.st_size, 5);
	cr_expect_eq(status.st_ino, store_node_ino(node));
	cr_expect_eq(pread(store_node_file(node), bytes, sizeof bytes, 0), 5);
	cr_expect_str_eq(bytes, "hello");
	cr_assert_eq(store_unlink(store, root(), "a"), 0);
	cr_assert_eq(store_unlink(store, root(), "a"), -ENOENT);
	cr_assert_null(store_lookup(store, root(), "a"));
	cr_assert_eq(store_inodes(store), 0);
	end();
}

Test(store, life_on_tmpfs) { check_life(ANON_TMPFS); }
Test(store, life_on_memfd) { check_life(ANON_MEMFD); }
Test(store, life_on_tmpdir) { check_life(ANON_TMPDIR); }

static void check_modes(enum anon_kind kind)
{
	struct store_actor self = {.uid = geteuid(), .gid = getegid()};
	struct store_birth closed = birth(0000);
	struct store_node *node;
	bool created;
	int fd;

	begin(kind);
	fd = store_open(store, &self, root(), "a", O_RDWR | O_CREAT, &closed, &node, &created);
	cr_assert_geq(fd, 0, "a file may be made with a mode that forbids opening it: %s",
	              strerror(-fd));
	cr_expect(created);
	cr_expect_eq(write(fd, "x", 1), 1);
	close(fd);
	cr_expect_eq(store_open(store, &self, root(), "a", O_RDONLY, &closed, &node, &created),
	             -EACCES);
	cr_assert_eq(fchmod(store_node_file(node), 0400), 0);
	fd = store_open(store, &self, root(), "a", O_RDONLY, &closed, &node, &created);
	cr_assert_geq(fd, 0);
	cr_expect_eq(write(fd, "x", 1), -1, "read-only is read-only");
	close(fd);
	end();
}

Test(store, modes_on_tmpfs) { check_modes(ANON_TMPFS); }
Test(store, modes_on_memfd) { check_modes(ANON_MEMFD); }

Test(store, files_on_tmpfs_know_whether_they_have_a_name)
{
	struct store_node *node;
	struct stat status;

	begin(ANON_TMPFS);
	make("a");
	node = store_lookup(store, root(), "a");
	store_node_open(store, node);
	fstat(store_node_file(node), &status);
	cr_expect_eq(status.st_nlink, 1);
	store_unlink(store, root(), "a");
	fstat(store_node_file(node), &status);
	cr_expect_eq(status.st_nlink, 0);
	cr_expect_eq(store_inodes(store), 1, "open");
	store_node_close(store, node);
	cr_expect_eq(store_inodes(store), 0);
	end();
}

Test(store, links)
{
	struct store_node *node;

	begin(ANON_AUTO);
	make("a");
	node = store_lookup(store, root(), "a");
	cr_assert_eq(store_link(store, node, root(), "b"), 0);
	cr_assert_eq(store_link(store, node, root(), "b"), -EEXIST);
	cr_assert_eq(store_link(store, node, root(), "c/d"), -EINVAL);
	cr_assert_eq(store_unlink(store, root(), "a"), 0);
	cr_assert_eq(store_lookup(store, root(), "b"), node);
	cr_assert_eq(store_unlink(store, root(), "b"), 0);
	cr_assert_eq(store_inodes(store), 0);
	end();
}

Test(store, names_come_in_the_order_they_were_made_and_numbers_are_not_used_again)
{
	uint64_t last = 0;
	uint64_t ino = 0;
	char name[16];
	int count = 0;

	begin(ANON_AUTO);
	for (int i = 0; i < 1500; i++) {
		snprintf(name, sizeof name, "n%d", i);
		make(name);
		cr_assert_gt(store_node_ino(store_lookup(store, root(), name)), ino);
		ino = store_node_ino(store_lookup(store, root(), name));
		if (i % 3 == 0)
			store_unlink(store, root(), name);
	}
	for (const struct store_entry *entry = store_entry_after(store, 0); entry;
	     entry = store_entry_after(store, last)) {
		cr_assert_gt(store_entry_cookie(entry), last);
		last = store_entry_cookie(entry);
		count++;
	}
	cr_assert_eq(count, 1000);
	end();
}

Test(store, descriptors_come_back)
{
	char name[16];
	int before;

	begin(ANON_AUTO);
	before = count_fds();
	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof name, "n%d", i);
		make(name);
	}
	cr_expect_eq(count_fds(), before + 200);
	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof name, "n%d", i);
		store_unlink(store, root(), name);
	}
	cr_expect_eq(count_fds(), before);
	end();
}

/* A user's share of names is full: whatever failed leaves the kernel's file with its names. */
Test(store, a_link_that_fails_is_no_link)
{
	struct store_birth theirs = birth(0600);
	struct store_node *node;
	struct stat status;

	begin(ANON_TMPFS);
	theirs.uid = geteuid() + 1;
	store_limit_names(store, 2);
	if (store_create(store, root(), "a", &theirs, &node) < 0)
		cr_skip_test("only root can make another's file");
	cr_assert_eq(store_link(store, node, root(), "b"), 0);
	cr_expect_eq(store_link(store, node, root(), "c"), -ENOSPC);
	fstat(store_node_file(node), &status);
	cr_expect_eq(status.st_nlink, 2);
	cr_assert_eq(store_unlink(store, root(), "a"), 0);
	cr_assert_eq(store_unlink(store, root(), "b"), 0);
	cr_expect_eq(faccessat(anon.folder, "2", F_OK, 0), -1, "its memory is gone");
	cr_expect_eq(faccessat(anon.folder, "2.2", F_OK, 0), -1);
	end();
}

Test(store, whiteouts_count)
{
	struct store_birth theirs = birth(0600);
	struct store_actor actor = {.uid = geteuid() + 1, .gid = getegid()};
	struct store_node *node;

	begin(ANON_TMPFS);
	theirs.uid = actor.uid;
	store_limit_names(store, 2);
	if (store_create(store, root(), "a", &theirs, &node) < 0)
		cr_skip_test("only root can make another's file");
	cr_expect_eq(store_rename(store, root(), "a", root(), "b", RENAME_WHITEOUT, &actor), 0);
	cr_expect_eq(store_rename(store, root(), "b", root(), "c", RENAME_WHITEOUT, &actor),
	             -ENOSPC);
	cr_expect_eq(store_inodes(store), 2);
	cr_expect_eq(store_unlink(store, root(), "a"), 0);
	cr_expect_eq(store_unlink(store, root(), "b"), 0);
	end();
}

/* A worker killed in the middle of it leaves a record, and maybe a folder. */
static void check_root(bool is_there)
{
	int journal = memfd_create("journal", MFD_CLOEXEC);
	struct stat status;
	char name[64];

	scratch = scratch_make();
	cr_assert_eq(anon_init(&anon, ANON_AUTO, NULL, NULL, scratch.folder), 0);
	cr_assert_eq(store_new(&store, dup(journal), &anon, NULL), 0);
	JOURNAL_SET(store_journal(store), journal_inode_at(store_journal(store), 0)->nameless, 1);
	snprintf(name, sizeof name, WIRE_FOLDER_NAME "1:%016llx",
	         (unsigned long long)store_node_secret(root()));
	cr_assert_eq(is_there ? fchmodat(anon.nodes, name, 0700, 0)
	                      : unlinkat(anon.nodes, name, AT_REMOVEDIR), 0);
	store = store_free(store);
	cr_assert_eq(store_new(&store, journal, &anon, NULL), 0);
	store_restore_end(store);
	cr_assert_eq(store_node_stat(root(), &status), 0);
	cr_expect_eq(status.st_mode, (mode_t)(S_IFDIR | 01777));
	make("a");
	end();
}

Test(store, a_root_half_made_is_made_anew) { check_root(true); }
Test(store, a_root_not_made_is_made) { check_root(false); }

/* Deeper than any path: nothing takes a time that grows with depth times number. */
Test(store, a_deep_tree, .timeout = 60)
{
	enum { DEPTH = 20000 };
	struct store_actor actor = {.uid = geteuid(), .gid = getegid()};
	struct store_birth plain = birth(S_IFDIR | 0700);
	int journal = memfd_create("journal", MFD_CLOEXEC);
	struct store_node *at;
	char path[WIRE_PATH_MAX];

	scratch = scratch_make();
	cr_assert_eq(anon_init(&anon, ANON_AUTO, NULL, NULL, scratch.folder), 0);
	cr_assert_eq(store_new(&store, dup(journal), &anon, NULL), 0);
	at = root();
	for (int i = 0; i < DEPTH; i++)
		cr_assert_eq(store_create(store, at, "d", &plain, &at), 0);
	cr_expect_eq(store_node_path(at, path, sizeof path), -ENAMETOOLONG);
	cr_expect_eq(store_rename(store, root(), "d", at, "d", 0, &actor), -EINVAL);
	store = store_free(store);
	cr_assert_eq(store_new(&store, journal, &anon, NULL), 0);
	store_restore_end(store);
	cr_expect_eq(store_names(store), DEPTH);
	end();
}

/* As deep as many: by the kernel, as a client may that has the folder open. */
static void leave_junk(struct store_node *folder, int many)
{
	int top = store_node_reopen(store, folder, O_PATH);
	int at = dup(top);
	char name[16];

	cr_assert_geq(at, 0);
	for (int i = 0; i < many; i++) {
		int below;

		snprintf(name, sizeof name, "f%d", i);
		cr_assert_eq(mknodat(top, name, S_IFREG | 0600, 0), 0);
		cr_assert_eq(mkdirat(at, "1.1", i % 2 ? 0700 : 0), 0);
		below = openat(at, "1.1", O_PATH | O_CLOEXEC);
		cr_assert_geq(below, 0);
		close(at);
		at = below;
	}
	close(at);
	close(top);
}

static int count_nodes(void)
{
	int copy = openat(anon.nodes, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *folder = fdopendir(copy);
	int count = -2;

	while (readdir(folder))
		count++;
	closedir(folder);
	return count;
}

static void check_junk(int many, bool at_once)
{
	struct store_birth open = birth(S_IFDIR | 0777);
	struct store_node *node;
	int tries = 1;

	begin(ANON_TMPFS);
	cr_assert_eq(store_create(store, root(), "d", &open, &node), 0);
	leave_junk(node, many);
	cr_expect_eq(count_nodes(), 2);
	while (store_unlink(store, root(), "d") == -ENOTEMPTY)
		cr_assert_lt(tries++, 100);
	cr_expect_eq(tries == 1, at_once);
	cr_expect_eq(count_nodes(), 1, "the root");
	cr_expect_eq(store_names(store), 0);
	end();
}

Test(store, junk_in_a_folder_goes_with_it) { check_junk(300, true); }
Test(store, more_junk_takes_several_times) { check_junk(5000, false); }

Test(journal, what_is_no_journal_is_refused)
{
	struct journal journal;
	int fd = memfd_create("junk", MFD_CLOEXEC);

	cr_assert_eq(pwrite(fd, "junkjunk", 8, 0), 8);
	cr_assert_eq(journal_init(&journal, fd), -EBADMSG);
}

enum { NAMES = 40, KILLS = 150 };
enum claim { ABSENT, PRESENT, UNKNOWN };

/* What the victim had finished when it died. */
struct claims {
	volatile int of[NAMES];
	volatile long changes;
};

static _Noreturn void be_killed(int journal, struct claims *claims, unsigned seed)
{
	struct store *mine;
	char name[16];

	if (store_new(&mine, journal, &anon, NULL) < 0)
		_exit(1);
	for (const struct store_entry *e = store_entry_after(mine, 0); e;
	     e = store_entry_after(mine, store_entry_cookie(e)))
		store_restore_file(mine, store_node_ino(store_entry_node(e)), memfd_create("x", 0));
	store_restore_end(mine);
	for (;;) {
		int at = rand_r(&seed) % NAMES;
		struct store_birth plain = birth(0600);
		struct store_node *node;

		snprintf(name, sizeof name, "n%d", at);
		if (claims->of[at] == PRESENT) {
			claims->of[at] = UNKNOWN;
			if (store_unlink(mine, store_root(mine), name) < 0)
				_exit(2);
			claims->of[at] = ABSENT;
		} else {
			claims->of[at] = UNKNOWN;
			if (store_create(mine, store_root(mine), name, &plain, &node) < 0)
				_exit(3);
			claims->of[at] = PRESENT;
		}
		claims->changes++;
	}
}

/* Holds the journal against the claims, and settles the one that was under way. */
static void check_claims(int journal, struct claims *claims)
{
	int unknown = 0;
	char name[16];

	cr_assert_eq(store_new(&store, dup(journal), &anon, NULL), 0,
	             "a journal is whole at any instant");
	for (int at = 0; at < NAMES; at++) {
		bool found;

		snprintf(name, sizeof name, "n%d", at);
		found = store_lookup(store, root(), name) != NULL;
		if (claims->of[at] == UNKNOWN)
			unknown++;
		else
			cr_assert_eq(found, claims->of[at] == PRESENT, "%s", name);
		claims->of[at] = found ? PRESENT : ABSENT;
	}
	cr_assert_leq(unknown, 1);
	store = store_free(store);
}

Test(journal, survives_kill_at_any_instant, .timeout = 60)
{
	int journal = memfd_create("journal", MFD_CLOEXEC);
	struct claims *claims = mmap(NULL, sizeof *claims, PROT_READ | PROT_WRITE,
	                             MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned seed = 1;

	scratch = scratch_make();
	cr_assert_eq(anon_init(&anon, ANON_MEMFD, NULL, NULL, scratch.folder), 0);
	for (int i = 0; i < KILLS; i++) {
		long before = claims->changes;
		pid_t victim = fork();
		int status;

		if (victim == 0)
			be_killed(dup(journal), claims, seed + (unsigned)i);
		while (claims->changes < before + 5 && waitpid(victim, &status, WNOHANG) == 0)
			;
		usleep((useconds_t)(rand_r(&seed) % 3000));
		kill(victim, SIGKILL);
		waitpid(victim, &status, 0);
		cr_assert(WIFSIGNALED(status), "the victim failed by itself: %d", status);
		check_claims(journal, claims);
	}
	cr_log_info("%ld changes under %d kills", claims->changes, KILLS);
	cr_assert_eq(store_new(&store, journal, &anon, NULL), 0);
	end();
}
