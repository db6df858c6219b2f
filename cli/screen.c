/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The sequences are those that every terminal with an alternate screen knows (xterm's, the
 * console's, tmux's), so that no terminfo is needed. What a signal handler does here is
 * tcsetattr(3) and write(2), which it may. */
#include "cli/screen.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "cli/fit.h"
#include "cli/say.h"

#define ENTER "\033[?1049h\033[?25l" /* the other screen, no cursor */
#define LEAVE "\033[m\033[?25h\033[?1049l"
#define BEGIN "\033[?2026h\033[H" /* shows nothing, where it is known, until ... */
#define END "\033[?2026l"         /* ... this */
#define CLEAR_LINE "\033[K"
#define CLEAR_REST "\033[J"

enum { STATUS_SIGNAL_BASE = 128 };

static const int ending[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

static struct {
	struct termios before;
	bool has_keys; /* standard input is a terminal, and `before` is how it was */
	bool is_read;  /* and is still there */
	volatile sig_atomic_t entered;
	volatile sig_atomic_t changed;
} screen;

bool screen_is_there(void)
{
	const char *terminal = getenv("TERM");

	return terminal && *terminal && strcmp(terminal, "dumb") != 0;
}

static void put(const char *bytes, size_t size)
{
	while (size) {
		ssize_t written = write(STDOUT_FILENO, bytes, size);

		if (written < 0 && errno != EINTR)
			return;
		bytes += written > 0 ? written : 0;
		size -= written > 0 ? (size_t)written : 0;
	}
}

/* In the background tcsetattr(3) stops us until we are not. */
static void enter(void)
{
	struct termios keys = screen.before;

	keys.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	keys.c_cc[VMIN] = 1;
	keys.c_cc[VTIME] = 0;
	if (screen.has_keys)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &keys);
	if (!screen.entered)
		put(ENTER, strlen(ENTER));
	screen.entered = true;
	screen.changed = true;
}

static void leave(void)
{
	if (!screen.entered)
		return;
	screen.entered = false;
	put(LEAVE, strlen(LEAVE));
	if (screen.has_keys)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &screen.before);
}

/* With its default effect. */
static void suffer(int number)
{
	struct sigaction defaults = {.sa_handler = SIG_DFL};
	struct sigaction ours;
	sigset_t only, before;

	sigaction(number, &defaults, &ours);
	raise(number);
	sigemptyset(&only);
	sigaddset(&only, number);
	sigprocmask(SIG_UNBLOCK, &only, &before);
	sigprocmask(SIG_SETMASK, &before, NULL);
	sigaction(number, &ours, NULL);
}

static void end_by(int number)
{
	leave();
	suffer(number);
	/* The first process of a pid namespace outlives its signals. */
	_exit(STATUS_SIGNAL_BASE + number);
}

static void stop_by(int number)
{
	int error = errno;

	leave();
	suffer(number);
	enter();
	errno = error;
}

/* After a SIGSTOP, of which nobody is told, the shell has set the terminal as it likes it. */
static void continued(int number)
{
	int error = errno;

	(void)number;
	enter();
	errno = error;
}

static void resized(int number)
{
	(void)number;
	screen.changed = true;
}

/* Whoever ignores a signal for us goes on doing so: nohup(1). */
static void handle(int number, void (*handler)(int number), int flags)
{
	struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
	struct sigaction before;

	sigfillset(&action.sa_mask);
	sigdelset(&action.sa_mask, SIGTTOU);
	sigaction(number, NULL, &before);
	if (before.sa_handler != SIG_IGN)
		sigaction(number, &action, NULL);
}

void screen_begin(void)
{
	sigset_t waited;

	screen.has_keys = screen.is_read = tcgetattr(STDIN_FILENO, &screen.before) == 0;
	/* Only while it is waited for them: see screen_wait. */
	sigemptyset(&waited);
	sigaddset(&waited, SIGWINCH);
	sigaddset(&waited, SIGCONT);
	sigprocmask(SIG_BLOCK, &waited, NULL);
	for (size_t i = 0; i < sizeof ending / sizeof ending[0]; i++)
		handle(ending[i], end_by, SA_RESTART);
	handle(SIGTSTP, stop_by, SA_RESTART);
	handle(SIGCONT, continued, 0);
	handle(SIGWINCH, resized, 0);
	atexit(screen_end);
	enter();
	screen.changed = false;
}

void screen_end(void)
{
	sigset_t all, before;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	leave();
	sigprocmask(SIG_SETMASK, &before, NULL);
}

/* In one piece, and only what is drawn anew is cleared: so nothing flickers. A line is cleared
 * before it is written: after one that is full, its last character would go with it. */
void screen_draw(const char *lines, size_t size)
{
	size_t rows = fit_terminal(STDOUT_FILENO).rows;
	char *text = NULL;
	size_t length = 0;
	FILE *file = open_memstream(&text, &length);
	const char *end;

	if (!file)
		fail("cannot draw: %s", strerror(ENOMEM));
	fputs(BEGIN, file);
	for (; rows && (end = memchr(lines, '\n', size)); rows--) {
		fputs(CLEAR_LINE, file);
		fwrite(lines, 1, (size_t)(end - lines), file);
		fputs(rows > 1 ? "\r\n" : "", file);
		size -= (size_t)(end + 1 - lines);
		lines = end + 1;
	}
	fputs(rows ? CLEAR_REST END : END, file);
	if (fclose(file) != 0)
		fail("cannot draw: %s", strerror(ENOMEM));
	put(text, length);
	free(text);
}

static bool take_change(void)
{
	bool changed = screen.changed;

	screen.changed = false;
	return changed;
}

/* A terminal that is gone has no keys any more. */
static int read_key(void)
{
	unsigned char key;
	ssize_t size = read(STDIN_FILENO, &key, 1);

	if (size == 1)
		return key;
	if (size == 0 || errno != EINTR)
		screen.is_read = false;
	return SCREEN_CHANGED;
}

int screen_wait(long long milliseconds)
{
	struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000};
	struct pollfd keys = {.fd = screen.is_read ? STDIN_FILENO : -1, .events = POLLIN};
	sigset_t mask;
	int result;

	sigprocmask(SIG_SETMASK, NULL, &mask);
	sigdelset(&mask, SIGWINCH);
	sigdelset(&mask, SIGCONT);
	if (take_change())
		return SCREEN_CHANGED;
	result = ppoll(&keys, 1, &time, &mask);
	if (take_change() || (result < 0 && errno == EINTR))
		return SCREEN_CHANGED;
	return result > 0 ? read_key() : SCREEN_TIMEOUT;
}
