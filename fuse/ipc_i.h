/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of IPC share: ipc.c has objects, keys, ids and permissions, ipc_presence.c the
 * processes, ipc_shm.c, ipc_sem.c, ipc_msg.c and ipc_mq.c a family each, ipc_list.c tells of all.
 *
 * Records are in the arena: const, changed by ARENA_SET, reached by offsets. Everything that is not
 * in the arena can be found again from it and from what the keeper has. An operation that fails, or
 * waits, has changed nothing: ipc_perform rolls its turn back. The same operation after a roll back
 * does the same: no outcome may depend on anything but the arena, the request, the asker, and the
 * clock where a time is noted. */
#ifndef SHMEMU_FUSE_IPC_I_H
#define SHMEMU_FUSE_IPC_I_H

#include <sys/types.h>

#include "base/arena.h"
#include "base/queue.h"
#include "base/semset.h"
#include "fuse/ipc.h"
#include "fuse/share.h"

/* Of System V's three an id is sequence << 15 | index, as ipc_addid has it. */
enum {
	IPC_INDEX_BITS = 15,
	IPC_INDEX_MASK = (1 << IPC_INDEX_BITS) - 1,
	IPC_PRESENCES_MAX = 1 << 15,
	IPC_WAITS_MAX = 1 << 15,
	IPC_MQ_MAX = 1024,
};

/* As the host has them (/proc/sys/kernel/shmmni, sem, msgmni, ..., /proc/sys/fs/mqueue), or the
 * kernel's defaults; no message is larger than WIRE_BYTES_MAX. Read at the start, and System V's
 * again when something is made, or they are asked for. */
struct ipc_limits {
	uint64_t shmmax, shmall; /* bytes, pages */
	uint32_t shmmni;
	uint32_t semmsl, semmns, semopm, semmni;
	uint32_t msgmax, msgmnb, msgmni;
	uint32_t mq_queues, mq_msg, mq_msgsize, mq_msg_default, mq_msgsize_default;
};

enum {
	IPC_DEST = 1,    /* SHM: removed, and goes with the last attachment: its key is 0 then */
	IPC_LOCKED = 2,  /* SHM_LOCK */
	IPC_UNLINKED = 4, /* MQ: has no name any more */
	IPC_SHARED = 16, /* clients have it as memory, in which the truth is: ipc_share.h, ... */
	IPC_FROZEN = 32, /* ... but now it is in the body here */
	IPC_POLLED = 64, /* MQ: its fifo is looked at, so it stays frozen */
	IPC_SHOWN = 8,   /* MQ: its fifo has its owner and mode */
};

/* 256 bytes; free as long as serial is 0. */
struct ipc_object {
	uint64_t serial;   /* of this daemon's life; never again */
	uint32_t family;
	int32_t id;        /* MQ: 0 */
	int32_t key;       /* IPC_PRIVATE: none; MQ: 0 */
	uint32_t uid, gid, cuid, cgid;
	uint32_t mode;     /* 0777 */
	uint32_t sequence;
	uint32_t flags;    /* IPC_... */
	int64_t time[3];   /* SHM: atime dtime ctime; SEM, MSG: [2]: ctime, the others are in the
	                      body */
	uint32_t pid[2];   /* SHM */
	uint64_t size;     /* SHM: bytes; SEM: semaphores */
	uint64_t count;    /* SHM: attachments; SEM: struct ipc_undo of it that there are */
	uint64_t body;     /* SEM: struct semset; MSG, MQ: struct queue. Of what is shared it is
	                      true only while that is frozen, as when an operation looks */
	uint64_t name;     /* MQ: its block, WIRE_NAME_SIZE bytes */
	uint64_t secret[3]; /* MQ: for O_RDONLY, O_WRONLY, O_RDWR */
	uint64_t creator;  /* the block of a struct store_creator */
	uint64_t notice_serial; /* MQ: of the registration, 0: none; ... */
	uint32_t notice_pid;    /* ... whose, and ... */
	uint32_t notice_kind;   /* ... enum wire_notice */
	uint64_t notice_presence;
	uint64_t notice_due;     /* MQ: 1: a notice is to be sent ... */
	uint32_t notice_from[2]; /* ... of this pid and uid */
	uint64_t undo_epoch; /* SEM: grows with SETALL, which makes older undo values void */
	int64_t removed; /* of a free record: when, in nanoseconds of CLOCK_MONOTONIC */
	int64_t birth;   /* seconds since the epoch; 0: older than this program */
};

