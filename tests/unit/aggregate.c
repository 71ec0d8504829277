/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "export/aggregate_internal.h"
#include "rpcprof/rpcprof.h"
#include "timers/clock_internal.h"

#define BYTES (1u << 20)

static uint64_t now = 1000000;
static struct rpcprof_aggregate *aggregate;
static struct rpcprof_clock_map map;

static uint64_t fake_ticks(void)
{
	return now;
}

static int64_t fake_ns(void)
{
	return (int64_t)now;
}

static const struct rpcprof_clock_source source = {fake_ticks, fake_ns, fake_ns, 0};

static void open_with(struct rpcprof_aggregate_options options)
{
	rpcprof_clock_set_source(&source);
	cr_assert_eq(rpcprof_init(NULL), 0);
	cr_assert_eq(rpcprof_enable(true), 0);
	if (options.bytes == 0)
		options.bytes = BYTES;
	aggregate = rpcprof_aggregate_open(&options, 64);
	cr_assert_not_null(aggregate);
}

static void open_plain(void)
{
	open_with((struct rpcprof_aggregate_options){0});
}

static int add(void *arg, const struct rpcprof_view *view)
{
	(void)arg;
	rpcprof_aggregate_add(aggregate, view, &map);
	return 0;
}

static int charge(void *arg, const struct rpcprof_view *view)
{
	rpcprof_aggregate_charge(aggregate, view, &map, *(uint64_t *)arg);
	return 0;
}

static void collect(void)
{
	cr_assert_eq(rpcprof_clock_map_get(&map), 0);
	cr_assert_geq(rpcprof_collect(add, NULL), 0);
}

static void charge_in_flight(void)
{
	cr_assert_eq(rpcprof_clock_map_get(&map), 0);
	rpcprof_aggregate_round_begin(aggregate);
	cr_assert_geq(rpcprof_inflight(NULL, charge, &now), 0);
}

static uint32_t method_tag(const char *name)
{
	return rpcprof_tag_intern(RPCPROF_TAG_METHOD, name, (size_t)-1);
}

static struct rpcprof_stat begin(const char *method)
{
	struct rpcprof_stat stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);

	cr_assert(!rpcprof_stat_is_null(stat));
	rpcprof_stat_set_method(stat, method_tag(method));
	return stat;
}

static void call(const char *method, uint64_t wall)
{
	struct rpcprof_stat stat = begin(method);

	now += wall;
	rpcprof_stat_end(stat);
}

/* The series "side;method;stage;..." of no labels; NULL if there is none. */
static const struct rpcprof_series *find(const char *path)
{
	for (uint32_t i = 0; i < aggregate->totals.series; i++) {
		const struct rpcprof_series *frame = &aggregate->series[i];
		char name[512] = "", rest[512];

		for (;; frame = &aggregate->series[frame->parent]) {
			snprintf(rest, sizeof(rest), "%s", name);
			snprintf(name, sizeof(name), "%.200s%s%.200s",
			         frame->tag ? rpcprof_tag_name(frame->tag, NULL) : "(none)",
			         rest[0] ? ";" : "", rest);
			if (frame->depth == 0)
				break;
		}
		if (strcmp(name, path) == 0)
			return &aggregate->series[i];
	}
	return NULL;
}

static uint64_t wall_of_all(void)
{
	uint64_t wall = 0;

	for (uint32_t i = 0; i < aggregate->totals.series; i++)
		wall += aggregate->series[i].sums.wall_ns;
	return wall;
}

static uint64_t calls_of_all(void)
{
	uint64_t calls = 0;

	for (uint32_t i = 0; i < aggregate->totals.series; i++)
		calls += aggregate->series[i].sums.calls;
	return calls;
}

Test(aggregate, a_call_counts_on_its_method_and_time_on_its_frames)
{
	struct rpcprof_stat stat;
	struct rpcprof_timer outer, inner;

	open_plain();
	stat = begin("/a/B");
	outer = rpcprof_timer_begin(stat, RPCPROF_TAG("/handler"));
	now += 10;
	inner = rpcprof_timer_begin(stat, RPCPROF_TAG("/db"));
	now += 20;
	rpcprof_timer_end(inner);
	now += 5;
	rpcprof_timer_end(outer);
	now += 3;
	rpcprof_stat_end(stat);
	collect();
	cr_assert_eq(find("server;/a/B")->sums.calls, 1);
	cr_assert_eq(find("server;/a/B")->sums.stages, 0);
	cr_assert_eq(find("server;/a/B")->sums.wall_ns, 3);
	cr_assert_eq(find("server;/a/B;/handler")->sums.calls, 0);
	cr_assert_eq(find("server;/a/B;/handler")->sums.stages, 1);
	cr_assert_eq(find("server;/a/B;/handler")->sums.wall_ns, 15);
	cr_assert_eq(find("server;/a/B;/handler;/db")->sums.wall_ns, 20);
	cr_assert_eq(find("server;/a/B;/handler")->latency.sum, 35, "whole lengths");
	cr_assert_eq(find("server;/a/B")->latency.sum, 38);
	cr_assert_eq(find("server")->sums.wall_ns, 0);
}

