/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/own.h"
#include "fuse/ipc_i.h"

enum {
	SEMMSL_MAX = 32000, /* as semset.h has room for */
	SEMOPM_MAX = WIRE_BYTES_MAX / 6, /* struct sembuf in one request */
};

/* Up to `count` numbers of a file; what is not there stays as it was. */
static void read_numbers(const char *path, uint64_t *numbers, int count)
{
	OWN_FD file = open(path, O_RDONLY | O_CLOEXEC);
	char text[256];
	ssize_t size = file < 0 ? -1 : read(file, text, sizeof text - 1);
	char *at = text;

	if (size <= 0)
		return;
	text[size] = '\0';
	for (int i = 0; i < count; i++) {
		char *end;
		uint64_t number = strtoull(at, &end, 10);

		if (end == at)
			return;
		numbers[i] = number;
		at = end;
	}
}

static uint64_t read_number(const char *path, uint64_t otherwise)
{
	read_numbers(path, &otherwise, 1);
	return otherwise;
}

static uint32_t at_most(uint64_t number, uint32_t most)
{
	return number < most ? (uint32_t)number : most;
}

void ipc_limits_refresh(struct ipc_limits *limits, enum wire_family family)
{
	const uint32_t objects = 1U << IPC_INDEX_BITS;
	const uint64_t any = UINT64_MAX - (1 << 24);
	uint64_t sem[4] = {32000, 1024000000, 500, 32000};

	switch (family) {
	case WIRE_SHM:
		limits->shmmax = read_number("/proc/sys/kernel/shmmax", any);
		limits->shmall = read_number("/proc/sys/kernel/shmall", any);
		limits->shmmni = at_most(read_number("/proc/sys/kernel/shmmni", 4096), objects);
		break;
	case WIRE_SEM:
		read_numbers("/proc/sys/kernel/sem", sem, 4);
		limits->semmsl = at_most(sem[0], SEMMSL_MAX);
		limits->semmns = at_most(sem[1], INT32_MAX);
		limits->semopm = at_most(sem[2], SEMOPM_MAX);
		limits->semmni = at_most(sem[3], objects);
		break;
	case WIRE_MSG:
		limits->msgmax = at_most(read_number("/proc/sys/kernel/msgmax", 8192),
		                         WIRE_BYTES_MAX);
		limits->msgmnb = at_most(read_number("/proc/sys/kernel/msgmnb", 16384), INT32_MAX);
		limits->msgmni = at_most(read_number("/proc/sys/kernel/msgmni", 32000), objects);
		break;
	default:
		break;
	}
}

struct ipc_limits ipc_limits_read(void)
{
	struct ipc_limits limits = {
		.mq_queues = at_most(read_number("/proc/sys/fs/mqueue/queues_max", 256),
		                     IPC_MQ_MAX),
		.mq_msg = at_most(read_number("/proc/sys/fs/mqueue/msg_max", 10), 65536),
		.mq_msgsize = at_most(read_number("/proc/sys/fs/mqueue/msgsize_max", 8192),
		                      WIRE_BYTES_MAX),
		.mq_msg_default = at_most(read_number("/proc/sys/fs/mqueue/msg_default", 10),
		                          65536),
		.mq_msgsize_default =
			at_most(read_number("/proc/sys/fs/mqueue/msgsize_default", 8192),
		                WIRE_BYTES_MAX),
	};

	for (int family = WIRE_SHM; family <= WIRE_MSG; family++)
		ipc_limits_refresh(&limits, (enum wire_family)family);
	return limits;
}

gid_t ipc_limits_huge_group(void)
{
	return (gid_t)read_number("/proc/sys/vm/hugetlb_shm_group", 0);
}

int32_t ipc_limits_next_id(enum wire_family family)
{
	static const char *const paths[WIRE_FAMILY_COUNT] = {
		[WIRE_SHM] = "/proc/sys/kernel/shm_next_id",
		[WIRE_SEM] = "/proc/sys/kernel/sem_next_id",
		[WIRE_MSG] = "/proc/sys/kernel/msg_next_id",
	};
	uint64_t id = paths[family] ? read_number(paths[family], UINT64_MAX) : UINT64_MAX;

	/* -1 is read as a very large one. */
	return id > INT32_MAX ? -1 : (int32_t)id;
}
