/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A position is one that telldir may give: 0 is before ".", 1 before "..", and 2 + COOKIE after the
 * entry with that cookie (2: before the first). So it stays true while entries come and go, as the
 * cookies do.
 *
 * Each stream has a lock, as libc's have. It is not taken around fork: who forks while another
 * thread reads can't use that stream in the child, as with libc's. */
#include "preload/stream.h"

#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

#include "base/own.h"
#include "preload/ask.h"
#include "preload/real.h"

enum { POSITION_FIRST = 2 };

struct stream {
	_Alignas(8) char text[WIRE_TEXT_MAX + 8]; /* struct wire_dirents, and a NUL */
	struct dirent entry;
	pthread_mutex_t lock;
	_Atomic bool used;
	bool is_deaf;        /* its descriptor can't be read from */
	bool is_read;        /* text has what comes next after `position`, from `at` on */
	int fd;
	struct wire_base base;
	uint64_t ino, parent;
	long position;
	bool is_last;        /* text goes to the end */
	size_t at, length;   /* of text */
};

_Static_assert(sizeof(struct stream) <= STREAM_RANGE / STREAM_COUNT, "all lie in the range");

_Atomic uintptr_t stream_begin = UINTPTR_MAX / 2 + 1;

/* The range, mapped by whichever thread comes first. Its pages come when they are touched. */
static struct stream *all_streams(void)
{
	uintptr_t none = UINTPTR_MAX / 2 + 1;
	uintptr_t begin = atomic_load(&stream_begin);
	void *range;

	if (begin != none)
		return (struct stream *)begin;
	range = sys_mmap(STREAM_RANGE, PROT_READ | PROT_WRITE,
	                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
	if (sys_is_error(range))
		return NULL;
	if (atomic_compare_exchange_strong(&stream_begin, &none, (uintptr_t)range))
		return range;
	sys_give(range, STREAM_RANGE);
	return (struct stream *)none;
}

static struct stream *of(DIR *dir)
{
	return (struct stream *)dir;
}

static int take_free(struct stream **ret_stream)
{
	struct stream *all = all_streams();

	if (!all)
		return -ENOMEM;
	for (int i = 0; i < STREAM_COUNT; i++) {
		bool unused = false;

		if (!all[i].used && atomic_compare_exchange_strong(&all[i].used, &unused, true)) {
			*ret_stream = &all[i];
			return 0;
		}
	}
	return -EMFILE;
}

int stream_open(int fd, const struct wire_base *base, DIR **ret_dir)
{
	struct stream *stream = NULL;
	struct stat status;
	int result = sys_fstat(fd, &status);

	if (result == 0)
		result = take_free(&stream);
	if (result < 0)
		return result;
	/* As fdopendir does. */
	sys_fcntl(fd, F_SETFD, FD_CLOEXEC);
	REAL(pthread_mutex_init)(&stream->lock, NULL);
	stream->fd = fd;
	stream->base = *base;
	stream->ino = status.st_ino;
	stream->position = 0;
	stream->is_read = false;
	stream->is_deaf = sys_fcntl(fd, F_GETFL, 0) & O_PATH;
	*ret_dir = (DIR *)stream;
	return 0;
}

int stream_close(DIR *dir)
{
	int fd = of(dir)->fd;

	REAL(pthread_mutex_destroy)(&of(dir)->lock);
	of(dir)->used = false;
	return sys_close(fd);
}

static int ask_from(struct stream *stream, struct wire_request *request,
                    struct client_answer *ret_answer)
{
	struct client_places places = {.places.base[0] = stream->base};

