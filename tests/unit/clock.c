/* SPDX-License-Identifier: Apache-2.0 */
/* The clock: which counter, how fast, and its conversion to dates, on real and on fake time. */
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#if defined(__x86_64__)
#include <ucontext.h>
#endif

#include "timers/clock_internal.h"

#define SECOND ((int64_t)1000000000)
#define DAY (86400 * SECOND)
#define UTC_2026 (1767225600 * SECOND)

static struct rpcprof_clock_state state;
static struct rpcprof_clock_map map;

/* Fake time. The counter is perfect; the kernel's clocks run rate_ppm fast and may be set. */
static struct {
	uint64_t ticks;
	int64_t utc_ns, monotonic_ns;
	int64_t rate_ppm;
} fake;

static uint64_t fake_ticks(void)
{
	return __atomic_load_n(&fake.ticks, __ATOMIC_RELAXED);
}

static int64_t fake_utc(void)
{
	return __atomic_load_n(&fake.utc_ns, __ATOMIC_RELAXED);
}

static int64_t fake_monotonic(void)
{
	return __atomic_load_n(&fake.monotonic_ns, __ATOMIC_RELAXED);
}

static const struct rpcprof_clock_source source = {
	.ticks = fake_ticks,
	.utc_ns = fake_utc,
	.monotonic_ns = fake_monotonic,
};

/* ns of the counter, which ticks once in each. */
static void advance(int64_t ns)
{
	int64_t kernel = ns + ns / 1000000 * fake.rate_ppm;

	__atomic_fetch_add(&fake.ticks, (uint64_t)ns, __ATOMIC_RELAXED);
	__atomic_fetch_add(&fake.utc_ns, kernel, __ATOMIC_RELAXED);
	__atomic_fetch_add(&fake.monotonic_ns, kernel, __ATOMIC_RELAXED);
}

/* Second by second, with the anchors that an exporter would take. */
static void live(int64_t seconds)
{
	while (seconds-- > 0) {
		advance(SECOND);
		rpcprof_clock_refresh();
	}
}

static void fake_init_at(uint64_t ticks)
{
	fake.ticks = ticks;
	fake.utc_ns = UTC_2026;
	fake.monotonic_ns = 5000 * SECOND;
	rpcprof_clock_set_source(&source);
	cr_assert_eq(rpcprof_clock_init(&state, RPCPROF_CLOCK_AUTO), 0);
}

static void fake_init(void)
{
	fake_init_at(1000000);
}

static int64_t machine_ns(clockid_t id)
{
	struct timespec now;

	clock_gettime(id, &now);
	return now.tv_sec * SECOND + now.tv_nsec;
}

static void sleep_ms(long ms)
{
	struct timespec time = { .tv_sec = 0, .tv_nsec = ms * 1000000 };

	nanosleep(&time, NULL);
}

static uint64_t distance(int64_t a, int64_t b)
{
	return (uint64_t)(a > b ? a - b : b - a);
}

/* ---- before init ---- */

Test(clock, before_init_now_is_monotonic_time)
{
	int64_t before = machine_ns(CLOCK_MONOTONIC);
	int64_t now = (int64_t)rpcprof_clock_now();

	cr_assert_leq(before, now);
	cr_assert_leq(now, machine_ns(CLOCK_MONOTONIC));
}

Test(clock, before_init_there_is_no_info_and_no_map)
{
	struct rpcprof_clock_info info = { .ticks_per_second = 7 };

	map.count = 7;
	cr_assert_eq(rpcprof_clock_get_info(&info), -ENODEV);
	cr_assert_eq(rpcprof_clock_map_get(&map), -ENODEV);
	cr_assert_eq(info.ticks_per_second, 7);
	cr_assert_eq(map.count, 7);
	rpcprof_clock_refresh();
	rpcprof_clock_after_fork();
}

/* ---- the choice ---- */

Test(choice, the_kernel_trusts_its_own_tsc)
{
	cr_assert(rpcprof_clock_kernel_trusts_tsc("tsc\n", "tsc hpet acpi_pm \n"));
}

