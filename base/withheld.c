/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/withheld.h"

#include <errno.h>
#include <string.h>

static const char *const names[WITHHELD_COUNT] = {
	[WITHHELD_MMAP] = "mmap",
	[WITHHELD_MMAP_FILE] = "mmap-file",
	[WITHHELD_MMAP_SHARED] = "mmap-shared",
	[WITHHELD_MMAP_SHARED_ANONYMOUS] = "mmap-shared-anonymous",
	[WITHHELD_MSYNC] = "msync",
	[WITHHELD_MREMAP] = "mremap",
	[WITHHELD_MADVISE] = "madvise",
	[WITHHELD_MPROTECT] = "mprotect",
	[WITHHELD_MUNMAP] = "munmap",
	[WITHHELD_FTRUNCATE] = "ftruncate",
	[WITHHELD_FALLOCATE] = "fallocate",
	[WITHHELD_MEMFD_CREATE] = "memfd_create",
	[WITHHELD_SEM_OPEN] = "sem_open",
};

static const char *const moments[] = {
	[WITHHELD_AFTER] = "after",
	[WITHHELD_NTH] = "nth",
	[WITHHELD_CHANCE] = "chance",
};

int withheld_find(const char *name, size_t length)
{
	for (int i = 0; i < WITHHELD_COUNT; i++)
		if (strlen(names[i]) == length && memcmp(names[i], name, length) == 0)
			return i;
	return -ENOENT;
}

static void print_pair(struct text *text, const char *name, uint64_t number)
{
	text_string(text, ",");
	text_string(text, name);
	text_string(text, "=");
	text_number(text, (long long)number);
}

void withheld_print(struct text *text, const struct withheld *withheld)
{
	text_string(text, names[withheld->what]);
	text_string(text, "=");
	text_number(text, withheld->error);
	if (withheld->moment == WITHHELD_ALWAYS)
		return;
	print_pair(text, moments[withheld->moment], withheld->number);
	if (withheld->moment == WITHHELD_CHANCE)
		print_pair(text, "seed", withheld->seed);
}

static size_t span(const char *text, const char *end, const char *stops)
{
	size_t length = 0;

	while (text + length < end && !strchr(stops, text[length]))
		length++;
	return length;
}

static int parse_number(const char *text, size_t length, uint64_t *ret_number)
{
	uint64_t number = 0;

	if (length == 0 || length > 19)
		return -EINVAL;
	for (size_t i = 0; i < length; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -EINVAL;
		number = number * 10 + (uint64_t)(text[i] - '0');
	}
	*ret_number = number;
	return 0;
}

/* What comes behind a comma. */
static int parse_pair(const char *text, size_t length, struct withheld *withheld)
{
	size_t name = span(text, text + length, "=");
	uint64_t number;

	if (name == length || parse_number(text + name + 1, length - name - 1, &number) < 0)
		return -EINVAL;
	if (name == strlen("seed") && memcmp(text, "seed", name) == 0) {
		withheld->seed = number;
		return 0;
	}
	for (int i = WITHHELD_AFTER; i <= WITHHELD_CHANCE; i++) {
		if (strlen(moments[i]) != name || memcmp(text, moments[i], name) != 0)
			continue;
		withheld->moment = (enum withheld_moment)i;
		withheld->number = number;
		return 0;
	}
	return -EINVAL;
}

static int parse_word(const char *text, const char *end, struct withheld *withheld)
{
	size_t length = span(text, end, "=");
	int what = withheld_find(text, length);
	uint64_t error;

	if (what < 0 || text + length == end)
		return -EINVAL;
	text += length + 1;
	length = span(text, end, ",");
	if (parse_number(text, length, &error) < 0 || error == 0 || error > 4095)
		return -EINVAL;
	*withheld = (struct withheld){.what = (enum withheld_what)what, .error = (int)error};
	for (text += length; text < end; text += length) {
		text++;
		length = span(text, end, ",");
		if (parse_pair(text, length, withheld) < 0)
			return -EINVAL;
	}
	return 0;
}

int withheld_parse(const char **text, const char *end, struct withheld *ret_withheld)
{
	struct withheld withheld;
	const char *word;
	int result;

	while (*text < end && **text == ' ')
		(*text)++;
	if (*text == end || **text == '\n' || **text == '\0')
		return -ENOENT;
	word = *text;
	*text += span(word, end, " \n");
	result = parse_word(word, *text, &withheld);
	if (result == 0)
		*ret_withheld = withheld;
	return result;
}
