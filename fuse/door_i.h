/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the socket door's files share: door.c has connections and answers, door_paths.c the
 * operations on paths. */
#ifndef SHMEMU_FUSE_DOOR_I_H
#define SHMEMU_FUSE_DOOR_I_H

#include "base/fdpass.h"
#include "base/wire.h"
#include "fuse/door.h"
#include "fuse/loop.h"
#include "fuse/share.h"
#include "fuse/store.h"

struct door {
	struct loop_source listener; /* first: the handlers get a source */
	struct loop_source idle;
	struct loop_source retry; /* for accepting when the table was full */
	struct loop *loop;
	struct store *store;
	struct keep *keep; /* borrowed; NULL: none */
	struct connection *connections;
	uint64_t connection_count;
	struct shares shares; /* connections of each uid */
	struct door_options options;
	bool accepting;
	struct wire_entry entries[WIRE_LIST_MAX]; /* of the answer under way */
	char text[WIRE_TEXT_MAX];                 /* likewise */
};

struct connection {
	struct loop_source source; /* first; its fd is owned */
	struct door *door;
	struct connection *next;
	struct connection **link; /* what points here */
	uint64_t number; /* by which the keeper knows it */
	uid_t uid;       /* whose share it is in */
	bool restored;   /* an answer may be there that an earlier worker has sent */
	struct store_creator creator; /* of the last sender; pid 0: none yet */
};

/* What an operation gets, and what it leaves. */
struct call {
	struct connection *connection;
	const struct wire_request *request;
	struct fdpass_sender sender;
	int passed; /* the descriptor that came with it, or -1; owned by the dispatcher */
	struct wire_reply reply;
	struct wire_told told; /* of an operation on paths; its text is the door's */
	int fd; /* the answer's, or -1; owned by the dispatcher */
};

/* Who sent this, for the record of what is made; good until the next call. */
const struct store_creator *call_creator(struct call *call);

/* What whoever opens a file is to know. */
void call_tell_limits(struct call *call);

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

#endif
