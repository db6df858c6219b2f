/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The operations on paths: each goes its paths (walk.c), and does what its call does (tree.c). */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/name.h"
#include "fuse/door_i.h"
#include "fuse/judge.h"
#include "fuse/marks.h"
#include "fuse/peer.h"
#include "fuse/tree.h"
#include "fuse/walk.h"

static struct store *store_of(const struct call *call)
{
	return call->connection->door->store;
}

static void init_peer(struct peer *peer, const struct call *call)
{
	peer_init(peer, &call->sender, call->connection->source.fd);
}

/* Whoever knows a folder's secret has it open. */
static struct store_node *find_base(struct store *store, const struct wire_base *base)
{
	struct store_node *node;

	if (!base->ino)
		return store_root(store);
	node = store_node_find(store, base->ino);
	if (!node || !S_ISDIR(store_node_type(node)) || store_node_secret(node) != base->secret)
		return NULL;
	return node;
}

static void tell_text(struct call *call, const char *text, size_t length)
{
	memcpy(call->connection->door->text, text, length);
	call->told.text_length = (uint32_t)length;
}

/* Goes a path of the request. Returns as walk_path, which has told where it leads out. */
static int go(struct call *call, const struct peer *peer, int which, enum walk_end end,
              struct walk *walk)
{
	const struct wire_places *places = wire_places_of(call->request);
	struct store_node *base = find_base(store_of(call), &places->base[which]);
	int result;

	if (!base)
		return -ENOENT;
	result = walk_path(store_of(call), &peer->actor, base, wire_path(call->request, which),
	                   places->length[which], end, walk);
	if (result == WALK_ELSEWHERE) {
		call->told.which = (uint32_t)which;
		tell_text(call, walk->text, strlen(walk->text));
		return WIRE_ELSEWHERE;
	}
	return result;
}

static int go_to_something(struct call *call, const struct peer *peer, enum walk_end end,
                           struct walk *walk)
{
	int result = go(call, peer, 0, end, walk);

	return result ? result : tree_check_found(walk);
}

static enum walk_end end_of(const struct call *call)
{
	return call->request->flags & WIRE_FOLLOW ? WALK_FOLLOW : WALK_NOFOLLOW;
}

static int tell_stat(const struct store_node *node, struct wire_stat *ret_stat)
{
	struct stat status;
	struct stat file;
	int result = store_node_stat(node, &status);

	if (result == 0)
		result = store_node_stat_file(node, &file);
	if (result < 0)
		return result;
	*ret_stat = (struct wire_stat){
		.dev = file.st_dev,
		.ino = file.st_ino,
		.nlink = status.st_nlink,
		.rdev = status.st_rdev,
		.size = (uint64_t)status.st_size,
		.blocks = (uint64_t)status.st_blocks,
		.blksize = (uint64_t)status.st_blksize,
		.mode = status.st_mode,
		.uid = status.st_uid,
		.gid = status.st_gid,
		.atime = status.st_atim.tv_sec,
		.mtime = status.st_mtim.tv_sec,
		.ctime = status.st_ctim.tv_sec,
		.atime_ns = (uint32_t)status.st_atim.tv_nsec,
		.mtime_ns = (uint32_t)status.st_mtim.tv_nsec,
		.ctime_ns = (uint32_t)status.st_ctim.tv_nsec,
	};
	return 0;
}

/* The path is a name of the root folder, and no link was followed. */
static void tell_number(struct call *call, const struct walk *walk)
{
	const struct wire_places *places = wire_places_of(call->request);

	if (!places->base[0].ino && walk->last == WALK_NAME &&
	    walk->folder == store_root(store_of(call)) &&
	    places->length[0] == strlen(walk->name) &&
	    memcmp(wire_path(call->request, 0), walk->name, strlen(walk->name)) == 0)
		call->reply.roads.number = store_number(store_of(call), walk->name);
}

/* Our own user may; but where nobody would judge it, who may search the root whatever its mode. As
 * the files' folder can be written to, too: who has that right may do as much by the store. */
static int give_place(struct call *call)
{
	const struct door_options *options = &call->connection->door->options;
	struct peer peer;

	init_peer(&peer, call);
	if (!options->marks)
		return -EOPNOTSUPP;
	if (peer.actor.uid != geteuid() ||
	    (options->marks->road == MARKS_IN_FOLDER &&
	     !judge_has_capability(&peer.actor, CAP_DAC_OVERRIDE)))
		return -EPERM;
	if (call->request->flags & WIRE_WANT_MARKS)
		call->fd = fcntl(options->marks_file, F_DUPFD_CLOEXEC, 0);
	else
		call->fd = store_open_place(store_of(call));
	return call->fd < 0 ? -errno : 0;
}

