/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* shmemu trace: what a command asks of shared memory, what it gets, and by which road. The
 * processes of the command tell it themselves (base/traced.h), each call when it has returned; here
 * it is read while the command runs. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/child.h"
#include "cli/find.h"
#include "cli/json.h"
#include "cli/option.h"
#include "cli/preload.h"
#include "cli/receive.h"
#include "cli/say.h"
#include "cli/signals.h"
#include "cli/spell.h"
#include "cli/subcommand.h"
#include "cli/tally.h"
#include "cli/unseen.h"

/* Then signals are looked for. */
enum { RECORDS_AT_ONCE = 1000, NANOSECONDS = 1000000000 };

struct trace {
	bool shows_all;
	bool counts;
	bool json;
	const char *output;
	char **argv; /* COMMAND */
	char tracer[PATH_MAX];
	char library[PATH_MAX];
	FILE *stream;
	int64_t begin; /* as the records' */
	struct receiver receiver;
	struct signals signals;
	struct child child;
	struct tally tally;
	struct judge judge;
	uint64_t lost;
	bool has_strangers; /* records of another version came */
};

static void print_words(FILE *stream, const struct spelling *spelling)
{
	char text[SPELL_ROOM * 4];

	if (spelling->kind != SPELL_STRING) {
		fputs(spelling->text, stream);
		return;
	}
	spell_quote(text, sizeof text, spelling->text, spelling->length, spelling->is_cut);
	fputs(text, stream);
}

static const char *error_name(int error)
{
	const char *name = strerrorname_np(error);

	return name ? name : "?";
}

static void print_line(const struct trace *trace, const struct spell_call *call)
{
	const struct traced_record *record = call->record;
	FILE *stream = trace->stream;
	struct spelling spelling;

	fprintf(stream, "[pid %d", record->pid);
	if (record->tid != record->pid)
		fprintf(stream, " tid %d", record->tid);
	fprintf(stream, "] %s(", call->call->name);
	for (size_t i = 0; i < call->count; i++) {
		spell_argument(call, i, &spelling);
		fputs(i ? ", " : "", stream);
		print_words(stream, &spelling);
	}
	spell_result(call, &spelling);
	fprintf(stream, ") = %s", spelling.text);
	if (record->error)
		fprintf(stream, " %s", error_name(record->error));
	fprintf(stream, " <%" PRId64 ".%06" PRId64 "> %s\n", record->took / NANOSECONDS,
	        record->took % NANOSECONDS / 1000, tally_roads[record->road]);
}

static void print_value(FILE *stream, const struct spelling *spelling)
{
	if (spelling->kind == SPELL_NULL)
		fputs("null", stream);
	else if (spelling->kind == SPELL_NUMBER)
		fputs(spelling->text, stream);
	else
		json_string(stream, spelling->text, spelling->length);
}

static void print_seconds(FILE *stream, const char *name, int64_t nanoseconds)
{
	/* In a time namespace the clock is another. */
	if (nanoseconds < 0)
		nanoseconds = 0;
	fprintf(stream, ",\"%s\":%" PRId64 ".%09" PRId64, name, nanoseconds / NANOSECONDS,
	        nanoseconds % NANOSECONDS);
}

static void print_object(const struct trace *trace, const struct spell_call *call)
{
	const struct traced_record *record = call->record;
	FILE *stream = trace->stream;
	struct spelling spelling;

	fprintf(stream, "{\"pid\":%d,\"tid\":%d", record->pid, record->tid);
	print_seconds(stream, "begin", record->begin - trace->begin);
	fprintf(stream, ",\"call\":\"%s\",\"arguments\":[", call->call->name);
	for (size_t i = 0; i < call->count; i++) {
		spell_argument(call, i, &spelling);
		fputs(i ? "," : "", stream);
		print_value(stream, &spelling);
	}
	fputs("],\"result\":", stream);
	spell_result(call, &spelling);
	print_value(stream, &spelling);
	if (record->error)
		fprintf(stream, ",\"error\":\"%s\"", error_name(record->error));
	else
		fputs(",\"error\":null", stream);
	print_seconds(stream, "seconds", record->took);
	fprintf(stream, ",\"road\":\"%s\"}\n", tally_roads[record->road]);
}

static void look_at_program(const struct trace *trace, const struct spell_call *call)
{
	struct spelling path;

	spell_argument(call, 0, &path);
	if (path.kind == SPELL_STRING && !path.is_cut)
		unseen_tell(&trace->judge, path.text, call->record->pid);
}

static void take(struct trace *trace, const struct traced_record *record, size_t size)
{
	struct spell_call call;

	if (!spell_parse(record, size, &call)) {
		trace->has_strangers = true;
		return;
	}
	trace->lost += record->lost;
	if (call.call->kind == TRACED_END)
		return;
	if (call.call->kind == TRACED_EXEC)
		look_at_program(trace, &call);
	else if (trace->counts)
		tally_add(&trace->tally, record);
	else if (trace->json)
		print_object(trace, &call);
	else
		print_line(trace, &call);
}

