/* SPDX-License-Identifier: Apache-2.0 */
/* Recording allocates nothing after a thread's first record: every allocation is counted. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>

#include "rpcprof/rpcprof.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define NO_COUNTING 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
	__has_feature(memory_sanitizer)
#define NO_COUNTING 1
#endif
#endif

#ifndef NO_COUNTING /* a sanitizer has an allocator of its own */
static uint64_t allocations;

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);

void *malloc(size_t bytes)
{
	__atomic_fetch_add(&allocations, 1, __ATOMIC_RELAXED);
	return __libc_malloc(bytes);
}

void *calloc(size_t count, size_t bytes)
{
	__atomic_fetch_add(&allocations, 1, __ATOMIC_RELAXED);
	return __libc_calloc(count, bytes);
}

void *realloc(void *memory, size_t bytes)
{
	__atomic_fetch_add(&allocations, 1, __ATOMIC_RELAXED);
	return __libc_realloc(memory, bytes);
}

static void record(uint64_t calls)
{
	struct rpcprof_detached_timer timer;
	struct rpcprof_stat stat;

	for (uint64_t i = 0; i < calls; i++) {
		stat = RPCPROF_STAT_BEGIN("server");
		for (int k = 0; k < 30; k++)
			rpcprof_timer_end(RPCPROF_TIMER_BEGIN(stat, "/a"));
		RPCPROF_LAP(stat, "/b");
		timer = rpcprof_detached_timer_begin(RPCPROF_TAG("/c"));
		rpcprof_detached_timer_end(&timer);
		rpcprof_stat_append(stat, &timer);
		rpcprof_stat_set_method(stat, rpcprof_tag_intern(RPCPROF_TAG_METHOD, "/m", 2));
		rpcprof_stat_set_status(stat, 0);
		rpcprof_stat_end(stat);
	}
}

static int ignore(void *arg, const struct rpcprof_view *view)
{
	(void)view;
	return arg == NULL;
}

static uint64_t begin_allocations, end_allocations;

static void *thread_records(void *arg)
{
	if (arg != NULL)
		rpcprof_thread_prepare();
	else
		record(1);
	begin_allocations = allocations;
	record(10000);
	(void)rpcprof_drain(ignore, &begin_allocations);
	record(10);
	end_allocations = allocations;
	return NULL;
}

static void run(void *arg)
{
	struct rpcprof_config config = {.size = sizeof(config), .capacity = 100};
	pthread_t thread;

	cr_assert_eq(rpcprof_init(&config), 0);
	cr_assert_eq(rpcprof_enable(true), 0);
	cr_assert_eq(pthread_create(&thread, NULL, thread_records, arg), 0);
	pthread_join(thread, NULL);
	cr_assert_gt(begin_allocations, 0); /* the counting works */
	cr_assert_eq(end_allocations, begin_allocations);
}

Test(allocation, none_after_a_threads_first_record)
{
	run(NULL);
}

Test(allocation, none_at_all_after_prepare)
{
	run(&allocations);
}
#endif
