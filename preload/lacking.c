/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is mapped where only /proc tells. */
#include "preload/lacking.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "base/own.h"
#include "preload/backing.h"
#include "preload/host.h"
#include "preload/maps.h"
#include "preload/resize.h"
#include "preload/way.h"

#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24 /* Linux 5.18 */
#endif

enum { LINE_SIZE = 512, BUFFER_SIZE = 4096, VECTOR_SIZE = 1024, FDS_MAX = 4096 };

/* A file of text, line by line. */
struct lines {
	int fd;
	size_t from, to;
	char bytes[BUFFER_SIZE];
};

/* The next line, cut at LINE_SIZE. Returns false at the end. */
static bool next_line(struct lines *lines, char *line)
{
	size_t length = 0;

	for (;;) {
		char byte;

		if (lines->from == lines->to) {
			ssize_t had = sys_read(lines->fd, lines->bytes, sizeof lines->bytes);

			if (had <= 0)
				return false;
			lines->from = 0;
			lines->to = (size_t)had;
		}
		byte = lines->bytes[lines->from++];
		if (byte == '\n')
			break;
		if (length < LINE_SIZE - 1)
			line[length++] = byte;
	}
	line[length] = '\0';
	return true;
}

static uint64_t number(const char **at, int base)
{
	char *end;
	uint64_t value = strtoull(*at, &end, base);

	*at = *end ? end + 1 : end;
	return value;
}

/* "start-end perms offset major:minor inode path"; a line of smaps that is none is false. */
static bool parse(const char *line, struct mapping *mapping)
{
	const char *dash = strchr(line, '-'), *at = line, *perms;
	unsigned major_number;

	if (!dash || dash > line + 16)
		return false;
	*mapping = (struct mapping){.start = number(&at, 16)};
	mapping->end = number(&at, 16);
	perms = at;
	if (strlen(perms) < 5)
		return false;
	mapping->protection = (perms[0] == 'r' ? PROT_READ : 0) |
			      (perms[1] == 'w' ? PROT_WRITE : 0) |
			      (perms[2] == 'x' ? PROT_EXEC : 0);
	mapping->is_shared = perms[3] == 's';
	at = perms + 5;
	mapping->offset = (off_t)number(&at, 16);
	major_number = (unsigned)number(&at, 16);
	mapping->device = makedev(major_number, (unsigned)number(&at, 16));
	mapping->inode = number(&at, 10);
	mapping->is_file = mapping->inode != 0;
	at += strspn(at, " ");
	strncpy(mapping->path, at, sizeof mapping->path - 1);
	return true;
}

bool lacking_find(uintptr_t address, bool all, struct mapping *ret_mapping)
{
	const char *path = all ? "/proc/self/smaps" : "/proc/self/maps";
	OWN_FD file = sys_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
	struct lines lines = {.fd = file};
	char line[LINE_SIZE];
	bool found = false;

	if (file < 0)
		return false;
	while (!found && next_line(&lines, line))
		found = parse(line, ret_mapping) && ret_mapping->end > address;
	while (found && all && next_line(&lines, line) && strncmp(line, "VmFlags:", 8) != 0)
		continue;
	if (found && all)
		ret_mapping->is_locked = strstr(line, " lo") != NULL;
	return found;
}

/* The kernel knows of a hole, whatever is mapped. */
bool lacking_is_mapped(const struct range *range)
{
	unsigned char vector[VECTOR_SIZE];
	uintptr_t at = range->start;

	if (views_have_gone(range))
		return false;
	while (at < range_end(range)) {
		size_t length = range_end(range) - at;

		if (length > (size_t)VECTOR_SIZE * VIEW_PAGE)
			length = (size_t)VECTOR_SIZE * VIEW_PAGE;
		if (sys_call(SYS_mincore, (long)at, (long)length, (long)vector, 0, 0, 0) == -ENOMEM)
			return false;
		at += length;
	}
	return true;
}

