/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Two processes that talk, by each call by which processes do, about what lies in memory that they
 * share: what was written there before a message was sent is there for whoever has received it. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/probes/probe.h"

#define NAME "/talks"

enum { ROUNDS = 40, PAGES = 4, PAGE = 4096, WORDS = 7, LINE = 16, MESSAGE = 8 };

/* Words at both ends of pages, and in the midst of them. */
static const size_t places[WORDS] = {0, 504, 511, 512, 767, 1000, 1023};

static volatile long *question, *answer;

/* The last first: whoever sees the first sees all. */
static void put(volatile long *words, long value)
{
	for (int i = WORDS - 1; i >= 0; i--)
		words[places[i]] = value;
}

static bool is_there(const volatile long *words, long value)
{
	for (int i = 0; i < WORDS; i++)
		if (words[places[i]] != value)
			return false;
	return true;
}

/* What one side has. */
struct ends {
	int in, out;
	FILE *reader, *writer;
};

enum medium { PIPES, SOCKETS, EVENTS };

struct way {
	const char *name;
	enum medium medium;
	bool (*tell)(const struct ends *ends);
	bool (*hear)(const struct ends *ends);  /* after which it is there */
	bool (*drain)(const struct ends *ends); /* what is left then; or NULL */
};

static char message[MESSAGE] = "message";

static bool tell_write(const struct ends *ends)
{
	return write(ends->out, message, MESSAGE) == MESSAGE;
}

static bool hear_read(const struct ends *ends)
{
	char text[MESSAGE];

	return read(ends->in, text, sizeof text) == MESSAGE;
}

static bool tell_writev(const struct ends *ends)
{
	struct iovec parts[] = {{message, 3}, {message + 3, MESSAGE - 3}};

	return writev(ends->out, parts, 2) == MESSAGE;
}

static bool hear_readv(const struct ends *ends)
{
	char text[MESSAGE];
	struct iovec parts[] = {{text, 3}, {text + 3, MESSAGE - 3}};

	return readv(ends->in, parts, 2) == MESSAGE;
}

static bool tell_pwritev2(const struct ends *ends)
{
	struct iovec part = {message, MESSAGE};

	return pwritev2(ends->out, &part, 1, -1, 0) == MESSAGE;
}

static bool hear_preadv2(const struct ends *ends)
{
	char text[MESSAGE];
	struct iovec part = {text, MESSAGE};

	return preadv2(ends->in, &part, 1, -1, 0) == MESSAGE;
}

static bool tell_vmsplice(const struct ends *ends)
{
	struct iovec part = {message, MESSAGE};

	return vmsplice(ends->out, &part, 1, 0) == MESSAGE;
}

static bool hear_splice(const struct ends *ends)
{
	static int null = -1;

	if (null < 0)
		null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	return splice(ends->in, NULL, null, NULL, MESSAGE, 0) == MESSAGE;
}

static bool tell_send(const struct ends *ends)
{
	return send(ends->out, message, MESSAGE, MSG_NOSIGNAL) == MESSAGE;
}

static bool hear_recv(const struct ends *ends)
{
	char text[MESSAGE];

	return recv(ends->in, text, sizeof text, 0) == MESSAGE;
}

static bool tell_sendto(const struct ends *ends)
{
	return sendto(ends->out, message, MESSAGE, 0, NULL, 0) == MESSAGE;
}

static bool hear_recvfrom(const struct ends *ends)
{
	char text[MESSAGE];

	return recvfrom(ends->in, text, sizeof text, 0, NULL, NULL) == MESSAGE;
}

static bool tell_sendmsg(const struct ends *ends)
{
	struct iovec part = {message, MESSAGE};
	struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};

	return sendmsg(ends->out, &header, 0) == MESSAGE;
}

static bool hear_recvmsg(const struct ends *ends)
{
	char text[MESSAGE];
	struct iovec part = {text, sizeof text};
	struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};

	return recvmsg(ends->in, &header, 0) == MESSAGE;
}

static bool tell_sendmmsg(const struct ends *ends)
{
	struct iovec part = {message, MESSAGE};
	struct mmsghdr header = {.msg_hdr = {.msg_iov = &part, .msg_iovlen = 1}};

	return sendmmsg(ends->out, &header, 1, 0) == 1;
}

static bool hear_recvmmsg(const struct ends *ends)
{
	char text[MESSAGE];
	struct iovec part = {text, sizeof text};
	struct mmsghdr header = {.msg_hdr = {.msg_iov = &part, .msg_iovlen = 1}};

	return recvmmsg(ends->in, &header, 1, 0, NULL) == 1;
}

static bool hear_poll(const struct ends *ends)
{
	struct pollfd one = {.fd = ends->in, .events = POLLIN};

	return poll(&one, 1, -1) == 1;
}

