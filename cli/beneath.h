/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The shim, libshmemu-without.so, put beneath COMMAND and all that it starts. What is there of an
 * outer `shmemu without` stays. Each ends the program with one line when the host refuses. */
#ifndef SHMEMU_CLI_BENEATH_H
#define SHMEMU_CLI_BENEATH_H

#include "base/withheld.h"

/* By an /etc/ld.so.preload that nobody else sees, in a mount namespace of one's own. `shim` is
 * the file's path. */
void beneath_mount(const char *shim, const struct withheld *words, size_t count);

/* By the environment, which a program may replace. */
void beneath_export(const char *shim, const struct withheld *words, size_t count);

#endif
