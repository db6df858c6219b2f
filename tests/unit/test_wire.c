/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/client.h"
#include "base/fdpass.h"
#include "base/client_i.h"
#include "base/wire.h"
#include "base/wire_ipc.h"

static struct wire_request open_request(void)
{
	struct wire_request request = wire_request_make(WIRE_OPEN);

	wire_request_name(&request, "seg", 3);
	return request;
}

Test(wire, a_good_request_passes)
{
	struct wire_request request = open_request();

	cr_assert_eq(wire_check_request(&request, sizeof request), 0);
}

Test(wire, another_version_is_told_by_the_header_alone)
{
	struct wire_request request = open_request();

	request.header.version = WIRE_VERSION + 1;
	cr_expect_eq(wire_check_request(&request, sizeof request), -EPROTONOSUPPORT);
	cr_expect_eq(wire_check_request(&request, sizeof request.header), -EPROTONOSUPPORT);
	cr_expect_eq(wire_check_request(&request, sizeof request.header - 1), -EPROTO);
}

Test(wire, broken_requests_are_refused_whole)
{
	struct wire_request good = open_request();
	struct wire_request request;

	request = good;
	request.header.magic++;
	cr_expect_eq(wire_check_request(&request, sizeof request), -EPROTO, "magic");
	cr_expect_eq(wire_check_request(&good, sizeof good - 1), -EPROTO, "short");
	cr_expect_eq(wire_check_request(&good, sizeof good + 1), -EPROTO, "long");
	request = good;
	request.header.op = 0;
	cr_expect_eq(wire_check_request(&request, sizeof request), -EPROTO, "no operation");
	request.header.op = WIRE_OP_COUNT;
	cr_expect_eq(wire_check_request(&request, sizeof request), -EPROTO, "unknown operation");
	request = good;
	request.reserved = 1;
	cr_expect_eq(wire_check_request(&request, sizeof request), -EPROTO, "reserved");
	request = good;
	request.initial_length = WIRE_INITIAL_MAX + 1;
	cr_expect_eq(wire_check_request(&request, sizeof request), -EPROTO, "first bytes");
	request = good;
	request.name_length = WIRE_NAME_SIZE;
	cr_expect_eq(wire_check_request(&request, sizeof request), -EPROTO, "name too long");
	request = good;
	request.name_length = 2;
	cr_expect_eq(wire_check_request(&request, sizeof request), -EPROTO, "name goes on");
	request = good;
	request.header.op = WIRE_LIST;
	cr_expect_eq(wire_check_request(&request, sizeof request), -EPROTO,
	             "a name where none is due");
}

Test(wire, impossible_names_are_invalid_not_broken)
{
	static const char *const names[] = {"", ".", "..", "a/b"};

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		struct wire_request request = wire_request_make(WIRE_UNLINK);

		wire_request_name(&request, names[i], strlen(names[i]));
		cr_expect_eq(wire_check_request(&request, sizeof request), -EINVAL, "%s", names[i]);
	}
}

Test(wire, replies)
{
	struct wire_reply reply = {.header = {WIRE_MAGIC, WIRE_VERSION, WIRE_LIST}, .result = 2};
	struct wire_header asked = reply.header;
	struct wire_header other = {WIRE_MAGIC, WIRE_VERSION, WIRE_OPEN};
	struct wire_header older = {WIRE_MAGIC, WIRE_VERSION_MIN, WIRE_LIST};
	size_t size = sizeof reply + 2 * sizeof(struct wire_entry);

	cr_expect_eq(wire_check_reply(&reply, size, &older, NULL), -EPROTONOSUPPORT);
	cr_expect_eq(wire_check_reply(&reply, size, &asked, NULL), 0);
	cr_expect_eq(wire_check_reply(&reply, size, &other, NULL), -EPROTO, "another operation's");
	cr_expect_eq(wire_check_reply(&reply, size - 1, &asked, NULL), -EPROTO, "short");
	reply.result = WIRE_LIST_MAX + 1;
	cr_expect_eq(wire_check_reply(&reply, size, &asked, NULL), -EPROTO, "more than fit");
	reply.result = -5000;
	cr_expect_eq(wire_check_reply(&reply, sizeof reply, &asked, NULL), -EPROTO, "no errno");
}

