/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a Stat, seen through the public interface. */
#include <errno.h>
#include <string.h>

#include "stat_seen.h"

Test(stat, before_init_every_call_does_nothing)
{
	struct rpcprof_stat stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);
	struct rpcprof_counters all;
	uint8_t id[16] = {0};

	cr_assert(rpcprof_stat_is_null(stat));
	rpcprof_timer_end(rpcprof_timer_begin(stat, 1));
	rpcprof_lap(stat, 1);
	rpcprof_stat_set_method(stat, 1);
	rpcprof_stat_set_trace(stat, id, id);
	cr_assert_eq(rpcprof_stat_set_label(stat, 1, 1), 0);
	rpcprof_stat_discard(rpcprof_stat_retain(stat));
	rpcprof_stat_end(stat);
	cr_assert_eq(rpcprof_enable(true), -ENODEV);
	cr_assert_eq(rpcprof_counters_get(&all), -ENODEV);
	cr_assert_eq(rpcprof_drain(look, NULL), -ENODEV);
	cr_assert_eq(rpcprof_snapshot(NULL, look, NULL), -ENODEV);
	rpcprof_fini();
}

Test(stat, off_gives_the_null_stat_and_counts_nothing)
{
	struct rpcprof_stat stat;

	start();
	rpcprof_enable(false);
	stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);
	cr_assert(rpcprof_stat_is_null(stat));
	rpcprof_stat_end(stat);
	cr_assert_eq(counters().pushed, 0);
	cr_assert_eq(counters().late, 0);
}

Test(stat, what_was_recorded_is_delivered)
{
	struct rpcprof_stat stat;
	struct rpcprof_timer timer;
	uint64_t before, after;
	uint32_t decode;

	start();
	decode = RPCPROF_TAG("/decode");
	before = rpcprof_clock_now();
	stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);
	timer = rpcprof_timer_begin(stat, decode);
	rpcprof_timer_end(timer);
	rpcprof_stat_set_method(stat, rpcprof_tag_intern(RPCPROF_TAG_METHOD, "/a.B/C", 6));
	rpcprof_stat_set_status(stat, -7);
	rpcprof_stat_end(stat);
	after = rpcprof_clock_now();

	cr_assert_eq(rpcprof_snapshot(NULL, look, NULL), 1);
	cr_assert_eq(seen.side, RPCPROF_TAG_SERVER);
	cr_assert_str_eq(rpcprof_tag_name(seen.method, NULL), "/a.B/C");
	cr_assert_eq(seen.status, -7);
	cr_assert_eq(seen.timers, 1);
	cr_assert_eq(seen.timer[0].tag, decode);
	cr_assert(before <= seen.begin && seen.begin <= seen.timer[0].begin);
	cr_assert(seen.timer[0].begin <= seen.timer[0].end && seen.timer[0].end <= seen.end);
	cr_assert(seen.end <= after);
	cr_assert_neq(seen.timer[0].thread, 0);
}

Test(stat, drain_delivers_once_and_snapshot_again_and_again)
{
	start();
	rpcprof_stat_end(rpcprof_stat_begin(RPCPROF_TAG_CLIENT));
	cr_assert_eq(rpcprof_snapshot(NULL, look, NULL), 1);
	cr_assert_eq(rpcprof_snapshot(NULL, look, NULL), 1);
	cr_assert_eq(rpcprof_drain(look, NULL), 1);
	cr_assert_eq(rpcprof_drain(look, NULL), 0);
	cr_assert_eq(rpcprof_snapshot(NULL, look, NULL), 0);
	cr_assert_eq(counters().drained, 1);
}

Test(stat, begun_while_on_is_finished_after_the_switch_went_off)
{
	struct rpcprof_stat stat;

	start();
	stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);
	rpcprof_enable(false);
	rpcprof_timer_end(rpcprof_timer_begin(stat, RPCPROF_TAG("/late")));
	rpcprof_stat_end(stat);
	cr_assert_eq(rpcprof_drain(look, NULL), 1);
	cr_assert_eq(seen.timers, 1);
}

