/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any timers, of any threads, with any ticks, under any clock: no time of a stack is negative, and
 * all add up to the call's wall time; also when the call is laid out in parts.
 */
#include "tests/fuzz/fuzz_internal.h"

#include "export/stack_internal.h"

#define GENERATION 7
#define PARTS 3

static struct {
	struct rpcprof_cell cell;
	struct rpcprof_timer_slot timers[RPCPROF_STACK_TIMERS + 4 + RPCPROF_ACCUMULATORS];
} room;

/* A few slopes, any but 0; anchors in the order of their ticks. */
static void take_clock(struct taker *taker, struct rpcprof_clock_map *map)
{
	uint64_t ticks = take(taker, 8);

	map->count = 1 + (uint32_t)take(taker, 1) % 4;
	for (uint32_t i = 0; i < map->count; i++) {
		map->anchors[i].ticks = ticks;
		map->slopes[i] = take(taker, 8);
		if (map->slopes[i] == 0)
			map->slopes[i] = (uint64_t)1 << 54; /* a nanosecond a tick */
		ticks += take(taker, 2);
	}
}

/* Near the call's begin, where boundaries meet, or anywhere. */
static uint64_t take_tick(struct taker *taker, uint64_t origin, int anywhere)
{
	return anywhere ? take(taker, 8) : origin + (uint64_t)(int8_t)take(taker, 1);
}

static void take_timer(struct taker *taker, struct rpcprof_timer_slot *slot, uint64_t origin)
{
	uint64_t head = take(taker, 1); /* bits: a gap, open, two of threads, any begin, any end */

	slot->stamp = (uint64_t)(head & 1 ? GENERATION - 1 : GENERATION) << 32 | 1;
	slot->thread = head >> 2 & 3;
	slot->begin = take_tick(taker, origin, head & 16);
	slot->end = head & 2 ? 0 : take_tick(taker, origin, head & 32);
}

static void take_fold(struct taker *taker, struct rpcprof_timer_slot *slot)
{
	uint64_t head = take(taker, 1);

	slot->stamp = (uint64_t)(head & 1 ? GENERATION : 0) << 32 | 2;
	slot->thread = head >> 1;
	slot->begin = take(taker, head & 64 ? 8 : 1);
	slot->end = take(taker, head & 64 ? 8 : 1);
}

static struct rpcprof_view take_view(struct taker *taker)
{
	struct rpcprof_view view = {.cell = &room.cell, .generation = GENERATION,
	                            .id = (uint64_t)GENERATION << 32};

	memset(&room, 0, sizeof(room));
	view.slots = (uint32_t)take(taker, 1) % (RPCPROF_STACK_TIMERS + 5);
	room.cell.begin = take(taker, 8);
	rpcprof_arena.capacity = view.slots;
	for (uint32_t i = 0; i < view.slots; i++)
		take_timer(taker, &room.timers[i], room.cell.begin);
	for (uint32_t i = 0; i < RPCPROF_ACCUMULATORS; i++)
		take_fold(taker, &room.timers[view.slots + i]);
	return view;
}

static void check_nodes(const struct rpcprof_stack *stack, uint64_t from)
{
	uint64_t left = stack->wall_ns > from ? stack->wall_ns - from : 0;

	must(stack->count >= 1 && stack->count <= RPCPROF_STACK_NODES);
	must(stack->nodes[0].length_ns == stack->wall_ns);
	for (uint32_t i = 0; i < stack->count; i++) {
		const struct rpcprof_stack_node *node = &stack->nodes[i];

		must(node->self_ns <= left); /* else the sum is more, or one is negative */
		left -= node->self_ns;
		must(i == 0 || node->parent < i);
		must(node->tag == 2 || node->length_ns <= stack->nodes[node->parent].length_ns);
	}
	must(left == 0);
}

static void check_folds(const struct rpcprof_stack *stack, const struct rpcprof_stack_part *part)
{
	for (uint32_t i = 0; i < RPCPROF_ACCUMULATORS; i++)
		must(stack->fold_ns[i] >= part->fold_ns[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	static struct rpcprof_stack stack;
	struct taker taker = {bytes, length};
	struct rpcprof_clock_map map = {0};
	struct rpcprof_stack_part part = {0};
	struct rpcprof_view view;

	take_clock(&taker, &map);
	view = take_view(&taker);
	for (int i = 1; i <= PARTS; i++) {
		uint64_t head = take(&taker, 1);

		part.end = take_tick(&taker, room.cell.begin, head & 1);
		part.in_flight = i < PARTS || head & 2;
		rpcprof_stack_build(&stack, &view, &map, &part);
		must(stack.wall_ns ==
		     rpcprof_clock_elapsed_ns(&map, room.cell.begin, part.end));
		check_nodes(&stack, part.from_ns);
		check_folds(&stack, &part);
		if (stack.wall_ns > part.from_ns)
			part.from_ns = stack.wall_ns;
		memcpy(part.fold_ns, stack.fold_ns, sizeof(part.fold_ns));
	}
	return 0;
}
