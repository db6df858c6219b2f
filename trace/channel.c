/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One socket for each process and what it forks. Programs close what they did not open, and put
 * files of their own there, so before each use it is looked whether it is still that socket; if
 * not, there is another one. Its number is high, lest the program's own become others than they
 * are without us. Where that can't be, and in a child of vfork, which has its parent's memory and
 * descriptors of its own, a socket is opened and closed for each record. */
#include "trace/channel.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <sys/un.h>

#include "base/sys.h"

enum {
	PATIENCE_SECONDS = 2,
	FDS_RESERVED = 96, /* up from there, where libshmemu.so has its own, too */
	FDS_HIGHEST = 1 << 16,
	HEX = 16,
};

enum state { UNREAD, BUSY, OFF, ON };

static atomic_int state = UNREAD;
static bool shows_all;
static uint64_t key;
static struct sockaddr_un address;
static socklen_t address_size;

/* Its number, and in the upper half its inode's; 0: there is none. */
static _Atomic uint64_t channel;
static _Atomic pid_t owner; /* whose memory this is */
static atomic_uint lost;
static atomic_bool is_slow;

extern char **environ;

static const char *setting(void)
{
	static const char name[] = TRACED_VARIABLE "=";

	/* A setuid program's environment is its caller's. */
	if (getauxval(AT_SECURE))
		return NULL;
	for (char **entry = environ; *entry; entry++)
		if (strncmp(*entry, name, strlen(name)) == 0)
			return *entry + strlen(name);
	return NULL;
}

static uint64_t read_hex(const char **at)
{
	static const char digits[] = "0123456789abcdef";
	const char *digit;
	uint64_t number = 0;

	while (**at && (digit = strchr(digits, **at))) {
		number = number * HEX + (uint64_t)(digit - digits);
		++*at;
	}
	return number;
}

static bool parse(const char *text)
{
	const char *colon = text ? strchr(text, ':') : NULL;
	size_t length = colon ? (size_t)(colon - text) : 0;

	if (length == 0 || length > TRACED_ADDRESS_MAX)
		return false;
	address.sun_family = AF_UNIX;
	memcpy(address.sun_path + 1, text, length);
	address_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + length);
	text = colon + 1;
	key = read_hex(&text);
	shows_all = strcmp(text, TRACED_ALL) == 0;
	return key && (shows_all || !*text);
}

/* Whoever comes while somebody reads is not traced yet: it may be a signal handler on top of the
 * reader. */
static void read_setting(void)
{
	int expected = UNREAD;

	/* libc's to find, and the first calls may come before that. */
	if (!environ || !atomic_compare_exchange_strong(&state, &expected, BUSY))
		return;
	atomic_store(&state, parse(setting()) ? ON : OFF);
}

struct channel_config channel_config(void)
{
	int now = atomic_load_explicit(&state, memory_order_acquire);

	if (now == UNREAD) {
		read_setting();
		now = atomic_load_explicit(&state, memory_order_acquire);
	}
	return (struct channel_config){.is_on = now == ON, .shows_all = shows_all};
}

/* What the parent has not told it tells itself. */
static void begin_child(void)
{
	atomic_store(&owner, sys_getpid());
	atomic_store(&lost, 0);
}

__attribute__((constructor)) static void construct(void)
{
	read_setting();
	atomic_store(&owner, sys_getpid());
	pthread_atfork(NULL, NULL, begin_child);
}

/* Returns a descriptor as high as can be, or as it was. */
static int move_up(int sock)
{
	struct rlimit limit;
	int moved = -1;

	if (sys_call(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, (long)&limit, 0, 0) < 0)
		return sock;
	if (limit.rlim_cur > FDS_HIGHEST)
		limit.rlim_cur = FDS_HIGHEST;
	if (limit.rlim_cur > 2 * FDS_RESERVED)
		moved = sys_fcntl(sock, F_DUPFD_CLOEXEC, (long)limit.rlim_cur - FDS_RESERVED);
	if (moved < 0)
		return sock;
	sys_close(sock);
	return moved;
}

/* *ret_is_high: it may stay open. */
static int open_socket(bool *ret_is_high)
{
	const struct timeval patience = {.tv_sec = PATIENCE_SECONDS};
	int low = sys_socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int sock, result;

	if (low < 0)
		return low;
	sock = move_up(low);
	*ret_is_high = sock != low;
	sys_setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	result = sys_connect(sock, &address, address_size);
	if (result < 0)
		sys_close(sock);
	return result < 0 ? result : sock;
}

static uint64_t word_of(int sock)
{
	struct stat status;

	if (sys_fstat(sock, &status) < 0 || !S_ISSOCK(status.st_mode))
		return 0;
	return (uint64_t)status.st_ino << 32 | (uint32_t)sock;
}

/* -errno: it can't be had now, -ECONNREFUSED: there is no tool. */
static int get(pid_t pid, bool *ret_stays)
{
	uint64_t word = atomic_load(&channel);
	int sock = (int)(uint32_t)word;

	*ret_stays = true;
	if (word && word_of(sock) == word)
		return sock;
	sock = open_socket(ret_stays);
	if (sock >= 0 && *ret_stays)
		*ret_stays = owner == pid &&
		             atomic_compare_exchange_strong(&channel, &word, word_of(sock));
	return sock;
}

static long send_on(int sock, struct iovec *parts, size_t count)
{
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};
	int flags = MSG_NOSIGNAL | (atomic_load(&is_slow) ? MSG_DONTWAIT : 0);
	long result;

	do
		result = sys_sendmsg(sock, &message, flags);
	while (result == -EINTR);
	return result;
}

/* The tool is gone: it is as if there had been none. */
static void end(void)
{
	uint64_t word = atomic_exchange(&channel, 0);

	atomic_store(&state, OFF);
	if (word && word_of((int)(uint32_t)word) == word)
		sys_close((int)(uint32_t)word);
}

static bool is_final(long result)
{
	return result == -ECONNREFUSED || result == -ENOENT || result == -ECONNRESET;
}

void channel_send(struct traced_record *record, struct iovec *parts, size_t count)
{
	pid_t pid = sys_getpid();
	bool stays;
	int sock = get(pid, &stays);
	long result = sock;

	record->key = key;
	record->version = TRACED_VERSION;
	record->pid = pid;
	record->tid = (int32_t)sys_call(SYS_gettid, 0, 0, 0, 0, 0, 0);
	record->lost = atomic_exchange(&lost, 0);
	if (sock >= 0)
		result = send_on(sock, parts, count);
	/* An address that leads nowhere. */
	if (result == -EFAULT) {
		memset(record->lengths, 0, sizeof record->lengths);
		result = send_on(sock, parts, 1);
	}
	atomic_store(&is_slow, result == -EAGAIN);
	if (result < 0)
		atomic_fetch_add(&lost, record->lost + 1);
	if (sock >= 0 && !stays)
		sys_close(sock);
	if (is_final(result))
		end();
}

void channel_end(void)
{
	struct traced_record record = {.call = TRACED_CALL__exit};
	struct iovec part = {&record, sizeof record};
	int before = errno;

	if (channel_config().is_on && atomic_load(&lost)) {
		atomic_store(&is_slow, false);
		channel_send(&record, &part, 1);
	}
	errno = before;
}

__attribute__((destructor)) static void destruct(void)
{
	channel_end();
}