/* Nothing is mapped there but what is gone. */
static bool is_free(const struct range *range)
{
	struct mapping mapping;
	uintptr_t at = range->start;

	while (at < range_end(range) && lacking_find(at, false, &mapping) &&
	       mapping.start < range_end(range)) {
		struct range part = {at > mapping.start ? at : mapping.start, 0};
		uintptr_t end = mapping.end < range_end(range) ? mapping.end : range_end(range);

		part.length = end - part.start;
		if (!views_are_gone(&part))
			return false;
		at = end;
	}
	return true;
}

uintptr_t lacking_place(const void *address, size_t length, int flags)
{
	struct range range = range_of(address, length);

	if (range.length == 0 || (flags & MAP_HUGETLB) ||
	    ((flags & MAP_FIXED) && !(flags & MAP_FIXED_NOREPLACE)))
		return 0;
	if (address && !(range.start & (VIEW_PAGE - 1)) && views_have_gone(&range) &&
	    is_free(&range))
		return range.start;
	return address || (flags & MAP_FIXED_NOREPLACE) ? 0 : views_find_gone(range.length);
}

static bool is_file_of(int fd, const struct mapping *mapping)
{
	struct stat status;

	return sys_fstat(fd, &status) == 0 && status.st_dev == mapping->device &&
	       status.st_ino == mapping->inode;
}

/* What a mapping like it needs. */
static int access_of(const struct mapping *mapping)
{
	return mapping->is_shared && (mapping->protection & PROT_WRITE) ? O_RDWR : O_RDONLY;
}

/* A file that is mapped. */
struct loan {
	int fd;                  /* the program's, or the backing's; or -errno */
	struct backing *backing; /* NULL: none */
};

static void give_back(struct loan *loan)
{
	if (loan->backing)
		backing_leave(loan->backing);
}

/* For one call: what it may open or hold goes back at the end of its scope. */
#define LOAN __attribute__((cleanup(give_back))) struct loan

/* A descriptor that the program still has, as it is: a copy of it, closed again, would take the
 * program's record locks away. Else by its path, and kept as long as somebody has locked it. */
static void borrow(const struct mapping *mapping, int access, struct loan *ret_loan)
{
	struct stat status = {.st_dev = mapping->device, .st_ino = mapping->inode};
	int result;

	for (int fd = 0; fd < FDS_MAX; fd++) {
		int has = is_file_of(fd, mapping) ? sys_fcntl(fd, F_GETFL, 0) : -1;

		if (has >= 0 &&
		    ((has & O_ACCMODE) == O_RDWR || (has & O_ACCMODE) == access) &&
		    !(has & O_PATH)) {
			ret_loan->fd = fd;
			return;
		}
	}
	result = backing_open_path(mapping->path, access, &status, &ret_loan->backing);
	ret_loan->fd = result < 0 ? result : ret_loan->backing->fd;
}

