/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Timers that find their cell full: their time goes into one accumulator per tag, the last five
 * slots of the cell: four for the first four tags to come, one for all others.
 *
 * The accumulators are zeroed once per Stat, long before they are needed, by the one thread whose
 * claim took the first slots after the first grant. Should another thread fill all the others
 * before it is done, that thread's timer is dropped and counted: nobody waits.
 */
#include "stats/stat_internal.h"

static struct rpcprof_timer_slot *accumulators(struct rpcprof_cell *cell)
{
	return &rpcprof_cell_timers(cell)[rpcprof_arena.capacity];
}

void rpcprof_fold_prepare(struct rpcprof_cell *cell, uint32_t generation)
{
	for (uint32_t i = 0; i < RPCPROF_ACCUMULATORS; i++) {
		struct rpcprof_timer_slot *slot = &accumulators(cell)[i];
		bool last = i == RPCPROF_ACCUMULATORS - 1;
		rpcprof_store_relaxed(&slot->begin, 0);
		rpcprof_store_relaxed(&slot->end, 0);
		rpcprof_store_relaxed(&slot->thread, 0);
		/* F1 release, pairs with F2: zeroed before it may be added to, else a sum starts
		 * from the last generation's. */
		rpcprof_store_release(&slot->stamp,
		                      rpcprof_word(generation, last ? RPCPROF_TAG_OTHER : 0));
	}
}

/* Whether this accumulator is the tag's, claiming it if it is nobody's. */
static bool accumulator_is(struct rpcprof_timer_slot *slot, uint32_t generation, uint32_t tag)
{
	uint64_t free = rpcprof_word(generation, 0);
	/* F2 acquire, pairs with F1. */
	uint64_t stamp = rpcprof_load_acquire(&slot->stamp);

	if (stamp == free && rpcprof_cas_acq_rel(&slot->stamp, &free, rpcprof_word(generation, tag)))
		return true;
	return rpcprof_load_acquire(&slot->stamp) == rpcprof_word(generation, tag);
}

uint32_t rpcprof_fold_slot(struct rpcprof_cell *cell, uint32_t generation, uint32_t tag)
{
	struct rpcprof_timer_slot *other = &accumulators(cell)[RPCPROF_ACCUMULATORS - 1];

	if (tag == RPCPROF_TAG_NONE) /* which says that an accumulator is free */
		tag = RPCPROF_TAG_OTHER;

	for (uint32_t i = 0; i < RPCPROF_ACCUMULATORS - 1; i++)
		if (accumulator_is(&accumulators(cell)[i], generation, tag))
			return rpcprof_arena.capacity + i;
	if (accumulator_is(other, generation, RPCPROF_TAG_OTHER))
		return rpcprof_arena.capacity + RPCPROF_ACCUMULATORS - 1;
	rpcprof_count(dropped_timers);
	return NO_SLOT;
}

void rpcprof_fold_add(struct rpcprof_cell *cell, uint32_t slot, uint64_t ticks)
{
	struct rpcprof_timer_slot *sum = &rpcprof_cell_timers(cell)[slot];
	uint64_t longest = rpcprof_load_relaxed(&sum->end);

	/* relaxed: sums; the Stat's publication carries them. */
	(void)rpcprof_add_relaxed(&sum->begin, ticks);
	(void)rpcprof_add_relaxed(&sum->thread, 1);
	while (longest < ticks && !rpcprof_cas_relaxed(&sum->end, &longest, ticks))
		;
}

/* How many timers a finished cell folded. */
uint64_t rpcprof_fold_count(struct rpcprof_cell *cell, uint32_t generation)
{
	uint64_t count = 0;

	for (uint32_t i = 0; i < RPCPROF_ACCUMULATORS; i++)
		if (rpcprof_load_relaxed(&accumulators(cell)[i].stamp) >> 32 == generation)
			count += rpcprof_load_relaxed(&accumulators(cell)[i].thread);
	return count;
}
