/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* POSIX message queues are Linux's: random calls by several users have the same results, and their
 * descriptors show the same to poll(2), with the daemon killed or its turns rolled back at any
 * time. SHMEMU_TEST_STEPS says how many calls, SHMEMU_TEST_SEED with which seed. */
#include <mqueue.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include "tests/unit/ipc_world.h"

enum { NAMES = 4, SLOTS = 12, SIZE = 40, LATE_MILLISECONDS = 5000 };

enum call { OPEN, UNLINK, SEND, RECEIVE, ATTRIBUTES, NOTIFY, CLOSE, CHMOD, CALLS };

/* An open queue, there and here. */
struct slot {
	mqd_t native;
	int fd;
	struct wire_handle handle;
	int pipe; /* of the registration made by it, or -1 */
	int access;
};

struct case_of {
	enum call call;
	const struct user *user;
	const char *name;
	struct slot *slot;
	int flags;
	mode_t mode;
	bool has_attributes;
	struct mq_attr attributes;
	unsigned priority;
	int kind;
	size_t size;
	char bytes[SIZE + 1];
};

struct outcome {
	long result;
	unsigned priority;
	char bytes[SIZE + 1];
	struct mq_attr attributes;
};

static const char *const names[NAMES] = {"a", "b", "c", "d"};
static struct asking asking;
static struct wire_handle presence;
static struct slot slots[SLOTS];

static struct slot *choose_slot(bool is_open)
{
	for (int i = 0; i < 20; i++) {
		struct slot *slot = &slots[choose(SLOTS)];

		if ((slot->fd >= 0) == is_open)
			return slot;
	}
	return NULL;
}

static void choose_attributes(struct case_of *one)
{
	static const long messages[] = {1, 2, 3, 5, 10, 0, -1, 11, 65536, 65537};
	static const long sizes[] = {1, 20, SIZE, SIZE, SIZE, 8192, 0, -5, 8193, 40000};

	one->has_attributes = choose(10) != 0;
	one->attributes.mq_maxmsg = messages[choose(choose(8) ? 4 : 10)];
	one->attributes.mq_msgsize = sizes[choose(8) ? 2 : choose(10)];
}

static struct case_of choose_case(void)
{
	static const mode_t modes[] = {0600, 0666, 0640, 0400, 0222, 0, 0060, 0006};
	struct case_of one = {
		.call = (enum call)choose(CALLS),
		.user = &users[choose(USERS)],
		.name = names[choose(NAMES)],
		.size = (size_t)choose(SIZE + 2),
		.priority = (unsigned)(choose(40) ? choose(4) : 32767 + choose(2)),
		.kind = choose(4),
	};

	if (choose(2) == 0)
		one.call = choose(2) ? SEND : RECEIVE;
	if (one.call == UNLINK && choose(3))
		one.call = SEND;
	for (size_t i = 0; i < one.size && i < SIZE; i++)
		one.bytes[i] = (char)choose(256);
	if (one.call == RECEIVE && choose(8))
		one.size = SIZE;
	one.slot = choose_slot(one.call != OPEN);
	one.mode = modes[choose(choose(2) ? 2 : 8)];
	one.flags = choose(3) | (choose(3) ? O_CREAT : 0) | (choose(5) ? 0 : O_EXCL) | O_NONBLOCK;
	choose_attributes(&one);
	return one;
}

static void poll_native(const struct case_of *one, struct outcome *ret)
{
	struct sigevent event = {.sigev_notify = SIGEV_NONE};

	if (one->kind == WIRE_NOTICE_SIGNAL || one->kind == WIRE_NOTICE_THREAD) {
		event.sigev_notify = SIGEV_SIGNAL;
		event.sigev_signo = SIGRTMIN;
	}
	ret->result = mq_notify(one->slot->native,
	                        one->kind == WIRE_NOTICE_REMOVE ? NULL : &event);
}

