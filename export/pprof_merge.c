/* SPDX-License-Identifier: Apache-2.0 */
#include "export/pprof_read_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct merge {
	struct rpcprof_pprof *into;
	const struct rpcprof_pprof *from;
	uint32_t *texts;    /* string of `from` to string of `into`; the others as well */
	uint32_t *mappings; /* [id], so that id 0 stays 0 */
	uint32_t *functions;
	uint32_t *locations;
	struct pprof_label base; /* added to each sample if its key is not 0 */
	struct pprof_error *error;
};

static int fail(struct merge *merge, int status, const char *text)
{
	merge->error->offset = 0;
	snprintf(merge->error->text, sizeof(merge->error->text), "%s", text);
	return status;
}

/* Stores an id in a table, or gives back the errno it is. */
static int keep(uint32_t *slot, int64_t id)
{
	if (id < 0)
		return (int)id;
	*slot = (uint32_t)id;
	return 0;
}

static int map_texts(struct merge *merge)
{
	const struct rpcprof_pprof *from = merge->from;
	int status = 0;

	for (uint32_t i = 0; status == 0 && i < from->texts_count; i++) {
		const char *text = rpcprof_pprof_text(from, i);

		status = keep(&merge->texts[i],
		              rpcprof_pprof_intern(merge->into, text, strlen(text)));
	}
	return status;
}

static int map_mappings(struct merge *merge)
{
	int status = 0;

	for (size_t i = 0; status == 0 && i < merge->from->mappings_count; i++) {
		struct pprof_mapping mapping = merge->from->mappings[i];

		mapping.file = merge->texts[mapping.file];
		mapping.build_id = merge->texts[mapping.build_id];
		status = keep(&merge->mappings[i + 1],
		              rpcprof_pprof_intern_mapping(merge->into, &mapping));
	}
	return status;
}

static int map_functions(struct merge *merge)
{
	int status = 0;

	for (size_t i = 0; status == 0 && i < merge->from->functions_count; i++) {
		struct pprof_function function = merge->from->functions[i];

		function.name = merge->texts[function.name];
		function.system_name = merge->texts[function.system_name];
		function.file = merge->texts[function.file];
		status = keep(&merge->functions[i + 1],
		              rpcprof_pprof_intern_function(merge->into, &function));
	}
	return status;
}

static int map_location(struct merge *merge, size_t index, struct pprof_line *lines)
{
	const struct rpcprof_pprof *from = merge->from;
	struct pprof_location location = from->locations[index];

	for (uint32_t i = 0; i < location.line_count; i++) {
		lines[i] = from->lines[location.lines + i];
		lines[i].function = merge->functions[lines[i].function];
	}
	if (location.mapping != 0) { /* as if loaded where the first one was */
		uint32_t mapping = merge->mappings[location.mapping];

		location.address += merge->into->mappings[mapping - 1].start -
		                    from->mappings[location.mapping - 1].start;
		location.mapping = mapping;
	}
	return keep(&merge->locations[index + 1],
	            rpcprof_pprof_intern_location(merge->into, &location, lines));
}

static int map_locations(struct merge *merge)
{
	struct pprof_line *lines;
	uint32_t most = 1;
	int status = 0;

	for (size_t i = 0; i < merge->from->locations_count; i++)
		if (merge->from->locations[i].line_count > most)
			most = merge->from->locations[i].line_count;
	lines = calloc(most, sizeof(*lines));
	if (lines == NULL)
		return -ENOMEM;
	for (size_t i = 0; status == 0 && i < merge->from->locations_count; i++)
		status = map_location(merge, i, lines);
	free(lines);
	return status;
}

static struct pprof_value_type map_type(const struct merge *merge, struct pprof_value_type type)
{
	type.type = merge->texts[type.type];
	type.unit = merge->texts[type.unit];
	return type;
}

static bool same_type(struct pprof_value_type a, struct pprof_value_type b)
{
	return a.type == b.type && a.unit == b.unit;
}

static int merge_types(struct merge *merge)
{
	const struct rpcprof_pprof *from = merge->from;
	struct rpcprof_pprof *into = merge->into;
	int status;

	if (into->types_count == 0) {
		status = PPROF_RESERVE(into, types, from->types_count);
		for (size_t i = 0; status == 0 && i < from->types_count; i++)
			into->types[into->types_count++] = map_type(merge, from->types[i]);
		into->period_type = map_type(merge, from->period_type);
		into->drop_frames = merge->texts[from->drop_frames];
		into->keep_frames = merge->texts[from->keep_frames];
		return status;
	}
	if (!same_type(into->period_type, map_type(merge, from->period_type)))
		return fail(merge, -EINVAL, "its period type is not that of the first profile");
	if (into->types_count != from->types_count)
		return fail(merge, -EINVAL, "its sample types are not those of the first profile");
	for (size_t i = 0; i < from->types_count; i++)
		if (!same_type(into->types[i], map_type(merge, from->types[i])))
			return fail(merge, -EINVAL,
			            "its sample types are not those of the first profile");
	return 0;
}

