/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* `shmemu trace`: what a traced process tells the tool. Three sides meet here: libshmemu.so says by
 * which road it went, libshmemu-trace.so, which stands before it, sends a record of each call, and
 * the tool puts that into words. A record has no words of its own but what addresses lead to: it is
 * cheap to make in a stranger, and needs no memory there. */
#ifndef SHMEMU_BASE_TRACED_H
#define SHMEMU_BASE_TRACED_H

#include <stddef.h>
#include <stdint.h>

/* How a call was answered. What is further down took more, and stands for the whole call. */
enum traced_road {
	TRACED_KERNEL,   /* passed on: it was not our business */
	TRACED_LIBRARY,  /* answered in the process, of what is known there, or refused */
	TRACED_KNOWN,    /* a name that was opened again, or looked at, without asking */
	TRACED_MEMORY,   /* in memory that processes share */
	TRACED_MOUNT,    /* passed on to a mount of ours */
	TRACED_EMULATED, /* the host lacks it */
	TRACED_DAEMON,   /* the daemon was asked */
	TRACED_ROADS,
};

/* By which this thread has gone last; libshmemu.so only ever writes a greater one. To be set to
 * TRACED_KERNEL before a call and read after it. That library's one name that is not libc's. */
unsigned char *shmemu_road(void) __attribute__((weak, visibility("default")));

/* Which calls are shown if not all are. */
enum traced_kind {
	TRACED_OURS,   /* all of them */
	TRACED_SHARED, /* the same, though the host may be who answers */
	TRACED_PATH,   /* on a path: if it was ours */
	TRACED_MAP,    /* that maps: if it is to be shared, or emulated */
	TRACED_PLACE,  /* on an address: if that came from one that was shown */
	TRACED_FILE,   /* on a descriptor: the same of its file */
	TRACED_EXEC,   /* that begins a program: told before it, for the tool to look at that */
	TRACED_END,    /* that ends the process: only what was lost is told */
};

/* The first letter is the result's, each other an argument's.
 *
 *   result   i number, -1 is a failure     f the same, a descriptor     e number of the error
 *            m address, -1 is a failure    n the same, of NULL          a the same, of a semaphore
 *   copied   s string                      S string, if it succeeded    B as many bytes as it says
 *            b bytes, the next has the size       g, G message of System V (out), the same
 *            o operations on semaphores, the next has the number
 *            t timespec    q, Q mq_attr (out)     j stat (out)          y sysv's stat: an address
 *   numbers  d decimal     u without a sign       p address             l octal mode   z hex
 *            c the same, if the file may be made  w the same, in decimal       v the same, mq_attr
 *   words    D folder      O open     A of paths  x of unlinkat  r of renameat2
 *            W access  P protection  M mmap    R mremap
 *            Y msync       V madvise  F fallocate K memfd_create
 *            k key         I IPC and mode         H shmat      N of messages
 *            C, E, X command of shmctl, semctl, msgctl         U what semctl's leads to */
struct traced_call {
	const char *name;
	const char *letters;
	enum traced_kind kind;
};

enum traced_number {
#define TRACED(type, name, parameters, arguments, kind, letters) TRACED_CALL_##name,
#define TRACED_BY_HAND(name, kind, letters) TRACED_CALL_##name,
#define TRACED_SAME(name, as)
#include "base/traced.def"
	TRACED_CALLS,
};

extern const struct traced_call traced_calls[TRACED_CALLS];

/* To a datagram socket of the tool's, by an abstract address: it is reached from every mount
 * namespace and root, by every user. All may read such addresses, so the key is what a record is
 * believed for. SHMEMU_TRACE=ADDRESS:KEY[:all], both in hex. */
#define TRACED_VARIABLE "SHMEMU_TRACE"
#define TRACED_ALL ":all"

enum {
	TRACED_VERSION = 1,
	TRACED_ARGUMENTS = 6,
	TRACED_STRING_MAX = 512, /* bytes of a string that are sent; more say that they are cut */
	TRACED_BYTES_MAX = 32,   /* the same of what is no string, as in strace */
	TRACED_OPERATIONS_MAX = 8,
	TRACED_ADDRESS_MAX = 40,
};

enum { TRACED_IS_CUT = 0x8000 };

struct traced_record {
	uint64_t key;
	uint16_t version;
	uint16_t call;                       /* enum traced_number */
	uint8_t road;                        /* enum traced_road */
	uint8_t unused[3];
	int32_t pid, tid;
	int32_t error;                       /* 0: it succeeded */
	uint32_t lost;                       /* records before it that came to nothing */
	int64_t result;
	int64_t begin;                       /* CLOCK_MONOTONIC, ns */
	int64_t took;
	int64_t arguments[TRACED_ARGUMENTS];
	/* Of the bytes that follow, each argument's in their order; with TRACED_IS_CUT. */
	uint16_t lengths[TRACED_ARGUMENTS];
	uint16_t unused_too[2];
};

_Static_assert(sizeof(struct traced_record) == 120, "no holes");

enum {
	TRACED_SIZE_MAX = sizeof(struct traced_record) + TRACED_ARGUMENTS * (TRACED_STRING_MAX + 1),
};

#endif
