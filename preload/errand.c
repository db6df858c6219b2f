/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Calls on their way. What they need of memory is mapped, and a few blocks are kept: whoever takes
 * one has it alone, so there is no lock, and a thread that ends on the way loses it and no more. */
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

#include "base/name.h"
#include "base/own.h"
#include "base/text.h"
#include "preload/ask.h"
#include "preload/roads.h"
#include "preload/taken.h"
#include "preload/way_i.h"

enum { SPARE_MAX = 4 };

static _Atomic(struct way_block *) spare[SPARE_MAX];

static struct way_block *take_block(void)
{
	struct way_block *block = NULL;

	for (int i = 0; i < SPARE_MAX && !block; i++)
		block = atomic_exchange(&spare[i], NULL);
	if (!block)
		block = sys_mmap(sizeof *block, PROT_READ | PROT_WRITE,
		                 MAP_PRIVATE | MAP_ANONYMOUS, -1);
	if (sys_is_error(block))
		return NULL;
	block->way = (struct way){.stand_in = -1, .text = block->text};
	return block;
}

static void put_block(void *argument)
{
	struct way_block *block = argument;
	struct way_block *none = NULL;

	fd_close_at(&block->way.stand_in);
	for (int i = 0; i < SPARE_MAX; i++, none = NULL)
		if (atomic_compare_exchange_strong(&spare[i], &none, block))
			return;
	sys_give(block, sizeof *block);
}

static struct way_block *block_of(struct way *way)
{
	return (struct way_block *)((char *)way - offsetof(struct way_block, way));
}

/* The daemon's last answer was that the path leads elsewhere. */
static long go_elsewhere(struct way *way, const struct way *teller, size_t length)
{
	struct way_block *block = block_of(way);

	if (++way->turns >= WAY_TURNS_MAX)
		return -ELOOP;
	if (length >= sizeof block->before)
		return -ENAMETOOLONG;
	memcpy(block->before, teller->text, length);
	block->before[length] = '\0';
	way_set_elsewhere(block);
	return WAY_AGAIN;
}

static void add_place(struct client_places *places, int at, const struct way *way)
{
	places->places.base[at] = way->base;
	places->places.length[at] = (uint16_t)strlen(way->path);
	places->paths[at] = way->path;
}

long way_ask(struct way *way, struct wire_request *request, struct client_answer *ret_answer)
{
	struct client_places places = {.places.device = way->device, .file = way->file};
	struct way *teller = way;
	long result;

	add_place(&places, 0, way);
	if (way->other) {
		add_place(&places, 1, way->other);
	} else if (way->content) {
		places.places.length[1] = (uint16_t)strlen(way->content);
		places.paths[1] = way->content;
	}
	ret_answer->text = way->text;
	ret_answer->text_room = WIRE_TEXT_MAX + 1;
	result = ask_places(request, &places, ret_answer);
	if (result != WIRE_ELSEWHERE)
		return result;
	if (way->other && ret_answer->told.which == 1)
		way = way->other;
	return go_elsewhere(way, teller, ret_answer->told.text_length);
}

/* 0: it is none of the root folder's. */
static size_t root_name_length(const struct way *way)
{
	size_t length = strlen(way->path);

	return !way->base.ino && name_is_valid(way->path, length) ? length : 0;
}

bool way_root_name(const struct way *way, struct name *ret_name)
{
	ret_name->length = root_name_length(way);
	memcpy(ret_name->bytes, way->path, ret_name->length);
	ret_name->bytes[ret_name->length] = '\0';
	return ret_name->length != 0;
}

struct known_name way_known_name(const struct way *way)
{
	size_t length = root_name_length(way);

	return length ? known_name(way->path, length) : (struct known_name){.bytes = ""};
}

long way_find(struct way *way, bool nofollow, struct wire_stat *ret_stat)
{
	struct wire_request request = wire_request_make(WIRE_LOOKUP);
	struct client_answer answer;
	long result;

	request.flags = WIRE_WANT_FILE | (nofollow ? 0 : WIRE_FOLLOW);
	result = way_ask(way, &request, &answer);
	if (result < 0)
		return result;
	fd_close_at(&way->stand_in);
	way->stand_in = answer.fd;
	*ret_stat = answer.told.stat;
	return 0;
}

