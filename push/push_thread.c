/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The thread of a queue: sends the oldest session when it is due, and what the spool has when there
 * is none. A server that does not answer holds up this queue only, and all of it: one pause after
 * failures serves all sessions.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "push/push_internal.h"
#include "rpcprof/control.h"

#define S 1000000000ll
#define SPOOL_AGAIN_NS (60 * S) /* a full disk is not tried for each profile: the queue holds more */
#define IDLE_NS (3600 * S)

static int64_t read_clock(clockid_t id)
{
	struct timespec now;

	clock_gettime(id, &now);
	return now.tv_sec * S + now.tv_nsec;
}

int64_t rpcprof_push_monotonic_ns(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

int64_t rpcprof_push_utc_ns(void)
{
	return read_clock(CLOCK_REALTIME);
}

int64_t rpcprof_push_random(int64_t max)
{
	uint64_t random = 0;

	/* What is not random is only not spread. */
	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != (ssize_t)sizeof(random))
		random = (uint64_t)rpcprof_push_monotonic_ns();
	return max > 0 ? (int64_t)(random % ((uint64_t)max + 1)) : 0;
}

static void hold(struct rpcprof_push *push, struct rpcprof_waiting *waiting)
{
	push->hand = waiting;
	push->hand_count = 1;
	push->hand_bytes = rpcprof_waiting_bytes(waiting);
	push->hand_number = waiting->number;
}

static void let_go(struct rpcprof_push *push)
{
	push->hand = NULL;
	push->hand_count = push->hand_bytes = 0;
	pthread_cond_broadcast(&push->done);
}

/* For people, and what the counters say of it. */
static void note_failure(struct rpcprof_push *push, const char *what, const char *why,
                         uint32_t status)
{
	struct rpcprof_push_stats *stats = &push->stats;

	stats->last_failure_ns = rpcprof_push_utc_ns();
	stats->last_status = status;
	snprintf(stats->last_error, sizeof(stats->last_error), "%s: %.180s", what, why);
	rpcprof_log(RPCPROF_LOG_WARNING, "profile for %.200s %s", push->url, stats->last_error);
}

static void drop(struct rpcprof_push *push, struct rpcprof_waiting *waiting, uint64_t *counter)
{
	++*counter;
	free(waiting);
	let_go(push);
}

void rpcprof_push_put_aside(struct rpcprof_push *push, struct rpcprof_waiting *waiting,
                            uint64_t *lost)
{
	struct rpcprof_spool_losses losses = {0, 0};
	char reason[128];
	int error = -ENOTDIR;

	if (push->spool.path == NULL) {
		drop(push, waiting, lost);
		return;
	}
	hold(push, waiting);
	pthread_mutex_unlock(&push->lock);
	error = rpcprof_spool_put(&push->spool, waiting, rpcprof_push_utc_ns(), &losses);
	pthread_mutex_lock(&push->lock);
	push->stats.spool_pruned += losses.pruned;
	if (error != 0) {
		push->stats.spool_errors++;
		push->spool_again_ns = rpcprof_push_monotonic_ns() + SPOOL_AGAIN_NS;
		note_failure(push, "not written to the spool",
		             strerror_r(-error, reason, sizeof(reason)), 0);
	}
	drop(push, waiting, error == 0 ? &push->stats.spooled : lost);
}

/* The n-th failure in a row: a random time up to 2^n times the shortest. */
static void pause_after_failure(struct rpcprof_push *push, uint32_t retry_after_s)
{
	int64_t longest = push->backoff_min_ns, least = (int64_t)retry_after_s * S;

	for (uint32_t i = 0; i < push->failures && longest < push->backoff_max_ns; i++)
		longest *= 2;
	if (longest > push->backoff_max_ns)
		longest = push->backoff_max_ns;
	push->failures++;
	push->next_send_ns = rpcprof_push_monotonic_ns() + least + rpcprof_push_random(longest);
}

/* What has been waiting is sent at about the pace at which it came, so that after an outage many
 * processes do not send it all at once. */
