/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* inotify on files and folders in /dev/shm. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/probes/tree.h"

#define F TOP "/file"
#define D TOP "/folder"

static const struct kind {
	unsigned mask;
	const char *name;
} kinds[] = {
	{IN_CREATE, "create"}, {IN_DELETE, "delete"}, {IN_MOVED_FROM, "from"}, {IN_MOVED_TO, "to"},
	{IN_MODIFY, "modify"}, {IN_ATTRIB, "attributes"}, {IN_DELETE_SELF, "end"},
	{IN_MOVE_SELF, "moved"}, {IN_OPEN, "open"}, {IN_CLOSE_WRITE, "written"}, {IN_IGNORED,
	"over"},
};

/* What a watch has seen, in one text. */
static const char *seen(int fd)
{
	static char text[400];
	char bytes[4096] __attribute__((aligned(8)));
	struct pollfd ready = {fd, POLLIN, 0};
	ssize_t size;

	text[0] = '\0';
	while (poll(&ready, 1, 20) == 1 && (size = read(fd, bytes, sizeof bytes)) > 0) {
		for (ssize_t at = 0; at < size;) {
			struct inotify_event event;
			size_t used = strlen(text);

			memcpy(&event, bytes + at, sizeof event);
			for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
				if (event.mask & kinds[i].mask)
					snprintf(text + used, sizeof text - used, " %s %s",
					         kinds[i].name,
					         event.len ? bytes + at + sizeof event : "");
			at += (ssize_t)(sizeof event + event.len);
		}
	}
	return text;
}

/* Of a file: it is the kernel's own, whoever gave it out. */
static void ask_file(void)
{
	int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	int file = open(F, O_RDWR);
	int watch = inotify_add_watch(fd, F, IN_MODIFY | IN_ATTRIB | IN_CLOSE_WRITE);

	ask(watch);
	ask(write(file, "more", 4));
	say("write:%s", seen(fd));
	ask(ftruncate(file, 2));
	say("ftruncate:%s", seen(fd));
	ask(fchmod(file, 0640));
	say("fchmod:%s", seen(fd));
	ask(chmod(F, 0600));
	say("chmod:%s", seen(fd));
	ask(truncate(F, 100));
	say("truncate:%s", seen(fd));
	close(file);
	say("close:%s", seen(fd));
	file = open(F, O_WRONLY | O_APPEND);
	ask(write(file, "x", 1));
	close(file);
	say("by another open file:%s", seen(fd));
	ask(inotify_rm_watch(fd, watch));
	say("removed:%s", seen(fd));
	close(fd);
}

static void ask_folder(void)
{
	int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

	ask(inotify_add_watch(fd, D, IN_CREATE | IN_DELETE | IN_MOVE | IN_ONLYDIR));
	ask_fd(open(D "/new", O_RDWR | O_CREAT, 0600));
	differs("watches: made in a folder", "%s", seen(fd));
	ask(rename(D "/new", D "/newer"));
	differs("watches: renamed in a folder", "%s", seen(fd));
	ask(mkdir(D "/sub", 0700));
	differs("watches: a folder made in a folder", "%s", seen(fd));
	ask(unlink(D "/newer"));
	differs("watches: removed from a folder", "%s", seen(fd));
	ask(rmdir(D "/sub"));
	differs("watches: a folder removed from a folder", "%s", seen(fd));
	ask(link(F, D "/linked"));
	differs("watches: linked into a folder", "%s", seen(fd));
	ask(unlink(D "/linked"));
	differs("watches: unlinked from a folder", "%s", seen(fd));
	close(fd);
}

static void ask_errors(void)
{
	int fd = inotify_init();
	int one, two;

	ask(inotify_add_watch(fd, TOP "/none", IN_ALL_EVENTS));
	ask(inotify_add_watch(fd, F "/x", IN_ALL_EVENTS));
	ask(inotify_add_watch(fd, TOP "/loop", IN_ALL_EVENTS));
	ask(inotify_add_watch(fd, F, IN_ALL_EVENTS | IN_ONLYDIR));
	ask(inotify_add_watch(fd, F, 0));
	ask(inotify_add_watch(-1, F, IN_ALL_EVENTS));
	ask(inotify_add_watch(fd, TOP "/loop", IN_ALL_EVENTS | IN_DONT_FOLLOW));
	ask(one = inotify_add_watch(fd, F, IN_MODIFY));
	ask(two = inotify_add_watch(fd, TOP "/link", IN_MODIFY));
	say("one watch for one file: %d", one == two);
	ask(inotify_add_watch(fd, SHM, IN_CREATE));
	ask(inotify_add_watch(fd, F, IN_MODIFY | IN_MASK_CREATE));
	must(chmod(F, 0) == 0);
	ask(inotify_add_watch(fd, F, IN_MODIFY));
	must(chmod(F, 0600) == 0);
	close(fd);
}

static void body(void)
{
	tree_make(F, 0600, "text");
	must(mkdir(D, 0700) == 0 && symlink("file", TOP "/link") == 0);
	must(symlink("loop", TOP "/loop") == 0);
	ask_file();
	ask_folder();
	ask_errors();
}

static void run(void)
{
	tree_run(body);
}

int main(int argc, char **argv)
{
	return probe_run(argc, argv, run);
}