Test(aggregate, sides_are_apart)
{
	open_plain();
	call("/a/B", 5);
	rpcprof_stat_end(rpcprof_stat_begin(RPCPROF_TAG_CLIENT));
	collect();
	cr_assert_eq(find("server;/a/B")->sums.calls, 1);
	cr_assert_eq(find("client;(none)")->sums.calls, 1, "a call without a method");
	cr_assert_eq(aggregate->totals.label_sets, 2);
}

Test(aggregate, folded_timers_keep_their_count_and_time)
{
	struct rpcprof_stat stat;

	open_plain();
	stat = begin("/a/Stream");
	for (int i = 0; i < 1000; i++) {
		struct rpcprof_timer timer = rpcprof_timer_begin(stat, RPCPROF_TAG("/message"));

		now += 7;
		rpcprof_timer_end(timer);
		now += 3;
	}
	rpcprof_stat_end(stat);
	collect();
	cr_assert_eq(find("server;/a/Stream;/message")->sums.stages, 1000);
	cr_assert_eq(find("server;/a/Stream;/message")->sums.wall_ns, 7000);
	cr_assert_eq(find("server;/a/Stream;/message")->latency.count, 1000);
	cr_assert_eq(find("server;/a/Stream;/message")->latency.sum, 7000);
	cr_assert_eq(find("server;/a/Stream")->sums.wall_ns, 3000);
}

Test(aggregate, consumers_do_not_disturb_each_other)
{
	struct rpcprof_consumer fast = {0}, slow = {0};
	uint64_t fast_calls = 0;
	uint32_t series;

	open_plain();
	cr_assert_eq(rpcprof_consumer_open(&fast, aggregate), 0);
	cr_assert_eq(rpcprof_consumer_open(&slow, aggregate), 0);
	for (uint64_t i = 1; i <= 4; i++) {
		for (uint64_t k = 0; k < i; k++)
			call("/a/B", 10);
		collect();
		rpcprof_consumer_take(&fast, aggregate);
		series = (uint32_t)(find("server;/a/B") - aggregate->series);
		cr_assert_eq(fast.delta[series].calls, i);
		cr_assert_eq(fast.delta[series].wall_ns, 10 * i);
		cr_assert_eq(fast.changed, 1);
		fast_calls += fast.delta[series].calls;
	}
	rpcprof_consumer_take(&slow, aggregate);
	cr_assert_eq(slow.delta[series].calls, fast_calls);
	rpcprof_consumer_take(&fast, aggregate);
	cr_assert_eq(fast.changed, 0);
	rpcprof_consumer_close(&fast);
	rpcprof_consumer_close(&slow);
}

Test(aggregate, a_late_consumer_gets_all_there_was)
{
	struct rpcprof_consumer consumer = {0};

	open_plain();
	call("/a/B", 10);
	collect();
	cr_assert_eq(rpcprof_consumer_open(&consumer, aggregate), 0);
	rpcprof_consumer_take(&consumer, aggregate);
	cr_assert_eq(consumer.delta[find("server;/a/B") - aggregate->series].calls, 1);
	rpcprof_consumer_close(&consumer);
}

Test(aggregate, a_call_in_flight_is_charged_part_by_part)
{
	struct rpcprof_stat stat;
	struct rpcprof_timer timer;

	open_plain();
	stat = begin("/a/Watch");
	now += 4;
	timer = rpcprof_timer_begin(stat, RPCPROF_TAG("/wait"));
	now += 6;
	charge_in_flight();
	cr_assert_eq(find("server;/a/Watch")->sums.wall_ns, 4);
	cr_assert_eq(find("server;/a/Watch;/wait")->sums.wall_ns, 6);
	cr_assert_eq(find("server;/a/Watch")->sums.calls, 0, "it has not ended");
	cr_assert_eq(find("server;/a/Watch;/wait")->sums.stages, 0);
	charge_in_flight();
	cr_assert_eq(wall_of_all(), 10, "the same instants again");
	now += 10;
	charge_in_flight();
	cr_assert_eq(find("server;/a/Watch;/wait")->sums.wall_ns, 16);
	now += 5;
	rpcprof_timer_end(timer);
	now += 1;
	rpcprof_stat_end(stat);
	collect();
	cr_assert_eq(wall_of_all(), 26);
	cr_assert_eq(find("server;/a/Watch;/wait")->sums.wall_ns, 21);
	cr_assert_eq(find("server;/a/Watch")->sums.calls, 1);
	cr_assert_eq(find("server;/a/Watch;/wait")->sums.stages, 1);
	cr_assert_eq(find("server;/a/Watch")->latency.sum, 26);
	cr_assert_eq(aggregate->charged.used, 0);
}