static void ask_native(struct case_of *one, struct outcome *ret)
{
	char name[8];

	snprintf(name, sizeof name, "/%s", one->name);
	become(one->user);
	errno = 0;
	switch (one->call) {
	case OPEN:
		one->slot->native = mq_open(name, one->flags, one->mode,
		                            one->has_attributes ? &one->attributes : NULL);
		ret->result = one->slot->native < 0 ? -1 : 0;
		break;
	case UNLINK: ret->result = mq_unlink(name); break;
	case SEND:
		ret->result = mq_send(one->slot->native, one->bytes, one->size, one->priority);
		break;
	case RECEIVE:
		ret->result = mq_receive(one->slot->native, ret->bytes, one->size, &ret->priority);
		break;
	case ATTRIBUTES: ret->result = mq_getattr(one->slot->native, &ret->attributes); break;
	case NOTIFY: poll_native(one, ret); break;
	case CLOSE: ret->result = mq_close(one->slot->native); break;
	default: ret->result = fchmod(one->slot->native, one->mode); break;
	}
	if (ret->result < 0)
		ret->result = -errno;
	cr_assert_eq(seteuid(0), 0);
}

static void close_slot(struct slot *slot)
{
	close(slot->fd);
	if (slot->pipe >= 0)
		close(slot->pipe);
	slot->fd = slot->pipe = -1;
}

static void chmod_ours(const struct case_of *one, struct outcome *ret)
{
	become(one->user);
	ret->result = fchmod(one->slot->fd, one->mode) < 0 ? -errno : 0;
	cr_assert_eq(seteuid(0), 0);
}

static void tell(const struct case_of *one, struct outcome *ret)
{
	struct wire_ipc_stat stat;
	struct slot *slot = one->slot;

	if (one->call == OPEN) {
		slot->fd = asking.call.fd;
		slot->handle = asking.call.told.handle;
		slot->access = one->flags & O_ACCMODE;
		cr_assert_eq(fcntl(slot->fd, F_GETFL) & (O_ACCMODE | O_NONBLOCK),
		             slot->access | O_NONBLOCK);
	}
	if (one->call == RECEIVE) {
		ret->priority = (unsigned)asking.call.told.type;
		memcpy(ret->bytes, asking.text, asking.call.told.length);
	}
	if (one->call == ATTRIBUTES) {
		memcpy(&stat, asking.text, sizeof stat);
		ret->attributes.mq_flags = O_NONBLOCK;
		ret->attributes.mq_maxmsg = (long)stat.most;
		ret->attributes.mq_msgsize = (long)stat.size;
		ret->attributes.mq_curmsgs = (long)stat.count;
	}
	if (one->call == NOTIFY && asking.call.fd >= 0) {
		if (slot->pipe >= 0)
			close(slot->pipe);
		slot->pipe = asking.call.fd;
	}
}

static void ask_ours(const struct case_of *one, struct outcome *ret)
{
	static const enum wire_op ops[CALLS] = {
		WIRE_MQ_OPEN, WIRE_MQ_UNLINK, WIRE_MQ_SEND, WIRE_MQ_RECEIVE, WIRE_MQ_ATTRIBUTES,
		WIRE_MQ_NOTIFY, WIRE_MQ_LEFT,
	};
	const int64_t shape[] = {one->attributes.mq_maxmsg, one->attributes.mq_msgsize};
	struct wire_ipc *asked = &asking.asked;

	if (one->call == CHMOD) {
		chmod_ours(one, ret);
		return;
	}
	asking_init(&asking, ops[one->call], one->user);
	wire_request_name(&asking.request, one->name, strlen(one->name));
	asking.request.mode = one->mode;
	asking.call.bytes = one->call == OPEN ? (const void *)shape : one->bytes;
	asked->flags = one->call == OPEN ? (uint32_t)one->flags : O_NONBLOCK;
	asked->presence = presence;
	asked->number = (int32_t)one->priority;
	asked->command = one->kind;
	asked->size = one->size;
	if (one->call == OPEN)
		asked->length = one->has_attributes ? sizeof shape : 0;
	if (one->call == SEND)
		asked->length = (uint32_t)one->size;
	if (one->call != OPEN && one->call != UNLINK)
		asked->queue = one->slot->handle;
	if (one->call == CLOSE)
		close_slot(one->slot);
	ret->result = perform(&asking);
	if (ret->result >= 0 && ret->result != IPC_WAITS)
		tell(one, ret);
}

