/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Forked children have the parent's connections, but neither its threads nor the state of its TLS.
 * They close the sockets as numbers and touch nothing else of them: no word goes out there. What
 * is memory alone they may free, for a fork has the lock of each push, and so finds it whole.
 */
#include <errno.h>
#include <time.h>

#include "export/channel_internal.h"
#include "export/metrics_internal.h"
#include "push/push_internal.h"
#include "service/service_internal.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct rpcprof_push *all;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* Held for moments. But who logs under it may wait for a lock of the application's that this fork
 * has already, or be who forks: then a child cannot know what is there, and keeps it. */
static bool take_lock(struct rpcprof_push *push)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec++;
	return pthread_mutex_timedlock(&push->lock, &until) == 0;
}

static void prepare(void)
{
	pthread_mutex_lock(&lock);
	for (struct rpcprof_push *push = all; push != NULL; push = push->next)
		push->whole = take_lock(push);
}

static void parent(void)
{
	for (struct rpcprof_push *push = all; push != NULL; push = push->next)
		if (push->whole)
			pthread_mutex_unlock(&push->lock);
	pthread_mutex_unlock(&lock);
}

static void child(void)
{
	for (struct rpcprof_push *push = all; push != NULL; push = push->next) {
		__atomic_store_n(&push->forked, true, __ATOMIC_RELAXED);
		if (push->http != NULL)
			rpcprof_http_forget(push->http);
	}
	all = NULL;
	pthread_mutex_init(&lock, NULL);
}

struct change {
	struct rpcprof_label label;
	int status;
};

static void change_one(void *arg, struct rpcprof_push *push)
{
	struct change *change = arg;
	int error = rpcprof_push_set_label(push, change->label.name, change->label.value);

	if (change->status == 0 || change->status == -ENOENT)
		change->status = error;
}

int rpcprof_push_set_label_of_all(const char *name, const char *value)
{
	struct change change = {{name, value}, -ENOENT};

	rpcprof_push_walk(change_one, &change);
	return change.status;
}

static void watch(void)
{
	(void)pthread_atfork(prepare, parent, child);
	rpcprof_channel_labels_set(rpcprof_push_set_label_of_all);
	rpcprof_metrics_add_source(rpcprof_push_write_metrics);
	service_pushes_set(rpcprof_push_tell);
}

/* The smallest that is free: however many are opened and closed, metrics see few. */
static uint32_t free_place(void)
{
	uint32_t place = 0;

	for (const struct rpcprof_push *push = all; push != NULL;)
		if (push->place == place) {
			place++;
			push = all;
		} else {
			push = push->next;
		}
	return place;
}

void rpcprof_push_watch_forks(struct rpcprof_push *push)
{
	pthread_once(&once, watch);
	pthread_mutex_lock(&lock);
	push->place = free_place();
	push->next = all;
	all = push;
	pthread_mutex_unlock(&lock);
}

void rpcprof_push_forget(struct rpcprof_push *push)
{
	struct rpcprof_push **link = &all;

	pthread_mutex_lock(&lock);
	while (*link != push)
		link = &(*link)->next;
	*link = push->next;
	pthread_mutex_unlock(&lock);
}

void rpcprof_push_walk(void (*fn)(void *arg, struct rpcprof_push *push), void *arg)
{
	pthread_mutex_lock(&lock);
	for (struct rpcprof_push *push = all; push != NULL; push = push->next)
		fn(arg, push);
	pthread_mutex_unlock(&lock);
}
