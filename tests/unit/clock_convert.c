/* SPDX-License-Identifier: Apache-2.0 */
/* The clock on fake time: ticks, durations, dates, and ticks of dates. */
#include "fake_clock.h"
#include "timers/anchors_internal.h"

/* ---- ticks ---- */

Test(ticks, are_never_0)
{
	fake_init_at(UINT64_MAX - 1);
	advance(2);
	cr_assert_eq(rpcprof_clock_now(), 1);
	advance(1);
	cr_assert_eq(rpcprof_clock_now(), 1);
	advance(1);
	cr_assert_eq(rpcprof_clock_now(), 2);
}

Test(ticks, may_pass_the_end_of_64_bits)
{
	uint64_t begin, end, bound;

	fake_init_at(UINT64_MAX - (uint64_t)SECOND * 3 / 2);
	live(1);
	begin = rpcprof_clock_now();
	live(1);
	end = rpcprof_clock_now();
	advance(SECOND / 2);
	cr_assert_lt(end, begin);
	cr_assert_eq(rpcprof_clock_map_get(&map), 0);
	cr_assert_eq(map.count, 3);
	cr_assert_eq(rpcprof_clock_elapsed_ns(&map, begin, end), SECOND);
	cr_assert_eq(rpcprof_clock_elapsed_ns(&map, end, begin), 0);
	cr_assert_eq(rpcprof_clock_utc_ns(&map, begin, &bound), UTC_2026 + SECOND);
	cr_assert_eq(rpcprof_clock_utc_ns(&map, end, &bound), UTC_2026 + 2 * SECOND);
	cr_assert_eq(rpcprof_clock_ticks_at(&map, UTC_2026 + SECOND), begin);
	cr_assert_eq(rpcprof_clock_ticks_at(&map, UTC_2026 + 2 * SECOND), end);
}

Test(ticks, that_run_back_start_the_anchors_anew)
{
	uint64_t bound;

	fake_init();
	live(20);
	fake.ticks = 77; /* the machine slept and its counter was reset */
	live(3);
	cr_assert_eq(rpcprof_clock_map_get(&map), 0);
	cr_assert_eq(map.count, 3);
	cr_assert_eq(rpcprof_clock_utc_ns(&map, fake.ticks - 5, &bound), fake.utc_ns - 5);
}

/* ---- durations ---- */

Test(elapsed, an_end_before_its_begin_is_0)
{
	fake_init();
	live(2);
	cr_assert_eq(rpcprof_clock_map_get(&map), 0);
	cr_assert_eq(rpcprof_clock_elapsed_ns(&map, 5000, 4999), 0);
	cr_assert_eq(rpcprof_clock_elapsed_ns(&map, 5000, 5000), 0);
	cr_assert_eq(rpcprof_clock_elapsed_ns(&map, 5000, 5001), 1);
}

Test(elapsed, never_falls_as_ticks_grow)
{
	uint64_t origin, last = 0;

	fake_init();
	fake.rate_ppm = 317;
	live(3);
	fake.rate_ppm = -499;
	live(3);
	cr_assert_eq(rpcprof_clock_map_get(&map), 0);
	origin = fake.ticks - 5 * SECOND;
	for (uint64_t t = origin - 50; t < fake.ticks + SECOND; t += 999983) {
		uint64_t now = rpcprof_clock_elapsed_ns(&map, origin, t);

		cr_assert_leq(last, now);
		last = now;
	}
}

Test(elapsed, has_one_slope_that_of_the_origin)
{
	uint64_t origin;

	fake_init();
	live(5);
	origin = fake.ticks - SECOND / 2;
	fake.rate_ppm = 500;
	live(5);
	cr_assert_eq(rpcprof_clock_map_get(&map), 0);
	cr_assert_eq(rpcprof_clock_elapsed_ns(&map, origin, origin + 4 * SECOND), 4 * SECOND);
	origin += SECOND;
	cr_assert_eq(rpcprof_clock_elapsed_ns(&map, origin, origin + 2 * SECOND),
	             2 * SECOND + 2000 * 500);
}

Test(elapsed, goes_on_after_the_last_anchor_at_the_last_rate)
{
	fake_init();
	live(100);
	fake.rate_ppm = 200;
	live(5);
	advance(SECOND / 2);
	cr_assert_eq(rpcprof_clock_map_get(&map), 0);
	cr_assert_eq(rpcprof_clock_elapsed_ns(&map, fake.ticks - SECOND / 4, fake.ticks),
	             SECOND / 4 + SECOND / 4 / 1000000 * 200);
}

