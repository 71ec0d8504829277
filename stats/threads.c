/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a thread is to the arena: an id, a stash of cells, a slot of counters.
 *
 * A thread registers on its first record, which may allocate once (pthread_setspecific). When it
 * exits it gives its cells to the depot and its slot to the next thread; what it records after
 * that, from other exit handlers, goes to the depot and the shared slot directly.
 */
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "stats/arena_internal.h"

__thread struct rpcprof_thread_id rpcprof_thread;
__thread struct rpcprof_thread_state rpcprof_self;

static pthread_key_t exit_key;
static bool have_exit_key;

/* Takes a slot of counters; NULL when all are taken. */
static struct rpcprof_thread_counters *slot_take(uint32_t thread)
{
	struct rpcprof_arena_shared *shared = rpcprof_map.shared;

	for (uint32_t i = 0; i < THREAD_SLOTS; i++) {
		struct rpcprof_thread_counters *slot = &shared->thread[(thread + i) % THREAD_SLOTS];
		uint32_t owner = 0;
		/* H1 acquire, pairs with H2: the totals that the last owner left, or its last
		 * count is overwritten by ours. */
		if (rpcprof_load_relaxed(&slot->thread) == 0 &&
		    rpcprof_cas_acquire(&slot->thread, &owner, thread))
			return slot;
	}
	return NULL;
}

static void thread_exit(void *state)
{
	struct rpcprof_thread_state *self = state;
	struct rpcprof_thread_counters *slot = self->counters;

	if (!self->registered)
		return; /* a child's forking thread, which has not recorded since */
	self->busy = 1; /* for good: from here on no stash */
	self->counters = NULL;
	rpcprof_fence_signal();
	rpcprof_stash_flush();
	if (slot != NULL)
		rpcprof_store_release(&slot->thread, 0); /* H2, pairs with H1 */
	(void)rpcprof_add_relaxed(&rpcprof_map.shared->threads, (uint64_t)-1);
}

void rpcprof_threads_init(void)
{
	have_exit_key = pthread_key_create(&exit_key, thread_exit) == 0;
}

void rpcprof_thread_register(void)
{
	struct rpcprof_thread_state *self = &rpcprof_self;
	uint32_t id = (uint32_t)syscall(SYS_gettid);
	bool exits;

	if (self->busy)
		return; /* in a signal handler: the interrupted call goes on with it */
	self->busy = 1;
	rpcprof_fence_signal();
	if (self->registered) { /* by a handler that came before busy */
		self->busy = 0;
		return;
	}
	self->registered = 1;
	(void)rpcprof_add_relaxed(&rpcprof_map.shared->threads, 1);
	/* Without an exit handler nothing would give cells and slot back: have none. */
	exits = have_exit_key && pthread_setspecific(exit_key, self) == 0;
	self->counters = exits ? slot_take(id) : NULL;
	rpcprof_thread.id = id;
	rpcprof_fence_signal();
	self->busy = !exits;
}

void rpcprof_thread_prepare(void)
{
	if (!rpcprof_self.registered && rpcprof_started())
		rpcprof_thread_register();
}
