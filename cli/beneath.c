/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The loader takes the libraries of LD_PRELOAD first and those of /etc/ld.so.preload next, so the
 * shim is beneath what a user preloads and above libc. The words are a comment in that file: there
 * is no second file to find, and where one is mounted already a nested `without` mounts the
 * longer one on top of it. The words of the innermost come first: a program's call meets that
 * host first. There is one comment and no other, for the loader of glibc 2.36 looks for a second
 * one in a wrong place, and takes what is in it for libraries. Where there is no such file /etc is
 * made anew, since a file can't be mounted where there is no name for it, and the real /etc is
 * not ours to write to. */
#include "cli/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"
#include "cli/anew.h"
#include "cli/say.h"

enum { CONTENT_MAX = 1 << 16 };

#define ETC "/etc"
#define NAME "ld.so.preload"
#define BLANKS " \t\n"

static bool is_left_out(const void *context, const char *name)
{
	return strcmp(name, NAME) == 0;
}

static char *words_line(const struct withheld *words, size_t count)
{
	char *line;
	size_t size;
	FILE *stream = open_memstream(&line, &size);

	if (!stream)
		fail("cannot tell the shim what to withhold: %s", strerror(ENOMEM));
	for (size_t i = 0; i < count; i++) {
		struct text word = TEXT_NULL;

		withheld_print(&word, &words[i]);
		fprintf(stream, "%s%s", i ? " " : "", word.bytes);
	}
	if (fclose(stream) != 0)
		fail("cannot tell the shim what to withhold: %s", strerror(ENOMEM));
	return line;
}

/* What is in the file now, the working folder's. */
static void read_before(char ret_content[static CONTENT_MAX])
{
	OWN_FD fd = sys_openat(AT_FDCWD, NAME, O_RDONLY | O_CLOEXEC, 0);
	size_t size = 0;
	ssize_t got;

	if (fd < 0 && fd != -ENOENT)
		fail("cannot read " ETC "/" NAME ": %s", strerror(-fd));
	while (fd >= 0 && size < CONTENT_MAX - 1 &&
	       (got = sys_read(fd, ret_content + size, CONTENT_MAX - 1 - size)) > 0)
		size += (size_t)got;
	if (size == CONTENT_MAX - 1)
		fail(ETC "/" NAME " is longer than is good");
	ret_content[size] = '\0';
}

static bool has_item(const char *list, const char *item, const char *separators)
{
	size_t length = strlen(item), span;

	for (; *list; list += span + strspn(list + span, separators)) {
		span = strcspn(list, separators);
		if (span == length && memcmp(list, item, length) == 0)
			return true;
	}
	return false;
}

/* Takes comments out of what was in the file, and prints the words that are among them. */
static void take_comments(char *content, FILE *stream)
{
	static const char mark[] = WITHHELD_MARK;
	char *comment;

	while ((comment = strchr(content, '#'))) {
		size_t length = strcspn(comment, "\n");

		if (length > strlen(mark) && strncmp(comment, mark, strlen(mark)) == 0)
			fprintf(stream, " %.*s", (int)(length - strlen(mark)),
			        comment + strlen(mark));
		memset(comment, ' ', length);
	}
}

static void write_file(const char *path, const char *shim, const char *words)
{
	char before[CONTENT_MAX];
	size_t length;
	FILE *stream;

	read_before(before);
	stream = fopen(path, "wxe");
	if (!stream)
		fail("cannot make %s for this command: %s", path, strerror(errno));
	fprintf(stream, WITHHELD_MARK "%s", words);
	take_comments(before, stream);
	length = strspn(before, BLANKS);
	fprintf(stream, "\n%s", before + length);
	length += strlen(before + length);
	if (!has_item(before, shim, BLANKS ":"))
		fprintf(stream, "%s%s\n", length && before[length - 1] != '\n' ? "\n" : "", shim);
	if (fchmod(fileno(stream), 0444) < 0 || fclose(stream) != 0)
		fail("cannot write %s for this command: %s", path, strerror(errno));
}

/* The file to mount is made in a tmpfs that lies on /etc for that long. */
static void replace_file(struct anew *anew, const char *shim, const char *words)
{
	anew_cover(anew, MS_NOSUID | MS_NODEV);
	write_file(ETC "/" NAME, shim, words);
	if (mount(ETC "/" NAME, NAME, NULL, MS_BIND, NULL) < 0)
		fail("cannot mount a new " ETC "/" NAME " for this command: %s", strerror(errno));
	if (umount2(ETC, MNT_DETACH) < 0)
		fail("cannot unmount what made " ETC "/" NAME ": %s", strerror(errno));
}

static void make_folder(struct anew *anew, const char *shim, const char *words)
{
	anew_cover(anew, MS_NOSUID | MS_NODEV);
	anew_copy(anew, is_left_out, NULL);
	write_file(ETC "/" NAME, shim, words);
}

void beneath_mount(const char *shim, const struct withheld *words, size_t count)
{
	char *line = words_line(words, count);
	struct stat status;
	struct anew anew;

	anew_begin(&anew, ETC);
	/* A link would lead elsewhere while /etc is covered. */
	if (fstatat(AT_FDCWD, NAME, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(status.st_mode)) {
		replace_file(&anew, shim, line);
		anew_leave(&anew);
	} else {
		make_folder(&anew, shim, line);
		anew_end(&anew, geteuid() != 0);
	}
	free(line);
}

static void put(const char *name, const char *first, char separator, const char *second)
{
	char *both;

	if (asprintf(&both, "%s%c%s", first, separator, second) < 0)
		fail("cannot set %s: %s", name, strerror(ENOMEM));
	setenv(name, second[0] ? both : first, 1);
	free(both);
}

void beneath_export(const char *shim, const struct withheld *words, size_t count)
{
	char *line = words_line(words, count);
	const char *words_before = getenv(WITHHELD_VARIABLE);
	const char *before = getenv("LD_PRELOAD");

	put(WITHHELD_VARIABLE, line, ' ', words_before ? words_before : "");
	if (!before || !before[0])
		setenv("LD_PRELOAD", shim, 1);
	else if (!has_item(before, shim, ": "))
		put("LD_PRELOAD", before, ':', shim);
	free(line);
}
