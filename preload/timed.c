/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What has a 64-bit time_t in it, by what has none: stat by statx, and System V's structs as the
 * kernel's, which are cut at 2038. */
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "preload/export.h"
#include "preload/paths.h"
#include "preload/real.h"

struct real timed_table;

static struct timespec time_of(const struct statx_timestamp *told)
{
	return (struct timespec){.tv_sec = told->tv_sec, .tv_nsec = (long)told->tv_nsec};
}

static void as_stat(const struct statx *told, struct stat *ret_status)
{
	*ret_status = (struct stat){
		.st_dev = makedev(told->stx_dev_major, told->stx_dev_minor),
		.st_ino = told->stx_ino,
		.st_mode = told->stx_mode,
		.st_nlink = told->stx_nlink,
		.st_uid = told->stx_uid,
		.st_gid = told->stx_gid,
		.st_rdev = makedev(told->stx_rdev_major, told->stx_rdev_minor),
		.st_size = (off_t)told->stx_size,
		.st_blksize = (blksize_t)told->stx_blksize,
		.st_blocks = (blkcnt_t)told->stx_blocks,
		.st_atim = time_of(&told->stx_atime),
		.st_mtim = time_of(&told->stx_mtime),
		.st_ctim = time_of(&told->stx_ctime),
	};
}

EXPORT int fstatat(int dirfd, const char *pathname, struct stat *statbuf, int flags)
{
	struct statx told;

	if (statx(dirfd, pathname, flags | AT_NO_AUTOMOUNT, STATX_BASIC_STATS, &told) < 0)
		return -1;
	as_stat(&told, statbuf);
	return 0;
}

EXPORT int stat(const char *pathname, struct stat *statbuf)
{
	return fstatat(AT_FDCWD, pathname, statbuf, 0);
}

EXPORT int lstat(const char *pathname, struct stat *statbuf)
{
	return fstatat(AT_FDCWD, pathname, statbuf, AT_SYMLINK_NOFOLLOW);
}

int timed_path_stat(int dirfd, const char *path, struct stat *ret_status, int at_flags)
{
	int before = errno;
	int result = fstatat(dirfd, path, ret_status, at_flags) < 0 ? -errno : 0;

	errno = before;
	return result;
}

/* libc's without a 64-bit time_t, which are the kernel's. */
struct old_time {
	long seconds;
	long nanoseconds;
};

struct old_set {
	struct ipc_perm perm;
	struct {
		long low;
		unsigned long high;
	} otime, ctime;
	unsigned long nsems;
	unsigned long reserved[2];
};

struct old_segment {
	struct ipc_perm perm;
	size_t size;
	struct {
		long low;
		unsigned long high;
	} atime, dtime, ctime;
	pid_t cpid, lpid;
	unsigned long nattch;
	unsigned long reserved[2];
};

struct old_queue {
	struct ipc_perm perm;
	struct {
		long low;
		unsigned long high;
	} stime, rtime, ctime;
	unsigned long bytes, count, bytes_max;
	pid_t lspid, lrpid;
	unsigned long reserved[2];
};

extern int old_semtimedop(int id, struct sembuf *operations, size_t count,
                          const struct old_time *timeout) __asm__("semtimedop");
extern int old_semctl(int id, int number, int command, ...) __asm__("semctl");
extern int old_shmctl(int id, int command, void *buffer) __asm__("shmctl");
extern int old_msgctl(int id, int command, void *buffer) __asm__("msgctl");
extern int old_mq_timedsend(mqd_t queue, const char *text, size_t size, unsigned priority,
                            const struct old_time *deadline) __asm__("mq_timedsend");
extern ssize_t old_mq_timedreceive(mqd_t queue, char *text, size_t size, unsigned *ret_priority,
                                   const struct old_time *deadline) __asm__("mq_timedreceive");

/* What is later than 2038 is as good as that. */
static const struct old_time *old_of(const struct timespec *time, struct old_time *room)
{
	if (!time)
		return NULL;
	room->seconds = time->tv_sec > INT32_MAX ? INT32_MAX :
	                time->tv_sec < 0 ? -1 : (long)time->tv_sec;
	room->nanoseconds = (long)time->tv_nsec;
	return room;
}

