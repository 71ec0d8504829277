/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/rows_internal.h"

#include <inttypes.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int compare_texts(const void *a, const void *b)
{
	return strcmp(a, b);
}

static int compare_address(const void *a, const void *b)
{
	return ((uintptr_t)a > (uintptr_t)b) - ((uintptr_t)a < (uintptr_t)b);
}

static int compare_rows(const void *left, const void *right)
{
	const struct row *a = left, *b = right;
	int order = compare_address(a->side, b->side);

	if (order == 0)
		order = compare_address(a->method, b->method);
	return order != 0 ? order : compare_address(a->stage, b->stage);
}

/* The one copy of a text, so that rows compare addresses however long names are. */
static const char *keep_text(struct rows *rows, const char *text)
{
	void **node = tfind(text, &rows->texts, compare_texts);
	char *copy;

	if (node != NULL)
		return *node;
	copy = strdup(text);
	if (copy == NULL || tsearch(copy, &rows->texts, compare_texts) == NULL) {
		free(copy);
		return NULL;
	}
	return copy;
}

static int grow_list(struct rows *rows)
{
	size_t room = rows->room == 0 ? 64 : rows->room * 2;
	struct row **larger;

	if (rows->count < rows->room)
		return 0;
	if (rows->count >= ROWS_MAX)
		return -1;
	larger = realloc(rows->list, room * sizeof(struct row *));
	if (larger == NULL)
		return -1;
	rows->list = larger;
	rows->room = room;
	return 0;
}

static struct row *add_row(struct rows *rows, const struct row *key)
{
	struct row *row, *parent = NULL;

	if (key->stage != NULL) {
		parent = rows_get(rows, key->side, key->method, NULL);
		if (parent == NULL)
			return NULL;
	}
	row = grow_list(rows) == 0 ? malloc(sizeof(*row)) : NULL;
	if (row == NULL)
		return NULL;
	*row = *key;
	row->parent = parent;
	if (tsearch(row, &rows->tree, compare_rows) == NULL) {
		free(row);
		return NULL;
	}
	rows->list[rows->count++] = row;
	return row;
}

struct row *rows_get(struct rows *rows, const char *side, const char *method, const char *stage)
{
	struct row key = {.side = keep_text(rows, side), .method = keep_text(rows, method)};
	struct row **node;

	if (stage != NULL)
		key.stage = keep_text(rows, stage);
	if (key.side == NULL || key.method == NULL || (stage != NULL && key.stage == NULL))
		return NULL;
	node = tfind(&key, &rows->tree, compare_rows);
	return node != NULL ? *node : add_row(rows, &key);
}

static void keep_tree(void *row)
{
	(void)row; /* the list frees it */
}

void rows_close(struct rows *rows)
{
	for (size_t i = 0; i < rows->count; i++) {
		free(rows->list[i]->durations);
		free(rows->list[i]);
	}
	free(rows->list);
	tdestroy(rows->tree, keep_tree);
	tdestroy(rows->texts, free);
	free(rows->unit);
	free(rows->count_name);
	*rows = (struct rows){0};
}

int rows_add_file(struct rows *rows, const char *path, int column)
{
	struct input input;
	int status = input_open(&input, path);

	if (status != EXIT_DONE)
		return status;
	if (input.profile != NULL)
		status = rows_add_profile(rows, &input, column);
	else
		status = rows_add_dump(rows, &input, column);
	input_close(&input);
	return status;
}

struct sorting {
	const struct rows *rows;
	row_key *key;
};

static int compare_keys(const struct row *a, const struct row *b, const struct sorting *sorting)
{
	double left = sorting->key(a, sorting->rows), right = sorting->key(b, sorting->rows);
	int order = (left < right) - (left > right);

	if (order == 0)
		order = strcmp(a->method, b->method);
	if (order == 0)
		order = strcmp(a->side, b->side);
	if (order == 0 && a->stage != NULL && b->stage != NULL)
		order = strcmp(a->stage, b->stage);
	return order;
}

static int compare_sorted(const void *left, const void *right, void *arg)
{
	const struct row *a = *(struct row *const *)left, *b = *(struct row *const *)right;
	const struct row *a_method = a->stage == NULL ? a : a->parent;
	const struct row *b_method = b->stage == NULL ? b : b->parent;

	if (a_method != b_method)
		return compare_keys(a_method, b_method, arg);
	if ((a->stage == NULL) != (b->stage == NULL))
		return a->stage == NULL ? -1 : 1;
	return compare_keys(a, b, arg);
}

void rows_sort(struct rows *rows, row_key *key)
{
	struct sorting sorting = {rows, key};

	if (rows->count > 1)
		qsort_r(rows->list, rows->count, sizeof(rows->list[0]), compare_sorted, &sorting);
}

void format_value(char out[VALUE_CHARS], const struct rows *rows, double value)
{
	char duration[DUMP_DURATION_CHARS];
	bool negative = value < 0;
	double size = negative ? -value : value;

	if (strcmp(rows->unit, "nanoseconds") == 0 && size < 9e18) {
		rpcprof_dump_format_duration(duration, (uint64_t)(size + 0.5));
		snprintf(out, VALUE_CHARS, "%s%s", negative ? "-" : "", duration);
	} else {
		snprintf(out, VALUE_CHARS, "%.6g", value);
	}
}

double per_call(const struct sums *sums)
{
	return sums->calls == 0 ? 0 : (double)sums->total / (double)sums->calls;
}

double percent_of(double part, double whole)
{
	return whole == 0 ? 0 : 100 * part / whole;
}

void print_row_name(const struct row *row)
{
	if (row->stage != NULL) {
		fputs("    ", stdout);
		rpcprof_dump_print_name(stdout, row->stage);
	} else {
		if (row->side[0] != '\0') {
			rpcprof_dump_print_name(stdout, row->side);
			fputc(' ', stdout);
		}
		rpcprof_dump_print_name(stdout, row->method);
	}
	fputc('\n', stdout);
}
