/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who may do what, and with which errno, is the kernel's word: random calls on random paths by
 * several users, each made in the store and on a tmpfs, have the same results and leave the same
 * trees. SHMEMU_TEST_STEPS says how many, SHMEMU_TEST_SEED with which seed. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/fs.h>
#include <linux/mount.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/wire.h"
#include "fuse/anon.h"
#include "fuse/judge.h"
#include "fuse/store.h"
#include "fuse/tmpfs.h"
#include "fuse/tree.h"
#include "fuse/walk.h"
#include "tests/scratch.h"

enum { TEXT_SIZE = 1200, ELSEWHERE = 1 };

struct user {
	uid_t uid;
	gid_t gid;
	gid_t group; /* a supplementary one */
};

static const struct user users[] = {
	{0, 0, 0}, {1000, 1000, 1000}, {1001, 1001, 1000}, {1002, 2000, 1001},
};

enum call { MKDIR, MKNOD, SYMLINK, LINK, RENAME, UNLINK, RMDIR, OPEN, STAT, CHMOD, CHOWN, CALLS };

static const char *const call_names[CALLS] = {
	"mkdir", "mknod", "symlink", "link", "rename", "unlink", "rmdir", "open", "stat", "chmod",
	"chown",
};

/* One call, and what came of it. */
struct case_of {
	enum call call;
	const struct user *user;
	struct store_actor actor;
	char paths[2][TEXT_SIZE];
	int flags;
	mode_t mode;
	const struct user *owner; /* CHOWN */
};

struct outcome {
	int result;
	int flags; /* OPEN: F_GETFL */
	struct stat status;
};

static struct anon anon;
static struct store *store;
static struct scratch scratch;
static unsigned seed;

static int choose(int below)
{
	return rand_r(&seed) % below;
}

static bool is_in_group(const struct store_actor *actor, gid_t gid)
{
	const struct user *user = actor->details;

	return user->group == gid;
}

static bool is_capable(const struct store_actor *actor, int capability)
{
	(void)capability;
	return actor->uid == 0;
}

static void choose_part(char *path)
{
	static const char *const parts[] = {
		"a", "b", "c", "d", "e", "a", "b", "c", "d", "e", "a", "b", ".", "..", "",
	};
	size_t length = choose(60) == 0 ? 255 + (size_t)choose(2) : 0;

	if (length) {
		memset(path, 'x', length);
		path[length] = '\0';
		return;
	}
	strcpy(path, parts[choose(sizeof parts / sizeof parts[0])]);
}

static void choose_path(char path[static TEXT_SIZE])
{
	int parts = 1 + choose(4);

	strcpy(path, choose(8) ? (char[]){(char)('a' + choose(5)), '\0'} : "..");
	if (choose(12) == 0)
		strcpy(path, ".");
	for (int i = 1; i < parts; i++) {
		strcat(path, "/");
		choose_part(path + strlen(path));
	}
	if (choose(8) == 0)
		strcat(path, "/");
}

static int choose_open_flags(void)
{
	static const int rare[] = {O_EXCL, O_TRUNC, O_NOFOLLOW, O_DIRECTORY, O_PATH, O_TMPFILE,
	                           O_NOATIME, O_APPEND};
	int flags = O_NONBLOCK | O_CLOEXEC | choose(4) | (choose(2) ? O_CREAT : 0);

	for (size_t i = 0; i < sizeof rare / sizeof rare[0]; i++)
		if (choose(6) == 0)
			flags |= rare[i];
	return flags;
}

static int choose_flags(enum call call)
{
	static const int moves[] = {0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT,
	                            RENAME_EXCHANGE | RENAME_NOREPLACE};

	switch (call) {
	case OPEN: return choose_open_flags();
	case RENAME: return moves[choose(sizeof moves / sizeof moves[0])];
	case LINK: return choose(2) ? AT_SYMLINK_FOLLOW : 0;
	case STAT: return choose(2) ? AT_SYMLINK_NOFOLLOW : 0;
	default: return 0;
	}
}

