/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* shmfs's command line: the input is its words, each ended by a NUL. Where the real one exits, this
 * comes back here. */
#include <getopt.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuse/options.h"

enum { WORDS_MAX = 32 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
_Noreturn void __wrap_exit(int status);
_Noreturn void __real_exit(int status);
_Noreturn void __wrap_errx(int status, const char *format, ...);
int __wrap_fputs(const char *text, FILE *file);
int __real_fputs(const char *text, FILE *file);
int __wrap_puts(const char *text);

static jmp_buf out;
static bool parsing;

void __wrap_exit(int status)
{
	if (parsing)
		longjmp(out, 1);
	__real_exit(status);
}

void __wrap_errx(int status, const char *format, ...)
{
	(void)format;
	__wrap_exit(status);
}

int __wrap_fputs(const char *text, FILE *file)
{
	return parsing ? 0 : __real_fputs(text, file);
}

int __wrap_puts(const char *text)
{
	(void)text;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char program[] = "shmfs";
	char *words[WORDS_MAX + 1] = {program};
	char *text = malloc(size + 1);
	int count = 1;

	if (!text)
		abort();
	memcpy(text, data, size);
	text[size] = '\0';
	for (size_t at = 0; at < size && count < WORDS_MAX; at += strlen(text + at) + 1)
		words[count++] = text + at;
	optind = 0;
	opterr = 0;
	parsing = true;
	if (setjmp(out) == 0) {
		struct options options = options_parse(count, words);

		if (options.mountpoint && options.idle_seconds)
			abort();
	}
	parsing = false;
	free(text);
	return 0;
}
