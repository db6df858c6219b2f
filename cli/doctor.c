/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* shmemu doctor: what this host has, and which roads programs take here. Whether a program under
 * the library works is found out by one: this tool again, by the words --probe and --probe-ipc. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/client.h"
#include "base/huge.h"
#include "base/own.h"
#include "cli/ask.h"
#include "cli/calls.h"
#include "cli/facts.h"
#include "cli/find.h"
#include "cli/option.h"
#include "cli/say.h"
#include "cli/table.h"
#include "cli/trial.h"

/* The daemon's own word for it: enum anon_kind. */
enum { SOURCE_TMPFS = 1 };

enum { EXIT_UNFIT = 1, PROBE_SIZE = 4096, ROADS_VERSION = 4 };

struct doctor {
	const char *folder;
	bool json;
	const char *colour; /* what --color says */
	struct libscols_table *table;
	struct text path; /* the daemon's folder, or where one would be started */
	int sock;         /* owned; -errno: none */
	struct wire_status status;
};

enum column { WHAT, OK, DETAILS, COLUMN_COUNT };

static const struct table_column columns[COLUMN_COUNT] = {
	[WHAT] = {"WHAT", 0, SCOLS_JSON_STRING},
	[OK] = {"OK", 0, SCOLS_JSON_BOOLEAN},
	[DETAILS] = {"DETAILS", SCOLS_FL_WRAP, SCOLS_JSON_STRING},
};

static void add(const struct doctor *doctor, const char *what, const struct fact *fact)
{
	struct libscols_line *line = table_line(doctor->table);

	table_put(line, WHAT, "%s", what);
	table_put(line, OK, "%s", fact->is_so ? "yes" : "no");
	table_colour(line, OK, fact->is_so ? COLOUR_GOOD : COLOUR_BAD);
	table_put(line, DETAILS, "%s", fact->details);
}

/* Whether what is written to memory is what the file has. */
static bool arrives(char *memory, int file)
{
	char byte = '\0';

	memory[PROBE_SIZE - 1] = 'x';
	return msync(memory, PROBE_SIZE, MS_SYNC) == 0 &&
	       pread(file, &byte, 1, PROBE_SIZE - 1) == 1 && byte == 'x';
}

