/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/rows_internal.h"

#include <stdlib.h>
#include <string.h>

struct summing {
	struct rows *rows;
	const struct rpcprof_pprof *profile;
	int column;
	size_t total_type;
	size_t calls_type;  /* type_count: nothing is counted */
	size_t stages_type; /* of profiles of calls */
	size_t sample;
	int failed;
	/* Within a sample, from its root: */
	size_t frame;
	const char *side, *method;
	struct row *leaf;
};

size_t profile_type(const struct rpcprof_pprof *profile, const char *name)
{
	size_t i = 0;

	while (i < profile->types_count &&
	       strcmp(rpcprof_pprof_text(profile, profile->types[i].type), name) != 0)
		i++;
	return i;
}

static int64_t value_of(const struct summing *summing, size_t type)
{
	if (type >= summing->profile->types_count)
		return 0;
	return rpcprof_pprof_values(summing->profile, summing->sample)[type];
}

bool profile_is_of_calls(const struct rpcprof_pprof *profile)
{
	size_t count = profile->types_count;

	return profile_type(profile, "calls") < count && profile_type(profile, "stages") < count &&
	       profile_type(profile, "wall") < count;
}

size_t profile_default_type(const struct rpcprof_pprof *profile)
{
	const char *name = profile_is_of_calls(profile)
	                           ? "wall"
	                           : rpcprof_pprof_text(profile, profile->default_type);
	size_t type = profile_type(profile, name);

	return type < profile->types_count ? type : profile->types_count - 1;
}

/* Counts a row for the sample, once however often it is on the stack. */
static void count_row(struct summing *summing, struct row *row)
{
	summing->leaf = row;
	if (row == NULL) {
		summing->failed = 1;
		return;
	}
	if (row->stamp == summing->sample + 1)
		return;
	row->stamp = summing->sample + 1;
	add_saturating(&row->sums[summing->column].total, value_of(summing, summing->total_type));
	if (row->stage == NULL)
		add_saturating(&row->sums[summing->column].calls,
		               value_of(summing, summing->calls_type));
}

/* A profile of calls: side, method, stages. */
static void count_call_frame(struct summing *summing, const char *name)
{
	if (summing->frame == 0)
		summing->side = name;
	else if (summing->frame == 1)
		summing->method = name;
	if (summing->frame == 1)
		count_row(summing, rows_get(summing->rows, summing->side, name, NULL));
	else if (summing->frame > 1)
		count_row(summing, rows_get(summing->rows, summing->side, summing->method, name));
	summing->frame++;
}

static void count_frame(struct summing *summing, const char *name)
{
	if (summing->rows->kind == ROWS_CALLS)
		count_call_frame(summing, name);
	else
		count_row(summing, rows_get(summing->rows, "", name, NULL));
}

static void count_location(struct summing *summing, uint64_t id)
{
	const struct rpcprof_pprof *profile = summing->profile;
	const struct pprof_location *location = &profile->locations[id - 1];

	if (location->line_count == 0)
		count_frame(summing, "(no symbol)");
	for (uint32_t i = location->line_count; i-- > 0;) {
		const struct pprof_function *function =
			rpcprof_pprof_line_function(profile, &profile->lines[location->lines + i]);

		count_frame(summing, rpcprof_pprof_text(profile, function->name));
	}
}

static void count_sample(struct summing *summing)
{
	const struct pprof_sample *sample = &summing->profile->samples[summing->sample];
	struct rows *rows = summing->rows;
	struct row *leaf;

	summing->frame = 0;
	summing->leaf = NULL;
	for (uint32_t i = sample->depth; i-- > 0;)
		count_location(summing, summing->profile->frames[sample->frames + i]);
	add_saturating(&rows->whole[summing->column], value_of(summing, summing->total_type));
	add_saturating(&rows->calls[summing->column], value_of(summing, summing->calls_type));
	leaf = summing->leaf;
	if (leaf == NULL)
		return;
	add_saturating(&leaf->sums[summing->column].self, value_of(summing, summing->total_type));
	if (leaf->stage != NULL)
		add_saturating(&leaf->sums[summing->column].calls,
		               value_of(summing, summing->stages_type));
}

/* Which type is summed, which counted. 0, or -1 without memory. */
static int choose_types(struct summing *summing)
{
	const struct rpcprof_pprof *profile = summing->profile;
	struct rows *rows = summing->rows;
	const char *count_name = "";

	summing->calls_type = profile_type(profile, "calls");
	summing->stages_type = profile_type(profile, "stages");
	summing->total_type = profile_default_type(profile);
	rows->kind = ROWS_CALLS;
	if (!profile_is_of_calls(profile)) {
		rows->kind = ROWS_FUNCTIONS;
		summing->calls_type = profile->types_count;
		if (strcmp(rpcprof_pprof_text(profile, profile->types[0].unit), "count") == 0) {
			summing->calls_type = 0;
			count_name = rpcprof_pprof_text(profile, profile->types[0].type);
		}
	}
	rows->unit = strdup(rpcprof_pprof_text(profile, profile->types[summing->total_type].unit));
	rows->count_name = strdup(count_name);
	return rows->unit == NULL || rows->count_name == NULL ? -1 : 0;
}

static void clear_stamps(struct rows *rows)
{
	for (size_t i = 0; i < rows->count; i++)
		rows->list[i]->stamp = 0;
}

int rows_add_profile(struct rows *rows, const struct input *input, int column)
{
	struct summing summing = {.rows = rows, .profile = input->profile, .column = column};
	enum rows_kind before = rows->kind;
	char *unit = rows->unit, *count_name = rows->count_name;
	bool other;

	if (choose_types(&summing) != 0)
		return complain(EXIT_SYSTEM, "%s: out of memory", input->path);
	other = before != 0 && (before != rows->kind || strcmp(unit, rows->unit) != 0 ||
	                        strcmp(count_name, rows->count_name) != 0);
	free(unit);
	free(count_name);
	if (other)
		return input_complain(input, 0, "not the same kind of profile as the other file",
		                      "compare files of one kind");
	clear_stamps(rows);
	for (; summing.sample < input->profile->samples_count; summing.sample++) {
		count_sample(&summing);
		if (summing.sample % 4096 == 0)
			progress(input->path, summing.sample, input->profile->samples_count);
		if (summing.failed)
			return complain(EXIT_SYSTEM,
			                "%s: more memory, or more than %zu rows, are needed",
			                input->path, ROWS_MAX);
	}
	return EXIT_DONE;
}
