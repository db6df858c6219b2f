/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/calls.h"

#include <stdlib.h>
#include <string.h>

#include "cli/attempts.h"
#include "cli/trial.h"

enum kind {
	HOSTS,    /* the host's, where that has it */
	MAPPING,  /* the same, unless SHMEMU_MMAP says otherwise */
	DAEMON_S, /* with the library always the daemon's */
};

static const struct call {
	const char *name;
	int (*attempt)(void);
	enum kind kind;
	const char *instead; /* what the library does where the host has not got it */
	const char *lack;    /* what there is to say where it does not; or NULL */
} calls[] = {
	{"shm_open", try_shm_open, DAEMON_S, "by the daemon", NULL},
	{"paths below /dev/shm", try_path, DAEMON_S, "by the daemon",
	 "SHMEMU_PATHS says which paths are the library's"},
	{"sem_open", try_sem_open, DAEMON_S, "by the daemon", NULL},
	{"mq_open", try_mq_open, DAEMON_S, "by the daemon", NULL},
	{"shmget", try_shmget, DAEMON_S, "by the daemon", NULL},
	{"semget", try_semget, DAEMON_S, "by the daemon", NULL},
	{"msgget", try_msgget, DAEMON_S, "by the daemon", NULL},
	{"shared mmap of files", try_mmap_shared, MAPPING,
	 "emulated: private memory that is compared with the file and exchanged with it when "
	 "processes talk, and every few milliseconds", NULL},
	{"private mmap of files", try_mmap_private, MAPPING,
	 "emulated: private memory that is filled from the file", NULL},
	{"shared anonymous mmap", try_mmap_anonymous, MAPPING,
	 "emulated: by a file without a name, as shared mappings of files are", NULL},
	{"atomics and futexes", try_atomics, MAPPING, NULL,
	 "not between processes in emulated mappings: pthread's locks and semaphores are served, "
	 "a program's own are not"},
	{"msync", try_msync, HOSTS, "supplied, for emulated mappings; others need none but for a "
	 "disk", NULL},
	{"mremap", try_mremap, HOSTS, "supplied: by new memory and a copy", NULL},
	{"madvise", try_madvise, HOSTS,
	 "supplied: hints are passed over, DONTNEED, FREE and REMOVE have their effect", NULL},
	{"mprotect", try_mprotect, HOSTS, NULL, "memory stays as it was mapped"},
	{"munmap", try_munmap, HOSTS,
	 "supplied: mappings end, but their addresses are not free again", NULL},
	{"ftruncate", try_ftruncate, HOSTS, "supplied: by truncate on the file's path in /proc",
	 NULL},
	{"fallocate", try_fallocate, HOSTS,
	 "supplied: by touching pages and by writing zeros; no room beyond the end, no ranges "
	 "that move", NULL},
	{"memfd_create", try_memfd_create, HOSTS,
	 "supplied: by a file of the store, without seals and huge pages", NULL},
	{"OFD locks", try_locks, HOSTS, NULL,
	 "so no locks that processes share in emulated mappings"},
	{"inotify", try_inotify, HOSTS, NULL, NULL},
};

_Static_assert(sizeof calls / sizeof calls[0] <= CALLS_MAX, "callers have room");

const size_t call_count = sizeof calls / sizeof calls[0];

const char *call_name(size_t call)
{
	return calls[call].name;
}

int call_try(size_t call)
{
	return trial_run(calls[call].attempt);
}

static bool setting_is(const char *word)
{
	const char *setting = getenv("SHMEMU_MMAP");

	return setting && strcmp(setting, word) == 0;
}

static struct fact describe_lack(const struct call *call, int host, int library)
{
	bool is_native = call->kind == MAPPING && setting_is("native");
	const char *why = is_native ? "SHMEMU_MMAP=native" : call->lack;

	if (host == library)
		return fact_result(host, "%s; not to be had%s%s", trial_words(host),
		                   why ? ": " : "", why ? why : "");
	return fact_result(host, "%s; with the library %s%s%s",
	                   host ? trial_words(host) : "by the host", trial_words(library),
	                   why ? ": " : "", why ? why : "");
}

static struct fact describe_supply(const struct call *call, int host)
{
	const char *instead = call->instead ? call->instead : "supplied";

	if (host == 0 && call->kind == MAPPING && setting_is("emulate") && call->instead)
		return fact_result(host, "%s all the same: SHMEMU_MMAP=emulate", instead);
	if (host == 0)
		return fact_result(host, "by the host%s", call->kind == DAEMON_S ?
		                   "; with the library by the daemon" : "");
	if (call->attempt == try_mmap_shared && trial_run(try_mmap_memfd) == 0)
		return fact_result(host, "%s; segments are mapped by the host, other files are %s",
		                   trial_words(host), instead);
	return fact_result(host, "%s; %s", trial_words(host), instead);
}

struct fact call_describe(size_t call, int host, int library)
{
	struct fact fact;

	if (library == FACT_TOLD)
		return fact_result(host, "%s", host ? trial_words(host) : "by the host");
	fact = library ? describe_lack(&calls[call], host, library)
	               : describe_supply(&calls[call], host);
	fact.library = library;
	return fact;
}

struct fact call_find_setting(void)
{
	const char *setting = getenv("SHMEMU_MMAP");

	if (setting && *setting && !setting_is("auto") && !setting_is("native") &&
	    !setting_is("emulate"))
		return fact_make(false, "%.100s: it is auto, native or emulate, and auto is what "
		                 "it is taken for", setting);
	if (setting_is("native"))
		return fact_told("native: mappings are the host's, or an error");
	if (setting_is("emulate"))
		return fact_told("emulate: mappings of files, and shared ones, are emulated even "
		                 "where the host has them");
	return fact_told("auto: mappings are the host's where it has them, else emulated");
}