	ret_answer->text = stream->text;
	ret_answer->text_room = WIRE_TEXT_MAX + 1;
	return ask_places(request, &places, ret_answer);
}

/* Asks for what comes after `position`. */
static int fetch(struct stream *stream)
{
	struct wire_request request = wire_request_make(WIRE_READ_FOLDER);
	struct client_answer answer;
	int result;

	if (stream->position > POSITION_FIRST)
		request.cursor = (uint64_t)stream->position - POSITION_FIRST;
	result = ask_from(stream, &request, &answer);
	if (result < 0)
		return result;
	stream->at = 0;
	stream->length = answer.told.text_length;
	stream->parent = answer.told.stat.ino;
	stream->is_read = true;
	stream->is_last = stream->length + WIRE_DIRENT_MAX <= WIRE_TEXT_MAX;
	return 0;
}

static void set_entry(struct stream *stream, uint64_t ino, uint8_t type, const char *name,
                      size_t length)
{
	struct dirent *entry = &stream->entry;

	entry->d_ino = ino;
	entry->d_off = stream->position;
	entry->d_type = type;
	entry->d_reclen = (offsetof(struct dirent, d_name) + length + 1 + 7) & ~7U;
	memcpy(entry->d_name, name, length);
	entry->d_name[length] = '\0';
}

/* The entry at `at`, if all of it is there and it has a file's name. */
static const struct wire_dirent *look(const struct stream *stream)
{
	const void *place = stream->text + stream->at;
	const struct wire_dirent *entry = place;
	size_t left = stream->length - stream->at;

	if (left < sizeof *entry || left - sizeof *entry < (size_t)entry->length + 1 ||
	    entry->length > sizeof stream->entry.d_name - 1)
		return NULL;
	return entry;
}

static int take_entry(struct stream *stream)
{
	const struct wire_dirent *entry;

	if (stream->at >= stream->length && !stream->is_last) {
		int result = fetch(stream);

		if (result < 0)
			return result;
	}
	if (stream->at >= stream->length) {
		/* There may be more when the program asks again. */
		stream->is_read = false;
		return 0;
	}
	entry = look(stream);
	if (!entry)
		return -EIO;
	stream->position = (long)entry->cookie + POSITION_FIRST;
	set_entry(stream, entry->ino, entry->type, (const char *)(entry + 1), entry->length);
	stream->at += (sizeof *entry + entry->length + 1 + 7) & ~(size_t)7;
	return 1;
}

static int next_locked(struct stream *stream)
{
	int result = stream->is_deaf ? -EBADF : stream->is_read ? 0 : fetch(stream);

	/* A removed folder has nothing in it, not even ".". */
	if (result < 0)
		return result == -ENOENT ? 0 : result;
	if (stream->position >= POSITION_FIRST)
		return take_entry(stream);
	stream->position++;
	if (stream->position == 1)
		set_entry(stream, stream->ino, DT_DIR, ".", 1);
	else
		set_entry(stream, stream->parent, DT_DIR, "..", 2);
	return 1;
}

int stream_next(DIR *dir, struct dirent **ret_entry)
{
	int result;

	REAL(pthread_mutex_lock)(&of(dir)->lock);
	result = next_locked(of(dir));
	REAL(pthread_mutex_unlock)(&of(dir)->lock);
	if (result > 0)
		*ret_entry = &of(dir)->entry;
	return result;
}

int stream_next_copy(DIR *dir, struct dirent *ret_entry)
{
	int result;

	REAL(pthread_mutex_lock)(&of(dir)->lock);
	result = next_locked(of(dir));
	if (result > 0)
		memcpy(ret_entry, &of(dir)->entry, of(dir)->entry.d_reclen);
	REAL(pthread_mutex_unlock)(&of(dir)->lock);
	return result;
}

int stream_fd(DIR *dir)
{
	return of(dir)->fd;
}

long stream_tell(DIR *dir)
{
	long position;

	REAL(pthread_mutex_lock)(&of(dir)->lock);
	position = of(dir)->position;
	REAL(pthread_mutex_unlock)(&of(dir)->lock);
	return position;
}

void stream_seek(DIR *dir, long position)
{
	REAL(pthread_mutex_lock)(&of(dir)->lock);
	of(dir)->position = position < 0 ? 0 : position;
	of(dir)->is_read = false;
	REAL(pthread_mutex_unlock)(&of(dir)->lock);
}
