/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuse/activation.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FIRST_FD = 3 }; /* SD_LISTEN_FDS_START */

static long number_in(const char *variable)
{
	const char *text = secure_getenv(variable);
	char *end;
	long number;

	if (!text || text[0] < '0' || text[0] > '9')
		return 0;
	errno = 0;
	number = strtol(text, &end, 10);
	return *end || errno ? 0 : number;
}

/* How many are ours: what is told to another process, which executed or forked us, is not. */
static long count_passed(void)
{
	static const char *const variables[] = {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"};
	long count = number_in("LISTEN_PID") == getpid() ? number_in("LISTEN_FDS") : 0;

	for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++)
		unsetenv(variables[i]);
	return count;
}

static int check_option(int sock, int option, int wanted)
{
	int value;
	socklen_t size = sizeof value;

	if (getsockopt(sock, SOL_SOCKET, option, &value, &size) < 0)
		return -errno;
	return value == wanted ? 0 : -EPROTOTYPE;
}

/* It is somebody's, and stays as it is when it is not what it should be. */
static int check(int sock)
{
	int result = check_option(sock, SO_DOMAIN, AF_UNIX);

	if (result == 0)
		result = check_option(sock, SO_TYPE, SOCK_SEQPACKET);
	return result == 0 ? check_option(sock, SO_ACCEPTCONN, 1) : result;
}

int activation_take(void)
{
	long count = count_passed();
	int on = 1;
	int flags;
	int result;

	if (count != 1)
		return count > 1 ? -E2BIG : -ENOENT;
	result = check(FIRST_FD);
	if (result < 0)
		return result;
	/* As seat_listen makes its own. */
	flags = fcntl(FIRST_FD, F_GETFL);
	if (flags < 0 || fcntl(FIRST_FD, F_SETFL, flags | O_NONBLOCK) < 0 ||
	    fcntl(FIRST_FD, F_SETFD, FD_CLOEXEC) < 0 ||
	    setsockopt(FIRST_FD, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) < 0)
		return -errno;
	return FIRST_FD;
}
