/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decoding goes over the top-level fields four times: strings and types; mappings and functions;
 * locations; samples and the rest. So each reference is checked where it stands, whatever the
 * order of the fields, and no message but the one at hand exists in decoded form. Messages are
 * decoded by protobuf-c; only the tags and lengths that separate them are read here.
 */
#include "export/pprof_read_internal.h"
#include "export/pprof_wire_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "profile.pb-c.h"

/* What one decoded message may take: a sample that deep is no profile. */
#define MESSAGE_MEMORY_MAX ((size_t)64 << 20)

enum field_number {
	SAMPLE_TYPE = 1,
	SAMPLE = 2,
	MAPPING = 3,
	LOCATION = 4,
	FUNCTION = 5,
	STRING_TABLE = PPROF_FIELD_STRING_TABLE,
	DOC_URL = 15
};

/* Ids of the file, any 64-bit numbers, to ids of the model. */
struct id_map {
	uint64_t *raw;
	uint32_t *ids;
	size_t count, raw_room, ids_room;
	struct pprof_index index;
	const char *what;
};

struct reader {
	struct pprof_wire wire;
	struct rpcprof_pprof *model;
	uint32_t *texts; /* string of the file to string of the model */
	size_t texts_count, texts_room;
	struct id_map mappings, functions, locations;
	ProtobufCAllocator allocator;
	size_t message_memory;
};

static void *bounded_alloc(void *data, size_t bytes)
{
	struct reader *reader = data;

	if (bytes > MESSAGE_MEMORY_MAX - reader->message_memory)
		return NULL;
	reader->message_memory += bytes;
	return malloc(bytes);
}

static void bounded_free(void *data, void *memory)
{
	(void)data;
	free(memory);
}

static void *unpack(struct reader *reader, const ProtobufCMessageDescriptor *type, size_t begin,
                    size_t end)
{
	reader->message_memory = 0;
	return protobuf_c_message_unpack(type, &reader->allocator, end - begin,
	                                 reader->wire.bytes + begin);
}

static int bad_message(struct reader *reader, const char *what)
{
	return rpcprof_pprof_fail(&reader->wire, "malformed %s", what);
}

/* A string of the file to one of the model. */
static int get_text(struct reader *reader, int64_t index, uint32_t *id)
{
	if (index < 0 || (uint64_t)index >= reader->texts_count)
		return rpcprof_pprof_fail(&reader->wire, "string %" PRId64 " of a table of %zu",
		                          index, reader->texts_count);
	*id = reader->texts[index];
	return 0;
}

static bool raw_equal(const void *array, size_t index, const void *key)
{
	return ((const uint64_t *)array)[index] == *(const uint64_t *)key;
}

static uint32_t find_id(const struct id_map *map, uint64_t raw)
{
	uint32_t at = raw - 1 < map->count && map->raw[raw - 1] == raw ? (uint32_t)raw : 0;

	if (at == 0) /* not the usual 1..n in order */
		at = rpcprof_pprof_index_find(&map->index, map->raw,
		                              (uint32_t)rpcprof_pprof_hash(&raw, sizeof(raw), 0),
		                              raw_equal, &raw);
	return at == 0 ? 0 : map->ids[at - 1];
}

static int get_id(struct reader *reader, const struct id_map *map, uint64_t raw, uint32_t *id)
{
	*id = find_id(map, raw);
	if (*id == 0)
		return rpcprof_pprof_fail(&reader->wire, "%s %" PRIu64 " does not exist", map->what,
		                          raw);
	return 0;
}

