/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* msync, and a file that is read and written while it is mapped. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/probes/mapping.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

enum { PAGES = 4 };

static char *make(enum mapping_kind kind, int sharing, int *ret_fd)
{
	*ret_fd = mapping_open(kind, O_RDWR, (long)PAGES * PAGE);
	return map_apart(*ret_fd, (size_t)PAGES * PAGE, READ_WRITE, sharing);
}

static void ask_errors_of(char *memory)
{
	static const int flags[] = {
		0, MS_SYNC, MS_ASYNC, MS_INVALIDATE, MS_SYNC | MS_INVALIDATE,
		MS_ASYNC | MS_INVALIDATE, MS_SYNC | MS_ASYNC,
		MS_SYNC | MS_ASYNC | MS_INVALIDATE, 8, 8 | MS_SYNC, -1,
	};

	for (size_t i = 0; i < COUNT(flags); i++) {
		tell("flags %#x: %s", flags[i], outcome(msync(memory, PAGE, flags[i])));
		tell("unaligned: %s", outcome(msync(memory + 1, PAGE, flags[i])));
		tell("nothing there: %s", outcome(msync(apart(), PAGE, flags[i])));
	}
	ask(msync(memory, 0, MS_SYNC));
	ask(msync(memory, 1, MS_SYNC));
	ask(msync(memory + 1, 0, MS_SYNC));
	ask(msync(memory, PAGE + 1, MS_ASYNC));
	ask(msync(memory, SIZE_MAX, MS_SYNC));
	ask(msync(memory, SIZE_MAX - PAGE + 1, MS_SYNC));
	ask(msync(memory, (size_t)PAGES * PAGE + 1, MS_SYNC));
	ask(munmap(memory + PAGE, PAGE));
	ask(msync(memory, 3 * PAGE, MS_SYNC));
	ask(msync(memory, 3 * PAGE, MS_ASYNC));
	ask(msync(memory + PAGE, PAGE, MS_SYNC));
	ask(msync(memory + PAGE, 0, MS_SYNC));
}

static void ask_errors(enum mapping_kind kind)
{
	int fd;

	tell("shared");
	ask_errors_of(make(kind, MAP_SHARED, &fd));
	tell("private");
	ask_errors_of(make(kind, MAP_PRIVATE, &fd));
}

static void ask_locked(enum mapping_kind kind)
{
	int fd;
	char *memory = make(kind, MAP_SHARED, &fd);

	ask(mlock(memory + PAGE, PAGE));
	ask(msync(memory, PAGE, MS_INVALIDATE));
	ask(msync(memory + PAGE, PAGE, MS_INVALIDATE));
	ask(msync(memory, 3 * PAGE, MS_SYNC | MS_INVALIDATE));
	ask(msync(memory, 3 * PAGE, MS_ASYNC | MS_INVALIDATE));
	ask(msync(memory, 3 * PAGE, MS_SYNC));
	ask(munlock(memory + PAGE, PAGE));
	ask(msync(memory, 3 * PAGE, MS_SYNC | MS_INVALIDATE));
	ask(mlock2(memory, PAGE, MLOCK_ONFAULT));
	ask(msync(memory, PAGE, MS_INVALIDATE));
	ask(munlockall());
	ask(msync(memory, PAGE, MS_INVALIDATE));
	ask(munmap(memory + 3 * PAGE, PAGE));
	ask(mlock(memory + 2 * PAGE, 2 * PAGE));
	ask(munlock(memory + 2 * PAGE, 2 * PAGE));
	memory = map(fd, PAGE, READ_WRITE, MAP_SHARED | MAP_LOCKED);
	ask(msync(memory, PAGE, MS_INVALIDATE));
}

/* What msync does is seen by read, whether it waits or not. */
static void ask_effect(enum mapping_kind kind)
{
	static const int flags[] = {MS_SYNC, MS_ASYNC, MS_SYNC | MS_INVALIDATE};
	int fd;
	char *memory = make(kind, MAP_SHARED, &fd);
	char *private = map(fd, PAGE, READ_WRITE, MAP_PRIVATE);

	for (size_t i = 0; i < COUNT(flags); i++) {
		memory[i] = (char)('p' + i);
		memory[PAGE + i] = (char)('P' + i);
		ask(msync(memory, 2 * PAGE, flags[i]));
		tell("in the file: %s %s", contents(fd, (off_t)i), contents(fd, PAGE + (off_t)i));
	}
	private[5] = 'z';
	ask(msync(private, PAGE, MS_SYNC));
	tell("a private one's: %s", contents(fd, 5));
	ask(mprotect(memory, PAGE, PROT_READ));
	ask(msync(memory, PAGE, MS_SYNC));
	ask(mprotect(memory, PAGE, PROT_NONE));
	ask(msync(memory, PAGE, MS_SYNC));
}

