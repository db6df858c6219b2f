/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuse/options.h"

#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/size.h"
#include "fuse/mount_options.h"

enum { EXIT_USAGE = 2 };

enum long_only {
	OPTION_DIR = 256,
	OPTION_NO_MOUNT,
	OPTION_SOURCE,
	OPTION_PASSTHROUGH,
	OPTION_AWAKE,
	OPTION_READY_FD,
	OPTION_IDLE_EXIT,
	OPTION_WAIT,
	OPTION_SIZE,
	OPTION_USER_SIZE,
	OPTION_HUGE,
	OPTION_INODES,
	OPTION_USER_NAMES,
	OPTION_USER_CONNECTIONS,
	OPTION_REAP,
	OPTION_GUARD,
	OPTION_HARDEN,
	OPTION_WORKER
};

static const char usage_text[] =
	"usage: shmfs [OPTION]... [SOURCE] MOUNTPOINT\n"
	"       shmfs [OPTION]... --no-mount\n"
	"       mount -t shmfs [-o OPTION,...] shmfs MOUNTPOINT\n"
	"Hold shared memory for programs that run under libshmemu.so, and mount it as a "
        "filesystem.\n"
	"\n"
	"      --no-mount          serve programs with the library only; needs no FUSE\n"
	"  -f, --foreground        stay in the foreground\n"
	"  -o OPTION[,OPTION...]   mount options, such as allow_other; uid=, gid= and mode= of\n"
	"                          the mount point; the options below, without their dashes;\n"
	"                          nr_inodes= is --inodes=\n"
	"      --passthrough=HOW   auto, require or off: let the kernel read, write and map the\n"
	"                          memory without asking the daemon (root, Linux 6.9)\n"
	"      --awake=WHEN        auto, always or never: keep idle processors awake while\n"
	"                          requests come one after another at the mount (root); auto:\n"
	"                          where there are four or fewer\n"
	"      --source=KIND       where memory comes from: auto, tmpfs, memfd, or tmpdir\n"
	"                          (files in $TMPDIR, which can reach a disk)\n"
	"      --dir=DIR           meet clients in DIR instead of $SHMEMU_DIR or the default\n"
	"      --idle-exit=SECONDS end that long after the last client and the last name are gone\n"
	"      --reap=WHEN         take orphans away, segments that nobody holds and whose maker\n"
	"                          is gone: never (the default), orphans (at once) or ttl:SECONDS\n"
	"      --guard             keep what is in use from Python's resource tracker\n"
	"      --harden=HOW        auto, require or off: give up rights and system calls that\n"
	"                          serving does not take\n"
	"      --size=BYTES        all that there may be, with k, m, g or t behind it, or % of\n"
	"                          memory; default: any. 'shmemu limit' changes it\n"
	"      --huge=WHAT         which memory has huge pages: never, within_size (the default,\n"
	"                          where that can be had), advise or always, as tmpfs has it\n"
	"      --inodes=N          files, folders and links that there may be; default: any\n"
	"                          number\n"
	"      --user-size=BYTES   that one user may have, but for root and one's own\n"
	"      --user-names=N      names that one user may have, but for root and one's own;\n"
	"                          0: any number. Default: half of what the daemon may have open\n"
	"      --user-connections=N  likewise, connections. Default: a quarter\n"
	"      --ready-fd=FD       write a byte to FD once serving\n"
	"      --wait              wait for another daemon to leave DIR\n"
	"  -h, --help              show this and exit\n"
	"  -V, --version           show the version and exit\n";

