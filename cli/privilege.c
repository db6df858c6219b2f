/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/privilege.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/own.h"
#include "base/text.h"
#include "cli/say.h"

static struct __user_cap_header_struct capability_header(void)
{
	return (struct __user_cap_header_struct){.version = _LINUX_CAPABILITY_VERSION_3};
}

static void set_capabilities(const struct __user_cap_data_struct *sets)
{
	struct __user_cap_header_struct header = capability_header();

	if (syscall(SYS_capset, &header, sets) < 0)
		fail("cannot give up capabilities: %s", strerror(errno));
}

struct privilege privilege_now(void)
{
	struct __user_cap_header_struct header = capability_header();
	struct privilege privilege = {.bounding = 0};

	if (syscall(SYS_capget, &header, privilege.sets) < 0)
		fail("cannot tell this process's capabilities: %s", strerror(errno));
	for (int i = 0; i < 64; i++)
		if (prctl(PR_CAPBSET_READ, i, 0, 0, 0) == 1)
			privilege.bounding |= UINT64_C(1) << i;
	privilege.securebits = prctl(PR_GET_SECUREBITS, 0, 0, 0, 0);
	return privilege;
}

bool privilege_has(const struct privilege *privilege, int capability)
{
	return privilege->sets[CAP_TO_INDEX(capability)].effective & CAP_TO_MASK(capability);
}

static int write_proc(const char *path, const char *content)
{
	OWN_FD fd = sys_openat(AT_FDCWD, path, O_WRONLY | O_CLOEXEC, 0);
	ssize_t written = fd < 0 ? fd : sys_write(fd, content, strlen(content));

	return written < 0 ? (int)written : 0;
}

static int map_itself(const char *path, unsigned id)
{
	struct text line = TEXT_NULL;

	text_number(&line, id);
	text_string(&line, " ");
	text_number(&line, id);
	text_string(&line, " 1\n");
	return write_proc(path, line.bytes);
}

int privilege_keep_ids(uid_t uid, gid_t gid)
{
	int result;

	/* A process that has changed its user finds its own /proc files closed. */
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	result = write_proc("/proc/self/setgroups", "deny");
	/* Before Linux 3.19 there is no setgroups to deny. */
	if (result == 0 || result == -ENOENT)
		result = map_itself("/proc/self/uid_map", uid);
	return result < 0 ? result : map_itself("/proc/self/gid_map", gid);
}

static void enter_user_namespace(void)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	int result;

	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
		fail("this host lets user %u have no mount namespace of its own: %s; it takes root "
		     "with CAP_SYS_ADMIN, which containers take away, or user namespaces (sysctl "
		     "user.max_user_namespaces, kernel.unprivileged_userns_clone, "
		     "kernel.apparmor_restrict_unprivileged_userns)", uid, strerror(errno));
	result = privilege_keep_ids(uid, gid);
	if (result < 0)
		fail("cannot set up a user namespace: /proc/self/setgroups, uid_map or gid_map: "
		     "%s; run as root, or allow user namespaces", strerror(-result));
}

bool privilege_enter_mounts(const struct privilege *caller)
{
	/* A container's seccomp filter may refuse what the capability allows. */
	bool plain = privilege_has(caller, CAP_SYS_ADMIN) && unshare(CLONE_NEWNS) == 0;

	if (!plain)
		enter_user_namespace();
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		fail("cannot make this command's mounts private: %s; the host restricts user "
		     "namespaces, run as root", strerror(errno));
	return !plain;
}

bool privilege_may_mount(const struct privilege *caller)
{
	int status = -1;
	pid_t child = fork();

	if (child == 0) {
		/* Why not is not told twice. */
		OWN_FD null = sys_openat(AT_FDCWD, "/dev/null", O_WRONLY | O_CLOEXEC, 0);

		dup2(null, STDERR_FILENO);
		privilege_enter_mounts(caller);
		_exit(mount("shmemu", "/etc", "tmpfs", MS_NOSUID, "mode=0755") < 0);
	}
	while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	return child > 0 && status == 0;
}

void privilege_restore(const struct privilege *caller)
{
	for (int i = 0; i < 64; i++) {
		if (caller->bounding & UINT64_C(1) << i || prctl(PR_CAPBSET_READ, i, 0, 0, 0) != 1)
			continue;
		if (prctl(PR_CAPBSET_DROP, i, 0, 0, 0) < 0)
			fail("cannot give up capability %d for good: %s", i, strerror(errno));
	}
	if (prctl(PR_SET_SECUREBITS, caller->securebits, 0, 0, 0) < 0)
		fail("cannot restore the securebits: %s", strerror(errno));
	set_capabilities(caller->sets);
}

void privilege_keep_over_exec(void)
{
	struct privilege now = privilege_now();

	for (int i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
		now.sets[i].inheritable = now.sets[i].permitted;
	set_capabilities(now.sets);
	for (int i = 0; i < 64; i++)
		if (privilege_has(&now, i) &&
		    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, i, 0, 0) < 0)
			fail("cannot pass capability %d on to the daemon: %s", i, strerror(errno));
}

void privilege_become(uid_t uid, gid_t gid)
{
	if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
		fail("cannot become user %u, group %u: %s", uid, gid, strerror(errno));
}

void privilege_drop(void)
{
	static const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3];

	/* Linux before 4.3 knows no ambient set, and then there is none to clear. */
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	set_capabilities(none);
}
