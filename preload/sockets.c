/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sockets that have a path. The kernel finds them by its own look at that: on the host, on a mount,
 * or, to connect, by a stand-in. */
#include <limits.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "preload/export.h"
#include "preload/points.h"
#include "preload/real.h"
#include "preload/way.h"

struct naming {
	int (*call)(int sock, __CONST_SOCKADDR_ARG address, socklen_t size);
	int sock;
	__CONST_SOCKADDR_ARG address; /* as the program has it */
	socklen_t size;
	bool is_far; /* the path by the mount is too long for an address */
};

static long name_natively(const struct errand *errand, int dirfd, const char *path, bool nofollow)
{
	struct naming *naming = errand->details;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const __CONST_SOCKADDR_ARG argument = {.__sockaddr_un__ = &address};
	size_t length = strlen(path);

	naming->is_far = length >= sizeof address.sun_path;
	if (naming->is_far)
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, length + 1);
	length += offsetof(struct sockaddr_un, sun_path) + 1;
	return way_result(naming->call(naming->sock, argument, (socklen_t)length));
}

/* A socket can be bound to no path in the store: as the kernel has it, then. */
static long bind_served(const struct errand *errand, struct way *way)
{
	const struct naming *naming = errand->details;

	return way_result(naming->call(naming->sock, naming->address, naming->size));
}

/* The path in an address, or "": it has none. */
static const char *path_of(const struct sockaddr *given, socklen_t size,
                           char ret_path[static sizeof(struct sockaddr_un) + 1])
{
	const struct sockaddr_un *address = (const struct sockaddr_un *)given;
	size_t head = offsetof(struct sockaddr_un, sun_path);

	ret_path[0] = '\0';
	if (!given || size <= head || size > sizeof *address || address->sun_family != AF_UNIX)
		return ret_path;
	memcpy(ret_path, address->sun_path, size - head);
	ret_path[size - head] = '\0';
	return ret_path;
}

static int emu_name(const char *path, struct naming *naming, const struct errand *errand)
{
	struct errand mine = *errand;
	int result;

	mine.details = naming;
	result = (int)way_go(AT_FDCWD, path, &mine);
	if (result == -ENAMETOOLONG && naming->is_far)
		result = (int)way_result(naming->call(naming->sock, naming->address, naming->size));
	return result;
}

static int connect_anywhere(int sockfd, __CONST_SOCKADDR_ARG addr, socklen_t addrlen)
{
	char path[sizeof(struct sockaddr_un) + 1];
	struct naming naming = {REAL(connect), sockfd, addr, addrlen, false};

	if (way_is_foreign(AT_FDCWD, path_of(addr.__sockaddr__, addrlen, path)))
		return REAL(connect)(sockfd, addr, addrlen);
	return export_named("connect", path,
	                    emu_name(path, &naming, &(struct errand){.natively = name_natively}));
}

EXPORT int connect(int sockfd, __CONST_SOCKADDR_ARG addr, socklen_t addrlen)
{
	int result;

	points_tell();
	result = connect_anywhere(sockfd, addr, addrlen);
	points_hear();
	return result;
}

EXPORT int bind(int sockfd, __CONST_SOCKADDR_ARG addr, socklen_t addrlen)
{
	char path[sizeof(struct sockaddr_un) + 1];
	struct naming naming = {REAL(bind), sockfd, addr, addrlen, false};

	if (way_is_foreign(AT_FDCWD, path_of(addr.__sockaddr__, addrlen, path)))
		return REAL(bind)(sockfd, addr, addrlen);
	return export_named("bind", path, emu_name(path, &naming, &(struct errand){
		.natively = name_natively, .served = bind_served,
	}));
}
