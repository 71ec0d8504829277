/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_LOCK_H
#define RPCPROF_LOCK_H

/*
 * How long threads wait for locks.
 *
 *     if (pthread_mutex_trylock(&mutex) != 0) {
 *             struct rpcprof_lock_wait wait = RPCPROF_LOCK_BEGIN(stat, "/lock/cache");
 *             pthread_mutex_lock(&mutex);
 *             rpcprof_lock_end(wait);
 *     }
 *
 * In a call the wait is a timer of its Stat, so that dumps show it; outside of calls (the null
 * Stat) it is added to the sums of its tag, of which there is a fixed number. The profile "mutex"
 * (rpcprof_mutex_encode()) has both. Without the trylock it works too, and counts locks that were
 * free. In C++: rpcprof::TimedLock.
 */
#include "rpcprof/timer.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/** A wait for a lock, by value. All zero is none. */
struct rpcprof_lock_wait {
	uint64_t begin; /* ticks */
	uint64_t bits;  /* in a call as of its timer; else RPCPROF_OUTSIDE | times << 32 | tag */
};

/* A wait outside of calls. No handle of a timer has this bit. */
#define RPCPROF_OUTSIDE (UINT64_C(1) << 62)

/* 0 = off; else of so many waits one is taken, for so many. */
extern uint32_t rpcprof_lock_fraction;

/**
 * Of n waits for locks one is taken, at random, and counts for n; 1: all; 0: none, which is so at
 * the start. As runtime.SetMutexProfileFraction of Go.
 *
 * While the global switch is off, waits outside of calls are not taken either.
 *
 * @param n  at most 2^30 - 1, which stands for all above; less than 0: only asks
 * @return   what it was before; -ENODEV before rpcprof_init()
 *
 * Threads:  any
 * Progress: wait-free; allocates: never
 */
int64_t rpcprof_set_mutex_fraction(int64_t n);

struct rpcprof_lock_wait rpcprof_lock_begin_on(struct rpcprof_stat stat, uint32_t tag);
void rpcprof_lock_end_on(struct rpcprof_lock_wait wait);

static inline bool rpcprof_locks_are_on_(void)
{
	/* relaxed: guards nothing, as the switch */
	return __builtin_expect(__atomic_load_n(&rpcprof_lock_fraction, __ATOMIC_RELAXED) != 0, 0);
}

static inline struct rpcprof_lock_wait rpcprof_lock_none_(void)
{
	struct rpcprof_lock_wait none;
	none.begin = 0;
	none.bits = 0;
	return none;
}

/**
 * The thread begins to wait for a lock.
 *
 * @param stat  the call that waits; the null Stat: none does
 * @param tag   names the lock, or the place: RPCPROF_TAG("/lock/cache"). From then on all timers
 *              of that tag are waits for locks. "(other)" stands for tags beyond 256 that are
 *              waited for outside of calls
 * @return      the wait; none while off, and for those not taken
 *
 * Threads:  any; of a Stat, as rpcprof_timer_begin()
 * Progress: lock-free; allocates: never
 */
static inline struct rpcprof_lock_wait rpcprof_lock_begin(struct rpcprof_stat stat, uint32_t tag)
{
	if (!rpcprof_locks_are_on_())
		return rpcprof_lock_none_();
	return rpcprof_lock_begin_on(stat, tag);
}

/**
 * The thread has the lock, or has given up. Once for each wait.
 *
 * Threads:  as rpcprof_timer_end()
 * Progress: lock-free; allocates: never
 */
static inline void rpcprof_lock_end(struct rpcprof_lock_wait wait)
{
	if (wait.bits != 0)
		rpcprof_lock_end_on(wait);
}

/** RPCPROF_LOCK_BEGIN(stat, "/lock/cache"): looks the tag up only while waits are taken. */
#define RPCPROF_LOCK_BEGIN(stat, literal)                                                      \
	__extension__({                                                                        \
		struct rpcprof_stat rpcprof_stat_ = (stat);                                    \
		rpcprof_locks_are_on_()                                                        \
			? rpcprof_lock_begin_on(rpcprof_stat_, RPCPROF_TAG(literal))           \
			: rpcprof_lock_none_();                                                \
	})

/** The waits for one lock outside of calls, since rpcprof_init(). */
struct rpcprof_lock_view {
	uint32_t tag; /* RPCPROF_TAG_OTHER: of all that found no place of their own */
	uint32_t reserved;
	uint64_t count;
	uint64_t delay_ns;
};

/** Receives one lock; 0 to go on, anything else to stop. */
typedef int rpcprof_lock_fn(void *arg, const struct rpcprof_lock_view *lock);

/**
 * Delivers the locks that were waited for outside of calls.
 *
 * @return  how many were delivered; -ENODEV before rpcprof_init()
 *
 * Threads:  any; each number exact, all of them together when nobody waits meanwhile
 * Progress: wait-free; allocates: never
 */
int64_t rpcprof_lock_walk(rpcprof_lock_fn *fn, void *arg);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