/* Its pages are given back; the addresses are kept for what is mapped next. */
int lacking_munmap(const struct range *range)
{
	struct view gone = {.start = range->start, .length = range->length, .kind = VIEW_GONE};
	long result = host_mmap((void *)range->start, range->length, PROT_NONE,
	                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
	struct view *before;

	if (sys_is_error((void *)result))
		return -ENOMEM;
	views_cut(range);
	views_forget(range);
	before = gone.start ? views_first(gone.start - 1) : NULL;
	if (before && before->kind == VIEW_GONE && view_end(before) == gone.start)
		before->length += gone.length;
	else
		views_add(&gone);
	return 0;
}

bool lacking_is_locked(const struct range *range)
{
	struct mapping mapping;
	uintptr_t at = range->start;

	while (at < range_end(range) && lacking_find(at, true, &mapping) &&
	       mapping.start < range_end(range)) {
		if (mapping.is_locked)
			return true;
		at = mapping.end;
	}
	return false;
}

/* What is mapped natively is in the kernel's cache of the file: to the disk it goes by
 * fdatasync. */
int lacking_msync(const struct range *range, int flags)
{
	struct mapping mapping;
	uintptr_t at = range->start;

	if (!lacking_is_mapped(range))
		return -ENOMEM;
	if ((flags & MS_INVALIDATE) && lacking_is_locked(range))
		return -EBUSY;
	while ((flags & MS_SYNC) && at < range_end(range) && lacking_find(at, false, &mapping) &&
	       mapping.start < range_end(range)) {
		LOAN file = {.fd = -1};

		at = mapping.end;
		if (!mapping.is_shared || !mapping.is_file)
			continue;
		borrow(&mapping, access_of(&mapping), &file);
		if (file.fd < 0)
			sys_call(SYS_sync, 0, 0, 0, 0, 0, 0);
		else if (sys_call(SYS_fdatasync, file.fd, 0, 0, 0, 0, 0) == -EIO)
			return -EIO;
	}
	return 0;
}

static int clear_mapping(const struct mapping *mapping, const struct range *range)
{
	uintptr_t start = mapping->start > range->start ? mapping->start : range->start;
	uintptr_t end = mapping->end < range_end(range) ? mapping->end : range_end(range);
	LOAN file = {.fd = -1};
	int flags = MAP_FIXED | MAP_PRIVATE;
	long result;

	if (mapping->is_shared)
		return 0;
	if (mapping->is_file)
		borrow(mapping, access_of(mapping), &file);
	if (mapping->is_file && file.fd < 0)
		return -ENOMEM;
	if (!mapping->is_file)
		flags |= MAP_ANONYMOUS;
	result = host_mmap((void *)start, end - start, mapping->protection, flags, file.fd,
	                   mapping->is_file ?
	                   mapping->offset + (off_t)(start - mapping->start) : 0);
	return sys_is_error((void *)result) ? -ENOMEM : 0;
}

/* MADV_DONTNEED: what is private is as if mapped anew. */
static int drop(const struct range *range)
{
	struct mapping mapping;
	uintptr_t at = range->start;

	while (at < range_end(range) && lacking_find(at, false, &mapping) &&
	       mapping.start < range_end(range)) {
		int result = clear_mapping(&mapping, range);

		if (result < 0)
			return result;
		at = mapping.end;
	}
	return 0;
}

static int punch(const struct range *range)
{
	struct mapping mapping;
	LOAN file = {.fd = -1};

	if (!lacking_find(range->start, false, &mapping) || mapping.start > range->start)
		return -ENOMEM;
	if (!mapping.is_file)
		return -EINVAL;
	if (mapping.is_shared)
		borrow(&mapping, O_RDWR, &file);
	if (file.fd < 0)
		return -EACCES;
	return resize_allocate(file.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
	                       mapping.offset + (off_t)(range->start - mapping.start),
	                       (off_t)range->length) < 0 ? -EINVAL : 0;
}

int lacking_madvise(const struct range *range, int advice)
{
	bool is_mapped = lacking_is_mapped(range);
	struct mapping mapping;
	int result = 0;

	/* No hint: who asks for it goes by its effect. */
	if (advice == MADV_WIPEONFORK)
		return -EINVAL;
	if (advice == MADV_DONTNEED && lacking_is_locked(range))
		return -EINVAL;
	if (advice == MADV_DONTNEED || advice == MADV_DONTNEED_LOCKED)
		result = drop(range);
	else if (advice == MADV_REMOVE)
		result = punch(range);
	else if (advice == MADV_FREE && lacking_find(range->start, false, &mapping) &&
	         mapping.start <= range->start && (mapping.is_shared || mapping.is_file))
		result = -EINVAL;
	return is_mapped || result < 0 ? result : -ENOMEM;
}

/* Natively mapped, to be moved or made larger: mapped anew, if its file can be had. */
static long move(const struct mapping *mapping, const struct range *range, size_t new_size,
                 int flags, void *new_address)
{
	off_t offset = mapping->offset + (off_t)(range->start - mapping->start);
	int how = mapping->is_shared ? MAP_SHARED : MAP_PRIVATE;
	LOAN file = {.fd = -1};
	long result;

	if (mapping->is_file)
		borrow(mapping, access_of(mapping), &file);
	if (mapping->is_file && file.fd < 0)
		return -ENOMEM;
	if (flags & MREMAP_FIXED)
		how |= MAP_FIXED;
	if (!mapping->is_file)
		how |= MAP_ANONYMOUS;
	result = host_mmap(flags & MREMAP_FIXED ? new_address : NULL, new_size,
	                   mapping->protection | (mapping->is_shared ? 0 : PROT_WRITE), how,
	                   file.fd, mapping->is_file ? offset : 0);
	if (sys_is_error((void *)result))
		return -ENOMEM;
	if (!mapping->is_shared) {
		size_t size = new_size < range->length ? new_size : range->length;

		memcpy((void *)result, (const void *)range->start, size);
		host_mprotect((void *)result, new_size, mapping->protection);
	}
	if (flags & MREMAP_DONTUNMAP)
		drop(range);
	else if (range->length)
		protect_unmap_locked((void *)range->start, range->length);
	return result;
}

/* In its place, if there is room: the kernel makes one mapping of two that go together. */
static bool grow(const struct mapping *mapping, const struct range *range, size_t new_size)
{
	struct range more = {range_end(range), new_size - range->length};
	int flags = (mapping->is_shared ? MAP_SHARED : MAP_PRIVATE) | MAP_FIXED_NOREPLACE;
	LOAN file = {.fd = -1};
	long result;

	if (more.start != mapping->end || (mapping->is_shared && !mapping->is_file))
		return false;
	if (mapping->is_file)
		borrow(mapping, access_of(mapping), &file);
	if (mapping->is_file && file.fd < 0)
		return false;
	if (lacking_place((void *)more.start, more.length, flags))
		flags |= MAP_FIXED;
	if (!mapping->is_file)
		flags |= MAP_ANONYMOUS;
	if (flags & MAP_FIXED)
		flags &= ~MAP_FIXED_NOREPLACE;
	result = host_mmap((void *)more.start, more.length, mapping->protection, flags, file.fd,
	                   mapping->is_file ?
	                   mapping->offset + (off_t)(more.start - mapping->start) : 0);
	if (sys_is_error((void *)result))
		return false;
	views_cut(&more);
	views_forget(&more);
	return true;
}

bool lacking_grow(const struct range *range, size_t new_size)
{
	struct range more = {range_end(range), new_size - range->length};
	struct mapping mapping;

	return new_size > range->length && views_have_gone(&more) &&
	       lacking_find(range->start, false, &mapping) && mapping.start <= range->start &&
	       grow(&mapping, range, new_size);
}

long lacking_mremap(const struct range *range, size_t new_size, int flags, void *new_address)
{
	bool is_to_move = flags & (MREMAP_FIXED | MREMAP_DONTUNMAP);
	struct mapping mapping;

	if (!lacking_find(range->start, false, &mapping) || mapping.start > range->start)
		return -EFAULT;
	if (range->length == 0 && !mapping.is_shared)
		return -EINVAL;
	if (!is_to_move && range->length && new_size <= range->length) {
		if (new_size < range->length)
			protect_unmap_locked((void *)(range->start + new_size),
			                     range->length - new_size);
		return (long)range->start;
	}
	if (range_end(range) > mapping.end)
		return -EFAULT;
	if (!is_to_move && range->length && grow(&mapping, range, new_size))
		return (long)range->start;
	if (!(flags & MREMAP_MAYMOVE))
		return -ENOMEM;
	return move(&mapping, range, new_size, flags, new_address);
}
