/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_HISTOGRAM_INTERNAL_H
#define RPCPROF_HISTOGRAM_INTERNAL_H

/*
 * Log-linear histograms of nanoseconds: 64 buckets per octave, so a value is known to within
 * 1/128 of itself; below 64 exactly. Octaves are taken on first use from one pool.
 *
 * Not for two threads at once.
 */
#include <stdint.h>

#define RPCPROF_HISTOGRAM_BUCKETS 64
#define RPCPROF_HISTOGRAM_OCTAVES 59 /* 0..63 linear, then one for each power of two to 2^63 */
#define RPCPROF_OCTAVE_BYTES (RPCPROF_HISTOGRAM_BUCKETS * sizeof(uint64_t))

/* Octaves lie below `top`, the first highest. `floor` is where someone else's memory ends; who
 * shares the memory raises it, and looks at rpcprof_histogram_pool_end() before. */
struct rpcprof_histogram_pool {
	char *top; /* aligned to 8 */
	char *floor;
	uint32_t used; /* octaves */
};

/* All zero is an empty one. */
struct rpcprof_histogram {
	uint64_t count;  /* values recorded, the lost ones too */
	uint64_t sum;
	uint64_t max;
	uint64_t lost;   /* in count, sum and max, but in no bucket: the pool was empty */
	uint32_t octaves[RPCPROF_HISTOGRAM_OCTAVES]; /* 1 + number in the pool; 0 = never used */
};

/* The lowest byte in use by octaves. */
static inline char *rpcprof_histogram_pool_end(const struct rpcprof_histogram_pool *pool)
{
	return pool->top - pool->used * RPCPROF_OCTAVE_BYTES;
}

/* An octave for whatever its taker counts in it, all zero: its number, 0 when there is no room. */
uint32_t rpcprof_octave_take(struct rpcprof_histogram_pool *pool);
uint64_t *rpcprof_octave_at(const struct rpcprof_histogram_pool *pool, uint32_t number);

/* Records a value `times` times. */
void rpcprof_histogram_add(struct rpcprof_histogram_pool *pool,
                           struct rpcprof_histogram *histogram, uint64_t value, uint64_t times);

/* The value that a share (0..1) of the values recorded in buckets do not exceed, to within 1 %;
 * 0 if there are none. */
uint64_t rpcprof_histogram_quantile(const struct rpcprof_histogram_pool *pool,
                                    const struct rpcprof_histogram *histogram, double share);

/* Adds to counts[i] the values above bounds[i - 1] and not above bounds[i], a bound being known to
 * within 1 %; bounds ascend. Values above the last, and the lost ones, are added to none. */
void rpcprof_histogram_spread(const struct rpcprof_histogram_pool *pool,
                              const struct rpcprof_histogram *histogram, const uint64_t *bounds,
                              uint32_t bound_count, uint64_t *counts);

#endif
