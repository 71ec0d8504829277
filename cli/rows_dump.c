/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/rows_internal.h"

#include <stdlib.h>
#include <string.h>

struct summing {
	struct rows *rows;
	const char *path;
	int column;
};

static int64_t clamp(uint64_t value)
{
	return value > INT64_MAX ? INT64_MAX : (int64_t)value;
}

/* Each single duration, for the percentiles. */
static int keep_duration(struct row *row, uint64_t ns)
{
	if (row->duration_count == row->duration_room) {
		size_t room = row->duration_room == 0 ? 16 : row->duration_room * 2;
		uint64_t *larger = realloc(row->durations, room * sizeof(*larger));

		if (larger == NULL)
			return -1;
		row->durations = larger;
		row->duration_room = room;
	}
	row->durations[row->duration_count++] = ns;
	return 0;
}

static int count(const struct summing *summing, struct row *row, uint64_t calls, uint64_t total_ns,
                 uint64_t longest_ns)
{
	struct sums *sums;

	if (row == NULL)
		return -1;
	sums = &row->sums[summing->column];
	add_saturating(&sums->calls, clamp(calls));
	add_saturating(&sums->total, clamp(total_ns));
	if (longest_ns > sums->longest)
		sums->longest = longest_ns;
	return 0;
}

static int count_one(const struct summing *summing, struct row *row, uint64_t ns)
{
	if (count(summing, row, 1, ns, ns) != 0)
		return -1;
	return summing->column == 0 ? keep_duration(row, ns) : 0;
}

static int count_all(const struct summing *summing, const struct dump_call *call)
{
	struct rows *rows = summing->rows;
	const char *method = call->method != NULL ? call->method : "(no method)";
	int failed = count_one(summing, rows_get(rows, call->side, method, NULL), call->duration_ns);

	for (uint32_t i = 0; failed == 0 && i < call->stage_count; i++)
		failed = count_one(summing, rows_get(rows, call->side, method, call->stages[i].tag),
		                   call->stages[i].duration_ns);
	for (uint32_t i = 0; failed == 0 && i < call->fold_count; i++)
		failed = count(summing, rows_get(rows, call->side, method, call->folds[i].tag),
		               call->folds[i].count, call->folds[i].total_ns,
		               call->folds[i].longest_ns);
	add_saturating(&rows->whole[summing->column], clamp(call->duration_ns));
	add_saturating(&rows->calls[summing->column], 1);
	return failed;
}

static int note_time(void *arg, const struct dump_header *header)
{
	const struct summing *summing = arg;

	summing->rows->at_utc_ns = header->at_utc_ns;
	return EXIT_DONE;
}

static bool is_in_window(struct rows *rows, const struct dump_call *call)
{
	int64_t end = call->begin_utc_ns + clamp(call->duration_ns);

	if (rows->window_ns != 0 && end <= rows->at_utc_ns - clamp(rows->window_ns))
		return false;
	if (rows->first_end_utc_ns == 0 || end < rows->first_end_utc_ns)
		rows->first_end_utc_ns = end;
	return true;
}

/* Calls in flight have no duration yet. */
static int count_call(void *arg, const struct dump_call *call)
{
	const struct summing *summing = arg;

	if (call->in_flight || !is_in_window(summing->rows, call) || count_all(summing, call) == 0)
		return EXIT_DONE;
	return complain(EXIT_SYSTEM, "%s: more memory, or more than %zu rows, are needed",
	                summing->path, ROWS_MAX);
}

int rows_add_dump(struct rows *rows, const struct input *input, int column)
{
	struct summing summing = {rows, input->path, column};
	struct dump_receiver receiver = {note_time, count_call, &summing, 0};

	if (rows->kind != 0 && rows->kind != ROWS_DUMP)
		return input_complain(input, 0, "a dump, and the other file is a profile",
		                      "compare files of one kind");
	rows->kind = ROWS_DUMP;
	if (rows->unit == NULL)
		rows->unit = strdup("nanoseconds");
	if (rows->unit == NULL)
		return complain(EXIT_SYSTEM, "%s: out of memory", input->path);
	return input_each_call(input, &receiver);
}
