/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The switch from outside. Recording that was switched on for a time ends by itself: by a thread
 * that sleeps until then, since whoever asked may be dead, and the transport busy.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "grpc_go_profiling.pb-c.h"
#include "rpcprof/control.h"
#include "rpcprof/v1/profiling.pb-c.h"
#include "service/service_internal.h"
#include "thread_internal.h"

#define NS UINT64_C(1000000000)
#define FOR_NS_MAX (7 * 24 * 3600 * NS)

static struct {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool ready;      /* the condition is made */
	bool running;    /* there is a thread */
	bool stop;       /* it is to end: rpcprof_fini() */
	uint64_t off_at; /* monotonic; 0 = not by itself */
	uint32_t holds;
	bool held; /* the first hold switched it on, and nobody decided since */
	pthread_t thread;
} state = {.lock = PTHREAD_MUTEX_INITIALIZER};
static bool fini_knows;

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS + (uint64_t)now.tv_nsec;
}

/* One thread for good once there was need of it: it sleeps while there is none. */
static void *run(void *arg)
{
	(void)arg;
	pthread_mutex_lock(&state.lock);
	while (!state.stop) {
		uint64_t at = state.off_at;
		struct timespec until = {(time_t)(at / NS), (long)(at % NS)};

		if (at != 0 && now_ns() >= at) {
			state.off_at = 0;
			(void)rpcprof_enable(false);
		} else if (at != 0) {
			pthread_cond_timedwait(&state.wake, &state.lock, &until);
		} else {
			pthread_cond_wait(&state.wake, &state.lock);
		}
	}
	pthread_mutex_unlock(&state.lock);
	return NULL;
}

static void stop_at_fini(void)
{
	bool running;

	pthread_mutex_lock(&state.lock);
	running = state.running;
	state.running = false;
	state.stop = true;
	if (running)
		pthread_cond_signal(&state.wake);
	pthread_mutex_unlock(&state.lock);
	if (running)
		pthread_join(state.thread, NULL);
}

static void make_condition(void)
{
	pthread_condattr_t attributes;

	if (state.ready)
		return;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&state.wake, &attributes);
	pthread_condattr_destroy(&attributes);
	state.ready = true;
}

/* Under the lock. 0 or a negative errno. */
static int start_thread(void)
{
	int error;

	if (state.running)
		return 0;
	if (state.stop)
		return -ENODEV;
	make_condition();
	error = fini_knows ? 0 : rpcprof_at_fini(stop_at_fini);
	fini_knows = error == 0;
	if (error == 0)
		error = rpcprof_thread_start(&state.thread, "rpcprof-off", run, NULL);
	state.running = error == 0;
	return error;
}

int service_switch(bool on, uint64_t for_ns, bool *was)
{
	int error = 0;

	pthread_mutex_lock(&state.lock);
	if (on && for_ns != 0)
		error = start_thread();
	if (error == 0) {
		if (was != NULL)
			*was = rpcprof_enabled();
		error = rpcprof_enable(on);
	}
	if (error == 0) {
		state.held = false;
		state.off_at = on && for_ns != 0 ? now_ns() + for_ns : 0;
		if (state.running)
			pthread_cond_signal(&state.wake);
	}
	pthread_mutex_unlock(&state.lock);
	return error;
}

int service_switch_hold(void)
{
	int error = 0;

	service_watch_forks();
	pthread_mutex_lock(&state.lock);
	if (!rpcprof_enabled()) {
		error = rpcprof_enable(true);
		state.held = error == 0;
	}
	if (error == 0)
		state.holds++;
	pthread_mutex_unlock(&state.lock);
	return error;
}

void service_switch_release(void)
{
	pthread_mutex_lock(&state.lock);
	if (--state.holds == 0 && state.held) {
		state.held = false;
		(void)rpcprof_enable(false);
	}
	pthread_mutex_unlock(&state.lock);
}

uint64_t service_switch_off_in_ns(void)
{
	uint64_t now = now_ns(), at;

	pthread_mutex_lock(&state.lock);
	at = state.off_at;
	pthread_mutex_unlock(&state.lock);
	return at == 0 ? 0 : at > now ? at - now : 1;
}

/* The thread is not in the child; so neither is what it was to end. */
void service_switch_forget(void)
{
	bool on_for_a_time = state.off_at != 0 || state.held;

	memset(&state, 0, sizeof(state));
	pthread_mutex_init(&state.lock, NULL);
	if (on_for_a_time)
		(void)rpcprof_enable(false);
}

static int fail(struct rpcprof_service_call *call, int error)
{
	if (error == -ENODEV)
		return service_fail(call, SERVICE_FAILED_PRECONDITION,
		                    "the program has called rpcprof_fini(): recording is over");
	return service_fail(call, SERVICE_RESOURCE_EXHAUSTED,
	                    "no thread to switch recording off again (%s); it was left as it was",
	                    strerror(-error));
}

int service_enable_begin(struct rpcprof_service_call *call, const void *message)
{
	const Rpcprof__V1__EnableRequest *request = message;
	Rpcprof__V1__EnableResponse response = RPCPROF__V1__ENABLE_RESPONSE__INIT;
	bool was;
	int error;

	if (request->duration_ns > FOR_NS_MAX || (!request->enabled && request->duration_ns != 0))
		return service_fail(call, SERVICE_INVALID_ARGUMENT,
		                    "duration_ns %" PRIu64 ": it goes with enabled = true, and is at "
		                    "most 7 days", request->duration_ns);
	error = service_switch(request->enabled, request->duration_ns, &was);
	if (error != 0)
		return fail(call, error);
	response.was_enabled = was;
	return service_answer(call, &response.base);
}

int service_go_enable_begin(struct rpcprof_service_call *call, const void *message)
{
	const Grpc__Go__Profiling__V1alpha__EnableRequest *request = message;
	Grpc__Go__Profiling__V1alpha__EnableResponse response =
		GRPC__GO__PROFILING__V1ALPHA__ENABLE_RESPONSE__INIT;
	int error = service_switch(request->enabled, 0, NULL);

	return error != 0 ? fail(call, error) : service_answer(call, &response.base);
}
