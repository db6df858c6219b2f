/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* semget, semctl, and semop where nothing waits. */
#define FAMILY "semop"
#include "tests/probes/ipc.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sem.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KEY = 0x5e6d0201, OTHER_KEY, COUNT = 4, VALUE_MAX = 32767 };

union semun {
	int val;
	struct semid_ds *buf;
	unsigned short *array;
	struct seminfo *info;
};

#define STEPS(...) (struct sembuf[]){__VA_ARGS__}, sizeof(struct sembuf[]){__VA_ARGS__} / 6

static int make(key_t key, int count, int mode)
{
	int id = semget(key, count, IPC_CREAT | IPC_EXCL | mode);

	must(id >= 0);
	return id;
}

static void drop(int id)
{
	must(semctl(id, 0, IPC_RMID) == 0);
}

static struct semid_ds stat_of(int id)
{
	struct semid_ds status = {.sem_nsems = 0};
	union semun argument = {.buf = &status};

	must(semctl(id, 0, IPC_STAT, argument) == 0);
	return status;
}

static long set_value(int id, int which, int value)
{
	return semctl(id, which, SETVAL, (union semun){.val = value});
}

static long set_all(int id, unsigned short *values)
{
	return semctl(id, 0, SETALL, (union semun){.array = values});
}

/* All values of a set of four. */
static void say_values(const char *what, int id)
{
	unsigned short values[COUNT] = {0};

	must(semctl(id, 0, GETALL, (union semun){.array = values}) == 0);
	say("{semop: %s} %u %u %u %u", what, values[0], values[1], values[2], values[3]);
}

static const char *try_count(int count, int flags)
{
	int id = semget(IPC_PRIVATE, count, flags | 0600);
	const char *result = outcome(id);

	if (id >= 0)
		drop(id);
	return result;
}

static void ask_get(void)
{
	int id, other;

	tell("no semaphores", "%s", try_count(0, 0));
	tell("-1 semaphores", "%s", try_count(-1, 0));
	tell("one", "%s", try_count(1, 0));
	tell("32000", "%s", try_count(32000, IPC_CREAT));
	tell("32001", "%s", try_count(32001, 0));
	tell("exclusive and private", "%s", try_count(1, IPC_EXCL));
	ask("missing", semget(KEY, 1, 0600));
	ask("missing, of none", semget(KEY, 0, 0600));
	ask("missing, of -1", semget(KEY, -1, 0600));
	ask("of none, created", semget(KEY, 0, IPC_CREAT | 0600));
	id = make(KEY, COUNT, 0600);
	ask_whether("again", semget(KEY, COUNT, IPC_CREAT) == id);
	ask_whether("of none", semget(KEY, 0, 0) == id);
	ask_whether("of fewer", semget(KEY, COUNT - 1, 0600) == id);
	ask("of more", semget(KEY, COUNT + 1, 0600));
	ask("of -1", semget(KEY, -1, 0600));
	ask("of too many", semget(KEY, 32001, 0600));
	ask("exclusive", semget(KEY, COUNT, IPC_CREAT | IPC_EXCL | 0600));
	ask("exclusive, of more", semget(KEY, COUNT + 1, IPC_CREAT | IPC_EXCL | 0600));
	ask("exclusive without creating", semget(KEY, COUNT, IPC_EXCL));
	other = make(OTHER_KEY, 1, 0600);
	ask_whether("another", other != id);
	drop(other);
	drop(id);
	ask("removed", semget(KEY, 0, 0));
	id = make(KEY, 1, 0);
	ask("mode 0, none asked", semget(KEY, 1, 0));
	ask("mode 0, reading", semget(KEY, 1, 0400));
	ask("mode 0, altering", semget(KEY, 1, 0200));
	ask("mode 0, of more", semget(KEY, 2, 0600));
	drop(id);
}

