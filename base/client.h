/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The asking end of the socket door: one request, one answer. */
#ifndef SHMEMU_BASE_CLIENT_H
#define SHMEMU_BASE_CLIENT_H

#include <sys/types.h>

#include "base/lane.h"
#include "base/wire.h"

enum { CLIENT_PATIENCE_SECONDS = 30 };

struct client_answer {
	struct wire_reply reply;
	struct wire_entry *entries; /* LIST: WIRE_LIST_MAX of the caller's; reply.result are set */
	struct wire_told told;      /* of operations on paths */
	char *text;                 /* likewise: the caller's, text_room bytes; a NUL is added */
	size_t text_room;           /* WIRE_TEXT_MAX + 1 is always enough */
	int fd;                     /* OPEN and its like: owned by the caller; else -1 */
	bool is_opened; /* by the asker: told.stat has its dev and ino */
};

/* What an operation on paths is about. The paths are borrowed and need no NUL; NULL: it is not
 * there. */
struct client_places {
	struct wire_places places; /* lengths included */
	const char *paths[2];
	const int *file; /* a descriptor that goes along, borrowed; NULL: none */
};

/* Asks over a connected socket, in an older version if that is what the daemon speaks, and waits
 * for the answer, through signals, for CLIENT_PATIENCE_SECONDS at most. Returns 0 when an answer
 * came (what it says is in reply.result, and an fd in it is the caller's; the request's serial is
 * set here), or -errno when none did: -ECONNRESET when the daemon is gone, -ETIMEDOUT,
 * -EPROTONOSUPPORT (the daemon speaks another version: ret_answer->reply.header tells which),
 * -EPROTO, or -EMFILE when the answer's descriptor found no free number (reply is filled in: what
 * was asked took effect). After any of these but -EMFILE the socket is out of step and must be
 * closed. */
int client_ask(int sock, struct wire_request *request, struct client_answer *ret_answer);

/* The same for an operation on paths. -EPROTONOSUPPORT also for a daemon that speaks an older
 * version, which has none. */
int client_ask_places(int sock, struct wire_request *request, const struct client_places *places,
                      struct client_answer *ret_answer);

/* client_ask_places in two steps: the first returns 0 when an answer is there to be read by the
 * second, which does not wait then. */
int client_ask_first(int sock, struct wire_request *request, const struct client_places *places);
int client_ask_second(int sock, const struct wire_request *request,
                      struct client_answer *ret_answer);

/* The same as client_ask by the lane of that connection, for what lane_takes; -EAGAIN: it is
 * to be asked by the socket, which is as it was; -ESTALE: that, and the lane is of no use any more.
 * Of a new file fd is -1 and reply.roads.number set if the asker opens it. */
int client_ask_lane(struct lane *lane, bool opens, int sock, struct wire_request *request,
                    struct client_answer *ret_answer);

/* Hands the daemon at the other end of `sock` a new connection and returns our end of it (owned
 * by the caller), or -errno. For a process that may no longer connect by the folder's path. */
int client_adopt(int sock);

#endif
