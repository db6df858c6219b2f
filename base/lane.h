/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A lane: memory of one connection's, by which its client asks a worker that looks anyway. Who asks
 * and is answered by a socket takes some ten system calls, and a wake-up on a core that has gone to
 * sleep; a worker that has just served somebody looks for what comes next before it sleeps
 * (base/spin.h), and while it does a request is seen here at once. It is never the only way:
 * whoever finds that nobody looks takes the request back and sends it.
 *
 *                client                                  worker
 *     FREE   -> ASKED     lane_ask                ASKED -> TAKEN     lane_take
 *     ASKED  -> FREE      lane_ask, lane_give_up  TAKEN -> ANSWERED, SENT, REFUSED
 *     answer -> FREE      lane_done               any   -> CUT       lane_answer
 *
 * A request stays here until it is answered, as one by the socket stays in that: the keeper has the
 * memory too, so when the worker is killed its successor finds the request, ASKED or TAKEN, and
 * serves it as the store's turn has it, once. It is taken back only from ASKED.
 *
 * A new file need not be sent to whoever can open it by its number (base/marks.h): that is the
 * dearest part of the answer.
 *
 * What the client may write anybody may who is the client. The worker copies a request before it
 * looks at it, and takes nothing here for true but that it has been asked; who asks is the process
 * that the lane was given to, if the kernel says that it lives and has the ids that it had then.
 * The size is sealed. */
#ifndef SHMEMU_BASE_LANE_H
#define SHMEMU_BASE_LANE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/wire.h"

enum lane_state {
	LANE_FREE,     /* no request */
	LANE_ASKED,
	LANE_TAKEN,    /* it is being served */
	LANE_ANSWERED, /* the answer is here */
	LANE_SENT,     /* the answer is in the socket, with its descriptor */
	LANE_REFUSED,  /* it has not been looked at: to be sent */
	LANE_CUT,      /* the connection is over */
	LANE_SLEEPER = 0x100, /* with ASKED and TAKEN: the client sleeps, and is to be woken */
};

struct lane {
	_Atomic uint32_t state; /* a futex */
	_Atomic uint32_t looks; /* the worker's: does it look here? */
	uint32_t opens;         /* 1: of a new file the client needs only the number (wire_roads) */
	uint32_t reserved[13];
	struct wire_request request;
	uint64_t reserved2;
	struct wire_reply reply;
};

_Static_assert(sizeof(struct lane) == 64 + sizeof(struct wire_request) + 8 +
               sizeof(struct wire_reply), "no padding");

/* Is this one of the requests that can be put here? One whose answer is a wire_reply, or a file. */
bool lane_takes(const struct wire_request *request);

/* The client's.
 *
 * Puts a request where there is none; false: nobody looks, and it has been taken back. */
bool lane_ask(struct lane *lane, const struct wire_request *request, bool opens);
/* After so long nobody looks, whatever was said: takes it back. false: it is being served, or is
 * answered. */
bool lane_give_up(struct lane *lane);
/* What has become of it, without LANE_SLEEPER. What an answer tells may then be read. */
enum lane_state lane_look(const struct lane *lane);
/* Sleeps until something has, or for so long. To be looked at again after any end. */
void lane_sleep(struct lane *lane, long nanoseconds);
/* The answer has been read, or is not wanted. */
void lane_done(struct lane *lane);

/* The worker's.
 *
 * From now on it looks here, or no longer: then it is to look once more. */
void lane_set_looks(struct lane *lane, bool looks);
/* Is there a request, or one that an earlier worker has taken? Then it is taken and copied: as it
 * was put, which is anything. */
bool lane_take(struct lane *lane, struct wire_request *ret_request);
/* Ends a request; the reply is for LANE_ANSWERED, else NULL. */
void lane_answer(struct lane *lane, enum lane_state how, const struct wire_reply *reply);

#endif