_Static_assert(sizeof(struct ipc_object) <= 256, "a slot of the table");

/* A process. Free as long as number is 0. */
struct ipc_presence {
	uint64_t number; /* the handle's */
	uint64_t secret;
	uint64_t connection; /* its number, by which it ends; 0: it lingers, ipc_linger.c */
	uint32_t pid;
	uint32_t uid;
	uint64_t ties;   /* struct ipc_tie: SHM */
	uint64_t undos;  /* struct ipc_undo: SEM */
	uint64_t next_free; /* of a free record */
	uint64_t start;  /* of the process, as in store_creator: noted with its first undo; 0: not
	                    yet; IPC_START_UNKNOWN */
};

#define IPC_START_UNKNOWN UINT64_MAX

struct ipc_tie {
	uint64_t next;
	uint64_t object; /* offset */
	uint64_t serial; /* the object's: what it was tied to may be gone */
	uint64_t count;  /* mappings */
};

struct ipc_undo {
	uint64_t next;
	uint64_t object;
	uint64_t serial;
	uint64_t semaphores;
	uint64_t epoch; /* the object's undo_epoch; older: all are 0 */
	int16_t adjust[]; /* semadj of each: added at the process's end */
};

_Static_assert(sizeof(struct ipc_presence) <= 128, "a slot of the table");

/* At arena_tables(), where all else follows. */
enum {
	IPC_HEADER_SIZE = 4096,
	IPC_OBJECT_SIZE = 256,
	IPC_PRESENCE_SIZE = 128,
	IPC_OBJECTS_SIZE = IPC_OBJECT_SIZE << IPC_INDEX_BITS, /* of each family */
	IPC_WAIT_SIZE = 64,
	IPC_PRESENCES_AT = IPC_HEADER_SIZE + (WIRE_FAMILY_COUNT - 1) * IPC_OBJECTS_SIZE,
	IPC_WAITS_AT = IPC_PRESENCES_AT + IPC_PRESENCES_MAX * IPC_PRESENCE_SIZE,
	IPC_TABLES_SIZE = IPC_WAITS_AT + IPC_WAITS_MAX * IPC_WAIT_SIZE,
};

struct ipc_header {
	uint64_t magic, version;
	uint64_t serial_next;
	uint64_t handle_next; /* of presences */
	uint64_t presences_top;  /* records from here on were never used */
	uint64_t presences_free; /* the offset of a free one below, 0: none */
	uint64_t presences;      /* in use */
	uint64_t key[2];         /* of ipc_secret */
	uint64_t secrets;        /* that it has given */
	uint64_t top[WIRE_FAMILY_COUNT];
	uint64_t used[WIRE_FAMILY_COUNT];      /* objects */
	uint64_t next_index[WIRE_FAMILY_COUNT]; /* where a free one is looked for first */
	uint64_t sequence[WIRE_FAMILY_COUNT];
	uint64_t shm_pages;  /* of all segments */
	uint64_t semaphores; /* of all sets */
	uint64_t garbage; /* messages that are to be given back, in turns of their own */
	uint64_t again; /* 1: the turn has no asker */
	uint64_t shared_bytes; /* of what clients share */
	uint64_t shm_removed; /* serial of the last segment that went: see ipc_shm_forget */
	uint64_t next_id[WIRE_FAMILY_COUNT]; /* the last that was said to be next, and 1; 0: none */
	uint64_t waits_top; /* records of ipc_wait.c from here on were never used */
	/* Of the turn that an asker's request is, and not changed back with it: see ipc.c. */
	uint64_t turn_hash; /* of the request; 0: of a worker that noted nothing */
	uint64_t turn_done; /* what it changes has been changed */
	uint64_t turn_told; /* this time or an earlier one: its asker may have been told */
};

