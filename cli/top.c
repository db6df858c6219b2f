/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* shmemu top: df and ls, again and again. */
#include <errno.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/own.h"
#include "cli/ask.h"
#include "cli/columns.h"
#include "cli/fit.h"
#include "cli/human.h"
#include "cli/listing.h"
#include "cli/option.h"
#include "cli/say.h"
#include "cli/screen.h"
#include "cli/usage.h"

enum { SHARES_MAX = 3, LINE_SIZE = 512, SECONDS_MAX = 1000000 };

struct top {
	const char *folder;
	long long delay;          /* milliseconds */
	unsigned long iterations; /* 0: without end */
	bool batch;
	enum listing_order order;
	struct columns_style style;
	int sock;                 /* owned; -1: there is none */
	struct text path;         /* the daemon's folder */
	struct listing listing;   /* what was seen last ... */
	struct usage usage;       /* ... rows NULL: the daemon is too old to tell ... */
	time_t seen;              /* ... and when */
	int result;               /* of the last look: 0 or -errno */
};

static const struct {
	char key;
	const char *word;
} orders[] = {
	[LISTING_BY_RESIDENT] = {'r', "resident"},
	[LISTING_BY_SIZE] = {'s', "size"},
	[LISTING_BY_AGE] = {'a', "age"},
	[LISTING_BY_NAME] = {'n', "name"},
};

static int look_at(struct top *top)
{
	struct listing listing;
	struct usage usage = USAGE_NULL;
	int result = listing_read(top->sock, false, &listing);

	if (result < 0)
		return result;
	result = usage_read(top->sock, &usage);
	if (result < 0 && result != -EPROTONOSUPPORT) {
		listing_free(&listing);
		return result;
	}
	listing_free(&top->listing);
	usage_free(&top->usage);
	top->listing = listing;
	top->usage = usage;
	top->seen = time(NULL);
	return 0;
}

/* A daemon that was killed, or ended, may have been followed by another. */
static void look(struct top *top)
{
	top->result = top->sock < 0 ? -ECONNREFUSED : look_at(top);
	if (top->result == 0)
		return;
	fd_close_at(&top->sock);
	top->sock = ask_try_connect(top->folder, &top->path);
	top->result = top->sock < 0 ? top->sock : look_at(top);
}

/* A line that fits. */
__attribute__((format(printf, 3, 4)))
static void put_line(FILE *file, size_t columns, const char *format, ...)
{
	char line[LINE_SIZE];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(line, sizeof line, format, arguments);
	va_end(arguments);
	if (columns)
		line[fit_text(line, columns)] = '\0';
	fprintf(file, "%s\n", line);
}

static void put_share(const struct usage_row *row, FILE *file, size_t columns)
{
	char size[HUMAN_SIZE], used[HUMAN_SIZE], available[HUMAN_SIZE], number[HUMAN_SIZE];
	const struct passwd *user = row->is_share ? getpwuid(row->uid) : NULL;

	snprintf(number, sizeof number, "%" PRIu32, row->uid);
	put_line(file, columns, "%s%s: %s, %s used (%u%%), %s available",
	         row->is_share ? "Share of " : "Memory",
	         !row->is_share ? "" : user ? user->pw_name : number, human_bytes(size, row->size),
	         human_bytes(used, row->used), usage_percent(row->used, row->available),
	         human_bytes(available, row->available));
}

static void put_usage(const struct usage *usage, FILE *file, size_t columns)
{
	for (size_t i = 0; i < usage->count && i <= SHARES_MAX; i++)
		put_share(&usage->rows[i], file, columns);
	if (usage->count && usage->inodes)
		put_line(file, columns, "Inodes: %" PRIu64 ", %" PRIu64 " used (%u%%)",
		         usage->inodes, usage->inodes_used,
		         usage_percent(usage->inodes_used, usage->inodes - usage->inodes_used));
	else if (usage->count)
		put_line(file, columns, "Inodes: %" PRIu64 " used", usage->inodes_used);
}

