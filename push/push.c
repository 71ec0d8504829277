/* SPDX-License-Identifier: Apache-2.0 */
#include "rpcprof/push.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "push/push_internal.h"
#include "push/sink_internal.h"
#include "rpcprof/control.h"
#include "thread_internal.h"

#define UNMEASURED 65536e-9          /* bytes per ns that a link is taken to do until it is known */
#define OURS "wall"              /* __name__ of the exporter's profiles */

static bool is_inherited(struct rpcprof_push *push)
{
	return __atomic_load_n(&push->forked, __ATOMIC_RELAXED);
}

static const char *refuse_label(const struct rpcprof_label *label, uint32_t protocol)
{
	const char *wrong = rpcprof_label_check(label, protocol);

	if (wrong != NULL)
		rpcprof_log(RPCPROF_LOG_ERROR, "label %.80s not set: %s",
		            label->name != NULL ? label->name : "(null)", wrong);
	return wrong;
}

static int set_label(struct rpcprof_push *push, const struct rpcprof_label *label)
{
	return refuse_label(label, push->protocol) != NULL ? -EINVAL
	                                                   : rpcprof_labels_set(&push->labels, label);
}

static int set_labels(struct rpcprof_push *push, const struct rpcprof_push_config *config)
{
	struct rpcprof_label application = {"service_name", config->application};
	int error = set_label(push, &application);

	if (config->label_count > RPCPROF_PUSH_LABELS_MAX) {
		rpcprof_log(RPCPROF_LOG_ERROR, "rpcprof_push_open: label_count is over %d",
		            RPCPROF_PUSH_LABELS_MAX);
		return -EINVAL;
	}
	for (size_t i = 0; error == 0 && i < config->label_count; i++)
		error = set_label(push, &config->labels[i]);
	return error;
}

static void set_numbers(struct rpcprof_push *push, const struct rpcprof_push_config *config)
{
	push->protocol = config->protocol;
	push->retry_uncertain = config->retry_uncertain != 0;
	push->limits = (struct rpcprof_limits){config->profile_bytes, config->profile_samples,
	                                       config->profile_parts};
	push->backoff_min_ns = config->backoff_min_ms * 1000000ll;
	push->backoff_max_ns = config->backoff_max_ms * 1000000ll;
	push->jitter_ns = config->jitter_ms * 1000000ll;
	push->max_age_ns = config->max_age_s * 1000000000ll;
	push->timeout_ns = config->timeout_ms * 1000000ll;
	push->sent_per_ns = UNMEASURED;
	push->queue.count_max = config->queue_sessions;
	push->queue.bytes_max = config->queue_bytes;
}

static int make_values(struct rpcprof_push *push, const struct rpcprof_push_config *config)
{
	push->values.max = config->label_values;
	push->values.hashes = malloc(push->values.max * sizeof(*push->values.hashes));
	return push->values.hashes != NULL ? 0 : -ENOMEM;
}

static int open_sink(struct rpcprof_push *push, const struct rpcprof_push_config *config)
{
	int error;

	push->sink = config->sink;
	push->sink_arg = config->sink_arg;
	push->url = strdup(config->url != NULL ? config->url : "the sink");
	if (push->url == NULL)
		return -ENOMEM;
	if (config->sink != NULL)
		return 0;
	error = rpcprof_http_open(&push->http, config);
	push->sink = rpcprof_sink_of(config->protocol);
	push->sink_arg = push->http;
	return error;
}

static int open_spool(struct rpcprof_push *push, const struct rpcprof_push_config *config)
{
	if (config->spool == NULL)
		return 0;
	push->spool.bytes_max = config->spool_bytes;
	push->spool.max_age_ns = push->max_age_ns;
	push->spool.target = (uint32_t)crc32_z(config->protocol, (const Bytef *)push->url,
	                                       strlen(push->url));
	push->spool.writer = (uint64_t)rpcprof_push_random(INT64_MAX);
	push->spool.path = strdup(config->spool);
	return push->spool.path != NULL ? 0 : -ENOMEM;
}

static void make_conditions(struct rpcprof_push *push)
{
	pthread_condattr_t attributes;

	pthread_mutex_init(&push->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&push->wake, &attributes);
	pthread_cond_init(&push->done, &attributes);
	pthread_condattr_destroy(&attributes);
}

static void free_memory(struct rpcprof_push *push)
{
	rpcprof_labels_clear(&push->labels);
	free(push->values.hashes);
	free(push->spool.path);
	free(push->url);
	free(push);
}

