/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The lines of probes that are not what they are natively, and what they are instead; why is in
 * docs/differences.md, by the same names. Such a line is found by the class in its braces. */
#include <string.h>
#include <unistd.h>

#include "tests/conform/compare.h"

/* A daemon is root's, or an ordinary user's own. */
#define ROOTS(kind) (1U << (2 * (kind)))
#define OWN(kind) (2U << (2 * (kind)))
#define IN(kind) (ROOTS(kind) | OWN(kind))

#define BY_SOCKET (IN(WORLD_SOCKET) | IN(WORLD_EMBEDDED) | IN(WORLD_BARE) | IN(WORLD_MEMFD))
#define BY_SOCKET_ROOTS                                                                            \
	(ROOTS(WORLD_SOCKET) | ROOTS(WORLD_EMBEDDED) | ROOTS(WORLD_BARE) | IN(WORLD_MEMFD))
#define BY_SOCKET_OWN (OWN(WORLD_SOCKET) | OWN(WORLD_EMBEDDED) | OWN(WORLD_BARE))
#define BY_MOUNT (IN(WORLD_MOUNT) | IN(WORLD_DIRECT)) /* the library's way is the mount */
#define MOUNTED (BY_MOUNT | IN(WORLD_PLAIN))
#define PASSED (IN(WORLD_MOUNT) | IN(WORLD_PLAIN))
#define LIBRARY (BY_SOCKET | BY_MOUNT)

/* Too long for the mount: what it leads to has the device and number that it has there. */
#define BY_THE_DAEMON "is another, open ok, access ok, rmdir ENOTDIR"