/* Enters a new id of the file for `id` of the model, which may be a negative errno. */
static int add_id(struct reader *reader, struct id_map *map, uint64_t raw, int64_t id)
{
	struct rpcprof_pprof *model = reader->model;
	int status;

	if (id < 0)
		return (int)id;
	if (raw == 0 || find_id(map, raw) != 0)
		return rpcprof_pprof_fail(&reader->wire, "%s id %" PRIu64 " %s", map->what, raw,
		                          raw == 0 ? "is not allowed" : "appears twice");
	status = rpcprof_pprof_reserve(model, &map->raw, map->count, &map->raw_room, 1,
	                               sizeof(*map->raw));
	if (status == 0)
		status = rpcprof_pprof_reserve(model, &map->ids, map->count, &map->ids_room, 1,
		                               sizeof(*map->ids));
	if (status == 0)
		status = rpcprof_pprof_index_reserve(model, &map->index);
	if (status != 0)
		return status;
	map->raw[map->count] = raw;
	map->ids[map->count++] = (uint32_t)id;
	rpcprof_pprof_index_put(&map->index, (uint32_t)rpcprof_pprof_hash(&raw, sizeof(raw), 0),
	                        (uint32_t)map->count);
	return 0;
}

static int read_text(struct reader *reader, const struct pprof_field *field)
{
	size_t length = field->end - field->payload;
	int64_t id = rpcprof_pprof_intern(
		reader->model, (const char *)reader->wire.bytes + field->payload, length);
	int status;

	if (id < 0)
		return (int)id;
	if (reader->texts_count == 0 && length != 0)
		return rpcprof_pprof_fail(&reader->wire, "string 0 is not \"\"");
	status = rpcprof_pprof_reserve(reader->model, &reader->texts, reader->texts_count,
	                               &reader->texts_room, 1, sizeof(*reader->texts));
	if (status == 0)
		reader->texts[reader->texts_count++] = (uint32_t)id;
	return status;
}

static int read_mapping(struct reader *reader, const struct pprof_field *field)
{
	Perftools__Profiles__Mapping *from = unpack(
		reader, &perftools__profiles__mapping__descriptor, field->payload, field->end);
	struct pprof_mapping to;
	int status;

	if (from == NULL)
		return bad_message(reader, "mapping");
	to = (struct pprof_mapping){from->memory_start,
	                            from->memory_limit,
	                            from->file_offset,
	                            0,
	                            0,
	                            from->has_functions,
	                            from->has_filenames,
	                            from->has_line_numbers,
	                            from->has_inline_frames};
	status = get_text(reader, from->filename, &to.file);
	if (status == 0)
		status = get_text(reader, from->build_id, &to.build_id);
	if (status == 0)
		status = PPROF_RESERVE(reader->model, mappings, 1);
	if (status == 0) { /* not interned: equal ones may have been loaded at two addresses */
		reader->model->mappings[reader->model->mappings_count++] = to;
		status = add_id(reader, &reader->mappings, from->id,
		                (int64_t)reader->model->mappings_count);
	}
	protobuf_c_message_free_unpacked(&from->base, &reader->allocator);
	return status;
}

static int read_function(struct reader *reader, const struct pprof_field *field)
{
	Perftools__Profiles__Function *from = unpack(
		reader, &perftools__profiles__function__descriptor, field->payload, field->end);
	struct pprof_function to = {0};
	int status;

	if (from == NULL)
		return bad_message(reader, "function");
	to.start_line = from->start_line;
	status = get_text(reader, from->name, &to.name);
	if (status == 0)
		status = get_text(reader, from->system_name, &to.system_name);
	if (status == 0)
		status = get_text(reader, from->filename, &to.file);
	if (status == 0)
		status = add_id(reader, &reader->functions, from->id,
		                rpcprof_pprof_intern_function(reader->model, &to));
	protobuf_c_message_free_unpacked(&from->base, &reader->allocator);
	return status;
}

static int convert_location(struct reader *reader, const Perftools__Profiles__Location *from,
                            struct pprof_line *lines)
{
	struct pprof_location to = {.address = from->address,
	                            .is_folded = from->is_folded,
	                            .line_count = (uint32_t)from->n_line};
	int status = 0;

	if (from->mapping_id != 0)
		status = get_id(reader, &reader->mappings, from->mapping_id, &to.mapping);
	for (size_t i = 0; status == 0 && i < from->n_line; i++) {
		lines[i].line = from->line[i]->line;
		lines[i].column = from->line[i]->column;
		status = get_id(reader, &reader->functions, from->line[i]->function_id,
		                &lines[i].function);
	}
	if (status != 0)
		return status;
	return add_id(reader, &reader->locations, from->id,
	              rpcprof_pprof_intern_location(reader->model, &to, lines));
}

