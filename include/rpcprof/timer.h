/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_TIMER_H
#define RPCPROF_TIMER_H

/*
 * Timers: the stages of a Stat.
 *
 * A timer may nest in, overlap or outlast another, begin on one thread and end on another, and be
 * left open. When a cell is full further timers fold into one accumulator per tag: no time is
 * lost, only the single begin and end. (Of a folded timer never ended nothing is known, and that
 * one was ended twice is not noticed.)
 *
 * The short way of begin, end and lap is inlined: the thread that began the Stat, raw clock. All
 * else takes a call.
 */
#include "rpcprof/stat.h"

#if defined(__SANITIZE_THREAD__)
#define RPCPROF_TSAN_ 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RPCPROF_TSAN_ 1
#endif
#endif

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/** A running timer, by value. All zero is the null timer. */
struct rpcprof_timer {
	uint64_t begin; /* ticks */
	uint64_t bits;  /* the Stat's + slot; with RPCPROF_FOLDED for one that went into an
	                 * accumulator */
};

struct rpcprof_timer rpcprof_timer_begin_slow(struct rpcprof_stat stat, uint32_t tag,
                                              uint64_t ticks);
/* The words of a timer one by one, as above: begin and bits. */
uint64_t rpcprof_timer_end_slow(uint64_t begin, uint64_t bits, uint64_t ticks);
void rpcprof_lap_slow(struct rpcprof_stat stat, uint32_t tag, uint64_t ticks);

static inline struct rpcprof_timer rpcprof_timer_none_(void)
{
	struct rpcprof_timer none;
	none.begin = 0;
	none.bits = 0;
	return none;
}

/* The cell that the low half of a Stat's handle names. */
static inline struct rpcprof_cell *rpcprof_cell_at_(uint64_t bits)
{
	return (struct rpcprof_cell *)(void *)(rpcprof_arena.cells +
	                                       (uint32_t)bits * rpcprof_arena.scale);
}

/* Whether the calling thread may take the short way: it began the Stat, which is live, and the
 * clock is raw. relaxed: only this thread stores a key that matches it. */
static inline bool rpcprof_cell_is_mine_(const struct rpcprof_cell *cell, uint64_t bits)
{
	return __builtin_expect(__atomic_load_n(&cell->key, __ATOMIC_RELAXED) ==
	                        (bits ^ rpcprof_thread.id), 1);
}

/* Takes the next slot of the owner's grant; false if the grant is used up. One instruction without
 * a lock prefix: no other thread touches the word, and a signal handler of this thread that comes
 * between gets a slot of its own. The limit is read before, so that a grant that such a handler
 * gets is never taken for ours. */
static inline bool rpcprof_own_slot_(struct rpcprof_cell *cell, uint32_t *slot)
{
	uint32_t limit = __atomic_load_n(&cell->own_limit, __ATOMIC_RELAXED);
	uint32_t next = 1;
#if defined(__x86_64__) && !defined(RPCPROF_TSAN_)
	__asm__ __volatile__("xaddl %0, %1" : "+r"(next), "+m"(cell->own_next), "+r"(limit));
#else
	next = __atomic_fetch_add(&cell->own_next, next, __ATOMIC_RELAXED);
#endif
	*slot = next;
	return __builtin_expect(next < limit, 1);
}

/* Fills a slot for the owner, whose id the Stat holds. */
static inline void rpcprof_slot_fill_(struct rpcprof_timer_slot *slot, uint64_t bits, uint32_t tag,
                                      uint64_t ticks)
{
	__atomic_store_n(&slot->begin, ticks, __ATOMIC_RELAXED);
	__atomic_store_n(&slot->end, (uint64_t)0, __ATOMIC_RELAXED);
	/* T1 release, pairs with V4 (readers of Stats in flight): a stamped timer is complete. */
	__atomic_store_n(&slot->stamp, bits + (RPCPROF_BY_OWNER | tag), __ATOMIC_RELEASE);
}

/* ticks 0 = now. The two words of the result are kept apart until the end: gcc packs a struct that
 * several ways lead to into a vector register. */