static const struct difference {
	unsigned worlds;
	const char *line;
} differences[] = {
	/* What is open is the kernel's object behind a thing, not named as the thing is. */
	{IN(WORLD_MEMFD), "{bytes: a name for a file without one} EXDEV"},
	{IN(WORLD_MEMFD), "{bytes: links of an open file} 0"},
	{BY_SOCKET, "{looks: .. of a removed folder} ENOENT"},
	{IN(WORLD_MEMFD), "{looks: links of an open file} 0"},
	{BY_SOCKET, "{looks: links of an open folder} 2"},
	{OWN(WORLD_MEMFD), "{looks: size of an open folder} *"}, /* the host's */
	{BY_SOCKET, "{looks: size of an open folder} 40"},
	{BY_SOCKET_ROOTS, "{looks: one device} 0"},
	{BY_SOCKET, "{opens: O_PATH of a link} no link"},
	{BY_SOCKET, "{opens: an O_PATH descriptor is given a name} EXDEV"},
	{IN(WORLD_MEMFD), "{opens: an unnamed file is given a name} EXDEV"},
	{IN(WORLD_MEMFD), "{opens: it is there} 0"},
	{IN(WORLD_MEMFD), "{opens: links then} 0"},
	{IN(WORLD_MEMFD), "{opens: one that is to have no name is given one} EXDEV"},
	{LIBRARY, "{ways: readlink of a descriptor} 0"},
	{MOUNTED, "{ways: open of a removed working folder} ESTALE"},
	{BY_SOCKET, "{ways: up from a removed folder} ENOENT"},
	{BY_SOCKET, "{ways: chdir up from there} ENOENT"},

	/* What only the kernel knows of memory. */
	{IN(WORLD_BARE), "{maps: a private page of a file that was emptied} *"},
	{IN(WORLD_BARE), "{maps: MADV_WIPEONFORK of plain memory} EINVAL"},
	{IN(WORLD_BARE), "{maps: what a child has of plain memory} x b c d"},

	/* What only a mount can give. */
	{BY_SOCKET, "{kinds: bind} ENOENT"},
	{BY_SOCKET, "{kinds: bind again} ENOENT"},
	{BY_SOCKET, "{kinds: connect, nobody listens} ENOENT"},
	{BY_SOCKET, "{kinds: connect} ENOENT"},
	{BY_SOCKET, "{kinds: its mode} 0"},
	{BY_SOCKET, "{kinds: open of it} ENOENT"},
	{BY_SOCKET, "{kinds: by a socket} 0"},
	{BY_SOCKET, "{kinds: socket renamed} ENOENT"},
	{BY_SOCKET, "{kinds: connect to its new name} ENOENT"},
	{BY_SOCKET, "{watches: made in a folder} "},
	{BY_SOCKET, "{watches: renamed in a folder} "},
	{BY_SOCKET, "{watches: a folder made in a folder} "},
	{BY_SOCKET, "{watches: removed from a folder} "},
	{BY_SOCKET, "{watches: a folder removed from a folder} "},
	{BY_SOCKET, "{watches: linked into a folder} "},
	{BY_SOCKET, "{watches: unlinked from a folder} "},

	/* The library takes no part in paths that begin elsewhere. */
	{LIBRARY, "{moves: in by a link outside} ENOENT"},
	{LIBRARY, "{ways: by /proc} ENOENT"},
	{LIBRARY, "{ways: by /tmp} ENOENT"},
	{LIBRARY, "{ways: by /usr/bin} ENOENT"},
	{LIBRARY, "{ways: from /dev} ENOENT"},
	{LIBRARY, "{ways: from /tmp} ENOENT"},
	{LIBRARY, "{ways: in by a link outside} ENOENT"},
	{LIBRARY, "{ways: out and in again} ENOENT"},

	/* Once a path is on the mount, the kernel goes on alone. */
	{BY_MOUNT, "{ways: 41 links of absolute} ENOENT ENOENT"},
	{BY_MOUNT, "{ways: in a circle} ENOENT"},
	{BY_MOUNT, "{ways: beyond a circle} ENOENT"},
	{BY_MOUNT, "{ways: a path of 4094 bytes} " BY_THE_DAEMON},
	{BY_MOUNT, "{ways: a path of 4095 bytes} " BY_THE_DAEMON},

	/* Mappings that are memory of the process's own. */
	{IN(WORLD_BARE), "{bytes: beyond the end} 1011"}, /* SIGSEGV */
	{IN(WORLD_BARE), "{fds: a semaphore with one free} EMFILE"},
	{IN(WORLD_BARE), "{fds: its name} ENOENT"},
	{IN(WORLD_BARE), "{fds: numbers of others} 2"},
	{IN(WORLD_BARE), "{segment: data where a hole was read} 8192"},
	{IN(WORLD_BARE), "{segment: past the end} 0"},

	/* What is attached twice with the same rights is one memory, and counts twice; with others
	 * it is two, which show the same by the next call that waits. */
	{IN(WORLD_BARE), "{raw: shmdt again} ok"},
	{IN(WORLD_BARE), "{raw: shmdt by libc} EINVAL"},
	{IN(WORLD_BARE), "{proc: shm, attached} *"}, /* its bytes come to the file later */
	{IN(WORLD_BARE), "{proc: shm, removed} *"},
	{IN(WORLD_BARE), "{shmat: remapped} EINVAL a c, 1"},
	{IN(WORLD_BARE), "{shmat: remapped, detached} ok, 0"},
	{IN(WORLD_BARE), "{shmat: remapped, detached by where it would begin} EINVAL, 0"},
	{IN(WORLD_BARE), "{shmat: removed, a page remapped} EINVAL, 1"},
	{IN(WORLD_BARE), "{shmat: removed, another remapped} EINVAL, 1"},
	{IN(WORLD_BARE), "{shmat: two places} no"},
	{IN(WORLD_BARE), "{shmat: read-only, read} no"},
	{IN(WORLD_BARE), "{shmat: in the last} no"},

	/* Each end of a fifo shows its own half. */
	{LIBRARY, "{mq: only receives, empty} poll , select , epoll "},
	{LIBRARY, "{mq: only sends, full} poll , select , epoll "},

	/* FUSE. */
	{PASSED, "{bytes: O_APPEND taken away} 19"},
	{MOUNTED, "{bytes: seals} EINVAL"},
	{MOUNTED, "{changes: times by reading nothing} -"},
	{MOUNTED, "{looks: kind of filesystem} another"},
	{IN(WORLD_PLAIN), "{segment: on a tmpfs} 0"},
	{IN(WORLD_PLAIN), "{segment: seals} -1"},

	/* Huge pages. */
	{LIBRARY & ~IN(WORLD_MEMFD), "{looks: preferred size of a write} 2097152"},
	{IN(WORLD_PLAIN), "{looks: preferred size of a write} 2097152"},

	/* The root is no mount point. */
	{BY_SOCKET, "{moves: rmdir of the root} EBUSY"},
	{BY_SOCKET, "{moves: unlink of the root} EISDIR"},

	/* A daemon that has its files open for writing has them copied to be executed. */
	{BY_SOCKET_OWN, "{runs: mode 100} /dev/shm/top/program: 99 ETXTBSY"},
	{BY_SOCKET_OWN, "{runs: mode 111} /dev/shm/top/program: 99 ETXTBSY"},
	{BY_SOCKET_OWN, "{runs: not readable} /dev/shm/top/unreadable: 99 ETXTBSY"},
	{BY_SOCKET_OWN, "{runs: reading and writing} ok"},
	{BY_SOCKET_OWN, "{runs: truncating what runs} ok"},
	{BY_SOCKET_OWN, "{runs: writing to what runs} ok"},
	{BY_SOCKET_OWN, "{runs: while it is written} /dev/shm/top/program: 0 ok"},
	{IN(WORLD_MEMFD), "{runs: while it is written} /dev/shm/top/program: 0 ok"},
};

/* With its braces. */
static size_t class_length(const char *line, size_t length)
{
	const char *end = length > 0 && line[0] == '{' ? memchr(line, '}', length) : NULL;

	return end ? (size_t)(end - line) + 1 : 0;
}

const char *difference_of(enum world_kind kind, uid_t uid, const char *line, size_t length)
{
	size_t class = class_length(line, length);
	/* What root starts is root's, but for what the program itself starts. */
	bool is_own = uid != 0 && (geteuid() != 0 || world_is_embedded(kind));
	unsigned here = is_own ? OWN(kind) : ROOTS(kind);

	for (size_t i = 0; class > 0 && i < sizeof differences / sizeof differences[0]; i++)
		if ((differences[i].worlds & here) &&
		    strncmp(differences[i].line, line, class) == 0)
			return differences[i].line;
	return NULL;
}
