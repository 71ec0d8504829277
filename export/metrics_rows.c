/* SPDX-License-Identifier: Apache-2.0 */
#include "export/metrics_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "export/exporter_internal.h"

static const char *name_of(uint32_t tag)
{
	return tag != 0 ? rpcprof_tag_name(tag, NULL) : "(none)";
}

/* The calls of a method by status, counted one by one or all told by its side. */
static void copy_statuses(struct rpcprof_metrics_row *row, const struct rpcprof_aggregate *aggregate,
                          const struct rpcprof_series *method)
{
	const struct rpcprof_series_labels *labels = &aggregate->series[method->parent].labels;

	if (method->statuses != 0)
		memcpy(row->statuses, rpcprof_octave_at(&aggregate->pool, method->statuses),
		       sizeof(row->statuses));
	else
		row->statuses[rpcprof_status_slot(true, labels->status)] = method->sums.calls;
}

static void copy_series(struct rpcprof_metrics *metrics, const struct rpcprof_aggregate *aggregate,
                        const struct rpcprof_series *series)
{
	struct rpcprof_metrics_row *row = &metrics->rows[metrics->count++];
	const struct rpcprof_series *frame = series;

	row->is_stage = series->depth > 1;
	row->stage = row->is_stage ? series->tag : 0;
	while (frame->depth > 1)
		frame = &aggregate->series[frame->parent];
	row->method = frame->tag;
	row->side = aggregate->series[frame->parent].tag;
	row->count = series->latency.count;
	row->sum_ns = series->latency.sum;
	row->lost = series->latency.lost;
	if (!row->is_stage)
		copy_statuses(row, aggregate, series);
	if (!row->is_stage || metrics->stage_buckets)
		rpcprof_histogram_spread(&aggregate->pool, &series->latency, metrics->bounds,
		                         metrics->bound_count, row->buckets);
}

static int copy_rows(struct rpcprof_metrics *metrics)
{
	const struct rpcprof_aggregate *aggregate = rpcprof_collector_lock();
	uint32_t count = aggregate != NULL ? aggregate->totals.series : 0;

	metrics->rows = calloc(count + 1, sizeof(*metrics->rows));
	for (uint32_t i = 0; metrics->rows != NULL && i < count; i++)
		if (aggregate->series[i].depth > 0 && aggregate->series[i].latency.count > 0)
			copy_series(metrics, aggregate, &aggregate->series[i]);
	metrics->overflow = aggregate != NULL ? aggregate->totals.overflow : 0;
	rpcprof_collector_unlock();
	return metrics->rows != NULL ? 0 : -ENOMEM;
}

static void write_labels(FILE *out, const struct rpcprof_metrics_row *row)
{
	const char *method = name_of(row->method);

	rpcprof_metrics_write_label(out, "side", name_of(row->side));
	fputc(',', out);
	rpcprof_metrics_write_label(out, "rpc_method", method + (method[0] == '/'));
	if (row->is_stage) {
		fputc(',', out);
		rpcprof_metrics_write_label(out, "stage", name_of(row->stage));
	}
	fputc('\0', out);
}

static int make_labels(struct rpcprof_metrics *metrics)
{
	size_t length = 0;
	FILE *out = open_memstream(&metrics->labels, &length);
	bool failed;

	if (out == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < metrics->count; i++) {
		fflush(out); /* sets length */
		metrics->rows[i].offset = length;
		write_labels(out, &metrics->rows[i]);
	}
	failed = ferror(out) != 0;
	if (fclose(out) != 0 || failed)
		return -ENOMEM;
	for (size_t i = 0; i < metrics->count; i++)
		metrics->rows[i].labels = metrics->labels + metrics->rows[i].offset;
	return 0;
}

static int by_labels(const void *a, const void *b)
{
	const struct rpcprof_metrics_row *x = a, *y = b;

	if (x->is_stage != y->is_stage)
		return x->is_stage ? 1 : -1;
	return strcmp(x->labels, y->labels);
}

static void add_row(struct rpcprof_metrics_row *to, const struct rpcprof_metrics_row *row)
{
	to->count += row->count;
	to->sum_ns += row->sum_ns;
	to->lost += row->lost;
	for (size_t i = 0; i < RPCPROF_METRICS_BOUNDS_MAX; i++)
		to->buckets[i] += row->buckets[i];
	for (size_t i = 0; i < RPCPROF_STATUSES; i++)
		to->statuses[i] += row->statuses[i];
}

/* Those that would have the same name: series are told apart by labels of profiles, a stage by
 * those around it, and names by bytes that cannot be shown. */
static void merge_rows(struct rpcprof_metrics *metrics)
{
	size_t kept = 0;

	for (size_t i = 0; i < metrics->count; i++) {
		struct rpcprof_metrics_row *row = &metrics->rows[i];

		if (kept > 0 && by_labels(&metrics->rows[kept - 1], row) == 0)
			add_row(&metrics->rows[kept - 1], row);
		else
			metrics->rows[kept++] = *row;
	}
	metrics->count = kept;
}

int rpcprof_metrics_gather(struct rpcprof_metrics *metrics)
{
	int error = copy_rows(metrics);

	if (error == 0)
		error = make_labels(metrics);
	if (error != 0)
		return error;
	metrics->unaggregated = rpcprof_collector_unaggregated();
	qsort(metrics->rows, metrics->count, sizeof(*metrics->rows), by_labels);
	merge_rows(metrics);
	return 0;
}

void rpcprof_metrics_close(struct rpcprof_metrics *metrics)
{
	free(metrics->rows);
	free(metrics->labels);
}
