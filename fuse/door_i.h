/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the socket door's files share: door.c has connections and answers, door_names.c the
 * operations on names, door_paths.c those on paths, door_ipc.c those on IPC, and who waits. */
#ifndef SHMEMU_FUSE_DOOR_I_H
#define SHMEMU_FUSE_DOOR_I_H

#include "base/fdpass.h"
#include "base/lane.h"
#include "base/wire.h"
#include "base/wire_ipc.h"
#include "fuse/door.h"
#include "fuse/ipc.h"
#include "fuse/loop.h"
#include "fuse/share.h"
#include "fuse/store.h"

/* Two paths, and a longer request of another version, which is to be refused by its header, fit in
 * as well. */
enum { DOOR_REQUEST_ROOM = sizeof(struct wire_request) + sizeof(struct wire_ipc) + WIRE_BYTES_MAX };

struct door {
	struct loop_source listener; /* first: the handlers get a source */
	struct loop_source idle;
	struct loop_source retry; /* for accepting when the table was full */
	struct loop_source clocks[2]; /* door_ipc.c: for deadlines */
	struct loop_source lingers;   /* likewise: ipc_linger_fd, borrowed */
	int64_t wakes[2];             /* likewise: when; WIRE_NO_DEADLINE: never */
	struct loop *loop;
	struct store *store;
	struct keep *keep; /* borrowed; NULL: none */
	struct connection *connections;
	uint64_t connection_count;
	struct door_lane *lanes; /* the last served last */
	unsigned lane_count;
	uint64_t answered;  /* when the last by a lane was */
	bool is_unfinished; /* the turn that was answered last, by a lane */
	struct shares shares; /* connections of each uid */
	struct door_options options;
	bool accepting;
	struct wire_entry entries[WIRE_LIST_MAX]; /* of the answer under way */
	char text[WIRE_TEXT_MAX];                 /* likewise */
	char bytes[WIRE_BYTES_MAX];               /* likewise */
	union {
		struct wire_request request;
		char room[DOOR_REQUEST_ROOM];
	} message; /* that is being served */
};

struct door_lane;
struct pending;

struct connection {
	struct loop_source source; /* first; its fd is owned */
	struct door *door;
	struct connection *next;
	struct connection **link; /* what points here */
	uint64_t number; /* by which the keeper knows it */
	uid_t uid;       /* whose share it is in */
	bool restored;   /* an answer may be there that an earlier worker has sent */
	bool has_sent;   /* to one that came by the lane */
	struct pending *pending; /* owned: its request waits, in the socket; NULL: none does */
	struct door_lane *lane; /* owned; NULL: it has none */
	struct store_creator creator; /* of the last sender; pid 0: none yet */
};

/* What an operation gets, and what it leaves. */
struct call {
	struct connection *connection;
	const struct wire_request *request;
	struct fdpass_sender sender;
	int passed; /* the descriptor that came with it, or -1; owned by the dispatcher */
	struct wire_reply reply;
	union {
		struct wire_told told; /* of an operation on paths; its text is the door's */
		struct wire_ipc_told ipc_told; /* of one on IPC; its bytes are the door's */
	};
	int fd; /* the answer's, or -1; owned by the dispatcher */
	bool is_retry; /* it has waited */
	struct lane *lane; /* by which it came; NULL: by the socket */
	bool opens; /* likewise: see there */
	struct ipc_call ipc;
};

/* door.c */

enum { CALL_WAITS = 1 };

/* Serves it, and answers: 0, or CALL_WAITS, and then nothing has been done, or -errno: the
 * connection is to be freed. `checked`: a failure instead of serving it. */
int call_perform(struct call *call, int checked);
void connection_free(struct connection *connection);
/* The same for a request of so many bytes that is not checked yet. */
int call_answer(struct call *call, size_t size);

/* The head of what is in a connection's socket, which stays there. Returns whether there is a whole
 * request; *ret_is_ipc: with a wire_ipc, which it is then about. */
struct door_head {
	struct wire_request request;
	struct wire_ipc ipc;
};
bool connection_peek(const struct connection *connection, struct door_head *ret_head,
                     bool *ret_is_ipc);

/* Who sent this, for the record of what is made; good until the next call. */
const struct store_creator *call_creator(struct call *call);

/* What whoever opens a file is to know. */
void call_tell_limits(struct call *call);

int call_open(struct call *call);
int call_unlink(struct call *call);
int call_list(struct call *call);
int call_status(struct call *call);
int call_room(struct call *call);
int call_limit(struct call *call);
int call_trade(struct call *call);

int call_roads(struct call *call);
int call_lookup(struct call *call);
int call_open_path(struct call *call);
int call_make(struct call *call);
int call_symlink(struct call *call);
int call_link(struct call *call);
int call_rename(struct call *call);
int call_remove(struct call *call);
int call_readlink(struct call *call);
int call_read_folder(struct call *call);
int call_path_of(struct call *call);
int call_link_file(struct call *call);

/* door_lanes.c */

int call_give_lane(struct call *call); /* WIRE_ROADS with WIRE_WANT_LANE */
/* The connection has asked by the socket: its lane, if it has one, is looked at from now on. */
void door_lane_wake(struct connection *connection);
/* It has none any more: whoever waits there is told why, and the keeper. */
void door_lane_end(struct connection *connection, enum lane_state how);
/* Another worker goes on with it. */
void door_lane_leave(struct connection *connection);
void door_lanes_begin(struct door *door);
/* Serves what an earlier worker has begun, if it came there. */
void door_lane_resume(struct connection *connection, uint64_t serial);
/* All lanes are restored: serves what is asked in them. */
void door_restore_lanes_end(struct door *door);

/* door_ipc.c */

/* All on IPC; IPC_WAITS is left to the caller. */
int call_ipc(struct call *call);
/* Its answer is through, or could not be sent. */
void call_ipc_done(struct call *call, bool answered);

int door_ipc_begin(struct door *door); /* 0 or -errno */
void door_ipc_end(struct door *door);
/* From now on it waits. `size`: of the whole request. */
void door_ipc_wait(struct call *call, size_t size);
void door_ipc_forget(struct connection *connection); /* it does no longer */
void door_ipc_leave(struct connection *connection);  /* another worker goes on with it */
/* Something has happened to a connection that waits. */
void door_ipc_hear(struct connection *connection, uint32_t events);
/* Serves those who wait for what has changed. To be called last. */
void door_ipc_retry(struct door *door);
/* All connections are restored: has them wait again who have waited. */
void door_ipc_recall(struct door *door);
/* Serves what an earlier worker has begun, if that has waited; else false. */
bool door_ipc_resume(struct connection *connection, uint64_t serial);
/* Serves those who have come since, or whose wait may be over; `serve` is what the loop would
 * call. */
void door_ipc_restore(struct door *door, int (*serve)(struct loop_source *source, uint32_t events));

#endif