Test(stat, laps_follow_one_another_without_a_gap)
{
	struct rpcprof_stat stat;

	start();
	stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);
	rpcprof_lap(stat, RPCPROF_TAG("/a"));
	rpcprof_lap(stat, RPCPROF_TAG("/b"));
	rpcprof_lap(stat, RPCPROF_TAG_NONE);
	rpcprof_lap(stat, RPCPROF_TAG("/c"));
	rpcprof_stat_end(stat);
	cr_assert_eq(rpcprof_drain(look, NULL), 1);
	cr_assert_eq(seen.timers, 3);
	cr_assert_eq(seen.timer[0].end, seen.timer[1].begin);
	cr_assert(seen.timer[1].end <= seen.timer[2].begin);
	cr_assert_eq(seen.timer[2].end, seen.end);
}

Test(stat, one_tick_serves_a_stat_and_its_first_timer)
{
	struct rpcprof_timer timer;
	struct rpcprof_stat stat;
	uint64_t ticks;

	start();
	ticks = rpcprof_clock_now();
	stat = rpcprof_stat_begin_at(RPCPROF_TAG_SERVER, ticks);
	timer = rpcprof_timer_begin_at(stat, RPCPROF_TAG("/all"), ticks);
	ticks = rpcprof_timer_end(timer);
	rpcprof_stat_end_at(stat, ticks);
	cr_assert_eq(rpcprof_drain(look, NULL), 1);
	cr_assert_eq(seen.begin, seen.timer[0].begin);
	cr_assert_eq(seen.end, seen.timer[0].end);
}

Test(stat, the_last_reference_publishes)
{
	struct rpcprof_stat stat;

	start();
	stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);
	cr_assert_eq(rpcprof_stat_retain(stat).bits, stat.bits);
	rpcprof_stat_end(stat);
	cr_assert_eq(rpcprof_snapshot(NULL, look, NULL), 0);
	rpcprof_timer_end(rpcprof_timer_begin(stat, RPCPROF_TAG("/by/the/second")));
	rpcprof_stat_end(stat);
	cr_assert_eq(rpcprof_snapshot(NULL, look, NULL), 1);
	cr_assert_eq(seen.timers, 1);
	cr_assert_eq(counters().late, 0);
}

Test(stat, an_end_too_many_is_counted_and_changes_nothing)
{
	struct rpcprof_stat stat;

	start();
	stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);
	rpcprof_stat_end(stat);
	rpcprof_stat_end(stat);
	rpcprof_stat_discard(stat);
	cr_assert(rpcprof_stat_is_null(rpcprof_stat_retain(stat)));
	cr_assert_eq(counters().late, 3);
	cr_assert_eq(counters().pushed, 1);
	cr_assert_eq(rpcprof_drain(look, NULL), 1);
}

static int no_attributes(void *arg, const struct rpcprof_view *view)
{
	uint8_t trace[16], span[8];
	uint32_t key, value;
	size_t bytes;

	(void)arg;
	(void)rpcprof_view_metadata(view, &bytes);
	cr_assert_eq(bytes, 0);
	cr_assert_not(rpcprof_view_trace(view, trace, span));
	cr_assert_not(rpcprof_view_label(view, 0, &key, &value));
	return 0;
}

