/* SPDX-License-Identifier: Apache-2.0 */
/* Stats: what a reader accepts is what was published; references and slots are given once. */
#include <string.h>

#include "fixture.h"

static struct rpcprof_stat oldest; /* in the full ring, what the next push displaces */
static struct rpcprof_stat live;   /* thread 0 began it */
static struct rpcprof_timer timer;

/* Stat number n has n in its tag, its method and its metadata, and all ticks say so too. */
static struct rpcprof_stat begin(uint32_t n)
{
	return rpcprof_stat_begin_at(n, n * 100 + 1);
}

static void fill(struct rpcprof_stat stat, uint32_t n)
{
	rpcprof_stat_set_method(stat, n);
	rpcprof_stat_set_connection(stat, n, n);
	timer = rpcprof_timer_begin_at(stat, n, n * 100 + 2);
	rpcprof_timer_end_at(timer, n * 100 + 3);
}

/* The attributes that some calls have. */
static void decorate(struct rpcprof_stat stat, uint32_t n)
{
	uint8_t trace[16], span[8];

	memset(trace, (int)n, sizeof(trace));
	memset(span, (int)n, sizeof(span));
	rpcprof_stat_set_trace(stat, trace, span);
	(void)rpcprof_stat_set_label(stat, n, n);
}

static void end(struct rpcprof_stat stat, uint32_t n)
{
	rpcprof_stat_end_at(stat, n * 100 + 50);
}

/* The ring holds 1, 2, 3; number 4 is live and filled. */
static void full(void)
{
	fixture_arena(false);
	for (uint32_t n = 1; n <= 3; n++) {
		struct rpcprof_stat stat = begin(n);
		fill(stat, n);
		if (n == 1) { /* its attributes will lie in the cell of the next but one */
			oldest = stat;
			decorate(stat, n);
		}
		end(stat, n);
	}
	live = begin(4);
	fill(live, 4);
}

static void whole(const struct rpcprof_cell *cell, uint32_t n)
{
	const struct rpcprof_timer_slot *slot = rpcprof_cell_timers(cell);

	REQUIRE(rpcprof_load_relaxed(&cell->tag) == n);
	REQUIRE(rpcprof_load_relaxed(&cell->begin) == n * 100 + 1);
	REQUIRE(rpcprof_load_relaxed(&cell->end) == n * 100 + 50);
	REQUIRE((uint32_t)rpcprof_load_relaxed(&cell->method) == n);
	REQUIRE(rpcprof_load_relaxed(&slot->begin) == n * 100 + 2);
	REQUIRE(rpcprof_load_relaxed(&slot->end) == n * 100 + 3);
}

static void copy_if_done(struct rpcprof_stat stat, uint32_t n)
{
	uint64_t copy[CELL_BYTES_MAX / sizeof(uint64_t)];
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
		end(live, 4);
		stat = begin(5);
		REQUIRE(rpcprof_unit(stat) == rpcprof_unit(oldest));
		fill(stat, 5);
	} else {
		copy_if_done(oldest, 1);
	}
}

static void end_or_copy(int thread)
{
	if (thread == 0)
		end(live, 4);
	else
		copy_if_done(live, 4);
}

