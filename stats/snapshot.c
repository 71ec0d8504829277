/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking at Stats without taking them. Nothing here writes to the arena but counters.
 *
 * A reader loads seq, copies the cell with relaxed loads, fences, and loads seq again: equal means
 * that the copy is what was published, unequal that the Stat was displaced meanwhile.
 *
 * A Stat may move from fresh to history while both are walked: fresh is walked first, so it is
 * met at least once, and a bit per cell sees to it that it is met at most once.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "stats/read_internal.h"

struct entry {
	uint64_t end; /* ticks */
	uint64_t value;
};

struct looker {
	const struct rpcprof_filter *filter;
	uint64_t min_ticks;
	rpcprof_view_fn *fn;
	void *arg;
	uint64_t *seen; /* one bit per cell */
	struct entry *entries; /* room for one per cell; NULL: deliver at once */
	size_t entry_count;
	int64_t delivered;
	bool stopped;
	uint32_t count;
	uint64_t batch[READ_BATCH]; /* met together, their cells fetched meanwhile */
	struct rpcprof_cell *copy;
};

/* V3 acquire, pairs with M1: commit words come before what they commit, and no later load passes
 * one, else a Stat in flight shows the last generation's bytes as this one's. */
static void copy_words(uint64_t *to, const uint64_t *from, size_t count)
{
	for (size_t i = 0; i < count; i++)
		to[i] = rpcprof_load_acquire(&from[i]);
}

#define WORDS(member) (sizeof(((struct rpcprof_cell *)NULL)->member) / sizeof(uint64_t))

/* What was set, and of what was not only the word that says so. */
static void copy_header(struct rpcprof_cell *copy, const struct rpcprof_cell *cell,
                        uint32_t generation)
{
	copy_words(&copy->seq, &cell->seq, offsetof(struct rpcprof_cell, metadata) / 8);
	copy_words(&copy->trace_word, &cell->trace_word, 1);
	if (copy->metadata_word >> 32 == generation)
		copy_words(copy->metadata, cell->metadata, WORDS(metadata));
	if (copy->trace_word >> 32 == generation)
		copy_words(copy->trace_id, cell->trace_id, WORDS(trace_id) + WORDS(span_id));
	if (copy->label_word >> 32 == generation)
		copy_words(copy->labels, cell->labels, WORDS(labels));
}

static void copy_timers(struct rpcprof_timer_slot *to, const struct rpcprof_timer_slot *from,
                        uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		/* V4 acquire, pairs with T1: a stamped timer is complete, else one in flight shows
		 * the slot's last begin. */
		to[i].stamp = rpcprof_load_acquire(&from[i].stamp);
		to[i].begin = rpcprof_load_relaxed(&from[i].begin);
		to[i].end = rpcprof_load_relaxed(&from[i].end);
		to[i].thread = rpcprof_load_relaxed(&from[i].thread);
	}
}

static uint32_t slots_used(const struct rpcprof_cell *copy)
{
	uint32_t slots = (uint32_t)copy->slots;

	if (slots < rpcprof_arena.capacity)
		return slots;
	return rpcprof_arena.capacity + RPCPROF_ACCUMULATORS; /* perhaps folded */
}

bool rpcprof_cell_copy(struct rpcprof_cell *copy, const struct rpcprof_cell *cell,
                       uint32_t generation, enum rpcprof_cell_state state)
{
	uint64_t wanted = rpcprof_seq(generation, state);

	/* V1 acquire, pairs with S2 and S3: at least what that seq published. */
	if (rpcprof_load_acquire(&cell->seq) != wanted)
		return false;
	copy_header(copy, cell, generation);
	copy_timers(rpcprof_cell_timers(copy), rpcprof_cell_timers(cell), slots_used(copy));
	/* V2 acquire fence, pairs with S1: had any word come from a later generation, seq would
	 * show it now; else a torn copy is accepted. */
	rpcprof_fence_acquire();
	return rpcprof_load_relaxed(&cell->seq) == wanted;
}

bool rpcprof_filter_accepts(const struct rpcprof_filter *filter, const struct rpcprof_view *view,
                            uint64_t min_ticks, uint64_t now)
{
	uint64_t end = view->cell->end != 0 ? view->cell->end : now;

	if (filter == NULL)
		return true;
	if (filter->side != 0 && filter->side != rpcprof_view_side(view))
		return false;
	if (filter->method != 0 && filter->method != rpcprof_view_method(view))
		return false;
	if (filter->by_status && (!rpcprof_view_has(view, RPCPROF_HAS_STATUS) ||
	                          filter->status != rpcprof_view_status(view)))
		return false;
	return min_ticks == 0 ||
	       (end > view->cell->begin && end - view->cell->begin >= min_ticks);
}

/* A copy of the Stat that a value names, if it is still there and the filter takes it. */
static bool look(struct looker *looker, uint64_t value, struct rpcprof_view *view)
{
	if (!rpcprof_cell_copy(looker->copy, rpcprof_cell_of((uint32_t)value),
	                       (uint32_t)(value >> 32), RPCPROF_DONE)) {
		rpcprof_count(torn);
		return false;
	}
	rpcprof_view_of(view, looker->copy, value);
	return rpcprof_filter_accepts(looker->filter, view, looker->min_ticks, 0);
}

static bool first_time(struct looker *looker, uint64_t value)
{
	uint32_t cell = (uint32_t)value / RPCPROF_CELL_SLOTS;
	uint64_t bit = UINT64_C(1) << (cell % 64);
	bool first = (looker->seen[cell / 64] & bit) == 0;

	looker->seen[cell / 64] |= bit;
	return first;
}

