/* SPDX-License-Identifier: Apache-2.0 */
/* The arena under threads, forks and signal handlers. */
#include "tests/unit/arena_harness.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct rpcprof_stat handed_over;

static void *end_it(void *arg)
{
	(void)arg;
	rpcprof_timer_end(rpcprof_timer_begin(handed_over, RPCPROF_TAG("/there")));
	rpcprof_stat_end(handed_over);
	return NULL;
}

static int two_threads(void *arg, const struct rpcprof_view *view)
{
	struct rpcprof_timer_view timer[2];
	uint32_t timers = 0;

	(void)arg;
	for (uint32_t i = 0; i < view->slots; i++)
		if (rpcprof_view_timer(view, i, &timer[timers]))
			timers++;
	cr_assert_eq(timers, 2);
	cr_assert_neq(timer[0].thread, timer[1].thread);
	return 0;
}

Test(arena_threads, begun_here_and_ended_there)
{
	pthread_t thread;

	start(64);
	handed_over = rpcprof_stat_begin(RPCPROF_TAG_SERVER);
	rpcprof_timer_end(rpcprof_timer_begin(handed_over, RPCPROF_TAG("/here")));
	cr_assert_eq(pthread_create(&thread, NULL, end_it, NULL), 0);
	pthread_join(thread, NULL);
	cr_assert_eq(rpcprof_drain(two_threads, NULL), 1);
}

static void *record_some(void *arg)
{
	for (int32_t i = 0; i < 100; i++)
		record(i);
	return arg;
}

Test(arena_threads, threads_that_exit_give_their_cells_back)
{
	pthread_t thread;

	start(64);
	for (int i = 0; i < 1000; i++) {
		cr_assert_eq(pthread_create(&thread, NULL, record_some, NULL), 0);
		pthread_join(thread, NULL);
	}
	cr_assert_eq(counters().dropped_no_cell, 0);
	cr_assert_eq(counters().pushed, 100000);
}

Test(arena_threads, a_forked_child_has_an_arena_of_its_own)
{
	struct rpcprof_stat stat;
	uint64_t count = 0;
	int status;
	pid_t child;

	start(64);
	record(1);
	stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);
	child = fork();
	if (child == 0) {
		int wrong = rpcprof_snapshot(NULL, count_only, &count) != 0;
		wrong |= rpcprof_inflight(NULL, count_only, &count) != 0;
		wrong |= !rpcprof_enabled();
		record(2);
		rpcprof_stat_end(stat); /* the parent's: late here */
		wrong |= rpcprof_drain(count_only, &count) != 1;
		wrong |= counters().late != 1 || counters().pushed != 1;
		wrong |= rpcprof_tag_find("server", 6) != RPCPROF_TAG_SERVER;
		_exit(wrong);
	}
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert(WIFEXITED(status));
	cr_assert_eq(WEXITSTATUS(status), 0);
	rpcprof_stat_end(stat);
	cr_assert_eq(rpcprof_drain(count_only, &count), 2);
}

#define SIGNALS 20000
static volatile sig_atomic_t signals;
static struct rpcprof_stat interrupted;

static void record_in_handler(int number)
{
	(void)number;
	if (signals == SIGNALS) /* one that comes after all has been counted */
		return;
	signals++;
	rpcprof_timer_end(rpcprof_timer_begin(interrupted, RPCPROF_TAG_OTHER));
	record(-1);
}

static int count_timers(void *arg, const struct rpcprof_view *view)
{
	struct rpcprof_timer_view timer;
	uint64_t *timers = arg;

	for (uint32_t i = 0; i < view->slots; i++)
		*timers += rpcprof_view_timer(view, i, &timer) && timer.end != 0;
	*timers += rpcprof_view_folded(view);
	return 0;
}

/* 20 000 times a second, and every Stat and every timer is accounted for. */
Test(arena_threads, a_signal_handler_may_record)
{
	struct rpcprof_counters all;
	uint64_t begun = 0, timers = 0;
	struct sigaction action = {.sa_handler = record_in_handler};
	struct itimerspec every = {{0, 50000}, {0, 50000}};
	timer_t timer;

	start(4096);
	interrupted = rpcprof_stat_begin(RPCPROF_TAG_SERVER);
	rpcprof_stat_end(interrupted);
	cr_assert_eq(sigaction(SIGALRM, &action, NULL), 0);
	cr_assert_eq(timer_create(CLOCK_MONOTONIC, NULL, &timer), 0);
	cr_assert_eq(timer_settime(timer, 0, &every, NULL), 0);
	while (signals < SIGNALS) {
		struct rpcprof_stat stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);
		interrupted = stat;
		for (int i = 0; i < 12; i++)
			rpcprof_timer_end(rpcprof_timer_begin(stat, RPCPROF_TAG_OTHER));
		rpcprof_stat_set_status(stat, 1);
		rpcprof_stat_end(stat);
		begun++;
		if (begun % 512 == 0)
			rpcprof_drain(count_timers, &timers);
	}
	timer_delete(timer);
	rpcprof_drain(count_timers, &timers);
	all = counters();
	cr_assert_eq(all.pushed, 1 + begun + SIGNALS);
	cr_assert_eq(all.pushed, all.drained);
	cr_assert_eq(all.displaced, 0);
	cr_assert_eq(all.dropped_no_cell, 0);
	cr_assert_eq(timers + all.late + all.dropped_timers, 12 * begun + SIGNALS);
}
