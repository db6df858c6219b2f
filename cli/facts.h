/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What this host has, found out by trying. Nothing is left behind, and nobody else sees any of it.
 * Paths are opened by raw system calls. */
#ifndef SHMEMU_CLI_FACTS_H
#define SHMEMU_CLI_FACTS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

/* What there is to know of host and library: as trial.h has it, or one of these. */
enum {
	FACT_TOLD = INT_MIN, /* nothing: it is no question, or nobody knows */
	FACT_NO,             /* it has not, for no errno's sake */
};

struct fact {
	int host;          /* whether it has that */
	int library;       /* whether a program with the library has */
	char details[2048]; /* in plain words */
};

struct fact_question {
	const char *what;
	struct fact (*find)(void);
};

/* In the order they are to be told. */
extern const struct fact_question fact_questions[];
extern const size_t fact_question_count;
extern const struct fact_question limit_questions[];
extern const size_t limit_question_count;
extern const struct fact_question mount_questions[];
extern const size_t mount_question_count;

/* By a child, since it may be one that ends a process. */
struct fact fact_find(const struct fact_question *question);

/* The system's word on huge pages in shared memory that is no tmpfs's: "never", "deny" ... Returns
 * whether it has one. */
#define SHMEM_ENABLED "/sys/kernel/mm/transparent_hugepage/shmem_enabled"
bool fact_setting(char *word, size_t size);

/* Put a fact of the host into words: by a result, by yes or no, or without. */
struct fact fact_result(int host, const char *format, ...) __attribute__((format(printf, 2, 3)));
struct fact fact_make(bool is_so, const char *format, ...) __attribute__((format(printf, 2, 3)));
struct fact fact_told(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* "yes", "no", an errno's or a signal's name; NULL for FACT_TOLD. */
const char *fact_name(int result);

/* Writes bytes as people read them, such as "1.5 GiB". */
void fact_bytes(unsigned long long bytes, char ret_text[static 32]);

#endif
