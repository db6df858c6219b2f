/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What this host has, found out by trying. Nothing is left behind, and nobody else sees any of it.
 * Paths are opened by raw system calls. */
#ifndef SHMEMU_CLI_FACTS_H
#define SHMEMU_CLI_FACTS_H

#include <stdbool.h>
#include <stddef.h>

struct fact {
	bool is_so;
	char details[512]; /* in plain words */
};

struct fact_question {
	const char *what;
	struct fact (*find)(void);
};

/* In the order they are to be told. */
extern const struct fact_question fact_questions[];
extern const size_t fact_question_count;

/* The system's word on huge pages in shared memory that is no tmpfs's: "never", "deny" ... Returns
 * whether it has one. */
#define SHMEM_ENABLED "/sys/kernel/mm/transparent_hugepage/shmem_enabled"
bool fact_setting(char *word, size_t size);

/* Puts a fact into words. */
struct fact fact_make(bool is_so, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Writes bytes as people read them, such as "1.5 GiB". */
void fact_bytes(unsigned long long bytes, char ret_text[static 32]);

#endif
