/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The daemon tells with a file by which number it can be opened again, and whoever is its own user
 * gets what that takes (base/marks.h), and the marks, which say whether a name may lead elsewhere
 * by now. The kernel judges each open by the file's own mode and the opener's rights of
 * then. Whatever is not as it should be sends the caller to the daemon: what is opened here is
 * never anything but the file that the name leads to, and what changes something by the name is not
 * done here.
 *
 * No lock: facts are in places of their own, each with a count of its writes that is odd during
 * one. Who finds it odd, or changed, goes without; a writer that is never finished (a handler left
 * by longjmp, a fork in between) costs that place. The folder is not guarded from the program,
 * which would make each of its calls of close dearer: what has been opened is looked at instead. */
#include "preload/known.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>

#include "base/marks.h"
#include "base/own.h"
#include "base/text.h"
#include "preload/ask.h"
#include "preload/boot.h"
#include "preload/pool.h"
#include "preload/taken.h"

enum { PLACES = 64, NAME_ROOM = 80, FAILURES_MAX = 3 };

enum { OPEN_FLAGS = O_ACCMODE | O_CREAT | O_NOCTTY | O_APPEND | O_NONBLOCK | O_SYNC | O_LARGEFILE |
	            O_NOFOLLOW | O_CLOEXEC };

enum { NEW_FLAGS = O_EXCL | O_TRUNC, OWNERS = S_IRUSR | S_IWUSR };

/* When it was told, `mark` was the name's. 0: it was not known then. */
struct fact {
	uint64_t mark, number, device, inode;
	uint64_t length;
	char name[NAME_ROOM]; /* padded with zeros */
};

enum { WORDS = sizeof(struct fact) / sizeof(uint64_t) };

static struct place {
	_Atomic uint64_t writes;
	_Atomic uint64_t words[WORDS];
} places[PLACES];

/* A folder, O_PATH. */
struct kept {
	atomic_int fd; /* -1: none; 0 before the first */
	_Atomic dev_t device;
	_Atomic ino_t inode;
};

static struct {
	_Atomic(const struct marks *) marks; /* those of the next worker come to the same place */
	struct kept folder; /* that the daemon gives */
	struct kept files;  /* MARKS_BY_DESCRIPTOR: /proc/PID/fd */
	atomic_int failures;
} known;

static const struct marks *marks_known(void)
{
	return atomic_load_explicit(&known.marks, memory_order_acquire);
}

static uint64_t mark_now(uint64_t hash)
{
	const struct marks *marks = marks_known();

	return marks ? marks_of(marks, hash) : 0;
}

struct known_name known_name(const char *bytes, size_t length)
{
	struct known_name name = {.bytes = bytes, .length = length};

	if (length >= NAME_ROOM)
		return name;
	name.hash = marks_hash(bytes, length);
	name.mark = mark_now(name.hash);
	return name;
}

static bool recall(const struct known_name *name, struct fact *ret_fact)
{
	struct place *place = &places[name->hash % PLACES];
	uint64_t writes = atomic_load_explicit(&place->writes, memory_order_acquire);
	uint64_t words[WORDS];

	for (int i = 0; i < WORDS; i++)
		words[i] = atomic_load_explicit(&place->words[i], memory_order_relaxed);
	atomic_thread_fence(memory_order_acquire);
	if ((writes & 1) || atomic_load_explicit(&place->writes, memory_order_relaxed) != writes)
		return false;
	memcpy(ret_fact, words, sizeof words);
	return ret_fact->length == name->length &&
	       memcmp(ret_fact->name, name->bytes, name->length) == 0;
}

static void note(const struct known_name *name, struct fact fact)
{
	struct place *place = &places[name->hash % PLACES];
	uint64_t writes = atomic_load_explicit(&place->writes, memory_order_relaxed);
	uint64_t words[WORDS];

	fact.length = name->length;
	memcpy(fact.name, name->bytes, name->length);
	memcpy(words, &fact, sizeof words);
	if ((writes & 1) || !atomic_compare_exchange_strong(&place->writes, &writes, writes + 1))
		return;
	atomic_thread_fence(memory_order_release);
	for (int i = 0; i < WORDS; i++)
		atomic_store_explicit(&place->words[i], words[i], memory_order_relaxed);
	atomic_store_explicit(&place->writes, writes + 2, memory_order_release);
}

/* "../../17", from a folder. */
struct number_path {
	int folder;
	bool by_descriptor;
	char bytes[32];
};

/* Where no path goes through the root: may it be searched? */
static bool may_go(const struct number_path *path)
{
	struct stat root;

	return !path->by_descriptor ||
	       (sys_fstatat(known.folder.fd, ".", &root, 0) == 0 &&
	        root.st_dev == known.folder.device && root.st_ino == known.folder.inode);
}

