/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/judge.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/own.h"
#include "cli/say.h"

void judge_init(struct judge *judge)
{
	OWN_FD self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	find_parts(&judge->parts);
	if (self < 0 || binary_read(self, &judge->tool) < 0)
		fail("cannot read /proc/self/exe; is /proc mounted?");
}

void judge_deinit(struct judge *judge)
{
	binary_deinit(&judge->tool);
}

const char *judge_reach_name(enum reach reach)
{
	static const char *const names[] = {
		[REACH_YES] = "yes", [REACH_NO] = "no", [REACH_MAY] = "?", [REACH_NONE] = NULL,
	};

	return names[reach];
}

/* Where distributions have the libraries of other machines and libcs: beside each other. */
static const char *const folders[] = {
	".", "i386-linux-gnu", "i386-linux-musl", "x86_64-linux-gnu", "x86_64-linux-musl",
	"x86_64-linux-gnux32", "aarch64-linux-musl", "arm-linux-gnueabihf", "lib", "lib32", "lib64",
	"libx32", "musl", NULL,
};

static bool takes_musl(const struct binary *binary)
{
	return binary->interpreter && strstr(binary->interpreter, "ld-musl");
}

static bool needs_musl(const struct binary *library)
{
	for (size_t i = 0; i < library->needed_count; i++)
		if (strncmp(library->needed[i], "libc.musl", strlen("libc.musl")) == 0 ||
		    strcmp(library->needed[i], "libc.so") == 0)
			return true;
	return false;
}

/* Whether a library can be loaded by a program. */
static bool fits(const char *path, const struct binary *program)
{
	OWN_FD file = open(path, O_RDONLY | O_CLOEXEC);
	struct binary library;
	bool is_right;

	if (file < 0 || binary_read(file, &library) < 0)
		return false;
	is_right = library.machine == program->machine && library.is_wide == program->is_wide &&
	           library.type == ET_DYN && needs_musl(&library) == takes_musl(program);
	binary_deinit(&library);
	return is_right;
}

/* Beside ours, or in the folder of another kind beside that. */
static bool find_library(const struct judge *judge, const struct binary *program,
                         char ret_path[static PATH_MAX])
{
	const char *name = takes_musl(program) ? "libshmemu-musl.so" : "libshmemu.so";
	char own[PATH_MAX];
	char *slash;

	snprintf(own, sizeof own, "%s", judge->parts.library);
	for (int up = 0; up < 3 && (slash = strrchr(own, '/')); up++) {
		*slash = '\0';
		for (size_t i = 0; folders[i]; i++) {
			char path[PATH_MAX + 64];

			snprintf(path, sizeof path, "%s/%s/%s", own, folders[i], name);
			if (fits(path, program) && realpath(path, ret_path))
				return true;
		}
	}
	return false;
}

static struct judgement judge_other_kind(const struct judge *judge, const struct binary *binary)
{
	struct judgement judgement = {REACH_NO, ""};
	char path[PATH_MAX];
	char kind[128];

	snprintf(kind, sizeof kind, "%s, %s", binary_machine(binary),
	         takes_musl(binary) ? "musl" : basename(binary->interpreter));
	if (find_library(judge, binary, path)) {
		judgement.reach = REACH_YES;
		snprintf(judgement.words, sizeof judgement.words,
		         "of another kind (%s), for which LD_PRELOAD must have %.800s", kind, path);
		return judgement;
	}
	snprintf(judgement.words, sizeof judgement.words, "of another kind (%s): the library there "
	         "is (%s, %s) can't be loaded, and no other is installed", kind,
	         binary_machine(&judge->tool), basename(judge->tool.interpreter));
	return judgement;
}

/* The loader itself has no loader, but reads LD_PRELOAD for what it is given. */
static bool is_loader(const struct binary *binary)
{
	return binary->soname && (strncmp(binary->soname, "ld-", 3) == 0 ||
	                          strncmp(binary->soname, "ld64.", 5) == 0);
}

static bool runs_here(const struct judge *judge, const struct binary *binary)
{
	bool is_narrow = judge->tool.machine == EM_X86_64 && binary->machine == EM_386;

	return !binary->is_foreign && (binary->machine == judge->tool.machine || is_narrow);
}

