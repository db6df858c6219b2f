/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Segments: who may, who has them attached, and when they go. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/ipc_ask.h"

enum { KEY = 99, UID = 1000, OTHER_UID = 1001, SIZE = 10000 };

TestSuite(ipc_shm, .fini = ipc_ask_deinit);

static struct asker root;
static struct asker user;
static struct asker other;

static void begin_with(enum anon_kind kind, uint64_t size)
{
	ipc_ask_init(kind, size);
	asker_init(&root, getpid(), 0, 0, ~0ULL);
	asker_init(&user, 200, UID, UID, 0);
	asker_init(&other, 300, OTHER_UID, OTHER_UID, 0);
}

static void begin(void)
{
	begin_with(ANON_MEMFD, 0);
}

static int attach(struct asker *asker, int id, uint32_t flags)
{
	return ask_ipc_op(asker, WIRE_SHM_ATTACH, (struct wire_ipc){.id = id, .flags = flags},
	                  NULL);
}

static int count(struct asker *asker, int id, int mappings)
{
	return ask_ipc_op(asker, WIRE_SHM_COUNT, (struct wire_ipc){.id = id, .number = mappings},
	                  NULL);
}

static uint64_t attached(int id)
{
	return ask_status(&root, WIRE_SHM, id).count;
}

Test(ipc_shm, segments, .init = begin)
{
	int id = ask_get(&user, WIRE_SHM, KEY, SIZE, 0640 | IPC_CREAT);
	struct wire_ipc_stat stat;

	cr_assert_geq(id, 0);
	cr_assert_eq(ask_get(&user, WIRE_SHM, KEY, 0, 0), id);
	cr_assert_eq(ask_get(&user, WIRE_SHM, KEY, SIZE + 1, 0), -EINVAL);
	cr_assert_eq(ask_get(&user, WIRE_SHM, KEY, SIZE, IPC_CREAT | IPC_EXCL), -EEXIST);
	cr_assert_eq(ask_get(&user, WIRE_SHM, KEY + 1, SIZE, 0), -ENOENT);
	cr_assert_eq(ask_get(&user, WIRE_SHM, KEY + 1, 0, IPC_CREAT), -EINVAL);
	cr_assert_eq(ask_get(&user, WIRE_SHM, IPC_PRIVATE, UINT64_MAX, 0600), -EINVAL);
	cr_assert_eq(ask_get(&user, WIRE_SHM, IPC_PRIVATE, INT64_MAX, 0600), -ENOMEM);
	cr_assert_eq(ask_get(&user, WIRE_SHM, IPC_PRIVATE, SIZE, SHM_HUGETLB), -EPERM);
	ask_host.huge_group = user.peer.actor.gid;
	cr_assert_eq(ask_get(&user, WIRE_SHM, IPC_PRIVATE, SIZE, SHM_HUGETLB), -ENOMEM);
	cr_assert_eq(ask_get(&user, WIRE_SHM, IPC_PRIVATE, SIZE, SHM_HUGETLB | 16U << 26), -EINVAL);
	cr_assert_geq(ask_get(&user, WIRE_SHM, IPC_PRIVATE, 1ULL << 45, SHM_NORESERVE), 0);
	cr_assert_eq(ask_get(&other, WIRE_SHM, KEY, 0, 0400), -EACCES);
	stat = ask_status(&user, WIRE_SHM, id);
	cr_assert(stat.size == SIZE && stat.mode == 0640 && stat.key == KEY && stat.count == 0);
	cr_assert(stat.pid[0] == 200 && stat.pid[1] == 0);
	cr_assert(stat.time[0] == 0 && stat.time[1] == 0 && stat.time[2] != 0);
}

