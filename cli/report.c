/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/report.h"

#include <inttypes.h>
#include <string.h>

#include "base/client.h"
#include "base/name.h"
#include "cli/say.h"

static void say_entry(const struct wire_entry *entry)
{
	static const char prefix[] = "sem.";
	bool is_semaphore = name_is_semaphore(entry->name);
	const char *name = entry->name + (is_semaphore ? strlen(prefix) : 0);
	bool has_command = entry->creator_command[0] != '\0';

	say("left behind: %s /%s of %" PRIu64 " bytes, made by process %" PRIu32 "%s%s%s",
	    is_semaphore ? "semaphore" : "segment", name, entry->size, entry->creator_pid,
	    has_command ? " (" : "", has_command ? entry->creator_command : "",
	    has_command ? ")" : "");
}

int report_names(int sock, bool aloud)
{
	struct wire_request request = wire_request_make(WIRE_LIST);
	struct wire_entry entries[WIRE_LIST_MAX];
	struct client_answer answer = {.entries = entries};
	int count = 0;

	for (;;) {
		int result = client_ask(sock, &request, &answer);

		if (result == 0)
			result = answer.reply.result;
		if (result <= 0)
			return result < 0 ? result : count;
		for (int i = 0; i < result; i++) {
			entries[i].name[WIRE_NAME_SIZE - 1] = '\0';
			entries[i].creator_command[WIRE_COMMAND_SIZE - 1] = '\0';
			if (aloud)
				say_entry(&entries[i]);
		}
		count += result;
		request.cursor = entries[result - 1].cookie;
	}
}
