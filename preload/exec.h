/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Executing a program wherever its path leads. */
#ifndef SHMEMU_PRELOAD_EXEC_H
#define SHMEMU_PRELOAD_EXEC_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

/* Scripts that are run by scripts, as many as the kernel follows; and the words that each puts
 * before. */
enum { EXEC_SCRIPTS_MAX = 5, EXEC_SPARE = 2 * EXEC_SCRIPTS_MAX + 1, EXEC_LINE = 256 };

/* What is to be executed. It lives on the stack: after vfork all other memory is the parent's. */
struct exec_plan {
	char path[PATH_MAX];  /* for the real function */
	int fd;               /* owned: the path names it; -1: it is a file of the host's */
	bool is_script;       /* the interpreter needs fd too */
	bool is_held;         /* the daemon has it open for writing */
	char **argv;
	char lines[EXEC_SCRIPTS_MAX][EXEC_LINE]; /* of "#!" */
};

/* Words in `argv`, which may be NULL. */
size_t exec_count(char *const argv[]);

/* Finds out. `path` is none that way_is_foreign says it of. `argv_room` has room for EXEC_SPARE + 1
 * words more than `argv` has, and ret_plan->argv is in it. A script in the store is run by its
 * interpreter here, with the path `name`, if the environment has the interpreter find that. Returns
 * 0 or -errno. */
int exec_plan(const char *path, const char *name, char *const argv[], char *const envp[],
              char **argv_room, struct exec_plan *ret_plan);

/* May this process execute the file? By the kernel's word: 0 or -errno. */
int exec_check(const struct exec_plan *plan);

/* Has a copy of the file executed in its place, for what the kernel refuses with ETXTBSY; if it is
 * the daemon's doing. Returns 0 or -errno. */
int exec_copy(struct exec_plan *plan);

/* Closes what is to be closed. */
void exec_deinit(struct exec_plan *plan);

/* Makes the descriptor outlive the execution, if the interpreter needs it. */
void exec_keep(const struct exec_plan *plan);

/* A file that was found along PATH. */
struct exec_found {
	const char *folder; /* in the environment; not ended by a NUL */
	size_t length;
	size_t path_size; /* of its path, with the NUL */
};

/* Looks along PATH, as execvp does, where some folder of it may be ours. Returns true with what is
 * to be executed, or to fail, if it is none that the real function would find. */
bool exec_search(const char *file, struct exec_found *ret_found);

/* The path of it: path_size bytes. */
void exec_path(const struct exec_found *found, const char *file, char *ret_path);

#endif
