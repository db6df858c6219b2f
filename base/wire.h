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
 * that, if it can. What is still as it was in an older version is asked in that.
 *   1  the first
 *   2  serial numbers; what LIST tells of holders
 *   3  LIST with flags
 *   4  operations on paths, LIMIT, TRADE
 *   5  System V IPC and message queues
 *   6  LIST with memory and birth, LIMIT with users' shares, ROOM of all
 *   7  lanes
 * Tests build programs of other versions. */
#ifndef WIRE_VERSION
#define WIRE_VERSION 7
#endif
enum {
	WIRE_MAGIC = 0x756d6873,
	WIRE_VERSION_MIN = 2,
	WIRE_VERSION_NEW = 4, /* has operations on paths */
	WIRE_VERSION_IPC = 5, /* has those of wire_ipc.h */
	WIRE_VERSION_BIRTH = 6, /* wire_entry has all its fields */
	WIRE_VERSION_LANE = 7,  /* has WIRE_WANT_LANE */
	WIRE_NAME_SIZE = 256,
	WIRE_INITIAL_MAX = 64,
	WIRE_COMMAND_SIZE = 64,
	WIRE_LIST_MAX = 16,
	WIRE_PATH_MAX = 4095,  /* bytes of one path, without a NUL */
	WIRE_TEXT_MAX = 16384, /* bytes that come with an answer */
};

enum wire_op {
	WIRE_OPEN = 1, /* answer: the file by SCM_RIGHTS */
	WIRE_UNLINK,
	WIRE_LIST,   /* answer: up to WIRE_LIST_MAX entries; none: the end */
	WIRE_STATUS, /* answer: counters */
	WIRE_ROOM,   /* answer: how much the store can take; flags: WIRE_ROOM_... */
	WIRE_ADOPT,  /* a SEQPACKET socket comes by SCM_RIGHTS, and is served from now on; no answer
	              */
	WIRE_LIMIT,  /* of the daemon's own user and root: mode: WIRE_LIMIT_..., ino: the new limit
	                (0: none); of anybody: mode: 0. Answer: limits. With mode
	                WIRE_LIMIT_SHARE: share: of the first user from number `cursor` on that
	                has one of its own; others than the daemon's own user and root are told
	                of theirs alone. result: 1, or 0: there is none */
	WIRE_TRADE,  /* ino, cursor: a token that an ioctl at the mount gave; answer: that open
	                file, by SCM_RIGHTS, with the access that it has there */

	/* On paths. The request is followed by struct wire_places and the bytes of its paths, the
	 * answer by struct wire_told and the bytes of its text. Each does what the call of its name
	 * does, errno for errno, with the links on the way followed. */
	WIRE_ROADS,       /* no path; answer: roads, and as text the mountpoint, if there is one */
	WIRE_LOOKUP,      /* stat(2), lstat(2): told.stat. With WIRE_WANT_FILE also a descriptor of
	                     the thing, O_PATH, by SCM_RIGHTS */
	WIRE_OPEN_PATH,   /* open(2): flags, mode. A regular file comes open; of any other kind
	                     comes an O_PATH descriptor, to be opened again by way of
	                     /proc/self/fd, which is when the kernel judges */
	WIRE_MAKE,        /* mknod(2), mkdir(2): mode with its type, places.device */
	WIRE_SYMLINK,     /* path 0: where; path 1: the text that it holds */
	WIRE_LINK,        /* path 0 to path 1 */
	WIRE_RENAME,      /* path 0 to path 1; flags: renameat2(2)'s */
	WIRE_REMOVE,      /* unlink(2), or rmdir(2) with WIRE_FOLDER */
	WIRE_READLINK,    /* answer: text */
	WIRE_READ_FOLDER, /* what comes after cursor (0: from the start: the newest) in the folder
	                     that path 0 leads to (it may be empty): text is struct wire_dirents one
	                     after the other, and none is the end. "." and ".." are not among
	                     them. A text with room for another of WIRE_DIRENT_MAX bytes is the
	                     last. told.stat is the parent's */
	WIRE_PATH_OF,     /* the path from the root of the folder or file that path 0 leads to,
	                     without links, "." and "..": text, which begins with no slash */
	WIRE_LINK_FILE,   /* link(2) of /proc/self/fd/N: the file comes by SCM_RIGHTS, path 0 is its
	                     new name */

