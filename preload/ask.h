/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A request to whichever daemon serves this process, starting one if there is none. */
#ifndef SHMEMU_PRELOAD_ASK_H
#define SHMEMU_PRELOAD_ASK_H

#include "base/client.h"

/* Returns the daemon's answer: its result (>= 0 or -errno, as in wire.h), with ret_answer->fd
 * owned by the caller for WIRE_OPEN. When no daemon could be asked, one of -ENOSYS, -EACCES,
 * -EMFILE, -ENFILE, -ENOMEM, -ETIMEDOUT and -EPROTONOSUPPORT, with a line in the log. A WIRE_OPEN
 * that fails has changed nothing. */
int ask(struct wire_request *request, struct client_answer *ret_answer);

/* The same for an operation on paths. ret_answer->text is the caller's room. */
int ask_places(struct wire_request *request, const struct client_places *places,
               struct client_answer *ret_answer);

/* As that, for what the caller can do without: nothing is said when no daemon can do it. An older
 * one, which a keeper may put in a newer one's place at any time, can't. */
int ask_favour(struct wire_request *request, const struct client_places *places,
               struct client_answer *ret_answer);

#endif