static const struct option long_options[] = {
	{"no-mount", no_argument, NULL, OPTION_NO_MOUNT},
	{"foreground", no_argument, NULL, 'f'},
	{"passthrough", required_argument, NULL, OPTION_PASSTHROUGH},
	{"awake", required_argument, NULL, OPTION_AWAKE},
	{"source", required_argument, NULL, OPTION_SOURCE},
	{"dir", required_argument, NULL, OPTION_DIR},
	{"idle-exit", required_argument, NULL, OPTION_IDLE_EXIT},
	{"ready-fd", required_argument, NULL, OPTION_READY_FD},
	{"wait", no_argument, NULL, OPTION_WAIT},
	{"size", required_argument, NULL, OPTION_SIZE},
	{"user-size", required_argument, NULL, OPTION_USER_SIZE},
	{"huge", required_argument, NULL, OPTION_HUGE},
	{"inodes", required_argument, NULL, OPTION_INODES},
	{"user-names", required_argument, NULL, OPTION_USER_NAMES},
	{"user-connections", required_argument, NULL, OPTION_USER_CONNECTIONS},
	{"reap", required_argument, NULL, OPTION_REAP},
	{"harden", required_argument, NULL, OPTION_HARDEN},
	{"guard", no_argument, NULL, OPTION_GUARD},
	/* The keeper's word to the worker. */
	{"worker", required_argument, NULL, OPTION_WORKER},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{NULL, 0, NULL, 0},
};

static unsigned parse_number(const char *option, const char *text)
{
	char *end;
	unsigned long number;

	errno = 0;
	number = strtoul(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end || errno || number > INT_MAX)
		errx(EXIT_USAGE, "%s takes a whole number, not '%s'", option, text);
	return (unsigned)number;
}

static uint64_t parse_size(const char *option, const char *text)
{
	uint64_t size;

	if (size_parse(text, &size) < 0)
		errx(EXIT_USAGE, "%s takes " SIZE_WORDS ", not '%s'", option, text);
	return size;
}

static uint64_t parse_count(const char *option, const char *text)
{
	uint64_t count;

	if (size_parse_count(text, &count) < 0)
		errx(EXIT_USAGE, "%s takes a number, maybe with k, m or g, not '%s'", option, text);
	return count;
}

static enum huge parse_huge(const char *text)
{
	enum huge huge;

	if (huge_parse(text, &huge) < 0)
		errx(EXIT_USAGE, "--huge takes " HUGE_WORDS ", not '%s'", text);
	return huge;
}

static enum anon_kind parse_source(const char *text)
{
	enum anon_kind kind;

	if (anon_kind_parse(text, &kind) < 0)
		errx(EXIT_USAGE, "--source takes auto, tmpfs, memfd or tmpdir, not '%s'", text);
	return kind;
}

_Static_assert((int)FS_PASSTHROUGH_AUTO == (int)HARDEN_AUTO &&
               (int)FS_PASSTHROUGH_REQUIRE == (int)HARDEN_REQUIRE &&
               (int)FS_PASSTHROUGH_OFF == (int)HARDEN_OFF, "both are told in the same words");

static int parse_how(const char *option, const char *text)
{
	if (strcmp(text, "auto") == 0)
		return HARDEN_AUTO;
	if (strcmp(text, "require") == 0)
		return HARDEN_REQUIRE;
	if (strcmp(text, "off") != 0)
		errx(EXIT_USAGE, "%s takes auto, require or off, not '%s'", option, text);
	return HARDEN_OFF;
}

static enum awake_when parse_awake(const char *text)
{
	if (strcmp(text, "auto") == 0)
		return AWAKE_AUTO;
	if (strcmp(text, "always") == 0)
		return AWAKE_ALWAYS;
	if (strcmp(text, "never") != 0)
		errx(EXIT_USAGE, "--awake takes auto, always or never, not '%s'", text);
	return AWAKE_NEVER;
}

static void parse_reap(struct options *options, const char *text)
{
	static const char ttl[] = "ttl:";

	if (strncmp(text, ttl, strlen(ttl)) == 0) {
		options->reap = REAP_ORPHANS;
		options->reap_seconds = parse_number("--reap=ttl:", text + strlen(ttl));
	} else if (strcmp(text, "orphans") == 0) {
		options->reap = REAP_ORPHANS;
	} else if (strcmp(text, "never") != 0) {
		errx(EXIT_USAGE, "--reap takes never, orphans or ttl:SECONDS, not '%s'", text);
	}
}

