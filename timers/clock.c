/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the counter that was chosen (choice.c), and how fast it counts.
 *
 * Invariants: the kind, its reason and a custom source are written by rpcprof_clock_init() only,
 * before the kind is published in the control page (C1), and never change after. No tick is 0.
 *
 * Wrap-around: ticks are compared by signed difference, so a counter that passes 2^64 converts
 * like any other, as long as no two ticks that meet lie 2^63 apart (58 years at 5 GHz). The value
 * 0 is read as 1.
 */
#include "clock_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "anchors_internal.h"
#include "atomic_internal.h"

#define MEASURE_NS 2000000
#define MEASURE_MAX_NS 20000000
#define MEASURE_GOOD_PPB 100000
#define STEP_READS 256

static const struct rpcprof_clock_source *custom;
static uint64_t raw_step; /* set by init, as the kind is */

static int64_t machine_ns(clockid_t id)
{
	struct timespec now;

	clock_gettime(id, &now);
	return (int64_t)now.tv_sec * RPCPROF_NS_PER_S + now.tv_nsec;
}

void rpcprof_clock_set_source(const struct rpcprof_clock_source *source)
{
	rpcprof_store_relaxed(&custom, source); /* relaxed: C1 orders it */
}

int64_t rpcprof_clock_utc_now_ns(void)
{
	const struct rpcprof_clock_source *source = rpcprof_load_relaxed(&custom);

	return source ? source->utc_ns() : machine_ns(CLOCK_REALTIME);
}

int64_t rpcprof_clock_monotonic_now_ns(void)
{
	const struct rpcprof_clock_source *source = rpcprof_load_relaxed(&custom);

	return source ? source->monotonic_ns() : machine_ns(CLOCK_MONOTONIC);
}

static uint64_t read_ticks(uint32_t kind)
{
	uint64_t ticks;

	if (kind == RPCPROF_CLOCK_RAW)
		return rpcprof_clock_raw();
	if (kind == RPCPROF_CLOCK_CUSTOM)
		ticks = rpcprof_load_relaxed(&custom)->ticks();
	else
		ticks = (uint64_t)machine_ns(CLOCK_MONOTONIC);
	return ticks + (ticks == 0);
}

uint64_t rpcprof_clock_now_slow(void)
{
	/* C2 acquire, pairs with C1: who sees CUSTOM sees its source, else a jump to nowhere. */
	return read_ticks(rpcprof_load_acquire(&rpcprof_control_page.head.clock_kind));
}

/* Neither rdtsc nor cntvct waits for the instructions before it, nor they for it. */
static void order_instructions(void)
{
#if defined(__x86_64__)
	__asm__ __volatile__("lfence" ::: "memory");
#elif defined(__aarch64__)
	__asm__ __volatile__("isb" ::: "memory");
#endif
}

uint64_t rpcprof_clock_ticks_ordered(uint32_t kind)
{
	uint64_t ticks;

	order_instructions();
	ticks = read_ticks(kind);
	order_instructions();
	return ticks;
}

uint64_t rpcprof_clock_step_of(uint64_t (*read)(void))
{
	uint64_t last = read(), least = UINT64_MAX;
	bool stands = false;

	for (int i = 0; i < STEP_READS; i++) {
		uint64_t next = read(), moved = next - last;

		stands |= moved == 0;
		if (moved != 0 && moved < least)
			least = moved;
		last = next;
	}
	/* one more, for a step need not be whole ticks */
	return stands && least != UINT64_MAX ? least + 1 : 0;
}

uint64_t rpcprof_clock_step(uint32_t kind)
{
	return kind == RPCPROF_CLOCK_RAW ? raw_step : 0;
}

static void sleep_ns(int64_t ns)
{
	struct timespec time = { .tv_sec = 0, .tv_nsec = ns > 0 ? ns : 0 };

	nanosleep(&time, NULL); /* cut short by a signal: the caller looks at the clock */
}

