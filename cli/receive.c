/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/receive.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "cli/say.h"

/* Nobody else comes to have that address, whose processes of ours would then tell what they do. */
static void make_names(struct receiver *receiver, struct sockaddr_un *ret_address,
                       socklen_t *ret_size, bool shows_all)
{
	uint64_t numbers[3];
	char *path = ret_address->sun_path;

	if (getrandom(numbers, sizeof numbers, 0) != sizeof numbers)
		fail("trace: cannot have random numbers: %s", strerror(errno));
	receiver->key = numbers[0] ? numbers[0] : 1;
	ret_address->sun_family = AF_UNIX;
	snprintf(path, TRACED_ADDRESS_MAX + 1, "%c%016" PRIx64 "%016" PRIx64, '\0', numbers[1],
	         numbers[2]);
	*ret_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(path + 1));
	snprintf(receiver->setting, sizeof receiver->setting, "%s:%" PRIx64 "%s", path + 1,
	         receiver->key, shows_all ? TRACED_ALL : "");
}

void receive_open(struct receiver *ret_receiver, bool shows_all)
{
	struct receiver receiver = {
		.sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0),
	};
	struct sockaddr_un address;
	socklen_t size;

	make_names(&receiver, &address, &size, shows_all);
	if (receiver.sock < 0 || bind(receiver.sock, (struct sockaddr *)&address, size) < 0)
		fail("trace: cannot listen: %s", strerror(errno));
	*ret_receiver = receiver;
}

size_t receive_next(const struct receiver *receiver, struct traced_record *ret_record)
{
	ssize_t size;

	do
		size = recv(receiver->sock, ret_record, TRACED_SIZE_MAX, 0);
	while (size >= 0 &&
	       ((size_t)size < sizeof *ret_record || ret_record->key != receiver->key));
	return size < 0 ? 0 : (size_t)size;
}
