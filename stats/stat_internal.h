/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_STAT_INTERNAL_H
#define RPCPROF_STAT_INTERNAL_H

#include "rpcprof/timer.h"
#include "stats/arena_internal.h"

_Static_assert(RPCPROF_CELL_BYTES_MAX == sizeof(struct rpcprof_cell) +
               RPCPROF_CELL_SLOTS * sizeof(struct rpcprof_timer_slot),
               "a handle can name every timer of a cell");

#define NO_SLOT UINT32_MAX

/* Lets the owner hand slots next .. limit - 1 to itself. One store for both words: a signal handler
 * that granted itself others meanwhile loses what is left of them, and no slot is given twice. */
static inline void rpcprof_grant(struct rpcprof_cell *cell, uint32_t next, uint32_t limit)
{
	typedef uint64_t __attribute__((may_alias)) both;
	both *own = (both *)&cell->own_next; /* little endian: next in the low half */

	rpcprof_store_relaxed(own, (uint64_t)limit << 32 | next);
}

/* timer.c: ends the open lap. There is one. */
void rpcprof_lap_close(struct rpcprof_cell *cell, uint64_t ticks);

/* fold.c: timers of a full cell. */
void rpcprof_fold_prepare(struct rpcprof_cell *cell, uint32_t generation);
uint32_t rpcprof_fold_slot(struct rpcprof_cell *cell, uint32_t generation, uint32_t tag);
void rpcprof_fold_add(struct rpcprof_cell *cell, uint32_t slot, uint64_t ticks);
uint64_t rpcprof_fold_count(struct rpcprof_cell *cell, uint32_t generation);
static inline bool rpcprof_slot_is_fold(uint32_t slot)
{
	return slot >= rpcprof_arena.capacity;
}

#endif