struct ipc {
	struct arena arena; /* ARENA_NULL: not there yet */
	struct anon *anon;
	struct keep *keep;
	struct ipc_limits limits;
	bool is_again;      /* the turn that a kill has cut off is served again: until its end what
	                       it had held is there still */
	bool is_restoring;  /* ipc_restore_end is to come */
	bool is_to_settle;  /* ipc_restore_done is to come */
	bool mq_is_settled; /* no notice is due */
	struct ipc_waiter *waiters, *waiters_last;
	uint64_t waits_free;        /* ipc_wait.c: the first free record's index and 1; 0: none */
	struct ipc_recalls {
		struct ipc_recalled *all; /* owned; by connection */
		size_t count;
	} recalls;                  /* likewise: while an earlier worker's are gone through */
	struct ipc_held *held;      /* what is kept for objects: ipc_held.c; by kind and serial */
	bool held_touched;          /* in this turn */
	struct ipc_shared *shared;  /* by serial, and ... */
	struct ipc_shared *frozen;  /* ... of them those: ipc_share.c */
	struct ipc_link *links;     /* connections of presences: ipc_presence.c */
	struct ipc_linger *lingers; /* ipc_linger.c: by pid, ... */
	struct shares lingers_of;   /* ... how many each user has, ... */
	int linger_watch;           /* ... an epoll of their pidfds; owned; -1: there is none */
	struct ipc_change *changed; /* see ipc_next_changed; owned */
	size_t changed_count, changed_room;
	size_t changed_before;      /* of them by earlier turns */
	uint64_t *drops;            /* serials whose kept things go with the commit; owned */
	size_t drop_count, drop_room;
};

struct ipc_change {
	uint64_t serial;
	uint32_t family;
};

static inline const struct ipc_header *ipc_header(const struct ipc *ipc)
{
	return (const struct ipc_header *)(ipc->arena.bytes + arena_tables(&ipc->arena));
}

/* Changes a word of the tables without the log. */
#define IPC_FILL(ipc, place, value)                                                                \
	do {                                                                                       \
		uint64_t fill_value_ = (value);                                                    \
		arena_fill(&(ipc)->arena, &(place), &fill_value_, sizeof fill_value_);             \
	} while (0)

/* ipc.c: a turn without an asker: what follows, up to ipc_end_lone, is rolled back if the worker is
 * killed in it, and begun again by its successor. */
void ipc_begin_lone(struct ipc *ipc);
bool ipc_end_lone(struct ipc *ipc); /* false: it was more than a turn can do, and is undone */
/* What is held of it goes with the commit, and, of SHM, its memory's name. */
void ipc_drop_with_commit(struct ipc *ipc, uint64_t serial);
/* Those who wait for it are to be tried again. A queue's fifo is shown when the turn ends. */
void ipc_changed(struct ipc *ipc, const struct ipc_object *object);
/* Random for everybody else, and in a turn that is done again the same again. */
uint64_t ipc_secret(struct ipc *ipc);
int64_t ipc_now(void); /* seconds since the epoch */

/* ipc_objects.c. The arena is there whenever an operation is called. */

/* By id: -EINVAL: there is none, or another at its index (as the kernel has it). By index:
 * -EINVAL. Who has waited for what is no more gets -EIDRM from ipc_perform. */
int ipc_find(const struct ipc *ipc, enum wire_family family, int32_t id,
             const struct ipc_object **ret_object);
int ipc_find_index(const struct ipc *ipc, enum wire_family family, int32_t index,
                   const struct ipc_object **ret_object);
/* What IPC_STAT (by id), *_STAT (by index) or `any`, a family's *_STAT_ANY (likewise, without the
 * right to read it) asks about. */
int ipc_find_asked(const struct ipc *ipc, struct ipc_call *call, enum wire_family family, int any,
                   const struct ipc_object **ret_object);
const struct ipc_object *ipc_find_key(const struct ipc *ipc, enum wire_family family, int32_t key);
const struct ipc_object *ipc_find_serial(const struct ipc *ipc, enum wire_family family,
                                         uint64_t serial);
/* The next in the table that is in use; NULL to begin; NULL: the end. */
const struct ipc_object *ipc_next(const struct ipc *ipc, enum wire_family family,
                                  const struct ipc_object *after);

/* A record with serial, id, owner (the asker's), mode & 0777, ctime and creator set, the rest 0.
 * -ENOSPC: `max` are there; -ENOMEM. */
int ipc_add(struct ipc *ipc, struct ipc_call *call, enum wire_family family, int32_t key,
            uint32_t mode, uint64_t max, const struct ipc_object **ret_object);
/* Frees the record; what it led to is the caller's. What is held of it goes with the commit. Who
 * waits for it is tried again. */
void ipc_remove(struct ipc *ipc, const struct ipc_object *object);