static void put_header(const struct top *top, FILE *file, size_t columns)
{
	size_t count = top->listing.count;
	size_t orphans = top->listing.orphans;
	char clock[16] = "";
	struct tm parts;

	if (localtime_r(&top->seen, &parts))
		strftime(clock, sizeof clock, "%H:%M:%S", &parts);
	put_line(file, columns, "shmemu top - %s, %zu object%s, %zu orphan%s, by %s", clock, count,
	         count == 1 ? "" : "s", orphans, orphans == 1 ? "" : "s", orders[top->order].word);
	put_usage(&top->usage, file, columns);
	if (top->result == -ENOENT || top->result == -ECONNREFUSED)
		put_line(file, columns, "No daemon serves %s any more: this is how it was then",
		         top->path.bytes);
	else if (top->result < 0)
		put_line(file, columns, "The daemon does not answer: %s; this is how it was then",
		         strerror(-top->result));
	else
		put_line(file, columns, "%s", top->batch ? "" :
		         "Keys: q ends; by r resident size, s size, a age, n name");
}

static size_t lines_of(const char *text)
{
	size_t lines = 0;

	while ((text = strchr(text, '\n'))) {
		lines++;
		text++;
	}
	return lines;
}

/* The first line, of titles, stands out. */
static void put_table(struct libscols_table *table, bool colours, FILE *file)
{
	char *text = NULL;
	size_t titles;

	if (scols_print_table_to_string(table, &text) != 0)
		fail("cannot make a table: out of memory");
	scols_unref_table(table);
	if (!text || !*text) {
		free(text);
		return;
	}
	titles = strcspn(text, "\n");
	fprintf(file, "%s%.*s%s%s", colours ? colour_sequence(COLOUR_BOLD) : "", (int)titles, text,
	        colours ? "\033[m" : "", text + titles);
	if (text[strlen(text) - 1] != '\n')
		fputc('\n', file);
	free(text);
}

/* All that there is to see, or as much as there is room for. */
static char *compose(struct top *top, const struct fit_size *room, size_t *ret_size)
{
	char *text = NULL;
	FILE *file = open_memstream(&text, ret_size);
	size_t taken;

	if (!file)
		fail("cannot draw: %s", strerror(ENOMEM));
	put_header(top, file, room ? room->columns : 0);
	fflush(file);
	taken = lines_of(text) + 1;
	listing_sort(&top->listing, top->order);
	top->style.width = room ? room->columns : 0;
	top->style.rows = room && room->rows > taken ? room->rows - taken : 0;
	top->style.now = top->seen;
	if (!room || top->style.rows)
		put_table(columns_table(&top->listing, &top->style), top->style.colours, file);
	if (fclose(file) != 0)
		fail("cannot draw: %s", strerror(ENOMEM));
	return text;
}

static void print(struct top *top)
{
	size_t size;
	char *text = compose(top, NULL, &size);

	if (fwrite(text, 1, size, stdout) != size || fflush(stdout) != 0)
		fail("cannot write the table");
	free(text);
}

static void run_batch(struct top *top)
{
	struct timespec pause = {top->delay / 1000, top->delay % 1000 * 1000000};

	for (unsigned long i = 0; !top->iterations || i < top->iterations; i++) {
		if (i) {
			nanosleep(&pause, NULL);
			puts("");
		}
		look(top);
		if (top->result < 0)
			ask_fail(top->result);
		print(top);
	}
}

static void draw(struct top *top)
{
	struct fit_size room = fit_terminal(STDOUT_FILENO);
	size_t size;
	char *text = compose(top, &room, &size);

	screen_draw(text, size);
	free(text);
}

/* Returns false when that was the last key. */
static bool take_key(struct top *top, int key)
{
	for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++)
		if (key == orders[i].key)
			top->order = (enum listing_order)i;
	return key != 'q' && key != 'Q';
}

