/* SPDX-License-Identifier: Apache-2.0 */
#include "rpcprof/metrics.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "export/exporter_internal.h"
#include "export/metrics_internal.h"
#include "rpcprof/control.h"
#include "rpcprof/version.h"

/* Source: gRPC proposal A66, from its 41 boundaries of latencies. */
static const uint64_t default_bounds_ns[RPCPROF_METRICS_BOUNDS_MAX] = {
	100000,    300000,    1000000,   2000000,    5000000,    10000000,   25000000,   50000000,
	100000000, 250000000, 500000000, 1000000000, 2000000000, 5000000000, 10000000000};

static void (*source)(FILE *out); /* atomic: set beside scrapes */

void rpcprof_metrics_add_source(void (*fn)(FILE *out))
{
	__atomic_store_n(&source, fn, __ATOMIC_RELEASE);
}

/* 0 or -EINVAL, logged. */
static int set_bounds(struct rpcprof_metrics *metrics, const uint64_t *bounds)
{
	uint32_t count = 0;

	while (count < RPCPROF_METRICS_BOUNDS_MAX && bounds[count] != 0) {
		if (count > 0 && bounds[count] <= bounds[count - 1]) {
			rpcprof_log(RPCPROF_LOG_ERROR, "rpcprof_metrics_text: bounds_ns[%" PRIu32
			            "] is %" PRIu64 ", not above the one before", count,
			            bounds[count]);
			return -EINVAL;
		}
		count++;
	}
	if (count == 0) {
		bounds = default_bounds_ns;
		count = RPCPROF_METRICS_BOUNDS_MAX;
	}
	memcpy(metrics->bounds, bounds, count * sizeof(*bounds));
	metrics->bound_count = count;
	return 0;
}

static int set_options(struct rpcprof_metrics *metrics, const struct rpcprof_metrics_config *config)
{
	struct rpcprof_metrics_config full = {.size = sizeof(full)};

	if (config != NULL) {
		if (config->size < sizeof(config->size) || config->size > sizeof(full)) {
			rpcprof_log(RPCPROF_LOG_ERROR, "rpcprof_metrics_text: size is %zu, not %zu",
			            config->size, sizeof(full));
			return -EINVAL;
		}
		memcpy(&full, config, config->size);
	}
	metrics->stage_buckets = full.stage_buckets != 0;
	return set_bounds(metrics, full.bounds_ns);
}

static void write_number(FILE *out, const char *name, const char *type, const char *help,
                         uint64_t value)
{
	rpcprof_metrics_write_head(out, name, type, help);
	fprintf(out, "%s %" PRIu64 "\n", name, value);
}

static int go_on(void *arg, const struct rpcprof_view *view)
{
	(void)arg;
	(void)view;
	return 0;
}

/* All reasons from the first scrape on, so that the first loss is seen as a rise. */
static void write_dropped(FILE *out, const struct rpcprof_metrics *metrics)
{
	struct rpcprof_counters counters = {0};
	uint64_t lost = 0;

	(void)rpcprof_counters_get(&counters);
	for (size_t i = 0; i < metrics->count; i++)
		lost += metrics->rows[i].lost;

	const struct {
		const char *reason;
		uint64_t count;
	} dropped[] = {
		{"no_cell", counters.dropped_no_cell},
		{"timer", counters.dropped_timers},
		{"stage_tags", counters.tag_overflow[RPCPROF_TAG_STAGE]},
		{"method_tags", counters.tag_overflow[RPCPROF_TAG_METHOD]},
		{"label_tags", counters.tag_overflow[RPCPROF_TAG_LABEL]},
		{"series", metrics->overflow},
		{"histogram", lost},
	};

	rpcprof_metrics_write_head(out, "rpcprof_dropped_total", "counter",
	                           "Calls not recorded (no_cell), timers not recorded (timer), uses of "
	                           "names (..._tags) and of frames (series) that became (other), "
	                           "durations in no bucket but +Inf (histogram).");
	for (size_t i = 0; i < sizeof(dropped) / sizeof(dropped[0]); i++)
		fprintf(out, "rpcprof_dropped_total{reason=\"%s\"} %" PRIu64 "\n", dropped[i].reason,
		        dropped[i].count);
}

static void write_process(FILE *out, const struct rpcprof_metrics *metrics)
{
	int64_t in_flight = rpcprof_inflight(NULL, go_on, NULL);

	write_number(out, "rpcprof_calls_in_flight", "gauge", "Calls that are recorded and go on.",
	             in_flight > 0 ? (uint64_t)in_flight : 0);
	write_number(out, "rpcprof_unaggregated_calls_total", "counter",
	             "Calls that ended and are in no other metric: displaced before they were "
	             "collected.", metrics->unaggregated);
	write_dropped(out, metrics);
	rpcprof_metrics_write_head(out, "rpcprof_build_info", "gauge", "1, by version.");
	fprintf(out, "rpcprof_build_info{version=\"%s\"} 1\n", rpcprof_version());
}

/* Of the one that runs, or of the last one: they begin anew with the next, as a new process's do. */
static void write_exporter(FILE *out)
{
	struct rpcprof_exporter_stats stats = {.size = sizeof(stats)};

	(void)rpcprof_exporter_get_stats(&stats);
	write_number(out, "rpcprof_exporter_windows_total", "counter",
	             "Windows that the exporter closed.", stats.windows);
	write_number(out, "rpcprof_exporter_files_total", "counter",
	             "Profiles written to the exporter's directory.", stats.files);
	write_number(out, "rpcprof_exporter_file_bytes_total", "counter",
	             "Bytes written to the exporter's directory.", stats.file_bytes);
	write_number(out, "rpcprof_exporter_pruned_files_total", "counter",
	             "Files deleted to keep to keep_files and keep_bytes.", stats.pruned);
	write_number(out, "rpcprof_exporter_write_errors_total", "counter",
	             "Profiles that could not be written to the exporter's directory.",
	             stats.write_errors);
	write_number(out, "rpcprof_backend_reports_total", "counter",
	             "Profiles that backends handed over.", stats.reports);
	write_number(out, "rpcprof_backend_errors_total", "counter",
	             "Windows of which a backend had no profile, for an error.",
	             stats.report_errors);
}

static int write_all(const struct rpcprof_metrics *metrics, char **text, size_t *length)
{
	void (*more)(FILE *out) = __atomic_load_n(&source, __ATOMIC_ACQUIRE);
	char *written = NULL;
	size_t bytes = 0;
	FILE *out = open_memstream(&written, &bytes);
	bool failed;

	if (out == NULL)
		return -ENOMEM;
	rpcprof_metrics_write_calls(out, metrics);
	rpcprof_metrics_write_durations(out, metrics);
	rpcprof_metrics_write_stages(out, metrics);
	write_process(out, metrics);
	write_exporter(out);
	if (more != NULL)
		more(out);
	failed = ferror(out) != 0;
	if (fclose(out) != 0 || failed) {
		free(written);
		return -ENOMEM;
	}
	*text = written;
	*length = bytes;
	return 0;
}

int rpcprof_metrics_text(const struct rpcprof_metrics_config *config, char **text, size_t *length)
{
	struct rpcprof_metrics metrics = {0};
	int error = set_options(&metrics, config);
	int64_t collected;

	if (error == 0)
		error = rpcprof_profiles_ensure();
	if (error != 0)
		return error;
	collected = rpcprof_collector_collect(0);
	if (collected < 0)
		return (int)collected;
	error = rpcprof_metrics_gather(&metrics);
	if (error == 0)
		error = write_all(&metrics, text, length);
	rpcprof_metrics_close(&metrics);
	return error;
}
