/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a Stat: FREE or DONE -> LIVE (begin) -> DONE (last end: published) or FREE (discard).
 *
 * Invariants: seq only grows within a cell (by generation, then state) until the generation wraps
 * after 2^30 uses; a DONE cell does not change until its seq does; references carry the generation
 * in the same word, so retain, release and a double end are exact: a stale handle's CAS fails.
 * Wrap-around: a handle kept over exactly 2^30 uses of one cell would be taken for a fresh one; at
 * a million uses of the same cell a second that is 18 minutes of keeping a dead handle.
 */
#include "stats/stat_internal.h"

static uint32_t next_generation(const struct rpcprof_cell *cell)
{
	uint32_t generation = (uint32_t)(rpcprof_load_relaxed(&cell->seq) >> 2) + 1;

	/* First use, or wrapped: 0 would make a null word look like ours. */
	if (__builtin_expect(generation <= 1 || generation > GENERATION_MAX, 0))
		generation = rpcprof_control()->generation;
	return generation;
}

/* Fetches what a Stat of eight timers writes, some calls before the cell is used: else the locked
 * instructions at the end wait for the misses of all its stores. A hint may point anywhere in the
 * range of offsets; fetching does no harm there. */
static inline void prefetch_cell(uint64_t value)
{
	char *bytes = (char *)rpcprof_cell_of((uint32_t)value);

	__builtin_prefetch(bytes, 1);
	__builtin_prefetch(bytes + RPCPROF_CACHE_LINE, 1); /* method, status, connection */
	bytes += sizeof(struct rpcprof_cell);
	__builtin_prefetch(bytes, 1);
	__builtin_prefetch(bytes + RPCPROF_CACHE_LINE, 1);
	__builtin_prefetch(bytes + 2 * RPCPROF_CACHE_LINE, 1);
	__builtin_prefetch(bytes + 3 * RPCPROF_CACHE_LINE, 1);
}

static inline void cell_begin(struct rpcprof_cell *cell, uint64_t bits, uint32_t tag, uint64_t ticks)
{
	uint64_t generation = bits >> 32 << 32;
	uint32_t grant = rpcprof_arena.grant;

	/* relaxed, all of them: seq publishes them. */
	rpcprof_store_relaxed(&cell->refs, generation | 1);
	rpcprof_store_relaxed(&cell->slots, generation | grant);
	rpcprof_store_relaxed(&cell->begin, ticks);
	rpcprof_grant(cell, 0, grant);
	rpcprof_store_relaxed(&cell->open_lap, 0);
	rpcprof_store_relaxed(&cell->tag, tag);
	/* A thread not yet registered (a signal handler found it registering) has no short way. */
	rpcprof_store_relaxed(&cell->key, grant != 0 && rpcprof_thread.id != 0
	                                          ? bits ^ rpcprof_thread.id : 0);
}

/* A Stat in a cell that is the caller's. */
static inline struct rpcprof_stat begin_in(uint32_t unit, uint32_t tag, uint64_t ticks)
{
	struct rpcprof_cell *cell = rpcprof_cell_of(unit);
	struct rpcprof_stat stat;
	uint32_t generation;

	generation = next_generation(cell);
	stat.bits = rpcprof_word(generation, unit);
	rpcprof_store_relaxed(&cell->seq, rpcprof_seq(generation, RPCPROF_FREE));
	/* S1 release fence, pairs with V2: the old record's end before the new one's words, else a
	 * snapshot accepts a mixture. */
	rpcprof_fence_release();
	cell_begin(cell, stat.bits, tag, ticks);
	/* S2 release, pairs with A1 and V1: a live cell is complete, else a reader in flight takes
	 * words of the last generation for this one's. */
	rpcprof_store_release(&cell->seq, rpcprof_seq(generation, RPCPROF_LIVE));
	return stat;
}

/* The first record of a thread, a stash to refill, a clock that takes a call. */
static struct rpcprof_stat __attribute__((noinline, cold)) begin_slow(uint32_t tag, uint64_t ticks)
{
	struct rpcprof_stat stat = {0};
	uint32_t unit;

	if (rpcprof_thread.id == 0)
		rpcprof_thread_register();
	unit = rpcprof_cell_take();
	if (unit != 0)
		return begin_in(unit, tag, ticks != 0 ? ticks : rpcprof_clock_now());
	rpcprof_count(dropped_no_cell);
	return stat;
}

struct rpcprof_stat rpcprof_stat_begin_on(uint32_t tag, uint64_t ticks)
{
	struct rpcprof_stat stat = {0};
	uint32_t unit;