/* A reader in flight: of the cell that is begun anew, the next generation. */
static void begin_or_look_in_flight(int thread)
{
	uint64_t copy[CELL_BYTES_MAX / sizeof(uint64_t)];
	struct rpcprof_cell *cell = (struct rpcprof_cell *)copy;
	const struct rpcprof_timer_slot *slot = rpcprof_cell_timers(cell);
	uint32_t generation = rpcprof_generation(oldest) + 1;

	if (thread == 0) {
		struct rpcprof_stat stat = begin(5);
		fill(stat, 5);
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
	uint64_t copy[CELL_BYTES_MAX / sizeof(uint64_t)];
	struct rpcprof_cell *cell = (struct rpcprof_cell *)copy;
	const struct rpcprof_timer_slot *slot = rpcprof_cell_timers(cell);
	uint32_t generation = rpcprof_generation(oldest) + 1;

	if (thread == 0)
		fixture_append(begin(5), 5, 502, 503);
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
		rpcprof_store_relaxed(&handed, begin(5).bits);
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
	end(live, 4); /* and so the oldest lies in the stash */
}

static int take_whole(void *arg, const struct rpcprof_view *view)
{
	uint32_t n = rpcprof_load_relaxed(&view->cell->tag);

	(void)arg;
	execution.out[n]++;
	whole(view->cell, n);
	return 0;
}

static void end_or_drain(int thread)
{
	if (thread == 0)
		end(live, 4);
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

/* Two threads hold a reference each. */
static void shared(void)
{
	fixture_arena(false);
	live = begin(4);
	live = rpcprof_stat_retain(live);
	fill(live, 4);
}

static void record_and_end(int thread)
{
	if (thread == 0)
		rpcprof_lap_at(live, 44, 410);
	else
		fixture_append(live, 43, 405, 406);
	end(live, 4);
}

static int both_recorded(void *arg, const struct rpcprof_view *view)
{
	const struct rpcprof_timer_slot *slots = rpcprof_cell_timers(view->cell);

	(void)arg;
	whole(view->cell, 4);
	REQUIRE(view->slots == 5);
	REQUIRE(slots[1].begin == 410 && slots[1].end == 450); /* closed by whoever was last */
	REQUIRE(slots[4].begin == 405 && slots[4].end == 406);
	return 0;
}

static void published_once(void)
{
	REQUIRE(rpcprof_drain(both_recorded, NULL) == 1);
	REQUIRE(rpcprof_map.shared->counters.late == 0);
}

/* As the last holder does: what the others stored before they let go is there. */
static void end_or_end_and_read(int thread)
{
	struct rpcprof_cell *cell = rpcprof_cell_of(rpcprof_unit(live));

	if (thread == 0)
		rpcprof_stat_set_status(live, 9);
	end(live, 4);
	if (thread == 1 && rpcprof_map.shared->thread[1].pushed == 1)
		REQUIRE((uint32_t)rpcprof_load_relaxed(&cell->status) == 9);
}

/* One reference, two who end it: a handle used late. The winner begins the cell's next Stat. */
static void one_reference(void)
{
	fixture_arena(false);
	live = begin(4);
}

static void discard_and_begin_or_end(int thread)
{
	struct rpcprof_stat stat;

	if (thread == 1) {
		end(live, 4);
		return;
	}
	rpcprof_stat_discard(live);
	stat = begin(5);
	execution.kept[0][0] = stat.bits;
}

static void next_stat_is_untouched(void)
{
	struct rpcprof_stat next = {execution.kept[0][0]};
	const struct rpcprof_cell *cell = rpcprof_cell_of(rpcprof_unit(next));

	REQUIRE(rpcprof_map.shared->counters.late == 1);
	REQUIRE(cell->seq == rpcprof_seq(rpcprof_generation(next), RPCPROF_LIVE));
	REQUIRE(cell->refs == rpcprof_word(rpcprof_generation(next), 1));
	REQUIRE(rpcprof_map.shared->counters.discarded +
	        rpcprof_map.shared->thread[1].pushed == 1);
}

static void discard_and_begin_or_append(int thread)
{
	if (thread == 0)
		discard_and_begin_or_end(0);
	else
		fixture_append(live, 6, 405, 406);
}

static void next_stat_has_its_slots(void)
{
	struct rpcprof_stat next = {execution.kept[0][0]};

	REQUIRE(rpcprof_cell_of(rpcprof_unit(next))->slots ==
	        rpcprof_word(rpcprof_generation(next), GRANT));
}

static void discard_and_begin_or_retain(int thread)
{
	struct rpcprof_stat mine;

	if (thread == 0) {
		discard_and_begin_or_end(0);
		return;
	}
	mine = rpcprof_stat_retain(live);
	if (!rpcprof_stat_is_null(mine))
		end(mine, 4);
}

static void next_stat_has_one_reference(void)
{
	struct rpcprof_stat next = {execution.kept[0][0]};
	const struct rpcprof_cell *cell = rpcprof_cell_of(rpcprof_unit(next));

	REQUIRE(cell->seq == rpcprof_seq(rpcprof_generation(next), RPCPROF_LIVE));
	REQUIRE(cell->refs == rpcprof_word(rpcprof_generation(next), 1));
}

static void end_or_retain_and_end(int thread)
{
	struct rpcprof_stat mine = live;

	if (thread == 1) {
		mine = rpcprof_stat_retain(live);
		execution.kept[1][0] = mine.bits;
	}
	if (!rpcprof_stat_is_null(mine))
		end(mine, 4);
}

static void published_once_however_many_held(void)
{
	REQUIRE(rpcprof_map.shared->thread[0].pushed + rpcprof_map.shared->thread[1].pushed == 1);
	REQUIRE(rpcprof_map.shared->counters.late == (execution.kept[1][0] == 0));
}

static void one_open_timer(void)
{
	fixture_arena(false);
	live = begin(4);
	timer = rpcprof_timer_begin_at(live, 4, 402);
}

static void end_the_timer(int thread)
{
	rpcprof_timer_end_at(timer, 410 + (uint64_t)thread);
}

static void ended_once(void)
{
	uint64_t ended = rpcprof_cell_timers(rpcprof_cell_of(rpcprof_unit(live)))[0].end;

	REQUIRE(ended >= 410 && ended <= 412);
	REQUIRE(rpcprof_map.shared->counters.double_ends == 2);
}

/* The owner has used its grant; one slot is left, and then the accumulators, which hold rubbish. */
static void nearly_full(void)
{
	struct rpcprof_timer_slot *slots;

	fixture_arena(false);
	live = begin(4);
	slots = rpcprof_cell_timers(rpcprof_cell_of(rpcprof_unit(live)));
	for (uint64_t i = 0; i < GRANT; i++)
		fixture_append(live, 40, 400, 401);
	for (uint32_t i = 0; i < RPCPROF_ACCUMULATORS; i++)
		slots[rpcprof_arena.capacity + i] =
			(struct rpcprof_timer_slot){.begin = 12345, .end = 12345, .thread = 99};
}

static void append(int thread)
{
	fixture_append(live, 50, 400, 410 + (uint64_t)thread);
}

/* One in the last slot, the others in accumulators or dropped and counted. */
static void sums_are_exact(void)
{
	const struct rpcprof_cell *cell = rpcprof_cell_of(rpcprof_unit(live));
	const struct rpcprof_timer_slot *slots = rpcprof_cell_timers(cell);
	uint64_t dropped = rpcprof_map.shared->counters.dropped_timers;
	uint64_t ticks = slots[GRANT].end - slots[GRANT].begin, number = 1;

	REQUIRE((uint32_t)cell->slots == rpcprof_arena.capacity);
	REQUIRE(slots[GRANT].stamp >> 32 == rpcprof_generation(live));
	for (uint32_t i = 0; i < RPCPROF_ACCUMULATORS; i++) {
		const struct rpcprof_timer_slot *sum = &slots[rpcprof_arena.capacity + i];
		ticks += sum->begin;
		number += sum->thread;
		REQUIRE(sum->thread == 0 || (sum->end >= 10 && sum->end <= 12));
	}
	REQUIRE(number + dropped == execution.out[0]);
	REQUIRE(dropped != 0 || ticks == execution.kept[0][0]);
}

static void append_counted(int thread)
{
	append(thread);
	execution.out[0]++;
	execution.kept[0][0] += 10 + (uint64_t)thread;
}

/* Accumulators that are not ready yet show nothing of their last use. One just claimed may still show
 * without its tag: the claim and the sums are not in order to a reader in flight. */
static void append_or_look_at_folds(int thread)
{
	uint64_t copy[CELL_BYTES_MAX / sizeof(uint64_t)];
	struct rpcprof_cell *cell = (struct rpcprof_cell *)copy;
	struct rpcprof_fold_view fold;
	struct rpcprof_view view;

	if (thread != 2) {
		append(thread);
		return;
	}
	if (!rpcprof_cell_copy(cell, rpcprof_cell_of(rpcprof_unit(live)), rpcprof_generation(live),
	                       RPCPROF_LIVE))
		return;
	rpcprof_view_of(&view, cell, live.bits);
	for (uint32_t i = 0; i < RPCPROF_ACCUMULATORS; i++)
		if (rpcprof_view_fold(&view, i, &fold))
			REQUIRE(fold.count == 1 && fold.total_ticks <= 11);
}

/* The accumulators are ready. */
static void quite_full(void)
{
	nearly_full();
	fixture_be(1);
	fixture_append(live, 50, 400, 400);
	fixture_be(0);
}

static void accumulated_exactly(void)
{
	const struct rpcprof_cell *cell = rpcprof_cell_of(rpcprof_unit(live));
	const struct rpcprof_timer_slot *sum = &rpcprof_cell_timers(cell)[rpcprof_arena.capacity];

	REQUIRE((uint32_t)sum->stamp == 50 && sum->thread == 3);
	REQUIRE(sum->begin == 10 + 11 + 12 && sum->end == 12);
}

static void begin_and_end_or_toggle(int thread)
{
	if (thread == 0) {
		for (uint32_t n = 5; n <= 6; n++) {
			struct rpcprof_stat stat = begin(n);
			execution.out[0] += !rpcprof_stat_is_null(stat);
			if (!rpcprof_stat_is_null(stat))
				end(stat, n);
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
	end(begin(1), 1);
	REQUIRE(rpcprof_drain(take_any, NULL) == 1); /* and so there is a cell in the stash */
	rpcprof_map.shared->thread[0].pushed = 0;
}

/* From one ring to the other, while both are looked at. */
static void two_rings(void)
{
	fixture_arena(true);
	for (uint32_t n = 1; n <= 2; n++) {
		struct rpcprof_stat stat = begin(n);
		fill(stat, n);
		end(stat, n);
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
		struct rpcprof_stat stat = begin(n);
		fill(stat, n);
		end(stat, n);
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
	{"two_holders", 2, ALL, ALL, 0, shared, record_and_end, published_once},
	{"last_holder_reads", 2, ALL, ALL, 0, shared, end_or_end_and_read, NULL},
	{"late_end", 2, ALL, ALL, 0, one_reference, discard_and_begin_or_end,
	 next_stat_is_untouched},
	{"late_timer", 2, ALL, ALL, 0, one_reference, discard_and_begin_or_append,
	 next_stat_has_its_slots},
	{"late_retain_of_the_next", 2, ALL, ALL, 0, one_reference, discard_and_begin_or_retain,
	 next_stat_has_one_reference},
	{"late_retain", 2, ALL, ALL, 0, one_reference, end_or_retain_and_end,
	 published_once_however_many_held},
	{"timer_ended_twice", 3, ALL, ALL, 0, one_open_timer, end_the_timer, ended_once},
	{"cell_fills_up", 2, ALL, ALL, 0, nearly_full, append_counted, sums_are_exact},
	{"cell_fills_up_3", 3, 2, 2, 0, nearly_full, append_counted, sums_are_exact},
	{"fill_up_and_look_in_flight", 3, 2, 1, 0, nearly_full, append_or_look_at_folds, NULL},
	{"cell_is_full", 3, ALL, ALL, 0, quite_full, append_counted,
	 accumulated_exactly},
	{"toggling", 2, ALL, ALL, 0, empty, begin_and_end_or_toggle, recorded_is_drained},
	{"records_and_snapshot", 3, ALL, ALL, 50000, full, record_or_snapshot, two_more_pushed},
	{"collect_and_snapshot", 2, 2, 1, 0, two_rings, collect_or_snapshot, both_are_in_history},
	{0},
};