static inline struct rpcprof_timer rpcprof_timer_begin_(struct rpcprof_stat stat, uint32_t tag,
                                                        uint64_t ticks)
{
	struct rpcprof_timer timer, slow;
	uint64_t begin = 0, bits = 0;
	struct rpcprof_cell *cell;
	uint32_t slot;

	if (!rpcprof_stat_is_null(stat)) {
		cell = rpcprof_cell_at_(stat.bits);
		if (rpcprof_cell_is_mine_(cell, stat.bits) && rpcprof_own_slot_(cell, &slot)) {
			begin = ticks != 0 ? ticks : rpcprof_clock_raw();
			bits = stat.bits + slot;
			rpcprof_slot_fill_(&rpcprof_cell_timers(cell)[slot], stat.bits, tag,
			                   begin);
		} else {
			slow = rpcprof_timer_begin_slow(stat, tag, ticks);
			begin = slow.begin;
			bits = slow.bits;
		}
	}
	timer.begin = begin;
	timer.bits = bits;
	return timer;
}

/**
 * A stage of the call begins now.
 *
 * @param tag  RPCPROF_TAG("/decode")
 * @return     the timer; the null timer for the null Stat and, counted (late), for one that ended
 *
 * Threads:  any holder of a reference to the Stat, also in a signal handler of a prepared thread
 * Progress: lock-free; allocates: never
 */
static inline struct rpcprof_timer rpcprof_timer_begin(struct rpcprof_stat stat, uint32_t tag)
{
	return rpcprof_timer_begin_(stat, tag, 0);
}

/** As rpcprof_timer_begin(), but begins at a tick that you have. */
static inline struct rpcprof_timer rpcprof_timer_begin_at(struct rpcprof_stat stat, uint32_t tag,
                                                          uint64_t ticks)
{
	return rpcprof_timer_begin_(stat, tag, ticks);
}

/**
 * The stage ends now.
 *
 * @return  the tick at which it ended: good for rpcprof_stat_end_at() or the next begin; 0 if it
 *          did not end now: the null timer, one ended before or too late
 *
 * Threads:  any holder of a reference to the Stat; each timer by one
 * Progress: lock-free; allocates: never
 * Errors:   ended before: counted (double_ends); its Stat has ended: counted (late)
 */
static inline uint64_t rpcprof_timer_end(struct rpcprof_timer timer)
{
	struct rpcprof_timer_slot *slot;
	struct rpcprof_cell *cell;
	uint64_t bits, ticks;

	if (timer.bits == 0)
		return 0;
	bits = timer.bits & ~(uint64_t)(RPCPROF_CELL_SLOTS - 1);
	cell = rpcprof_cell_at_(bits);
	slot = &rpcprof_cell_timers(cell)[timer.bits & (RPCPROF_CELL_SLOTS - 1)];
	if (!rpcprof_cell_is_mine_(cell, bits) ||
	    __builtin_expect(__atomic_load_n(&slot->end, __ATOMIC_RELAXED) != 0, 0))
		return rpcprof_timer_end_slow(timer.begin, timer.bits, 0);
	ticks = rpcprof_clock_raw();
	/* relaxed: whoever reads it later has it from the publication of the Stat; an in-flight
	 * reader takes 0 for "open". */
	__atomic_store_n(&slot->end, ticks, __ATOMIC_RELAXED);
	return ticks;
}

/** As rpcprof_timer_end(), but ends at a tick that you have. */
static inline void rpcprof_timer_end_at(struct rpcprof_timer timer, uint64_t ticks)
{
	if (timer.bits != 0)
		(void)rpcprof_timer_end_slow(timer.begin, timer.bits, ticks);
}

/* ticks 0 = now */
static inline void rpcprof_lap_(struct rpcprof_stat stat, uint32_t tag, uint64_t ticks)
{
	struct rpcprof_timer_slot *timers;
	struct rpcprof_cell *cell;
	uint32_t slot, open;

	if (rpcprof_stat_is_null(stat))
		return;
	cell = rpcprof_cell_at_(stat.bits);
	open = __atomic_load_n(&cell->open_lap, __ATOMIC_RELAXED);
	if (__builtin_expect(tag == RPCPROF_TAG_NONE || open > rpcprof_arena.capacity, 0) ||
	    !rpcprof_cell_is_mine_(cell, stat.bits) || !rpcprof_own_slot_(cell, &slot)) {
		rpcprof_lap_slow(stat, tag, ticks);
		return;
	}
	timers = rpcprof_cell_timers(cell);
	ticks = ticks != 0 ? ticks : rpcprof_clock_raw();
	__atomic_store_n(&cell->open_lap, slot + 1, __ATOMIC_RELAXED);
	if (open != 0)
		__atomic_store_n(&timers[open - 1].end, ticks, __ATOMIC_RELAXED);
	rpcprof_slot_fill_(&timers[slot], stat.bits, tag, ticks);
}