static short half_of(const struct slot *slot)
{
	if (slot->access == O_RDWR)
		return POLLIN | POLLOUT;
	return slot->access == O_RDONLY ? POLLIN : POLLOUT;
}

static short poll_now(int fd)
{
	struct pollfd asked = {.fd = fd, .events = POLLIN | POLLOUT};

	poll(&asked, 1, 0);
	return asked.revents;
}

/* A fifo tells but of the half that is open. The thread that fills and drains it is waited for, but
 * not for long (fuse/patience.h): on a busy machine it may be late. */
static void compare_polls(void)
{
	for (int i = 0; i < SLOTS; i++) {
		short ours, native;
		int left = LATE_MILLISECONDS;

		if (slots[i].fd < 0)
			continue;
		native = poll_now(slots[i].native) & half_of(&slots[i]);
		while ((ours = poll_now(slots[i].fd)) != native && left-- > 0)
			poll(NULL, 0, 1);
		cr_assert_eq(ours, native, "%x %x", ours, native);
	}
}

/* How many notices have come. */
static void compare_notices(void)
{
	const struct timespec now = {0, 0};
	struct wire_notice_sent notice;
	siginfo_t info;
	sigset_t set;
	int native = 0;
	int ours = 0;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	while (sigtimedwait(&set, &info, &now) == SIGRTMIN) {
		native++;
		cr_assert_eq(info.si_pid, getpid());
	}
	for (int i = 0; i < SLOTS; i++) {
		struct pollfd pipe = {.fd = slots[i].pipe, .events = POLLIN};

		if (pipe.fd < 0 || poll(&pipe, 1, 0) <= 0)
			continue;
		if (read(pipe.fd, &notice, sizeof notice) == sizeof notice) {
			ours++;
			cr_assert_eq(notice.pid, (uint32_t)getpid());
		}
		close(slots[i].pipe);
		slots[i].pipe = -1;
	}
	cr_assert_eq(ours, native);
}

static void check_identity(void)
{
	struct slot *slot = choose_slot(true);

	if (!slot)
		return;
	asking_init(&asking, WIRE_MQ_OF, &users[1]);
	asking.call.passed = slot->fd;
	cr_assert_eq(perform(&asking), 0);
	cr_assert_eq(asking.call.told.handle.number, slot->handle.number);
	cr_assert_eq(asking.call.told.handle.secret, slot->handle.secret);
}

static void begin(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &set, NULL);
	world_begin();
	for (int i = 0; i < SLOTS; i++)
		slots[i] = (struct slot){.fd = -1, .pipe = -1};
	asking_init(&asking, WIRE_IPC_PRESENT, &users[0]);
	cr_assert_eq(perform(&asking), 0);
	presence = asking.call.told.handle;
}

static void end(void)
{
	for (int i = 0; i < SLOTS; i++)
		if (slots[i].fd >= 0)
			close_slot(&slots[i]);
	for (int i = 0; i < NAMES; i++) {
		asking_init(&asking, WIRE_MQ_UNLINK, &users[0]);
		wire_request_name(&asking.request, names[i], 1);
		perform(&asking);
	}
	ipc_connection_ended(ipc, CONNECTION);
	cr_assert(ipc_is_empty(ipc));
	world_end();
}

