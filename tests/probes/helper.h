/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A probe as its own helper: started once more, by exec or else, to answer by its exit status. */
#ifndef SHMEMU_TESTS_PROBES_HELPER_H
#define SHMEMU_TESTS_PROBES_HELPER_H

#include <semaphore.h>
#include <stdbool.h>

#define HELPER_TEXT "as written"

enum helper_task {
	HELPER_READ = 'r', /* is HELPER_TEXT in the descriptor of this number? */
	HELPER_OPEN = 'o', /* ... in the segment of this name? */
};

enum { HELPER_YES = 0, HELPER_NO = 10, HELPER_ENOENT = 11, HELPER_EBADF = 12, HELPER_OTHER = 13 };

/* Each runs the helper and returns its exit status. */
int helper_exec(enum helper_task task, int fd, const char *name);
int helper_spawn(enum helper_task task, int fd, const char *name);
int helper_system(enum helper_task task, int fd, const char *name);

/* exec without a child: does not return. */
_Noreturn void helper_become(enum helper_task task, int fd, const char *name);

bool helper_is_meant(int argc, char **argv);
int helper_main(int argc, char **argv);

/* Over a stream socket. Return 0, or the descriptor, or -1. */
int helper_send_fd(int sock, int fd);
int helper_receive_fd(int sock);

/* Opens the semaphore, making it with the value 1 if it is not there. NULL: no. */
sem_t *helper_semaphore(const char *name);

#endif