static void choose_case(struct case_of *a_case)
{
	static const mode_t modes[] = {0777, 0777, 0755, 0700, 0750, 01777, 02775, 0, 04711, 02710};
	static const mode_t types[] = {S_IFREG, S_IFIFO, S_IFSOCK, S_IFCHR, S_IFREG};

	a_case->call = (enum call)choose(CALLS);
	/* Whose rights there are mostly: root judges nothing. */
	a_case->user = &users[choose(10) ? 1 + choose(3) : 0];
	a_case->owner = &users[choose(4)];
	a_case->mode = modes[choose(sizeof modes / sizeof modes[0])];
	if (a_case->call == MKNOD)
		a_case->mode |= types[choose(sizeof types / sizeof types[0])];
	a_case->flags = choose_flags(a_case->call);
	choose_path(a_case->paths[0]);
	choose_path(a_case->paths[1]);
	if (a_case->call == SYMLINK && choose(30) == 0)
		strcpy(a_case->paths[1], "/etc");
	a_case->actor = (struct store_actor){
		.uid = a_case->user->uid,
		.gid = a_case->user->gid,
		.details = a_case->user,
		.in_group = is_in_group,
		.has_capability = is_capable,
	};
}

static void become(const struct user *user)
{
	cr_assert_eq(setgroups(1, &user->group), 0);
	cr_assert_eq(setegid(user->gid), 0);
	cr_assert_eq(seteuid(user->uid), 0);
}

static void become_root(void)
{
	cr_assert_eq(seteuid(0), 0);
	cr_assert_eq(setegid(0), 0);
}

static void note_open(int file, struct outcome *outcome)
{
	outcome->result = file < 0 ? -errno : 0;
	if (file < 0)
		return;
	outcome->flags = fcntl(file, F_GETFL) & (O_ACCMODE | O_APPEND | O_NOATIME | O_PATH);
	fstat(file, &outcome->status);
	close(file);
}

static int errno_of(int result)
{
	return result < 0 ? -errno : 0;
}

/* chmod and chown are root's, for the trees to have all modes. */
static void ask_kernel(const struct case_of *a_case, struct outcome *outcome)
{
	const char *const *paths = (const char *const[]){a_case->paths[0], a_case->paths[1]};
	int at = AT_FDCWD;

	*outcome = (struct outcome){.result = 0};
	if (a_case->call != CHMOD && a_case->call != CHOWN)
		become(a_case->user);
	switch (a_case->call) {
	case MKDIR: outcome->result = errno_of(mkdir(paths[0], a_case->mode)); break;
	case MKNOD: outcome->result = errno_of(mknod(paths[0], a_case->mode, 0)); break;
	case SYMLINK: outcome->result = errno_of(symlink(paths[1], paths[0])); break;
	case LINK:
		outcome->result = errno_of(linkat(at, paths[0], at, paths[1], a_case->flags));
		break;
	case RENAME:
		outcome->result = errno_of(renameat2(at, paths[0], at, paths[1],
		                                     (unsigned)a_case->flags));
		break;
	case UNLINK: outcome->result = errno_of(unlink(paths[0])); break;
	case RMDIR: outcome->result = errno_of(rmdir(paths[0])); break;
	case OPEN: note_open(open(paths[0], a_case->flags, a_case->mode), outcome); break;
	case STAT:
		outcome->result = errno_of(fstatat(at, paths[0], &outcome->status,
		                                   a_case->flags));
		break;
	case CHMOD: outcome->result = errno_of(chmod(paths[0], a_case->mode)); break;
	case CHOWN:
		outcome->result = errno_of(lchown(paths[0], a_case->owner->uid,
		                                  a_case->owner->gid));
		break;
	case CALLS: break;
	}
	become_root();
}

static int go(const struct case_of *a_case, int which, enum walk_end end, struct walk *walk)
{
	static const struct store_actor root = {.uid = 0, .has_capability = is_capable};
	bool by_root = a_case->call == CHMOD || a_case->call == CHOWN;
	const char *path = a_case->paths[which];

	return walk_path(store, by_root ? &root : &a_case->actor, store_root(store), path,
	                 strlen(path), end, walk);
}

static struct store_birth birth_of(const struct case_of *a_case, mode_t mode)
{
	return (struct store_birth){
		.mode = mode,
		.uid = a_case->user->uid,
		.gid = a_case->user->gid,
	};
}

static int make(const struct case_of *a_case)
{
	struct store_birth birth = birth_of(a_case, a_case->mode);
	struct walk walk;
	int result = go(a_case, 0, WALK_PARENT, &walk);

	if (a_case->call == MKDIR)
		birth.mode = S_IFDIR | (a_case->mode & 01777);
	if (a_case->call == SYMLINK) {
		birth.mode = S_IFLNK | 0777;
		birth.initial = a_case->paths[1];
		birth.initial_length = strlen(a_case->paths[1]);
	}
	return result ? result : tree_make(store, &a_case->actor, &walk, &birth);
}