static void ask_stat(void)
{
	struct semid_ds status, before;
	int id;

	umask(077);
	id = make(KEY, COUNT, 0642);
	before = stat_of(id);
	tell("mode", "%o", before.sem_perm.mode);
	ask_whether("owner", before.sem_perm.uid == geteuid());
	ask_whether("group", before.sem_perm.gid == getegid());
	ask_whether("creator", before.sem_perm.cuid == geteuid());
	ask_whether("key", before.sem_perm.__key == KEY);
	tell("semaphores", "%lu", before.sem_nsems);
	tell("time of the last operation", "%ld", (long)before.sem_otime);
	ask_whether("change time", ipc_is_recent(before.sem_ctime));
	ipc_next_second();
	must(semop(id, STEPS({0, 1, 0})) == 0);
	status = stat_of(id);
	ask_whether("time of an operation", ipc_is_recent(status.sem_otime));
	ask_whether("which is no change", status.sem_ctime == before.sem_ctime);
	must(set_value(id, 1, 3) == 0);
	ask_whether("setting one is a change", stat_of(id).sem_ctime > before.sem_ctime);
	ask_whether("and no operation", stat_of(id).sem_otime == status.sem_otime);
	status.sem_perm.mode = 07531;
	status.sem_perm.__key = OTHER_KEY;
	status.sem_nsems = 1;
	status.sem_otime = 5;
	status.sem_perm.uid = 4321;
	ask("set", semctl(id, 0, IPC_SET, (union semun){.buf = &status}));
	status = stat_of(id);
	tell("mode then", "%o", status.sem_perm.mode);
	ask_whether("key then", status.sem_perm.__key == KEY);
	tell("semaphores then", "%lu", status.sem_nsems);
	tell("owner then", "%u", status.sem_perm.uid);
	ask_whether("creator then", status.sem_perm.cuid == geteuid());
	drop(id);
}

static void ask_values(void)
{
	unsigned short values[COUNT] = {4, 3, 2, 1};
	int id = make(KEY, COUNT, 0600);

	say_values("a new one", id);
	tell("last pid of a new one", "%d", semctl(id, 0, GETPID));
	ask("set to 0", set_value(id, 0, 0));
	ask("set to the most", set_value(id, 0, VALUE_MAX));
	ask("set to more", set_value(id, 0, VALUE_MAX + 1));
	ask("set to -1", set_value(id, 0, -1));
	ask("set to INT_MIN", set_value(id, 0, INT_MIN));
	tell("then", "%d", semctl(id, 0, GETVAL));
	ask_whether("last pid", semctl(id, 0, GETPID) == getpid());
	tell("last pid of the next", "%d", semctl(id, 1, GETPID));
	ask("set all", set_all(id, values));
	say_values("all set", id);
	ask_whether("last pid of all", semctl(id, 3, GETPID) == getpid());
	values[0] = 9;
	values[2] = VALUE_MAX + 1;
	ask("set all, one to more", set_all(id, values));
	say_values("none set", id);
	tell("waiting for more", "%d", semctl(id, 0, GETNCNT));
	tell("waiting for zero", "%d", semctl(id, 0, GETZCNT));
	drop(id);
}

