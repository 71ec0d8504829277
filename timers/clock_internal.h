/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_CLOCK_INTERNAL_H
#define RPCPROF_CLOCK_INTERNAL_H

/* What stats/ and the tests need of the clock. (stats/ depends on timers/, never the reverse.) */
#include "rpcprof/clock.h"

/* Lies in the control page, so that an outsider can convert. All-zero is "not initialised". */
struct rpcprof_clock_state {
	uint32_t seq;   /* odd while an anchor is being stored: readers retry, writers give up */
	uint32_t count;
	uint32_t steps;
	uint32_t kind;
	uint64_t frequency_mhz_q32; /* see clock.c */
	uint64_t frequency_error_ppb;
	char reason[96];
	struct rpcprof_anchor anchors[RPCPROF_ANCHORS_MAX];
};

/* Where ticks and dates come from; tests put their own in its place before init. */
struct rpcprof_clock_source {
	uint64_t (*ticks)(void);
	int64_t (*utc_ns)(void);
	int64_t (*monotonic_ns)(void);
};

/* Before rpcprof_clock_init(); NULL for the machine's own. A source makes the kind CUSTOM. */
void rpcprof_clock_set_source(const struct rpcprof_clock_source *source);

/* Chooses the clock, measures its frequency, takes the first anchor. kind: what was asked for.
 * 0, or -EINVAL if that kind cannot be had here. Stores control head's clock_kind. */
int rpcprof_clock_init(struct rpcprof_clock_state *state, enum rpcprof_clock_kind kind);

/* Takes an anchor if the last one is about a second old. Never waits. */
void rpcprof_clock_refresh(void);

/* The dates by the same source as the anchors: for windows and ages. */
int64_t rpcprof_clock_utc_now_ns(void);
int64_t rpcprof_clock_monotonic_now_ns(void);

#endif
