/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The first worker makes everything and has the keeper keep it; the next ones are handed it. What
 * they do after is the same. */
#include "fuse/worker.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"
#include "fuse/anon.h"
#include "fuse/background.h"
#include "fuse/complaint.h"
#include "fuse/creator.h"
#include "fuse/disposal.h"
#include "fuse/door.h"
#include "fuse/fs.h"
#include "fuse/harden.h"
#include "fuse/ipc.h"
#include "fuse/journal.h"
#include "fuse/keep.h"
#include "fuse/limit.h"
#include "fuse/loop.h"
#include "fuse/marks.h"
#include "fuse/mount.h"
#include "fuse/options.h"
#include "fuse/reap.h"
#include "fuse/seat.h"
#include "fuse/store.h"
#include "fuse/token.h"
#include "fuse/trim.h"

struct item {
	uint32_t kind;
	uint64_t id;
	int fd; /* owned until taken */
};

enum { SOURCE_BY_NAME = 1 << 8, NAP_MILLISECONDS = 1 };

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
	int seat; /* the folder served; owned */
	struct anon anon;
	struct loop *loop;
	struct store *store;
	struct ipc *ipc;
	struct limits limits;
	struct door *door;
	struct tokens tokens;
	struct fs *fs;
	struct reaper *reaper;
	int marks_file; /* owned; -1: there is none */
};

static _Noreturn void fail(int result, const char *doing, const char *what)
{
	errx(EXIT_FAILURE, "cannot %s%s%s: %s", doing, what ? " " : "", what ? what : "",
	     strerror(-result));
}

