/* SPDX-License-Identifier: Apache-2.0 */
/* Holders of one Stat: references and slots are given once, and what is late changes nothing. */
#include "fixture.h"

static struct rpcprof_stat live; /* thread 0 began it */
static struct rpcprof_timer timer;

/* Two threads hold a reference each. */
static void shared(void)
{
	fixture_arena(false);
	live = fixture_begin(4);
	live = rpcprof_stat_retain(live);
	fixture_fill(live, 4);
}

static void record_and_end(int thread)
{
	if (thread == 0)
		rpcprof_lap_at(live, 44, 410);
	else
		fixture_append(live, 43, 405, 406);
	fixture_end(live, 4);
}

static int both_recorded(void *arg, const struct rpcprof_view *view)
{
	const struct rpcprof_timer_slot *slots = rpcprof_cell_timers(view->cell);

	(void)arg;
	fixture_whole(view->cell, 4);
	REQUIRE(view->slots == 5);
	REQUIRE(slots[1].begin == 410 && slots[1].end == 450); /* closed by whoever was last */
	REQUIRE(slots[4].begin == 405 && slots[4].end == 406);
	return 0;
}

static void published_once(void)
{
	REQUIRE(rpcprof_drain(both_recorded, NULL) == 1);
	REQUIRE(rpcprof_map.shared->counters.late == 0);
}

/* As the last holder does: what the others stored before they let go is there. */
static void end_or_end_and_read(int thread)
{
	struct rpcprof_cell *cell = rpcprof_cell_of(rpcprof_unit(live));

	if (thread == 0)
		rpcprof_stat_set_status(live, 9);
	fixture_end(live, 4);
	if (thread == 1 && rpcprof_map.shared->thread[1].pushed == 1)
		REQUIRE((uint32_t)rpcprof_load_relaxed(&cell->status) == 9);
}

/* One reference, two who end it: a handle used late. The winner begins the cell's next Stat. */
static void one_reference(void)
{
	fixture_arena(false);
	live = fixture_begin(4);
}

static void discard_and_begin_or_end(int thread)
{
	struct rpcprof_stat stat;

	if (thread == 1) {
		fixture_end(live, 4);
		return;
	}
	rpcprof_stat_discard(live);
	stat = fixture_begin(5);
	execution.kept[0][0] = stat.bits;
}

static void next_stat_is_untouched(void)
{
	struct rpcprof_stat next = {execution.kept[0][0]};
	const struct rpcprof_cell *cell = rpcprof_cell_of(rpcprof_unit(next));

	REQUIRE(rpcprof_map.shared->counters.late == 1);
	REQUIRE(cell->seq == rpcprof_seq(rpcprof_generation(next), RPCPROF_LIVE));
	REQUIRE(cell->refs == rpcprof_word(rpcprof_generation(next), 1));
	REQUIRE(rpcprof_map.shared->counters.discarded +
	        rpcprof_map.shared->thread[1].pushed == 1);
}

static void discard_and_begin_or_append(int thread)
{
	if (thread == 0)
		discard_and_begin_or_end(0);
	else
		fixture_append(live, 6, 405, 406);
}

static void next_stat_has_its_slots(void)
{
	struct rpcprof_stat next = {execution.kept[0][0]};

	REQUIRE(rpcprof_cell_of(rpcprof_unit(next))->slots ==
	        rpcprof_word(rpcprof_generation(next), GRANT));
}

static void discard_and_begin_or_retain(int thread)
{
	struct rpcprof_stat mine;

	if (thread == 0) {
		discard_and_begin_or_end(0);
		return;
	}
	mine = rpcprof_stat_retain(live);
	if (!rpcprof_stat_is_null(mine))
		fixture_end(mine, 4);
}

static void next_stat_has_one_reference(void)
{
	struct rpcprof_stat next = {execution.kept[0][0]};
	const struct rpcprof_cell *cell = rpcprof_cell_of(rpcprof_unit(next));

	REQUIRE(cell->seq == rpcprof_seq(rpcprof_generation(next), RPCPROF_LIVE));
	REQUIRE(cell->refs == rpcprof_word(rpcprof_generation(next), 1));
}

static void end_or_retain_and_end(int thread)
{
	struct rpcprof_stat mine = live;

	if (thread == 1) {
		mine = rpcprof_stat_retain(live);
		execution.kept[1][0] = mine.bits;
	}
	if (!rpcprof_stat_is_null(mine))
		fixture_end(mine, 4);
}

static void published_once_however_many_held(void)
{
	REQUIRE(rpcprof_map.shared->thread[0].pushed + rpcprof_map.shared->thread[1].pushed == 1);
	REQUIRE(rpcprof_map.shared->counters.late == (execution.kept[1][0] == 0));
}

static void one_open_timer(void)
{
	fixture_arena(false);
	live = fixture_begin(4);
	timer = rpcprof_timer_begin_at(live, 4, 402);
}

static void end_the_timer(int thread)
{
	rpcprof_timer_end_at(timer, 410 + (uint64_t)thread);
}

static void ended_once(void)
{
	uint64_t ended = rpcprof_cell_timers(rpcprof_cell_of(rpcprof_unit(live)))[0].end;

	REQUIRE(ended >= 410 && ended <= 412);
	REQUIRE(rpcprof_map.shared->counters.double_ends == 2);
}

