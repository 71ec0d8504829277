/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/exporter_harness.h"

Test(exporter_windows, a_window_is_a_multiple_of_the_interval)
{
	init_fake(0);
	pass(3 * S + 5);
	open_stepped((struct rpcprof_exporter_config){0});
	call("/a/B", 100);
	rpcprof_exporter_step(&stepped, false);
	cr_assert_eq(said.windows, 0);
	pass(7 * S);
	rpcprof_exporter_step(&stepped, false);
	cr_assert_eq(said.windows, 1);
	cr_assert_eq(said.begin_ns, (START_S + 3) * S + 5);
	cr_assert_eq(said.end_ns, (START_S + 10) * S);
	call("/a/B", 100);
	pass(10 * S);
	rpcprof_exporter_step(&stepped, false);
	cr_assert_eq(said.begin_ns, (START_S + 10) * S);
	cr_assert_eq(said.end_ns, (START_S + 20) * S);
	rpcprof_exporter_close(&stepped);
}

Test(exporter_windows, samples_have_their_stack_values_and_side)
{
	struct rpcprof_stat stat;

	init_fake(0);
	open_stepped((struct rpcprof_exporter_config){0});
	stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);
	rpcprof_stat_set_method(stat, rpcprof_tag_intern(RPCPROF_TAG_METHOD, "/p.S/M", 6));
	pass(5);
	rpcprof_lap(stat, RPCPROF_TAG("/decode"));
	pass(7);
	rpcprof_stat_end(stat);
	rpcprof_exporter_step(&stepped, true);
	cr_assert_str_eq(said.stacks, "server;/p.S/M side=server 1 0 5\n"
	                              "server;/p.S/M;/decode side=server 0 1 7\n");
	cr_assert_not_null(strstr(said.comments, "unaggregated: 0\n"), "%s", said.comments);
	cr_assert_not_null(strstr(said.comments, "window: 2026-11-21T15:43:10.000Z"), "%s",
	                   said.comments);
	rpcprof_exporter_close(&stepped);
}

Test(exporter_windows, labels_are_those_asked_for)
{
	struct rpcprof_stat stat;

	init_fake(0);
	open_stepped((struct rpcprof_exporter_config){.label_status = 1, .label_method = 1,
	                                              .label_keys = {"tenant"}});
	stat = rpcprof_stat_begin(RPCPROF_TAG_CLIENT);
	rpcprof_stat_set_method(stat, rpcprof_tag_intern(RPCPROF_TAG_METHOD, "/p.S/M", 6));
	rpcprof_stat_set_status(stat, 4);
	rpcprof_stat_set_label(stat, rpcprof_tag_intern(RPCPROF_TAG_LABEL, "other", 5),
	                       rpcprof_tag_intern(RPCPROF_TAG_LABEL, "no", 2));
	rpcprof_stat_set_label(stat, rpcprof_tag_intern(RPCPROF_TAG_LABEL, "tenant", 6),
	                       rpcprof_tag_intern(RPCPROF_TAG_LABEL, "acme", 4));
	pass(9);
	rpcprof_stat_end(stat);
	rpcprof_exporter_step(&stepped, true);
	cr_assert_str_eq(said.stacks,
	                 "client;/p.S/M side=client,rpc_response_status_code=DEADLINE_EXCEEDED,"
	                 "rpc_method=p.S/M,tenant=acme 1 0 9\n");
	rpcprof_exporter_close(&stepped);
}

Test(exporter_windows, a_stream_of_a_minute_is_ten_seconds_in_each_window)
{
	struct rpcprof_stat stat;

	init_fake(0);
	pass(5 * S);
	open_stepped((struct rpcprof_exporter_config){0});
	pass(5 * S);
	rpcprof_exporter_step(&stepped, false); /* an empty window: 15:43:20 begins the next */
	stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);
	rpcprof_lap(stat, RPCPROF_TAG("/messages"));
	for (int i = 1; i <= 6; i++) {
		for (int64_t k = 0; k < 9; k++) {
			pass(1 * S);
			rpcprof_exporter_step(&stepped, false);
			cr_assert_eq(said.windows, i - 1);
		}
		pass(1 * S + 1234567); /* woken a little late */
		if (i == 6) {
			pass(-1234567);
			rpcprof_stat_end(stat);
		}
		rpcprof_exporter_step(&stepped, false);
		if (i < 6)
			pass(-1234567);
		cr_assert_eq(said.windows, i);
		cr_assert_eq(said.wall_ns, 10 * S, "window %d: %lu", i, said.wall_ns);
		cr_assert_eq(said.calls, i == 6);
	}
	cr_assert_eq(said.all_wall_ns, 60 * S);
	rpcprof_exporter_close(&stepped);
}

Test(exporter_windows, an_empty_window_is_not_delivered)
{
	init_fake(0);
	open_stepped((struct rpcprof_exporter_config){0});
	pass(10 * S);
	rpcprof_exporter_step(&stepped, false);
	cr_assert_eq(said.windows, 0);
	cr_assert_eq(stepped.stats.windows, 1);
	rpcprof_exporter_close(&stepped);
}

Test(exporter_windows, a_late_window_keeps_its_true_bounds)
{
	init_fake(0);
	open_stepped((struct rpcprof_exporter_config){0});
	call("/a/B", 100);
	pass(37 * S);
	rpcprof_exporter_step(&stepped, false);
	cr_assert_eq(said.windows, 1);
	cr_assert_eq(said.begin_ns, START_S * S);
	cr_assert_eq(said.end_ns, (START_S + 30) * S);
	rpcprof_exporter_close(&stepped);
}

