/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A queue that processes share without a lock: what it is alone, and what is left of it when they
 * are killed, and the daemon freezes it, at any moment. */
#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/slots.h"

enum { ROOM = 200 };

static const struct queue_stamp stamp = {.pid = 7, .now = 8};

static void make(struct slots *ret_slots, enum queue_kind kind, uint32_t count, uint64_t bytes_max)
{
	size_t size = slots_size(count, ROOM);
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	cr_assert_neq(memory, MAP_FAILED);
	slots_make(memory, kind, count, ROOM, bytes_max);
	cr_assert_eq(slots_view(ret_slots, memory, size), 0);
	cr_assert_eq(slots_view(ret_slots, memory, size - 1), -EBADMSG);
	cr_assert_eq(slots_view(ret_slots, memory, size), 0);
}

static int send_text(const struct slots *slots, int64_t type, const char *text)
{
	return slots_send(slots, 1, type, text, strlen(text), &stamp);
}

/* What comes, or why nothing does. */
static const char *receive_text(const struct slots *slots, int64_t type, int flags)
{
	static char text[ROOM + 1];
	struct queue_wish wish = {type, flags, ROOM};
	bool ask;
	int64_t of;
	int64_t size = slots_receive(slots, &wish, text, &of, &stamp, &ask);

	if (ask)
		return "ask";
	if (size < 0)
		return strerrorname_np((int)-size);
	text[size] = '\0';
	return text;
}

Test(slots, frozen_from_the_start)
{
	struct slots slots;

	make(&slots, QUEUE_POSIX, 3, 0);
	cr_expect_eq(send_text(&slots, 0, "x"), SLOTS_ASK);
	cr_expect_str_eq(receive_text(&slots, 0, 0), "ask");
	slots_thaw(&slots);
	cr_expect_eq(send_text(&slots, 0, "x"), 0);
	cr_expect_str_eq(receive_text(&slots, 0, 0), "x");
}

Test(slots, priorities_then_arrival)
{
	struct slots slots;
	uint64_t bytes;

	make(&slots, QUEUE_POSIX, 4, 0);
	slots_thaw(&slots);
	send_text(&slots, 1, "low");
	send_text(&slots, 5, "high");
	send_text(&slots, 1, "low again");
	send_text(&slots, 5, "high again");
	cr_expect_eq(send_text(&slots, 9, "no room"), -EAGAIN);
	cr_expect_eq(slots_count(&slots, &bytes), 4);
	cr_expect_eq(bytes, 3 + 4 + 9 + 10);
	cr_expect_str_eq(receive_text(&slots, 0, 0), "high");
	cr_expect_str_eq(receive_text(&slots, 0, 0), "high again");
	cr_expect_str_eq(receive_text(&slots, 0, 0), "low");
	cr_expect_str_eq(receive_text(&slots, 0, 0), "low again");
	cr_expect_str_eq(receive_text(&slots, 0, 0), "EAGAIN");
	cr_expect_eq(slots.head->pid[0], 7);
	cr_expect_eq(slots.head->time[1], 8);
}

Test(slots, types)
{
	struct slots slots;

	make(&slots, QUEUE_SYSV, 8, 1000);
	slots_thaw(&slots);
	send_text(&slots, 3, "three");
	send_text(&slots, 1, "one");
	send_text(&slots, 2, "two");
	send_text(&slots, 1, "one again");
	cr_expect_str_eq(receive_text(&slots, 9, 0), "EAGAIN");
	cr_expect_str_eq(receive_text(&slots, 2, 0), "two");
	cr_expect_str_eq(receive_text(&slots, 3, MSG_EXCEPT), "one");
	cr_expect_str_eq(receive_text(&slots, -2, 0), "one again");
	cr_expect_str_eq(receive_text(&slots, -2, 0), "EAGAIN");
	cr_expect_str_eq(receive_text(&slots, 0, 0), "three");
}

Test(slots, sizes)
{
	struct slots slots;
	struct queue_wish small = {0, 0, 2};
	char room[ROOM];
	int64_t type;
	bool ask;

	make(&slots, QUEUE_SYSV, 8, 10);
	slots_thaw(&slots);
	cr_expect_eq(slots_send(&slots, 1, 1, room, ROOM + 1, &stamp), -EINVAL);
	cr_expect_eq(send_text(&slots, 1, "12345678901"), SLOTS_ASK, "more than there may be");
	cr_expect_eq(send_text(&slots, 1, "1234567890"), 0);
	cr_expect_eq(send_text(&slots, 1, "1"), SLOTS_ASK);
	cr_expect_eq(slots_receive(&slots, &small, room, &type, &stamp, &ask), -E2BIG);
	small.flags = MSG_NOERROR;
	cr_expect_eq(slots_receive(&slots, &small, room, &type, &stamp, &ask), 2);
	cr_expect_eq(send_text(&slots, 1, "1"), 0);
}

