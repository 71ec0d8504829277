/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpcprof_fini() with calls in flight on two threads: before grpc_shutdown() (no argument), after
 * it (1), from atexit() (2). What has begun is finished, nothing is left, nothing crashes.
 */
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "../unit/grpc_loop.h"

#define THREADS 2
#define CALLS 50 /* of each thread, before the stop */

enum stop { BEFORE, AFTER, AT_EXIT };

static enum stop stop;
static bool over;
static uint32_t made;
static struct rpcprof_stat kept[THREADS]; /* AFTER: Stats that outlive core */

struct pair {
	struct loop_call client, server;
};

static void finish(struct pair *pair)
{
	loop_send_status(&pair->server, true, GRPC_STATUS_OK);
	loop_done(&pair->server);
	loop_done(&pair->client);
	__atomic_add_fetch(&made, 1, __ATOMIC_RELAXED);
}

/* Always one call in flight, and mostly two. */
static void *call(void *arg)
{
	struct rpcprof_stat *keep = arg;
	struct pair pairs[2];
	struct loop loop;
	unsigned now = 0;

	loop_open(&loop, WRAPPED);
	loop_meet(&loop, &pairs[0].client, &pairs[0].server, METHOD, 20000);
	if (stop == AFTER)
		*keep = rpcprof_stat_retain(loop_stat(&pairs[0].server));
	while (!__atomic_load_n(&over, __ATOMIC_RELAXED)) {
		loop_meet(&loop, &pairs[!now].client, &pairs[!now].server, METHOD, 20000);
		finish(&pairs[now]);
		now = !now;
	}
	finish(&pairs[now]);
	loop_close(&loop); /* and grpc_shutdown() */
	return NULL;
}

static void expect_left(int64_t in_flight)
{
	struct rpcprof_grpc_counters counters;

	rpcprof_grpc_counters_get(&counters);
	assert(counters.under_way == 0 && counters.stale == 0);
	assert(seen_in_flight() == in_flight);
}

static int is_finished(void *arg, const struct rpcprof_view *view)
{
	(void)arg;
	assert(rpcprof_view_end(view) != 0 && rpcprof_view_has(view, RPCPROF_HAS_STATUS));
	return 0;
}

int main(int argc, char **argv)
{
	pthread_t threads[THREADS];

	stop = argc > 1 ? (enum stop)atoi(argv[1]) : BEFORE;
	assert(rpcprof_grpc_start(NULL) == 0);
	if (stop == AT_EXIT)
		atexit(rpcprof_fini);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, call, &kept[i]);
	while (__atomic_load_n(&made, __ATOMIC_RELAXED) < THREADS * CALLS)
		usleep(1000);
	if (stop == AT_EXIT)
		return 0;
	if (stop == BEFORE) {
		rpcprof_fini();
		assert(rpcprof_enable(true) == -ENODEV);
	}
	__atomic_store_n(&over, true, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	if (stop == AFTER) {
		rpcprof_fini();
		expect_left(THREADS);
		for (unsigned i = 0; i < THREADS; i++)
			rpcprof_stat_end(kept[i]);
	}
	expect_left(0);
	assert(rpcprof_snapshot(NULL, is_finished, NULL) >= THREADS * CALLS);
	return 0;
}