/* In the child, under the library: what a program does. Says what failed. */
static int probe(void)
{
	char name[64];
	void *memory;
	sem_t *semaphore;
	int file;

	snprintf(name, sizeof name, "/shmemu-doctor-%d", (int)getpid());
	file = shm_open(name, O_CREAT | O_EXCL | O_RDWR, 0600);
	if (file < 0)
		fail("shm_open: %s", strerror(errno));
	shm_unlink(name);
	if (ftruncate(file, PROBE_SIZE) < 0)
		fail("ftruncate: %s", strerror(errno));
	memory = mmap(NULL, PROBE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (memory == MAP_FAILED)
		fail("mmap: %s", strerror(errno));
	if (!arrives(memory, file))
		fail("what is written to mapped memory does not arrive");
	semaphore = sem_open(name, O_CREAT | O_EXCL, 0600, 1);
	if (semaphore == SEM_FAILED)
		fail("sem_open: %s", strerror(errno));
	sem_unlink(name);
	if (sem_wait(semaphore) < 0)
		fail("sem_wait: %s", strerror(errno));
	return EXIT_SUCCESS;
}

/* The same with IPC. */
static int probe_ipc(void)
{
	char text[256] = "";
	size_t length = 0;

	for (size_t i = 0; i < trial_count && length < sizeof text; i++) {
		int result = trial_run(i);

		if (result)
			length += (size_t)snprintf(text + length, sizeof text - length, "%s%s: %s",
			                           length ? "; " : "", trial_name(i),
			                           trial_words(result));
	}
	if (length)
		fail("%s", text);
	return EXIT_SUCCESS;
}

/* With the daemon that there is, or, so that none is left behind, with one of its own. */
static _Noreturn void become_probe(const struct doctor *doctor, const struct parts *parts,
                                   const char *word, int said)
{
	static const char self[] = "/proc/self/exe";
	const char *const by_itself[] = {"shmemu", "doctor", word, NULL};
	const char *const by_run[] = {"shmemu", "run", "--", self, "doctor", word, NULL};
	bool is_met = doctor->sock >= 0;

	dup2(said, STDERR_FILENO);
	if (is_met) {
		setenv("SHMEMU_DIR", doctor->path.bytes, 1);
		setenv("LD_PRELOAD", parts->library, 1);
	}
	execv(self, (char *const *)(uintptr_t)(is_met ? by_itself : by_run));
	fail("cannot run %s: %s", self, strerror(errno));
}

/* The first line of what it said, without who said it. */
static void read_line(int said, char *line, size_t size)
{
	static const char ours[] = "shmemu: ";
	size_t length = 0;
	ssize_t got;

	while (length < size - 1 && (got = read(said, line + length, size - 1 - length)) > 0)
		length += (size_t)got;
	line[length] = '\0';
	line[strcspn(line, "\n")] = '\0';
	while (strncmp(line, ours, strlen(ours)) == 0)
		memmove(line, line + strlen(ours), strlen(line + strlen(ours)) + 1);
}

/* `works` is what there is to say of one that does. */
static struct fact try_program(const struct doctor *doctor, const struct parts *parts,
                               const char *word, const char *works)
{
	char line[512] = "";
	int status = -1;
	int ends[2];
	pid_t child;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return fact_make(false, "cannot find out: %s", strerror(errno));
	child = fork();
	if (child == 0)
		become_probe(doctor, parts, word, ends[1]);
	close(ends[1]);
	read_line(ends[0], line, sizeof line);
	close(ends[0]);
	if (child > 0)
		waitpid(child, &status, 0);
	if (status == 0 && !line[0])
		return fact_make(true, "%s", works);
	return fact_make(false, "%s", line[0] ? line : "it ended, and did not say why");
}

static struct fact describe_daemon(const struct doctor *doctor)
{
	const char *folder = doctor->path.bytes;

	if (doctor->sock == -ENOENT || doctor->sock == -ECONNREFUSED)
		return fact_make(false, "none serves %s: the first program with the library starts "
		                 "one there", folder);
	if (doctor->sock == -EACCES)
		return fact_make(false, "%s is not to be trusted: it must be a folder of this "
		                 "user's or root's, no link, that nobody else may write to",
		                 folder);
	if (doctor->sock < 0)
		return fact_make(false, "%s: %s", folder, strerror(-doctor->sock));
	return fact_make(true, "process %u, its worker %u, in %s", doctor->status.keeper,
	                 doctor->status.pid, folder);
}

/* Returns what the daemon speaks, or -errno. */
static int greet(struct doctor *doctor)
{
	struct wire_request request = wire_request_make(WIRE_STATUS);
	struct client_answer answer;
	int result = client_ask(doctor->sock, &request, &answer);

	if (result < 0)
		return result == -EPROTONOSUPPORT ? answer.reply.header.version : result;
	doctor->status = answer.reply.status;
	return answer.reply.header.version;
}

static struct fact describe_versions(int version)
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

	return fact_make(true, "%s", words[source < sizeof words / sizeof words[0] ? source : 0]);
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

static void add_roads(const struct doctor *doctor)
{
	struct wire_request request = wire_request_make(WIRE_ROADS);
	struct client_places places = {.paths = {NULL}};
	char path[WIRE_TEXT_MAX + 1] = "";
	struct client_answer answer = {.text = path, .text_room = sizeof path};
	int result = client_ask_places(doctor->sock, &request, &places, &answer);
	struct fact fact;

	if (result == 0)
		result = answer.reply.result;
	if (result < 0) {
		fact = fact_make(false, "the daemon does not tell: %s", strerror(-result));
		add(doctor, "paths below /dev/shm", &fact);
		return;
	}
	fact = describe_source(answer.reply.roads.source);
	add(doctor, "memory comes from", &fact);
	fact = describe_huge(doctor->sock, &answer.reply.roads);
	add(doctor, "huge pages in segments", &fact);
	fact = describe_road(&answer.reply.roads, path);
	add(doctor, "paths below /dev/shm", &fact);
}

static void describe_limit(char *text, size_t size, const char *name, uint64_t max,
                           bool is_bytes)
{
	char bytes[32];

	if (max && is_bytes)
		fact_bytes(max, bytes);
	else
		snprintf(bytes, sizeof bytes, "%" PRIu64, max);
	snprintf(text, size, "%s %s", name, max ? bytes : "any");
}

static void add_limits(const struct doctor *doctor)
{
	struct wire_limits limits;
	int result = ask_limits(doctor->sock, 0, 0, &limits);
	char size[64], inodes[64], share[64], used[32];
	struct fact fact;

	if (result == 0) {
		describe_limit(size, sizeof size, "size", limits.size, true);
		describe_limit(inodes, sizeof inodes, "inodes", limits.inodes, false);
		describe_limit(share, sizeof share, "user-size", limits.user_size, true);
		fact_bytes(limits.size_used, used);
		fact = fact_make(true, "%s (%s in use), %s (%" PRIu64 " in use), %s", size, used,
		                 inodes, limits.inodes_used, share);
	} else {
		fact = fact_make(false, "the daemon does not tell: %s", strerror(-result));
	}
	add(doctor, "limits", &fact);
}

/* What we have of the daemon. Returns whether it is one that a program can use, or there is none.
 */
static bool add_daemon(struct doctor *doctor)
{
	struct fact fact;
	int version;

	doctor->sock = ask_try_connect(doctor->folder, &doctor->path);
	version = doctor->sock < 0 ? doctor->sock : greet(doctor);
	fact = describe_daemon(doctor);
	add(doctor, "daemon", &fact);
	if (doctor->sock < 0)
		return doctor->sock == -ENOENT || doctor->sock == -ECONNREFUSED;
	fact = describe_versions(version);
	add(doctor, "versions", &fact);
	if (!fact.is_so || version < ROADS_VERSION)
		return fact.is_so;
	add_roads(doctor);
	add_limits(doctor);
	return true;
}

static void add_host(const struct doctor *doctor)
{
	struct fact fact;

	for (size_t i = 0; i < fact_question_count; i++) {
		fact = fact_questions[i].find();
		add(doctor, fact_questions[i].what, &fact);
	}
	for (size_t i = 0; i < call_count; i++) {
		fact = call_find(i);
		add(doctor, call_name(i), &fact);
	}
	for (size_t i = 0; i < trial_count; i++) {
		int result = trial_run(i);

		fact = result ? fact_make(false, "%s; supplied: by the daemon", trial_words(result))
		              : fact_make(true, "by the host; with the library by the daemon");
		add(doctor, trial_name(i), &fact);
	}
	fact = call_find_setting();
	add(doctor, "SHMEMU_MMAP", &fact);
	fact = call_find_atomics();
	add(doctor, "atomics and futexes", &fact);
}

static const struct {
	const char *what;
	const char *word;
	const char *works;
} programs[] = {
	{"IPC under the library", "--probe-ipc",
	 "System V shared memory, semaphores and messages, and message queues"},
	{"a program under the library", "--probe", "it shares memory and semaphores"},
};

static int examine(struct doctor *doctor)
{
	int status = EXIT_SUCCESS;
	struct parts parts;
	struct fact fact;
	bool usable;

	find_parts(&parts);
	add_host(doctor);
	usable = add_daemon(doctor);
	for (size_t i = 0; i < sizeof programs / sizeof programs[0]; i++) {
		fact = usable ? try_program(doctor, &parts, programs[i].word, programs[i].works)
		              : fact_make(false, "not with that daemon, see above");
		add(doctor, programs[i].what, &fact);
		if (!fact.is_so)
			status = EXIT_UNFIT;
	}
	return status;
}

/* What the host has only it can tell: without the library, this program is executed anew. */
static void shed_library(char **argv)
{
	static const char library[] = "libshmemu.so";
	const char *preloaded = getenv("LD_PRELOAD");
	char rest[PATH_MAX * 2] = "";
	char *words, *word, *state = NULL;

	if (!preloaded || !strstr(preloaded, library))
		return;
	words = strdup(preloaded);
	for (word = strtok_r(words, ": ", &state); word; word = strtok_r(NULL, ": ", &state)) {
		size_t length = strlen(rest);

		if (!strstr(word, library))
			snprintf(rest + length, sizeof rest - length, "%s%s", length ? ":" : "",
			         word);
	}
	free(words);
	setenv("LD_PRELOAD", rest, 1);
	/* The subcommand is argv[0]. */
	execv("/proc/self/exe", argv - 1);
	fail("cannot run /proc/self/exe: %s", strerror(errno));
}

static int doctor_main(int argc, char **argv)
{
	struct doctor doctor = {.path = TEXT_NULL, .sock = -1};
	int option;
	int status;

	while ((option = option_next(&doctor_subcommand, argc, argv)) != -1) {
		switch (option) {
		case 'd': doctor.folder = optarg; break;
		case 'j': doctor.json = true; break;
		case 'C': doctor.colour = optarg; break;
		case 'p': return probe();
		case 'i': return probe_ipc();
		}
	}
	option_end(&doctor_subcommand, argc, argv);
	shed_library(argv);
	doctor.table = table_new("facts", doctor.json, columns, COLUMN_COUNT);
	table_allow_colours(doctor.table, colour_is_wanted(doctor.colour));
	status = examine(&doctor);
	table_print(doctor.table);
	fd_close_at(&doctor.sock);
	return status;
}

static const struct subcommand_option options[] = {
	OPTION_DIR("the daemon that serves DIR"),
	OPTION_JSON("as JSON"),
	OPTION_COLOR,
	{"probe", 'p', NULL, NULL, COMPLETE_NOTHING},
	{"probe-ipc", 'i', NULL, NULL, COMPLETE_NOTHING},
	OPTION_END,
};

const struct subcommand doctor_subcommand = {
	.name = "doctor",
	.arguments = {"[OPTION]..."},
	.summary = "tell what this host has, and which roads programs take here",
	.about = "Tell what this host has, which daemon this user's programs meet, and which "
	         "roads they take. The exit status is 0 if a program under the library works "
	         "here, else 1.",
	.options = options,
	.run = doctor_main,
};
