/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lanes: base/lane.h. They are our own user's, who could do all that is done here by other means as
 * well. Who asks is the process that a lane was given to, if that has the ids still that it had
 * then, as its /proc/PID tells. Of who is gone that tells root's: a lane ends with its process. The
 * keeper has the pidfd, so that whoever takes over finds that process, and no other of its number.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <utlist.h>

#include "base/lane.h"
#include "base/look.h"
#include "base/own.h"
#include "fuse/door_i.h"
#include "fuse/ids.h"
#include "fuse/journal.h"
#include "fuse/keep.h"
#include "fuse/proc.h"
#include "fuse/sealed.h"
#include "fuse/store.h"

enum {
	LANES_MAX = 32,
	PID_BITS = 22,  /* pid_max is 2^22 at most */
	IDLE_LOOKS = 8, /* so often in vain, and it is to be asked by the socket first */
	OLD_SECONDS = 30,
	FINISH_NS = 3000,
};

struct door_lane {
	struct lane *memory; /* mapped */
	struct connection *connection;
	int process; /* /proc/PID; owned */
	struct loop_source pidfd; /* its fd is owned */
	struct fdpass_sender asker;
	unsigned idle; /* how often it was looked at since the last request */
	bool looks;
	struct door_lane *prev, *next;
};

/* For the keeper. */
static uint64_t lane_id(const struct connection *connection, pid_t pid)
{
	return connection->number << PID_BITS | (uint64_t)pid;
}

static bool is_asker(const struct door_lane *lane)
{
	struct stat status;

	return fstat(lane->process, &status) == 0 && status.st_uid == lane->asker.uid &&
	       status.st_gid == lane->asker.gid;
}

/* What is mounted there may be another pid namespace's, where our numbers are others' processes. */
static bool is_own_proc(void)
{
	char self[16], found[16];
	ssize_t length = readlink("/proc/self", found, sizeof found);

	snprintf(self, sizeof self, "%d", (int)getpid());
	return length == (ssize_t)strlen(self) && memcmp(found, self, strlen(self)) == 0;
}

/* The number is this process's as long as that lives. */
static int open_process(pid_t pid, int pidfd)
{
	OWN_FD process = -1;
	char path[32];

	if (!is_own_proc())
		return -EOPNOTSUPP;
	snprintf(path, sizeof path, "/proc/%d", (int)pid);
	process = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (process < 0)
		return -errno;
	return proc_is_alive(pidfd) ? fd_steal(&process) : -ESRCH;
}