static void ask_bad(void)
{
	static const int commands[] = {GETVAL, GETPID, GETNCNT, GETZCNT, SETVAL};
	struct semid_ds status;
	union semun buf = {.buf = &status};
	int id = make(KEY, COUNT, 0600);

	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
		say("{semop: number out of range, command %d} %s %s %s", commands[i],
		    outcome(semctl(id, COUNT, commands[i], (union semun){.val = 1})),
		    outcome(semctl(id, -1, commands[i], (union semun){.val = 1})),
		    outcome(semctl(id, INT_MAX, commands[i], (union semun){.val = 1})));
	ask("number of no matter", semctl(id, 99, IPC_STAT, buf));
	ask("number out of range, value too", set_value(id, COUNT, -1));
	ask("command -1", semctl(id, 0, -1, buf));
	ask("command 99", semctl(id, 0, 99, buf));
	ask("id -1", semctl(-1, 0, IPC_STAT, buf));
	ask("id -1, getting", semctl(-1, 0, GETVAL));
	ask("id -1, setting", set_value(-1, 0, 1));
	ask("id that never was", semctl(4711, 0, IPC_STAT, buf));
	ask("id that never was, getting", semctl(4711, 0, GETVAL));
	ask("id that never was, unknown command", semctl(4711, 0, 99, buf));
	ask("id that never was, operation", semop(4711, STEPS({0, 1, 0})));
	ask("id -1, operation", semop(-1, STEPS({0, 1, 0})));
	drop(id);
	ask("removed", semctl(id, 0, IPC_STAT, buf));
	ask("removed, removed again", semctl(id, 0, IPC_RMID));
	ask("removed, getting", semctl(id, 0, GETVAL));
	ask("removed, setting", set_value(id, 0, 1));
	ask("removed, value out of range", set_value(id, 0, -1));
	ask("removed, operation", semop(id, STEPS({0, 1, 0})));
}

static void ask_stale(void)
{
	int old = make(KEY, COUNT, 0600), id = -1;
	struct semid_ds status;

	drop(old);
	for (int i = 0; i < 200 && (id < 0 || id % 32768 != old % 32768); i++) {
		if (id >= 0)
			drop(id);
		id = make(KEY, COUNT, 0600);
	}
	ask_whether("stale, place used again", id % 32768 == old % 32768 && id != old);
	ask("stale, its state", semctl(old, 0, IPC_STAT, (union semun){.buf = &status}));
	ask("stale, getting", semctl(old, 0, GETVAL));
	ask("stale, setting", set_value(old, 0, 1));
	ask("stale, removed again", semctl(old, 0, IPC_RMID));
	ask("stale, operation", semop(old, STEPS({0, 1, 0})));
	drop(id);
}

static void ask_steps(void)
{
	int id = make(KEY, COUNT, 0600);
	struct sembuf many[501];

	ask("no steps", semop(id, many, 0));
	for (int i = 0; i < 501; i++)
		many[i] = (struct sembuf){.sem_num = (unsigned short)(i % COUNT), .sem_op = 1};
	ask("500 steps", semop(id, many, 500));
	say_values("500 steps done", id);
	ask("501 steps", semop(id, many, 501));
	ask("far too many", semop(id, many, (size_t)1 << (sizeof(size_t) == 8 ? 40 : 20)));
	ask("501 steps, id -1", semop(-1, many, 501));
	ask("501 steps, id that never was", semop(4711, many, 501));
	ask("number out of range", semop(id, STEPS({0, 1, 0}, {COUNT, 1, 0})));
	ask("number far out of range", semop(id, STEPS({65535, 1, 0})));
	say_values("nothing done", id);
	ask("down", semop(id, STEPS({0, -125, 0})));
	ask("down more than there is", semop(id, STEPS({1, -126, IPC_NOWAIT})));
	ask("down by all", semop(id, STEPS({1, -125, IPC_NOWAIT})));
	ask("zero", semop(id, STEPS({0, 0, 0})));
	ask("not zero", semop(id, STEPS({2, 0, IPC_NOWAIT})));
	ask("up to the most", semop(id, STEPS({0, VALUE_MAX, 0})));
	ask("up beyond", semop(id, STEPS({0, 1, 0})));
	ask("up beyond, not waiting", semop(id, STEPS({0, VALUE_MAX, IPC_NOWAIT})));
	ask("down from the most", semop(id, STEPS({0, -VALUE_MAX, 0})));
	ask("down by 32768", semop(id, STEPS({0, -32768, IPC_NOWAIT})));
	say_values("in the end", id);
	ask_whether("last pid", semctl(id, 0, GETPID) == getpid());
	drop(id);
}