	/* System V IPC and message queues. The request is followed by struct wire_ipc and its
	 * bytes, the answer by struct wire_ipc_told and its bytes: wire_ipc.h. */
	WIRE_IPC_PRESENT, /* this connection stands for the process: see there */
	WIRE_IPC_GET,     /* shmget(2), semget(2), msgget(2); answer: result is the id */
	WIRE_IPC_CONTROL, /* shmctl(2), semctl(2), msgctl(2) */
	WIRE_IPC_LIST,    /* answer: struct wire_ipc_entry, one after the other; none: the end */
	WIRE_SHM_ATTACH,  /* answer: the segment's memory by SCM_RIGHTS, and its size */
	WIRE_SHM_COUNT,   /* how many mappings of a segment the process has now */
	WIRE_SEM_OP,      /* semtimedop(2); may wait */
	WIRE_MSG_SEND,    /* may wait */
	WIRE_MSG_RECEIVE, /* may wait */
	WIRE_MQ_OPEN,     /* answer: the descriptor by SCM_RIGHTS */
	WIRE_MQ_UNLINK,
	WIRE_MQ_OF,       /* a queue's descriptor comes by SCM_RIGHTS; answer: which it is */
	WIRE_MQ_SEND,     /* may wait */
	WIRE_MQ_RECEIVE,  /* may wait */
	WIRE_MQ_ATTRIBUTES, /* mq_getattr(3); answer: a struct wire_ipc_stat */
	WIRE_MQ_NOTIFY,   /* answer: with a registration, the pipe's reading end by SCM_RIGHTS */
	WIRE_MQ_LEFT,     /* a descriptor of the queue has been closed; no wait, no failure */
	WIRE_MEMFD,       /* memfd_create(2), for a program that is refused it: the name is the
	                     request's; answer: the asker's own file by SCM_RIGHTS, which is no
	                     part of the store. -EOPNOTSUPP: the store, or the asker's share of it,
	                     has a limit, in which it would not count */
	WIRE_MQ_POLLED,   /* somebody looks at the queue by poll(2) or its kin: from now on its fifo
	                     shows what there is, and it is shared no more */
	WIRE_IPC_SHARE,   /* answer: a queue's or a set's memory by SCM_RIGHTS, and its size: see
	                     there */
	WIRE_OP_COUNT,
	WIRE_OP_NEW = WIRE_LIMIT,   /* from here on they came with WIRE_VERSION_NEW */
	WIRE_OP_PATHS = WIRE_ROADS, /* from here on they are on paths, and their answers have ... */
	WIRE_OP_IPC = WIRE_IPC_PRESENT, /* ... or on IPC, came with WIRE_VERSION_IPC; both ... */
	WIRE_ANSWER = 0x8000,       /* ... have this in their op: no answer passes for a request */
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
	WIRE_LIST_BIRTH = 2,   /* LIST: find out when they were made */
};

enum {
	WIRE_ROOM_ALL = 1, /* ROOM: what there is but for users' shares, whoever asks */
};

enum {
	WIRE_ENTRY_HELD = 1,   /* somebody has it open or mapped */
	WIRE_ENTRY_ORPHAN = 2, /* nobody has, and the process that made it is gone */
};

