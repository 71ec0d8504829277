/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a view says of its Stat, where that is more than a load.
 */
#include <string.h>

#include "stats/read_internal.h"

/* Below capacity no accumulator was prepared, or none used: its stamp may be old. */
static bool may_have_folded(const struct rpcprof_view *view)
{
	return view->slots >= rpcprof_arena.capacity;
}

bool rpcprof_view_fold(const struct rpcprof_view *view, uint32_t i, struct rpcprof_fold_view *out)
{
	const struct rpcprof_timer_slot *slot;

	if (i >= RPCPROF_ACCUMULATORS || !may_have_folded(view))
		return false;
	slot = &rpcprof_cell_timers(view->cell)[rpcprof_arena.capacity + i];
	/* In flight, a timer may be there before the claim of its accumulator is seen: no tag yet. */
	if (slot->stamp >> 32 != view->generation || (uint32_t)slot->stamp == 0 || slot->thread == 0)
		return false;
	out->tag = (uint32_t)slot->stamp;
	out->count = slot->thread;
	out->total_ticks = slot->begin;
	out->longest_ticks = slot->end;
	return true;
}

uint64_t rpcprof_view_folded(const struct rpcprof_view *view)
{
	struct rpcprof_fold_view fold;
	uint64_t count = 0;

	for (uint32_t i = 0; may_have_folded(view) && i < RPCPROF_ACCUMULATORS; i++)
		if (rpcprof_view_fold(view, i, &fold))
			count += fold.count;
	return count;
}

bool rpcprof_view_label(const struct rpcprof_view *view, uint32_t i, uint32_t *key, uint32_t *value)
{
	if (!rpcprof_view_has(view, RPCPROF_HAS_LABELS) || i >= (uint32_t)view->cell->label_word)
		return false;
	*key = (uint32_t)(view->cell->labels[i] >> 32);
	*value = (uint32_t)view->cell->labels[i];
	return true;
}

const uint8_t *rpcprof_view_metadata(const struct rpcprof_view *view, size_t *bytes)
{
	*bytes = rpcprof_view_has(view, RPCPROF_HAS_METADATA)
	                 ? (uint32_t)view->cell->metadata_word : 0;
	return (const uint8_t *)view->cell->metadata;
}

bool rpcprof_view_connection(const struct rpcprof_view *view, uint64_t *connection,
                             uint32_t *number)
{
	size_t bytes;
	const uint8_t *data = rpcprof_view_metadata(view, &bytes);

	if (bytes != 12)
		return false;
	*connection = 0;
	*number = 0;
	for (size_t i = 0; i < 8; i++)
		*connection = *connection << 8 | data[i];
	for (size_t i = 8; i < 12; i++)
		*number = *number << 8 | data[i];
	return true;
}

bool rpcprof_view_trace(const struct rpcprof_view *view, uint8_t trace_id[16], uint8_t span_id[8])
{
	if (!rpcprof_view_has(view, RPCPROF_HAS_TRACE))
		return false;
	memcpy(trace_id, view->cell->trace_id, 16);
	memcpy(span_id, &view->cell->span_id, 8);
	return true;
}

uint32_t rpcprof_view_open_stage(const struct rpcprof_view *view)
{
	struct rpcprof_timer_view timer;
	uint64_t latest = 0;
	uint32_t tag = 0;

	for (uint32_t i = 0; i < view->slots; i++) {
		if (!rpcprof_view_timer(view, i, &timer) || timer.end != 0 || timer.begin < latest)
			continue;
		latest = timer.begin;
		tag = timer.tag;
	}
	return tag;
}
