/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* shmget and shmctl. */
#define FAMILY "shm"
#include "tests/probes/ipc.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KEY = 0x5e6d0001, OTHER_KEY, SIZE = 3 * 4096 + 100 };

static int make(key_t key, size_t size, int mode)
{
	int id = shmget(key, size, IPC_CREAT | IPC_EXCL | mode);

	must(id >= 0);
	return id;
}

static void drop(int id)
{
	must(shmctl(id, IPC_RMID, NULL) == 0);
}

static struct shmid_ds stat_of(int id)
{
	struct shmid_ds status = {.shm_segsz = 0};

	must(shmctl(id, IPC_STAT, &status) == 0);
	return status;
}

/* Makes one and removes it. */
static const char *try_size(size_t size, int flags)
{
	int id = shmget(IPC_PRIVATE, size, flags | 0600);
	const char *result = outcome(id);

	if (id >= 0)
		drop(id);
	return result;
}

static void ask_sizes(void)
{
	struct shmid_ds status;
	int id;

	tell("no bytes", "%s", try_size(0, 0));
	tell("one byte", "%s", try_size(1, 0));
	tell("a page", "%s", try_size(4096, IPC_CREAT));
	tell("a gigabyte unused", "%s", try_size(1UL << 30, SHM_NORESERVE));
	tell("more than there is", "%s", try_size((size_t)1 << (sizeof(size_t) == 8 ? 46 : 31), 0));
	tell("half of all", "%s", try_size(SIZE_MAX / 2 + 2, 0));
	tell("more than shmmax", "%s", try_size(SIZE_MAX, 0));
	tell("exactly shmmax", "%s", try_size(SIZE_MAX - (1UL << 24), 0));
	tell("exclusive and private", "%s", try_size(10, IPC_EXCL));
	tell("exclusive, created and private", "%s", try_size(10, IPC_EXCL | IPC_CREAT));
	id = make(KEY, SIZE, 0600);
	status = stat_of(id);
	tell("size as asked", "%lu", (unsigned long)status.shm_segsz);
	ask("size 0 of what is there", shmget(KEY, 0, 0));
	ask("the same size", shmget(KEY, SIZE, 0));
	ask("a smaller one", shmget(KEY, 1, IPC_CREAT));
	ask("one byte more", shmget(KEY, SIZE + 1, 0));
	ask("one byte more, created", shmget(KEY, SIZE + 1, IPC_CREAT | 0600));
	ask("one byte more, exclusive", shmget(KEY, SIZE + 1, IPC_CREAT | IPC_EXCL | 0600));
	drop(id);
	ask("size 0 of what is not there", shmget(KEY, 0, 0));
	ask("size 0, created", shmget(KEY, 0, IPC_CREAT | 0600));
}

/* No host of ours has huge pages set aside. */
static void ask_huge(void)
{
	enum { ORDER = 26 };

	tell("huge", "%s", try_size(4096, SHM_HUGETLB));
	tell("huge, of 2 MiB", "%s", try_size(4096, SHM_HUGETLB | 21 << ORDER));
	tell("huge, of 1 GiB", "%s", try_size(4096, SHM_HUGETLB | 30 << ORDER));
	tell("huge, of 32 bytes", "%s", try_size(4096, SHM_HUGETLB | 5 << ORDER));
	tell("huge, no bytes", "%s", try_size(0, SHM_HUGETLB));
	tell("huge, more than shmmax", "%s", try_size(SIZE_MAX, SHM_HUGETLB));
	if (geteuid() != 0)
		return;
	must(setresgid(NOBODY, 0, 0) == 0 && setresuid(NOBODY, NOBODY, NOBODY) == 0);
	tell("huge, by the group", "%s", try_size(4096, SHM_HUGETLB));
}

