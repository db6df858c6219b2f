/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The first worker makes everything and has the keeper keep it; the next ones are handed it. What
 * they do after is the same. */
#include "fuse/worker.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"
#include "fuse/anon.h"
#include "fuse/background.h"
#include "fuse/disposal.h"
#include "fuse/door.h"
#include "fuse/fs.h"
#include "fuse/harden.h"
#include "fuse/journal.h"
#include "fuse/keep.h"
#include "fuse/loop.h"
#include "fuse/mount.h"
#include "fuse/options.h"
#include "fuse/reap.h"
#include "fuse/seat.h"
#include "fuse/store.h"

struct item {
	uint32_t kind;
	uint64_t id;
	int fd; /* owned until taken */
};

enum { SOURCE_BY_NAME = 1 << 8 };

enum ending { END_ALL, END_LEAVE, END_ALONE };

struct worker {
	struct loop_source keeper; /* first: the loop hands it back */
	struct keep keep;
	struct store_keep files; /* the store's way to the keeper */
	const struct options *options;
	struct item *items;
	size_t item_count;
	size_t item_room;
	bool crashed; /* the worker before us, of itself */
	enum ending ending;
	struct anon anon;
	struct loop *loop;
	struct store *store;
	struct door *door;
	struct fs *fs;
	struct reaper *reaper;
};

static _Noreturn void fail(int result, const char *doing, const char *what)
{
	errx(EXIT_FAILURE, "cannot %s%s%s: %s", doing, what ? " " : "", what ? what : "",
	     strerror(-result));
}

static struct worker *worker_of(struct store_keep *files)
{
	return (struct worker *)((char *)files - offsetof(struct worker, files));
}

static int put_file(struct store_keep *files, uint64_t ino, int file)
{
	return keep_put(&worker_of(files)->keep, KEEP_FILE, ino, file);
}

static void drop_file(struct store_keep *files, uint64_t ino)
{
	keep_drop(&worker_of(files)->keep, KEEP_FILE, ino);
}

static void add_item(struct worker *worker, const struct keep_message *message, int fd)
{
	if (worker->item_count == worker->item_room) {
		size_t room = worker->item_room ? worker->item_room * 2 : 64;
		struct item *items = reallocarray(worker->items, room, sizeof *items);

		if (!items)
			fail(-ENOMEM, "take over what the keeper has", NULL);
		worker->items = items;
		worker->item_room = room;
	}
	worker->items[worker->item_count++] = (struct item){message->kind, message->id, fd};
}

/* Says which versions we can do, and is given what there is. */
static void take_items(struct worker *worker)
{
	struct keep_message message = {.op = 0};
	int result;

	keep_say(&worker->keep, KEEP_HELLO, (uint64_t)KEEP_VERSION_MIN << 32 | KEEP_VERSION,
	         journal_versions());
	while (message.op != KEEP_GO) {
		int fd = -1;

		result = keep_receive(worker->keep.sock, &message, &fd, 0);
		/* The keeper ends with us, or does without us: both have been told of. */
		if (result == 0 || result == -ECONNRESET)
			exit(EXIT_FAILURE);
		if (result < 0)
			fail(result, "hear the keeper", NULL);
		if (message.op == KEEP_ITEM)
			add_item(worker, &message, fd);
		else if (message.op == KEEP_STOP || message.op == KEEP_LEAVE)
			exit(EXIT_SUCCESS);
	}
	worker->crashed = message.value == KEEP_GO_CRASHED;
}

/* Takes the one thing of a kind out of what was handed over; its descriptor, or -1. */
static int take_one(struct worker *worker, enum keep_kind kind, uint64_t *ret_id)
{
	for (size_t i = 0; i < worker->item_count; i++) {
		if (worker->items[i].kind != kind || worker->items[i].fd < 0)
			continue;
		if (ret_id)
			*ret_id = worker->items[i].id;
		return fd_steal(&worker->items[i].fd);
	}
	return -1;
}

/* The journal comes from where the segments come from: memfd_create may be what the host lacks. */
static int new_journal(struct worker *worker)
{
	const struct options *options = worker->options;
	int result = anon_init(&worker->anon, options->source, secure_getenv("TMPDIR"),
	                       options->size);
	int journal;

	if (result == 0 && options->size_of_user && !worker->anon.by_name)
		errx(EXIT_FAILURE, "cannot limit users to --user-size: that takes root and a "
		     "tmpfs");
	if (result == -EOPNOTSUPP && options->size)
		errx(EXIT_FAILURE, "cannot limit segments to --size: that takes a tmpfs, which "
		     "this host does not let this user have");
	if (result < 0)
		fail(result, "make anonymous files by way of",
		     anon_kind_name(options->source));
	if (worker->anon.folder >= 0)
		keep_put(&worker->keep, KEEP_SOURCE,
		         worker->anon.kind | (worker->anon.by_name ? SOURCE_BY_NAME : 0),
		         worker->anon.folder);
	journal = anon_create(&worker->anon, 0, 0);
	if (journal < 0)
		fail(journal, "make the journal", NULL);
	anon_forget(&worker->anon, 0, 0);
	keep_put(&worker->keep, KEEP_JOURNAL, 0, journal);
	return journal;
}