enum {
	WIRE_FOLLOW = 1,    /* LOOKUP, LINK, PATH_OF: follow a link at the end, too */
	WIRE_WANT_FILE = 2, /* LOOKUP */
	WIRE_FOLDER = 4,    /* REMOVE: a folder, and nothing else */
	WIRE_WANT_MARKS = 16, /* ROADS: the answer has the memory of base/marks.h, by SCM_RIGHTS */
	WIRE_WANT_FOLDER = 32, /* ROADS: the answer has the folder from which files are opened by
	                          number: see there. -EPERM: the asker may have neither;
	                          -EOPNOTSUPP: there is none. To be asked by who has been told a
	                          number, and of no older daemon */
	WIRE_WANT_LANE = 64, /* ROADS: the answer has memory of this connection's, base/lane.h, by
	                        SCM_RIGHTS. -EPERM: not for this asker; -EOPNOTSUPP: there is none.
	                        To be asked in WIRE_VERSION_LANE */
	WIRE_TO_EXECUTE = 8, /* LOOKUP with WIRE_WANT_FILE: if the daemon has the file open for
	                        writing for no need, it closes it */
};

/* A folder, named by whoever has it open: the last component of what /proc/self/fd/N of its
 * descriptor says is WIRE_FOLDER_NAME + "INO:SECRET", in decimal and sixteen hexadecimal digits.
 * Nobody else can know the secret, so naming it proves that one has it. All 0: the root. */
#define WIRE_FOLDER_NAME "shmemu-folder:"
struct wire_base {
	uint64_t ino;
	uint64_t secret;
};

/* What follows the request of an operation on paths; then come the paths, without NULs. */
struct wire_places {
	struct wire_base base[2]; /* of the folder that each path begins in */
	uint64_t device;          /* MAKE: st_rdev */
	uint16_t length[2];       /* of each path; 0: it is not there, or the folder itself */
	uint32_t reserved;        /* 0 */
};

/* A path that led out of the store: by a link to an absolute path, or above the root. The call
 * is to be made anew with told.text in the place of path told.which: a text that begins with "/"
 * is a path of the host's, any other begins with "../" and goes on from the root folder. */
enum { WIRE_ELSEWHERE = 1 };

/* st_dev and st_ino are those of the kernel's file, as fstat(2) of its descriptor tells them. */
struct wire_stat {
	uint64_t dev, ino, nlink, rdev, size, blocks, blksize;
	uint32_t mode, uid, gid, reserved;
	int64_t atime, mtime, ctime; /* seconds since the epoch */
	uint32_t atime_ns, mtime_ns, ctime_ns;
	uint32_t reserved2;
};

/* What follows the answer of an operation on paths; then comes the text, without a NUL. */
struct wire_told {
	struct wire_stat stat;
	uint32_t which;       /* WIRE_ELSEWHERE: the path that led there. WIRE_TO_EXECUTE: 1 if
	                         the daemon has the file open for writing still */
	uint32_t text_length; /* at most WIRE_TEXT_MAX */
};

/* One name of a folder; its bytes follow, and a NUL, and zeros up to a multiple of 8 bytes. */
struct wire_dirent {
	uint64_t cookie; /* of this name; less from each to the next */
	uint64_t ino;    /* as wire_stat has it */
	uint16_t length; /* of the name */
	uint8_t type;    /* DT_... */
	uint8_t reserved[5];
};

/* What the library, and doctor, are to know of this daemon. */
struct wire_roads {
	uint64_t mount_device;  /* st_dev of the mount; 0: there is none */
	uint64_t limited;       /* st_dev of the files of all; 0: there is no limit */
	uint64_t limited_share; /* st_dev of the asker's own share (EDQUOT); 0: it has none */
	int32_t refusal;        /* why the mount has no passthrough: -errno; 0: it has */
	uint16_t source;        /* where memory comes from: enum anon_kind */
	uint16_t huge;          /* which huge pages it was asked for: enum huge */
	uint64_t number;        /* OPEN, OPEN_PATH, LOOKUP of a name in the root folder: by which
	                           that file can be opened again without asking; 0: it can't */
};

enum { WIRE_LIMIT_SIZE = 1, WIRE_LIMIT_INODES, WIRE_LIMIT_USER_SIZE, WIRE_LIMIT_SHARE };