/**
 * One clock read ends the open lap and begins the next.
 *
 * For calls whose stages follow one another. rpcprof_stat_end() closes the last lap.
 *
 * @param tag  the next stage; RPCPROF_TAG_NONE to end the open lap only
 *
 * Threads:  any holder of a reference to the Stat, one at a time
 * Progress: lock-free; allocates: never
 */
static inline void rpcprof_lap(struct rpcprof_stat stat, uint32_t tag)
{
	rpcprof_lap_(stat, tag, 0);
}

/** As rpcprof_lap(), but at a tick that you have. */
static inline void rpcprof_lap_at(struct rpcprof_stat stat, uint32_t tag, uint64_t ticks)
{
	rpcprof_lap_(stat, tag, ticks);
}

/** A stage timed before its Stat is known: by value, the caller's. */
struct rpcprof_detached_timer {
	uint64_t begin; /* ticks; 0 = the switch was off */
	uint64_t end;   /* ticks; 0 = open */
	uint32_t tag;
	uint32_t thread; /* kernel thread id that began it */
};

/**
 * A stage begins that will be appended to a Stat later.
 *
 * Threads:  any
 * Progress: wait-free; allocates: never
 */
struct rpcprof_detached_timer rpcprof_detached_timer_begin(uint32_t tag);

/** The detached stage ends now. One begun while the switch was off stays null. */
void rpcprof_detached_timer_end(struct rpcprof_detached_timer *timer);

/**
 * Adds a finished, or still open, detached timer to a Stat.
 *
 * @param timer  copied; a null one is ignored. Its ticks may lie before the Stat's begin, or come
 *               from elsewhere: a timer with explicit begin and end is one filled in by hand
 *
 * Threads:  any holder of a reference to the Stat
 * Progress: lock-free; allocates: never
 */
void rpcprof_stat_append(struct rpcprof_stat stat, const struct rpcprof_detached_timer *timer);

/* A stage of this thread whose both ends are known: nobody else could end it, so it is not begun
 * first, which would take a CAS to end it. */
static inline void rpcprof_timer_add_(struct rpcprof_stat stat, uint32_t tag, uint64_t begin,
                                      uint64_t end)
{
	struct rpcprof_detached_timer timer;

	if (__builtin_expect(rpcprof_thread.id == 0, 0))
		rpcprof_thread_prepare();
	timer.begin = begin;
	timer.end = end;
	timer.tag = tag;
	timer.thread = (uint32_t)rpcprof_thread.id;
	rpcprof_stat_append(stat, &timer);
}

/** RPCPROF_TIMER_BEGIN(stat, "/decode"): looks the tag up only for a Stat that is not null. */
#define RPCPROF_TIMER_BEGIN(stat, literal)                                                     \
	__extension__({                                                                        \
		struct rpcprof_stat rpcprof_stat_ = (stat);                                    \
		rpcprof_stat_is_null(rpcprof_stat_)                                            \
			? rpcprof_timer_none_()                                                \
			: rpcprof_timer_begin(rpcprof_stat_, RPCPROF_TAG(literal));            \
	})

/** RPCPROF_LAP(stat, "/decode"): as RPCPROF_TIMER_BEGIN, for laps. */
#define RPCPROF_LAP(stat, literal)                                                             \
	__extension__({                                                                        \
		struct rpcprof_stat rpcprof_stat_ = (stat);                                    \
		if (!rpcprof_stat_is_null(rpcprof_stat_))                                      \
			rpcprof_lap(rpcprof_stat_, RPCPROF_TAG(literal));                      \
	})

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
