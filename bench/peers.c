/* SPDX-License-Identifier: Apache-2.0 */
/* What others do. Those without `run` are processes of their own, below bench/peers/. */
#include <pthread.h>
#include <stdlib.h>

#include "bench.h"

/* A Stat without timers, in a ring behind a mutex: what one writes first. */
struct plain_stat {
	uint64_t tag, begin, end;
	char rest[1024 - 3 * sizeof(uint64_t)]; /* as large as a cell */
};

static struct {
	pthread_mutex_t mutex;
	struct plain_stat **slots;
	uint64_t next;
} ring = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static void open_ring(void)
{
	ring.slots = calloc(bench_capacity, sizeof(*ring.slots));
	for (uint32_t i = 0; ring.slots != NULL && i < bench_capacity; i++)
		if ((ring.slots[i] = malloc(sizeof(struct plain_stat))) == NULL)
			abort();
}

static struct plain_stat *push(struct plain_stat *stat)
{
	struct plain_stat **slot, *displaced;

	(void)pthread_mutex_lock(&ring.mutex);
	slot = &ring.slots[ring.next++ % bench_capacity];
	displaced = *slot;
	*slot = stat;
	(void)pthread_mutex_unlock(&ring.mutex);
	return displaced;
}

static uint64_t mutex_ring(uint64_t count, uint32_t thread)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct plain_stat *stat = malloc(sizeof(*stat));

	(void)pthread_once(&once, open_ring);
	if (stat == NULL || ring.slots == NULL)
		abort();
	for (uint64_t i = 0; i < count; i++) {
		stat->tag = thread;
		stat->begin = 1;
		stat->end = 2;
		stat = push(stat);
	}
	free(stat);
	return count;
}

const struct bench_case bench_peers[] = {
	{.name = "peer_mutex_ring", .run = mutex_ring, .peer = "stat_push", .count = 200000,
	 .max_threads = 4},
	{.name = "peer_lttng_pair", .peer = "rpc8", .peer_parts = 8},
	{.name = "peer_grpcgo_rpc8", .peer = "rpc8"},
	{.name = "peer_grpcgo_push", .peer = "stat_push"},
	{.name = "peer_go_pprof_write", .peer = "pprof_sample"},
	{.name = NULL},
};