static void ask_reading(enum mapping_kind kind)
{
	int fd;
	char *memory = make(kind, MAP_SHARED, &fd);
	char text[8] = "", more[8] = "";
	struct iovec parts[] = {{text, 2}, {more, 3}};
	int ends[2];
	FILE *stream;

	must(lseek(fd, 0, SEEK_SET) == 0 && pipe(ends) == 0);
	memcpy(memory, "12345", 5);
	must(read(fd, text, 5) == 5);
	tell("read: %s", text);
	memcpy(memory, "by-pr", 5);
	must(pread(fd, text, 5, 0) == 5);
	tell("pread: %s", text);
	memcpy(memory, "vec-s", 5);
	must(preadv(fd, parts, 2, 0) == 5);
	tell("preadv: %.2s%.3s", text, more);
	memcpy(memory, "readv", 5);
	must(lseek(fd, 0, SEEK_SET) == 0 && readv(fd, parts, 2) == 5);
	tell("readv: %.2s%.3s", text, more);
	memcpy(memory, "prea2", 5);
	must(preadv2(fd, parts, 2, 0, 0) == 5);
	tell("preadv2: %.2s%.3s", text, more);
	memcpy(memory, "sends", 5);
	must(sendfile(ends[1], fd, &(off_t){0}, 5) == 5 && read(ends[0], text, 5) == 5);
	tell("sendfile: %s", text);
	memcpy(memory, "splic", 5);
	must(splice(fd, &(off_t){0}, ends[1], NULL, 5, 0) == 5 && read(ends[0], text, 5) == 5);
	tell("splice: %s", text);
	memcpy(memory, "copie", 5);
	must(copy_file_range(fd, &(off_t){0}, fd, &(off_t){PAGE}, 5, 0) == 5);
	tell("copy_file_range: %.5s", memory + PAGE);
	memcpy(memory, "fread", 5);
	stream = fdopen(dup(fd), "r");
	must(stream && fseek(stream, 0, SEEK_SET) == 0 && fread(text, 1, 5, stream) == 5);
	tell("fread: %s", text);
	fclose(stream);
}

static void ask_writing(enum mapping_kind kind)
{
	int fd;
	char *memory = make(kind, MAP_SHARED, &fd);
	struct iovec parts[] = {{(char[]){'v', 'e'}, 2}, {(char[]){'c', 't', 'r'}, 3}};
	int file = memfd_create("copy", 0);
	FILE *stream;

	must(lseek(fd, 0, SEEK_SET) == 0);
	must(write(fd, "wrote", 5) == 5);
	tell("write: %.5s", memory);
	must(pwrite(fd, "by-pw", 5, 0) == 5);
	tell("pwrite: %.5s", memory);
	must(pwritev(fd, parts, 2, 0) == 5);
	tell("pwritev: %.5s", memory);
	must(pwrite(fd, "other", 5, 0) == 5 && lseek(fd, 0, SEEK_SET) == 0);
	must(writev(fd, parts, 2) == 5);
	tell("writev: %.5s", memory);
	must(pwrite(file, "filed", 5, 0) == 5 && lseek(fd, 0, SEEK_SET) == 0);
	must(sendfile(fd, file, &(off_t){0}, 5) == 5);
	tell("sendfile: %.5s", memory);
	stream = fdopen(dup(fd), "r+");
	must(stream && fseek(stream, 0, SEEK_SET) == 0 && fwrite("strea", 1, 5, stream) == 5);
	must(fflush(stream) == 0);
	tell("fwrite: %.5s", memory);
	fclose(stream);
	/* What this process stored beside it is there still. */
	memory[5] = 'x';
	must(pwrite(fd, "Y", 1, 6) == 1);
	memory[7] = 'z';
	ask(msync(memory, PAGE, MS_SYNC));
	tell("both: %.8s; %s %s %s", memory, contents(fd, 5), contents(fd, 6), contents(fd, 7));
}

