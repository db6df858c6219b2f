/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/spell.h"

#include <fcntl.h>
#include <inttypes.h>
#include <mqueue.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sem.h>
#include <sys/stat.h>
#include <time.h>

#include "cli/words.h"

__attribute__((format(printf, 2, 3)))
static void put(struct spelling *spelling, const char *format, ...)
{
	size_t room = sizeof spelling->text - spelling->length;
	va_list arguments;
	int got;

	va_start(arguments, format);
	got = vsnprintf(spelling->text + spelling->length, room, format, arguments);
	va_end(arguments);
	if (got > 0)
		spelling->length += (size_t)got < room ? (size_t)got : room - 1;
}

size_t spell_quote(char *text, size_t size, const char *bytes, size_t length, bool is_cut)
{
	static const char special[] = "\"\\\n\r\t", letters[] = "\"\\nrt";
	size_t at = 0;

	text[at++] = '"';
	for (size_t i = 0; i < length && at + sizeof "\\xff\"..." < size; i++) {
		unsigned char byte = (unsigned char)bytes[i];
		const char *found = byte ? strchr(special, byte) : NULL;

		if (found)
			at += (size_t)snprintf(text + at, size - at, "\\%c",
			                       letters[found - special]);
		else if (byte < ' ' || byte > '~')
			at += (size_t)snprintf(text + at, size - at, "\\x%02x", byte);
		else
			text[at++] = (char)byte;
	}
	return at + (size_t)snprintf(text + at, size - at, "\"%s", is_cut ? "..." : "");
}

static int index_of(const struct spell_call *call, char letter)
{
	const char *found = strchr(call->call->letters + 1, letter);

	return found ? (int)(found - (call->call->letters + 1)) : -1;
}

