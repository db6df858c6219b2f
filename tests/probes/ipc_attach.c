/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* shmat and shmdt: where, how, and how often it counts. */
#define FAMILY "shmat"
#include "tests/probes/ipc.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { KEY = 0x5e6d0101, PAGE = 4096, PAGES = 4, SIZE = PAGES * PAGE };

#define NOWHERE ((void *)-1)

static int make(size_t size)
{
	int id = shmget(IPC_PRIVATE, size, 0700);

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

/* How often it is attached; or why that is not to be had. */
static const char *count_of(int id)
{
	struct shmid_ds status;

	return shmctl(id, IPC_STAT, &status) < 0 ? outcome(-1) : ipc_value((long)status.shm_nattch);
}

#define tell_count(what, id) tell(what, "%s", count_of(id))

static char *attach(int id, const void *address, int flags)
{
	char *memory = shmat(id, address, flags);

	must(memory != NOWHERE);
	return memory;
}

/* An address with nothing there for as many pages and as many again. */
static char *hole(void)
{
	char *memory = mmap(NULL, (size_t)SIZE * 4, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	must(memory != MAP_FAILED && munmap(memory, (size_t)SIZE * 4) == 0);
	return memory + SIZE;
}

static const char *try_at(int id, void *address, int flags)
{
	char *memory = shmat(id, address, flags);
	const char *result = outcome(memory == NOWHERE ? -1 : 0);

	if (memory != NOWHERE)
		must(shmdt(memory) == 0);
	return result;
}

static void store(void *argument)
{
	*(volatile char *)argument = 'x';
}

static void load(void *argument)
{
	_exit(*(volatile char *)argument);
}

static void execute(void *argument)
{
	((void (*)(void))(uintptr_t)argument)();
}

static void ask_contents(void)
{
	int id = make(SIZE - 100);
	char *one = attach(id, NULL, 0), *other = attach(id, NULL, 0);
	int sum = 0;

	for (int i = 0; i < SIZE; i++)
		sum += one[i];
	tell("sum of a new one", "%d", sum);
	ask_whether("two places", one != other);
	strcpy(one + PAGE, "written");
	tell("read elsewhere", "%s", other + PAGE);
	tell("a child stores", "%d", in_child(store, one));
	tell("then", "%c %c", one[0], other[0]);
	one[SIZE - 1] = 'e';
	tell("behind the end", "%c", other[SIZE - 1]);
	must(shmdt(one) == 0 && shmdt(other) == 0);
	one = attach(id, NULL, 0);
	tell("attached again", "%s %c", one + PAGE, one[0]);
	must(shmdt(one) == 0);
	tell("a child, when it is detached", "%d", in_child(load, one) >= PROBE_SIGNAL);
	drop(id);
}

static void ask_places(void)
{
	void *const far = (void *)((uintptr_t)1 << (sizeof(uintptr_t) == 8 ? 60 : 31));
	int id = make(SIZE);
	char *place = hole(), *memory, *taken;

	memory = shmat(id, place, 0);
	ask_whether("where it was asked for", memory == place);
	tell("the same place again", "%s", try_at(id, place, 0));
	tell("a page within", "%s", try_at(id, place + PAGE, 0));
	tell("a page before", "%s", try_at(id, place - PAGE, 0));
	tell("behind it", "%s", try_at(id, place + SIZE, 0));
	tell_count("attached", id);
	must(shmdt(memory) == 0);
	tell("no page's begin", "%s", try_at(id, place + 1, 0));
	tell("no page's begin, replacing", "%s", try_at(id, place + 1, SHM_REMAP));
	memory = shmat(id, place + PAGE + 1, SHM_RND);
	ask_whether("rounded down", memory == place + PAGE);
	must(shmdt(memory) == 0);
	memory = shmat(id, place + PAGE, SHM_RND);
	ask_whether("rounded, and a page's begin", memory == place + PAGE);
	must(shmdt(memory) == 0);
	memory = shmat(id, NULL, SHM_RND);
	ask_whether("rounded from nowhere", memory != NOWHERE && memory);
	must(shmdt(memory) == 0);
	tell("replacing nothing in particular", "%s", try_at(id, NULL, SHM_REMAP));
	tell("rounded to nothing, replacing", "%s", try_at(id, (void *)1, SHM_RND | SHM_REMAP));
	tell("beyond the end", "%s", try_at(id, (void *)(UINTPTR_MAX & -(uintptr_t)PAGE), 0));
	tell("beyond all memory", "%s", try_at(id, far, 0));
	taken = mmap(place, SIZE, PROT_READ | PROT_WRITE,
	             MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	must(taken == place);
	memset(taken, 'o', SIZE);
	tell("where memory is", "%s", try_at(id, place, 0));
	memory = shmat(id, place, SHM_REMAP);
	ask_whether("where memory is, replacing", memory == place && place[PAGE] == 0);
	tell_count("attached then", id);
	must(shmdt(memory) == 0);
	ask_whether("detached, nothing is there", in_child(load, place) >= PROBE_SIGNAL);
	drop(id);
}

static void ask_replacing(void)
{
	int one = make(SIZE), other = make(PAGE);
	char *memory = attach(one, NULL, 0);

	memory[0] = '1';
	must(shmat(other, memory + PAGE, SHM_REMAP) == memory + PAGE);
	tell_count("one, replaced within", one);
	tell_count("the other", other);
	ask("detach the other", shmdt(memory + PAGE));
	tell_count("the other then", other);
	ask("detach what is left", shmdt(memory));
	tell_count("one then", one);
	memory = attach(one, NULL, 0);
	must(shmat(one, memory, SHM_REMAP) == memory);
	tell_count("itself, replaced", one);
	must(shmat(other, memory, SHM_REMAP) == memory);
	tell_count("one, its begin replaced", one);
	ask("detach its begin", shmdt(memory));
	tell_count("one, its begin detached", one);
	tell_count("the other, detached", other);
	ask("detach again, the rest", shmdt(memory));
	tell_count("one, the rest detached", one);
	drop(one);
	drop(other);
}

static void ask_rights(void)
{
	static const unsigned char code[] = {0xc3}; /* return */
	int id = make(PAGE);
	char *writable = attach(id, NULL, 0), *memory;
	struct shmid_ds status;

	memory = attach(id, NULL, SHM_RDONLY);
	writable[0] = 'w';
	ask_whether("read-only, read", memory[0] == 'w');
	tell("read-only, a child stores", "%d", in_child(store, memory));
	tell_count("attached both ways", id);
	ask("made writable", mprotect(memory, PAGE, PROT_READ | PROT_WRITE));
	must(shmdt(memory) == 0);
#if defined(__x86_64__) || defined(__i386__)
	memcpy(writable, code, sizeof code);
#endif
	memory = attach(id, NULL, SHM_EXEC);
#if defined(__x86_64__) || defined(__i386__)
	tell("executed", "%d", in_child(execute, memory));
	tell("executed without asking", "%d", in_child(execute, writable));
#endif
	must(shmdt(memory) == 0);
	memory = attach(id, NULL, SHM_EXEC | SHM_RDONLY);
	tell("executable, read-only, a child stores", "%d", in_child(store, memory));
	must(shmdt(memory) == 0 && shmdt(writable) == 0);
	status = stat_of(id);
	for (int mode = 0; mode < 8; mode++) {
		status.shm_perm.mode = (unsigned short)(mode << 6);
		must(shmctl(id, IPC_SET, &status) == 0);
		say("{shmat: mode %d} %s %s %s %s", mode, try_at(id, NULL, 0),
		    try_at(id, NULL, SHM_RDONLY), try_at(id, NULL, SHM_EXEC),
		    try_at(id, NULL, SHM_EXEC | SHM_RDONLY));
	}
	drop(id);
}

static void ask_detach(void)
{
	int id = make(SIZE);
	char *memory = attach(id, NULL, 0);
	char *other = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ask("detach nothing", shmdt(NULL));
	ask("detach no page's begin", shmdt(memory + 1));
	ask("detach within", shmdt(memory + PAGE));
	ask("detach other memory", shmdt(other));
	ask("detach what is nowhere", shmdt(NOWHERE));
	tell_count("attached", id);
	ask("detach", shmdt(memory));
	tell_count("detached", id);
	ask("detach again", shmdt(memory));
	drop(id);
	ask("attach what is removed", shmat(id, NULL, 0) == NOWHERE ? -1 : 0);
	ask("attach id -1", shmat(-1, NULL, 0) == NOWHERE ? -1 : 0);
	ask("attach an id that never was", shmat(4711, NULL, 0) == NOWHERE ? -1 : 0);
}

static void ask_many(void)
{
	enum { MANY = 60 };
	int id = make(PAGE);
	char *all[MANY];

	for (int i = 0; i < MANY; i++)
		all[i] = attach(id, NULL, i % 2 ? SHM_RDONLY : 0);
	tell_count("many", id);
	all[0][5] = 'm';
	ask_whether("in the last", all[MANY - 1][5] == 'm');
	for (int i = 0; i < MANY; i++)
		must(shmdt(all[i]) == 0);
	tell_count("none", id);
	drop(id);
}

/* What is unmapped, moved and replaced without shmdt. */
static void ask_pieces(void)
{
	int id = make(SIZE);
	char *memory = attach(id, NULL, 0), *moved;

	ask("unmap all", munmap(memory, SIZE));
	tell_count("all unmapped", id);
	ask("detach then", shmdt(memory));
	memory = attach(id, NULL, 0);
	ask("unmap the last page", munmap(memory + SIZE - PAGE, PAGE));
	tell_count("last page unmapped", id);
	ask("unmap the second page", munmap(memory + PAGE, PAGE));
	tell_count("in two pieces", id);
	ask("detach both", shmdt(memory));
	tell_count("both detached", id);
	ask_whether("the second is gone", in_child(load, memory + 2 * PAGE) >= PROBE_SIGNAL);
	memory = attach(id, NULL, 0);
	memory[PAGE] = 'p';
	ask("unmap the first page", munmap(memory, PAGE));
	tell_count("first page unmapped", id);
	tell("the second", "%c", memory[PAGE]);
	ask("detach where it was", shmdt(memory));
	tell_count("detached there", id);
	memory = attach(id, NULL, 0);
	must(mmap(memory, SIZE, PROT_READ, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
	     memory);
	tell_count("mapped over", id);
	ask("detach what was mapped over", shmdt(memory));
	must(munmap(memory, SIZE) == 0);
	memory = attach(id, NULL, 0);
	moved = mremap(memory, SIZE, SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, hole());
	ask_whether("moved", moved != MAP_FAILED && moved != memory);
	tell_count("moved, still attached", id);
	tell("contents there", "%c", moved[PAGE]);
	ask("detach where it was before", shmdt(memory));
	ask("detach where it is", shmdt(moved));
	tell_count("moved, detached", id);
	drop(id);
}

static void ask_removal(void)
{
	int id = shmget(KEY, SIZE, IPC_CREAT | IPC_EXCL | 0600), again;
	char *memory = attach(id, NULL, 0), *more;

	strcpy(memory, "still there");
	drop(id);
	tell_count("removed, attached", id);
	tell("mode", "%o", stat_of(id).shm_perm.mode);
	tell("key", "%d", stat_of(id).shm_perm.__key);
	ask("its key", shmget(KEY, 0, 0));
	again = shmget(KEY, PAGE, IPC_CREAT | IPC_EXCL | 0600);
	ask_whether("made again", again >= 0 && again != id);
	more = attach(id, NULL, 0);
	tell("attached once more", "%s", more);
	tell_count("twice", id);
	ask("removed again", shmctl(id, IPC_RMID, NULL));
	must(shmdt(memory) == 0);
	tell_count("once", id);
	must(shmdt(more) == 0);
	tell_count("gone", id);
	ask("attach then", shmat(id, NULL, 0) == NOWHERE ? -1 : 0);
	drop(again);
}

static void ask_times(void)
{
	int id = make(PAGE);
	struct shmid_ds status;
	char *memory;

	memory = attach(id, NULL, 0);
	status = stat_of(id);
	ask_whether("attach time", ipc_is_recent(status.shm_atime));
	tell("detach time", "%ld", (long)status.shm_dtime);
	ask_whether("last pid", status.shm_lpid == getpid());
	ipc_next_second();
	must(shmdt(memory) == 0);
	ask_whether("detach time moves", stat_of(id).shm_dtime > status.shm_atime);
	ask_whether("attach time does not", stat_of(id).shm_atime == status.shm_atime);
	ask_whether("change time does not", stat_of(id).shm_ctime == status.shm_ctime);
	memory = attach(id, NULL, SHM_RDONLY);
	ask_whether("attach time moves", stat_of(id).shm_atime > status.shm_atime);
	must(shmdt(memory) == 0);
	drop(id);
}

static const char *remap(char *memory, size_t pages, size_t page)
{
	return outcome(remap_file_pages(memory, pages * PAGE, 0, page, 0));
}

static void ask_remapping(void)
{
	int id = make(SIZE);
	char *memory = attach(id, NULL, 0);
	const char *result;

	for (int i = 0; i < PAGES; i++)
		memory[i * PAGE] = (char)('a' + i);
	result = remap(memory, 2, 2);
	tell("remapped", "%s %c %c, %s", result, memory[0], memory[PAGE * 2], count_of(id));
	ask("remapped with a protection",
	    syscall(SYS_remap_file_pages, memory, (size_t)PAGE, PROT_READ, 0UL, 0));
	result = remap(hole(), 1, 0);
	tell("remapped, nothing", "%s", result);
	result = outcome(shmdt(memory));
	tell("remapped, detached", "%s, %s", result, count_of(id));
	result = outcome(shmdt(memory - 2 * PAGE));
	tell("remapped, detached by where it would begin", "%s, %s", result, count_of(id));
	memory = attach(id, NULL, 0);
	drop(id);
	result = remap(memory + PAGE, 1, 0);
	tell("removed, a page remapped", "%s, %s", result, count_of(id));
	result = remap(memory, 1, 1);
	tell("removed, another remapped", "%s, %s", result, count_of(id));
	must(munmap(memory, SIZE) == 0);
	tell("removed, unmapped", "%s", count_of(id));
	id = make(SIZE);
	memory = attach(id, NULL, 0);
	drop(id);
	result = remap(memory, PAGES, 7);
	tell("removed, all remapped", "%s, %s, %s", result, count_of(id),
	     outcome(msync(memory, PAGE, MS_ASYNC)));
	shmdt(memory);
}

static void *remove_it(void *argument)
{
	drop(*(int *)argument);
	return NULL;
}

/* Until it is removed, and then it ends. */
static void ask_racing(void)
{
	int wrong = 0;

	for (int i = 0; i < 30; i++) {
		int id = make(PAGE);
		char *memory = attach(id, NULL, 0);
		pthread_t thread;

		must(pthread_create(&thread, NULL, remove_it, &id) == 0);
		while (syscall(SYS_remap_file_pages, memory, (size_t)PAGE, 0, 7UL, 0) == 0)
			continue;
		wrong += errno != EINVAL && errno != EIDRM;
		must(pthread_join(thread, NULL) == 0);
		shmdt(memory);
	}
	tell("remapped while it is removed, wrong", "%d", wrong);
}

static const struct ipc_group groups[] = {
	{"contents", ask_contents}, {"places", ask_places}, {"replacing", ask_replacing},
	{"rights", ask_rights},     {"detach", ask_detach}, {"many", ask_many},
	{"pieces", ask_pieces},     {"removal", ask_removal}, {"times", ask_times},
	{"remapping", ask_remapping}, {"racing", ask_racing},
	{NULL, NULL},
};

static void body(void)
{
	ipc_run(groups);
}

int main(int argc, char **argv)
{
	return probe_run(argc, argv, body);
}
