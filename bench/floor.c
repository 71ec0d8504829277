/* SPDX-License-Identifier: Apache-2.0 */
/* What the machine itself takes: clock reads and stores to as much memory as the arena has. */
#include "bench.h"
#include "rpcprof/rpcprof.h"

struct slot {
	uint64_t stamp, begin, end, thread;
};

/* As many cells of as many bytes as the arena cycles through. */
#define CELLS 4096
#define CELL_SLOTS 32
static struct slot slots[4][CELLS * CELL_SLOTS];

static inline void store(uint64_t *word, uint64_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELAXED);
}

static inline void timer(struct slot *slot, uint64_t i)
{
	store(&slot->begin, rpcprof_clock_raw());
	store(&slot->stamp, i);
	store(&slot->thread, i);
	store(&slot->end, rpcprof_clock_raw());
}

static uint64_t floor_clock(uint64_t count, uint32_t thread)
{
	(void)thread;
	for (uint64_t i = 0; i < count; i++)
		(void)rpcprof_clock_raw();
	return count;
}

static uint64_t floor_timer(uint64_t count, uint32_t thread)
{
	for (uint64_t i = 0; i < count; i++)
		timer(&slots[thread][i % CELL_SLOTS], i);
	return count;
}

static uint64_t floor_rpc8(uint64_t count, uint32_t thread)
{
	for (uint64_t i = 0; i < count; i++) {
		struct slot *cell = &slots[thread][i % CELLS * CELL_SLOTS];
		for (int k = 0; k < 8; k++)
			timer(&cell[k], i);
	}
	return count;
}

static uint64_t floor_lap8(uint64_t count, uint32_t thread)
{
	for (uint64_t i = 0; i < count; i++) {
		struct slot *cell = &slots[thread][i % CELLS * CELL_SLOTS];
		uint64_t ticks = rpcprof_clock_raw();
		for (int k = 0; k < 8; k++) {
			store(&cell[k].begin, ticks);
			store(&cell[k].stamp, i);
			store(&cell[k].thread, i);
			ticks = rpcprof_clock_raw();
			store(&cell[k].end, ticks);
		}
	}
	return count;
}

static uint64_t floor_branch(uint64_t count, uint32_t thread)
{
	(void)thread;
	for (uint64_t i = 0; i < count; i++)
		if (rpcprof_enabled())
			return 0;
	return count;
}

const struct bench_case bench_floor[] = {
	{.name = "floor_clock", .run = floor_clock, .count = 20000, .max_threads = 1},
	{.name = "floor_timer", .run = floor_timer, .count = 10000, .max_threads = 1},
	{.name = "floor_rpc8", .run = floor_rpc8, .count = 50000, .max_threads = 4},
	{.name = "floor_lap8", .run = floor_lap8, .count = 50000, .max_threads = 4},
	{.name = "floor_branch", .run = floor_branch, .count = 100000, .max_threads = 1},
	{.name = NULL},
};
