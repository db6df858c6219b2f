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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"
#include "base/text.h"
#include "cli/beneath.h"
#include "cli/dev.h"
#include "cli/filter.h"
#include "cli/find.h"
#include "cli/privilege.h"
#include "cli/say.h"

struct host {
	const struct deny *deny;
	struct privilege caller;
	bool in_user_namespace;
	void *filter; /* cli/filter.h */
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

static size_t shim_words(const struct deny *deny, struct withheld ret_words[static DENY_OPS_MAX])
{
	size_t count = 0;

	for (size_t i = 0; i < deny->count; i++)
		if (deny->ops[i].kind == DENY_SHIM)
			ret_words[count++] = deny->ops[i].withheld;
	return count;
}

static void prepare_mounts(struct host *host)
{
	struct dev_plan plan = plan_dev(host);
	struct withheld words[DENY_OPS_MAX];
	size_t count = shim_words(host->deny, words);
	bool mounts_dev = needs_mounts(host, &plan);
	char shim[PATH_MAX];

	if (count > 0)
		find_shim(shim);
	if (count > 0 && !mounts_dev && !privilege_may_mount(&host->caller)) {
		say("this host refuses private mounts: the calls are withheld by LD_PRELOAD and "
		    WITHHELD_VARIABLE ", so only from programs that keep their environment");
		beneath_export(shim, words, count);
		return;
	}
	if (count > 0 || mounts_dev)
		host->in_user_namespace = privilege_enter_mounts(&host->caller);
	if (plan.hidden_count > 0)
		dev_cover(&plan);
	if (count > 0)
		beneath_mount(shim, words, count);
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

/* All words of the shim are put in place at once, before. */
static void apply_shim(struct host *host, const struct deny_op *op)
{
}

static void apply_call(struct host *host, const struct deny_op *op)
{
	bool is_privileged = host->in_user_namespace || privilege_has(&host->caller, CAP_SYS_ADMIN);

	filter_add(&host->filter, is_privileged, op->what, op->error);
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
	filter_load(&host->filter);
	if (host->in_user_namespace)
		privilege_restore(&host->caller);
	leave_root(host);
	privilege_drop();
}

static void (*const apply[DENY_KIND_COUNT])(struct host *host, const struct deny_op *op) = {
	[DENY_ENTRY] = apply_entry,
	[DENY_WRITE] = apply_write,
	[DENY_SPACE] = apply_space,
	[DENY_SHIM] = apply_shim,
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
	filter_load(&host.filter);
	if (host.in_user_namespace && !wants_no_root(deny))
		privilege_restore(&host.caller);
}
