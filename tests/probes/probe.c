/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The transcript lies in anonymous shared memory, not in a descriptor: probes close descriptors,
 * exhaust them and fork. */
#include "tests/probes/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TRANSCRIPT_SIZE = 4 << 20, LINE_SIZE = 512, PATIENCE_SECONDS = 50 };

static struct transcript {
	atomic_size_t length;
	atomic_int failures;
	atomic_bool skipped;
	char bytes[TRANSCRIPT_SIZE];
} *transcript;

static int argument_count;
static char **arguments;
static volatile sig_atomic_t out_of_patience;

const char *probe_argument(int n)
{
	return n < argument_count ? arguments[n] : "";
}

static void add(const char *line, size_t length)
{
	size_t at = atomic_fetch_add(&transcript->length, length);

	if (at + length <= sizeof transcript->bytes)
		memcpy(transcript->bytes + at, line, length);
}

void say(const char *format, ...)
{
	char line[LINE_SIZE];
	va_list values;
	int length;
	int error = errno;

	va_start(values, format);
	length = vsnprintf(line, sizeof line - 1, format, values);
	va_end(values);
	if (length > (int)sizeof line - 2)
		length = (int)sizeof line - 2;
	line[length] = '\n';
	add(line, (size_t)length + 1);
	errno = error;
}

void must_hold(bool holds, const char *file, int line, const char *text)
{
	if (holds)
		return;
	atomic_fetch_add(&transcript->failures, 1);
	say("MUST HOLD: %s:%d: %s (errno %s)", file, line, text, strerrorname_np(errno));
}

_Noreturn void skip(const char *reason)
{
	say("SKIP: %s", reason);
	transcript->skipped = true;
	_exit(PROBE_SKIP);
}

const char *outcome(long result)
{
	const char *name = strerrorname_np(errno);

	if (result >= 0)
		return "ok";
	return name ? name : "an errno without a name";
}

int await_child(pid_t pid)
{
	int status;
	pid_t got;

	do
		got = waitpid(pid, &status, 0);
	while (got < 0 && errno == EINTR && !out_of_patience);
	if (got < 0)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : PROBE_SIGNAL + WTERMSIG(status);
}

int in_child(void (*body)(void *), void *argument)
{
	pid_t pid = fork();

	if (pid == 0) {
		body(argument);
		_exit(EXIT_SUCCESS);
	}
	return pid < 0 ? -1 : await_child(pid);
}

const char *try_open(const char *name, int flags, mode_t mode)
{
	int fd = shm_open(name, flags, mode);
	const char *result = outcome(fd);

	if (fd >= 0)
		close(fd);
	return result;
}

int make_segment(const char *name, mode_t mode, off_t size)
{
	int fd;

	shm_unlink(name);
	fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, mode);
	must(fd >= 0 && ftruncate(fd, size) == 0);
	if (fd < 0)
		_exit(EXIT_FAILURE);
	return fd;
}

void *shared_memory(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED) {
		perror("mmap");
		_exit(EXIT_FAILURE);
	}
	return memory;
}

static void lose_patience(int number)
{
	(void)number;
	out_of_patience = 1;
}

static void print_transcript(void)
{
	size_t length = transcript->length;
	size_t at = 0;

	if (length > sizeof transcript->bytes)
		length = sizeof transcript->bytes;
	while (at < length) {
		ssize_t written = write(STDOUT_FILENO, transcript->bytes + at, length - at);

		if (written <= 0)
			return;
		at += (size_t)written;
	}
}

/* Children of the probe that are left belong to its process group. */
static int await_body(pid_t body)
{
	struct sigaction patience = {.sa_handler = lose_patience};
	int status;

	sigaction(SIGALRM, &patience, NULL);
	alarm(PATIENCE_SECONDS);
	status = await_child(body);
	if (status == -1)
		say("MUST HOLD: the probe ends within %d seconds", PATIENCE_SECONDS);
	kill(-body, SIGKILL);
	return status;
}

int probe_run(int argc, char **argv, void (*body)(void))
{
	pid_t child;
	int status;

	argument_count = argc;
	arguments = argv;
	transcript = shared_memory(sizeof *transcript);
	child = fork();
	if (child == 0) {
		setpgid(0, 0);
		body();
		_exit(EXIT_SUCCESS);
	}
	setpgid(child, child);
	status = await_body(child);
	if (status >= PROBE_SIGNAL)
		say("MUST HOLD: the probe is not ended by signal %d", status - PROBE_SIGNAL);
	print_transcript();
	if (transcript->failures)
		return EXIT_FAILURE;
	if (transcript->skipped)
		return PROBE_SKIP;
	return status == EXIT_SUCCESS ? EXIT_SUCCESS : EXIT_FAILURE;
}