struct way_fd_path way_fd_path(int fd)
{
	struct way_fd_path path;
	struct text text = TEXT_NULL;

	text_string(&text, "/proc/thread-self/fd/");
	text_number(&text, fd);
	memcpy(path.bytes, text.bytes, text.length + 1);
	return path;
}

/* What a thread that is cancelled on the way leaves is put away. */
static long go_natively(struct way_block *block, const struct errand *errand, int dirfd,
                        const char *path, bool nofollow)
{
	long result;

	if (block->way.by_mount)
		taken_note(TRACED_MOUNT);
	pthread_cleanup_push(put_block, block);
	result = errand->natively(errand, dirfd, path, nofollow);
	pthread_cleanup_pop(0);
	return result;
}

long way_natively(struct way *way, const struct errand *errand)
{
	struct way_fd_path path = way_fd_path(way->stand_in);

	return go_natively(block_of(way), errand, AT_FDCWD, path.bytes, false);
}

static long go_by_stand_in(struct way *way, const struct errand *errand)
{
	struct wire_stat ignored;
	long result = way_find(way, errand->nofollow, &ignored);

	return result < 0 ? result : way_natively(way, errand);
}

/* Failed because the mount is gone? Then there is another road. */
static bool lost_mount(struct way *way, long result)
{
	const struct roads *roads;

	if (!way->by_mount || result >= 0 || way->turns >= WAY_TURNS_MAX)
		return false;
	if (result != -ENOTCONN && result != -ENOENT && result != -ENOTDIR &&
	    result != -ECONNABORTED)
		return false;
	if (roads_find(&roads) == 0 && roads->mount[0] && roads_has_mount(roads))
		return false;
	roads_forget();
	way->turns++;
	return true;
}

/* On the mount the kernel takes a link out of the store, such as one to /dev/shm/x, for a path of
 * the host's, and finds nothing there. Does it lead elsewhere? Then the way is set to that. */
static bool leads_elsewhere(struct way *way, long result, bool follow)
{
	struct wire_request request = wire_request_make(WIRE_LOOKUP);
	struct client_answer answer;
	const char *path = way->path;

	if (!way->by_mount || (result != -ENOENT && result != -ENOTDIR))
		return false;
	request.flags = follow ? WIRE_FOLLOW : 0;
	way->base = (struct wire_base){0};
	way->other = NULL;
	way->path = way->rest;
	if (way_ask(way, &request, &answer) == WAY_AGAIN)
		return true;
	way->path = path;
	return false;
}

static long go_served(struct way_block *block, const struct errand *errand)
{
	struct way *way = &block->way;
	long result;

	taken_note(TRACED_LIBRARY);
	result = errand->served ? errand->served(errand, way) : go_by_stand_in(way, errand);
	/* The daemon knows nothing of a folder that has been removed; whoever has it has that. */
	if (result == -ENOENT && way->base.ino && strcmp(way->path, ".") == 0)
		result = go_natively(block, errand, way->dirfd, way->path, errand->nofollow);
	return result;
}

static long go(struct way_block *block, int dirfd, const char *path, const struct errand *errand)
{
	struct way *way = &block->way;
	long result;

	way_set(block, dirfd, path);
	do {
		if (way->result < 0)
			return way->result;
		if (way->kind == WAY_NATIVE)
			result = go_natively(block, errand, way->dirfd, way->path,
			                     errand->nofollow);
		else
			result = go_served(block, errand);
		if (lost_mount(way, result)) {
			way_set(block, dirfd, path);
			result = WAY_AGAIN;
		} else if (leads_elsewhere(way, result, !errand->nofollow)) {
			result = WAY_AGAIN;
		}
	} while (result == WAY_AGAIN);
	return result;
}