Test(elapsed, is_not_touched_by_a_step_of_the_wall_clock)
{
	uint64_t origin;

	fake_init();
	live(3);
	origin = fake.ticks;
	fake.utc_ns -= 3600 * SECOND;
	live(3);
	cr_assert_eq(rpcprof_clock_map_get(&map), 0);
	cr_assert_eq(rpcprof_clock_elapsed_ns(&map, origin, origin + 2 * SECOND), 2 * SECOND);
}

Test(elapsed, survives_a_suspend_that_the_counter_counts)
{
	fake_init();
	live(10);
	fake.ticks += 3600 * (uint64_t)SECOND; /* the monotonic clock stood still */
	fake.utc_ns += 3600 * SECOND;
	live(1);
	cr_assert_eq(rpcprof_clock_map_get(&map), 0);
	cr_assert_eq(map.steps, 1);
	for (uint32_t i = 0; i < map.count; i++)
		cr_assert_eq(map.slopes[i], (uint64_t)1 << 54, "segment %u", i);
}

/* ---- dates ---- */

Test(utc, is_never_interpolated_across_a_step_forward)
{
	uint64_t before, bound;

	fake_init();
	live(3);
	before = fake.ticks;
	advance(SECOND / 2);
	fake.utc_ns += 3600 * SECOND;
	advance(SECOND / 2);
	rpcprof_clock_refresh();
	live(2);
	cr_assert_eq(rpcprof_clock_map_get(&map), 0);
	cr_assert_eq(map.steps, 1);
	cr_assert_eq(rpcprof_clock_utc_ns(&map, before + SECOND / 4, &bound),
	             UTC_2026 + 3 * SECOND + SECOND / 4);
	cr_assert_geq(bound, 3600 * SECOND); /* it may have been after the step */
	cr_assert_eq(rpcprof_clock_utc_ns(&map, before + SECOND, &bound),
	             UTC_2026 + 3604 * SECOND);
	cr_assert_lt(bound, 1000);
	cr_assert_eq(rpcprof_clock_utc_ns(&map, before, NULL), UTC_2026 + 3 * SECOND);
}

Test(utc, is_never_interpolated_across_a_step_back)
{
	uint64_t before, bound;

	fake_init();
	live(3);
	before = fake.ticks;
	fake.utc_ns -= 10 * SECOND;
	live(3);
	cr_assert_eq(rpcprof_clock_map_get(&map), 0);
	cr_assert_eq(map.steps, 1);
	cr_assert_eq(rpcprof_clock_utc_ns(&map, before + SECOND - 1, &bound),
	             UTC_2026 + 4 * SECOND - 1);
	cr_assert_geq(bound, 10 * SECOND);
	cr_assert_eq(rpcprof_clock_utc_ns(&map, before + SECOND, &bound), UTC_2026 - 6 * SECOND);
	cr_assert_lt(bound, 1000);
}

Test(utc, is_not_smeared_by_a_step_as_small_as_slewing)
{
	uint64_t before;

	fake_init();
	live(3);
	before = fake.ticks;
	fake.utc_ns += 100000;
	live(3);
	cr_assert_eq(rpcprof_clock_map_get(&map), 0);
	cr_assert_eq(rpcprof_clock_utc_ns(&map, before + SECOND / 2, NULL),
	             UTC_2026 + 3 * SECOND + SECOND / 2);
	cr_assert_eq(rpcprof_clock_utc_ns(&map, before + SECOND, NULL),
	             UTC_2026 + 4 * SECOND + 100000);
}

Test(utc, a_step_of_a_microsecond_is_seen)
{
	fake_init();
	live(3);
	fake.utc_ns += 1000;
	live(3);
	fake.utc_ns -= 1000;
	live(3);
	cr_assert_eq(rpcprof_clock_map_get(&map), 0);
	cr_assert_eq(map.steps, 2);
}

/* Slewing that begins, changes and ends in the middle of a second: each tick that lies before the
 * last whole second is dated within its bound, and the bound is not merely large. */
