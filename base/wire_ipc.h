/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* System V IPC and POSIX message queues on the socket door.
 *
 * A request is struct wire_request, struct wire_ipc and `length` bytes; its answer struct
 * wire_reply, struct wire_ipc_told and `length` bytes. All results are those of the call of the
 * same name, errno for errno.
 *
 * What may wait is answered when it is done, when its deadline has passed (SEM_OP: -EAGAIN; MQ_...:
 * -ETIMEDOUT), when the object is removed (-EIDRM, in the order of svipc(7)), or when the asker
 * shuts its end down for writing: then with -EINTR, unless it had been done before. After that the
 * connection is over. An asker that dies waits no longer. With IPC_NOWAIT or O_NONBLOCK in flags
 * nothing waits.
 *
 * A presence is a connection that stands for a process: it is asked for on a connection of its own
 * (close-on-exec, not the pool's), and when that ends, by exit, exec or a kill, what the process
 * held goes: its attachments, its registrations for notices, and, with the process itself where
 * that can be seen, or else now, its semaphores' undo values. Whoever
 * is about to fork asks for another by naming its own: that one begins with the same attachments,
 * and the child keeps it while the parent closes it.
 *
 * Whoever has a presence and may read and write a queue or a set of semaphores can have it as
 * memory (IPC_SHARE), and then do what is usual without asking: slots.h, semwords.h. It is one file
 * for all who ask, of a size that is sealed. The daemon freezes what is in it when it is asked for
 * anything about the object, and thaws it when nobody waits for the object there; who finds it
 * frozen asks. -EOPNOTSUPP: it can't be had so, on this host or for what it is; then all is asked
 * for, as it may always be. When the object is removed, or changes its owner or mode, it is of no
 * use any more, and says so; who still may asks for another. A queue that somebody polls
 * (MQ_POLLED) stays frozen. */
#ifndef SHMEMU_BASE_WIRE_IPC_H
#define SHMEMU_BASE_WIRE_IPC_H

#include <stdint.h>

#include "base/wire.h"

enum {
	WIRE_BYTES_MAX = 65536, /* that follow a wire_ipc, or a wire_ipc_told */
	WIRE_OWNER_MASK = 0x7fff, /* of a presence's number: whose claims are its, see slots.h */
};

#define WIRE_NO_DEADLINE INT64_MAX

enum wire_family { WIRE_SHM = 1, WIRE_SEM, WIRE_MSG, WIRE_MQ, WIRE_FAMILY_COUNT };

/* What a descriptor or a process was given, and nobody else can know. 0, 0: none. */
struct wire_handle {
	uint64_t number;
	uint64_t secret;
};

/* What is not said to be used is 0. */
struct wire_ipc {
	struct wire_handle presence; /* PRESENT: the parent's, or none. The asker's own: SHM_ATTACH,
	                                SHM_COUNT; SHARE; SEM_OP with SEM_UNDO; MQ_NOTIFY */
	struct wire_handle queue; /* MQ_SEND to MQ_LEFT, MQ_POLLED, SHARE of MQ: as MQ_OPEN or MQ_OF
	                             has told */
	int64_t deadline;  /* nanoseconds. SEM_OP: of CLOCK_MONOTONIC; MQ_...: of CLOCK_REALTIME.
	                      WIRE_NO_DEADLINE: none */
	int64_t since;     /* nanoseconds of CLOCK_MONOTONIC: when the call was made. Who waits
	                      longer is served first, after the daemon was killed */
	int64_t type;      /* MSG_SEND: mtype; MSG_RECEIVE: msgtyp */
	uint64_t size;     /* GET: bytes (SHM) or semaphores (SEM). ..._RECEIVE: room for one */
	uint32_t family;   /* GET, CONTROL, SHARE, LIST (0: all): WIRE_SHM, ... */
	int32_t id;        /* GET: the key. CONTROL, SHM_..., SEM_OP, MSG_..., SHARE but of MQ: the
	                      id; of ..._STAT: the index */
	uint32_t flags;    /* the call's flags; GET: with the mode. MQ_OPEN: oflag (the mode is in
	                      the request's). MQ_SEND, MQ_RECEIVE: O_NONBLOCK or 0. PRESENT:
	                      WIRE_PRESENT_... MEMFD: MFD_... */
	int32_t command;   /* CONTROL: IPC_STAT ... without IPC_64. MQ_NOTIFY: enum wire_notice */
	int32_t number;    /* CONTROL of SEM: semnum. MQ_SEND: the priority. SHM_COUNT: mappings */
	int32_t value;     /* CONTROL with SETVAL: the value */
	uint32_t length;   /* bytes that follow: SEM_OP: struct sembuf, ..._SEND: the message,
	                      SETALL: unsigned short, IPC_SET: struct wire_ipc_stat, MQ_OPEN: two
	                      int64_t, mq_maxmsg and mq_msgsize, or nothing. The name of MQ_OPEN and
	                      MQ_UNLINK is the request's, without the slash: any bytes but
	                      NUL */
	uint32_t reserved; /* 0 */
};

enum {
	WIRE_PRESENT_CHILD = 1, /* the presence (its own connection asks) is this sender's from now
	                           on: a child that was forked with it. Who asks need not read the
	                           answer */
};

enum wire_notice { WIRE_NOTICE_NONE, WIRE_NOTICE_SIGNAL, WIRE_NOTICE_THREAD, WIRE_NOTICE_REMOVE };

/* What is read from the pipe of MQ_NOTIFY, once: the notice. End of file: there will be none. */
struct wire_notice_sent {
	uint32_t pid; /* the sender of the message */
	uint32_t uid;
};

struct wire_ipc_told {
	struct wire_handle handle; /* PRESENT: the presence. MQ_OPEN, MQ_OF: the queue */
	int64_t type;    /* MSG_RECEIVE: mtype; MQ_RECEIVE: the priority */
	uint64_t size;   /* SHM_ATTACH: the segment's size; MQ_OPEN, MQ_OF: mq_msgsize; SHARE:
	                    of the memory */
	uint64_t cursor; /* LIST: to go on from. MQ_SEND: the number of the presence that it has
	                    sent a notice to; 0: none */
	uint32_t length; /* bytes that follow: MSG_RECEIVE, MQ_RECEIVE: the message; IPC_STAT,
	                    ..._STAT, ..._STAT_ANY, MQ_ATTRIBUTES: struct wire_ipc_stat; IPC_INFO,
	                    SHM_INFO, SEM_INFO, MSG_INFO: struct wire_ipc_info; GETALL: unsigned
	                    short; LIST: entries */
	uint32_t reserved;
};

/* shmid_ds, semid_ds, msqid_ds and mq_attr in one. Of IPC_SET: uid, gid, mode and size (MSG:
 * msg_qbytes) are used. Times are seconds since the epoch. */
struct wire_ipc_stat {
	int32_t key, id;
	uint32_t uid, gid, cuid, cgid;
	uint32_t mode;     /* with SHM_DEST and SHM_LOCKED */
	uint32_t sequence; /* __seq */
	uint64_t size;     /* shm_segsz, sem_nsems, msg_qbytes, mq_msgsize */
	uint64_t count;    /* shm_nattch, -, msg_qnum, mq_curmsgs */
	uint64_t bytes;    /* -, -, msg_cbytes, bytes in the queue; SHM of LIST: of memory */
	uint64_t most;     /* mq_maxmsg */
	int64_t time[3];   /* atime dtime ctime; otime - ctime; stime rtime ctime; times of MQ: the
	                      fifo's */
	uint32_t pid[2];   /* cpid lpid; -; lspid lrpid */
	uint32_t family;
	uint32_t birth;    /* LIST: seconds since the epoch; 0: not known */
};

/* shminfo, shm_info, seminfo, msginfo: the fields in the order of their structs. */
struct wire_ipc_info {
	uint64_t field[12];
};

/* One of `shmemu ls`. */
struct wire_ipc_entry {
	struct wire_ipc_stat stat;
	uint32_t creator_pid;
	uint32_t holders;            /* SHM: processes that have it attached; else: that wait;
	                                MQ: at least 1 if anybody has it open */
	uint64_t creator_start;      /* as in wire_entry */
	char creator_command[WIRE_COMMAND_SIZE];
	char name[WIRE_NAME_SIZE];   /* of a queue, with no slash; else "" */
};

_Static_assert(sizeof(struct wire_ipc) == 32 + 4 * 8 + 8 * 4, "no padding");
_Static_assert(sizeof(struct wire_ipc_told) == 16 + 3 * 8 + 8, "no padding");
_Static_assert(sizeof(struct wire_ipc_stat) == 32 + 32 + 24 + 16, "no padding");
_Static_assert(sizeof(struct wire_ipc_entry) == 104 + 16 + 64 + 256, "no padding");

/* What a request of wire_is_ipc carries, and the bytes behind it. */
static inline const struct wire_ipc *wire_ipc_of(const struct wire_request *request)
{
	return (const struct wire_ipc *)(request + 1);
}

/* Judges what follows a request, or an answer, of `size` bytes in all, its fixed part included: 0
 * or -EPROTO. Called by wire_check_request; of an answer by client_ipc.c. */
int wire_check_ipc(const struct wire_request *request, size_t size);
int wire_check_ipc_told(const struct wire_reply *reply, size_t size,
                        const struct wire_header *asked, const struct wire_ipc_told *told);

#endif