static void ask_atomic(void)
{
	unsigned short values[COUNT] = {5, 5, 5, 0};
	int id = make(KEY, COUNT, 0600);

	must(set_all(id, values) == 0);
	ask("all can be done", semop(id, STEPS({0, -1, 0}, {1, -2, 0}, {2, 3, 0}, {3, 0, 0})));
	say_values("all done", id);
	ask("the last can't", semop(id, STEPS({0, -1, 0}, {1, 1, 0}, {3, -1, IPC_NOWAIT})));
	ask("the first can't", semop(id, STEPS({3, -1, IPC_NOWAIT}, {0, 1, 0})));
	ask("the last is too much", semop(id, STEPS({0, -1, 0}, {1, VALUE_MAX, 0})));
	ask("the last is out of range", semop(id, STEPS({0, -1, 0}, {COUNT, 1, 0})));
	say_values("none done", id);
	ask("up, then down", semop(id, STEPS({3, 1, IPC_NOWAIT}, {3, -1, IPC_NOWAIT})));
	ask("down, then up", semop(id, STEPS({3, -1, IPC_NOWAIT}, {3, 1, IPC_NOWAIT})));
	ask("zero, then up", semop(id, STEPS({3, 0, IPC_NOWAIT}, {3, 1, IPC_NOWAIT})));
	ask("zero, then up, again", semop(id, STEPS({3, 0, IPC_NOWAIT}, {3, 1, IPC_NOWAIT})));
	ask("down, then zero", semop(id, STEPS({3, -1, IPC_NOWAIT}, {3, 0, IPC_NOWAIT})));
	ask("beyond, then down",
	    semop(id, STEPS({3, VALUE_MAX, 0}, {3, 1, 0}, {3, -VALUE_MAX, IPC_NOWAIT})));
	ask("down, and only the next would not wait",
	    semop(id, STEPS({0, -1, 0}, {3, -5, IPC_NOWAIT}, {1, -9, 0})));
	ask("the same one five times",
	    semop(id, STEPS({0, 1, 0}, {0, 1, 0}, {0, -2, 0}, {0, 3, 0}, {0, -1, 0})));
	say_values("then", id);
	drop(id);
}

static void ask_info(void)
{
	struct seminfo info;
	struct semid_ds status;
	union semun argument = {.info = &info};
	int one, other, found = 0, highest;

	ask_value("limits", semctl(0, 0, IPC_INFO, argument));
	say("{semop: limits} map %d ids %d all %d undos %d", info.semmap, info.semmni, info.semmns,
	    info.semmnu);
	say("{semop: more limits} in a set %d steps %d undos %d size %d value %d undo %d",
	    info.semmsl, info.semopm, info.semume, info.semusz, info.semvmx, info.semaem);
	ask_value("use", semctl(0, 0, SEM_INFO, argument));
	tell("sets, semaphores", "%d %d", info.semusz, info.semaem);
	one = make(KEY, 3, 0600);
	other = make(OTHER_KEY, 5, 0600);
	highest = semctl(0, 0, SEM_INFO, argument);
	tell("sets, semaphores then", "%d %d", info.semusz, info.semaem);
	ask_whether("highest index", highest == other % 32768);
	argument.buf = &status;
	for (int i = 0; i <= highest; i++) {
		int id = semctl(i, 0, SEM_STAT, argument);

		found += id >= 0 && status.sem_nsems == (id == one ? 3 : 5);
		found += id >= 0 && semctl(i, 0, SEM_STAT_ANY, argument) == id;
	}
	tell("found by index", "%d", found);
	ask("an index too high", semctl(highest + 1, 0, SEM_STAT, argument));
	ask("an index below", semctl(-1, 0, SEM_STAT_ANY, argument));
	drop(one);
	drop(other);
}

