/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_THREAD_INTERNAL_H
#define RPCPROF_THREAD_INTERNAL_H

/* How every thread of ours is started: signals are the program's, so it blocks them all from its
 * first instruction; a stack that does for TLS and for what the program is called with, whatever the
 * program's own threads have; a name that begins with rpcprof-. Not installed. */
#include <pthread.h>
#include <signal.h>
#include <stddef.h>

#define RPCPROF_THREAD_STACK_BYTES (512u << 10)

/* 0 or a negative errno; *thread is untouched then. name: at most 15 bytes. */
static inline int rpcprof_thread_start(pthread_t *thread, const char *name,
                                       void *(*run)(void *arg), void *arg)
{
	pthread_attr_t attributes;
	sigset_t all, before;
	int error = pthread_attr_init(&attributes);

	if (error != 0)
		return -error;
	sigfillset(&all);
	pthread_attr_setstacksize(&attributes, RPCPROF_THREAD_STACK_BYTES);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(thread, &attributes, run, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	if (error == 0)
		pthread_setname_np(*thread, name);
	return -error;
}

#endif
