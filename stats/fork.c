/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A forked child gets an empty arena of its own: private zero pages over the parent's, the tag
 * table and the switch kept. Stats in flight at the fork are the parent's; the child's handles to
 * them mean nothing there, since its generations begin elsewhere.
 *
 * The handler uses mmap and stores only: safe after a fork of a threaded process.
 */
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "stats/arena_internal.h"

static void child(void)
{
	struct rpcprof_control_body *body = rpcprof_control();
	char *first = rpcprof_map.base + body->shared_offset;
	size_t bytes = body->tags_offset - body->shared_offset;

	if (mmap(first, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
	         0) == MAP_FAILED)
		rpcprof_store_relaxed(&rpcprof_control_page.head.enabled, 0u);
	body->pid = (uint32_t)getpid();
	body->collecting = 0; /* the collector's thread stayed behind */
	/* In the lower half, so that as many uses as the upper half has come before the wrap; not 0,
	 * which is none. */
	body->generation =
		((body->generation + body->pid) * 2654435761u & GENERATION_MAX >> 1) | 1u;
	rpcprof_clock_after_fork();
	memset(&rpcprof_self, 0, sizeof(rpcprof_self));
	rpcprof_thread.id = 0; /* registers again on its first record */
}

void rpcprof_fork_init(void)
{
	(void)pthread_atfork(NULL, NULL, child);
}
