/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/client.h"
#include "base/fdpass.h"
#include "base/wire.h"

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

	request.header.version++;
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

	cr_expect_eq(wire_check_reply(&reply, size, &older), -EPROTONOSUPPORT);
	cr_expect_eq(wire_check_reply(&reply, size, &asked), 0);
	cr_expect_eq(wire_check_reply(&reply, size, &other), -EPROTO, "another operation's");
	cr_expect_eq(wire_check_reply(&reply, size - 1, &asked), -EPROTO, "short");
	reply.result = WIRE_LIST_MAX + 1;
	cr_expect_eq(wire_check_reply(&reply, size, &asked), -EPROTO, "more than fit");
	reply.result = -5000;
	cr_expect_eq(wire_check_reply(&reply, sizeof reply, &asked), -EPROTO, "no errno");
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
