/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Small files of /proc/PID. */
#ifndef SHMEMU_FUSE_PROC_H
#define SHMEMU_FUSE_PROC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

/* Reads the beginning of /proc/PID/FILE, at most size - 1 bytes, and puts a NUL behind. Returns
 * the bytes read or -errno, and then `bytes` is the empty string. */
ssize_t proc_read(pid_t pid, const char *file, char *bytes, size_t size);

/* Opens /proc/PID/FILE for reading: a descriptor that is the caller's, or -errno. */
int proc_open(pid_t pid, const char *file);

/* stat(2) of /proc/PID/FILE, through links. Returns 0 or -errno. */
int proc_stat(pid_t pid, const char *file, struct stat *ret_status);

/* Has the process of a pidfd (borrowed) not ended yet? */
bool proc_is_alive(int pidfd);

/* What a process's "status" says, read before or (NULL) now. A capability is one in our user
 * namespace, a group a supplementary one. A process that can't be asked has none. */
enum { PROC_STATUS_SIZE = 8192 };
bool proc_has_capability(pid_t pid, const char *status, int capability);
bool proc_has_group(pid_t pid, const char *status, gid_t gid);

/* A soft limit (PROC_UNLIMITED: none), by the beginning of its line in /proc/PID/limits, with the
 * newline before; `unknown` if it can't be read. prlimit(2) would not say it of another user's
 * process. */
#define PROC_UNLIMITED UINT64_MAX
uint64_t proc_limit(pid_t pid, const char *key, uint64_t unknown);

/* The rest of the line of a status that begins so, or NULL. */
const char *proc_status_line(const char *status, const char *key);

#endif
