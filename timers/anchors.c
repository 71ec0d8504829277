/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pairings of the counter with the kernel's clocks, shared under a sequence lock.
 *
 * Invariants:
 *  - anchors[0 .. count-1] are in order of ticks; the first is from init and stays;
 *  - seq is odd exactly while one thread, the one whose CAS made it odd, changes them;
 *  - nobody waits: a writer that finds seq odd, or changed since it looked, goes without; a reader
 *    tries READ_TRIES times and then takes an anchor of its own, for which it needs no lock. A
 *    writer that dies inside costs the others precision, not progress;
 *  - `slope` is one word and good at any time: the slope since init.
 *
 * Wrap-around and ABA: seq wraps after 2^31 anchors, one a second: 68 years. A writer would have
 * to sleep through exactly all of them between its load and its CAS, a reader likewise.
 *
 * A counter that runs back (a machine resumed from a suspend that reset it) starts the anchors
 * anew: ticks from before it cannot be told from ticks after.
 */
#include "anchors_internal.h"

#include <errno.h>

#include "atomic_internal.h"

#define BRACKETS 16
#define READ_TRIES 64
#define SPACING_NS 1000000000
#define SPACING_MIN_NS 2000000

static struct rpcprof_clock_state *current;

struct rpcprof_clock_state *rpcprof_anchors_state(void)
{
	/* C4 acquire, pairs with C3: the first anchor is there, else a division by nothing. */
	return rpcprof_load_acquire(&current);
}

void rpcprof_anchors_publish(struct rpcprof_clock_state *state)
{
	/* C3 release, pairs with C4: the state before the pointer to it. */
	rpcprof_store_release(&current, state);
}

void rpcprof_anchor_take(struct rpcprof_anchor *anchor, uint32_t kind, uint64_t slope)
{
	uint64_t tightest = UINT64_MAX;

	for (int i = 0; i < BRACKETS; i++) {
		uint64_t before = rpcprof_clock_ticks_ordered(kind);
		int64_t utc = rpcprof_clock_utc_now_ns();
		int64_t monotonic = rpcprof_clock_monotonic_now_ns();
		uint64_t width = rpcprof_clock_ticks_ordered(kind) - before;

		if (width >= tightest)
			continue;
		tightest = width;
		anchor->ticks = before + width / 2;
		anchor->utc_ns = utc;
		anchor->monotonic_ns = monotonic;
	}
	if (kind == RPCPROF_CLOCK_MONOTONIC)
		anchor->ticks = (uint64_t)anchor->monotonic_ns; /* so that the slope is exactly 1 */
	/* The counter may be a step further than it says, at the anchor and at the tick that is
	 * dated by it. Rounded up to be a bound. */
	tightest += 2 * rpcprof_clock_step(kind);
	anchor->bracket_ns = rpcprof_ticks_to_ns(tightest, slope) + (tightest != 0);
}

/* relaxed: C5 to C8 order and validate them. */
static void anchor_copy(struct rpcprof_anchor *to, const struct rpcprof_anchor *from)
{
	rpcprof_store_relaxed(&to->ticks, rpcprof_load_relaxed(&from->ticks));
	rpcprof_store_relaxed(&to->utc_ns, rpcprof_load_relaxed(&from->utc_ns));
	rpcprof_store_relaxed(&to->monotonic_ns, rpcprof_load_relaxed(&from->monotonic_ns));
	rpcprof_store_relaxed(&to->bracket_ns, rpcprof_load_relaxed(&from->bracket_ns));
}

/* Whether an anchor is due. In the first second the spacing doubles, so that a dump then is not
 * left with the slope of two milliseconds. Racy reads: a wrong answer fails at the CAS. */
static bool is_due(const struct rpcprof_clock_state *state)
{
	uint32_t newest = (rpcprof_load_relaxed(&state->count) - 1) % RPCPROF_ANCHORS_MAX;
	int64_t first = rpcprof_load_relaxed(&state->anchors[0].monotonic_ns);
	int64_t last = rpcprof_load_relaxed(&state->anchors[newest].monotonic_ns);
	int64_t spacing = last - first;

	if (spacing < SPACING_MIN_NS)
		spacing = SPACING_MIN_NS;
	if (spacing > SPACING_NS)
		spacing = SPACING_NS;
	return rpcprof_clock_monotonic_now_ns() - last >= spacing;
}

/* The anchor that will be missed least: the one whose gap, once it is gone, is smallest for its
 * age. So spacing grows in proportion to age. Those that enclose a step of the wall clock date it
 * and stay, unless there is nothing else: then the oldest goes. Never the first or the last. */
