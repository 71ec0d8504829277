/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

#include "export/histogram_internal.h"

#define OCTAVES 64

static uint64_t memory[OCTAVES * RPCPROF_HISTOGRAM_BUCKETS];
static struct rpcprof_histogram_pool pool;
static struct rpcprof_histogram histogram;

static void reset(uint32_t octaves)
{
	memset(memory, 0, sizeof(memory));
	memset(&histogram, 0, sizeof(histogram));
	pool.floor = (char *)memory;
	pool.top = (char *)memory + octaves * RPCPROF_OCTAVE_BYTES;
	pool.used = 0;
}

Test(histogram, one_value_is_known_to_one_percent_at_any_size)
{
	for (uint32_t bit = 0; bit < 64; bit++) {
		for (uint32_t i = 0; i < 200; i++) {
			uint64_t value = (1ull << bit) + ((uint64_t)rand() << 32 | (uint64_t)rand()) %
			                                         (1ull << bit);
			uint64_t got, error;

			reset(OCTAVES);
			rpcprof_histogram_add(&pool, &histogram, value, 1);
			/* A larger one, so that the maximum does not correct the answer. */
			rpcprof_histogram_add(&pool, &histogram, UINT64_MAX, 1);
			got = rpcprof_histogram_quantile(&pool, &histogram, 0.5);
			error = got > value ? got - value : value - got;
			cr_assert(error <= value / 100, "%lu for %lu", got, value);
		}
	}
}

Test(histogram, values_below_64_are_exact)
{
	for (uint64_t value = 0; value < 64; value++) {
		reset(OCTAVES);
		rpcprof_histogram_add(&pool, &histogram, value, 1);
		rpcprof_histogram_add(&pool, &histogram, 1000, 1);
		cr_assert_eq(rpcprof_histogram_quantile(&pool, &histogram, 0.5), value);
	}
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

Test(histogram, quantiles_are_those_of_the_sorted_values)
{
	static const double shares[] = {0.0, 0.01, 0.5, 0.9, 0.99, 0.999, 1.0};
	static uint64_t values[5000];
	uint64_t total = 0;

	reset(OCTAVES);
	for (size_t i = 0; i < 5000; i++) {
		values[i] = (uint64_t)rand() >> rand() % 30;
		total += values[i];
		rpcprof_histogram_add(&pool, &histogram, values[i], 1);
	}
	qsort(values, 5000, sizeof(values[0]), by_value);
	for (size_t i = 0; i < 7; i++) {
		size_t rank = (size_t)(shares[i] * 5000 + 0.999999);
		uint64_t exact = values[rank > 0 ? rank - 1 : 0];
		uint64_t got = rpcprof_histogram_quantile(&pool, &histogram, shares[i]);

		cr_assert(got >= exact - exact / 100 && got <= exact + exact / 100,
		          "share %f: %lu for %lu", shares[i], got, exact);
	}
	cr_assert_eq(histogram.count, 5000);
	cr_assert_eq(histogram.sum, total);
	cr_assert_eq(histogram.max, values[4999]);
}

Test(histogram, a_value_counts_as_often_as_it_was)
{
	reset(OCTAVES);
	rpcprof_histogram_add(&pool, &histogram, 10, 90);
	rpcprof_histogram_add(&pool, &histogram, 50, 10);
	cr_assert_eq(histogram.count, 100);
	cr_assert_eq(histogram.sum, 1400);
	cr_assert_eq(rpcprof_histogram_quantile(&pool, &histogram, 0.9), 10);
	cr_assert_eq(rpcprof_histogram_quantile(&pool, &histogram, 0.91), 50);
}

Test(histogram, octaves_are_taken_when_first_used)
{
	reset(OCTAVES);
	rpcprof_histogram_add(&pool, &histogram, 1000, 1);
	rpcprof_histogram_add(&pool, &histogram, 1001, 1);
	cr_assert_eq(pool.used, 1);
	rpcprof_histogram_add(&pool, &histogram, 5000, 1);
	cr_assert_eq(pool.used, 2);
}

Test(histogram, what_finds_the_pool_empty_is_counted_and_summed)
{
	reset(1);
	rpcprof_histogram_add(&pool, &histogram, 1000, 2);
	rpcprof_histogram_add(&pool, &histogram, 5000, 3);
	cr_assert_eq(histogram.count, 5);
	cr_assert_eq(histogram.lost, 3);
	cr_assert_eq(histogram.sum, 17000);
	cr_assert_eq(histogram.max, 5000);
	cr_assert_eq(memory[RPCPROF_HISTOGRAM_BUCKETS], 0, "it wrote below the floor");
	cr_assert_lt(rpcprof_histogram_quantile(&pool, &histogram, 1.0), 1010);
}

Test(histogram, an_empty_one_says_zero)
{
	reset(1);
	cr_assert_eq(rpcprof_histogram_quantile(&pool, &histogram, 0.99), 0);
}

Test(histogram, values_are_spread_over_bounds_known_to_one_percent)
{
	static const uint64_t bounds[] = {50, 1000, 100000, 30000000, 1ull << 40};
	uint64_t counts[5] = {0}, below = 0;
	uint64_t values[2000];

	reset(OCTAVES);
	for (int i = 0; i < 2000; i++) {
		values[i] = (uint64_t)rand() << (rand() % 14) >> (rand() % 28);
		rpcprof_histogram_add(&pool, &histogram, values[i], 1);
	}
	rpcprof_histogram_spread(&pool, &histogram, bounds, 5, counts);
	for (int b = 0; b < 5; b++) {
		uint64_t least = 0, most = 0;

		for (int i = 0; i < 2000; i++) {
			least += values[i] <= bounds[b] - bounds[b] / 100;
			most += values[i] <= bounds[b] + bounds[b] / 100;
		}
		below += counts[b];
		cr_assert(least <= below && below <= most, "%lu at %lu", below, bounds[b]);
	}
}
