/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The calls that shared memory needs, each made as programs make it: by libc's functions, since a
 * shim, or the library, may be what answers. What is made has no name, or has it for a moment
 * only. Each returns what trial.h says, and is for a child that ends then: it leaves things open
 * and mapped. */
#ifndef SHMEMU_CLI_ATTEMPTS_H
#define SHMEMU_CLI_ATTEMPTS_H

int try_shm_open(void);
int try_path(void); /* below /dev/shm */
int try_sem_open(void);
int try_mq_open(void);
int try_shmget(void);
int try_semget(void);
int try_msgget(void);

int try_mmap_shared(void);
int try_mmap_memfd(void); /* shared, of a file that is on no disk: as segments are */
int try_mmap_private(void);
int try_mmap_anonymous(void);
int try_atomics(void);
int try_msync(void);
int try_mremap(void);
int try_madvise(void);
int try_mprotect(void);
int try_munmap(void);
int try_ftruncate(void);
int try_fallocate(void);
int try_memfd_create(void);
int try_locks(void);
int try_inotify(void);

#endif
