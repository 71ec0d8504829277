/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_TESTS_FAKE_CLOCK_H
#define RPCPROF_TESTS_FAKE_CLOCK_H

/* Time that passes when a test says so. Each test is a process of its own. */
#include <criterion/criterion.h>
#include <stdint.h>

#include "timers/clock_internal.h"

#define SECOND ((int64_t)1000000000)
#define DAY (86400 * SECOND)
#define UTC_2026 (1767225600 * SECOND)

static struct rpcprof_clock_state state;
__attribute__((unused)) static struct rpcprof_clock_map map;

/* Fake time. The counter is perfect; the kernel's clocks run rate_ppm fast and may be set. */
static struct {
	uint64_t ticks;
	int64_t utc_ns, monotonic_ns;
	int64_t rate_ppm;
} fake;

static inline uint64_t fake_ticks(void)
{
	return __atomic_load_n(&fake.ticks, __ATOMIC_RELAXED);
}

static inline int64_t fake_utc(void)
{
	return __atomic_load_n(&fake.utc_ns, __ATOMIC_RELAXED);
}

static inline int64_t fake_monotonic(void)
{
	return __atomic_load_n(&fake.monotonic_ns, __ATOMIC_RELAXED);
}

static const struct rpcprof_clock_source source = {
	.ticks = fake_ticks,
	.utc_ns = fake_utc,
	.monotonic_ns = fake_monotonic,
};

/* ns of the counter, which ticks once in each. */
static inline void advance(int64_t ns)
{
	int64_t kernel = ns + ns / 1000000 * fake.rate_ppm;

	__atomic_fetch_add(&fake.ticks, (uint64_t)ns, __ATOMIC_RELAXED);
	__atomic_fetch_add(&fake.utc_ns, kernel, __ATOMIC_RELAXED);
	__atomic_fetch_add(&fake.monotonic_ns, kernel, __ATOMIC_RELAXED);
}

/* Second by second, with the anchors that an exporter would take. */
static inline void live(int64_t seconds)
{
	while (seconds-- > 0) {
		advance(SECOND);
		rpcprof_clock_refresh();
	}
}

static inline void fake_init_at(uint64_t ticks)
{
	fake.ticks = ticks;
	fake.utc_ns = UTC_2026;
	fake.monotonic_ns = 5000 * SECOND;
	rpcprof_clock_set_source(&source);
	cr_assert_eq(rpcprof_clock_init(&state, RPCPROF_CLOCK_AUTO), 0);
}

static inline void fake_init(void)
{
	fake_init_at(1000000);
}

static inline uint64_t distance(int64_t a, int64_t b)
{
	return (uint64_t)(a > b ? a - b : b - a);
}

#endif