/* Was there one with this id that was removed after the call was made? */
bool ipc_was_removed(const struct ipc *ipc, enum wire_family family, int32_t id, int64_t since);

/* ipcperms: want is any of 4 and 2 (0400, 0200), or a mode like semget's flags. 0 or -EACCES. */
int ipc_allow(struct ipc_call *call, const struct ipc_object *object, uint32_t want);
/* For IPC_SET and IPC_RMID: 0 or -EPERM. */
int ipc_allow_owner(struct ipc_call *call, const struct ipc_object *object);
/* IPC_SET's uid, gid, mode and ctime, as call->bytes has them. 0 or -EINVAL. */
int ipc_set_owner(struct ipc *ipc, struct ipc_call *call, const struct ipc_object *object);
/* IPC_SET and IPC_RMID, by whoever may: `set` is ipc_set_owner, or does that and more. */
int ipc_own(struct ipc *ipc, struct ipc_call *call, enum wire_family family,
            int (*set)(struct ipc *ipc, struct ipc_call *call, const struct ipc_object *object),
            void (*remove)(struct ipc *ipc, const struct ipc_object *object));
/* The body of one of MSG or MQ. NULL: it is broken. */
const struct queue *ipc_queue(struct ipc *ipc, const struct ipc_object *object);
/* All but what a family has of its own. */
struct wire_ipc_stat ipc_describe(const struct ipc_object *object);

/* ipcget(): the id of key, or a new one that `make` makes with what is in call->asked; `fits`
 * judges what is there already (0 or -EINVAL), or is NULL. */
int ipc_get(struct ipc *ipc, struct ipc_call *call, enum wire_family family,
            int (*make)(struct ipc *ipc, struct ipc_call *call),
            int (*fits)(const struct ipc_object *object, const struct ipc_call *call));

/* ipc_held.c: what the keeper has for an object: KEEP_SEGMENT, KEEP_QUEUE, KEEP_NOTICE, by serial.
 * Takes fd; 0 or -errno. The descriptor is borrowed; -1: there is none. All of a removed
 * object go by themselves. */
int ipc_hold(struct ipc *ipc, uint32_t kind, uint64_t serial, int fd);
int ipc_held(const struct ipc *ipc, uint32_t kind, uint64_t serial);
void ipc_let_go(struct ipc *ipc, uint32_t kind, uint64_t serial); /* with the commit */
/* For ipc.c: the turn's end, and of a restore: all but those of `kind` and `serial`s that were
 * named by ipc_held_want. */
int ipc_held_restore(struct ipc *ipc, uint32_t kind, uint64_t id, int fd);
void ipc_held_commit(struct ipc *ipc);
void ipc_held_roll_back(struct ipc *ipc);
void ipc_held_want(struct ipc *ipc, uint64_t serial);
void ipc_held_drop_unwanted(struct ipc *ipc);
void ipc_held_free(struct ipc *ipc);

/* ipc_limits.c */
struct ipc_limits ipc_limits_read(void);
void ipc_limits_refresh(struct ipc_limits *limits, enum wire_family family); /* of System V's */
gid_t ipc_limits_huge_group(void); /* who may have SHM_HUGETLB */
/* The id that the next one of System V's is to have (/proc/sys/kernel/shm_next_id), or -1. */
int32_t ipc_limits_next_id(enum wire_family family);

/* ipc_presence.c: the asker's, or NULL; -ESTALE: it named one that is not (any more). */
int ipc_presence_of(const struct ipc *ipc, const struct wire_handle *handle,
                    const struct ipc_presence **ret_presence);
int ipc_present(struct ipc *ipc, struct ipc_call *call); /* WIRE_IPC_PRESENT */
/* The next that there is; NULL to begin; NULL: the end. */
const struct ipc_presence *ipc_presence_next(const struct ipc *ipc,
                                             const struct ipc_presence *after);

/* All of it goes. */
void ipc_presence_end(struct ipc *ipc, const struct ipc_presence *presence);

/* Ends those whose connection is not among the restored. */
void ipc_presences_find(struct ipc *ipc);   /* after a restore, and then ... */
void ipc_presences_settle(struct ipc *ipc); /* ... those end whose connection is gone */
void ipc_presences_free(struct ipc *ipc);

/* ipc_linger.c: a presence whose connection has ended while its process has not: what that has to
 * undo is undone when it ends, whatever program it runs by then. */