static int old_journal(struct worker *worker, int journal)
{
	uint64_t kind = ANON_MEMFD;
	int folder = take_one(worker, KEEP_SOURCE, &kind);

	worker->anon = (struct anon){
		.kind = (enum anon_kind)(kind & ~(uint64_t)SOURCE_BY_NAME),
		.folder = folder,
		.by_name = kind & SOURCE_BY_NAME,
	};
	for (size_t i = 0; i < worker->item_count; i++) {
		struct item *item = &worker->items[i];

		if (item->kind == KEEP_USER_SOURCE && item->fd >= 0 &&
		    anon_add_user(&worker->anon, (uid_t)item->id, fd_steal(&item->fd)) < 0)
			fail(-ENOMEM, "take over what the keeper has", NULL);
	}
	return journal;
}

static void restore_files(struct worker *worker)
{
	for (size_t i = 0; i < worker->item_count; i++) {
		struct item *item = &worker->items[i];

		if (item->kind != KEEP_FILE || item->fd < 0)
			continue;
		/* It was put there, and the worker killed before it had a record. */
		if (store_restore_file(worker->store, item->id, fd_steal(&item->fd)) < 0) {
			anon_forget_anywhere(&worker->anon, item->id);
			drop_file(&worker->files, item->id);
		}
	}
	store_restore_end(worker->store);
}

static void obey_keeper(struct worker *worker, const struct keep_message *message, int result)
{
	if (result <= 0)
		worker->ending = END_ALONE;
	else if (message->op == KEEP_LEAVE)
		worker->ending = END_LEAVE;
	if (result <= 0 || message->op == KEEP_LEAVE || message->op == KEEP_STOP)
		loop_stop(worker->loop);
}

/* A user's first segment: what makes a tmpfs for it we have given up. What else the keeper says
 * meanwhile is obeyed after this request. */
static int mount_for_user(struct anon *anon, uid_t uid)
{
	struct worker *worker = (struct worker *)((char *)anon - offsetof(struct worker, anon));
	struct keep_message message = {.op = 0};
	OWN_FD folder = -1;
	int result = keep_say(&worker->keep, KEEP_MOUNT, uid,
	                      (int64_t)worker->options->size_of_user);

	while (result >= 0 && (message.op != KEEP_ITEM || message.kind != KEEP_USER_SOURCE)) {
		result = keep_receive(worker->keep.sock, &message, &folder, 0);
		if (result > 0 && message.op == KEEP_ITEM)
			continue;
		obey_keeper(worker, &message, result);
		if (result == 0)
			result = -EPIPE;
	}
	if (result < 0)
		return result;
	return folder < 0 ? (int)message.value : fd_steal(&folder);
}

static void note_takeover(struct worker *worker)
{
	struct journal_header *header = store_journal(worker->store)->header;

	header->takeovers++;
	if (header->turn.active && worker->crashed)
		header->turn.crashes++;
}

static void open_store(struct worker *worker)
{
	int journal = take_one(worker, KEEP_JOURNAL, NULL);
	bool is_new = journal < 0;
	int result;

	journal = is_new ? new_journal(worker) : old_journal(worker, journal);
	if (worker->options->size_of_user)
		anon_limit_users(&worker->anon, mount_for_user);
	worker->files = (struct store_keep){.put = put_file, .drop = drop_file};
	result = store_new(&worker->store, journal, &worker->anon, &worker->files);
	if (result < 0)
		fail(result, "open the store", NULL);
	store_limit_names(worker->store, worker->options->names_of_user);
	if (is_new)
		return;
	restore_files(worker);
	note_takeover(worker);
}

/* Its own end, for one, tells us that the keeper is gone. */
static int hear_keeper(struct loop_source *source, uint32_t events)
{
	struct worker *worker = (struct worker *)source;
	struct keep_message message = {.op = 0};
	OWN_FD fd = -1;
	int result = keep_receive(source->fd, &message, &fd, MSG_DONTWAIT);

	(void)events;
	if (result == -EAGAIN)
		return 0;
	obey_keeper(worker, &message, result);
	return 0;
}

static _Noreturn void fail_mount(int result, const char *mountpoint)
{
	if (result == -EOPNOTSUPP)
		errx(EXIT_FAILURE, "cannot mount on %s with passthrough: that takes Linux 6.9 and "
		     "CAP_SYS_ADMIN; --passthrough=auto does without", mountpoint);
	if (result == -ENODEV || result == -EPERM || result == -EACCES)
		errx(EXIT_FAILURE,
		     "cannot mount on %s: %s: is there a /dev/fuse, and may you use it? "
		     "--no-mount serves programs with the library without",
		     mountpoint, strerror(-result));
	fail(result, "mount on", mountpoint);
}

