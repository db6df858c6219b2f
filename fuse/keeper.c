/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The dullest program that we own. It knows nothing of names, segments or requests and reads
 * nothing that a client sent: it keeps descriptors by kind and number for the worker, a child that
 * executes the same program. When that dies, whatever it died of, another is started and given all
 * of them. What the dead one had sent is read to its end first, for what is in a socket survives
 * the sender.
 *
 * An upgrade takes the same road: the new program is started beside the old worker, says which
 * versions it can do, and only then the old one is asked to leave. */
#include "fuse/keeper.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/own.h"
#include "fuse/disposal.h"
#include "fuse/hash.h"
#include "fuse/keep.h"
#include "fuse/mount.h"
#include "fuse/tmpfs.h"
#include "fuse/trim.h"

enum { WORKER_FD = 3, CRASHES_MAX = 5, STOP_SECONDS = 10 };
enum { PEAK_WORTH_SHRINKING = 1024 };
enum { NAP_MILLISECONDS = 10, REST_MILLISECONDS = 1, END_MILLISECONDS = 3000 };

struct item_key {
	uint64_t kind;
	uint64_t id;
};

struct item {
	struct item_key key;
	int fd; /* owned */
	UT_hash_handle hh;
};

/* A worker, or one that is to become it. */
struct party {
	pid_t pid;   /* 0: none */
	int pidfd;   /* owned */
	int sock;    /* owned */
	int program; /* owned: what it executes */
	bool greeted; /* said which versions it can do, and they will do */
	bool ready;
};

#define PARTY_NULL ((struct party){.pidfd = -1, .sock = -1, .program = -1})

struct keeper {
	const struct keeper_setup *setup;
	struct item *items;
	size_t items_peak; /* since the table was last made */
	struct party worker;
	struct party candidate;
	int fallback; /* owned: the program before an upgrade, until the new one is ready; or -1 */
	int signals;  /* owned */
	int64_t journal_version; /* -1: there is no journal yet */
	char path[PATH_MAX]; /* the program's */
	bool crashed; /* the last worker, of itself */
	bool served;
	bool quiet;  /* nothing has been heard for a second */
	bool rests;  /* what it heard last needs nothing done: more of that can lie where it is */
	bool stopping;
	bool ended;
	time_t deadline; /* of stopping */
	int crashes; /* in a row, without ever having been ready */
	int status;
};

static bool item_add(struct keeper *keeper, uint32_t kind, uint64_t id, int fd)
{
	struct item *item = calloc(1, sizeof *item);

	if (!item)
		return false;
	item->key = (struct item_key){kind, id};
	item->fd = fd;
	HASH_ADD(hh, keeper->items, key, sizeof item->key, item);
	if (!item->hh.tbl) {
		free(item);
		return false;
	}
	if (HASH_COUNT(keeper->items) > keeper->items_peak)
		keeper->items_peak = HASH_COUNT(keeper->items);
	return true;
}

/* After many there are few: a table does not shrink by itself. Without memory for the new one the
 * rest waits for some, as in item_put. */
static void shrink(struct keeper *keeper)
{
	struct item *item = keeper->items;
	struct item *next;

	HASH_CLEAR(hh, keeper->items);
	for (; item; item = next) {
		next = item->hh.next;
		HASH_ADD(hh, keeper->items, key, sizeof item->key, item);
		while (!item->hh.tbl) {
			poll(NULL, 0, NAP_MILLISECONDS);
			HASH_ADD(hh, keeper->items, key, sizeof item->key, item);
		}
	}
	keeper->items_peak = HASH_COUNT(keeper->items);
	malloc_trim(0);
}

static struct item *item_find(const struct keeper *keeper, uint32_t kind, uint64_t id)
{
	struct item_key key = {kind, id};
	struct item *item;

	HASH_FIND(hh, keeper->items, &key, sizeof key, item);
	return item;
}

static void item_drop(struct keeper *keeper, uint32_t kind, uint64_t id)
{
	struct item *item = item_find(keeper, kind, id);

	if (!item)
		return;
	HASH_DEL(keeper->items, item);
	/* In a client's socket may lie what takes for ever to close, and a fifo's or pipe's lock be
	 * a client's. */
	if (kind == KEEP_CONNECTION || kind == KEEP_QUEUE || kind == KEEP_NOTICE)
		disposal_close(item->fd);
	else
		close(item->fd);
	free(item);
	if (keeper->items_peak > PEAK_WORTH_SHRINKING &&
	    HASH_COUNT(keeper->items) < keeper->items_peak / 8)
		shrink(keeper);
}