/* The sink of a push that did not open is still its owner's. */
static void free_push(struct rpcprof_push *push)
{
	if (push->http != NULL)
		rpcprof_http_close(push->http);
	pthread_cond_destroy(&push->wake);
	pthread_cond_destroy(&push->done);
	pthread_mutex_destroy(&push->lock);
	free_memory(push);
}

/* Locks and conditions are left as they are: threads that are not here wait there. */
static void free_inherited(struct rpcprof_push *push)
{
	struct rpcprof_waiting *left;

	if (!push->whole)
		return;
	while ((left = rpcprof_queue_take(&push->queue)) != NULL)
		free(left);
	free(push->hand);
	if (push->http != NULL)
		rpcprof_http_abandon(push->http);
	free_memory(push);
}

int rpcprof_push_open(struct rpcprof_push **out, const struct rpcprof_push_config *config)
{
	struct rpcprof_push_config full;
	struct rpcprof_push *push;
	int error = rpcprof_push_complete(&full, config);

	if (error != 0)
		return error;
	push = calloc(1, sizeof(*push));
	if (push == NULL)
		return -ENOMEM;
	make_conditions(push);
	set_numbers(push, &full);
	error = set_labels(push, &full);
	if (error == 0)
		error = make_values(push, &full);
	if (error == 0)
		error = open_sink(push, &full);
	if (error == 0)
		error = open_spool(push, &full);
	if (error == 0) {
		rpcprof_push_watch_forks(push);
		error = rpcprof_thread_start(&push->thread, "rpcprof-push", rpcprof_push_run, push);
		if (error != 0)
			rpcprof_push_forget(push);
	}
	if (error != 0)
		free_push(push);
	else
		*out = push;
	return error;
}

/* The labels of one profile: __name__, service_name, all others. 0 or -EINVAL. Under the lock. */
static int gather_labels(struct rpcprof_push *push, const char *name,
                         const struct rpcprof_label *labels, size_t count,
                         struct rpcprof_labels *all)
{
	all->list[0] = (struct rpcprof_label){"__name__", name};
	all->count = 1;
	for (size_t i = 0; i < push->labels.count; i++)
		if (!rpcprof_labels_put(all, &push->labels.list[i]))
			return -EINVAL;
	for (size_t i = 0; i < count; i++) {
		if (refuse_label(&labels[i], push->protocol) != NULL)
			return -EINVAL;
		if (!rpcprof_labels_put(all, &labels[i])) {
			rpcprof_log(RPCPROF_LOG_ERROR, "a profile has more than %d labels",
			            RPCPROF_PUSH_LABELS_MAX);
			return -EINVAL;
		}
	}
	return 0;
}

static void make_room(struct rpcprof_push *push, size_t bytes)
{
	while (push->queue.first != NULL &&
	       rpcprof_queue_is_full(&push->queue, push->hand_count, push->hand_bytes + bytes)) {
		free(rpcprof_queue_take(&push->queue));
		push->stats.dropped_full++;
	}
}

static int64_t due(const struct rpcprof_push *push, const struct rpcprof_window_profile *profile)
{
	int64_t half = (profile->end_ns - profile->begin_ns) / 2;

	return rpcprof_push_monotonic_ns() +
	       rpcprof_push_random(half < push->jitter_ns ? half : push->jitter_ns);
}

/* Under the lock. */
static int enqueue(struct rpcprof_push *push, const char *name,
                   const struct rpcprof_window_profile *profile, const struct rpcprof_label *labels,
                   size_t label_count)
{
	struct rpcprof_waiting *waiting;
	struct rpcprof_labels all;
	int error = gather_labels(push, name, labels, label_count, &all);
	size_t bytes;

	if (error != 0)
		return error;
	push->stats.labels_capped += rpcprof_labels_cap(&all, &push->values);
	if (profile->length > push->queue.bytes_max)
		return -E2BIG;
	waiting = rpcprof_waiting_make(&all, profile->begin_ns, profile->end_ns, profile->bytes,
	                               profile->length);
	if (waiting == NULL)
		return -ENOMEM;
	bytes = rpcprof_waiting_bytes(waiting);
	if (bytes > push->queue.bytes_max) {
		free(waiting);
		return -E2BIG;
	}
	waiting->number = push->next_number++;
	waiting->due_ns = due(push, profile);
	make_room(push, bytes);
	rpcprof_queue_append(&push->queue, waiting);
	pthread_cond_signal(&push->wake);
	return 0;
}

