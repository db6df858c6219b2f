/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the cases of lanes.c share. */
#ifndef SHMEMU_TESTS_LANES_H
#define SHMEMU_TESTS_LANES_H

#include <stdint.h>
#include <sys/types.h>

enum { MANY = 60, NAME_ROOM = 64 };

/* Where base/lane.h has the request, and in it its serial number. */
enum { REQUEST_AT = 64, SERIAL_AT = REQUEST_AT + 16 };

/* Says so, and ends the process. */
__attribute__((format(printf, 1, 2))) void fail(const char *format, ...);
#define CHECK(condition, ...) do { if (!(condition)) fail(__VA_ARGS__); } while (0)

/* The mapping that the library has, or NULL. */
const char *find_lane(void);
/* Asks until there is one, which is used. */
const char *get_lane(void);
uint64_t last_serial(const char *lane);

/* A name of this process's. */
void name_of(char name[static NAME_ROOM], const char *what, int number);
/* A new segment. */
int make(const char *name);
/* So many segments' lives, with all that can be looked at. */
void rounds(const char *what, int count);
void wait_for(pid_t pid, const char *what);

/* lanes_ids.c */
void case_ids(char **arguments);
void case_thread_ids(char **arguments);
void case_raw_ids(char **arguments);
void case_forged(char **arguments);

#endif
