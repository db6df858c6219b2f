/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/json.h"

#include <stdbool.h>

static bool continues(const char *bytes, size_t length, size_t count)
{
	for (size_t i = 1; i <= count; i++)
		if (i >= length || ((unsigned char)bytes[i] & 0xc0) != 0x80)
			return false;
	return true;
}

/* How many bytes the character has that begins there; 0: it is none. */
static size_t character(const char *bytes, size_t length)
{
	unsigned char first = (unsigned char)bytes[0];
	unsigned char second = length > 1 ? (unsigned char)bytes[1] : 0;

	if (first < 0x80)
		return 1;
	if (first >= 0xc2 && first <= 0xdf && continues(bytes, length, 1))
		return 2;
	/* Neither a longer form than it takes, nor half of a pair. */
	if (first >= 0xe0 && first <= 0xef && continues(bytes, length, 2))
		return (first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) ? 0 : 3;
	if (first >= 0xf0 && first <= 0xf4 && continues(bytes, length, 3))
		return (first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f) ? 0 : 4;
	return 0;
}

void json_string(FILE *stream, const char *bytes, size_t length)
{
	size_t size;

	putc('"', stream);
	for (size_t at = 0; at < length; at += size ? size : 1) {
		unsigned char byte = (unsigned char)bytes[at];

		size = character(bytes + at, length - at);
		if (byte == '"' || byte == '\\')
			fprintf(stream, "\\%c", byte);
		else if (size == 0 || byte < ' ' || byte == 0x7f)
			fprintf(stream, "\\u%04x", byte);
		else
			fwrite(bytes + at, 1, size, stream);
	}
	putc('"', stream);
}
