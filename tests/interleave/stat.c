/* SPDX-License-Identifier: Apache-2.0 */
/* Stats: what a reader accepts is what was published. */
#include <string.h>

#include "fixture.h"

static struct rpcprof_stat oldest; /* in the full ring, what the next push displaces */
static struct rpcprof_stat live;   /* thread 0 began it */

/* The attributes that some calls have. */
static void decorate(struct rpcprof_stat stat, uint32_t n)
{
	uint8_t trace[16], span[8];

	memset(trace, (int)n, sizeof(trace));
	memset(span, (int)n, sizeof(span));
	rpcprof_stat_set_trace(stat, trace, span);
	(void)rpcprof_stat_set_label(stat, n, n);
}

/* The ring holds 1, 2, 3; number 4 is live and filled. */
static void full(void)
{
	fixture_arena(false);
	for (uint32_t n = 1; n <= 3; n++) {
		struct rpcprof_stat stat = fixture_begin(n);
		fixture_fill(stat, n);
		if (n == 1) { /* its attributes will lie in the cell of the next but one */
			oldest = stat;
			decorate(stat, n);
		}
		fixture_end(stat, n);
	}
	live = fixture_begin(4);
	fixture_fill(live, 4);
}

static void copy_if_done(struct rpcprof_stat stat, uint32_t n)
{
	uint64_t copy[RPCPROF_CELL_BYTES_MAX / sizeof(uint64_t)];
	struct rpcprof_cell *cell = (struct rpcprof_cell *)copy;
	const struct rpcprof_timer_slot *slot = rpcprof_cell_timers(cell);

	if (!rpcprof_cell_copy(cell, rpcprof_cell_of(rpcprof_unit(stat)), rpcprof_generation(stat),
	                       RPCPROF_DONE))
		return;
	execution.out[n]++;
	REQUIRE(cell->tag == n && cell->begin == n * 100 + 1 && cell->end == n * 100 + 50);
	REQUIRE(cell->method == rpcprof_word(rpcprof_generation(stat), n));
	REQUIRE(slot->begin == n * 100 + 2 && slot->end == n * 100 + 3);
}

/* The record of the cell that the next begin takes, while it is taken. */
static void displace_and_begin_or_copy(int thread)
{
	struct rpcprof_stat stat;

	if (thread == 0) {
		fixture_end(live, 4);
		stat = fixture_begin(5);
		REQUIRE(rpcprof_unit(stat) == rpcprof_unit(oldest));
		fixture_fill(stat, 5);
	} else {
		copy_if_done(oldest, 1);
	}
}

static void end_or_copy(int thread)
{
	if (thread == 0)
		fixture_end(live, 4);
	else
		copy_if_done(live, 4);
}

/* A reader in flight: of the cell that is begun anew, the next generation. */
static void begin_or_look_in_flight(int thread)
{
	uint64_t copy[RPCPROF_CELL_BYTES_MAX / sizeof(uint64_t)];
	struct rpcprof_cell *cell = (struct rpcprof_cell *)copy;
	const struct rpcprof_timer_slot *slot = rpcprof_cell_timers(cell);
	uint32_t generation = rpcprof_generation(oldest) + 1;

	if (thread == 0) {
		struct rpcprof_stat stat = fixture_begin(5);
		fixture_fill(stat, 5);
		decorate(stat, 5);
		return;
	}
	if (!rpcprof_cell_copy(cell, rpcprof_cell_of(rpcprof_unit(oldest)), generation,
	                       RPCPROF_LIVE))
		return;
	REQUIRE(cell->tag == 5 && cell->begin == 501);
	if (slot->stamp >> 32 == generation)
		REQUIRE(slot->begin == 502 && (slot->end == 0 || slot->end == 503));
	if (cell->metadata_word >> 32 == generation)
		REQUIRE(((const uint8_t *)cell->metadata)[7] == 5 &&
		        ((const uint8_t *)cell->metadata)[11] == 5);
	if (cell->trace_word >> 32 == generation)
		REQUIRE(cell->trace_id[1] == UINT64_C(0x0505050505050505) &&
		        cell->span_id == UINT64_C(0x0505050505050505));
	if (cell->label_word >> 32 == generation)
		REQUIRE(cell->labels[0] == (UINT64_C(5) << 32 | 5));
}

static void append_or_look_in_flight(int thread)
{
	uint64_t copy[RPCPROF_CELL_BYTES_MAX / sizeof(uint64_t)];
	struct rpcprof_cell *cell = (struct rpcprof_cell *)copy;
	const struct rpcprof_timer_slot *slot = rpcprof_cell_timers(cell);
	uint32_t generation = rpcprof_generation(oldest) + 1;

	if (thread == 0)
		fixture_append(fixture_begin(5), 5, 502, 503);
	else if (rpcprof_cell_copy(cell, rpcprof_cell_of(rpcprof_unit(oldest)), generation,
	                           RPCPROF_LIVE) && slot->stamp >> 32 == generation)
		REQUIRE(slot->begin == 502 && slot->end == 503 && slot->thread == 7);
}

/* A handle that came over by a relaxed word: the Stat is not begun yet, as far as one can see, or
 * all of it is there. */
static uint64_t handed;

static void begin_or_record(int thread)
{
	struct rpcprof_stat stat;

	if (thread == 0) {
		rpcprof_store_relaxed(&handed, fixture_begin(5).bits);
		return;
	}
	stat.bits = rpcprof_load_relaxed(&handed);
	if (!rpcprof_stat_is_null(stat))
		fixture_append(stat, 6, 505, 506);
}