int rpcprof_push_send(struct rpcprof_push *push, const char *name,
                      const struct rpcprof_window_profile *profile,
                      const struct rpcprof_label *labels, size_t label_count)
{
	const char *wrong = name != NULL ? rpcprof_profile_name_check(name) : NULL;
	int error = 0;

	if (is_inherited(push))
		return -ESRCH;
	if (wrong != NULL) {
		rpcprof_log(RPCPROF_LOG_ERROR, "profile %.80s not sent: %s", name, wrong);
		error = -EINVAL;
	}
	pthread_mutex_lock(&push->lock);
	push->stats.taken++;
	push->stats.since_success++;
	if (error == 0)
		error = enqueue(push, name != NULL ? name : OURS, profile, labels, label_count);
	if (error != 0)
		push->stats.dropped_invalid++;
	pthread_mutex_unlock(&push->lock);
	return error;
}

void rpcprof_push_window(void *arg, const struct rpcprof_window_profile *window)
{
	(void)rpcprof_push_send(arg, window->name, window, window->labels, window->label_count);
}

int rpcprof_push_set_label(struct rpcprof_push *push, const char *name, const char *value)
{
	struct rpcprof_label label = {name, value};
	int error = 0;

	if (is_inherited(push))
		return -ESRCH;
	pthread_mutex_lock(&push->lock);
	if (value != NULL)
		error = set_label(push, &label);
	else if (strcmp(name, "service_name") != 0)
		rpcprof_labels_remove(&push->labels, name);
	else
		error = -EINVAL; /* servers would call it unknown_service */
	pthread_mutex_unlock(&push->lock);
	return error;
}

static bool is_flushed(const struct rpcprof_push *push, uint64_t to)
{
	return (push->queue.first == NULL || push->queue.first->number >= to) &&
	       (push->hand_count == 0 || push->hand_number >= to);
}

int rpcprof_push_flush(struct rpcprof_push *push, uint32_t timeout_ms)
{
	int64_t until_ns = rpcprof_push_monotonic_ns() + timeout_ms * 1000000ll;
	struct timespec until = {until_ns / 1000000000, until_ns % 1000000000};
	uint64_t to;
	int error = 0;

	if (is_inherited(push))
		return -ESRCH;
	pthread_mutex_lock(&push->lock);
	to = push->flush_to = push->next_number;
	push->next_send_ns = 0; /* the server may be back */
	pthread_cond_signal(&push->wake);
	while (!is_flushed(push, to) && error == 0)
		error = -pthread_cond_timedwait(&push->done, &push->lock, &until);
	error = is_flushed(push, to) ? 0 : -ETIMEDOUT;
	pthread_mutex_unlock(&push->lock);
	return error;
}

static void end_thread(struct rpcprof_push *push)
{
	pthread_mutex_lock(&push->lock);
	push->stop = true;
	pthread_cond_signal(&push->wake);
	pthread_mutex_unlock(&push->lock);
	if (push->sink->interrupt != NULL)
		push->sink->interrupt(push->sink_arg);
	pthread_join(push->thread, NULL);
}

int rpcprof_push_close(struct rpcprof_push *push, uint32_t timeout_ms)
{
	struct rpcprof_waiting *left;
	int error;

	if (push == NULL)
		return 0;
	if (is_inherited(push)) {
		free_inherited(push);
		return 0;
	}
	error = rpcprof_push_flush(push, timeout_ms);
	end_thread(push);
	pthread_mutex_lock(&push->lock);
	while ((left = rpcprof_queue_take(&push->queue)) != NULL)
		rpcprof_push_put_aside(push, left, &push->stats.dropped_closed);
	pthread_mutex_unlock(&push->lock);
	if (error != 0)
		rpcprof_log(RPCPROF_LOG_WARNING, "%llu profiles for %.200s not sent, %llu spooled",
		            (unsigned long long)push->stats.dropped_closed, push->url,
		            (unsigned long long)push->stats.spooled);
	rpcprof_push_forget(push);
	if (push->http == NULL && push->sink->close != NULL)
		push->sink->close(push->sink_arg);
	free_push(push);
	return error;
}

int rpcprof_push_get_stats(struct rpcprof_push *push, struct rpcprof_push_stats *stats)
{
	struct rpcprof_push_stats now;
	size_t size = stats->size;

	if (is_inherited(push))
		return -ESRCH;
	if (size < sizeof(size) || size > sizeof(now))
		return -EINVAL;
	pthread_mutex_lock(&push->lock);
	now = push->stats;
	now.queued = push->queue.count + push->hand_count;
	now.queued_bytes = push->queue.bytes + push->hand_bytes;
	pthread_mutex_unlock(&push->lock);
	now.size = size;
	memcpy(stats, &now, size);
	return 0;
}