/* To lose one is the one thing that must not happen: without memory we wait for some. */
static void item_put(struct keeper *keeper, const struct keep_message *message, int fd)
{
	item_drop(keeper, message->kind, message->id);
	while (!item_add(keeper, message->kind, message->id, fd))
		poll(NULL, 0, NAP_MILLISECONDS);
}

static void party_close(struct party *party)
{
	fd_close_at(&party->pidfd);
	fd_close_at(&party->sock);
	fd_close_at(&party->program);
	*party = PARTY_NULL;
}

static void party_kill(struct party *party)
{
	if (party->pid > 0) {
		kill(party->pid, SIGKILL);
		waitpid(party->pid, NULL, 0);
	}
	party_close(party);
}

/* In the child, which has threads no more: system calls only. */
static _Noreturn void become_worker(const struct keeper *keeper, int program, int sock)
{
	static char option[] = "--worker=3";
	char *words[64] = {keeper->setup->argv[0], option};
	int inherited = program;
	sigset_t none;

	_Static_assert(WORKER_FD == 3, "as in --worker=3");
	for (int i = 1; keeper->setup->argv[i] && i < 62; i++)
		words[i + 1] = keeper->setup->argv[i];
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* Both may have the number that the socket is to have. */
	sock = fcntl(sock, F_DUPFD_CLOEXEC, WORKER_FD + 1);
	inherited = fcntl(program, F_DUPFD_CLOEXEC, WORKER_FD + 1);
	if (sock >= 0 && inherited >= 0 && dup2(sock, WORKER_FD) == WORKER_FD)
		syscall(SYS_execveat, inherited, "", words, environ, AT_EMPTY_PATH);
	_exit(127);
}

/* Takes the program. Returns 0 or -errno. */
static int party_start(struct keeper *keeper, struct party *party, int program)
{
	int pair[2];

	*party = PARTY_NULL;
	party->program = program;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	party->sock = pair[0];
	party->pid = fork();
	if (party->pid == 0)
		become_worker(keeper, program, pair[1]);
	close(pair[1]);
	if (party->pid > 0)
		party->pidfd = (int)syscall(SYS_pidfd_open, party->pid, 0);
	return party->pid > 0 && party->pidfd >= 0 ? 0 : -errno;
}

static void start_worker(struct keeper *keeper, int program)
{
	int result = party_start(keeper, &keeper->worker, program);

	/* Memory or process numbers are short: there is nothing better to do than to wait. */
	while (result < 0) {
		program = fd_steal(&keeper->worker.program);
		party_kill(&keeper->worker);
		if (!keeper->served) {
			warnx("cannot start the worker: %s", strerror(-result));
			keeper->ended = true;
			keeper->status = EXIT_FAILURE;
			return;
		}
		poll(NULL, 0, NAP_MILLISECONDS);
		result = party_start(keeper, &keeper->worker, program);
	}
}

/* All that is kept. When it dies meanwhile its death is seen to in its turn. */
static void hand_over(struct keeper *keeper)
{
	struct keep_message message = {.op = KEEP_ITEM};
	struct item *item;
	struct item *next;
	int sock = keeper->worker.sock;

	HASH_ITER(hh, keeper->items, item, next) {
		message.kind = (uint32_t)item->key.kind;
		message.id = item->key.id;
		if (keep_send(sock, &message, item->fd) < 0)
			return;
	}
	message = (struct keep_message){
		.op = KEEP_GO,
		.value = keeper->crashed ? KEEP_GO_CRASHED : 0,
	};
	keep_send(sock, &message, -1);
}

/* What may be told of ranges: the higher half is the lowest version, the lower half the highest. */
static bool range_has(int64_t range, int64_t version)
{
	return version >= range >> 32 && version <= (range & INT32_MAX);
}

static bool ranges_meet(uint64_t theirs)
{
	return (int64_t)(theirs >> 32) <= KEEP_VERSION &&
	       (int64_t)(theirs & INT32_MAX) >= KEEP_VERSION_MIN;
}

