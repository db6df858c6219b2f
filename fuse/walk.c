/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* After Linux's link_path_walk: a folder must grant search before anything is looked up in it,
 * "." and ".." too. A link's text is put before what is left of the path, which is then gone on
 * with. */
#include "fuse/walk.h"

#include <errno.h>
#include <string.h>

#include "base/name.h"
#include "fuse/judge.h"
#include "fuse/store.h"
#include "fuse/store_i.h"

/* A path has some 2,000 components at most, and each of forty links as many again, in a daemon that
 * serves others too: beyond this it is a loop. */
enum { LINKS_MAX = 40, STEPS_MAX = 8192 };

struct walker {
	struct store *store;
	const struct store_actor *actor;
	enum walk_end end;
	struct walk *walk;
	const char *rest; /* in walk->text */
	unsigned links;
	unsigned steps;
};

static bool is_last(const struct walker *walker)
{
	return walker->rest[strspn(walker->rest, "/")] == '\0';
}

static int may_search(const struct walker *walker, const struct store_node *folder)
{
	struct stat status;
	int result;

	if (!S_ISDIR(store_node_type(folder)))
		return -ENOTDIR;
	result = store_node_stat(folder, &status);
	return result < 0 ? result : judge_access(walker->actor, &status, JUDGE_SEARCH);
}

/* Puts `text` before what is left. The last part of the path that it takes the place of is over. */
static int put_before(struct walker *walker, const char *text, size_t length, bool separate)
{
	size_t left = strlen(walker->rest) + 1;
	size_t room = sizeof walker->walk->text;

	if (length + separate + left > room)
		return -ENAMETOOLONG;
	memmove(walker->walk->text + length + separate, walker->rest, left);
	memcpy(walker->walk->text, text, length);
	if (separate)
		walker->walk->text[length] = '/';
	walker->rest = walker->walk->text;
	return 0;
}

/* fs.protected_symlinks: a stranger's link in a folder where everybody may leave one is followed by
 * nobody. That goes for links that a path ends in, as in Linux. */
static int may_follow(const struct walker *walker, const struct store_node *folder,
                      const struct store_node *link)
{
	struct stat sticky;
	struct stat status;

	if (!walker->store->protected.links || !is_last(walker))
		return 0;
	if (store_node_stat(folder, &sticky) < 0 || store_node_stat(link, &status) < 0)
		return -EACCES;
	if (status.st_uid == walker->actor->uid || status.st_uid == sticky.st_uid)
		return 0;
	return (sticky.st_mode & (S_ISVTX | S_IWOTH)) == (S_ISVTX | S_IWOTH) ? -EACCES : 0;
}

static int follow(struct walker *walker, struct store_node *folder, struct store_node *link)
{
	char text[WIRE_PATH_MAX + 1];
	ssize_t length;
	int result;

	if (++walker->links > LINKS_MAX)
		return -ELOOP;
	result = may_follow(walker, folder, link);
	if (result < 0)
		return result;
	length = store_node_readlink(link, text, WIRE_PATH_MAX);
	if (length <= 0)
		return length < 0 ? (int)length : -ENOENT;
	/* Links that lead to ever longer paths lead to themselves. */
	if (put_before(walker, text, (size_t)length, walker->rest[0] != '\0') < 0)
		return -ELOOP;
	return text[0] == '/' ? WALK_ELSEWHERE : 0;
}

/* One more "..", than there are folders. With a slash, even at the end: see WIRE_ELSEWHERE. */
static int leave(struct walker *walker)
{
	int result = put_before(walker, "..", 2, true);

	return result < 0 ? result : WALK_ELSEWHERE;
}

/* The next component; its length. What follows it is left. */
static size_t take(struct walker *walker, const char **ret_part)
{
	const char *part = walker->rest + strspn(walker->rest, "/");
	size_t length = strcspn(part, "/");

	*ret_part = part;
	walker->rest = part + length;
	return length;
}

/* "." or "..": a folder all the same. */
static int step_dots(struct walker *walker, size_t length)
{
	struct walk *walk = walker->walk;

	if (length == 2 && store_node_ino(walk->folder) == STORE_ROOT_INO)
		return leave(walker);
	if (length == 2)
		walk->folder = store_node_parent(walk->folder);
	if (!walk->folder)
		return -ENOENT;
	walk->node = walk->folder;
	walk->last = length == 2 ? WALK_DOT_DOT : WALK_DOT;
	return 0;
}

static bool is_to_follow(const struct walker *walker, const struct store_node *node)
{
	if (!node || !S_ISLNK(store_node_type(node)))
		return false;
	if (!is_last(walker))
		return true;
	if (walker->end == WALK_PARENT)
		return false;
	if (walker->end == WALK_CREATE)
		return walker->rest[0] != '/';
	return walker->end == WALK_FOLLOW || walker->rest[0] == '/';
}

static int step_name(struct walker *walker, const char *part, size_t length)
{
	struct walk *walk = walker->walk;

	walk->too_long = length > NAME_LENGTH_MAX;
	if (walk->too_long && !is_last(walker))
		return -ENAMETOOLONG;
	memcpy(walk->name, part, walk->too_long ? 0 : length);
	walk->name[walk->too_long ? 0 : length] = '\0';
	walk->node = store_lookup(walker->store, walk->folder, walk->name);
	walk->last = WALK_NAME;
	if (is_to_follow(walker, walk->node))
		return follow(walker, walk->folder, walk->node);
	walk->slash = walker->rest[0] == '/';
	if (is_last(walker))
		return 0;
	if (!walk->node)
		return -ENOENT;
	walk->folder = walk->node;
	return 0;
}

static int step(struct walker *walker)
{
	const char *part;
	size_t length = take(walker, &part);
	int result;

	/* Slashes at the end of what a link has left behind. */
	if (!length)
		return 0;
	if (++walker->steps > STEPS_MAX)
		return -ELOOP;
	result = may_search(walker, walker->walk->folder);
	if (result < 0)
		return result;
	if (part[0] == '.' && (length == 1 || (length == 2 && part[1] == '.')))
		return step_dots(walker, length);
	return step_name(walker, part, length);
}

int walk_check_name(const struct walk *walk)
{
	return walk->too_long ? -ENAMETOOLONG : 0;
}

int walk_path(struct store *store, const struct store_actor *actor, struct store_node *from,
              const char *path, size_t length, enum walk_end end, struct walk *walk)
{
	struct walker walker = {
		.store = store,
		.actor = actor,
		.end = end,
		.walk = walk,
		.rest = walk->text,
	};
	int result = 0;

	if (length > WIRE_PATH_MAX)
		return -ENAMETOOLONG;
	memcpy(walk->text, path, length);
	walk->text[length] = '\0';
	walk->folder = walk->node = from;
	walk->last = WALK_ITSELF;
	walk->slash = walk->too_long = false;
	walk->name[0] = '\0';
	while (result == 0 && !is_last(&walker))
		result = step(&walker);
	return result;
}
