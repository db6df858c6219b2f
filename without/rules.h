/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which calls of this process are to fail. */
#ifndef SHMEMU_WITHOUT_RULES_H
#define SHMEMU_WITHOUT_RULES_H

#include "base/withheld.h"

/* What a call is: a set of enum withheld_what. */
#define RULES_IS(what) (1u << (what))

/* Returns the errno with which this call is to fail, or 0, and counts it. May be called at any
 * time, from signal handlers too. */
int rules_judge(unsigned is);

/* The same of a call that is there as long as another one is: it fails only where that one always
 * does, and is not counted. */
int rules_judge_kin(unsigned is);

/* Reads what is to be, if nobody has. */
void rules_read(void);

#endif
