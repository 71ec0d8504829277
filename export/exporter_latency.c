/* SPDX-License-Identifier: Apache-2.0 */
#include "export/exporter_internal.h"

static const char *name_of(uint32_t tag)
{
	return tag != 0 ? rpcprof_tag_name(tag, NULL) : "(none)";
}

static void describe(const struct rpcprof_aggregate *aggregate,
                     const struct rpcprof_series *series, struct rpcprof_latency *out)
{
	const struct rpcprof_histogram *latency = &series->latency;
	const struct rpcprof_series *frame = series;

	*out = (struct rpcprof_latency){.depth = series->depth - 1, .count = latency->count,
	                                .max_ns = latency->max, .lost = latency->lost};
	out->mean_ns = latency->count != 0 ? latency->sum / latency->count : 0;
	out->p50_ns = rpcprof_histogram_quantile(&aggregate->pool, latency, 0.5);
	out->p90_ns = rpcprof_histogram_quantile(&aggregate->pool, latency, 0.9);
	out->p99_ns = rpcprof_histogram_quantile(&aggregate->pool, latency, 0.99);
	out->stage = series->depth > 1 ? name_of(series->tag) : "";
	while (frame->depth > 1)
		frame = &aggregate->series[frame->parent];
	out->method = name_of(frame->tag);
	out->side = name_of(aggregate->series[frame->parent].tag);
}

int64_t rpcprof_latency_walk(rpcprof_latency_fn *fn, void *arg)
{
	const struct rpcprof_aggregate *aggregate = rpcprof_collector_lock();
	struct rpcprof_latency latency;
	int64_t delivered = 0;

	for (uint32_t i = 0; aggregate != NULL && i < aggregate->totals.series; i++) {
		const struct rpcprof_series *series = &aggregate->series[i];

		if (series->depth == 0 || series->latency.count == 0)
			continue;
		describe(aggregate, series, &latency);
		delivered++;
		if (fn(arg, &latency) != 0)
			break;
	}
	rpcprof_collector_unlock();
	return delivered;
}
