/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the worker can do without, once it serves. */
#ifndef SHMEMU_FUSE_HARDEN_H
#define SHMEMU_FUSE_HARDEN_H

#include <stdbool.h>

enum harden { HARDEN_AUTO, HARDEN_REQUIRE, HARDEN_OFF };

/* A sanitizer's own work takes calls that serving does not: built so, it is off. */
#ifndef HARDEN_DEFAULT
#define HARDEN_DEFAULT HARDEN_AUTO
#endif

/* Gives up the right to gain rights, all capabilities but those that opening, changing and
 * describing others' segments takes (and, `mounted`, what the FUSE door takes), and every
 * system call that serving does not take: such a call is ENOSYS from now on. Before any thread is
 * made. Returns 0 or -errno; HARDEN_AUTO goes as far as the host lets it. */
int harden(enum harden how, bool mounted);

#endif
