/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libshmemu-trace.so: before libshmemu.so, so that it sees what the program asked and got, and that
 * one need not know. Whether a call was shmemu's business is known only after it, by the road that
 * it took; until then what it costs is a look at the clock.
 *
 * What addresses lead to is read after the call, and by the kernel, into the record that is sent:
 * what can't be read costs the record its words, and not the program its life. */
#include "trace/span.h"

#include <errno.h>
#include <string.h>
#include <sys/sem.h>
#include <sys/stat.h>
#include <time.h>

#include "base/sys.h"
#include "trace/channel.h"
#include "trace/next.h"
#include "trace/seen.h"

/* What goes to the tool. */
struct parcel {
	struct traced_record record;
	struct iovec parts[1 + TRACED_ARGUMENTS];
	size_t count;
};

static int64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

/* Without libshmemu.so every road is the kernel's. */
static unsigned char swap_road(unsigned char road)
{
	unsigned char *place = shmemu_road ? shmemu_road() : NULL;
	unsigned char before = TRACED_KERNEL;

	if (place) {
		before = *place;
		*place = road;
	}
	return before;
}

void span_begin(struct span *ret_span)
{
	struct channel_config config = channel_config();

	ret_span->is_on = config.is_on;
	if (!config.is_on)
		return;
	ret_span->shows_all = config.shows_all;
	ret_span->road = swap_road(TRACED_KERNEL);
	ret_span->begin = now();
}

static int error_of(char letter, long result)
{
	switch (letter) {
	case 'e': return (int)result;
	case 'n': case 'a': return result == 0 ? errno : 0;
	default: return result == -1 ? errno : 0;
	}
}

static bool is_business(enum traced_number number, unsigned char road, const long *arguments)
{
	enum { SHARED = 0x01 }; /* of MAP_SHARED and MAP_SHARED_VALIDATE, not of MAP_PRIVATE */

	if (road != TRACED_KERNEL)
		return true;
	switch (traced_calls[number].kind) {
	case TRACED_OURS: case TRACED_SHARED: return true;
	case TRACED_MAP: return arguments[3] & SHARED;
	case TRACED_PLACE: return seen_has_place((const void *)arguments[0]);
	case TRACED_FILE: return seen_has_file((int)arguments[0]);
	default: return false;
	}
}

static unsigned char road_of(enum traced_number number, unsigned char road)
{
	const struct traced_call *call = &traced_calls[number];

	if (road != TRACED_KERNEL)
		return road;
	/* glibc's own semaphores are memory, too. */
	if (call->kind == TRACED_PLACE && strncmp(call->name, "sem_", 4) == 0)
		return TRACED_MEMORY;
	return call->kind == TRACED_OURS ? TRACED_LIBRARY : TRACED_KERNEL;
}

/* What later calls are shown for. */
static void note(enum traced_number number, long result, const long *arguments)
{
	switch (traced_calls[number].letters[0]) {
	case 'm': case 'a': seen_place((const void *)result); break;
	case 'f': seen_file((int)result); break;
	default: break;
	}
	if (number == TRACED_CALL_munmap || number == TRACED_CALL_sem_close ||
	    number == TRACED_CALL_shmdt)
		seen_forget_place((const void *)arguments[0]);
}

static void add_part(struct parcel *parcel, size_t argument, const void *bytes, size_t size,
                     size_t most)
{
	bool is_cut = size > most;

	if (is_cut)
		size = most;
	if (size == 0)
		return;
	parcel->record.lengths[argument] = (uint16_t)(size | (is_cut ? TRACED_IS_CUT : 0));
	parcel->parts[parcel->count++] = (struct iovec){(void *)(uintptr_t)bytes, size};
}

/* At most TRACED_STRING_MAX. What is no string may end where memory does: the call has not been
 * beyond that, and nor are we. */
static size_t length_of(const char *string)
{
	enum { PAGE = 4096 };
	size_t length = 0;

	while (length < TRACED_STRING_MAX && sys_can_read(string + length)) {
		size_t room = PAGE - (uintptr_t)(string + length) % PAGE;
		size_t more = strnlen(string + length, room);

		length += more;
		if (more < room)
			break;
	}
	return length < TRACED_STRING_MAX ? length : TRACED_STRING_MAX;
}