static bool hear_ppoll(const struct ends *ends)
{
	struct pollfd one = {.fd = ends->in, .events = POLLIN};

	return ppoll(&one, 1, NULL, NULL) == 1;
}

static bool hear_select(const struct ends *ends)
{
	fd_set set;

	FD_ZERO(&set);
	FD_SET(ends->in, &set);
	return select(ends->in + 1, &set, NULL, NULL, NULL) == 1;
}

static bool hear_pselect(const struct ends *ends)
{
	fd_set set;

	FD_ZERO(&set);
	FD_SET(ends->in, &set);
	return pselect(ends->in + 1, &set, NULL, NULL, NULL, NULL) == 1;
}

/* A new one each time. */
static bool hear_by_epoll(const struct ends *ends, int call)
{
	struct epoll_event event = {.events = EPOLLIN};
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	int count = -1;

	must(epoll >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, ends->in, &event) == 0);
	switch (call) {
	case 0: count = epoll_wait(epoll, &event, 1, -1); break;
	case 1: count = epoll_pwait(epoll, &event, 1, -1, NULL); break;
	case 2: count = epoll_pwait2(epoll, &event, 1, NULL, NULL); break;
	}
	return count == 1 && close(epoll) == 0;
}

static bool hear_epoll_wait(const struct ends *ends)
{
	return hear_by_epoll(ends, 0);
}

static bool hear_epoll_pwait(const struct ends *ends)
{
	return hear_by_epoll(ends, 1);
}

static bool hear_epoll_pwait2(const struct ends *ends)
{
	return hear_by_epoll(ends, 2);
}

static bool tell_eventfd(const struct ends *ends)
{
	return eventfd_write(ends->out, 1) == 0;
}

static bool hear_eventfd(const struct ends *ends)
{
	eventfd_t value;

	return eventfd_read(ends->in, &value) == 0;
}

static bool tell_fputc(const struct ends *ends)
{
	return fputc('x', ends->writer) == 'x' && putc('\n', ends->writer) == '\n' &&
	       fflush(ends->writer) == 0;
}

static bool hear_fgetc(const struct ends *ends)
{
	return fgetc(ends->reader) == 'x';
}

static bool drain_getc(const struct ends *ends)
{
	return getc(ends->reader) == '\n';
}

static bool hear_getc_unlocked(const struct ends *ends)
{
	return getc_unlocked(ends->reader) == 'x';
}

static bool tell_fputs(const struct ends *ends)
{
	return fputs("message\n", ends->writer) >= 0 && fflush(ends->writer) == 0;
}

static bool hear_fgets(const struct ends *ends)
{
	char line[LINE];

	return fgets(line, sizeof line, ends->reader) && strcmp(line, "message\n") == 0;
}

static bool tell_fwrite(const struct ends *ends)
{
	return fwrite(message, MESSAGE, 1, ends->writer) == 1 && fflush(NULL) == 0;
}

static bool hear_fread(const struct ends *ends)
{
	char text[MESSAGE];

	return fread(text, sizeof text, 1, ends->reader) == 1;
}

/* A line that goes out by itself. */
static bool tell_fprintf(const struct ends *ends)
{
	setvbuf(ends->writer, NULL, _IOLBF, 0);
	return fprintf(ends->writer, "%s\n", message) == MESSAGE;
}

static bool hear_getline(const struct ends *ends)
{
	char *line = NULL;
	size_t size = 0;
	bool is_right = getline(&line, &size, ends->reader) == MESSAGE;

	free(line);
	return is_right;
}

