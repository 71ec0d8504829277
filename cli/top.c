/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/live_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct arguments {
	const char *file; /* NULL: of a running process */
	size_t limit;     /* methods, or functions; 0 = all */
	const struct row_order *order;
	struct live live;
};

static void parse_order(struct argp_state *state, struct arguments *arguments, const char *name)
{
	arguments->order = rows_order(name);
	if (arguments->order == NULL)
		argp_error(state,
		           "--sort takes total, share, self, calls, mean, name, p50, p90, p99 or "
		           "max, not \"%s\"",
		           name);
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		arguments->order = rows_order("total");
		state->child_inputs[0] = &arguments->live;
		return 0;
	case 'n':
		arguments->limit = parse_count(state, "-n", argument);
		return 0;
	case 's':
		parse_order(state, arguments, argument);
		return 0;
	case ARGP_KEY_ARG:
		if (arguments->file != NULL)
			argp_error(state, "one file at a time; `rpcprof merge' makes one of many");
		arguments->file = argument;
		return 0;
	case ARGP_KEY_END:
		if (arguments->file != NULL && arguments->live.remote.address != NULL)
			argp_error(state, "give a file or a process, not both");
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
		print_value(rows, (double)row_percentile(row, percent));
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

static void print_top(struct rows *rows, const struct arguments *arguments)
{
	size_t methods = 0;

	rows_sort_durations(rows);
	rows_sort(rows, arguments->order->key);
	print_head(rows);
	for (size_t i = 0; i < rows->count; i++) {
		methods += rows->list[i]->stage == NULL;
		if (arguments->limit != 0 && methods > arguments->limit)
			break;
		print_row(rows, rows->list[i]);
	}
}

static int show_file(const struct arguments *arguments)
{
	struct rows rows = {0};
	int status = rows_add_file(&rows, arguments->file, 0);

	if (status == EXIT_DONE && arguments->order->of_dumps && rows.kind != ROWS_DUMP)
		status = complain(EXIT_USAGE, "%s: a profile has no single durations to sort by",
		                  arguments->file);
	if (status == EXIT_DONE) {
		progress_end();
		print_top(&rows, arguments);
		status = finish_stdout();
	}
	rows_close(&rows);
	return status;
}

int command_top(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"lines", 'n', "N", 0, "At most N methods (functions, in other profiles)", 0},
		{"sort", 's', "KEY", 0,
	         "total (default), share, self, calls, mean, name; of single calls p50, p90, p99, max",
	         0},
		{0},
	};
	static const struct argp_child children[] = {{&live_argp, 0, NULL, 1}, {0}};
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.children = children,
		.args_doc = "[FILE]",
		.doc = "For each method and each of its stages how often it ran, how long it took, "
		       "and its share of all time: of the last calls of a running process, as they "
		       "end; or, given FILE, of a profile or a saved dump. FILE - is standard "
		       "input.\v"
		       "On a terminal: q quits, s sorts by the next column, / shows only methods "
		       "with a text in their names.",
	};
	struct arguments arguments = {0};

	argp_parse(&argp, argc, argv, 0, NULL, &arguments);
	if (arguments.file != NULL)
		return show_file(&arguments);
	return live_run(&arguments.live, arguments.order, arguments.limit);
}