Test(ipc_mq, as_linux)
{
	unsigned long steps = from_environment("SHMEMU_TEST_STEPS", 30000);

	umask(0);
	if (!have_native())
		cr_skip_test("no IPC namespace, or not root");
	begin();
	is_disturbed = true;
	for (unsigned long i = 0; i < steps; i++) {
		struct case_of one = choose_case();
		struct outcome ours = {.result = 0};
		struct outcome native = {.result = 0};

		if (!one.slot)
			continue;
		ask_ours(&one, &ours);
		ask_native(&one, &native);
		cr_assert_eq(ours.result, native.result,
		             "step %lu: call %d user %u name %s flags %o mode %o attributes %d %ld "
		             "%ld priority %u size %zu kind %d: %ld, not %ld", i, one.call,
		             one.user->uid, one.name, one.flags, one.mode, one.has_attributes,
		             one.attributes.mq_maxmsg, one.attributes.mq_msgsize, one.priority,
		             one.size, one.kind, ours.result, native.result);
		cr_assert_eq(ours.priority, native.priority);
		cr_assert_arr_eq(ours.bytes, native.bytes, sizeof ours.bytes);
		cr_assert_arr_eq(&ours.attributes, &native.attributes, sizeof native.attributes);
		compare_polls();
		compare_notices();
		check_identity();
	}
	end();
}

static int ask(enum wire_op op, const struct user *user, const char *name, int flags, mode_t mode)
{
	asking_init(&asking, op, user);
	wire_request_name(&asking.request, name, strlen(name));
	asking.request.mode = mode;
	asking.asked.flags = (uint32_t)flags;
	return perform(&asking);
}

static int ask_queue(enum wire_op op, const struct wire_handle *handle, int flags)
{
	asking_init(&asking, op, &users[1]);
	asking.asked.queue = *handle;
	asking.asked.presence = presence;
	asking.asked.flags = (uint32_t)flags;
	asking.asked.size = 8192;
	asking.asked.length = op == WIRE_MQ_SEND ? 4 : 0;
	asking.asked.command = WIRE_NOTICE_SIGNAL;
	asking.call.bytes = "text";
	return perform(&asking);
}

static struct wire_handle make(const char *name, mode_t mode, int *ret_fd)
{
	cr_assert_eq(ask(WIRE_MQ_OPEN, &users[1], name, O_CREAT | O_RDWR, mode), 0);
	*ret_fd = asking.call.fd;
	return asking.call.told.handle;
}

static uint64_t queues(void)
{
	return ipc_header(ipc)->used[WIRE_MQ];
}

Test(ipc_mq, goes_with_its_last_descriptor)
{
	struct wire_handle handle;
	int fds[2];

	begin();
	handle = make("a", 0600, &fds[0]);
	cr_assert_eq(ask(WIRE_MQ_OPEN, &users[1], "a", O_WRONLY, 0), 0);
	fds[1] = fcntl(asking.call.fd, F_DUPFD, 0);
	close(asking.call.fd);
	cr_assert_eq(ask(WIRE_MQ_UNLINK, &users[1], "a", 0, 0), 0);
	cr_assert_eq(ask(WIRE_MQ_OPEN, &users[1], "a", O_WRONLY, 0), -ENOENT);
	cr_assert_eq(ask_queue(WIRE_MQ_SEND, &handle, 0), 0);
	close(fds[0]);
	cr_assert_eq(ask_queue(WIRE_MQ_LEFT, &handle, 0), 0);
	cr_assert_eq(queues(), 1);
	world_restart(false);
	cr_assert_eq(ask_queue(WIRE_MQ_SEND, &handle, 0), 0);
	close(fds[1]);
	cr_assert_eq(ask_queue(WIRE_MQ_LEFT, &handle, 0), 0);
	cr_assert_eq(queues(), 0);
	cr_assert_eq(ask_queue(WIRE_MQ_SEND, &handle, 0), -EBADF);
	/* Nobody says so. */
	make("a", 0600, &fds[0]);
	cr_assert_eq(ask(WIRE_MQ_UNLINK, &users[1], "a", 0, 0), 0);
	close(fds[0]);
	ipc_connection_ended(ipc, CONNECTION + 1);
	cr_assert_eq(queues(), 0);
	/* It was closed before. */
	make("a", 0600, &fds[0]);
	close(fds[0]);
	cr_assert_eq(queues(), 1);
	cr_assert_eq(ask(WIRE_MQ_UNLINK, &users[1], "a", 0, 0), 0);
	cr_assert_eq(queues(), 0);
	end();
}