Test(choice, a_guest_trusts_a_tsc_that_is_available)
{
	cr_assert(rpcprof_clock_kernel_trusts_tsc("kvm-clock\n", "kvm-clock tsc acpi_pm \n"));
	cr_assert(rpcprof_clock_kernel_trusts_tsc("xen\n", "xen tsc\n"));
}

Test(choice, a_guest_without_tsc_does_not)
{
	cr_assert(!rpcprof_clock_kernel_trusts_tsc("kvm-clock\n", "kvm-clock acpi_pm \n"));
	cr_assert(!rpcprof_clock_kernel_trusts_tsc("kvm-clock\n", "kvm-clock tsc-early \n"));
}

Test(choice, a_machine_that_left_its_tsc_does_not)
{
	cr_assert(!rpcprof_clock_kernel_trusts_tsc("hpet\n", "tsc hpet acpi_pm \n"));
	cr_assert(!rpcprof_clock_kernel_trusts_tsc("", "tsc\n"));
}

Test(choice, automatic_is_raw_or_monotonic_for_a_reason)
{
	struct rpcprof_clock_info info;

	cr_assert_eq(rpcprof_clock_init(&state, RPCPROF_CLOCK_AUTO), 0);
	cr_assert_eq(rpcprof_clock_get_info(&info), 0);
	cr_assert(info.kind == RPCPROF_CLOCK_RAW || info.kind == RPCPROF_CLOCK_MONOTONIC);
	cr_assert_eq((uint32_t)info.kind, rpcprof_control_page.head.clock_kind);
	cr_assert_eq(info.reason[strlen(info.reason) - 1], '.', "%s", info.reason);
}

Test(choice, monotonic_can_be_demanded)
{
	struct rpcprof_clock_info info;
	int64_t before;

	cr_assert_eq(rpcprof_clock_init(&state, RPCPROF_CLOCK_MONOTONIC), 0);
	cr_assert_eq(rpcprof_clock_get_info(&info), 0);
	cr_assert_eq(info.kind, RPCPROF_CLOCK_MONOTONIC);
	cr_assert_eq(info.ticks_per_second, 1e9);
	before = machine_ns(CLOCK_MONOTONIC);
	cr_assert_leq(before, (int64_t)rpcprof_clock_now());
	cr_assert_leq((int64_t)rpcprof_clock_now(), machine_ns(CLOCK_MONOTONIC));
}

Test(choice, raw_can_be_demanded)
{
	struct rpcprof_clock_info info;
	uint64_t before;

	if (rpcprof_clock_init(&state, RPCPROF_CLOCK_RAW) == -EINVAL)
		return; /* a machine without */
	cr_assert_eq(rpcprof_clock_get_info(&info), 0);
	cr_assert_eq(info.kind, RPCPROF_CLOCK_RAW);
	before = rpcprof_clock_raw();
	cr_assert_leq(before, rpcprof_clock_now());
	cr_assert_leq(rpcprof_clock_now_slow(), rpcprof_clock_raw());
}

Test(choice, what_cannot_be_had_is_refused)
{
	cr_assert_eq(rpcprof_clock_init(&state, RPCPROF_CLOCK_CUSTOM), -EINVAL);
	cr_assert_eq(rpcprof_clock_init(&state, (enum rpcprof_clock_kind)4), -EINVAL);
	cr_assert_eq(rpcprof_control_page.head.clock_kind, 0);
	cr_assert_eq(rpcprof_clock_map_get(&map), -ENODEV);
}

Test(choice, a_source_wins_over_any_kind)
{
	rpcprof_clock_set_source(&source);
	for (int kind = RPCPROF_CLOCK_AUTO; kind <= RPCPROF_CLOCK_CUSTOM; kind++) {
		memset(&state, 0, sizeof(state));
		cr_assert_eq(rpcprof_clock_init(&state, (enum rpcprof_clock_kind)kind), 0);
		cr_assert_eq(rpcprof_control_page.head.clock_kind, RPCPROF_CLOCK_CUSTOM);
	}
}

