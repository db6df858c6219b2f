/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* posix_spawn of a file in the store. The child closes and moves descriptors before it executes,
 * so a program is named by the parent's descriptor; a script without the library needs the
 * child's. */
#include <alloca.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/prctl.h>

#include "base/own.h"
#include "base/text.h"
#include "preload/actions.h"
#include "preload/exec.h"
#include "preload/export.h"
#include "preload/heap.h"
#include "preload/points.h"
#include "preload/real.h"
#include "preload/way.h"

enum { FDS_ABOVE = 512 };

static void name_by_parent(struct exec_plan *plan)
{
	struct text path = TEXT_NULL;
	bool can_be_seen = sys_call(SYS_prctl, PR_GET_DUMPABLE, 0, 0, 0, 0, 0) == 1;

	if (plan->fd < 0)
		return;
	if (plan->is_script || !can_be_seen) {
		int moved = sys_fcntl(plan->fd, F_DUPFD_CLOEXEC, FDS_ABOVE);

		if (moved >= 0) {
			sys_close(plan->fd);
			plan->fd = moved;
		}
		text_string(&path, "/proc/self/fd/");
	} else {
		text_string(&path, "/proc/");
		text_number(&path, sys_getpid());
		text_string(&path, "/fd/");
	}
	text_number(&path, plan->fd);
	memcpy(plan->path, path.bytes, path.length + 1);
}

/* All that posix_spawn is given. */
struct order {
	pid_t *pid;
	const char *path;
	const char *name; /* the path as it was given */
	const posix_spawn_file_actions_t *actions;
	const posix_spawnattr_t *attributes;
	char *const *argv;
	char *const *envp;
};

/* Would it be executed? The kernel can tell from Linux 6.14 on. */
static int check_execution(const struct order *order, const struct exec_plan *plan)
{
	enum { EXECVE_CHECK = 0x10000 };

	return (int)sys_call(SYS_execveat, AT_FDCWD, (long)plan->path, (long)plan->argv,
	                     (long)order->envp, EXECVE_CHECK, 0);
}

/* To be found out before: a child that fails has done its actions by then. */
static int copy_if_busy(const struct order *order, struct exec_plan *plan)
{
	int result = check_execution(order, plan);

	if (result == -EINVAL || result == -ENOSYS) {
		result = exec_check(plan);
		if (result == 0)
			result = -ETXTBSY;
	}
	/* Where it is not held the kernel knows best. */
	if (result == -ETXTBSY && (!plan->is_held || exec_copy(plan) == 0))
		result = 0;
	return result;
}

static int spawn_planned(const struct order *order, struct exec_plan *plan)
{
	int result = plan->fd < 0 ? 0 : copy_if_busy(order, plan);

	if (result < 0)
		return result;
	name_by_parent(plan);
	exec_keep(plan);
	return -REAL(posix_spawn)(order->pid, plan->path, order->actions,
	                                  order->attributes, plan->argv, order->envp);
}

/* Not on the stack: the real function needs its own. */
static int spawn_with_memory(const struct order *order, struct pages *pages)
{
	size_t words = exec_count(order->argv) + EXEC_SPARE + 1;
	struct exec_plan *plan;
	int result = pages_grow(pages, sizeof *plan + words * sizeof *order->argv);

	if (result < 0)
		return result;
	plan = pages->memory;
	result = exec_plan(order->path, order->name, order->argv, order->envp, (char **)(plan + 1),
	                   plan);
	if (result < 0)
		return result;
	result = spawn_planned(order, plan);
	exec_deinit(plan);
	return result;
}

static int spawn_ours(const char *call, const struct order *order)
{
	struct pages pages = {0};
	int before = errno;
	int result = spawn_with_memory(order, &pages);

	pages_deinit(&pages);
	errno = before;
	trace_name(call, order->name, result);
	return -result;
}

/* A relative path counts from the folder that the child goes to. */
static int spawn_there(const char *call, struct order *order, int folder)
{
	struct text head = TEXT_NULL;
	size_t length = strnlen(order->name, PATH_MAX);
	char *path;

	text_string(&head, "/dev/fd/");
	text_number(&head, folder);
	text_string(&head, "/");
	if (head.length + length >= PATH_MAX)
		return ENAMETOOLONG;
	path = alloca(head.length + length + 1);
	memcpy(path, head.bytes, head.length);
	memcpy(path + head.length, order->name, length + 1);
	order->path = path;
	return spawn_ours(call, order);
}

/* By a path: one without a slash, too. */
static int spawn(const char *call, struct order *order)
{
	bool is_relative = order->name && *order->name && *order->name != '/';
	int folder = is_relative ? actions_folder(order->actions) : -1;

	if (folder >= 0)
		return spawn_there(call, order, folder);
	if (!way_is_foreign(AT_FDCWD, order->path))
		return spawn_ours(call, order);
	return REAL(posix_spawn)(order->pid, order->path, order->actions,
	                                 order->attributes, order->argv, order->envp);
}

EXPORT int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
                       const posix_spawnattr_t *attributes, char *const argv[], char *const envp[])
{
	struct order order = {pid, path, path, actions, attributes, argv, envp};

	points_tell();
	return spawn("posix_spawn", &order);
}

EXPORT int posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions,
                        const posix_spawnattr_t *attributes, char *const argv[],
                        char *const envp[])
{
	struct order order = {pid, file, file, actions, attributes, argv, envp};
	struct exec_found found;
	char *path;

	points_tell();
	if (strchr(file, '/'))
		return spawn("posix_spawnp", &order);
	if (!exec_search(file, &found))
		return REAL(posix_spawnp)(pid, file, actions, attributes, argv, envp);
	path = alloca(found.path_size);
	exec_path(&found, file, path);
	order.path = order.name = path;
	return spawn_ours("posix_spawnp", &order);
}