Test(ipc_mq, has_limits)
{
	struct rlimit limit = {819200, 819200};
	int fds[20];
	char name[16];
	int made;

	begin();
	getrlimit(RLIMIT_MSGQUEUE, &limit);
	for (made = 0; made < 20; made++) {
		snprintf(name, sizeof name, "q%d", made);
		if (ask(WIRE_MQ_OPEN, &users[1], name, O_CREAT | O_RDWR, 0600) < 0)
			break;
		fds[made] = asking.call.fd;
	}
	cr_assert_eq(ask(WIRE_MQ_OPEN, &users[1], name, O_CREAT | O_RDWR, 0600), -EMFILE);
	if (ipc->limits.mq_msg == 10 && ipc->limits.mq_msgsize == 8192)
		cr_assert_eq(made, 9);
	limit.rlim_cur = limit.rlim_max;
	if (limit.rlim_max == RLIM_INFINITY || limit.rlim_max > 900000) {
		setrlimit(RLIMIT_MSGQUEUE, &limit);
		cr_assert_eq(ask(WIRE_MQ_OPEN, &users[1], name, O_CREAT | O_RDWR, 0600), 0);
		close(asking.call.fd);
		cr_assert_eq(ask(WIRE_MQ_UNLINK, &users[1], name, 0, 0), 0);
		limit.rlim_cur = 819200;
		setrlimit(RLIMIT_MSGQUEUE, &limit);
	}
	cr_assert_eq(ask(WIRE_MQ_OPEN, &users[2], name, O_CREAT | O_RDWR, 0600), 0);
	close(asking.call.fd);
	/* One that nobody can have any more does not count. */
	cr_assert_eq(ask(WIRE_MQ_UNLINK, &users[1], "q0", 0, 0), 0);
	cr_assert_eq(ask(WIRE_MQ_OPEN, &users[1], "x", O_CREAT | O_RDWR, 0600), -EMFILE);
	close(fds[0]);
	cr_assert_eq(ask(WIRE_MQ_OPEN, &users[1], "x", O_CREAT | O_RDWR, 0600), 0);
	close(asking.call.fd);
	ipc->limits.mq_queues = 3;
	cr_assert_eq(ask(WIRE_MQ_OPEN, &users[3], "y", O_CREAT | O_RDWR, 0600), -ENOSPC);
	capabilities = 0;
	cr_assert_eq(ask(WIRE_MQ_OPEN, &users[0], "y", O_CREAT | O_RDWR, 0600), -ENOSPC);
	capabilities = 1 << 24;
	cr_assert_eq(ask(WIRE_MQ_OPEN, &users[0], "y", O_CREAT | O_RDWR, 0600), 0);
	close(asking.call.fd);
	cr_assert_eq(ask(WIRE_MQ_OPEN, &users[1], "", O_CREAT | O_RDWR, 0600), -ENOENT);
	cr_assert_eq(ask(WIRE_MQ_OPEN, &users[1], "..", O_CREAT | O_RDWR, 0600), -EACCES);
	cr_assert_eq(ask(WIRE_MQ_UNLINK, &users[1], "a/b", 0, 0), -EACCES);
	world_end();
}

