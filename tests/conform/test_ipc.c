/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* System V IPC and message queues, where the kernel's are refused. */
#include <sched.h>
#include <unistd.h>

#include "tests/conform/conform.h"

static const char *const refused[] = {"sysv", "mqueue", NULL};

/* What root's probes write to /proc/sys is to be nobody else's. */
static void begin(void)
{
	world_withheld = refused;
	conform_ipc = true;
	cr_assert(geteuid() != 0 || unshare(CLONE_NEWIPC) == 0);
}

static void conform_refused(enum world_kind kind, uid_t uid, const char *const *argv)
{
	begin();
	conform(kind, uid, argv);
}

static void survive_refused(enum world_kind kind, uid_t uid, const char *const *argv)
{
	begin();
	survive(kind, uid, argv);
}

#define IPC(test, ...)                                                                             \
	PROBE_IN(native_user, conform_refused, WORLD_NATIVE, WORLD_NOBODY, test, __VA_ARGS__)      \
	PROBE_IN(native_root, conform_refused, WORLD_NATIVE, 0, test, __VA_ARGS__)                 \
	PROBE_IN(socket_user, conform_refused, WORLD_SOCKET, WORLD_NOBODY, test, __VA_ARGS__)      \
	PROBE_IN(embedded_root, conform_refused, WORLD_EMBEDDED, 0, test, __VA_ARGS__)             \
	PROBE_IN(bare_user, conform_refused, WORLD_BARE, WORLD_NOBODY, test, __VA_ARGS__)          \
	PROBE_IN(memfd_user, survive_refused, WORLD_MEMFD, WORLD_NOBODY, survive_##test,           \
	         __VA_ARGS__)                                                                      \
	PROBE_IN(mount_root, conform_refused, WORLD_MOUNT, 0, test, __VA_ARGS__)                   \
	PROBE_IN(mount_root, survive_refused, WORLD_MOUNT, 0, survive_##test, __VA_ARGS__)

IPC(attach, "ipc_attach")
IPC(attached, "ipc_attached")
IPC(cancel, "ipc_cancel")
IPC(mq_notify, "mq_notify")
IPC(mq_open, "mq_open")
IPC(mq_send, "mq_send")
IPC(msg, "ipc_msg")
IPC(msg_wait, "ipc_msg_wait")
IPC(proc, "ipc_proc")
IPC(raw, "ipc_raw")
IPC(sem, "ipc_sem")
IPC(sem_wait, "ipc_sem_wait")
IPC(shm, "ipc_shm")
IPC(undo, "ipc_undo")

/* A kill from outside seldom meets the moments that matter. */
static void outlive_refused(enum world_kind kind, uid_t uid, const char *const *argv)
{
	world_daemon_dies = true;
	conform_refused(kind, uid, argv);
}

#define OUTLIVE(test, ...)                                                                         \
	PROBE_IN(memfd_user, outlive_refused, WORLD_MEMFD, WORLD_NOBODY, outlive_##test,           \
	         __VA_ARGS__)

OUTLIVE(attached, "ipc_attached")
OUTLIVE(mq_notify, "mq_notify")
OUTLIVE(mq_send, "mq_send")
OUTLIVE(msg_wait, "ipc_msg_wait")
OUTLIVE(sem_wait, "ipc_sem_wait")
OUTLIVE(undo, "ipc_undo")

/* A kill of the worker wakes who sleeps at what it was about to change. */
PROBE_IN(native_user, conform_refused, WORLD_NATIVE, WORLD_NOBODY, interrupted, "ipc_interrupted")
PROBE_IN(socket_user, conform_refused, WORLD_SOCKET, WORLD_NOBODY, interrupted, "ipc_interrupted")
PROBE_IN(mount_root, conform_refused, WORLD_MOUNT, 0, interrupted, "ipc_interrupted")

/* Of several users. */
PROBE_IN(native_root, conform_refused, WORLD_NATIVE, 0, rights, "ipc_rights")
PROBE_IN(socket_root, conform_refused, WORLD_SOCKET, 0, rights, "ipc_rights")
PROBE_IN(mount_root, conform_refused, WORLD_MOUNT, 0, rights, "ipc_rights")
PROBE_IN(mount_root, survive_refused, WORLD_MOUNT, 0, survive_rights, "ipc_rights")
