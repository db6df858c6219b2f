/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Things in /dev/shm that are neither files nor folders nor links, and extended attributes of
 * all. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tests/probes/tree.h"

#define P TOP "/fifo"
#define S TOP "/socket"
#define F TOP "/file"
#define D TOP "/folder"
#define L TOP "/link"

static void ask_node(const char *what, mode_t mode, dev_t device)
{
	struct stat status = {0};
	int result = mknod(TOP "/node", mode, device);

	say("%s: %s", what, outcome(result));
	if (result < 0)
		return;
	must(lstat(TOP "/node", &status) == 0);
	say("mode %o, device %u:%u", status.st_mode, major(status.st_rdev), minor(status.st_rdev));
	ask_fd(open(TOP "/node", O_RDONLY | O_NONBLOCK));
	ask_fd(open(TOP "/node", O_WRONLY | O_NONBLOCK));
	tree_names(TOP);
	ask(access(TOP "/node", W_OK));
	ask(chmod(TOP "/node", 0600));
	ask(truncate(TOP "/node", 0));
	tree_show(TOP "/node");
	ask(rename(TOP "/node", TOP "/moved"));
	ask(link(TOP "/moved", TOP "/again"));
	tree_show(TOP "/again");
	ask(unlink(TOP "/moved"));
	tree_show(TOP "/again");
	ask(unlink(TOP "/again"));
}

static void ask_nodes(void)
{
	ask_node("file", S_IFREG | 0640, 0);
	ask_node("file without a kind", 0640, 0);
	ask_node("fifo", S_IFIFO | 0640, 0);
	ask_node("socket", S_IFSOCK | 0640, 0);
	ask_node("character device", S_IFCHR | 0640, makedev(1, 3));
	ask_node("whiteout", S_IFCHR | 0640, 0);
	ask_node("block device", S_IFBLK | 0640, makedev(7, 3));
	ask_node("great numbers", S_IFCHR | 0640, makedev(4000, 1000000));
	ask_node("folder", S_IFDIR | 0640, 0);
	ask_node("link", S_IFLNK | 0640, 0);
	ask_node("no kind", 0170000 | 0640, 0);
}

static void ask_other_end(void *ignored)
{
	char text[32] = "";
	int to = open(P, O_WRONLY);

	(void)ignored;
	say("the other end: %s", outcome(to));
	must(write(to, "by a fifo", 9) == 9);
	close(to);
	to = open(P, O_RDONLY);
	say("read %zd %s", read(to, text, sizeof text - 1), text);
	close(to);
}

static void ask_fifo(void)
{
	char text[32] = "";
	struct stat status;
	int fd;
	pid_t pid;

	ask(mkfifo(P, 0600));
	ask(mkfifo(P, 0600));
	ask_fd(open(P, O_RDONLY | O_NONBLOCK));
	ask_fd(open(P, O_WRONLY | O_NONBLOCK));
	ask_fd(open(P, O_RDWR));
	ask_fd(open(P, O_RDONLY | O_NONBLOCK | O_TRUNC));
	ask_fd(open(P, O_RDWR | O_CREAT | O_EXCL, 0600));
	ask_fd(open(P, O_RDONLY | O_DIRECTORY));
	pid = fork();
	if (pid == 0) {
		ask_other_end(NULL);
		_exit(EXIT_SUCCESS);
	}
	fd = open(P, O_RDONLY);
	must(fd >= 0 && fstat(fd, &status) == 0 && S_ISFIFO(status.st_mode));
	say("read %zd %s", read(fd, text, sizeof text - 1), text);
	say("the end: %zd", read(fd, text, sizeof text));
	close(fd);
	fd = open(P, O_WRONLY);
	must(write(fd, "and back", 8) == 8);
	close(fd);
	say("the child: %d", await_child(pid));
	ask(truncate(P, 0));
	ask(link(P, TOP "/fifo2"));
	fd = open(P, O_RDWR);
	must(write(fd, "two names", 9) == 9);
	pid = open(TOP "/fifo2", O_RDONLY | O_NONBLOCK);
	say("by its other name: %zd", read(pid, text, sizeof text));
	close(pid);
	ask(rename(P, TOP "/fifo3"));
	ask(unlink(TOP "/fifo2"));
	ask(unlink(TOP "/fifo3"));
	must(write(fd, "no name", 7) == 7);
	say("without a name: %zd", read(fd, text, sizeof text));
	close(fd);
	ask_fd(open(P, O_RDONLY | O_NONBLOCK));
}

static struct sockaddr_un address_of(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	strcpy(address.sun_path, path);
	return address;
}

static const char *bound(int sock, const char *path)
{
	struct sockaddr_un address = address_of(path);

	return outcome(bind(sock, (struct sockaddr *)&address, sizeof address));
}

static const char *connected(int sock, const char *path)
{
	struct sockaddr_un address = address_of(path);

	return outcome(connect(sock, (struct sockaddr *)&address, sizeof address));
}

static void ask_socket(void)
{
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int late = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct stat status = {0};
	int server = -1;
	char byte = 0;

	differs("kinds: bind", "%s", bound(listener, S));
	differs("kinds: bind again", "%s", bound(late, S));
	differs("kinds: bind in no folder", "%s", bound(late, TOP "/none/socket"));
	differs("kinds: connect, nobody listens", "%s", connected(client, S));
	listen(listener, 1);
	differs("kinds: connect", "%s", connected(client, S));
	differs("kinds: its mode", "%o", lstat(S, &status) == 0 ? status.st_mode : 0);
	differs("kinds: open of it", "%s", tree_closed(open(S, O_RDWR)));
	if (S_ISSOCK(status.st_mode))
		server = accept(listener, NULL, NULL);
	if (server >= 0 && write(client, "s", 1) == 1)
		byte = read(server, &byte, 1) == 1 ? byte : '-';
	differs("kinds: by a socket", "%d", byte);
	differs("kinds: socket renamed", "%s", outcome(rename(S, TOP "/socket2")));
	differs("kinds: connect to its new name", "%s", connected(late, TOP "/socket2"));
	unlink(TOP "/socket2");
	ask(access(S, F_OK));
	ask(access(TOP "/socket2", F_OK));
	close(listener);
	close(client);
	close(late);
	close(server);
}

