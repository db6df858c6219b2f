/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What System V's three families share. */
#ifndef SHMEMU_PRELOAD_SYSV_H
#define SHMEMU_PRELOAD_SYSV_H

#include <sys/ipc.h>

#include "preload/ask_ipc.h"

/* The program's memory, as the kernel copies from and to it: 0 or -EFAULT. (What is sent goes
 * straight from the program's memory and needs neither: ask_ipc says -EFAULT.) */
int sysv_take(void *ret_copy, const void *from, size_t size);
int sysv_look(const void *from, size_t size); /* could it be taken? */
int sysv_put(void *to, const void *bytes, size_t size);

/* shmget, semget, msgget: the id or -errno. */
long sysv_get(enum wire_family family, key_t key, uint64_t size, int flags);

/* CONTROL of one object, with nothing but that: IPC_RMID, SHM_LOCK, GETVAL. To be added to. */
struct client_ipc sysv_control(enum wire_family family, int id, int command);

/* IPC_STAT, ..._STAT, ..._STAT_ANY: the result. The mode has SHM_DEST and SHM_LOCKED. */
long sysv_stat(enum wire_family family, int id, int command, struct wire_ipc_stat *ret_stat);

/* IPC_SET, `size`: msg_qbytes. */
long sysv_set(enum wire_family family, int id, const struct ipc_perm *perm, uint64_t size);

/* IPC_INFO, SHM_INFO, ...: the result. */
long sysv_info(enum wire_family family, int command, struct wire_ipc_info *ret_info);

/* For IPC_STAT and its kin. */
struct ipc_perm sysv_perm(const struct wire_ipc_stat *stat);

#endif