Test(aggregate, folds_of_a_call_in_flight_are_charged_once)
{
	struct rpcprof_stat stat;

	open_plain();
	stat = begin("/a/Stream");
	for (int i = 0; i < 100; i++) {
		struct rpcprof_timer timer = rpcprof_timer_begin(stat, RPCPROF_TAG("/message"));

		now += 7;
		rpcprof_timer_end(timer);
		now += 3;
		if (i % 10 == 9)
			charge_in_flight();
	}
	rpcprof_stat_end(stat);
	collect();
	cr_assert_eq(find("server;/a/Stream;/message")->sums.wall_ns, 700);
	cr_assert_eq(find("server;/a/Stream")->sums.wall_ns, 300);
}

Test(aggregate, a_charged_call_that_is_lost_does_not_haunt_its_cell)
{
	struct rpcprof_stat stat;

	open_plain();
	stat = begin("/a/Lost");
	now += 50;
	charge_in_flight();
	rpcprof_stat_discard(stat); /* gone: its end will not be seen */
	cr_assert_eq(aggregate->charged.used, 1);
	call("/a/B", 20); /* most likely in the same cell */
	collect();
	cr_assert_eq(find("server;/a/B")->sums.wall_ns, 20);
	cr_assert_eq(find("server;/a/Lost")->sums.wall_ns, 50);
}

Test(aggregate, the_table_of_charged_calls_is_bounded_and_forgets_the_lost)
{
	struct rpcprof_charged_call calls[16] = {{0}};
	struct rpcprof_charged_calls table = {.calls = calls, .mask = 15};
	uint64_t id, kept = 0;

	for (id = 1; id <= 100; id++)
		if (rpcprof_charged_put(&table, id * 37, 1) != NULL)
			kept++;
	cr_assert_eq(kept, 12);
	cr_assert_eq(table.used, 12);
	for (id = 1; id <= 12; id++)
		cr_assert_not_null(rpcprof_charged_find(&table, id * 37));
	cr_assert_not_null(rpcprof_charged_put(&table, 5 * 37, 3), "one is still in flight");
	cr_assert_not_null(rpcprof_charged_put(&table, 999, 5));
	cr_assert_eq(table.used, 2);
	cr_assert_not_null(rpcprof_charged_find(&table, 5 * 37));
	cr_assert_null(rpcprof_charged_find(&table, 4 * 37));
}

Test(aggregate, any_order_of_puts_and_removes_finds_what_is_there)
{
	struct rpcprof_charged_call calls[64] = {{0}};
	struct rpcprof_charged_calls table = {.calls = calls, .mask = 63};
	bool there[200] = {false};

	srand(1);
	for (int i = 0; i < 100000; i++) {
		uint64_t id = 1 + (uint64_t)rand() % 199;
		struct rpcprof_charged_call *call = rpcprof_charged_find(&table, id);

		cr_assert_eq(call != NULL, there[id], "step %d", i);
		if (call != NULL)
			rpcprof_charged_remove(&table, call);
		else if (rpcprof_charged_put(&table, id, 1) == NULL)
			continue;
		there[id] = call == NULL;
	}
}

Test(aggregate, a_newer_call_takes_over_its_cells_entry)
{
	struct rpcprof_charged_call calls[16] = {{0}};
	struct rpcprof_charged_calls table = {.calls = calls, .mask = 15};
	uint64_t older = 1ull << 32 | 8, newer = 2ull << 32 | 8;

	rpcprof_charged_put(&table, older, 1)->charged_ns = 77;
	cr_assert_null(rpcprof_charged_find(&table, newer));
	cr_assert_eq(rpcprof_charged_put(&table, newer, 2)->charged_ns, 0);
	cr_assert_null(rpcprof_charged_find(&table, older));
	cr_assert_eq(table.used, 1);
}

