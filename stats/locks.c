/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waits for locks: in a call a timer of its Stat, outside of calls sums by tag in the arena.
 *
 * The sums are a table of LOCK_SLOTS entries, each claimed by a tag (CAS) for as long as the arena
 * lasts, and only ever added to: so whoever looks for a tag goes the same way, and two that claim
 * for one meet at one entry. A tag that finds its way taken adds to the last entry, "(other)":
 * its name is lost, its wait is not. No word guards another: all of it is relaxed.
 */
#include "rpcprof/lock.h"

#include <errno.h>

#include "stats/arena_internal.h"

#define PROBES_MAX 16
#define FRACTION_MAX ((1u << 30) - 1) /* it shares a word with RPCPROF_OUTSIDE */

uint32_t rpcprof_lock_fraction;

static __thread uint64_t random_state __attribute__((tls_model("initial-exec")));

int64_t rpcprof_set_mutex_fraction(int64_t n)
{
	if (!rpcprof_started())
		return -ENODEV;
	if (n < 0)
		return rpcprof_load_relaxed(&rpcprof_lock_fraction);
	return rpcprof_exchange_acq_rel(&rpcprof_lock_fraction,
	                                n < FRACTION_MAX ? (uint32_t)n : FRACTION_MAX);
}

/* SplitMix64: good enough to choose by, and its state is one word. A signal handler that comes
 * between has the same number: no harm. */
static uint64_t random_next(void)
{
	uint64_t z = random_state;

	if (z == 0)
		z = rpcprof_clock_now();
	random_state = z += 0x9e3779b97f4a7c15ull;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

/* One of n, by the upper half of the product: n is far from 2^64. */
static bool is_chosen(uint32_t n)
{
	__extension__ typedef unsigned __int128 wide;

	return (uint64_t)((wide)random_next() * n >> 64) == 0;
}

static struct rpcprof_lock_sums *sums_of(uint32_t tag)
{
	struct rpcprof_lock_sums *locks = rpcprof_map.shared->locks;
	uint32_t at = tag * 2654435761u >> 16;

	for (uint32_t i = 0; i < PROBES_MAX && tag > RPCPROF_TAG_OTHER; i++) {
		struct rpcprof_lock_sums *sums = &locks[(at + i) % LOCK_SLOTS];
		uint64_t claimed = rpcprof_load_relaxed(&sums->tag);

		if (claimed == tag ||
		    (claimed == 0 && rpcprof_cas_relaxed(&sums->tag, &claimed, (uint64_t)tag)) ||
		    claimed == tag)
			return sums;
	}
	return &locks[LOCK_SLOTS];
}

struct rpcprof_lock_wait rpcprof_lock_begin_on(struct rpcprof_stat stat, uint32_t tag)
{
	struct rpcprof_lock_wait wait = rpcprof_lock_none_();
	uint32_t fraction = rpcprof_load_relaxed(&rpcprof_lock_fraction);

	if (!rpcprof_stat_is_null(stat)) {
		struct rpcprof_timer timer;

		(void)rpcprof_tag_set_mark(tag, RPCPROF_TAG_LOCKS);
		timer = rpcprof_timer_begin(stat, tag);
		wait.begin = timer.begin;
		wait.bits = timer.bits;
		return wait;
	}
	/* E2, as in rpcprof_stat_begin_on(). */
	if (fraction == 0 || rpcprof_load_acquire(&rpcprof_control_page.head.enabled) == 0 ||
	    !is_chosen(fraction))
		return wait;
	wait.begin = rpcprof_clock_now();
	wait.bits = RPCPROF_OUTSIDE | (uint64_t)fraction << 32 | tag;
	return wait;
}

void rpcprof_lock_end_on(struct rpcprof_lock_wait wait)
{
	struct rpcprof_timer timer = {wait.begin, wait.bits};
	struct rpcprof_lock_sums *sums;
	uint64_t times, ticks;

	if ((wait.bits & RPCPROF_OUTSIDE) == 0) {
		(void)rpcprof_timer_end(timer);
		return;
	}
	ticks = rpcprof_clock_now() - wait.begin;
	if ((int64_t)ticks < 0) {
		rpcprof_count(negative);
		ticks = 0;
	}
	sums = sums_of((uint32_t)wait.bits);
	times = (wait.bits & ~RPCPROF_OUTSIDE) >> 32;
	(void)rpcprof_add_relaxed(&sums->count, times);
	(void)rpcprof_add_relaxed(&sums->delay_ns, times * rpcprof_clock_lasted_ns(ticks));
}

int64_t rpcprof_lock_walk(rpcprof_lock_fn *fn, void *arg)
{
	int64_t delivered = 0;

	if (!rpcprof_started())
		return -ENODEV;
	for (uint32_t i = 0; i <= LOCK_SLOTS; i++) {
		const struct rpcprof_lock_sums *sums = &rpcprof_map.shared->locks[i];
		struct rpcprof_lock_view lock = {RPCPROF_TAG_OTHER, 0, 0, 0};

		if (i < LOCK_SLOTS)
			lock.tag = (uint32_t)rpcprof_load_relaxed(&sums->tag);
		lock.count = rpcprof_load_relaxed(&sums->count);
		lock.delay_ns = rpcprof_load_relaxed(&sums->delay_ns);
		if (lock.count == 0)
			continue;
		delivered++;
		if (fn(arg, &lock) != 0)
			break;
	}
	return delivered;
}