Test(exporter_windows, a_step_of_the_wall_clock_cuts_the_window)
{
	init_fake(0);
	open_stepped((struct rpcprof_exporter_config){0});
	call("/a/B", 0);
	pass(4 * S);
	rpcprof_exporter_step(&stepped, false);
	utc -= 3600 * S;
	pass(1 * S);
	rpcprof_exporter_step(&stepped, false);
	cr_assert_eq(said.windows, 1);
	cr_assert_eq(said.begin_ns, START_S * S);
	cr_assert_eq(said.end_ns, (START_S + 5) * S, "its length is the monotonic clock's");
	call("/a/B", 0);
	pass(5 * S);
	rpcprof_exporter_step(&stepped, false);
	cr_assert_eq(said.windows, 2);
	cr_assert_eq(said.begin_ns, (START_S - 3600 + 5) * S);
	cr_assert_eq(said.end_ns, (START_S - 3600 + 10) * S);
	rpcprof_exporter_close(&stepped);
}

Test(exporter_windows, a_slow_drift_of_the_wall_clock_is_no_step)
{
	init_fake(0);
	open_stepped((struct rpcprof_exporter_config){.interval_s = 3600});
	for (int i = 0; i < 100; i++) {
		pass(1 * S);
		utc += S / 20;
		rpcprof_exporter_step(&stepped, false);
	}
	cr_assert_eq(stepped.stats.windows, 0);
	rpcprof_exporter_close(&stepped);
}

Test(exporter_windows, collection_is_paced_by_the_ring)
{
	struct rpcprof_pace pace;

	rpcprof_pace_open(&pace, 16384, 0);
	/* 4096 calls in 10 ms: so in 10 ms again. */
	cr_assert_eq(rpcprof_pace_next(&pace, 4096, 10000000), 10000000);
	cr_assert_eq(rpcprof_pace_next(&pace, 40960, 20000000), 1000000);
	cr_assert_eq(rpcprof_pace_next(&pace, 1u << 30, 30000000), 1000000, "1 ms at least");
	/* Idle: what 200 000 calls a second need for three quarters. */
	cr_assert_eq(rpcprof_pace_next(&pace, 0, 40000000), 61440000);
	cr_assert_eq(rpcprof_pace_next(&pace, 1, 50000000), 61440000, "nearly idle too");
	rpcprof_pace_open(&pace, 1u << 24, 0);
	cr_assert_eq(rpcprof_pace_next(&pace, 0, S), S, "1 s at most");
	rpcprof_pace_open(&pace, 16, 0);
	cr_assert_eq(rpcprof_pace_next(&pace, 0, S), 1000000);
}

static int count_view(void *arg, const struct rpcprof_view *view)
{
	(void)view;
	++*(int *)arg;
	return 0;
}

Test(exporter_windows, what_was_collected_stays_in_the_dump)
{
	int shown = 0;

	init_fake(100);
	open_stepped((struct rpcprof_exporter_config){0});
	for (int i = 0; i < 110; i++) {
		call("/a/B", 10);
		if (i % 7 == 0)
			rpcprof_exporter_step(&stepped, false);
	}
	rpcprof_exporter_step(&stepped, true);
	cr_assert_eq(rpcprof_snapshot(NULL, count_view, &shown), 100);
	cr_assert_eq(shown, 100);
	cr_assert_eq(said.all_calls, 110);
	rpcprof_exporter_close(&stepped);
}

Test(exporter_windows, calls_displaced_uncollected_are_counted)
{
	init_fake(64);
	open_stepped((struct rpcprof_exporter_config){0});
	for (int i = 0; i < 10000; i++)
		call("/a/B", 10);
	rpcprof_exporter_step(&stepped, true);
	cr_assert_geq(said.calls, 64);
	cr_assert_eq(said.calls + said.unaggregated, 10000);
	cr_assert_eq(rpcprof_collector_unaggregated(), said.unaggregated);
	call("/a/B", 10);
	rpcprof_exporter_step(&stepped, true);
	cr_assert_eq(said.all_calls + said.unaggregated, 10001, "each in one window");
	rpcprof_exporter_close(&stepped);
}

/* Copies what the log says. */
static char logged[512];

static void keep_log(void *arg, enum rpcprof_log_level level, const char *message)
{
	(void)arg;
	(void)level;
	snprintf(logged, sizeof(logged), "%s", message);
}

Test(exporter_windows, too_many_series_are_named_by_their_label)
{
	struct rpcprof_config config = {.size = sizeof(config), .log = keep_log};

	cr_assert_eq(rpcprof_init(&config), 0);
	cr_assert_eq(rpcprof_enable(true), 0);
	open_stepped((struct rpcprof_exporter_config){.label_status = 1,
	                                              .label_keys = {"tenant"}});
	for (int i = 0; i < 40; i++) {
		struct rpcprof_stat stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);
		char value[16];

		snprintf(value, sizeof(value), "t%d", i);
		rpcprof_stat_set_status(stat, i % 3);
		rpcprof_stat_set_label(stat, rpcprof_tag_intern(RPCPROF_TAG_LABEL, "tenant", 6),
		                       rpcprof_tag_intern(RPCPROF_TAG_LABEL, value, (size_t)-1));
		rpcprof_stat_end(stat);
	}
	rpcprof_exporter_step(&stepped, true);
	cr_assert_str_eq(logged,
	                 "profiles have 120 series of labels, most of them by the label tenant");
	rpcprof_exporter_close(&stepped);
}