/* What programs ask an older daemon must understand as well; what the tool asks begins anew. */
Test(wire, what_has_not_changed_is_asked_in_an_older_version)
{
	cr_expect_eq(wire_request_make(WIRE_OPEN).header.version, WIRE_VERSION_IPC);
	cr_expect_eq(wire_request_make(WIRE_LOOKUP).header.version, WIRE_VERSION_IPC);
	cr_expect_eq(wire_request_make(WIRE_SEM_OP).header.version, WIRE_VERSION_IPC);
	cr_expect_eq(wire_request_make(WIRE_LIST).header.version, WIRE_VERSION);
}

/* A worker killed between an answer and the end of its turn leaves one that answers again. */
Test(wire, an_answer_to_the_request_before_is_known_in_whatever_version)
{
	struct wire_request request = wire_request_make(WIRE_OPEN);
	struct wire_reply reply = {.header = {WIRE_MAGIC, WIRE_VERSION_LANE, WIRE_ROADS}};

	request.serial = 2;
	reply.serial = 1;
	cr_expect(client_is_stale(&request, &reply));
	reply.header.version = request.header.version;
	cr_expect(client_is_stale(&request, &reply));
	reply.serial = 2;
	cr_expect_not(client_is_stale(&request, &reply));
	/* What an older or a newer daemon says of a version it can't do is the answer to this. */
	reply.serial = 0;
	reply.result = -EPROTONOSUPPORT;
	reply.header.version = WIRE_VERSION_MIN;
	cr_expect_not(client_is_stale(&request, &reply));
	reply.header.version = WIRE_VERSION + 1;
	cr_expect_not(client_is_stale(&request, &reply));
	reply.header.version = request.header.version;
	cr_expect(client_is_stale(&request, &reply));
}

Test(wire, entries_are_shorter_in_older_versions)
{
	struct wire_reply reply = {
		.header = {WIRE_MAGIC, WIRE_VERSION_IPC, WIRE_LIST}, .result = 2,
	};
	size_t size = wire_entry_size(WIRE_VERSION_IPC);

	cr_expect_eq(size, offsetof(struct wire_entry, resident));
	cr_expect_eq(wire_entry_size(WIRE_VERSION_MIN), size);
	cr_expect_eq(wire_entry_size(WIRE_VERSION), sizeof(struct wire_entry));
	cr_expect_eq(wire_check_reply(&reply, sizeof reply + 2 * size, &reply.header, NULL), 0);
	cr_expect_eq(wire_check_reply(&reply, sizeof reply + 2 * sizeof(struct wire_entry),
	                              &reply.header, NULL), -EPROTO);
}

Test(wire, answers_that_bring_a_file)
{
	static const struct {
		enum wire_op op;
		uint32_t flags;
		bool brings;
	} cases[] = {
		{WIRE_OPEN, 0, true}, {WIRE_OPEN_PATH, 0, true}, {WIRE_TRADE, 0, true},
		{WIRE_UNLINK, WIRE_WANT_FILE, false}, {WIRE_LOOKUP, WIRE_FOLLOW, false},
		{WIRE_LOOKUP, WIRE_WANT_FILE, true}, {WIRE_LOOKUP, WIRE_WANT_MARKS, false},
		{WIRE_ROADS, 0, false}, {WIRE_ROADS, WIRE_WANT_FILE, false},
		{WIRE_ROADS, WIRE_WANT_MARKS, true}, {WIRE_ROADS, WIRE_WANT_FOLDER, true},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct wire_request request = wire_request_make(cases[i].op);

		request.flags = cases[i].flags;
		cr_expect_eq(wire_brings_file(&request), cases[i].brings, "case %zu", i);
	}
}

/* An operation on paths as it travels. */
struct path_message {
	struct wire_request request;
	struct wire_places places;
	char paths[2 * WIRE_PATH_MAX + 2];
};

