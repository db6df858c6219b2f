/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ask.h for the operations of wire_ipc.h. */
#ifndef SHMEMU_PRELOAD_ASK_IPC_H
#define SHMEMU_PRELOAD_ASK_IPC_H

#include <stdbool.h>

#include "base/client_ipc.h"

/* Asks and waits as `wait` says (CLIENT_PATIENT for what does not wait). Returns the daemon's
 * result, -EINTR when a signal ended the wait, or, when no daemon could be asked, as ask(); if the
 * daemon went away for good while we waited, -EIDRM. call->fd is the caller's. The wait is a
 * cancellation point if `is_cancellable`: then the connection is closed, and nothing else needs to
 * be. */
int ask_ipc(struct client_ipc *call, enum client_wait wait, bool is_cancellable);

/* The same with this process's presence in call->asked.presence; once more with a new one if the
 * daemon does not know it. */
int ask_ipc_present(struct client_ipc *call, enum client_wait wait, bool is_cancellable);

/* The result, or -1 with errno set from it. */
int ask_ipc_result(int result);

#endif
