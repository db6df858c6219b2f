/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An open file at the mount, named by a token: ioctl(2) on it gives one, and whoever tells it to
 * the daemon by the socket door (WIRE_TRADE) is given the anonymous file, with the access that the
 * open file has. */
#ifndef SHMEMU_BASE_TOKEN_H
#define SHMEMU_BASE_TOKEN_H

#include <stdint.h>
#include <sys/ioctl.h>

enum { TOKEN_SECONDS = 10 }; /* after which it names nothing any more */

/* Good once. It takes a uint64_t[2]. ENOTTY on what is no file of a mount of ours. */
#define SHMEMU_IOC_TOKEN _IOR(0xe9, 0x53, uint64_t[2])

#endif
