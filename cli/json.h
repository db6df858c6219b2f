/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Strings as JSON has them. Tables are libsmartcols' affair. */
#ifndef SHMEMU_CLI_JSON_H
#define SHMEMU_CLI_JSON_H

#include <stddef.h>
#include <stdio.h>

/* Between quotes. What is no UTF-8 is taken for Latin-1, byte by byte. */
void json_string(FILE *stream, const char *bytes, size_t length);

#endif
