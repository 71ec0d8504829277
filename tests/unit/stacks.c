/* SPDX-License-Identifier: Apache-2.0 */
/* Long because it is one subject over one set of fixtures: the builder, by hand and against a brute-force oracle. */
#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

#include "export/stack_internal.h"
#include "rpcprof/control.h"
#include "timers/clock_internal.h"

#define ORIGIN 1000
#define GENERATION 7
#define THREADS 3

struct room {
	struct rpcprof_cell cell;
	struct rpcprof_timer_slot timers[RPCPROF_STACK_TIMERS + RPCPROF_ACCUMULATORS];
};

static struct room room;
static struct rpcprof_view view;
static struct rpcprof_clock_map map;
static struct rpcprof_stack stack;

static uint64_t fake_ticks(void)
{
	return ORIGIN;
}

static int64_t fake_ns(void)
{
	return 0;
}

/* One tick is one nanosecond, unless a frequency says otherwise. */
static void clock_of(uint64_t ticks_per_second)
{
	static struct rpcprof_clock_source source = {fake_ticks, fake_ns, fake_ns, 0};

	source.ticks_per_second = ticks_per_second;
	rpcprof_clock_set_source(&source);
	cr_assert_eq(rpcprof_init(NULL), 0);
	cr_assert_eq(rpcprof_clock_map_get(&map), 0);
}

static void call(uint64_t wall)
{
	memset(&room, 0, sizeof(room));
	rpcprof_arena.capacity = RPCPROF_STACK_TIMERS;
	room.cell.begin = ORIGIN;
	room.cell.end = ORIGIN + wall;
	view = (struct rpcprof_view){.cell = &room.cell, .generation = GENERATION};
}

/* Timer i has tag 100 + i. Times from the call's begin. */
static void timer_at(uint32_t thread, uint64_t begin, uint64_t end)
{
	room.timers[view.slots] = (struct rpcprof_timer_slot){
		.stamp = (uint64_t)GENERATION << 32 | (100 + view.slots),
		.begin = begin, .end = end, .thread = thread};
	view.slots++;
}

static void timer(uint32_t thread, int64_t begin, int64_t end)
{
	timer_at(thread, (uint64_t)(ORIGIN + begin), (uint64_t)(ORIGIN + end));
}

static void fold(uint32_t i, uint64_t total, uint64_t longest, uint64_t count)
{
	rpcprof_arena.capacity = view.slots;
	room.timers[view.slots + i] = (struct rpcprof_timer_slot){
		.stamp = (uint64_t)GENERATION << 32 | (200 + i),
		.begin = total, .end = longest, .thread = count};
}

static void build(void)
{
	const struct rpcprof_stack_part part = {.end = room.cell.end};

	rpcprof_stack_build(&stack, &view, &map, &part);
}

static const struct rpcprof_stack_node *node(uint32_t tag)
{
	for (uint32_t i = 1; i < stack.count; i++)
		if (stack.nodes[i].tag == tag)
			return &stack.nodes[i];
	cr_assert(false, "no node of tag %u", tag);
	return NULL;
}

static uint32_t parent_tag(uint32_t tag)
{
	return stack.nodes[node(tag)->parent].tag;
}

static uint64_t sum(void)
{
	uint64_t total = 0;

	for (uint32_t i = 0; i < stack.count; i++)
		total += stack.nodes[i].self_ns;
	return total;
}

Test(stacks, without_timers_all_is_the_methods)
{
	clock_of(0);
	call(500);
	build();
	cr_assert_eq(stack.count, 1);
	cr_assert_eq(stack.nodes[0].self_ns, 500);
}

Test(stacks, laps_leave_the_method_what_lies_between)
{
	clock_of(0);
	call(100);
	timer(1, 10, 30);
	timer(1, 30, 60);
	timer(1, 70, 90);
	build();
	cr_assert_eq(node(100)->self_ns, 20);
	cr_assert_eq(node(101)->self_ns, 30);
	cr_assert_eq(node(102)->self_ns, 20);
	cr_assert_eq(stack.nodes[0].self_ns, 30);
	cr_assert_eq(parent_tag(102), 0);
}

