/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* msgget, msgctl, and msgsnd and msgrcv where nothing waits. */
#define FAMILY "msg"
#include "tests/probes/ipc.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KEY = 0x5e6d0301, OTHER_KEY, ROOM = 8192, BYTES_MAX = 16384 };

struct message {
	long type;
	char text[ROOM + 1];
};

static int make(key_t key, int mode)
{
	int id = msgget(key, IPC_CREAT | IPC_EXCL | mode);

	must(id >= 0);
	return id;
}

static void drop(int id)
{
	must(msgctl(id, IPC_RMID, NULL) == 0);
}

static struct msqid_ds stat_of(int id)
{
	struct msqid_ds status = {.msg_qnum = 0};

	must(msgctl(id, IPC_STAT, &status) == 0);
	return status;
}

static int send_bytes(int id, long type, size_t size, int flags)
{
	struct message message = {.type = type};

	memset(message.text, 'b', size < ROOM ? size : ROOM);
	return msgsnd(id, &message, size, flags);
}

static int put(int id, long type, const char *text)
{
	struct message message = {.type = type};

	strcpy(message.text, text);
	return msgsnd(id, &message, strlen(text), IPC_NOWAIT);
}

/* What is taken: type, size, text. Not to be kept: one of four. */
static const char *take(int id, long type, size_t room, int flags)
{
	static char texts[4][64];
	static unsigned next;
	char *text = texts[next++ % 4];
	struct message message = {.type = -1};
	ssize_t size = msgrcv(id, &message, room, type, flags | IPC_NOWAIT);

	if (size < 0)
		return outcome(-1);
	snprintf(text, sizeof texts[0], "%ld %ld %.20s", message.type, (long)size, message.text);
	return text;
}

static void say_state(const char *what, int id)
{
	struct msqid_ds status = stat_of(id);

	say("{msg: %s} %lu messages, %lu bytes of %lu", what, (unsigned long)status.msg_qnum,
	    (unsigned long)status.__msg_cbytes, (unsigned long)status.msg_qbytes);
}

static void ask_get(void)
{
	int id, other;

	ask("missing", msgget(KEY, 0600));
	ask("missing, exclusive", msgget(KEY, IPC_EXCL | 0600));
	id = make(KEY, 0600);
	ask_whether("again", msgget(KEY, 0) == id);
	ask_whether("created again", msgget(KEY, IPC_CREAT | 0600) == id);
	ask("exclusive", msgget(KEY, IPC_CREAT | IPC_EXCL | 0600));
	ask("exclusive without creating", msgget(KEY, IPC_EXCL));
	other = msgget(IPC_PRIVATE, 0600);
	ask_whether("a private one", other >= 0 && other != id);
	drop(other);
	other = msgget(IPC_PRIVATE, IPC_CREAT | IPC_EXCL | 0600);
	ask_whether("a private one, exclusive", other >= 0 && other != id);
	drop(other);
	drop(id);
	ask("removed", msgget(KEY, 0));
	id = make(KEY, 0);
	ask("mode 0, none asked", msgget(KEY, 0));
	ask("mode 0, reading", msgget(KEY, 0400));
	ask("mode 0, writing", msgget(KEY, 0200));
	drop(id);
}