	/* E2 acquire, pairs with E1: all that init stored, else the arena may seem not to be there.
	 * Switched off meanwhile: as if it had been off before. */
	if (__builtin_expect(rpcprof_load_acquire(&rpcprof_control_page.head.enabled) == 0, 0))
		return stat;
	if (ticks == 0 && __builtin_expect(rpcprof_arena.grant == 0, 0))
		return begin_slow(tag, ticks);
	unit = rpcprof_stash_take();
	if (__builtin_expect(unit == 0, 0))
		return begin_slow(tag, ticks);
	return begin_in(unit, tag, ticks != 0 ? ticks : rpcprof_clock_raw());
}

/* Gives one reference back; true for the last one. *discarded says what the Stat has come to. */
static bool release(struct rpcprof_cell *cell, uint32_t generation, uint32_t discard,
                    bool *discarded)
{
	uint64_t refs = rpcprof_load_relaxed(&cell->refs);

	for (;;) {
		uint32_t count = (uint32_t)refs & ~REFS_DISCARDED;
		uint64_t left = (refs - 1) | discard;
		if (refs >> 32 != generation || count == 0) {
			rpcprof_count(late);
			return false;
		}
		/* R1 release and acquire, pairs with itself: what every holder stored before it let
		 * go is there for the last one, who publishes it. */
		if (rpcprof_cas_acq_rel(&cell->refs, &refs, left)) {
			*discarded = (left & REFS_DISCARDED) != 0;
			return count == 1;
		}
	}
}

static void publish(struct rpcprof_cell *cell, struct rpcprof_stat stat, uint64_t ticks)
{
	uint64_t displaced, next;

	if (rpcprof_load_relaxed(&cell->open_lap) != 0)
		rpcprof_lap_close(cell, ticks);
	rpcprof_store_relaxed(&cell->end, ticks);
	if (__builtin_expect((uint32_t)rpcprof_load_relaxed(&cell->slots) >=
	                     rpcprof_arena.capacity, 0))
		rpcprof_count_mine(folded,
		                   rpcprof_fold_count(cell, rpcprof_generation(stat)));
	/* S3 release, pairs with V1: all of the record before DONE, else a snapshot that finds the
	 * value in the ring by another way accepts half a Stat. */
	rpcprof_store_release(&cell->seq, rpcprof_seq(rpcprof_generation(stat), RPCPROF_DONE));
	rpcprof_count_mine(pushed, 1);
	displaced = rpcprof_buffer_push_peek(&rpcprof_map.fresh, stat.bits, &next);
	prefetch_cell(next);
	if (displaced == 0)
		return;
	rpcprof_count_mine(displaced, 1);
	if (rpcprof_load_relaxed(&rpcprof_control()->collecting) != 0)
		rpcprof_count_mine(unaggregated, 1);
	rpcprof_cell_give((uint32_t)displaced);
}

static void finish(struct rpcprof_stat stat, uint64_t ticks, uint32_t discard)
{
	struct rpcprof_cell *cell = rpcprof_cell_of(rpcprof_unit(stat));
	bool discarded = false;

	if (!release(cell, rpcprof_generation(stat), discard, &discarded))
		return;
	if (__builtin_expect(rpcprof_thread.id == 0, 0))
		rpcprof_thread_register(); /* ended by a thread that never began one */
	/* Closes the short way; the owner's id stays, for the timers that are its. */
	rpcprof_store_relaxed(&cell->key, rpcprof_load_relaxed(&cell->key) | KEY_CLOSED);
	if (!discarded) {
		publish(cell, stat, ticks);
		return;
	}
	rpcprof_count(discarded);
	/* relaxed: S1's fence comes before anything else is stored here */
	rpcprof_store_relaxed(&cell->seq, rpcprof_seq(rpcprof_generation(stat), RPCPROF_FREE));
	rpcprof_cell_give(rpcprof_unit(stat));
}

void rpcprof_stat_end_on(struct rpcprof_stat stat, uint64_t ticks)
{
	/* Before the locked instructions, each of which would wait for the read to retire. */
	finish(stat, ticks != 0 ? ticks : rpcprof_clock_now(), 0);
}

void rpcprof_stat_discard(struct rpcprof_stat stat)
{
	if (!rpcprof_stat_is_null(stat))
		finish(stat, 0, REFS_DISCARDED);
}

struct rpcprof_stat rpcprof_stat_retain(struct rpcprof_stat stat)
{
	const struct rpcprof_stat none = {0};
	struct rpcprof_cell *cell;
	uint64_t refs;

	if (rpcprof_stat_is_null(stat))
		return none;
	cell = rpcprof_cell_of(rpcprof_unit(stat));
	refs = rpcprof_load_relaxed(&cell->refs);
	do {
		if (refs >> 32 != rpcprof_generation(stat) || ((uint32_t)refs & ~REFS_DISCARDED) == 0) {
			rpcprof_count(late);
			return none;
		}
		/* relaxed: the new holder gets the handle, and with it all that came before, by
		 * whatever way it is handed over. */
	} while (!rpcprof_cas_relaxed(&cell->refs, &refs, refs + 1));
	return stat;
}