static void pause_after_late(struct rpcprof_push *push, const struct rpcprof_waiting *waiting)
{
	int64_t length = waiting->end_ns - waiting->begin_ns;
	int64_t late = rpcprof_push_utc_ns() - waiting->end_ns;

	if (length > 0 && late > 2 * length + push->jitter_ns)
		push->next_send_ns = rpcprof_push_monotonic_ns() +
		                     rpcprof_push_random(length < 60 * S ? length : 60 * S);
}

static bool is_replayed(const struct rpcprof_waiting *waiting)
{
	return waiting->number == UINT64_MAX;
}

/* To be sent again: where it came from. */
static void put_back(struct rpcprof_push *push, struct rpcprof_waiting *waiting)
{
	push->stats.retried++;
	if (is_replayed(waiting))
		rpcprof_push_put_aside(push, waiting, &push->stats.dropped_full);
	else if (rpcprof_queue_is_full(&push->queue, 0, rpcprof_waiting_bytes(waiting)))
		drop(push, waiting, &push->stats.dropped_full);
	else {
		rpcprof_queue_prepend(&push->queue, waiting);
		let_go(push);
	}
}

static void note_success(struct rpcprof_push *push, struct rpcprof_waiting *waiting)
{
	if (push->failures > 0)
		rpcprof_log(RPCPROF_LOG_INFO, "profiles arrive at %.200s again", push->url);
	push->failures = 0;
	push->stats.sent_bytes += waiting->length;
	push->stats.last_success_ns = rpcprof_push_utc_ns();
	push->stats.since_success = 0;
	if (!is_replayed(waiting)) /* which has a pace of its own */
		pause_after_late(push, waiting);
	drop(push, waiting, &push->stats.sent);
}

static void note_delivery(struct rpcprof_push *push, struct rpcprof_waiting *waiting,
                          enum rpcprof_delivery delivery, const struct rpcprof_reply *reply)
{
	switch (delivery) {
	case RPCPROF_DELIVERED:
		note_success(push, waiting);
		return;
	case RPCPROF_REFUSED:
		note_failure(push, "refused", reply->message, reply->status);
		drop(push, waiting, &push->stats.dropped_refused);
		return;
	case RPCPROF_UNCERTAIN:
		if (push->retry_uncertain)
			break;
		note_failure(push, "may have arrived", reply->message, reply->status);
		pause_after_failure(push, reply->retry_after_s);
		drop(push, waiting, &push->stats.dropped_uncertain);
		return;
	case RPCPROF_NOT_NOW:
		break;
	}
	note_failure(push, "not sent, to be tried again", reply->message, reply->status);
	pause_after_failure(push, reply->retry_after_s);
	put_back(push, waiting);
}

static enum rpcprof_delivery send_to_sink(struct rpcprof_push *push,
                                          struct rpcprof_waiting *waiting,
                                          struct rpcprof_reply *reply)
{
	struct rpcprof_session session = {.begin_ns = waiting->begin_ns, .end_ns = waiting->end_ns,
	                                  .bytes = rpcprof_waiting_profile(waiting),
	                                  .length = waiting->length};
	int64_t begin = rpcprof_push_monotonic_ns();
	enum rpcprof_delivery delivery;
	struct rpcprof_labels labels;

	(void)rpcprof_waiting_labels(waiting, &labels); /* checked when it was made or read */
	session.labels = labels.list;
	session.label_count = labels.count;
	delivery = push->sink->send(push->sink_arg, &session, reply);
	if (delivery == RPCPROF_DELIVERED)
		push->sent_per_ns = (double)waiting->length /
		                    (double)(rpcprof_push_monotonic_ns() - begin + 1);
	return delivery;
}

