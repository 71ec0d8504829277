/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A profile's bytes: protobuf-c messages made some hundred samples at a time, packed, and
 * compressed. Profile messages laid end to end are one Profile: that is how
 * protobuf merges repeated fields, and no reader can tell.
 */
#include "export/gzip_internal.h"
#include "export/pprof_model_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "profile.pb-c.h"

typedef Perftools__Profiles__Profile Profile;
typedef Perftools__Profiles__ValueType ValueType;
typedef Perftools__Profiles__Sample Sample;
typedef Perftools__Profiles__Label Label;
typedef Perftools__Profiles__Mapping Mapping;
typedef Perftools__Profiles__Location Location;
typedef Perftools__Profiles__Line Line;
typedef Perftools__Profiles__Function Function;

#define SAMPLES_PER_CHUNK 256

struct encoder {
	const struct rpcprof_pprof *model;
	struct rpcprof_gzip *gzip;
};

static int put(struct encoder *encoder, const Profile *profile)
{
	size_t length = protobuf_c_message_get_packed_size(&profile->base);
	uint8_t *room;

	if (length > INT32_MAX) /* protobuf's own limit, and within zlib's */
		return -EFBIG;
	room = rpcprof_gzip_room(encoder->gzip, length);
	if (room == NULL)
		return -ENOMEM;
	protobuf_c_message_pack(&profile->base, room);
	return rpcprof_gzip_put(encoder->gzip, length);
}

/* An array of pointers to the elements of an array, as protobuf-c wants repeated messages. */
static void *pointers_to(void *array, size_t count, size_t bytes)
{
	char **pointers = malloc((count + 1) * sizeof(*pointers));

	for (size_t i = 0; pointers != NULL && i < count; i++)
		pointers[i] = (char *)array + i * bytes;
	return pointers;
}

static int put_types(struct encoder *encoder)
{
	const struct rpcprof_pprof *model = encoder->model;
	Profile profile = PERFTOOLS__PROFILES__PROFILE__INIT;
	ValueType *types = calloc(model->types_count + 1, sizeof(*types));
	int status = -ENOMEM;

	profile.sample_type = pointers_to(types, model->types_count, sizeof(*types));
	if (types != NULL && profile.sample_type != NULL) {
		for (size_t i = 0; i < model->types_count; i++) {
			perftools__profiles__value_type__init(&types[i]);
			types[i].type = model->types[i].type;
			types[i].unit = model->types[i].unit;
		}
		profile.n_sample_type = model->types_count;
		status = put(encoder, &profile);
	}
	free(profile.sample_type);
	free(types);
	return status;
}

/* Message structs for a chunk of samples, reused for each. */
struct chunk {
	Sample samples[SAMPLES_PER_CHUNK];
	Sample *sample_pointers[SAMPLES_PER_CHUNK];
	Label *labels;
	Label **label_pointers;
	size_t label_room;
};

