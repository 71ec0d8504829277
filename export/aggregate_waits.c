/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waits of calls, sampled as Go's runtime samples (runtime/mprof.go: blocksampled, mutexevent, and
 * what saveblockevent makes of them), so that numbers compare, and so that the sums have no bias:
 * what is taken with probability p counts 1/p times.
 *
 * Folded timers are known by their sums alone, which are taken whole: as good, and exact.
 */
#include "export/aggregate_internal.h"

/* SplitMix64, scaled down to 0..limit-1. */
static uint64_t random_below(uint64_t *state, uint64_t limit)
{
	__extension__ typedef unsigned __int128 wide;
	uint64_t z = *state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return (uint64_t)((wide)(z ^ z >> 31) * limit >> 64);
}

static void add(struct rpcprof_wait_sums *sums, uint64_t count, uint64_t delay_ns)
{
	sums->count += count;
	sums->delay_ns += delay_ns;
}

/* A wait as long as the rate counts once; a shorter one of ns is taken with probability ns / rate
 * and then counts rate / ns times, its remainder by chance, so that sums stay whole numbers. One of
 * 0 ns has the chance of one of 1. */
static void add_block(struct rpcprof_aggregate *aggregate, struct rpcprof_wait_sums *sums,
                      uint64_t ns)
{
	uint64_t rate = aggregate->rates.block_ns, chance = ns != 0 ? ns : 1;
	bool one_more;

	if (chance >= rate) {
		add(sums, 1, ns);
	} else if (random_below(&aggregate->random, rate) < chance) {
		one_more = random_below(&aggregate->random, chance) < rate % chance;
		add(sums, rate / chance + one_more, ns != 0 ? rate : 0);
	}
}

static void add_mutex(struct rpcprof_aggregate *aggregate, struct rpcprof_wait_sums *sums,
                      uint64_t ns)
{
	uint64_t fraction = aggregate->rates.mutex_fraction;

	if (random_below(&aggregate->random, fraction) == 0)
		add(sums, fraction, fraction * ns);
}

/* The nearest node above that has the mark; 0 if none has. */
static uint32_t container(const struct rpcprof_stack *stack, const uint32_t *marks, uint32_t node,
                          uint32_t mark)
{
	do
		node = stack->nodes[node].parent;
	while (node != 0 && (marks[node] & mark) == 0);
	return node;
}

/* How long each wait with the mark lasted, without the waits within it: so frames above, which
 * readers add up, have the outermost's length, and no instant of a thread counts twice. */
static void own_lengths(const struct rpcprof_stack *stack, const uint32_t *marks, uint32_t mark,
                        uint64_t *own)
{
	for (uint32_t i = 0; i < stack->count; i++)
		own[i] = stack->nodes[i].length_ns;
	for (uint32_t i = 1; i < stack->count; i++) {
		uint32_t outer = container(stack, marks, i, mark);
		uint64_t length = stack->nodes[i].length_ns;

		if ((marks[i] & mark) != 0)
			own[outer] -= length < own[outer] ? length : own[outer];
	}
}

static void add_kind(struct rpcprof_aggregate *aggregate, const struct rpcprof_stack *stack,
                     const uint32_t *numbers, const uint32_t *marks, enum rpcprof_waits kind)
{
	uint32_t mark = kind == RPCPROF_BLOCK ? RPCPROF_TAG_WAITS : RPCPROF_TAG_LOCKS;
	uint64_t own[RPCPROF_STACK_NODES];

	own_lengths(stack, marks, mark, own);
	for (uint32_t i = 1; i < stack->count; i++) {
		struct rpcprof_wait_sums *sums = &aggregate->series[numbers[i]].waits[kind];

		if ((marks[i] & mark) == 0)
			continue;
		if (stack->nodes[i].count != 1)
			add(sums, stack->nodes[i].count, own[i]);
		else if (kind == RPCPROF_BLOCK)
			add_block(aggregate, sums, own[i]);
		else
			add_mutex(aggregate, sums, own[i]);
	}
}

void rpcprof_aggregate_waits(struct rpcprof_aggregate *aggregate,
                             const struct rpcprof_stack *stack, const uint32_t *numbers)
{
	uint32_t marks[RPCPROF_STACK_NODES], all = 0;

	for (uint32_t i = 1; i < stack->count; i++)
		all |= marks[i] = rpcprof_tag_marks(stack->nodes[i].tag);
	if ((all & RPCPROF_TAG_WAITS) != 0 && aggregate->rates.block_ns != 0)
		add_kind(aggregate, stack, numbers, marks, RPCPROF_BLOCK);
	if ((all & RPCPROF_TAG_LOCKS) != 0 && aggregate->rates.mutex_fraction != 0)
		add_kind(aggregate, stack, numbers, marks, RPCPROF_MUTEX);
}
