/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_ANCHORS_INTERNAL_H
#define RPCPROF_ANCHORS_INTERNAL_H

/*
 * Between clock.c (which counter), anchors.c (pairings, shared) and convert.c (arithmetic on a
 * private copy).
 *
 * A slope is nanoseconds per tick in units of 2^-54: exact to a nanosecond in a month at 5 GHz,
 * and in 64 bits for every counter over 1 MHz.
 */
#include "clock_internal.h"

#define RPCPROF_SLOPE_SHIFT 54
#define RPCPROF_SLOPE_ONE ((uint64_t)1 << RPCPROF_SLOPE_SHIFT)
#define RPCPROF_NS_PER_S 1000000000u

__extension__ typedef unsigned __int128 rpcprof_u128;

/* clock.c: one tick, in program order with the clock reads around it. */
uint64_t rpcprof_clock_ticks_ordered(uint32_t kind);

/* clock.c: how far a counter moves at once, in ticks, where that is longer than a read takes, so
 * that two reads in a row may be the same; else 0. Of a tick only the begin of its step is known. */
uint64_t rpcprof_clock_step_of(uint64_t (*read)(void));
/* clock.c: that of the clock in use. */
uint64_t rpcprof_clock_step(uint32_t kind);

/* anchors.c: the tightest of several brackets. */
void rpcprof_anchor_take(struct rpcprof_anchor *anchor, uint32_t kind, uint64_t slope);
/* anchors.c: from here on `state` is the process's. */
void rpcprof_anchors_publish(struct rpcprof_clock_state *state);
/* anchors.c: what rpcprof_anchors_publish() was given; NULL before. */
struct rpcprof_clock_state *rpcprof_anchors_state(void);

/* convert.c: 146 years at most. */
uint64_t rpcprof_ticks_to_ns(uint64_t ticks, uint64_t slope);
/* convert.c: the slope from a to b; 0 if there is none to be had. */
uint64_t rpcprof_slope_between(const struct rpcprof_anchor *a, const struct rpcprof_anchor *b);
/* convert.c: the error of that slope by the brackets, parts in 10^9. */
uint64_t rpcprof_slope_error_ppb(const struct rpcprof_anchor *a, const struct rpcprof_anchor *b);
/* convert.c: how far the wall clock was set between a and b; 0 if it was not. */
int64_t rpcprof_anchors_step_ns(const struct rpcprof_anchor *a, const struct rpcprof_anchor *b);
/* convert.c: fills in the slopes; `slope` where the anchors give none. */
void rpcprof_map_derive(struct rpcprof_clock_map *map, uint64_t slope, uint64_t error_ppb);

#endif