Test(utc, is_within_its_bound_while_the_clock_is_slewed)
{
	static struct { uint64_t ticks; int64_t utc_ns; } truth[8 * 430];
	static const int64_t rates[] = { 0, 500, 500, -500, 0, 120, 0, 0 };
	uint64_t bound, widest = 0;
	int count = 0;

	fake_init();
	for (int i = 0; i < 8; i++) {
		for (int k = 0; k < 430; k++, count++) {
			if (k == 17 * i)
				fake.rate_ppm = rates[i];
			advance(SECOND / 100);
			rpcprof_clock_refresh();
			truth[count].ticks = fake.ticks;
			truth[count].utc_ns = fake.utc_ns;
		}
	}
	cr_assert_eq(rpcprof_clock_map_get(&map), 0);
	cr_assert_eq(map.steps, 0);
	for (int i = 0; i < count - 100; i++) {
		int64_t utc = rpcprof_clock_utc_ns(&map, truth[i].ticks, &bound);

		cr_assert_leq(distance(utc, truth[i].utc_ns), bound, "at %d: %ld off, bound %lu", i,
		              utc - truth[i].utc_ns, bound);
		widest = bound > widest ? bound : widest;
	}
	cr_assert_lt(widest, 600000);
	cr_assert_gt(widest, 50000);
}

Test(utc, of_a_day_without_anchors_comes_from_both_its_ends)
{
	uint64_t noon, bound;

	fake_init();
	live(5);
	fake.rate_ppm = 30; /* what two milliseconds of measuring may miss */
	advance(DAY / 2);
	noon = fake.ticks;
	advance(DAY / 2);
	cr_assert_eq(rpcprof_clock_map_get(&map), 0);
	cr_assert_leq(distance(rpcprof_clock_utc_ns(&map, noon, &bound),
	                       UTC_2026 + 5 * SECOND + DAY / 2 + DAY / 2 / 1000000 * 30), 5);
	cr_assert_eq(rpcprof_clock_utc_ns(&map, fake.ticks, &bound), fake.utc_ns);
	cr_assert_lt(bound, 10);
}

Test(utc, before_the_first_anchor_goes_backwards)
{
	uint64_t bound;

	fake_init_at(9 * SECOND);
	live(3);
	cr_assert_eq(rpcprof_clock_map_get(&map), 0);
	cr_assert_eq(rpcprof_clock_utc_ns(&map, 7 * SECOND, &bound), UTC_2026 - 2 * SECOND);
	cr_assert_eq(rpcprof_clock_ticks_at(&map, UTC_2026 - 2 * SECOND), 7 * SECOND);
}

/* A source whose clocks take time to read: 20 to 40 ns, and at times, preempted, 9000. */
static int64_t busy_now;
static uint32_t busy_random;

static int64_t busy_read(void)
{
	busy_random = busy_random * 1664525 + 1013904223;
	busy_now += busy_random >> 30 == 0 ? 9000 : 20 + busy_random % 20;
	return busy_now;
}

static uint64_t busy_ticks(void)
{
	return (uint64_t)busy_read() + 77;
}

static int64_t busy_utc(void)
{
	return busy_read() + UTC_2026;
}

static const struct rpcprof_clock_source busy = {
	.ticks = busy_ticks,
	.utc_ns = busy_utc,
	.monotonic_ns = busy_read,
};

static void assert_busy_dated(int64_t when, uint64_t limit)
{
	uint64_t bound;
	int64_t utc = rpcprof_clock_utc_ns(&map, (uint64_t)when + 77, &bound);

	cr_assert_leq(distance(utc, when + UTC_2026), bound);
	cr_assert_lt(bound, limit);
}

Test(utc, is_within_its_bound_when_clocks_take_time_to_read)
{
	int64_t begin;

	rpcprof_clock_set_source(&busy);
	cr_assert_eq(rpcprof_clock_init(&state, RPCPROF_CLOCK_CUSTOM), 0);
	begin = busy_now;
	for (int i = 0; i < 300; i++) {
		busy_now += SECOND;
		rpcprof_clock_refresh();
	}
	cr_assert_eq(rpcprof_clock_map_get(&map), 0);
	cr_assert_eq(map.steps, 0); /* what a bracket explains is no step */
	for (uint32_t i = 0; i < map.count; i++) {
		cr_assert_lt(map.anchors[i].bracket_ns, 200); /* the tightest of several */
		assert_busy_dated((int64_t)map.anchors[i].ticks - 77, 200);
	}
	for (int64_t when = busy_now - 3 * SECOND; when < busy_now; when += SECOND / 97)
		assert_busy_dated(when, 300);
	assert_busy_dated(begin, 300);
}

