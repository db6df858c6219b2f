/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which changes of names change which marks, and that they are void when their maker is gone. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fdpass.h"
#include "fuse/anon.h"
#include "fuse/marks.h"
#include "fuse/store.h"
#include "tests/scratch.h"

static struct anon anon;
static struct store *store;
static struct scratch scratch;
static struct marks *marks;
static int file;

static void begin(enum anon_kind kind)
{
	scratch = scratch_make();
	if (anon_init(&anon, kind, NULL, 0, scratch.folder) < 0)
		cr_skip_test("this host has no %s files", anon_kind_name(kind));
	cr_assert_eq(store_new(&store, memfd_create("journal", MFD_CLOEXEC), &anon, NULL), 0);
	cr_assert_eq(marks_new(&marks, &file), 0);
	if (store_have_marks(store, marks) < 0)
		cr_skip_test("this host follows links in %s", anon_kind_name(kind));
}

static void end(void)
{
	store_discard(store);
	store = store_free(store);
	anon_leave_seat(&anon, scratch.folder);
	anon_deinit(&anon);
	cr_expect(scratch_remove(&scratch));
	close(file);
}

static uint64_t mark(const char *name)
{
	return marks_of(marks, marks_hash(name, strlen(name)));
}

static struct store_node *make(struct store_node *folder, const char *name, mode_t mode)
{
	struct store_birth birth = {.mode = mode, .uid = geteuid(), .gid = getegid()};
	struct store_node *node = NULL;

	cr_assert_eq(store_create(store, folder, name, &birth, &node), 0, "%s", name);
	return node;
}

static void rename_in_root(const char *from, const char *to, unsigned flags)
{
	struct store_actor actor = {.uid = geteuid(), .gid = getegid()};

	cr_assert_eq(store_rename(store, store_root(store), from, store_root(store), to, flags,
	                          &actor), 0);
}

static const char *const names[] = {"a", "b", "c"};

/* Which of the names' marks have changed since the last call, by their letters. */
static const char *changed(void)
{
	static uint64_t before[3];
	static char letters[4];
	char *at = letters;

	for (int i = 0; i < 3; i++) {
		if (mark(names[i]) != before[i])
			*at++ = names[i][0];
		before[i] = mark(names[i]);
	}
	*at = '\0';
	return letters;
}

Test(marks, change_with_what_names_lead_to)
{
	struct store_node *root, *folder;

	begin(ANON_AUTO);
	root = store_root(store);
	make(root, "a", 0600);
	make(root, "b", 0600);
	folder = make(root, "folder", S_IFDIR | 0700);
	make(folder, "c", 0600);
	changed();
	cr_expect_str_eq(changed(), "");
	rename_in_root("a", "b", RENAME_EXCHANGE);
	cr_expect_str_eq(changed(), "ab");
	rename_in_root("a", "b", 0);
	cr_expect_str_eq(changed(), "ab");
	rename_in_root("b", "b", 0);
	cr_expect_eq(store_unlink(store, folder, "c"), 0);
	cr_expect_str_eq(changed(), "", "a name of another folder");
	rename_in_root("b", "c", 0);
	cr_expect_str_eq(changed(), "b", "nothing was remembered of a name that was not there");
	cr_expect_eq(store_node_chmod(store_lookup(store, root, "c"), 0), 0);
	cr_expect_str_eq(changed(), "");
	cr_expect_eq(store_unlink(store, root, "c"), 0);
	cr_expect_str_eq(changed(), "c");
	store_change_marks(store);
	cr_expect_str_eq(changed(), "abc");
	end();
}

static void check_numbers(enum anon_kind kind)
{
	struct store_node *root;

	begin(kind);
	root = store_root(store);
	make(root, "file", 0600);
	make(root, "folder", S_IFDIR | 0700);
	make(root, "fifo", S_IFIFO | 0600);
	make(store_lookup(store, root, "folder"), "inner", 0600);
	cr_expect_neq(store_number(store, "file"), 0);
	cr_expect_eq(store_number(store, "folder"), 0);
	cr_expect_eq(store_number(store, "fifo"), 0);
	cr_expect_eq(store_number(store, "inner"), 0);
	cr_expect_eq(store_number(store, "nothing"), 0);
	end();
}

Test(marks, numbers_in_a_tmpfs)
{
	check_numbers(ANON_TMPFS);
}

Test(marks, numbers_of_descriptors)
{
	check_numbers(ANON_MEMFD);
}

Test(marks, are_written_by_nobody_else)
{
	void *again;

	begin(ANON_AUTO);
	cr_expect_eq(write(file, "x", 1), -1);
	cr_expect_eq(ftruncate(file, 0), -1);
	again = mmap(NULL, sizeof *marks, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	cr_expect_eq(again, MAP_FAILED);
	again = mmap(NULL, sizeof *marks, PROT_READ, MAP_SHARED, file, 0);
	cr_assert_neq(again, MAP_FAILED);
	cr_expect_eq(mprotect(again, sizeof *marks, PROT_READ | PROT_WRITE), -1);
	end();
}

/* A maker that hands them over and ends, by itself or not. */
static void check_end(bool is_killed)
{
	struct iovec part = {&(char){'x'}, 1};
	const struct marks *theirs;
	int pair[2], memory = -1;
	pid_t maker;

	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	maker = fork();
	if (maker == 0) {
		if (marks_new(&marks, &file) == 0)
			fdpass_send(pair[1], &part, 1, file, NULL, 0);
		while (is_killed)
			pause();
		_exit(0);
	}
	cr_assert_eq(fdpass_receive(pair[0], &part, 1, &memory, NULL, 0), 1);
	theirs = mmap(NULL, sizeof *theirs, PROT_READ, MAP_SHARED, memory, 0);
	cr_assert_neq(theirs, MAP_FAILED);
	if (is_killed) {
		cr_expect_neq(marks_of(theirs, 1), 0);
		kill(maker, SIGKILL);
	}
	cr_assert_eq(waitpid(maker, NULL, 0), maker);
	cr_expect_eq(marks_of(theirs, 1), 0);
}

Test(marks, are_void_when_their_maker_is_gone)
{
	check_end(false);
	check_end(true);
}