static size_t path_message(struct path_message *message, enum wire_op op, const char *first,
                           const char *second)
{
	memset(message, 0, sizeof *message);
	message->request = wire_request_make(op);
	message->places.length[0] = (uint16_t)strlen(first);
	message->places.length[1] = (uint16_t)strlen(second);
	strcpy(message->paths, first);
	strcpy(message->paths + strlen(first), second);
	return offsetof(struct path_message, paths) + strlen(first) + strlen(second);
}

static int judge_paths(enum wire_op op, const char *first, const char *second)
{
	static struct path_message message;
	size_t size = path_message(&message, op, first, second);

	return wire_check_request(&message.request, size);
}

Test(wire, paths_come_by_their_number)
{
	for (int op = WIRE_OP_PATHS; op < WIRE_OP_IPC; op++) {
		bool two = op == WIRE_SYMLINK || op == WIRE_LINK || op == WIRE_RENAME;

		cr_expect(wire_is_on_paths((unsigned)op));
		cr_expect_eq(judge_paths(op, "", ""), 0, "%d", op);
		cr_expect_eq(judge_paths(op, "a/b", ""), op == WIRE_ROADS ? -EPROTO : 0, "%d", op);
		cr_expect_eq(judge_paths(op, "a", "b"), two ? 0 : -EPROTO, "%d", op);
		cr_expect_eq(judge_paths(op, "", "b"), two ? 0 : -EPROTO, "%d", op);
	}
	cr_expect(!wire_is_on_paths(WIRE_TRADE));
	cr_expect(!wire_is_on_paths(WIRE_OP_COUNT));
	cr_expect(!wire_is_on_paths(WIRE_LOOKUP | WIRE_ANSWER));
}

Test(wire, the_second_path_follows_the_first)
{
	static struct path_message message;

	path_message(&message, WIRE_RENAME, "from", "to");
	cr_expect_eq(memcmp(wire_path(&message.request, 0), "from", 4), 0);
	cr_expect_eq(memcmp(wire_path(&message.request, 1), "to", 2), 0);
}

Test(wire, broken_paths_are_refused)
{
	static struct path_message message;
	size_t size = path_message(&message, WIRE_LINK, "ab", "cd");

	cr_expect_eq(wire_check_request(&message.request, size - 1), -EPROTO, "short");
	cr_expect_eq(wire_check_request(&message.request, size + 1), -EPROTO, "long");
	cr_expect_eq(wire_check_request(&message.request, sizeof message.request), -EPROTO);
	cr_expect_eq(wire_check_request(&message.request, sizeof message.request +
	                                sizeof message.places - 1), -EPROTO, "no places");
	message.places.reserved = 1;
	cr_expect_eq(wire_check_request(&message.request, size), -EPROTO, "reserved");
	message.places.reserved = 0;
	message.paths[1] = '\0';
	cr_expect_eq(wire_check_request(&message.request, size), -EPROTO, "a NUL in the first");
	message.paths[1] = 'b';
	message.paths[3] = '\0';
	cr_expect_eq(wire_check_request(&message.request, size), -EPROTO, "in the second");
	path_message(&message, WIRE_LINK, "ab", "cd");
	message.request.name_length = 1;
	cr_expect_eq(wire_check_request(&message.request, size), -EPROTO, "a name");
	path_message(&message, WIRE_LINK, "ab", "cd");
	message.request.header.version = WIRE_VERSION_NEW - 1;
	cr_expect_eq(wire_check_request(&message.request, size), -EPROTO, "before its time");
	message.places.length[0] = UINT16_MAX;
	message.places.length[1] = UINT16_MAX;
	message.request.header.version = WIRE_VERSION;
	cr_expect_eq(wire_check_request(&message.request, size), -EPROTO, "beyond its end");
}

Test(wire, the_longest_paths)
{
	static struct path_message message;
	static char path[WIRE_PATH_MAX + 2];
	size_t size;

	memset(path, 'x', WIRE_PATH_MAX);
	size = path_message(&message, WIRE_RENAME, path, path);
	cr_expect_eq(wire_check_request(&message.request, size), 0);
	path[WIRE_PATH_MAX] = 'x';
	size = path_message(&message, WIRE_LOOKUP, path, "");
	cr_expect_eq(wire_check_request(&message.request, size), -EPROTO);
}

