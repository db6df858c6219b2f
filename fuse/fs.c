/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The mount and its session. The kernel judges all rights (default_permissions). It caches no
 * contents, and names and attributes only as long as nobody uses the socket door, which changes
 * them behind its back: see fs_told.c.
 *
 * libfuse has the session; requests are read, one by one, to a place in the journal, and answers go
 * through channel.c. The request that was read there is one that a killed worker leaves to the
 * next: whether it had been answered need not be known, for the kernel drops an answer that nobody
 * waits for, and the store's turn sees to it that nothing is done twice. That works on every
 * kernel, where FUSE_NOTIFY_RESEND takes Linux 6.9. The session itself is made anew by the kernel's
 * INIT, kept in the journal, whose second answer is swallowed.
 *
 * INIT, which waits in the kernel from the moment of mounting, is answered before fs_mount returns,
 * so that it is known by then whether the kernel passes through.
 *
 * We must never look at our own mount in a way that makes the kernel ask us: nobody else would
 * answer. */
#include "fuse/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/look.h"
#include "base/own.h"
#include "fuse/fs_i.h"
#include "fuse/journal.h"
#include "fuse/mount.h"

/* Of so many requests, for how many we were. */
enum { LOOKED_AT = 8, PREEMPTED = 2, REST_MIN = 32, REST_MAX = 1024 };

enum { INIT_PATIENCE_MILLISECONDS = 5000, CRASHES_MAX = 2, SMALL_REQUEST_SIZE = 512 };

/* The kernel's mark on a request that it sends once more (Linux 6.9). */
static const uint64_t unique_resent = 1ULL << 63;

/* Set-id bits are ours to take away where the kernel says for whom: see channel.h. */
static void start(void *userdata, struct fuse_conn_info *connection)
{
	(void)userdata;
	connection->want &= ~(unsigned)FUSE_CAP_HANDLE_KILLPRIV;
	connection->want |= connection->capable & FUSE_CAP_EXPORT_SUPPORT;
}

/* What is not here libfuse answers with ENOSYS. For flush, fsync and access the kernel then stops
 * asking and says yes. */
static const struct fuse_lowlevel_ops operations = {
	.init = start,
	.lookup = fs_lookup,
	.forget = fs_forget,
	.forget_multi = fs_forget_multi,
	.getattr = fs_getattr,
	.setattr = fs_setattr,
	.statfs = fs_statfs,
	.setxattr = fs_setxattr,
	.getxattr = fs_getxattr,
	.listxattr = fs_listxattr,
	.removexattr = fs_removexattr,
	.mknod = fs_mknod,
	.mkdir = fs_mkdir,
	.unlink = fs_unlink,
	.rmdir = fs_rmdir,
	.rename = fs_rename,
	.link = fs_link,
	.symlink = fs_symlink,
	.readlink = fs_readlink,
	.opendir = fs_opendir,
	.releasedir = fs_releasedir,
	.readdir = fs_readdir,
	.readdirplus = fs_readdirplus,
	.open = fs_open,
	.create = fs_create,
	.release = fs_release,
	.read = fs_read,
	.write = fs_write,
	.fallocate = fs_fallocate,
	.lseek = fs_lseek,
	.ioctl = fs_ioctl,
};

/* libfuse wants one; we read by ourselves. */
static ssize_t read_nothing(int fd, void *bytes, size_t size, void *userdata)
{
	(void)fd, (void)bytes, (void)size, (void)userdata;
	errno = ENODEV;
	return -1;
}

static ssize_t write_answer(int fd, struct iovec *parts, int count, void *userdata)
{
	struct fs *fs = userdata;

	(void)fd;
	return channel_writev(&fs->channel, parts, count);
}

static const struct fuse_custom_io io = {.read = read_nothing, .writev = write_answer};

/* libfuse says on standard error what errno says as well. */
static void swallow_log(enum fuse_log_level level, const char *format, va_list arguments)
{
	(void)level, (void)format, (void)arguments;
}

/* Its length is a request's first field; none is there when it is 0. */
static void forget_request(struct fs *fs)
{
	uint32_t *size = (uint32_t *)(void *)store_journal(fs->store)->request;

	__atomic_store_n(size, 0, __ATOMIC_RELEASE);
}

