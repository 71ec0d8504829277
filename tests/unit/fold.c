/* SPDX-License-Identifier: Apache-2.0 */
/* A cell that is full: its further timers fold into sums. */
#include "stat_seen.h"

Test(fold, timers_beyond_the_cell_fold_without_losing_time)
{
	struct rpcprof_detached_timer timer = {.begin = 1000, .end = 1010};
	uint64_t total = 0;
	struct rpcprof_stat stat;

	start();
	stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);
	for (uint32_t i = 0; i < 1000; i++) {
		timer.tag = 100 + i % 7;
		timer.end = 1010 + i;
		total += 10 + i;
		rpcprof_stat_append(stat, &timer);
	}
	rpcprof_stat_end(stat);
	cr_assert_eq(rpcprof_snapshot(NULL, look, NULL), 1);
	cr_assert_eq(seen.folded, 1000 - rpcprof_arena.capacity);
	cr_assert_eq(rpcprof_drain(look, NULL), 1);
	cr_assert_eq(seen.timers, rpcprof_arena.capacity);
	cr_assert_eq(seen.folded, 1000 - rpcprof_arena.capacity);
	cr_assert_eq(counters().folded, 1000 - rpcprof_arena.capacity);
	for (uint32_t i = 0; i < seen.timers; i++)
		total -= seen.timer[i].end - seen.timer[i].begin;
	for (uint32_t i = 0; i < seen.folds; i++)
		total -= seen.fold[i].total_ticks;
	cr_assert_eq(total, 0);
	cr_assert_eq(seen.folds, 5);
	cr_assert_eq(seen.fold[4].tag, RPCPROF_TAG_OTHER);
	cr_assert_eq(seen.fold[0].tag, 102); /* the 24th timer's */
	cr_assert_eq(seen.fold[0].longest_ticks, 10 + 996);
}

Test(fold, folded_timers_and_laps_end)
{
	struct rpcprof_timer timer;
	struct rpcprof_stat stat;

	start();
	stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);
	for (int i = 0; i < 30; i++) {
		timer = rpcprof_timer_begin(stat, RPCPROF_TAG("/message"));
		rpcprof_timer_end(timer);
	}
	for (int i = 0; i < 5; i++)
		rpcprof_lap(stat, RPCPROF_TAG("/lap"));
	rpcprof_stat_end(stat);
	cr_assert_eq(rpcprof_drain(look, NULL), 1);
	cr_assert_eq(seen.timers, rpcprof_arena.capacity);
	cr_assert_eq(seen.folds, 2);
	cr_assert_eq(seen.fold[0].count, 30 - rpcprof_arena.capacity);
	cr_assert_eq(seen.fold[1].count, 5);
	cr_assert_gt(seen.fold[1].total_ticks, 0);
	cr_assert_leq(seen.fold[1].total_ticks, seen.end - seen.begin);
}

/* As when all slots were taken before the thread that took the ninth has zeroed the sums. */
Test(fold, timers_that_find_sums_not_ready_are_dropped_and_counted)
{
	struct rpcprof_detached_timer done = {.begin = 5, .end = 6, .tag = 77};
	struct rpcprof_cell *cell;
	struct rpcprof_stat stat;

	start();
	stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER); /* leaves sums in its cell */
	for (int i = 0; i < 30; i++)
		rpcprof_stat_append(stat, &done);
	rpcprof_stat_end(stat);
	cr_assert_eq(rpcprof_drain(look, NULL), 1);
	cr_assert_eq(seen.folded, 30 - rpcprof_arena.capacity);
	cell = rpcprof_cell_at_(stat.bits);
	stat = rpcprof_stat_begin_at(RPCPROF_TAG_SERVER, 1);
	cr_assert_eq(rpcprof_cell_at_(stat.bits), cell);
	cell->slots = stat.bits >> 32 << 32 | rpcprof_arena.capacity;
	for (uint32_t i = 0; i < rpcprof_arena.grant; i++) /* which begin gave */
		rpcprof_timer_end(rpcprof_timer_begin(stat, 77));
	cr_assert_eq(rpcprof_timer_begin(stat, 77).bits, 0);
	rpcprof_stat_append(stat, &done);
	rpcprof_lap(stat, 77);
	cr_assert_eq(counters().dropped_timers, 3);
	rpcprof_stat_end(stat);
	cr_assert_eq(rpcprof_drain(look, NULL), 1);
	cr_assert_eq(seen.timers, rpcprof_arena.grant);
	cr_assert_eq(seen.folded, 0);
	cr_assert_eq(counters().folded, 30 - rpcprof_arena.capacity);
}

