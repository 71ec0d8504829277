/* SPDX-License-Identifier: Apache-2.0 */
/* Cells: each is in one place, whoever takes and gives them; what their last owners stored stays
 * theirs. And the counters that threads hand on. */
#include <pthread.h>

#include "fixture.h"

static uint32_t cell(uint32_t i)
{
	return i * RPCPROF_CELL_SLOTS;
}

/* Chains of one, on top 1; no cell that was never used. */
static void chains(uint32_t count)
{
	fixture_arena(false);
	interleave_owned(rpcprof_arena.cells, 16 * rpcprof_control()->cell_bytes);
	rpcprof_map.shared->bump = rpcprof_control()->cells;
	for (uint32_t i = count; i >= 1; i--)
		rpcprof_cell_give_unstashed(cell(i));
}

static void two_chains(void)
{
	chains(2);
	for (int thread = 0; thread < 2; thread++) {
		fixture_be(thread);
		rpcprof_self.busy = 1; /* as in a signal handler: no stash */
	}
}

/* As who takes a cell goes on: by storing to it. */
static uint32_t take(void)
{
	uint32_t unit = rpcprof_cell_take_slow();

	if (unit != 0) {
		REQUIRE(++execution.out[unit / RPCPROF_CELL_SLOTS] == 1);
		rpcprof_store_relaxed(&rpcprof_cell_of(unit)->end, 1);
	}
	return unit;
}

static void give(uint32_t unit)
{
	if (unit == 0)
		return;
	execution.out[unit / RPCPROF_CELL_SLOTS]--;
	rpcprof_store_relaxed(&rpcprof_cell_of(unit)->end, 2);
	rpcprof_cell_give_unstashed(unit);
}

/* Thread 1 gives back what thread 0 may just be about to take: ABA. */
static void pop_or_pop_pop_push(int thread)
{
	uint32_t first = take();

	if (thread == 1) {
		(void)take();
		give(first);
	}
}

static void both_give_and_take(int thread)
{
	(void)thread;
	give(take());
	(void)take();
}

static void two_cells_in_one_place_each(void)
{
	REQUIRE(fixture_out() + fixture_depot_cells() == 2);
}

/* Thread 0 gives its stash back as a chain; the others take from it. */
static void stash_of_two(void)
{
	chains(1);
	rpcprof_self.stash[0] = cell(2);
	rpcprof_self.stash[1] = cell(3);
	rpcprof_self.stashed = 2;
}

static void flush_or_refill(int thread)
{
	if (thread == 0)
		rpcprof_stash_flush();
	else
		(void)take();
	execution.kept[thread][0] = rpcprof_self.stashed;
	for (uint32_t i = 0; i < rpcprof_self.stashed; i++)
		REQUIRE(++execution.out[rpcprof_self.stash[i] / RPCPROF_CELL_SLOTS] == 1);
}

static void three_cells_in_one_place_each(void)
{
	REQUIRE(fixture_out() + fixture_depot_cells() == 3);
}

/* A reader that still copies a record whose cell goes to the depot. */
static struct rpcprof_stat done;

static void one_done(void)
{
	fixture_arena(false);
	done = rpcprof_stat_begin_at(7, 100);
	rpcprof_stat_end_at(done, 200);
}

static void to_depot_or_copy(int thread)
{
	uint64_t copy[RPCPROF_CELL_BYTES_MAX / sizeof(uint64_t)];
	const struct rpcprof_cell *it = (const struct rpcprof_cell *)copy;

	if (thread == 0)
		rpcprof_cell_give_unstashed(rpcprof_unit(done));
	else if (rpcprof_cell_copy((struct rpcprof_cell *)copy, rpcprof_cell_of(rpcprof_unit(done)),
	                           rpcprof_generation(done), RPCPROF_DONE))
		REQUIRE(it->begin == 100 && it->end == 200 && it->tag == 7);
}