/* Returns false when there are no more for now. */
static bool drain(struct trace *trace)
{
	union {
		struct traced_record record;
		char bytes[TRACED_SIZE_MAX];
	} room;
	size_t size = 0;

	for (int i = 0; i < RECORDS_AT_ONCE; i++) {
		size = receive_next(&trace->receiver, &room.record);
		if (size == 0)
			break;
		take(trace, &room.record, size);
	}
	/* One that nobody reads any more is no reason to hold COMMAND up. */
	fflush(trace->stream);
	return size > 0;
}

static void await_command(struct trace *trace)
{
	struct pollfd fds[] = {
		{.fd = trace->receiver.sock, .events = POLLIN},
		{.fd = trace->signals.fd, .events = POLLIN},
	};
	struct signalfd_siginfo info;

	for (;;) {
		if (poll(fds, 2, -1) < 0)
			continue;
		if (fds[0].revents)
			drain(trace);
		if (!fds[1].revents || !signals_next(&trace->signals, 0, &info))
			continue;
		if (info.ssi_signo == SIGCHLD && child_reap(&trace->child, NULL, NULL))
			return;
		child_forward(&trace->child, &info);
	}
}

/* Records come in order, and what has been sent is there: by whom COMMAND waited for, too. */
static void finish(struct trace *trace)
{
	while (drain(trace))
		;
	close(trace->receiver.sock);
	if (trace->counts)
		tally_print(&trace->tally, trace->json, trace->stream);
	if (fflush(trace->stream) != 0 || ferror(trace->stream))
		say("trace: cannot write all of it: %s", trace->output ? trace->output :
		                                                         "standard error");
	if (trace->lost)
		say("trace: %" PRIu64 " call%s not shown: they came faster than they were written",
		    trace->lost, trace->lost == 1 ? " is" : "s are");
	if (trace->has_strangers)
		say("trace: some calls are not shown: their libshmemu-trace.so is another "
		    "version's");
}

static void become_command(void *context)
{
	const struct trace *trace = context;

	setenv(TRACED_VARIABLE, trace->receiver.setting, 1);
	preload_library(trace->library);
	preload_tracer(trace->tracer);
	signals_restore(&trace->signals);
}

static void open_output(struct trace *trace)
{
	struct timespec now;
	int fd;

	clock_gettime(CLOCK_MONOTONIC, &now);
	trace->begin = (int64_t)now.tv_sec * NANOSECONDS + now.tv_nsec;
	trace->stream = trace->output ? fopen(trace->output, "we") : NULL;
	if (trace->output && !trace->stream)
		fail("trace: cannot write %s: %s", trace->output, strerror(errno));
	if (trace->output)
		return;
	/* In lines that are written as a whole; stderr itself has no buffer. */
	fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
	trace->stream = fd < 0 ? NULL : fdopen(fd, "w");
	if (!trace->stream)
		fail("trace: cannot write to standard error: %s", strerror(errno));
}

static void parse(struct trace *trace, int argc, char **argv)
{
	int option;

	while ((option = option_next(&trace_subcommand, argc, argv)) != -1) {
		switch (option) {
		case 'a': trace->shows_all = true; break;
		case 'c': trace->counts = true; break;
		case 'j': trace->json = true; break;
		case 'o': trace->output = optarg; break;
		}
	}
	trace->argv = argv + optind;
	if (!trace->argv[0])
		fail("trace: which command? Try 'shmemu trace --help'");
}

static int trace_main(int argc, char **argv)
{
	static struct trace trace = {.child = {.status = EXIT_TOOL}};

	parse(&trace, argc, argv);
	find_tracer(trace.tracer, trace.library);
	judge_init(&trace.judge);
	open_output(&trace);
	receive_open(&trace.receiver, trace.shows_all);
	signals_take(&trace.signals);
	unseen_tell(&trace.judge, trace.argv[0], getpid());
	if (child_start(&trace.child, trace.argv, become_command, &trace) == 0) {
		await_command(&trace);
		finish(&trace);
	}
	judge_deinit(&trace.judge);
	return child_end(&trace.child);
}

static const struct subcommand_option options[] = {
	{"all", 'a', NULL, "calls that are none of shmemu's business, too", COMPLETE_NOTHING},
	{"count", 'c', NULL, "a table of how often, how long and by which road in place of each "
	 "call", COMPLETE_NOTHING},
	OPTION_JSON("as JSON: an object on a line for each call, or the table"),
	{"output", 'o', "FILE", "there, not to standard error", COMPLETE_FILE},
	OPTION_END,
};

const struct subcommand trace_subcommand = {
	.name = "trace",
	.arguments = {"[OPTION]... [--] COMMAND [ARG]..."},
	.summary = "run a command and show each call that is about shared memory",
	.about = "Run a command under the library, and show each call that is about shared memory: "
	         "its arguments, its result, how long it took and by which road it was answered.",
	.after = "The roads: daemon (asked), known (opened again without asking), memory (that "
	         "processes share), emulated (what the host lacks), mount, library (answered in "
	         "the process) and kernel (passed on). Each call is shown when it returns. The "
	         "exit status is as that of 'shmemu run'.",
	.short_options = "aco:",
	.options = options,
	.operands = COMPLETE_COMMAND,
	.run = trace_main,
};
