/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* shmemu rm: removes what ls shows. Names are looked for in what there is, so that one that stands
 * for several things removes none of them, and what has taken a name meanwhile is left alone. */
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>

#include "base/client.h"
#include "base/own.h"
#include "cli/ask.h"
#include "cli/objects.h"
#include "cli/option.h"
#include "cli/say.h"

enum { EXIT_LEFT = 1 };

/* What is to go. */
struct victim {
	enum object_kind kind;
	char name[WIRE_NAME_SIZE + 1]; /* as ls shows it; of System V the key that was asked for */
	uint64_t ino;                  /* of a name */
	int32_t id;                    /* of System V */
};

struct rm {
	const char *folder;
	bool all;
	bool orphans;
	bool failed;
	int sock;
	struct victim *there; /* what there is; owned */
	size_t count, room;
};

enum { BY_KIND = 0x100 }; /* and the kind */

static void note(void *context, const struct object *object)
{
	struct rm *rm = context;

	if (object->state == OBJECT_REMOVED || (rm->orphans && object->state != OBJECT_ORPHAN))
		return;
	if (rm->count == rm->room) {
		size_t room = rm->room ? 2 * rm->room : 64;
		struct victim *there = reallocarray(rm->there, room, sizeof *there);

		if (!there)
			fail("cannot list what there is: %s", strerror(ENOMEM));
		rm->there = there;
		rm->room = room;
	}
	rm->there[rm->count] = (struct victim){
		.kind = object->kind,
		.ino = object->entry ? object->entry->ino : 0,
		.id = object->ipc ? object->ipc->stat.id : 0,
	};
	/* Of System V several can have the same key: none. */
	if (!object->ipc || object->kind == OBJECT_QUEUE)
		strcpy(rm->there[rm->count].name, object->name);
	rm->count++;
}

static void look(struct rm *rm)
{
	int result = objects_each(rm->sock, rm->orphans ? WIRE_LIST_HOLDERS : 0, note, rm);

	if (result < 0)
		ask_fail(result);
}

/* A name in a folder goes by its path, which nothing ties to what was listed. */
static int remove_path(int sock, const char *path, bool is_folder)
{
	struct wire_request request = wire_request_make(WIRE_REMOVE);
	struct client_places places = {.paths = {path}};
	char text[WIRE_TEXT_MAX + 1];
	struct client_answer answer = {.text = text, .text_room = sizeof text};
	int result;

	request.flags = is_folder ? WIRE_FOLDER : 0;
	places.places.length[0] = (uint16_t)strlen(path);
	result = client_ask_places(sock, &request, &places, &answer);
	return result < 0 ? result : answer.reply.result;
}

static int remove_name(int sock, const struct victim *victim)
{
	struct wire_request request = wire_request_make(WIRE_UNLINK);
	const char *bare = victim->name + strspn(victim->name, "/");
	struct client_answer answer = {.text = NULL};
	char name[WIRE_NAME_SIZE + 8];
	int result;

	snprintf(name, sizeof name, "%s%s", victim->kind == OBJECT_SEMAPHORE ? "sem." : "", bare);
	if (strcmp(name, "?") == 0)
		return -EACCES;
	if (strchr(name, '/') || victim->kind == OBJECT_FOLDER)
		return remove_path(sock, name, victim->kind == OBJECT_FOLDER);
	if (strlen(name) >= WIRE_NAME_SIZE)
		return -ENAMETOOLONG;
	wire_request_name(&request, name, strlen(name));
	request.ino = victim->ino;
	result = client_ask(sock, &request, &answer);
	return result < 0 ? result : answer.reply.result;
}

static int ask_ipc(int sock, struct client_ipc *call)
{
	int result = client_ipc_send(sock, call);

	if (result == 0)
		result = client_ipc_receive(sock, call, CLIENT_PATIENT);
	if (result == -EPROTONOSUPPORT)
		fail("the daemon is of an older version, and has neither System V IPC nor message "
		     "queues: 'shmemu upgrade', or end it and start it anew");
	return result < 0 ? result : call->reply.result;
}

