/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Two threads at a lane, one the client and one the worker, so many rounds, each begun by both at
 * once. true: each round came out as it may. They need no Criterion: the thread sanitizer runs them
 * too. */
#ifndef SHMEMU_TESTS_LANE_RACES_H
#define SHMEMU_TESTS_LANE_RACES_H

#include <stdbool.h>

/* What is taken back is not served, and what is not is, once. */
bool lane_race_give_up(int rounds);
/* Who looks no longer has looked once more for whatever was not taken back. */
bool lane_race_last_look(int rounds);
/* Who goes to sleep is woken. */
bool lane_race_sleep(int rounds);

#endif