/* Was the last argument given, of a call that does not always have it? */
static bool makes_file(const struct spell_call *call)
{
	int64_t flags = call->record->arguments[index_of(call, 'O')];

	return (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE;
}

static bool semctl_has_argument(int64_t command)
{
	switch (command) {
	case GETVAL: case GETPID: case GETNCNT: case GETZCNT: case IPC_RMID:
		return false;
	default:
		return true;
	}
}

static bool is_given(const struct spell_call *call, size_t argument)
{
	const int64_t *arguments = call->record->arguments;

	switch (call->call->letters[1 + argument]) {
	case 'c': case 'w': case 'v':
		return makes_file(call);
	case 'U':
		return semctl_has_argument(arguments[index_of(call, 'E')]);
	default:
		return call->record->call != TRACED_CALL_mremap || argument < 4 ||
		       (arguments[3] & (MREMAP_FIXED | 4 /* MREMAP_DONTUNMAP */));
	}
}

bool spell_parse(const void *bytes, size_t size, struct spell_call *ret_call)
{
	const struct traced_record *record = bytes;
	size_t at = sizeof *record;
	struct spell_call call = {.record = record};

	if (size < sizeof *record || record->version != TRACED_VERSION ||
	    record->call >= TRACED_CALLS || record->road >= TRACED_ROADS)
		return false;
	call.call = &traced_calls[record->call];
	for (size_t i = 0; i < TRACED_ARGUMENTS; i++) {
		call.lengths[i] = record->lengths[i] & ~(unsigned)TRACED_IS_CUT;
		call.are_cut[i] = record->lengths[i] & TRACED_IS_CUT;
		if (call.lengths[i] > size - at)
			return false;
		if (call.lengths[i])
			call.bytes[i] = (const unsigned char *)bytes + at;
		at += call.lengths[i];
	}
	while (call.call->letters[1 + call.count] && is_given(&call, call.count))
		call.count++;
	*ret_call = call;
	return at == size;
}

static void put_address(struct spelling *spelling, int64_t address)
{
	spelling->kind = address ? SPELL_WORDS : SPELL_NULL;
	if (address)
		put(spelling, "%#" PRIx64, (uint64_t)address);
	else
		put(spelling, "NULL");
}

static void put_string(struct spelling *spelling, const unsigned char *bytes, size_t length,
                       bool is_cut)
{
	spelling->kind = SPELL_STRING;
	spelling->is_cut = is_cut;
	spelling->length = length < SPELL_ROOM ? length : SPELL_ROOM - 1;
	memcpy(spelling->text, bytes, spelling->length);
	spelling->text[spelling->length] = '\0';
}

static void put_operations(struct spelling *spelling, const unsigned char *bytes, size_t length,
                           bool is_cut)
{
	char flags[64];

	put(spelling, "[");
	for (size_t at = 0; at + sizeof(struct sembuf) <= length; at += sizeof(struct sembuf)) {
		struct sembuf operation;

		memcpy(&operation, bytes + at, sizeof operation);
		words_of('f', (unsigned short)operation.sem_flg, flags, sizeof flags);
		put(spelling, "%s{%u, %d, %s}", at ? ", " : "", operation.sem_num, operation.sem_op,
		    flags);
	}
	put(spelling, is_cut ? ", ...]" : "]");
}

static void put_message(struct spelling *spelling, const unsigned char *bytes, size_t length,
                        bool is_cut)
{
	char text[8 + 4 * TRACED_BYTES_MAX];
	long type;

	if (length < sizeof type)
		return;
	memcpy(&type, bytes, sizeof type);
	spell_quote(text, sizeof text, (const char *)bytes + sizeof type, length - sizeof type,
	            is_cut);
	put(spelling, "{%ld, %s}", type, text);
}

static void put_stat(struct spelling *spelling, const struct stat *status)
{
	static const char *const types[] = {
		[S_IFREG >> 12] = "S_IFREG|", [S_IFDIR >> 12] = "S_IFDIR|",
		[S_IFLNK >> 12] = "S_IFLNK|", [S_IFIFO >> 12] = "S_IFIFO|",
		[S_IFCHR >> 12] = "S_IFCHR|", [S_IFBLK >> 12] = "S_IFBLK|",
		[S_IFSOCK >> 12] = "S_IFSOCK|", [15] = NULL,
	};
	const char *type = types[(status->st_mode & S_IFMT) >> 12];

	put(spelling, "{st_mode=%s0%o, st_size=%jd}", type ? type : "", status->st_mode & ~S_IFMT,
	    (intmax_t)status->st_size);
}

/* What a record has only of one size: another is made up. */
static void put_struct(struct spelling *spelling, char letter, const unsigned char *bytes,
                       size_t length)
{
	union {
		struct timespec time;
		struct mq_attr queue;
		struct stat status;
	} it;

	memset(&it, 0, sizeof it);
	memcpy(&it, bytes, length < sizeof it ? length : sizeof it);
	if (letter == 't')
		put(spelling, "{tv_sec=%jd, tv_nsec=%ld}", (intmax_t)it.time.tv_sec,
		    it.time.tv_nsec);
	else if (letter == 'j')
		put_stat(spelling, &it.status);
	else
		put(spelling, "{mq_flags=%#lx, mq_maxmsg=%ld, mq_msgsize=%ld, mq_curmsgs=%ld}",
		    it.queue.mq_flags, it.queue.mq_maxmsg, it.queue.mq_msgsize,
		    it.queue.mq_curmsgs);
}

static void put_bytes(struct spelling *spelling, const struct spell_call *call, size_t argument)
{
	const unsigned char *bytes = call->bytes[argument];
	size_t length = call->lengths[argument];
	bool is_cut = call->are_cut[argument];
	char letter = call->call->letters[1 + argument];

	switch (letter) {
	case 's': case 'S': put_string(spelling, bytes, length - !is_cut, is_cut); break;
	case 'b': case 'B': put_string(spelling, bytes, length, is_cut); break;
	case 'g': case 'G': put_message(spelling, bytes, length, is_cut); break;
	case 'o': put_operations(spelling, bytes, length, is_cut); break;
	default: put_struct(spelling, letter, bytes, length); break;
	}
}

static void put_number(struct spelling *spelling, const struct spell_call *call, size_t argument)
{
	int64_t number = call->record->arguments[argument];
	char letter = call->call->letters[1 + argument];

	if (letter == 'U' && call->record->arguments[index_of(call, 'E')] == SETVAL)
		letter = 'd', number = (int32_t)number;
	switch (letter) {
	case 'd':
		spelling->kind = SPELL_NUMBER;
		put(spelling, "%" PRId64, number);
		break;
	case 'u': case 'w':
		spelling->kind = SPELL_NUMBER;
		put(spelling, "%" PRIu64, (uint64_t)number);
		break;
	case 'z':
		put(spelling, "%#" PRIx64, (uint64_t)number);
		break;
	case 'l': case 'c':
		put(spelling, "0%" PRIo64, (uint64_t)number);
		break;
	default:
		if (words_of(letter, number, spelling->text, sizeof spelling->text))
			spelling->length = strlen(spelling->text);
		else
			put_address(spelling, number);
	}
}

void spell_argument(const struct spell_call *call, size_t argument, struct spelling *ret_spelling)
{
	ret_spelling->kind = SPELL_WORDS;
	ret_spelling->text[0] = '\0';
	ret_spelling->length = 0;
	ret_spelling->is_cut = false;
	if (call->bytes[argument])
		put_bytes(ret_spelling, call, argument);
	else
		put_number(ret_spelling, call, argument);
}

void spell_result(const struct spell_call *call, struct spelling *ret_spelling)
{
	char letter = call->call->letters[0];
	int64_t result = call->record->result;

	ret_spelling->kind = SPELL_NUMBER;
	ret_spelling->length = 0;
	ret_spelling->is_cut = false;
	if (result != -1 && strchr("mna", letter))
		put_address(ret_spelling, result);
	else
		put(ret_spelling, "%" PRId64, result);
}
