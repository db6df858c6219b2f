/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The process's file mode creation mask, read without setting it. */
#ifndef SHMEMU_PRELOAD_UMASK_H
#define SHMEMU_PRELOAD_UMASK_H

#include <sys/types.h>

mode_t umask_read(void);

#endif
