/* SPDX-License-Identifier: Apache-2.0 */
/* Waits for locks outside of calls: the sums of each tag are in one place, and exact. */
#include "fixture.h"
#include "rpcprof/lock.h"

static void no_sums(void)
{
	fixture_arena(false);
	REQUIRE(rpcprof_set_mutex_fraction(1) >= 0);
}

static void wait_for(uint32_t tag)
{
	rpcprof_lock_end(rpcprof_lock_begin(rpcprof_stat_none_(), tag));
}

/* Two tags whose ways begin at one entry. */
static const uint32_t tags[2] = {54, 497};

static void wait_twice(int thread)
{
	wait_for(tags[thread]);
	wait_for(tags[0]);
}

static int seen(void *arg, const struct rpcprof_lock_view *lock)
{
	unsigned *count = arg;

	int which = lock->tag == tags[1];

	REQUIRE(lock->tag == tags[which] && count[which] == 0);
	count[which] = (unsigned)lock->count;
	return 0;
}

static void three_and_one(void)
{
	unsigned count[2] = {0, 0};

	REQUIRE(rpcprof_lock_walk(seen, count) == 2);
	REQUIRE(count[0] == 3 && count[1] == 1);
}

const struct interleave_case lock_cases[] = {
	{"lock_sums", 2, ALL, ALL, 0, no_sums, wait_twice, three_and_one},
	{0},
};