static struct slots caught;
static void *page;

/* The daemon, while a sender is in the middle of a call. */
static void thaw_meanwhile(int number)
{
	(void)number;
	slots_freeze(&caught);
	slots_clear_frozen(&caught);
	slots_put_frozen(&caught, 0, "first", 5);
	slots_thaw(&caught);
	mprotect(page, 4096, PROT_READ | PROT_WRITE);
}

/* What was sent before has a new sequence, which may be after the one that this has got. */
Test(slots, sends_not_across_a_thaw)
{
	const struct sigaction action = {.sa_handler = thaw_meanwhile};

	page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	cr_assert_neq(page, MAP_FAILED);
	make(&caught, QUEUE_POSIX, 3, 0);
	slots_thaw(&caught);
	cr_expect_eq(send_text(&caught, 0, "first"), 0);
	cr_assert_eq(sigaction(SIGSEGV, &action, NULL), 0);
	cr_expect_eq(slots_send(&caught, 1, 0, page, 1, &stamp), SLOTS_ASK);
	cr_expect_eq(slots_claims(&caught), 0);
	cr_expect_eq(send_text(&caught, 0, "second"), 0);
	cr_expect_str_eq(receive_text(&caught, 0, 0), "first");
	cr_expect_str_eq(receive_text(&caught, 0, 0), "second");
	cr_expect_str_eq(receive_text(&caught, 0, 0), "EAGAIN");
}

Test(slots, frozen_and_put_back)
{
	struct slots slots;
	uint64_t sequence = 0;
	const void *bytes;
	int64_t type;

	make(&slots, QUEUE_POSIX, 3, 0);
	slots_thaw(&slots);
	send_text(&slots, 1, "a");
	send_text(&slots, 2, "bc");
	slots_freeze(&slots);
	cr_expect_eq(send_text(&slots, 0, "x"), SLOTS_ASK);
	cr_expect_eq(slots_next_frozen(&slots, &sequence, &type, &bytes), 1);
	cr_expect_eq(type, 1);
	cr_expect_eq(slots_next_frozen(&slots, &sequence, &type, &bytes), 2);
	cr_expect_eq(memcmp(bytes, "bc", 2), 0);
	cr_expect_eq(slots_next_frozen(&slots, &sequence, &type, &bytes), -ENOENT);
	slots_clear_frozen(&slots);
	cr_expect_eq(slots_put_frozen(&slots, 4, "new", 3), 0);
	cr_expect_eq(slots_put_frozen(&slots, 3, "old", 3), 0);
	slots_thaw(&slots);
	cr_expect_str_eq(receive_text(&slots, 0, 0), "new");
	cr_expect_str_eq(receive_text(&slots, 0, 0), "old");
	cr_expect_str_eq(receive_text(&slots, 0, 0), "EAGAIN");
}

/* What all processes of the test below share besides. */
enum { SENDERS = 4, RECEIVERS = 3, NUMBERS = 1 << 20, KILLS = 300 };

struct book {
	uint32_t begun[SENDERS]; /* the number that is being sent */
	uint32_t sent[SENDERS];  /* this many are through */
	uint32_t twice, wrong;
	uint8_t got[SENDERS][NUMBERS];
	uint8_t unknown[SENDERS][NUMBERS]; /* its sender was killed in sending it */
};

struct text {
	uint32_t sender, number;
	uint32_t sum[40]; /* all the same */
};

static _Noreturn void send_on(const struct slots *slots, struct book *book, uint32_t me)
{
	for (uint32_t number = book->begun[me]; number < NUMBERS; number++) {
		struct text text = {.sender = me, .number = number};
		int result;

		for (int i = 0; i < 40; i++)
			text.sum[i] = number ^ me;
		__atomic_store_n(&book->begun[me], number + 1, __ATOMIC_SEQ_CST);
		do
			result = slots_send(slots, me + 1, number % 3, &text, sizeof text, &stamp);
		while (result != 0);
		__atomic_store_n(&book->sent[me], number + 1, __ATOMIC_SEQ_CST);
	}
	_exit(0);
}

static void check_text(struct book *book, const struct text *text, int64_t type, int64_t size)
{
	if (size != sizeof *text || text->sender >= SENDERS || text->number >= NUMBERS ||
	    type != text->number % 3) {
		__atomic_fetch_add(&book->wrong, 1, __ATOMIC_SEQ_CST);
		return;
	}
	for (int i = 0; i < 40; i++)
		if (text->sum[i] != (text->number ^ text->sender))
			__atomic_fetch_add(&book->wrong, 1, __ATOMIC_SEQ_CST);
	if (__atomic_exchange_n(&book->got[text->sender][text->number], 1, __ATOMIC_SEQ_CST))
		__atomic_fetch_add(&book->twice, 1, __ATOMIC_SEQ_CST);
}

