/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* For probes that ask about files and folders in /dev/shm. */
#ifndef SHMEMU_TESTS_PROBES_TREE_H
#define SHMEMU_TESTS_PROBES_TREE_H

#include <stddef.h>
#include <sys/types.h>

#include "tests/probes/probe.h"

/* Each probe's own, and what else it may make. */
#define SHM "/dev/shm"
#define TOP SHM "/top"

/* A call as it is written, and what came of it. */
#define ask(call) say("%s: %s", #call, outcome(call))
/* Of a call that returns a descriptor, which is closed; or a FILE or DIR, which is not. */
#define ask_fd(call) say("%s: %s", #call, tree_closed(call))
#define ask_pointer(call) say("%s: %s", #call, outcome((call) ? 0 : -1))
/* Of a call that returns an errno. */
#define ask_errno(call) say("%s: %s", #call, tree_error(call))

/* A line that the table in tests/conform/differences.c may know, by its class, to be another one in
 * some world. The class is the line's own. */
#define differs(class, format, ...) say("{" class "} " format, __VA_ARGS__)

const char *tree_closed(int fd);
const char *tree_error(int error);

/* Run as root or as an ordinary user, it makes TOP with umask 022, runs the body, and removes all
 * that is in TOP, and TOP. */
void tree_run(void (*body)(void));
void tree_remove(const char *path);

/* Makes a file that holds the text, whatever the umask. Dies if it can't. */
void tree_make(const char *path, mode_t mode, const char *text);

/* Says what kind a thing is, and its mode, links, owner and size. */
void tree_show(const char *path);

/* Says what is in a file. */
void tree_tell(const char *path);

/* Says the names in a folder, in order, with their kinds. */
void tree_names(const char *path);

/* The path of a fresh folder's file or the like: "TOP/" and `length` times the byte. Not to be
 * kept: one of four. */
const char *tree_long(const char *before, int byte, size_t length);

/* Becomes a user, with a group of the same number and no others, in a child, and runs the body. */
void tree_as(uid_t uid, void (*body)(void));

#endif