static int read_location(struct reader *reader, const struct pprof_field *field)
{
	Perftools__Profiles__Location *from = unpack(
		reader, &perftools__profiles__location__descriptor, field->payload, field->end);
	struct pprof_line *lines;
	int status = -ENOMEM;

	if (from == NULL)
		return bad_message(reader, "location");
	lines = calloc(from->n_line + 1, sizeof(*lines));
	if (lines != NULL)
		status = convert_location(reader, from, lines);
	free(lines);
	protobuf_c_message_free_unpacked(&from->base, &reader->allocator);
	return status;
}

static int read_value_type(struct reader *reader, const Perftools__Profiles__ValueType *from,
                           struct pprof_value_type *to)
{
	int status = get_text(reader, from->type, &to->type);

	return status != 0 ? status : get_text(reader, from->unit, &to->unit);
}

static int read_sample_type(struct reader *reader, const struct pprof_field *field)
{
	Perftools__Profiles__ValueType *from = unpack(
		reader, &perftools__profiles__value_type__descriptor, field->payload, field->end);
	struct pprof_value_type to;
	int status;

	if (from == NULL)
		return bad_message(reader, "sample type");
	status = read_value_type(reader, from, &to);
	if (status == 0)
		status = PPROF_RESERVE(reader->model, types, 1);
	if (status == 0)
		reader->model->types[reader->model->types_count++] = to;
	protobuf_c_message_free_unpacked(&from->base, &reader->allocator);
	return status;
}

static int add_label(struct reader *reader, const Perftools__Profiles__Label *from)
{
	struct pprof_label to = {.num = from->num};
	int status = get_text(reader, from->key, &to.key);

	if (status == 0)
		status = get_text(reader, from->str, &to.str);
	if (status == 0)
		status = get_text(reader, from->num_unit, &to.unit);
	if (status == 0)
		reader->model->labels[reader->model->labels_count++] = to;
	return status;
}

static int convert_sample(struct reader *reader, const Perftools__Profiles__Sample *from)
{
	struct rpcprof_pprof *model = reader->model;
	struct pprof_sample *to;
	uint32_t id;
	int status;

	if (from->n_value != model->types_count)
		return rpcprof_pprof_fail(&reader->wire,
		                          "a sample of %zu values in a profile of %zu types",
		                          from->n_value, model->types_count);
	status = PPROF_RESERVE(model, samples, 1);
	if (status == 0)
		status = PPROF_RESERVE(model, frames, from->n_location_id);
	if (status == 0)
		status = PPROF_RESERVE(model, values, from->n_value);
	if (status == 0)
		status = PPROF_RESERVE(model, labels, from->n_label);
	if (status != 0)
		return status;
	to = &model->samples[model->samples_count++];
	*to = (struct pprof_sample){model->frames_count, model->labels_count,
	                            (uint32_t)from->n_location_id, (uint32_t)from->n_label};
	for (size_t i = 0; i < from->n_value; i++)
		model->values[model->values_count++] = from->value[i];
	for (size_t i = 0; status == 0 && i < from->n_location_id; i++) {
		status = get_id(reader, &reader->locations, from->location_id[i], &id);
		model->frames[model->frames_count++] = id;
	}
	for (size_t i = 0; status == 0 && i < from->n_label; i++)
		status = add_label(reader, from->label[i]);
	return status;
}

static int read_sample(struct reader *reader, const struct pprof_field *field)
{
	Perftools__Profiles__Sample *from = unpack(reader, &perftools__profiles__sample__descriptor,
	                                           field->payload, field->end);
	int status;

	if (from == NULL)
		return bad_message(reader, "sample");
	status = convert_sample(reader, from);
	protobuf_c_message_free_unpacked(&from->base, &reader->allocator);
	return status;
}