static void none_dropped(void)
{
	REQUIRE(rpcprof_map.shared->counters.dropped_timers == 0);
}

static void displaced(void)
{
	full();
	fixture_end(live, 4); /* and so the oldest lies in the stash */
}

static int take_whole(void *arg, const struct rpcprof_view *view)
{
	uint32_t n = rpcprof_load_relaxed(&view->cell->tag);

	(void)arg;
	execution.out[n]++;
	fixture_whole(view->cell, n);
	return 0;
}

static void end_or_drain(int thread)
{
	if (thread == 0)
		fixture_end(live, 4);
	else
		(void)rpcprof_drain(take_whole, NULL);
}

static void all_four_are_somewhere(void)
{
	uint64_t gone = rpcprof_map.shared->thread[0].displaced;

	(void)rpcprof_drain(take_whole, NULL);
	for (uint32_t n = 1; n <= 4; n++)
		REQUIRE(execution.out[n] <= 1);
	REQUIRE(execution.out[1] + execution.out[2] + execution.out[3] + execution.out[4] + gone == 4);
	REQUIRE(rpcprof_map.shared->counters.drained + gone == 4);
}

static void begin_and_end_or_toggle(int thread)
{
	if (thread == 0) {
		for (uint32_t n = 5; n <= 6; n++) {
			struct rpcprof_stat stat = fixture_begin(n);
			execution.out[0] += !rpcprof_stat_is_null(stat);
			if (!rpcprof_stat_is_null(stat))
				fixture_end(stat, n);
		}
	} else {
		(void)rpcprof_enable(false);
		(void)rpcprof_enable(true);
	}
}

static int take_any(void *arg, const struct rpcprof_view *view)
{
	(void)arg;
	(void)view;
	return 0;
}

static void recorded_is_drained(void)
{
	REQUIRE(rpcprof_map.shared->thread[0].pushed == execution.out[0]);
	REQUIRE((uint64_t)rpcprof_drain(take_any, NULL) == execution.out[0]);
}

static void empty(void)
{
	fixture_arena(false);
	fixture_end(fixture_begin(1), 1);
	REQUIRE(rpcprof_drain(take_any, NULL) == 1); /* and so there is a cell in the stash */
	rpcprof_map.shared->thread[0].pushed = 0;
}

/* From one ring to the other, while both are looked at. */
static void two_rings(void)
{
	fixture_arena(true);
	for (uint32_t n = 1; n <= 2; n++) {
		struct rpcprof_stat stat = fixture_begin(n);
		fixture_fill(stat, n);
		fixture_end(stat, n);
	}
}

static int see_whole(void *arg, const struct rpcprof_view *view)
{
	uint32_t n = view->cell->tag;

	(void)arg;
	REQUIRE(++execution.out[n] == 1);
	REQUIRE(view->cell->begin == n * 100 + 1 && view->cell->end == n * 100 + 50);
	return 0;
}

static void collect_or_snapshot(int thread)
{
	struct rpcprof_filter filter = {.size = sizeof(filter), .unordered = 1};

	if (thread == 0)
		(void)rpcprof_collect(take_any, NULL);
	else
		(void)rpcprof_snapshot(&filter, see_whole, NULL);
}

/* Two threads record and one looks at all there is. */
static void record_or_snapshot(int thread)
{
	struct rpcprof_filter filter = {.size = sizeof(filter), .unordered = 1};
	uint32_t n = 5 + (uint32_t)thread;

	if (thread == 2) {
		(void)rpcprof_snapshot(&filter, see_whole, NULL);
	} else {
		struct rpcprof_stat stat = fixture_begin(n);
		fixture_fill(stat, n);
		fixture_end(stat, n);
	}
}

static void two_more_pushed(void)
{
	const struct rpcprof_thread_counters *counters = rpcprof_map.shared->thread;
	uint64_t displaced = counters[0].displaced + counters[1].displaced;

	REQUIRE(counters[0].pushed + counters[1].pushed == 5);
	REQUIRE((uint64_t)rpcprof_drain(take_any, NULL) + displaced == 5);
}

static void both_are_in_history(void)
{
	REQUIRE(rpcprof_map.shared->history_stats == 2);
	REQUIRE(rpcprof_drain(take_whole, NULL) == 2);
}

const struct interleave_case stat_cases[] = {
	{"displace_and_copy", 2, 2, 2, 0, full, displace_and_begin_or_copy, NULL},
	{"end_and_copy", 2, 3, 2, 0, full, end_or_copy, NULL},
	{"begin_and_look_in_flight", 2, 2, 2, 0, displaced, begin_or_look_in_flight, NULL},
	{"append_and_look_in_flight", 2, 2, 2, 0, displaced, append_or_look_in_flight, NULL},
	{"begin_and_record", 2, ALL, ALL, 0, displaced, begin_or_record, none_dropped},
	{"end_and_drain", 2, 3, 3, 0, full, end_or_drain, all_four_are_somewhere},
	{"toggling", 2, ALL, ALL, 0, empty, begin_and_end_or_toggle, recorded_is_drained},
	{"records_and_snapshot", 3, ALL, ALL, 50000, full, record_or_snapshot, two_more_pushed},
	{"collect_and_snapshot", 2, 2, 1, 0, two_rings, collect_or_snapshot, both_are_in_history},
	{0},
};