static void *map_lane(int file)
{
	struct stat status;

	/* What there is beyond the end of a file would be ours. */
	if (fstat(file, &status) < 0 || status.st_size != sizeof(struct lane))
		return MAP_FAILED;
	return mmap(NULL, sizeof(struct lane), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
}

static int end_with_process(struct loop_source *source, uint32_t events)
{
	struct door_lane *lane =
		(struct door_lane *)((char *)source - offsetof(struct door_lane, pidfd));

	(void)events;
	door_lane_end(lane->connection, LANE_CUT);
	return 0;
}

/* Both files stay the caller's. */
static int lane_new(struct connection *connection, pid_t pid, int file, int pidfd)
{
	struct door *door = connection->door;
	struct door_lane *lane = calloc(1, sizeof *lane);
	OWN_FD process = open_process(pid, pidfd);
	OWN_FD own = fcntl(pidfd, F_DUPFD_CLOEXEC, 0);
	void *memory = MAP_FAILED;
	struct stat status;

	if (lane && process >= 0 && own >= 0 && fstat(process, &status) == 0)
		memory = map_lane(file);
	if (memory == MAP_FAILED) {
		free(lane);
		return -ENOMEM;
	}
	*lane = (struct door_lane){
		.memory = memory,
		.connection = connection,
		.process = fd_steal(&process),
		.pidfd = {.fd = fd_steal(&own), .handle = end_with_process},
		.asker = {pid, status.st_uid, status.st_gid},
	};
	DL_APPEND(door->lanes, lane);
	door->lane_count++;
	connection->lane = lane;
	if (loop_add(door->loop, &lane->pidfd, EPOLLIN) == 0)
		return 0;
	door_lane_leave(connection);
	return -ENOMEM;
}

static void set_looks(struct door_lane *lane, bool looks)
{
	lane->looks = looks;
	lane_set_looks(lane->memory, looks);
}

static void drop_kept(const struct door *door, uint64_t id)
{
	if (!door->keep)
		return;
	keep_drop(door->keep, KEEP_LANE, id);
	keep_drop(door->keep, KEEP_ASKER, id);
}

static void tell_keeper_of_end(const struct connection *connection, pid_t pid)
{
	drop_kept(connection->door, lane_id(connection, pid));
}

/* What is asked there is the next worker's. */
void door_lane_leave(struct connection *connection)
{
	struct door_lane *lane = connection->lane;

	if (!lane)
		return;
	set_looks(lane, false);
	DL_DELETE(connection->door->lanes, lane);
	connection->door->lane_count--;
	connection->lane = NULL;
	munmap(lane->memory, sizeof *lane->memory);
	close(lane->process);
	loop_remove(connection->door->loop, &lane->pidfd);
	close(lane->pidfd.fd);
	free(lane);
}

void door_lane_end(struct connection *connection, enum lane_state how)
{
	struct door_lane *lane = connection->lane;

	if (!lane)
		return;
	set_looks(lane, false);
	lane_answer(lane->memory, how, NULL);
	tell_keeper_of_end(connection, lane->asker.pid);
	door_lane_leave(connection);
}

void door_lane_wake(struct connection *connection)
{
	if (connection->lane)
		connection->lane->idle = 0;
}

/* The keeper has it before the client. */
static int keep_lane(struct connection *connection, pid_t pid, int file, int pidfd)
{
	const struct keep *keep = connection->door->keep;
	int result = 0;

	if (keep)
		result = keep_put(keep, KEEP_ASKER, lane_id(connection, pid), pidfd);
	if (keep && result == 0)
		result = keep_put(keep, KEEP_LANE, lane_id(connection, pid), file);
	if (result == 0)
		result = lane_new(connection, pid, file, pidfd);
	if (result < 0)
		tell_keeper_of_end(connection, pid);
	return result;
}

/* One of a process that is gone goes, or else that which has not been used for longest. Nobody
 * looks now: what is asked there is sent. */
static void make_room(struct door *door)
{
	struct door_lane *lane = door->lanes;

	if (door->lane_count < LANES_MAX)
		return;
	while (lane && proc_is_alive(lane->pidfd.fd))
		lane = lane->next;
	lane = lane ? lane : door->lanes;
	tell_keeper_of_end(lane->connection, lane->asker.pid);
	door_lane_leave(lane->connection);
}

static int give_lane(struct connection *connection, const struct fdpass_sender *sender)
{
	OWN_FD pidfd = (int)syscall(SYS_pidfd_open, sender->pid, 0);
	OWN_FD file = -1;
	int result;

	if (pidfd < 0)
		return -EOPNOTSUPP;
	result = file = sealed_new("shmemu-lane", sizeof(struct lane));
	if (result >= 0)
		result = keep_lane(connection, sender->pid, file, pidfd);
	if (result < 0)
		return result;
	if (connection->lane->asker.uid == sender->uid &&
	    connection->lane->asker.gid == sender->gid)
		return fd_steal(&file);
	door_lane_end(connection, LANE_CUT);
	return -EPERM;
}

int call_give_lane(struct call *call)
{
	struct connection *connection = call->connection;
	pid_t pid = call->sender.pid;
	int result;

	if (!ids_is_own_user(call->sender.uid))
		return -EPERM;
	if (pid <= 0 || pid >> PID_BITS || connection->number >> (64 - PID_BITS))
		return -EOPNOTSUPP;
	/* Nobody has got that: its client was not answered, or has let it go. */
	door_lane_end(connection, LANE_CUT);
	make_room(connection->door);
	result = give_lane(connection, &call->sender);
	if (result < 0)
		return result;
	call->fd = result;
	return 0;
}

/* Longer than anybody waits: who has asked is not there any more. */
static bool is_old(const struct wire_request *request)
{
	return look_now() - request->serial > OLD_SECONDS * 1000000000ULL;
}

/* What was taken is in the door's message. `again`: who asked it was seen to before. */
static void serve(struct door_lane *lane, bool again)
{
	struct connection *connection = lane->connection;
	struct door *door = connection->door;
	struct call call = {
		.connection = connection,
		.request = &door->message.request,
		.sender = lane->asker,
		.passed = -1,
		.fd = -1,
		.lane = lane->memory,
		.opens = lane->memory->opens == 1,
	};

	lane->idle = 0;
	/* The next time another comes first. */
	DL_DELETE(door->lanes, lane);
	DL_APPEND(door->lanes, lane);
	if (!lane_takes(call.request) || connection->pending ||
	    (!again && (is_old(call.request) || !is_asker(lane)))) {
		door_lane_end(connection, LANE_REFUSED);
	} else {
		store_owe_times(door->store);
		if (call_answer(&call, sizeof *call.request) < 0)
			connection_free(connection);
		door->answered = look_now();
	}
	fd_close_at(&call.fd);
	door_ipc_retry(door);
}

void door_lane_resume(struct connection *connection, uint64_t serial)
{
	struct wire_request *request = &connection->door->message.request;
	struct door_lane *lane = connection->lane;

	if (lane && lane_look(lane->memory) == LANE_TAKEN && lane_take(lane->memory, request) &&
	    request->serial == serial)
		serve(lane, true);
}

/* Takes what is asked in one of those that are looked at. */
static struct door_lane *take_any(struct door *door)
{
	struct door_lane *lane;

	DL_FOREACH(door->lanes, lane)
		if (lane->looks && lane_take(lane->memory, &door->message.request))
			return lane;
	return NULL;
}

/* What is done after an answer is done for nobody who waits: first comes who asks on at once. */
static void finish(struct door *door)
{
	if (door->is_unfinished)
		store_turn_end(door->store);
	door->is_unfinished = false;
}

static bool look(void *details)
{
	struct door *door = details;
	struct door_lane *lane = take_any(door);

	if (lane)
		serve(lane, false);
	else if (door->is_unfinished && look_now() - door->answered > FINISH_NS)
		finish(door);
	return lane;
}

static bool begin_to_look(void *details)
{
	struct door *door = details;
	struct door_lane *lane;
	bool any = false;

	DL_FOREACH(door->lanes, lane) {
		if (lane->idle >= IDLE_LOOKS)
			continue;
		lane->idle++;
		set_looks(lane, true);
		any = true;
	}
	return any;
}

/* Who has asked until now may wait for us; once, whatever he does. */
static void end_look(void *details)
{
	struct door *door = details;
	struct door_lane *lane;

	DL_FOREACH(door->lanes, lane)
		if (lane->looks)
			lane_set_looks(lane->memory, false);
	while ((lane = take_any(door))) {
		lane->looks = false;
		serve(lane, false);
	}
	DL_FOREACH(door->lanes, lane)
		lane->looks = false;
	finish(door);
}

void door_lanes_begin(struct door *door)
{
	loop_look_too(door->loop, &(struct loop_looker){begin_to_look, look, end_look, door});
}

void door_restore_lane(struct door *door, uint64_t id, int file, int pidfd)
{
	struct connection *connection = door->connections;

	while (connection && connection->number != id >> PID_BITS)
		connection = connection->next;
	/* Until door_restore_lanes_end. Who waits there and is not served asks another way when the
	 * connection is over. */
	if (connection && !connection->lane &&
	    lane_new(connection, (pid_t)(id & ((1U << PID_BITS) - 1)), file, pidfd) == 0) {
		set_looks(connection->lane, true);
		return;
	}
	/* Of a process that has ended meanwhile there is none to be made. */
	drop_kept(door, id);
	if (connection)
		connection_free(connection);
}

void door_restore_lanes_end(struct door *door)
{
	end_look(door);
}
