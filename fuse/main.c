/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* shmfs: arguments, wiring, exit codes. */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"
#include "base/place.h"
#include "fuse/anon.h"
#include "fuse/background.h"
#include "fuse/door.h"
#include "fuse/fs.h"
#include "fuse/loop.h"
#include "fuse/options.h"
#include "fuse/seat.h"
#include "fuse/store.h"

enum { WAIT_SECONDS = 10 };

struct worker {
	struct loop_source signals;
	struct text folder;
	struct seat seat;
	struct anon anon;
	struct loop *loop;
	struct store *store;
	struct door *door;
	struct fs *fs;
};

static _Noreturn void fail(int result, const char *doing, const char *what)
{
	errx(EXIT_FAILURE, "cannot %s%s%s: %s", doing, what ? " " : "", what ? what : "",
	     strerror(-result));
}

/* Where to serve: as told, else the system's place for root and the user's own for others. */
static struct text choose_folder(const struct options *options)
{
	struct place_hints hints = {
		.shmemu_dir = options->folder ? options->folder : secure_getenv("SHMEMU_DIR"),
		.xdg_runtime_dir = secure_getenv("XDG_RUNTIME_DIR"),
		.tmpdir = secure_getenv("TMPDIR"),
	};
	struct text paths[PLACE_CANDIDATES_MAX];
	size_t count = place_candidates(&hints, geteuid(), paths);
	const struct text *chosen = geteuid() == 0 ? &paths[0] : &paths[count - 1];

	if (chosen->cut)
		fail(-ENAMETOOLONG, "use the folder", chosen->bytes);
	return *chosen;
}

static void take_seat(struct worker *worker, const struct options *options)
{
	const char *path = worker->folder.bytes;
	int result;

	/* A daemon that lost its socket, and serves on, would be waited for until it ends. */
	if (options->wait)
		alarm(WAIT_SECONDS);
	result = seat_take(&worker->seat, path, options->wait);
	alarm(0);

	if (result == -EADDRINUSE)
		errx(EXIT_FAILURE,
		     "another shmfs serves %s already: stop it, or choose another folder "
		     "with --dir or SHMEMU_DIR",
		     path);
	if (result == -EACCES)
		errx(EXIT_FAILURE,
		     "cannot serve in %s: it must be a folder of your own (or root's), no link, "
		     "that nobody else may write to",
		     path);
	if (result < 0)
		fail(result, "serve in", path);
}

/* One descriptor a segment: take what the host allows. */
static void raise_limits(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	if (getrlimit(RLIMIT_FSIZE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_FSIZE, &limit);
	}
	/* A file larger than RLIMIT_FSIZE is to be an error, not the daemon's death. */
	signal(SIGXFSZ, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
}

/* The journal comes from where the segments come from: memfd_create may be what the host lacks. */
static void open_store(struct worker *worker, enum anon_kind source)
{
	int journal;
	int result = anon_init(&worker->anon, source, secure_getenv("TMPDIR"));

	if (result < 0)
		fail(result, "make anonymous files by way of", anon_kind_name(source));
	journal = anon_create(&worker->anon, 0);
	if (journal < 0)
		fail(journal, "make the journal", NULL);
	anon_forget(&worker->anon, 0);
	result = store_new(&worker->store, journal, &worker->anon);
	if (result < 0)
		fail(result, "open the store", NULL);
}

static int end_by_signal(struct loop_source *source, uint32_t events)
{
	struct worker *worker = (struct worker *)source;

	(void)events;
	loop_stop(worker->loop);
	return 0;
}

static void watch_signals(struct worker *worker)
{
	sigset_t ending;
	int result;

	sigemptyset(&ending);
	sigaddset(&ending, SIGTERM);
	sigaddset(&ending, SIGINT);
	sigaddset(&ending, SIGHUP);
	sigprocmask(SIG_BLOCK, &ending, NULL);
	worker->signals = (struct loop_source){
		.fd = signalfd(-1, &ending, SFD_CLOEXEC | SFD_NONBLOCK),
		.handle = end_by_signal,
	};
	result =
		worker->signals.fd < 0 ? -errno : loop_add(worker->loop, &worker->signals, EPOLLIN);
	if (result < 0)
		fail(result, "watch for signals", NULL);
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

static void mount_store(struct worker *worker, const struct options *options)
{
	struct fs_options mount = {
		.mountpoint = options->mountpoint,
		.mount_options = options->mount_options,
		.passthrough = options->passthrough,
		.allow_other = geteuid() == 0,
	};
	int result = fs_mount(&worker->fs, worker->loop, worker->store, &mount);

	if (result < 0) {
		seat_leave(&worker->seat);
		fail_mount(result, options->mountpoint);
	}
}

static void open_doors(struct worker *worker, const struct options *options)
{
	int listener;
	int result = loop_new(&worker->loop);

	if (result < 0)
		fail(result, "make an event loop", NULL);
	watch_signals(worker);
	if (options->mountpoint)
		mount_store(worker, options);
	/* Listening comes last: who can connect is served. */
	listener = seat_listen(&worker->seat);
	result = listener < 0 ? listener
	                      : door_new(&worker->door, worker->loop, worker->store, listener,
	                                 options->idle_seconds);
	if (result < 0) {
		fs_unmount(worker->fs);
		fail(result, "listen in", worker->folder.bytes);
	}
}

/* No client is to find the socket of a daemon that answers no more: the seat is left first. */
static void close_all(struct worker *worker)
{
	seat_leave(&worker->seat);
	worker->fs = fs_unmount(worker->fs);
	worker->door = door_free(worker->door);
	store_discard(worker->store);
	worker->store = store_free(worker->store);
	worker->loop = loop_free(worker->loop);
	fd_close_at(&worker->signals.fd);
	anon_deinit(&worker->anon);
}

int main(int argc, char **argv)
{
	struct options options = options_parse(argc, argv);
	struct worker worker = {.signals.fd = -1};
	int background = -1;
	int result;

	worker.folder = choose_folder(&options);
	if (!options.foreground) {
		background = background_enter();
		if (background < 0)
			fail(background, "go into the background", NULL);
	}
	umask(0077);
	raise_limits();
	take_seat(&worker, &options);
	open_store(&worker, options.source);
	open_doors(&worker, &options);

	if (options.ready_fd >= 0)
		background_ready(options.ready_fd);
	if (background >= 0) {
		background_detach_output();
		if (chdir("/") < 0)
			warn("cannot leave the working folder");
		background_ready(background);
	}
	result = loop_run(worker.loop);
	close_all(&worker);
	if (result < 0)
		fail(result, "go on", NULL);
	return EXIT_SUCCESS;
}
