/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A traced call's arguments as people and programs read them. */
#ifndef SHMEMU_CLI_SPELL_H
#define SHMEMU_CLI_SPELL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/traced.h"

/* A record as it came, checked. */
struct spell_call {
	const struct traced_record *record;
	const struct traced_call *call;
	const unsigned char *bytes[TRACED_ARGUMENTS]; /* NULL: none came */
	size_t lengths[TRACED_ARGUMENTS];
	bool are_cut[TRACED_ARGUMENTS];
	size_t count; /* of arguments that were given */
};

enum spell_kind {
	SPELL_NUMBER,
	SPELL_NULL,
	SPELL_WORDS,  /* printable */
	SPELL_STRING, /* any bytes */
};

enum { SPELL_ROOM = 4096 };

struct spelling {
	enum spell_kind kind;
	char text[SPELL_ROOM]; /* with a NUL; of a string: its bytes, `length` of them */
	size_t length;
	bool is_cut;
};

/* Returns false if it is no record that we understand: of another version, or made up. */
bool spell_parse(const void *record, size_t size, struct spell_call *ret_call);

void spell_argument(const struct spell_call *call, size_t argument, struct spelling *ret_spelling);
void spell_result(const struct spell_call *call, struct spelling *ret_spelling);

/* Puts a string between quotes as C has it, without what could steer a terminal. Returns the
 * length. */
size_t spell_quote(char *text, size_t size, const char *bytes, size_t length, bool is_cut);

#endif