static int two_paths(const struct case_of *a_case)
{
	static struct walk from;
	static struct walk to;
	enum walk_end end = a_case->call == RENAME ? WALK_PARENT
	                    : a_case->flags ? WALK_FOLLOW : WALK_NOFOLLOW;
	int result = a_case->call == RENAME ? store_check_rename_flags((unsigned)a_case->flags) : 0;

	if (result == 0)
		result = go(a_case, 0, end, &from);
	if (result == 0 && a_case->call == LINK)
		result = tree_check_found(&from);
	if (result == 0)
		result = go(a_case, 1, WALK_PARENT, &to);
	if (result)
		return result;
	return a_case->call == RENAME ?
		tree_rename(store, &a_case->actor, &from, &to, (unsigned)a_case->flags) :
		tree_link(store, &a_case->actor, &from, &to);
}

/* As the library opens what comes as a path only. */
static int open_again(const struct case_of *a_case, int flags, int file)
{
	char path[64];
	int opened;

	snprintf(path, sizeof path, "/proc/self/fd/%d", file);
	become(a_case->user);
	opened = open(path, flags & ~(O_CREAT | O_EXCL | O_NOFOLLOW));
	close(file);
	return opened;
}

static enum walk_end end_of_open(int flags)
{
	if (flags & O_CREAT)
		return flags & (O_EXCL | O_NOFOLLOW) ? WALK_PARENT : WALK_CREATE;
	return flags & O_NOFOLLOW ? WALK_NOFOLLOW : WALK_FOLLOW;
}

static int open_it(const struct case_of *a_case, struct outcome *outcome)
{
	struct store_birth birth = birth_of(a_case, S_IFREG | (a_case->mode & 07777));
	int flags = a_case->flags;
	int result = store_check_open_flags(&flags);
	struct walk walk;
	bool created;

	if (result == 0)
		result = go(a_case, 0, end_of_open(flags), &walk);
	if (result == 0)
		result = tree_open(store, &a_case->actor, &walk, flags, &birth, &created);
	else if (result == ELSEWHERE)
		return result;
	if (result >= 0 && (flags & O_TMPFILE) != O_TMPFILE && !(flags & O_PATH) &&
	    !S_ISREG(store_node_type(walk.node)))
		result = open_again(a_case, flags, result);
	else
		errno = -result;
	note_open(result, outcome);
	become_root();
	return outcome->result;
}

static int find(const struct case_of *a_case, struct walk *walk)
{
	bool follow = a_case->call == CHMOD || (a_case->call == STAT && !a_case->flags);
	int result = go(a_case, 0, follow ? WALK_FOLLOW : WALK_NOFOLLOW, walk);

	return result ? result : tree_check_found(walk);
}

static int remove_it(const struct case_of *a_case)
{
	struct walk walk;
	int result = go(a_case, 0, WALK_PARENT, &walk);

	return result ? result :
		tree_remove(store, &a_case->actor, &walk, a_case->call == RMDIR, 0);
}

/* The working folder is the kernel's tree, and stays. */
static void ask_store(const struct case_of *a_case, struct outcome *outcome)
{
	struct walk walk;

	*outcome = (struct outcome){.result = 0};
	switch (a_case->call) {
	case MKDIR: case MKNOD: case SYMLINK: outcome->result = make(a_case); break;
	case LINK: case RENAME: outcome->result = two_paths(a_case); break;
	case UNLINK: case RMDIR: outcome->result = remove_it(a_case); break;
	case OPEN: outcome->result = open_it(a_case, outcome); break;
	case STAT: case CHMOD: case CHOWN:
		outcome->result = find(a_case, &walk);
		if (outcome->result)
			break;
		if (a_case->call == STAT)
			outcome->result = store_node_stat(walk.node, &outcome->status);
		else if (a_case->call == CHMOD)
			outcome->result = store_node_chmod(walk.node, a_case->mode);
		else
			outcome->result = store_node_chown(walk.node, a_case->owner->uid,
			                                   a_case->owner->gid);
		break;
	case CALLS: break;
	}
}

static void tell(const struct case_of *a_case, char text[static 4 * TEXT_SIZE])
{
	snprintf(text, 4 * TEXT_SIZE, "%s(%s, %s, flags %o, mode %o) by %u",
	         call_names[a_case->call], a_case->paths[0], a_case->paths[1],
	         (unsigned)a_case->flags, a_case->mode, a_case->user->uid);
}