static int remove_ipc(int sock, const struct victim *victim)
{
	bool is_queue = victim->kind == OBJECT_QUEUE;
	struct client_ipc call = client_ipc_make(is_queue ? WIRE_MQ_UNLINK : WIRE_IPC_CONTROL);
	const char *name = victim->name + strspn(victim->name, "/");

	if (is_queue) {
		if (strlen(name) >= WIRE_NAME_SIZE)
			return -ENAMETOOLONG;
		wire_request_name(&call.request, name, strlen(name));
	} else {
		call.asked.family = object_family(victim->kind);
		call.asked.id = victim->id;
		call.asked.command = IPC_RMID;
	}
	return ask_ipc(sock, &call);
}

static const char *reason(int result)
{
	switch (result) {
	case -EPERM:
	case -EACCES: return "it is another user's";
	case -EINVAL:
	case -EIDRM:
	case -ENOENT: return "there is none";
	default: return strerror(-result);
	}
}

static void refuse(struct rm *rm, const struct victim *victim, int result)
{
	const char *words = object_kind_words(victim->kind);

	rm->failed = true;
	if (victim->name[0] && object_family(victim->kind) && victim->kind != OBJECT_QUEUE)
		say("cannot remove %s %s: %s", words, victim->name, reason(result));
	else if (victim->name[0])
		say("cannot remove %s /%s: %s", words, victim->name + strspn(victim->name, "/"),
		    reason(result));
	else
		say("cannot remove %s %" PRId32 ": %s", words, victim->id, reason(result));
}

/* `is_listed`: what is gone meanwhile is as it was to be. */
static void kill_victim(struct rm *rm, const struct victim *victim, bool is_listed)
{
	bool is_name = !object_family(victim->kind);
	int result = is_name ? remove_name(rm->sock, victim) : remove_ipc(rm->sock, victim);
	bool is_gone = result == -ENOENT || (!is_name && (result == -EINVAL || result == -EIDRM));

	if (result == -ECONNRESET || result == -ETIMEDOUT || result == -EPROTO)
		ask_fail(result);
	if (result < 0 && !(is_listed && is_gone))
		refuse(rm, victim, result);
}

/* As a key: 0x and hexadecimal digits. Else a number in decimal. */
static bool parse_number(const char *text, bool *is_key, int32_t *number)
{
	unsigned long long value;
	char *end;

	*is_key = text[0] == '0' && tolower((unsigned char)text[1]) == 'x';
	errno = 0;
	value = strtoull(text, &end, *is_key ? 16 : 10);
	if (*end || errno || !isxdigit((unsigned char)text[*is_key ? 2 : 0]) ||
	    value > (*is_key ? UINT32_MAX : INT32_MAX))
		return false;
	*number = (int32_t)(uint32_t)value;
	return true;
}

/* Which object has a key is asked as a program asks it. */
static void remove_number(struct rm *rm, enum object_kind kind, const char *text)
{
	struct client_ipc call = client_ipc_make(WIRE_IPC_GET);
	struct victim victim = {.kind = kind};
	bool is_key;

	if (!parse_number(text, &is_key, &victim.id))
		fail("rm: '%s' is neither a number nor a key, which begins with 0x", text);
	if (is_key && victim.id == IPC_PRIVATE)
		fail("rm: 0x0 is no key (IPC_PRIVATE): what has none is removed by its number");
	if (is_key) {
		int result;

		snprintf(victim.name, sizeof victim.name, "0x%08" PRIx32, (uint32_t)victim.id);
		call.asked.family = object_family(kind);
		call.asked.id = victim.id;
		result = ask_ipc(rm->sock, &call);
		if (result < 0) {
			refuse(rm, &victim, result);
			return;
		}
		victim.id = result;
	}
	kill_victim(rm, &victim, false);
}

static bool is_named(const struct victim *victim, const char *name)
{
	bool has_name = !object_family(victim->kind) || victim->kind == OBJECT_QUEUE;

	return has_name && strcmp(victim->name + strspn(victim->name, "/"),
	                          name + strspn(name, "/")) == 0;
}

static void remove_named(struct rm *rm, const char *name)
{
	const struct victim *found = NULL;

	for (size_t i = 0; i < rm->count; i++) {
		const struct victim *one = &rm->there[i];

		if (!is_named(one, name))
			continue;
		if (found) {
			say("cannot remove %s: it is a %s and a %s: say --%s or --%s", one->name,
			    object_kind_words(found->kind), object_kind_words(one->kind),
			    object_kind_name(found->kind), object_kind_name(one->kind));
			rm->failed = true;
			return;
		}
		found = one;
	}
	if (found) {
		kill_victim(rm, found, false);
		return;
	}
	say("cannot remove %s: there is no segment, semaphore or message queue of that name", name);
	rm->failed = true;
}