static uint32_t least_missed(const struct rpcprof_anchor *anchors, uint32_t count)
{
	int64_t now = anchors[count - 1].monotonic_ns;
	uint64_t best_gap = 0, best_age = 0;
	uint32_t best = 1;

	for (uint32_t i = 1; i + 1 < count; i++) {
		const struct rpcprof_anchor *a = &anchors[i - 1], *b = a + 1, *c = a + 2;
		uint64_t gap = (uint64_t)(c->monotonic_ns - a->monotonic_ns);
		uint64_t age = (uint64_t)(now - b->monotonic_ns);

		if (rpcprof_anchors_step_ns(a, b) != 0 || rpcprof_anchors_step_ns(b, c) != 0)
			continue;
		/* gap / age < best_gap / best_age */
		if (best_age == 0 || (rpcprof_u128)gap * best_age < (rpcprof_u128)best_gap * age) {
			best_gap = gap;
			best_age = age;
			best = i;
		}
	}
	return best;
}

/* The slope since init, unless a suspend or a like event is among it. */
static void improve_slope(struct rpcprof_clock_state *state, const struct rpcprof_anchor *newest)
{
	uint64_t slope = rpcprof_slope_between(&state->anchors[0], newest);
	uint64_t known = state->slope;
	uint64_t apart = slope > known ? slope - known : known - slope;

	if (apart > known / 1024)
		return;
	rpcprof_store_relaxed(&state->slope, slope);
	rpcprof_store_relaxed(&state->slope_error_ppb,
	                      rpcprof_slope_error_ppb(&state->anchors[0], newest));
}

/* By the one writer: what it reads, only it writes, so plain reads do. */
static void append(struct rpcprof_clock_state *state, const struct rpcprof_anchor *fresh)
{
	const struct rpcprof_anchor *last = &state->anchors[state->count - 1];
	uint32_t count = state->count;

	if (rpcprof_anchors_step_ns(last, fresh) != 0)
		rpcprof_store_relaxed(&state->steps, state->steps + 1);
	if ((int64_t)(fresh->ticks - last->ticks) <= 0)
		count = 0;
	else
		improve_slope(state, fresh);
	if (count == RPCPROF_ANCHORS_MAX) {
		for (uint32_t i = least_missed(state->anchors, count); i + 1 < count; i++)
			anchor_copy(&state->anchors[i], &state->anchors[i + 1]);
		count--;
	}
	anchor_copy(&state->anchors[count], fresh);
	rpcprof_store_relaxed(&state->count, count + 1);
}

void rpcprof_clock_refresh(void)
{
	struct rpcprof_clock_state *state = rpcprof_anchors_state();
	struct rpcprof_anchor fresh;
	uint32_t seq;

	if (!state)
		return;
	seq = rpcprof_load_relaxed(&state->seq); /* relaxed: the CAS decides */
	if (seq % 2 != 0 || !is_due(state))
		return;
	rpcprof_anchor_take(&fresh, state->kind, rpcprof_load_relaxed(&state->slope));
	/* C6 acquire, pairs with C5 of the writer before: this one reads its anchors, else thinning
	 * works on a mixture. */
	if (!rpcprof_cas_acquire(&state->seq, &seq, seq + 1))
		return;
	/* C7 release fence, pairs with C8: seq odd before any new word, else a reader takes a
	 * half-stored anchor for a whole one. */
	rpcprof_fence_release();
	append(state, &fresh);
	/* C5 release, pairs with C6 and with the reader's load: all words before an even seq. */
	rpcprof_store_release(&state->seq, seq + 2);
}

void rpcprof_clock_after_fork(void)
{
	struct rpcprof_clock_state *state = rpcprof_anchors_state();

	if (!state || state->seq % 2 == 0)
		return;
	/* Which of them are whole is not known: start anew. */
	rpcprof_anchor_take(&state->anchors[0], state->kind, state->slope);
	state->count = 1;
	state->seq++;
}

/* False: a writer was inside at each try. */
static bool copy_anchors(const struct rpcprof_clock_state *state, struct rpcprof_clock_map *map)
{
	for (int i = 0; i < READ_TRIES; i++) {
		/* pairs with C5: the words are at least as new as seq */
		uint32_t seq = rpcprof_load_acquire(&state->seq);

		if (seq % 2 != 0)
			continue;
		map->count = rpcprof_load_relaxed(&state->count);
		map->steps = rpcprof_load_relaxed(&state->steps);
		for (uint32_t k = 0; k < map->count && k < RPCPROF_ANCHORS_MAX; k++)
			anchor_copy(&map->anchors[k], &state->anchors[k]);
		/* C8 acquire fence, pairs with C7: a word of a later writer shows its odd seq. */
		rpcprof_fence_acquire();
		if (rpcprof_load_relaxed(&state->seq) == seq)
			return true;
	}
	return false;
}

int rpcprof_clock_map_get(struct rpcprof_clock_map *map)
{
	const struct rpcprof_clock_state *state = rpcprof_anchors_state();
	uint64_t slope;

	if (!state)
		return -ENODEV;
	rpcprof_clock_refresh();
	slope = rpcprof_load_relaxed(&state->slope);
	if (!copy_anchors(state, map)) {
		map->count = 1;
		map->steps = rpcprof_load_relaxed(&state->steps);
		rpcprof_anchor_take(&map->anchors[0], state->kind, slope);
	}
	rpcprof_map_derive(map, slope, rpcprof_load_relaxed(&state->slope_error_ppb));
	return 0;
}
