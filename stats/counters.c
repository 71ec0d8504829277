/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sums of what threads and the arena counted.
 */
#include <errno.h>
#include <string.h>

#include "stats/read_internal.h"

static void add_threads(struct rpcprof_counters *sums)
{
	for (uint32_t i = 0; i <= THREAD_SLOTS; i++) {
		const struct rpcprof_thread_counters *slot = &rpcprof_map.shared->thread[i];
		sums->pushed += rpcprof_load_relaxed(&slot->pushed);
		sums->displaced += rpcprof_load_relaxed(&slot->displaced);
		sums->unaggregated += rpcprof_load_relaxed(&slot->unaggregated);
		sums->folded += rpcprof_load_relaxed(&slot->folded);
	}
}

int rpcprof_counters_get(struct rpcprof_counters *counters)
{
	const struct rpcprof_shared_counters *shared;
	struct rpcprof_tag_totals tags;
	struct rpcprof_counters sums;

	if (!rpcprof_started())
		return -ENODEV;
	memset(&sums, 0, sizeof(sums));
	add_threads(&sums);
	shared = &rpcprof_map.shared->counters;
	sums.drained = rpcprof_load_relaxed(&shared->drained);
	sums.collected = rpcprof_load_relaxed(&shared->collected);
	sums.discarded = rpcprof_load_relaxed(&shared->discarded);
	sums.dropped_no_cell = rpcprof_load_relaxed(&shared->dropped_no_cell);
	sums.dropped_timers = rpcprof_load_relaxed(&shared->dropped_timers);
	sums.late = rpcprof_load_relaxed(&shared->late);
	sums.double_ends = rpcprof_load_relaxed(&shared->double_ends);
	sums.torn = rpcprof_load_relaxed(&shared->torn);
	sums.negative = rpcprof_load_relaxed(&shared->negative);
	rpcprof_tags_totals(&tags);
	memcpy(sums.tag_overflow, tags.overflow, sizeof(sums.tag_overflow));
	sums.tags_cut = tags.cut;
	sums.tags = tags.entries;
	sums.tag_bytes = tags.bytes;
	*counters = sums;
	return 0;
}

static int count_one(void *arg, uint64_t value)
{
	(void)value;
	++*(uint64_t *)arg;
	return 0;
}

uint64_t rpcprof_collect_backlog(void)
{
	uint64_t waiting = 0;

	if (rpcprof_started())
		(void)rpcprof_buffer_walk(&rpcprof_map.fresh, count_one, &waiting);
	return waiting;
}