Test(stacks, a_contained_timer_is_the_child_of_the_latest_begun_container)
{
	clock_of(0);
	call(100);
	timer(1, 0, 90);
	timer(1, 10, 80);
	timer(1, 20, 30);
	build();
	cr_assert_eq(parent_tag(102), 101);
	cr_assert_eq(parent_tag(101), 100);
	cr_assert_eq(node(100)->self_ns, 20);
	cr_assert_eq(node(101)->self_ns, 60);
	cr_assert_eq(node(102)->self_ns, 10);
	cr_assert_eq(node(101)->length_ns, 70);
	cr_assert_eq(stack.nodes[0].self_ns, 10);
}

Test(stacks, overlap_without_containment_goes_to_the_latest_begun)
{
	clock_of(0);
	call(100);
	timer(1, 0, 50);
	timer(1, 30, 80);
	build();
	cr_assert_eq(parent_tag(101), 0);
	cr_assert_eq(node(100)->self_ns, 30);
	cr_assert_eq(node(101)->self_ns, 50);
	cr_assert_eq(stack.nodes[0].self_ns, 20);
}

Test(stacks, a_timer_of_another_thread_is_no_child)
{
	clock_of(0);
	call(100);
	timer(1, 0, 100);
	timer(2, 20, 40);
	timer(2, 25, 30);
	build();
	cr_assert_eq(parent_tag(101), 0);
	cr_assert_eq(parent_tag(102), 101);
	cr_assert_eq(node(100)->self_ns, 80);
	cr_assert_eq(node(101)->self_ns, 15);
}

Test(stacks, a_call_handled_by_three_threads_adds_up)
{
	clock_of(0);
	call(1000);
	timer(1, 0, 400);    /* receive */
	timer(2, 300, 700);  /* queue, then handler on the second */
	timer(2, 350, 650);
	timer(3, 600, 1000); /* a sender that overlaps both */
	timer(1, 900, 950);
	build();
	cr_assert_eq(sum(), 1000);
	cr_assert_eq(node(100)->self_ns, 300);
	cr_assert_eq(node(101)->self_ns, 50);
	cr_assert_eq(node(102)->self_ns, 250);
	cr_assert_eq(node(103)->self_ns, 350);
	cr_assert_eq(node(104)->self_ns, 50);
}

Test(stacks, four_batches_outstanding_add_up)
{
	clock_of(0);
	call(1000);
	timer(1, 100, 900);
	timer(1, 110, 300);
	timer(1, 120, 950);
	timer(1, 130, 0);
	room.timers[3].end = 0; /* never comes back */
	build();
	cr_assert_eq(sum(), 1000);
	cr_assert_eq(parent_tag(101), 100);
	cr_assert_eq(parent_tag(102), 0);
	cr_assert_eq(parent_tag(103), 0);
	cr_assert_eq(node(103)->self_ns, 870);
}

Test(stacks, an_open_timer_is_closed_at_the_end)
{
	clock_of(0);
	call(100);
	timer(1, 40, 50);
	timer_at(1, ORIGIN + 60, 0);
	build();
	cr_assert_eq(node(101)->self_ns, 40);
	cr_assert_eq(node(101)->length_ns, 40);
	cr_assert_eq(stack.nodes[0].self_ns, 50);
}

Test(stacks, timers_that_reach_outside_are_cut)
{
	clock_of(0);
	call(100);
	timer(1, -50, 20);
	timer(1, 80, 300);
	timer(1, 400, 500);
	timer(1, -9, -3);
	build();
	cr_assert_eq(sum(), 100);
	cr_assert_eq(node(100)->self_ns, 20);
	cr_assert_eq(node(101)->self_ns, 20);
	cr_assert_eq(node(102)->length_ns, 0);
	cr_assert_eq(node(103)->length_ns, 0);
}