Test(stat, late_use_is_counted_and_never_seen)
{
	struct rpcprof_stat stat, other;
	struct rpcprof_timer timer;

	start();
	stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);
	timer = rpcprof_timer_begin(stat, RPCPROF_TAG("/open"));
	rpcprof_stat_end(stat);
	cr_assert_eq(rpcprof_drain(look, NULL), 1);
	other = rpcprof_stat_begin(RPCPROF_TAG_SERVER); /* takes the same cell */
	cr_assert_eq((uint32_t)other.bits, (uint32_t)stat.bits);
	rpcprof_timer_end(timer);
	rpcprof_timer_begin(stat, RPCPROF_TAG("/late"));
	rpcprof_lap(stat, RPCPROF_TAG("/late"));
	rpcprof_stat_set_status(stat, 3);
	rpcprof_stat_set_method(stat, 3);
	rpcprof_stat_set_metadata(stat, "late", 4);
	rpcprof_stat_set_trace(stat, (const uint8_t[16]){1}, (const uint8_t[8]){1});
	rpcprof_stat_append(stat, &(struct rpcprof_detached_timer){.begin = 1, .tag = 3});
	cr_assert_eq(rpcprof_stat_set_label(stat, 5, 6), -ESTALE);
	cr_assert_eq(rpcprof_stat_retain(stat).bits, 0);
	cr_assert_eq(counters().late, 10);
	rpcprof_stat_end(other);
	cr_assert_eq(rpcprof_snapshot(NULL, no_attributes, NULL), 1);
	cr_assert_eq(rpcprof_drain(look, NULL), 1);
	cr_assert_eq(seen.timers, 0);
	cr_assert_eq(seen.method, 0);
	cr_assert_eq(seen.status, 0);
}

Test(stat, a_timer_ended_twice_keeps_its_first_end)
{
	struct rpcprof_timer timer;
	struct rpcprof_stat stat;
	uint64_t end;

	start();
	stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);
	timer = rpcprof_timer_begin(stat, RPCPROF_TAG("/a"));
	end = rpcprof_timer_end(timer);
	cr_assert_eq(rpcprof_timer_end(timer), 0);
	rpcprof_stat_end(stat);
	cr_assert_eq(rpcprof_drain(look, NULL), 1);
	cr_assert_eq(seen.timer[0].end, end);
	cr_assert_eq(counters().double_ends, 1);
}

Test(stat, a_timer_never_ended_is_shown_open)
{
	struct rpcprof_stat stat;

	start();
	stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);
	rpcprof_timer_begin(stat, RPCPROF_TAG("/a"));
	rpcprof_stat_end(stat);
	cr_assert_eq(rpcprof_drain(look, NULL), 1);
	cr_assert_eq(seen.timer[0].end, 0);
	cr_assert_eq(seen.open_stage, RPCPROF_TAG("/a"));
}

Test(stat, discarded_is_never_delivered)
{
	struct rpcprof_stat stat;

	start();
	stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);
	rpcprof_stat_retain(stat);
	rpcprof_stat_discard(stat);
	rpcprof_stat_end(stat);
	cr_assert_eq(rpcprof_drain(look, NULL), 0);
	cr_assert_eq(counters().discarded, 1);
	cr_assert_eq(counters().pushed, 0);
}

Test(stat, the_monotonic_clock_records_the_same)
{
	struct rpcprof_config config = {
		.size = sizeof(config), .capacity = 64, .clock = RPCPROF_CLOCK_MONOTONIC};
	struct rpcprof_stat stat;

	cr_assert_eq(rpcprof_init(&config), 0);
	rpcprof_enable(true);
	stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);
	for (int i = 0; i < 30; i++)
		rpcprof_timer_end(rpcprof_timer_begin(stat, RPCPROF_TAG("/a")));
	rpcprof_lap(stat, RPCPROF_TAG("/lap"));
	rpcprof_stat_end(stat);
	cr_assert_eq(rpcprof_drain(look, NULL), 1);
	cr_assert_eq(seen.timers, rpcprof_arena.capacity);
	cr_assert_eq(seen.folded, 31 - rpcprof_arena.capacity);
	cr_assert_lt(seen.end - seen.begin, UINT64_C(60000000000)); /* ticks are ns */
	cr_assert_gt(seen.end, seen.begin);
}