/* The parts take the place of what they are parts of, in their order. */
static void put_parts(struct rpcprof_push *push, struct rpcprof_waiting *whole,
                      const struct rpcprof_part *parts, int count)
{
	struct rpcprof_labels labels;

	(void)rpcprof_waiting_labels(whole, &labels);
	for (int i = count; i-- > 0;) {
		struct rpcprof_waiting *part = rpcprof_waiting_make(
			&labels, whole->begin_ns, whole->end_ns, parts[i].bytes, parts[i].length);

		if (part == NULL) {
			push->stats.dropped_invalid++;
			continue;
		}
		part->fits = true;
		part->number = whole->number;
		rpcprof_queue_prepend(&push->queue, part);
	}
	push->stats.split += (uint64_t)count - 1;
}

/* Whether it may be sent as it is; else it was dropped, or parts of it are in the queue. */
static bool check_size(struct rpcprof_push *push, struct rpcprof_waiting *waiting)
{
	struct rpcprof_part parts[RPCPROF_PARTS_MAX];
	struct pprof_error error = {.text = ""};
	uint64_t folded;
	int count;

	pthread_mutex_unlock(&push->lock);
	count = rpcprof_fit(rpcprof_waiting_profile(waiting), waiting->length, &push->limits, parts,
	                    &folded, &error);
	pthread_mutex_lock(&push->lock);
	waiting->fits = count == 0;
	if (count == 0)
		return true;
	if (count < 0) {
		note_failure(push, "not a profile that can be sent", error.text, 0);
		drop(push, waiting, &push->stats.dropped_invalid);
		return false;
	}
	push->stats.folded += folded;
	put_parts(push, waiting, parts, count);
	for (int i = 0; i < count; i++)
		free(parts[i].bytes);
	free(waiting);
	let_go(push);
	return false;
}

void rpcprof_push_forward(struct rpcprof_push *push, struct rpcprof_waiting *waiting)
{
	struct rpcprof_reply reply = {0, 0, ""};
	enum rpcprof_delivery delivery;

	hold(push, waiting);
	if (waiting->begin_ns < rpcprof_push_utc_ns() - push->max_age_ns) {
		drop(push, waiting, &push->stats.dropped_old);
		return;
	}
	if (!waiting->fits && !check_size(push, waiting))
		return;
	pthread_mutex_unlock(&push->lock);
	delivery = send_to_sink(push, waiting, &reply);
	pthread_mutex_lock(&push->lock);
	note_delivery(push, waiting, delivery, &reply);
}

static void wait_until(struct rpcprof_push *push, int64_t until_ns)
{
	struct timespec time = {until_ns / S, until_ns % S};

	pthread_cond_timedwait(&push->wake, &push->lock, &time);
}

/* The queue is for callers to fill: in an outage its older half goes to the spool. */
static bool is_to_put_aside(const struct rpcprof_push *push, int64_t now)
{
	const struct rpcprof_queue *queue = &push->queue;

	return push->spool.path != NULL && now >= push->spool_again_ns && push->failures > 0 &&
	       queue->first != NULL &&
	       (queue->count > queue->count_max / 2 || queue->bytes > queue->bytes_max / 2);
}

static void step(struct rpcprof_push *push)
{
	const struct rpcprof_waiting *first = push->queue.first;
	int64_t now = rpcprof_push_monotonic_ns();

	if (is_to_put_aside(push, now)) {
		rpcprof_push_put_aside(push, rpcprof_queue_take(&push->queue),
		                       &push->stats.dropped_full);
	} else if (now < push->next_send_ns) {
		wait_until(push, push->next_send_ns);
	} else if (first != NULL) {
		if (now >= first->due_ns || first->number < push->flush_to)
			rpcprof_push_forward(push, rpcprof_queue_take(&push->queue));
		else
			wait_until(push, first->due_ns);
	} else {
		int64_t until = push->spool.path != NULL ? rpcprof_push_replay(push)
		                                         : now + IDLE_NS;

		/* Looked at again under the lock, which was let go meanwhile. */
		if (push->queue.first == NULL && !push->stop)
			wait_until(push, until);
	}
}

void *rpcprof_push_run(void *arg)
{
	struct rpcprof_push *push = arg;

	pthread_mutex_lock(&push->lock);
	while (!push->stop)
		step(push);
	pthread_mutex_unlock(&push->lock);
	return NULL;
}
