/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/text.h"

#include <string.h>

void text_bytes(struct text *text, const char *bytes, size_t size)
{
	size_t room = sizeof text->bytes - 1 - text->length;

	if (size > room) {
		size = room;
		text->cut = true;
	}
	memcpy(text->bytes + text->length, bytes, size);
	text->length += size;
	text->bytes[text->length] = '\0';
}

void text_string(struct text *text, const char *string)
{
	text_bytes(text, string, strlen(string));
}

void text_printable(struct text *text, const char *string)
{
	for (; *string; string++) {
		bool plain = *string >= ' ' && *string <= '~';

		text_bytes(text, plain ? string : "?", 1);
	}
}

static void text_digits(struct text *text, unsigned long long number, unsigned base)
{
	char digits[24];
	size_t at = sizeof digits;

	do {
		digits[--at] = (char)('0' + number % base);
		number /= base;
	} while (number);
	text_bytes(text, digits + at, sizeof digits - at);
}

void text_number(struct text *text, long long number)
{
	if (number < 0)
		text_string(text, "-");
	text_digits(text, number < 0 ? 0 - (unsigned long long)number : (unsigned long long)number,
	            10);
}

void text_octal(struct text *text, unsigned long number)
{
	text_string(text, "0");
	text_digits(text, number, 8);
}

void text_errno(struct text *text, int error)
{
	/* strerrorname_np reads a constant table: no locale, no lock, no allocation. */
	const char *name = strerrorname_np(error);

	if (name)
		text_string(text, name);
	else
		text_number(text, error);
}