Test(ipc_mq, descriptor_is_no_way_to_more)
{
	struct wire_handle handle;
	char path[64];
	int pair[2];
	int fd;
	int again;

	begin();
	handle = make("a", 0644, &fd);
	close(fd);
	cr_assert_eq(ask(WIRE_MQ_OPEN, &users[2], "a", O_RDONLY, 0), 0);
	fd = asking.call.fd;
	handle = asking.call.told.handle;
	cr_assert_eq(ask_queue(WIRE_MQ_SEND, &handle, 0), -EBADF);
	cr_assert_eq(ask_queue(WIRE_MQ_RECEIVE, &handle, O_NONBLOCK), -EAGAIN);
	if (geteuid() == 0) {
		snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
		become(&users[2]);
		cr_assert_lt(open(path, O_RDWR), 0);
		cr_assert_eq(errno, EACCES);
		again = open(path, O_RDONLY | O_NONBLOCK);
		cr_assert_eq(seteuid(0), 0);
		asking_init(&asking, WIRE_MQ_OF, &users[2]);
		asking.call.passed = again;
		cr_assert_eq(perform(&asking), 0);
		cr_assert_eq(asking.call.told.handle.secret, handle.secret);
	}
	cr_assert_eq(pipe(pair), 0);
	asking_init(&asking, WIRE_MQ_OF, &users[2]);
	asking.call.passed = pair[0];
	cr_assert_eq(perform(&asking), -EBADF);
	handle.secret++;
	cr_assert_eq(ask_queue(WIRE_MQ_RECEIVE, &handle, O_NONBLOCK), -EBADF);
	world_end();
}

Test(ipc_mq, waits_and_notices)
{
	struct wire_handle handle;
	struct ipc_waiter waiter = {.op = WIRE_MQ_RECEIVE, .connection = 99};
	struct wire_notice_sent notice;
	int fd;
	int pipe;

	begin();
	handle = make("a", 0600, &fd);
	cr_assert_eq(ask_queue(WIRE_MQ_RECEIVE, &handle, 0), IPC_WAITS);
	waiter.serial = asking.call.waits_for;
	cr_assert_eq(waiter.serial, handle.number);
	cr_assert_eq(ask_queue(WIRE_MQ_NOTIFY, &handle, 0), 0);
	pipe = asking.call.fd;
	cr_assert_eq(fcntl(pipe, F_SETFL, O_NONBLOCK), 0);
	cr_assert_eq(ask_queue(WIRE_MQ_NOTIFY, &handle, 0), -EBUSY);
	/* Who waits gets it, and nobody hears of it. */
	ipc_waiter_add(ipc, &waiter);
	cr_assert_eq(ask_queue(WIRE_MQ_SEND, &handle, 0), 0);
	ipc_waiter_remove(ipc, &waiter);
	cr_assert_eq(ipc_next_changed(ipc), waiter.serial);
	cr_assert_eq(ask_queue(WIRE_MQ_RECEIVE, &handle, 0), 4);
	cr_assert_eq(read(pipe, &notice, sizeof notice), -1);
	cr_assert_eq(errno, EAGAIN);
	/* Killed before it was sent, but after the turn. */
	asking_init(&asking, WIRE_MQ_SEND, &users[1]);
	asking.asked.queue = handle;
	cr_assert_eq(ipc_perform(ipc, &asking.call), 0);
	cr_assert_eq(asking.call.told.cursor, presence.number);
	cr_assert_eq(read(pipe, &notice, sizeof notice), -1);
	world_restart(false);
	cr_assert_eq(read(pipe, &notice, sizeof notice), sizeof notice);
	cr_assert_eq(read(pipe, &notice, sizeof notice), 0);
	cr_assert_eq(notice.uid, users[1].uid);
	close(pipe);
	/* Who is gone is no longer registered. */
	cr_assert_eq(ask_queue(WIRE_MQ_NOTIFY, &handle, 0), 0);
	pipe = asking.call.fd;
	cr_assert_eq(ask_queue(WIRE_MQ_NOTIFY, &handle, 0), -EBUSY);
	ipc_connection_ended(ipc, CONNECTION);
	cr_assert_eq(read(pipe, &notice, sizeof notice), 0);
	cr_assert_eq(ask_queue(WIRE_MQ_NOTIFY, &handle, 0), -ESTALE);
	for (int i = 0; i < 10 && ask_queue(WIRE_MQ_SEND, &handle, O_NONBLOCK) == 0; i++)
		continue;
	cr_assert_eq(ask_queue(WIRE_MQ_SEND, &handle, 0), IPC_WAITS);
	world_end();
}