Test(aggregate, a_full_table_leaves_calls_to_their_end)
{
	struct rpcprof_stat stats[300];
	uint64_t wall = 0;

	open_with((struct rpcprof_aggregate_options){.bytes = RPCPROF_AGGREGATE_BYTES_MIN});
	for (int i = 0; i < 300; i++) {
		stats[i] = begin("/a/B");
		now++;
	}
	charge_in_flight();
	cr_assert_gt(aggregate->totals.uncharged, 0);
	for (int i = 0; i < 300; i++) {
		now++;
		wall += 300 + 1; /* begun at i, ended at 300 + i + 1 */
		rpcprof_stat_end(stats[i]);
	}
	collect();
	cr_assert_eq(wall_of_all(), wall);
}

Test(aggregate, beyond_the_cap_calls_go_to_other_and_none_is_lost)
{
	uint64_t made = 0, wall = 0, most;

	open_with((struct rpcprof_aggregate_options){.bytes = RPCPROF_AGGREGATE_BYTES_MIN});
	most = rpcprof_aggregate_series_max(aggregate);
	for (uint32_t i = 0; i < 1000; i++) {
		char name[32];
		struct rpcprof_stat stat;

		snprintf(name, sizeof(name), "/a/M%u", i);
		stat = begin(name);
		now += 3;
		rpcprof_lap(stat, RPCPROF_TAG("/one"));
		now += i + 1;
		rpcprof_lap(stat, RPCPROF_TAG("/two"));
		now += 5;
		rpcprof_stat_end(stat);
		made++;
		wall += 3 + i + 1 + 5;
		collect();
	}
	cr_assert_eq(calls_of_all(), made);
	cr_assert_eq(wall_of_all(), wall);
	cr_assert_gt(aggregate->totals.overflow, 0);
	cr_assert_gt(find("server;(other)")->sums.calls, 0);
	cr_assert_leq(aggregate->totals.series, most);
	cr_assert(aggregate->pool.floor <= rpcprof_histogram_pool_end(&aggregate->pool));
}

Test(aggregate, a_stage_without_room_leaves_its_time_with_its_parent)
{
	open_with((struct rpcprof_aggregate_options){.bytes = RPCPROF_AGGREGATE_BYTES_MIN});
	for (uint32_t i = 0; i < 600; i++) {
		char name[32];
		struct rpcprof_stat stat = begin("/a/B");
		uint32_t tag;

		snprintf(name, sizeof(name), "/stage%u", i);
		tag = rpcprof_tag_intern(RPCPROF_TAG_STAGE, name, (size_t)-1);
		rpcprof_lap(stat, tag);
		now += 10;
		rpcprof_stat_end(stat);
		collect();
	}
	cr_assert_eq(find("server;/a/B")->sums.calls, 600);
	cr_assert_eq(find("server;/a/B")->sums.wall_ns, 10 * aggregate->totals.overflow);
	cr_assert_gt(aggregate->totals.overflow, 0);
	cr_assert_eq(wall_of_all(), 6000);
}

static uint32_t label(const char *text)
{
	return rpcprof_tag_intern(RPCPROF_TAG_LABEL, text, (size_t)-1);
}

Test(aggregate, without_labels_there_is_one_set_per_side)
{
	open_plain();
	for (int status = 0; status < 3; status++) {
		struct rpcprof_stat stat = begin(status ? "/a/B" : "/a/C");

		rpcprof_stat_set_status(stat, status);
		rpcprof_stat_set_label(stat, label("tenant"), label(status ? "x" : "y"));
		rpcprof_stat_end(stat);
	}
	collect();
	cr_assert_eq(aggregate->totals.label_sets, 1);
	cr_assert_eq(find("server;/a/B")->sums.calls, 2);
}

Test(aggregate, status_and_own_labels_make_sets)
{
	struct rpcprof_aggregate_options options = {.bytes = BYTES, .by_status = 1, .key_count = 1};

	open_plain();
	rpcprof_aggregate_close(aggregate);
	options.keys[0] = label("tenant");
	aggregate = rpcprof_aggregate_open(&options, 64);
	for (int i = 0; i < 12; i++) {
		struct rpcprof_stat stat = begin("/a/B");

		if (i % 3 != 2)
			rpcprof_stat_set_status(stat, i % 3);
		rpcprof_stat_set_label(stat, label("ignored"), label("v"));
		if (i % 2)
			rpcprof_stat_set_label(stat, label("tenant"), label("x"));
		rpcprof_stat_end(stat);
	}
	collect();
	cr_assert_eq(aggregate->totals.label_sets, 6, "3 statuses times 2 tenants");
	cr_assert_eq(calls_of_all(), 12);
	rpcprof_aggregate_close(aggregate);
}
