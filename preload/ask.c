/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "preload/ask.h"

#include "base/own.h"
#include "preload/boot.h"
#include "preload/pool.h"
#include "preload/roads.h"
#include "preload/start.h"

enum { ATTEMPTS = 3 };

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
		sock = connect_somewhere(ret_why);
	}
	return sock < 0 ? sock : pool_move_up(sock);
}

/* A request, with its paths if it is about some. */
struct question {
	struct wire_request *request;
	const struct client_places *places;
};

static int put(int sock, const struct question *question, struct client_answer *ret_answer)
{
	if (question->places)
		return client_ask_places(sock, question->request, question->places, ret_answer);
	return client_ask(sock, question->request, ret_answer);
}

static bool brings_file(const struct wire_request *request)
{
	enum wire_op op = request->header.op;

	return op == WIRE_OPEN || op == WIRE_OPEN_PATH || op == WIRE_TRADE ||
	       (op == WIRE_LOOKUP && (request->flags & WIRE_WANT_FILE));
}

/* A free descriptor number must be there before anything is changed for an fd that could not be
 * handed over. */
static int check_room(const struct line *line, const struct wire_request *request)
{
	int spare;

	if (!brings_file(request))
		return 0;
	spare = sys_fcntl(line->sock, F_DUPFD_CLOEXEC, 0);
	if (spare < 0)
		return spare == -EINVAL ? -EMFILE : spare;
	sys_close(spare);
	return 0;
}

/* Another thread took the last number meanwhile. */
static void undo(const struct line *line, const struct question *question,
                 const struct client_answer *answer)
{
	const struct wire_request *request = question->request;
	struct wire_request removal =
		wire_request_make(question->places ? WIRE_REMOVE : WIRE_UNLINK);
	struct question remove = {&removal, question->places};
	struct client_answer ignored = {.text = answer->text, .text_room = answer->text_room};

	if (!answer->reply.created || !answer->reply.ino)
		return;
	if (!question->places)
		wire_request_name(&removal, request->name, request->name_length);
	removal.ino = answer->reply.ino;
	put(line->sock, &remove, &ignored);
}

static int ask_once(const struct question *question, struct client_answer *ret_answer,
                    struct text *ret_why)
{
	int other;
	struct line line = pool_take(&other);
	int result;

	if (line.sock < 0)
		line.sock = connect_anew(other, ret_why);
	result = line.sock < 0 ? line.sock : check_room(&line, question->request);
	if (result == 0)
		result = put(line.sock, question, ret_answer);
	if (result == -EMFILE && line.sock >= 0)
		undo(&line, question, ret_answer);
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
static void log_failure(int result, const struct client_answer *answer, struct text *why)
{
	if (!why->length)
		text_string(why, "no answer from the daemon");
	if (result == -EPROTONOSUPPORT) {
		text_string(why, ": it speaks version ");
		text_number(why, answer->reply.header.version);
		text_string(why, " and this library ");
		text_number(why, WIRE_VERSION);
		text_string(why, ": use both from one build");
	}
	boot_log_error(*why, -result);
}

static int ask_question(const struct question *question, struct client_answer *ret_answer)
{
	struct text why = TEXT_NULL;
	int result = -ECONNRESET;

	ret_answer->fd = -1;
	ret_answer->reply.created = 0;
	ret_answer->reply.header.version = 0;
	/* A daemon that ends between two requests, of itself or not, has not seen this one. */
	for (int attempt = 0; attempt < ATTEMPTS && result == -ECONNRESET; attempt++) {
		why = TEXT_NULL;
		result = ask_once(question, ret_answer, &why);
	}
	if (result == 0) {
		if (ret_answer->fd >= 0)
			roads_note_limits(&ret_answer->reply.roads);
		return ret_answer->reply.result;
	}
	log_failure(result, ret_answer, &why);
	return as_host_sees(result);
}

int ask(struct wire_request *request, struct client_answer *ret_answer)
{
	return ask_question(&(struct question){request, NULL}, ret_answer);
}

int ask_places(struct wire_request *request, const struct client_places *places,
               struct client_answer *ret_answer)
{
	return ask_question(&(struct question){request, places}, ret_answer);
}
