/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/objects.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>

#include "base/client.h"
#include "base/name.h"

enum { SEMAPHORES_MAX = 64 }; /* whose last users are asked for */

static const struct {
	const char *name;
	const char *words;
	enum wire_family family;
} kinds[OBJECT_KIND_COUNT] = {
	[OBJECT_SEGMENT] = {"segment", "segment", 0},
	[OBJECT_SEMAPHORE] = {"semaphore", "semaphore", 0},
	[OBJECT_FOLDER] = {"folder", "folder", 0},
	[OBJECT_SHM] = {"shm", "System V shared memory", WIRE_SHM},
	[OBJECT_SEM] = {"sem", "System V semaphores", WIRE_SEM},
	[OBJECT_MSG] = {"msg", "System V messages", WIRE_MSG},
	[OBJECT_QUEUE] = {"mq", "message queue", WIRE_MQ},
};

const char *object_kind_name(enum object_kind kind)
{
	return kinds[kind].name;
}

const char *object_kind_words(enum object_kind kind)
{
	return kinds[kind].words;
}

enum wire_family object_family(enum object_kind kind)
{
	return kinds[kind].family;
}

const char *object_state_name(enum object_state state)
{
	static const char *const names[] = {
		[OBJECT_FREE] = "free",
		[OBJECT_HELD] = "held",
		[OBJECT_ORPHAN] = "orphan",
		[OBJECT_REMOVED] = "removed",
	};

	return names[state];
}

static struct object of_entry(const struct wire_entry *entry, unsigned version)
{
	static const char prefix[] = "sem.";
	bool is_semaphore = name_is_semaphore(entry->name) && !S_ISDIR(entry->mode);
	struct object object = {
		.kind = is_semaphore ? OBJECT_SEMAPHORE : OBJECT_SEGMENT,
		.uid = entry->uid, .mode = entry->mode & 07777, .size = entry->size,
		.resident = version < WIRE_VERSION_BIRTH ? OBJECT_UNKNOWN : entry->resident,
		.birth = entry->birth, .maker = entry->creator_pid,
		.command = entry->creator_command, .entry = entry,
	};

	if (S_ISDIR(entry->mode))
		object.kind = OBJECT_FOLDER;
	if (entry->flags & WIRE_ENTRY_HELD)
		object.state = OBJECT_HELD;
	else if (entry->flags & WIRE_ENTRY_ORPHAN)
		object.state = OBJECT_ORPHAN;
	snprintf(object.name, sizeof object.name, "/%s",
	         entry->name + (is_semaphore ? strlen(prefix) : 0));
	return object;
}

/* Is there a process of this number, which was started then (0: any)? One that hides itself is. */
static bool is_there(uint32_t pid, uint64_t start)
{
	unsigned long long started;
	char path[64], line[1024];
	const char *rest = NULL;
	FILE *file;

	if (kill((pid_t)pid, 0) < 0 && errno == ESRCH)
		return false;
	snprintf(path, sizeof path, "/proc/%" PRIu32 "/stat", pid);
	file = start ? fopen(path, "re") : NULL;
	if (file && fgets(line, sizeof line, file))
		rest = strrchr(line, ')');
	if (file)
		fclose(file);
	/* The 22nd of its words; the second one ends there. */
	if (!rest || sscanf(rest + 1, "%*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
	                    "%*s %*s %*s %*s %llu", &started) != 1)
		return true;
	return started == start;
}

static int ask_ipc(int sock, struct client_ipc *call)
{
	int result = client_ipc_send(sock, call);

	if (result == 0)
		result = client_ipc_receive(sock, call, CLIENT_PATIENT);
	return result < 0 ? result : call->reply.result;
}

/* Of a large set not all semaphores are asked. What we may not know counts as one. */
static bool has_user(int sock, const struct wire_ipc_stat *stat)
{
	struct client_ipc call = client_ipc_make(WIRE_IPC_CONTROL);
	int pid = 0;

	call.asked.family = WIRE_SEM;
	call.asked.id = stat->id;
	call.asked.command = GETPID;
	for (uint64_t i = 0; i < stat->size && i < SEMAPHORES_MAX; i++) {
		call.asked.number = (int32_t)i;
		pid = ask_ipc(sock, &call);
		if (pid < 0 || (pid > 0 && is_there((uint32_t)pid, 0)))
			return true;
	}
	return false;
}

/* Nobody opens a System V object, and so none of its users is known but the last. */
static enum object_state state_of(int sock, const struct wire_ipc_entry *entry)
{
	const struct wire_ipc_stat *stat = &entry->stat;