Test(stacks, an_end_before_the_begin_is_zero_and_counted)
{
	clock_of(0);
	call(100);
	timer(1, 50, 40);
	build();
	cr_assert_eq(node(100)->self_ns, 0);
	cr_assert_eq(stack.nodes[0].self_ns, 100);
	cr_assert_eq(stack.negative, 1);
	room.cell.end = ORIGIN - 10;
	build();
	cr_assert_eq(stack.wall_ns, 0);
	cr_assert_eq(sum(), 0);
	cr_assert_eq(stack.negative, 2);
}

Test(stacks, an_empty_timer_has_a_parent)
{
	clock_of(0);
	call(100);
	timer(1, 10, 50);
	timer(1, 50, 50);
	timer(1, 50, 90);
	timer(1, 90, 90);
	build();
	/* Of two that touch there, the latest begun contains it. */
	cr_assert_eq(parent_tag(101), 102);
	cr_assert_eq(parent_tag(103), 102);
	cr_assert_eq(sum(), 100);
}

Test(stacks, of_equal_timers_the_later_slot_is_the_child)
{
	clock_of(0);
	call(100);
	timer(1, 10, 50);
	timer(1, 10, 50);
	build();
	cr_assert_eq(parent_tag(101), 100);
	cr_assert_eq(node(100)->self_ns, 0);
	cr_assert_eq(node(101)->self_ns, 40);
}

Test(stacks, folds_take_the_methods_own_time_and_no_more)
{
	clock_of(0);
	call(100);
	timer(1, 0, 40);
	fold(0, 25, 20, 3);
	fold(1, 50, 50, 1);
	build();
	cr_assert_eq(node(200)->self_ns, 25);
	cr_assert_eq(node(200)->count, 3);
	cr_assert_eq(node(200)->longest_ns, 20);
	cr_assert_eq(node(200)->parent, 0);
	cr_assert_eq(node(201)->self_ns, 35);
	cr_assert_eq(node(201)->length_ns, 50);
	cr_assert_eq(stack.nodes[0].self_ns, 0);
	cr_assert_eq(sum(), 100);
}

Test(stacks, parts_of_a_call_in_flight_meet_without_gap)
{
	struct rpcprof_stack_part part = {.end = ORIGIN + 400, .in_flight = true};

	clock_of(0);
	call(0);
	room.cell.end = 0;
	timer(1, 100, 200);
	timer_at(1, ORIGIN + 300, 0);
	rpcprof_stack_build(&stack, &view, &map, &part);
	cr_assert_eq(node(100)->self_ns, 100);
	cr_assert_eq(node(101)->self_ns, 100);
	cr_assert_eq(sum(), 400);
	part = (struct rpcprof_stack_part){.end = ORIGIN + 1000, .from_ns = 400};
	room.timers[1].end = ORIGIN + 500;
	rpcprof_stack_build(&stack, &view, &map, &part);
	cr_assert_eq(node(100)->self_ns, 0);
	cr_assert_eq(node(101)->self_ns, 100);
	cr_assert_eq(node(101)->length_ns, 200);
	cr_assert_eq(stack.nodes[0].self_ns, 500);
}

Test(stacks, an_open_timer_in_flight_contains_all_that_ends)
{
	const struct rpcprof_stack_part part = {.end = ORIGIN + 100, .in_flight = true};

	clock_of(0);
	call(0);
	timer_at(1, ORIGIN + 10, 0);
	timer(1, 20, 5000); /* ended after the part */
	rpcprof_stack_build(&stack, &view, &map, &part);
	cr_assert_eq(parent_tag(101), 100);
	cr_assert_eq(node(101)->self_ns, 80);
}