static int merge_comments(struct merge *merge)
{
	struct rpcprof_pprof *into = merge->into;
	int status = PPROF_RESERVE(into, comments, merge->from->comments_count);
	/* A bitmap over strings, so that many comments cost no more than they are many. */
	unsigned char *seen = calloc(into->texts_count, 1);

	if (status == 0 && seen == NULL)
		status = -ENOMEM;
	for (size_t i = 0; status == 0 && i < into->comments_count; i++)
		seen[into->comments[i]] = 1;
	for (size_t i = 0; status == 0 && i < merge->from->comments_count; i++) {
		uint32_t comment = merge->texts[merge->from->comments[i]];

		if (!seen[comment])
			into->comments[into->comments_count++] = comment;
		seen[comment] = 1;
	}
	free(seen);
	return status;
}

static int merge_info(struct merge *merge)
{
	const struct rpcprof_pprof *from = merge->from;
	struct rpcprof_pprof *into = merge->into;
	int status = merge_types(merge);

	if (status == 0)
		status = merge_comments(merge);
	if (status != 0)
		return status;
	if (from->time_ns != 0 && (into->time_ns == 0 || from->time_ns < into->time_ns))
		into->time_ns = from->time_ns;
	if (__builtin_add_overflow(into->duration_ns, from->duration_ns, &into->duration_ns))
		return fail(merge, -EOVERFLOW, "the durations add up to more than 63 bits");
	if (from->period > into->period)
		into->period = from->period;
	if (into->default_type == 0)
		into->default_type = merge->texts[from->default_type];
	if (into->doc_url == 0)
		into->doc_url = merge->texts[from->doc_url];
	return 0;
}

static int compare_labels(const void *left, const void *right)
{
	const struct pprof_label *a = left, *b = right;

	if (a->key != b->key)
		return a->key < b->key ? -1 : 1;
	if (a->str != b->str)
		return a->str < b->str ? -1 : 1;
	if (a->unit != b->unit)
		return a->unit < b->unit ? -1 : 1;
	return (a->num > b->num) - (a->num < b->num);
}

static uint32_t sample_hash(const struct rpcprof_pprof *model, const struct pprof_sample *sample)
{
	uint64_t hash = rpcprof_pprof_hash(model->frames + sample->frames,
	                                   sample->depth * sizeof(*model->frames), 0);

	for (uint32_t i = 0; i < sample->label_count; i++) {
		const struct pprof_label *label = &model->labels[sample->labels + i];
		uint64_t words[4] = {label->key, label->str, label->unit, (uint64_t)label->num};

		hash = rpcprof_pprof_hash(words, sizeof(words), hash);
	}
	return (uint32_t)hash;
}

static bool sample_equal(const void *array, size_t index, const void *key)
{
	const struct rpcprof_pprof *model = array;
	const struct pprof_sample *a = &model->samples[index], *b = key;

	if (a->depth != b->depth || a->label_count != b->label_count)
		return false;
	for (uint32_t i = 0; i < a->depth; i++)
		if (model->frames[a->frames + i] != model->frames[b->frames + i])
			return false;
	for (uint32_t i = 0; i < a->label_count; i++)
		if (compare_labels(&model->labels[a->labels + i], &model->labels[b->labels + i]) != 0)
			return false;
	return true;
}

/* Lays frames and labels of a sample at the end of into's arrays, beyond their counts. */
static int place_sample(struct merge *merge, const struct pprof_sample *from,
                        struct pprof_sample *placed)
{
	struct rpcprof_pprof *into = merge->into;
	uint32_t label_count = from->label_count + (merge->base.key != 0);
	int status = PPROF_RESERVE(into, frames, from->depth);

	if (status == 0)
		status = PPROF_RESERVE(into, labels, label_count);
	if (status != 0)
		return status;
	*placed = (struct pprof_sample){into->frames_count, into->labels_count, from->depth,
	                                label_count};
	for (uint32_t i = 0; i < from->depth; i++)
		into->frames[into->frames_count + i] =
			merge->locations[merge->from->frames[from->frames + i]];
	for (uint32_t i = 0; i < from->label_count; i++) {
		struct pprof_label label = merge->from->labels[from->labels + i];

		label.key = merge->texts[label.key];
		label.str = merge->texts[label.str];
		label.unit = merge->texts[label.unit];
		into->labels[into->labels_count + i] = label;
	}
	if (merge->base.key != 0)
		into->labels[into->labels_count + from->label_count] = merge->base;
	if (label_count > 1)
		qsort(into->labels + into->labels_count, label_count, sizeof(*into->labels),
		      compare_labels);
	return 0;
}

