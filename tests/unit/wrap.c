/* SPDX-License-Identifier: Apache-2.0 */
/* Counters that start near their end. (The ring's and the clock's are in buffer.c and clock.c.) */
#include <criterion/criterion.h>

#include "rpcprof/rpcprof.h"
#include "stats/arena_internal.h"

static int count(void *arg, const struct rpcprof_view *view)
{
	cr_assert_leq(view->generation, GENERATION_MAX);
	cr_assert_neq(view->generation, 0);
	++*(uint64_t *)arg;
	return 0;
}

static void start(void)
{
	struct rpcprof_config config = {.size = sizeof(config), .capacity = 4};

	cr_assert_eq(rpcprof_init(&config), 0);
	cr_assert_eq(rpcprof_enable(true), 0);
}

static uint64_t record(uint64_t calls)
{
	uint64_t delivered = 0;

	for (uint64_t i = 0; i < calls; i++) {
		struct rpcprof_stat stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);
		cr_assert_not(rpcprof_stat_is_null(stat));
		rpcprof_timer_end(rpcprof_timer_begin(stat, RPCPROF_TAG("/a")));
		rpcprof_stat_end(stat);
	}
	(void)rpcprof_drain(count, &delivered);
	return delivered;
}

Test(wrap, generations_go_on_from_the_first_after_the_last)
{
	struct rpcprof_counters all;
	uint64_t delivered;

	start();
	rpcprof_control()->generation = GENERATION_MAX - 2; /* of every cell's first use */
	delivered = record(1000); /* some cells are used often enough to wrap more than once */
	cr_assert_eq(rpcprof_counters_get(&all), 0);
	cr_assert_eq(all.pushed, 1000);
	cr_assert_eq(all.displaced + delivered, 1000);
	cr_assert_eq(all.late, 0);
}

Test(wrap, a_handle_from_before_the_wrap_is_late)
{
	struct rpcprof_stat old, stat;
	struct rpcprof_counters all;
	uint64_t delivered = 0;

	start();
	rpcprof_control()->generation = GENERATION_MAX;
	old = rpcprof_stat_begin(RPCPROF_TAG_SERVER);
	rpcprof_stat_end(old);
	(void)rpcprof_drain(count, &delivered);
	rpcprof_control()->generation = 1;
	stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);
	cr_assert_eq((uint32_t)stat.bits, (uint32_t)old.bits);
	cr_assert_eq(stat.bits >> 32, 1);
	rpcprof_stat_end(old);
	cr_assert_eq(rpcprof_counters_get(&all), 0);
	cr_assert_eq(all.late, 1);
	rpcprof_stat_end(stat);
	(void)rpcprof_drain(count, &delivered);
	cr_assert_eq(delivered, 2);
}

Test(wrap, the_depots_tag_wraps)
{
	uint64_t delivered;

	start();
	rpcprof_map.shared->depot = UINT64_C(0xfffffffe) << 32;
	/* Ten times as many in flight as a stash holds: the depot gives and takes. */
	for (int round = 0; round < 4; round++) {
		struct rpcprof_stat stats[60];
		for (int i = 0; i < 60; i++) {
			stats[i] = rpcprof_stat_begin(RPCPROF_TAG_SERVER);
			cr_assert_not(rpcprof_stat_is_null(stats[i]));
		}
		for (int i = 0; i < 60; i++)
			rpcprof_stat_discard(stats[i]);
	}
	cr_assert_lt(rpcprof_map.shared->depot >> 32, UINT64_C(0xfffffffe));
	delivered = record(4);
	cr_assert_eq(delivered, 4);
}
