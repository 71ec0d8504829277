/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Timers, the long way: other threads than the owner, clocks that are not raw, full cells, ends
 * that come late or twice.
 *
 * Slots are claimed by CAS on a word that carries the generation, so a stale handle claims none.
 * The owner claims several at a time and hands them to itself without one (own_next, own_limit).
 * A slot claimed and never stamped is skipped by readers.
 */
#include "stats/stat_internal.h"

#define SLOT_MASK (RPCPROF_CELL_SLOTS - UINT64_C(1)) /* of the handle of a timer */

/* Claims up to `want` slots; the first one, or NO_SLOT when the cell is full or has moved on. */
static uint32_t slots_claim(struct rpcprof_cell *cell, uint32_t generation, uint32_t want,
                            uint32_t *got)
{
	uint64_t slots = rpcprof_load_relaxed(&cell->slots);

	for (;;) {
		uint32_t first = (uint32_t)slots;
		uint32_t room = rpcprof_arena.capacity - first;
		*got = want < room ? want : room;
		if (slots >> 32 != generation || *got == 0)
			return NO_SLOT;
		/* relaxed: gives slots, publishes nothing; stamps do (T1). */
		if (!rpcprof_cas_relaxed(&cell->slots, &slots, slots + *got))
			continue;
		if (first == rpcprof_arena.grant)
			rpcprof_fold_prepare(cell, generation);
		return first;
	}
}

/* One slot for a timer: the owner gets a grant, others a single one; when the cell is full, the
 * tag's accumulator; NO_SLOT if there is none. */
static uint32_t slot_find(struct rpcprof_cell *cell, struct rpcprof_stat stat, uint32_t tag)
{
	bool mine = rpcprof_cell_is_mine_(cell, stat.bits);
	uint32_t generation = rpcprof_generation(stat);
	uint32_t got, slot;

	if (mine && rpcprof_own_slot_(cell, &slot))
		return slot;
	slot = slots_claim(cell, generation, mine ? GRANT_NEXT : 1, &got);
	/* No limit, no slot: own_next may then wrap, after 2^32 timers that fold. */
	if (slot == NO_SLOT && mine)
		rpcprof_grant(cell, 0, 0);
	if (slot == NO_SLOT)
		return rpcprof_fold_slot(cell, generation, tag);
	if (mine)
		rpcprof_grant(cell, slot + 1, slot + got);
	return slot;
}

static void slot_fill(struct rpcprof_cell *cell, uint32_t i, struct rpcprof_stat stat,
                      const struct rpcprof_detached_timer *timer)
{
	struct rpcprof_timer_slot *slot = &rpcprof_cell_timers(cell)[i];

	rpcprof_store_relaxed(&slot->begin, timer->begin);
	rpcprof_store_relaxed(&slot->end, timer->end);
	rpcprof_store_relaxed(&slot->thread, (uint64_t)timer->thread);
	/* T1 release, as in rpcprof_slot_fill_(). */
	rpcprof_store_release(&slot->stamp, stat.bits + timer->tag);
}

struct rpcprof_timer rpcprof_timer_begin_slow(struct rpcprof_stat stat, uint32_t tag,
                                              uint64_t ticks)
{
	struct rpcprof_cell *cell = rpcprof_cell_of(rpcprof_unit(stat));
	struct rpcprof_timer timer = rpcprof_timer_none_();
	uint32_t slot;

	if (!rpcprof_cell_is_live(cell, rpcprof_generation(stat))) {
		rpcprof_count(late);
		return timer;
	}
	rpcprof_thread_prepare();
	slot = slot_find(cell, stat, tag);
	if (slot == NO_SLOT)
		return timer;
	timer.begin = ticks != 0 ? ticks : rpcprof_clock_now();
	timer.bits = stat.bits + slot;
	if (rpcprof_slot_is_fold(slot))
		timer.bits |= RPCPROF_FOLDED; /* matches no key: its end comes the long way too */
	else
		slot_fill(cell, slot, stat, &(struct rpcprof_detached_timer){
			.begin = timer.begin, .tag = tag, .thread = (uint32_t)rpcprof_thread.id});
	return timer;
}

static uint64_t elapsed(uint64_t begin, uint64_t end)
{
	if (end >= begin)
		return end - begin;
	rpcprof_count(negative);
	return 0;
}

