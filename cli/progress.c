/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/progress.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/fit.h"
#include "cli/human.h"

enum { NANOSECONDS = 1000000000, PERIOD = NANOSECONDS / 10 };
enum { NAME_WIDTH = 20, LINE_MAX = 256 };

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * NANOSECONDS + (uint64_t)time.tv_nsec;
}

void progress_begin(struct progress *progress, const char *what, uint64_t total)
{
	size_t columns;

	*progress = (struct progress){.what = what, .total = total, .began = now()};
	if (!isatty(STDERR_FILENO))
		return;
	columns = fit_terminal(STDERR_FILENO).columns;
	progress->width = columns < LINE_MAX ? (int)columns : LINE_MAX - 1;
}

static void draw(struct progress *progress, uint64_t done, double seconds)
{
	char one[HUMAN_SIZE], all[HUMAN_SIZE], speed[HUMAN_SIZE], line[LINE_MAX], bar[LINE_MAX];
	double part = progress->total ? (double)done / (double)progress->total : 0;
	int length, room;

	human_bytes(speed, (uint64_t)((double)done / seconds));
	if (progress->total)
		length = snprintf(line, sizeof line, "%-.*s %3.0f%% %s of %s, %s/s", NAME_WIDTH,
		                  progress->what, part * 100, human_bytes(one, done),
		                  human_bytes(all, progress->total), speed);
	else
		length = snprintf(line, sizeof line, "%-.*s %s, %s/s", NAME_WIDTH, progress->what,
		                  human_bytes(one, done), speed);
	/* What does not fit would make a second line, which stays. */
	if (length >= progress->width)
		line[progress->width - 1] = '\0';
	room = progress->width - length - 4;
	bar[0] = '\0';
	if (progress->total && room >= 10) {
		memset(bar, '.', (size_t)room);
		memset(bar, '#', (size_t)(part * room));
		bar[room] = '\0';
	}
	fprintf(stderr, "\r%s%s%s%s\033[K", line, bar[0] ? " [" : "", bar, bar[0] ? "]" : "");
	progress->shown = true;
}

void progress_at(struct progress *progress, uint64_t done)
{
	uint64_t moment;

	if (!progress->width)
		return;
	moment = now();
	if (moment - progress->began < PERIOD || moment - progress->last < PERIOD)
		return;
	progress->last = moment;
	draw(progress, done, (double)(moment - progress->began) / NANOSECONDS);
}

void progress_end(struct progress *progress)
{
	if (progress->shown)
		fputs("\r\033[K", stderr);
	progress->shown = false;
}
