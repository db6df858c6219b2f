/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/path.h"

#include <errno.h>
#include <string.h>

static const char *const folder[] = {"dev", "shm"};

enum { FOLDER_DEPTH = sizeof folder / sizeof folder[0] };

static bool is_word(const char *part, size_t length, const char *word)
{
	return strlen(word) == length && memcmp(part, word, length) == 0;
}

static int take_name(const char *part, size_t length, struct name *ret_name)
{
	if (length > NAME_LENGTH_MAX)
		return -ENAMETOOLONG;
	/* Anything behind it, a slash too, would need it to be a folder. */
	if (part[length])
		return PATH_FOREIGN;
	memcpy(ret_name->bytes, part, length);
	ret_name->bytes[length] = '\0';
	ret_name->length = length;
	return PATH_NAME;
}

int path_judge(const char *path, struct name *ret_name)
{
	size_t depth = 0;
	size_t length;

	if (!path || path[0] != '/')
		return PATH_FOREIGN;
	for (const char *part = path + strspn(path, "/"); *part; part += strspn(part, "/")) {
		length = strcspn(part, "/");
		if (is_word(part, length, "..")) {
			/* Above the root is the root. */
			depth -= depth > 0;
		} else if (!is_word(part, length, ".")) {
			if (depth == FOLDER_DEPTH)
				return take_name(part, length, ret_name);
			if (!is_word(part, length, folder[depth]))
				return PATH_FOREIGN;
			depth++;
		}
		part += length;
	}
	return depth == FOLDER_DEPTH ? PATH_FOLDER : PATH_FOREIGN;
}
