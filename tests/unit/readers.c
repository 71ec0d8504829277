/* SPDX-License-Identifier: Apache-2.0 */
/* Those who look and those who take: where they stop, what they meet, what they leave. */
#include <criterion/criterion.h>
#include <errno.h>

#include "rpcprof/rpcprof.h"
#include "stats/arena_internal.h"

static void start_with(const struct rpcprof_config *config)
{
	cr_assert_eq(rpcprof_init(config), 0);
	cr_assert_eq(rpcprof_enable(true), 0);
}

static void start(void)
{
	start_with(&(struct rpcprof_config){.size = sizeof(struct rpcprof_config), .capacity = 64});
}

static void record(uint32_t stats)
{
	for (uint32_t i = 0; i < stats; i++)
		rpcprof_stat_end(rpcprof_stat_begin(RPCPROF_TAG_SERVER));
}

static struct rpcprof_counters counters(void)
{
	struct rpcprof_counters all;

	cr_assert_eq(rpcprof_counters_get(&all), 0);
	return all;
}

static int count(void *arg, const struct rpcprof_view *view)
{
	(void)view;
	++*(uint64_t *)arg;
	return 0;
}

static int stop_at_third(void *arg, const struct rpcprof_view *view)
{
	(void)count(arg, view);
	return *(uint64_t *)arg == 3;
}

Test(readers, before_init_there_is_nothing_to_read)
{
	uint64_t seen = 0;

	cr_assert_eq(rpcprof_drain(count, &seen), -ENODEV);
	cr_assert_eq(rpcprof_collect(count, &seen), -ENODEV);
	cr_assert_eq(rpcprof_snapshot(NULL, count, &seen), -ENODEV);
	cr_assert_eq(rpcprof_inflight(NULL, count, &seen), -ENODEV);
	cr_assert_eq(rpcprof_collect_backlog(), 0);
	rpcprof_collect_stop();
	cr_assert_eq(rpcprof_control()->collecting, 0);
	cr_assert_eq(seen, 0);
}

/* ---- those who look ---- */

Test(snapshot, stops_where_it_is_told_in_either_ring)
{
	struct rpcprof_filter any_order = {.size = sizeof(any_order), .unordered = 1};
	const struct rpcprof_filter *filters[] = {NULL, &any_order};
	uint64_t seen = 0;

	start();
	record(40);
	for (int round = 0; round < 2; round++) { /* first in fresh, then in the history */
		for (int i = 0; i < 2; i++) {
			seen = 0;
			cr_assert_eq(rpcprof_snapshot(filters[i], stop_at_third, &seen), 3);
			cr_assert_eq(seen, 3);
		}
		cr_assert_eq(rpcprof_snapshot(NULL, count, &seen), 40);
		cr_assert_eq(rpcprof_collect(count, &seen), round == 0 ? 40 : 0);
	}
}

Test(snapshot, has_one_ring_where_there_is_one)
{
	uint64_t seen = 0;

	start_with(&(struct rpcprof_config){
		.size = sizeof(struct rpcprof_config), .capacity = 64, .single_ring = 1});
	record(40);
	cr_assert_eq(rpcprof_snapshot(NULL, count, &seen), 40);
}

static uint64_t ids[8], id_count;

static int keep_id(void *arg, const struct rpcprof_view *view)
{
	(void)arg;
	ids[id_count++] = view->id;
	return 0;
}

Test(snapshot, of_calls_that_ended_at_once_has_each_in_one_order)
{
	static const int ring_order[] = {2, 3, 0, 1};
	struct rpcprof_stat stats[4];
	uint64_t first[4];

	start();
	for (int i = 0; i < 4; i++)
		stats[i] = rpcprof_stat_begin_at(RPCPROF_TAG_SERVER, 1000);
	for (int i = 0; i < 4; i++)
		rpcprof_stat_end_at(stats[ring_order[i]], 2000);
	cr_assert_eq(rpcprof_snapshot(NULL, keep_id, NULL), 4);
	for (int i = 0; i < 4; i++)
		first[i] = ids[i];
	for (int i = 1; i < 4; i++)
		cr_assert_lt(first[i - 1], first[i]);
	id_count = 0;
	record(1); /* walks begin elsewhere */
	cr_assert_eq(rpcprof_snapshot(NULL, keep_id, NULL), 5);
	for (int i = 0; i < 4; i++)
		cr_assert_eq(first[i], ids[i]);
}

Test(filter, of_a_duration_longer_than_ticks_count_takes_nothing)
{
	struct rpcprof_filter filter = {.size = sizeof(filter), .min_duration_ns = UINT64_MAX};
	struct rpcprof_stat stat;
	uint64_t seen = 0;

	start();
	record(1);
	stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);
	cr_assert_eq(rpcprof_snapshot(&filter, count, &seen), 0);
	cr_assert_eq(rpcprof_inflight(&filter, count, &seen), 0);
	filter.min_duration_ns = 0;
	cr_assert_eq(rpcprof_snapshot(&filter, count, &seen), 1);
	cr_assert_eq(rpcprof_inflight(&filter, count, &seen), 1);
	rpcprof_stat_end(stat);
}

