/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Leaves an object of each family, and tells whether the host itself has such calls: made by no
 * libc, they are the kernel's answer. */
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { KEY = 0x77697474 };

/* The result, or the negative errno; EDOM: not known how to, here. */
static long call_kernel(long number, long a, long b, long c, long d)
{
#if defined __x86_64__
	register long fourth __asm__("r10") = d;
	long result;

	__asm__ volatile("syscall"
	                 : "=a"(result)
	                 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(fourth)
	                 : "rcx", "r11", "memory");
	return result;
#elif defined __i386__
	long result;

	__asm__ volatile("int $0x80"
	                 : "=a"(result)
	                 : "a"(number), "b"(a), "c"(b), "d"(c), "S"(d)
	                 : "memory");
	return result;
#elif defined __aarch64__
	register long call __asm__("x8") = number;
	register long first __asm__("x0") = a;
	register long second __asm__("x1") = b;
	register long third __asm__("x2") = c;
	register long fourth __asm__("x3") = d;

	__asm__ volatile("svc 0"
	                 : "+r"(first)
	                 : "r"(call), "r"(second), "r"(third), "r"(fourth)
	                 : "memory");
	return first;
#else
	(void)number, (void)a, (void)b, (void)c, (void)d;
	return -EDOM;
#endif
}

/* None is made: what is asked for is refused for what it is, if the calls are there. */
static void ask_kernel(void)
{
	printf("the kernel's: shmget %s, semget %s, msgget %s, mq_open %s\n",
	       strerrorname_np((int)-call_kernel(SYS_shmget, KEY, 1, 0, 0)),
	       strerrorname_np((int)-call_kernel(SYS_semget, KEY, 1, 0, 0)),
	       strerrorname_np((int)-call_kernel(SYS_msgget, KEY, 0, 0, 0)),
	       strerrorname_np((int)-call_kernel(SYS_mq_open, (long)"witness", O_RDWR, 0, 0)));
}

int main(void)
{
	ask_kernel();
	if (shmget(KEY, 4097, IPC_CREAT | IPC_EXCL | 0600) < 0 ||
	    semget(KEY, 7, IPC_CREAT | IPC_EXCL | 0600) < 0 ||
	    msgget(KEY, IPC_CREAT | IPC_EXCL | 0600) < 0 ||
	    mq_open("/witness", O_RDWR | O_CREAT | O_EXCL, 0600, NULL) < 0) {
		perror("witness");
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}
