/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* System V IPC and message queues as the kernel has them: the system calls of these names, for the
 * exported functions and for those who come by syscall(2). Each returns >= 0 or -errno; none writes
 * errno. The calls that wait are cancellation points. */
#ifndef SHMEMU_PRELOAD_EMU_IPC_H
#define SHMEMU_PRELOAD_EMU_IPC_H

#include <mqueue.h>
#include <signal.h>
#include <stddef.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <time.h>

/* sysv_shm.c */
long emu_shmget(key_t key, size_t size, int flags);
long emu_shmat(int id, const void *address, int flags); /* the address, or -errno */
long emu_shmdt(const void *address);
long emu_shmctl(int id, int command, void *buffer);
/* Of attached memory and all other. `size` and `address` as they come. */
long emu_remap_file_pages(void *address, size_t size, int protection, size_t page, int flags);

/* sysv_sem.c. `timeout` is relative, NULL: for ever. `argument` is the union semun. */
long emu_semget(key_t key, int count, int flags);
long emu_semtimedop(int id, struct sembuf *operations, size_t count,
                    const struct timespec *timeout);
long emu_semctl(int id, int number, int command, unsigned long argument);

/* sysv_msg.c */
long emu_msgget(key_t key, int flags);
long emu_msgsnd(int id, const void *message, size_t size, int flags);
long emu_msgrcv(int id, void *message, size_t size, long type, int flags);
long emu_msgctl(int id, int command, void *buffer);

/* mq*.c: a name has no slash before it, deadlines are CLOCK_REALTIME's, NULL: none. A SIGEV_THREAD
 * is the kernel's, with a netlink socket. */
long emu_mq_open(const char *name, int flags, mode_t mode, const struct mq_attr *attributes);
long emu_mq_unlink(const char *name);
long emu_mq_timedsend(mqd_t queue, const char *text, size_t size, unsigned priority,
                      const struct timespec *deadline);
long emu_mq_timedreceive(mqd_t queue, char *text, size_t size, unsigned *ret_priority,
                         const struct timespec *deadline);
long emu_mq_notify(mqd_t queue, const struct sigevent *event);
long emu_mq_getsetattr(mqd_t queue, const struct mq_attr *attributes, struct mq_attr *ret_before);

/* memfd.c */
long emu_memfd_create(const char *name, unsigned flags);

#endif
