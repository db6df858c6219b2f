/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuse/thread.h"

#include <pthread.h>
#include <signal.h>
#include <stddef.h>

enum { STACK_SIZE = 64 << 10 };

bool thread_start(void *(*run)(void *))
{
	pthread_attr_t attributes;
	sigset_t all;
	sigset_t before;
	pthread_t thread;
	int error;

	sigfillset(&all);
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attributes, STACK_SIZE);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&thread, &attributes, run, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	return error == 0;
}