static void ask_rights(void)
{
	unsigned short values[1] = {1};
	union semun array = {.array = values};
	struct semid_ds status;

	for (int mode = 0; mode < 8; mode++) {
		int id = make(KEY, 1, mode << 6);
		union semun buf = {.buf = &status};

		say("{semop: mode %d, operations} up %s down %s zero %s both %s", mode,
		    outcome(semop(id, STEPS({0, 1, 0}))),
		    outcome(semop(id, STEPS({0, -1, IPC_NOWAIT}))),
		    outcome(semop(id, STEPS({0, 0, IPC_NOWAIT}))),
		    outcome(semop(id, STEPS({0, 0, IPC_NOWAIT}, {0, 1, 0}))));
		say("{semop: mode %d, looks} %s %s %s %s %s %s", mode,
		    outcome(semctl(id, 0, GETVAL)),
		    outcome(semctl(id, 0, GETPID)), outcome(semctl(id, 0, GETNCNT)),
		    outcome(semctl(id, 0, GETALL, array)), outcome(semctl(id, 0, IPC_STAT, buf)),
		    outcome(semctl(id % 32768, 0, SEM_STAT_ANY, buf)));
		say("{semop: mode %d, changes} %s %s %s", mode, outcome(set_value(id, 0, 0)),
		    outcome(set_all(id, values)), outcome(semop(id, STEPS({9, 1, 0}))));
		drop(id);
	}
}

static void ask_pointers(void)
{
	void *const nowhere[] = {NULL, (void *)-1, (void *)1};
	int id;

	if (IPC_LIBC_READS)
		return;
	id = make(KEY, COUNT, 0600);
	for (size_t i = 0; i < sizeof nowhere / sizeof nowhere[0]; i++) {
		union semun argument = {.array = nowhere[i]};

		say("{semop: pointer %zu, semctl} %s %s %s %s %s", i,
		    outcome(semctl(id, 0, IPC_STAT, argument)),
		    outcome(semctl(id, 0, IPC_SET, argument)),
		    outcome(semctl(id, 0, GETALL, argument)),
		    outcome(semctl(id, 0, SETALL, argument)),
		    outcome(semctl(id, 0, IPC_INFO, argument)));
		say("{semop: pointer %zu, semop} %s %s %s %s", i, outcome(semop(id, nowhere[i], 1)),
		    outcome(semop(id, nowhere[i], 0)), outcome(semop(id, nowhere[i], 501)),
		    outcome(semop(4711, nowhere[i], 1)));
		if (i > 0)
			say("{semop: pointer %zu, semtimedop} %s", i,
			    outcome(semtimedop(id, STEPS({0, 1, 0}), nowhere[i])));
	}
	say_values("nothing done by pointers", id);
	drop(id);
}

static void ask_many(void)
{
	enum { MANY = 200 };
	int ids[MANY], wrong = 0;

	for (int i = 0; i < MANY; i++) {
		ids[i] = semget(KEY + i, 1 + i % 7, IPC_CREAT | IPC_EXCL | 0600);
		wrong += ids[i] < 0 || set_value(ids[i], i % 7, i) != 0;
	}
	for (int i = 0; i < MANY; i++)
		wrong += semget(KEY + i, 0, 0) != ids[i] || semctl(ids[i], i % 7, GETVAL) != i ||
		         stat_of(ids[i]).sem_nsems != 1UL + (unsigned)(i % 7);
	for (int i = 0; i < MANY; i++)
		wrong += semctl(ids[i], 0, IPC_RMID) != 0;
	tell("many, wrong", "%d", wrong);
}

static const struct ipc_group groups[] = {
	{"get", ask_get},       {"stat", ask_stat},   {"values", ask_values}, {"bad", ask_bad},
	{"stale", ask_stale},   {"steps", ask_steps}, {"atomic", ask_atomic}, {"info", ask_info},
	{"rights", ask_rights}, {"many", ask_many},   {"pointers", ask_pointers}, {NULL, NULL},
};

static void body(void)
{
	ipc_run(groups);
}

int main(int argc, char **argv)
{
	return probe_run(argc, argv, body);
}
