/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is ours is judged by letters: an absolute path by its prefix, a relative one by the folder
 * that it begins in, whose path the kernel tells. That is asked only when the working folder, or
 * some folder that is open, may be ours; whether it may be is kept in way_state, and where that is
 * wrong, it says yes: a child of vfork changes its folder and not its parent's, but has its
 * parent's memory. */
#include "preload/way.h"

#include <dirent.h>
#include <string.h>

#include "base/own.h"
#include "base/path.h"
#include "base/text.h"
#include "preload/boot.h"
#include "preload/roads.h"
#include "preload/sysv_proc.h"
#include "preload/way_i.h"

enum {
	IN_OURS = 1,    /* the working folder may be a folder of ours */
	IN_ABOVE = 2,   /* it may be one that a prefix goes through */
	IN_UNKNOWN = 4, /* nobody has looked yet */
};

enum { FOLDERS_UNKNOWN = 2 }; /* nobody has looked at what was open when this was executed */

struct way_state way_state = {
	/* The last for "/proc/self/fd/N/x" and "/proc/sysvipc/shm". */
	.letters = {['.'] = 1, ['/'] = 1, ['d'] = 1, ['p'] = 1},
	/* "/dev/shm", "/dev/fd/N/x"; "/proc/self", "/proc/sysvipc", "/proc/thread-self". */
	.inner = {['.'] = 1, ['/'] = 1, ['\0'] = 1, ['f'] = 1, ['s'] = 1, ['t'] = 1},
	.in_folder = IN_OURS | IN_ABOVE | IN_UNKNOWN,
	.folders = FOLDERS_UNKNOWN,
};

/* Where the kernel says that a folder is. */
struct origin {
	char path[sizeof(struct text)];
};

/* AT_FDCWD: the working folder. False when there is none, or its path is too long to be ours. */
static bool find_origin(int fd, struct origin *ret_origin)
{
	char link[40] = "/proc/thread-self/cwd";
	struct text path = TEXT_NULL;
	ssize_t length;

	if (fd != AT_FDCWD) {
		if (fd < 0)
			return false;
		text_string(&path, "/proc/thread-self/fd/");
		text_number(&path, fd);
		memcpy(link, path.bytes, path.length + 1);
	}
	length = sys_call(SYS_readlinkat, AT_FDCWD, (long)link, (long)ret_origin->path,
	                  sizeof ret_origin->path, 0, 0);
	if (length <= 0 || length >= (ssize_t)sizeof ret_origin->path)
		return false;
	ret_origin->path[length] = '\0';
	return true;
}

static bool take_number(const char **at, unsigned base, uint64_t *ret_number)
{
	static const char digits[] = "0123456789abcdef";
	const char *from = *at;
	const char *found;

	for (*ret_number = 0; **at && (found = memchr(digits, **at, base)); ++*at)
		*ret_number = *ret_number * base + (uint64_t)(found - digits);
	return *at > from;
}

bool way_base_in(const char *path, struct wire_base *ret_base)
{
	const char *at = strrchr(path, '/');
	struct wire_base base;

	if (!at || strncmp(at + 1, WIRE_FOLDER_NAME, strlen(WIRE_FOLDER_NAME)) != 0)
		return false;
	at += 1 + strlen(WIRE_FOLDER_NAME);
	if (!take_number(&at, 10, &base.ino) || *at++ != ':' || !take_number(&at, 16, &base.secret))
		return false;
	/* One that has been removed. */
	if (*at && strcmp(at, " (deleted)") != 0)
		return false;
	*ret_base = base;
	return true;
}

bool way_base_of(int fd, struct wire_base *ret_base)
{
	struct origin origin;

	return find_origin(fd, &origin) && way_base_in(origin.path, ret_base);
}

/* One path through /proc that leads on from a descriptor of this process, or from its working
 * folder. */
static bool take_proc(const char *path, int *ret_fd, const char **ret_rest)
{
	static const char *const folders[] = {
		"/proc/self/fd/", "/dev/fd/", "/proc/thread-self/fd/", "/proc/self/cwd/",
	};
	enum { WORKING = 3 };
	uint64_t number;

	for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
		const char *at = path + strlen(folders[i]);

		if (strncmp(path, folders[i], strlen(folders[i])) != 0)
			continue;
		*ret_fd = AT_FDCWD;
		if (i < WORKING) {
			if (!take_number(&at, 10, &number) || *at != '/' || number > INT_MAX)
				return false;
			*ret_fd = (int)number;
		}
		*ret_rest = at + strspn(at, "/");
		return **ret_rest;
	}
	return false;
}