static void ask_keys(void)
{
	int one, other, again, private, more;

	ask("missing", shmget(KEY, 10, 0600));
	ask("missing, exclusive only", shmget(KEY, 10, IPC_EXCL | 0600));
	one = make(KEY, 10, 0600);
	again = shmget(KEY, 10, IPC_CREAT | 0600);
	other = shmget(OTHER_KEY, 10, IPC_CREAT | 0600);
	private = shmget(IPC_PRIVATE, 10, 0600);
	more = shmget(IPC_PRIVATE, 10, 0600);
	ask_whether("the same again", one == again);
	ask_whether("another key is another", other >= 0 && other != one);
	ask_whether("private ones differ", private >= 0 && more >= 0 && private != more);
	ask("there, exclusive", shmget(KEY, 10, IPC_CREAT | IPC_EXCL | 0600));
	ask("there, exclusive without creating", shmget(KEY, 10, IPC_EXCL));
	tell("key", "%d", stat_of(one).shm_perm.__key == KEY);
	tell("key of a private one", "%d", stat_of(private).shm_perm.__key);
	for (int key = -3; key < 3; key++) {
		int id = key == 0 ? -1 : shmget(key, 10, IPC_CREAT | IPC_EXCL | 0600);

		say("{shm: key %d} %s", key, key == 0 ? "-" : outcome(id));
		if (id >= 0)
			drop(id);
	}
	drop(one);
	ask("after the removal", shmget(KEY, 10, 0600));
	again = make(KEY, 10, 0600);
	ask_whether("another id", again != one);
	drop(again);
	drop(other);
	drop(private);
	drop(more);
}

static void ask_stat(void)
{
	struct shmid_ds status;
	int id;

	umask(077);
	id = make(KEY, SIZE, 0646);
	status = stat_of(id);
	tell("mode", "%o", status.shm_perm.mode);
	ask_whether("owner", status.shm_perm.uid == geteuid());
	ask_whether("group", status.shm_perm.gid == getegid());
	ask_whether("creator", status.shm_perm.cuid == geteuid());
	ask_whether("creator's group", status.shm_perm.cgid == getegid());
	ask_whether("creator's pid", status.shm_cpid == getpid());
	tell("last pid", "%d", status.shm_lpid);
	tell("attached", "%lu", (unsigned long)status.shm_nattch);
	tell("attach time", "%ld", (long)status.shm_atime);
	tell("detach time", "%ld", (long)status.shm_dtime);
	ask_whether("change time", ipc_is_recent(status.shm_ctime));
	drop(id);
	id = shmget(IPC_PRIVATE, 10, 07777 & ~(IPC_CREAT | IPC_EXCL | SHM_HUGETLB));
	if (id >= 0)
		tell("all bits of the mode", "%o", stat_of(id).shm_perm.mode);
	drop(id);
	id = make(KEY, 10, 0);
	ask("mode 0, none asked", shmget(KEY, 10, 0));
	ask("mode 0, reading", shmget(KEY, 10, 0400));
	ask("mode 0, reading and writing", shmget(KEY, 10, 0600));
	ask("mode 0, reading as others", shmget(KEY, 10, 04));
	ask("mode 0, too large as well", shmget(KEY, 11, 0600));
	ask("mode 0, its state", shmctl(id, IPC_STAT, &status));
	ask("mode 0, its state by index", shmctl(id % 32768, SHM_STAT, &status));
	ask("mode 0, its state by index for all", shmctl(id % 32768, SHM_STAT_ANY, &status));
	drop(id);
}

static void ask_set(void)
{
	int id = make(KEY, SIZE, 0600);
	struct shmid_ds before = stat_of(id), status = before;

	ipc_next_second();
	status.shm_perm.mode = 07654;
	status.shm_segsz = 1;
	status.shm_perm.__key = OTHER_KEY;
	status.shm_nattch = 7;
	status.shm_cpid = 1;
	ask("set", shmctl(id, IPC_SET, &status));
	status = stat_of(id);
	tell("mode then", "%o", status.shm_perm.mode);
	tell("size then", "%lu", (unsigned long)status.shm_segsz);
	ask_whether("key then", status.shm_perm.__key == KEY);
	tell("attached then", "%lu", (unsigned long)status.shm_nattch);
	ask_whether("creator's pid then", status.shm_cpid == getpid());
	ask_whether("change time moves", status.shm_ctime > before.shm_ctime);
	status.shm_perm.uid = 12345;
	status.shm_perm.gid = 12346;
	ask("given away", shmctl(id, IPC_SET, &status));
	ask("its state then", shmctl(id, IPC_STAT, &status));
	tell("owner then", "%u", status.shm_perm.uid);
	tell("group then", "%u", status.shm_perm.gid);
	ask_whether("creator then", status.shm_perm.cuid == geteuid());
	status.shm_perm.uid = (uid_t)-1;
	ask("to nobody at all", shmctl(id, IPC_SET, &status));
	status.shm_perm.uid = geteuid();
	ask("taken back by the creator", shmctl(id, IPC_SET, &status));
	drop(id);
}