/* Whether we can work with a worker that says this of itself. */
static bool versions_agree(struct keeper *keeper, const struct keep_message *hello)
{
	if (!ranges_meet(hello->id)) {
		warnx("cannot use the new shmfs: it speaks version %d to %d with its keeper, and "
		      "this one %d to %d: end this one and start the new one",
		      (int)(hello->id >> 32), (int)(hello->id & INT32_MAX), KEEP_VERSION_MIN,
		      KEEP_VERSION);
		return false;
	}
	if (keeper->journal_version < 0)
		keeper->journal_version = hello->value & INT32_MAX;
	if (range_has(hello->value, keeper->journal_version))
		return true;
	warnx("cannot use the new shmfs: it reads journals of version %d to %d, and this one "
	      "writes %d: end this one and start the new one",
	      (int)(hello->value >> 32), (int)(hello->value & INT32_MAX),
	      (int)keeper->journal_version);
	return false;
}

static void greet(struct keeper *keeper, struct party *party, const struct keep_message *hello)
{
	static const struct keep_message leave = {.op = KEEP_LEAVE};

	party->greeted = versions_agree(keeper, hello);
	if (!party->greeted)
		kill(party->pid, SIGKILL);
	else if (party == &keeper->worker)
		hand_over(keeper);
	else
		keep_send(keeper->worker.sock, &leave, -1);
}

static void note_ready(struct keeper *keeper)
{
	keeper->worker.ready = true;
	keeper->crashes = 0;
	keeper->crashed = false;
	fd_close_at(&keeper->fallback);
	if (!keeper->served)
		keeper->setup->ready(keeper->setup->details);
	keeper->served = true;
}

/* The worker has given up the right to. */
static void mount_for_user(struct keeper *keeper, struct party *party,
                           const struct keep_message *wanted)
{
	struct tmpfs_plan plan = {(uint64_t)wanted->value, keeper->setup->huge};
	struct keep_message item = {
		.op = KEEP_ITEM,
		.kind = KEEP_USER_SOURCE,
		.id = wanted->id,
		.value = tmpfs_mount(&plan),
	};
	int folder = (int)item.value;

	if (folder >= 0)
		item_put(keeper, &item, folder);
	keep_send(party->sock, &item, folder);
}

/* Likewise. */
static void resize(struct keeper *keeper, struct party *party, const struct keep_message *wanted)
{
	const struct item *source = item_find(keeper, wanted->kind, wanted->id);
	const struct item *namespace = item_find(keeper, KEEP_NAMESPACE, 0);
	struct keep_message answer = {.op = KEEP_ANSWER, .value = -ENOENT};

	if (source)
		answer.value = tmpfs_resize(source->fd, namespace ? namespace->fd : -1,
		                            (uint64_t)wanted->value);
	keep_send(party->sock, &answer, -1);
}

static void obey(struct keeper *keeper, struct party *party, const struct keep_message *message,
                 int *fd)
{
	switch (message->op) {
	case KEEP_HELLO: greet(keeper, party, message); break;
	case KEEP_READY: note_ready(keeper); break;
	case KEEP_PUT:
		keeper->rests = true;
		if (*fd >= 0)
			item_put(keeper, message, fd_steal(fd));
		break;
	case KEEP_DROP:
		keeper->rests = true;
		item_drop(keeper, message->kind, message->id);
		break;
	case KEEP_MOUNT: mount_for_user(keeper, party, message); break;
	case KEEP_RESIZE: resize(keeper, party, message); break;
	case KEEP_END:
		keeper->ended = true;
		keeper->status = (int)message->value;
		break;
	default: break;
	}
}

/* Reads what is there. Returns whether there may be more to come. */
static bool hear(struct keeper *keeper, struct party *party)
{
	struct keep_message message;
	OWN_FD fd = -1;
	int result = 1;

	while (result > 0) {
		fd_close_at(&fd);
		result = keep_receive(party->sock, &message, &fd, MSG_DONTWAIT);
		if (result > 0)
			obey(keeper, party, &message, &fd);
		else if (result == -ENOMEM || result == -ENOBUFS)
			result = poll(NULL, 0, NAP_MILLISECONDS) + 1;
		/* It died with something of ours unread: that is told first, once. */
		else if (result == -ECONNRESET)
			result = 1;
	}
	return result == -EAGAIN;
}

/* The candidate is the worker now, and starts when it has said its versions. */
static void promote(struct keeper *keeper)
{
	keeper->worker = keeper->candidate;
	keeper->candidate = PARTY_NULL;
	if (keeper->worker.greeted)
		hand_over(keeper);
}