static bool print(FILE *stream, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool print(FILE *stream, const char *format, ...)
{
	va_list list;
	int length;

	va_start(list, format);
	length = vfprintf(stream, format, list);
	va_end(list);
	return length > 0;
}

static bool tell_vfprintf(const struct ends *ends)
{
	setvbuf(ends->writer, NULL, _IONBF, 0);
	return print(ends->writer, "%d\n", 17);
}

static bool hear_fscanf(const struct ends *ends)
{
	int number;

	return fscanf(ends->reader, "%d", &number) == 1 && number == 17;
}

static bool tell_dprintf(const struct ends *ends)
{
	return dprintf(ends->out, "%s\n", message) == MESSAGE;
}

static bool hear_getdelim(const struct ends *ends)
{
	char *line = NULL;
	size_t size = 0;
	bool is_right = getdelim(&line, &size, '\n', ends->reader) == MESSAGE;

	free(line);
	return is_right;
}

static const struct way ways[] = {
	{"write, read", PIPES, tell_write, hear_read, NULL},
	{"writev, readv", PIPES, tell_writev, hear_readv, NULL},
	{"pwritev2, preadv2", PIPES, tell_pwritev2, hear_preadv2, NULL},
	{"vmsplice, splice", PIPES, tell_vmsplice, hear_splice, NULL},
	{"poll", PIPES, tell_write, hear_poll, hear_read},
	{"ppoll", PIPES, tell_write, hear_ppoll, hear_read},
	{"select", PIPES, tell_write, hear_select, hear_read},
	{"pselect", PIPES, tell_write, hear_pselect, hear_read},
	{"epoll_wait", PIPES, tell_write, hear_epoll_wait, hear_read},
	{"epoll_pwait", PIPES, tell_write, hear_epoll_pwait, hear_read},
	{"epoll_pwait2", PIPES, tell_write, hear_epoll_pwait2, hear_read},
	{"send, recv", SOCKETS, tell_send, hear_recv, NULL},
	{"sendto, recvfrom", SOCKETS, tell_sendto, hear_recvfrom, NULL},
	{"sendmsg, recvmsg", SOCKETS, tell_sendmsg, hear_recvmsg, NULL},
	{"sendmmsg, recvmmsg", SOCKETS, tell_sendmmsg, hear_recvmmsg, NULL},
	{"write, read of a socket", SOCKETS, tell_write, hear_read, NULL},
	{"eventfd_write, eventfd_read", EVENTS, tell_eventfd, hear_eventfd, NULL},
	{"fputc, fgetc", PIPES, tell_fputc, hear_fgetc, drain_getc},
	{"fputc, getc_unlocked", PIPES, tell_fputc, hear_getc_unlocked, drain_getc},
	{"fputs, fgets", PIPES, tell_fputs, hear_fgets, NULL},
	{"fwrite, fread", PIPES, tell_fwrite, hear_fread, NULL},
	{"fprintf, getline", PIPES, tell_fprintf, hear_getline, NULL},
	{"vfprintf, fscanf", PIPES, tell_vfprintf, hear_fscanf, NULL},
	{"dprintf, getdelim", PIPES, tell_dprintf, hear_getdelim, NULL},
};

static void make_ends(enum medium medium, struct ends *ret_one, struct ends *ret_other)
{
	int there[2] = {-1, -1}, back[2] = {-1, -1};

	switch (medium) {
	case PIPES:
		must(pipe(there) == 0 && pipe(back) == 0);
		break;
	case SOCKETS:
		must(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, there) == 0);
		must(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, back) == 0);
		break;
	case EVENTS:
		must((there[0] = eventfd(0, 0)) >= 0 && (there[1] = dup(there[0])) >= 0);
		must((back[0] = eventfd(0, 0)) >= 0 && (back[1] = dup(back[0])) >= 0);
		break;
	}
	*ret_one = (struct ends){.in = back[0], .out = there[1]};
	*ret_other = (struct ends){.in = there[0], .out = back[1]};
}

static void open_streams(struct ends *ends)
{
	ends->reader = fdopen(ends->in, "r");
	ends->writer = fdopen(ends->out, "w");
	must(ends->reader && ends->writer);
}

static void close_ends(const struct ends *ends)
{
	fclose(ends->reader);
	fclose(ends->writer);
}

static bool drain(const struct way *way, const struct ends *ends)
{
	return !way->drain || way->drain(ends);
}

static int answer_all(const struct way *way, struct ends *ends)
{
	int wrong = 0;

	open_streams(ends);
	for (int i = 1; i <= ROUNDS; i++) {
		wrong += !way->hear(ends) || !is_there(question, i);
		wrong += !drain(way, ends);
		put(answer, i);
		wrong += !way->tell(ends);
	}
	return wrong;
}

static int ask_all(const struct way *way, struct ends *ends)
{
	int wrong = 0;

	open_streams(ends);
	for (int i = 1; i <= ROUNDS; i++) {
		put(question, i);
		wrong += !way->tell(ends);
		wrong += !way->hear(ends) || !is_there(answer, i);
		wrong += !drain(way, ends);
	}
	return wrong;
}

static void ask(const struct way *way)
{
	struct ends ours, theirs;
	int wrong;
	pid_t child;

	put(question, 0);
	put(answer, 0);
	make_ends(way->medium, &ours, &theirs);
	child = fork();
	if (child == 0)
		_exit(answer_all(way, &theirs));
	wrong = ask_all(way, &ours);
	say("%s: %d wrong; the other's: %d", way->name, wrong, await_child(child));
	close(theirs.in);
	close(theirs.out);
	close_ends(&ours);
}

static void body(void)
{
	int fd = make_segment(NAME, 0600, (off_t)PAGES * PAGE);
	char *memory = mmap(NULL, (size_t)PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	must(memory != MAP_FAILED);
	question = (volatile long *)(void *)memory;
	answer = (volatile long *)(void *)(memory + PAGES / 2 * PAGE);
	for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
		ask(&ways[i]);
	must(munmap(memory, (size_t)PAGES * PAGE) == 0);
	close(fd);
	shm_unlink(NAME);
}

int main(int argc, char **argv)
{
	return probe_run(argc, argv, body);
}
