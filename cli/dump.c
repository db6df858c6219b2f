/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* shmemu dump, shmemu load: what a segment holds, from and to files. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/client.h"
#include "base/own.h"
#include "cli/ask.h"
#include "cli/copy.h"
#include "cli/option.h"
#include "cli/say.h"

enum { MODE = 0600, MODE_MAX = 0777 };

struct dump {
	const char *folder;
	const char *name; /* without the slashes it may begin with */
	bool force;
	unsigned mode;
	int sock;
	char text[WIRE_TEXT_MAX + 1]; /* of answers */
};

/* Asks about the name, or another, or two; the answer's file is the caller's. The result or
 * -errno. */
static int ask_of(struct dump *dump, struct wire_request *request, const char *path,
                  const char *other, int file, int *ret_file)
{
	struct client_answer answer = {.text = dump->text, .text_room = sizeof dump->text};
	struct client_places places = {
		.paths = {path, other}, .file = file >= 0 ? &file : NULL,
	};
	int result;

	places.places.length[0] = (uint16_t)strlen(path);
	places.places.length[1] = other ? (uint16_t)strlen(other) : 0;
	result = client_ask_places(dump->sock, request, &places, &answer);
	if (result == -EPROTONOSUPPORT)
		fail("the daemon is of an older version, which can't do that: use both from one "
		     "build");
	if (result < 0)
		ask_fail(result);
	result = answer.reply.result;
	/* By a link; there is nothing of ours. */
	if (result == WIRE_ELSEWHERE)
		result = -EXDEV;
	if (ret_file)
		*ret_file = answer.fd;
	else
		fd_close_at(&answer.fd);
	return result;
}

static int open_named(struct dump *dump, const char *path, int flags, unsigned mode, int *ret_file)
{
	struct wire_request request = wire_request_make(WIRE_OPEN_PATH);

	request.flags = (uint32_t)(flags | O_CLOEXEC);
	request.mode = mode;
	return ask_of(dump, &request, path, NULL, -1, ret_file);
}

static const char *reason(int result)
{
	switch (result) {
	case -EBADF: return "it is a folder, a fifo or a socket";
	case -ENOENT: return "there is none of that name; 'shmemu ls' shows what there is";
	case -EEXIST: return "there is one of that name; --force replaces it";
	case -EXDEV: return "it is a link to a file elsewhere";
	default: return strerror(-result);
	}
}

static void take_name(struct dump *dump, const struct subcommand *subcommand, int argc,
                      char **argv)
{
	const char *name = argv[optind];

	if (!name)
		fail("%s: which segment? Try 'shmemu %s --help'", subcommand->name,
		     subcommand->name);
	optind++;
	option_end(subcommand, argc, argv);
	dump->name = name + strspn(name, "/");
	if (!dump->name[0] || strlen(dump->name) > WIRE_PATH_MAX)
		fail("%s: '%s' is no name", subcommand->name, name);
}

static int dump_main(int argc, char **argv)
{
	struct dump dump = {.sock = -1};
	OWN_FD segment = -1;
	bool writes;
	int option, result;

	while ((option = option_next(&dump_subcommand, argc, argv)) != -1)
		if (option == 'd')
			dump.folder = optarg;
	take_name(&dump, &dump_subcommand, argc, argv);
	if (isatty(STDOUT_FILENO))
		fail("dump: standard output is a terminal: try 'shmemu dump %s > FILE'", dump.name);
	dump.sock = ask_connect(dump.folder);
	result = open_named(&dump, dump.name, O_RDONLY, 0, &segment);
	/* A folder comes as one to look through. */
	if (result == 0)
		result = copy_bytes(segment, STDOUT_FILENO, dump.name, &writes);
	if (result < 0)
		fail("cannot dump /%s: %s%s", dump.name,
		     segment >= 0 && writes ? "standard output: " : "", reason(result));
	fd_close_at(&dump.sock);
	return EXIT_SUCCESS;
}

