/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "preload/ask.h"

#include "base/own.h"
#include "preload/ask_i.h"
#include "preload/boot.h"
#include "preload/known.h"
#include "preload/lanes.h"
#include "preload/roads.h"
#include "preload/shared.h"
#include "preload/start.h"
#include "preload/taken.h"

/* Of those kept none may be of a daemon that is still there. */
enum { ATTEMPTS = POOL_SIZE + 2 };

static const char *unless_empty(const struct text *text)
{
	return text->length ? text->bytes : NULL;
}

static size_t candidates(uid_t uid, struct text ret_paths[static PLACE_CANDIDATES_MAX])
{
	const struct config *config = boot_config();
	struct place_hints hints = {
		.shmemu_dir = unless_empty(&config->shmemu_dir),
		.xdg_runtime_dir = unless_empty(&config->xdg_runtime_dir),
		.tmpdir = unless_empty(&config->tmpdir),
	};
	size_t count = place_candidates(&hints, uid, ret_paths);

	/* Half a path would be another's. */
	ret_paths[count - 1].cut |= config->shmemu_dir.cut ||
	                            (!config->shmemu_dir.length &&
	                             (config->xdg_runtime_dir.cut || config->tmpdir.cut));
	return count;
}

static int connect_at(const struct text *path, uid_t uid)
{
	OWN_FD folder = -1;

	if (path->cut)
		return -ENAMETOOLONG;
	folder = place_open(path->bytes, uid);
	return folder < 0 ? folder : place_connect(folder, path->bytes, uid);
}

static int connect_somewhere(struct text *ret_why)
{
	struct text paths[PLACE_CANDIDATES_MAX];
	uid_t uid = sys_geteuid();
	size_t count = candidates(uid, paths);
	int result = -ENOENT;

	for (size_t i = 0; i < count && result < 0; i++)
		result = connect_at(&paths[i], uid);
	if (result == -ENOENT || result == -ECONNREFUSED)
		return start_and_connect(paths[count - 1].bytes, uid, ret_why);
	if (result < 0) {
		text_string(ret_why, "cannot use the daemon's folder ");
		text_string(ret_why, paths[count - 1].bytes);
	}
	return result;
}

/* A process, and a child that it forks, goes on with the daemon that it has, which it may no longer
 * be able to reach by path: it may have another uid, root or mount namespace by now, and must go on
 * seeing the same names. */
static int connect_anew(int other, struct text *ret_why)
{
	OWN_FD known = other;
	int sock = known >= 0 ? client_adopt(known) : -ENOENT;

	if (sock < 0) {
		/* It may be another daemon. */
		roads_forget();
		shared_forget_all();
		sock = connect_somewhere(ret_why);
	}
	return sock < 0 ? sock : pool_move_up(sock);
}

/* Is there a free descriptor number? */
static int check_room(int sock)
{
	int spare = sys_fcntl(sock, F_DUPFD_CLOEXEC, 0);

	if (spare < 0)
		return spare == -EINVAL ? -EMFILE : spare;
	sys_close(spare);
	return 0;
}

/* sock: -errno when there is none to be had. */
static struct line take(struct text *ret_why)
{
	int other;
	struct line line = pool_take(&other);

	if (line.sock < 0)
		line.sock = connect_anew(other, ret_why);
	return line;
}

/* A new one comes by way of one that is not for waiting, which is made first: a child that is
 * forked has nothing else to go on by. */
static struct line take_to_wait(struct text *ret_why)
{
	int other;
	struct line line = pool_take_to_wait(&other);
	struct line first;

	if (line.sock >= 0)
		return line;
	if (other < 0) {
		first = take(ret_why);
		other = first.sock < 0 ? first.sock :
		                         sys_fcntl(first.sock, F_DUPFD_CLOEXEC, 0);
		if (first.sock < 0)
			pool_cut(first);
		else
			pool_put(first);
	}
	line.sock = other < 0 ? other : connect_anew(other, ret_why);
	if (line.sock >= 0)
		pool_note(line);
	return line;
}

static int ask_once(const struct question *question, struct text *ret_why)
{
	struct line line = question->may_wait ? take_to_wait(ret_why) : take(ret_why);
	int result;

	result = line.sock < 0 ? line.sock : 0;
	if (result == 0 && question->needs_number)
		result = check_room(line.sock);
	if (result == 0)
		result = question->put(question, line);
	/* Another thread took the last number meanwhile. */
	if (result == -EMFILE && line.sock >= 0 && question->undo)
		question->undo(question, line.sock);
	if (line.sock >= 0 && (result == 0 || result == -EMFILE))
		pool_put(line);
	else
		pool_cut(line);
	return result;
}

/* What a program may see of our own troubles: nothing that it could take for an answer about its
 * segment. */
static int as_host_sees(int result)
{
	switch (-result) {
	case EACCES: case EPERM: case EROFS:
		return -EACCES;
	case EMFILE: case ENFILE: case ENOMEM: case ETIMEDOUT: case EPROTONOSUPPORT:
		return result;
	default:
		return -ENOSYS;
	}
}

/* One line: what failed and, if that is known, why. */
static void log_failure(int result, const struct question *question, struct text *why)
{
	if (!why->length)
		text_string(why, "no answer from the daemon");
	if (result == -EPROTONOSUPPORT) {
		text_string(why, ": it speaks version ");
		text_number(why, question->header->version);
		text_string(why, " and this library ");
		text_number(why, WIRE_VERSION);
		text_string(why, ": use both from one build");
	}
	boot_log_error(*why, -result);
}