/* By O_APPEND, and by a write that makes the file longer. */
static void ask_appending(enum mapping_kind kind)
{
	int fd = mapping_open(kind, O_RDWR | O_APPEND, 100);
	char *memory = map(fd, PAGE, READ_WRITE, MAP_SHARED);

	memory[50] = 'x';
	must(write(fd, "appended", 8) == 8);
	tell("size %ld: %.8s", size_of(fd), memory + 100);
	memory[103] = 'E';
	ask(msync(memory, PAGE, MS_SYNC));
	tell("in the file: %s %s %s", contents(fd, 50), contents(fd, 103), contents(fd, 107));
	tell("size %ld", size_of(fd));
	/* An emulation that writes by this descriptor appends. */
	memory[10] = 'y';
	ask(munmap(memory, PAGE));
	tell("size %ld: %s", size_of(fd), contents(fd, 10));
}

/* Of one file in one process. */
static void ask_two(enum mapping_kind kind)
{
	int fd;
	char *one = make(kind, MAP_SHARED, &fd);
	char *two = map(fd, (size_t)PAGES * PAGE, READ_WRITE, MAP_SHARED);
	int again = mapping_again(O_RDWR);
	char *three = map_from(again, PAGE, READ_WRITE, MAP_SHARED, PAGE);
	char *reader = map(mapping_again(O_RDONLY), PAGE, PROT_READ, MAP_SHARED);
	char *private = map(fd, (size_t)PAGES * PAGE, READ_WRITE, MAP_PRIVATE);

	one[0] = 'x';
	one[PAGE] = 'y';
	ask(msync(one, 2 * PAGE, MS_SYNC));
	tell("first to others: %c %c %c %c", two[0], two[PAGE], three[0], reader[0]);
	three[1] = 'z';
	two[2] = 'w';
	ask(msync(three, PAGE, MS_SYNC));
	ask(msync(two, PAGE, MS_SYNC));
	tell("others to first: %c %c %c", one[2], one[PAGE + 1], reader[2]);
	private[0] = 'p';
	tell("private: %c, first: %c, in the file: %s", private[0], one[0], contents(fd, 0));
	one[3] = '3';
	two[4] = '4';
	ask(munmap(one, PAGE));
	ask(munmap(two, (size_t)PAGES * PAGE));
	tell("in the file: %s %s, by the reader: %c%c", contents(fd, 3), contents(fd, 4), reader[3],
	     reader[4]);
}

/* A private mapping keeps what it has stored, and nothing of that is in the file. */
static void ask_private(enum mapping_kind kind)
{
	int fd;
	char *memory = make(kind, MAP_PRIVATE, &fd);

	memory[0] = 'x';
	memory[2 * PAGE] = 'y';
	tell("in the file: %s %s", contents(fd, 0), contents(fd, 2L * PAGE));
	must(pwrite(fd, "Z", 1, 0) == 1);
	tell("a page that was stored to: %c", memory[0]);
	ask(munmap(memory, (size_t)PAGES * PAGE));
	tell("in the file: %s %s", contents(fd, 0), contents(fd, 2L * PAGE));
}

static void ask_fsync(enum mapping_kind kind)
{
	int fd;
	char *memory = make(kind, MAP_SHARED, &fd);
	int reader = mapping_again(O_RDONLY);

	memory[0] = 'x';
	ask(fsync(fd));
	tell("in the file: %s", contents(reader, 0));
	memory[0] = 'y';
	ask(fdatasync(fd));
	tell("in the file: %s", contents(reader, 0));
	memory[0] = 'z';
	close(fd);
	tell("in the file: %s", contents(reader, 0));
	memory[1] = 'q';
	ask(munmap(memory, (size_t)PAGES * PAGE));
	tell("in the file: %s", contents(reader, 1));
}

static const struct mapping_group groups[] = {
	{"errors", ask_errors}, {"locked", ask_locked}, {"effect", ask_effect},
	{"reading", ask_reading}, {"writing", ask_writing}, {"appending", ask_appending},
	{"two", ask_two}, {"private", ask_private}, {"fsync", ask_fsync}, {NULL, NULL},
};

static void body(void)
{
	mapping_run(groups);
}

int main(int argc, char **argv)
{
	return probe_run(argc, argv, body);
}
