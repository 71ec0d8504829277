/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_STAT_INTERNAL_H
#define RPCPROF_STAT_INTERNAL_H

#include "rpcprof/timer.h"
#include "stats/arena_internal.h"

/* Slots that the owner of a Stat gets at its begin; none where there is no short way to fill them
 * by. The claim of the first slot after them is one thread's: it prepares the accumulators. */
static inline uint32_t rpcprof_first_grant(void)
{
	if (rpcprof_load_relaxed(&rpcprof_control_page.head.clock_kind) != RPCPROF_CLOCK_RAW)
		return 0;
	return rpcprof_arena.capacity > GRANT_FIRST ? GRANT_FIRST : rpcprof_arena.capacity - 1;
}

/* timer.c: ends the open lap, if any, of a Stat whose last reference is going. */
void rpcprof_lap_close(struct rpcprof_cell *cell, uint64_t ticks);

/* fold.c: timers of a full cell. */
void rpcprof_fold_prepare(struct rpcprof_cell *cell, uint32_t generation);
uint32_t rpcprof_fold_slot(struct rpcprof_cell *cell, uint32_t generation, uint32_t tag);
void rpcprof_fold_add(struct rpcprof_cell *cell, uint32_t slot, uint64_t ticks);
static inline bool rpcprof_slot_is_fold(uint32_t slot)
{
	return slot >= rpcprof_arena.capacity;
}

#endif