static bool find_path(uint64_t number, struct number_path *ret_path)
{
	const struct marks *marks = marks_known();
	char *end = ret_path->bytes + sizeof ret_path->bytes;

	if (!marks || marks->road > MARKS_BY_DESCRIPTOR)
		return false;
	ret_path->by_descriptor = marks->road == MARKS_BY_DESCRIPTOR;
	ret_path->folder = ret_path->by_descriptor ? known.files.fd : known.folder.fd;
	*--end = '\0';
	do
		*--end = (char)('0' + number % 10);
	while (number /= 10);
	for (int i = 0; marks->road == MARKS_BELOW_FOLDER && i < 2; i++)
		memcpy(end -= 3, "../", 3);
	memmove(ret_path->bytes, end, strlen(end) + 1);
	return ret_path->folder > 0;
}

/* What is known of a name, if it leads there still. */
static bool find(const struct known_name *name, struct fact *ret_fact,
                 struct number_path *ret_path)
{
	return name->mark && recall(name, ret_fact) && ret_fact->mark == name->mark &&
	       find_path(ret_fact->number, ret_path);
}

static bool is_so(const struct known_name *name, const struct fact *fact,
                  const struct stat *status)
{
	return status->st_dev == fact->device && status->st_ino == fact->inode &&
	       mark_now(name->hash) == fact->mark;
}

/* The number may be another file's by now, if the program has closed ours. Of a process that is
 * gone /proc tells nothing more. */
static bool is_kept(const struct kept *kept, int fd)
{
	struct stat status;
	int flags = fd > 0 ? sys_fcntl(fd, F_GETFL, 0) : -EBADF;
	int result = flags < 0 || !(flags & O_PATH) ? -EBADF : sys_fstat(fd, &status);

	if (result == -ENOENT || result == -ESRCH)
		return true;
	return result == 0 && status.st_dev == kept->device && status.st_ino == kept->inode;
}

static void look_after(struct kept *kept)
{
	int fd = kept->fd;

	if (fd > 0 && !is_kept(kept, fd))
		atomic_compare_exchange_strong(&kept->fd, &fd, -1);
}

/* A child of vfork may have closed its own; what is noted is its parent's. */
static void look_after_folders(void)
{
	if (boot_is_borrowed())
		return;
	look_after(&known.folder);
	look_after(&known.files);
}

/* To make what there is may be forbidden: fs.protected_regular. */
static bool may_create(const struct stat *status, int flags)
{
	return !(flags & O_CREAT) || status->st_uid == sys_geteuid();
}

int known_open(const struct known_name *name, int flags, struct stat *ret_status)
{
	int fd_flags = flags & ~O_CREAT;
	struct number_path path;
	struct fact fact;
	int fd;

	if ((flags & ~OPEN_FLAGS) || (flags & O_ACCMODE) == O_ACCMODE ||
	    !find(name, &fact, &path))
		return KNOWN_NOT;
	/* There it is a link. */
	if (path.by_descriptor)
		fd_flags &= ~O_NOFOLLOW;
	fd = may_go(&path) ? sys_openat(path.folder, path.bytes, fd_flags, 0) : -EACCES;
	if (fd >= 0 && sys_fstat(fd, ret_status) == 0 && is_so(name, &fact, ret_status) &&
	    may_create(ret_status, flags)) {
		taken_note(TRACED_KNOWN);
		return fd;
	}
	fd_close_at(&fd);
	look_after_folders();
	return KNOWN_NOT;
}

/* Who makes a file has it open whatever its mode: by its number the kernel judges. */
bool known_opens_new(int flags, mode_t mode)
{
	const struct marks *marks = marks_known();

	return marks && marks->road < MARKS_BY_DESCRIPTOR && known.folder.fd > 0 &&
	       mark_now(0) && !(flags & ~(OPEN_FLAGS | NEW_FLAGS)) &&
	       (flags & O_ACCMODE) != O_ACCMODE && (mode & OWNERS) == OWNERS;
}

int known_open_new(uint64_t number, int flags, struct wire_stat *ret_status)
{
	struct number_path path;
	struct stat status;
	int fd;

	if (!find_path(number, &path) || path.by_descriptor)
		return -ESTALE;
	fd = sys_openat(path.folder, path.bytes, flags & ~(O_CREAT | NEW_FLAGS), 0);
	if (fd == -EMFILE)
		return fd;
	if (fd >= 0 && sys_fstat(fd, &status) == 0 && S_ISREG(status.st_mode) &&
	    status.st_dev == known.folder.device) {
		ret_status->dev = status.st_dev;
		ret_status->ino = status.st_ino;
		return fd;
	}
	fd_close_at(&fd);
	look_after_folders();
	return -ESTALE;
}

int known_stat(const struct known_name *name, struct stat *ret_status)
{
	struct number_path path;
	struct stat status;
	struct fact fact;

	if (!find(name, &fact, &path))
		return KNOWN_NOT;
	if (!may_go(&path) ||
	    sys_fstatat(path.folder, path.bytes, &status, 0) < 0 ||
	    !is_so(name, &fact, &status)) {
		look_after_folders();
		return KNOWN_NOT;
	}
	*ret_status = status;
	taken_note(TRACED_KNOWN);
	return 0;
}

