/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ELF files, read and not run. */
#ifndef SHMEMU_CLI_BINARY_H
#define SHMEMU_CLI_BINARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BINARY_NEEDED_MAX = 128, BINARY_VERSION_SIZE = 16 };

struct binary {
	bool is_wide;      /* of 64 bits */
	bool is_foreign;   /* of the other byte order: nothing else is known but the machine */
	uint16_t type;     /* ET_... */
	uint16_t machine;  /* EM_... */
	char *interpreter; /* the dynamic loader; NULL: none, so it is static, or a library */
	const char *soname;
	const char *runpath; /* where its libraries are, or NULL */
	const char *needed[BINARY_NEEDED_MAX];
	size_t needed_count;
	const char **imports; /* what it takes from libraries; NULL: nobody knows */
	size_t import_count;
	char version[BINARY_VERSION_SIZE]; /* the library's: of shmemu; "" in others */
	uint32_t protocol;
	char *strings; /* the names are in here */
};

#define BINARY_NULL ((struct binary){.interpreter = NULL})

/* `file` is borrowed. Returns 0, -ENOEXEC, it is no ELF file or one that is cut short, or -errno.
 * After 0 the caller ends it with binary_deinit. */
int binary_read(int file, struct binary *ret_binary);

void binary_deinit(struct binary *binary);

bool binary_imports(const struct binary *binary, const char *name);

/* As people call it. */
const char *binary_machine(const struct binary *binary);

#endif