/* Cells that were never used: given once. */
static void unused_cells(void)
{
	fixture_arena(false);
	rpcprof_map.shared->bump = rpcprof_control()->cells - 3; /* two are left */
	for (int thread = 0; thread < 3; thread++) {
		fixture_be(thread);
		rpcprof_self.busy = 1;
	}
}

static void take_unused(int thread)
{
	uint32_t unit = rpcprof_cell_take_slow();
	uint32_t last = (uint32_t)rpcprof_control()->cells - 1;

	if (unit != 0)
		REQUIRE(++execution.out[last - unit / RPCPROF_CELL_SLOTS] == 1);
}

static void both_unused_are_given(void)
{
	REQUIRE(execution.out[0] == 1 && execution.out[1] == 1);
}

/* The history's oldest is stolen while it is drained. */
static void history_of_two(void)
{
	fixture_arena(true);
	rpcprof_control()->capacity = 1;
	rpcprof_map.shared->bump = rpcprof_control()->cells;
	for (uint32_t i = 1; i <= 2; i++)
		(void)rpcprof_buffer_push(&rpcprof_map.history,
		                          rpcprof_word(1, cell(i)));
	rpcprof_map.shared->history_stats = 2;
}

static void steal_or_steal(int thread)
{
	(void)thread;
	(void)take();
}

static void history_is_counted(void)
{
	REQUIRE(rpcprof_map.shared->history_stats + fixture_out() == 2);
	REQUIRE(rpcprof_map.shared->thread[0].displaced +
	        rpcprof_map.shared->thread[1].displaced == fixture_out());
}

/* A thread that exits hands its slot of counters on. */
static void (*thread_exit)(void *);

int twin_key_create(pthread_key_t *key, void (*destructor)(void *))
{
	*key = 0;
	thread_exit = destructor;
	return 0;
}

int twin_setspecific(pthread_key_t key, const void *value)
{
	(void)key;
	(void)value;
	return 0;
}

static struct rpcprof_thread_counters *slot;

static void one_slot(void)
{
	struct rpcprof_thread_counters *own;

	fixture_arena(false);
	for (own = rpcprof_map.shared->thread; own < &rpcprof_map.shared->thread[THREAD_SLOTS]; own++)
		own->thread = 1; /* somebody's */
	slot = &rpcprof_map.shared->thread[5];
	rpcprof_self.counters = slot;
	rpcprof_map.shared->threads = 1;
	fixture_be(1);
	rpcprof_self.registered = 0;
	rpcprof_self.counters = NULL;
	rpcprof_thread.id = 0;
}

static void exit_or_register(int thread)
{
	if (thread == 0) {
		rpcprof_count_mine(pushed, 1);
		thread_exit(&rpcprof_self);
	} else {
		rpcprof_thread_register();
		rpcprof_count_mine(pushed, 1);
	}
}

static void both_are_counted(void)
{
	REQUIRE(slot->pushed + rpcprof_map.shared->thread[THREAD_SLOTS].pushed == 2);
}

const struct interleave_case cell_cases[] = {
	{"depot_aba", 2, ALL, ALL, 0, two_chains, pop_or_pop_pop_push, two_cells_in_one_place_each},
	{"depot_give_and_take", 2, ALL, ALL, 0, two_chains, both_give_and_take,
	 two_cells_in_one_place_each},
	{"depot_chains", 2, ALL, ALL, 0, stash_of_two, flush_or_refill,
	 three_cells_in_one_place_each},
	{"depot_chains_3", 3, 3, 2, 0, stash_of_two, flush_or_refill,
	 three_cells_in_one_place_each},
	{"depot_and_copy", 2, 3, 3, 0, one_done, to_depot_or_copy, NULL},
	{"unused_cells", 3, ALL, ALL, 0, unused_cells, take_unused, both_unused_are_given},
	{"steal", 2, ALL, ALL, 0, history_of_two, steal_or_steal, history_is_counted},
	{"counters_handed_on", 2, ALL, ALL, 0, one_slot, exit_or_register, both_are_counted},
	{0},
};
