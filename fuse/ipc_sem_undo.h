/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a process's end adds to semaphores: SEM_UNDO. A record of each process for each set that it
 * has used so. One whose set is no more, or has had SETALL since, says nothing. */
#ifndef SHMEMU_FUSE_IPC_SEM_UNDO_H
#define SHMEMU_FUSE_IPC_SEM_UNDO_H

#include "fuse/ipc_i.h"

/* Of all semaphores of a set; NULL: nothing. */
const int16_t *ipc_sem_undo_of(const struct ipc *ipc, const struct ipc_presence *presence,
                               const struct ipc_object *object);

/* Those with SEM_UNDO have been done. 0, -ENOSPC or -ENOMEM. */
int ipc_sem_undo_note(struct ipc *ipc, const struct ipc_presence *presence,
                      const struct ipc_object *object, const struct sembuf *operations,
                      size_t count);

/* Nobody undoes anything any more of one semaphore, or of all. 0, or -ENOMEM: too many do. */
int ipc_sem_undo_void(struct ipc *ipc, const struct ipc_object *object, uint16_t number);
void ipc_sem_undo_void_all(struct ipc *ipc, const struct ipc_object *object);

#endif
