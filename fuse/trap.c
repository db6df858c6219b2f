/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuse/trap.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <ucontext.h>

/* The call was not made, and its result is what is in the register when this returns. */
static void fail_call(int number, siginfo_t *info, void *context)
{
	ucontext_t *caller = context;

#if defined(__x86_64__)
	caller->uc_mcontext.gregs[REG_RAX] = -ENOSYS;
#elif defined(__i386__)
	caller->uc_mcontext.gregs[REG_EAX] = -ENOSYS;
#elif defined(__aarch64__)
	caller->uc_mcontext.regs[0] = (unsigned long long)-ENOSYS;
#elif defined(__arm__)
	caller->uc_mcontext.arm_r0 = (unsigned long)-ENOSYS;
#endif
}

void trap_calls(void)
{
	struct sigaction action = {.sa_sigaction = fail_call, .sa_flags = SA_SIGINFO};

	sigemptyset(&action.sa_mask);
	sigaction(SIGSYS, &action, NULL);
}