static void ask_bad(void)
{
	static const int ids[] = {-1, INT_MIN, INT_MAX, 12345, 40000};
	static const int commands[] = {-1, 99, IPC_RMID, IPC_SET, IPC_STAT, SHM_LOCK, SHM_STAT};
	struct shmid_ds status = {.shm_segsz = 0};
	int id = make(KEY, 10, 0600);

	for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++)
		for (size_t j = 0; j < sizeof commands / sizeof commands[0]; j++) {
			long result = shmctl(ids[i], commands[j], &status);

			say("{shm: id %d, command %d} %s", ids[i], commands[j], outcome(result));
		}
	ask("there, command -1", shmctl(id, -1, &status));
	ask("there, command 99", shmctl(id, 99, &status));
	ask("there, command 16", shmctl(id, 16, &status));
	drop(id);
	ask("removed, its state", shmctl(id, IPC_STAT, &status));
	ask("removed, removed again", shmctl(id, IPC_RMID, NULL));
	ask("removed, set", shmctl(id, IPC_SET, &status));
	ask("removed, locked", shmctl(id, SHM_LOCK, NULL));
	ask("removed, unknown command", shmctl(id, 99, NULL));
}

static void ask_lock(void)
{
	static const struct rlimit none = {0, 0};
	int id = make(KEY, 4096, 0600);

	ask("lock", shmctl(id, SHM_LOCK, NULL));
	tell("mode when locked", "%o", stat_of(id).shm_perm.mode);
	ask("lock again", shmctl(id, SHM_LOCK, NULL));
	ask("unlock", shmctl(id, SHM_UNLOCK, NULL));
	tell("mode when unlocked", "%o", stat_of(id).shm_perm.mode);
	ask("unlock again", shmctl(id, SHM_UNLOCK, NULL));
	must(setrlimit(RLIMIT_MEMLOCK, &none) == 0);
	ask("lock with no limit left", shmctl(id, SHM_LOCK, NULL));
	drop(id);
}

static int info_count(void)
{
	struct shm_info info = {.used_ids = -1};

	must(shmctl(0, SHM_INFO, (struct shmid_ds *)(void *)&info) >= 0);
	return info.used_ids;
}

static int highest_index(void)
{
	struct shm_info info;
	struct shminfo limits;
	int highest = shmctl(0, SHM_INFO, (struct shmid_ds *)(void *)&info);

	must(shmctl(0, IPC_INFO, (struct shmid_ds *)(void *)&limits) == highest);
	return highest;
}

static void ask_limits(void)
{
	struct shminfo limits;

	ask_value("limits", shmctl(0, IPC_INFO, (struct shmid_ds *)(void *)&limits));
	tell("shmmax", "%lu", (unsigned long)limits.shmmax);
	tell("shmmin", "%lu", (unsigned long)limits.shmmin);
	tell("shmmni", "%lu", (unsigned long)limits.shmmni);
	tell("shmseg", "%lu", (unsigned long)limits.shmseg);
	tell("shmall", "%lu", (unsigned long)limits.shmall);
	ask_value("limits, whatever the id", shmctl(77, IPC_INFO, (void *)&limits));
	ask("limits, id -1", shmctl(-1, IPC_INFO, (void *)&limits));
}

static void ask_info(void)
{
	struct shm_info info;
	struct shmid_ds status;
	int ids[3], found = 0, highest;

	ask_value("use of none", shmctl(0, SHM_INFO, (struct shmid_ds *)(void *)&info));
	tell("ids", "%d", info.used_ids);
	tell("pages", "%lu", (unsigned long)info.shm_tot);
	for (int i = 0; i < 3; i++)
		ids[i] = make(KEY + i, 4096 * (size_t)(i + 1) - 1, 0600);
	must(shmctl(0, SHM_INFO, (struct shmid_ds *)(void *)&info) >= 2);
	tell("ids of three", "%d", info.used_ids);
	tell("pages of three", "%lu", (unsigned long)info.shm_tot);
	highest = highest_index();
	for (int i = 0; i <= highest; i++) {
		int id = shmctl(i, SHM_STAT, &status);
		int which = status.shm_perm.__key - KEY;

		found += id >= 0 && id == ids[which] &&
		         status.shm_segsz == 4096 * (size_t)(which + 1) - 1 &&
		         shmctl(i, SHM_STAT_ANY, &status) == id &&
		         status.shm_perm.__key == KEY + which;
	}
	tell("found by index", "%d", found);
	ask_whether("the highest index is the last one's", ids[2] % 32768 == highest);
	ask("an index too high", shmctl(highest + 1, SHM_STAT, &status));
	ask("an index too high, for all", shmctl(highest + 1, SHM_STAT_ANY, &status));
	ask("an index below", shmctl(-1, SHM_STAT, &status));
	drop(ids[1]);
	ask("an index between", shmctl(ids[1] % 32768, SHM_STAT, &status));
	tell("ids with one gone", "%d", info_count());
	drop(ids[2]);
	ask_whether("the highest index then is the first one's",
	            highest_index() == ids[0] % 32768);
	drop(ids[0]);
	tell("ids in the end", "%d", info_count());
}

