/* SPDX-License-Identifier: Apache-2.0 */
/* What a thread costs another: Stats that change hands, and recording beside readers. */
#include <pthread.h>
#include <stdlib.h>

#include "bench.h"

#define HANDOFF_BATCH 512

static pthread_barrier_t barrier; /* of the two threads */

static void make_barrier(void)
{
	if (pthread_barrier_init(&barrier, NULL, 2) != 0)
		abort();
}

/* Begun by one thread and ended by another, in batches: what both take, without the waiting. */
static uint64_t handoff(uint64_t count, uint32_t thread)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	static struct rpcprof_stat stats[HANDOFF_BATCH];
	uint64_t done = 0;

	(void)pthread_once(&once, make_barrier);
	for (; done < count; done += HANDOFF_BATCH) {
		for (int i = 0; thread == 0 && i < HANDOFF_BATCH; i++)
			stats[i] = rpcprof_stat_begin(RPCPROF_TAG_SERVER);
		(void)pthread_barrier_wait(&barrier);
		for (int i = 0; thread == 1 && i < HANDOFF_BATCH; i++)
			rpcprof_stat_end(stats[i]);
		(void)pthread_barrier_wait(&barrier);
	}
	return done / 2; /* each thread did half of every Stat */
}

static int ignore(void *arg, const struct rpcprof_view *view)
{
	(void)arg;
	(void)view;
	return 0;
}

static void drain(void)
{
	(void)rpcprof_drain(ignore, NULL);
}

static void snapshot(void)
{
	struct rpcprof_filter filter = {.size = sizeof(filter), .unordered = 1};

	(void)rpcprof_snapshot(&filter, ignore, NULL);
}

/* Thread 0 records; thread 1 reads over and over until it has done. */
static uint64_t record_beside(void (*read)(void), uint64_t count, uint32_t thread)
{
	static uint64_t recorded; /* runs of thread 0 */
	static uint64_t seen;     /* those that thread 1 knows of */

	if (thread == 0) {
		(void)bench_rpc8(count, thread);
		(void)__atomic_fetch_add(&recorded, 1, __ATOMIC_RELAXED);
		return count;
	}
	while (__atomic_load_n(&recorded, __ATOMIC_RELAXED) == seen)
		read();
	seen++;
	return 0;
}

static uint64_t rpc8_while_draining(uint64_t count, uint32_t thread)
{
	return record_beside(drain, count, thread);
}

static uint64_t rpc8_while_snapshotting(uint64_t count, uint32_t thread)
{
	return record_beside(snapshot, count, thread);
}

const struct bench_case bench_threads[] = {
	{.name = "handoff", .run = handoff, .count = 20 * HANDOFF_BATCH, .min_threads = 2,
	 .max_threads = 2, .on = true},
	{.name = "rpc8_while_draining", .run = rpc8_while_draining, .peer = "floor_rpc8",
	 .count = 20000, .min_threads = 2, .max_threads = 2, .on = true},
	{.name = "rpc8_while_snapshotting", .run = rpc8_while_snapshotting, .peer = "floor_rpc8",
	 .count = 20000, .min_threads = 2, .max_threads = 2, .on = true},
	{.name = NULL},
};