Test(stat, the_monotonic_clock_takes_ticks_that_are_given)
{
	struct rpcprof_config config = {
		.size = sizeof(config), .capacity = 64, .clock = RPCPROF_CLOCK_MONOTONIC};
	struct rpcprof_stat stat;

	cr_assert_eq(rpcprof_init(&config), 0);
	rpcprof_enable(true);
	stat = rpcprof_stat_begin_at(RPCPROF_TAG_SERVER, 100);
	rpcprof_timer_end_at(rpcprof_timer_begin_at(stat, 77, 110), 120);
	rpcprof_lap_at(stat, 78, 130);
	rpcprof_lap_at(stat, RPCPROF_TAG_NONE, 140);
	rpcprof_stat_end_at(stat, 150);
	cr_assert_eq(rpcprof_drain(look, NULL), 1);
	cr_assert_eq(seen.begin, 100);
	cr_assert_eq(seen.end, 150);
	cr_assert_eq(seen.timers, 2);
	cr_assert_eq(seen.timer[0].begin, 110);
	cr_assert_eq(seen.timer[0].end, 120);
	cr_assert_eq(seen.timer[1].begin, 130);
	cr_assert_eq(seen.timer[1].end, 140);
}

Test(stat, the_open_stage_is_the_latest_begun)
{
	struct rpcprof_timer late, early;
	struct rpcprof_stat stat;

	start();
	stat = rpcprof_stat_begin_at(RPCPROF_TAG_SERVER, 100);
	late = rpcprof_timer_begin_at(stat, 77, 120);
	early = rpcprof_timer_begin_at(stat, 78, 110); /* as another thread's would show */
	cr_assert_eq(rpcprof_inflight(NULL, look, NULL), 1);
	cr_assert_eq(seen.open_stage, 77);
	rpcprof_timer_end_at(late, 130);
	cr_assert_eq(rpcprof_inflight(NULL, look, NULL), 1);
	cr_assert_eq(seen.open_stage, 78);
	rpcprof_timer_end_at(early, 130);
	cr_assert_eq(rpcprof_inflight(NULL, look, NULL), 1);
	cr_assert_eq(seen.open_stage, 0);
}

Test(stat, a_detached_timer_ends_once)
{
	struct rpcprof_detached_timer timer;
	uint64_t end;

	start();
	timer = rpcprof_detached_timer_begin(77);
	rpcprof_detached_timer_end(&timer);
	end = timer.end;
	cr_assert_geq(end, timer.begin);
	while (rpcprof_clock_now() == end)
		;
	rpcprof_detached_timer_end(&timer);
	cr_assert_eq(timer.end, end);
}

Test(stat, detached_timers_are_appended_as_they_were)
{
	struct rpcprof_detached_timer open, done, off;
	struct rpcprof_stat stat;

	start();
	done = rpcprof_detached_timer_begin(RPCPROF_TAG("/done"));
	rpcprof_detached_timer_end(&done);
	open = rpcprof_detached_timer_begin(RPCPROF_TAG("/open"));
	rpcprof_enable(false);
	off = rpcprof_detached_timer_begin(RPCPROF_TAG("/off"));
	rpcprof_detached_timer_end(&off);
	rpcprof_enable(true);
	stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);
	rpcprof_stat_append(stat, &done);
	rpcprof_stat_append(stat, &open);
	rpcprof_stat_append(stat, &off);
	rpcprof_stat_end(stat);
	cr_assert_eq(rpcprof_drain(look, NULL), 1);
	cr_assert_eq(seen.timers, 2);
	cr_assert_eq(seen.timer[0].begin, done.begin);
	cr_assert_eq(seen.timer[0].end, done.end);
	cr_assert_eq(seen.timer[1].end, 0);
	cr_assert_lt(seen.timer[0].begin, seen.begin);
}

Test(stat, an_end_before_its_begin_is_counted)
{
	struct rpcprof_detached_timer timer = {.begin = 2000, .end = 1000, .tag = 100};
	struct rpcprof_stat stat;

	start();
	stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);
	rpcprof_stat_append(stat, &timer);
	rpcprof_stat_end(stat);
	cr_assert_eq(counters().negative, 1);
}