static void ask_stat(void)
{
	struct msqid_ds status, before;
	int id;

	umask(077);
	id = make(KEY, 0624);
	before = stat_of(id);
	tell("mode", "%o", before.msg_perm.mode);
	ask_whether("owner", before.msg_perm.uid == geteuid());
	ask_whether("creator's group", before.msg_perm.cgid == getegid());
	ask_whether("key", before.msg_perm.__key == KEY);
	say_state("a new one", id);
	tell("pids", "%d %d", before.msg_lspid, before.msg_lrpid);
	tell("times", "%ld %ld", (long)before.msg_stime, (long)before.msg_rtime);
	ask_whether("change time", ipc_is_recent(before.msg_ctime));
	must(put(id, 1, "one") == 0);
	must(put(id, 2, "number two") == 0);
	status = stat_of(id);
	say_state("two sent", id);
	ask_whether("send time", ipc_is_recent(status.msg_stime));
	ask_whether("last sender", status.msg_lspid == getpid());
	tell("last receiver", "%d %ld", status.msg_lrpid, (long)status.msg_rtime);
	tell("taken", "%s", take(id, 0, ROOM, 0));
	status = stat_of(id);
	say_state("one taken", id);
	ask_whether("receive time", ipc_is_recent(status.msg_rtime));
	ask_whether("last receiver then", status.msg_lrpid == getpid());
	ipc_next_second();
	status.msg_perm.mode = 07765;
	status.msg_qbytes = 12;
	status.msg_qnum = 77;
	status.msg_lspid = 1;
	status.msg_perm.__key = OTHER_KEY;
	status.msg_perm.gid = 4321;
	ask("set", msgctl(id, IPC_SET, &status));
	status = stat_of(id);
	say_state("set", id);
	tell("mode then", "%o", status.msg_perm.mode);
	tell("group then", "%u", status.msg_perm.gid);
	ask_whether("key then", status.msg_perm.__key == KEY);
	ask_whether("last sender then", status.msg_lspid == getpid());
	ask_whether("change time moves", status.msg_ctime > before.msg_ctime);
	drop(id);
}

static void ask_types(void)
{
	int id = make(KEY, 0600);

	ask("type 0", put(id, 0, "x"));
	ask("type -1", put(id, -1, "x"));
	ask("type LONG_MIN", put(id, LONG_MIN, "x"));
	ask("type LONG_MAX", put(id, LONG_MAX, "last"));
	tell("any", "%s", take(id, 0, ROOM, 0));
	for (int i = 0; i < 10; i++)
		must(put(id, "3141592657"[i] - '0', (char[]){(char)('a' + i), '\0'}) == 0);
	tell("the first", "%s", take(id, 0, ROOM, 0));
	tell("of type 5", "%s", take(id, 5, ROOM, 0));
	tell("of type 5 again", "%s", take(id, 5, ROOM, 0));
	tell("of type 5 once more", "%s", take(id, 5, ROOM, 0));
	tell("of type 8", "%s", take(id, 8, ROOM, 0));
	tell("up to 3", "%s", take(id, -3, ROOM, 0));
	tell("up to 3 again", "%s", take(id, -3, ROOM, 0));
	tell("up to 3 once more", "%s", take(id, -3, ROOM, 0));
	tell("up to 3 at last", "%s", take(id, -3, ROOM, 0));
	tell("but 4", "%s", take(id, 4, ROOM, MSG_EXCEPT));
	tell("but 9", "%s", take(id, 9, ROOM, MSG_EXCEPT));
	tell("but 0", "%s", take(id, 0, ROOM, MSG_EXCEPT));
	tell("up to the most", "%s", take(id, LONG_MIN, ROOM, 0));
	say_state("none left", id);
	tell("of none", "%s", take(id, 0, ROOM, 0));
	must(put(id, 4, "four") == 0);
	tell("but the only one", "%s", take(id, 4, ROOM, MSG_EXCEPT));
	tell("but up to 9", "%s", take(id, -9, ROOM, MSG_EXCEPT));
	tell("up to the only one", "%s", take(id, -4, ROOM, 0));
	drop(id);
}

static void ask_sizes(void)
{
	int id = make(KEY, 0600);

	ask("nothing", send_bytes(id, 1, 0, 0));
	ask("the most", send_bytes(id, 1, ROOM, 0));
	ask("more than the most", send_bytes(id, 1, ROOM + 1, 0));
	ask("-1", send_bytes(id, 1, (size_t)-1, 0));
	ask("more than the most, type 0", send_bytes(id, 0, ROOM + 1, 0));
	say_state("two", id);
	tell("nothing, with no room", "%s", take(id, 0, 0, 0));
	tell("too little room", "%s", take(id, 0, ROOM - 1, 0));
	say_state("it stays", id);
	tell("-1 room", "%s", take(id, 0, (size_t)-1, 0));
	tell("-1 room, of none", "%s", take(id, 9, (size_t)-1, 0));
	tell("cut", "%s", take(id, 0, 5, MSG_NOERROR));
	say_state("what was cut off is gone", id);
	must(put(id, 1, "some words") == 0);
	tell("cut to nothing", "%s", take(id, 0, 0, MSG_NOERROR));
	must(put(id, 1, "some words") == 0);
	tell("more than enough room", "%s", take(id, 0, 1UL << 30, 0));
	must(put(id, 1, "some words") == 0 && put(id, 2, "few") == 0);
	tell("too little room for the first", "%s", take(id, 0, 3, 0));
	tell("but for the second", "%s", take(id, 2, 3, 0));
	drop(id);
}