/* With its NUL, unless it is cut. */
static void add_string(struct parcel *parcel, size_t argument, const char *string)
{
	size_t length = length_of(string);
	bool ends = length < TRACED_STRING_MAX && sys_can_read(string + length);

	add_part(parcel, argument, string, length + 1, ends ? length + 1 : length);
}

/* Did the call look at what it was given? */
static bool was_read(int error)
{
	return error != EFAULT && error != EINVAL && error != ENOSYS && error != E2BIG &&
	       error != EBADF;
}

/* Of what an argument leads to: how much there is, and is sent. */
struct extent {
	size_t size;
	size_t most;
};

static struct extent extent_given(char letter, size_t next)
{
	enum { OPERATION = sizeof(struct sembuf), TYPE = sizeof(long) };

	switch (letter) {
	case 'b': return (struct extent){next, TRACED_BYTES_MAX};
	case 'g': return (struct extent){TYPE + next, TYPE + TRACED_BYTES_MAX};
	case 'o': return (struct extent){next * OPERATION, TRACED_OPERATIONS_MAX * OPERATION};
	case 't': return (struct extent){sizeof(struct timespec), sizeof(struct timespec)};
	case 'q': case 'v': return (struct extent){sizeof(struct mq_attr), sizeof(struct mq_attr)};
	default: return (struct extent){0, 0};
	}
}

static struct extent extent_got(char letter, size_t next, size_t result)
{
	enum { TYPE = sizeof(long) };

	switch (letter) {
	case 'B': return (struct extent){next ? result : 0, TRACED_BYTES_MAX};
	case 'G': return (struct extent){TYPE + result, TYPE + TRACED_BYTES_MAX};
	case 'Q': return (struct extent){sizeof(struct mq_attr), sizeof(struct mq_attr)};
	case 'j': return (struct extent){sizeof(struct stat), sizeof(struct stat)};
	default: return (struct extent){0, 0};
	}
}

static void add_argument(struct parcel *parcel, size_t i, char letter)
{
	const struct traced_record *record = &parcel->record;
	const void *place = (const void *)record->arguments[i];
	size_t next = i + 1 < TRACED_ARGUMENTS ? (size_t)record->arguments[i + 1] : 0;
	bool succeeded = record->error == 0;
	struct extent extent = {0, 0};

	if (!place || record->error == EFAULT)
		return;
	if (letter == 's' || (letter == 'S' && succeeded)) {
		add_string(parcel, i, place);
		return;
	}
	if (was_read(record->error))
		extent = extent_given(letter, next);
	if (succeeded && !extent.size)
		extent = extent_got(letter, next, (size_t)record->result);
	add_part(parcel, i, place, extent.size, extent.most);
}

static void send_record(enum traced_number number, const struct traced_record *record)
{
	const char *letters = traced_calls[number].letters + 1;
	struct parcel parcel = {.record = *record, .count = 1};

	parcel.parts[0] = (struct iovec){&parcel.record, sizeof parcel.record};
	for (size_t i = 0; letters[i]; i++)
		add_argument(&parcel, i, letters[i]);
	channel_send(&parcel.record, parcel.parts, parcel.count);
}

void span_end(const struct span *span, enum traced_number number, long result,
              const long *arguments)
{
	struct traced_record record = {.call = (uint16_t)number, .result = result};
	unsigned char road;
	bool is_ours;
	int before;

	if (!span->is_on)
		return;
	before = errno;
	record.took = now() - span->begin;
	record.begin = span->begin;
	record.error = error_of(traced_calls[number].letters[0], result);
	for (int i = 0; i < TRACED_ARGUMENTS; i++)
		record.arguments[i] = arguments[i];
	road = swap_road(span->road);
	is_ours = is_business(number, road, arguments);
	record.road = road_of(number, road);
	if (is_ours && record.error == 0)
		note(number, result, arguments);
	if (is_ours || span->shows_all)
		send_record(number, &record);
	errno = before;
}

void span_program(enum traced_number number, const char *path)
{
	struct traced_record record = {.call = (uint16_t)number, .arguments = {(long)path}};
	int before = errno;

	channel_end();
	if (path && channel_config().is_on)
		send_record(number, &record);
	errno = before;
}
