/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/doctor_daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/client.h"
#include "base/huge.h"
#include "base/own.h"
#include "cli/ask.h"
#include "cli/facts_table.h"

/* The daemon's own word for it: enum anon_kind. */
enum { SOURCE_TMPFS = 1 };

enum { ROADS_VERSION = 4 };

/* It is no matter of the host's. */
static void add(struct libscols_table *table, const char *what, struct fact fact)
{
	fact.library = fact.host;
	fact.host = FACT_TOLD;
	facts_table_add(table, what, &fact);
}

static struct fact describe_daemon(const struct doctor_daemon *daemon)
{
	const char *folder = daemon->path.bytes;

	if (daemon->sock == -ENOENT || daemon->sock == -ECONNREFUSED)
		return fact_told("none serves %s: the first program with the library starts one "
		                 "there", folder);
	if (daemon->sock == -EACCES)
		return fact_make(false, "%s is not to be trusted: it must be a folder of this "
		                 "user's or root's, no link, that nobody else may write to",
		                 folder);
	if (daemon->sock < 0)
		return fact_make(false, "%s: %s", folder, strerror(-daemon->sock));
	return fact_make(true, "process %u, its worker %u, in %s", daemon->status.keeper,
	                 daemon->status.pid, folder);
}

/* Returns what the daemon speaks, or -errno. */
static int greet(struct doctor_daemon *daemon)
{
	struct wire_request request = wire_request_make(WIRE_STATUS);
	struct client_answer answer;
	int result = client_ask(daemon->sock, &request, &answer);

	if (result < 0)
		return result == -EPROTONOSUPPORT ? answer.reply.header.version : result;
	daemon->status = answer.reply.status;
	return answer.reply.header.version;
}

static struct fact describe_protocol(int version)
{
	if (version < 0)
		return fact_make(false, "the daemon does not answer: %s", strerror(-version));
	return fact_make(wire_speaks((unsigned)version),
	                 "the daemon speaks %d, shmemu " SHMEMU_VERSION " %d to %d", version,
	                 WIRE_VERSION_MIN, WIRE_VERSION);
}

static struct fact describe_source(uint32_t source)
{
	static const char *const words[] = {
		"nobody knows where", "a private tmpfs", "memfd_create",
		"files in $TMPDIR, which can reach a disk",
	};

	return fact_told("%s", words[source < sizeof words / sizeof words[0] ? source : 0]);
}

/* Whether the mount is the one that this process sees there. */
static bool sees_mount(const char *path, uint64_t device)
{
	OWN_FD folder = sys_openat(AT_FDCWD, path, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
	struct stat status;

	return folder >= 0 && sys_fstat(folder, &status) == 0 && status.st_dev == device;
}

static struct fact describe_road(const struct wire_roads *roads, const char *path)
{
	if (!roads->mount_device)
		return fact_make(true, "by the socket: shmfs is not mounted");
	if (!sees_mount(path, roads->mount_device))
		return fact_make(true, "by the socket: shmfs is mounted on %s, which this process "
		                 "does not see", path);
	if (!roads->refusal)
		return fact_make(true, "by the mount on %s, with passthrough", path);
	return fact_make(true, "by the mount on %s, with direct I/O: %s", path,
	                 roads->refusal == -EPERM ? "passthrough takes CAP_SYS_ADMIN on the host" :
	                 roads->refusal == -EOPNOTSUPP ?
	                         "passthrough takes Linux 6.9, and not to be turned off" :
	                         strerror(-roads->refusal));
}

/* What this user's large segments have now: a segment is made, and looked at. */
static int try_huge_pages(int sock)
{
	struct wire_request request = wire_request_make(WIRE_OPEN);
	struct client_answer answer = {.fd = -1};
	char name[64];
	int length = snprintf(name, sizeof name, "shmemu-doctor-%d-huge", (int)getpid());
	int result;

	wire_request_name(&request, name, (size_t)length);
	request.flags = O_CREAT | O_EXCL | O_RDWR;
	request.mode = 0600;
	result = client_ask(sock, &request, &answer);
	if (result == 0)
		result = answer.reply.result;
	if (result < 0)
		return result;
	result = huge_is_given(answer.fd);
	close(answer.fd);
	request = wire_request_make(WIRE_UNLINK);
	wire_request_name(&request, name, (size_t)length);
	client_ask(sock, &request, &answer);
	return result;
}

/* A setting of the system's is above what the daemon was asked for. */
static struct fact describe_huge(int sock, const struct wire_roads *roads)
{
	int given = try_huge_pages(sock);
	char word[32] = "nothing";

	fact_setting(word, sizeof word);
	if (given < 0)
		return fact_make(false, "cannot find out: %s", strerror(-given));
	if (roads->source != SOURCE_TMPFS)
		return fact_make(given, "%s, since there is no private tmpfs, and " SHMEM_ENABLED
		                 " says %s", given ? "large segments have them" : "none", word);
	return fact_make(given, "%s by --huge=%s, and " SHMEM_ENABLED " says %s",
	                 given ? "large segments have them" :
	                 roads->huge == HUGE_ADVISE ? "where a program asks" : "none",
	                 huge_word(roads->huge < HUGE_COUNT ? (enum huge)roads->huge : 0), word);
}

static void add_roads(const struct doctor_daemon *daemon, struct libscols_table *table)
{
	char path[WIRE_TEXT_MAX + 1] = "";
	struct wire_roads roads;
	int result = ask_try_roads(daemon->sock, &roads, path, sizeof path);

	if (result < 0) {
		add(table, "road of paths",
		    fact_make(false, "the daemon does not tell: %s", strerror(-result)));
		return;
	}
	add(table, "memory comes from", describe_source(roads.source));
	add(table, "huge pages in segments", describe_huge(daemon->sock, &roads));
	add(table, "road of paths", describe_road(&roads, path));
}

static void describe_limit(char *text, size_t size, const char *name, uint64_t max, bool is_bytes)
{
	char bytes[32];

	if (max && is_bytes)
		fact_bytes(max, bytes);
	else
		snprintf(bytes, sizeof bytes, "%" PRIu64, max);
	snprintf(text, size, "%s %s", name, max ? bytes : "any");
}

static struct fact describe_limits(int sock)
{
	struct wire_limits limits;
	int result = ask_limits(sock, 0, 0, &limits);
	char size[64], inodes[64], share[64], used[32];

	if (result < 0)
		return fact_make(false, "the daemon does not tell: %s", strerror(-result));
	describe_limit(size, sizeof size, "size", limits.size, true);
	describe_limit(inodes, sizeof inodes, "inodes", limits.inodes, false);
	describe_limit(share, sizeof share, "user-size", limits.user_size, true);
	fact_bytes(limits.size_used, used);
	return fact_told("%s (%s in use), %s (%" PRIu64 " in use), %s", size, used, inodes,
	                 limits.inodes_used, share);
}

bool doctor_daemon_add(struct doctor_daemon *daemon, const char *folder,
                       struct libscols_table *table)
{
	int version;

	daemon->sock = ask_try_connect(folder, &daemon->path);
	version = daemon->sock < 0 ? daemon->sock : greet(daemon);
	add(table, "daemon", describe_daemon(daemon));
	if (daemon->sock < 0)
		return daemon->sock == -ENOENT || daemon->sock == -ECONNREFUSED;
	add(table, "protocol", describe_protocol(version));
	if (version < 0 || !wire_speaks((unsigned)version))
		return false;
	if (version < ROADS_VERSION)
		return true;
	add_roads(daemon, table);
	add(table, "limits", describe_limits(daemon->sock));
	return true;
}
