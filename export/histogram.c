/* SPDX-License-Identifier: Apache-2.0 */
#include "export/histogram_internal.h"

#include <stddef.h>

#define BUCKET_BITS 6 /* log2 of RPCPROF_HISTOGRAM_BUCKETS */

uint64_t *rpcprof_octave_at(const struct rpcprof_histogram_pool *pool, uint32_t number)
{
	return (uint64_t *)(void *)(pool->top - number * RPCPROF_OCTAVE_BYTES);
}

/* Memory below the top is zero until an octave takes it. */
uint32_t rpcprof_octave_take(struct rpcprof_histogram_pool *pool)
{
	if ((size_t)(rpcprof_histogram_pool_end(pool) - pool->floor) < RPCPROF_OCTAVE_BYTES)
		return 0;
	return ++pool->used;
}

static uint64_t *octave_get(struct rpcprof_histogram_pool *pool, uint32_t *number)
{
	if (*number == 0)
		*number = rpcprof_octave_take(pool);
	return *number != 0 ? rpcprof_octave_at(pool, *number) : NULL;
}

void rpcprof_histogram_add(struct rpcprof_histogram_pool *pool,
                           struct rpcprof_histogram *histogram, uint64_t value, uint64_t times)
{
	uint32_t octave = 0;
	uint64_t *buckets;

	histogram->count += times;
	histogram->sum += value * times;
	if (times != 0 && value > histogram->max)
		histogram->max = value;
	if (value >= RPCPROF_HISTOGRAM_BUCKETS)
		octave = 64 - BUCKET_BITS - (uint32_t)__builtin_clzll(value);
	buckets = octave_get(pool, &histogram->octaves[octave]);
	if (buckets == NULL) {
		histogram->lost += times;
		return;
	}
	if (octave > 0)
		value >>= octave - 1;
	buckets[value % RPCPROF_HISTOGRAM_BUCKETS] += times;
}

/* The middle of a bucket. */
static uint64_t bucket_value(uint32_t octave, uint32_t bucket)
{
	uint32_t shift = octave - 1;

	if (octave == 0)
		return bucket;
	return ((uint64_t)(RPCPROF_HISTOGRAM_BUCKETS + bucket) << shift) + (1ull << shift) / 2;
}

uint64_t rpcprof_histogram_quantile(const struct rpcprof_histogram_pool *pool,
                                    const struct rpcprof_histogram *histogram, double share)
{
	uint64_t known = histogram->count - histogram->lost;
	uint64_t rank = (uint64_t)(share * (double)known);
	uint64_t seen = 0, value = 0;

	if ((double)rank < share * (double)known || rank == 0)
		rank++;
	for (uint32_t o = 0; o < RPCPROF_HISTOGRAM_OCTAVES; o++) {
		const uint64_t *buckets = rpcprof_octave_at(pool, histogram->octaves[o]);

		for (uint32_t b = 0; histogram->octaves[o] != 0 && b < RPCPROF_HISTOGRAM_BUCKETS;
		     b++) {
			if (buckets[b] == 0)
				continue;
			value = bucket_value(o, b);
			seen += buckets[b];
			if (seen >= rank)
				return value < histogram->max ? value : histogram->max;
		}
	}
	return value;
}

/* A bucket goes where its middle does. */
void rpcprof_histogram_spread(const struct rpcprof_histogram_pool *pool,
                              const struct rpcprof_histogram *histogram, const uint64_t *bounds,
                              uint32_t bound_count, uint64_t *counts)
{
	uint32_t i = 0;

	for (uint32_t o = 0; o < RPCPROF_HISTOGRAM_OCTAVES; o++) {
		const uint64_t *buckets = rpcprof_octave_at(pool, histogram->octaves[o]);

		for (uint32_t b = 0; histogram->octaves[o] != 0 && b < RPCPROF_HISTOGRAM_BUCKETS;
		     b++) {
			while (i < bound_count && bounds[i] < bucket_value(o, b))
				i++;
			if (i == bound_count)
				return;
			counts[i] += buckets[b];
		}
	}
}