/* What became of a path that is looked at under one prefix. */
struct finding {
	const char *prefix;
	enum path_kind kind;
	struct path_place place;
};

/* From the host's root on, over `folder` (NULL: none). True: it leads to us, or has been there. */
static bool find_prefix(const char *folder, const char *path, struct finding *ret_finding)
{
	const struct config *config = boot_config();

	for (size_t i = 0; i < config->prefix_count; i++) {
		struct finding finding = {config->prefixes[i], PATH_ABOVE, PATH_ROOT};

		if (folder && path_judge(finding.prefix, folder, &finding.place) == PATH_FOREIGN)
			continue;
		/* A folder of the host's below /dev/shm. */
		if (folder && *finding.place.rest)
			continue;
		finding.kind = path_judge(finding.prefix, path, &finding.place);
		if (finding.kind == PATH_OURS || finding.place.was_ours) {
			*ret_finding = finding;
			return true;
		}
	}
	return false;
}

/* Could a path from a folder above a prefix lead to us? By its first name alone. */
static bool may_come_down(const char *path)
{
	const struct config *config = boot_config();
	size_t length = strcspn(path, "/");

	if (path[0] == '.')
		return true;
	for (size_t i = 0; i < config->prefix_count; i++) {
		const char *found = strstr(config->prefixes[i], "/");

		for (; found; found = strstr(found + 1, "/"))
			if (strncmp(found + 1, path, length) == 0)
				return true;
	}
	return false;
}

/* What of a folder's path is below the mount, where that is known and is not /dev/shm itself, which
 * the kernel does all by itself. NULL: it is elsewhere. */
static const char *below_mount(const char *path)
{
	const struct roads *roads = roads_known();
	size_t length = roads ? strlen(roads->mount) : 0;

	if (!length || strcmp(roads->mount, way_prefix()) == 0 ||
	    strncmp(path, roads->mount, length) != 0 || (path[length] && path[length] != '/'))
		return NULL;
	return path + length + (path[length] == '/');
}

static unsigned judge_folder(void)
{
	struct origin origin;
	struct wire_base base;
	unsigned in = 0;

	if (!find_origin(AT_FDCWD, &origin))
		return 0;
	if (way_base_in(origin.path, &base) || below_mount(origin.path))
		return IN_OURS;
	for (size_t i = 0; i < boot_config()->prefix_count; i++) {
		struct path_place place = PATH_ROOT;

		switch (path_judge(boot_config()->prefixes[i], origin.path, &place)) {
		case PATH_OURS: in |= IN_OURS; break;
		case PATH_ABOVE: in |= IN_ABOVE; break;
		case PATH_FOREIGN: break;
		}
	}
	return in;
}

void way_moved(void)
{
	unsigned in = boot_config()->prefix_count ? judge_folder() : 0;
	unsigned before = way_state.in_folder;

	if (in == before)
		return;
	if ((before & ~in) && !(before & IN_UNKNOWN) && boot_is_borrowed())
		in |= before;
	way_state.in_folder = (unsigned char)in;
}

void way_had_folder(void)
{
	way_state.folders = 1;
}

static bool is_folder(const char *number)
{
	struct wire_base base;
	uint64_t fd;

	return take_number(&number, 10, &fd) && fd <= INT_MAX && way_base_of((int)fd, &base);
}

