/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuse/mount_options.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What mount(8) and systemd read in /etc/fstab, and some versions of mount(8) pass on; libfuse does
 * not know them. */
static bool is_for_mount(const char *word)
{
	static const char *const words[] = {
		"defaults", "auto",  "noauto",  "user",  "nouser",  "users",   "nousers", "owner",
		"noowner",  "group", "nogroup", "_rnetdev", "_netdev", "nofail", "loud",  "silent",
	};
	static const char *const beginnings[] = {"user=", "comment=", "x-", "X-", "uhelper=",
	                                         "helper="};

	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (strcmp(word, words[i]) == 0)
			return true;
	for (size_t i = 0; i < sizeof beginnings / sizeof beginnings[0]; i++)
		if (strncmp(word, beginnings[i], strlen(beginnings[i])) == 0)
			return true;
	return false;
}

int mount_options_append(char **rest, const char *words)
{
	char *longer;

	if (asprintf(&longer, "%s%s%s", *rest ? *rest : "", *rest ? "," : "", words) < 0)
		return -ENOMEM;
	free(*rest);
	*rest = longer;
	return 0;
}

/* Where the word that begins here ends: at a comma without a backslash before it. */
static size_t word_length(const char *list)
{
	size_t length = 0;

	while (list[length] && list[length] != ',')
		length += list[length] == '\\' && list[length + 1] ? 2 : 1;
	return length;
}

static int sort_word(char *word, bool (*take)(void *, const char *, const char *), void *details,
                     char **rest)
{
	char *equals = strchr(word, '=');
	bool taken;

	if (!word[0] || is_for_mount(word))
		return 0;
	if (equals)
		*equals = '\0';
	taken = take(details, word, equals ? equals + 1 : NULL);
	if (equals)
		*equals = '=';
	return taken ? 0 : mount_options_append(rest, word);
}

int mount_options_split(char *list, bool (*take)(void *details, const char *key, const char *value),
                        void *details, char **rest)
{
	int result = 0;

	while (*list && result == 0) {
		size_t length = word_length(list);
		char *next = list + length + (list[length] == ',');

		list[length] = '\0';
		result = sort_word(list, take, details, rest);
		list = next;
	}
	return result;
}

int mount_options_add(char **rest, const char *key, const char *value)
{
	char *word = malloc(strlen(key) + 2 * strlen(value) + 2);
	char *end;
	int result;

	if (!word)
		return -ENOMEM;
	end = stpcpy(stpcpy(word, key), "=");
	for (; *value; value++) {
		if (*value == ',' || *value == '\\')
			*end++ = '\\';
		*end++ = *value;
	}
	*end = '\0';
	result = mount_options_append(rest, word);
	free(word);
	return result;
}
