/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who owns which cell.
 *
 * Invariant: every cell is in exactly one place - a ring slot, a thread's stash, the depot, behind
 * the bump pointer, or one Stat in flight - and moves by one read-modify-write (or, between a
 * thread and its own stash, by that thread alone).
 *
 * Cells come from the stash; then a chain of 16 from the depot; then 16 never used; last, the
 * oldest of the history is stolen. They go to the stash, and from a full one to the depot by
 * chains: handing cells over one by one costs ten times as much.
 *
 * The depot is a stack of chains. Its head carries a tag that grows with every change, so that a
 * pop whose chain was popped and pushed back meanwhile fails (ABA). The tag wraps after 2^32
 * changes: a popper would have to sleep through exactly so many. A cell's memory is always mapped,
 * so reading a link that is not one any more is harmless: the CAS fails.
 */
#include "stats/arena_internal.h"

/* Links of a cell in the depot lie in its `begin`, which is why it must be FREE there: the one word
 * that a late use of a stale handle never writes. Its high half is one link, the low half another:
 *
 *     first cell of a chain     the chain's second cell, the next chain
 *     the others, as a tree     the cells 2i + 1 and 2i + 2, where 0 is the chain's second
 *
 * A list would do, but each cell is in some other CPU's cache: so whoever takes a chain waits for
 * five of them one after another, not for sixteen. 0 is no cell. */
static inline uint64_t links_of(uint32_t unit)
{
	return rpcprof_load_relaxed(&rpcprof_cell_of(unit)->begin);
}

static inline void link_to(uint32_t unit, uint32_t high, uint32_t low)
{
	rpcprof_store_relaxed(&rpcprof_cell_of(unit)->begin, (uint64_t)high << 32 | low);
}

/* Adds a cell of a chain to those found, and fetches it. */
static inline uint32_t found(uint32_t others[CHAIN_CELLS], uint32_t count, uint32_t unit)
{
	if (unit == 0)
		return count;
	__builtin_prefetch(rpcprof_cell_of(unit), 1);
	others[count] = unit;
	return count + 1;
}

/* The cells of a chain but for the first. */
static uint32_t chain_read(uint32_t first, uint32_t others[CHAIN_CELLS])
{
	uint32_t count = found(others, 0, (uint32_t)(links_of(first) >> 32));

	for (uint32_t i = 0; i < count; i++) {
		uint64_t links = links_of(others[i]);
		count = found(others, count, (uint32_t)(links >> 32));
		count = found(others, count, (uint32_t)links);
	}
	return count;
}

static uint32_t depot_pop(void)
{
	uint64_t *depot = &rpcprof_map.shared->depot;
	/* K2 acquire, pairs with K1: the links of the chain are there. */
	uint64_t head = rpcprof_load_acquire(depot);

	while ((uint32_t)head != 0) {
		uint32_t unit = (uint32_t)head;
		uint64_t next = ((head >> 32) + 1) << 32 | (uint32_t)links_of(unit);
		if (rpcprof_cas_acq_rel(depot, &head, next))
			return unit;
	}
	return 0;
}

static void depot_push(uint32_t first, uint32_t second)
{
	uint64_t *depot = &rpcprof_map.shared->depot;
	uint64_t head = rpcprof_load_relaxed(depot);
	uint64_t new_head;

	do {
		link_to(first, second, (uint32_t)head);
		new_head = ((head >> 32) + 1) << 32 | first;
		/* K1 release, pairs with K2: links before the head that leads to them, and all that
		 * the cells' last owners stored before who gets them next. */
	} while (!rpcprof_cas_acq_rel(depot, &head, new_head));
}

/* A cell that goes to the depot stops being a record before its links overwrite it: a snapshot
 * that still copies it must see its seq change. */
static void cell_unrecord(struct rpcprof_cell *cell)
{
	uint32_t generation = (uint32_t)(rpcprof_load_relaxed(&cell->seq) >> 2);

	rpcprof_store_relaxed(&cell->seq, rpcprof_seq(generation, RPCPROF_FREE));
	/* S1 release fence, pairs with V2: seq before any other store, else a torn copy is accepted. */
	rpcprof_fence_release();
}

static void chain_push(const uint32_t *units, uint32_t count)
{
	const uint32_t *others = units + 1;

	if (count == 0)
		return;
	cell_unrecord(rpcprof_cell_of(units[0]));
	for (uint32_t i = 0, left = 1, right = 2; i < count - 1; i++, left += 2, right += 2) {
		cell_unrecord(rpcprof_cell_of(others[i]));
		link_to(others[i], left < count - 1 ? others[left] : 0,
		        right < count - 1 ? others[right] : 0);
	}
	depot_push(units[0], count > 1 ? others[0] : 0);
}

