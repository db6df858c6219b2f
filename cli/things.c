/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/things.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "cli/filter.h"
#include "cli/say.h"

enum { DEPTH_MAX = 4, ERRNO_MAX = 4095, WORD_MAX = 256 };

const struct thing things[] = {
	{"dev-shm", "/dev/shm is missing", {DENY_ENTRY, "shm", 0, ENOENT}},
	{"dev-shm=ro", "/dev/shm is empty and read-only", {DENY_WRITE, "shm", 0, EROFS}},
	{"dev-shm=SIZE", "/dev/shm is empty and has room for SIZE, such as 64m (k, m or g)",
	 {DENY_SPACE, "shm", 0, ENOSPC}},
	{"fuse", "/dev/fuse is missing", {DENY_ENTRY, "fuse", 0, ENOENT}},
	{"root", "root becomes another user, see --user; others stay who they are",
	 {DENY_ROOT, "root", 0, 0}},
	{"mmap-shared", "mmap of files with MAP_SHARED", {DENY_CALL, "mmap-shared", 0, ENODEV}},
	{"mmap-file", "mmap of files", {DENY_SHIM, "mmap-file", 0, ENODEV}},
	{"mmap-shared-anonymous", "mmap with MAP_SHARED and MAP_ANONYMOUS",
	 {DENY_CALL, "mmap-shared-anonymous", 0, ENODEV}},
	{"mmap", "any mmap", {DENY_SHIM, "mmap", 0, ENOMEM}},
	{"msync", "msync", {DENY_CALL, "msync", 0, ENOSYS}},
	{"mremap", "mremap", {DENY_CALL, "mremap", 0, ENOSYS}},
	{"madvise", "madvise", {DENY_CALL, "madvise", 0, ENOSYS}},
	{"mprotect", "mprotect", {DENY_SHIM, "mprotect", 0, ENOSYS}},
	{"munmap", "munmap", {DENY_SHIM, "munmap", 0, ENOSYS}},
	{"ftruncate", "ftruncate", {DENY_CALL, "ftruncate", 0, ENOSYS}},
	{"fallocate", "fallocate and posix_fallocate", {DENY_CALL, "fallocate", 0, ENOSYS}},
	{"memfd_create", "memfd_create", {DENY_CALL, "memfd_create", 0, ENOSYS}},
	{"sysv", "System V shared memory, semaphores and message queues",
	 {DENY_CALL, "sysv", 0, ENOSYS}},
	{"mqueue", "message queues: mq_open and all that is done with them",
	 {DENY_CALL, "mqueue", 0, ENOSYS}},
	{"mq_send", "mq_send, mq_receive, mq_notify and mq_getattr, but not mq_open",
	 {DENY_CALL, "mq_send", 0, ENOSYS}},
	{"sem_open", "named semaphores: sem_open, sem_close and sem_unlink",
	 {DENY_SHIM, "sem_open", 0, ENOSYS}},
	{"mount", "mount, umount and pivot_root", {DENY_CALL, "mount", 0, EPERM}},
	{"fsopen", "fsopen, fsmount, open_tree and the other newer calls about mounts",
	 {DENY_CALL, "fsopen", 0, ENOSYS}},
	{"namespaces", "unshare, setns, and clone into a new namespace",
	 {DENY_CALL, "namespaces", 0, EPERM}},
	{"userfaultfd", "userfaultfd", {DENY_CALL, "userfaultfd", 0, ENOSYS}},
	{"io_uring", "io_uring", {DENY_CALL, "io_uring", 0, ENOSYS}},
	{"keyrings", "add_key, request_key and keyctl", {DENY_CALL, "keyrings", 0, ENOSYS}},
	{"pkeys", "pkey_alloc, pkey_free and pkey_mprotect", {DENY_CALL, "pkeys", 0, ENOSYS}},
	{"copy_file_range", "copy_file_range", {DENY_CALL, "copy_file_range", 0, ENOSYS}},
};
const size_t thing_count = sizeof things / sizeof things[0];