/* A field that is not a message of its own, unpacked as a profile with nothing else in it. */
static int convert_scalar(struct reader *reader, const Perftools__Profiles__Profile *from,
                          uint64_t number)
{
	struct rpcprof_pprof *model = reader->model;
	int status;

	switch (number) {
	case 7:
		return get_text(reader, from->drop_frames, &model->drop_frames);
	case 8:
		return get_text(reader, from->keep_frames, &model->keep_frames);
	case 9:
		model->time_ns = from->time_nanos;
		return 0;
	case 10:
		model->duration_ns = from->duration_nanos;
		return 0;
	case 11:
		return from->period_type == NULL
		               ? 0
		               : read_value_type(reader, from->period_type, &model->period_type);
	case 12:
		model->period = from->period;
		return 0;
	case 13:
		status = PPROF_RESERVE(model, comments, from->n_comment);
		for (size_t i = 0; status == 0 && i < from->n_comment; i++)
			status = get_text(reader, from->comment[i],
			                  &model->comments[model->comments_count++]);
		return status;
	case 14:
		return get_text(reader, from->default_sample_type, &model->default_type);
	default:
		return get_text(reader, from->doc_url, &model->doc_url);
	}
}

static int read_scalar(struct reader *reader, const struct pprof_field *field)
{
	Perftools__Profiles__Profile *from =
		unpack(reader, &perftools__profiles__profile__descriptor, field->begin, field->end);
	int status;

	if (from == NULL)
		return bad_message(reader, "field");
	status = convert_scalar(reader, from, field->number);
	protobuf_c_message_free_unpacked(&from->base, &reader->allocator);
	return status;
}

static int read_one(struct reader *reader, const struct pprof_field *field, int pass)
{
	static const struct {
		int pass;
		int (*read)(struct reader *, const struct pprof_field *);
	} fields[] = {
		[SAMPLE_TYPE] = {1, read_sample_type}, [SAMPLE] = {3, read_sample},
		[MAPPING] = {1, read_mapping},         [LOCATION] = {2, read_location},
		[FUNCTION] = {1, read_function},       [STRING_TABLE] = {0, read_text},
	};

	if (field->number > DOC_URL)
		return 0; /* of a later version of the schema */
	if (field->number > STRING_TABLE)
		return pass == 3 ? read_scalar(reader, field) : 0;
	/* NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage): rpcprof_pprof_read_field() refuses 0 */
	return pass == fields[field->number].pass ? fields[field->number].read(reader, field) : 0;
}

static int read_all(struct reader *reader)
{
	struct pprof_field field;
	int status = 0;

	for (int pass = 0; pass < 4; pass++) {
		for (reader->wire.at = 0; reader->wire.at < reader->wire.length;
		     reader->wire.at = field.end) {
			status = rpcprof_pprof_read_field(&reader->wire, &field);
			if (status == 0)
				status = read_one(reader, &field, pass);
			if (status != 0)
				return status;
		}
		if (pass == 1 && reader->model->types_count == 0)
			return rpcprof_pprof_fail(
				&reader->wire,
				"not a profile, or truncated: it has no sample type");
	}
	return 0;
}

static void free_map(struct id_map *map)
{
	free(map->raw);
	free(map->ids);
	free(map->index.buckets);
}

int rpcprof_pprof_decode(const uint8_t *bytes, size_t length, size_t memory_limit,
                         struct rpcprof_pprof **out, struct pprof_error *error)
{
	struct reader reader = {.wire = {bytes, length, 0, error},

	                        .mappings.what = "mapping",
	                        .functions.what = "function",
	                        .locations.what = "location"};
	int status;

	reader.allocator = (ProtobufCAllocator){bounded_alloc, bounded_free, &reader};
	reader.model = rpcprof_pprof_model_open(memory_limit);
	if (reader.model == NULL)
		return -ENOMEM;
	status = read_all(&reader);
	free(reader.texts);
	free_map(&reader.mappings);
	free_map(&reader.functions);
	free_map(&reader.locations);
	if (status == 0) {
		*out = reader.model;
		return 0;
	}
	if (status == -EFBIG)
		rpcprof_pprof_fail(&reader.wire, "takes more than %zu bytes of memory",
		                   memory_limit);
	rpcprof_pprof_close(reader.model);
	return status;
}
