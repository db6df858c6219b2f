/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/probes/mapping.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME "/mapping"

/* Far below where Linux maps by itself, and far above programs that have a place of their own. */
#define APART ((uintptr_t)0x200000000000)

enum { APART_STEP = 64 << 20, TEXTS = 8, TEXT_SIZE = 16, LISTS = 4, LIST_SIZE = 160 };

static const char *const kind_names[MAPPING_KINDS] = {"file", "segment", "memfd"};
static char prefix[64];
static char path[256];
static enum mapping_kind last_kind;
static int last_fd = -1;
static uintptr_t next_apart = APART;

void tell(const char *format, ...)
{
	char line[400];
	va_list values;
	int error = errno;

	va_start(values, format);
	vsnprintf(line, sizeof line, format, values);
	va_end(values);
	say("%s%s", prefix, line);
	errno = error;
}

struct question {
	const struct mapping_group *group;
	enum mapping_kind kind;
};

static void forget_file(void)
{
	if (path[0])
		unlink(path);
	path[0] = '\0';
}

static void ask_group(void *argument)
{
	const struct question *question = argument;

	if (question->kind == MAPPING_KINDS)
		snprintf(prefix, sizeof prefix, "%s: ", question->group->name);
	else
		snprintf(prefix, sizeof prefix, "%s, %s: ", question->group->name,
		         kind_names[question->kind]);
	question->group->body(question->kind);
	forget_file();
}

static void run_groups(const struct mapping_group *groups, enum mapping_kind kind)
{
	for (; groups->name; groups++) {
		struct question question = {groups, kind};
		int status = in_child(ask_group, &question);

		if (status != EXIT_SUCCESS)
			say("MUST HOLD: %s (kind %d) ended with %d", groups->name, (int)kind,
			    status);
		shm_unlink(NAME);
	}
}

/* Faults are meant: nobody wants their cores. */
static void prepare(void)
{
	setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
	umask(022);
}

void mapping_run(const struct mapping_group *groups)
{
	prepare();
	for (int kind = 0; kind < MAPPING_KINDS; kind++)
		run_groups(groups, (enum mapping_kind)kind);
}

void mapping_run_once(const struct mapping_group *groups)
{
	prepare();
	run_groups(groups, MAPPING_KINDS);
}

static int make_file(void)
{
	const char *folder = getenv("TMPDIR");

	forget_file();
	snprintf(path, sizeof path, "%s/mapping-%ld-XXXXXX", folder ? folder : "/tmp",
	         (long)getpid());
	return mkstemp(path);
}

static int make(enum mapping_kind kind)
{
	switch (kind) {
	case MAPPING_FILE:
		return make_file();
	case MAPPING_SEGMENT:
		shm_unlink(NAME);
		return shm_open(NAME, O_RDWR | O_CREAT | O_EXCL, 0600);
	case MAPPING_MEMFD:
	case MAPPING_KINDS:
		break;
	}
	return memfd_create("mapping", 0);
}

static void fill(int fd, off_t size)
{
	char page[PAGE];

	for (off_t at = 0; at < size; at += PAGE) {
		size_t part = size - at < PAGE ? (size_t)(size - at) : PAGE;

		memset(page, (int)('a' + at / PAGE % 26), sizeof page);
		if (pwrite(fd, page, part, at) != (ssize_t)part)
			must(!"the file can be written");
	}
}

int mapping_again(int access)
{
	char by_number[64];
	int fd;

	if (last_kind == MAPPING_FILE)
		fd = open(path, access);
	else if (last_kind == MAPPING_SEGMENT && !(access & (O_APPEND | O_PATH)))
		fd = shm_open(NAME, access, 0);
	else {
		snprintf(by_number, sizeof by_number, "/proc/self/fd/%d", last_fd);
		fd = open(by_number, access);
	}
	must(fd >= 0);
	return fd;
}

int mapping_open(enum mapping_kind kind, int access, off_t size)
{
	int fd = make(kind);

	must(fd >= 0);
	if (fd < 0)
		_exit(EXIT_FAILURE);
	fill(fd, size);
	if (last_fd >= 0)
		close(last_fd);
	last_kind = kind;
	last_fd = fd;
	return mapping_again(access);
}

const char *mapping_path(void)
{
	return path;
}

char *map_from(int fd, size_t length, int protection, int flags, off_t offset)
{
	void *address = mmap(NULL, length, protection, flags, fd, offset);

	return address == MAP_FAILED ? NULL : address;
}

char *map(int fd, size_t length, int protection, int flags)
{
	return map_from(fd, length, protection, flags, 0);
}

char *apart(void)
{
	next_apart += APART_STEP;
	return (char *)next_apart; /* a number that nobody gave us a pointer for */
}

char *map_apart(int fd, size_t length, int protection, int flags)
{
	char *wanted = apart();
	void *address = mmap(wanted, length, protection, flags, fd, 0);

	must(address == MAP_FAILED || address == wanted);
	return address == MAP_FAILED ? NULL : address;
}

static void load_byte(void *address)
{
	_exit(*(volatile unsigned char *)address);
}

static void store_byte(void *address)
{
	volatile unsigned char *byte = address;

	*byte = *byte;
}

static char *next_text(void)
{
	static char texts[TEXTS][TEXT_SIZE];
	static unsigned next;

	return texts[next++ % TEXTS];
}

static const char *byte_text(int byte)
{
	char *text = next_text();

	if (byte > ' ' && byte < 127)
		snprintf(text, TEXT_SIZE, "%c", byte);
	else
		snprintf(text, TEXT_SIZE, "%d", byte);
	return text;
}

/* What is looked at only, as a place to look at. */
static void *place(const void *address)
{
	return (void *)(uintptr_t)address;
}

const char *look(const void *address)
{
	int status = in_child(load_byte, place(address));

	return status >= PROBE_SIGNAL ? "faults" : byte_text(status);
}

const char *store(void *address)
{
	return in_child(store_byte, address) >= PROBE_SIGNAL ? "faults" : "stored";
}

const char *rights(char *address)
{
	bool reads = in_child(load_byte, address) < PROBE_SIGNAL;
	bool writes = in_child(store_byte, address) < PROBE_SIGNAL;

	return reads ? writes ? "rw" : "r-" : writes ? "-w" : "--";
}

const char *pages(const char *address, size_t count)
{
	static char lists[LISTS][LIST_SIZE];
	static unsigned next;
	char *list = lists[next++ % LISTS];
	size_t length = 0;

	list[0] = '\0';
	for (size_t i = 0; i < count && length < LIST_SIZE; i++)
		length += (size_t)snprintf(list + length, LIST_SIZE - length, "%s%s",
		                           i > 0 ? " " : "", look(address + i * PAGE));
	return list;
}

const char *contents(int fd, off_t offset)
{
	unsigned char byte;
	ssize_t got = pread(fd, &byte, 1, offset);

	return got == 1 ? byte_text(byte) : got == 0 ? "nothing" : outcome(-1);
}

long size_of(int fd)
{
	struct stat status;

	return fstat(fd, &status) == 0 ? (long)status.st_size : -1;
}

void hear(int fd)
{
	char byte;

	must(read(fd, &byte, 1) == 1);
}

void nudge(int fd)
{
	must(write(fd, "x", 1) == 1);
}