Test(ipc_shm, limits, .init = begin)
{
	struct wire_ipc_info info;
	int id;

	ask_host.limits.shmmni = 2;
	ask_host.limits.shmall = 4;
	ask_host.limits.shmmax = 3 * 4096;
	cr_assert_eq(ask_get(&user, WIRE_SHM, IPC_PRIVATE, 3 * 4096 + 1, 0600), -EINVAL);
	id = ask_get(&user, WIRE_SHM, IPC_PRIVATE, 2 * 4096 + 1, 0600);
	cr_assert_geq(id, 0);
	cr_assert_eq(ask_get(&user, WIRE_SHM, IPC_PRIVATE, 4097, 0600), -ENOSPC);
	cr_assert_geq(ask_get(&user, WIRE_SHM, IPC_PRIVATE, 1, 0600), 0);
	cr_assert_eq(ask_get(&user, WIRE_SHM, IPC_PRIVATE, 1, 0600), -ENOSPC);
	cr_assert_eq(ask_control(&user, WIRE_SHM, 0, SHM_INFO), 1);
	memcpy(&info, ipc_text, sizeof info);
	cr_assert(info.field[0] == 2 && info.field[1] == 4);
	cr_assert_eq(ask_control(&user, WIRE_SHM, id, IPC_RMID), 0);
	cr_assert_eq(ipc_header(ipc)->shm_pages, 1);
	cr_assert_eq(ask_control(&user, WIRE_SHM, id, IPC_RMID), -EINVAL);
}

/* Each is asked for twice, once in vain: what was said counts for the turn that stands. */
Test(ipc_shm, next_ids, .init = begin)
{
	int id = 9 << IPC_INDEX_BITS | 300;

	ask_host.next_id = id;
	cr_assert_eq(ask_get(&user, WIRE_SHM, IPC_PRIVATE, 0, 0600), -EINVAL);
	cr_assert_eq(ask_get(&user, WIRE_SHM, IPC_PRIVATE, SIZE, 0600), id);
	cr_assert_eq(ask_get(&user, WIRE_SHM, IPC_PRIVATE, SIZE, 0600), 0, "it counts once");
	ask_host.next_id = -1;
	cr_assert_eq(ask_get(&user, WIRE_SHM, IPC_PRIVATE, SIZE, 0600), 1);
	ask_host.next_id = id;
	cr_assert_eq(ask_get(&user, WIRE_SHM, IPC_PRIVATE, SIZE, 0600), id + 1, "it is taken");
	cr_assert_eq(ask_status(&user, WIRE_SHM, id + 1).sequence, 9);
	ask_host.next_id = 1 << IPC_INDEX_BITS | IPC_INDEX_MASK;
	cr_assert_eq(ask_get(&user, WIRE_SHM, IPC_PRIVATE, SIZE, 0600), ask_host.next_id);
	ask_host.next_id = 2 << IPC_INDEX_BITS | IPC_INDEX_MASK;
	cr_assert_eq(ask_get(&user, WIRE_SHM, IPC_PRIVATE, SIZE, 0600), 2, "none is left there");
	cr_assert_eq(ask_control(&user, WIRE_SHM, id, IPC_RMID), 0);
}