Test(wire, answers_on_paths)
{
	struct wire_reply reply = {
		.header = {WIRE_MAGIC, WIRE_VERSION, WIRE_READLINK | WIRE_ANSWER},
	};
	struct wire_header asked = {WIRE_MAGIC, WIRE_VERSION, WIRE_READLINK};
	struct wire_told told = {.text_length = 5};
	size_t size = sizeof reply + sizeof told + 5;

	cr_expect_eq(wire_check_reply(&reply, size, &asked, &told), 0);
	cr_expect_eq(wire_check_reply(&reply, size, &asked, NULL), -EPROTO, "not asked for");
	cr_expect_eq(wire_check_reply(&reply, size - 1, &asked, &told), -EPROTO, "short");
	cr_expect_eq(wire_check_reply(&reply, size + 1, &asked, &told), -EPROTO, "long");
	cr_expect_eq(wire_check_reply(&reply, sizeof reply, &asked, &told), -EPROTO);
	told.which = 2;
	cr_expect_eq(wire_check_reply(&reply, size, &asked, &told), -EPROTO, "no third path");
	told = (struct wire_told){.text_length = WIRE_TEXT_MAX + 1};
	cr_expect_eq(wire_check_reply(&reply, sizeof reply + sizeof told + WIRE_TEXT_MAX + 1,
	                              &asked, &told), -EPROTO, "too much");
	told.text_length = 0;
	reply.header.op = WIRE_READLINK;
	cr_expect_eq(wire_check_reply(&reply, sizeof reply + sizeof told, &asked, &told), -EPROTO,
	             "a request is no answer");
}

static void socket_pair(int pair[2])
{
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
}

static int lowest_free_fd(void)
{
	int fd = dup(0);

	close(fd);
	return fd;
}

Test(fdpass, one_descriptor_and_the_sender)
{
	struct fdpass_sender self = {getpid(), geteuid(), getegid()};
	struct fdpass_sender sender;
	struct iovec part = {(char[]){"x"}, 1};
	char byte;
	struct iovec room = {&byte, 1};
	int pair[2];
	int fd;
	int on = 1;

	socket_pair(pair);
	setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
	cr_assert_eq(fdpass_send(pair[0], &part, 1, pair[0], &self, 0), 0);
	cr_assert_eq(fdpass_receive(pair[1], &room, 1, &fd, &sender, 0), 1);
	cr_assert_geq(fd, 0);
	cr_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	cr_assert_eq(sender.pid, getpid());
	cr_assert_eq(sender.uid, geteuid());
}

Test(fdpass, foreign_ids_cannot_be_claimed)
{
	struct fdpass_sender other = {1, 1, 1};
	struct iovec part = {(char[]){"x"}, 1};
	int pair[2];

	if (geteuid() == 0 && (setresgid(1000, 1000, 1000) < 0 || setresuid(1000, 1000, 1000) < 0))
		cr_skip_test("cannot become another user");
	socket_pair(pair);
	cr_assert_eq(fdpass_send(pair[0], &part, 1, -1, &other, 0), -EPERM);
}

