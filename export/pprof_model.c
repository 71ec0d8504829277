/* SPDX-License-Identifier: Apache-2.0 */
#include "export/pprof_model_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int rpcprof_pprof_reserve(struct rpcprof_pprof *model, void *array, size_t count, size_t *room,
                          size_t more, size_t bytes)
{
	size_t wanted = *room < 16 ? 16 : *room;
	void *memory;

	if (more <= *room - count)
		return 0;
	if (more > UINT32_MAX || count > SIZE_MAX / 4 / bytes)
		return -EFBIG;
	while (wanted < count + more)
		wanted += wanted / 2;
	if (model->memory_limit != 0 &&
	    model->memory + (wanted - *room) * bytes > model->memory_limit)
		return -EFBIG;
	memcpy(&memory, array, sizeof(memory)); /* *array is a pointer to any type */
	memory = realloc(memory, wanted * bytes);
	if (memory == NULL)
		return -ENOMEM;
	memcpy(array, &memory, sizeof(memory));
	model->memory += (wanted - *room) * bytes;
	*room = wanted;
	return 0;
}

struct rpcprof_pprof *rpcprof_pprof_model_open(size_t memory_limit)
{
	struct rpcprof_pprof *model = calloc(1, sizeof(*model));

	if (model == NULL)
		return NULL;
	model->memory_limit = memory_limit;
	/* None of these is NULL, so that an empty range of one has an address. */
	if (rpcprof_pprof_intern(model, "", 0) != 0 || PPROF_RESERVE(model, frames, 1) != 0 ||
	    PPROF_RESERVE(model, values, 1) != 0 || PPROF_RESERVE(model, labels, 1) != 0 ||
	    PPROF_RESERVE(model, lines, 1) != 0) {
		rpcprof_pprof_close(model);
		return NULL;
	}
	return model;
}

void rpcprof_pprof_close(struct rpcprof_pprof *model)
{
	if (model == NULL)
		return;
	free(model->types);
	free(model->mappings);
	free(model->functions);
	free(model->lines);
	free(model->locations);
	free(model->samples);
	free(model->labels);
	free(model->frames);
	free(model->values);
	free(model->comments);
	free(model->texts);
	free(model->text_bytes);
	free(model->text_index.buckets);
	free(model->function_index.buckets);
	free(model->location_index.buckets);
	free(model->mapping_index.buckets);
	free(model->sample_index.buckets);
	free(model);
}

struct text_key {
	const char *text;
	size_t length;
};

static bool text_equal(const void *array, size_t index, const void *key)
{
	const struct rpcprof_pprof *model = array;
	const struct text_key *wanted = key;
	const char *text = rpcprof_pprof_text(model, (uint32_t)index);

	return strncmp(text, wanted->text, wanted->length) == 0 && text[wanted->length] == '\0';
}

static int64_t add_text(struct rpcprof_pprof *model, const char *text, size_t length, uint32_t hash)
{
	int status = PPROF_RESERVE(model, texts, 1);

	if (status == 0)
		status = PPROF_RESERVE(model, text_bytes, length + 1);
	if (status == 0)
		status = rpcprof_pprof_index_reserve(model, &model->text_index);
	if (status != 0)
		return status;
	model->texts[model->texts_count++] = model->text_bytes_count;
	memcpy(model->text_bytes + model->text_bytes_count, text, length);
	model->text_bytes_count += length;
	model->text_bytes[model->text_bytes_count++] = '\0';
	rpcprof_pprof_index_put(&model->text_index, hash, (uint32_t)model->texts_count);
	return (int64_t)model->texts_count - 1;
}

static int64_t intern_repaired(struct rpcprof_pprof *model, const char *text, size_t length)
{
	char *valid = malloc(3 * length + 1);
	int64_t id;

	if (valid == NULL)
		return -ENOMEM;
	id = rpcprof_pprof_intern(model, valid, rpcprof_pprof_utf8_repair(valid, text, length));
	free(valid);
	return id;
}

int64_t rpcprof_pprof_intern(struct rpcprof_pprof *model, const char *text, size_t length)
{
	struct text_key key = {text, strnlen(text, length)};
	uint32_t hash = (uint32_t)rpcprof_pprof_hash(text, key.length, 0);
	uint32_t id = rpcprof_pprof_index_find(&model->text_index, model, hash, text_equal, &key);

	if (id != 0)
		return id - 1;
	if (!rpcprof_pprof_utf8_valid(text, key.length))
		return intern_repaired(model, text, key.length);
	return add_text(model, text, key.length, hash);
}

static bool function_equal(const void *array, size_t index, const void *key)
{
	const struct rpcprof_pprof *model = array;
	const struct pprof_function *a = &model->functions[index], *b = key;

	return a->name == b->name && a->file == b->file && a->system_name == b->system_name &&
	       a->start_line == b->start_line;
}