static long long now_milliseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* Up to the next look. Returns false when the user has had enough. */
static bool wait_and_draw(struct top *top)
{
	long long deadline = now_milliseconds() + top->delay;
	int key;

	for (;;) {
		long long left = deadline - now_milliseconds();

		key = screen_wait(left > 0 ? left : 0);
		if (key == SCREEN_TIMEOUT)
			return true;
		if (!take_key(top, key))
			return false;
		draw(top);
	}
}

static void run_on_screen(struct top *top)
{
	unsigned long count = 0;

	screen_begin();
	do {
		look(top);
		draw(top);
	} while ((!top->iterations || ++count < top->iterations) && wait_and_draw(top));
	screen_end();
}

static long long parse_delay(const char *text)
{
	char *end;
	double seconds = strtod(text, &end);

	if (end == text || *end || !(seconds >= 0.1 && seconds <= SECONDS_MAX))
		fail("top: --delay takes seconds, at least 0.1, not '%s'", text);
	return (long long)(seconds * 1000);
}

static unsigned long parse_iterations(const char *text)
{
	char *end;
	long number = strtol(text, &end, 10);

	if (end == text || *end || number <= 0)
		fail("top: --iterations takes a number, at least 1, not '%s'", text);
	return (unsigned long)number;
}

static enum listing_order parse_order(const char *text)
{
	for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++)
		if (strcmp(text, orders[i].word) == 0)
			return (enum listing_order)i;
	fail("top: --sort is resident, size, age or name, not '%s'", text);
}

static void take_options(struct top *top, int argc, char **argv)
{
	const char *color = "auto";
	int option;

	while ((option = option_next(&top_subcommand, argc, argv)) != -1) {
		switch (option) {
		case 'd': top->folder = optarg; break;
		case 's': top->delay = parse_delay(optarg); break;
		case 'b': top->batch = true; break;
		case 'i': top->iterations = parse_iterations(optarg); break;
		case 'o': top->order = parse_order(optarg); break;
		case 'C': color = optarg; break;
		}
	}
	option_end(&top_subcommand, argc, argv);
	top->style.colours = colour_is_wanted(color);
}

static int top_main(int argc, char **argv)
{
	struct top top = {.delay = 2000, .sock = -1};

	take_options(&top, argc, argv);
	/* Who reads a file, or a pipe, has no end to wait for. */
	if (!top.batch && !isatty(STDOUT_FILENO)) {
		top.batch = true;
		top.iterations = top.iterations ? top.iterations : 1;
	}
	if (!top.batch && !screen_is_there())
		fail("top: a terminal of this kind (TERM=%s) can't be redrawn: try --batch",
		     getenv("TERM") ? getenv("TERM") : "");
	top.sock = ask_connect_at(top.folder, &top.path);
	if (top.batch)
		run_batch(&top);
	else
		run_on_screen(&top);
	fd_close_at(&top.sock);
	listing_free(&top.listing);
	usage_free(&top.usage);
	return EXIT_SUCCESS;
}

static const struct subcommand_option options[] = {
	OPTION_DIR("of the daemon that serves DIR"),
	{"delay", 's', "SECONDS", "how long until it looks again; 2 if it is not said",
	 COMPLETE_NOTHING},
	{"iterations", 'i', "N", "how often it looks before it ends", COMPLETE_NOTHING},
	{"batch", 'b', NULL, "one screen after the other, for a file; so it is by itself if the "
	 "output is no terminal, and once if --iterations says nothing", COMPLETE_NOTHING},
	{"sort", 'o', "BY", "resident, size, age or name; resident if it is not said",
	 COMPLETE_NOTHING},
	OPTION_COLOR,
	OPTION_END,
};

const struct subcommand top_subcommand = {
	.name = "top",
	.arguments = {"[OPTION]..."},
	.summary = "show what ls shows, the largest first, and look again and again",
	.about = "Show how much memory is used, as df does, and what takes it, as ls does, the "
	         "largest first, and look again and again. On a terminal q ends it, and r, s, a "
	         "and n sort by resident size, size, age and name.",
	.options = options,
	.run = top_main,
};
