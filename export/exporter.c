/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exporter's thread: started by the user, ended by the user or rpcprof_fini().
 */
#include "rpcprof/export.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "export/channel_internal.h"
#include "export/exporter_internal.h"
#include "rpcprof/control.h"
#include "thread_internal.h"

/* Requests are numbered, so that two flushes at once may share a window but never miss theirs. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t wake; /* the thread: something was asked */
	pthread_cond_t done; /* its callers: flushed went on, or it ended */
	bool ready;          /* the conditions are made */
	bool running;
	bool stop;
	uint64_t asked;
	uint64_t flushed;
	int result; /* of the last flush */
} state = {.lock = PTHREAD_MUTEX_INITIALIZER};

static pthread_mutex_t lifecycle = PTHREAD_MUTEX_INITIALIZER;
static struct rpcprof_exporter exporter;
static pthread_t thread;
static bool fini_knows;
static __thread bool is_exporter; /* this thread is */

void rpcprof_exporter_state_lock(void)
{
	pthread_mutex_lock(&state.lock);
}

void rpcprof_exporter_state_unlock(void)
{
	pthread_mutex_unlock(&state.lock);
}

static void make_conditions(void)
{
	pthread_condattr_t attributes;

	if (state.ready)
		return;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&state.wake, &attributes);
	pthread_cond_init(&state.done, &attributes);
	pthread_condattr_destroy(&attributes);
	state.ready = true;
}

/* There is no exporter in the child, whatever the parent's was doing; its files and profiles are
 * the parent's to finish. */
static void child(void)
{
	pthread_mutex_init(&lifecycle, NULL);
	memset(&state, 0, sizeof(state));
	pthread_mutex_init(&state.lock, NULL);
	is_exporter = false;
	rpcprof_channel_inherit();
	rpcprof_exporter_forget(&exporter);
	rpcprof_profiles_forget();
	rpcprof_collector_forget();
}

static void watch_forks(void)
{
	(void)pthread_atfork(rpcprof_channel_before_fork, rpcprof_channel_after_fork, child);
}

void rpcprof_exporter_watch_forks(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, watch_forks);
}

static struct timespec after_ns(int64_t ns)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	time.tv_sec += (time_t)(ns / 1000000000);
	time.tv_nsec += (long)(ns % 1000000000);
	if (time.tv_nsec >= 1000000000) {
		time.tv_sec++;
		time.tv_nsec -= 1000000000;
	}
	return time;
}

/* Waits until it is time, or a flush or the end is asked. Returns the number of the latest flush
 * asked; *flush, whether there is one to answer; *stop, whether this is the last step. */
static uint64_t await(int64_t wait_ns, bool *flush, bool *stop)
{
	struct timespec until = after_ns(wait_ns);
	uint64_t asked;

	pthread_mutex_lock(&state.lock);
	while (!state.stop && state.asked == state.flushed &&
	       pthread_cond_timedwait(&state.wake, &state.lock, &until) == 0)
		;
	asked = state.asked;
	*flush = asked != state.flushed;
	*stop = state.stop;
	pthread_mutex_unlock(&state.lock);
	return asked;
}

static void answer(uint64_t asked)
{
	pthread_mutex_lock(&state.lock);
	state.flushed = asked;
	state.result = exporter.last_result;
	pthread_cond_broadcast(&state.done);
	pthread_mutex_unlock(&state.lock);
}

static void *run(void *arg)
{
	int64_t wait = 0;
	bool flush, stop = false;

	(void)arg;
	is_exporter = true;
	while (!stop) {
		uint64_t asked = await(wait, &flush, &stop);

		wait = rpcprof_exporter_step(&exporter, stop || flush);
		if (flush)
			answer(asked);
	}
	return NULL;
}

static void set_running(bool running)
{
	pthread_mutex_lock(&state.lock);
	state.running = running;
	state.stop = false;
	if (!running)
		pthread_cond_broadcast(&state.done);
	pthread_mutex_unlock(&state.lock);
}

static void stop_at_fini(void)
{
	(void)rpcprof_exporter_stop();
}

