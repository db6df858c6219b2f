/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "preload/boot.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/sys.h"
#include "preload/real.h"

enum { LINE_MAX_LENGTH = 420 };

static struct config config;
static _Atomic pid_t owner;

static struct text setting(const char *name)
{
	struct text value = TEXT_NULL;
	const char *given = secure_getenv(name);

	if (given)
		text_string(&value, given);
	return value;
}

/* A relative path holds only until the program's first chdir. */
static struct text absolute(const char *path)
{
	struct text whole = TEXT_NULL;
	char folder[sizeof whole.bytes];

	if (path[0] != '/') {
		if (sys_call(SYS_getcwd, (long)folder, sizeof folder, 0, 0, 0, 0) < 0) {
			whole.cut = true;
			return whole;
		}
		text_string(&whole, folder);
		text_string(&whole, "/");
	}
	text_string(&whole, path);
	return whole;
}

static struct text folder_setting(const char *name)
{
	struct text value = setting(name);

	return value.length && !value.cut ? absolute(value.bytes) : value;
}

static struct text library_path(void)
{
	const char *path = real_library();
	Dl_info self;

	/* It goes through all symbols. */
	if (!path && dladdr((void *)(uintptr_t)boot_config, &self))
		path = self.dli_fname;
	return path ? absolute(path) : TEXT_NULL;
}

/* Takes what stands between colons, from its first slash on. */
static void add_prefix(const char *prefix)
{
	if (prefix[0] == '/' && prefix[strspn(prefix, "/")] && config.prefix_count < PREFIXES_MAX)
		config.prefixes[config.prefix_count++] = prefix;
}

static void set_prefixes(void)
{
	char *at = config.paths.bytes;
	char *colon;

	if (strcmp(at, "off") == 0)
		return;
	add_prefix("/dev/shm");
	for (; (colon = strchr(at, ':')); at = colon + 1) {
		*colon = '\0';
		add_prefix(at);
	}
	/* Half a path would be another's. */
	if (!config.paths.cut)
		add_prefix(at);
}

static enum mmap_mode mmap_setting(void)
{
	static const char *const words[] = {
		[MMAP_AUTO] = "auto",
		[MMAP_NATIVE] = "native",
		[MMAP_EMULATE] = "emulate",
	};
	const char *given = secure_getenv("SHMEMU_MMAP");
	struct text line = TEXT_NULL;

	/* What libc keeps in objects that processes share, emulated memory is to serve: known of
	 * 64-bit programs. */
	if (sizeof(long) < sizeof(uint64_t))
		return MMAP_NATIVE;
	if (!given || !*given)
		return MMAP_AUTO;
	for (size_t mode = 0; mode < sizeof words / sizeof words[0]; mode++) {
		if (strcmp(given, words[mode]) == 0)
			return (enum mmap_mode)mode;
	}
	text_string(&line, "SHMEMU_MMAP=");
	text_printable(&line, given);
	if (line.length > LINE_MAX_LENGTH)
		line.length = LINE_MAX_LENGTH;
	text_string(&line, ": it is auto, native or emulate, and auto is what it is taken for");
	log_line(&config.log, LOG_ERROR, &line);
	return MMAP_AUTO;
}

static void boot(void)
{
	config = (struct config){
		.log = log_parse(secure_getenv("SHMEMU_LOG")),
		.shmemu_dir = folder_setting("SHMEMU_DIR"),
		.xdg_runtime_dir = setting("XDG_RUNTIME_DIR"),
		.tmpdir = setting("TMPDIR"),
		.library = library_path(),
		.paths = setting("SHMEMU_PATHS"),
	};
	set_prefixes();
	/* What is emulated is so by calls that would not come to us. */
	config.mmap = real_is_before_all ? mmap_setting() : MMAP_NATIVE;
}

const struct config *boot_config(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, boot);
	return &config;
}

__attribute__((cold)) static void set_owner(void)
{
	owner = sys_getpid();
}

bool boot_is_borrowed(void)
{
	return owner && owner != sys_getpid();
}

__attribute__((constructor)) static void construct(void)
{
	boot_config();
	set_owner();
	pthread_atfork(NULL, NULL, set_owner);
}

void boot_log_error(struct text text, int error)
{
	/* The end matters most: room for it, and for what log_line puts before. */
	if (text.length > LINE_MAX_LENGTH) {
		text.length = LINE_MAX_LENGTH;
		text_string(&text, "...");
	}
	text_string(&text, ": ");
	text_errno(&text, error);
	log_line(&boot_config()->log, LOG_ERROR, &text);
}
