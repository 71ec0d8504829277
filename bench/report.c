/* SPDX-License-Identifier: Apache-2.0 */
/* The results: for people, as JSON, and beside what they should be. */
#include <stdio.h>
#include <string.h>

#include "bench.h"

/* A figure to reach: `test` over `by`, or in ns if by is NULL. */
static const struct target {
	const char *text;
	const char *test;
	const char *by;
	uint32_t threads, by_threads;
	double factor;
	double limit;
	bool at_least; /* else at most */
} targets[] = {
	{"timer / floor_timer", "timer", "floor_timer", 1, 1, 1, 1.05, false},
	{"rpc8 / floor_rpc8", "rpc8", "floor_rpc8", 1, 1, 1, 1.07, false},
	{"rpc8 / floor_rpc8, N = 16384", "rpc8_16384", "floor_rpc8_16384", 1, 1, 1, 1.15, false},
	{"lap8 / floor_lap8", "lap8", "floor_lap8", 1, 1, 1, 1.15, false},
	{"rpc8, 2 threads / 1", "rpc8", "rpc8", 2, 1, 1, 1.08, false},
	{"stat_push, 2 threads / 1", "stat_push", "stat_push", 2, 1, 1, 1.2, false},
	{"handoff, ns", "handoff", NULL, 2, 0, 1, 200, false},
	{"drain_stat, ns", "drain_stat", NULL, 1, 0, 1, 18, false},
	{"snapshot_stat, ns", "snapshot_stat", NULL, 1, 0, 1, 18, false},
	{"drain_stat_shuffled, ns", "drain_stat_shuffled", NULL, 1, 0, 1, 30, false},
	{"snapshot_stat_shuffled, ns", "snapshot_stat_shuffled", NULL, 1, 0, 1, 25, false},
	{"aggregate_stat, ns", "aggregate_stat", NULL, 1, 0, 1, 150, false},
	{"pprof_sample, ns", "pprof_sample", NULL, 1, 0, 1, 600, false},
	{"metrics_write, ms", "metrics_write", NULL, 1, 0, 1e-6, 50, false},
	{"peer_go_pprof_write / pprof_sample", "peer_go_pprof_write", "pprof_sample", 1, 1, 1, 5,
	 true},
	{"peer_grpcgo_rpc8 / rpc8", "peer_grpcgo_rpc8", "rpc8", 1, 1, 1, 8, true},
	{"peer_lttng_pair x 8 / rpc8", "peer_lttng_pair", "rpc8", 1, 1, 8, 6, true},
};

static const struct bench_row *find(const struct bench_row *rows, size_t count, const char *name,
                                    uint32_t threads)
{
	for (size_t i = 0; name != NULL && i < count; i++)
		if (rows[i].threads == threads && strcmp(rows[i].test->name, name) == 0)
			return &rows[i];
	return NULL;
}

/* To the peer at as many threads, or at one if it knows no more. */
double bench_ratio(const struct bench_row *rows, size_t count, const struct bench_row *row)
{
	const struct bench_row *peer = find(rows, count, row->test->peer, row->threads);
	uint32_t parts = row->test->peer_parts > 0 ? row->test->peer_parts : 1;

	if (peer == NULL)
		peer = find(rows, count, row->test->peer, 1);
	return peer != NULL ? row->ns[0] * parts / peer->ns[0] : 0;
}

void bench_print_table(const struct bench_row *rows, size_t count)
{
	printf("%-22s %7s %10s %10s   ratio\n", "case", "threads", "ns min", "ns median");
	for (const struct bench_row *row = rows; row < rows + count; row++) {
		double ratio = bench_ratio(rows, count, row);

		printf("%-22s %7u %10.2f %10.2f", row->test->name, row->threads, row->ns[0],
		       row->ns[row->rounds / 2]);
		if (ratio > 0)
			printf(" %7.3f x %s", ratio, row->test->peer);
		if (ratio > 0 && row->test->peer_parts > 1)
			printf(" (%u of these)", row->test->peer_parts);
		printf("\n");
	}
}

void bench_print_json(const struct bench_row *rows, size_t count)
{
	for (const struct bench_row *row = rows; row < rows + count; row++) {
		double ratio = bench_ratio(rows, count, row);

		printf("{\"case\": \"%s\", \"threads\": %u, \"ns_min\": %.3f, \"ns_median\": %.3f, "
		       "\"ratio\": ",
		       row->test->name, row->threads, row->ns[0], row->ns[row->rounds / 2]);
		printf(ratio > 0 ? "%.3f}\n" : "null}\n", ratio);
	}
}

void bench_print_targets(const struct bench_row *rows, size_t count)
{
	printf("\n%-36s %10s %10s\n", "target", "reach", "measured");
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		const struct target *target = &targets[i];
		const struct bench_row *row = find(rows, count, target->test, target->threads);
		const struct bench_row *by = find(rows, count, target->by, target->by_threads);
		double figure;

		printf("%-36s %3s %6.2f", target->text, target->at_least ? ">=" : "<=",
		       target->limit);
		if (row == NULL || (target->by != NULL && by == NULL)) {
			printf(" %10s not measured\n", "-");
			continue;
		}
		figure = row->ns[0] * target->factor / (by != NULL ? by->ns[0] : 1);
		printf(" %10.3f %s\n", figure,
		       (target->at_least ? figure >= target->limit : figure <= target->limit)
			       ? "reached"
			       : "missed");
	}
}