/* Returns the program that the next worker is to execute, owned by the caller. */
static int next_program(struct keeper *keeper, bool was_ready)
{
	if (!was_ready && keeper->fallback >= 0) {
		warnx("the new shmfs does not come up: going back to the one before");
		return fd_steal(&keeper->fallback);
	}
	return fd_steal(&keeper->worker.program);
}

static void replace_worker(struct keeper *keeper, int status)
{
	bool was_ready = keeper->worker.ready;
	int program;

	keeper->crashed = !WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL;
	if (!keeper->served || (keeper->crashed && !was_ready && ++keeper->crashes > CRASHES_MAX)) {
		/* It has said why, if it could. */
		if (!keeper->served && WIFSIGNALED(status))
			warnx("the worker was ended by a signal before it served: %s",
			      strsignal(WTERMSIG(status)));
		keeper->ended = true;
		keeper->status = WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
		return;
	}
	program = next_program(keeper, was_ready);
	party_close(&keeper->worker);
	start_worker(keeper, program);
}

static void bury_worker(struct keeper *keeper)
{
	int status = 0;

	hear(keeper, &keeper->worker);
	waitpid(keeper->worker.pid, &status, 0);
	keeper->worker.pid = 0;
	if (keeper->ended)
		return;
	if (keeper->stopping) {
		keeper->ended = true;
	} else if (keeper->candidate.pid > 0) {
		keeper->crashed = false;
		fd_close_at(&keeper->fallback);
		keeper->fallback = fd_steal(&keeper->worker.program);
		party_close(&keeper->worker);
		promote(keeper);
	} else {
		replace_worker(keeper, status);
	}
}

static void begin_upgrade(struct keeper *keeper)
{
	int program;
	int result;

	if (keeper->candidate.pid > 0 || !keeper->served || keeper->stopping)
		return;
	program = open(keeper->path, O_RDONLY | O_CLOEXEC);
	if (program < 0) {
		warn("cannot upgrade to %s", keeper->path);
		return;
	}
	result = party_start(keeper, &keeper->candidate, program);
	if (result == 0)
		return;
	warnx("cannot start %s: %s", keeper->path, strerror(-result));
	party_kill(&keeper->candidate);
}

static time_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec;
}

static void begin_stop(struct keeper *keeper)
{
	static const struct keep_message stop = {.op = KEEP_STOP};

	if (keeper->stopping)
		return;
	keeper->stopping = true;
	keeper->deadline = now() + STOP_SECONDS;
	party_kill(&keeper->candidate);
	keep_send(keeper->worker.sock, &stop, -1);
}

static void obey_signal(struct keeper *keeper)
{
	struct signalfd_siginfo info;

	if (read(keeper->signals, &info, sizeof info) != sizeof info)
		return;
	if (info.ssi_signo == SIGHUP)
		begin_upgrade(keeper);
	else
		begin_stop(keeper);
}

static void bury_candidate(struct keeper *keeper)
{
	hear(keeper, &keeper->candidate);
	warnx("cannot upgrade to %s: it ended before it served", keeper->path);
	party_kill(&keeper->candidate);
}

/* Each wake-up sees to the most important thing only, and comes back for the others. Who is woken
 * for each file that is made takes a core from those who make it. */
static void wait_and_see(struct keeper *keeper)
{
	enum { SIGNALS, WORKER_DEATH, WORKER, CANDIDATE_DEATH, CANDIDATE, COUNT };
	struct pollfd sources[COUNT] = {
		[SIGNALS] = {keeper->signals, POLLIN, 0},
		[WORKER_DEATH] = {keeper->worker.pidfd, POLLIN, 0},
		[WORKER] = {keeper->worker.sock, POLLIN, 0},
		[CANDIDATE_DEATH] = {keeper->candidate.pidfd, POLLIN, 0},
		[CANDIDATE] = {keeper->candidate.sock, POLLIN, 0},
	};

	bool rests = keeper->rests;
	int count;

	keeper->rests = false;
	if (rests)
		sources[WORKER].fd = -1;
	count = poll(sources, COUNT,
	             rests ? REST_MILLISECONDS : keeper->stopping || !keeper->quiet ? 1000 : -1);
	if (count < 0 || (rests && count == 0))
		return;
	keeper->quiet = count == 0;
	if (keeper->stopping && now() > keeper->deadline)
		keeper->ended = true;
	else if (keeper->quiet)
		trim_program();
	else if (sources[WORKER_DEATH].revents)
		bury_worker(keeper);
	else if (sources[WORKER].revents && !hear(keeper, &keeper->worker))
		/* Its end of the socket is closed: it is about to be gone. */
		poll(&sources[WORKER_DEATH], 1, -1);
	else if (sources[CANDIDATE_DEATH].revents)
		bury_candidate(keeper);
	else if (sources[CANDIDATE].revents)
		hear(keeper, &keeper->candidate);
	else if (sources[SIGNALS].revents)
		obey_signal(keeper);
}