static void tell_attribute(const char *path, const char *name)
{
	char value[32] = "";
	ssize_t size = lgetxattr(path, name, value, sizeof value - 1);

	if (size < 0)
		say("%s %s: %s", path, name, outcome(-1));
	else
		say("%s %s: %zd %s", path, name, size, value);
}

static void ask_attributes_of(const char *path, const char *name)
{
	say("of %s: %s", path, name);
	say("set %s", outcome(lsetxattr(path, name, "value", 5, 0)));
	tell_attribute(path, name);
	ask(lsetxattr(path, name, "x", 1, XATTR_CREATE));
	ask(lsetxattr(path, name, "another", 7, XATTR_REPLACE));
	tell_attribute(path, name);
	say("size %zd", lgetxattr(path, name, NULL, 0));
	ask(lgetxattr(path, name, (char[2]){0}, 2));
	say("empty %s", outcome(lsetxattr(path, name, "", 0, 0)));
	tell_attribute(path, name);
	ask(lremovexattr(path, name));
	ask(lremovexattr(path, name));
	ask(lsetxattr(path, name, "x", 1, XATTR_REPLACE));
	tell_attribute(path, name);
}

/* Of a link there are none for users. */
static void ask_link_attributes(void)
{
	differs("kinds: user attribute of a link", "%s",
	        outcome(lsetxattr(L, "user.a", "x", 1, 0)));
	differs("kinds: trusted attribute of a link", "%s",
	        outcome(lsetxattr(L, "trusted.a", "x", 1, 0)));
	ask(lgetxattr(L, "user.a", NULL, 0));
	lremovexattr(L, "trusted.a");
	ask(lgetxattr(TOP "/none", "user.a", NULL, 0));
	ask(lsetxattr(F "/x", "user.a", "x", 1, 0));
	ask(setxattr(TOP "/dangling", "user.a", "x", 1, 0));
	ask(setxattr(L, "user.follow", "x", 1, 0));
	ask(getxattr(F, "user.follow", NULL, 0));
	ask(removexattr(L, "user.follow"));
}

/* Whatever else the host's security modules show. */
static int own_names(const char *list, ssize_t size)
{
	int count = 0;

	for (ssize_t at = 0; at < size; at += (ssize_t)strlen(list + at) + 1)
		count += strncmp(list + at, "user.", 5) == 0 ||
		         strncmp(list + at, "trusted.", 8) == 0;
	return count;
}

static void ask_attribute_lists(void)
{
	static const char long_value[70000] = "v";
	char list[1024], name[64];
	int file = open(F, O_RDWR);
	int folder = open(D, O_RDONLY | O_DIRECTORY);

	for (int i = 0; i < 5; i++) {
		snprintf(name, sizeof name, "user.name-%d", i);
		must(setxattr(F, name, name, strlen(name), 0) == 0);
	}
	say("names %d", own_names(list, listxattr(F, list, sizeof list)));
	say("names %d", own_names(list, llistxattr(F, list, sizeof list)));
	say("names %d", own_names(list, flistxattr(file, list, sizeof list)));
	ask(listxattr(F, list, 3));
	ask(listxattr(TOP "/none", list, sizeof list));
	ask(fsetxattr(file, "user.name-5", "v", 1, 0));
	ask(fgetxattr(file, "user.name-5", list, sizeof list));
	ask(fremovexattr(file, "user.name-5"));
	ask(fsetxattr(folder, "user.of-folder", "v", 1, 0));
	ask(getxattr(D, "user.of-folder", list, sizeof list));
	ask(fremovexattr(folder, "user.of-folder"));
	ask(setxattr(F, "user.", "v", 1, 0));
	ask(setxattr(F, "none.x", "v", 1, 0));
	ask(setxattr(F, "user.x", "v", 1, 0x80));
	ask(setxattr(F, "user.x", long_value, sizeof long_value, 0));
	ask(setxattr(F, tree_long("user.", 'n', 250), "v", 1, 0));
	ask(setxattr(F, tree_long("user.", 'n', 251), "v", 1, 0));
	must(chmod(F, 0400) == 0);
	say("of a file that can't be written: %s", outcome(setxattr(F, "user.x", "v", 1, 0)));
	must(chmod(F, 0644) == 0);
	ask(rename(F, TOP "/with"));
	say("names %d", own_names(list, listxattr(TOP "/with", list, sizeof list)));
	ask(rename(TOP "/with", F));
	close(file);
	close(folder);
}

static void body(void)
{
	ask_nodes();
	ask_fifo();
	ask_socket();
	tree_make(F, 0644, "");
	must(mkdir(D, 0755) == 0 && symlink("file", L) == 0);
	must(symlink("none", TOP "/dangling") == 0 && mkfifo(P, 0644) == 0);
	ask_attributes_of(F, "user.a");
	ask_attributes_of(D, "user.a");
	ask_attributes_of(P, "user.a");
	ask_attributes_of(F, "trusted.a");
	ask_attributes_of(D, "trusted.a");
	ask_attributes_of(P, "trusted.a");
	ask_link_attributes();
	ask_attribute_lists();
}

static void run(void)
{
	tree_run(body);
}

int main(int argc, char **argv)
{
	return probe_run(argc, argv, run);
}
