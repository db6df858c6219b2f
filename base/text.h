/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Text put together in a fixed buffer, without stdio or allocation; what does not fit is cut off.
 */
#ifndef SHMEMU_BASE_TEXT_H
#define SHMEMU_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

struct text {
	char bytes[512];
	size_t length; /* without the final NUL, which is always there */
	bool cut;      /* something did not fit */
};

/* An empty text. */
#define TEXT_NULL ((struct text){.length = 0})

/* Each appends to `text`. */
void text_string(struct text *text, const char *string);
void text_bytes(struct text *text, const char *bytes, size_t size);
/* What is no printable ASCII becomes a question mark: one line stays one line. */
void text_printable(struct text *text, const char *string);
void text_number(struct text *text, long long number);
void text_octal(struct text *text, unsigned long number);
/* Appends errno's name, such as ENOENT, or its number. Takes the positive errno. */
void text_errno(struct text *text, int error);

#endif
