/* SPDX-License-Identifier: Apache-2.0 */
/* The ring: each value comes out once, and with all that its pusher stored before. */
#include <string.h>

#include "atomic_internal.h"
#include "buffer/buffer_internal.h"
#include "fixture.h"

static struct rpcprof_buffer ring;
static struct buffer_block memory[8] __attribute__((aligned(128)));
static uint64_t content[32]; /* what a value stands for */

static void empty(void)
{
	memset(memory, 0, sizeof(memory));
	memset(content, 0, sizeof(content));
	REQUIRE(rpcprof_buffer_bytes(1, 1) <= sizeof(memory));
	REQUIRE(rpcprof_buffer_init(&ring, memory, 1, 1) == 0);
	REQUIRE(ring.blocks == 3 && ring.block_slots == 1);
	ring.own_cpus = 1;
}

/* The slots hold 21, 22, 23; a push displaces one of them. */
static void full(void)
{
	empty();
	for (uint64_t value = 21; value <= 23; value++) {
		content[value] = value * 3;
		REQUIRE(rpcprof_buffer_push(&ring, value) == 0);
	}
}

static int received(void *arg, uint64_t value)
{
	(void)arg;
	execution.out[value]++;
	REQUIRE(rpcprof_load_relaxed(&content[value]) == value * 3);
	return 0;
}

static int seen(void *arg, uint64_t value)
{
	(void)arg;
	REQUIRE(rpcprof_load_relaxed(&content[value]) == value * 3);
	return 0;
}

static void push(uint64_t value)
{
	uint64_t displaced;

	rpcprof_store_relaxed(&content[value], value * 3);
	displaced = rpcprof_buffer_push(&ring, value);
	if (displaced != 0)
		received(NULL, displaced);
}

static void drain(void)
{
	(void)rpcprof_buffer_drain(&ring, received, NULL);
}

static void each_is_out_once_or_left(void)
{
	for (uint32_t i = 0; i < ring.blocks; i++)
		if (buffer_block(&ring, i)->slots[0] != 0)
			execution.out[buffer_block(&ring, i)->slots[0]]++;
	for (unsigned value = 0; value < 32; value++)
		REQUIRE(execution.out[value] == (content[value] != 0));
}

static void push_or_drain(int thread)
{
	if (thread < 2)
		push(1 + (uint64_t)thread);
	else
		drain();
}

static void push_twice(int thread)
{
	push(1 + 2 * (uint64_t)thread);
	push(2 + 2 * (uint64_t)thread);
}

static void push_twice_or_drain_twice(int thread)
{
	if (thread == 0) {
		push_twice(0);
	} else {
		drain();
		drain();
	}
}

static void push_or_walk(int thread)
{
	if (thread == 0)
		push(1);
	else
		(void)rpcprof_buffer_walk(&ring, seen, NULL);
}

static void push_or_take_oldest(int thread)
{
	uint64_t value;

	if (thread == 0) {
		push_twice(0);
	} else if ((value = rpcprof_buffer_take_oldest(&ring)) != 0) {
		received(NULL, value);
	}
}

static void drain_only(int thread)
{
	(void)thread;
	drain();
}

const struct interleave_case buffer_cases[] = {
	{"push_push_drain", 3, ALL, ALL, 0, full, push_or_drain, each_is_out_once_or_left},
	{"push_twice_each", 2, 4, 1, 0, empty, push_twice, each_is_out_once_or_left},
	{"push_twice_each_full", 2, 4, 1, 0, full, push_twice, each_is_out_once_or_left},
	{"push_twice_each_3", 3, ALL, ALL, 200000, full, push_twice, each_is_out_once_or_left},
	{"pushes_and_drains", 2, ALL, ALL, 0, full, push_twice_or_drain_twice, each_is_out_once_or_left},
	{"push_and_walk", 2, ALL, ALL, 0, full, push_or_walk, each_is_out_once_or_left},
	{"pushes_and_take_oldest", 2, ALL, ALL, 0, full, push_or_take_oldest, each_is_out_once_or_left},
	{"drains_split_the_values", 3, ALL, ALL, 0, full, drain_only, each_is_out_once_or_left},
	{0},
};
