/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The store against a model of it: random operations, and now and then a kill, after which the next
 * process takes over and is asked the same again; first between what the operation did and its
 * answer, then, of a process of its own, at any instant. SHMEMU_TEST_STEPS says how many
 * operations, SHMEMU_TEST_KILLS how many kills, SHMEMU_TEST_SEED with which seed. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fuse/anon.h"
#include "fuse/journal.h"
#include "fuse/store.h"
#include "tests/scratch.h"
#include "tests/unit/deprive.h"
#include "tests/unit/model.h"

enum { KEPT = 256, KILLS = 300, LOGGED = 4096 };

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
static struct scratch scratch;
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

static void check_written(const void *memory, size_t size, uint64_t offset)
{
	char *there = malloc(size);

	cr_assert_eq(pread(journal, there, size, (off_t)offset), (ssize_t)size);
	cr_assert_eq(memcmp(there, memory, size), 0, "%lu bytes at %lu", (unsigned long)size,
	             (unsigned long)offset);
	free(there);
}

/* What is stored is in the file, mapped or not. */
static void check_journal(void)
{
	const struct journal *now = store_journal(store);

	check_written(now->header, sizeof *now->header, 0);
	check_written(now->inodes.records, now->inodes.count * now->inodes.record_size,
	              now->inodes.offset);
	check_written(now->entries.records, now->entries.count * now->entries.record_size,
	              now->entries.offset);
}

/* As a kill -9 leaves it: nothing is given back but memory. */
static void be_killed(void)
{
	store = store_free(store);
	open_store();
}

static long setting(const char *name, long otherwise)
{
	const char *text = getenv(name);

	return text ? atol(text) : otherwise;
}

static void begin(enum anon_kind kind)
{
	scratch = scratch_make();
	seed = (unsigned)setting("SHMEMU_TEST_SEED", 1);
	keeper.keep = (struct store_keep){.put = put, .drop = drop};
	if (anon_init(&anon, kind, NULL, NULL, scratch.folder) < 0)
		cr_skip_test("this host has no %s files", anon_kind_name(kind));
	journal = memfd_create("journal", MFD_CLOEXEC);
	model_init(&model);
	open_store();
}

