/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What of glibc's headers is not in musl's: included before all else where we are built for musl.
 * Calls that are declared here nobody makes who was built with musl's headers, and what stands
 * behind them is not found; so none is made in vain. */
#ifndef SHMEMU_PRELOAD_MUSL_H
#define SHMEMU_PRELOAD_MUSL_H

/* Flags are unsigned here, and glibc takes addresses as a union. */
#define accept musl_accept
#define accept4 musl_accept4
#define bind musl_bind
#define connect musl_connect
#define recvfrom musl_recvfrom
#define recvmmsg musl_recvmmsg
#define sendmmsg musl_sendmmsg
#define sendto musl_sendto
#include <sys/socket.h>
#undef accept
#undef accept4
#undef bind
#undef connect
#undef recvfrom
#undef recvmmsg
#undef sendmmsg
#undef sendto

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <pthread.h>
#include <semaphore.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <linux/close_range.h>
#ifndef STATX_BASIC_STATS
#include <linux/stat.h>
#endif

struct sockaddr_un;
typedef union {
	const struct sockaddr *__sockaddr__;
	const struct sockaddr_un *__sockaddr_un__;
} __CONST_SOCKADDR_ARG __attribute__((transparent_union));
typedef union {
	struct sockaddr *__sockaddr__;
} __SOCKADDR_ARG __attribute__((transparent_union));
typedef int (*__ftw_func_t)(const char *path, const struct stat *status, int type);
typedef int (*__nftw_func_t)(const char *path, const struct stat *status, int type,
                             struct FTW *at);

#define ALLPERMS 07777
#define FTW_ACTIONRETVAL 16
#define FTW_STOP 1
#define FTW_SKIP_SUBTREE 2
#define FTW_SKIP_SIBLINGS 3
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MSG_COPY
#define MSG_COPY 040000
#endif
#define RENAME_NOREPLACE 1
#define RENAME_EXCHANGE 2
#define RENAME_WHITEOUT 4
#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

/* Names that some versions have as macros. */
#undef creat64
#undef fallocate64
#undef fcntl64
#undef fopen64
#undef freopen64
#undef fstatat64
#undef ftruncate64
#undef ftw64
#undef glob64
#undef lockf64
#undef lstat64
#undef mkostemp64
#undef mkostemps64
#undef mkstemp64
#undef mkstemps64
#undef mmap64
#undef nftw64
#undef off64_t
#undef open64
#undef openat64
#undef posix_fallocate64
#undef pread64
#undef preadv64
#undef pwrite64
#undef pwritev64
#undef readdir64
#undef readdir64_r
#undef scandir64
#undef sendfile64
#undef stat64
#undef statfs64
#undef statvfs64
#undef truncate64

typedef off_t off64_t;
struct stat64 {
	struct stat status;
};
struct statfs64 {
	struct statfs status;
};
struct statvfs64 {
	struct statvfs status;
};

#define MUSL_ALSO(name, as) extern __typeof__(as) name;
MUSL_ALSO(creat64, creat)
MUSL_ALSO(euidaccess, eaccess)
MUSL_ALSO(fallocate64, fallocate)
MUSL_ALSO(fcntl64, fcntl)
MUSL_ALSO(fopen64, fopen)
MUSL_ALSO(freopen64, freopen)
MUSL_ALSO(fstatat64, fstatat)
MUSL_ALSO(ftruncate64, ftruncate)
MUSL_ALSO(ftw64, ftw)
MUSL_ALSO(lockf64, lockf)
MUSL_ALSO(lstat64, lstat)
MUSL_ALSO(mkostemp64, mkostemp)
MUSL_ALSO(mkostemps64, mkostemps)
MUSL_ALSO(mkstemp64, mkstemp)
MUSL_ALSO(mkstemps64, mkstemps)
MUSL_ALSO(mmap64, mmap)
MUSL_ALSO(nftw64, nftw)
MUSL_ALSO(open64, open)
MUSL_ALSO(openat64, openat)
MUSL_ALSO(posix_fallocate64, posix_fallocate)
MUSL_ALSO(pread64, pread)
MUSL_ALSO(preadv64, preadv)
MUSL_ALSO(pwrite64, pwrite)
MUSL_ALSO(pwritev64, pwritev)
MUSL_ALSO(readdir64, readdir)
MUSL_ALSO(readdir64_r, readdir_r)
MUSL_ALSO(scandir64, scandir)
MUSL_ALSO(sendfile64, sendfile)
MUSL_ALSO(stat64, stat)
MUSL_ALSO(statfs64, statfs)
MUSL_ALSO(statvfs64, statvfs)
MUSL_ALSO(truncate64, truncate)
#undef MUSL_ALSO

int bind(int sock, __CONST_SOCKADDR_ARG address, socklen_t size);
int connect(int sock, __CONST_SOCKADDR_ARG address, socklen_t size);
int close_range(unsigned first, unsigned last, int flags);
void closefrom(int lowest);
int execveat(int dirfd, const char *path, char *const argv[], char *const envp[], int flags);
char *getwd(char *buf);
char *canonicalize_file_name(const char *name);
int sem_clockwait(sem_t *sem, clockid_t clock, const struct timespec *deadline);
ssize_t preadv2(int fd, const struct iovec *iov, int count, off_t offset, int flags);
ssize_t pwritev2(int fd, const struct iovec *iov, int count, off_t offset, int flags);
extern __typeof__(preadv2) preadv64v2;
extern __typeof__(pwritev2) pwritev64v2;
int scandirat(int dirfd, const char *path, struct dirent ***namelist,
              int (*filter)(const struct dirent *),
              int (*compar)(const struct dirent **, const struct dirent **));
extern __typeof__(scandirat) scandirat64;
int renameat2(int olddirfd, const char *oldpath, int newdirfd, const char *newpath, unsigned flags);
int statx(int dirfd, const char *path, int flags, unsigned mask, struct statx *ret_status);

const char *strerrorname_np(int error);
int posix_spawn_file_actions_addclosefrom_np(posix_spawn_file_actions_t *actions, int lowest);

/* What stands behind it, where musl has none: we call it for rename too. */
int musl_renameat2(int olddirfd, const char *oldpath, int newdirfd, const char *newpath,
                   unsigned flags) __asm__("__real_renameat2");

#endif
