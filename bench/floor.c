/* SPDX-License-Identifier: Apache-2.0 */
/* What the machine itself takes: clock reads and stores to as much memory as the arena has. */
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"

struct slot {
	uint64_t stamp, begin, end, thread;
};

/* Of a cell of 1 KiB; as many cells as the ring has. */
#define CELL_SLOTS 32
#define FLOOR_THREADS 4

static struct slot *cells(uint32_t thread)
{
	static struct slot *all[FLOOR_THREADS];

	if (all[thread] == NULL)
		all[thread] = calloc(bench_capacity, CELL_SLOTS * sizeof(struct slot));
	if (all[thread] == NULL) {
		perror("bench: memory of the floor");
		exit(1);
	}
	return all[thread];
}

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
	struct slot *slots = cells(thread);

	for (uint64_t i = 0; i < count; i++)
		timer(&slots[i % CELL_SLOTS], i);
	return count;
}

static inline void rpc8(struct slot *cell, uint64_t i)
{
	for (int k = 0; k < 8; k++)
		timer(&cell[k], i);
}

uint64_t bench_floor_rpc8(uint64_t count, uint32_t thread)
{
	struct slot *slots = cells(thread);

	for (uint64_t i = 0; i < count; i++)
		rpc8(&slots[i % bench_capacity * CELL_SLOTS], i);
	return count;
}

/* The same, and what exact ownership takes: a locked add for the reference, and an exchange for the
 * slot of the ring, each on a line that no other thread touches. */
static uint64_t floor_rpc8_locked(uint64_t count, uint32_t thread)
{
	static _Alignas(2 * RPCPROF_CACHE_LINE) struct {
		uint64_t refs;
		char apart[RPCPROF_CACHE_LINE - sizeof(uint64_t)];
		uint64_t ring;
		char rest[RPCPROF_CACHE_LINE - sizeof(uint64_t)];
	} words[FLOOR_THREADS];
	struct slot *slots = cells(thread);

	for (uint64_t i = 0; i < count; i++) {
		rpc8(&slots[i % bench_capacity * CELL_SLOTS], i);
		(void)__atomic_fetch_add(&words[thread].refs, 1, __ATOMIC_ACQ_REL);
		(void)__atomic_exchange_n(&words[thread].ring, i, __ATOMIC_ACQ_REL);
	}
	return count;
}

static uint64_t floor_lap8(uint64_t count, uint32_t thread)
{
	struct slot *slots = cells(thread);

	for (uint64_t i = 0; i < count; i++) {
		struct slot *cell = &slots[i % bench_capacity * CELL_SLOTS];
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
	{.name = "floor_rpc8", .run = bench_floor_rpc8, .count = 50000,
	 .max_threads = FLOOR_THREADS},
	{.name = "floor_rpc8_locked", .run = floor_rpc8_locked, .peer = "floor_rpc8",
	 .count = 50000, .max_threads = 1},
	{.name = "floor_lap8", .run = floor_lap8, .count = 50000, .max_threads = FLOOR_THREADS},
	{.name = "floor_branch", .run = floor_branch, .count = 100000, .max_threads = 1},
	{.name = NULL},
};
