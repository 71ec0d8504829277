/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_CLOCK_INTERNAL_H
#define RPCPROF_CLOCK_INTERNAL_H

/* What stats/ and the tests need of the clock. (stats/ depends on timers/, never the reverse.) */
#include "rpcprof/clock.h"

/* Lies in the control page, so that an outsider can convert. All-zero is "not initialised". */
struct rpcprof_clock_state {
	uint32_t seq;   /* odd while an anchor is being stored: readers retry, writers give up */
	uint32_t count; /* anchors in use, oldest first */
	uint32_t steps; /* of the wall clock, since init */
	uint32_t kind;  /* enum rpcprof_clock_kind in use */
	uint64_t slope; /* ns per tick since init, in 2^-54; one word, so good without seq */
	uint64_t slope_error_ppb;
	char reason[96];
	struct rpcprof_anchor anchors[RPCPROF_ANCHORS_MAX];
};

/* Where ticks and dates come from; tests put their own in its place before init. */
struct rpcprof_clock_source {
	uint64_t (*ticks)(void);
	int64_t (*utc_ns)(void);
	int64_t (*monotonic_ns)(void);
	uint64_t ticks_per_second; /* over 1 MHz; 0 for 10^9. A custom source is not measured */
};

/* Before rpcprof_clock_init(); NULL for the machine's own. A source makes the kind CUSTOM,
 * whatever kind is asked for. */
void rpcprof_clock_set_source(const struct rpcprof_clock_source *source);

/* Chooses the clock, measures its frequency, takes the first anchor. kind: what was asked for.
 * 0, or -EINVAL if that kind cannot be had here. Stores control head's clock_kind. */
int rpcprof_clock_init(struct rpcprof_clock_state *state, enum rpcprof_clock_kind kind);

/* Takes an anchor if the last one is about a second old (less in the first second). Never waits. */
void rpcprof_clock_refresh(void);

/* In a forked child, before it has a second thread: undoes an anchor that a thread of the parent
 * was storing at the fork. Async-signal-safe. */
void rpcprof_clock_after_fork(void);

/* How long so many ticks last, by the slope since init. */
uint64_t rpcprof_clock_lasted_ns(uint64_t ticks);

/* The dates by the same source as the anchors: for windows and ages. */
int64_t rpcprof_clock_utc_now_ns(void);
int64_t rpcprof_clock_monotonic_now_ns(void);

/* The parts of the choice of a machine's clock. The kind, with a reason, or -EINVAL if that kind
 * cannot be had here. `available` is a list separated by blanks. */
int rpcprof_clock_choose(enum rpcprof_clock_kind asked, char reason[96]);
bool rpcprof_clock_kernel_trusts_tsc(const char *current, const char *available);

#endif
