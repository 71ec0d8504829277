/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_PUSH_INTERNAL_H
#define RPCPROF_PUSH_INTERNAL_H

/*
 * A queue, its thread, and the sink it forwards to.
 *
 * lock guards all that changes but what is the thread's. It is never held
 * while something is sent, written, read or split.
 */
#include <pthread.h>
#include <stdio.h>

#include "push/fit_internal.h"
#include "push/http_internal.h"
#include "push/queue_internal.h"
#include "push/spool_internal.h"

struct rpcprof_push {
	/* Not changed after open: */
	const struct rpcprof_sink *sink;
	void *sink_arg;
	struct rpcprof_http *http; /* the sink's, if it is one of ours */
	struct rpcprof_limits limits;
	char *url; /* for messages */
	uint32_t protocol;
	bool retry_uncertain;
	int64_t backoff_min_ns, backoff_max_ns, jitter_ns, max_age_ns, timeout_ns;
	pthread_t thread;
	bool forked; /* atomic: this is a child, and all it may do here is close */
	bool whole;  /* the fork had the lock: a child knows what is there */
	/* Of those that a fork and metrics are to find; under a lock of their own: */
	struct rpcprof_push *next;
	uint32_t place; /* that no other has */

	/* The thread's until it ended: */
	struct rpcprof_spool spool;
	int64_t replay_at_ns;   /* monotonic; 0: it is to be found out */
	int64_t replay_rest_ns; /* monotonic: not before */
	double sent_per_ns;     /* bytes, when last something was delivered */

	pthread_mutex_t lock;
	pthread_cond_t wake; /* the thread: there is something new */
	pthread_cond_t done; /* who flushes: something left the queue */
	struct rpcprof_labels labels; /* service_name and the user's */
	struct rpcprof_label_values values;
	struct rpcprof_queue queue;
	struct rpcprof_waiting *hand;  /* what the thread has taken from it and not let go, */
	size_t hand_count, hand_bytes; /* and of that */
	uint64_t hand_number;
	uint64_t next_number;
	uint64_t flush_to;     /* numbers below go without jitter */
	int64_t next_send_ns;  /* monotonic: not before, whoever waits */
	int64_t spool_again_ns; /* monotonic: after it could not be written */
	uint32_t failures;     /* in a row */
	bool stop;
	struct rpcprof_push_stats stats;
};

/* What rpcprof_push_open() takes, complete and checked. 0 or -EINVAL, logged. */
int rpcprof_push_complete(struct rpcprof_push_config *full,
                          const struct rpcprof_push_config *config);

/* The thread, a struct rpcprof_push its argument. */
void *rpcprof_push_run(void *arg);

/* Sends one, counts and frees it, or puts it back. Under the lock, which is let go meanwhile. */
void rpcprof_push_forward(struct rpcprof_push *push, struct rpcprof_waiting *waiting);

/* Sends of the spool what is due. The monotonic time to ask again. As forward. */
int64_t rpcprof_push_replay(struct rpcprof_push *push);

/* Writes it to the spool, if there is one; counts and frees it. lost: counts it if it is. Under the
 * lock, which is let go meanwhile. */
void rpcprof_push_put_aside(struct rpcprof_push *push, struct rpcprof_waiting *waiting,
                            uint64_t *lost);

int64_t rpcprof_push_monotonic_ns(void);
int64_t rpcprof_push_utc_ns(void);

/* Uniform in 0..max. */
int64_t rpcprof_push_random(int64_t max);

void rpcprof_push_watch_forks(struct rpcprof_push *push);
void rpcprof_push_forget(struct rpcprof_push *push);

/* What a child asks for: 0, -ENOENT if none is open, or the first error. */
int rpcprof_push_set_label_of_all(const char *name, const char *value);

/* All open ones, while none can be opened, closed or forked. */
void rpcprof_push_walk(void (*fn)(void *arg, struct rpcprof_push *push), void *arg);

/* What became of the profiles of all open ones, as metrics. */
void rpcprof_push_write_metrics(FILE *out);

/* The same for a status: where to, and the counters. */
void rpcprof_push_tell(void (*fn)(void *arg, const char *url,
                                  const struct rpcprof_push_stats *stats), void *arg);

#endif