/* What has our loader has our libc. */
static bool is_like_tool(const struct judge *judge, const struct binary *binary)
{
	const struct binary *tool = &judge->tool;

	return binary->machine == tool->machine && binary->is_wide == tool->is_wide &&
	       strcmp(basename(binary->interpreter), basename(tool->interpreter)) == 0;
}

struct judgement judge_binary(const struct judge *judge, const struct binary *binary)
{
	struct judgement judgement = {REACH_YES, ""};
	const char *machine = binary_machine(binary);
	size_t size = sizeof judgement.words;

	if (!runs_here(judge, binary)) {
		judgement.reach = REACH_NO;
		snprintf(judgement.words, size, "for %s: if an emulator runs it, the library of "
		         "this machine is not its own", machine);
	} else if (binary->type != ET_EXEC && binary->type != ET_DYN) {
		judgement.reach = REACH_NO;
		snprintf(judgement.words, size, "no program: it can't be executed");
	} else if (is_loader(binary)) {
		judgement.reach = REACH_MAY;
		snprintf(judgement.words, size, "the dynamic loader: what it is given to load "
		         "decides");
	} else if (!binary->interpreter && binary->version[0]) {
		snprintf(judgement.words, size, "static, and linked with libshmemu %s",
		         binary->version);
	} else if (!binary->interpreter) {
		judgement.reach = REACH_NO;
		snprintf(judgement.words, size, "static: nothing loads a library into it; shmemu "
		         "run --mount-dev-shm gives it a /dev/shm");
	} else if (!is_like_tool(judge, binary)) {
		return judge_other_kind(judge, binary);
	} else if (binary->needed_count == 0) {
		judgement.reach = REACH_MAY;
		snprintf(judgement.words, size, "linked to no library: what it asks the kernel "
		         "by itself is not seen");
	} else {
		snprintf(judgement.words, size, "%s, %s", machine, basename(binary->interpreter));
	}
	return judgement;
}

/* What a file gives to who executes it, in words; "" if nothing that the loader would mind. As the
 * kernel has it: bprm->secureexec. */
static const char *rights_of(const char *path, const struct stat *status)
{
	char value[64];

	if (status->st_mode & S_ISUID && status->st_uid != getuid())
		return "setuid";
	if ((status->st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) &&
	    status->st_gid != getgid())
		return "setgid";
	if (getuid() != 0 && getxattr(path, "security.capability", value, sizeof value) > 0)
		return "with capabilities of its own";
	return "";
}

/* Whether an id is one of this user namespace's: in a line "FIRST ELSEWHERE COUNT" of its map. */
static bool is_mapped(const char *map, unsigned id)
{
	FILE *lines = fopen(map, "re");
	unsigned first, count;
	bool found = !lines;

	while (lines && !found && fscanf(lines, "%u %*u %u", &first, &count) == 2)
		found = id >= first && id - first < count;
	if (lines)
		fclose(lines);
	return found;
}

/* Why a file's rights have no effect here; NULL: they have. */
static const char *refusal_of_rights(const char *path, const struct stat *status)
{
	struct statvfs mount;

	if (!is_mapped("/proc/self/uid_map", status->st_uid) ||
	    !is_mapped("/proc/self/gid_map", status->st_gid))
		return "its owner is not known in this user namespace";
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)
		return "no_new_privs is set";
	if (statvfs(path, &mount) == 0 && mount.f_flag & ST_NOSUID)
		return "its mount is nosuid";
	return NULL;
}

struct judgement judge_program(const struct judge *judge, const char *path,
                               const struct binary *binary)
{
	struct judgement judgement = judge_binary(judge, binary);
	const char *rights, *refusal;
	struct stat status;
	size_t length;

	if (stat(path, &status) < 0 || judgement.reach == REACH_NO)
		return judgement;
	rights = rights_of(path, &status);
	if (!*rights)
		return judgement;
	refusal = refusal_of_rights(path, &status);
	if (!refusal) {
		judgement.reach = REACH_NO;
		snprintf(judgement.words, sizeof judgement.words, "%s: the loader ignores "
		         "LD_PRELOAD for a program with more rights than its caller", rights);
		return judgement;
	}
	length = strlen(judgement.words);
	snprintf(judgement.words + length, sizeof judgement.words - length,
	         "; %s, but without effect: %s", rights, refusal);
	return judgement;
}
