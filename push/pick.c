/* SPDX-License-Identifier: Apache-2.0 */
#include "push/pick_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct pick {
	struct rpcprof_pprof *into;
	const struct rpcprof_pprof *from;
	uint32_t *locations; /* id in `from` to id in `into`; 0: not yet needed there */
	struct pprof_line *lines; /* room for those of one location */
	uint32_t other; /* location; 0: not yet needed */
	size_t others;  /* index of the first such sample */
	int error;      /* the first one sticks */
};

static uint32_t keep(struct pick *pick, int64_t id)
{
	if (id < 0 && pick->error == 0)
		pick->error = (int)id;
	return id < 0 ? 0 : (uint32_t)id;
}

static uint32_t text(struct pick *pick, uint32_t id)
{
	const char *from = rpcprof_pprof_text(pick->from, id);

	return keep(pick, rpcprof_pprof_intern(pick->into, from, strlen(from)));
}

static struct pprof_value_type value_type(struct pick *pick, struct pprof_value_type type)
{
	return (struct pprof_value_type){text(pick, type.type), text(pick, type.unit)};
}

static uint32_t function(struct pick *pick, uint32_t id)
{
	struct pprof_function copy = pick->from->functions[id - 1];

	copy.name = text(pick, copy.name);
	copy.system_name = text(pick, copy.system_name);
	copy.file = text(pick, copy.file);
	return keep(pick, rpcprof_pprof_intern_function(pick->into, &copy));
}

/* As if loaded where the first of equal mappings was. */
static void move_to_mapping(struct pick *pick, struct pprof_location *location)
{
	struct pprof_mapping copy = pick->from->mappings[location->mapping - 1];
	uint64_t start = copy.start;

	copy.file = text(pick, copy.file);
	copy.build_id = text(pick, copy.build_id);
	location->mapping = keep(pick, rpcprof_pprof_intern_mapping(pick->into, &copy));
	if (pick->error == 0)
		location->address += pick->into->mappings[location->mapping - 1].start - start;
}

static uint64_t location(struct pick *pick, uint64_t id)
{
	struct pprof_location copy = pick->from->locations[id - 1];

	if (pick->locations[id] != 0)
		return pick->locations[id];
	for (uint32_t i = 0; i < copy.line_count; i++) {
		pick->lines[i] = pick->from->lines[copy.lines + i];
		pick->lines[i].function = function(pick, pick->lines[i].function);
	}
	if (copy.mapping != 0)
		move_to_mapping(pick, &copy);
	if (pick->error == 0)
		pick->locations[id] = keep(
			pick, rpcprof_pprof_intern_location(pick->into, &copy, pick->lines));
	return pick->locations[id];
}

static void copy_info(struct pick *pick)
{
	const struct rpcprof_pprof *from = pick->from;
	struct rpcprof_pprof *into = pick->into;

	pick->error = PPROF_RESERVE(into, types, from->types_count);
	for (size_t i = 0; pick->error == 0 && i < from->types_count; i++)
		into->types[into->types_count++] = value_type(pick, from->types[i]);
	if (pick->error == 0)
		pick->error = PPROF_RESERVE(into, comments, from->comments_count);
	for (size_t i = 0; pick->error == 0 && i < from->comments_count; i++)
		into->comments[into->comments_count++] = text(pick, from->comments[i]);
	into->period_type = value_type(pick, from->period_type);
	into->period = from->period;
	into->time_ns = from->time_ns;
	into->duration_ns = from->duration_ns;
	into->default_type = text(pick, from->default_type);
	into->drop_frames = text(pick, from->drop_frames);
	into->keep_frames = text(pick, from->keep_frames);
	into->doc_url = text(pick, from->doc_url);
}

/* Labels of a sample of `from`, laid at the end of into's, beyond their count. */
static uint32_t lay_labels(struct pick *pick, const struct pprof_sample *sample, bool numbers)
{
	struct rpcprof_pprof *into = pick->into;
	uint32_t count = 0;

	if (pick->error == 0)
		pick->error = PPROF_RESERVE(into, labels, sample->label_count);
	for (uint32_t i = 0; pick->error == 0 && i < sample->label_count; i++) {
		struct pprof_label label = pick->from->labels[sample->labels + i];

		if (label.str == 0 && !numbers)
			continue;
		label.key = text(pick, label.key);
		label.str = text(pick, label.str);
		label.unit = text(pick, label.unit);
		into->labels[into->labels_count + count++] = label;
	}
	return count;
}

/* A sample whose labels were laid; its values are 0. */
static void add_sample(struct pick *pick, uint32_t depth, uint32_t label_count)
{
	struct rpcprof_pprof *into = pick->into;

	if (pick->error == 0)
		pick->error = PPROF_RESERVE(into, samples, 1);
	if (pick->error == 0)
		pick->error = PPROF_RESERVE(into, values, into->types_count);
	if (pick->error != 0)
		return;
	into->samples[into->samples_count++] = (struct pprof_sample){
		into->frames_count, into->labels_count, depth, label_count};
	into->frames_count += depth;
	into->labels_count += label_count;
	for (size_t i = 0; i < into->types_count; i++)
		into->values[into->values_count++] = 0;
}