/* What a short segment's brackets explain is no change of rate: it would be blamed on the hour. */
Test(utc, of_an_hour_after_a_short_segment_has_a_bound_that_says_something)
{
	rpcprof_clock_set_source(&busy);
	cr_assert_eq(rpcprof_clock_init(&state, RPCPROF_CLOCK_CUSTOM), 0);
	busy_now += 3 * SECOND / 1000;
	rpcprof_clock_refresh();
	busy_now += 3600 * SECOND;
	cr_assert_eq(rpcprof_clock_map_get(&map), 0);
	cr_assert_eq(map.count, 3);
	assert_busy_dated(busy_now - 1800 * SECOND, SECOND / 1000);
}

/* ---- the inverse ---- */

static void assert_first_tick(int64_t utc)
{
	uint64_t ticks = rpcprof_clock_ticks_at(&map, utc);

	cr_assert_geq(rpcprof_clock_utc_ns(&map, ticks, NULL), utc);
	cr_assert_lt(rpcprof_clock_utc_ns(&map, ticks - 1, NULL), utc);
}

Test(ticks_at, is_the_first_tick_of_a_date)
{
	static const struct rpcprof_clock_source coarse = {
		.ticks = fake_ticks, .utc_ns = fake_utc, .monotonic_ns = fake_monotonic,
		.ticks_per_second = 999700000,
	};

	fake.ticks = 12345;
	fake.utc_ns = UTC_2026;
	rpcprof_clock_set_source(&coarse);
	cr_assert_eq(rpcprof_clock_init(&state, RPCPROF_CLOCK_CUSTOM), 0);
	fake.rate_ppm = 300;
	live(4);
	fake.rate_ppm = -300;
	live(4);
	cr_assert_eq(rpcprof_clock_map_get(&map), 0);
	for (int64_t utc = UTC_2026 - SECOND; utc < fake.utc_ns + SECOND; utc += 9999991)
		assert_first_tick(utc);
}

Test(ticks_at, a_date_that_was_twice_is_the_later)
{
	fake_init();
	live(20);
	fake.utc_ns -= 10 * SECOND;
	live(20);
	cr_assert_eq(rpcprof_clock_map_get(&map), 0);
	cr_assert_eq(rpcprof_clock_ticks_at(&map, UTC_2026 + 15 * SECOND),
	             1000000 + 25 * SECOND);
	cr_assert_eq(rpcprof_clock_ticks_at(&map, UTC_2026 + 5 * SECOND), 1000000 + 5 * SECOND);
}

Test(ticks_at, a_date_that_never_was_is_the_anchor_after_the_step)
{
	fake_init();
	live(5);
	fake.utc_ns += 100 * SECOND;
	live(5);
	cr_assert_eq(rpcprof_clock_map_get(&map), 0);
	cr_assert_eq(rpcprof_clock_ticks_at(&map, UTC_2026 + 50 * SECOND), 1000000 + 6 * SECOND);
}

/* ---- slopes ---- */

Test(slope, of_anchors_between_which_no_time_passed_is_none)
{
	struct rpcprof_anchor a = {.ticks = 1000, .monotonic_ns = 1000}, b = a;

	b.ticks = 2000;
	cr_assert_eq(rpcprof_slope_between(&a, &b), 0);
	cr_assert_eq(rpcprof_slope_error_ppb(&a, &b), SECOND); /* knows nothing */
	b.ticks = 500; /* runs back */
	b.monotonic_ns = 2000;
	cr_assert_eq(rpcprof_slope_between(&a, &b), 0);
	b.ticks = 2000;
	cr_assert_eq(rpcprof_slope_between(&a, &b), RPCPROF_SLOPE_ONE);
}

Test(ticks, that_are_too_many_make_the_longest_time)
{
	cr_assert_eq(rpcprof_ticks_to_ns(UINT64_MAX, RPCPROF_SLOPE_ONE), UINT64_C(1) << 62);
	cr_assert_eq(rpcprof_ticks_to_ns(UINT64_C(1) << 61, RPCPROF_SLOPE_ONE), UINT64_C(1) << 61);
}
