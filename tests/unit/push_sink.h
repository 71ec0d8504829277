/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_PUSH_SINK_H
#define TESTS_UNIT_PUSH_SINK_H

/* A sink of the tests' own, and small profiles to push to it. */
#include <criterion/criterion.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "push/fit_internal.h"
#include "rpcprof/metrics.h"
#include "rpcprof/push.h"

/* A sink that answers as it is told and remembers what it was sent. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool hold;      /* sends wait until it is false */
	bool entered;   /* one waits */
	int failures;   /* so many first ones get `answer` */
	enum rpcprof_delivery answer;
	uint32_t retry_after_s;
	char seen[4096]; /* of what was delivered: "begin " each */
	char labels[1024]; /* of the last one */
	int64_t last_time_ns; /* of a profile; a server may keep one only of a time */
	int64_t total; /* of the values of the last type */
	int parts, attempts, closed;
} sink = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static inline void remember(const struct rpcprof_session *session)
{
	struct rpcprof_pprof *model;
	struct pprof_error error;
	size_t n = strlen(sink.seen), uncompressed;

	snprintf(sink.seen + n, sizeof(sink.seen) - n, "%d ", (int)(session->end_ns - session->begin_ns));
	sink.labels[0] = '\0';
	for (size_t i = 0; i < session->label_count; i++) {
		n = strlen(sink.labels);
		snprintf(sink.labels + n, sizeof(sink.labels) - n, "%s=%s ",
		         session->labels[i].name, session->labels[i].value);
	}
	cr_assert_eq(rpcprof_fit_read(session->bytes, session->length, &model, &uncompressed,
	                              &error), 0);
	for (size_t i = 0; i < model->samples_count; i++)
		sink.total += rpcprof_pprof_values(model, i)[model->types_count - 1];
	cr_assert_neq(model->time_ns, sink.last_time_ns);
	sink.last_time_ns = model->time_ns;
	rpcprof_pprof_close(model);
	sink.parts++;
}

static inline enum rpcprof_delivery sink_send(void *arg, const struct rpcprof_session *session,
                                       struct rpcprof_reply *reply)
{
	enum rpcprof_delivery delivery = RPCPROF_DELIVERED;

	cr_assert_eq(arg, &sink);
	pthread_mutex_lock(&sink.lock);
	sink.entered = true;
	pthread_cond_broadcast(&sink.changed);
	while (sink.hold)
		pthread_cond_wait(&sink.changed, &sink.lock);
	sink.entered = false;
	sink.attempts++;
	if (sink.attempts <= sink.failures) {
		delivery = sink.answer;
		reply->status = 429;
		reply->retry_after_s = sink.retry_after_s;
		snprintf(reply->message, sizeof(reply->message), "slow down");
	} else {
		remember(session);
	}
	pthread_mutex_unlock(&sink.lock);
	return delivery;
}

static inline void set_hold(bool hold)
{
	pthread_mutex_lock(&sink.lock);
	sink.hold = hold;
	pthread_cond_broadcast(&sink.changed);
	pthread_mutex_unlock(&sink.lock);
}

static inline void await_entered(void)
{
	pthread_mutex_lock(&sink.lock);
	while (!sink.entered)
		pthread_cond_wait(&sink.changed, &sink.lock);
	pthread_mutex_unlock(&sink.lock);
}

static inline void sink_interrupt(void *arg)
{
	(void)arg;
	set_hold(false);
}

static inline void sink_close(void *arg)
{
	(void)arg;
	sink.closed++;
}

static const struct rpcprof_sink table = {sizeof(table), sink_send, sink_interrupt, sink_close};

static inline struct rpcprof_push_config quick(void)
{
	struct rpcprof_push_config config = {.size = sizeof(config), .sink = &table,
	                                     .sink_arg = &sink, .application = "test",
	                                     .backoff_min_ms = 1, .backoff_max_ms = 2};
	return config;
}

static inline struct rpcprof_push *open_push(const struct rpcprof_push_config *config)
{
	struct rpcprof_push *push = NULL;

	cr_assert_eq(rpcprof_push_open(&push, config), 0);
	return push;
}

static inline int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * 1000000000ll + now.tv_nsec;
}

/* A profile of `samples` samples, the i-th one's value i + 1, in the labels host=0..`hosts`. */
static inline void make(int samples, int hosts, uint8_t **bytes, size_t *length)
{
	static const struct rpcprof_pprof_type types[] = {{"calls", "count"}, {"wall", "nanoseconds"}};
	struct rpcprof_pprof *pprof = rpcprof_pprof_open(&(struct rpcprof_pprof_info){
		.types = types, .type_count = 2, .period_type = types[1], .period = 1,
		.time_ns = now_ns(), .duration_ns = 1, .mapping_file = "/test"});

	for (int i = 0; i < samples; i++) {
		char name[32], host[32];
		int64_t values[] = {1, i + 1};
		struct rpcprof_pprof_label label = {0};
		uint64_t location;

		snprintf(name, sizeof(name), "frame %d", i);
		snprintf(host, sizeof(host), "%d", i % (hosts + 1));
		location = (uint64_t)rpcprof_pprof_location(pprof, name, "file");
		label.key = rpcprof_pprof_string(pprof, "host");
		label.str = rpcprof_pprof_string(pprof, host);
		cr_assert_eq(rpcprof_pprof_add(pprof, &location, 1, values, &label, hosts > 0), 0);
	}
	cr_assert_eq(rpcprof_pprof_encode(pprof, bytes, length), 0);
	rpcprof_pprof_close(pprof);
}

/* Sends a small profile; its window is `number` ns long, by which the sink knows it. */
static inline int send_small(struct rpcprof_push *push, int number, int64_t begin_ns)
{
	struct rpcprof_window_profile window = {.begin_ns = begin_ns, .end_ns = begin_ns + number};
	uint8_t *bytes;
	int error;

	make(1, 0, &bytes, &window.length);
	window.bytes = bytes;
	error = rpcprof_push_send(push, "small", &window, NULL, 0);
	free(bytes);
	return error;
}

static inline void send_samples(struct rpcprof_push *push, int samples, int hosts)
{
	struct rpcprof_window_profile window = {.begin_ns = now_ns(), .end_ns = now_ns()};
	uint8_t *bytes;

	make(samples, hosts, &bytes, &window.length);
	window.bytes = bytes;
	cr_assert_eq(rpcprof_push_send(push, NULL, &window, NULL, 0), 0);
	free(bytes);
}

static inline struct rpcprof_push_stats stats_of(struct rpcprof_push *push)
{
	struct rpcprof_push_stats stats = {.size = sizeof(stats)};

	cr_assert_eq(rpcprof_push_get_stats(push, &stats), 0);
	cr_assert_eq(stats.taken + stats.split + stats.unspooled,
	             stats.sent + stats.dropped_full + stats.dropped_refused +
	                     stats.dropped_uncertain + stats.dropped_old + stats.dropped_invalid +
	                     stats.dropped_closed + stats.spooled + stats.merged + stats.queued);
	return stats;
}

static inline bool metrics_have(const char *line)
{
	size_t length;
	char *text = NULL;
	bool found;

	cr_assert_eq(rpcprof_metrics_text(NULL, &text, &length), 0);
	found = strstr(text, line) != NULL;
	free(text);
	return found;
}

#endif
