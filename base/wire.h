/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The socket door's messages: one request, one answer, each one SEQPACKET message of fixed shape.
 */
#ifndef SHMEMU_BASE_WIRE_H
#define SHMEMU_BASE_WIRE_H

#include <stddef.h>
#include <stdint.h>

/* Requests carry no reference to earlier ones: a connection has no state but its socket. Who asks
 * is the credentials that the kernel attached to the message (SCM_CREDENTIALS), nothing in it.
 * All integers are in the host's byte order: both ends run on one machine. WIRE_VERSION changes
 * with any change of these layouts; the header's does not change, ever, so that either side can
 * tell the other's version and refuse it (-EPROTONOSUPPORT). */
enum {
	WIRE_MAGIC = 0x756d6873,
	WIRE_VERSION = 1,
	WIRE_NAME_SIZE = 256,
	WIRE_INITIAL_MAX = 64,
	WIRE_COMMAND_SIZE = 64,
	WIRE_LIST_MAX = 16,
};

enum wire_op {
	WIRE_OPEN = 1, /* answer: the file by SCM_RIGHTS */
	WIRE_UNLINK,
	WIRE_LIST,   /* answer: up to WIRE_LIST_MAX entries; none: the end */
	WIRE_STATUS, /* answer: counters */
	WIRE_ROOM,   /* answer: how much the store can take */
	WIRE_ADOPT,  /* a SEQPACKET socket comes by SCM_RIGHTS, and is served from now on; no answer
	              */
	WIRE_OP_COUNT,
};

struct wire_header {
	uint32_t magic;
	uint16_t version;
	uint16_t op;
};

struct wire_request {
	struct wire_header header;
	uint32_t flags;          /* OPEN: open(2)'s; the unknown are ignored, as there */
	uint32_t mode;           /* OPEN with O_CREAT: permission bits, umask applied already */
	uint64_t cursor;         /* LIST: the last entry's cookie, 0 to begin */
	uint64_t ino;            /* UNLINK: only if the name leads to it; 0: whatever it is */
	uint16_t name_length;    /* OPEN, UNLINK: of name, without its NUL */
	uint16_t initial_length; /* OPEN: of initial */
	uint32_t reserved;       /* 0 */
	uint8_t initial[WIRE_INITIAL_MAX]; /* OPEN: what a new file holds at first */
	char name[WIRE_NAME_SIZE];         /* NUL-padded */
};

struct wire_entry {
	uint64_t cookie; /* the entry's place: grows with every name ever made */
	uint64_t ino;
	uint64_t size;   /* bytes */
	uint32_t mode;
	uint32_t uid;
	uint32_t gid;
	uint32_t creator_pid;        /* as the daemon sees it */
	uint64_t creator_start;      /* clock ticks since boot (proc_pid_stat(5)); 0: unknown */
	char creator_command[WIRE_COMMAND_SIZE]; /* blanks between its words, cut to fit */
	char name[WIRE_NAME_SIZE];
};

struct wire_status {
	uint64_t requests;    /* answered since the start, this one included */
	uint64_t connections; /* open now, this one included */
	uint64_t names;
	uint64_t inodes;
	uint64_t pid;
};

struct wire_room {
	uint64_t total;     /* bytes */
	uint64_t available; /* bytes */
	uint64_t inodes;    /* in use */
	uint64_t reserved[2];
};

struct wire_reply {
	struct wire_header header;
	int32_t result;      /* >= 0, or -errno; LIST: how many entries follow */
	uint32_t created;    /* OPEN: 1 if this request made the file */
	uint64_t ino;        /* OPEN: the inode's number in the store */
	union {
		struct wire_status status;
		struct wire_room room;
	};
};

_Static_assert(sizeof(struct wire_header) == 8, "header is frozen");
_Static_assert(sizeof(struct wire_request) == 8 + 8 + 16 + 8 + 64 + 256, "no padding");
_Static_assert(sizeof(struct wire_entry) == 24 + 16 + 8 + 64 + 256, "no padding");
_Static_assert(sizeof(struct wire_reply) == 8 + 8 + 8 + 40, "no padding");
/* A daemon that is made to talk to itself must not take its own answers for requests. */
_Static_assert(sizeof(struct wire_reply) < sizeof(struct wire_request) &&
               sizeof(struct wire_reply) + sizeof(struct wire_entry) > sizeof(struct wire_request),
               "no answer has a request's size");

/* A request with nothing but its operation set. */
struct wire_request wire_request_make(enum wire_op op);

/* Sets the name. `length` is at most 255; the bytes are checked by the receiver. */
void wire_request_name(struct wire_request *request, const char *bytes, size_t length);

/* Judge a whole message of `size` bytes. 0, or -EPROTONOSUPPORT (another version, told by the
 * header), or -EPROTO (not ours, or broken). wire_check_request says -EINVAL for one that is well
 * formed and asks the impossible. */
int wire_check_request(const struct wire_request *request, size_t size);
int wire_check_reply(const struct wire_reply *reply, size_t size, enum wire_op op);

#endif