static bool look_for_folders(void)
{
	OWN_FD list = sys_openat(AT_FDCWD, "/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	_Alignas(struct dirent64) char text[1024];
	bool found = false;
	long size;

	do {
		size = list < 0 ? list :
		       sys_call(SYS_getdents64, list, (long)text, sizeof text, 0, 0, 0);
		for (long at = 0; at < size && !found;) {
			const struct dirent64 *entry = (const void *)(text + at);

			found = is_folder(entry->d_name);
			at += entry->d_reclen;
		}
	} while (size > 0 && !found);
	return found;
}

/* Folders that somebody sends us are not seen; but those that were open when this program was
 * executed. */
static bool has_folders(void)
{
	unsigned char unknown = FOLDERS_UNKNOWN;

	if (way_state.folders == FOLDERS_UNKNOWN)
		atomic_compare_exchange_strong(&way_state.folders, &unknown, look_for_folders());
	return way_state.folders;
}

static bool relative_leads_here(int dirfd, const char *path)
{
	struct finding finding;
	struct origin origin;
	struct wire_base base;

	if (!*path)
		return false;
	if (dirfd == AT_FDCWD) {
		if (way_state.in_folder & IN_UNKNOWN)
			way_moved();
		if (!way_state.in_folder)
			return false;
		if (!(way_state.in_folder & IN_OURS) && !may_come_down(path))
			return false;
	}
	if ((dirfd != AT_FDCWD && !has_folders()) || !find_origin(dirfd, &origin))
		return false;
	return way_base_in(origin.path, &base) ||
	       (dirfd == AT_FDCWD && (below_mount(origin.path) ||
	                              find_prefix(origin.path, path, &finding)));
}

/* The root of this process by way of /proc. */
static const char *skip_root(const char *path)
{
	static const char root[] = "/proc/self/root/";
	size_t length = sizeof root - 1;

	return strncmp(path, root, length) == 0 ? path + length - 1 : path;
}

/* What follows the first prefix and one slash in a path that has no other slash; or NULL. */
static const char *plain_name(const char *path)
{
	const struct config *config = boot_config();
	size_t length = config->prefix_count ? strlen(config->prefixes[0]) : 0;

	if (!length || strncmp(path, config->prefixes[0], length) != 0 || path[length] != '/')
		return NULL;
	return strchr(path + length + 1, '/') ? NULL : path + length + 1;
}

struct known_name way_known_path(const char *path)
{
	const struct roads *roads = roads_known();
	const char *name = roads && !roads->mount[0] ? plain_name(path) : NULL;

	return name ? known_name(name, strlen(name)) : (struct known_name){.bytes = ""};
}

/* Of "/dev/x" and "/proc/x": x, else NULL. */
static const char *inner_of(const char *path)
{
	if (strncmp(path, "/dev/", 5) == 0)
		return path + 5;
	return strncmp(path, "/proc/", 6) == 0 ? path + 6 : NULL;
}

bool way_leads_here(int dirfd, const char *path)
{
	const char *inner = inner_of(path);
	struct finding finding;
	int fd;

	if (!boot_config()->prefix_count || (inner && !way_state.inner[(unsigned char)*inner]))
		return false;
	if (plain_name(path))
		return true;
	if (path[0] != '/')
		return relative_leads_here(dirfd, path);
	/* What is in /proc/sysvipc goes natively, unless it is opened. */
	return find_prefix(NULL, skip_root(path), &finding) || sysv_proc_is(path) ||
	       (take_proc(path, &fd, &path) && relative_leads_here(fd, path));
}

const char *way_prefix(void)
{
	return boot_config()->prefix_count ? boot_config()->prefixes[0] : "/dev/shm";
}

const char *way_mount(void)
{
	const struct roads *roads;

	if (!boot_config()->prefix_count || roads_find(&roads) < 0 || !roads->mount[0])
		return NULL;
	return roads->mount;
}

/* Two parts of a path with a slash between, or -ENAMETOOLONG. */
static int join(struct way_block *block, const char *first, size_t length, const char *rest)
{
	size_t rest_length = strlen(rest);

	if (length + 1 + rest_length >= sizeof block->path)
		return -ENAMETOOLONG;
	memcpy(block->path, first, length);
	block->path[length] = '/';
	memcpy(block->path + length + 1, rest, rest_length + 1);
	block->way.path = block->path;
	return 0;
}

static void set_socket(struct way *way, struct wire_base base, const char *path)
{
	way->kind = WAY_SOCKET;
	way->base = base;
	way->path = path;
}

/* Are there more ".." than names before them? The kernel would go on above the mountpoint then. */
static bool goes_above(const char *path)
{
	long depth = 0;

	for (path += strspn(path, "/"); *path && depth >= 0; path += strspn(path, "/")) {
		size_t length = strcspn(path, "/");

		if (length == 2 && memcmp(path, "..", 2) == 0)
			depth--;
		else if (length != 1 || path[0] != '.')
			depth++;
		path += length;
	}
	return depth < 0;
}

/* A path that goes on from the store's root, or from where it has left it. */
static void set_found(struct way_block *block, const struct finding *finding)
{
	struct way *way = &block->way;
	const char *rest = finding->place.rest;
	const struct roads *roads;

	if (finding->kind != PATH_OURS) {
		way->result = join(block, finding->prefix,
		                   path_length(finding->prefix, finding->place.depth), rest);
		return;
	}
	way->result = roads_find(&roads);
	if (way->result < 0)
		return;
	if (roads->mount[0] && (strcmp(roads->mount, way_prefix()) == 0 || !goes_above(rest)) &&
	    join(block, roads->mount, strlen(roads->mount), rest) == 0) {
		way->by_mount = true;
		way->rest = block->path + strlen(roads->mount) + 1;
		/* Without a slash where there was none. */
		if (!*rest && rest[-1] != '/')
			block->path[strlen(roads->mount)] = '\0';
		return;
	}
	set_socket(way, (struct wire_base){0}, rest);
}

/* A relative path in a working folder on the mount. The kernel goes it, unless it leaves. */
static void set_on_mount(struct way_block *block, const char *folder, const char *path)
{
	struct way *way = &block->way;
	const char *rest = block->path + !*folder;

	if (join(block, folder, strlen(folder), path) < 0)
		return;
	if (goes_above(rest)) {
		set_socket(way, (struct wire_base){0}, rest);
		return;
	}
	way->path = path;
	way->by_mount = true;
	way->rest = rest;
}

static void set_relative(struct way_block *block, int dirfd, const char *path)
{
	struct finding finding;
	struct origin origin;
	struct wire_base base;

	if (!*path || !find_origin(dirfd, &origin))
		return;
	block->way.dirfd = dirfd;
	if (way_base_in(origin.path, &base))
		set_socket(&block->way, base, path);
	else if (dirfd == AT_FDCWD && below_mount(origin.path))
		set_on_mount(block, below_mount(origin.path), path);
	else if (dirfd == AT_FDCWD && find_prefix(origin.path, path, &finding))
		set_found(block, &finding);
}

void way_set(struct way_block *block, int dirfd, const char *path)
{
	struct way *way = &block->way;
	struct finding finding;
	int fd;

	way->result = 0;
	way->kind = WAY_NATIVE;
	way->by_mount = false;
	way->dirfd = dirfd;
	way->path = path;
	if (!boot_config()->prefix_count)
		return;
	if (strnlen(path, PATH_MAX) == PATH_MAX)
		way->result = -ENAMETOOLONG;
	else if (path[0] != '/')
		set_relative(block, dirfd, path);
	else if (find_prefix(NULL, skip_root(path), &finding))
		set_found(block, &finding);
	else if (take_proc(path, &fd, &path))
		set_relative(block, fd, path);
}

void way_set_elsewhere(struct way_block *block)
{
	struct finding finding = {way_prefix(), PATH_OURS, PATH_ROOT};

	if (block->before[0] == '/') {
		way_set(block, AT_FDCWD, block->before);
		return;
	}
	block->way.result = 0;
	block->way.kind = WAY_NATIVE;
	block->way.by_mount = false;
	block->way.dirfd = AT_FDCWD;
	path_judge(finding.prefix, finding.prefix, &finding.place);
	finding.kind = path_judge(finding.prefix, block->before, &finding.place);
	set_found(block, &finding);
}

__attribute__((constructor)) static void construct(void)
{
	const struct config *config = boot_config();

	if (!config->prefix_count)
		memset((void *)&way_state, 0, sizeof way_state);
	for (size_t i = 0; i < config->prefix_count; i++) {
		const char *prefix = config->prefixes[i];
		const char *inner = inner_of(prefix);

		way_state.letters[(unsigned char)prefix[1]] = 1;
		if (inner && *inner && *inner != '/')
			way_state.inner[(unsigned char)*inner] = 1;
		else if (strchr("dp./", prefix[1]))
			memset((void *)&way_state.inner, 1, sizeof way_state.inner);
	}
}