static int watch_signals(void)
{
	sigset_t ours;

	sigemptyset(&ours);
	sigaddset(&ours, SIGTERM);
	sigaddset(&ours, SIGINT);
	sigaddset(&ours, SIGHUP);
	sigprocmask(SIG_BLOCK, &ours, NULL);
	return signalfd(-1, &ours, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* The file may be replaced while we run it, and this is how the kernel then calls it. */
static void find_program(struct keeper *keeper)
{
	static const char deleted[] = " (deleted)";
	ssize_t length = readlink("/proc/self/exe", keeper->path, sizeof keeper->path - 1);
	size_t suffix = strlen(deleted);

	if (length < 0)
		length = 0;
	keeper->path[length] = '\0';
	if ((size_t)length > suffix &&
	    strcmp(keeper->path + (size_t)length - suffix, deleted) == 0)
		keeper->path[(size_t)length - suffix] = '\0';
}

/* The worker that has said that all is over ends by itself; what it finds out doing so counts. */
static void await_worker(struct keeper *keeper)
{
	struct pollfd death = {keeper->worker.pidfd, POLLIN, 0};
	int status = 0;

	if (keeper->worker.pid <= 0 || poll(&death, 1, END_MILLISECONDS) != 1)
		return;
	waitpid(keeper->worker.pid, &status, 0);
	keeper->worker.pid = 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) && !keeper->status)
		keeper->status = WEXITSTATUS(status);
}

static uint64_t find_mount(const struct keeper *keeper)
{
	uint64_t mount = 0;
	struct item *item;
	struct item *next;

	HASH_ITER(hh, keeper->items, item, next)
		if (item->key.kind == KEEP_FUSE)
			mount = item->key.id;
	return mount;
}

/* No client is to find the socket of a daemon that answers no more: that goes first. */
static void leave_all(struct keeper *keeper)
{
	struct seat seat = keeper->setup->seat;
	uint64_t mount = find_mount(keeper);
	struct item *item;
	struct item *next;

	seat_hide(&seat);
	if (keeper->setup->mountpoint && mount)
		mount_remove(keeper->setup->mountpoint, mount);
	await_worker(keeper);
	party_kill(&keeper->candidate);
	party_kill(&keeper->worker);
	HASH_ITER(hh, keeper->items, item, next)
		item_drop(keeper, (uint32_t)item->key.kind, item->key.id);
	/* One whose worker ended before it told of it. */
	if (keeper->setup->mountpoint && !mount)
		mount_remove(keeper->setup->mountpoint, 0);
	fd_close_at(&keeper->fallback);
	fd_close_at(&keeper->signals);
	seat_leave(&seat);
}

int keeper_run(const struct keeper_setup *setup)
{
	struct keeper keeper = {
		.setup = setup,
		.worker = PARTY_NULL,
		.candidate = PARTY_NULL,
		.fallback = -1,
		.signals = watch_signals(),
		.journal_version = -1,
	};
	struct keep_message seat = {.op = KEEP_PUT, .kind = KEEP_SEAT};
	struct keep_message listener = {.op = KEEP_PUT, .kind = KEEP_LISTENER};
	int folder = fcntl(setup->seat.folder, F_DUPFD_CLOEXEC, 0);
	int program = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	if (keeper.signals < 0 || folder < 0 || program < 0 || disposal_begin() < 0)
		err(EXIT_FAILURE, "cannot start: is /proc mounted?");
	find_program(&keeper);
	item_put(&keeper, &seat, folder);
	if (setup->listener >= 0)
		item_put(&keeper, &listener, setup->listener);
	start_worker(&keeper, program);
	while (!keeper.ended)
		wait_and_see(&keeper);
	leave_all(&keeper);
	return keeper.status;
}
