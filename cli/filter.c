/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/filter.h"

#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "cli/say.h"

enum { CALLS_MAX = 16, ARGUMENT_FLAGS = 3 };

/* By arguments: the call is withheld if the flags, of which these bits count, have one of these
 * values. */
struct condition {
	unsigned argument;
	uint64_t mask;
	uint64_t values[8]; /* 0: no more */
};

#define MMAP_MASK (MAP_TYPE | MAP_ANONYMOUS)

static const struct condition shared_file = {
	ARGUMENT_FLAGS, MMAP_MASK, {MAP_SHARED, MAP_SHARED_VALIDATE},
};
static const struct condition shared_anonymous = {
	ARGUMENT_FLAGS, MMAP_MASK,
	{MAP_SHARED | MAP_ANONYMOUS, MAP_SHARED_VALIDATE | MAP_ANONYMOUS},
};

/* Each of them alone is enough. */
static const struct condition new_namespace = {
	0, 0,
	{CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID,
	 CLONE_NEWNET},
};

/* What 32 bit programs call is in here too: a name that a machine does not have it ignores. i386's
 * oldest mmap has its flags in memory, where no filter sees them, so that it goes by chance; libc
 * calls mmap2. */
static const struct rule {
	const char *what;
	const struct condition *condition; /* NULL: always */
	int error;                         /* in any case; 0: the chosen one */
	const char *calls[CALLS_MAX];
} rules[] = {
	{"mmap-shared", &shared_file, 0, {"mmap", "mmap2"}},
	{"mmap-shared-anonymous", &shared_anonymous, 0, {"mmap", "mmap2"}},
	{"msync", NULL, 0, {"msync"}},
	{"mremap", NULL, 0, {"mremap"}},
	{"madvise", NULL, 0, {"madvise"}},
	{"ftruncate", NULL, 0, {"ftruncate", "ftruncate64"}},
	{"fallocate", NULL, 0, {"fallocate"}},
	{"memfd_create", NULL, 0, {"memfd_create"}},
	{"mount", NULL, 0, {"mount", "umount", "umount2", "pivot_root"}},
	{"fsopen", NULL, 0,
	 {"fsopen", "fsconfig", "fsmount", "fspick", "open_tree", "move_mount", "mount_setattr"}},
	{"namespaces", NULL, 0, {"unshare", "setns"}},
	{"namespaces", &new_namespace, 0, {"clone"}},
	/* Its flags are in memory. libc takes this for an old kernel, and calls clone. */
	{"namespaces", NULL, ENOSYS, {"clone3"}},
	{"userfaultfd", NULL, 0, {"userfaultfd"}},
	{"io_uring", NULL, 0, {"io_uring_setup", "io_uring_enter", "io_uring_register"}},
	{"keyrings", NULL, 0, {"add_key", "request_key", "keyctl"}},
	{"pkeys", NULL, 0, {"pkey_alloc", "pkey_free", "pkey_mprotect"}},
	{"copy_file_range", NULL, 0, {"copy_file_range"}},
	{"sysv", NULL, 0,
	 {"shmget", "shmat", "shmdt", "shmctl", "semget", "semop", "semctl", "semtimedop",
	  "semtimedop_time64", "msgget", "msgsnd", "msgrcv", "msgctl", "ipc"}},
	{"mqueue", NULL, 0,
	 {"mq_open", "mq_unlink", "mq_timedsend", "mq_timedsend_time64", "mq_timedreceive",
	  "mq_timedreceive_time64", "mq_notify", "mq_getsetattr"}},
	{"mq_send", NULL, 0,
	 {"mq_timedsend", "mq_timedsend_time64", "mq_timedreceive", "mq_timedreceive_time64",
	  "mq_notify", "mq_getsetattr"}},
};

/* A call is to be missing for programs of the machine's other word sizes too. */
static scmp_filter_ctx make_filter(bool is_privileged)
{
	static const struct {
		uint32_t native, other;
	} relatives[] = {
		{SCMP_ARCH_X86_64, SCMP_ARCH_X86},
		{SCMP_ARCH_X86_64, SCMP_ARCH_X32},
		{SCMP_ARCH_AARCH64, SCMP_ARCH_ARM},
	};
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);

	if (!filter)
		fail("cannot make a system call filter: %s", strerror(ENOMEM));
	for (size_t i = 0; i < sizeof relatives / sizeof relatives[0]; i++)
		if (relatives[i].native == seccomp_arch_native())
			seccomp_arch_add(filter, relatives[i].other);
	seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ALLOW);
	seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP, is_privileged ? 0 : 1);
	return filter;
}

static void check(int result, const char *call)
{
	if (result < 0)
		fail("cannot filter the system call %s: %s", call, strerror(-result));
}

static void add_call(scmp_filter_ctx filter, uint32_t action, const char *call,
                     const struct condition *condition)
{
	int number = seccomp_syscall_resolve_name(call);

	/* The library is older than the call. */
	if (number == __NR_SCMP_ERROR)
		return;
	if (!condition) {
		check(seccomp_rule_add(filter, action, number, 0), call);
		return;
	}
	for (size_t i = 0; condition->values[i]; i++) {
		uint64_t value = condition->values[i];
		uint64_t mask = condition->mask ? condition->mask : value;

		check(seccomp_rule_add(filter, action, number, 1,
		                       SCMP_CMP64(condition->argument, SCMP_CMP_MASKED_EQ, mask,
		                                  value)), call);
	}
}

void filter_add(void **filter, bool is_privileged, const char *what, int error)
{
	if (!*filter)
		*filter = make_filter(is_privileged);
	for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
		const struct rule *rule = &rules[i];
		int chosen = rule->error ? rule->error : error;
		uint32_t action = chosen == FILTER_TRAP ? SCMP_ACT_TRAP
		                                        : SCMP_ACT_ERRNO((uint32_t)chosen);

		if (strcmp(rule->what, what) != 0)
			continue;
		for (size_t j = 0; j < CALLS_MAX && rule->calls[j]; j++)
			add_call(*filter, action, rule->calls[j], rule->condition);
	}
}

void filter_load(void **filter)
{
	int result = *filter ? seccomp_load(*filter) : 0;

	if (result < 0)
		fail("this host takes no system call filter (seccomp): %s", strerror(-result));
	if (*filter)
		seccomp_release(*filter);
	*filter = NULL;
}