int64_t rpcprof_pprof_intern_function(struct rpcprof_pprof *model,
                                      const struct pprof_function *function)
{
	uint64_t words[4] = {function->name, function->system_name, function->file,
	                     (uint64_t)function->start_line};
	uint32_t hash = (uint32_t)rpcprof_pprof_hash(words, sizeof(words), 0);
	uint32_t id = rpcprof_pprof_index_find(&model->function_index, model, hash, function_equal,
	                                       function);
	int status;

	if (id != 0)
		return id;
	status = PPROF_RESERVE(model, functions, 1);
	if (status == 0)
		status = rpcprof_pprof_index_reserve(model, &model->function_index);
	if (status != 0)
		return status;
	model->functions[model->functions_count++] = *function;
	rpcprof_pprof_index_put(&model->function_index, hash, (uint32_t)model->functions_count);
	return (int64_t)model->functions_count;
}

/* A mapping is the same wherever it was loaded: size in pages, offset, and what was mapped. */
static uint64_t mapping_pages(const struct pprof_mapping *mapping)
{
	return (mapping->limit - mapping->start + 0xfff) >> 12;
}

static uint32_t mapping_object(const struct pprof_mapping *mapping)
{
	return mapping->build_id != 0 ? mapping->build_id : mapping->file;
}

static bool mapping_equal(const void *array, size_t index, const void *key)
{
	const struct rpcprof_pprof *model = array;
	const struct pprof_mapping *a = &model->mappings[index], *b = key;

	return mapping_pages(a) == mapping_pages(b) && a->file_offset == b->file_offset &&
	       mapping_object(a) == mapping_object(b);
}

int64_t rpcprof_pprof_intern_mapping(struct rpcprof_pprof *model,
                                     const struct pprof_mapping *mapping)
{
	uint64_t words[3] = {mapping_pages(mapping), mapping->file_offset, mapping_object(mapping)};
	uint32_t hash = (uint32_t)rpcprof_pprof_hash(words, sizeof(words), 0);
	uint32_t id = rpcprof_pprof_index_find(&model->mapping_index, model, hash, mapping_equal,
	                                       mapping);
	int status;

	if (id != 0)
		return id;
	status = PPROF_RESERVE(model, mappings, 1);
	if (status == 0)
		status = rpcprof_pprof_index_reserve(model, &model->mapping_index);
	if (status != 0)
		return status;
	model->mappings[model->mappings_count++] = *mapping;
	rpcprof_pprof_index_put(&model->mapping_index, hash, (uint32_t)model->mappings_count);
	return (int64_t)model->mappings_count;
}

struct location_key {
	const struct pprof_location *location;
	const struct pprof_line *lines;
};

static bool location_equal(const void *array, size_t index, const void *key)
{
	const struct rpcprof_pprof *model = array;
	const struct location_key *wanted = key;
	const struct pprof_location *a = &model->locations[index], *b = wanted->location;
	const struct pprof_line *lines = model->lines + a->lines;

	if (a->address != b->address || a->mapping != b->mapping ||
	    a->line_count != b->line_count || a->is_folded != b->is_folded)
		return false;
	for (uint32_t i = 0; i < a->line_count; i++)
		if (lines[i].function != wanted->lines[i].function ||
		    lines[i].line != wanted->lines[i].line ||
		    lines[i].column != wanted->lines[i].column)
			return false;
	return true;
}

static uint32_t location_hash(const struct pprof_location *location, const struct pprof_line *lines)
{
	uint64_t words[3] = {location->address, location->mapping, location->is_folded};
	uint64_t hash = rpcprof_pprof_hash(words, sizeof(words), 0);

	for (uint32_t i = 0; i < location->line_count; i++) {
		words[0] = lines[i].function;
		words[1] = (uint64_t)lines[i].line;
		words[2] = (uint64_t)lines[i].column;
		hash = rpcprof_pprof_hash(words, sizeof(words), hash);
	}
	return (uint32_t)hash;
}

int64_t rpcprof_pprof_intern_location(struct rpcprof_pprof *model,
                                      const struct pprof_location *location,
                                      const struct pprof_line *lines)
{
	struct location_key key = {location, lines};
	uint32_t hash = location_hash(location, lines);
	uint32_t id =
		rpcprof_pprof_index_find(&model->location_index, model, hash, location_equal, &key);
	struct pprof_location *added;
	int status;

	if (id != 0)
		return id;
	status = PPROF_RESERVE(model, locations, 1);
	if (status == 0)
		status = PPROF_RESERVE(model, lines, location->line_count);
	if (status == 0)
		status = rpcprof_pprof_index_reserve(model, &model->location_index);
	if (status != 0)
		return status;
	added = &model->locations[model->locations_count++];
	*added = *location;
	added->lines = model->lines_count;
	for (uint32_t i = 0; i < location->line_count; i++)
		model->lines[model->lines_count++] = lines[i];
	rpcprof_pprof_index_put(&model->location_index, hash, (uint32_t)model->locations_count);
	return (int64_t)model->locations_count;
}
