/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Threads of the daemon, which has none but for what may take for ever. */
#ifndef SHMEMU_FUSE_THREAD_H
#define SHMEMU_FUSE_THREAD_H

#include <stdbool.h>

/* Starts one that is waited for by nobody, gets no signals, and has a small stack. False: there can
 * be no more. */
bool thread_start(void *(*run)(void *));

#endif
