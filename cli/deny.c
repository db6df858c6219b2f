/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Each kind of operation does its part in its turn; what the parts have in common is made at
 * first need. The order: who is not root enters a user namespace, and so has the right to
 * mount; mounts; the system call filter, while the right to load it without no_new_privs is
 * still there (it would change what setuid programs below are); and last, all rights beyond
 * the caller's go. A host that lacks a thing already is left as it is: there nothing is needed
 * that the host could refuse. */
#include "cli/deny.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"
#include "base/text.h"
#include "cli/dev.h"
#include "cli/privilege.h"
#include "cli/say.h"

struct host {
	const struct deny *deny;
	struct privilege caller;
	bool in_user_namespace;
	scmp_filter_ctx filter; /* NULL: none needed */
};

static struct text dev_path(const char *name)
{
	struct text path = TEXT_NULL;

	text_string(&path, "/dev/");
	text_string(&path, name);
	return path;
}

static bool mounts(const struct deny_op *op)
{
	return op->kind == DENY_WRITE || op->kind == DENY_SPACE;
}

/* What must be another in /dev itself: entries that go, and a mount point where there is none. */
static struct dev_plan plan_dev(const struct host *host)
{
	struct dev_plan plan = {.sealed = geteuid() != 0};

	for (size_t i = 0; i < host->deny->count; i++) {
		const struct deny_op *op = &host->deny->ops[i];

		if (op->kind == DENY_ENTRY && dev_has(op->what, O_NOFOLLOW))
			plan.hidden[plan.hidden_count++] = op->what;
		if (mounts(op) && !dev_has(op->what, O_DIRECTORY)) {
			/* What is there may be a link that leads nowhere. */
			plan.hidden[plan.hidden_count++] = op->what;
			plan.folder = op->what;
		}
	}
	return plan;
}

static bool needs_mounts(const struct host *host, const struct dev_plan *plan)
{
	for (size_t i = 0; i < host->deny->count; i++)
		if (mounts(&host->deny->ops[i]))
			return true;
	return plan->hidden_count > 0;
}

static void prepare_mounts(struct host *host)
{
	struct dev_plan plan = plan_dev(host);

	if (!needs_mounts(host, &plan))
		return;
	host->in_user_namespace = privilege_enter_mounts(&host->caller);
	if (plan.hidden_count > 0)
		dev_cover(&plan);
}

static void apply_entry(struct host *host, const struct deny_op *op)
{
	if (dev_has(op->what, O_NOFOLLOW))
		fail("/dev/%s is still there, although this command has a /dev of its own: does "
		     "another program mount things into it?", op->what);
}

/* Flags as container engines set them. */
static void mount_tmpfs(const struct deny_op *op, unsigned long flags, const char *options)
{
	struct text path = dev_path(op->what);

	flags |= MS_NOSUID | MS_NODEV | MS_NOEXEC;
	if (mount("shm", path.bytes, "tmpfs", flags, options) < 0)
		fail("cannot mount a new %s for this command: %s", path.bytes, strerror(errno));
}

static void apply_write(struct host *host, const struct deny_op *op)
{
	mount_tmpfs(op, MS_RDONLY, "mode=1777");
}

static void apply_space(struct host *host, const struct deny_op *op)
{
	struct text options = TEXT_NULL;

	text_string(&options, "mode=1777,size=");
	text_number(&options, (long long)op->size);
	mount_tmpfs(op, 0, options.bytes);
}

/* The call is to be missing for programs of the machine's other word sizes too. */
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

static void apply_call(struct host *host, const struct deny_op *op)
{
	bool is_privileged = host->in_user_namespace || privilege_has(&host->caller, CAP_SYS_ADMIN);
	int number = seccomp_syscall_resolve_name(op->what);
	int result;

	if (!host->filter)
		host->filter = make_filter(is_privileged);
	result = seccomp_rule_add(host->filter, SCMP_ACT_ERRNO(ENOSYS), number, 0);
	if (result < 0)
		fail("cannot filter the system call %s: %s", op->what, strerror(-result));
}

static void load_filter(struct host *host)
{
	int result = host->filter ? seccomp_load(host->filter) : 0;

	if (result < 0)
		fail("this host takes no system call filter (seccomp): %s", strerror(-result));
	if (host->filter)
		seccomp_release(host->filter);
	host->filter = NULL;
}

static bool wants_no_root(const struct deny *deny)
{
	return deny->count > 0 && deny->ops[deny->count - 1].kind == DENY_ROOT;
}

/* XDG_RUNTIME_DIR would name root's folder to somebody else. */
static void leave_root(const struct host *host)
{
	if (geteuid() != 0)
		return;
	privilege_become(host->deny->uid, host->deny->gid);
	unsetenv("XDG_RUNTIME_DIR");
}

static void apply_root(struct host *host, const struct deny_op *op)
{
	load_filter(host);
	if (host->in_user_namespace)
		privilege_restore(&host->caller);
	leave_root(host);
	privilege_drop();
}

static void (*const apply[DENY_KIND_COUNT])(struct host *host, const struct deny_op *op) = {
	[DENY_ENTRY] = apply_entry,
	[DENY_WRITE] = apply_write,
	[DENY_SPACE] = apply_space,
	[DENY_CALL] = apply_call,
	[DENY_ROOT] = apply_root,
};

void deny_add(struct deny *deny, const struct deny_op *op)
{
	size_t at = 0;

	while (at < deny->count && strcmp(deny->ops[at].what, op->what) != 0)
		at++;
	if (at < deny->count)
		memmove(&deny->ops[at], &deny->ops[at + 1], (--deny->count - at) * sizeof *op);
	if (deny->count == DENY_OPS_MAX)
		fail("too many things to go without: %d at most", DENY_OPS_MAX);
	at = deny->count++;
	for (; at > 0 && deny->ops[at - 1].kind > op->kind; at--)
		deny->ops[at] = deny->ops[at - 1];
	deny->ops[at] = *op;
}

void deny_apply(const struct deny *deny)
{
	struct host host = {.deny = deny, .caller = privilege_now()};

	/* In a user namespace of one user there is nobody else to become: root without the
	 * right to mount changes user first. */
	if (wants_no_root(deny) && !privilege_has(&host.caller, CAP_SYS_ADMIN)) {
		leave_root(&host);
		host.caller = privilege_now();
	}
	prepare_mounts(&host);
	for (size_t i = 0; i < deny->count; i++)
		apply[deny->ops[i].kind](&host, &deny->ops[i]);
	load_filter(&host);
	if (host.in_user_namespace && !wants_no_root(deny))
		privilege_restore(&host.caller);
}
