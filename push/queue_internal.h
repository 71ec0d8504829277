/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_QUEUE_INTERNAL_H
#define RPCPROF_QUEUE_INTERNAL_H

/* Sessions that wait: a list of at most so many and so many bytes. No locks in here. */
#include "push/labels_internal.h"

struct rpcprof_waiting {
	struct rpcprof_waiting *next;
	uint64_t number; /* in the order in which they came */
	int64_t begin_ns, end_ns;
	int64_t due_ns; /* monotonic */
	bool fits;      /* it was looked at and is what servers take at once */
	size_t label_count, label_bytes, length;
	uint8_t data[]; /* "name\0value\0"..., then the profile */
};

struct rpcprof_queue {
	struct rpcprof_waiting *first, *last;
	size_t count, bytes;
	size_t count_max, bytes_max;
};

/* NULL: no memory. bytes NULL: the caller will write them. */
struct rpcprof_waiting *rpcprof_waiting_make(const struct rpcprof_labels *labels, int64_t begin_ns,
                                             int64_t end_ns, const uint8_t *bytes, size_t length);

/* It and the next ones. */
void rpcprof_waiting_free_all(struct rpcprof_waiting *list);

/* What it takes. */
size_t rpcprof_waiting_bytes(const struct rpcprof_waiting *waiting);

/* Points into it. false: the labels are not whole, or too many. */
bool rpcprof_waiting_labels(const struct rpcprof_waiting *waiting, struct rpcprof_labels *labels);

static inline uint8_t *rpcprof_waiting_profile(struct rpcprof_waiting *waiting)
{
	return waiting->data + waiting->label_bytes;
}

/* Whether one more would be too many beside `count` elsewhere, or these bytes. */
bool rpcprof_queue_is_full(const struct rpcprof_queue *queue, size_t count, size_t bytes);
void rpcprof_queue_append(struct rpcprof_queue *queue, struct rpcprof_waiting *waiting);
void rpcprof_queue_prepend(struct rpcprof_queue *queue, struct rpcprof_waiting *waiting);
/* The oldest; NULL: empty. */
struct rpcprof_waiting *rpcprof_queue_take(struct rpcprof_queue *queue);

#endif
