/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* shmfs's command line. */
#ifndef SHMEMU_FUSE_OPTIONS_H
#define SHMEMU_FUSE_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "fuse/anon.h"
#include "fuse/awake.h"
#include "fuse/fs.h"
#include "fuse/harden.h"
#include "fuse/reap.h"

struct options {
	const char *folder;     /* --dir; NULL: SHMEMU_DIR or the default */
	const char *mountpoint; /* NULL: --no-mount */
	const char *mount_options; /* for libfuse; good until the next options_parse */
	const char *namespace;  /* a file: whose mounts to go to, as mount(8) -N has it; or NULL */
	uid_t root_uid;         /* of the root folder; -1: as it is */
	gid_t root_gid;
	mode_t root_mode;       /* likewise */
	enum anon_kind source;
	enum fs_passthrough passthrough;
	enum awake_when awake;
	bool no_mount;
	bool foreground;
	bool wait;              /* for another daemon to leave the folder */
	int ready_fd;           /* -1: none */
	unsigned idle_seconds;  /* 0: never */
	uint64_t names_of_user; /* that one uid may have, but for root and our own; 0: any */
	uint64_t connections_of_user;
	uint64_t size;          /* bytes; 0: as many as there are */
	uint64_t size_of_user;  /* likewise, of each but root and our own */
	enum huge huge;
	uint64_t inodes;        /* that there may be; 0: any number */
	enum reap_policy reap;
	unsigned reap_seconds;  /* how long an orphan is left alone */
	bool guard;
	enum harden harden;
	int worker_fd;          /* -1: this is the keeper; else the keeper's socket, taken */
};

/* Reads the command line. For --help and --version, and for a mistake, it prints and exits. */
struct options options_parse(int argc, char **argv);

#endif