static void open_fs(struct worker *worker)
{
	const struct options *options = worker->options;
	struct fs_options mount = {
		.mountpoint = options->mountpoint,
		.mount_options = options->mount_options,
		.passthrough = options->passthrough,
		.allow_other = geteuid() == 0,
		.device = take_one(worker, KEEP_FUSE, NULL),
	};
	bool is_new = mount.device < 0;
	int result = fs_mount(&worker->fs, worker->loop, worker->store, &mount);

	if (result < 0)
		fail_mount(result, options->mountpoint);
	if (is_new)
		keep_put(&worker->keep, KEEP_FUSE, mount_at(options->mountpoint),
		         fs_device(worker->fs));
}

static int listener(struct worker *worker)
{
	OWN_FD folder = take_one(worker, KEEP_SEAT, NULL);
	int sock = take_one(worker, KEEP_LISTENER, NULL);

	if (sock >= 0)
		return sock;
	sock = seat_listen(folder);
	if (sock >= 0)
		keep_put(&worker->keep, KEEP_LISTENER, 0, sock);
	return sock;
}

static void restore_connections(struct worker *worker)
{
	for (size_t i = 0; i < worker->item_count; i++) {
		struct item *item = &worker->items[i];

		if (item->kind == KEEP_CONNECTION && item->fd >= 0)
			door_restore(worker->door, item->id, fd_steal(&item->fd));
	}
	door_restore_end(worker->door);
}

static void open_doors(struct worker *worker)
{
	const struct options *options = worker->options;
	struct door_options door = {
		.idle_seconds = options->idle_seconds,
		.connections_of_user = options->connections_of_user,
		.guard = options->guard,
	};
	int result = loop_new(&worker->loop);
	int sock;

	worker->keeper = (struct loop_source){.fd = worker->keep.sock, .handle = hear_keeper};
	if (result == 0)
		result = disposal_begin();
	if (result == 0)
		result = loop_add(worker->loop, &worker->keeper, EPOLLIN);
	if (result < 0)
		fail(result, "make an event loop", NULL);
	if (options->mountpoint)
		open_fs(worker);
	/* Listening comes last: who can connect is served. */
	sock = listener(worker);
	result = sock < 0 ? sock : door_new(&worker->door, worker->loop, worker->store,
	                                    &worker->keep, sock, &door);
	if (result < 0)
		fail(result, "listen in", options->folder);
	restore_connections(worker);
	if (options->reap == REAP_NEVER)
		return;
	result = reaper_new(&worker->reaper, worker->loop, worker->store, options->reap_seconds);
	if (result < 0)
		fail(result, "watch for orphans", NULL);
}

/* What is left of what was handed over is of no use to us. */
static void close_items(struct worker *worker)
{
	for (size_t i = 0; i < worker->item_count; i++)
		fd_close_at(&worker->items[i].fd);
	free(worker->items);
	worker->items = NULL;
	worker->item_count = worker->item_room = 0;
}

static void close_all(struct worker *worker)
{
	worker->reaper = reaper_free(worker->reaper);
	worker->door = door_free(worker->door);
	worker->fs = fs_free(worker->fs);
	if (worker->ending != END_LEAVE)
		store_discard(worker->store);
	worker->store = store_free(worker->store);
	worker->loop = loop_free(worker->loop);
	anon_deinit(&worker->anon);
}

int worker_run(const struct options *options)
{
	struct worker worker = {
		.keep = {.sock = options->worker_fd},
		.options = options,
		.anon = {.folder = -1},
	};
	int result;

	umask(0077);
	fcntl(worker.keep.sock, F_SETFD, FD_CLOEXEC);
	/* What the keeper has open is its own, and its starter's. */
	close_range((unsigned)worker.keep.sock + 1, ~0U, 0);
	take_items(&worker);
	open_store(&worker);
	open_doors(&worker);
	close_items(&worker);
	result = harden(options->harden, worker.fs && fs_has_passthrough(worker.fs));
	if (result < 0)
		fail(result, "give up what is not needed, as --harden=require has it", NULL);
	keep_say(&worker.keep, KEEP_READY, 0, 0);
	/* Where its starter reads no more, when it has been told that we serve. */
	if (!options->foreground || (options->ready_fd >= 0 && options->ready_fd <= STDERR_FILENO))
		background_detach_output();
	result = loop_run(worker.loop);
	if (result < 0)
		warnx("cannot go on: %s", strerror(-result));
	close_all(&worker);
	if (worker.ending == END_ALL)
		keep_say(&worker.keep, KEEP_END, 0, result < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
	fd_close_at(&worker.keep.sock);
	return result < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