static const struct journal_fuse *agreed(const struct fs *fs)
{
	return &store_journal(fs->store)->header->fuse;
}

/* What the next worker makes its session of. */
static void keep_init(struct fs *fs, size_t size)
{
	const struct journal *journal = store_journal(fs->store);

	if (fs->channel.answered || !fs->channel.init_unique || size > JOURNAL_INIT_SIZE)
		return;
	journal_put(journal, agreed(fs)->init, journal->request, size);
	JOURNAL_SET(journal, agreed(fs)->init_size, (uint32_t)size);
}

/* libfuse writes into small ones as it reads, and they must stay in the journal as they came. */
static void process(struct fs *fs, size_t size)
{
	_Alignas(uint64_t) char small[SMALL_REQUEST_SIZE];
	struct fuse_buf request = {.mem = store_journal(fs->store)->request, .size = size};

	if (size <= sizeof small)
		request.mem = memcpy(small, request.mem, size);
	fs->request = channel_decode(request.mem, size);
	store_turn_begin(fs->store, 0, fs->request.unique & ~unique_resent);
	fs->serving = true;
	if (fs->request.operation == CHANNEL_TMPFILE)
		fs_tmpfile(fs, request.mem, size);
	else if (fs->request.operation == CHANNEL_STATX)
		fs_statx(fs);
	else
		fuse_session_process_buf(fs->session, &request);
	fs->serving = false;
	forget_request(fs);
	store_turn_end(fs->store);
}

static void forget_root(struct fs *fs)
{
	if (fs->root_told)
		channel_forget_attributes(&fs->channel, STORE_ROOT_INO);
	fs->root_told = false;
}

/* What it has done itself the kernel knows. */
static void folder_changed(void *details, uint64_t ino)
{
	struct fs *fs = details;

	if (ino == STORE_ROOT_INO && !fs->serving)
		forget_root(fs);
}

/* Takes one request, if there is one, and answers it: was there one? */
static bool serve_one(struct fs *fs)
{
	ssize_t size = channel_read(&fs->channel, store_journal(fs->store)->request,
	                            JOURNAL_REQUEST_SIZE);

	if (size > 0) {
		keep_init(fs, (size_t)size);
		process(fs, (size_t)size);
	} else if (size == 0 || (errno != EAGAIN && errno != EINTR && errno != ENOENT)) {
		fuse_session_exit(fs->session);
	}
	return size > 0;
}

/* With the client on our core he gets on while we look only by our being preempted, which is no
 * quicker than to sleep, and often not even that: then we sleep at once, and see again after ever
 * more requests. Whoever looks for the other door's clients goes on. */
static void note_crowd(struct fs *fs)
{
	struct crowd *crowd = &fs->crowd;
	struct rusage usage;

	if (crowd->left) {
		crowd->left--;
		return;
	}
	getrusage(RUSAGE_THREAD, &usage);
	if (fs->device.sleeps || !fs->told.alone) {
		fs->device.sleeps = false;
	} else if (usage.ru_nivcsw - crowd->preempted >= PREEMPTED) {
		fs->device.sleeps = true;
		crowd->rest = crowd->rest < REST_MIN ? REST_MIN : 2 * crowd->rest;
		crowd->rest = crowd->rest > REST_MAX ? REST_MAX : crowd->rest;
	} else {
		crowd->rest = 0;
	}
	crowd->preempted = usage.ru_nivcsw;
	crowd->left = fs->device.sleeps ? crowd->rest : LOOKED_AT;
}

static bool serve_timed(struct fs *fs)
{
	uint64_t began = fs->awake ? look_now() : 0;
	bool served = serve_one(fs);

	if (served && fs->awake)
		awake_served(fs->awake, began, look_now());
	if (served)
		note_crowd(fs);
	return served;
}

/* Who waits for no answer has gone on, and by now asks for something else: that saves the wait for
 * an event. */
static int serve_two(struct fs *fs)
{
	bool goes_on = serve_timed(fs) && (fs->request.operation == CHANNEL_FORGET ||
	                                   fs->request.operation == CHANNEL_RELEASE);
	int heard = goes_on ? loop_hear_first(fs->loop) : 0;

	if (goes_on && heard == 0)
		serve_timed(fs);
	return heard < 0 ? heard : 0;
}