EXPORT int semtimedop(int id, struct sembuf *operations, size_t count,
                      const struct timespec *timeout)
{
	struct old_time room;

	return old_semtimedop(id, operations, count, old_of(timeout, &room));
}

static int control_set(int id, int number, int command, struct semid_ds *set)
{
	struct old_set old = {.reserved = {0}};
	int result;

	if (command == IPC_SET)
		old.perm = set->sem_perm;
	result = old_semctl(id, number, command, &old);
	if (result < 0 || command == IPC_SET)
		return result;
	memset(set, 0, sizeof *set);
	set->sem_perm = old.perm;
	set->sem_otime = old.otime.low;
	set->sem_ctime = old.ctime.low;
	set->sem_nsems = old.nsems;
	return result;
}

EXPORT int semctl(int id, int number, int command, ...)
{
	void *argument;
	va_list more;

	/* Of an argument that was not given what is read is passed on, and not looked at. */
	va_start(more, command);
	argument = va_arg(more, void *);
	va_end(more);
	switch (command) {
	case IPC_STAT: case IPC_SET: case SEM_STAT: case SEM_STAT_ANY:
		return control_set(id, number, command, argument);
	default:
		return old_semctl(id, number, command, argument);
	}
}

static int control_segment(int id, int command, struct shmid_ds *segment)
{
	struct old_segment old = {.size = 0};
	int result;

	if (command == IPC_SET)
		old.perm = segment->shm_perm;
	result = old_shmctl(id, command, &old);
	if (result < 0 || command == IPC_SET)
		return result;
	memset(segment, 0, sizeof *segment);
	segment->shm_perm = old.perm;
	segment->shm_segsz = old.size;
	segment->shm_atime = old.atime.low;
	segment->shm_dtime = old.dtime.low;
	segment->shm_ctime = old.ctime.low;
	segment->shm_cpid = old.cpid;
	segment->shm_lpid = old.lpid;
	segment->shm_nattch = old.nattch;
	return result;
}

EXPORT int shmctl(int id, int command, struct shmid_ds *buffer)
{
	switch (command) {
	case IPC_STAT: case IPC_SET: case SHM_STAT: case SHM_STAT_ANY:
		return control_segment(id, command, buffer);
	default:
		return old_shmctl(id, command, buffer);
	}
}

static int control_queue(int id, int command, struct msqid_ds *queue)
{
	struct old_queue old = {.bytes = 0};
	int result;

	if (command == IPC_SET) {
		old.perm = queue->msg_perm;
		old.bytes_max = queue->msg_qbytes;
	}
	result = old_msgctl(id, command, &old);
	if (result < 0 || command == IPC_SET)
		return result;
	memset(queue, 0, sizeof *queue);
	queue->msg_perm = old.perm;
	queue->msg_stime = old.stime.low;
	queue->msg_rtime = old.rtime.low;
	queue->msg_ctime = old.ctime.low;
	queue->__msg_cbytes = old.bytes;
	queue->msg_qnum = old.count;
	queue->msg_qbytes = old.bytes_max;
	queue->msg_lspid = old.lspid;
	queue->msg_lrpid = old.lrpid;
	return result;
}

EXPORT int msgctl(int id, int command, struct msqid_ds *buffer)
{
	switch (command) {
	case IPC_STAT: case IPC_SET: case MSG_STAT: case MSG_STAT_ANY:
		return control_queue(id, command, buffer);
	default:
		return old_msgctl(id, command, buffer);
	}
}

EXPORT int mq_timedsend(mqd_t queue, const char *text, size_t size, unsigned priority,
                        const struct timespec *deadline)
{
	struct old_time room;

	return old_mq_timedsend(queue, text, size, priority, old_of(deadline, &room));
}

EXPORT ssize_t mq_timedreceive(mqd_t queue, char *restrict text, size_t size,
                               unsigned *restrict ret_priority,
                               const struct timespec *restrict deadline)
{
	struct old_time room;

	return old_mq_timedreceive(queue, text, size, ret_priority, old_of(deadline, &room));
}