const struct profile profiles[] = {
	{"lambda", "AWS Lambda, Fargate, locked sandboxes",
	 "what programs report there: ansible/ansible issue 18469, DataDog/dd-trace-py issue "
	 "7251",
	 {"root", "dev-shm", "fuse"}},
	{"docker-64m", "a container with Docker's 64 MB",
	 "Docker's manual, docker run --shm-size",
	 {"dev-shm=64m", "fuse"}},
	{"docker-default", "a container under Docker's default seccomp profile",
	 "moby/profiles, seccomp/default.json: what is not on its list is EPERM, clone3 is "
	 "ENOSYS",
	 {"dev-shm=64m", "fuse", "mount", "fsopen=EPERM", "namespaces", "userfaultfd=EPERM",
	  "io_uring=EPERM", "keyrings=EPERM"}},
	{"gvisor", "gVisor's runsc, whose memory mapping is whole: little is missing",
	 "google/gvisor, pkg/sentry/syscalls/linux/linux64.go; io_uring is behind a flag, and "
	 "files of FUSE can't be mapped (issue 3234)",
	 {"fuse", "mq_send", "userfaultfd", "io_uring", "keyrings=EACCES", "pkeys",
	  "copy_file_range"}},
	{"termux", "an Android app's process: what its seccomp filter does not list is a SIGSYS",
	 "bionic, libc/SYSCALLS.TXT, SECCOMP_ALLOWLIST_APP.TXT, SECCOMP_BLOCKLIST_APP.TXT and "
	 "docs/status.md, and libc/bionic/semaphore.cpp, where sem_open is ENOSYS; "
	 "termux/termux-packages issues 570, 8938 and 20514",
	 {"root", "dev-shm", "fuse", "sem_open", "sysv=SIGSYS", "mqueue=SIGSYS", "mount=SIGSYS",
	  "fsopen=SIGSYS", "namespaces", "io_uring=SIGSYS", "keyrings=SIGSYS"}},
	{"nanvix", "Nanvix, a library OS: mmap is private and anonymous only",
	 "nanvix/nanvix, src/libs/syscall/src/sys/mman: munmap and mprotect are there, mremap and "
	 "madvise are not; its mmap says EINVAL",
	 {"root", "dev-shm", "fuse", "memfd_create", "mmap-file", "mmap-shared",
	  "mmap-shared-anonymous", "msync", "mremap", "madvise"}},
};
const size_t profile_count = sizeof profiles / sizeof profiles[0];

bool thing_takes_errno(const struct thing *thing)
{
	return thing->op.kind == DENY_SHIM || thing->op.kind == DENY_CALL;
}

bool thing_takes_moment(const struct thing *thing)
{
	return thing_takes_errno(thing) &&
	       withheld_find(thing->op.what, strlen(thing->op.what)) >= 0;
}

/* A number with k, m or g behind it. Returns 0 or -EINVAL. */
static int parse_size(const char *text, uint64_t *ret_size)
{
	static const char units[] = "kmg";
	unsigned long long number;
	const char *unit;
	char *end;

	errno = 0;
	number = strtoull(text, &end, 10);
	if (!isdigit((unsigned char)text[0]) || errno || number == 0 || !end[0] || end[1])
		return -EINVAL;
	unit = strchr(units, tolower((unsigned char)end[0]));
	if (!unit || number > (unsigned long long)LLONG_MAX >> (10 * (unit - units + 1)))
		return -EINVAL;
	*ret_size = number << (10 * (unit - units + 1));
	return 0;
}

/* Does the word say this, without more? If it takes a size, it is put into *size. */
static bool is_thing(const struct thing *thing, const char *word, uint64_t *size)
{
	const char *placeholder = strstr(thing->name, "=SIZE");
	size_t length;

	if (!placeholder)
		return strcmp(thing->name, word) == 0;
	length = (size_t)(placeholder - thing->name) + 1;
	return strncmp(thing->name, word, length) == 0 && parse_size(word + length, size) == 0;
}

/* By the name that man pages use. */
static int parse_errno(const char *text, const char *word)
{
	static const struct {
		const char *name;
		int error;
	} others[] = {
		{"ENOTSUP", ENOTSUP}, {"EWOULDBLOCK", EWOULDBLOCK}, {"EDEADLOCK", EDEADLOCK},
		{"SIGSYS", FILTER_TRAP},
	};

	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		if (strcmp(others[i].name, text) == 0)
			return others[i].error;
	for (int error = 1; error <= ERRNO_MAX; error++) {
		const char *name = strerrorname_np(error);

		if (name && strcmp(name, text) == 0)
			return error;
	}
	fail("without: '%s' in '%s' is the name of no errno, such as EPERM", text, word);
}

static uint64_t parse_count(const char *text, const char *word)
{
	char *end;
	unsigned long long number;

	errno = 0;
	number = strtoull(text, &end, 10);
	if (!isdigit((unsigned char)text[0]) || *end || errno || number > LLONG_MAX)
		fail("without: '%s' in '%s' is no number of calls", text, word);
	return number;
}

