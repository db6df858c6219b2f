/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* As journal.c has it: what was stored to shared memory outlives a kill, so only the order of
 * stores matters. A change is logged with what was there before, the log's length is the one store
 * by which that counts, and then the change is made. A turn's end is the log's length becoming 0.
 *
 * Layout: a page of header, the log, the tables, the heap. A step of the log is what was there and
 * then where that was, so that it is read from its end.
 *
 * Blocks come in sizes of 2 and 3 times a power of two, each with a list of those that were given
 * back. What is filled without a log must be nothing that a rolled back turn gets back: so what is
 * given back waits in a second list for the next turn, and a new one is taken from the heap's end
 * instead. */
#include "base/arena.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "base/own.h"

enum {
	PAGE = 4096,
	BLOCK_MIN = 64,
	SIZES = 28, /* 64, 128, 192, 256, 384, ... ARENA_TAKE_MAX */
	BACK_MIN = 1 << 16,
	BACK_MAX = 1 << 20,
	PART = 1 << 14,
	ARENA_VERSION = 1,
};

static const uint64_t arena_magic = 0x616e657261; /* "arena" */
static const uint64_t size_max = (uint64_t)1 << 40;

/* What turns change of the header. */
struct state {
	uint64_t top;   /* where what was never taken begins */
	uint64_t taken; /* blocks */
	uint64_t free[SIZES];  /* the first of each size; it begins with the offset of the next */
	uint64_t given[SIZES]; /* likewise, see the top */
};

struct header {
	uint64_t magic; /* written last */
	uint64_t version;
	struct arena_shape shape;
	uint64_t used;   /* bytes of the log */
	uint64_t backed; /* the heap has memory up to here */
	struct state state;
};

struct step {
	uint64_t at;
	uint64_t size;
};

_Static_assert(sizeof(struct header) <= PAGE, "one page");

static const struct header *header_of(const struct arena *arena)
{
	return (const struct header *)arena->bytes;
}

static const struct state *state_of(const struct arena *arena)
{
	return &header_of(arena)->state;
}

static uint64_t read_once(const uint64_t *place)
{
	return __atomic_load_n(place, __ATOMIC_RELAXED);
}

static uint64_t heap_of(const struct arena *arena)
{
	return PAGE + arena->shape.log + arena->shape.tables;
}

/* There is room, as it was asked for: what fails all the same is this process's end, and the next
 * one sees what there is. */
static void write_all(int fd, const char *bytes, uint64_t at, size_t size)
{
	while (size) {
		ssize_t written = sys_pwrite(fd, bytes, size, at);

		if (written == -EINTR)
			continue;
		if (written <= 0)
			__builtin_trap();
		bytes += written;
		at += (uint64_t)written;
		size -= (size_t)written;
	}
}

/* All stores go this way, in the order that they are written in. */
static void put(struct arena *arena, uint64_t at, const void *bytes, size_t size)
{
	char *to = arena->bytes + at;
	uint64_t eight;

	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	if (size == sizeof eight && at % sizeof eight == 0) {
		memcpy(&eight, bytes, sizeof eight);
		__atomic_store_n((uint64_t *)(void *)to, eight, __ATOMIC_RELEASE);
	} else {
		memcpy(to, bytes, size);
	}
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	if (!arena->is_mapped)
		write_all(arena->fd, to, at, size);
}

static void put_number(struct arena *arena, const uint64_t *place, uint64_t value)
{
	put(arena, arena_offset(arena, place), &value, sizeof value);
}

static bool is_within(uint64_t at, size_t size, uint64_t from, uint64_t to)
{
	return at >= from && at <= to && size <= to - at;
}

/* May a turn change this? */
static bool is_changeable(const struct arena *arena, uint64_t at, size_t size)
{
	return is_within(at, size, offsetof(struct header, state), sizeof(struct header)) ||
	       is_within(at, size, PAGE + arena->shape.log, arena->shape.size);
}

static int write_zeros(int fd, uint64_t at, uint64_t size)
{
	static const char zeros[PART];

	while (size) {
		size_t part = size < PART ? (size_t)size : PART;
		ssize_t written = sys_pwrite(fd, zeros, part, at);

		if (written == -EINTR)
			continue;
		if (written <= 0)
			return written < 0 ? (int)written : -ENOSPC;
		at += (uint64_t)written;
		size -= (uint64_t)written;
	}
	return 0;
}