/* By default no user can take all that there is. */
static void share_out(struct options *options)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	options->names_of_user = limit.rlim_max / 2;
	options->connections_of_user = limit.rlim_max / 4;
}

/* What -o has said, in words, and what of it is for libfuse: both live as long as the options. */
static char *listed;
static char *for_libfuse;

static void add_words(char **list, const char *words)
{
	if (mount_options_append(list, words) < 0)
		errx(EXIT_FAILURE, "cannot read the command line: out of memory");
}

static void apply(struct options *options, int option, const char *value)
{
	switch (option) {
	case OPTION_NO_MOUNT: options->no_mount = true; break;
	case 'f': options->foreground = true; break;
	case 'o': add_words(&listed, value); break;
	case OPTION_PASSTHROUGH:
		options->passthrough = (enum fs_passthrough)parse_how("--passthrough", value);
		break;
	case OPTION_AWAKE: options->awake = parse_awake(value); break;
	case OPTION_SOURCE: options->source = parse_source(value); break;
	case OPTION_DIR: options->folder = value; break;
	case OPTION_IDLE_EXIT: options->idle_seconds = parse_number("--idle-exit", value); break;
	case OPTION_READY_FD: options->ready_fd = (int)parse_number("--ready-fd", value); break;
	case OPTION_WAIT: options->wait = true; break;
	case OPTION_SIZE: options->size = parse_size("--size", value); break;
	case OPTION_USER_SIZE: options->size_of_user = parse_size("--user-size", value); break;
	case OPTION_HUGE: options->huge = parse_huge(value); break;
	case OPTION_INODES: options->inodes = parse_count("--inodes", value); break;
	case OPTION_USER_NAMES:
		options->names_of_user = parse_number("--user-names", value);
		break;
	case OPTION_USER_CONNECTIONS:
		options->connections_of_user = parse_number("--user-connections", value);
		break;
	case OPTION_REAP: parse_reap(options, value); break;
	case OPTION_HARDEN: options->harden = (enum harden)parse_how("--harden", value); break;
	case OPTION_GUARD: options->guard = true; break;
	case OPTION_WORKER: options->worker_fd = (int)parse_number("--worker", value); break;
	case 'h': fputs(usage_text, stdout); exit(EXIT_SUCCESS);
	case 'V': puts("shmfs " SHMEMU_VERSION); exit(EXIT_SUCCESS);
	default: fputs("shmfs: try 'shmfs --help'\n", stderr); exit(EXIT_USAGE);
	}
}

static unsigned parse_id(const char *key, const char *value, int base, unsigned long max)
{
	unsigned long id;
	char *end;

	errno = 0;
	id = value ? strtoul(value, &end, base) : 0;
	if (!value || value[0] < '0' || value[0] > '9' || *end || errno || id > max)
		errx(EXIT_USAGE, "-o %s= takes %s, not '%s'", key,
		     base == 8 ? "the mode of a folder in octal" : "a number", value ? value : "");
	return (unsigned)id;
}

/* Those of the root folder, named as tmpfs has them. */
static bool take_root(struct options *options, const char *key, const char *value)
{
	if (strcmp(key, "uid") == 0)
		options->root_uid = parse_id(key, value, 10, UINT_MAX - 1);
	else if (strcmp(key, "gid") == 0)
		options->root_gid = parse_id(key, value, 10, UINT_MAX - 1);
	else if (strcmp(key, "mode") == 0)
		options->root_mode = parse_id(key, value, 8, 07777);
	else
		return false;
	return true;
}

static bool is_same_word(const char *key, const char *name)
{
	for (; *key && *name; key++, name++)
		if ((*key == '_' ? '-' : *key) != *name)
			return false;
	return !*key && !*name;
}