Test(filter, of_a_duration_takes_no_call_that_ends_before_its_begin)
{
	struct rpcprof_filter filter = {.size = sizeof(filter), .min_duration_ns = 1000};
	uint64_t seen = 0;

	start();
	rpcprof_stat_end_at(rpcprof_stat_begin_at(RPCPROF_TAG_SERVER, 2000000), 1000000);
	cr_assert_eq(rpcprof_snapshot(&filter, count, &seen), 0);
	rpcprof_stat_end_at(rpcprof_stat_begin_at(RPCPROF_TAG_SERVER, 1000000), 2000000);
	cr_assert_eq(rpcprof_snapshot(&filter, count, &seen), 1);
}

/* Cells are first given out by sixteens, the last of which may go past the end. */
Test(inflight, lists_all_when_every_cell_is_taken)
{
	uint64_t begun = 0, seen = 0;

	start_with(&(struct rpcprof_config){.size = sizeof(struct rpcprof_config), .capacity = 64,
	                                    .single_ring = 1, .max_in_flight = 515});
	while (!rpcprof_stat_is_null(rpcprof_stat_begin(RPCPROF_TAG_SERVER)))
		begun++;
	cr_assert_eq(begun, rpcprof_control()->cells - 1); /* without the null cell */
	cr_assert_eq(rpcprof_inflight(NULL, count, &seen), (int64_t)begun);
	seen = 0;
	cr_assert_eq(rpcprof_inflight(NULL, stop_at_third, &seen), 3);
}

/* ---- those who take ---- */

Test(collect, from_one_ring_is_for_good)
{
	uint64_t seen = 0;

	start_with(&(struct rpcprof_config){
		.size = sizeof(struct rpcprof_config), .capacity = 64, .single_ring = 1});
	record(40);
	cr_assert_eq(rpcprof_collect_backlog(), 40);
	cr_assert_eq(rpcprof_collect(count, &seen), 40);
	cr_assert_eq(rpcprof_collect_backlog(), 0);
	cr_assert_eq(rpcprof_snapshot(NULL, count, &seen), 0);
	cr_assert_eq(counters().drained, 40);
	cr_assert_eq(counters().collected, 0);
	record(5);
	cr_assert_eq(rpcprof_drain(count, &seen), 5);
	cr_assert_eq(counters().drained, 45);
}

/* Fills the ring behind what was taken ahead, and stops: what goes back displaces others. */
static int record_and_stop(void *arg, const struct rpcprof_view *view)
{
	(void)count(arg, view);
	record(300);
	return 1;
}

Test(collect, that_stops_over_a_full_ring_counts_what_it_displaces)
{
	uint64_t seen = 0;

	start();
	record(20);
	cr_assert_eq(rpcprof_collect(record_and_stop, &seen), 1);
	cr_assert_eq(seen, 1);
	cr_assert_eq(counters().pushed, 320);
	cr_assert_eq(counters().collected, 1);
	cr_assert_eq(counters().unaggregated, counters().displaced);
	cr_assert_eq(1 + counters().unaggregated + rpcprof_collect_backlog(), 320);
}

Test(drain, that_stops_over_a_full_ring_counts_what_it_displaces)
{
	uint64_t seen = 0, left = 0;

	start();
	record(20);
	cr_assert_eq(rpcprof_drain(record_and_stop, &seen), 1);
	rpcprof_drain(count, &left);
	cr_assert_eq(counters().displaced + left + 1, 320);
	cr_assert_eq(counters().unaggregated, 0); /* nobody collects */
}

static int collect_and_stop(void *arg, const struct rpcprof_view *view)
{
	uint64_t collected = 0;

	(void)count(arg, view);
	for (int i = 0; i < 10; i++) {
		record(30);
		cr_assert_eq(rpcprof_collect(count, &collected), 30);
	}
	cr_assert_eq(collected, 300);
	return 1;
}

Test(drain, that_stops_over_a_full_history_counts_what_it_displaces)
{
	uint64_t seen = 0, left = 0;

	start();
	record(20);
	rpcprof_collect(count, &seen);
	seen = 0;
	cr_assert_eq(rpcprof_drain(collect_and_stop, &seen), 1);
	cr_assert_eq(seen, 1);
	rpcprof_drain(count, &left);
	cr_assert_eq(counters().pushed, 320);
	cr_assert_eq(counters().unaggregated, 0);
	cr_assert_eq(counters().displaced + left + 1, 320);
	cr_assert_eq(rpcprof_map.shared->history_stats, 0);
}
