/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_AGGREGATE_INTERNAL_H
#define RPCPROF_AGGREGATE_INTERNAL_H

/*
 * What all calls so far came to: sums and latencies by side, labels, method and stack of stages.
 *
 * Cumulative: it only grows, so that any number of consumers can each take the difference to
 * what they took before. One mapping of a size given at the start holds all of it, touched as it
 * is used: series grow from its begin, the octaves of their histograms from its end; when they
 * meet, what is new goes to the series "(other)" and is counted.
 *
 * Series form a tree, each a frame under its parent's: a side with its labels, a method, stages.
 * Once made, a series keeps its number, place, parent and names: only its sums change.
 *
 * Not for two threads at once, but where it says so.
 */
#include "export/histogram_internal.h"
#include "export/stack_internal.h"

#define RPCPROF_AGGREGATE_BYTES_MIN (1u << 18)
#define RPCPROF_AGGREGATE_BYTES_MAX ((size_t)1 << 32)
#define RPCPROF_SERIES_NONE UINT32_MAX

/* What a call is told apart by, beside its method and stages. 0 = not. */
struct rpcprof_series_labels {
	uint32_t side;
	uint32_t method; /* only if the method is a label too */
	uint32_t has_status;
	int32_t status;
	uint32_t values[RPCPROF_LABELS_MAX]; /* of the configured keys, in their order */
};

/* A call's status as counted: gRPC's codes, or one of these. */
#define RPCPROF_STATUS_OTHER 17u /* no code of gRPC's */
#define RPCPROF_STATUS_NONE 18u  /* none was set */
#define RPCPROF_STATUSES 19u

static inline uint32_t rpcprof_status_slot(bool set, int32_t status)
{
	if (!set)
		return RPCPROF_STATUS_NONE;
	return (uint32_t)status < RPCPROF_STATUS_OTHER ? (uint32_t)status : RPCPROF_STATUS_OTHER;
}

struct rpcprof_series_sums {
	uint64_t calls;
	uint64_t stages;
	uint64_t wall_ns;
};

/* What waits are told apart by: where their profile is. */
enum rpcprof_waits { RPCPROF_BLOCK = 0, RPCPROF_MUTEX = 1 };

struct rpcprof_wait_sums {
	uint64_t count;
	uint64_t delay_ns;
};

/* How many waits are taken; 0 = off. */
struct rpcprof_wait_rates {
	uint64_t block_ns;       /* all that last so long; of shorter ones in proportion */
	uint64_t mutex_fraction; /* one of so many */
};

struct rpcprof_series {
	uint32_t parent; /* number of a series before this one; RPCPROF_SERIES_NONE: a side */
	uint32_t tag;
	uint32_t depth;  /* 0 side, 1 method, 2 and on stages */
	union {
		uint32_t calls_below; /* a side: 1 once a call has come in under it */
		uint32_t statuses; /* a method: its calls by status, an octave of the pool; 0: all
		                    * have that of the side's labels */
	};
	struct rpcprof_series_sums sums;
	union {
		struct rpcprof_series_labels labels; /* of a side */
		struct rpcprof_histogram latency;    /* of a method or stage: whole lengths */
	};
	struct rpcprof_wait_sums waits[2]; /* of a stage, by enum rpcprof_waits */
};

struct rpcprof_aggregate_options {
	size_t bytes;
	uint32_t by_status;
	uint32_t by_method;
	uint32_t key_count;
	uint32_t keys[RPCPROF_LABELS_MAX]; /* tags of the users' label keys to tell apart */
};

/* A call in flight of which windows have charged a part. */
struct rpcprof_charged_call {
	uint64_t id; /* of its view; 0 = free */
	uint64_t charged_ns;
	uint64_t fold_ns[RPCPROF_ACCUMULATORS];
	uint64_t seen; /* the last round in which it was in flight */
};

/* By cell, the lower half of the id, of which there is one call at a time: a newer call takes
 * over what one that never came to its end left behind. */
struct rpcprof_charged_calls {
	struct rpcprof_charged_call *calls;
	uint32_t mask; /* power of two - 1 */
	uint32_t used;
};