/* How many cells this thread may hold back. All together stay below max_in_flight up to about a
 * hundred threads and about it beyond, also when the first threads keep their larger shares: they
 * look again only when they refill or spill. */
static uint32_t stash_limit(void)
{
	uint64_t threads = rpcprof_load_relaxed(&rpcprof_map.shared->threads) + 1;
	uint64_t share = rpcprof_control()->max_in_flight / (4 * (threads > 8 ? threads : 8));

	return share < 1 ? 1 : share > STASH_MAX ? STASH_MAX : (uint32_t)share;
}

static uint32_t chunk(void)
{
	uint32_t limit = stash_limit();

	return limit < CHAIN_CELLS ? limit : CHAIN_CELLS;
}

/* Cells that were never used: up to `count` from *first on. */
static uint32_t bump_take(uint32_t count, uint32_t *first)
{
	uint64_t *bump = &rpcprof_map.shared->bump;
	uint64_t cells = rpcprof_control()->cells - 1; /* without the null cell */
	uint64_t start;

	if (rpcprof_load_relaxed(bump) >= cells)
		return 0;
	start = rpcprof_add_relaxed(bump, count);
	if (start >= cells)
		return 0;
	if (start + count > cells)
		count = (uint32_t)(cells - start);
	*first = rpcprof_cell_unit(start + 1);
	return count;
}

static uint32_t steal(void)
{
	struct rpcprof_arena_shared *shared = rpcprof_map.shared;
	uint64_t value;

	if (rpcprof_map.history.memory == NULL ||
	    rpcprof_load_relaxed(&shared->history_stats) <= rpcprof_control()->capacity / 2)
		return 0;
	value = rpcprof_history_oldest();
	if (value != 0)
		rpcprof_count_mine(displaced, 1);
	return (uint32_t)value;
}

uint64_t rpcprof_history_oldest(void)
{
	uint64_t value = rpcprof_buffer_take_oldest(&rpcprof_map.history);

	if (value != 0)
		(void)rpcprof_add_relaxed(&rpcprof_map.shared->history_stats, (uint64_t)-1);
	return value;
}

/* A chain from the depot into an empty stash, as far as it may hold; gives its first cell. */
static uint32_t refill_from_depot(struct rpcprof_thread_state *self)
{
	uint32_t others[CHAIN_CELLS];
	uint32_t unit = depot_pop(), count;

	if (unit == 0)
		return 0;
	count = chain_read(unit, others);
	for (; count > 0 && self->stashed < self->stash_limit; count--)
		self->stash[self->stashed++] = others[count - 1];
	chain_push(others, count);
	return unit;
}

/* Several cells into an empty stash; gives one of them. */
static uint32_t refill(struct rpcprof_thread_state *self)
{
	uint32_t unit, first, count;

	self->stash_limit = stash_limit();
	unit = refill_from_depot(self);
	if (unit != 0)
		return unit;
	count = bump_take(chunk(), &first);
	if (count == 0)
		return steal();
	for (uint32_t i = count - 1; i > 0; i--)
		self->stash[self->stashed++] = first + i * RPCPROF_CELL_SLOTS;
	return first;
}

/* For signal handlers that found the stash in use, and threads whose exit has begun. */
static uint32_t take_unstashed(void)
{
	uint32_t others[CHAIN_CELLS];
	uint32_t unit = depot_pop(), first, count;

	if (unit != 0) {
		count = chain_read(unit, others);
		chain_push(others, count);
		return unit;
	}
	return bump_take(1, &first) != 0 ? first : steal();
}

uint32_t rpcprof_cell_take_slow(void)
{
	struct rpcprof_thread_state *self = &rpcprof_self;
	uint32_t unit;

	if (self->busy)
		return take_unstashed();
	self->busy = 1;
	rpcprof_fence_signal();
	unit = self->stashed != 0 ? self->stash[--self->stashed] : refill(self);
	rpcprof_fence_signal();
	self->busy = 0;
	return unit;
}

/* Makes room in a full stash, by the thread that has set busy. */
void rpcprof_stash_spill(struct rpcprof_thread_state *self)
{
	uint32_t count = self->stashed < CHAIN_CELLS ? self->stashed : CHAIN_CELLS;

	chain_push(self->stash, count);
	self->stashed -= count;
	for (uint32_t i = 0; i < self->stashed; i++)
		self->stash[i] = self->stash[i + count];
	self->stash_limit = stash_limit();
}

void rpcprof_cell_give_unstashed(uint32_t unit)
{
	chain_push(&unit, 1);
}

/* All of the stash to the depot, by a thread that has set busy. */
void rpcprof_stash_flush(void)
{
	while (rpcprof_self.stashed != 0)
		rpcprof_stash_spill(&rpcprof_self);
}
