/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/rows_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OLD = 0, NEW = 1 };

struct arguments {
	const char *files[2];
	const char *output;
	size_t count;
	size_t limit;
	row_key *key;
};

static double change(const struct row *row)
{
	return (double)row->sums[NEW].total - (double)row->sums[OLD].total;
}

static double share(const struct row *row, const struct rows *rows, int column)
{
	return percent_of((double)row->sums[column].total, (double)rows->whole[column]);
}

static double change_per_call(const struct row *row)
{
	if (row->sums[OLD].calls == 0 || row->sums[NEW].calls == 0)
		return 0;
	return per_call(&row->sums[NEW]) - per_call(&row->sums[OLD]);
}

static double by_total(const struct row *row, const struct rows *rows)
{
	(void)rows;
	return fabs(change(row));
}

static double by_share(const struct row *row, const struct rows *rows)
{
	return fabs(share(row, rows, NEW) - share(row, rows, OLD));
}

static double by_per_call(const struct row *row, const struct rows *rows)
{
	(void)rows;
	return fabs(change_per_call(row));
}

static double by_name(const struct row *row, const struct rows *rows)
{
	(void)row;
	(void)rows;
	return 0; /* equal keys go by name */
}

static row_key *find_key(struct argp_state *state, const char *name)
{
	if (strcmp(name, "total") == 0)
		return by_total;
	if (strcmp(name, "share") == 0)
		return by_share;
	if (strcmp(name, "per-call") == 0)
		return by_per_call;
	if (strcmp(name, "name") != 0)
		argp_error(state, "--sort takes total, share, per-call or name, not \"%s\"", name);
	return by_name;
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	switch (key) {
	case 'n':
		arguments->limit = parse_count(state, "-n", argument);
		return 0;
	case 's':
		arguments->key = find_key(state, argument);
		return 0;
	case 'o':
		arguments->output = argument;
		return 0;
	case ARGP_KEY_ARG:
		if (arguments->count == 2)
			argp_error(state, "two files, OLD and NEW");
		arguments->files[arguments->count++] = argument;
		return 0;
	case ARGP_KEY_END:
		if (arguments->count != 2)
			argp_error(state, "two files, OLD and NEW");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static void print_value(const struct rows *rows, double value, bool with_sign)
{
	char text[VALUE_CHARS], sign[VALUE_CHARS + 1];

	format_value(text, rows, value);
	snprintf(sign, sizeof(sign), "%s%s", with_sign && value > 0 ? "+" : "", text);
	printf("  %12s", sign);
}

static void print_per_call(const struct rows *rows, const struct row *row)
{
	const struct sums *old = &row->sums[OLD], *new = &row->sums[NEW];

	for (int i = OLD; i <= NEW; i++) {
		if (row->sums[i].calls != 0)
			print_value(rows, per_call(&row->sums[i]), false);
		else
			printf("  %12s", "-");
	}
	if (old->calls != 0 && new->calls != 0 && old->total != 0)
		printf("  %+7.1f %%", percent_of(change_per_call(row), per_call(old)));
	else
		printf("  %9s", "-");
}

static void print_row(const struct rows *rows, const struct row *row)
{
	char old[VALUE_CHARS];

	format_value(old, rows, (double)row->sums[OLD].total);
	printf("%12s", old);
	print_value(rows, (double)row->sums[NEW].total, false);
	print_value(rows, change(row), true);
	printf("  %5.1f %%  %5.1f %%", share(row, rows, OLD), share(row, rows, NEW));
	print_per_call(rows, row);
	fputs("  ", stdout);
	print_row_name(row);
}

static void print_diff(struct rows *rows, const struct arguments *arguments)
{
	char whole[2][VALUE_CHARS];
	size_t methods = 0;

	rows_sort(rows, arguments->key);
	format_value(whole[OLD], rows, (double)rows->whole[OLD]);
	format_value(whole[NEW], rows, (double)rows->whole[NEW]);
	printf("old: %" PRId64 " %s, %s in all; new: %" PRId64 ", %s\n\n", rows->calls[OLD],
	       rows->kind == ROWS_FUNCTIONS ? rows->count_name : "calls", whole[OLD],
	       rows->calls[NEW], whole[NEW]);
	printf("%12s  %12s  %12s  %7s  %7s  %12s  %12s  %9s  %s\n", "old", "new", "change", "share",
	       "now", "per call", "now", "change",
	       rows->kind == ROWS_FUNCTIONS ? "function" : "method, stages");
	for (size_t i = 0; i < rows->count; i++) {
		methods += rows->list[i]->stage == NULL;
		if (arguments->limit != 0 && methods > arguments->limit)
			break;
		print_row(rows, rows->list[i]);
	}
}

static int merge_input(struct rpcprof_pprof *into, const char *path, bool base)
{
	struct pprof_error error;
	struct input input;
	int status = input_open(&input, path);
	int merged;

	if (status != EXIT_DONE)
		return status;
	if (input.profile == NULL) {
		status = complain(EXIT_BAD_INPUT, "%s: byte 0: a dump; -o needs profiles", path);
	} else {
		merged = rpcprof_pprof_merge(into, input.profile, base, &error);
		if (merged == -ENOMEM)
			status = complain(EXIT_SYSTEM, "%s: out of memory", path);
		else if (merged != 0)
			status = input_complain(&input, error.offset, error.text,
			                        "compare profiles of one kind");
	}
	input_close(&input);
	return status;
}

static int encode_to(struct rpcprof_pprof *profile, const char *path)
{
	uint8_t *bytes;
	size_t length;
	int status;

	rpcprof_pprof_drop_zero_samples(profile);
	if (rpcprof_pprof_encode(profile, &bytes, &length) != 0)
		return complain(EXIT_SYSTEM, "out of memory");
	status = write_file(path, bytes, length);
	free(bytes);
	return status;
}

/* NEW, and OLD marked as the base: what `pprof -diff_base=OLD -proto NEW' writes. */
static int write_profile(const struct arguments *arguments)
{
	struct rpcprof_pprof *both = rpcprof_pprof_model_open(PPROF_MEMORY_MAX);
	int status;

	if (both == NULL)
		return complain(EXIT_SYSTEM, "out of memory");
	status = merge_input(both, arguments->files[NEW], false);
	if (status == EXIT_DONE)
		status = merge_input(both, arguments->files[OLD], true);
	if (status == EXIT_DONE)
		status = encode_to(both, arguments->output);
	rpcprof_pprof_close(both);
	return status;
}

static int print_files(const struct arguments *arguments)
{
	struct rows rows = {0};
	int status = rows_add_file(&rows, arguments->files[OLD], OLD);

	if (status == EXIT_DONE)
		status = rows_add_file(&rows, arguments->files[NEW], NEW);
	if (status == EXIT_DONE) {
		progress_end();
		print_diff(&rows, arguments);
		status = finish_stdout();
	}
	rows_close(&rows);
	return status;
}

int command_diff(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"lines", 'n', "N", 0, "At most N methods (functions, in other profiles)", 0},
		{"sort", 's', "KEY", 0,
	         "By the size of the change in total (default), share or per-call; or by name", 0},
		{"output", 'o', "OUT", 0,
	         "Write a profile with OLD as pprof's diff base instead of a table", 0},
		{0},
	};
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.args_doc = "OLD NEW",
		.doc = "Compares two profiles, or two saved dumps: for each method and stage the "
		       "time in all, its share of all time, and the time per call.",
	};
	struct arguments arguments = {.key = by_total};

	argp_parse(&argp, argc, argv, 0, NULL, &arguments);
	return arguments.output != NULL ? write_profile(&arguments) : print_files(&arguments);
}