static const struct option *find_long_option(const char *key)
{
	/* What may stand in /etc/fstab. */
	static const int listable[] = {
		OPTION_DIR, OPTION_PASSTHROUGH, OPTION_AWAKE, OPTION_SOURCE, OPTION_REAP,
		OPTION_GUARD, OPTION_HARDEN, OPTION_SIZE, OPTION_HUGE, OPTION_INODES,
		OPTION_USER_SIZE, OPTION_USER_NAMES, OPTION_USER_CONNECTIONS, 0,
	};

	if (strcmp(key, "nr_inodes") == 0)
		key = "inodes";
	for (const struct option *option = long_options; option->name; option++)
		for (size_t i = 0; listable[i]; i++)
			if (option->val == listable[i] && is_same_word(key, option->name))
				return option;
	return NULL;
}

static bool take_listed(void *details, const char *key, const char *value)
{
	struct options *options = details;
	const struct option *option = find_long_option(key);

	if (strcmp(key, "remount") == 0)
		errx(EXIT_USAGE, "-o remount is not possible: 'shmemu limit' changes limits while "
		     "they are in force, all else takes another mount");
	if (!option)
		return take_root(options, key, value);
	if ((option->has_arg == required_argument) != (value != NULL))
		errx(EXIT_USAGE, "-o %s takes %s value", key, value ? "no" : "a");
	apply(options, option->val, value);
	return true;
}

/* mount(8) calls /sbin/mount.TYPE SOURCE MOUNTPOINT, and its own options after it: links to us. */
static bool is_mount_helper(const char *program)
{
	const char *slash = strrchr(program, '/');

	return strncmp(slash ? slash + 1 : program, "mount.", strlen("mount.")) == 0;
}

static void take_words(struct options *options, int argc, char **argv)
{
	bool is_helper = is_mount_helper(argv[0]);
	int option;

	/* mount(8) tells only what is not so by default, and libfuse's default is another. */
	if (is_helper && geteuid() == 0)
		add_words(&listed, "suid,dev");
	while ((option = getopt_long(argc, argv, is_helper ? "fno:st:vN:h" : "fo:hV", long_options,
	                             NULL)) != -1) {
		/* "Fake": all but the mount. */
		if (is_helper && option == 'f')
			exit(EXIT_SUCCESS);
		if (option == 'N')
			options->namespace = optarg;
		if (!is_helper || option == 'o' || option >= OPTION_DIR || option == 'h' ||
		    option == '?')
			apply(options, option, optarg);
	}
}

/* MOUNTPOINT, or SOURCE MOUNTPOINT as mount.fuse3(8) calls us: what stands before it in
 * /proc/mounts. */
static void take_places(struct options *options, int count, char **places)
{
	if (count > 2)
		errx(EXIT_USAGE, "one mount point, not %d; try 'shmfs --help'", count);
	options->mountpoint = count ? places[count - 1] : NULL;
	if (count == 2 && places[0][0] &&
	    mount_options_add(&for_libfuse, "fsname", places[0]) < 0)
		errx(EXIT_FAILURE, "cannot read the command line: out of memory");
	if (listed && mount_options_split(listed, take_listed, options, &for_libfuse) < 0)
		errx(EXIT_FAILURE, "cannot read the command line: out of memory");
	options->mount_options = for_libfuse;
}

struct options options_parse(int argc, char **argv)
{
	struct options options = {
		.ready_fd = -1,
		.worker_fd = -1,
		.harden = HARDEN_DEFAULT,
		.root_uid = (uid_t)-1,
		.root_gid = (gid_t)-1,
		.root_mode = (mode_t)-1,
	};

	free(listed);
	free(for_libfuse);
	listed = for_libfuse = NULL;
	share_out(&options);
	take_words(&options, argc, argv);
	take_places(&options, argc - optind, argv + optind);
	if (!options.mountpoint && !options.no_mount)
		errx(EXIT_USAGE, "where to mount? Name a folder, or say --no-mount");
	if (options.mountpoint && options.idle_seconds)
		errx(EXIT_USAGE, "--idle-exit goes with --no-mount: what is mounted is in use");
	if (options.mountpoint && options.no_mount)
		errx(EXIT_USAGE, "--no-mount and a mount point, %s, exclude each other",
		     options.mountpoint);
	return options;
}