	if (entry->holders || (stat->family == WIRE_SHM && stat->count))
		return OBJECT_HELD;
	if (!entry->creator_pid || !entry->creator_start ||
	    is_there(entry->creator_pid, entry->creator_start))
		return OBJECT_FREE;
	for (int i = 0; i < 2 && stat->family == WIRE_MSG; i++)
		if (stat->pid[i] && is_there(stat->pid[i], 0))
			return OBJECT_FREE;
	return stat->family == WIRE_SEM && has_user(sock, stat) ? OBJECT_FREE : OBJECT_ORPHAN;
}

static struct object of_ipc(int sock, const struct wire_ipc_entry *entry, uint32_t flags)
{
	const struct wire_ipc_stat *stat = &entry->stat;
	struct object object = {
		.uid = stat->uid, .mode = stat->mode & 0777,
		.size = stat->family == WIRE_SHM || stat->family == WIRE_SEM ? stat->size :
		        stat->bytes,
		.resident = stat->family == WIRE_SEM ? OBJECT_UNKNOWN : stat->bytes,
		.birth = stat->birth, .maker = entry->creator_pid,
		.command = entry->creator_command, .ipc = entry,
	};

	for (int i = 0; i < OBJECT_KIND_COUNT; i++)
		if (kinds[i].family == stat->family)
			object.kind = (enum object_kind)i;
	if (stat->family == WIRE_MQ)
		snprintf(object.name, sizeof object.name, "%s%s", entry->name[0] ? "/" : "",
		         entry->name);
	else
		snprintf(object.name, sizeof object.name, "0x%08" PRIx32, (uint32_t)stat->key);
	if (stat->family == WIRE_MQ ? !entry->name[0] : stat->family == WIRE_SHM &&
	                                                stat->mode & SHM_DEST)
		object.state = OBJECT_REMOVED;
	else if (flags & WIRE_LIST_HOLDERS)
		object.state = state_of(sock, entry);
	return object;
}

static int each_name(int sock, uint32_t flags,
                     void (*visit)(void *context, const struct object *object), void *context)
{
	struct wire_request request = wire_request_make(WIRE_LIST);
	struct wire_entry entries[WIRE_LIST_MAX];
	struct client_answer answer = {.entries = entries};

	request.flags = flags;
	for (;;) {
		int result = client_ask(sock, &request, &answer);

		if (result == 0)
			result = answer.reply.result;
		if (result <= 0)
			return result;
		for (int i = 0; i < result; i++) {
			struct object object;

			entries[i].name[WIRE_NAME_SIZE - 1] = '\0';
			entries[i].creator_command[WIRE_COMMAND_SIZE - 1] = '\0';
			object = of_entry(&entries[i], request.header.version);
			visit(context, &object);
		}
		request.cursor = entries[result - 1].cookie;
	}
}

/* The next of them, after call->request.cursor: how many, 0: there are no more, or -errno. */
static int next_ipc(int sock, struct client_ipc *call)
{
	int result = ask_ipc(sock, call);

	if (result < 0)
		return result;
	call->request.cursor = call->told.cursor;
	return (int)(call->told.length / sizeof(struct wire_ipc_entry));
}

static int each_ipc(int sock, uint32_t flags,
                    void (*visit)(void *context, const struct object *object), void *context)
{
	struct wire_ipc_entry *entries = malloc(WIRE_BYTES_MAX);
	struct client_ipc call = client_ipc_make(WIRE_IPC_LIST);
	int count;

	if (!entries)
		return -ENOMEM;
	call.text = entries;
	call.text_room = WIRE_BYTES_MAX;
	while ((count = next_ipc(sock, &call)) > 0) {
		for (int i = 0; i < count; i++) {
			struct object object;

			entries[i].name[WIRE_NAME_SIZE - 1] = '\0';
			entries[i].creator_command[WIRE_COMMAND_SIZE - 1] = '\0';
			if (entries[i].stat.family < WIRE_SHM || entries[i].stat.family > WIRE_MQ)
				continue;
			object = of_ipc(sock, &entries[i], flags);
			visit(context, &object);
		}
	}
	free(entries);
	return count;
}

int objects_each(int sock, uint32_t flags,
                 void (*visit)(void *context, const struct object *object), void *context)
{
	int result = each_name(sock, flags, visit, context);

	if (result < 0)
		return result;
	result = each_ipc(sock, flags, visit, context);
	return result == -EPROTONOSUPPORT ? 0 : result;
}
