/* SPDX-License-Identifier: Apache-2.0 */
/* Threads that come and go. The linker shows the steps of a registration here (--wrap). */
#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rpcprof/rpcprof.h"
#include "stats/arena_internal.h"

#define CAPACITY 64

static void start(void)
{
	struct rpcprof_config config = {.size = sizeof(config), .capacity = CAPACITY};

	cr_assert_eq(rpcprof_init(&config), 0);
	cr_assert_eq(rpcprof_enable(true), 0);
}

static void record(uint32_t stats)
{
	for (uint32_t i = 0; i < stats; i++)
		rpcprof_stat_end(rpcprof_stat_begin(RPCPROF_TAG_SERVER));
}

static int count(void *arg, const struct rpcprof_view *view)
{
	(void)view;
	++*(uint64_t *)arg;
	return 0;
}

/* That so many were recorded, and each of them can be accounted for. */
static void assert_recorded(uint64_t stats)
{
	struct rpcprof_counters counters;
	uint64_t left = 0;

	cr_assert_eq(rpcprof_counters_get(&counters), 0);
	cr_assert_eq(counters.pushed, stats);
	rpcprof_drain(count, &left);
	cr_assert_eq(rpcprof_counters_get(&counters), 0);
	cr_assert_eq(counters.displaced + left, stats);
}

static void run(void *(*fn)(void *), void *arg)
{
	pthread_t thread;

	cr_assert_eq(pthread_create(&thread, NULL, fn, arg), 0);
	cr_assert_eq(pthread_join(thread, NULL), 0);
}

Test(threads, may_prepare_before_init)
{
	rpcprof_thread_prepare();
	cr_assert_eq(rpcprof_thread.id, 0);
	start();
	rpcprof_thread_prepare();
	cr_assert_eq(rpcprof_thread.id, (uint64_t)syscall(SYS_gettid));
}

/* ---- signal handlers between the steps of a registration ---- */

static int interrupted_syscall, interrupted_setspecific;

static void record_three(int signal)
{
	(void)signal;
	record(3);
}

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...)
{
	if (interrupted_syscall > 0) {
		interrupted_syscall--;
		raise(SIGUSR1);
	}
	return __real_syscall(number); /* gettid */
}

int __real_pthread_setspecific(pthread_key_t key, const void *value);
int __wrap_pthread_setspecific(pthread_key_t key, const void *value);
int __wrap_pthread_setspecific(pthread_key_t key, const void *value)
{
	if (interrupted_setspecific > 0) {
		interrupted_setspecific--;
		raise(SIGUSR1);
	}
	return __real_pthread_setspecific(key, value);
}

static void *record_ten(void *arg)
{
	record(10);
	return arg;
}

static void assert_registered_once(void)
{
	cr_assert_eq(rpcprof_load_relaxed(&rpcprof_map.shared->threads), 1);
}

Test(threads, register_once_when_a_handler_comes_first)
{
	start();
	signal(SIGUSR1, record_three);
	interrupted_syscall = 1;
	record(10);
	cr_assert_eq(interrupted_syscall, 0);
	assert_registered_once();
	assert_recorded(13);
}

Test(threads, register_once_when_a_handler_comes_between)
{
	start();
	signal(SIGUSR1, record_three);
	interrupted_setspecific = 1;
	record(10);
	cr_assert_eq(interrupted_setspecific, 0);
	assert_registered_once();
	assert_recorded(13);
}

/* ---- threads that exit ---- */

static pthread_key_t later;

static void record_more(void *arg)
{
	(void)arg;
	cr_assert_eq(rpcprof_self.busy, 1); /* after the library's own */
	record(5 * CAPACITY);
}

static void *record_then_exit(void *arg)
{
	pthread_setspecific(later, &later);
	record(10);
	return arg;
}

Test(threads, may_record_in_exit_handlers_after_the_librarys)
{
	start();
	cr_assert_eq(pthread_key_create(&later, record_more), 0);
	run(record_then_exit, NULL);
	cr_assert_eq(rpcprof_load_relaxed(&rpcprof_map.shared->threads), 0);
	assert_recorded(10 + 5 * CAPACITY);
}

static struct rpcprof_stat stats[16 * CAPACITY];
static uint32_t begun;

static void begin_all(void *arg)
{
	(void)arg;
	do {
		stats[begun] = rpcprof_stat_begin(RPCPROF_TAG_SERVER);
	} while (!rpcprof_stat_is_null(stats[begun]) && ++begun < 16 * CAPACITY);
}

/* First what others gave back, then what was never used, and no cell twice. */
Test(threads, get_every_cell_there_is_in_exit_handlers_too)
{
	start();
	cr_assert_eq(pthread_key_create(&later, begin_all), 0);
	run(record_then_exit, NULL);
	cr_assert_eq(begun, rpcprof_control()->cells - 1 - 10);
	for (uint32_t i = 0; i < begun; i++)
		rpcprof_stat_end(stats[i]);
	assert_recorded(10 + begun);
}

Test(threads, share_counters_when_there_are_more_than_slots)
{
	struct rpcprof_thread_counters *slot;

	start();
	for (uint32_t i = 0; i < THREAD_SLOTS; i++) /* as so many other threads would */
		rpcprof_map.shared->thread[i].thread = 1;
	run(record_ten, NULL);
	run(record_ten, NULL);
	slot = &rpcprof_map.shared->thread[THREAD_SLOTS];
	cr_assert_eq(slot->pushed, 20);
	assert_recorded(20);
}

/* ---- the thread that forked, in its child ---- */

static void leave(void *arg)
{
	(void)arg;
	_exit(rpcprof_load_relaxed(&rpcprof_map.shared->threads) == 0 ? 7 : 1);
}

static void *record_and_fork(void *arg)
{
	pid_t *pid = arg;

	pthread_setspecific(later, &later);
	record(1);
	*pid = fork();
	if (*pid != 0)
		pthread_setspecific(later, NULL);
	return NULL;
}

Test(threads, that_forked_and_recorded_no_more_give_nothing_back_in_the_child)
{
	int status = 0;
	pid_t pid = 0;

	start();
	cr_assert_eq(pthread_key_create(&later, leave), 0);
	run(record_and_fork, &pid);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 7, "%x", (unsigned int)status);
}
