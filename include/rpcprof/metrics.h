/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_METRICS_H
#define RPCPROF_METRICS_H

/*
 * Counters and latencies of all calls so far, as text that Prometheus scrapes:
 *
 *   rpcprof_calls_total{side,rpc_method,rpc_response_status_code}
 *   rpcprof_call_duration_seconds{side,rpc_method}         histogram
 *   rpcprof_stage_duration_seconds{side,rpc_method,stage}  sum and count; histogram by option
 *   rpcprof_calls_in_flight
 *   rpcprof_unaggregated_calls_total
 *   rpcprof_dropped_total{reason}
 *   rpcprof_build_info{version}
 *   rpcprof_exporter_*, rpcprof_backend_*
 *   rpcprof_push_*{push,url}    of every open push (push.h); push tells those of one URL apart
 *
 * rpc_method is "package.Service/Method". Labels of profiles make no series here; the status is
 * counted whether or not it is one of them.
 */
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

#define RPCPROF_METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"
#define RPCPROF_METRICS_BOUNDS_MAX 15

/** What rpcprof_metrics_text() takes. Set size, leave the rest 0 for the defaults. */
struct rpcprof_metrics_config {
	size_t size; /* sizeof(struct rpcprof_metrics_config) */
	/* Upper bounds of buckets, ascending, ended by 0; +Inf comes on top. Default: fifteen of those
	 * of gRPC proposal A66, 100 us to 10 s. */
	uint64_t bounds_ns[RPCPROF_METRICS_BOUNDS_MAX];
	uint32_t stage_buckets; /* 1: buckets for stages too, 16 more series each */
	uint32_t reserved;
};

/**
 * The metrics of now, in the text format of Prometheus 0.0.4.
 *
 * Takes in what has ended first. Disturbs no exporter, profile or other scraper: all counters only
 * grow, until an exporter that is started with other options begins them anew. Needs no
 * exporter; without one, calls that the ring lost between two scrapes are unaggregated.
 *
 * @param config  NULL for the defaults
 * @param text    the caller's, to be given to free(); terminated
 * @param length  of it
 * @return        0; -ENODEV before rpcprof_init(); -EINVAL a field is out of range (the log names
 *                it); -ENOMEM; the outputs change only on success
 *
 * Threads:  any
 * Progress: blocking on collections; these wait for it only while sums are copied. Allocates,
 *           while it lasts, about 900 bytes per method and stage
 * Source:   https://prometheus.io/docs/instrumenting/exposition_formats/
 */
int rpcprof_metrics_text(const struct rpcprof_metrics_config *config, char **text, size_t *length);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