static int serve(struct loop_source *source, uint32_t events)
{
	struct fs *fs = (struct fs *)source;
	int result = serve_two(fs);

	(void)events;
	if (fuse_session_exited(fs->session))
		loop_stop(fs->loop);
	return result;
}

static int add_option(struct fuse_args *arguments, const char *option)
{
	if (fuse_opt_add_arg(arguments, "-o") < 0 || fuse_opt_add_arg(arguments, option) < 0)
		return -ENOMEM;
	return 0;
}

static int open_session(struct fs *fs, const struct fs_options *options)
{
	struct fuse_args arguments = FUSE_ARGS_INIT(0, NULL);
	int result = fuse_opt_add_arg(&arguments, "shmfs") < 0 ? -ENOMEM : 0;

	if (result == 0)
		result = add_option(&arguments, "default_permissions,fsname=shmfs,subtype=shmfs");
	if (result == 0 && options->allow_other)
		result = add_option(&arguments, "allow_other");
	if (result == 0 && options->mount_options)
		result = add_option(&arguments, options->mount_options);
	if (result == 0) {
		fs->session = fuse_session_new(&arguments, &operations, sizeof operations, fs);
		result = fs->session ? 0 : -EINVAL;
	}
	fuse_opt_free_args(&arguments);
	return result;
}

/* The kernel would mount on a file as well, and libfuse on a descriptor "/dev/fd/N". */
static int find_mountpoint(struct fs *fs, const char *path)
{
	struct stat status;

	fs->mountpoint = realpath(path, NULL);
	if (!fs->mountpoint || stat(fs->mountpoint, &status) < 0)
		return -errno;
	return S_ISDIR(status.st_mode) ? 0 : -ENOTDIR;
}

static int mount_session(struct fs *fs)
{
	int fd;
	int flags;

	/* libfuse returns no errno, but its failing call leaves one. The mountpoint is there: what
	 * is not is /dev/fuse. */
	errno = 0;
	if (fuse_session_mount(fs->session, fs->mountpoint) < 0)
		return errno == ENOENT ? -ENODEV : errno ? -errno : -EIO;
	fd = fuse_session_fd(fs->session);
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	fs->device = (struct loop_source){.fd = fd, .handle = serve};
	return fuse_session_custom_io(fs->session, &io, fd);
}

static int answer_init(struct fs *fs)
{
	struct pollfd device = {.fd = fs->device.fd, .events = POLLIN};

	while (!fs->channel.answered && !fuse_session_exited(fs->session)) {
		int ready = poll(&device, 1, INIT_PATIENCE_MILLISECONDS);

		if (ready == 0)
			return -ETIMEDOUT;
		if (ready < 0 && errno != EINTR)
			return -errno;
		if (ready > 0)
			serve_one(fs);
	}
	return fuse_session_exited(fs->session) || fs->channel.failed ? -EPROTO : 0;
}

static int mount_and_negotiate(struct fs *fs, const struct fs_options *options)
{
	const struct journal *journal = store_journal(fs->store);
	int result = find_mountpoint(fs, options->mountpoint);

	if (result == 0)
		result = mount_session(fs);
	if (result < 0)
		return result;
	channel_init(&fs->channel, fs->device.fd, options->passthrough != FS_PASSTHROUGH_OFF);
	result = answer_init(fs);
	if (result < 0)
		return result;
	result = channel_try_passthrough(&fs->channel, journal->fd);
	JOURNAL_SET(journal, agreed(fs)->refusal, fs->channel.refusal);
	return result < 0 && fs->inodes.require ? -EOPNOTSUPP : 0;
}

/* The request that killed the worker, more than once: it is not to kill another. */
static bool is_deadly(const struct fs *fs, const char *request)
{
	const struct journal_turn *turn = &store_journal(fs->store)->header->turn;

	return turn->active && turn->asker == 0 && turn->crashes >= CRASHES_MAX &&
	       turn->serial == (channel_unique(request) & ~unique_resent);
}

