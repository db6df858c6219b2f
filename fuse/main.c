/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* shmfs: takes its seat and becomes the keeper; or, executed by that, the worker. */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"
#include "base/place.h"
#include "fuse/activation.h"
#include "fuse/background.h"
#include "fuse/keeper.h"
#include "fuse/mount.h"
#include "fuse/options.h"
#include "fuse/trap.h"
#include "fuse/worker.h"

enum { NAP_MILLISECONDS = 10, NAPS_MAX = 200, WAIT_NAPS_MAX = 1000 };

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

static bool has_socket(const char *folder)
{
	char path[PATH_MAX];

	return snprintf(path, sizeof path, "%s/%s", folder, PLACE_SOCKET) >= (int)sizeof path ||
	       access(path, F_OK) == 0;
}

/* One that has a lock and no socket is about to leave, or has just come. One whose mount was taken
 * away a moment ago, by an umount(8) before this mount(8), may not know it yet. */
static int take_over_from_leaving(struct seat *seat, const char *path,
                                  const struct options *options)
{
	int most = options->wait ? WAIT_NAPS_MAX : NAPS_MAX;
	int result = -EADDRINUSE;

	for (int naps = 0; naps < most && result == -EADDRINUSE &&
	                   (options->wait || options->mountpoint || !has_socket(path)); naps++) {
		poll(NULL, 0, NAP_MILLISECONDS);
		result = seat_take(seat, path);
	}
	return result;
}

static struct seat take_seat(const struct options *options, const char *path)
{
	struct seat seat;
	int result = seat_take(&seat, path);

	if (result == -EADDRINUSE)
		result = take_over_from_leaving(&seat, path, options);
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
	return seat;
}

/* Returns the socket that we were started with, or -1. */
static int take_listener(void)
{
	int listener = activation_take();

	if (listener == -E2BIG || listener == -EPROTOTYPE || listener == -ENOTSOCK)
		errx(EXIT_FAILURE, "cannot serve what LISTEN_FDS tells of: it must be one Unix "
		     "socket of type SOCK_SEQPACKET that listens");
	if (listener < 0 && listener != -ENOENT)
		fail(listener, "use what LISTEN_FDS tells of", NULL);
	return listener < 0 ? -1 : listener;
}

static void borrow_listener(struct seat *seat, int listener, const char *folder)
{
	int result = listener >= 0 ? seat_borrow(seat, listener) : 0;

	if (result == -EADDRNOTAVAIL)
		errx(EXIT_FAILURE, "cannot serve the socket that LISTEN_FDS tells of: it must be "
		     "%s/" PLACE_SOCKET ", where programs look for it", folder);
	if (result < 0)
		fail(result, "use what LISTEN_FDS tells of", NULL);
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

struct start {
	int ready_fd;   /* -1: none */
	int background; /* likewise */
};

static void tell_ready(void *details)
{
	struct start *start = details;

	if (start->ready_fd >= 0)
		background_ready(start->ready_fd);
	if (start->background < 0)
		return;
	background_detach_output();
	if (chdir("/") < 0)
		warn("cannot leave the working folder");
	background_ready(start->background);
}

/* mount(8) leaves that to its helper. */
static void enter_namespace(const char *path)
{
	OWN_FD namespace = open(path, O_RDONLY | O_CLOEXEC);

	if (namespace < 0 || setns(namespace, CLONE_NEWNS) < 0)
		fail(-errno, "enter the mount namespace", path);
}

/* What a keeper that was killed has left there serves nobody. */
static const char *find_mountpoint(const char *given, char ret_path[static PATH_MAX])
{
	if (!given || !realpath(given, ret_path))
		return NULL;
	mount_remove(ret_path, 0);
	return ret_path;
}

int main(int argc, char **argv)
{
	struct options options = options_parse(argc, argv);
	struct start start = {.ready_fd = options.ready_fd, .background = -1};
	char mountpoint[PATH_MAX];
	struct keeper_setup setup = {.argv = argv, .ready = tell_ready, .details = &start,
	                             .huge = options.huge};
	struct text folder;

	trap_calls();
	if (options.worker_fd >= 0)
		return worker_run(&options);
	setup.listener = take_listener();
	if (options.namespace)
		enter_namespace(options.namespace);
	folder = choose_folder(&options);
	if (!options.foreground) {
		start.background = background_enter();
		if (start.background < 0)
			fail(start.background, "go into the background", NULL);
	}
	umask(0077);
	raise_limits();
	setup.seat = take_seat(&options, folder.bytes);
	borrow_listener(&setup.seat, setup.listener, folder.bytes);
	setup.mountpoint = find_mountpoint(options.mountpoint, mountpoint);
	return keeper_run(&setup);
}
