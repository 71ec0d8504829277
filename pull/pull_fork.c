/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Forked children have the parent's sockets, but not the thread: who connected would wait for ever,
 * and nobody could listen at the address again. They close them as numbers. libmicrohttpd's clean-up
 * would say goodbye to the parent's scrapers; nothing of it is called.
 */
#include <unistd.h>

#include "pull/pull_internal.h"

void pull_forget(struct pull *pull)
{
	int listener = __atomic_exchange_n(&pull->listener, -1, __ATOMIC_RELAXED);

	if (listener < 0)
		return; /* it was ending: its numbers may be others' */
	close(listener);
	close(pull->epoll);
	close(pull->wake);
	for (uint32_t i = 0; i < PULL_CONNECTIONS_MAX; i++) {
		int file = __atomic_exchange_n(&pull->connections[i].file, -1, __ATOMIC_RELAXED);

		if (file >= 0)
			close(file);
	}
}

static void watch(void)
{
	(void)pthread_atfork(NULL, NULL, pull_child);
}

void pull_watch_forks(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, watch);
}
