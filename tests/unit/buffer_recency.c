/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the circular buffer keeps, on as many CPUs as we like: this program has a push of its own,
 * made from the library's source with a CPU number that the test sets.
 */
#define RPCPROF_BUFFER_CPU_INTERNAL_H
#include <stdint.h>
static uint32_t this_cpu;
static inline uint32_t rpcprof_cpu(void)
{
	return this_cpu;
}
#include "buffer/push.c"

#include <stdlib.h>

#include <criterion/criterion.h>

static const uint32_t capacities[] = { 1, 2, 3, 7, 15, 16, 31, 60, 100, 121, 500, 1024, 4096 };
static const uint32_t shard_counts[] = { 1, 2, 3, 4, 16, 64 };

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* Which CPU makes the next push. */
typedef uint32_t schedule_fn(uint32_t shards, uint64_t push);

static uint32_t random_below(uint32_t limit)
{
	static uint64_t state = 1;

	state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (uint32_t)((state >> 33) % limit);
}

static uint32_t always_the_last(uint32_t shards, uint64_t push)
{
	(void)push;
	return shards - 1;
}

static uint32_t in_turn(uint32_t shards, uint64_t push)
{
	return (uint32_t)(push % shards);
}

static uint32_t at_random(uint32_t shards, uint64_t push)
{
	(void)push;
	return random_below(shards);
}

/* CPU 0 is busy, each of the others wakes for one push now and then. */
static uint32_t one_busy(uint32_t shards, uint64_t push)
{
	return push % 19 ? 0 : random_below(shards);
}

/* As one_busy, but which one is busy changes. */
static uint32_t busy_in_turn(uint32_t shards, uint64_t push)
{
	return push % 7 ? (uint32_t)(push / 300 % shards) : random_below(shards);
}

static int count_one(void *arg, uint64_t value)
{
	(void)value;
	++*(uint64_t *)arg;
	return 0;
}

struct newest {
	uint64_t first, kept;
};

static int count_newest(void *arg, uint64_t value)
{
	struct newest *newest = arg;

	newest->kept += value >= newest->first;
	return 0;
}

static void check_newest(const struct rpcprof_buffer *buffer, uint64_t last, uint64_t slack)
{
	struct newest newest = { .first = last - buffer->capacity + 1 };

	cr_assert_geq(rpcprof_buffer_walk(buffer, count_newest, &newest), buffer->capacity);
	cr_assert_geq(newest.kept + slack, buffer->capacity);
}

/*
 * Nothing younger than `age` pushes is displaced; once full at least `capacity` values are there,
 * and of the newest at most a block for each CPU is missing.
 */
static void check(uint32_t capacity, uint32_t shards, schedule_fn *schedule, uint64_t age)
{
	size_t bytes = rpcprof_buffer_bytes(capacity, shards);
	void *memory = aligned_alloc(128, bytes);
	struct rpcprof_buffer buffer;
	uint64_t laps = 0, slack;

	__builtin_memset(memory, 0, bytes);
	cr_assert_eq(rpcprof_buffer_init(&buffer, memory, capacity, shards), 0);
	slack = age == capacity ? 0 : shards * buffer.block_slots;
	for (uint64_t push = 1; laps < 20; push++) {
		uint64_t displaced;

		this_cpu = schedule(shards, push);
		displaced = rpcprof_buffer_push(&buffer, push);
		cr_assert(displaced == 0 || push - displaced >= age,
			  "capacity %u, %u shards: displaced after %lu pushes", capacity, shards,
			  (unsigned long)(push - displaced));
		if (push % rpcprof_buffer_slots(&buffer) == 0) {
			check_newest(&buffer, push, slack);
			laps++;
		}
	}
	free(memory);
}

static void check_all(schedule_fn *schedule, uint32_t part)
{
	for (size_t i = 0; i < LENGTH(capacities); i++) {
		for (size_t j = 0; j < LENGTH(shard_counts); j++)
			check(capacities[i], shard_counts[j], schedule, capacities[i] / part);
	}
}

Test(buffer_recency, one_cpu_keeps_exactly_the_newest)
{
	check_all(always_the_last, 1);
}

Test(buffer_recency, cpus_in_turn_keep_the_newest)
{
	check_all(in_turn, 1);
}

Test(buffer_recency, cpus_at_random_keep_the_newest_half_at_least)
{
	check_all(at_random, 2);
}

Test(buffer_recency, mostly_idle_cpus_keep_the_newest_half_at_least)
{
	check_all(one_busy, 2);
}

Test(buffer_recency, changing_loads_keep_the_newest_half_at_least)
{
	check_all(busy_in_turn, 2);
}

Test(buffer_recency, a_cpu_beyond_the_shards_shares_one)
{
	uint64_t memory[16 * 64] __attribute__((aligned(128))) = { 0 };
	struct rpcprof_buffer buffer;

	cr_assert_leq(rpcprof_buffer_bytes(16, 2), sizeof(memory));
	cr_assert_eq(rpcprof_buffer_init(&buffer, memory, 16, 2), 0);
	for (uint32_t i = 0; i < 16; i++) {
		this_cpu = 0x7fffff00u + i;
		cr_assert_eq(rpcprof_buffer_push(&buffer, i + 1), 0);
	}
	cr_assert_eq(rpcprof_buffer_walk(&buffer, count_one, &(uint64_t){ 0 }), 16);
}
