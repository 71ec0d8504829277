/* SPDX-License-Identifier: Apache-2.0 */
/* What reading costs, per Stat of eight timers, all of them read. */
#include "bench.h"
#include "rpcprof/rpcprof.h"

static volatile uint64_t sink;

static void fill(void)
{
	(void)rpcprof_enable(true);
	for (int i = 0; i < 4096; i++) {
		struct rpcprof_stat stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);
		for (int k = 0; k < 8; k++)
			rpcprof_timer_end(rpcprof_timer_begin(stat, bench_tags[k]));
		rpcprof_stat_end(stat);
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

static uint64_t drain_stat(uint64_t count, uint32_t thread)
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

static uint64_t snapshot_stat(uint64_t count, uint32_t thread)
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

const struct bench_case bench_read[] = {
	{.name = "drain_stat", .run = drain_stat, .max_threads = 1, .before = fill},
	{.name = "snapshot_stat", .run = snapshot_stat, .max_threads = 1, .before = fill},
	{.name = "sort_stat", .run = sort_stat, .max_threads = 1, .before = fill},
	{.name = "clock_convert", .run = clock_convert, .count = 20000, .max_threads = 1},
	{.name = NULL},
};