/* Where there is no fallocate(2): what is there is written once more, or zeros. */
static int write_again(struct arena *arena, uint64_t at, uint64_t size)
{
	char part[PART];

	while (size) {
		size_t most = size < PART ? (size_t)size : PART;
		ssize_t got = sys_pread(arena->fd, part, most, at);
		ssize_t written;

		if (got == -EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? (int)got : write_zeros(arena->fd, at, size);
		do
			written = sys_pwrite(arena->fd, part, got, at);
		while (written == -EINTR);
		if (written <= 0)
			return written < 0 ? (int)written : -ENOSPC;
		at += (uint64_t)written;
		size -= (uint64_t)written;
	}
	return 0;
}

/* By way of the mapping, which has no huge pages: most of what is used lies far apart. What goes
 * wrong, on Linux before 5.14 too, the file has a better word for. */
static bool back_mapped(struct arena *arena, uint64_t from, uint64_t size)
{
	return arena->is_mapped && sys_call(SYS_madvise, (long)(arena->bytes + from), (long)size,
	                                    MADV_POPULATE_WRITE, 0, 0, 0) == 0;
}

/* Has memory put behind it: a page that can't be had when it is written is a SIGBUS. */
static int back(struct arena *arena, uint64_t at, uint64_t size)
{
	uint64_t from = at & ~(uint64_t)(PAGE - 1);
	uint64_t to = (at + size + PAGE - 1) & ~(uint64_t)(PAGE - 1);
	int result;

	if (back_mapped(arena, from, to - from))
		return 0;
	do
		result = sys_fallocate(arena->fd, 0, from, to - from);
	while (result == -EINTR);
	if (result < 0 && result != -ENOSPC && result != -ENOMEM && result != -EDQUOT)
		result = write_again(arena, from, to - from);
	if (result == -EDQUOT)
		return -ENOSPC;
	return result == 0 || result == -ENOSPC ? result : -ENOMEM;
}

static bool shape_is_sound(const struct arena_shape *shape)
{
	uint64_t all = shape->size | shape->log | shape->tables;

	return all <= size_max && all % PAGE == 0 && shape->log &&
	       PAGE + shape->log + shape->tables <= shape->size;
}

/* Beyond its end a file is zeros. */
static int read_header(int fd, struct header *ret_header)
{
	ssize_t size;

	memset(ret_header, 0, sizeof *ret_header);
	do
		size = sys_pread(fd, ret_header, sizeof *ret_header, 0);
	while (size == -EINTR);
	return size < 0 ? (int)size : 0;
}

static int grow_file(int fd, uint64_t size)
{
	struct stat status;
	char zero = '\0';
	ssize_t written;
	int result = sys_fstat(fd, &status);

	if (result < 0 || (uint64_t)status.st_size >= size)
		return result;
	if (sys_ftruncate(fd, size) == 0)
		return 0;
	written = sys_pwrite(fd, &zero, 1, size - 1);
	return written < 0 ? (int)written : 0;
}

static bool is_zero(const char *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (bytes[i])
			return false;
	return true;
}

/* What the file has goes to the copy; its holes, and what is only zeros, are there already. */
static int copy_in(struct arena *arena)
{
	char part[PART];
	uint64_t at = 0;

	while (at < arena->shape.size) {
		int64_t data = sys_lseek(arena->fd, at, SEEK_DATA);
		uint64_t left;
		ssize_t got;

		if (data == -ENXIO)
			break;
		if (data > (int64_t)at)
			at = (uint64_t)data;
		if (at >= arena->shape.size)
			break;
		left = arena->shape.size - at;
		got = sys_pread(arena->fd, part, left < PART ? (long)left : PART, at);
		if (got == -EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? (int)got : 0;
		if (!is_zero(part, (size_t)got))
			memcpy(arena->bytes + at, part, (size_t)got);
		at += (uint64_t)got;
	}
	return 0;
}

static int map(struct arena *arena)
{
	const int access = PROT_READ | PROT_WRITE;
	void *bytes = sys_mmap(arena->shape.size, access, MAP_SHARED, arena->fd);

	arena->is_mapped = !sys_is_error(bytes);
	if (!arena->is_mapped)
		bytes = sys_mmap(arena->shape.size, access,
		                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
	if (sys_is_error(bytes))
		return -ENOMEM;
	arena->bytes = bytes;
	if (!arena->is_mapped)
		return copy_in(arena);
	sys_call(SYS_madvise, (long)bytes, (long)arena->shape.size, MADV_NOHUGEPAGE, 0, 0, 0);
	return 0;
}

/* A file without magic is new, or was not finished. */
static int begin(struct arena *arena)
{
	const struct header *header;
	int result = grow_file(arena->fd, arena->shape.size);

	if (result == 0)
		result = map(arena);
	if (result == 0)
		result = back(arena, 0, PAGE + arena->shape.log);
	if (result < 0)
		return result;
	header = header_of(arena);
	put_number(arena, &header->version, ARENA_VERSION);
	put(arena, offsetof(struct header, shape), &arena->shape, sizeof arena->shape);
	put_number(arena, &header->used, 0);
	put_number(arena, &header->backed, heap_of(arena));
	put_number(arena, &header->state.top, heap_of(arena));
	put_number(arena, &header->magic, arena_magic);
	return 0;
}

static int take_over(struct arena *arena, const struct header *header)
{
	struct stat status;

	if (header->magic != arena_magic)
		return -EBADMSG;
	if (header->version != ARENA_VERSION)
		return -EPROTONOSUPPORT;
	if (!shape_is_sound(&header->shape) || sys_fstat(arena->fd, &status) < 0 ||
	    (uint64_t)status.st_size < header->shape.size)
		return -EBADMSG;
	arena->shape = header->shape;
	return map(arena);
}

int arena_init(struct arena *arena, int fd, const struct arena_shape *shape)
{
	struct header header;
	int result = read_header(fd, &header);

	*arena = ARENA_NULL;
	arena->fd = fd;
	if (result == 0 && header.magic) {
		result = take_over(arena, &header);
	} else if (result == 0 && (!shape || !shape_is_sound(shape))) {
		result = -EBADMSG;
	} else if (result == 0) {
		arena->shape = *shape;
		result = begin(arena);
	}
	if (result < 0)
		arena_deinit(arena);
	return result;
}

void arena_deinit(struct arena *arena)
{
	if (arena->bytes)
		sys_give(arena->bytes, arena->shape.size);
	fd_close_at(&arena->fd);
	*arena = ARENA_NULL;
}

uint64_t arena_tables(const struct arena *arena)
{
	return PAGE + arena->shape.log;
}

int arena_claim(struct arena *arena, uint64_t at, size_t size)
{
	if (!is_within(at, size, arena_tables(arena), heap_of(arena)))
		return -ENOSPC;
	return back(arena, at, size);
}

const void *arena_at(const struct arena *arena, uint64_t at, size_t size)
{
	return is_within(at, size, arena_tables(arena), arena->shape.size) ? arena->bytes + at
	                                                                   : NULL;
}

/* What is in the log may be anybody's word. */
static uint64_t log_used(const struct arena *arena)
{
	uint64_t used = read_once(&header_of(arena)->used);

	return used <= arena->shape.log ? used : 0;
}

size_t arena_room(const struct arena *arena)
{
	return arena->overflowed ? 0 : arena->shape.log - log_used(arena);
}

bool arena_has_overflowed(const struct arena *arena)
{
	return arena->overflowed;
}

void arena_set(struct arena *arena, const void *place, const void *bytes, size_t size)
{
	uint64_t at = arena_offset(arena, place);
	const struct step step = {at, size};
	uint64_t used = log_used(arena);
	char *end = arena->bytes + PAGE + used;

	if (!size || arena->overflowed)
		return;
	if (!is_changeable(arena, at, size) || size > arena->shape.log ||
	    arena->shape.log - used < size + sizeof step) {
		arena->overflowed = true;
		return;
	}
	memcpy(end, place, size);
	memcpy(end + size, &step, sizeof step);
	if (!arena->is_mapped)
		write_all(arena->fd, end, PAGE + used, size + sizeof step);
	put_number(arena, &header_of(arena)->used, used + size + sizeof step);
	put(arena, at, bytes, size);
}

void arena_fill(struct arena *arena, const void *place, const void *bytes, size_t size)
{
	uint64_t at = arena_offset(arena, place);

	if (!is_changeable(arena, at, size))
		arena->overflowed = true;
	else if (size)
		put(arena, at, bytes, size);
}

/* The first size that holds it. */
static size_t size_class(size_t size, size_t *ret_block)
{
	size_t block = BLOCK_MIN;
	size_t index = 0;

	/* 64, 128, and then one between each and its double. */
	while (block < size) {
		block = index == 0 ? BLOCK_MIN * 2 : (index & 1 ? block / 2 * 3 : block / 3 * 4);
		index++;
	}
	*ret_block = block;
	return index;
}

static int64_t take_new(struct arena *arena, size_t block)
{
	uint64_t top = read_once(&state_of(arena)->top);
	uint64_t backed = read_once(&header_of(arena)->backed);
	uint64_t more = (top - heap_of(arena)) / 8;
	int result;

	if (top % BLOCK_MIN || !is_within(top, block, heap_of(arena), arena->shape.size))
		return -ENOSPC;
	if (top + block > backed) {
		more = more < BACK_MIN ? BACK_MIN : more > BACK_MAX ? BACK_MAX : more;
		more = (more > block ? more : block) + PAGE;
		if (more > arena->shape.size - top)
			more = arena->shape.size - top;
		more &= ~(uint64_t)(BLOCK_MIN - 1);
		result = back(arena, top, more);
		if (result < 0) {
			more = block;
			result = back(arena, top, more);
		}
		if (result < 0)
			return result;
		put_number(arena, &header_of(arena)->backed, top + more);
	}
	ARENA_SET(arena, state_of(arena)->top, top + block);
	return (int64_t)top;
}

static int64_t take_free(struct arena *arena, size_t index, size_t block)
{
	const struct state *state = state_of(arena);
	uint64_t first = read_once(&state->free[index]);
	const uint64_t *link;

	if (!first && !(arena->given & 1U << index)) {
		first = read_once(&state->given[index]);
		if (first)
			ARENA_SET(arena, state->given[index], 0);
	}
	link = arena_at(arena, first, block);
	if (!link || first < heap_of(arena) || first % BLOCK_MIN)
		return 0;
	ARENA_SET(arena, state->free[index], read_once(link));
	/* Logged, as it will be filled. */
	ARENA_SET(arena, *link, 0);
	return (int64_t)first;
}

int64_t arena_take(struct arena *arena, size_t size)
{
	size_t block;
	size_t index;
	int64_t at;

	if (size > ARENA_TAKE_MAX)
		return -ENOMEM;
	index = size_class(size, &block);
	at = take_free(arena, index, block);
	if (at == 0)
		at = take_new(arena, block);
	if (at > 0)
		ARENA_SET(arena, state_of(arena)->taken, state_of(arena)->taken + 1);
	return arena->overflowed ? -ENOMEM : at;
}

void arena_give(struct arena *arena, uint64_t at, size_t size)
{
	const struct state *state = state_of(arena);
	size_t block;
	size_t index;
	const uint64_t *link;

	if (size > ARENA_TAKE_MAX)
		return;
	index = size_class(size, &block);
	link = arena_at(arena, at, block);
	if (!link || at < heap_of(arena) || at % BLOCK_MIN)
		return;
	ARENA_SET(arena, *link, read_once(&state->given[index]));
	ARENA_SET(arena, state->given[index], at);
	ARENA_SET(arena, state->taken, state->taken - 1);
	arena->given |= 1U << index;
}

bool arena_is_dirty(const struct arena *arena)
{
	return log_used(arena) > 0;
}

static void end_turn(struct arena *arena)
{
	put_number(arena, &header_of(arena)->used, 0);
	arena->overflowed = false;
	arena->given = 0;
}

/* Nothing is taken: the heap begins anew, and its memory goes back. In a turn of its own, which
 * comes to the same whether it is committed or rolled back. */
static void start_anew(struct arena *arena)
{
	enum { KEEP_SIZE = 1, PUNCH_HOLE = 2 };
	const struct header *header = header_of(arena);
	const struct state fresh = {.top = heap_of(arena)};
	uint64_t backed = read_once(&header->backed);

	if (arena_room(arena) < sizeof fresh + sizeof(struct step))
		return;
	arena_set(arena, &header->state, &fresh, sizeof fresh);
	end_turn(arena);
	if (!arena->is_mapped || backed <= heap_of(arena) || backed > arena->shape.size)
		return;
	put_number(arena, &header->backed, heap_of(arena));
	sys_fallocate(arena->fd, PUNCH_HOLE | KEEP_SIZE, heap_of(arena), backed - heap_of(arena));
}

void arena_commit(struct arena *arena)
{
	const struct state *state = state_of(arena);

	if (arena->overflowed) {
		arena_roll_back(arena);
		return;
	}
	end_turn(arena);
	if (!read_once(&state->taken) && read_once(&state->top) > heap_of(arena))
		start_anew(arena);
}

void arena_roll_back(struct arena *arena)
{
	uint64_t used = log_used(arena);
	struct step step;

	while (used >= sizeof step) {
		const char *end = arena->bytes + PAGE + used - sizeof step;

		memcpy(&step, end, sizeof step);
		if (step.size > used - sizeof step ||
		    !is_changeable(arena, step.at, step.size))
			break;
		put(arena, step.at, end - step.size, step.size);
		used -= sizeof step + step.size;
		put_number(arena, &header_of(arena)->used, used);
	}
	end_turn(arena);
}
