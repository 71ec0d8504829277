/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_CLOCK_H
#define RPCPROF_CLOCK_H

/*
 * Ticks on the hot path, nanoseconds at read time.
 *
 * A tick is whatever the cheapest trustworthy counter counts; it means nothing outside this
 * process. struct rpcprof_clock_map turns ticks into nanoseconds: durations by the monotonic
 * clock, dates by UTC, each with a bound on its error.
 */
#include <stdbool.h>
#include <stdint.h>

#include "rpcprof/layout.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/** Which counter a tick is. AUTO is a request, never an answer. */
enum rpcprof_clock_kind {
	RPCPROF_CLOCK_AUTO = 0,
	RPCPROF_CLOCK_RAW = 1,       /* rdtsc on x86, cntvct_el0 on aarch64 */
	RPCPROF_CLOCK_MONOTONIC = 2, /* clock_gettime(CLOCK_MONOTONIC), nanoseconds */
	RPCPROF_CLOCK_CUSTOM = 3     /* a source set by a test */
};

/**
 * Reads the raw counter without asking whether it may be trusted. Use rpcprof_clock_now().
 *
 * 0 means "open" in a timer: one that ends at the single tick where the counter passes 0, once in
 * a hundred years, shows as open.
 */
static inline uint64_t rpcprof_clock_raw(void)
{
#if defined(__x86_64__)
	uint32_t low, high;
	__asm__ __volatile__("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
#elif defined(__aarch64__)
	uint64_t ticks;
	__asm__ __volatile__("mrs %0, cntvct_el0" : "=r"(ticks));
	return ticks;
#else
	return 1; /* rpcprof_clock_kind() never says RAW here */
#endif
}

/* The way of every clock that is not raw; also before init, when it reads CLOCK_MONOTONIC. */
uint64_t rpcprof_clock_now_slow(void);

/**
 * Now, in ticks.
 *
 * Threads:  any, also in a signal handler
 * Progress: wait-free; allocates: never
 * Units:    ticks; comparable within this process since rpcprof_init()
 */
static inline uint64_t rpcprof_clock_now(void)
{
	/* relaxed: set once by init before recording is possible; a stale 0 takes the slow way */
	if (__builtin_expect(__atomic_load_n(&rpcprof_control_page.head.clock_kind,
	                                     __ATOMIC_RELAXED) == RPCPROF_CLOCK_RAW, 1))
		return rpcprof_clock_raw();
	return rpcprof_clock_now_slow();
}

/** What the clock turned out to be. */
struct rpcprof_clock_info {
	enum rpcprof_clock_kind kind;
	double ticks_per_second;
	double frequency_error_ppm; /* its bound: some tens at init, less with each anchor */
	char reason[96];            /* why this kind: a sentence for people */
};

/**
 * Which clock is in use and why.
 *
 * @return  0, or -ENODEV before rpcprof_init(); *info untouched then
 *
 * Threads:  any
 * Progress: wait-free; allocates: never
 */
int rpcprof_clock_get_info(struct rpcprof_clock_info *info);

/** One pairing of the clocks, taken in a tick-clock-tick bracket. */
struct rpcprof_anchor {
	uint64_t ticks;
	int64_t utc_ns;
	int64_t monotonic_ns;
	uint64_t bracket_ns; /* how far apart the two tick reads were: bounds the pairing's error */
};

#define RPCPROF_ANCHORS_MAX 32

/** A copy of the anchors, by which a reader converts. Valid for ever, best for recent ticks. */
struct rpcprof_clock_map {
	uint32_t count; /* anchors in use, oldest first */
	uint32_t steps; /* wall-clock steps seen since init */
	double ticks_per_second;
	double frequency_error_ppm;
	struct rpcprof_anchor anchors[RPCPROF_ANCHORS_MAX];
	/* Nanoseconds per tick from anchor i to the next, in units of 2^-54; the last: from there
	 * on. Across a wall-clock step the UTC slope is the monotonic one. */
	uint64_t slopes[RPCPROF_ANCHORS_MAX];
	uint64_t utc_slopes[RPCPROF_ANCHORS_MAX];
};

/**
 * Takes an anchor, if the last is about a second old, and copies all anchors into *map.
 *
 * Call it once per dump or window, then convert any number of ticks with it. A reader that meets
 * a writer asleep in the middle of storing an anchor does not wait for it: its map has one
 * anchor, taken then, and the slope of the whole time since init.
 *
 * @return  0, or -ENODEV before rpcprof_init()
 *
 * Threads:  any
 * Progress: wait-free; in a crowd of callers one stores an anchor; allocates: never
 */
int rpcprof_clock_map_get(struct rpcprof_clock_map *map);

/**
 * A duration in nanoseconds, with one slope for all of one Stat.
 *
 * @param map    from rpcprof_clock_map_get()
 * @param origin the Stat's begin, in ticks; picks the slope
 * @param ticks  any tick of that Stat
 * @return       nanoseconds of monotonic time from origin to ticks; 0 if ticks is before origin.
 *               Never falls as ticks grows
 *
 * Threads:  any
 * Progress: wait-free; allocates: never
 */
uint64_t rpcprof_clock_elapsed_ns(const struct rpcprof_clock_map *map, uint64_t origin,
                                  uint64_t ticks);

/**
 * The UTC date of a tick.
 *
 * Never interpolates across a step of the wall clock: a tick between two anchors with a step
 * between them is dated from the earlier one, and the step is part of its error.
 *
 * @param error_ns  may be NULL; else the bound of the error, from the width of the anchors'
 *                  brackets and from the changes of rate that they show. It takes for granted
 *                  that the kernel changes the rate of its clock at most once in three anchors; a
 *                  slew that begins after the last one shows only in a later map
 * @return          nanoseconds since 1970-01-01T00:00:00Z
 *
 * Threads:  any
 * Progress: wait-free; allocates: never
 */
int64_t rpcprof_clock_utc_ns(const struct rpcprof_clock_map *map, uint64_t ticks,
                             uint64_t *error_ns);

/**
 * The first tick at which a UTC date was or will be: the inverse of rpcprof_clock_utc_ns().
 *
 * A date that was twice, the wall clock having stepped back, gives the later tick; one that never
 * was, the clock having stepped over it, gives the first anchor after the step.
 *
 * Threads:  any
 * Progress: wait-free; allocates: never
 */
uint64_t rpcprof_clock_ticks_at(const struct rpcprof_clock_map *map, int64_t utc_ns);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
