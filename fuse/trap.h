/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Hosts, such as Android, whose system call filter answers by a SIGSYS. */
#ifndef SHMEMU_FUSE_TRAP_H
#define SHMEMU_FUSE_TRAP_H

/* From here on such a call fails with ENOSYS, in this process and in its children. */
void trap_calls(void);

#endif