uint64_t rpcprof_timer_end_slow(uint64_t begin, uint64_t bits, uint64_t ticks)
{
	struct rpcprof_stat stat = {bits & ~SLOT_MASK & ~RPCPROF_FOLDED};
	struct rpcprof_cell *cell = rpcprof_cell_of(rpcprof_unit(stat));
	uint32_t slot = (uint32_t)(bits & SLOT_MASK);
	uint64_t open = 0;

	if (ticks == 0)
		ticks = rpcprof_clock_now();
	if (!rpcprof_cell_is_live(cell, rpcprof_generation(stat))) {
		rpcprof_count(late);
		return 0;
	}
	if (rpcprof_slot_is_fold(slot)) {
		rpcprof_fold_add(cell, slot, elapsed(begin, ticks));
		return ticks;
	}
	/* relaxed: the Stat's publication carries it; the CAS makes one of two ends win. */
	if (!rpcprof_cas_relaxed(&rpcprof_cell_timers(cell)[slot].end, &open, ticks)) {
		rpcprof_count(double_ends);
		return 0;
	}
	(void)elapsed(begin, ticks); /* counts an end before its begin */
	return ticks;
}

void rpcprof_lap_close(struct rpcprof_cell *cell, uint64_t ticks)
{
	uint32_t open = rpcprof_load_relaxed(&cell->open_lap);
	struct rpcprof_timer_slot *slot = &rpcprof_cell_timers(cell)[open - 1];

	rpcprof_store_relaxed(&cell->open_lap, 0);
	if (rpcprof_slot_is_fold(open - 1))
		rpcprof_fold_add(cell, open - 1, elapsed(rpcprof_load_relaxed(&cell->end), ticks));
	else
		rpcprof_store_relaxed(&slot->end, ticks);
}

void rpcprof_lap_slow(struct rpcprof_stat stat, uint32_t tag, uint64_t ticks)
{
	struct rpcprof_cell *cell = rpcprof_cell_of(rpcprof_unit(stat));
	uint32_t slot;

	if (!rpcprof_cell_is_live(cell, rpcprof_generation(stat))) {
		rpcprof_count(late);
		return;
	}
	rpcprof_thread_prepare();
	slot = tag != RPCPROF_TAG_NONE ? slot_find(cell, stat, tag) : NO_SLOT;
	if (ticks == 0)
		ticks = rpcprof_clock_now();
	if (rpcprof_load_relaxed(&cell->open_lap) != 0)
		rpcprof_lap_close(cell, ticks);
	if (slot == NO_SLOT)
		return;
	rpcprof_store_relaxed(&cell->open_lap, slot + 1);
	if (rpcprof_slot_is_fold(slot))
		rpcprof_store_relaxed(&cell->end, ticks);
	else
		slot_fill(cell, slot, stat, &(struct rpcprof_detached_timer){
			.begin = ticks, .tag = tag, .thread = (uint32_t)rpcprof_thread.id});
}

struct rpcprof_detached_timer rpcprof_detached_timer_begin(uint32_t tag)
{
	struct rpcprof_detached_timer timer = {0, 0, tag, 0};

	/* E2, as in rpcprof_stat_begin_on(). */
	if (rpcprof_load_acquire(&rpcprof_control_page.head.enabled) == 0)
		return timer;
	rpcprof_thread_prepare();
	timer.thread = (uint32_t)rpcprof_thread.id;
	timer.begin = rpcprof_clock_now();
	return timer;
}

void rpcprof_detached_timer_end(struct rpcprof_detached_timer *timer)
{
	if (timer->begin != 0 && timer->end == 0)
		timer->end = rpcprof_clock_now();
}

void rpcprof_stat_append(struct rpcprof_stat stat, const struct rpcprof_detached_timer *timer)
{
	struct rpcprof_cell *cell = rpcprof_cell_of(rpcprof_unit(stat));
	uint32_t slot;

	if (rpcprof_stat_is_null(stat) || timer->begin == 0)
		return;
	if (!rpcprof_cell_is_live(cell, rpcprof_generation(stat))) {
		rpcprof_count(late);
		return;
	}
	slot = slot_find(cell, stat, timer->tag);
	if (slot == NO_SLOT)
		return;
	if (rpcprof_slot_is_fold(slot)) {
		if (timer->end != 0)
			rpcprof_fold_add(cell, slot, elapsed(timer->begin, timer->end));
		return;
	}
	if (timer->end != 0)
		(void)elapsed(timer->begin, timer->end); /* counts an end before its begin */
	slot_fill(cell, slot, stat, timer);
}