/* One of the two descriptors by which names are opened; or -errno. */
static int ask_for(uint32_t what)
{
	static const struct client_places nowhere;
	struct wire_request request = wire_request_make(WIRE_ROADS);
	char text[1];
	struct client_answer answer = {.text = text, .text_room = sizeof text};
	int result;

	request.flags = what;
	result = ask_favour(&request, &nowhere, &answer);
	return result < 0 ? result : answer.fd;
}

/* Where those of an earlier worker are, somebody may be reading. */
static int map_marks(int file)
{
	const struct marks *old = marks_known();
	const struct marks *none = NULL;
	struct stat status;
	void *page;

	if (!(sys_fcntl(file, F_GET_SEALS, 0) & F_SEAL_SHRINK) || sys_fstat(file, &status) < 0 ||
	    status.st_size < (off_t)sizeof *old)
		return -EPROTO;
	page = (void *)sys_map((long)old, sizeof *old, PROT_READ,
	                       MAP_SHARED | (old ? MAP_FIXED : 0), file, 0);
	if (sys_is_error(page)) {
		/* There may be nothing at all now. */
		atomic_store(&known.marks, NULL);
		return (int)(long)page;
	}
	if (!old && !atomic_compare_exchange_strong(&known.marks, &none, page))
		sys_munmap(page, sizeof *old);
	return 0;
}

/* Takes the descriptor. */
static int keep(struct kept *kept, int *fd)
{
	struct stat status;
	int result = sys_fstat(*fd, &status);
	int old;

	if (result < 0 || !S_ISDIR(status.st_mode))
		return result < 0 ? result : -EPROTO;
	old = atomic_exchange(&kept->fd, -1);
	if (is_kept(kept, old))
		sys_close(old);
	kept->device = status.st_dev;
	kept->inode = status.st_ino;
	atomic_store(&kept->fd, pool_move_up(fd_steal(fd)));
	return 0;
}

/* The process of that number is the worker if it has the marks (borrowed) open where it says. */
static int check_worker(int files, const char *number, int marks)
{
	struct stat theirs, ours;
	int result = sys_fstatat(files, number, &theirs, 0);

	if (result == 0)
		result = sys_fstat(marks, &ours);
	if (result < 0)
		return result;
	return theirs.st_dev == ours.st_dev && theirs.st_ino == ours.st_ino ? 0 : -EPROTO;
}

/* By this process's own /proc: what it may not see there it may not have. */
static int keep_files(int file)
{
	const struct marks *marks = marks_known();
	struct text path = TEXT_NULL;
	struct text number = TEXT_NULL;
	OWN_FD files = -1;
	int result;

	if (!marks || marks->road != MARKS_BY_DESCRIPTOR)
		return 0;
	text_string(&path, "/proc/");
	text_number(&path, marks->pid);
	text_string(&path, "/fd");
	text_number(&number, marks->file);
	files = sys_openat(AT_FDCWD, path.bytes, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
	result = files < 0 ? files : check_worker(files, number.bytes, file);
	return result < 0 ? result : keep(&known.files, &files);
}

/* Who is refused it once asks the daemon for each name, as does who is refused it by the host. */
static void set_out(void)
{
	OWN_FD folder = -1;
	OWN_FD marks = -1;
	int result;

	if (known.failures >= FAILURES_MAX || boot_is_borrowed())
		return;
	result = folder = ask_for(WIRE_WANT_FOLDER);
	if (result >= 0)
		result = marks = ask_for(WIRE_WANT_MARKS);
	if (result >= 0)
		result = keep(&known.folder, &folder);
	if (result >= 0)
		result = map_marks(marks);
	if (result >= 0)
		result = keep_files(marks);
	if (result < 0 && result != -EMFILE)
		known.failures += result == -EPERM || result == -EACCES ? FAILURES_MAX : 1;
}

void known_set_out(void)
{
	if (known.folder.fd <= 0 || known.files.fd < 0)
		set_out();
}

/* At the second time: most names are opened once. */
void known_learn(const struct known_name *name, uint64_t number, dev_t device, ino_t inode)
{
	struct fact fact = {.mark = name->mark, .number = number, .device = device, .inode = inode};
	struct fact before;

	if (!number || !name->length || name->length >= NAME_ROOM)
		return;
	if ((!name->mark || known.folder.fd < 0 || known.files.fd < 0) && recall(name, &before))
		set_out();
	note(name, fact);
}

void known_learn_file(const struct known_name *name, const struct client_answer *answer)
{
	uint64_t number = answer->reply.roads.number;
	struct stat status;

	if (number && answer->is_opened)
		known_learn(name, number, answer->told.stat.dev, answer->told.stat.ino);
	else if (number && sys_fstat(answer->fd, &status) == 0)
		known_learn(name, number, status.st_dev, status.st_ino);
}