static void meet(struct looker *looker, uint64_t value)
{
	struct rpcprof_view view;

	if (!first_time(looker, value) || !look(looker, value, &view))
		return;
	if (looker->entries == NULL) {
		looker->delivered++;
		looker->stopped = looker->fn(looker->arg, &view) != 0;
	} else { /* each cell is met once: there is room */
		looker->entries[looker->entry_count++] = (struct entry){view.cell->end, value};
	}
}

static void meet_batch(struct looker *looker)
{
	for (uint32_t i = 0; i < looker->count && !looker->stopped; i++)
		meet(looker, looker->batch[i]);
	looker->count = 0;
}

static int visit(void *arg, uint64_t value)
{
	struct looker *looker = arg;

	rpcprof_cell_fetch(value, true);
	looker->batch[looker->count++] = value;
	if (looker->count == READ_BATCH)
		meet_batch(looker);
	return looker->stopped;
}

static void walk(struct looker *looker, const struct rpcprof_buffer *ring)
{
	(void)rpcprof_buffer_walk(ring, visit, looker);
	meet_batch(looker);
}

static int by_end(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->end != y->end)
		return x->end < y->end ? -1 : 1;
	return x->value < y->value ? -1 : x->value > y->value;
}

static void deliver_last(struct looker *looker)
{
	const struct rpcprof_filter *filter = looker->filter;
	size_t last = filter != NULL && filter->last != 0 ? filter->last
	                                                  : rpcprof_control()->capacity;
	size_t i = looker->entry_count > last ? looker->entry_count - last : 0;
	struct rpcprof_view view;

	qsort(looker->entries, looker->entry_count, sizeof(*looker->entries), by_end);
	for (; i < looker->entry_count && !looker->stopped; i++) {
		if (!look(looker, looker->entries[i].value, &view))
			continue;
		looker->delivered++;
		looker->stopped = looker->fn(looker->arg, &view) != 0;
	}
}

static uint64_t min_ticks(const struct rpcprof_filter *filter)
{
	struct rpcprof_clock_info info;
	double ticks;

	if (filter == NULL || filter->min_duration_ns == 0 || rpcprof_clock_get_info(&info) != 0)
		return 0;
	ticks = (double)filter->min_duration_ns * info.ticks_per_second / 1e9;
	return ticks < 9e18 ? (uint64_t)ticks : UINT64_MAX;
}

static int filter_check(const struct rpcprof_filter *filter)
{
	if (!rpcprof_started())
		return -ENODEV;
	return filter != NULL && filter->size != sizeof(*filter) ? -EINVAL : 0;
}

int64_t rpcprof_snapshot(const struct rpcprof_filter *filter, rpcprof_view_fn *fn, void *arg)
{
	uint64_t buffer[RPCPROF_CELL_BYTES_MAX / sizeof(uint64_t)];
	struct looker looker = {.filter = filter, .fn = fn, .arg = arg};
	bool ordered = filter == NULL || !filter->unordered;
	int error = filter_check(filter);

	if (error != 0)
		return error;
	looker.copy = (struct rpcprof_cell *)buffer;
	looker.min_ticks = min_ticks(filter);
	looker.seen = calloc(rpcprof_control()->cells / 64 + 1, sizeof(*looker.seen));
	if (ordered)
		looker.entries = malloc(rpcprof_control()->cells * sizeof(*looker.entries));
	if (looker.seen == NULL || (ordered && looker.entries == NULL)) {
		free(looker.seen);
		free(looker.entries);
		return -ENOMEM;
	}
	walk(&looker, &rpcprof_map.fresh);
	if (rpcprof_map.history.memory != NULL && !looker.stopped)
		walk(&looker, &rpcprof_map.history);
	if (ordered)
		deliver_last(&looker);
	free(looker.seen);
	free(looker.entries);
	return looker.delivered;
}

int64_t rpcprof_inflight(const struct rpcprof_filter *filter, rpcprof_view_fn *fn, void *arg)
{
	uint64_t buffer[RPCPROF_CELL_BYTES_MAX / sizeof(uint64_t)];
	struct rpcprof_cell *copy = (struct rpcprof_cell *)buffer;
	uint64_t ticks, used;
	struct rpcprof_filter open;
	int64_t delivered = 0;
	int error = filter_check(filter);

	if (error != 0)
		return error;
	if (filter != NULL) { /* a call in flight has no status to go by */
		open = *filter;
		open.by_status = 0;
		filter = &open;
	}
	ticks = min_ticks(filter);
	used = rpcprof_load_relaxed(&rpcprof_map.shared->bump);
	if (used > rpcprof_control()->cells - 1)
		used = rpcprof_control()->cells - 1;
	for (uint64_t i = 1; i <= used; i++) {
		uint32_t unit = rpcprof_cell_unit(i);
		const struct rpcprof_cell *cell = rpcprof_cell_of(unit);
		uint32_t generation = (uint32_t)(rpcprof_load_relaxed(&cell->seq) >> 2);
		struct rpcprof_view view;
		if (!rpcprof_cell_copy(copy, cell, generation, RPCPROF_LIVE))
			continue;
		copy->end = 0; /* while live, the begin of a folded lap */
		rpcprof_view_of(&view, copy, rpcprof_word(generation, unit));
		if (!rpcprof_filter_accepts(filter, &view, ticks, rpcprof_clock_now()))
			continue;
		delivered++;
		if (fn(arg, &view) != 0)
			break;
	}
	return delivered;
}
