/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of message queues share. */
#ifndef SHMEMU_FUSE_IPC_MQ_H
#define SHMEMU_FUSE_IPC_MQ_H

#include <sys/stat.h>

#include "fuse/ipc_i.h"

/* ipc_mq.c */

/* The queue of the asker's handle, or NULL; *ret_access: O_RDONLY, O_WRONLY, O_RDWR. */
const struct ipc_object *ipc_mq_asked(const struct ipc *ipc, const struct ipc_call *call,
                                      int *ret_access);
/* Frees one queue that has no name and that nobody has open. false: there is none. */
bool ipc_mq_free_unused(struct ipc *ipc);

/* ipc_mq_fd.c. The fifo, held for the queue. Descriptors of clients are opened by ipc_mq_fd_open:
 * owned by the caller, close-on-exec; of `flags` access and O_NONBLOCK matter. */
int ipc_mq_fd_make(struct ipc *ipc, const struct ipc_object *object);
int ipc_mq_fd_open(const struct ipc *ipc, const struct ipc_object *object, int flags);
/* From now on it has the queue's owner and mode, where it can: who opens it anew by way of
 * /proc/self/fd is judged by these. */
void ipc_mq_fd_give_away(struct ipc *ipc, const struct ipc_object *object);
/* Owner, mode and times of the queue. */
struct stat ipc_mq_fd_stat(const struct ipc *ipc, const struct ipc_object *object);
/* Has any client it open, or is one on its way there? */
bool ipc_mq_fd_is_open(const struct ipc *ipc, const struct ipc_object *object);
/* Whose fifo is that, of a stranger? NULL: nobody's. From now on it counts as open. */
const struct ipc_object *ipc_mq_fd_whose(const struct ipc *ipc, int file, int *ret_access);

/* ipc_notice.c. A message has come into an empty queue. */
void ipc_notice_trigger(struct ipc *ipc, const struct ipc_object *object, struct ipc_call *call);
/* The registration, if there is one, goes: its pipe ends. */
void ipc_notice_remove(struct ipc *ipc, const struct ipc_object *object);

#endif
