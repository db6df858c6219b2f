/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* After the probe a witness is run in its world, which leaves a segment and a semaphore: they must
 * be in our store, and natively nothing may have touched the library. After, so that in the
 * embedded world the probe's first call is the one that starts the daemon. */
#include "tests/conform/conform.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/own.h"
#include "tests/conform/compare.h"

enum { WITNESS_SIZE = 4097 };

bool conform_ipc;

static const char *const witness[] = {"witness", NULL};

static void expect_text(struct world *world, const char *text, const char *wanted,
                        const char *what)
{
	if (!text || !strstr(text, wanted))
		world_problem(world, "%s: no \"%s\" in: %s", what, wanted,
		              text ? text : "(nothing)");
}

static void check_trace(struct world *world)
{
	char *trace = world_read(world, "trace");

	if (!world_has_library(world->kind)) {
		if (!trace || trace[0])
			world_problem(world, "the library is not out of it: %.100s", trace);
	} else {
		expect_text(world, trace, ": shm_open(\"/witness\", ", "trace");
		expect_text(world, trace, ": sem_open(\"/witness\", ", "trace");
	}
	free(trace);
}

/* Was our daemon asked, and did all that was opened come back? But the memory of IPC's tables,
 * which is made with the first object, stays. */
static void check_state(struct world *world, const struct daemon_state *before)
{
	struct daemon_state after;
	int stays = conform_ipc && world_has_library(world->kind) ? 1 : 0;

	if (!world_daemon_state(world, &after))
		return;
	/* What clients had is closed by another thread, a moment later. */
	for (int i = 0; i < 500 && after.descriptors != before->descriptors + stays; i++) {
		poll(NULL, 0, 10);
		if (!world_daemon_state(world, &after))
			return;
	}
	/* Asking that took one request, at least. */
	if (world_has_library(world->kind) &&
	    after.status.requests < before->status.requests + 2)
		world_problem(world, "the daemon was asked nothing");
	if (after.descriptors != before->descriptors + stays)
		world_problem(world, "the daemon's descriptors: %d before, %d after",
		              before->descriptors, after.descriptors);
}

static void check_deaths(struct world *world, const struct daemon_state *before)
{
	struct daemon_state after;

	if (world_daemon_state(world, &after) && after.status.pid == before->status.pid)
		world_problem(world, "no worker has died");
}

static void check_names(struct world *world, const char *expected, uint64_t inodes)
{
	struct daemon_state state;
	char *names = world_names(world);

	if (world_daemon_state(world, &state) &&
	    (!names || strcmp(names, expected) != 0 || state.status.inodes != inodes))
		world_problem(world, "the store has %lu files, and the names \"%s\", not \"%s\"",
		              (unsigned long)state.status.inodes, names ? names : "", expected);
	free(names);
}

/* Only with passthrough can a file be mapped by those who share it. */
static void check_passthrough(struct world *world, const char *file)
{
	OWN_FD fd = open(file, O_RDONLY | O_CLOEXEC);
	void *memory = mmap(NULL, WITNESS_SIZE, PROT_READ, MAP_SHARED, fd, 0);
	int wanted = world->kind == WORLD_DIRECT ? ENODEV : 0;
	int found = memory == MAP_FAILED ? errno : 0;

	if (found == 0)
		munmap(memory, WITNESS_SIZE);
	if (fd < 0 || found != wanted)
		world_problem(world, "a file at the mount is mapped: %s, not %s",
		              strerrorname_np(found), strerrorname_np(wanted));
}

static void check_mount(struct world *world)
{
	char mount[128], file[256];
	struct stat status = {.st_size = -1};
	struct statfs system_of = {.f_type = 0};

	if (world->kind == WORLD_PLAIN)
		snprintf(mount, sizeof mount, "/proc/%d/root/dev/shm", world->daemon);
	else
		snprintf(mount, sizeof mount, "/proc/%d/root%s/mnt", world->daemon, world->folder);
	snprintf(file, sizeof file, "%s/witness", mount);
	if (statfs(mount, &system_of) < 0 || system_of.f_type != FUSE_SUPER_MAGIC)
		world_problem(world, "the store is not mounted");
	else if (stat(file, &status) < 0 || status.st_size != WITNESS_SIZE ||
	         (status.st_mode & 07777) != 0600)
		world_problem(world, "the mount does not show the segment: mode %o, size %ld",
		              status.st_mode, (long)status.st_size);
	else
		check_passthrough(world, file);
}

static void check_leftovers(struct world *world, const struct run *run)
{
	if (world->kind == WORLD_SOCKET) {
		expect_text(world, run->errors, "witness", "shmemu run's report");
		expect_text(world, run->errors, "4097", "shmemu run's report");
	} else if (world->kind != WORLD_NATIVE) {
		check_names(world, "witness sem.witness witness-path ", 3);
	}
	if (world_is_mounted(world->kind))
		check_mount(world);
}

/* The daemon lacks what the program lacks: it has mapped nothing that others could see. */
static void check_unmapped(struct world *world)
{
	struct daemon_state state;
	char path[64], line[512], rights[8];
	FILE *maps;

	if (!world_daemon_state(world, &state))
		return;
	snprintf(path, sizeof path, "/proc/%u/maps", state.status.pid);
	maps = fopen(path, "re");
	if (!maps)
		world_problem(world, "%s: %s", path, strerror(errno));
	while (maps && fgets(line, sizeof line, maps))
		if (sscanf(line, "%*s %7s", rights) == 1 && rights[3] != 'p')
			world_problem(world, "the daemon maps: %s", line);
	if (maps)
		fclose(maps);
}

