/* SPDX-License-Identifier: Apache-2.0 */
/* What used to go wrong while recording: each test's first lines say what. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>
#include <ucontext.h>

#include "rpcprof/rpcprof.h"
#include "stats/arena_internal.h"

static void start(uint32_t capacity, uint32_t cell_bytes)
{
	struct rpcprof_config config = {
		.size = sizeof(config), .capacity = capacity, .cell_bytes = cell_bytes,
		.clock = RPCPROF_CLOCK_RAW}; /* or there is no short way to go wrong */

	cr_assert_eq(rpcprof_init(&config), 0);
	cr_assert_eq(rpcprof_enable(true), 0);
}

static struct rpcprof_counters counters(void)
{
	struct rpcprof_counters all;

	cr_assert_eq(rpcprof_counters_get(&all), 0);
	return all;
}

static int count(void *arg, const struct rpcprof_view *view)
{
	(void)view;
	++*(uint64_t *)arg;
	return 0;
}

#if defined(__x86_64__) && !defined(RPCPROF_TSAN_) /* TSan delays signals */
#define TRAP_FLAG 0x100

static volatile sig_atomic_t steps;
static volatile uint64_t begun;

/* After each instruction while the processor's trap flag is set; begins with the one after raise(). */
static void record_between(int number, siginfo_t *info, void *context)
{
	ucontext_t *user = context;
	struct rpcprof_stat stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);

	(void)number;
	(void)info;
	rpcprof_stat_end(stat);
	begun = begun + !rpcprof_stat_is_null(stat);
	steps = steps + 1;
	if (steps < 1000)
		user->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
	else
		user->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG;
}

/* The stash was looked at before it was marked busy: a handler that took its last cell in between
 * made the count of cells wrap. Only while the ring is not full, when an end gives none back. Here a
 * handler records between any two instructions of a begin and an end. */
Test(record, a_handler_may_record_between_any_two_instructions)
{
	struct sigaction action = {.sa_sigaction = record_between, .sa_flags = SA_SIGINFO};
	uint64_t delivered = 0;

	start(1u << 17, 0);
	rpcprof_thread_prepare();
	cr_assert_eq(sigaction(SIGTRAP, &action, NULL), 0);
	for (int round = 0; round < 64; round++) {
		struct rpcprof_stat stat;
		for (int cells = 0; cells < round % 16; cells++, begun = begun + 1)
			rpcprof_stat_end(rpcprof_stat_begin(RPCPROF_TAG_SERVER));
		steps = 0;
		raise(SIGTRAP);
		stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);
		rpcprof_stat_end(stat);
		while (steps < 1000) /* the rest of the steps */
			;
		begun = begun + 1; /* the handler counts no more */
		cr_assert_leq(rpcprof_self.stashed, STASH_MAX);
	}
	(void)rpcprof_drain(count, &delivered);
	cr_assert_eq(counters().dropped_no_cell, 0);
	cr_assert_eq(delivered + counters().displaced, begun);
	cr_assert_eq(counters().pushed, begun);
}
#endif

static struct rpcprof_stat shared_stat;

static void *two_laps(void *arg)
{
	rpcprof_lap(shared_stat, 101);
	rpcprof_lap(shared_stat, 102);
	return arg;
}

static int check_folds(void *arg, const struct rpcprof_view *view)
{
	struct rpcprof_fold_view fold;
	uint64_t folds = 0;

	for (uint32_t i = 0; i < RPCPROF_ACCUMULATORS; i++) {
		if (!rpcprof_view_fold(view, i, &fold))
			continue;
		folds++;
		cr_assert_eq(fold.tag, 102);
		cr_assert_eq(fold.count, 1);
		cr_assert_leq(fold.longest_ticks,
		              rpcprof_view_end(view) - rpcprof_view_begin(view));
		cr_assert_eq(fold.total_ticks, fold.longest_ticks);
	}
	*(uint64_t *)arg = folds;
	return 0;
}

/* A lap of the owner stored the end of an open lap that had folded into the accumulator's longest. */
Test(record, the_owners_lap_ends_a_folded_one_of_another_thread)
{
	uint64_t folds = 0;
	pthread_t thread;

	start(64, 512);
	shared_stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);
	rpcprof_timer_end(rpcprof_timer_begin(shared_stat, 100));
	rpcprof_timer_end(rpcprof_timer_begin(shared_stat, 100));
	cr_assert_eq(pthread_create(&thread, NULL, two_laps, NULL), 0);
	pthread_join(thread, NULL);
	rpcprof_lap(shared_stat, 103);
	rpcprof_stat_end(shared_stat);
	cr_assert_eq(rpcprof_drain(check_folds, &folds), 1);
	cr_assert_eq(folds, 1);
}

