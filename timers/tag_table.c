/* SPDX-License-Identifier: Apache-2.0 */
/* Limits to ranges to addresses. No shared words. */
#include "tag_table_internal.h"

#include <stdbool.h>

#define WORD ((uint32_t)sizeof(uint64_t))
#define ENTRIES_MAX (1u << 24)
#define BYTES_MAX (1u << 31)

static uint32_t bucket_count(uint32_t entries)
{
	uint32_t count = 2;

	while (count < 2 * entries)
		count *= 2;
	return count;
}

/* Word 0 names no record, and the last one stays 0: the end of any text. */
static size_t record_words(const struct rpcprof_tag_limits *limits)
{
	return (size_t)limits->bytes / WORD + 2;
}

/* Shares the limits out; false if they are not possible. */
static bool split(const struct rpcprof_tag_limits *limits,
                  struct rpcprof_tag_range kinds[RPCPROF_TAG_KINDS])
{
	const uint32_t all_words = limits->bytes / WORD;
	uint32_t entries = limits->entries, words = all_words;
	uint32_t id = 1, word = 1;

	if (entries == 0 || entries > ENTRIES_MAX || limits->bytes > BYTES_MAX)
		return false;
	for (int kind = RPCPROF_TAG_METHOD; kind < RPCPROF_TAG_KINDS; kind++) {
		struct rpcprof_tag_range *range = &kinds[kind];

		range->entries = limits->kind_entries[kind];
		if (range->entries > entries)
			return false;
		range->words = (uint32_t)((uint64_t)all_words * range->entries / limits->entries);
		entries -= range->entries;
		words -= range->words;
	}
	kinds[RPCPROF_TAG_STAGE].entries = entries;
	kinds[RPCPROF_TAG_STAGE].words = words;
	for (int kind = 0; kind < RPCPROF_TAG_KINDS; kind++) {
		kinds[kind].first_id = id;
		kinds[kind].first_word = word;
		id += kinds[kind].entries;
		word += kinds[kind].words;
	}
	return entries >= RPCPROF_TAG_FIXED && words >= RPCPROF_TAG_FIXED_BYTES / WORD;
}

size_t rpcprof_tags_bytes(const struct rpcprof_tag_limits *limits)
{
	struct rpcprof_tag_range kinds[RPCPROF_TAG_KINDS];
	size_t bytes;

	if (!split(limits, kinds))
		return 0;
	bytes = sizeof(struct rpcprof_tag_header) +
	        ((size_t)bucket_count(limits->entries) + record_words(limits)) * WORD +
	        ((size_t)limits->entries + 1) * sizeof(uint32_t);
	return (bytes + 127) / 128 * 128;
}

struct rpcprof_tag_header *rpcprof_tag_table_lay_out(struct rpcprof_tag_table *table, void *memory,
                                                     const struct rpcprof_tag_limits *limits)
{
	struct rpcprof_tag_header *header = memory;
	uint32_t buckets = bucket_count(limits->entries);

	if (!split(limits, table->kinds))
		return NULL;
	table->buckets = (uint64_t *)(header + 1);
	table->records = table->buckets + buckets;
	table->entries = (uint32_t *)(table->records + record_words(limits));
	table->bucket_mask = buckets - 1;
	table->ids = limits->entries + 1;
	return header;
}