/* From a page behind which there is nothing: what is wrong with the size is said first. */
static void ask_short_memory(void)
{
	enum { PAGE = 4096 };
	static const size_t sizes[] = {PAGE, ROOM, ROOM + 1, 16384, 65536, 65537, 1 << 20};
	char *memory = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
	                    0);
	int id = make(KEY, 0600);

	must(memory != MAP_FAILED && munmap(memory + PAGE, PAGE) == 0);
	*(long *)(void *)memory = 1;
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
		say("{msg: short memory, %zu bytes} %s", sizes[i],
		    outcome(msgsnd(id, memory, sizes[i], IPC_NOWAIT)));
	ask("short memory, no type", msgsnd(id, memory + PAGE - 4, ROOM + 1, IPC_NOWAIT));
	*(long *)(void *)memory = 0;
	ask("short memory, type 0", msgsnd(id, memory, PAGE, IPC_NOWAIT));
	ask("short memory, type 0 and too large", msgsnd(id, memory, ROOM + 1, IPC_NOWAIT));
	ask("short memory, no such queue", msgsnd(id + 1, memory, ROOM + 1, IPC_NOWAIT));
	say_state("short memory", id);
	drop(id);
}

static void ask_limits(void)
{
	struct msqid_ds status;
	int id = make(KEY, 0600), count = 0;

	must(send_bytes(id, 1, ROOM, 0) == 0 && send_bytes(id, 1, ROOM, 0) == 0);
	ask("full", send_bytes(id, 1, 1, IPC_NOWAIT));
	ask("full, of nothing", send_bytes(id, 1, 0, IPC_NOWAIT));
	say_state("full", id);
	take(id, 0, ROOM, 0);
	ask("too much for what is left", send_bytes(id, 1, ROOM, IPC_NOWAIT));
	take(id, 0, ROOM, 0);
	take(id, 0, ROOM, 0);
	say_state("empty", id);
	status = stat_of(id);
	status.msg_qbytes = 10;
	ask("only ten bytes", msgctl(id, IPC_SET, &status));
	ask("eleven", send_bytes(id, 1, 11, IPC_NOWAIT));
	ask("ten", send_bytes(id, 1, 10, IPC_NOWAIT));
	take(id, 0, ROOM, 0);
	while (count < 100 && send_bytes(id, 1, 0, IPC_NOWAIT) == 0)
		count++;
	tell("messages of nothing", "%d", count);
	say_state("ten of nothing", id);
	status.msg_qbytes = 5;
	ask("less than there is", msgctl(id, IPC_SET, &status));
	tell("taken", "%s", take(id, 0, ROOM, 0));
	ask("still too many", send_bytes(id, 1, 0, IPC_NOWAIT));
	status.msg_qbytes = 0;
	ask("no bytes", msgctl(id, IPC_SET, &status));
	status.msg_qbytes = BYTES_MAX;
	ask("as many as there were", msgctl(id, IPC_SET, &status));
	ask("then", send_bytes(id, 1, 100, IPC_NOWAIT));
	status.msg_qbytes = BYTES_MAX + 1;
	ask("more than the limit", msgctl(id, IPC_SET, &status));
	status.msg_qbytes = 1 << 20;
	ask("far more than the limit", msgctl(id, IPC_SET, &status));
	while (count < 300 && send_bytes(id, 1, ROOM, IPC_NOWAIT) == 0)
		count++;
	tell("messages of the most", "%d", count - 10);
	say_state("full again", id);
	drop(id);
}

