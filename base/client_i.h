/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What client.c and client_ipc.c share. */
#ifndef SHMEMU_BASE_CLIENT_I_H
#define SHMEMU_BASE_CLIENT_I_H

#include <stdbool.h>
#include <sys/uio.h>

#include "base/wire.h"

static inline struct iovec client_part(const void *bytes, size_t size)
{
	return (struct iovec){(void *)(uintptr_t)bytes, size};
}

/* Sends the parts of a request, with `fd` if it is not -1. 0 or -errno. */
int client_send(int sock, const struct iovec *parts, size_t count, int fd);

/* Until an answer is there, or the end: -EAGAIN, as there was none before; or -errno as client_ask.
 * Through signals. */
int client_sleep(int sock);

/* A daemon that was killed while it answered, and goes on, may answer twice: what has another
 * serial is an answer to the request before, and was read already. */
bool client_is_stale(const struct wire_request *request, const struct wire_reply *reply);

#endif