int call_roads(struct call *call)
{
	const struct door *door = call->connection->door;
	const char *mountpoint = door->options.mountpoint;

	if (call->request->flags & (WIRE_WANT_MARKS | WIRE_WANT_FOLDER))
		return give_place(call);
	if (call->request->flags & WIRE_WANT_LANE)
		return call_give_lane(call);
	call->reply.roads = door->options.roads;
	call_tell_limits(call);
	if (mountpoint)
		tell_text(call, mountpoint, strlen(mountpoint));
	return 0;
}

int call_lookup(struct call *call)
{
	struct walk walk;
	struct peer peer;
	int result;

	init_peer(&peer, call);
	result = go_to_something(call, &peer, end_of(call), &walk);
	if (result == 0)
		result = tell_stat(walk.node, &call->told.stat);
	if (result == 0)
		tell_number(call, &walk);
	if (result || !(call->request->flags & WIRE_WANT_FILE))
		return result;
	if (call->request->flags & WIRE_TO_EXECUTE)
		call->told.which = store_node_let_go(walk.node);
	result = store_node_reopen(store_of(call), walk.node, O_PATH);
	if (result < 0)
		return result;
	call->fd = result;
	return 0;
}

static struct store_birth birth_of(struct call *call, mode_t mode)
{
	return (struct store_birth){
		.mode = mode,
		.uid = call->sender.uid,
		.gid = call->sender.gid,
		.creator = *call_creator(call),
	};
}

static enum walk_end end_of_open(int flags)
{
	if (flags & O_CREAT)
		return flags & (O_EXCL | O_NOFOLLOW) ? WALK_PARENT : WALK_CREATE;
	return flags & O_NOFOLLOW ? WALK_NOFOLLOW : WALK_FOLLOW;
}

