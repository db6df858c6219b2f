/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* FUSE: whether it can be mounted, and whether files of it can be passed through. A child mounts it
 * where nobody else sees it, and answers the kernel's first question as shmfs does. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/own.h"
#include "cli/attempts.h"
#include "cli/facts.h"
#include "cli/facts_i.h"
#include "cli/path.h"
#include "cli/privilege.h"
#include "cli/trial.h"

/* Debian 12's header is older than passthrough. Bit 37 goes on in flags2. */
enum { INIT_EXT = 1 << 30, INIT2_PASSTHROUGH = 1 << (37 - 32), REQUEST_SIZE = 1 << 16 };

/* How deep filesystems may lie on each other then: behind the flags. */
enum { STACK_DEPTH_AT = offsetof(struct fuse_init_out, flags2) + sizeof(uint32_t) };

struct init_answer {
	struct fuse_out_header header;
	struct fuse_init_out init;
};

struct backing_map {
	int32_t fd;
	uint32_t flags;
	uint64_t padding;
};

#define IOCTL_BACKING_OPEN _IOW(229, 1, struct backing_map)

static struct fact find_fuse(void)
{
	OWN_FD device = sys_openat(AT_FDCWD, "/dev/fuse", O_RDWR | O_CLOEXEC, 0);

	if (device == -EACCES)
		return fact_result(EACCES, "it is there, but user %u may not use it", geteuid());
	if (device < 0)
		return fact_result(-device, "%s", strerror(-device));
	return fact_make(true, "the device can be opened");
}

/* Over what every host has. */
static int mount_fuse(int device)
{
	char options[128];

	snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=%u,group_id=%u", device,
	         geteuid(), getegid());
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return errno;
	return mount("shmemu-doctor", "/dev", "fuse", MS_NOSUID | MS_NODEV, options) < 0 ? errno
	                                                                                 : 0;
}

/* Returns 0 or the errno with which a file can't be passed through. */
static int pass_through(int device)
{
	static char bytes[REQUEST_SIZE];
	struct fuse_in_header *request = (void *)bytes;
	struct fuse_init_in *init = (void *)(bytes + sizeof *request);
	struct backing_map map = {.fd = -1};
	struct init_answer answer = {
		.header = {.len = sizeof answer},
		.init = {.major = FUSE_KERNEL_VERSION, .flags = INIT_EXT, .max_write = 4096,
		         .flags2 = INIT2_PASSTHROUGH},
	};
	const uint32_t depth = 1;

	if (read(device, bytes, sizeof bytes) < (ssize_t)(sizeof *request + sizeof *init))
		return EOPNOTSUPP;
	if (!(init->flags & INIT_EXT) || !(init->flags2 & INIT2_PASSTHROUGH))
		return EOPNOTSUPP;
	answer.header.unique = request->unique;
	answer.init.minor = init->minor < 40 ? init->minor : 40;
	memcpy((char *)&answer.init + STACK_DEPTH_AT, &depth, sizeof depth);
	if (write(device, &answer, sizeof answer) < 0)
		return errno;
	if (trial_run(try_memfd_create) != 0)
		return ENOTRECOVERABLE;
	map.fd = memfd_create("shmemu-doctor", MFD_CLOEXEC);
	return ioctl(device, IOCTL_BACKING_OPEN, &map) < 0 ? errno : 0;
}

static void try_mount(struct answer *answer)
{
	int device = sys_openat(AT_FDCWD, "/dev/fuse", O_RDWR | O_CLOEXEC, 0);
	struct privilege caller = privilege_now();
	bool may = privilege_has(&caller, CAP_SYS_ADMIN);

	answer->error = device < 0 ? -device : may && unshare(CLONE_NEWNS) == 0 ? 0 : EPERM;
	if (answer->error == 0)
		answer->error = mount_fuse(device);
	if (device >= 0 && answer->error == EPERM) {
		answer->borrowed = true;
		fact_enter_user_namespace(answer);
		if (answer->error == 0)
			answer->error = mount_fuse(device);
	}
	answer->refusal = answer->error ? answer->error : pass_through(device);
}

/* Such a program mounts what an ordinary user owns. */
static bool has_fusermount(void)
{
	struct stat status;
	char path[PATH_MAX];

	return path_find("fusermount3", path) == 0 && stat(path, &status) == 0 &&
	       (status.st_mode & S_ISUID) && status.st_uid == 0;
}

static struct fact find_mount(void)
{
	struct answer answer = fact_try(try_mount);
	bool helped = access("/dev/fuse", R_OK | W_OK) == 0 && has_fusermount();

	if (answer.error && helped)
		return fact_result(answer.error, "%s; fusermount3 is there and may do it",
		                   trial_words(answer.error));
	if (answer.error)
		return fact_result(answer.error, "%s: paths below /dev/shm go by the socket, and "
		                   "programs without the library have none",
		                   trial_words(answer.error));
	if (answer.borrowed)
		return fact_make(true, "in a user namespace, so shmemu run --mount-dev-shm%s",
		                 helped ? "; elsewhere fusermount3 may do it" : "");
	return fact_make(true, "by this user, anywhere");
}

static struct fact find_passthrough(void)
{
	struct answer answer = fact_try(try_mount);
	struct utsname host;

	uname(&host);
	if (answer.error)
		return fact_result(answer.error, "%s: nothing can be mounted to try it",
		                   trial_words(answer.error));
	if (answer.refusal == EOPNOTSUPP)
		return fact_result(EOPNOTSUPP, "it takes Linux 6.9 with CONFIG_FUSE_PASSTHROUGH, "
		                   "this is %s", host.release);
	if (answer.refusal == EPERM)
		return fact_result(EPERM, "it takes CAP_SYS_ADMIN on the host, in no user "
		                   "namespace: a mount has direct I/O, and no shared mmap for "
		                   "programs without the library");
	if (answer.refusal)
		return fact_result(answer.refusal, "%s", trial_words(answer.refusal));
	return fact_make(true, "a mount's files are as fast as the host's own");
}

const struct fact_question mount_questions[] = {
	{"/dev/fuse", find_fuse},
	{"mounting shmfs", find_mount},
	{"passthrough", find_passthrough},
};

const size_t mount_question_count = sizeof mount_questions / sizeof mount_questions[0];
