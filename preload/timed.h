/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Calls of 32-bit programs that are built with a 64-bit time_t (_TIME_BITS), whose names in libc
 * are others where a time is in their arguments: calls.def's TIMED. As with narrow.h, meson puts
 * this before the sources that are built for them; some are built for all. */
#ifndef SHMEMU_PRELOAD_TIMED_H
#define SHMEMU_PRELOAD_TIMED_H

#define SHMEMU_TIMED 1

#define real_table timed_table
#define real_name real_name_timed
#define path_stat timed_path_stat

#endif
