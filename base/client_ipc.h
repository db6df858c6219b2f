/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The asking end of wire_ipc.h: what may wait is sent, waited for and called off in three calls.
 * System calls only, like client.h. */
#ifndef SHMEMU_BASE_CLIENT_IPC_H
#define SHMEMU_BASE_CLIENT_IPC_H

#include "base/wire_ipc.h"

/* Others may know that a call of System V's waits (semctl's GETNCNT) as soon as the daemon does,
 * and count on it that a signal now interrupts it. So who waits CLIENT_NEVER_... has all signals
 * blocked from before it sends; they come when it sleeps. */
enum client_wait {
	CLIENT_PATIENT, /* CLIENT_PATIENCE_SECONDS, through signals: for what does not wait */
	CLIENT_RESTART, /* for ever; -EINTR when a handler without SA_RESTART has run */
	CLIENT_NEVER_RESTART, /* for ever; -EINTR when any handler has run */
	CLIENT_NEVER_RESUME, /* likewise, and when the process was stopped and continued */
};

struct client_ipc {
	struct wire_request request;
	struct wire_ipc asked;
	const void *bytes; /* borrowed: asked.length of them */
	int file;          /* borrowed, goes along; -1: none */
	uint64_t mask;     /* of signals while it sleeps, with CLIENT_NEVER_..: see there */
	/* The answer: */
	struct wire_reply reply;
	struct wire_ipc_told told;
	void *text;        /* the caller's room for told.length bytes */
	size_t text_room;  /* an answer with more is -EPROTO */
	int fd;            /* owned by the caller; -1: none came */
};

/* With nothing but the operation, no deadline and no descriptors. */
struct client_ipc client_ipc_make(enum wire_op op);

/* Sends it, with a serial number. When what may wait was asked for (asked.since) is the caller's to
 * say. 0 or -errno as client_ask. */
int client_ipc_send(int sock, struct client_ipc *call);

/* Waits for the answer: 0 when it came (reply.result says what), -EINTR as `wait` has it (call
 * again, or call off), or -errno as client_ask (-EPROTONOSUPPORT: the daemon is older: has no
 * IPC). */
int client_ipc_receive(int sock, struct client_ipc *call, enum client_wait wait);

/* No longer wants it: 0 and the answer, which is -EINTR or that it was done before. The connection
 * is over and to be closed, whatever this returns. */
int client_ipc_call_off(int sock, struct client_ipc *call);

#endif
