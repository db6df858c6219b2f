/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Libraries are looked for as ld.so(8) does: where the file that needs them says, in
 * LD_LIBRARY_PATH, in the folders of /etc/ld.so.conf and in the usual ones. */
#include "cli/uses.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"

enum { LIBRARIES_MAX = 96, FOLDERS_MAX = 64 };

static const char *const calls[] = {
	"shm_open", "sem_open", "mq_open", "shmget", "semget", "msgget", "memfd_create", NULL,
};

/* libc's own: they have the calls, or are libc's way to them. */
static const char *const beneath[] = {
	"libc.", "ld-", "libpthread.", "librt.", "libm.", "libdl.", "linux-vdso", "libshmemu", NULL,
};

struct search {
	char *folders[FOLDERS_MAX]; /* owned */
	size_t folder_count;
	char *names[LIBRARIES_MAX]; /* owned: of those that were seen */
	size_t name_count;
	char *text;
	size_t size;
	size_t length;
	bool loads;        /* one of them calls dlopen(3) */
	char missing[256]; /* a library that was not found */
};

static void say_more(struct search *search, const char *before, const char *words)
{
	if (search->length < search->size)
		search->length += (size_t)snprintf(search->text + search->length,
		                                   search->size - search->length, "%s%s", before,
		                                   words);
}

static void add_folder(struct search *search, const char *path, size_t length)
{
	if (length && search->folder_count < FOLDERS_MAX)
		search->folders[search->folder_count++] = strndup(path, length);
}

static void add_list(struct search *search, const char *list)
{
	while (list && *list) {
		size_t length = strcspn(list, ":");

		add_folder(search, list, length);
		list += length + (list[length] == ':');
	}
}

/* A line is a folder, or "include PATTERN", down to a depth. */
static void read_configuration(struct search *search, const char *path, int depth)
{
	FILE *file = depth ? fopen(path, "re") : NULL;
	char *line = NULL;
	size_t size = 0;

	while (file && getline(&line, &size, file) > 0) {
		size_t length = strcspn(line, "#\n");
		char pattern[256];

		while (length && (line[length - 1] == ' ' || line[length - 1] == '\t'))
			length--;
		line[length] = '\0';
		if (sscanf(line, "include %255s", pattern) == 1) {
			glob_t found = {.gl_pathc = 0};

			if (glob(pattern, 0, NULL, &found) == 0)
				for (size_t i = 0; i < found.gl_pathc; i++)
					read_configuration(search, found.gl_pathv[i], depth - 1);
			globfree(&found);
		} else {
			add_folder(search, line, length);
		}
	}
	free(line);
	if (file)
		fclose(file);
}

static void find_folders(struct search *search)
{
	static const char *const usual[] = {"/lib", "/usr/lib", "/lib64", "/usr/lib64", NULL};

	add_list(search, getenv("LD_LIBRARY_PATH"));
	read_configuration(search, "/etc/ld.so.conf", 4);
	for (size_t i = 0; usual[i]; i++)
		add_folder(search, usual[i], strlen(usual[i]));
}

/* Returns a descriptor of a file of the same kind, or -ENOENT. */
static int open_fitting(const char *path, const struct binary *like, struct binary *ret_binary)
{
	OWN_FD file = open(path, O_RDONLY | O_CLOEXEC);

	if (file < 0 || binary_read(file, ret_binary) < 0)
		return -ENOENT;
	if (ret_binary->machine == like->machine && ret_binary->is_wide == like->is_wide)
		return 0;
	binary_deinit(ret_binary);
	return -ENOENT;
}

/* A folder of the needing file's own: $ORIGIN is where that lies. */
static int open_by_runpath(const char *name, const char *user, const struct binary *binary,
                           char path[static PATH_MAX], struct binary *ret_binary)
{
	const char *list = binary->runpath;
	const char *slash = strrchr(user, '/');

	while (list && *list) {
		size_t length = strcspn(list, ":");
		size_t skipped = strncmp(list, "$ORIGIN", 7) == 0 ? 7 :
			strncmp(list, "${ORIGIN}", 9) == 0 ? 9 : 0;

		snprintf(path, PATH_MAX, "%.*s%.*s/%s", skipped && slash ? (int)(slash - user) : 0,
		         user, (int)(length - skipped), list + skipped, name);
		if (open_fitting(path, binary, ret_binary) == 0)
			return 0;
		list += length + (list[length] == ':');
	}
	return -ENOENT;
}

static int open_library(const struct search *search, const char *name, const char *user,
                        const struct binary *binary, char path[static PATH_MAX],
                        struct binary *ret_binary)
{
	if (strchr(name, '/')) {
		snprintf(path, PATH_MAX, "%s", name);
		return open_fitting(path, binary, ret_binary);
	}
	if (open_by_runpath(name, user, binary, path, ret_binary) == 0)
		return 0;
	for (size_t i = 0; i < search->folder_count; i++) {
		snprintf(path, PATH_MAX, "%s/%s", search->folders[i], name);
		if (open_fitting(path, binary, ret_binary) == 0)
			return 0;
	}
	return -ENOENT;
}

static bool is_new(struct search *search, const char *name)
{
	for (size_t i = 0; beneath[i]; i++)
		if (strncmp(name, beneath[i], strlen(beneath[i])) == 0)
			return false;
	for (size_t i = 0; i < search->name_count; i++)
		if (strcmp(search->names[i], name) == 0)
			return false;
	if (search->name_count == LIBRARIES_MAX)
		return false;
	search->names[search->name_count++] = strdup(name);
	return true;
}

/* `who` is NULL for the program itself. */
static void describe(struct search *search, const char *who, const struct binary *binary)
{
	bool is_first = true;

	search->loads = search->loads || binary_imports(binary, "dlopen");
	for (size_t i = 0; calls[i]; i++) {
		if (!binary_imports(binary, calls[i]))
			continue;
		if (is_first && who)
			say_more(search, "; ", who);
		say_more(search, !is_first ? ", " : who ? " asks for " : "; asks for ", calls[i]);
		is_first = false;
	}
}

static void look_through(struct search *search, const char *path, const struct binary *binary)
{
	for (size_t i = 0; i < binary->needed_count; i++) {
		const char *name = binary->needed[i];
		char found[PATH_MAX];
		struct binary library;

		if (!is_new(search, name))
			continue;
		if (open_library(search, name, path, binary, found, &library) < 0) {
			snprintf(search->missing, sizeof search->missing, "%s", name);
			continue;
		}
		describe(search, name, &library);
		/* No deeper than LIBRARIES_MAX: each name is seen once. */
		look_through(search, found, &library);
		binary_deinit(&library);
	}
}

void uses_describe(const char *path, const struct binary *binary, char *ret_text, size_t size)
{
	struct search search = {.text = ret_text, .size = size};

	ret_text[0] = '\0';
	find_folders(&search);
	describe(&search, NULL, binary);
	look_through(&search, path, binary);
	if (!search.length)
		say_more(&search, "", "; asks for no shared memory by name");
	if (search.loads)
		say_more(&search, "", ", and may load what does (dlopen)");
	if (search.missing[0]) {
		say_more(&search, "; ", search.missing);
		say_more(&search, " ", "was not found");
	}
	for (size_t i = 0; i < search.folder_count; i++)
		free(search.folders[i]);
	for (size_t i = 0; i < search.name_count; i++)
		free(search.names[i]);
}