/* Makes what place_sample() laid a sample of value 0. */
static int64_t commit_sample(struct merge *merge, const struct pprof_sample *placed, uint32_t hash)
{
	struct rpcprof_pprof *into = merge->into;
	int status = PPROF_RESERVE(into, samples, 1);

	if (status == 0)
		status = PPROF_RESERVE(into, values, into->types_count);
	if (status == 0)
		status = rpcprof_pprof_index_reserve(into, &into->sample_index);
	if (status != 0)
		return status;
	into->samples[into->samples_count++] = *placed;
	into->frames_count += placed->depth;
	into->labels_count += placed->label_count;
	for (size_t i = 0; i < into->types_count; i++)
		into->values[into->values_count++] = 0;
	rpcprof_pprof_index_put(&into->sample_index, hash, (uint32_t)into->samples_count);
	return (int64_t)into->samples_count;
}

static int merge_sample(struct merge *merge, size_t index)
{
	struct rpcprof_pprof *into = merge->into;
	const int64_t *values = rpcprof_pprof_values(merge->from, index);
	struct pprof_sample placed;
	uint32_t hash;
	int64_t id;
	int status = place_sample(merge, &merge->from->samples[index], &placed);

	if (status != 0)
		return status;
	hash = sample_hash(into, &placed);
	id = rpcprof_pprof_index_find(&into->sample_index, into, hash, sample_equal, &placed);
	if (id == 0)
		id = commit_sample(merge, &placed, hash);
	if (id < 0)
		return (int)id;
	for (size_t i = 0; i < into->types_count; i++) {
		int64_t *sum = &into->values[(size_t)(id - 1) * into->types_count + i];

		if (merge->base.key != 0 ? __builtin_sub_overflow(*sum, values[i], sum)
		                         : __builtin_add_overflow(*sum, values[i], sum))
			return fail(merge, -EOVERFLOW, "values add up to more than 63 bits");
	}
	return 0;
}

static int merge_all(struct merge *merge, bool base)
{
	int status = map_texts(merge);

	if (status == 0 && base)
		status = keep(&merge->base.key,
		              rpcprof_pprof_intern(merge->into, "pprof::base", 11));
	if (status == 0 && base)
		status = keep(&merge->base.str, rpcprof_pprof_intern(merge->into, "true", 4));
	if (status == 0)
		status = merge_info(merge);
	if (status == 0)
		status = map_mappings(merge);
	if (status == 0)
		status = map_functions(merge);
	if (status == 0)
		status = map_locations(merge);
	for (size_t i = 0; status == 0 && i < merge->from->samples_count; i++)
		status = merge_sample(merge, i);
	return status;
}

int rpcprof_pprof_merge(struct rpcprof_pprof *into, const struct rpcprof_pprof *from, bool base,
                        struct pprof_error *error)
{
	struct merge merge = {.into = into, .from = from, .error = error};
	int status = -ENOMEM;

	merge.texts = calloc(from->texts_count, sizeof(*merge.texts));
	merge.mappings = calloc(from->mappings_count + 1, sizeof(*merge.mappings));
	merge.functions = calloc(from->functions_count + 1, sizeof(*merge.functions));
	merge.locations = calloc(from->locations_count + 1, sizeof(*merge.locations));
	if (merge.texts != NULL && merge.mappings != NULL && merge.functions != NULL &&
	    merge.locations != NULL)
		status = merge_all(&merge, base);
	free(merge.texts);
	free(merge.mappings);
	free(merge.functions);
	free(merge.locations);
	if (status == -EFBIG)
		fail(&merge, status, "the profiles together take too much memory");
	return status;
}

void rpcprof_pprof_drop_zero_samples(struct rpcprof_pprof *model)
{
	size_t kept = 0, types = model->types_count;

	for (size_t i = 0; i < model->samples_count; i++) {
		bool zero = true;

		for (size_t t = 0; t < types; t++)
			zero = zero && model->values[i * types + t] == 0;
		if (zero)
			continue;
		model->samples[kept] = model->samples[i];
		memmove(model->values + kept * types, model->values + i * types,
		        types * sizeof(*model->values));
		kept++;
	}
	model->samples_count = kept;
	model->values_count = kept * types;
	free(model->sample_index.buckets);
	model->sample_index = (struct pprof_index){NULL, 0, 0};
}
