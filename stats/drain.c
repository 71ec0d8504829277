/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taking Stats out: drain for good, collect for profiles while the dump keeps them.
 *
 * Whoever receives a value from a ring owns its cell: nobody else changes or recycles it, so it is
 * delivered in place. Values are taken a batch at a time: their cells, which lie shuffled in memory,
 * are fetched meanwhile, and the exchanges wait for one another only, not for what a delivery does.
 */
#include <errno.h>

#include "rpcprof/view.h"
#include "stats/read_internal.h"

struct taker {
	rpcprof_view_fn *fn;
	void *arg;
	struct rpcprof_buffer *ring;
	void (*after)(uint64_t value); /* what becomes of a cell that was delivered */
	int64_t delivered;
	bool stopped;
	uint32_t count;
	uint64_t batch[READ_BATCH];
};

static void deliver(struct taker *taker, uint64_t value)
{
	struct rpcprof_view view;

	rpcprof_view_of(&view, rpcprof_cell_of((uint32_t)value), value);
	taker->stopped = taker->fn(taker->arg, &view) != 0;
	taker->delivered++;
	taker->after(value);
}

/* A Stat that a full ring pushed out for another. */
static void displaced_from(const struct rpcprof_buffer *ring, uint64_t value)
{
	rpcprof_count_mine(displaced, 1);
	if (ring == &rpcprof_map.fresh && rpcprof_load_relaxed(&rpcprof_control()->collecting) != 0)
		rpcprof_count_mine(unaggregated, 1);
	rpcprof_cell_give((uint32_t)value);
}

/* Puts a Stat back that was taken ahead of a callback that stopped. */
static void put_back(struct taker *taker, uint64_t value)
{
	uint64_t displaced = rpcprof_buffer_push(taker->ring, value);

	if (displaced == 0)
		return;
	if (taker->ring == &rpcprof_map.history)
		(void)rpcprof_add_relaxed(&rpcprof_map.shared->history_stats, (uint64_t)-1);
	displaced_from(taker->ring, displaced);
}

/* Delivers the batch; what a callback that stops leaves of it goes back. */
static void deliver_batch(struct taker *taker)
{
	uint32_t i;

	for (i = 0; i < taker->count && !taker->stopped; i++)
		deliver(taker, taker->batch[i]);
	for (; i < taker->count; i++)
		put_back(taker, taker->batch[i]);
	taker->count = 0;
}

static int take(void *arg, uint64_t value)
{
	struct taker *taker = arg;

	rpcprof_cell_fetch(value, false);
	taker->batch[taker->count++] = value;
	if (taker->count == READ_BATCH)
		deliver_batch(taker);
	return taker->stopped;
}

static void recycle(uint64_t value)
{
	rpcprof_cell_give((uint32_t)value);
}

static void to_history(uint64_t value)
{
	uint64_t *stats = &rpcprof_map.shared->history_stats;
	uint64_t displaced;

	/* Before the push: whoever takes the value out at once must find it counted. */
	(void)rpcprof_add_relaxed(stats, 1);
	displaced = rpcprof_buffer_push(&rpcprof_map.history, value);
	if (displaced == 0)
		return;
	(void)rpcprof_add_relaxed(stats, (uint64_t)-1);
	displaced_from(&rpcprof_map.history, displaced);
}

/* Empties a ring. Returns how many were delivered, which the caller counts: once, for a locked
 * instruction each would cost a third of all. */
static uint64_t take_all(struct taker *taker, struct rpcprof_buffer *ring,
                         void (*after)(uint64_t value))
{
	int64_t before = taker->delivered;

	taker->ring = ring;
	taker->after = after;
	(void)rpcprof_buffer_drain(ring, take, taker);
	deliver_batch(taker);
	return (uint64_t)(taker->delivered - before);
}

int64_t rpcprof_drain(rpcprof_view_fn *fn, void *arg)
{
	struct taker taker = {.fn = fn, .arg = arg};
	uint64_t taken;

	if (!rpcprof_started())
		return -ENODEV;
	rpcprof_thread_prepare();
	rpcprof_clock_refresh();
	if (rpcprof_map.history.memory != NULL) {
		taken = take_all(&taker, &rpcprof_map.history, recycle);
		(void)rpcprof_add_relaxed(&rpcprof_map.shared->history_stats, -taken);
	}
	if (!taker.stopped)
		(void)take_all(&taker, &rpcprof_map.fresh, recycle);
	(void)rpcprof_add_relaxed(&rpcprof_map.shared->counters.drained,
	                          (uint64_t)taker.delivered);
	return taker.delivered;
}

int64_t rpcprof_collect(rpcprof_view_fn *fn, void *arg)
{
	struct rpcprof_shared_counters *counters;
	struct taker taker = {.fn = fn, .arg = arg};
	uint64_t taken;
	bool keep;

	if (!rpcprof_started())
		return -ENODEV;
	counters = &rpcprof_map.shared->counters;
	keep = rpcprof_map.history.memory != NULL;
	rpcprof_thread_prepare();
	rpcprof_clock_refresh();
	/* relaxed: from about now on displaced Stats count as unaggregated. */
	rpcprof_store_relaxed(&rpcprof_control()->collecting, 1u);
	taken = take_all(&taker, &rpcprof_map.fresh, keep ? to_history : recycle);
	(void)rpcprof_add_relaxed(keep ? &counters->collected : &counters->drained, taken);
	return taker.delivered;
}

void rpcprof_collect_stop(void)
{
	if (rpcprof_started())
		rpcprof_store_relaxed(&rpcprof_control()->collecting, 0u);
}
