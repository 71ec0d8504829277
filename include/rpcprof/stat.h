/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_STAT_H
#define RPCPROF_STAT_H

/*
 * A Stat: one call on one side.
 *
 * Begin it, add timers (timer.h) and attributes, end it. The handle is a value; the null Stat,
 * which rpcprof_stat_begin() gives while the switch is off, is accepted everywhere and costs a
 * test of a register.
 *
 * The thread that has the handle uses it. To use a Stat from two threads at once, each needs a
 * reference: rpcprof_stat_retain() before handing it over, rpcprof_stat_end() by each. Handing the
 * one reference on (begin here, end there) needs nothing.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rpcprof/control.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/** A reference to a Stat, by value. All zero is the null Stat. */
struct rpcprof_stat {
	uint64_t bits; /* generation << 32 | RPCPROF_CELL_SLOTS * cell */
};

/** Whether a handle is the null Stat: nothing will be recorded through it. */
static inline bool rpcprof_stat_is_null(struct rpcprof_stat stat)
{
	return stat.bits == 0;
}

/* The way of stat_begin when the switch is on. */
struct rpcprof_stat rpcprof_stat_begin_on(uint32_t tag, uint64_t ticks);

static inline struct rpcprof_stat rpcprof_stat_none_(void)
{
	struct rpcprof_stat none;
	none.bits = 0;
	return none;
}

/**
 * A new Stat that begins now, with one reference.
 *
 * @param tag  RPCPROF_TAG_SERVER, RPCPROF_TAG_CLIENT, or a tag of your own
 * @return     the Stat; the null Stat while the switch is off, and, counted (dropped_no_cell),
 *             when max_in_flight Stats are unfinished
 *
 * Threads:  any, also in a signal handler of a prepared thread (rpcprof_thread_prepare())
 * Progress: lock-free; allocates: at most once per thread, on its first record
 */
static inline struct rpcprof_stat rpcprof_stat_begin(uint32_t tag)
{
	if (!rpcprof_enabled())
		return rpcprof_stat_none_();
	return rpcprof_stat_begin_on(tag, 0);
}

/**
 * As rpcprof_stat_begin(), but begins at a tick that you have: one clock read can serve a Stat
 * and its first timer.
 *
 * @param ticks  from rpcprof_clock_now()
 */
static inline struct rpcprof_stat rpcprof_stat_begin_at(uint32_t tag, uint64_t ticks)
{
	if (!rpcprof_enabled())
		return rpcprof_stat_none_();
	return rpcprof_stat_begin_on(tag, ticks);
}

/* The way of stat_end for a Stat that is not null. ticks 0 = now. */
void rpcprof_stat_end_on(struct rpcprof_stat stat, uint64_t ticks);

/**
 * Gives one reference back. The last one ends the Stat now, closes its open lap and publishes it.
 *
 * Timers still open stay open: dumps show them so, profiles close them at the Stat's end.
 *
 * Threads:  any holder of a reference, also in a signal handler of a prepared thread
 * Progress: lock-free; allocates: never, but once on a thread's first record
 */
static inline void rpcprof_stat_end(struct rpcprof_stat stat)
{
	if (!rpcprof_stat_is_null(stat))
		rpcprof_stat_end_on(stat, 0);
}

/** As rpcprof_stat_end(), but ends at a tick that you have. */
static inline void rpcprof_stat_end_at(struct rpcprof_stat stat, uint64_t ticks)
{
	if (!rpcprof_stat_is_null(stat))
		rpcprof_stat_end_on(stat, ticks);
}

/**
 * One more reference, for another thread.
 *
 * @return  the same handle; the null Stat if the Stat had ended (counted: late)
 *
 * Threads:  a holder of a reference
 * Progress: lock-free; allocates: never
 */
struct rpcprof_stat rpcprof_stat_retain(struct rpcprof_stat stat);

/**
 * Forgets a Stat: as rpcprof_stat_end(), but the last reference recycles it unpublished.
 *
 * Once any holder has discarded, the Stat will not be published. Counted (discarded).
 *
 * Threads:  any holder of a reference
 * Progress: lock-free; allocates: never
 */
void rpcprof_stat_discard(struct rpcprof_stat stat);

/**
 * Sets the method, "/package.Service/Method", as a tag of kind RPCPROF_TAG_METHOD.
 *
 * Attributes may be set at any time between begin and end, each by one thread; the last value
 * counts. On a Stat that has ended they are counted (late) and dropped.
 *
 * Threads:  any holder of a reference
 * Progress: lock-free; allocates: never
 */
void rpcprof_stat_set_method(struct rpcprof_stat stat, uint32_t method);

/** Sets the status: a gRPC code 0..16, or any number of the user's protocol. As set_method. */
void rpcprof_stat_set_status(struct rpcprof_stat stat, int32_t status);

/**
 * Sets the metadata: by convention 8 bytes connection id then 4 bytes stream id, big endian.
 *
 * As set_method.
 *
 * @param bytes  at most RPCPROF_METADATA_MAX; more is cut
 */
void rpcprof_stat_set_metadata(struct rpcprof_stat stat, const void *data, size_t bytes);

/** The 12 conventional bytes of metadata. As set_metadata. */
void rpcprof_stat_set_connection(struct rpcprof_stat stat, uint64_t connection, uint32_t number);

/** Sets the W3C trace context. As set_method. */
void rpcprof_stat_set_trace(struct rpcprof_stat stat, const uint8_t trace_id[16],
                            const uint8_t span_id[8]);

/**
 * Sets a label: a key and a value, interned (RPCPROF_TAG_LABEL).
 *
 * Setting a key again replaces its value. As set_method.
 *
 * @return  0; -ENOSPC if RPCPROF_LABELS_MAX other keys are set; -ESTALE if the Stat had ended
 */
int rpcprof_stat_set_label(struct rpcprof_stat stat, uint32_t key, uint32_t value);

/** RPCPROF_STAT_BEGIN("server"): looks the tag up only when the switch is on. */
#define RPCPROF_STAT_BEGIN(literal)                                                            \
	(rpcprof_enabled() ? rpcprof_stat_begin_on(RPCPROF_TAG(literal), 0)                    \
	                   : rpcprof_stat_none_())

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
