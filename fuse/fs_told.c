/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the kernel may keep of what it is told. As long as the mount is the only door that anybody
 * uses, all changes come by the kernel, and it may keep names and attributes for a while: it then
 * asks for nothing at all in a stat(2), and for nothing but the open in an open(2). Whoever comes
 * by the other door waits until that while is over, and from then on nothing is kept. So the first
 * one may wait, and that is not to happen again and again: only when nobody has been there for some
 * time is anything kept once more.
 *
 * To tell the kernel to forget instead can't be done: for a name it takes the lock of the folder,
 * which somebody may have who waits for our answer.
 *
 * The while begins when whoever asked takes note of the answer, hence the delay that is allowed
 * for. Who was kept from running even longer than that sees for as long what was. */
#include <errno.h>
#include <sys/stat.h>

#include "fuse/fs_i.h"
#include "fuse/journal.h"

enum {
	KEPT_MILLISECONDS = 100,
	DELAY_MILLISECONDS = 100,
	QUIET_MILLISECONDS = 10 * 1000,
	ROOT_KEPT_SECONDS = 1,
	BLOCK_SIZE = 512,
};

static int64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &time);
	return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static uint64_t next_ino(const struct fs *fs)
{
	return store_journal(fs->store)->header->ino_next;
}

void fs_told_begin(struct fs *fs, bool is_new)
{
	if (!is_new)
		fs->told.until = now() + KEPT_MILLISECONDS + DELAY_MILLISECONDS;
	fs->told.disturbed = !is_new;
}

/* Whoever was there may have descriptors of the files that there are, and change them yet. */
void fs_alone(struct fs *fs)
{
	struct told *told = &fs->told;

	told->from = told->disturbed ? now() + QUIET_MILLISECONDS : 0;
	told->ino_floor = next_ino(fs);
	told->alone = true;
}

int fs_disturb(struct fs *fs)
{
	struct told *told = &fs->told;
	int64_t left = told->until - now();

	told->alone = false;
	told->disturbed = true;
	return left > 0 ? (int)left : 0;
}

static double keep(struct fs *fs)
{
	struct told *told = &fs->told;
	int64_t time = told->alone ? now() : 0;

	if (!told->alone || time < told->from)
		return 0;
	told->until = time + KEPT_MILLISECONDS + DELAY_MILLISECONDS;
	return KEPT_MILLISECONDS / 1000.0;
}

double fs_name_kept(struct fs *fs)
{
	return keep(fs);
}

/* Whoever has a file mapped gives it memory, by touching it, that neither we nor the kernel's FUSE
 * hear of. What writing does to set-id bits the kernel would not see either. */
static bool changes_unheard(const struct stat *status)
{
	if (!S_ISREG(status->st_mode))
		return !S_ISDIR(status->st_mode);
	return (status->st_mode & (S_ISUID | S_ISGID)) ||
	       status->st_blocks * BLOCK_SIZE < status->st_size;
}

/* The kernel wants the root folder's attributes for each path it walks: asked each time they were
 * five requests of the thirteen in a file's life. When they change by the socket door the kernel is
 * told (that takes no lock). What we do not hear of, since it is done to a descriptor of the
 * folder, shows that much later. */
double fs_attributes_kept(struct fs *fs, const struct stat *status)
{
	if (status->st_ino == STORE_ROOT_INO) {
		fs->root_told = true;
		return ROOT_KEPT_SECONDS;
	}
	if (status->st_ino < fs->told.ino_floor || !status->st_nlink || changes_unheard(status))
		return 0;
	return keep(fs);
}