/* Both ends of the measurement stay as anchors. False: the counter does not count as it should. */
static bool measure(struct rpcprof_clock_state *state)
{
	struct rpcprof_anchor *a = &state->anchors[0], *b = &state->anchors[1];
	int64_t past = 0;

	raw_step = rpcprof_clock_step_of(rpcprof_clock_raw);
	rpcprof_anchor_take(a, state->kind, RPCPROF_SLOPE_ONE);
	do {
		sleep_ns(MEASURE_NS - past);
		rpcprof_anchor_take(b, state->kind, RPCPROF_SLOPE_ONE);
		past = b->monotonic_ns - a->monotonic_ns;
		state->slope = rpcprof_slope_between(a, b);
		/* the brackets are in ticks until here */
		state->slope_error_ppb = rpcprof_ticks_to_ns(rpcprof_slope_error_ppb(a, b),
		                                             state->slope) + 1;
	} while (past < MEASURE_NS ||
	         (state->slope_error_ppb > MEASURE_GOOD_PPB && past < MEASURE_MAX_NS));
	a->bracket_ns = rpcprof_ticks_to_ns(a->bracket_ns, state->slope) + 1;
	b->bracket_ns = rpcprof_ticks_to_ns(b->bracket_ns, state->slope) + 1;
	state->count = 2;
	return state->slope != 0;
}

/* A clock whose frequency is known. */
static void start(struct rpcprof_clock_state *state, uint64_t ticks_per_second)
{
	state->slope = (uint64_t)(((rpcprof_u128)RPCPROF_NS_PER_S << RPCPROF_SLOPE_SHIFT) /
	                          ticks_per_second);
	state->slope_error_ppb = 0;
	rpcprof_anchor_take(&state->anchors[0], state->kind, state->slope);
	state->count = 1;
}

static int choose_custom(char reason[96])
{
	snprintf(reason, 96, "A source was set by the program.");
	return RPCPROF_CLOCK_CUSTOM;
}

int rpcprof_clock_init(struct rpcprof_clock_state *state, enum rpcprof_clock_kind asked)
{
	struct rpcprof_clock_state fresh = { 0 };
	int kind = rpcprof_load_relaxed(&custom) ? choose_custom(fresh.reason)
	                                         : rpcprof_clock_choose(asked, fresh.reason);

	if (kind < 0)
		return kind;
	fresh.kind = (uint32_t)kind;
	if (kind == RPCPROF_CLOCK_CUSTOM) {
		start(&fresh, custom->ticks_per_second ? custom->ticks_per_second
		                                       : RPCPROF_NS_PER_S);
	} else if (kind == RPCPROF_CLOCK_RAW && !measure(&fresh)) {
		if (asked == RPCPROF_CLOCK_RAW)
			return -EINVAL;
		fresh.kind = RPCPROF_CLOCK_MONOTONIC;
		snprintf(fresh.reason, sizeof(fresh.reason),
		         "CLOCK_MONOTONIC, because the raw counter does not count steadily.");
	}
	if (fresh.kind == RPCPROF_CLOCK_MONOTONIC)
		start(&fresh, RPCPROF_NS_PER_S);
	*state = fresh;
	rpcprof_anchors_publish(state);
	/* C1 release, pairs with C2: the custom source before the kind that makes use of it. */
	rpcprof_store_release(&rpcprof_control_page.head.clock_kind, fresh.kind);
	return 0;
}

int rpcprof_clock_get_info(struct rpcprof_clock_info *info)
{
	const struct rpcprof_clock_state *state = rpcprof_anchors_state();

	if (!state)
		return -ENODEV;
	info->kind = (enum rpcprof_clock_kind)state->kind;
	/* relaxed: each is a word of its own, and any value it had is a good one */
	info->ticks_per_second = (double)RPCPROF_SLOPE_ONE * RPCPROF_NS_PER_S /
	                         (double)rpcprof_load_relaxed(&state->slope);
	info->frequency_error_ppm = (double)rpcprof_load_relaxed(&state->slope_error_ppb) / 1000;
	memcpy(info->reason, state->reason, sizeof(info->reason));
	return 0;
}

uint64_t rpcprof_clock_lasted_ns(uint64_t ticks)
{
	const struct rpcprof_clock_state *state = rpcprof_anchors_state();

	/* relaxed: any slope it had is a good one */
	return state ? rpcprof_ticks_to_ns(ticks, rpcprof_load_relaxed(&state->slope)) : 0;
}