long way_go(int dirfd, const char *path, const struct errand *errand)
{
	int before = errno;
	struct way_block *block = take_block();
	long result = -ENOMEM;

	if (block) {
		result = go(block, dirfd, path, errand);
		put_block(block);
	}
	errno = before;
	return result;
}

long way_go_base(const struct wire_base *base, const struct errand *errand)
{
	int before = errno;
	struct way_block *block = take_block();
	long result = -ENOMEM;

	if (block) {
		block->way.kind = WAY_SOCKET;
		block->way.base = *base;
		block->way.path = "";
		result = errand->served(errand, &block->way);
		put_block(block);
	}
	errno = before;
	return result;
}

static long go_two_natively(struct way_block *const blocks[2], const struct errand_two *errand)
{
	const int dirfds[2] = {blocks[0]->way.dirfd, blocks[1]->way.dirfd};
	const char *const paths[2] = {blocks[0]->way.path, blocks[1]->way.path};

	if (blocks[0]->way.by_mount || blocks[1]->way.by_mount)
		taken_note(TRACED_MOUNT);
	/* No such call is a cancellation point. */
	return errand->natively(errand, dirfds, paths);
}

/* One path leads to the daemon, the other does not. Unless the first leads out of the store again,
 * they are on different filesystems. */
static long part_ways(struct way *way, bool follow)
{
	struct wire_request request = wire_request_make(WIRE_LOOKUP);
	struct client_answer answer;

	request.flags = follow ? WIRE_FOLLOW : 0;
	way->other = NULL;
	return way_ask(way, &request, &answer) == WAY_AGAIN ? WAY_AGAIN : -EXDEV;
}

/* The daemon knows both ends of what leads by the mount at one and not at the other. */
static void leave_mount(struct way *way, const struct way *other)
{
	if (!way->by_mount || other->kind != WAY_SOCKET)
		return;
	way->by_mount = false;
	way->kind = WAY_SOCKET;
	way->base = (struct wire_base){0};
	way->path = way->rest;
}

static long try_two(struct way_block *const blocks[2], const struct errand_two *errand)
{
	struct way *way = &blocks[0]->way;
	struct way *other = &blocks[1]->way;

	if (way->result < 0 || other->result < 0)
		return way->result < 0 ? way->result : other->result;
	leave_mount(way, other);
	leave_mount(other, way);
	if (way->kind != other->kind)
		return way->kind == WAY_SOCKET ? part_ways(way, errand->follow) :
		                                 part_ways(other, false);
	if (way->kind == WAY_NATIVE)
		return go_two_natively(blocks, errand);
	way->other = other;
	return errand->served(errand, way);
}

static long go_two(struct way_block *const blocks[2], const int dirfds[2],
                   const char *const paths[2], const struct errand_two *errand)
{
	long result;

	way_set(blocks[0], dirfds[0], paths[0]);
	way_set(blocks[1], dirfds[1], paths[1]);
	do {
		result = try_two(blocks, errand);
		if (lost_mount(&blocks[0]->way, result) || lost_mount(&blocks[1]->way, result)) {
			way_set(blocks[0], dirfds[0], paths[0]);
			way_set(blocks[1], dirfds[1], paths[1]);
			result = WAY_AGAIN;
		} else if (leads_elsewhere(&blocks[0]->way, result, errand->follow) ||
		           leads_elsewhere(&blocks[1]->way, result, false)) {
			result = WAY_AGAIN;
		}
	} while (result == WAY_AGAIN);
	return result;
}

long way_go_two(const int dirfds[2], const char *const paths[2], const struct errand_two *errand)
{
	int before = errno;
	struct way_block *const blocks[2] = {take_block(), take_block()};
	long result = -ENOMEM;

	if (!paths[0] || !paths[1])
		result = -EFAULT;
	else if (blocks[0] && blocks[1])
		result = go_two(blocks, dirfds, paths, errand);
	for (int i = 0; i < 2; i++)
		if (blocks[i])
			put_block(blocks[i]);
	errno = before;
	return result;
}