static int chunk_reserve_labels(struct chunk *chunk, size_t count)
{
	Label *labels;

	if (count <= chunk->label_room)
		return 0;
	free(chunk->labels);
	free(chunk->label_pointers);
	labels = chunk->labels = malloc(count * sizeof(*labels));
	chunk->label_pointers = pointers_to(labels, count, sizeof(*labels));
	chunk->label_room = 0;
	if (labels == NULL || chunk->label_pointers == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		perftools__profiles__label__init(&labels[i]);
	chunk->label_room = count;
	return 0;
}

static void fill_sample(const struct encoder *encoder, struct chunk *chunk, size_t at, size_t index,
                        size_t first_label)
{
	const struct rpcprof_pprof *model = encoder->model;
	const struct pprof_sample *from = &model->samples[index];
	Sample *sample = &chunk->samples[at];

	/* protobuf-c's fields are not const, but packing only reads. */
	sample->location_id = model->frames + from->frames;
	sample->n_location_id = from->depth;
	sample->value = model->values + index * model->types_count;
	sample->n_value = model->types_count;
	sample->label = chunk->label_pointers + first_label;
	sample->n_label = from->label_count;
	for (uint32_t i = 0; i < from->label_count; i++) {
		const struct pprof_label *label = &model->labels[from->labels + i];
		Label *to = &chunk->labels[first_label + i];

		to->key = label->key;
		to->str = label->str;
		to->num = label->num;
		to->num_unit = label->unit;
	}
}

static int put_chunk(struct encoder *encoder, struct chunk *chunk, size_t first, size_t count)
{
	Profile profile = PERFTOOLS__PROFILES__PROFILE__INIT;
	size_t labels = 0;

	for (size_t i = 0; i < count; i++)
		labels += encoder->model->samples[first + i].label_count;
	if (chunk_reserve_labels(chunk, labels + 1) != 0)
		return -ENOMEM;
	labels = 0;
	for (size_t i = 0; i < count; i++) {
		fill_sample(encoder, chunk, i, first + i, labels);
		labels += encoder->model->samples[first + i].label_count;
	}
	profile.sample = chunk->sample_pointers;
	profile.n_sample = count;
	return put(encoder, &profile);
}

static int put_samples(struct encoder *encoder)
{
	struct chunk *chunk = calloc(1, sizeof(*chunk));
	size_t left = encoder->model->samples_count;
	int status = chunk == NULL ? -ENOMEM : 0;

	for (size_t i = 0; status == 0 && i < SAMPLES_PER_CHUNK; i++) {
		perftools__profiles__sample__init(&chunk->samples[i]);
		chunk->sample_pointers[i] = &chunk->samples[i];
	}
	while (status == 0 && left != 0) {
		size_t count = left < SAMPLES_PER_CHUNK ? left : SAMPLES_PER_CHUNK;

		status = put_chunk(encoder, chunk, encoder->model->samples_count - left, count);
		left -= count;
	}
	if (chunk != NULL) {
		free(chunk->labels);
		free(chunk->label_pointers);
	}
	free(chunk);
	return status;
}

static int put_mappings(struct encoder *encoder)
{
	const struct rpcprof_pprof *model = encoder->model;
	Profile profile = PERFTOOLS__PROFILES__PROFILE__INIT;
	Mapping *mappings = calloc(model->mappings_count + 1, sizeof(*mappings));
	int status = -ENOMEM;

	profile.mapping = pointers_to(mappings, model->mappings_count, sizeof(*mappings));
	for (size_t i = 0; mappings != NULL && i < model->mappings_count; i++) {
		const struct pprof_mapping *from = &model->mappings[i];
		Mapping *to = &mappings[i];

		perftools__profiles__mapping__init(to);
		to->id = i + 1;
		to->memory_start = from->start;
		to->memory_limit = from->limit;
		to->file_offset = from->file_offset;
		to->filename = from->file;
		to->build_id = from->build_id;
		to->has_functions = from->has_functions;
		to->has_filenames = from->has_filenames;
		to->has_line_numbers = from->has_line_numbers;
		to->has_inline_frames = from->has_inline_frames;
	}
	profile.n_mapping = model->mappings_count;
	if (mappings != NULL && profile.mapping != NULL)
		status = put(encoder, &profile);
	free(profile.mapping);
	free(mappings);
	return status;
}

static void fill_location(const struct rpcprof_pprof *model, size_t index, Location *to,
                          Line *lines, Line **pointers)
{
	const struct pprof_location *from = &model->locations[index];

	perftools__profiles__location__init(to);
	to->id = index + 1;
	to->mapping_id = from->mapping;
	to->address = from->address;
	to->is_folded = from->is_folded;
	to->n_line = from->line_count;
	to->line = pointers + from->lines;
	for (uint64_t i = from->lines; i < from->lines + from->line_count; i++) {
		perftools__profiles__line__init(&lines[i]);
		lines[i].function_id = model->lines[i].function;
		lines[i].line = model->lines[i].line;
		lines[i].column = model->lines[i].column;
	}
}

static int put_locations(struct encoder *encoder)
{
	const struct rpcprof_pprof *model = encoder->model;
	Profile profile = PERFTOOLS__PROFILES__PROFILE__INIT;
	Location *locations = calloc(model->locations_count + 1, sizeof(*locations));
	Line *lines = calloc(model->lines_count + 1, sizeof(*lines));
	Line **pointers = pointers_to(lines, model->lines_count, sizeof(*lines));
	int status = -ENOMEM;

	profile.location = pointers_to(locations, model->locations_count, sizeof(*locations));
	if (locations != NULL && lines != NULL && pointers != NULL && profile.location != NULL) {
		for (size_t i = 0; i < model->locations_count; i++)
			fill_location(model, i, &locations[i], lines, pointers);
		profile.n_location = model->locations_count;
		status = put(encoder, &profile);
	}
	free(profile.location);
	free(pointers);
	free(lines);
	free(locations);
	return status;
}

static int put_functions(struct encoder *encoder)
{
	const struct rpcprof_pprof *model = encoder->model;
	Profile profile = PERFTOOLS__PROFILES__PROFILE__INIT;
	Function *functions = calloc(model->functions_count + 1, sizeof(*functions));
	int status = -ENOMEM;

	profile.function = pointers_to(functions, model->functions_count, sizeof(*functions));
	for (size_t i = 0; functions != NULL && i < model->functions_count; i++) {
		const struct pprof_function *from = &model->functions[i];

		perftools__profiles__function__init(&functions[i]);
		functions[i].id = i + 1;
		functions[i].name = from->name;
		functions[i].system_name = from->system_name;
		functions[i].filename = from->file;
		functions[i].start_line = from->start_line;
	}
	profile.n_function = model->functions_count;
	if (functions != NULL && profile.function != NULL)
		status = put(encoder, &profile);
	free(profile.function);
	free(functions);
	return status;
}

static int put_rest(struct encoder *encoder)
{
	const struct rpcprof_pprof *model = encoder->model;
	Profile profile = PERFTOOLS__PROFILES__PROFILE__INIT;
	ValueType period_type = PERFTOOLS__PROFILES__VALUE_TYPE__INIT;
	int64_t *comments = malloc((model->comments_count + 1) * sizeof(*comments));
	char **texts = malloc((model->texts_count + 1) * sizeof(*texts));
	int status = -ENOMEM;

	period_type.type = model->period_type.type;
	period_type.unit = model->period_type.unit;
	profile.period_type = &period_type;
	profile.period = model->period;
	profile.time_nanos = model->time_ns;
	profile.duration_nanos = model->duration_ns;
	profile.default_sample_type = model->default_type;
	profile.drop_frames = model->drop_frames;
	profile.keep_frames = model->keep_frames;
	profile.doc_url = model->doc_url;
	for (size_t i = 0; texts != NULL && i < model->texts_count; i++)
		texts[i] = model->text_bytes + model->texts[i];
	for (size_t i = 0; comments != NULL && i < model->comments_count; i++)
		comments[i] = model->comments[i];
	profile.string_table = texts;
	profile.n_string_table = model->texts_count;
	profile.comment = comments;
	profile.n_comment = model->comments_count;
	if (texts != NULL && comments != NULL)
		status = put(encoder, &profile);
	free(texts);
	free(comments);
	return status;
}

static int put_all(struct encoder *encoder)
{
	static int (*const parts[])(struct encoder *) = {put_types,     put_samples,   put_mappings,
	                                                 put_locations, put_functions, put_rest};
	int status = 0;

	for (size_t i = 0; status == 0 && i < sizeof(parts) / sizeof(parts[0]); i++)
		status = parts[i](encoder);
	return status;
}

int rpcprof_pprof_encode(struct rpcprof_pprof *pprof, uint8_t **bytes, size_t *length)
{
	struct encoder encoder = {.model = pprof, .gzip = rpcprof_gzip_open()};
	int status;

	if (encoder.gzip == NULL)
		return -ENOMEM;
	status = put_all(&encoder);
	if (status == 0)
		status = rpcprof_gzip_finish(encoder.gzip, bytes, length);
	rpcprof_gzip_close(encoder.gzip);
	return status;
}