static _Noreturn void fail_small(void)
{
	errx(EXIT_FAILURE, "cannot serve with so small a --size: the daemon's own tables take up "
	     "to 2 MiB of it");
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

static uint64_t source_id(const struct anon *anon)
{
	return anon->kind | (anon->by_name ? SOURCE_BY_NAME : 0);
}

/* The journal comes from where the segments come from: memfd_create may be what the host lacks. */
static int new_journal(struct worker *worker)
{
	const struct options *options = worker->options;
	struct tmpfs_plan plan = {options->size, options->huge};
	int result = anon_init(&worker->anon, options->source, secure_getenv("TMPDIR"), &plan,
	                       worker->seat);
	int journal;

	if (result == 0 && options->size_of_user && !worker->anon.by_name)
		errx(EXIT_FAILURE, "cannot limit users to --user-size: that takes root and a "
		     "tmpfs");
	if (result == -EOPNOTSUPP && options->huge)
		errx(EXIT_FAILURE, "cannot have --huge=%s: that takes a tmpfs, which this host "
		     "does not let this user have, or has without huge pages",
		     huge_word(options->huge));
	if (result == -EOPNOTSUPP && options->size)
		errx(EXIT_FAILURE, "cannot limit segments to --size: that takes a tmpfs, which "
		     "this host does not let this user have");
	if (result < 0 && options->source == ANON_AUTO)
		errx(EXIT_FAILURE, "cannot make anonymous files: this host lets this user mount no "
		     "tmpfs, and has no memfd_create: %s; --source=tmpdir takes them from $TMPDIR",
		     strerror(-result));
	if (result < 0)
		fail(result, "make anonymous files by way of",
		     anon_kind_name(options->source));
	if (worker->anon.folder >= 0)
		keep_put(&worker->keep, KEEP_SOURCE, source_id(&worker->anon), worker->anon.folder);
	if (worker->anon.namespace >= 0)
		keep_put(&worker->keep, KEEP_NAMESPACE, 0, worker->anon.namespace);
	keep_put(&worker->keep, KEEP_NODES, 0, worker->anon.nodes);
	journal = anon_create(&worker->anon, 0, 0);
	if (journal == -ENOSPC && options->size)
		fail_small();
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
		.nodes = take_one(worker, KEEP_NODES, NULL),
		.namespace = -1,
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

/* The arena tells of all the rest. */
static void open_ipc(struct worker *worker)
{
	int arena = take_one(worker, KEEP_ARENA, NULL);
	int result = ipc_new(&worker->ipc, &worker->anon, &worker->keep);

	if (result == 0 && arena >= 0)
		result = ipc_restore(worker->ipc, KEEP_ARENA, 0, arena);
	for (size_t i = 0; i < worker->item_count && result == 0; i++) {
		struct item *item = &worker->items[i];

		if (item->kind >= KEEP_SEGMENT && item->kind <= KEEP_BODY && item->fd >= 0)
			result = ipc_restore(worker->ipc, item->kind, item->id,
			                     fd_steal(&item->fd));
	}
	if (result < 0)
		fail(result, "take over what there is of IPC", NULL);
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

/* It could not be heard, and will be. */
static bool is_passing(int result)
{
	return result == -EAGAIN || result == -EINTR || result == -ENOMEM || result == -ENOBUFS;
}

/* What the keeper says in answer; what else it says meanwhile is obeyed after this request. Returns
 * what it says, or -errno; *ret_fd is the caller's. */
static int await_keeper(struct worker *worker, enum keep_op wanted, int *ret_fd)
{
	struct keep_message message = {.op = 0};
	int result = 0;

	while (message.op != wanted) {
		result = keep_receive(worker->keep.sock, &message, ret_fd, 0);
		if (result > 0 && message.op == wanted)
			break;
		if (is_passing(result)) {
			poll(NULL, 0, NAP_MILLISECONDS);
			continue;
		}
		obey_keeper(worker, &message, result);
		if (result <= 0)
			return result < 0 ? result : -EPIPE;
	}
	return (int)message.value;
}

/* A user's first segment. */
static int share_for_user(struct anon *anon, uid_t uid)
{
	struct worker *worker = (struct worker *)((char *)anon - offsetof(struct worker, anon));

	return limit_share(&worker->limits, uid);
}

static struct worker *limited_worker(struct limits *limits)
{
	return (struct worker *)((char *)limits - offsetof(struct worker, limits));
}

/* What makes a tmpfs, and gives one another size, we have given up. */
static int mount_share(struct limits *limits, uid_t uid, uint64_t size)
{
	struct worker *worker = limited_worker(limits);
	OWN_FD folder = -1;
	int result = keep_say(&worker->keep, KEEP_MOUNT, uid, (int64_t)size);

	if (result == 0)
		result = await_keeper(worker, KEEP_ITEM, &folder);
	return folder < 0 ? result : fd_steal(&folder);
}

static void drop_share(struct limits *limits, uid_t uid)
{
	keep_drop(&limited_worker(limits)->keep, KEEP_USER_SOURCE, uid);
}

static int resize_source(struct limits *limits, enum keep_kind kind, uint64_t id, uint64_t size)
{
	struct worker *worker = limited_worker(limits);
	OWN_FD none = -1;
	int result;

	if (kind == KEEP_SOURCE)
		id = source_id(&worker->anon);
	result = keep_resize(&worker->keep, kind, id, size);

	return result < 0 ? result : await_keeper(worker, KEEP_ANSWER, &none);
}

static void note_takeover(struct worker *worker)
{
	const struct journal *journal = store_journal(worker->store);
	const struct journal_header *header = journal->header;

	JOURNAL_SET(journal, header->takeovers, header->takeovers + 1);
	if (header->turn.active && worker->crashed)
		JOURNAL_SET(journal, header->turn.crashes, header->turn.crashes + 1);
}

/* Those that were in force when the worker before us ended, or the command line's. */
static void open_limits(struct worker *worker, bool is_new)
{
	const struct journal *journal = store_journal(worker->store);
	const struct options *options = worker->options;

	if (is_new)
		JOURNAL_SET(journal, journal->header->limits, (struct journal_limits){
			.size = options->size,
			.inodes = options->inodes,
			.user_size = options->size_of_user,
		});
	worker->limits = (struct limits){
		.store = worker->store,
		.anon = &worker->anon,
		.resize = resize_source,
		.mount = mount_share,
		.drop = drop_share,
	};
	limit_restore(&worker->limits);
}

/* As the mount options uid, gid and mode have it. */
static void set_root(struct worker *worker)
{
	const struct options *options = worker->options;
	struct store_node *root = store_root(worker->store);
	int result = 0;

	if (options->root_uid != (uid_t)-1 || options->root_gid != (gid_t)-1)
		result = store_node_chown(root, options->root_uid, options->root_gid);
	if (result == 0 && options->root_mode != (mode_t)-1)
		result = store_node_chmod(root, options->root_mode);
	if (result == -EPERM || result == -EINVAL)
		errx(EXIT_FAILURE, "cannot give the mount to uid=%d, gid=%d: that takes root; "
		     "leave them out, and it is this user's", (int)options->root_uid,
		     (int)options->root_gid);
	if (result < 0)
		fail(result, "set uid=, gid= or mode= of the mount", NULL);
}

static void open_store(struct worker *worker)
{
	int journal = take_one(worker, KEEP_JOURNAL, NULL);
	bool is_new = journal < 0;
	int result;

	worker->seat = take_one(worker, KEEP_SEAT, NULL);
	journal = is_new ? new_journal(worker) : old_journal(worker, journal);
	if (worker->options->size_of_user)
		anon_limit_users(&worker->anon, share_for_user);
	worker->files = (struct store_keep){.put = put_file, .drop = drop_file};
	result = store_new(&worker->store, journal, &worker->anon, &worker->files);
	if (result == -ENOSPC && worker->options->size)
		fail_small();
	if (result < 0)
		fail(result, "open the store", NULL);
	store_limit_names(worker->store, worker->options->names_of_user);
	open_limits(worker, is_new);
	if (is_new) {
		set_root(worker);
		return;
	}
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
	if (!is_passing(result))
		obey_keeper(worker, &message, result);
	return 0;
}

/* `said`: by fusermount3. */
static _Noreturn void fail_mount(int result, const struct options *options, const char *said)
{
	const char *mountpoint = options->mountpoint;

	if (said[0])
		errx(EXIT_FAILURE, "cannot mount on %s: %s", mountpoint, said);
	if (result == -ENOSPC && options->size)
		fail_small();
	if (result == -EOPNOTSUPP)
		errx(EXIT_FAILURE, "cannot mount on %s with passthrough: that takes Linux 6.9 and "
		     "CAP_SYS_ADMIN; --passthrough=auto does without", mountpoint);
	if (result == -EINVAL)
		errx(EXIT_FAILURE, "cannot mount on %s: shmfs and libfuse know no such mount "
		     "option as one of those after -o", mountpoint);
	if (result == -ENODEV || result == -EPERM || result == -EACCES)
		errx(EXIT_FAILURE,
		     "cannot mount on %s: %s: is there a /dev/fuse, and may you use it? "
		     "--no-mount serves programs with the library without",
		     mountpoint, strerror(-result));
	fail(result, "mount on", mountpoint);
}

/* For the library, whatever working folder the next worker has. Before it is mounted: after that
 * looking at it would be asking ourselves. */
static void note_mountpoint(struct worker *worker)
{
	const struct journal *journal = store_journal(worker->store);
	const struct journal_fuse *agreed = &journal->header->fuse;
	char path[PATH_MAX];

	if (realpath(worker->options->mountpoint, path) && strlen(path) < sizeof agreed->mountpoint)
		journal_put(journal, agreed->mountpoint, path, strlen(path) + 1);
}

static void open_fs(struct worker *worker)
{
	const struct journal *journal = store_journal(worker->store);
	const struct options *options = worker->options;
	struct fs_options mount = {
		.mountpoint = options->mountpoint,
		.mount_options = options->mount_options,
		.passthrough = options->passthrough,
		.allow_other = geteuid() == 0,
		.awake = options->awake,
		.tokens = &worker->tokens,
		.device = take_one(worker, KEEP_FUSE, NULL),
	};
	bool is_new = mount.device < 0;
	struct complaint complaint;
	char said[512];
	int result;

	if (!journal->is_mapped)
		errx(EXIT_FAILURE, "cannot mount on %s: this host maps no files shared, where a "
		     "request would outlive a kill; --no-mount serves programs with the library",
		     options->mountpoint);
	if (is_new)
		note_mountpoint(worker);
	complaint_begin(&complaint);
	result = fs_mount(&worker->fs, worker->loop, worker->store, &mount);
	complaint_end(&complaint, said, sizeof said);
	if (result < 0)
		fail_mount(result, options, said);
	if (!is_new)
		return;
	keep_put(&worker->keep, KEEP_FUSE, mount_at(options->mountpoint), fs_device(worker->fs));
	JOURNAL_SET(journal, journal->header->fuse.device, mount_device(options->mountpoint));
}

static int listener(struct worker *worker)
{
	int sock = take_one(worker, KEEP_LISTENER, NULL);

	if (sock >= 0)
		return sock;
	sock = seat_listen(worker->seat);
	if (sock >= 0)
		keep_put(&worker->keep, KEEP_LISTENER, 0, sock);
	return sock;
}

/* Borrowed, or -1. */
static int find_item(const struct worker *worker, enum keep_kind kind, uint64_t id)
{
	for (size_t i = 0; i < worker->item_count; i++)
		if (worker->items[i].kind == kind && worker->items[i].id == id)
			return worker->items[i].fd;
	return -1;
}

/* The earlier worker was killed between the two: the lane is there later, and gone earlier. */
static void drop_askers(const struct worker *worker)
{
	for (size_t i = 0; i < worker->item_count; i++)
		if (worker->items[i].kind == KEEP_ASKER &&
		    find_item(worker, KEEP_LANE, worker->items[i].id) < 0)
			keep_drop(&worker->keep, KEEP_ASKER, worker->items[i].id);
}

static void restore_connections(struct worker *worker)
{
	for (size_t i = 0; i < worker->item_count; i++) {
		struct item *item = &worker->items[i];

		if (item->kind == KEEP_CONNECTION && item->fd >= 0)
			door_restore(worker->door, item->id, fd_steal(&item->fd));
	}
	for (size_t i = 0; i < worker->item_count; i++)
		if (worker->items[i].kind == KEEP_LANE)
			door_restore_lane(worker->door, worker->items[i].id, worker->items[i].fd,
			                  find_item(worker, KEEP_ASKER, worker->items[i].id));
	drop_askers(worker);
	door_restore_end(worker->door);
}

static void mount_alone(void *fs)
{
	fs_alone(fs);
}

static int mount_disturbed(void *fs)
{
	return fs_disturb(fs);
}

/* Names that the reaper takes away the mount would not hear of. */
static void watch_disturbance(const struct worker *worker, struct door_options *door)
{
	if (!worker->fs || worker->options->reap != REAP_NEVER)
		return;
	door->alone = mount_alone;
	door->disturb = mount_disturbed;
	door->details = worker->fs;
}

/* So that clients may open what they have opened before without asking. */
static void publish_names(struct worker *worker, struct door_options *door)
{
	struct marks *marks;

	if (marks_new(&marks, &worker->marks_file) < 0 ||
	    store_have_marks(worker->store, marks) < 0)
		return;
	door->marks = marks;
	door->marks_file = worker->marks_file;
}

/* What the library is to know. */
static void tell_roads(struct worker *worker, struct door_options *door)
{
	const struct journal_fuse *agreed = &store_journal(worker->store)->header->fuse;

	door->roads.source = worker->anon.kind;
	door->roads.huge = worker->options->huge;
	if (!worker->fs)
		return;
	if (agreed->mountpoint[0])
		door->mountpoint = agreed->mountpoint;
	door->tokens = &worker->tokens;
	door->roads.mount_device = agreed->device;
	door->roads.refusal = agreed->refusal;
}

static void open_doors(struct worker *worker)
{
	const struct options *options = worker->options;
	struct door_options door = {
		.idle_seconds = options->idle_seconds,
		.connections_of_user = options->connections_of_user,
		.guard = options->guard,
		.limits = &worker->limits,
		.ipc = worker->ipc,
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
	tell_roads(worker, &door);
	watch_disturbance(worker, &door);
	publish_names(worker, &door);
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
	if (worker->ending != END_LEAVE) {
		ipc_discard(worker->ipc);
		store_discard(worker->store);
	}
	worker->ipc = ipc_free(worker->ipc);
	worker->store = store_free(worker->store);
	worker->loop = loop_free(worker->loop);
	if (worker->ending != END_LEAVE)
		anon_leave_seat(&worker->anon, worker->seat);
	anon_deinit(&worker->anon);
	fd_close_at(&worker->marks_file);
	fd_close_at(&worker->seat);
}

int worker_run(const struct options *options)
{
	struct worker worker = {
		.keep = {.sock = options->worker_fd},
		.options = options,
		.seat = -1,
		.anon = {.folder = -1, .nodes = -1, .namespace = -1},
		.marks_file = -1,
	};
	int result;

	umask(0077);
	fcntl(worker.keep.sock, F_SETFD, FD_CLOEXEC);
	/* What the keeper has open is its own, and its starter's. */
	close_range((unsigned)worker.keep.sock + 1, ~0U, 0);
	take_items(&worker);
	creator_begin();
	open_store(&worker);
	open_ipc(&worker);
	open_doors(&worker);
	close_items(&worker);
	result = harden(options->harden, worker.fs);
	if (result < 0)
		fail(result, "give up what is not needed, as --harden=require has it", NULL);
	keep_say(&worker.keep, KEEP_READY, 0, 0);
	/* Where its starter reads no more, when it has been told that we serve. */
	if (!options->foreground || (options->ready_fd >= 0 && options->ready_fd <= STDERR_FILENO))
		background_detach_output();
	loop_when_quiet(worker.loop, trim_program);
	result = loop_run(worker.loop);
	if (result < 0)
		warnx("cannot go on: %s", strerror(-result));
	close_all(&worker);
	if (worker.ending == END_ALL)
		keep_say(&worker.keep, KEEP_END, 0, result < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
	fd_close_at(&worker.keep.sock);
	return result < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