Test(ipc_shm, controls, .init = begin)
{
	int id = ask_get(&user, WIRE_SHM, KEY, SIZE, 0600 | IPC_CREAT);
	struct rlimit limit = {4096, 4096};
	struct wire_ipc asked = {.family = WIRE_SHM, .id = id, .command = IPC_SET};
	struct wire_ipc_stat stat = {.uid = (uint32_t)-1};

	asked.length = sizeof stat;
	cr_assert_eq(ask_control(&user, WIRE_SHM, -1, IPC_INFO), -EINVAL);
	cr_assert_eq(ask_control(&user, WIRE_SHM, id, 99), -EINVAL);
	cr_assert_eq(ask_control(&other, WIRE_SHM, id, IPC_STAT), -EACCES);
	cr_assert_eq(ask_control(&other, WIRE_SHM, id, SHM_STAT), -EACCES);
	cr_assert_eq(ask_control(&other, WIRE_SHM, id, SHM_STAT_ANY), id);
	cr_assert_eq(ask_control(&other, WIRE_SHM, id, IPC_RMID), -EPERM);
	cr_assert_eq(ask_control(&other, WIRE_SHM, id, SHM_LOCK), -EPERM);
	cr_assert_eq(ask_ipc_op(&other, WIRE_IPC_CONTROL, asked, &stat), -EPERM);
	cr_assert_eq(ask_ipc_op(&user, WIRE_IPC_CONTROL, asked, &stat), -EINVAL);
	cr_assert_eq(ask_control(&root, WIRE_SHM, id, SHM_LOCK), 0);
	cr_assert_eq(ask_status(&user, WIRE_SHM, id).mode, 0600 | SHM_LOCKED);
	cr_assert_eq(ask_control(&user, WIRE_SHM, id, SHM_UNLOCK), 0);
	cr_assert_eq(ask_status(&user, WIRE_SHM, id).mode, 0600);
	user.peer.pid = getpid();
	setrlimit(RLIMIT_MEMLOCK, &limit);
	cr_assert_eq(ask_control(&user, WIRE_SHM, id, SHM_LOCK), -ENOMEM);
	limit = (struct rlimit){0, 0};
	setrlimit(RLIMIT_MEMLOCK, &limit);
	cr_assert_eq(ask_control(&user, WIRE_SHM, id, SHM_LOCK), -EPERM);
	stat = (struct wire_ipc_stat){.uid = OTHER_UID, .gid = 7, .mode = 0777};
	cr_assert_eq(ask_ipc_op(&user, WIRE_IPC_CONTROL, asked, &stat), 0);
	cr_assert_eq(ask_control(&other, WIRE_SHM, id, IPC_RMID), 0);
}

ParameterizedTestParameters(ipc_shm, memory)
{
	static enum anon_kind kinds[] = {ANON_TMPFS, ANON_MEMFD, ANON_TMPDIR};

	return cr_make_param_array(enum anon_kind, kinds, sizeof kinds / sizeof kinds[0]);
}

static void check_memory(int file, int access)
{
	struct stat status;

	cr_assert_eq(fcntl(file, F_GETFL) & O_ACCMODE, access);
	cr_assert_eq(fstat(file, &status), 0);
	cr_assert_eq(status.st_size, 12288);
}

/* All have the same, for as long as anybody has it. */
ParameterizedTest(enum anon_kind *kind, ipc_shm, memory)
{
	char text[8] = "";
	int id;

	begin_with(*kind, 0);
	id = ask_get(&user, WIRE_SHM, KEY, SIZE, 0644 | IPC_CREAT);
	cr_assert_geq(id, 0);
	cr_assert_eq(attach(&other, id, 0), -EACCES);
	cr_assert_eq(attach(&other, id, SHM_RDONLY | SHM_EXEC), -EACCES);
	cr_assert_eq(attach(&other, id, SHM_RDONLY), 0);
	cr_assert_eq(other.told.size, SIZE);
	check_memory(other.fd, O_RDONLY);
	cr_assert_eq(attach(&user, id, 0), 0);
	check_memory(user.fd, O_RDWR);
	cr_assert_eq(pwrite(user.fd, "hello", 5, 0), 5);
	cr_assert_eq(pread(other.fd, text, 5, 0), 5);
	cr_assert_str_eq(text, "hello");
	cr_assert_eq(ask_control(&user, WIRE_SHM, id, IPC_RMID), 0);
	cr_assert_eq(ask_get(&user, WIRE_SHM, KEY, SIZE, 0), -ENOENT);
	cr_assert_eq(attach(&root, id, 0), 0);
	cr_assert_eq(pread(root.fd, text, 5, 0), 5);
	cr_assert_str_eq(text, "hello");
	cr_assert_eq(count(&user, id, 0), 0);
	asker_end(&other);
	cr_assert_eq(attached(id), 1);
	asker_end(&root);
	cr_assert_eq(ask_control(&user, WIRE_SHM, id, IPC_STAT), -EINVAL);
	id = ask_get(&user, WIRE_SHM, KEY, SIZE, 0644 | IPC_CREAT);
	cr_assert_eq(attach(&user, id, 0), 0);
	cr_assert_eq(pread(user.fd, text, 5, 0), 5);
	cr_assert_eq(text[0], '\0');
}

