/* SPDX-License-Identifier: Apache-2.0 */
/* What reading costs, per Stat of eight timers, all of them read. */
#include <pthread.h>
#include <stdlib.h>

#include "bench.h"

static volatile uint64_t sink;

static struct rpcprof_stat begin_stat(void)
{
	struct rpcprof_stat stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);

	for (int k = 0; k < 8; k++)
		rpcprof_timer_end(rpcprof_timer_begin(stat, bench_tags[k]));
	return stat;
}

static void fill(void)
{
	(void)rpcprof_enable(true);
	for (uint32_t i = 0; i < bench_capacity; i++)
		rpcprof_stat_end(begin_stat());
}

#define BATCH 1024

/* Ends a batch in another order than it was begun in. */
static void *end_shuffled(void *arg)
{
	static unsigned seed = 1;
	struct rpcprof_stat *stats = arg;

	for (int left = BATCH; left > 0; left--) {
		int at = rand_r(&seed) % left;

		rpcprof_stat_end(stats[at]);
		stats[at] = stats[left - 1];
	}
	return NULL;
}

/* Each Stat is handed to a thread on another CPU, which ends it: what lies side by side in the ring
 * then lies anywhere in memory, as it does after hours of a server with many threads. */
static void fill_shuffled(void)
{
	struct rpcprof_stat stats[BATCH];
	pthread_t thread;

	(void)rpcprof_enable(true);
	for (uint32_t i = 0; i < bench_capacity; i += BATCH) {
		for (int k = 0; k < BATCH; k++)
			stats[k] = begin_stat();
		if (pthread_create(&thread, NULL, end_shuffled, stats) != 0)
			abort();
		(void)pthread_join(thread, NULL);
	}
}

static int sum_timers(void *arg, const struct rpcprof_view *view)
{
	struct rpcprof_timer_view timer;
	uint64_t *sum = arg;

	for (uint32_t i = 0; i < view->slots; i++)
		if (rpcprof_view_timer(view, i, &timer))
			*sum += timer.end - timer.begin;
	return 0;
}

uint64_t bench_drain(uint64_t count, uint32_t thread)
{
	uint64_t sum = 0;
	int64_t drained = rpcprof_drain(sum_timers, &sum);

	(void)count;
	(void)thread;
	sink = sum;
	return (uint64_t)drained;
}

static uint64_t look(uint32_t unordered)
{
	struct rpcprof_filter filter = {.size = sizeof(filter), .unordered = unordered};
	uint64_t sum = 0;
	int64_t seen = rpcprof_snapshot(&filter, sum_timers, &sum);

	sink = sum;
	return (uint64_t)seen;
}

uint64_t bench_snapshot(uint64_t count, uint32_t thread)
{
	(void)count;
	(void)thread;
	return look(1);
}

static uint64_t sort_stat(uint64_t count, uint32_t thread)
{
	(void)count;
	(void)thread;
	return look(0);
}

static uint64_t clock_convert(uint64_t count, uint32_t thread)
{
	struct rpcprof_clock_map map;
	uint64_t sum = 0, ticks = rpcprof_clock_now();

	(void)thread;
	if (rpcprof_clock_map_get(&map) != 0)
		return 1;
	for (uint64_t i = 0; i < count; i++)
		sum += rpcprof_clock_elapsed_ns(&map, ticks, ticks + i);
	sink = sum;
	return count;
}

/* Another process's: a process has one N. */
const struct bench_case bench_large[] = {
	{.name = "floor_rpc8_16384", .run = bench_floor_rpc8, .count = 50000, .max_threads = 1},
	{.name = "rpc8_16384", .run = bench_rpc8, .peer = "floor_rpc8_16384", .count = 50000,
	 .max_threads = 1, .on = true},
	{.name = "drain_stat_shuffled", .run = bench_drain, .max_threads = 1,
	 .before = fill_shuffled},
	{.name = "snapshot_stat_shuffled", .run = bench_snapshot, .max_threads = 1,
	 .before = fill_shuffled},
	{.name = NULL},
};

const struct bench_case bench_read[] = {
	{.name = "drain_stat", .run = bench_drain, .max_threads = 1, .before = fill},
	{.name = "snapshot_stat", .run = bench_snapshot, .max_threads = 1, .before = fill},
	{.name = "sort_stat", .run = sort_stat, .max_threads = 1, .before = fill},
	{.name = "clock_convert", .run = clock_convert, .count = 20000, .max_threads = 1},
	{.name = NULL},
};
