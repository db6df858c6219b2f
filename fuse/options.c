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

enum { EXIT_USAGE = 2 };

enum long_only {
	OPTION_DIR = 256,
	OPTION_NO_MOUNT,
	OPTION_SOURCE,
	OPTION_PASSTHROUGH,
	OPTION_READY_FD,
	OPTION_IDLE_EXIT,
	OPTION_WAIT,
	OPTION_SIZE,
	OPTION_USER_SIZE,
	OPTION_USER_NAMES,
	OPTION_USER_CONNECTIONS,
	OPTION_REAP,
	OPTION_GUARD,
	OPTION_HARDEN,
	OPTION_WORKER
};

static const char usage_text[] =
	"usage: shmfs [OPTION]... MOUNTPOINT\n"
	"       shmfs [OPTION]... --no-mount\n"
	"Hold shared memory for programs that run under libshmemu.so, and mount it as a "
        "filesystem.\n"
	"\n"
	"      --no-mount          serve programs with the library only; needs no FUSE\n"
	"  -f, --foreground        stay in the foreground\n"
	"  -o OPTION[,OPTION...]   mount options, such as allow_other\n"
	"      --passthrough=HOW   auto, require or off: let the kernel read, write and map the\n"
	"                          memory without asking the daemon (root, Linux 6.9)\n"
	"      --source=KIND       where memory comes from: auto, tmpfs, memfd, or tmpdir\n"
	"                          (files in $TMPDIR, which can reach a disk)\n"
	"      --dir=DIR           meet clients in DIR instead of $SHMEMU_DIR or the default\n"
	"      --idle-exit=SECONDS end that long after the last client and the last name are gone\n"
	"      --reap=WHEN         take orphans away, segments that nobody holds and whose maker\n"
	"                          is gone: never (the default), orphans (at once) or ttl:SECONDS\n"
	"      --guard             keep what is in use from Python's resource tracker\n"
	"      --harden=HOW        auto, require or off: give up rights and system calls that\n"
	"                          serving does not take\n"
	"      --size=BYTES        all that there may be, with k, m or g behind it; default: any\n"
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
	{"source", required_argument, NULL, OPTION_SOURCE},
	{"dir", required_argument, NULL, OPTION_DIR},
	{"idle-exit", required_argument, NULL, OPTION_IDLE_EXIT},
	{"ready-fd", required_argument, NULL, OPTION_READY_FD},
	{"wait", no_argument, NULL, OPTION_WAIT},
	{"size", required_argument, NULL, OPTION_SIZE},
	{"user-size", required_argument, NULL, OPTION_USER_SIZE},
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
	static const char units[] = "kmg";
	const char *unit;
	uint64_t size;
	char *end;

	errno = 0;
	size = strtoull(text, &end, 10);
	unit = *end ? strchr(units, *end | 0x20) : NULL;
	if (text[0] < '0' || text[0] > '9' || errno || (*end && (!unit || end[1])) ||
	    size > UINT64_MAX >> 40)
		errx(EXIT_USAGE, "%s takes a number of bytes, maybe with k, m or g, not '%s'",
		     option, text);
	return unit ? size << 10 * (unit - units + 1) : size;
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

static void apply(struct options *options, int option, bool *no_mount)
{
	switch (option) {
	case OPTION_NO_MOUNT: *no_mount = true; break;
	case 'f': options->foreground = true; break;
	case 'o': options->mount_options = optarg; break;
	case OPTION_PASSTHROUGH:
		options->passthrough = (enum fs_passthrough)parse_how("--passthrough", optarg);
		break;
	case OPTION_SOURCE: options->source = parse_source(optarg); break;
	case OPTION_DIR: options->folder = optarg; break;
	case OPTION_IDLE_EXIT: options->idle_seconds = parse_number("--idle-exit", optarg); break;
	case OPTION_READY_FD: options->ready_fd = (int)parse_number("--ready-fd", optarg); break;
	case OPTION_WAIT: options->wait = true; break;
	case OPTION_SIZE: options->size = parse_size("--size", optarg); break;
	case OPTION_USER_SIZE: options->size_of_user = parse_size("--user-size", optarg); break;
	case OPTION_USER_NAMES:
		options->names_of_user = parse_number("--user-names", optarg);
		break;
	case OPTION_USER_CONNECTIONS:
		options->connections_of_user = parse_number("--user-connections", optarg);
		break;
	case OPTION_REAP: parse_reap(options, optarg); break;
	case OPTION_HARDEN: options->harden = (enum harden)parse_how("--harden", optarg); break;
	case OPTION_GUARD: options->guard = true; break;
	case OPTION_WORKER: options->worker_fd = (int)parse_number("--worker", optarg); break;
	case 'h': fputs(usage_text, stdout); exit(EXIT_SUCCESS);
	case 'V': puts("shmfs " SHMEMU_VERSION); exit(EXIT_SUCCESS);
	default: fputs("shmfs: try 'shmfs --help'\n", stderr); exit(EXIT_USAGE);
	}
}

struct options options_parse(int argc, char **argv)
{
	struct options options = {.ready_fd = -1, .worker_fd = -1, .harden = HARDEN_DEFAULT};
	bool no_mount = false;
	int option;

	share_out(&options);
	while ((option = getopt_long(argc, argv, "fo:hV", long_options, NULL)) != -1)
		apply(&options, option, &no_mount);
	if (argc - optind > 1)
		errx(EXIT_USAGE, "one mount point, not %d; try 'shmfs --help'", argc - optind);
	options.mountpoint = argv[optind];
	if (!options.mountpoint && !no_mount)
		errx(EXIT_USAGE, "where to mount? Name a folder, or say --no-mount");
	if (options.mountpoint && options.idle_seconds)
		errx(EXIT_USAGE, "--idle-exit goes with --no-mount: what is mounted is in use");
	if (options.mountpoint && no_mount)
		errx(EXIT_USAGE, "--no-mount and a mount point, %s, exclude each other",
		     options.mountpoint);
	return options;
}