static void add_values(struct pick *pick, size_t to, uint32_t from)
{
	int64_t *sums = pick->into->values + to * pick->into->types_count;
	const int64_t *values = rpcprof_pprof_values(pick->from, from);

	for (size_t i = 0; i < pick->into->types_count; i++)
		if (__builtin_add_overflow(sums[i], values[i], &sums[i]))
			pick->error = -EOVERFLOW;
}

static void copy_sample(struct pick *pick, uint32_t index)
{
	const struct pprof_sample *sample = &pick->from->samples[index];
	struct rpcprof_pprof *into = pick->into;
	uint32_t label_count = lay_labels(pick, sample, true);

	if (pick->error == 0)
		pick->error = PPROF_RESERVE(into, frames, sample->depth);
	for (uint32_t i = 0; pick->error == 0 && i < sample->depth; i++)
		into->frames[into->frames_count + i] =
			location(pick, pick->from->frames[sample->frames + i]);
	add_sample(pick, sample->depth, label_count);
	if (pick->error == 0)
		add_values(pick, into->samples_count - 1, index);
}

static uint32_t other_location(struct pick *pick)
{
	struct pprof_function other = {0};
	struct pprof_location copy = {.line_count = 1, .mapping = pick->into->mappings_count > 0};
	struct pprof_line line = {0};

	other.name = keep(pick, rpcprof_pprof_intern(pick->into, "other", 5));
	line.function = keep(pick, rpcprof_pprof_intern_function(pick->into, &other));
	return keep(pick, rpcprof_pprof_intern_location(pick->into, &copy, &line));
}

/* Whether a sample has the labels laid at the end. */
static bool has_labels(const struct rpcprof_pprof *into, size_t index, uint32_t label_count)
{
	const struct pprof_sample *sample = &into->samples[index];

	if (sample->label_count != label_count)
		return false;
	for (uint32_t i = 0; i < label_count; i++)
		if (into->labels[sample->labels + i].key !=
		            into->labels[into->labels_count + i].key ||
		    into->labels[sample->labels + i].str !=
		            into->labels[into->labels_count + i].str)
			return false;
	return true;
}

/* The sample "other" for the labels laid at the end, made on first use. */
static size_t find_other(struct pick *pick, uint32_t label_count)
{
	struct rpcprof_pprof *into = pick->into;
	size_t i = pick->others;

	while (i < into->samples_count && !has_labels(into, i, label_count))
		i++;
	if (i < into->samples_count)
		return i;
	/* The last one is for all that find no room for their own. */
	if (i - pick->others >= RPCPROF_PICK_OTHERS_MAX - 1 && label_count > 0)
		return find_other(pick, 0);
	pick->error = PPROF_RESERVE(into, frames, 1);
	if (pick->error == 0)
		into->frames[into->frames_count] = pick->other;
	add_sample(pick, 1, label_count);
	return i;
}

static void fold_sample(struct pick *pick, uint32_t index, bool labels)
{
	uint32_t label_count =
		labels ? lay_labels(pick, &pick->from->samples[index], false) : 0;
	size_t other;

	if (pick->other == 0)
		pick->other = other_location(pick);
	if (pick->error != 0)
		return;
	other = find_other(pick, label_count);
	if (pick->error == 0)
		add_values(pick, other, index);
}

static int pick_all(struct pick *pick, const struct rpcprof_picked *picked)
{
	const uint32_t *samples = picked->samples;

	copy_info(pick);
	if (pick->into->time_ns != 0)
		pick->into->time_ns += picked->later_ns;
	for (size_t i = 0; pick->error == 0 && i < picked->keep; i++)
		copy_sample(pick, samples[i]);
	pick->others = pick->into->samples_count;
	for (size_t i = 0; pick->error == 0 && i < picked->fold; i++)
		fold_sample(pick, samples[picked->keep + i], picked->labels);
	return pick->error;
}

static uint32_t most_lines(const struct rpcprof_pprof *model)
{
	uint32_t most = 1;

	for (size_t i = 0; i < model->locations_count; i++)
		if (model->locations[i].line_count > most)
			most = model->locations[i].line_count;
	return most;
}

int rpcprof_pick(const struct rpcprof_pprof *from, const struct rpcprof_picked *picked,
                 uint8_t **bytes, size_t *length)
{
	struct pick pick = {.from = from};
	int error = -ENOMEM;

	pick.into = rpcprof_pprof_model_open(0);
	pick.locations = calloc(from->locations_count + 1, sizeof(*pick.locations));
	pick.lines = calloc(most_lines(from), sizeof(*pick.lines));
	if (pick.into != NULL && pick.locations != NULL && pick.lines != NULL)
		error = pick_all(&pick, picked);
	if (error == 0)
		error = rpcprof_pprof_encode(pick.into, bytes, length);
	rpcprof_pprof_close(pick.into);
	free(pick.locations);
	free(pick.lines);
	return error;
}
