/* SPDX-License-Identifier: Apache-2.0 */
/* The clock: which counter, how fast, and real dates. Fake time: clock_{convert,anchors}.c. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include "fake_clock.h"
#include "timers/anchors_internal.h"

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

/* ---- counters that move in steps ---- */

static uint64_t reads;

static uint64_t forty_at_every_third_read(void)
{
	return 1000 + reads++ / 3 * 40;
}

static uint64_t seven_at_every_read(void)
{
	return 1000 + 7 * reads++;
}

static uint64_t standing(void)
{
	return 1000;
}

/* The bound of a date once left out that a counter may stand still between two reads. */
Test(steps, a_counter_that_stands_between_reads_has_one)
{
	cr_assert_eq(rpcprof_clock_step_of(forty_at_every_third_read), 41);
	cr_assert_eq(rpcprof_clock_step_of(seven_at_every_read), 0);
	cr_assert_eq(rpcprof_clock_step_of(standing), 0);
}

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