struct rpcprof_aggregate_totals {
	uint64_t calls;
	uint64_t overflow;   /* calls and stages that found no room for a series of their own */
	uint64_t uncharged;  /* looks at calls in flight that had to wait for their end */
	uint64_t negative;   /* ends before their begins */
	uint64_t first_begin; /* ticks: of the earliest call; 0 = none yet */
	uint32_t series;
	uint32_t label_sets; /* sides with labels that have calls: a sample type each is a series
	                      * for Pyroscope */
};

struct rpcprof_aggregate {
	char *memory;
	struct rpcprof_series *series;
	uint32_t *buckets; /* open addressing: 1 + number of a series */
	uint32_t bucket_mask;
	uint32_t last_side; /* the side that the last call had */
	struct rpcprof_histogram_pool pool;
	struct rpcprof_charged_calls charged;
	uint64_t round;
	struct rpcprof_wait_rates rates; /* set before calls are added */
	uint64_t random;
	struct rpcprof_aggregate_options options;
	struct rpcprof_aggregate_totals totals;
};

/* What one consumer has taken so far, and the difference that it took last. */
struct rpcprof_consumer {
	struct rpcprof_series_sums *taken;
	struct rpcprof_series_sums *delta;
	uint32_t count; /* series in both */
	uint32_t changed; /* series whose delta is not all zero */
};

/* calls_max: calls in flight at one time. NULL: memory cannot be had. */
struct rpcprof_aggregate *rpcprof_aggregate_open(const struct rpcprof_aggregate_options *options,
                                                 uint32_t calls_max);
void rpcprof_aggregate_close(struct rpcprof_aggregate *aggregate);

/* The most series that could ever be. */
uint32_t rpcprof_aggregate_series_max(const struct rpcprof_aggregate *aggregate);

/* Takes in a call that has ended: what of it was not charged while it was in flight. */
void rpcprof_aggregate_add(struct rpcprof_aggregate *aggregate, const struct rpcprof_view *view,
                           const struct rpcprof_clock_map *map);

/* Takes in the part of a call in flight up to a tick; charges an instant once only. Between
 * rpcprof_aggregate_round_begin() and the next, once per call. */
void rpcprof_aggregate_charge(struct rpcprof_aggregate *aggregate,
                              const struct rpcprof_view *view,
                              const struct rpcprof_clock_map *map, uint64_t until);
void rpcprof_aggregate_round_begin(struct rpcprof_aggregate *aggregate);

/* Takes in the waits of a call that has ended; numbers: the series of its nodes. */
void rpcprof_aggregate_waits(struct rpcprof_aggregate *aggregate,
                             const struct rpcprof_stack *stack, const uint32_t *numbers);

/* The series of labels, method and stages; made when there is none, or "(other)" when there is no
 * room. */
uint32_t rpcprof_series_side(struct rpcprof_aggregate *aggregate,
                             const struct rpcprof_series_labels *labels);
uint32_t rpcprof_series_method(struct rpcprof_aggregate *aggregate,
                               const struct rpcprof_series_labels *labels, uint32_t method);
/* As these, but RPCPROF_SERIES_NONE when there is no room. */
uint32_t rpcprof_series_child(struct rpcprof_aggregate *aggregate, uint32_t parent, uint32_t tag);
int rpcprof_series_make_other(struct rpcprof_aggregate *aggregate);

/* The calls of which a part was charged. put: NULL when the table is full. */
struct rpcprof_charged_call *rpcprof_charged_find(const struct rpcprof_charged_calls *charged,
                                                  uint64_t id);
struct rpcprof_charged_call *rpcprof_charged_put(struct rpcprof_charged_calls *charged,
                                                 uint64_t id, uint64_t round);
void rpcprof_charged_remove(struct rpcprof_charged_calls *charged,
                            struct rpcprof_charged_call *call);

/* 0 or -ENOMEM. A new consumer's first difference is everything so far. */
int rpcprof_consumer_open(struct rpcprof_consumer *consumer,
                          const struct rpcprof_aggregate *aggregate);
void rpcprof_consumer_close(struct rpcprof_consumer *consumer);

/* Makes consumer->delta what has come since the last time. Until the next time, delta and what
 * does not change of its series may be read beside threads that add calls. */
void rpcprof_consumer_take(struct rpcprof_consumer *consumer,
                           const struct rpcprof_aggregate *aggregate);

#endif
