/* SPDX-License-Identifier: Apache-2.0 */
/* Waits for locks: the sums of those outside of calls, the timers of those in one. */
#include <criterion/criterion.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rpcprof/rpcprof.h"
#include "stats/arena_internal.h"

static uint64_t now = 1000000;

static uint64_t fake_ticks(void)
{
	return __atomic_load_n(&now, __ATOMIC_RELAXED);
}

static int64_t fake_ns(void)
{
	return (int64_t)fake_ticks();
}

static void start(int64_t fraction)
{
	static const struct rpcprof_clock_source source = {fake_ticks, fake_ns, fake_ns, 0};

	rpcprof_clock_set_source(&source);
	cr_assert_eq(rpcprof_init(NULL), 0);
	cr_assert_eq(rpcprof_enable(true), 0);
	cr_assert_eq(rpcprof_set_mutex_fraction(fraction), 0);
}

static uint32_t tag(const char *name)
{
	return rpcprof_tag_intern(RPCPROF_TAG_STAGE, name, (size_t)-1);
}

static void wait_for(const char *name, uint64_t ns)
{
	struct rpcprof_lock_wait wait = rpcprof_lock_begin(rpcprof_stat_none_(), tag(name));

	now += ns;
	rpcprof_lock_end(wait);
}

struct found {
	uint32_t tag;
	struct rpcprof_lock_view lock;
};

static int find(void *arg, const struct rpcprof_lock_view *lock)
{
	struct found *found = arg;

	if (lock->tag == found->tag)
		found->lock = *lock;
	return 0;
}

static struct rpcprof_lock_view sums_of(uint32_t of)
{
	struct found found = {.tag = of};

	cr_assert_geq(rpcprof_lock_walk(find, &found), 0);
	return found.lock;
}

static int64_t locks(void)
{
	struct found found = {0};

	return rpcprof_lock_walk(find, &found);
}

Test(locks, every_wait_is_there_at_fraction_1)
{
	start(1);
	for (int i = 0; i < 10000; i++) {
		wait_for("/lock/a", 1234);
		wait_for("/lock/b", 7);
	}
	cr_assert_eq(locks(), 2);
	cr_assert_eq(sums_of(tag("/lock/a")).count, 10000);
	cr_assert_eq(sums_of(tag("/lock/a")).delay_ns, 12340000);
	cr_assert_eq(sums_of(tag("/lock/b")).count, 10000);
	cr_assert_eq(sums_of(tag("/lock/b")).delay_ns, 70000);
}

/* k of n are taken: binomial, 10 k has a deviation of 10 sqrt(n 0.1 0.9) = 300. */
Test(locks, a_tenth_counts_for_all_at_fraction_10)
{
	struct rpcprof_lock_view sums;

	start(10);
	for (int i = 0; i < 10000; i++)
		wait_for("/lock", 1234);
	sums = sums_of(tag("/lock"));
	cr_assert_eq(sums.count % 10, 0);
	cr_assert_gt(sums.count, 10000 - 3 * 300);
	cr_assert_lt(sums.count, 10000 + 3 * 300);
	cr_assert_eq(sums.delay_ns, sums.count * 1234);
}

Test(locks, nothing_is_taken_while_off)
{
	struct rpcprof_lock_wait wait;

	cr_assert_eq(rpcprof_set_mutex_fraction(1), -ENODEV);
	cr_assert_eq(rpcprof_lock_walk(find, NULL), -ENODEV);
	start(0);
	wait_for("/lock", 5);
	cr_assert_eq(RPCPROF_LOCK_BEGIN(rpcprof_stat_none_(), "/unseen").bits, 0);
	cr_assert_eq(rpcprof_tag_find("/unseen", (size_t)-1), 0);
	wait = rpcprof_lock_begin_on(rpcprof_stat_none_(), tag("/lock"));
	cr_assert_eq(wait.bits, 0, "switched off between the look and the call");
	cr_assert_eq(rpcprof_set_mutex_fraction(1), 0);
	cr_assert_eq(rpcprof_enable(false), 0);
	wait_for("/lock", 5);
	cr_assert_eq(locks(), 0);
}

Test(locks, the_fraction_is_what_was_set)
{
	start(7);
	cr_assert_eq(rpcprof_set_mutex_fraction(-1), 7);
	cr_assert_eq(rpcprof_set_mutex_fraction(INT64_MAX), 7);
	cr_assert_eq(rpcprof_set_mutex_fraction(0), (1 << 30) - 1);
	cr_assert_eq(rpcprof_set_mutex_fraction(-1), 0);
}

