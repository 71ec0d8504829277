/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_METRICS_INTERNAL_H
#define RPCPROF_METRICS_INTERNAL_H

/*
 * The text for Prometheus, in three steps: sums are copied out of the aggregate while nothing is
 * collected (metrics_rows.c), series that differ in labels of profiles only become one row, and
 * rows become lines (metrics_write.c).
 */
#include <stdio.h>

#include "export/aggregate_internal.h"
#include "rpcprof/metrics.h"

/* A method, or one of its stages. */
struct rpcprof_metrics_row {
	uint32_t side, method, stage; /* tags */
	bool is_stage;
	size_t offset;      /* of labels, while they are made */
	const char *labels; /* what stands between the braces */
	uint64_t count;
	uint64_t sum_ns;
	uint64_t lost; /* of count: in no bucket, for want of memory */
	uint64_t buckets[RPCPROF_METRICS_BOUNDS_MAX]; /* not cumulative */
	uint64_t statuses[RPCPROF_STATUSES];          /* of a method */
};

struct rpcprof_metrics {
	struct rpcprof_metrics_row *rows; /* methods, then stages, each by labels */
	size_t count;
	char *labels;
	uint64_t bounds[RPCPROF_METRICS_BOUNDS_MAX];
	uint32_t bound_count;
	bool stage_buckets;
	uint64_t overflow, unaggregated;
};

/* Fills in rows and sums by bounds and stage_buckets. 0 or -ENOMEM. close: in both cases. */
int rpcprof_metrics_gather(struct rpcprof_metrics *metrics);
void rpcprof_metrics_close(struct rpcprof_metrics *metrics);

/* The families of rows. */
void rpcprof_metrics_write_calls(FILE *out, const struct rpcprof_metrics *metrics);
void rpcprof_metrics_write_durations(FILE *out, const struct rpcprof_metrics *metrics);
void rpcprof_metrics_write_stages(FILE *out, const struct rpcprof_metrics *metrics);

/* What a family begins with. type: "counter", "gauge", ... */
void rpcprof_metrics_write_head(FILE *out, const char *name, const char *type, const char *help);

/* key="value", whatever the value holds. */
void rpcprof_metrics_write_label(FILE *out, const char *key, const char *value);

/* Seconds, exactly. */
void rpcprof_metrics_write_seconds(FILE *out, uint64_t ns);

/* Has families of another folder's written too, by fn, from now on: one such folder. */
void rpcprof_metrics_add_source(void (*fn)(FILE *out));

#endif