/* Was this the world that was meant? */
static void check_road(struct world *world)
{
	struct run run;
	char expected[64];
	bool has_library = world_has_library(world->kind);

	world_run(world, witness, &run);
	snprintf(expected, sizeof expected, "/dev/shm: %s\nuid %u\nlibrary: %s\n",
	         has_library ? "ENOENT" : "ok", world->uid, has_library ? "yes" : "no");
	if (run.status != EXIT_SUCCESS)
		world_problem(world, "the witness ended with %d: %s%s", run.status,
		              run.output ? run.output : "", run.errors ? run.errors : "");
	expect_text(world, run.output, expected, "witness");
	if (world->daemon == 0 || !has_library)
		check_trace(world);
	if (!world->problem[0])
		check_leftovers(world, &run);
	run_deinit(&run);
}

static void check_objects(struct world *world, const char *expected)
{
	char *objects = world_objects(world);

	if (!objects || strcmp(objects, expected) != 0)
		world_problem(world, "the store has the objects \"%s\", not \"%s\"",
		              objects ? objects : "", expected);
	free(objects);
}

/* Nothing but our daemon can have served what goes by key. */
static void check_ipc_road(struct world *world)
{
	bool has_library = world_has_library(world->kind);
	struct run run;

	world_run(world, (const char *const[]){"ipc_witness", NULL}, &run);
	if (run.status != EXIT_SUCCESS)
		world_problem(world, "the witness of IPC ended with %d: %s%s", run.status,
		              run.output ? run.output : "", run.errors ? run.errors : "");
	expect_text(world, run.output,
	            has_library ? "shmget ENOSYS, semget ENOSYS, msgget ENOSYS, mq_open ENOSYS"
	                        : "shmget ENOENT, semget ENOENT, msgget ENOENT, mq_open ENOENT",
	            "the kernel's calls");
	if (has_library && world->kind != WORLD_SOCKET)
		check_objects(world, "shm 77697474 4097 sem 77697474 7 msg 77697474 16384 "
		                     "mq witness 8192 ");
	run_deinit(&run);
}

/* Runs the probe, and proves the world. */
static void run_proved(struct world *world, const char *const *argv, unsigned seed,
                       struct run *ret_run)
{
	struct daemon_state before;
	bool is_known = seed == 0 && world->daemon > 0 && world_daemon_state(world, &before);

	if (seed)
		world_harass(world, seed);
	world_run(world, argv, ret_run);
	world_spare(world);
	if (ret_run->status != EXIT_SUCCESS)
		return;
	if (ret_run->errors && ret_run->errors[0])
		world_problem(world, "on standard error: %s", ret_run->errors);
	if (world_is_embedded(world->kind) || world->daemon > 0)
		check_names(world, "", 0);
	if (conform_ipc && (world_is_embedded(world->kind) || world->daemon > 0))
		check_objects(world, "");
	if (world->kind == WORLD_BARE)
		check_unmapped(world);
	if (is_known && world_daemon_dies)
		check_deaths(world, &before);
	else if (is_known)
		check_state(world, &before);
	check_road(world);
	if (conform_ipc)
		check_ipc_road(world);
}

/* The lines that a probe itself calls wrong; or all, if it ended otherwise. */
static const char *complaint(const struct run *run)
{
	const char *line = run->output ? strstr(run->output, "MUST HOLD") : NULL;

	if (line)
		return line;
	return run->output && run->output[0] ? run->output : run->errors ? run->errors : "";
}

/* With a seed other than 0 the daemon's worker is killed meanwhile. */
static void run_in(enum world_kind kind, uid_t uid, const char *const *argv, unsigned seed,
                   struct run *ret_run)
{
	struct world world;

	world_begin(&world, kind, uid);
	run_proved(&world, argv, seed, ret_run);
	world_end(&world);
	if (ret_run->status == WORLD_SKIP)
		cr_skip_test("%s: %s", argv[0], ret_run->output + strlen("SKIP: "));
	cr_assert_eq(world.problem[0], '\0', "%s", world.problem);
	cr_assert_eq(ret_run->status, EXIT_SUCCESS, "%s ended with %d: %.500s", argv[0],
	             ret_run->status, complaint(ret_run));
}

/* Returns whom to run as: an ordinary user's tests are run by one as himself. */
static uid_t prepare(enum world_kind kind, uid_t uid, const char *const *argv)
{
	const char *obstacle;

	if (geteuid() != 0 && uid == WORLD_NOBODY)
		uid = geteuid();
	obstacle = world_obstacle(kind, uid);
	if (obstacle)
		cr_skip_test("%s: %s", argv[0], obstacle);
	return uid;
}

void hold(enum world_kind kind, uid_t uid, const char *const *argv)
{
	struct run run;

	uid = prepare(kind, uid, argv);
	run_in(kind, uid, argv, 0, &run);
	run_deinit(&run);
}

static void compare(enum world_kind kind, uid_t uid, const char *const *argv, unsigned seed)
{
	struct run native, here;
	char report[16384];
	int different;

	uid = prepare(kind, uid, argv);
	run_in(WORLD_NATIVE, uid, argv, 0, &native);
	run_in(kind, uid, argv, seed, &here);
	different = compare_lines(kind, uid, native.output, here.output, report, sizeof report);
	cr_assert_eq(different, 0, "%d lines differ (seed %u): %s", different, seed, report);
	run_deinit(&native);
	run_deinit(&here);
}

void conform(enum world_kind kind, uid_t uid, const char *const *argv)
{
	compare(kind, uid, argv, 0);
}

void survive(enum world_kind kind, uid_t uid, const char *const *argv)
{
	const char *seed = getenv("SHMEMU_TEST_SEED");

	compare(kind, uid, argv, seed ? (unsigned)atoi(seed) : (unsigned)getpid());
}
