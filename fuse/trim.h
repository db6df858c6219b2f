/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef SHMEMU_FUSE_TRIM_H
#define SHMEMU_FUSE_TRIM_H

/* Lets go of the pages of programs and libraries that starting up, or work, has touched. What goes
 * on being used is mapped again when it is. */
void trim_program(void);

#endif