/* The owner has used its grant; one slot is left, and then the accumulators, which hold rubbish. */
static void nearly_full(void)
{
	struct rpcprof_timer_slot *slots;

	fixture_arena(false);
	live = fixture_begin(4);
	slots = rpcprof_cell_timers(rpcprof_cell_of(rpcprof_unit(live)));
	for (uint64_t i = 0; i < GRANT; i++)
		fixture_append(live, 40, 400, 401);
	for (uint32_t i = 0; i < RPCPROF_ACCUMULATORS; i++)
		slots[rpcprof_arena.capacity + i] =
			(struct rpcprof_timer_slot){.begin = 12345, .end = 12345, .thread = 99};
}

static void append(int thread)
{
	fixture_append(live, 50, 400, 410 + (uint64_t)thread);
}

/* One in the last slot, the others in accumulators or dropped and counted. */
static void sums_are_exact(void)
{
	const struct rpcprof_cell *cell = rpcprof_cell_of(rpcprof_unit(live));
	const struct rpcprof_timer_slot *slots = rpcprof_cell_timers(cell);
	uint64_t dropped = rpcprof_map.shared->counters.dropped_timers;
	uint64_t ticks = slots[GRANT].end - slots[GRANT].begin, number = 1;

	REQUIRE((uint32_t)cell->slots == rpcprof_arena.capacity);
	REQUIRE(slots[GRANT].stamp >> 32 == rpcprof_generation(live));
	for (uint32_t i = 0; i < RPCPROF_ACCUMULATORS; i++) {
		const struct rpcprof_timer_slot *sum = &slots[rpcprof_arena.capacity + i];
		ticks += sum->begin;
		number += sum->thread;
		REQUIRE(sum->thread == 0 || (sum->end >= 10 && sum->end <= 12));
	}
	REQUIRE(number + dropped == execution.out[0]);
	REQUIRE(dropped != 0 || ticks == execution.kept[0][0]);
}

static void append_counted(int thread)
{
	append(thread);
	execution.out[0]++;
	execution.kept[0][0] += 10 + (uint64_t)thread;
}

/* Accumulators that are not ready yet show nothing of their last use. One just claimed may still show
 * without its tag: the claim and the sums are not in order to a reader in flight. */
static void append_or_look_at_folds(int thread)
{
	uint64_t copy[RPCPROF_CELL_BYTES_MAX / sizeof(uint64_t)];
	struct rpcprof_cell *cell = (struct rpcprof_cell *)copy;
	struct rpcprof_fold_view fold;
	struct rpcprof_view view;

	if (thread != 2) {
		append(thread);
		return;
	}
	if (!rpcprof_cell_copy(cell, rpcprof_cell_of(rpcprof_unit(live)), rpcprof_generation(live),
	                       RPCPROF_LIVE))
		return;
	rpcprof_view_of(&view, cell, live.bits);
	for (uint32_t i = 0; i < RPCPROF_ACCUMULATORS; i++)
		if (rpcprof_view_fold(&view, i, &fold))
			REQUIRE(fold.count == 1 && fold.total_ticks <= 11);
}

/* The accumulators are ready. */
static void quite_full(void)
{
	nearly_full();
	fixture_be(1);
	fixture_append(live, 50, 400, 400);
	fixture_be(0);
}

static void accumulated_exactly(void)
{
	const struct rpcprof_cell *cell = rpcprof_cell_of(rpcprof_unit(live));
	const struct rpcprof_timer_slot *sum = &rpcprof_cell_timers(cell)[rpcprof_arena.capacity];

	REQUIRE((uint32_t)sum->stamp == 50 && sum->thread == 3);
	REQUIRE(sum->begin == 10 + 11 + 12 && sum->end == 12);
}

const struct interleave_case holder_cases[] = {
	{"two_holders", 2, ALL, ALL, 0, shared, record_and_end, published_once},
	{"last_holder_reads", 2, ALL, ALL, 0, shared, end_or_end_and_read, NULL},
	{"late_end", 2, ALL, ALL, 0, one_reference, discard_and_begin_or_end,
	 next_stat_is_untouched},
	{"late_timer", 2, ALL, ALL, 0, one_reference, discard_and_begin_or_append,
	 next_stat_has_its_slots},
	{"late_retain_of_the_next", 2, ALL, ALL, 0, one_reference, discard_and_begin_or_retain,
	 next_stat_has_one_reference},
	{"late_retain", 2, ALL, ALL, 0, one_reference, end_or_retain_and_end,
	 published_once_however_many_held},
	{"timer_ended_twice", 3, ALL, ALL, 0, one_open_timer, end_the_timer, ended_once},
	{"cell_fills_up", 2, ALL, ALL, 0, nearly_full, append_counted, sums_are_exact},
	{"cell_fills_up_3", 3, 2, 2, 0, nearly_full, append_counted, sums_are_exact},
	{"fill_up_and_look_in_flight", 3, 2, 1, 0, nearly_full, append_or_look_at_folds, NULL},
	{"cell_is_full", 3, ALL, ALL, 0, quite_full, append_counted,
	 accumulated_exactly},
	{0},
};