/* The handle of a folded timer matched the key of a Stat that had ended. */
Test(record, the_late_end_of_a_folded_timer_is_late)
{
	struct rpcprof_timer timer;
	struct rpcprof_stat stat;

	start(64, 0);
	stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);
	for (int i = 0; i < 21; i++)
		rpcprof_timer_end(rpcprof_timer_begin(stat, 100));
	timer = rpcprof_timer_begin(stat, 200);
	rpcprof_stat_end(stat);
	cr_assert_eq(rpcprof_timer_end(timer), 0);
	cr_assert_eq(counters().late, 1);
}

/* After 2^32 folded timers the owner's slots were handed out again from the first. */
Test(record, slots_of_a_full_cell_are_never_handed_out_again)
{
	struct rpcprof_stat stat;

	start(64, 0);
	stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);
	for (int i = 0; i < 25; i++)
		rpcprof_timer_end(rpcprof_timer_begin(stat, 100));
	rpcprof_cell_of(rpcprof_unit(stat))->own_next = UINT32_MAX;
	for (int i = 0; i < 5; i++)
		rpcprof_timer_end(rpcprof_timer_begin(stat, 100));
	rpcprof_stat_end(stat);
	cr_assert_eq(counters().folded, 30 - rpcprof_arena.capacity);
}

static int stop_at_once(void *arg, const struct rpcprof_view *view)
{
	(void)arg;
	(void)view;
	return 1;
}

/* Stats of the history that a stopped drain had taken ahead went to `fresh`: collected twice. */
Test(record, a_stopped_drain_puts_stats_back_where_they_were)
{
	uint64_t collected = 0, again = 0;

	start(64, 0);
	for (int i = 0; i < 20; i++)
		rpcprof_stat_end(rpcprof_stat_begin(RPCPROF_TAG_SERVER));
	cr_assert_eq(rpcprof_collect(count, &collected), 20);
	cr_assert_eq(rpcprof_drain(stop_at_once, NULL), 1);
	cr_assert_eq(rpcprof_collect(count, &again), 0);
	cr_assert_eq(rpcprof_map.shared->history_stats, 19);
	cr_assert_eq(rpcprof_drain(count, &again), 19);
	cr_assert_eq(rpcprof_map.shared->history_stats, 0);
}

/* Asked for one status, the list of calls in flight, which have none yet, was empty. */
Test(record, calls_in_flight_are_listed_whatever_status_is_asked_for)
{
	struct rpcprof_filter filter = {.size = sizeof(filter), .by_status = 1, .status = 5};
	struct rpcprof_stat stat;
	uint64_t listed = 0;

	start(64, 0);
	stat = rpcprof_stat_begin(RPCPROF_TAG_SERVER);
	cr_assert_eq(rpcprof_inflight(&filter, count, &listed), 1);
	rpcprof_stat_end(stat);
}

static pthread_barrier_t all_recorded, all_checked;

static void *record_and_idle(void *arg)
{
	rpcprof_stat_end(rpcprof_stat_begin(RPCPROF_TAG_SERVER));
	pthread_barrier_wait(&all_recorded);
	pthread_barrier_wait(&all_checked);
	return arg;
}

/* Threads that recorded once and went idle held so many cells that others got none. */
Test(record, idle_threads_leave_cells_for_the_others)
{
	struct rpcprof_config config = {
		.size = sizeof(config), .capacity = 64, .single_ring = 1};
	pthread_t threads[40];
	struct rpcprof_stat stats[64];

	cr_assert_eq(rpcprof_init(&config), 0);
	cr_assert_eq(rpcprof_enable(true), 0);
	pthread_barrier_init(&all_recorded, NULL, 41);
	pthread_barrier_init(&all_checked, NULL, 41);
	for (int i = 0; i < 40; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, record_and_idle, NULL), 0);
	pthread_barrier_wait(&all_recorded);
	for (int i = 0; i < 1000; i++)
		rpcprof_stat_end(rpcprof_stat_begin(RPCPROF_TAG_SERVER));
	for (int i = 0; i < 64; i++) /* max_in_flight */
		stats[i] = rpcprof_stat_begin(RPCPROF_TAG_SERVER);
	for (int i = 0; i < 64; i++)
		rpcprof_stat_end(stats[i]);
	cr_assert_eq(counters().dropped_no_cell, 0);
	pthread_barrier_wait(&all_checked);
	for (int i = 0; i < 40; i++)
		pthread_join(threads[i], NULL);
}