Test(stacks, a_fold_is_charged_once_over_the_parts)
{
	struct rpcprof_stack_part part = {.end = ORIGIN + 100, .in_flight = true};

	clock_of(0);
	call(0);
	fold(0, 60, 10, 6);
	rpcprof_stack_build(&stack, &view, &map, &part);
	cr_assert_eq(node(200)->self_ns, 60);
	part.from_ns = 100;
	memcpy(part.fold_ns, stack.fold_ns, sizeof(part.fold_ns));
	part.end = ORIGIN + 200;
	fold(0, 90, 10, 9);
	rpcprof_stack_build(&stack, &view, &map, &part);
	cr_assert_eq(node(200)->self_ns, 30);
	cr_assert_eq(stack.nodes[0].self_ns, 70);
	cr_assert_eq(stack.fold_ns[0], 90);
}

/* The oracle: the definition, instant by instant between boundaries, with no cleverness. */

struct plain {
	uint64_t begin, end;
	uint32_t thread, tag;
};

static struct plain plain[RPCPROF_STACK_TIMERS];
static uint32_t plain_count;

static bool later(uint32_t a, uint32_t b) /* a counts as begun later than b */
{
	if (plain[a].begin != plain[b].begin)
		return plain[a].begin > plain[b].begin;
	if (plain[a].end != plain[b].end)
		return plain[a].end < plain[b].end;
	return a > b;
}

static int oracle_parent(uint32_t child)
{
	int best = -1;

	for (uint32_t i = 0; i < plain_count; i++)
		if (i != child && plain[i].thread == plain[child].thread &&
		    plain[i].begin <= plain[child].begin && plain[i].end >= plain[child].end &&
		    later(child, i) && (best < 0 || later(i, (uint32_t)best)))
			best = (int)i;
	return best;
}

static int oracle_owner(uint64_t instant)
{
	int best = -1;

	for (uint32_t i = 0; i < plain_count; i++)
		if (plain[i].begin <= instant && instant < plain[i].end &&
		    (best < 0 || later(i, (uint32_t)best)))
			best = (int)i;
	return best;
}

static void plain_of(uint64_t limit, uint64_t open_end)
{
	plain_count = view.slots;
	for (uint32_t i = 0; i < view.slots; i++) {
		const struct rpcprof_timer_slot *slot = &room.timers[i];
		uint64_t begin = rpcprof_clock_elapsed_ns(&map, ORIGIN, slot->begin);
		uint64_t end = rpcprof_clock_elapsed_ns(&map, ORIGIN, slot->end);

		plain[i].begin = begin < limit ? begin : limit;
		plain[i].end = slot->end == 0 ? open_end : end < limit ? end : limit;
		if (plain[i].end < plain[i].begin)
			plain[i].end = plain[i].begin;
		plain[i].thread = (uint32_t)slot->thread;
		plain[i].tag = (uint32_t)slot->stamp;
	}
}

static void soup(unsigned seed, uint32_t span)
{
	uint32_t count = (uint32_t)rand() % (seed % 3 == 0 ? RPCPROF_STACK_TIMERS + 1 : 9);

	call((uint64_t)rand() % span);
	for (uint32_t i = 0; i < count; i++) {
		int64_t begin = rand() % (int)(span + 20) - 10;
		int64_t length = rand() % (int)span - (rand() % 8 == 0 ? (int)span / 4 : 0);

		timer(1 + (uint32_t)rand() % THREADS, begin, begin + length);
		if (rand() % 8 == 0)
			room.timers[i].end = 0;
	}
}

/* Sums of the part (from, wall] and parents, against the oracle's. */
static void compare(uint64_t from, unsigned seed)
{
	uint64_t expected[RPCPROF_STACK_TIMERS + 1] = {0};

	for (uint64_t t = from; t < stack.wall_ns; t++)
		expected[oracle_owner(t) + 1]++;
	cr_assert_eq(stack.nodes[0].self_ns, expected[0], "seed %u: method", seed);
	cr_assert_eq(stack.count, plain_count + 1);
	for (uint32_t i = 0; i < plain_count; i++) {
		int parent = oracle_parent(i);

		cr_assert_eq(node(plain[i].tag)->self_ns, expected[i + 1], "seed %u: timer %u",
		             seed, i);
		cr_assert_eq(parent_tag(plain[i].tag),
		             parent < 0 ? 0 : plain[parent].tag, "seed %u: timer %u", seed, i);
		cr_assert_lt(node(plain[i].tag)->parent,
		             (uint32_t)(node(plain[i].tag) - stack.nodes), "parents come first");
	}
	cr_assert_eq(sum(), stack.wall_ns > from ? stack.wall_ns - from : 0, "seed %u", seed);
}