static int start(const struct rpcprof_exporter_config *config)
{
	int error;

	if (state.running) /* written under lifecycle, which is held */
		return -EALREADY;
	error = rpcprof_exporter_open(&exporter, config);
	if (error != 0)
		return error;
	make_conditions();
	set_running(true);
	rpcprof_collector_begin();
	error = rpcprof_thread_start(&thread, "rpcprof-exp", run, NULL);
	if (error != 0) {
		set_running(false);
		rpcprof_exporter_close(&exporter);
		rpcprof_collector_end();
		return error;
	}
	if (!fini_knows)
		fini_knows = rpcprof_at_fini(stop_at_fini) == 0;
	if (!config->keep_switch)
		(void)rpcprof_enable(true);
	return 0;
}

int rpcprof_exporter_start(const struct rpcprof_exporter_config *config)
{
	struct rpcprof_exporter_config full;
	int error = rpcprof_exporter_complete(&full, config);

	if (error != 0)
		return error;
	rpcprof_exporter_watch_forks();
	pthread_mutex_lock(&lifecycle);
	error = start(&full);
	pthread_mutex_unlock(&lifecycle);
	return error;
}

int rpcprof_exporter_stop(void)
{
	if (is_exporter)
		return -EDEADLK;
	pthread_mutex_lock(&lifecycle);
	if (state.running) {
		pthread_mutex_lock(&state.lock);
		state.stop = true;
		pthread_cond_signal(&state.wake);
		pthread_mutex_unlock(&state.lock);
		pthread_join(thread, NULL);
		set_running(false);
		rpcprof_collector_end();
		rpcprof_exporter_close(&exporter);
	}
	pthread_mutex_unlock(&lifecycle);
	return 0;
}

int rpcprof_exporter_flush(uint32_t timeout_ms)
{
	struct timespec until = after_ns((int64_t)timeout_ms * 1000000);
	uint64_t asked;
	int error = 0;

	if (is_exporter)
		return -EDEADLK;
	pthread_mutex_lock(&state.lock);
	asked = ++state.asked;
	if (state.running)
		pthread_cond_signal(&state.wake);
	while (state.running && state.flushed < asked && error == 0)
		error = -pthread_cond_timedwait(&state.done, &state.lock, &until);
	if (!state.running)
		error = -ESRCH;
	else if (state.flushed >= asked)
		error = state.result;
	pthread_mutex_unlock(&state.lock);
	return error;
}

static int change_backends(int (*change)(const struct rpcprof_backend *),
                           const struct rpcprof_backend *backend)
{
	int error;

	if (is_exporter)
		return -EDEADLK;
	pthread_mutex_lock(&lifecycle);
	error = state.running ? -EBUSY : change(backend);
	pthread_mutex_unlock(&lifecycle);
	return error;
}

int rpcprof_backend_add(const struct rpcprof_backend *backend)
{
	return change_backends(rpcprof_backends_add, backend);
}

int rpcprof_backend_remove(const struct rpcprof_backend *backend)
{
	return change_backends(rpcprof_backends_remove, backend);
}

int rpcprof_exporter_get_stats(struct rpcprof_exporter_stats *stats)
{
	struct rpcprof_aggregate_totals totals;
	struct rpcprof_exporter_stats now;
	size_t size = stats->size;

	if (size < sizeof(size) || size > sizeof(now))
		return -EINVAL;
	rpcprof_collector_totals(&totals);
	pthread_mutex_lock(&state.lock);
	now = exporter.stats;
	now.running = state.running;
	pthread_mutex_unlock(&state.lock);
	now.size = size;
	now.calls = totals.calls;
	now.unaggregated = rpcprof_collector_unaggregated();
	now.overflow = totals.overflow;
	now.uncharged = totals.uncharged;
	now.negative = totals.negative;
	now.series = totals.series;
	now.label_sets = totals.label_sets;
	rpcprof_channel_counts(&now.requests, &now.requests_refused);
	memcpy(stats, &now, size);
	return 0;
}