static bool receive_one(const struct slots *slots, struct book *book)
{
	struct queue_wish wish = {0, 0, ROOM};
	char room[ROOM];
	struct text text;
	int64_t type;
	bool ask;
	int64_t size = slots_receive(slots, &wish, room, &type, &stamp, &ask);

	if (ask || size < 0)
		return false;
	memcpy(&text, room, sizeof text);
	check_text(book, &text, type, size);
	return true;
}

static _Noreturn void receive_on(const struct slots *slots, struct book *book)
{
	for (;;)
		receive_one(slots, book);
}

static pid_t start(const struct slots *slots, struct book *book, int which)
{
	pid_t child = fork();

	cr_assert(child >= 0);
	if (child == 0 && which < SENDERS)
		send_on(slots, book, (uint32_t)which);
	if (child == 0)
		receive_on(slots, book);
	return child;
}

/* As the daemon does when it has to do something itself. */
static void freeze_and_thaw(const struct slots *slots, struct book *book)
{
	struct {
		char bytes[ROOM];
		int64_t type, size;
	} kept[9];
	uint64_t sequence = 0;
	const void *bytes;
	int count = 0;
	int back = 0;

	slots_freeze(slots);
	while ((kept[count].size = slots_next_frozen(slots, &sequence, &kept[count].type,
	                                             &bytes)) >= 0) {
		memcpy(kept[count].bytes, bytes, (size_t)kept[count].size);
		count++;
	}
	slots_clear_frozen(slots);
	while (back < count && slots_put_frozen(slots, kept[back].type, kept[back].bytes,
	                                        (size_t)kept[back].size) == 0)
		back++;
	slots_thaw(slots);
	/* For whom there was no room is received here. */
	for (; back < count; back++) {
		struct text text;

		memcpy(&text, kept[back].bytes, sizeof text);
		check_text(book, &text, kept[back].type, kept[back].size);
	}
}

static void bury_sender(const struct slots *slots, struct book *book, int which)
{
	slots_release(slots, (unsigned)which + 1);
	if (book->begun[which] > book->sent[which])
		book->unknown[which][book->sent[which]] = 1;
}

Test(slots, nothing_lost_nothing_twice, .timeout = 120)
{
	struct slots slots;
	struct book *book = mmap(NULL, sizeof *book, PROT_READ | PROT_WRITE,
	                         MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t children[SENDERS + RECEIVERS];
	uint32_t killed_receivers = 0;
	uint32_t lost = 0;
	uint64_t bytes;

	cr_assert_neq(book, MAP_FAILED);
	make(&slots, QUEUE_POSIX, 8, 0);
	slots_thaw(&slots);
	srand(4711);
	for (int i = 0; i < SENDERS + RECEIVERS; i++)
		children[i] = start(&slots, book, i);
	for (int i = 0; i < KILLS; i++) {
		int which = rand() % (SENDERS + RECEIVERS);

		nanosleep(&(struct timespec){.tv_nsec = rand() % 4000000}, NULL);
		for (int j = rand() % 4; j > 0; j--)
			freeze_and_thaw(&slots, book);
		kill(children[which], SIGKILL);
		waitpid(children[which], NULL, 0);
		if (which < SENDERS)
			bury_sender(&slots, book, which);
		else
			killed_receivers++;
		children[which] = start(&slots, book, which);
	}
	for (int i = 0; i < SENDERS + RECEIVERS; i++) {
		kill(children[i], SIGKILL);
		waitpid(children[i], NULL, 0);
		if (i < SENDERS)
			bury_sender(&slots, book, i);
	}
	while (receive_one(&slots, book))
		;
	for (int i = 0; i < SENDERS; i++)
		for (uint32_t number = 0; number < book->sent[i]; number++)
			lost += !book->got[i][number] && !book->unknown[i][number];
	cr_expect_eq(book->wrong, 0);
	cr_expect_eq(book->twice, 0);
	/* One that was received by who was killed right after it is gone with him. */
	cr_expect_leq(lost, killed_receivers + RECEIVERS);
	cr_expect_eq(slots_count(&slots, &bytes), 0);
	cr_expect_eq(bytes, 0);
	cr_log_info("%u %u %u %u sent, %u not received, %u receivers killed", book->sent[0],
	            book->sent[1], book->sent[2], book->sent[3], lost, killed_receivers);
}