/* Surplus descriptors are closed, whether the kernel still let them in or cut them off. */
Test(fdpass, surplus_descriptors_are_closed)
{
	for (size_t count = 2; count <= 8; count++) {
		union {
			char bytes[CMSG_SPACE(8 * sizeof(int))];
			struct cmsghdr item;
		} control = {.item = {CMSG_LEN(count * sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
		struct iovec part = {(char[]){"x"}, 1};
		struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control,
		                         .msg_controllen = CMSG_SPACE(count * sizeof(int))};
		int pair[2];
		int before;
		int fd;
		char byte;
	struct iovec room = {&byte, 1};

		socket_pair(pair);
		for (size_t i = 0; i < count; i++)
			memcpy(CMSG_DATA(&control.item) + i * sizeof(int), &pair[0], sizeof(int));
		cr_assert_eq(sendmsg(pair[0], &message, 0), 1);
		before = lowest_free_fd();
		cr_expect_eq(fdpass_receive(pair[1], &room, 1, &fd, NULL, 0), -EPROTO, "%zu",
		             count);
		cr_expect_eq(lowest_free_fd(), before, "%zu", count);
		close(pair[0]);
		close(pair[1]);
	}
}

/* A peer that handed us a socket and kept the other end of it can ask, there, for a pidfd with
 * each of its messages (Linux 6.5). */
Test(fdpass, a_pidfd_nobody_asked_for_is_closed)
{
	enum { PASSPIDFD = 76 }; /* SO_PASSPIDFD */
	struct iovec part = {(char[]){"x"}, 1};
	int pair[2];
	int before;
	int fd;
	int on = 1;
	char byte;
	struct iovec room = {&byte, 1};

	socket_pair(pair);
	if (setsockopt(pair[1], SOL_SOCKET, PASSPIDFD, &on, sizeof on) < 0)
		cr_skip_test("this kernel has no SO_PASSPIDFD");
	before = lowest_free_fd();
	cr_assert_eq(fdpass_send(pair[0], &part, 1, -1, NULL, 0), 0);
	cr_assert_eq(fdpass_receive(pair[1], &room, 1, &fd, NULL, 0), 1);
	cr_assert_eq(fd, -1);
	cr_assert_eq(lowest_free_fd(), before);
}

Test(fdpass, a_message_too_large_is_refused)
{
	struct iovec part = {(char[]){"xx"}, 2};
	int pair[2];
	int fd;
	char byte;
	struct iovec room = {&byte, 1};

	socket_pair(pair);
	cr_assert_eq(fdpass_send(pair[0], &part, 1, -1, NULL, 0), 0);
	cr_assert_eq(fdpass_receive(pair[1], &room, 1, &fd, NULL, 0), -EMSGSIZE);
	close(pair[0]);
	cr_assert_eq(fdpass_receive(pair[1], &room, 1, &fd, NULL, 0), 0, "the end");
}

Test(client, a_daemon_that_is_gone_is_said_to_be)
{
	struct wire_request request = wire_request_make(WIRE_STATUS);
	struct client_answer answer;
	int pair[2];

	socket_pair(pair);
	close(pair[1]);
	cr_assert_eq(client_ask(pair[0], &request, &answer), -ECONNRESET);
}

/* The other end's word for a request that is there. */
static void reply_to(int sock, const char *text, int fd)
{
	static struct path_message message;
	struct iovec room = {&message, sizeof message};
	struct wire_reply reply = {.header = {WIRE_MAGIC, 0, 0}, .result = 0};
	struct wire_told told = {.text_length = (uint32_t)strlen(text)};
	struct iovec parts[] = {
		{&reply, sizeof reply},
		{&told, sizeof told},
		{(char *)(uintptr_t)text, strlen(text)},
	};
	int passed;
	ssize_t size = fdpass_receive(sock, &room, 1, &passed, NULL, 0);

	if (size < 0 || wire_check_request(&message.request, (size_t)size) < 0)
		_exit(1);
	reply.header.version = message.request.header.version;
	reply.header.op = message.request.header.op | WIRE_ANSWER;
	reply.serial = message.request.serial;
	_exit(fdpass_send(sock, parts, 3, fd, NULL, 0) < 0);
}

static int ask_about(enum wire_op op, uint32_t flags, const char *text, bool with_file,
                     struct client_answer *answer)
{
	struct client_places places = {.places.length = {3, 0}, .paths = {"a/b", NULL}};
	struct wire_request request = wire_request_make(op);
	int pair[2];
	int result;

	socket_pair(pair);
	request.flags = flags;
	if (fork() == 0)
		reply_to(pair[1], text, with_file ? pair[1] : -1);
	close(pair[1]);
	result = client_ask_places(pair[0], &request, &places, answer);
	close(pair[0]);
	return result;
}

Test(client, operations_on_paths)
{
	char text[WIRE_TEXT_MAX + 1];
	struct client_answer answer = {.text = text, .text_room = sizeof text};

	cr_assert_eq(ask_about(WIRE_READLINK, 0, "there", false, &answer), 0);
	cr_expect_str_eq(text, "there");
	cr_assert_eq(ask_about(WIRE_LOOKUP, WIRE_WANT_FILE, "", true, &answer), 0);
	cr_expect_geq(answer.fd, 0);
	cr_expect_str_eq(text, "");
	close(answer.fd);
	cr_expect_eq(ask_about(WIRE_LOOKUP, 0, "", true, &answer), -EPROTO, "nobody wants a file");
	cr_expect_eq(ask_about(WIRE_OPEN_PATH, 0, "", false, &answer), -EPROTO, "no file");
	answer.text_room = 5;
	cr_expect_eq(ask_about(WIRE_READLINK, 0, "there", false, &answer), -EPROTO, "no room");
	answer.text_room = 6;
	cr_expect_eq(ask_about(WIRE_READLINK, 0, "there", false, &answer), 0);
}

struct ipc_message {
	struct wire_request request;
	struct wire_ipc asked;
	char bytes[64];
};

static struct ipc_message ipc_message(enum wire_op op, uint32_t length)
{
	struct ipc_message message = {wire_request_make(op), {.length = length}, {0}};

	return message;
}

static int check_ipc(const struct ipc_message *message)
{
	return wire_check_request(&message->request, offsetof(struct ipc_message, bytes) +
	                                                     message->asked.length);
}

Test(wire, requests_on_ipc_carry_what_their_operation_takes)
{
	struct ipc_message message = ipc_message(WIRE_SEM_OP, 12);

	cr_expect_eq(check_ipc(&message), 0);
	cr_expect_eq(wire_check_request(&message.request, sizeof message.request), -EPROTO);
	message.asked.reserved = 1;
	cr_expect_eq(check_ipc(&message), -EPROTO, "reserved");
	message = ipc_message(WIRE_SEM_OP, 13);
	cr_expect_eq(check_ipc(&message), -EPROTO, "half an operation");
	message = ipc_message(WIRE_MSG_SEND, 13);
	cr_expect_eq(check_ipc(&message), 0);
	message.request.header.version = WIRE_VERSION_NEW;
	cr_expect_eq(check_ipc(&message), -EPROTO, "in a version that has none");
	message = ipc_message(WIRE_MSG_RECEIVE, 1);
	cr_expect_eq(check_ipc(&message), -EPROTO, "takes no bytes");
	message = ipc_message(WIRE_MSG_SEND, WIRE_BYTES_MAX + 1);
	cr_expect_eq(check_ipc(&message), -EPROTO, "too long");
	message = ipc_message(WIRE_IPC_GET, 0);
	cr_expect_eq(check_ipc(&message), -EPROTO, "no family");
	message.asked.family = WIRE_MQ;
	cr_expect_eq(check_ipc(&message), -EPROTO, "a family without keys");
	message.asked.family = WIRE_SEM;
	cr_expect_eq(check_ipc(&message), 0);
	wire_request_name(&message.request, "queue", 5);
	cr_expect_eq(check_ipc(&message), -EPROTO, "takes no name");
	message = ipc_message(WIRE_MQ_OPEN, 16);
	wire_request_name(&message.request, "a/b", 3);
	cr_expect_eq(check_ipc(&message), 0);
	wire_request_name(&message.request, "a\0b", 3);
	cr_expect_eq(check_ipc(&message), -EPROTO, "NUL in a name");
}

Test(wire, answers_on_ipc_are_judged_whole)
{
	const struct wire_header asked = {WIRE_MAGIC, WIRE_VERSION, WIRE_MSG_RECEIVE};
	struct wire_reply reply = {.header = asked};
	struct wire_ipc_told told = {.length = 3};
	size_t size = sizeof reply + sizeof told + 3;

	cr_expect_eq(wire_check_ipc_told(&reply, size, &asked, &told), -EPROTO, "a request");
	reply.header.op |= WIRE_ANSWER;
	cr_expect_eq(wire_check_ipc_told(&reply, size, &asked, &told), 0);
	cr_expect_eq(wire_check_ipc_told(&reply, size - 1, &asked, &told), -EPROTO);
	reply.header.version--;
	cr_expect_eq(wire_check_ipc_told(&reply, sizeof reply, &asked, &told), -EPROTONOSUPPORT);
}