/* What a worker that was killed has left behind. */
static void resume(struct fs *fs)
{
	const char *request = store_journal(fs->store)->request;
	uint32_t size;

	memcpy(&size, request, sizeof size);
	fs->root_told = true;
	forget_root(fs);
	inodes_sweep(&fs->inodes);
	if (size && is_deadly(fs, request)) {
		channel_refuse(&fs->channel, channel_unique(request), EIO);
		forget_request(fs);
		store_turn_end(fs->store);
	} else if (size) {
		process(fs, size);
	}
}

/* The connection that an earlier worker had. */
static int take_over(struct fs *fs, const struct fs_options *options)
{
	struct fuse_buf init = {.size = agreed(fs)->init_size};
	int result;

	fs->device = (struct loop_source){.fd = options->device, .handle = serve};
	result = fuse_session_custom_io(fs->session, &io, options->device);
	if (result < 0 || init.size > JOURNAL_INIT_SIZE || !init.size)
		return result < 0 ? result : -EBADMSG;
	channel_init(&fs->channel, options->device, options->passthrough != FS_PASSTHROUGH_OFF);
	channel_resume(&fs->channel, agreed(fs)->refusal, agreed(fs)->init, init.size);
	init.mem = malloc(init.size);
	if (!init.mem)
		return -ENOMEM;
	memcpy(init.mem, agreed(fs)->init, init.size);
	fs->channel.silent = true;
	fuse_session_process_buf(fs->session, &init);
	fs->channel.silent = false;
	free(init.mem);
	if (fs->channel.failed)
		return -ENOMEM;
	resume(fs);
	return 0;
}

/* What can't be had is done without. */
static void stay_awake(struct fs *fs, enum awake_when when)
{
	int device = awake_open(when);

	if (device >= 0 && awake_new(&fs->awake, fs->loop, device) < 0)
		fs->awake = NULL;
}

int fs_mount(struct fs **ret_fs, struct loop *loop, struct store *store,
             const struct fs_options *options)
{
	struct fs *fs = calloc(1, sizeof *fs);
	int result;

	if (!fs) {
		if (options->device >= 0)
			close(options->device);
		return -ENOMEM;
	}
	fs->device.fd = -1;
	fs->loop = loop;
	fs->store = store;
	fs->tokens = options->tokens;
	fs->inodes = (struct inodes){
		.store = store,
		.channel = &fs->channel,
		.require = options->passthrough == FS_PASSTHROUGH_REQUIRE,
	};
	fs_told_begin(fs, options->device < 0);
	fuse_set_log_func(swallow_log);
	result = journal_map_request(store_journal(store));
	if (result == 0)
		result = open_session(fs, options);
	if (result == 0)
		result = options->device < 0 ? mount_and_negotiate(fs, options)
		                             : take_over(fs, options);
	if (result == 0)
		result = loop_add(loop, &fs->device, EPOLLIN);
	if (result < 0) {
		fs_free(fs);
		return result;
	}
	stay_awake(fs, options->awake);
	store_watch(store, folder_changed, fs);
	*ret_fs = fs;
	return 0;
}

int fs_device(const struct fs *fs)
{
	return fs->device.fd;
}

/* libfuse frees what it has of the mount only when it unmounts, by path, which is not its business:
 * see mount.c. It does not unmount when poll(2) tells it that the connection is dead. A pipe that
 * nobody reads, in the place of its descriptor, tells it so. */
static bool sever(const struct fs *fs)
{
	int ends[2];
	bool severed;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return false;
	close(ends[0]);
	severed = dup3(ends[1], fs->device.fd, O_CLOEXEC) >= 0;
	close(ends[1]);
	return severed;
}

struct fs *fs_free(struct fs *fs)
{
	if (!fs)
		return NULL;
	store_watch(fs->store, NULL, NULL);
	awake_free(fs->awake);
	if (fs->device.fd >= 0)
		loop_remove(fs->loop, &fs->device);
	if (fs->device.fd >= 0 && sever(fs))
		fuse_session_unmount(fs->session);
	if (fs->session)
		fuse_session_destroy(fs->session);
	free(fs->mountpoint);
	free(fs);
	return NULL;
}

bool fs_has_passthrough(const struct fs *fs)
{
	return fs->channel.answered && fs->channel.refusal == 0;
}
