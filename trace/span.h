/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A call from its begin to its end. */
#ifndef SHMEMU_TRACE_SPAN_H
#define SHMEMU_TRACE_SPAN_H

#include <stdbool.h>

#include "base/traced.h"

struct span {
	bool is_on;
	bool shows_all;
	unsigned char road; /* of a call that this one has interrupted */
	int64_t begin;
};

void span_begin(struct span *ret_span);

/* `arguments` has TRACED_ARGUMENTS. Leaves errno as the call left it. */
void span_end(const struct span *span, enum traced_number number, long result,
              const long *arguments);

/* A program is about to be executed. */
void span_program(enum traced_number number, const char *path);

/* Each argument as a number. */
#define SPAN_0()
#define SPAN_1(a) (long)(a)
#define SPAN_2(a, b) (long)(a), (long)(b)
#define SPAN_3(a, b, c) SPAN_2(a, b), (long)(c)
#define SPAN_4(a, b, c, d) SPAN_3(a, b, c), (long)(d)
#define SPAN_5(a, b, c, d, e) SPAN_4(a, b, c, d), (long)(e)
#define SPAN_6(a, b, c, d, e, f) SPAN_5(a, b, c, d, e), (long)(f)
#define SPAN_PICK(a, b, c, d, e, f, name, ...) name
#define SPAN_ARGUMENTS(...)                                                                        \
	(const long[TRACED_ARGUMENTS])                                                             \
	{                                                                                          \
		SPAN_PICK(__VA_ARGS__, SPAN_6, SPAN_5, SPAN_4, SPAN_3, SPAN_2, SPAN_1, )           \
		(__VA_ARGS__)                                                                      \
	}

#endif
