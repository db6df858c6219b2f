/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Read once, by whichever call is the first: an allocator that is loaded besides may map before
 * this library's constructor runs. Whoever comes while somebody reads goes on as if nothing were
 * withheld, since it may be a signal handler on top of the reader. The counts are plain memory:
 * a child after fork goes on from a copy, and a program begins anew. */
#include "without/rules.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/auxv.h>

#include "base/own.h"

enum { RULES_MAX = 128, FILE_MAX = 1 << 16 };

enum state { UNREAD, BUSY, READ };

static struct rule {
	struct withheld withheld;
	_Atomic uint64_t count; /* of its calls */
} rules[RULES_MAX];

static size_t rule_count;
static _Atomic unsigned wanted; /* all that any rule is about */
static _Atomic int state = UNREAD;
static char file[FILE_MAX];

extern char **environ;

static void add_line(const char *text, const char *end)
{
	struct withheld withheld;
	int result;

	while ((result = withheld_parse(&text, end, &withheld)) != -ENOENT) {
		if (result < 0 || rule_count == RULES_MAX)
			continue;
		rules[rule_count++].withheld = withheld;
		atomic_fetch_or(&wanted, RULES_IS(withheld.what));
	}
}

static void read_file(void)
{
	static const char mark[] = WITHHELD_MARK;
	OWN_FD fd = sys_openat(AT_FDCWD, WITHHELD_FILE, O_RDONLY | O_CLOEXEC, 0);
	const char *line = file, *end = file, *next;
	ssize_t got;

	if (fd < 0)
		return;
	while ((got = sys_read(fd, file + (end - file), (size_t)(file + FILE_MAX - end))) > 0)
		end += got;
	for (; line < end; line = next) {
		next = memchr(line, '\n', (size_t)(end - line));
		next = next ? next + 1 : end;
		if ((size_t)(next - line) > strlen(mark) && memcmp(line, mark, strlen(mark)) == 0)
			add_line(line + strlen(mark), next);
	}
}

static void read_environment(void)
{
	static const char name[] = WITHHELD_VARIABLE "=";

	/* A setuid program's environment is its caller's. */
	if (getauxval(AT_SECURE))
		return;
	for (char **entry = environ; entry && *entry; entry++)
		if (strncmp(*entry, name, strlen(name)) == 0)
			add_line(*entry + strlen(name), *entry + strlen(*entry));
}

void rules_read(void)
{
	int expected = UNREAD;

	/* The environment is libc's to find, and the first calls may come before that. */
	if (!environ || !atomic_compare_exchange_strong(&state, &expected, BUSY))
		return;
	read_file();
	read_environment();
	atomic_store(&state, READ);
}

/* SplitMix64: the n-th number of a seed's sequence without those before it, so that threads need
 * no lock and the same seed gives the same. */
static uint64_t mixed(uint64_t seed, uint64_t count)
{
	uint64_t z = seed + count * UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static bool is_the_moment(struct rule *rule)
{
	const struct withheld *withheld = &rule->withheld;
	uint64_t count;

	if (withheld->moment == WITHHELD_ALWAYS)
		return true;
	count = atomic_fetch_add(&rule->count, 1) + 1;
	switch (withheld->moment) {
	case WITHHELD_AFTER: return count > withheld->number;
	case WITHHELD_NTH: return count == withheld->number;
	default: return mixed(withheld->seed, count) >> 32 < withheld->number;
	}
}

static bool is_wanted(unsigned is)
{
	if (atomic_load_explicit(&state, memory_order_acquire) == UNREAD)
		rules_read();
	return atomic_load_explicit(&state, memory_order_acquire) == READ && wanted & is;
}

int rules_judge(unsigned is)
{
	int error = 0;

	if (!is_wanted(is))
		return 0;
	/* Each counts all calls that it is about. */
	for (size_t i = 0; i < rule_count; i++)
		if (RULES_IS(rules[i].withheld.what) & is && is_the_moment(&rules[i]) && !error)
			error = rules[i].withheld.error;
	return error;
}

int rules_judge_kin(unsigned is)
{
	if (!is_wanted(is))
		return 0;
	for (size_t i = 0; i < rule_count; i++)
		if (RULES_IS(rules[i].withheld.what) & is &&
		    rules[i].withheld.moment == WITHHELD_ALWAYS)
			return rules[i].withheld.error;
	return 0;
}