int ask_question(const struct question *question)
{
	struct text why = TEXT_NULL;
	int result = -ECONNRESET;

	taken_note(TRACED_DAEMON);
	/* A daemon that ends between two requests, of itself or not, has not seen this one. */
	for (int attempt = 0; attempt < ATTEMPTS && result == -ECONNRESET; attempt++) {
		why = TEXT_NULL;
		result = ask_once(question, &why);
	}
	if (result < 0 && !question->is_favour)
		log_failure(result, question, &why);
	return result < 0 ? as_host_sees(result) : 0;
}

/* A request, with its paths if it is about some. */
struct inquiry {
	struct wire_request *request;
	const struct client_places *places;
	struct client_answer *answer;
};

static bool is_open(const struct wire_request *request)
{
	return request->header.op == WIRE_OPEN || request->header.op == WIRE_OPEN_PATH;
}

/* What is done can't be undone. */
static bool is_final(const struct wire_request *request)
{
	return is_open(request) ? (request->flags & O_TRUNC) != 0 :
	                          request->header.op == WIRE_TRADE;
}

static void undo(const struct question *question, int sock)
{
	const struct inquiry *inquiry = question->what;
	const struct client_answer *answer = inquiry->answer;
	const struct wire_request *request = inquiry->request;
	struct wire_request removal = wire_request_make(inquiry->places ? WIRE_REMOVE :
	                                                                  WIRE_UNLINK);
	struct client_answer ignored = {.text = answer->text, .text_room = answer->text_room};

	if (!answer->reply.created || !answer->reply.ino)
		return;
	if (!inquiry->places)
		wire_request_name(&removal, request->name, request->name_length);
	removal.ino = answer->reply.ino;
	if (inquiry->places)
		client_ask_places(sock, &removal, inquiry->places, &ignored);
	else
		client_ask(sock, &removal, &ignored);
}

/* Opens what is new by its number. Where that fails it is as if nothing had been asked yet, but for
 * a full table, which is the asker's answer. */
static int open_new(const struct question *question, int sock)
{
	const struct inquiry *inquiry = question->what;
	struct client_answer *answer = inquiry->answer;
	int fd = known_open_new(answer->reply.roads.number, (int)inquiry->request->flags,
	                        &answer->told.stat);

	if (fd >= 0) {
		answer->fd = fd;
		answer->is_opened = true;
		return 0;
	}
	if (fd == -EMFILE)
		return fd;
	undo(question, sock);
	answer->reply.created = 0;
	return -EAGAIN;
}

/* By the lane, if this connection has one. -EAGAIN: it is still to be asked. */
static int ask_by_lane(const struct question *question, struct line line)
{
	const struct inquiry *inquiry = question->what;
	struct wire_request *request = inquiry->request;
	struct client_answer *answer = inquiry->answer;
	struct lane *lane = lane_takes(request) ? lanes_of(line) : NULL;
	bool opens;
	int result;

	if (!lane)
		return -EAGAIN;
	opens = (request->flags & O_CREAT) &&
	        known_opens_new((int)request->flags, request->mode);
	result = client_ask_lane(lane, opens, line.sock, request, answer);
	if (result == -ESTALE) {
		lanes_give_up(line);
		return -EAGAIN;
	}
	if (result < 0 || !is_open(request) || answer->reply.result < 0 || answer->fd >= 0)
		return result;
	return open_new(question, line.sock);
}

static int put(const struct question *question, struct line line)
{
	const struct inquiry *inquiry = question->what;
	const struct wire_request *request = inquiry->request;
	struct wire_reply *reply = &inquiry->answer->reply;
	int room = 0;
	int result;

	if (inquiry->places)
		result = client_ask_places(line.sock, inquiry->request, inquiry->places,
		                           inquiry->answer);
	else
		result = ask_by_lane(question, line);
	if (result == -EAGAIN)
		result = client_ask(line.sock, inquiry->request, inquiry->answer);
	/* open(2) says that there is no free number first. */
	if (result == 0 && reply->result < 0 && is_open(request) && !is_final(request))
		room = check_room(line.sock);
	if (room < 0)
		reply->result = room;
	/* The answer counts, whatever becomes of that. */
	if (result == 0 && lane_takes(request) && lanes_learn(line) < 0)
		return ASK_LAST;
	return result;
}

static int inquire(struct inquiry inquiry, bool is_favour)
{
	struct client_answer *answer = inquiry.answer;
	struct question question = {
		.put = put,
		.undo = undo,
		.what = &inquiry,
		.needs_number = is_final(inquiry.request),
		.is_favour = is_favour,
		.header = &answer->reply.header,
	};
	int result;

	answer->fd = -1;
	answer->is_opened = false;
	answer->reply.created = 0;
	answer->reply.header.version = 0;
	result = ask_question(&question);
	if (result < 0)
		return result;
	if (answer->fd >= 0)
		roads_note_limits(&answer->reply.roads);
	return answer->reply.result;
}

int ask(struct wire_request *request, struct client_answer *ret_answer)
{
	return inquire((struct inquiry){request, NULL, ret_answer}, false);
}

int ask_places(struct wire_request *request, const struct client_places *places,
               struct client_answer *ret_answer)
{
	return inquire((struct inquiry){request, places, ret_answer}, false);
}

int ask_favour(struct wire_request *request, const struct client_places *places,
               struct client_answer *ret_answer)
{
	return inquire((struct inquiry){request, places, ret_answer}, true);
}