int call_open_path(struct call *call)
{
	int flags = (int)call->request->flags;
	struct store_birth birth = {.mode = S_IFREG};
	bool created = false;
	struct walk walk;
	struct peer peer;
	int result = store_check_open_flags(&flags);

	init_peer(&peer, call);
	if (result == 0)
		result = go(call, &peer, 0, end_of_open(flags), &walk);
	if (result)
		return result;
	if ((flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE)
		birth = birth_of(call, S_IFREG | (call->request->mode & 07777));
	result = tree_open(store_of(call), &peer.actor, &walk, flags, &birth, &created);
	if (result < 0)
		return result;
	call->fd = result;
	call->reply.created = created;
	call->reply.ino = created ? store_node_ino(walk.node) : 0;
	if ((flags & O_TMPFILE) == O_TMPFILE && !(flags & O_PATH)) {
		call->told.stat.mode = S_IFREG;
		return 0;
	}
	tell_number(call, &walk);
	return tell_stat(walk.node, &call->told.stat);
}

/* mknod(2) makes no folders and no links: they have calls of their own. */
static int make_mode(const struct call *call, mode_t *ret_mode)
{
	mode_t mode = call->request->mode;

	switch (mode & S_IFMT) {
	case S_IFDIR: *ret_mode = S_IFDIR | (mode & 01777); return 0;
	case 0: mode |= S_IFREG; break;
	case S_IFREG: case S_IFCHR: case S_IFBLK: case S_IFIFO: case S_IFSOCK: break;
	default: return -EINVAL;
	}
	*ret_mode = mode & (S_IFMT | 07777);
	return 0;
}

int call_make(struct call *call)
{
	struct store_birth birth;
	struct walk walk;
	struct peer peer;
	mode_t mode;
	int result = make_mode(call, &mode);

	init_peer(&peer, call);
	if (result == 0)
		result = go(call, &peer, 0, WALK_PARENT, &walk);
	if (result)
		return result;
	birth = birth_of(call, mode);
	birth.device = (dev_t)wire_places_of(call->request)->device;
	return tree_make(store_of(call), &peer.actor, &walk, &birth);
}

int call_symlink(struct call *call)
{
	const struct wire_places *places = wire_places_of(call->request);
	struct store_birth birth;
	struct walk walk;
	struct peer peer;
	int result;

	if (!places->length[1])
		return -ENOENT;
	init_peer(&peer, call);
	result = go(call, &peer, 0, WALK_PARENT, &walk);
	if (result)
		return result;
	birth = birth_of(call, S_IFLNK | 0777);
	birth.initial = wire_path(call->request, 1);
	birth.initial_length = places->length[1];
	return tree_make(store_of(call), &peer.actor, &walk, &birth);
}

int call_link(struct call *call)
{
	struct walk from;
	struct walk to;
	struct peer peer;
	int result;

	init_peer(&peer, call);
	result = go_to_something(call, &peer, end_of(call), &from);
	if (result == 0)
		result = go(call, &peer, 1, WALK_PARENT, &to);
	return result ? result : tree_link(store_of(call), &peer.actor, &from, &to);
}

/* Of what was done before a kill only that is known: "d/../e" leads nowhere once d is "e". */
int call_rename(struct call *call)
{
	struct walk from;
	struct walk to;
	struct peer peer;
	int result = store_check_rename_flags(call->request->flags);

	if (store_has_moved(store_of(call)))
		return 0;
	init_peer(&peer, call);
	if (result == 0)
		result = go(call, &peer, 0, WALK_PARENT, &from);
	if (result == 0)
		result = go(call, &peer, 1, WALK_PARENT, &to);
	return result ? result :
		tree_rename(store_of(call), &peer.actor, &from, &to, call->request->flags);
}

int call_remove(struct call *call)
{
	struct walk walk;
	struct peer peer;
	int result;

	if (store_has_removed(store_of(call)))
		return 0;
	init_peer(&peer, call);
	result = go(call, &peer, 0, WALK_PARENT, &walk);
	return result ? result :
		tree_remove(store_of(call), &peer.actor, &walk,
		            call->request->flags & WIRE_FOLDER, call->request->ino);
}

int call_readlink(struct call *call)
{
	struct walk walk;
	struct peer peer;
	ssize_t length;
	int result;

	init_peer(&peer, call);
	result = go_to_something(call, &peer, WALK_NOFOLLOW, &walk);
	if (result)
		return result;
	length = store_node_readlink(walk.node, call->connection->door->text, WIRE_PATH_MAX);
	if (length < 0)
		return (int)length;
	call->told.text_length = (uint32_t)length;
	return 0;
}

static int check_readable(const struct peer *peer, const struct store_node *node)
{
	struct stat status;
	int result;

	if (!S_ISDIR(store_node_type(node)))
		return -ENOTDIR;
	result = store_node_stat(node, &status);
	return result < 0 ? result : judge_access(&peer->actor, &status, JUDGE_READ);
}

static size_t dirent_size(size_t length)
{
	return (sizeof(struct wire_dirent) + length + 8) & ~(size_t)7;
}

/* Returns whether it had room. */
static bool tell_entry(struct call *call, const struct store_entry *entry)
{
	const struct store_node *node = store_entry_node(entry);
	size_t length = strlen(store_entry_name(entry));
	size_t size = dirent_size(length);
	struct wire_dirent dirent = {
		.cookie = store_entry_cookie(entry),
		.length = (uint16_t)length,
		.type = IFTODT(store_node_type(node)),
	};
	char *place = call->connection->door->text + call->told.text_length;
	struct stat file;

	if (size > WIRE_TEXT_MAX - call->told.text_length)
		return false;
	if (store_node_stat_file(node, &file) == 0)
		dirent.ino = file.st_ino;
	memset(place, 0, size);
	memcpy(place, &dirent, sizeof dirent);
	memcpy(place + sizeof dirent, store_entry_name(entry), length);
	call->told.text_length += (uint32_t)size;
	return true;
}

int call_read_folder(struct call *call)
{
	const struct store_entry *entry;
	const struct store_node *parent;
	struct walk walk;
	struct peer peer;
	int result;

	init_peer(&peer, call);
	result = go_to_something(call, &peer, WALK_FOLLOW, &walk);
	if (result == 0)
		result = check_readable(&peer, walk.node);
	if (result)
		return result;
	entry = store_entry_before_in(walk.node, call->request->cursor);
	while (entry && tell_entry(call, entry))
		entry = store_entry_before_in(walk.node, store_entry_cookie(entry));
	parent = store_node_parent(walk.node);
	return tell_stat(parent ? parent : walk.node, &call->told.stat);
}

int call_path_of(struct call *call)
{
	char *text = call->connection->door->text;
	const struct store_node *folder;
	struct walk walk;
	struct peer peer;
	ssize_t length;
	int result;

	init_peer(&peer, call);
	result = go_to_something(call, &peer, end_of(call), &walk);
	if (result)
		return result;
	folder = S_ISDIR(store_node_type(walk.node)) ? walk.node : walk.folder;
	length = store_node_path(folder, text, WIRE_PATH_MAX);
	if (length < 0)
		return (int)length;
	if (folder != walk.node) {
		if (length)
			text[length++] = '/';
		strcpy(text + length, walk.name);
		length += (ssize_t)strlen(walk.name);
	}
	call->told.text_length = (uint32_t)length;
	return tell_stat(walk.node, &call->told.stat);
}

int call_link_file(struct call *call)
{
	struct store_creator creator = *call_creator(call);
	struct walk walk;
	struct peer peer;
	int result;

	init_peer(&peer, call);
	result = go(call, &peer, 0, WALK_PARENT, &walk);
	return result ? result :
		tree_link_file(store_of(call), &peer.actor, call->passed, &creator, &walk);
}