/* The new one takes the name at once, whole; who has the old one open goes on with that. */
static int give_name(struct dump *dump, int segment)
{
	struct wire_request link = wire_request_make(WIRE_LINK_FILE);
	struct wire_request move = wire_request_make(WIRE_RENAME);
	struct wire_request undo = wire_request_make(WIRE_REMOVE);
	char *beside;
	int result;

	if (!dump->force)
		return ask_of(dump, &link, dump->name, NULL, segment, NULL);
	if (asprintf(&beside, "%s.shmemu-load-%d", dump->name, (int)getpid()) < 0)
		return -ENOMEM;
	result = ask_of(dump, &link, beside, NULL, segment, NULL);
	if (result == 0) {
		result = ask_of(dump, &move, beside, dump->name, -1, NULL);
		if (result < 0)
			ask_of(dump, &undo, beside, NULL, -1, NULL);
	}
	free(beside);
	return result;
}

static unsigned parse_mode(const char *text)
{
	char *end;
	unsigned long mode = strtoul(text, &end, 8);

	if (!*text || *end || text[0] == '-' || mode > MODE_MAX)
		fail("load: --mode takes an octal number up to 777, not '%s'", text);
	return (unsigned)mode;
}

/* The folder that the name is in: "" is the root. */
static char *folder_of(const char *name)
{
	const char *slash = strrchr(name, '/');
	char *folder = strndup(name, slash ? (size_t)(slash - name) : 0);

	if (!folder)
		fail("cannot load: %s", strerror(ENOMEM));
	return folder;
}

static int load_main(int argc, char **argv)
{
	struct dump dump = {.sock = -1, .mode = MODE};
	OWN_FD segment = -1;
	bool writes = false;
	char *folder;
	int option, result;

	while ((option = option_next(&load_subcommand, argc, argv)) != -1) {
		switch (option) {
		case 'd': dump.folder = optarg; break;
		case 'f': dump.force = true; break;
		case 'm': dump.mode = parse_mode(optarg); break;
		}
	}
	take_name(&dump, &load_subcommand, argc, argv);
	dump.sock = ask_connect(dump.folder);
	folder = folder_of(dump.name);
	result = open_named(&dump, folder, O_TMPFILE | O_RDWR, dump.mode, &segment);
	free(folder);
	if (result == 0)
		result = copy_bytes(STDIN_FILENO, segment, dump.name, &writes);
	if (result < 0 && segment >= 0 && !writes)
		fail("cannot load /%s: standard input: %s", dump.name, strerror(-result));
	if (result == 0)
		result = give_name(&dump, segment);
	if (result < 0)
		fail("cannot load /%s: %s", dump.name,
		     result == -ENOENT ? "there is no such folder" : reason(result));
	fd_close_at(&dump.sock);
	return EXIT_SUCCESS;
}

static const struct subcommand_option dump_options[] = {
	OPTION_DIR("of the daemon that serves DIR"),
	OPTION_END,
};

const struct subcommand dump_subcommand = {
	.name = "dump",
	.arguments = {"[OPTION]... NAME > FILE"},
	.summary = "write what a segment holds to standard output",
	.about = "Write what a segment holds to standard output, with a progress bar where "
	         "standard error is a terminal. Holes stay holes in a regular file.",
	.options = dump_options,
	.operands = COMPLETE_NAME,
	.run = dump_main,
};

static const struct subcommand_option load_options[] = {
	{"force", 'f', NULL,
	 "replace the segment if there is one; who has the old one open goes on with that",
	 COMPLETE_NOTHING},
	{"mode", 'm', "MODE", "permissions, as an octal number (600)", COMPLETE_NOTHING},
	OPTION_DIR("of the daemon that serves DIR"),
	OPTION_END,
};

const struct subcommand load_subcommand = {
	.name = "load",
	.arguments = {"[OPTION]... NAME < FILE"},
	.summary = "make a segment of standard input",
	.about = "Make a segment that holds what standard input has, with a progress bar where "
	         "standard error is a terminal. It has its name when all of it is there.",
	.options = load_options,
	.operands = COMPLETE_NAME,
	.run = load_main,
};