/* What is open is the kernel's: an empty folder, a fifo with one name. */
static void check_status(const struct stat *ours, const struct stat *kernels, bool opened,
                         const char *what)
{
	cr_assert_eq(ours->st_mode, kernels->st_mode, "%s: mode %o, not %o", what, ours->st_mode,
	             kernels->st_mode);
	cr_assert_eq(ours->st_uid, kernels->st_uid, "%s: uid", what);
	cr_assert_eq(ours->st_gid, kernels->st_gid, "%s: gid %u, not %u", what, ours->st_gid,
	             kernels->st_gid);
	if (opened && !S_ISREG(ours->st_mode))
		return;
	cr_assert_eq(ours->st_nlink, kernels->st_nlink, "%s: %lu links, not %lu", what,
	             (unsigned long)ours->st_nlink, (unsigned long)kernels->st_nlink);
	cr_assert_eq(ours->st_size, kernels->st_size, "%s: size %ld, not %ld", what,
	             (long)ours->st_size, (long)kernels->st_size);
}

static void check_case(const struct case_of *a_case)
{
	static struct outcome ours;
	static struct outcome kernels;
	static char what[4 * TEXT_SIZE];

	ask_store(a_case, &ours);
	if (ours.result == ELSEWHERE)
		return;
	ask_kernel(a_case, &kernels);
	tell(a_case, what);
	cr_assert_eq(ours.result, kernels.result, "%s, not %s: %s", strerror(-ours.result),
	             strerror(-kernels.result), what);
	cr_assert_eq(ours.flags, kernels.flags, "%s: %o, not %o", what, (unsigned)ours.flags,
	             (unsigned)kernels.flags);
	/* O_PATH of a link is a file's. */
	if (ours.result == 0 && !(a_case->call == OPEN && (a_case->flags & O_PATH)))
		check_status(&ours.status, &kernels.status, a_case->call == OPEN, what);
}

static int count_names(DIR *stream)
{
	const struct dirent *entry;
	int count = 0;

	while ((entry = readdir(stream)))
		count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
	return count;
}

/* The store's tree below a folder, against the kernel's. */
static void check_tree(const struct store_node *folder, int kernels)
{
	const struct store_entry *entry = store_entry_after_in(folder, 0);
	DIR *stream = fdopendir(kernels);
	struct stat ours;
	struct stat theirs;
	int count = 0;

	for (; entry; entry = store_entry_after_in(folder, store_entry_cookie(entry))) {
		const char *name = store_entry_name(entry);

		cr_assert_eq(fstatat(kernels, name, &theirs, AT_SYMLINK_NOFOLLOW), 0, "%s", name);
		cr_assert_eq(store_node_stat(store_entry_node(entry), &ours), 0, "%s", name);
		check_status(&ours, &theirs, false, name);
		if (S_ISDIR(ours.st_mode))
			check_tree(store_entry_node(entry), openat(kernels, name, O_RDONLY));
		count++;
	}
	cr_assert_eq(count, count_names(stream));
	closedir(stream);
}

static void begin(void)
{
	/* Ours has no links that are to be followed; what it is compared with has. */
	struct mount_attr follow = {.attr_clr = MOUNT_ATTR_NOSYMFOLLOW};
	int folder;

	if (geteuid() != 0)
		cr_skip_test("only root can be several users");
	umask(0);
	scratch = scratch_make();
	folder = tmpfs_mount(NULL);
	if (folder < 0 || anon_init(&anon, ANON_TMPFS, NULL, NULL, scratch.folder) < 0)
		cr_skip_test("this host mounts no tmpfs");
	cr_assert_eq(syscall(SYS_mount_setattr, folder, "", AT_EMPTY_PATH, &follow,
	                     sizeof follow), 0);
	cr_assert_eq(fchdir(folder), 0);
	cr_assert_eq(chmod(".", 01777), 0);
	close(folder);
	cr_assert_eq(store_new(&store, memfd_create("journal", MFD_CLOEXEC), &anon, NULL), 0);
}

static long setting(const char *name, long otherwise)
{
	const char *text = getenv(name);

	return text ? atol(text) : otherwise;
}

Test(judge, as_the_kernel, .timeout = 600)
{
	long steps = setting("SHMEMU_TEST_STEPS", 60000);
	static struct case_of a_case;

	seed = (unsigned)setting("SHMEMU_TEST_SEED", 1);
	begin();
	for (long i = 0; i < steps; i++) {
		choose_case(&a_case);
		check_case(&a_case);
		if (i % 500 == 0)
			check_tree(store_root(store), open(".", O_RDONLY));
	}
	store_discard(store);
	store_free(store);
	anon_leave_seat(&anon, scratch.folder);
	anon_deinit(&anon);
	cr_expect(scratch_remove(&scratch));
}