static int attributes(void *arg, const struct rpcprof_view *view)
{
	uint8_t trace[16], span[8];
	uint64_t connection;
	uint32_t number, key, value;
	size_t bytes;

	(void)arg;
	seen.count++;
	cr_assert(rpcprof_view_trace(view, trace, span));
	cr_assert_eq(trace[15], 15);
	cr_assert_eq(span[7], 7);
	cr_assert(rpcprof_view_connection(view, &connection, &number));
	cr_assert_eq(connection, UINT64_C(0x0102030405060708));
	cr_assert_eq(number, 0x090a0b0c);
	cr_assert_eq(rpcprof_view_metadata(view, &bytes)[0], 1);
	cr_assert_eq(bytes, 12);
	cr_assert(rpcprof_view_label(view, 0, &key, &value));
	cr_assert_eq(key, 70);
	cr_assert_eq(value, 80);
	cr_assert(rpcprof_view_label(view, 3, &key, &value));
	cr_assert_not(rpcprof_view_label(view, 4, &key, &value));
	return 0;
}

Test(stat, attributes_come_back_as_they_were_set)
{
	uint8_t trace[16], span[8];
	struct rpcprof_stat stat;

	start();
	for (uint8_t i = 0; i < 16; i++)
		trace[i] = i;
	for (uint8_t i = 0; i < 8; i++)
		span[i] = i;
	stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);
	rpcprof_stat_set_trace(stat, trace, span);
	rpcprof_stat_set_connection(stat, UINT64_C(0x0102030405060708), 0x090a0b0c);
	for (uint32_t i = 0; i < 4; i++)
		cr_assert_eq(rpcprof_stat_set_label(stat, 70 + i, 90 + i), 0);
	cr_assert_eq(rpcprof_stat_set_label(stat, 70, 80), 0);
	cr_assert_eq(rpcprof_stat_set_label(stat, 99, 80), -ENOSPC);
	cr_assert_eq(rpcprof_inflight(NULL, attributes, NULL), 1);
	rpcprof_stat_end(stat);
	cr_assert_eq(rpcprof_snapshot(NULL, attributes, NULL), 1);
	cr_assert_eq(rpcprof_drain(attributes, NULL), 1);
	cr_assert_eq(seen.count, 3);
}

Test(stat, attributes_of_the_cells_last_stat_are_gone)
{
	struct rpcprof_stat stat;
	uint8_t id[16] = {1};

	start();
	for (int round = 0; round < 2; round++) {
		stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);
		if (round == 0) {
			rpcprof_stat_set_method(stat, 9);
			rpcprof_stat_set_status(stat, 9);
			rpcprof_stat_set_trace(stat, id, id);
			rpcprof_timer_end(rpcprof_timer_begin(stat, 9));
		}
		rpcprof_stat_end(stat);
		cr_assert_eq(rpcprof_drain(look, NULL), 1);
	}
	cr_assert_eq(seen.method, 0);
	cr_assert_eq(seen.status, 0);
	cr_assert_eq(seen.timers, 0);
}

static int sevens(void *arg, const struct rpcprof_view *view)
{
	size_t bytes;
	const uint8_t *data = rpcprof_view_metadata(view, &bytes);

	(void)arg;
	cr_assert_eq(bytes, RPCPROF_METADATA_MAX);
	for (size_t i = 0; i < bytes; i++)
		cr_assert_eq(data[i], 7);
	return 0;
}

Test(stat, metadata_is_cut_at_its_limit)
{
	uint8_t data[40];
	struct rpcprof_stat stat;

	start();
	memset(data, 7, sizeof(data));
	stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);
	rpcprof_stat_set_metadata(stat, data, sizeof(data));
	rpcprof_stat_end(stat);
	cr_assert_eq(rpcprof_drain(sevens, NULL), 1);
}
