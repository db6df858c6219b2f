/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rows as the kernel's seq_file has them (ipc/shm.c, sem.c, msg.c), of all objects there are. They
 * are put into a file of memory when it is opened. */
#include "preload/sysv_proc.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "base/own.h"
#include "base/text.h"
#include "preload/emu_ipc.h"
#include "preload/heap.h"
#include "preload/pool.h"
#include "preload/sysv.h"
#include "preload/way.h"

#define FOLDER "/proc/sysvipc/"

enum { MODE = 0444, BYTES_WIDTH = 21 }; /* of a number of bytes */

static const char shm_head[] =
	"       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid"
	"  cgid      atime      dtime      ctime                   rss                  swap\n";
static const char sem_head[] =
	"       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n";
static const char msg_head[] =
	"       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid"
	"      stime      rtime      ctime\n";

/* WIRE_SHM, WIRE_SEM, WIRE_MSG, or 0. */
static uint32_t family_of(const char *path)
{
	if (strncmp(path, FOLDER, sizeof FOLDER - 1) != 0)
		return 0;
	path += sizeof FOLDER - 1;
	return strcmp(path, "shm") == 0   ? WIRE_SHM
	       : strcmp(path, "sem") == 0 ? WIRE_SEM
	       : strcmp(path, "msg") == 0 ? WIRE_MSG
	                                  : 0;
}

bool sysv_proc_is(const char *path)
{
	return family_of(path);
}

/* A column and the blank after it. */
static void put(struct text *row, size_t width, const struct text *word)
{
	for (size_t i = word->length; i < width; i++)
		text_string(row, " ");
	text_bytes(row, word->bytes, word->length);
	text_string(row, " ");
}

static void put_number(struct text *row, size_t width, uint64_t number)
{
	struct text word = TEXT_NULL;

	text_number(&word, (long long)number);
	put(row, width, &word);
}

static void put_name(struct text *row, const struct wire_ipc_stat *stat)
{
	struct text key = TEXT_NULL, id = TEXT_NULL, mode = TEXT_NULL;

	text_number(&key, stat->key);
	text_number(&id, stat->id);
	text_octal(&mode, stat->mode);
	/* Without the 0 that says that it is octal, unless it is all there is. */
	if (stat->mode)
		memmove(mode.bytes, mode.bytes + 1, mode.length--);
	else
		mode.length = 1;
	put(row, 10, &key);
	put(row, 10, &id);
	text_string(row, " ");
	put(row, 4, &mode);
}

static void put_owners(struct text *row, const struct wire_ipc_stat *stat)
{
	put_number(row, 5, stat->uid);
	put_number(row, 5, stat->gid);
	put_number(row, 5, stat->cuid);
	put_number(row, 5, stat->cgid);
}

static void put_pids(struct text *row, const struct wire_ipc_stat *stat)
{
	put_number(row, 5, stat->pid[0]);
	put_number(row, 5, stat->pid[1]);
}

static void put_times(struct text *row, const struct wire_ipc_stat *stat, int from)
{
	for (int i = from; i < 3; i++)
		put_number(row, 10, (uint64_t)stat->time[i]);
}

static void put_shm(struct text *row, const struct wire_ipc_stat *stat)
{
	put_number(row, BYTES_WIDTH, stat->size);
	put_pids(row, stat);
	text_string(row, " ");
	put_number(row, 5, stat->count);
	put_owners(row, stat);
	put_times(row, stat, 0);
	put_number(row, BYTES_WIDTH, stat->bytes);
	put_number(row, BYTES_WIDTH, 0);
}

static void put_sem(struct text *row, const struct wire_ipc_stat *stat)
{
	put_number(row, 10, stat->size);
	put_owners(row, stat);
	put_number(row, 10, (uint64_t)stat->time[0]);
	put_number(row, 10, (uint64_t)stat->time[2]);
}

static void put_msg(struct text *row, const struct wire_ipc_stat *stat)
{
	text_string(row, " ");
	put_number(row, 10, stat->bytes);
	put_number(row, 10, stat->count);
	put_pids(row, stat);
	put_owners(row, stat);
	put_times(row, stat, 0);
}

static int write_all(int file, const char *bytes, size_t size)
{
	while (size > 0) {
		long written = sys_call(SYS_write, file, (long)bytes, (long)size, 0, 0, 0);

		if (written <= 0)
			return written < 0 ? (int)written : -ENOSPC;
		bytes += written;
		size -= (size_t)written;
	}
	return 0;
}

static int write_row(int file, const struct wire_ipc_stat *stat)
{
	struct text row = TEXT_NULL;

	put_name(&row, stat);
	switch (stat->family) {
	case WIRE_SHM: put_shm(&row, stat); break;
	case WIRE_SEM: put_sem(&row, stat); break;
	default: put_msg(&row, stat); break;
	}
	/* In the place of the last blank. */
	row.bytes[row.length - 1] = '\n';
	return write_all(file, row.bytes, row.length);
}

static int write_rows(int file, uint32_t family, struct wire_ipc_entry *entries)
{
	struct client_ipc call = client_ipc_make(WIRE_IPC_LIST);
	int result;

	call.asked.family = family;
	call.text = entries;
	call.text_room = WIRE_BYTES_MAX;
	do {
		result = ask_ipc(&call, CLIENT_PATIENT, false);
		for (size_t i = 0; result >= 0 && i < call.told.length / sizeof *entries; i++)
			result = write_row(file, &entries[i].stat);
		call.request.cursor = call.told.cursor;
	} while (result >= 0 && call.told.length > 0);
	return result;
}

static int write_text(int file, uint32_t family)
{
	const char *head = family == WIRE_SHM   ? shm_head
	                   : family == WIRE_SEM ? sem_head
	                                        : msg_head;
	struct pages pages = {.memory = NULL};
	int result = pages_grow(&pages, WIRE_BYTES_MAX);

	if (result == 0)
		result = write_all(file, head, strlen(head));
	if (result == 0)
		result = write_rows(file, family, pages.memory);
	pages_deinit(&pages);
	return result;
}

/* These say something that is so; all else is not the program's affair. */
static bool is_true(int result)
{
	return result == -EMFILE || result == -ENFILE || result == -ENOMEM;
}

/* What else than to read it the kernel judges. */
static bool only_reads(int flags)
{
	return !(flags & (O_ACCMODE | O_TRUNC | O_DIRECTORY | O_PATH)) &&
	       (flags & (O_CREAT | O_EXCL)) != (O_CREAT | O_EXCL);
}

int sysv_proc_open(const char *path, int flags)
{
	uint32_t family = only_reads(flags) ? family_of(path) : 0;
	OWN_FD file = -1;
	int result;

	if (!family)
		return -ENOSYS;
	/* Out of the way: the program gets the lowest number. */
	file = (int)emu_memfd_create("sysvipc", MFD_CLOEXEC);
	result = file;
	if (file >= 0) {
		file = pool_move_up(file);
		result = write_text(file, family);
	}
	if (result >= 0)
		result = sys_fchmod(file, MODE);
	/* Another description: that only reads, from the beginning on. */
	if (result >= 0)
		result = sys_openat(AT_FDCWD, way_fd_path(file).bytes,
		                    flags & ~(O_CREAT | O_NOFOLLOW), 0);
	return result >= 0 || is_true(result) ? result : -ENOSYS;
}