static void remove_kind(struct rm *rm, enum object_kind kind, const char *text)
{
	struct victim victim = {.kind = kind};

	if (object_family(kind) && kind != OBJECT_QUEUE) {
		remove_number(rm, kind, text);
		return;
	}
	text += strspn(text, "/");
	if (!text[0] || strlen(text) >= WIRE_NAME_SIZE)
		fail("rm: '%s' is no name", text);
	strcpy(victim.name, text);
	kill_victim(rm, &victim, false);
}

/* Names, or all that was listed, and then what is said by options, in their order. */
static void remove_all(struct rm *rm, int argc, char **argv)
{
	int option;

	if (rm->all || rm->orphans || optind < argc)
		look(rm);
	for (int i = optind; i < argc; i++)
		remove_named(rm, argv[i]);
	/* Folders are mostly older than what is in them. */
	for (size_t i = rm->count; i > 0 && (rm->all || rm->orphans); i--)
		kill_victim(rm, &rm->there[i - 1], true);
	optind = 0;
	while ((option = option_next(&rm_subcommand, argc, argv)) != -1)
		if (option >= BY_KIND)
			remove_kind(rm, (enum object_kind)(option - BY_KIND), optarg);
}

/* Only looks at what the options are. */
static void take_options(struct rm *rm, int argc, char **argv)
{
	bool has_kind = false;
	int option;

	while ((option = option_next(&rm_subcommand, argc, argv)) != -1) {
		switch (option) {
		case 'a': rm->all = true; break;
		case 'o': rm->orphans = true; break;
		case 'd': rm->folder = optarg; break;
		default: has_kind = true;
		}
	}
	if (!has_kind && !rm->all && !rm->orphans && optind == argc)
		fail("rm: what is to be removed? Try 'shmemu rm --help'");
	if (rm->all + rm->orphans + (has_kind || optind < argc) > 1)
		fail("rm takes either names, or --orphans, or --all");
}

static int rm_main(int argc, char **argv)
{
	struct rm rm = {.sock = -1};

	take_options(&rm, argc, argv);
	rm.sock = ask_connect(rm.folder);
	remove_all(&rm, argc, argv);
	fd_close_at(&rm.sock);
	free(rm.there);
	return rm.failed ? EXIT_LEFT : EXIT_SUCCESS;
}

static const struct subcommand_option options[] = {
	{"shm", BY_KIND + OBJECT_SHM, "ID|KEY",
	 "System V shared memory: by its number, or its key, which begins with 0x",
	 COMPLETE_NOTHING},
	{"sem", BY_KIND + OBJECT_SEM, "ID|KEY", "System V semaphores", COMPLETE_NOTHING},
	{"msg", BY_KIND + OBJECT_MSG, "ID|KEY", "System V messages", COMPLETE_NOTHING},
	{"segment", BY_KIND + OBJECT_SEGMENT, "NAME",
	 "the segment, where other things have that name too", COMPLETE_NAME},
	{"semaphore", BY_KIND + OBJECT_SEMAPHORE, "NAME", "likewise the semaphore", COMPLETE_NAME},
	{"queue", BY_KIND + OBJECT_QUEUE, "NAME", "likewise the message queue", COMPLETE_NAME},
	{"mq", BY_KIND + OBJECT_QUEUE, "NAME", NULL, COMPLETE_NAME},
	{"orphans", 'o', NULL, "all that nobody holds and whose makers are gone",
	 COMPLETE_NOTHING},
	{"all", 'a', NULL, "all that there is", COMPLETE_NOTHING},
	OPTION_DIR("of the daemon that serves DIR"),
	OPTION_END,
};

const struct subcommand rm_subcommand = {
	.name = "rm",
	.arguments = {"[OPTION]... [NAME]...", "[--dir=DIR] --orphans|--all"},
	.summary = "remove what ls shows",
	.about = "Remove what the daemon that this user's programs meet has, as 'shmemu ls' shows "
	         "it: segments, semaphores and message queues by their names. Who has it open or "
	         "mapped goes on with it.",
	.after = "The exit status is 1 if something could not be removed.",
	.options = options,
	.operands = COMPLETE_NAME,
	.run = rm_main,
};
