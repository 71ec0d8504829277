/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_READ_INTERNAL_H
#define RPCPROF_READ_INTERNAL_H

#include "rpcprof/view.h"
#include "stats/arena_internal.h"

#define READ_BATCH 8 /* values looked up together */

#define LINE_OF_FEW offsetof(struct rpcprof_cell, trace_word) /* attributes that some calls have */

/* Fetches what a reader reads of a Stat of eight timers; a copy has to ask for the attributes of few. */
static inline void rpcprof_cell_fetch(uint64_t value, bool for_copy)
{
	const char *cell = (const char *)rpcprof_cell_of((uint32_t)value);

	for (size_t line = 0; line < sizeof(struct rpcprof_cell) + 256; line += RPCPROF_CACHE_LINE)
		if (for_copy || line != LINE_OF_FEW)
			__builtin_prefetch(cell + line, 0);
}

/* Fills in a view of a cell that does not change, or of a private copy of one. */
static inline void rpcprof_view_of(struct rpcprof_view *view, const struct rpcprof_cell *cell,
                                   uint64_t value)
{
	uint32_t slots = (uint32_t)rpcprof_load_relaxed(&cell->slots);

	view->cell = cell;
	view->generation = (uint32_t)(value >> 32);
	view->slots = slots < rpcprof_arena.capacity ? slots : rpcprof_arena.capacity;
	view->id = value;
}

/* copy.. of a cell while others may write to it; false if it was not, all the while, in `state`
 * of `generation`. */
bool rpcprof_cell_copy(struct rpcprof_cell *copy, const struct rpcprof_cell *cell,
                       uint32_t generation, enum rpcprof_cell_state state);

bool rpcprof_filter_accepts(const struct rpcprof_filter *filter, const struct rpcprof_view *view,
                            uint64_t min_ticks, uint64_t now);

#endif