static void ask_copy(void)
{
	int id = make(KEY, 0600);

	must(put(id, 5, "five") == 0 && put(id, 1, "one") == 0 && put(id, 7, "seven") == 0);
	tell("copy of 0", "%s", take(id, 0, ROOM, MSG_COPY));
	tell("copy of 2", "%s", take(id, 2, ROOM, MSG_COPY));
	tell("copy of 3", "%s", take(id, 3, ROOM, MSG_COPY));
	tell("copy of -1", "%s", take(id, -1, ROOM, MSG_COPY));
	tell("copy of 1, little room", "%s", take(id, 1, 2, MSG_COPY));
	tell("copy of 1, cut", "%s", take(id, 1, 2, MSG_COPY | MSG_NOERROR));
	tell("copy, but", "%s", take(id, 1, ROOM, MSG_COPY | MSG_EXCEPT));
	ask("copy, waiting", msgrcv(id, &(struct message){0}, ROOM, 0, MSG_COPY));
	say_state("all there", id);
	tell("the first", "%s", take(id, 0, ROOM, 0));
	tell("copy of 0 then", "%s", take(id, 0, ROOM, MSG_COPY));
	ask_whether("copying is receiving", stat_of(id).msg_lrpid == getpid());
	drop(id);
}

static void ask_bad(void)
{
	struct message message = {.type = 1};
	struct msqid_ds status;
	int id = make(KEY, 0600), old = id;

	ask("send, id -1", msgsnd(-1, &message, 1, 0));
	ask("send, id that never was", msgsnd(4711, &message, 1, 0));
	ask("receive, id -1", msgrcv(-1, &message, 1, 0, IPC_NOWAIT));
	ask("receive, id that never was", msgrcv(4711, &message, 1, 0, IPC_NOWAIT));
	ask("state, id -1", msgctl(-1, IPC_STAT, &status));
	ask("state, id that never was", msgctl(4711, IPC_STAT, &status));
	ask("command -1", msgctl(id, -1, &status));
	ask("command 99", msgctl(id, 99, &status));
	drop(id);
	ask("removed, send", msgsnd(id, &message, 1, 0));
	ask("removed, receive", msgrcv(id, &message, 1, 0, 0));
	ask("removed, state", msgctl(id, IPC_STAT, &status));
	ask("removed, set", msgctl(id, IPC_SET, &status));
	ask("removed, removed again", msgctl(id, IPC_RMID, NULL));
	for (int i = 0; i < 200 && (i == 0 || id % 32768 != old % 32768); i++) {
		if (i > 0)
			drop(id);
		id = make(KEY, 0600);
	}
	ask_whether("stale, place used again", id % 32768 == old % 32768 && id != old);
	ask("stale, send", msgsnd(old, &message, 1, 0));
	ask("stale, receive", msgrcv(old, &message, 1, 0, 0));
	ask("stale, state", msgctl(old, IPC_STAT, &status));
	ask("stale, removed again", msgctl(old, IPC_RMID, NULL));
	drop(id);
}

static void ask_info(void)
{
	struct msginfo info;
	struct msqid_ds status;
	int one, other, highest, found = 0;

	ask_value("limits", msgctl(0, IPC_INFO, (struct msqid_ds *)(void *)&info));
	say("{msg: limits} pool %d map %d most %d bytes %d ids %d size %d all %u", info.msgpool,
	    info.msgmap, info.msgmax, info.msgmnb, info.msgmni, info.msgssz, info.msgseg);
	ask_value("use", msgctl(0, MSG_INFO, (struct msqid_ds *)(void *)&info));
	tell("of none", "%d %d %d", info.msgpool, info.msgmap, info.msgtql);
	one = make(KEY, 0600);
	other = make(OTHER_KEY, 0600);
	must(put(one, 1, "one") == 0 && put(other, 1, "two") == 0 && put(other, 1, "three") == 0);
	highest = msgctl(0, MSG_INFO, (struct msqid_ds *)(void *)&info);
	tell("of two", "%d %d %d", info.msgpool, info.msgmap, info.msgtql);
	ask_whether("highest index", highest == other % 32768);
	for (int i = 0; i <= highest; i++) {
		int id = msgctl(i, MSG_STAT, &status);

		found += id >= 0 && status.msg_qnum == (id == one ? 1 : 2);
		found += id >= 0 && msgctl(i, MSG_STAT_ANY, &status) == id;
	}
	tell("found by index", "%d", found);
	ask("an index too high", msgctl(highest + 1, MSG_STAT, &status));
	ask("an index below", msgctl(-1, MSG_STAT_ANY, &status));
	drop(one);
	drop(other);
}

