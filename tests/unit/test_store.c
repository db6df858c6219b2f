/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The store over each source of anonymous files, and after a kill -9 at any instant. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
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

static struct anon anon;
static struct store *store;

static void begin(enum anon_kind kind)
{
	int result = anon_init(&anon, kind, "/tmp", 0);

	if (result == -EPERM || result == -ENOSYS)
		cr_skip_test("this host has no %s files: %s", anon_kind_name(kind),
		             strerror(-result));
	cr_assert_eq(result, 0, "%s: %s", anon_kind_name(kind), strerror(-result));
	cr_assert_eq(store_new(&store, memfd_create("journal", MFD_CLOEXEC), &anon, NULL), 0);
}

static void end(void)
{
	store = store_free(store);
	anon_deinit(&anon);
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

	cr_assert_eq(store_create(store, name, &plain, &node), 0);
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
	cr_assert_eq(store_create(store, "a", &semaphore, &node), 0);
	cr_assert_eq(store_create(store, "a", &semaphore, &node), -EEXIST);
	cr_assert_eq(store_lookup(store, "a"), node);
	cr_assert_eq(store_node_stat(node, &status), 0);
	cr_expect_eq(status.st_mode, (mode_t)(S_IFREG | 0640));
	cr_expect_eq(status.st_size, 5);
	cr_expect_eq(status.st_ino, store_node_ino(node));
	cr_expect_eq(pread(store_node_file(node), bytes, sizeof bytes, 0), 5);
	cr_expect_str_eq(bytes, "hello");
	cr_assert_eq(store_unlink(store, "a"), 0);
	cr_assert_eq(store_unlink(store, "a"), -ENOENT);
	cr_assert_null(store_lookup(store, "a"));
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
	fd = store_open(store, &self, "a", O_RDWR | O_CREAT, &closed, &node, &created);
	cr_assert_geq(fd, 0, "a file may be made with a mode that forbids opening it: %s",
	              strerror(-fd));
	cr_expect(created);
	cr_expect_eq(write(fd, "x", 1), 1);
	close(fd);
	cr_expect_eq(store_open(store, &self, "a", O_RDONLY, &closed, &node, &created), -EACCES);
	cr_assert_eq(fchmod(store_node_file(node), 0400), 0);
	fd = store_open(store, &self, "a", O_RDONLY, &closed, &node, &created);
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
	node = store_lookup(store, "a");
	store_node_open(store, node);
	fstat(store_node_file(node), &status);
	cr_expect_eq(status.st_nlink, 1);
	store_unlink(store, "a");
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
	node = store_lookup(store, "a");
	cr_assert_eq(store_link(store, node, "b"), 0);
	cr_assert_eq(store_link(store, node, "b"), -EEXIST);
	cr_assert_eq(store_link(store, node, "c/d"), -EINVAL);
	cr_assert_eq(store_unlink(store, "a"), 0);
	cr_assert_eq(store_lookup(store, "b"), node);
	cr_assert_eq(store_unlink(store, "b"), 0);
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
		cr_assert_gt(store_node_ino(store_lookup(store, name)), ino);
		ino = store_node_ino(store_lookup(store, name));
		if (i % 3 == 0)
			store_unlink(store, name);
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
		store_unlink(store, name);
	}
	cr_expect_eq(count_fds(), before);
	end();
}

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
			if (store_unlink(mine, name) < 0)
				_exit(2);
			claims->of[at] = ABSENT;
		} else {
			claims->of[at] = UNKNOWN;
			if (store_create(mine, name, &plain, &node) < 0)
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
		found = store_lookup(store, name) != NULL;
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

	cr_assert_eq(anon_init(&anon, ANON_MEMFD, NULL, 0), 0);
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
	anon_deinit(&anon);
}
