/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers are written as integers: the process's locale may have a decimal comma. */
#include "export/metrics_internal.h"

#include <inttypes.h>
#include <string.h>

#include "export/pprof_model_internal.h"
#include "export/window_internal.h"

#define CALLS "rpcprof_calls_total"
#define DURATION "rpcprof_call_duration_seconds"
#define STAGE "rpcprof_stage_duration_seconds"
#define SECONDS "%" PRIu64 ".%09" PRIu64
#define BOUND_CHARS 32

void rpcprof_metrics_write_head(FILE *out, const char *name, const char *type, const char *help)
{
	fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* What most names are made of. */
static bool is_plain(char c)
{
	return c >= ' ' && c < 0x7f && c != '"' && c != '\\';
}

/* Names come from the network. What ends a value or a line is escaped, as the format has it; other
 * control characters, and what is no UTF-8 and would spoil the scrape, become U+FFFD. */
void rpcprof_metrics_write_label(FILE *out, const char *key, const char *value)
{
	size_t plain, left = strlen(value), step;

	fprintf(out, "%s=\"", key);
	for (;; value += step, left -= step) {
		for (plain = 0; plain < left && is_plain(value[plain]); plain++)
			;
		fwrite(value, 1, plain, out);
		value += plain;
		left -= plain;
		if (left == 0)
			break;
		step = rpcprof_pprof_utf8_next(value, left);
		if (*value == '\n')
			fputs("\\n", out);
		else if (*value == '"' || *value == '\\')
			fprintf(out, "\\%c", *value);
		else if (step > 1)
			fwrite(value, 1, step, out);
		else
			fputs("\xef\xbf\xbd", out);
		step += step == 0;
	}
	fputc('"', out);
}

void rpcprof_metrics_write_seconds(FILE *out, uint64_t ns)
{
	fprintf(out, SECONDS, ns / 1000000000, ns % 1000000000);
}

/* "0.005", "1": the shortest form, as others write it, for it is part of a series' name. */
static void format_bound(char text[BOUND_CHARS], uint64_t ns)
{
	int n = snprintf(text, BOUND_CHARS, SECONDS, ns / 1000000000, ns % 1000000000);

	while (text[n - 1] == '0')
		n--;
	text[text[n - 1] == '.' ? n - 1 : n] = '\0';
}

void rpcprof_metrics_write_calls(FILE *out, const struct rpcprof_metrics *metrics)
{
	char number[16];

	rpcprof_metrics_write_head(out, CALLS, "counter", "Calls that have ended.");
	for (size_t i = 0; i < metrics->count && !metrics->rows[i].is_stage; i++) {
		const struct rpcprof_metrics_row *row = &metrics->rows[i];

		for (uint32_t s = 0; s < RPCPROF_STATUSES; s++) {
			const char *name = s == RPCPROF_STATUS_NONE    ? "(none)"
			                   : s == RPCPROF_STATUS_OTHER ? "(other)"
			                   : rpcprof_status_name((int32_t)s, number);

			if (row->statuses[s] != 0)
				fprintf(out, CALLS "{%s,rpc_response_status_code=\"%s\"} %" PRIu64
				        "\n", row->labels, name, row->statuses[s]);
		}
	}
}

static void write_buckets(FILE *out, const char *name, const struct rpcprof_metrics *metrics,
                          const struct rpcprof_metrics_row *row,
                          char (*bounds)[BOUND_CHARS])
{
	uint64_t below = 0;

	for (uint32_t b = 0; b < metrics->bound_count; b++) {
		below += row->buckets[b];
		fprintf(out, "%s_bucket{%s,le=\"%s\"} %" PRIu64 "\n", name, row->labels, bounds[b],
		        below);
	}
	fprintf(out, "%s_bucket{%s,le=\"+Inf\"} %" PRIu64 "\n", name, row->labels, row->count);
}

static void write_rows(FILE *out, const char *name, const struct rpcprof_metrics *metrics,
                       bool stages, bool buckets)
{
	char bounds[RPCPROF_METRICS_BOUNDS_MAX][BOUND_CHARS];

	for (uint32_t b = 0; b < metrics->bound_count; b++)
		format_bound(bounds[b], metrics->bounds[b]);
	for (size_t i = 0; i < metrics->count; i++) {
		const struct rpcprof_metrics_row *row = &metrics->rows[i];

		if (row->is_stage != stages)
			continue;
		if (buckets)
			write_buckets(out, name, metrics, row, bounds);
		fprintf(out, "%s_sum{%s} " SECONDS "\n%s_count{%s} %" PRIu64 "\n", name, row->labels,
		        row->sum_ns / 1000000000, row->sum_ns % 1000000000, name, row->labels,
		        row->count);
	}
}

void rpcprof_metrics_write_durations(FILE *out, const struct rpcprof_metrics *metrics)
{
	rpcprof_metrics_write_head(out, DURATION, "histogram",
	                           "Calls that have ended, by how long they took.");
	write_rows(out, DURATION, metrics, false, true);
}

void rpcprof_metrics_write_stages(FILE *out, const struct rpcprof_metrics *metrics)
{
	rpcprof_metrics_write_head(out, STAGE, metrics->stage_buckets ? "histogram" : "summary",
	                           "Stages of calls that have ended, by how long they took in all.");
	write_rows(out, STAGE, metrics, true, metrics->stage_buckets);
}
