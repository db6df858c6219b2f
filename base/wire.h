/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The socket door's messages: one request, one answer, each one SEQPACKET message of fixed shape.
 */
#ifndef SHMEMU_BASE_WIRE_H
#define SHMEMU_BASE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Requests carry no reference to earlier ones: a connection has no state but its socket. Who asks
 * is the credentials that the kernel attached to the message (SCM_CREDENTIALS), nothing in it. All
 * integers are in the host's byte order: both ends run on one machine.
 *
 * WIRE_VERSION changes with any change of these messages; the header's layout does not change,
 * ever, so that either side can tell the other's version. A side can do WIRE_VERSION_MIN to
 * WIRE_VERSION. The daemon answers in the version that it was asked in, or, if it can't do that
 * one, refuses it (-EPROTONOSUPPORT) in a header with its own; the client then asks once more in
 * that, if it can.
 *   1  the first
 *   2  serial numbers; what LIST tells of holders
 *   3  LIST with flags
 * Tests build programs of other versions. */
#ifndef WIRE_VERSION
#define WIRE_VERSION 3
#endif
enum {
	WIRE_MAGIC = 0x756d6873,
	WIRE_VERSION_MIN = 2,
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
	uint32_t flags;          /* OPEN: open(2)'s; the unknown are ignored, as there.
	                            LIST: WIRE_LIST_... */
	uint32_t mode;           /* OPEN with O_CREAT: permission bits, umask applied already */
	uint64_t serial;         /* another than the last; the answer has it too */
	uint64_t cursor;         /* LIST: the last entry's cookie, 0 to begin */
	uint64_t ino;            /* UNLINK: only if the name leads to it; 0: whatever it is */
	uint16_t name_length;    /* OPEN, UNLINK: of name, without its NUL */
	uint16_t initial_length; /* OPEN: of initial */
	uint32_t reserved;       /* 0 */
	uint8_t initial[WIRE_INITIAL_MAX]; /* OPEN: what a new file holds at first */
	char name[WIRE_NAME_SIZE];         /* NUL-padded */
};

enum {
	WIRE_LIST_HOLDERS = 1, /* LIST: find out which are held and which orphans */
};

enum {
	WIRE_ENTRY_HELD = 1,   /* somebody has it open or mapped */
	WIRE_ENTRY_ORPHAN = 2, /* nobody has, and the process that made it is gone */
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
	uint32_t creator_uid;
	uint32_t flags;              /* WIRE_ENTRY_... */
	uint64_t device, file;       /* what fstat(2) says of the open file: st_dev, st_ino */
	char creator_command[WIRE_COMMAND_SIZE]; /* blanks between its words, cut to fit */
	char name[WIRE_NAME_SIZE];
};

struct wire_status {
	uint64_t requests;    /* answered since the start, this one included */
	uint64_t connections; /* open now, this one included */
	uint64_t names;
	uint64_t inodes;
	uint32_t pid;         /* the worker's, as the daemon sees it */
	uint32_t keeper;      /* its parent's, by which the daemon is ended or upgraded */
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
	uint64_t serial;     /* the request's */
	union {
		struct wire_status status;
		struct wire_room room;
	};
};

_Static_assert(sizeof(struct wire_header) == 8, "header is frozen");
_Static_assert(sizeof(struct wire_request) == 8 + 8 + 24 + 8 + 64 + 256, "no padding");
_Static_assert(sizeof(struct wire_entry) == 24 + 16 + 8 + 24 + 64 + 256, "no padding");
_Static_assert(sizeof(struct wire_reply) == 8 + 8 + 16 + 40, "no padding");
/* A daemon that is made to talk to itself must not take its own answers for requests. */
_Static_assert(sizeof(struct wire_reply) < sizeof(struct wire_request) &&
               sizeof(struct wire_reply) + sizeof(struct wire_entry) > sizeof(struct wire_request),
               "no answer has a request's size");

/* A request with nothing but its operation set. */
struct wire_request wire_request_make(enum wire_op op);

/* Sets the name. `length` is at most 255; the bytes are checked by the receiver. */
void wire_request_name(struct wire_request *request, const char *bytes, size_t length);

/* Judge a whole message of `size` bytes. 0, or -EPROTONOSUPPORT (a version we can't do, told by the
 * header; for a reply: another than was asked in), or -EPROTO (not ours, or broken).
 * wire_check_request says -EINVAL for one that is well formed and asks the impossible. */
int wire_check_request(const struct wire_request *request, size_t size);
int wire_check_reply(const struct wire_reply *reply, size_t size,
                     const struct wire_header *asked);

/* Can this side do a version? */
bool wire_speaks(unsigned version);

#endif