Test(stacks, any_soup_of_timers_is_as_the_definition_says)
{
	clock_of(0);
	for (unsigned seed = 0; seed < 4000; seed++) {
		srand(seed);
		soup(seed, seed % 2 ? 12 : 300); /* dense: many equal boundaries */
		build();
		plain_of(stack.wall_ns, stack.wall_ns);
		compare(0, seed);
	}
}

Test(stacks, any_part_of_any_soup_is_as_the_definition_says)
{
	clock_of(0);
	for (unsigned seed = 0; seed < 4000; seed++) {
		struct rpcprof_stack_part part = {.in_flight = true};

		srand(seed);
		soup(seed, seed % 2 ? 12 : 300);
		part.from_ns = (uint64_t)rand() % 300;
		part.end = ORIGIN + (uint64_t)rand() % 300;
		rpcprof_stack_build(&stack, &view, &map, &part);
		plain_of(UINT64_MAX, UINT64_MAX);
		compare(part.from_ns, seed);
	}
}

Test(stacks, rounding_to_nanoseconds_loses_none)
{
	clock_of(2893432101); /* ticks per second: no boundary falls on a nanosecond */
	for (unsigned seed = 0; seed < 4000; seed++) {
		srand(seed);
		soup(seed, 900);
		build();
		cr_assert_eq(stack.wall_ns,
		             rpcprof_clock_elapsed_ns(&map, ORIGIN, room.cell.end));
		plain_of(stack.wall_ns, stack.wall_ns);
		compare(0, seed);
	}
}

Test(stacks, nanoseconds_are_those_of_the_clock)
{
	clock_of(2893432101);
	srand(1);
	for (int i = 0; i < 100000; i++) {
		uint64_t ticks = ((uint64_t)rand() << 32 | (uint64_t)rand()) >> rand() % 64;

		call(ticks);
		build();
		cr_assert_eq(stack.wall_ns, rpcprof_clock_elapsed_ns(&map, ORIGIN, ORIGIN + ticks),
		             "%lu ticks", ticks);
	}
}

/* The end half the range of ticks after the begin was as far as can be here, and 0 there. */
Test(stacks, half_the_range_away_is_as_the_clock_says)
{
	clock_of(0);
	call((uint64_t)1 << 63);
	build();
	cr_assert_eq(stack.wall_ns,
	             rpcprof_clock_elapsed_ns(&map, room.cell.begin, room.cell.end));
	cr_assert_eq(stack.negative, 0);
}

Test(stacks, each_call_has_the_slope_of_its_begin)
{
	const uint64_t half = (uint64_t)1 << 63; /* as far from an anchor as can be */
	const uint64_t begins[] = {1,    999,         1000,        1999, 2000, 2001, 90000,
	                           half, half + 1000, half + 2000, half + 1};

	clock_of(0);
	map.count = 3;
	for (uint32_t i = 0; i < 3; i++) {
		map.anchors[i].ticks = 1000 * i;
		map.slopes[i] = (uint64_t)(i + 1) << 53; /* half a nanosecond a tick, 1, 1.5 */
	}
	for (size_t i = 0; i < sizeof(begins) / sizeof(begins[0]); i++) {
		call(0);
		room.cell.begin = begins[i];
		room.cell.end = begins[i] + 1000;
		build();
		cr_assert_eq(stack.wall_ns,
		             rpcprof_clock_elapsed_ns(&map, begins[i], begins[i] + 1000));
	}
}
