/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* For probes that map memory: each group of questions is asked in a child of its own, of every
 * kind of file that can be mapped, so that a crash costs the answers of that group only. Between a
 * store and another process's look there is always a call by which processes talk. */
#ifndef SHMEMU_TESTS_PROBES_MAPPING_H
#define SHMEMU_TESTS_PROBES_MAPPING_H

#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/types.h>

#include "tests/probes/probe.h"

enum { PAGE = 4096, READ_WRITE = PROT_READ | PROT_WRITE };

/* What is mapped. */
enum mapping_kind {
	MAPPING_FILE,    /* a regular file in the temporary folder */
	MAPPING_SEGMENT, /* by shm_open */
	MAPPING_MEMFD,
	MAPPING_KINDS,
};

struct mapping_group {
	const char *name;
	void (*body)(enum mapping_kind kind);
};

/* Asks each group once for each kind; groups end with one that has no name. */
void mapping_run(const struct mapping_group *groups);
/* Asks each once, for no kind. */
void mapping_run_once(const struct mapping_group *groups);

/* A line of the transcript, with the kind and the group before it. */
void tell(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A line that may be another one in some world: tests/conform/differences.c. */
#define differs(class, format, ...) say("{maps: " class "} " format, __VA_ARGS__)
#define ask(call) tell("%s: %s", #call, outcome(call))

/* A fresh file of that size: page n is full of the letter 'a' + n. It can be opened again, by
 * mapping_again, until the next one is made. Dies if it can't. */
int mapping_open(enum mapping_kind kind, int access, off_t size);
int mapping_again(int access);
/* The path of the last MAPPING_FILE. */
const char *mapping_path(void);

/* mmap where the kernel likes, NULL if it fails. */
char *map(int fd, size_t length, int protection, int flags);
char *map_from(int fd, size_t length, int protection, int flags, off_t offset);
/* Likewise, at an address that nothing else is near: neither libc nor the library has anything
 * there, so that what is unmapped stays so. */
char *map_apart(int fd, size_t length, int protection, int flags);
/* Such an address, page-aligned, with nothing there for megabytes. */
char *apart(void);

/* What a child finds that reads the byte: a letter, a number, or "faults". Not to be kept: one of
 * eight. */
const char *look(const void *address);
/* "stored" or "faults": a child stores what is there already. */
const char *store(void *address);
/* look and store, by a letter each: "rw", "r-", "-w" or "--". */
const char *rights(char *address);
/* look at the first byte of each page. Not to be kept: one of four. */
const char *pages(const char *address, size_t count);

/* What the file has there: as look. */
const char *contents(int fd, off_t offset);
long size_of(int fd);

/* Waits for one byte of a pipe, or sends one. */
void hear(int fd);
void nudge(int fd);

#endif
