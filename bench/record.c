/* SPDX-License-Identifier: Apache-2.0 */
/* What recording costs. */
#include "bench.h"

/* One load, test and branch per site. */
#define SITE rpcprof_stat_end(rpcprof_stat_begin(RPCPROF_TAG_SERVER));
#define SITES4 SITE SITE SITE SITE
#define SITES16 SITES4 SITES4 SITES4 SITES4

static uint64_t off_site(uint64_t count, uint32_t thread)
{
	(void)thread;
	for (uint64_t i = 0; i < count; i += 64) {
		SITES16 SITES16 SITES16 SITES16
	}
	return count;
}

/* Eight stages, one after the other; the call begins with its first and ends with its last. */
uint64_t bench_rpc8(uint64_t count, uint32_t thread)
{
	(void)thread;
	for (uint64_t i = 0; i < count; i++) {
		uint64_t ticks = rpcprof_enabled() ? rpcprof_clock_now() : 0;
		struct rpcprof_stat stat = rpcprof_stat_begin_at(RPCPROF_TAG_SERVER, ticks);
		ticks = rpcprof_timer_end(rpcprof_timer_begin_at(stat, bench_tags[0], ticks));
		for (int k = 1; k < 8; k++)
			ticks = rpcprof_timer_end(rpcprof_timer_begin(stat, bench_tags[k]));
		rpcprof_stat_end_at(stat, ticks);
	}
	return count;
}

/* The same without sharing ticks: two clock reads more. */
static uint64_t rpc8_plain(uint64_t count, uint32_t thread)
{
	(void)thread;
	for (uint64_t i = 0; i < count; i++) {
		struct rpcprof_stat stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);
		for (int k = 0; k < 8; k++)
			rpcprof_timer_end(rpcprof_timer_begin(stat, bench_tags[k]));
		rpcprof_stat_end(stat);
	}
	return count;
}

static uint64_t lap8(uint64_t count, uint32_t thread)
{
	(void)thread;
	for (uint64_t i = 0; i < count; i++) {
		uint64_t ticks = rpcprof_clock_now();
		struct rpcprof_stat stat = rpcprof_stat_begin_at(RPCPROF_TAG_SERVER, ticks);
		rpcprof_lap_at(stat, bench_tags[0], ticks);
		for (int k = 1; k < 8; k++)
			rpcprof_lap(stat, bench_tags[k]);
		rpcprof_stat_end(stat);
	}
	return count;
}

static uint64_t rpc30(uint64_t count, uint32_t thread)
{
	(void)thread;
	for (uint64_t i = 0; i < count; i++) {
		struct rpcprof_stat stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);
		for (int k = 0; k < 30; k++)
			rpcprof_timer_end(rpcprof_timer_begin(stat, bench_tags[k]));
		rpcprof_stat_end(stat);
	}
	return count;
}

/* Timers alone: one Stat for as many as a cell holds. */
static uint64_t timer(uint64_t count, uint32_t thread)
{
	uint64_t i = 0;

	(void)thread;
	while (i < count) {
		struct rpcprof_stat stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);
		for (uint32_t k = 0; k < rpcprof_arena.capacity; k++, i++)
			rpcprof_timer_end(rpcprof_timer_begin(stat, bench_tags[1]));
		rpcprof_stat_end(stat);
	}
	return i;
}

static uint64_t lap(uint64_t count, uint32_t thread)
{
	uint64_t i = 0;

	(void)thread;
	while (i < count) {
		struct rpcprof_stat stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);
		for (uint32_t k = 0; k < rpcprof_arena.capacity; k++, i++)
			rpcprof_lap(stat, bench_tags[1]);
		rpcprof_stat_end(stat);
	}
	return i;
}

/* No clock, no timers: what a Stat itself costs. */
static uint64_t stat_push(uint64_t count, uint32_t thread)
{
	(void)thread;
	for (uint64_t i = 0; i < count; i++)
		rpcprof_stat_end_at(rpcprof_stat_begin_at(RPCPROF_TAG_SERVER, 1), 2);
	return count;
}

const struct bench_case bench_record[] = {
	{.name = "off_site", .run = off_site, .peer = "floor_branch", .count = 64000,
	 .max_threads = 4},
	{.name = "off_rpc8", .run = bench_rpc8, .count = 20000, .max_threads = 4},
	{.name = "timer", .run = timer, .peer = "floor_timer", .count = 210000, .max_threads = 4,
	 .on = true},
	{.name = "lap", .run = lap, .peer = "floor_clock", .count = 210000, .max_threads = 4,
	 .on = true},
	{.name = "rpc8", .run = bench_rpc8, .peer = "floor_rpc8", .count = 50000, .max_threads = 4,
	 .on = true},
	{.name = "rpc8_plain", .run = rpc8_plain, .peer = "floor_rpc8", .count = 50000,
	 .max_threads = 1, .on = true},
	{.name = "lap8", .run = lap8, .peer = "floor_lap8", .count = 50000, .max_threads = 4,
	 .on = true},
	{.name = "rpc30", .run = rpc30, .peer = "floor_rpc8", .count = 20000, .max_threads = 4,
	 .on = true},
	{.name = "stat_push", .run = stat_push, .count = 200000, .max_threads = 4, .on = true},
	{.name = NULL},
};