/* Of 2^32. */
static uint64_t parse_probability(const char *text, const char *word)
{
	char *end;
	double probability;

	errno = 0;
	probability = strtod(text, &end);
	if (end == text || *end || errno || !(probability >= 0 && probability <= 1))
		fail("without: '%s' in '%s' is no probability from 0 to 1", text, word);
	return (uint64_t)(probability * 4294967296.0);
}

/* Short enough to be typed again. */
static uint64_t any_seed(void)
{
	uint32_t seed = 0;

	if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) < 0)
		fail("cannot choose a seed: %s", strerror(errno));
	return seed;
}

static bool begins(const char *text, const char *name, const char **ret_value)
{
	size_t length = strlen(name);

	if (strncmp(text, name, length) != 0)
		return false;
	*ret_value = text + length;
	return true;
}

/* One of the parts after a comma. */
static void parse_moment(struct withheld *withheld, bool *has_seed, const char *part,
                         const char *word)
{
	enum withheld_moment before = withheld->moment;
	const char *value;

	if (begins(part, "seed=", &value)) {
		if (before != WITHHELD_CHANCE || *has_seed)
			fail("without: in '%s', a seed comes once, after a probability", word);
		withheld->seed = parse_count(value, word);
		*has_seed = true;
		return;
	}
	if (begins(part, "after=", &value)) {
		withheld->moment = WITHHELD_AFTER;
		withheld->number = parse_count(value, word);
	} else if (begins(part, "nth=", &value)) {
		withheld->moment = WITHHELD_NTH;
		withheld->number = parse_count(value, word);
		if (withheld->number == 0)
			fail("without: calls are counted from 1, not as in '%s'", word);
	} else if (begins(part, "probability=", &value)) {
		withheld->moment = WITHHELD_CHANCE;
		withheld->number = parse_probability(value, word);
	} else {
		fail("without: '%s' in '%s' is neither after=N, nth=N, probability=P nor seed=S",
		     part, word);
	}
	if (before != WITHHELD_ALWAYS)
		fail("without: '%s' has two moments; say one", word);
}

/* `rest` is what comes behind the name. */
static void add_call(struct deny *deny, const struct thing *thing, char *rest, const char *word)
{
	struct deny_op op = thing->op;
	bool has_seed = false;
	char *part;

	part = strchr(rest, ',');
	if (part)
		*part++ = '\0';
	if (rest[0] == '=')
		op.error = parse_errno(rest + 1, word);
	if (part && !thing_takes_moment(thing))
		fail("without: %s takes no moment, as in '%s'", thing->name, word);
	for (char *next; part; part = next) {
		next = strchr(part, ',');
		if (next)
			*next++ = '\0';
		parse_moment(&op.withheld, &has_seed, part, word);
	}
	if (op.withheld.moment != WITHHELD_ALWAYS)
		op.kind = DENY_SHIM;
	if (op.withheld.moment == WITHHELD_CHANCE && !has_seed)
		op.withheld.seed = any_seed();
	if (op.kind == DENY_SHIM) {
		if (op.error == FILTER_TRAP)
			fail("without: '%s' can't be a SIGSYS: the call is withheld from libc, not "
			     "by the kernel", word);
		op.withheld.what = (enum withheld_what)withheld_find(op.what, strlen(op.what));
		op.withheld.error = op.error;
	}
	deny_add(deny, &op);
}

static bool add_thing(struct deny *deny, const char *word)
{
	size_t length = strcspn(word, "=,");
	char rest[WORD_MAX];

	for (size_t i = 0; i < thing_count; i++) {
		struct deny_op op = things[i].op;

		if (!thing_takes_errno(&things[i]) && is_thing(&things[i], word, &op.size)) {
			deny_add(deny, &op);
			return true;
		}
		if (!thing_takes_errno(&things[i]) || strlen(things[i].name) != length ||
		    strncmp(things[i].name, word, length) != 0 ||
		    strlen(word + length) >= sizeof rest)
			continue;
		strcpy(rest, word + length);
		add_call(deny, &things[i], rest, word);
		return true;
	}
	return false;
}

static void add(struct deny *deny, const char *word, int depth)
{
	if (add_thing(deny, word))
		return;
	for (size_t i = 0; i < profile_count && depth < DEPTH_MAX; i++) {
		if (strcmp(profiles[i].name, word) != 0)
			continue;
		for (size_t j = 0; j < PARTS_MAX && profiles[i].parts[j]; j++)
			add(deny, profiles[i].parts[j], depth + 1);
		return;
	}
	fail("without: cannot take away '%s'; 'shmemu without --list' tells what can be", word);
}

void things_add(struct deny *deny, const char *word)
{
	add(deny, word, 0);
}