#if defined(__x86_64__)
Test(choice, a_forbidden_tsc_is_not_read)
{
	char automatic[96] = "", raw[96] = "";
	int chosen, demanded;

	/* Nothing that reads a clock in between: the C library would read the TSC. */
	cr_assert_eq(prctl(PR_SET_TSC, PR_TSC_SIGSEGV), 0);
	chosen = rpcprof_clock_choose(RPCPROF_CLOCK_AUTO, automatic);
	demanded = rpcprof_clock_choose(RPCPROF_CLOCK_RAW, raw);
	prctl(PR_SET_TSC, PR_TSC_ENABLE);
	cr_assert_eq(chosen, RPCPROF_CLOCK_MONOTONIC);
	cr_assert_eq(demanded, -EINVAL);
	cr_assert_not_null(strstr(automatic, "forbidden"), "%s", automatic);
}
#endif

/* ---- real time ---- */

struct sample {
	uint64_t ticks, doubt_ns;
	int64_t utc_ns;
};

/* As an outsider would: the tick in the middle of the tightest of several brackets. */
static void take_sample(struct sample *sample, double ticks_per_ns)
{
	sample->doubt_ns = UINT64_MAX;
	for (int i = 0; i < 20; i++) {
		uint64_t before = rpcprof_clock_now();
		int64_t utc = machine_ns(CLOCK_REALTIME);
		uint64_t width = rpcprof_clock_now() - before;
		uint64_t doubt = (uint64_t)((double)width / 2 / ticks_per_ns) + 1;

		if (doubt >= sample->doubt_ns)
			continue;
		sample->ticks = before + width / 2;
		sample->utc_ns = utc;
		sample->doubt_ns = doubt;
	}
}

static void assert_dated(const struct sample *sample)
{
	uint64_t bound, error;

	error = distance(rpcprof_clock_utc_ns(&map, sample->ticks, &bound), sample->utc_ns);
	cr_assert_leq(error, bound + sample->doubt_ns, "error %lu, bound %lu + %lu", error, bound,
	              sample->doubt_ns);
	cr_assert_lt(bound, 1000000); /* a bound that says something */
}

static void date_real_time(enum rpcprof_clock_kind kind)
{
	static struct sample samples[60];
	struct rpcprof_clock_info info;

	cr_assert_eq(rpcprof_clock_init(&state, kind), 0);
	cr_assert_eq(rpcprof_clock_get_info(&info), 0);
	for (int i = 0; i < 60; i++) {
		take_sample(&samples[i], info.ticks_per_second / 1e9);
		cr_assert_eq(rpcprof_clock_map_get(&map), 0);
		assert_dated(&samples[i]);
		sleep_ms(30);
	}
	cr_assert_eq(rpcprof_clock_map_get(&map), 0);
	for (int i = 0; i < 60; i++)
		assert_dated(&samples[i]);
}

Test(real, dates_are_right_within_their_bound)
{
	date_real_time(RPCPROF_CLOCK_AUTO);
}

Test(real, monotonic_ticks_are_dated_too)
{
	date_real_time(RPCPROF_CLOCK_MONOTONIC);
}

Test(real, the_frequency_is_right_within_its_bound)
{
	struct rpcprof_clock_info first, later;

	cr_assert_eq(rpcprof_clock_init(&state, RPCPROF_CLOCK_AUTO), 0);
	cr_assert_eq(rpcprof_clock_get_info(&first), 0);
	for (int i = 0; i < 40; i++) {
		sleep_ms(10);
		rpcprof_clock_refresh();
	}
	cr_assert_eq(rpcprof_clock_get_info(&later), 0);
	cr_assert_float_eq(first.ticks_per_second, later.ticks_per_second,
	                   first.ticks_per_second / 1e6 *
	                   (first.frequency_error_ppm + later.frequency_error_ppm));
	if (first.kind == RPCPROF_CLOCK_RAW)
		cr_assert_lt(later.frequency_error_ppm, first.frequency_error_ppm);
}

/* ---- fake time: ticks ---- */

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

/* ---- fake time: durations ---- */

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

/* ---- fake time: dates ---- */

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

/* ---- fake time: the inverse ---- */

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

/* ---- fake time: anchors ---- */

