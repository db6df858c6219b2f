/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Trying a call that may fail, or end the process that makes it. */
#ifndef SHMEMU_CLI_TRIAL_H
#define SHMEMU_CLI_TRIAL_H

/* What came of it: 0, it works; an errno; below 0, the signal that ended who tried. EREMCHG: it
 * succeeds, but does not do what it is for. ENOTRECOVERABLE: it can't be tried here. */

/* By a child. */
int trial_run(int (*attempt)(void));

/* The errno's or signal's name, or a word. */
const char *trial_name(int result);

/* In words. */
const char *trial_words(int result);

#endif