Test(ipc_shm, limited_memory)
{
	int id;

	begin_with(ANON_TMPFS, 16 << 20);
	cr_assert_eq(ask_get(&user, WIRE_SHM, IPC_PRIVATE, 16 << 20, 0600), -ENOMEM);
	id = ask_get(&user, WIRE_SHM, IPC_PRIVATE, 8 << 20, 0600);
	cr_assert_geq(id, 0);
	cr_assert_geq(ask_get(&user, WIRE_SHM, IPC_PRIVATE, 64 << 20, 0600 | SHM_NORESERVE), 0);
}

Test(ipc_shm, who_has_it_attached, .init = begin)
{
	int id = ask_get(&user, WIRE_SHM, KEY, SIZE, 0666 | IPC_CREAT);
	struct wire_ipc_stat stat;
	const struct ipc_object *object;
	struct asker child;

	cr_assert_eq(attach(&user, id + 1, 0), -EINVAL);
	cr_assert_eq(attach(&user, -1, 0), -EINVAL);
	cr_assert_eq(count(&user, id, 1), -EINVAL);
	cr_assert_eq(count(&user, id, 0), 0);
	cr_assert_eq(attach(&user, id, 0), 0);
	cr_assert_eq(attach(&user, id, SHM_RDONLY), 0);
	cr_assert_eq(attach(&other, id, 0), 0);
	cr_assert_eq(attached(id), 3);
	cr_assert_eq(count(&user, id, 4), 0);
	stat = ask_status(&user, WIRE_SHM, id);
	cr_assert(stat.count == 5 && stat.pid[1] == 200 && stat.time[0] && !stat.time[1]);
	asker_fork(&child, &user, 400);
	cr_assert_eq(attached(id), 9);
	cr_assert_eq(ask_status(&user, WIRE_SHM, id).pid[1], 200);
	cr_assert_eq(ipc_find(ipc, WIRE_SHM, id, &object), 0);
	cr_assert_eq(ipc_shm_holders(ipc, object), 3);
	asker_end(&user);
	cr_assert_eq(attached(id), 5);
	cr_assert_eq(count(&child, id, 1), 0);
	stat = ask_status(&other, WIRE_SHM, id);
	cr_assert(stat.count == 2 && stat.pid[1] == 400 && stat.time[1]);
	cr_assert_eq(count(&child, id, -1), -EINVAL);
	asker_end(&child);
	stat = ask_status(&other, WIRE_SHM, id);
	cr_assert(stat.count == 1 && stat.pid[1] == 400);
	cr_assert_eq(ask_control(&root, WIRE_SHM, id, IPC_RMID), 0);
	stat = ask_status(&other, WIRE_SHM, id);
	cr_assert(stat.mode == (0666 | SHM_DEST) && stat.key == IPC_PRIVATE);
	cr_assert_eq(ask_control(&root, WIRE_SHM, id, IPC_RMID), 0);
	cr_assert_eq(count(&other, id, 0), 0);
	cr_assert_eq(ask_control(&root, WIRE_SHM, id, IPC_STAT), -EINVAL);
	cr_assert(ipc_is_empty(ipc));
	other.presence = (struct wire_handle){0};
	id = ask_get(&other, WIRE_SHM, IPC_PRIVATE, SIZE, 0600);
	cr_assert_eq(attach(&other, id, 0), -ESTALE);
}