Test(anchors, are_taken_about_once_a_second)
{
	uint32_t before;

	fake_init();
	live(3);
	before = state.count;
	for (int i = 0; i < 9; i++) {
		advance(SECOND / 10);
		rpcprof_clock_refresh();
	}
	cr_assert_eq(state.count, before);
	advance(SECOND / 10);
	rpcprof_clock_refresh();
	cr_assert_eq(state.count, before + 1);
}

Test(anchors, double_their_spacing_in_the_first_second)
{
	fake_init();
	for (int i = 0; i < 1000; i++) {
		advance(SECOND / 1000);
		rpcprof_clock_refresh();
	}
	cr_assert_eq(rpcprof_clock_map_get(&map), 0);
	cr_assert_gt(map.count, 5);
	cr_assert_lt(map.count, 12);
}

Test(anchors, of_a_week_span_it_with_spacing_that_grows_with_age)
{
	uint64_t first;

	fake_init();
	first = state.anchors[0].ticks;
	live(7 * 86400);
	cr_assert_eq(rpcprof_clock_map_get(&map), 0);
	cr_assert_eq(map.count, RPCPROF_ANCHORS_MAX);
	cr_assert_eq(map.anchors[0].ticks, first);
	cr_assert_eq(map.anchors[map.count - 1].ticks, fake.ticks);
	for (uint32_t i = 0; i + 1 < map.count; i++) {
		uint64_t gap = map.anchors[i + 1].ticks - map.anchors[i].ticks;
		uint64_t age = fake.ticks - map.anchors[i + 1].ticks;

		cr_assert_leq(gap, age + age / 2 + 2 * SECOND, "gap %lu s at age %lu s", gap / SECOND,
		              age / SECOND);
	}
}

Test(anchors, that_enclose_a_step_stay)
{
	uint64_t before, bound;

	fake_init();
	live(100);
	before = fake.ticks;
	fake.utc_ns += 3600 * SECOND;
	live(10000);
	cr_assert_eq(rpcprof_clock_map_get(&map), 0);
	cr_assert_eq(rpcprof_clock_utc_ns(&map, before - SECOND, &bound), UTC_2026 + 99 * SECOND);
	cr_assert_eq(rpcprof_clock_utc_ns(&map, before + 2 * SECOND, &bound),
	             UTC_2026 + 3702 * SECOND);
}

Test(anchors, keep_their_number_when_every_second_has_a_step)
{
	uint64_t bound;

	fake_init();
	for (int i = 0; i < 1000; i++) {
		fake.utc_ns += SECOND;
		live(1);
	}
	cr_assert_eq(rpcprof_clock_map_get(&map), 0);
	cr_assert_eq(map.count, RPCPROF_ANCHORS_MAX);
	cr_assert_eq(map.steps, 1000);
	cr_assert_eq(rpcprof_clock_utc_ns(&map, fake.ticks - 10 * SECOND, &bound),
	             fake.utc_ns - 20 * SECOND);
}

Test(anchors, of_a_stalled_writer_stop_nobody)
{
	uint64_t bound;
	uint32_t count;

	fake_init();
	live(10);
	count = state.count;
	state.seq++; /* a writer fell asleep inside */
	live(10);
	cr_assert_eq(state.count, count);
	cr_assert_eq(rpcprof_clock_map_get(&map), 0);
	cr_assert_eq(map.count, 1);
	cr_assert_eq(rpcprof_clock_utc_ns(&map, fake.ticks - 15 * SECOND, &bound),
	             fake.utc_ns - 15 * SECOND);
	cr_assert_eq(rpcprof_clock_elapsed_ns(&map, fake.ticks - SECOND, fake.ticks), SECOND);
}

Test(anchors, go_on_in_a_child_forked_in_the_middle_of_a_store)
{
	fake_init();
	live(10);
	state.seq++;
	live(1);
	rpcprof_clock_after_fork();
	live(3);
	cr_assert_eq(rpcprof_clock_map_get(&map), 0);
	cr_assert_eq(map.count, 4);
	cr_assert_eq(rpcprof_clock_utc_ns(&map, fake.ticks, NULL), fake.utc_ns);
}

Test(anchors, are_stored_across_the_end_of_the_lock_word)
{
	fake_init();
	state.seq = UINT32_MAX - 3;
	live(4);
	cr_assert_eq(state.seq, 4);
	cr_assert_eq(rpcprof_clock_map_get(&map), 0);
	cr_assert_eq(map.count, 5);
}