/* Its place is another one's by now. */
static void ask_stale(void)
{
	int old = make(KEY, 10, 0600), id = -1;
	struct shmid_ds status = stat_of(old);

	drop(old);
	for (int i = 0; i < 200 && (id < 0 || id % 32768 != old % 32768); i++) {
		if (id >= 0)
			drop(id);
		id = make(KEY, 10, 0600);
	}
	ask_whether("stale, place used again", id % 32768 == old % 32768 && id != old);
	ask("stale, its state", shmctl(old, IPC_STAT, &status));
	ask("stale, removed again", shmctl(old, IPC_RMID, NULL));
	ask("stale, set", shmctl(old, IPC_SET, &status));
	ask("stale, locked", shmctl(old, SHM_LOCK, NULL));
	ask("stale, attached", shmat(old, NULL, 0) == (void *)-1 ? -1 : 0);
	ask("stale, the new one", shmctl(id, IPC_STAT, &status));
	drop(id);
}

static void ask_pointers(void)
{
	void *const nowhere[] = {NULL, (void *)-1, (void *)1};
	int id;

	if (IPC_LIBC_READS)
		return;
	id = make(KEY, 10, 0600);
	for (size_t i = 0; i < sizeof nowhere / sizeof nowhere[0]; i++) {
		int of_stat = shmctl(id, IPC_STAT, nowhere[i]) < 0 ? errno : 0;
		int of_set = shmctl(id, IPC_SET, nowhere[i]) < 0 ? errno : 0;
		int of_info = shmctl(id, IPC_INFO, nowhere[i]) < 0 ? errno : 0;
		int of_use = shmctl(id, SHM_INFO, nowhere[i]) < 0 ? errno : 0;
		int by_index = shmctl(id % 32768, SHM_STAT, nowhere[i]) < 0 ? errno : 0;

		say("{shm: pointer %zu} %s %s %s %s %s", i, strerrorname_np(of_stat),
		    strerrorname_np(of_set), strerrorname_np(of_info), strerrorname_np(of_use),
		    strerrorname_np(by_index));
	}
	drop(id);
}

/* As many as one may expect to have. */
static void ask_many(void)
{
	enum { MANY = 300 };
	int ids[MANY], wrong = 0;

	for (int i = 0; i < MANY; i++) {
		ids[i] = shmget(KEY + i, 100 + (size_t)i, IPC_CREAT | IPC_EXCL | 0600);
		wrong += ids[i] < 0;
	}
	tell("many, not made", "%d", wrong);
	for (int i = 0; i < MANY; i++)
		wrong += shmget(KEY + i, 0, 0) != ids[i] ||
		         stat_of(ids[i]).shm_segsz != 100 + (size_t)i;
	tell("many, not found", "%d", wrong);
	tell("many ids", "%d", info_count());
	for (int i = 0; i < MANY; i++)
		wrong += shmctl(ids[i], IPC_RMID, NULL) < 0;
	tell("many, not removed", "%d", wrong);
	tell("many ids then", "%d", info_count());
}

static const struct ipc_group groups[] = {
	{"sizes", ask_sizes}, {"huge", ask_huge}, {"keys", ask_keys}, {"stat", ask_stat},
	{"set", ask_set},     {"bad", ask_bad},   {"lock", ask_lock}, {"info", ask_info},
	{"many", ask_many},
	{"stale", ask_stale}, {"limits", ask_limits},
	{"pointers", ask_pointers}, {NULL, NULL},
};

static void body(void)
{
	ipc_run(groups);
}

int main(int argc, char **argv)
{
	return probe_run(argc, argv, body);
}