static int count_names(int folder)
{
	DIR *stream = fdopendir(openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	const struct dirent *entry;
	int count = 0;

	while ((entry = readdir(stream)))
		count += entry->d_name[0] != '.' && strcmp(entry->d_name, "nodes") != 0;
	closedir(stream);
	return count;
}

/* Takes everything away: then nothing may be left anywhere but the root. */
static void end(void)
{
	struct model_op op;
	uint64_t ino;

	while (model_choose_less(&model, &op)) {
		cr_assert_eq(model_perform(&model, &op, store, ++serial, &ino), 0);
		store_turn_end(store);
		model_apply(&model, &op, 0);
	}
	model_check(&model, store, anon.by_name);
	for (int i = 0; i < KEPT; i++)
		cr_expect_eq(keeper.inos[i], 0, "%lu is kept", (unsigned long)keeper.inos[i]);
	if (anon.kind == ANON_TMPFS)
		cr_expect_eq(count_names(anon.folder), 0, "files are left");
	cr_expect_eq(count_names(anon.nodes), 1, "folders are left");
	store_discard(store);
	store = store_free(store);
	cr_expect_eq(count_names(anon.nodes), 0);
	anon_leave_seat(&anon, scratch.folder);
	anon_deinit(&anon);
	cr_expect(scratch_remove(&scratch), "nothing is left in the seat");
	close(journal);
}

/* Sometimes it is asked again, by a process that finds it done. */
static void step(void)
{
	struct model_op op = model_choose(&model, &seed, MODEL_KINDS);
	int expected = model_expect(&model, &op);
	uint64_t ino;

	int result;

	serial++;
	result = model_perform(&model, &op, store, serial, &ino);
	cr_assert_eq(result, expected, "operation %d: %d and not %d", op.what, result, expected);
	for (int again = 1; choose(20) == 0; again++) {
		uint64_t made = ino;

		be_killed();
		cr_assert_eq(model_perform(&model, &op, store, serial, &ino), expected,
		             "operation %d, again, %d", op.what, again);
		cr_assert_eq(ino, made);
	}
	store_turn_end(store);
	if (expected == 0)
		model_apply(&model, &op, ino);
}

static void run_model(enum anon_kind kind)
{
	long steps = setting("SHMEMU_TEST_STEPS", 40000);

	begin(kind);
	cr_assert_eq(store_journal(store)->is_mapped, !(deprived & DEPRIVE_MMAP));
	for (long i = 0; i < steps; i++) {
		step();
		if (choose(50) == 0) {
			model_check(&model, store, anon.by_name);
			check_journal();
		}
		if (choose(500) == 0)
			be_killed();
	}
	model_check(&model, store, anon.by_name);
	end();
}

Test(model, files_by_name, .timeout = 600) { run_model(ANON_TMPFS); }
Test(model, files_kept, .timeout = 600) { run_model(ANON_MEMFD); }

/* What a victim writes down: an operation before it asks for it, and then what it made. */
struct logged {
	struct model_op op;
	uint64_t ino;
};

struct log {
	volatile long asked, answered;
	struct logged ops[LOGGED];
};

/* Like a worker: a request that has been answered is out of the socket before its turn ends. */
static _Noreturn void be_a_victim(struct log *log)
{
	store = store_free(store);
	open_store();
	for (long i = 0; i < LOGGED; i++) {
		struct logged *logged = &log->ops[i];
		int expected;

		logged->op = model_choose(&model, &seed, MODEL_KINDS_OF_NAMES);
		log->asked = i + 1;
		expected = model_expect(&model, &logged->op);
		if (model_perform(&model, &logged->op, store, serial + (uint64_t)i,
		                  &logged->ino) != expected)
			_exit(2);
		log->answered = i + 1;
		store_turn_end(store);
		if (expected == 0)
			model_apply(&model, &logged->op, logged->ino);
	}
	for (;;)
		pause();
}

/* The model catches up with the log; what was not answered is asked again. */
static void follow(struct log *log)
{
	for (long i = 0; i < log->asked; i++) {
		struct logged *logged = &log->ops[i];
		int expected = model_expect(&model, &logged->op);

		if (i == log->answered) {
			cr_assert_eq(model_perform(&model, &logged->op, store,
			                           serial + (uint64_t)i, &logged->ino),
			             expected, "operation %d", logged->op.what);
			store_turn_end(store);
		}
		if (expected == 0)
			model_apply(&model, &logged->op, logged->ino);
	}
	serial += LOGGED;
}

static long kill_one(struct log *log)
{
	pid_t victim;
	int status;

	log->asked = log->answered = 0;
	victim = fork();
	if (victim == 0)
		be_a_victim(log);
	while (log->asked < 3 && waitpid(victim, &status, WNOHANG) == 0)
		;
	usleep((useconds_t)choose(2000));
	kill(victim, SIGKILL);
	waitpid(victim, &status, 0);
	cr_assert(WIFSIGNALED(status), "the victim failed by itself: %x", status);
	be_killed();
	follow(log);
	model_check(&model, store, true);
	return log->asked;
}

Test(model, kill_at_any_instant, .timeout = 600)
{
	struct log *log = mmap(NULL, sizeof *log, PROT_READ | PROT_WRITE,
	                       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	long kills = setting("SHMEMU_TEST_KILLS", KILLS);
	long operations = 0;

	begin(ANON_TMPFS);
	if (!anon.by_name)
		cr_skip_test("files have to be found without a keeper: only root's are");
	for (long i = 0; i < kills; i++) {
		choose(2);
		operations += kill_one(log);
	}
	cr_log_info("%ld operations under %ld kills", operations, kills);
	end();
}