static int64_t fake_ticks_signed(void)
{
	return (int64_t)fake_ticks();
}

/* Set anew every second: with a step on either side of each, the oldest anchors go and all move. */
static int64_t unsteady_utc(void)
{
	return fake_ticks_signed() / SECOND % 2 * 3600 * SECOND;
}

/* Counter and clock show one number, so an anchor made of parts of two gives itself away. */
static const struct rpcprof_clock_source one = {
	.ticks = fake_ticks,
	.utc_ns = unsteady_utc,
	.monotonic_ns = fake_ticks_signed,
};

/* How many anchors of a map are not whole or not in order. */
static uint64_t count_bad(const struct rpcprof_clock_map *copy)
{
	uint64_t bad = 0;

	for (uint32_t i = 0; i < copy->count; i++) {
		const struct rpcprof_anchor *a = &copy->anchors[i];

		bad += distance((int64_t)a->ticks, a->monotonic_ns) > a->bracket_ns + 1;
		bad += i > 0 && a[-1].ticks >= a->ticks;
	}
	return bad;
}

#if defined(__x86_64__)
#define TRAP_FLAG 0x100

static volatile int steps, interrupt_at;
static volatile bool armed;

/* After each instruction while the processor's trap flag is set. */
static void on_step(int number, siginfo_t *info, void *context)
{
	greg_t *flags = &((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL];

	(void)number;
	(void)info;
	*flags |= TRAP_FLAG;
	if (steps++ == interrupt_at)
		live(3);
	if (steps > interrupt_at)
		*flags &= ~(greg_t)TRAP_FLAG;
}

/* What a reader calls last before it copies the anchors. */
static int64_t monotonic_that_arms(void)
{
	if (armed) {
		armed = false;
		raise(SIGTRAP);
	}
	return fake_ticks_signed();
}

/* By one who stores anchors after that many instructions. */
Test(anchors, are_read_whole_wherever_the_reader_is_interrupted)
{
	struct sigaction action = { .sa_sigaction = on_step, .sa_flags = SA_SIGINFO };
	struct rpcprof_clock_source trapping = one;
	uint64_t bad = 0;

	trapping.monotonic_ns = monotonic_that_arms;
	rpcprof_clock_set_source(&trapping);
	cr_assert_eq(rpcprof_clock_init(&state, RPCPROF_CLOCK_CUSTOM), 0);
	live(100);
	sigaction(SIGTRAP, &action, NULL);
	for (interrupt_at = 1; interrupt_at < 1000; interrupt_at += 11) {
		steps = 0;
		armed = true;
		bad += rpcprof_clock_map_get(&map) != 0 || count_bad(&map) != 0;
		cr_assert_gt(steps, interrupt_at);
	}
	cr_assert_eq(bad, 0);
}
#endif

struct map_reader {
	pthread_t thread;
	uint64_t maps, bad;
};

#define MAPS_READ 20000

static void *read_maps(void *arg)
{
	struct map_reader *reader = arg;
	struct rpcprof_clock_map mine;

	for (uint64_t n = 1; n <= MAPS_READ; n++) {
		reader->bad += rpcprof_clock_map_get(&mine) != 0;
		reader->bad += count_bad(&mine);
		__atomic_store_n(&reader->maps, n, __ATOMIC_RELAXED);
	}
	return NULL;
}

Test(anchors, are_read_whole_while_others_are_stored)
{
	struct map_reader readers[3] = { 0 };

	rpcprof_clock_set_source(&one);
	cr_assert_eq(rpcprof_clock_init(&state, RPCPROF_CLOCK_CUSTOM), 0);
	for (int i = 0; i < 3; i++)
		pthread_create(&readers[i].thread, NULL, read_maps, &readers[i]);
	for (int i = 0; i < 3; i++) {
		while (__atomic_load_n(&readers[i].maps, __ATOMIC_RELAXED) < MAPS_READ)
			live(1);
	}
	for (int i = 0; i < 3; i++) {
		pthread_join(readers[i].thread, NULL);
		cr_assert_eq(readers[i].bad, 0);
	}
}