static void ask_rights(void)
{
	struct message message = {.type = 1};
	struct msqid_ds status;

	for (int mode = 0; mode < 8; mode++) {
		int id = make(KEY, mode << 6);

		say("{msg: mode %d} send %s", mode, outcome(msgsnd(id, &message, 5, 0)));
		say("{msg: mode %d} copy %s", mode, take(id, 0, ROOM, MSG_COPY));
		say("{msg: mode %d} receive %s", mode, take(id, 0, ROOM, 0));
		say("{msg: mode %d} state %s", mode, outcome(msgctl(id, IPC_STAT, &status)));
		say("{msg: mode %d} by index %s", mode,
		    outcome(msgctl(id % 32768, MSG_STAT, &status)));
		say("{msg: mode %d} for all %s", mode,
		    outcome(msgctl(id % 32768, MSG_STAT_ANY, &status)));
		drop(id);
	}
}

static void ask_pointers(void)
{
	void *const nowhere[] = {NULL, (void *)-1, (void *)1};
	int id;

	if (IPC_LIBC_READS)
		return;
	id = make(KEY, 0600);
	must(put(id, 3, "there") == 0);
	for (size_t i = 0; i < sizeof nowhere / sizeof nowhere[0]; i++) {
		say("{msg: pointer %zu, send} %s", i, outcome(msgsnd(id, nowhere[i], 1, 0)));
		say("{msg: pointer %zu, send too much} %s", i,
		    outcome(msgsnd(id, nowhere[i], ROOM + 1, 0)));
		say("{msg: pointer %zu, state} %s", i, outcome(msgctl(id, IPC_STAT, nowhere[i])));
		say("{msg: pointer %zu, set} %s", i, outcome(msgctl(id, IPC_SET, nowhere[i])));
		say("{msg: pointer %zu, limits} %s", i, outcome(msgctl(id, IPC_INFO, nowhere[i])));
		say("{msg: pointer %zu, receive none} %s", i,
		    outcome(msgrcv(id, nowhere[i], 9, 9, IPC_NOWAIT)));
	}
	say_state("untouched", id);
	drop(id);
}

/* In their order, with what they say, by more than fits at once. */
static void ask_many(void)
{
	struct message message;
	int id = make(KEY, 0600), wrong = 0;

	for (int i = 0; i < 3000; i++) {
		size_t size = (size_t)(i * 7 % 900) + sizeof i;

		message.type = i % 5 + 1;
		memcpy(message.text, &i, sizeof i);
		memset(message.text + sizeof i, i, size - sizeof i);
		wrong += msgsnd(id, &message, size, IPC_NOWAIT) != 0;
		if (i % 3 == 2)
			for (int j = i - 2; j <= i; j++) {
				int found = -1;
				ssize_t got = msgrcv(id, &message, ROOM, 0, IPC_NOWAIT);

				memcpy(&found, message.text, sizeof found);
				wrong += got != (ssize_t)(j * 7 % 900) + (ssize_t)sizeof j ||
				         found != j || message.type != j % 5 + 1 ||
				         (got > 5 && message.text[got - 1] != (char)j);
			}
	}
	tell("many, wrong", "%d", wrong);
	say_state("many", id);
	drop(id);
}

static const struct ipc_group groups[] = {
	{"get", ask_get},       {"stat", ask_stat}, {"types", ask_types}, {"sizes", ask_sizes},
	{"limits", ask_limits}, {"copy", ask_copy}, {"bad", ask_bad},     {"info", ask_info},
	{"short", ask_short_memory},
	{"rights", ask_rights}, {"many", ask_many}, {"pointers", ask_pointers}, {NULL, NULL},
};

static void body(void)
{
	ipc_run(groups);
}

int main(int argc, char **argv)
{
	return probe_run(argc, argv, body);
}