void ipc_linger_begin(struct ipc *ipc);
void ipc_linger_free(struct ipc *ipc);
/* Does the presence's process live? Then ipc_linger_look ends the presence when it does no more.
 * False as well: that can't be known. */
bool ipc_linger(struct ipc *ipc, const struct ipc_presence *presence);
/* The presence of this process that lingers, or NULL. */
const struct ipc_presence *ipc_linger_of(struct ipc *ipc, pid_t pid);

/* ipc_shm.c */
int ipc_shm_get(struct ipc *ipc, struct ipc_call *call);
int ipc_shm_control(struct ipc *ipc, struct ipc_call *call);
int ipc_shm_attach(struct ipc *ipc, struct ipc_call *call);
int ipc_shm_count(struct ipc *ipc, struct ipc_call *call);
/* A forked process begins with its parent's attachments. 0 or -ENOMEM, -ENOSPC. */
int ipc_shm_inherit(struct ipc *ipc, const struct ipc_presence *parent,
                    const struct ipc_presence *child);
/* Lets go of one tie of a presence that ends; false: there are no more. One turn each. */
bool ipc_shm_leave(struct ipc *ipc, const struct ipc_presence *presence);
/* Bytes of it that there are. */
uint64_t ipc_shm_resident(const struct ipc *ipc, const struct ipc_object *object);
/* How many processes have it attached. */
uint32_t ipc_shm_holders(const struct ipc *ipc, const struct ipc_object *object);
/* Takes the name of a segment's memory away, where it has one: of one that is no more, or that a
 * rolled back turn has made. After the commit, and for header->shm_removed after a restore. */
void ipc_shm_forget(struct ipc *ipc, uint64_t serial);

/* ipc_sem.c */
int ipc_sem_get(struct ipc *ipc, struct ipc_call *call);
int ipc_sem_control(struct ipc *ipc, struct ipc_call *call);
int ipc_sem_op(struct ipc *ipc, struct ipc_call *call);
/* A semop(2) that alters nothing: those who only wait for zero are served before all others. */
bool ipc_sem_only_looks(const struct wire_ipc *asked);
/* Undoes one set for a presence that ends; false: there are no more. One turn each. */
bool ipc_sem_leave(struct ipc *ipc, const struct ipc_presence *presence);

/* ipc_msg.c */
int ipc_msg_get(struct ipc *ipc, struct ipc_call *call);
int ipc_msg_control(struct ipc *ipc, struct ipc_call *call);
int ipc_msg_send(struct ipc *ipc, struct ipc_call *call);
int ipc_msg_receive(struct ipc *ipc, struct ipc_call *call);
/* Gives a part of header->garbage back; false: there is none. One turn each. */
bool ipc_msg_sweep(struct ipc *ipc);
/* A queue's messages become garbage. */
void ipc_msg_discard(struct ipc *ipc, const struct ipc_object *object);

/* ipc_mq.c, ipc_mq_fd.c, ipc_notice.c */
int ipc_mq_open(struct ipc *ipc, struct ipc_call *call);
int ipc_mq_unlink(struct ipc *ipc, struct ipc_call *call);
int ipc_mq_of(struct ipc *ipc, struct ipc_call *call);
int ipc_mq_send(struct ipc *ipc, struct ipc_call *call);
int ipc_mq_receive(struct ipc *ipc, struct ipc_call *call);
int ipc_mq_attributes(struct ipc *ipc, struct ipc_call *call);
int ipc_mq_notify(struct ipc *ipc, struct ipc_call *call);
int ipc_mq_left(struct ipc *ipc, struct ipc_call *call);
/* One queue's registration of a presence that ends goes (NULL: of none), and unlinked queues that
 * nobody has open; false: there are no more. One turn each. */
bool ipc_mq_leave(struct ipc *ipc, const struct ipc_presence *presence);
/* The queue's fifo shows whether it can be read from and written to. Called by ipc.c at the end of
 * each turn that ipc_changed the queue, committed or not, and for all after a restore. Not in the
 * arena: outcome of its state alone. */
void ipc_mq_show(struct ipc *ipc, const struct ipc_object *object);

/* Sends the notices that committed turns have left to be sent, in turns of its own. Called when a
 * turn has ended, and after a restore. */
void ipc_mq_settle(struct ipc *ipc);

/* ipc_list.c */
int ipc_list(struct ipc *ipc, struct ipc_call *call);

#endif
