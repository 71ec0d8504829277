/* SPDX-License-Identifier: Apache-2.0 */
/* What rows can be sorted by. */
#include <stdlib.h>
#include <string.h>

#include "cli/rows_internal.h"

/* The duration that `percent` of all are not longer than (nearest rank); sorted before. */
uint64_t row_percentile(const struct row *row, unsigned int percent)
{
	size_t rank = (row->duration_count * percent + 99) / 100;

	return row->duration_count == 0 ? 0 : row->durations[rank == 0 ? 0 : rank - 1];
}

static double by_total(const struct row *row, const struct rows *rows)
{
	(void)rows;
	return (double)row->sums[0].total;
}

static double by_self(const struct row *row, const struct rows *rows)
{
	(void)rows;
	return (double)row->sums[0].self;
}

static double by_calls(const struct row *row, const struct rows *rows)
{
	(void)rows;
	return (double)row->sums[0].calls;
}

static double by_mean(const struct row *row, const struct rows *rows)
{
	(void)rows;
	return per_call(&row->sums[0]);
}

static double by_name(const struct row *row, const struct rows *rows)
{
	(void)row;
	(void)rows;
	return 0; /* equal keys go by name */
}

static double by_p50(const struct row *row, const struct rows *rows)
{
	(void)rows;
	return (double)row_percentile(row, 50);
}

static double by_p90(const struct row *row, const struct rows *rows)
{
	(void)rows;
	return (double)row_percentile(row, 90);
}

static double by_p99(const struct row *row, const struct rows *rows)
{
	(void)rows;
	return (double)row_percentile(row, 99);
}

static double by_max(const struct row *row, const struct rows *rows)
{
	(void)rows;
	return (double)row->sums[0].longest;
}

static const struct row_order orders[] = {
	{"total", by_total, false}, {"share", by_total, false}, {"self", by_self, false},
	{"calls", by_calls, false}, {"mean", by_mean, false},   {"name", by_name, false},
	{"p50", by_p50, true},      {"p90", by_p90, true},      {"p99", by_p99, true},
	{"max", by_max, true},
};

const struct row_order *rows_order(const char *name)
{
	for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++)
		if (strcmp(name, orders[i].name) == 0)
			return &orders[i];
	return NULL;
}

static int compare_durations(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

	return (a > b) - (a < b);
}

void rows_sort_durations(struct rows *rows)
{
	for (size_t i = 0; i < rows->count; i++)
		if (rows->list[i]->duration_count > 1)
			qsort(rows->list[i]->durations, rows->list[i]->duration_count,
			      sizeof(uint64_t), compare_durations);
}