/* The scale is that of the begin, whatever is set meanwhile. */
Test(locks, a_wait_ends_as_it_began)
{
	struct rpcprof_lock_wait wait;

	start(1);
	wait = RPCPROF_LOCK_BEGIN(rpcprof_stat_none_(), "/lock");
	now += 50;
	rpcprof_set_mutex_fraction(0);
	rpcprof_lock_end(wait);
	cr_assert_eq(sums_of(tag("/lock")).delay_ns, 50);
}

Test(locks, those_without_a_place_are_other)
{
	uint64_t count = 0;
	char name[32];

	start(1);
	for (int i = 0; i < 2 * LOCK_SLOTS; i++) {
		snprintf(name, sizeof(name), "/lock/%d", i);
		wait_for(name, 3);
		count += sums_of(tag(name)).count;
	}
	wait_for("", 3);
	cr_assert_eq(locks(), LOCK_SLOTS + 1);
	cr_assert_eq(count, LOCK_SLOTS);
	cr_assert_eq(sums_of(RPCPROF_TAG_OTHER).count, LOCK_SLOTS + 1);
	cr_assert_eq(sums_of(RPCPROF_TAG_OTHER).delay_ns, 3 * (LOCK_SLOTS + 1));
}

Test(locks, a_clock_that_goes_back_is_counted)
{
	struct rpcprof_counters counters;

	start(1);
	wait_for("/lock", (uint64_t)-10);
	cr_assert_eq(sums_of(tag("/lock")).count, 1);
	cr_assert_eq(sums_of(tag("/lock")).delay_ns, 0);
	cr_assert_eq(rpcprof_counters_get(&counters), 0);
	cr_assert_eq(counters.negative, 1);
}

static int stop(void *arg, const struct rpcprof_lock_view *lock)
{
	(void)arg;
	(void)lock;
	return 1;
}

Test(locks, a_walk_stops_when_told)
{
	start(1);
	wait_for("/lock/a", 1);
	wait_for("/lock/b", 1);
	cr_assert_eq(rpcprof_lock_walk(stop, NULL), 1);
}

static int see_timer(void *arg, const struct rpcprof_view *view)
{
	cr_assert(rpcprof_view_timer(view, 0, arg));
	return 0;
}

Test(locks, in_a_call_it_is_a_timer)
{
	struct rpcprof_timer_view timer = {0};
	struct rpcprof_lock_wait wait;
	struct rpcprof_stat stat;

	start(1);
	cr_assert_eq(rpcprof_tag_marks(tag("/lock")), 0);
	stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);
	wait = RPCPROF_LOCK_BEGIN(stat, "/lock");
	now += 20;
	rpcprof_lock_end(wait);
	now += 20;
	rpcprof_stat_end(stat);
	cr_assert_eq(rpcprof_drain(see_timer, &timer), 1);
	cr_assert_eq(timer.tag, tag("/lock"));
	cr_assert_eq(timer.end - timer.begin, 20);
	cr_assert_eq(rpcprof_tag_marks(tag("/lock")), RPCPROF_TAG_LOCKS);
	cr_assert_eq(locks(), 0);
}

static void *contend(void *arg)
{
	(void)arg;
	for (int i = 0; i < 20000; i++) {
		struct rpcprof_lock_wait wait =
			RPCPROF_LOCK_BEGIN(rpcprof_stat_none_(), "/lock/shared");

		__atomic_fetch_add(&now, 1, __ATOMIC_RELAXED);
		rpcprof_lock_end(wait);
	}
	return NULL;
}

Test(locks, threads_lose_no_wait)
{
	pthread_t threads[4];

	start(1);
	for (int i = 0; i < 4; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, contend, NULL), 0);
	for (int i = 0; i < 4; i++)
		cr_assert_eq(pthread_join(threads[i], NULL), 0);
	cr_assert_eq(locks(), 1);
	cr_assert_eq(sums_of(tag("/lock/shared")).count, 80000);
	cr_assert_geq(sums_of(tag("/lock/shared")).delay_ns, 80000);
}

Test(locks, a_forked_child_begins_anew)
{
	int status;
	pid_t child;

	start(1);
	wait_for("/lock", 9);
	child = fork();
	if (child == 0) {
		wait_for("/lock", 4);
		_exit(sums_of(tag("/lock")).delay_ns == 4 ? 0 : 1);
	}
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert_eq(status, 0);
	cr_assert_eq(sums_of(tag("/lock")).delay_ns, 9);
}
