/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The words that stand for numbers in calls, as strace has them. */
#ifndef SHMEMU_CLI_WORDS_H
#define SHMEMU_CLI_WORDS_H

#include <stdbool.h>
#include <stddef.h>

/* What a traced call's argument is by its letter (base/traced.h) as words, such as
 * "O_RDWR|O_CREAT"; what has no name is a number. Returns false if numbers of that letter have no
 * words. */
bool words_of(char letter, long number, char *text, size_t size);

#endif
