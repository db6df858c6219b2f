/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The mount and its session. The kernel judges all rights (default_permissions) and caches neither
 * names nor attributes nor contents: the socket door changes them behind its back, and telling it
 * of each change would deadlock with one thread.
 *
 * libfuse has the session, but reads and writes through channel.c, and its descriptor is one source
 * of the loop. INIT, which waits in the kernel from the moment of mounting, is answered before
 * fs_mount returns, so that it is known by then whether the kernel passes through.
 *
 * We must never look at our own mount in a way that makes the kernel ask us: nobody else would
 * answer. */
#include "fuse/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuse/fs_i.h"

enum { INIT_PATIENCE_MILLISECONDS = 5000 };

/* Set-id bits are the kernel's to take away, by setattr, except where it does not: see
 * fs_strip_set_id. */
static void start(void *userdata, struct fuse_conn_info *connection)
{
	(void)userdata;
	connection->want &= ~(unsigned)FUSE_CAP_HANDLE_KILLPRIV;
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
	.link = fs_link,
	.unlink = fs_unlink,
	.mknod = fs_mknod,
	.mkdir = fs_mkdir,
	.symlink = fs_symlink,
	.rename = fs_rename,
	.opendir = fs_opendir,
	.readdir = fs_readdir,
	.open = fs_open,
	.create = fs_create,
	.release = fs_release,
	.read = fs_read,
	.write = fs_write,
	.fallocate = fs_fallocate,
	.lseek = fs_lseek,
};

static ssize_t read_request(int fd, void *bytes, size_t size, void *userdata)
{
	struct fs *fs = userdata;

	(void)fd;
	return channel_read(&fs->channel, bytes, size);
}

static ssize_t write_answer(int fd, struct iovec *parts, int count, void *userdata)
{
	struct fs *fs = userdata;

	(void)fd;
	return channel_writev(&fs->channel, parts, count);
}

static const struct fuse_custom_io io = {.read = read_request, .writev = write_answer};

/* libfuse says on standard error what errno says as well. */
static void swallow_log(enum fuse_log_level level, const char *format, va_list arguments)
{
	(void)level, (void)format, (void)arguments;
}

/* Takes one request, if there is one, and answers it. */
static int serve_one(struct fs *fs)
{
	int size = fuse_session_receive_buf(fs->session, &fs->request);

	if (size > 0)
		fuse_session_process_buf(fs->session, &fs->request);
	return size >= 0 || size == -EAGAIN || size == -EINTR ? 0 : size;
}

static int serve(struct loop_source *source, uint32_t events)
{
	struct fs *fs = (struct fs *)source;
	int result = serve_one(fs);

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

/* Which mount is at the path now; 0 if that can't be told. Does not make the kernel ask us. */
static uint64_t mount_at(const char *path)
{
	struct statx status;

	if (statx(AT_FDCWD, path, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, STATX_MNT_ID, &status) < 0)
		return 0;
	return status.stx_mask & STATX_MNT_ID ? status.stx_mnt_id : 0;
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
	fs->mount_id = mount_at(fs->mountpoint);
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
		int result = ready > 0 ? serve_one(fs) : 0;

		if (ready == 0)
			return -ETIMEDOUT;
		if (ready < 0 && errno != EINTR)
			return -errno;
		if (result < 0)
			return result;
	}
	return fuse_session_exited(fs->session) ? -EPROTO : 0;
}

static int mount_and_negotiate(struct fs *fs, const struct fs_options *options)
{
	int result = find_mountpoint(fs, options->mountpoint);

	if (result == 0)
		result = open_session(fs, options);
	if (result == 0)
		result = mount_session(fs);
	if (result < 0)
		return result;
	channel_init(&fs->channel, fs->device.fd, options->passthrough != FS_PASSTHROUGH_OFF);
	result = answer_init(fs);
	if (result < 0)
		return result;
	if (channel_try_passthrough(&fs->channel) < 0 && fs->inodes.require)
		return -EOPNOTSUPP;
	return loop_add(fs->loop, &fs->device, EPOLLIN);
}

int fs_mount(struct fs **ret_fs, struct loop *loop, struct store *store,
             const struct fs_options *options)
{
	struct fs *fs = calloc(1, sizeof *fs);
	int result;

	if (!fs)
		return -ENOMEM;
	fs->device.fd = -1;
	fs->loop = loop;
	fs->store = store;
	clock_gettime(CLOCK_REALTIME, &fs->born);
	inodes_init(&fs->inodes, store, &fs->channel,
	            options->passthrough == FS_PASSTHROUGH_REQUIRE);
	fuse_set_log_func(swallow_log);
	result = mount_and_negotiate(fs, options);
	if (result < 0)
		fs_unmount(fs);
	else
		*ret_fs = fs;
	return result;
}

static bool is_mounted(const struct fs *fs)
{
	return !fs->mount_id || mount_at(fs->mountpoint) == fs->mount_id;
}

/* libfuse unmounts by path unless poll(2) tells it that the connection is dead. A pipe that nobody
 * reads, in the place of its descriptor, tells it so. */
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

/* By the path another mount may be reached now, or none: that one is not ours to take away. Once
 * the connection was aborted libfuse takes the mount to be gone, which it need not be. */
static void close_session(struct fs *fs)
{
	if (is_mounted(fs) || sever(fs))
		fuse_session_unmount(fs->session);
	fuse_session_destroy(fs->session);
	if (fs->mount_id && is_mounted(fs))
		umount2(fs->mountpoint, MNT_DETACH);
}

struct fs *fs_unmount(struct fs *fs)
{
	if (!fs)
		return NULL;
	if (fs->device.fd >= 0)
		loop_remove(fs->loop, &fs->device);
	inodes_deinit(&fs->inodes);
	if (fs->session)
		close_session(fs);
	free(fs->request.mem);
	free(fs->mountpoint);
	free(fs);
	return NULL;
}

bool fs_has_passthrough(const struct fs *fs)
{
	return fs->channel.answered && fs->channel.refusal == 0;
}
