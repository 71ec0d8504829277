/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fini while 8 threads record, and dlclose of the library while they do: nobody crashes, every
 * Stat begun is published, and none begins after.
 *
 * usage: shared_fini LIBRPCPROF.SO
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "rpcprof/rpcprof.h"

#define THREADS 8

/* The library by its own door, as a plugin that is loaded and unloaded would have it. */
static struct {
	__typeof__(rpcprof_init) *init;
	__typeof__(rpcprof_enable) *enable;
	__typeof__(rpcprof_fini) *fini;
	__typeof__(rpcprof_counters_get) *counters_get;
	__typeof__(rpcprof_stat_begin_on) *stat_begin_on;
	__typeof__(rpcprof_stat_end_on) *stat_end_on;
	__typeof__(rpcprof_timer_begin_slow) *timer_begin;
	__typeof__(rpcprof_timer_end_slow) *timer_end;
} lib;

static uint32_t stop;
static uint64_t begun;

static void end(struct rpcprof_timer timer)
{
	lib.timer_end(timer.begin, timer.bits, 0);
}

static void *record(void *arg)
{
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		struct rpcprof_stat stat = lib.stat_begin_on(RPCPROF_TAG_SERVER, 0);
		if (rpcprof_stat_is_null(stat))
			continue;
		__atomic_fetch_add(&begun, 1, __ATOMIC_RELAXED);
		for (int i = 0; i < 10; i++)
			end(lib.timer_begin(stat, 5, 0));
		lib.stat_end_on(stat, 0);
	}
	return arg;
}

static void *symbol(void *handle, const char *name)
{
	void *found = dlsym(handle, name);

	if (found == NULL)
		printf("no %s: %s\n", name, dlerror());
	return found;
}

static int open_library(void *handle)
{
	*(void **)&lib.init = symbol(handle, "rpcprof_init");
	*(void **)&lib.enable = symbol(handle, "rpcprof_enable");
	*(void **)&lib.fini = symbol(handle, "rpcprof_fini");
	*(void **)&lib.counters_get = symbol(handle, "rpcprof_counters_get");
	*(void **)&lib.stat_begin_on = symbol(handle, "rpcprof_stat_begin_on");
	*(void **)&lib.stat_end_on = symbol(handle, "rpcprof_stat_end_on");
	*(void **)&lib.timer_begin = symbol(handle, "rpcprof_timer_begin_slow");
	*(void **)&lib.timer_end = symbol(handle, "rpcprof_timer_end_slow");
	return lib.init && lib.enable && lib.fini && lib.counters_get && lib.stat_begin_on &&
	       lib.stat_end_on && lib.timer_begin && lib.timer_end;
}

int main(int argc, char **argv)
{
	void *handle = dlopen(argc > 1 ? argv[1] : "librpcprof.so", RTLD_NOW | RTLD_LOCAL);
	struct rpcprof_counters at_fini, after;
	pthread_t threads[THREADS];

	if (handle == NULL || !open_library(handle)) {
		printf("dlopen: %s\n", handle == NULL ? dlerror() : "not the library");
		return 2;
	}
	if (lib.init(NULL) != 0 || lib.enable(true) != 0)
		return 2;
	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, record, NULL);
	usleep(300000);
	lib.fini();
	usleep(50000);
	lib.counters_get(&at_fini);
	dlclose(handle);
	usleep(300000);
	lib.counters_get(&after);
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	printf("begun %llu, published %llu at fini, %llu at the end\n", (unsigned long long)begun,
	       (unsigned long long)at_fini.pushed, (unsigned long long)after.pushed);
	/* A thread may have been preempted inside while fini came: one call each. */
	return begun == 0 || after.pushed != begun || begun - at_fini.pushed > THREADS;
}