/* As they are after the change. */
struct wire_limits {
	uint64_t size;       /* bytes that there may be; 0: any */
	uint64_t size_used;  /* by all */
	uint64_t inodes;     /* likewise */
	uint64_t inodes_used;
	uint64_t user_size;  /* bytes that each user may have, but for root and the daemon's own */
};

/* Memory that a user's own files come from. */
struct wire_share {
	uint64_t size; /* bytes */
	uint64_t used;
	uint32_t uid;
	uint32_t reserved;
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
	char name[WIRE_NAME_SIZE]; /* the path from the root, or its end; "?": in a folder that the
	                              asker may not look into */
	/* From here on since WIRE_VERSION_BIRTH; 0 where an older daemon tells nothing. */
	uint64_t resident; /* bytes of memory that it takes now */
	int64_t birth;     /* WIRE_LIST_BIRTH: seconds since the epoch; 0: the kernel tells none */
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
	uint64_t inodes_max; /* that there may be; 0: any number, or an older daemon */
	uint64_t reserved;
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
		struct wire_roads roads; /* ROADS; with each file: what is limited */
		struct wire_limits limits;
		struct wire_share share;
	};
};

enum { WIRE_DIRENT_MAX = sizeof(struct wire_dirent) + WIRE_NAME_SIZE };

_Static_assert(sizeof(struct wire_header) == 8, "header is frozen");
_Static_assert(sizeof(struct wire_request) == 8 + 8 + 24 + 8 + 64 + 256, "no padding");
_Static_assert(sizeof(struct wire_entry) == 24 + 16 + 8 + 24 + 64 + 256 + 16, "no padding");
_Static_assert(sizeof(struct wire_reply) == 8 + 8 + 16 + 40, "no padding");
_Static_assert(sizeof(struct wire_places) == 32 + 8 + 4 + 4, "no padding");
_Static_assert(sizeof(struct wire_told) == 7 * 8 + 16 + 24 + 16 + 8, "no padding");
_Static_assert(sizeof(struct wire_dirent) == 24, "no padding");
/* A daemon that is made to talk to itself must not take its own answers for requests. */
_Static_assert(sizeof(struct wire_reply) < sizeof(struct wire_request) &&
               sizeof(struct wire_reply) + sizeof(struct wire_entry) > sizeof(struct wire_request),
               "no answer has a request's size, but those with WIRE_ANSWER");

/* A request with nothing but its operation set, in the version that gave it its form. */
struct wire_request wire_request_make(enum wire_op op);

/* Sets the name. `length` is at most 255; the bytes are checked by the receiver. */
void wire_request_name(struct wire_request *request, const char *bytes, size_t length);

/* Judge a whole message of `size` bytes. 0, or -EPROTONOSUPPORT (a version we can't do, told by the
 * header; for a reply: another than was asked in), or -EPROTO (not ours, or broken).
 * wire_check_request says -EINVAL for one that is well formed and asks the impossible. `told` is
 * what came behind the reply, NULL: nothing. */
int wire_check_request(const struct wire_request *request, size_t size);
int wire_check_reply(const struct wire_reply *reply, size_t size,
                     const struct wire_header *asked, const struct wire_told *told);

/* Is this operation on paths? What such a request carries: behind it in its message, which
 * wire_check_request has found sound. A path has no NUL: its length is in the places. */
bool wire_is_on_paths(unsigned op);
bool wire_is_ipc(unsigned op); /* then it carries what wire_ipc.h says instead */
bool wire_takes_file(unsigned op); /* by SCM_RIGHTS; no other may have one */
/* Does an answer that is a success bring one? Not what leads elsewhere. */
bool wire_brings_file(const struct wire_request *request);
static inline const struct wire_places *wire_places_of(const struct wire_request *request)
{
	return (const struct wire_places *)(request + 1);
}
const char *wire_path(const struct wire_request *request, int which);

/* Bytes of a wire_entry in a version: the fields at its end came later. */
size_t wire_entry_size(unsigned version);

/* Can this side do a version? */
bool wire_speaks(unsigned version);

#endif
