/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/rows_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct arguments {
	const char *file;
	size_t limit; /* methods, or functions; 0 = all */
	row_key *key;
	bool of_dumps; /* the key is of single durations */
};

/* The duration that `percent` of all are not longer than (nearest rank); sorted before. */
static uint64_t percentile(const struct row *row, unsigned int percent)
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
	return (double)percentile(row, 50);
}

static double by_p99(const struct row *row, const struct rows *rows)
{
	(void)rows;
	return (double)percentile(row, 99);
}

static double by_max(const struct row *row, const struct rows *rows)
{
	(void)rows;
	return (double)row->sums[0].longest;
}

static const struct {
	const char *name;
	row_key *key;
	bool of_dumps;
} keys[] = {
	{"total", by_total, false}, {"share", by_total, false}, {"self", by_self, false},
	{"calls", by_calls, false}, {"mean", by_mean, false},   {"name", by_name, false},
	{"p50", by_p50, true},      {"p99", by_p99, true},      {"max", by_max, true},
};

static void parse_key(struct argp_state *state, struct arguments *arguments, const char *name)
{
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (strcmp(name, keys[i].name) != 0)
			continue;
		arguments->key = keys[i].key;
		arguments->of_dumps = keys[i].of_dumps;
		return;
	}
	argp_error(state,
	           "--sort takes total, share, self, calls, mean, name, p50, p99 or max, "
	           "not \"%s\"",
	           name);
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	switch (key) {
	case 'n':
		arguments->limit = parse_count(state, "-n", argument);
		return 0;
	case 's':
		parse_key(state, arguments, argument);
		return 0;
	case ARGP_KEY_ARG:
		if (arguments->file != NULL)
			argp_error(state, "one file at a time; `rpcprof merge' makes one of many");
		arguments->file = argument;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "no file given");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static void print_head(const struct rows *rows)
{
	char whole[VALUE_CHARS];

	format_value(whole, rows, (double)rows->whole[0]);
	if (rows->kind == ROWS_FUNCTIONS) {
		printf("%s %s in all\n\n", whole,
		       strcmp(rows->unit, "nanoseconds") == 0 ? "" : rows->unit);
		printf("%12s  %7s  %12s  %7s  %10s  function\n", "self", "share", "total", "share",
		       rows->count_name);
		return;
	}
	printf("%" PRId64 " calls, %s in all\n\n%10s  %12s  %7s  %12s", rows->calls[0], whole,
	       "calls", "total", "share", "mean");
	if (rows->kind == ROWS_DUMP)
		printf("  %12s  %12s  %12s", "p50", "p99", "max");
	puts("  method, stages");
}

static void print_value(const struct rows *rows, double value)
{
	char text[VALUE_CHARS];

	format_value(text, rows, value);
	printf("  %12s", text);
}

static void print_percentile(const struct rows *rows, const struct row *row, unsigned int percent)
{
	if (row->duration_count != 0) /* else all were folded: only their sum and longest are known */
		print_value(rows, (double)percentile(row, percent));
	else
		printf("  %12s", "-");
}

static void print_function(const struct rows *rows, const struct row *row)
{
	char self[VALUE_CHARS];

	format_value(self, rows, (double)row->sums[0].self);
	printf("%12s  %5.1f %%", self,
	       percent_of((double)row->sums[0].self, (double)rows->whole[0]));
	print_value(rows, (double)row->sums[0].total);
	printf("  %5.1f %%", percent_of((double)row->sums[0].total, (double)rows->whole[0]));
	if (rows->count_name[0] != '\0')
		printf("  %10" PRId64, row->sums[0].calls);
	else
		printf("  %10s", "");
}

static void print_row(const struct rows *rows, const struct row *row)
{
	if (rows->kind == ROWS_FUNCTIONS) {
		print_function(rows, row);
	} else {
		printf("%10" PRId64, row->sums[0].calls);
		print_value(rows, (double)row->sums[0].total);
		printf("  %5.1f %%", percent_of((double)row->sums[0].total, (double)rows->whole[0]));
		if (row->sums[0].calls != 0)
			print_value(rows, per_call(&row->sums[0]));
		else
			printf("  %12s", "-");
	}
	if (rows->kind == ROWS_DUMP) {
		print_percentile(rows, row, 50);
		print_percentile(rows, row, 99);
		print_value(rows, (double)row->sums[0].longest);
	}
	fputs("  ", stdout);
	print_row_name(row);
}

static int compare_durations(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

	return (a > b) - (a < b);
}

static void print_top(struct rows *rows, const struct arguments *arguments)
{
	size_t methods = 0;

	for (size_t i = 0; i < rows->count; i++)
		if (rows->list[i]->duration_count > 1)
			qsort(rows->list[i]->durations, rows->list[i]->duration_count,
			      sizeof(uint64_t), compare_durations);
	rows_sort(rows, arguments->key);
	print_head(rows);
	for (size_t i = 0; i < rows->count; i++) {
		methods += rows->list[i]->stage == NULL;
		if (arguments->limit != 0 && methods > arguments->limit)
			break;
		print_row(rows, rows->list[i]);
	}
}

int command_top(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"lines", 'n', "N", 0, "At most N methods (functions, in other profiles)", 0},
		{"sort", 's', "KEY", 0,
	         "total (default), share, self, calls, mean, name; for dumps p50, p99, max", 0},
		{0},
	};
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.args_doc = "FILE",
		.doc = "Sums up a profile, or a dump saved as JSON or JSON lines: for each method "
		       "and each of its stages how often it ran, its time in all, its share of "
		       "all time, and the mean. FILE - is standard input.",
	};
	struct arguments arguments = {.key = by_total};
	struct rows rows = {0};
	int status;

	argp_parse(&argp, argc, argv, 0, NULL, &arguments);
	status = rows_add_file(&rows, arguments.file, 0);
	if (status == EXIT_DONE && arguments.of_dumps && rows.kind != ROWS_DUMP)
		status = complain(EXIT_USAGE, "%s: a profile has no single durations to sort by",
		                  arguments.file);
	if (status == EXIT_DONE) {
		progress_end();
		print_top(&rows, &arguments);
		status = finish_stdout();
	}
	rows_close(&rows);
	return status;
}