/* A reader in flight used to take a sum whose claim it did not see yet for one without a name. */
Test(fold, a_sum_in_flight_is_shown_once_it_has_its_tag)
{
	struct rpcprof_timer_slot *sum;
	struct rpcprof_stat stat;

	start();
	stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);
	for (int i = 0; i < 30; i++)
		rpcprof_timer_end(rpcprof_timer_begin(stat, 77));
	sum = rpcprof_cell_timers(rpcprof_cell_at_(stat.bits)) + rpcprof_arena.capacity;
	cr_assert_eq(rpcprof_inflight(NULL, look, NULL), 1);
	cr_assert_eq(seen.folded, 30 - rpcprof_arena.capacity);
	cr_assert_eq(seen.fold[0].tag, 77);
	sum->stamp = stat.bits >> 32 << 32;
	cr_assert_eq(rpcprof_inflight(NULL, look, NULL), 1);
	cr_assert_eq(seen.folds, 0);
	cr_assert_eq(seen.folded, 0);
}

Test(fold, folds_without_a_name_add_to_the_others)
{
	struct rpcprof_detached_timer timer = {.begin = 100, .end = 110};
	struct rpcprof_stat stat;

	start();
	stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);
	for (uint32_t i = 0; i < rpcprof_arena.capacity + 3; i++)
		rpcprof_stat_append(stat, &timer);
	timer.end = 0; /* never ended: has no time to add */
	rpcprof_stat_append(stat, &timer);
	rpcprof_stat_end(stat);
	cr_assert_eq(rpcprof_drain(look, NULL), 1);
	cr_assert_eq(seen.folds, 1);
	cr_assert_eq(seen.fold[0].tag, RPCPROF_TAG_OTHER);
	cr_assert_eq(seen.fold[0].count, 3);
	cr_assert_eq(seen.fold[0].total_ticks, 30);
}

/* 40 timers of eight tags, in a cell of so many bytes. */
static void record_40(uint32_t cell_bytes)
{
	struct rpcprof_config config = {
		.size = sizeof(config), .capacity = 64, .cell_bytes = cell_bytes};
	struct rpcprof_stat stat;

	cr_assert_eq(rpcprof_init(&config), 0);
	rpcprof_enable(true);
	for (int k = 0; k < 3; k++) { /* neighbours, which must not meet */
		stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);
		for (uint32_t i = 0; i < 40; i++)
			rpcprof_timer_end(rpcprof_timer_begin(stat, 100 + i % 8));
		rpcprof_stat_end(stat);
	}
}

/* Every timer is there once: in its slot, or in the sum of its tag or of the others. */
static int count_40(void *arg, const struct rpcprof_view *view)
{
	uint64_t folded = rpcprof_view_folded(view);

	(void)look(NULL, view);
	cr_assert_eq(seen.timers, *(const uint32_t *)arg);
	cr_assert_eq(seen.timers + folded, 40);
	for (uint32_t i = 0; i < seen.timers; i++)
		cr_assert_eq(seen.timer[i].tag, 100 + i % 8);
	return 0;
}

Test(fold, the_smallest_cells_hold_five_timers)
{
	uint32_t timers = 5;

	record_40(RPCPROF_CELL_BYTES_MIN);
	cr_assert_eq(rpcprof_drain(count_40, &timers), 3);
}

Test(fold, the_largest_cells_hold_27_timers)
{
	uint32_t timers = 27;

	record_40(RPCPROF_CELL_BYTES_MAX);
	cr_assert_eq(rpcprof_snapshot(NULL, count_40, &timers), 3);
	cr_assert_eq(rpcprof_drain(count_40, &timers), 3);
}
