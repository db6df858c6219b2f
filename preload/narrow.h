/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Calls of programs that have a 32-bit off_t and ino_t, and so a struct stat and the like of their
 * own: what i386's libc has under the plain names. All of ours is done with 64-bit ones (wide.h),
 * and what does not fit is EOVERFLOW, as the kernel and libc have it.
 *
 * meson puts this before each source that is built for them: the narrow_*.c, and some of those that
 * are built with a 64-bit off_t besides. They have a table of real functions of their own, of those
 * with the plain names. */
#ifndef SHMEMU_PRELOAD_NARROW_H
#define SHMEMU_PRELOAD_NARROW_H

#define SHMEMU_NARROW 1

/* What the sources that are built twice call, and has such a struct in it. */
#define real_table narrow_table
#define path_stat narrow_path_stat
#define dir_next narrow_dir_next

#endif
