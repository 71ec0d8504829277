/* SPDX-License-Identifier: Apache-2.0 */
#include "export/aggregate_internal.h"

#include <errno.h>
#include <string.h>

/* The finaliser of MurmurHash3: every bit of the key moves every bit of the result. */
static uint64_t mix(uint64_t key)
{
	key ^= key >> 33;
	key *= 0xff51afd7ed558ccdull;
	key ^= key >> 33;
	key *= 0xc4ceb9fe1a85ec53ull;
	return key ^ key >> 33;
}

static uint64_t child_hash(uint32_t parent, uint32_t tag)
{
	return mix((uint64_t)parent << 32 | tag);
}

static uint64_t side_hash(const struct rpcprof_series_labels *labels)
{
	uint64_t hash = mix((uint64_t)labels->side << 32 | labels->method);

	hash = mix(hash ^ ((uint64_t)labels->has_status << 32 | (uint32_t)labels->status));
	for (uint32_t i = 0; i < RPCPROF_LABELS_MAX; i++)
		hash = mix(hash ^ labels->values[i]);
	return hash;
}

static bool same_labels(const struct rpcprof_series_labels *a,
                        const struct rpcprof_series_labels *b)
{
	return memcmp(a, b, sizeof(*a)) == 0; /* all words of 32 bits: no padding */
}

/* Whether a series is a method whose calls may end with any status. */
static bool has_statuses(const struct rpcprof_aggregate *aggregate, uint32_t parent)
{
	const struct rpcprof_series *side;

	if (parent == RPCPROF_SERIES_NONE)
		return false;
	side = &aggregate->series[parent];
	return side->depth == 0 && !side->labels.has_status;
}

/* The next series, not yet in any bucket; NULL when series and octaves would meet, or buckets get
 * more than 3/4 full. */
static struct rpcprof_series *series_new(struct rpcprof_aggregate *aggregate, uint32_t parent,
                                         uint32_t tag)
{
	uint32_t number = aggregate->totals.series;
	struct rpcprof_series *series = &aggregate->series[number];
	bool statuses = has_statuses(aggregate, parent);
	size_t needed = sizeof(*series) + (statuses ? RPCPROF_OCTAVE_BYTES : 0);

	if (needed > (size_t)(rpcprof_histogram_pool_end(&aggregate->pool) - (char *)series) ||
	    number >= aggregate->bucket_mask / 4 * 3)
		return NULL;
	aggregate->pool.floor = (char *)(series + 1);
	aggregate->totals.series++;
	series->parent = parent;
	series->tag = tag;
	if (parent != RPCPROF_SERIES_NONE)
		series->depth = aggregate->series[parent].depth + 1;
	if (statuses)
		series->statuses = rpcprof_octave_take(&aggregate->pool);
	return series;
}

uint32_t rpcprof_series_child(struct rpcprof_aggregate *aggregate, uint32_t parent, uint32_t tag)
{
	uint64_t hash = child_hash(parent, tag);
	uint32_t *bucket = &aggregate->buckets[hash & aggregate->bucket_mask];

	for (; *bucket != 0; bucket = &aggregate->buckets[++hash & aggregate->bucket_mask]) {
		const struct rpcprof_series *series = &aggregate->series[*bucket - 1];

		if (series->parent == parent && series->tag == tag)
			return *bucket - 1;
	}
	if (series_new(aggregate, parent, tag) == NULL)
		return RPCPROF_SERIES_NONE;
	*bucket = aggregate->totals.series;
	return *bucket - 1;
}

uint32_t rpcprof_series_side(struct rpcprof_aggregate *aggregate,
                             const struct rpcprof_series_labels *labels)
{
	uint64_t hash = side_hash(labels);
	uint32_t *bucket = &aggregate->buckets[hash & aggregate->bucket_mask];
	struct rpcprof_series *series;

	for (; *bucket != 0; bucket = &aggregate->buckets[++hash & aggregate->bucket_mask]) {
		series = &aggregate->series[*bucket - 1];
		if (series->parent == RPCPROF_SERIES_NONE && same_labels(&series->labels, labels))
			return *bucket - 1;
	}
	series = series_new(aggregate, RPCPROF_SERIES_NONE, labels->side);
	if (series == NULL)
		return RPCPROF_SERIES_NONE;
	series->labels = *labels;
	*bucket = aggregate->totals.series;
	return *bucket - 1;
}

/* Where calls go that find no room: made while there is. Series 0 is the side "(other)", 1 its
 * method "(other)"; then the same for the two sides that all have. */
static const uint32_t other_sides[] = {RPCPROF_TAG_OTHER, RPCPROF_TAG_CLIENT,
                                       RPCPROF_TAG_SERVER};

int rpcprof_series_make_other(struct rpcprof_aggregate *aggregate)
{
	for (uint32_t i = 0; i < sizeof(other_sides) / sizeof(other_sides[0]); i++) {
		struct rpcprof_series_labels labels = {.side = other_sides[i]};
		uint32_t side;

		if (aggregate->options.by_method)
			labels.method = RPCPROF_TAG_OTHER;
		side = rpcprof_series_side(aggregate, &labels);
		if (side == RPCPROF_SERIES_NONE ||
		    rpcprof_series_child(aggregate, side, RPCPROF_TAG_OTHER) ==
			    RPCPROF_SERIES_NONE)
			return -ENOMEM;
	}
	return 0;
}

static uint32_t other_method(const struct rpcprof_aggregate *aggregate, uint32_t side)
{
	for (uint32_t i = 1; i < sizeof(other_sides) / sizeof(other_sides[0]); i++)
		if (aggregate->series[2 * i].tag == side)
			return 2 * i + 1;
	return 1;
}

uint32_t rpcprof_series_method(struct rpcprof_aggregate *aggregate,
                               const struct rpcprof_series_labels *labels, uint32_t method)
{
	uint32_t side = aggregate->last_side;
	uint32_t series = RPCPROF_SERIES_NONE;

	/* Most calls are of the side and labels of the one before. */
	if (!same_labels(&aggregate->series[side].labels, labels))
		side = rpcprof_series_side(aggregate, labels);
	if (side != RPCPROF_SERIES_NONE)
		series = rpcprof_series_child(aggregate, side, method);
	if (series == RPCPROF_SERIES_NONE) {
		aggregate->totals.overflow++;
		series = other_method(aggregate, labels->side);
		side = aggregate->series[series].parent;
	}
	aggregate->last_side = side;
	if (!aggregate->series[side].calls_below) {
		aggregate->series[side].calls_below = 1;
		aggregate->totals.label_sets++;
	}
	return series;
}
