/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_PPROF_MODEL_INTERNAL_H
#define RPCPROF_PPROF_MODEL_INTERNAL_H

/*
 * A pprof profile in memory: flat arrays, strings by id, ids dense. What the writer fills, the
 * reader reads into, merge merges, and the command prints.
 *
 * The id of a function, location or mapping is its index + 1, 0 = none; of a string its index,
 * string 0 being "". Every id in a model is good: the reader lets no other in.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "export/pprof_internal.h"

/* Finds what was seen before: open addressing over the entries of an array the caller keeps. */
struct pprof_index {
	struct pprof_bucket {
		uint32_t hash;
		uint32_t id; /* index + 1, 0 = free */
	} * buckets;
	size_t mask; /* buckets - 1; 0 with buckets NULL */
	size_t used;
};

/* Whether entry `index` of what the index is over, `array`, is what `key` describes. */
typedef bool pprof_equal_fn(const void *array, size_t index, const void *key);

struct pprof_value_type {
	uint32_t type;
	uint32_t unit;
};

struct pprof_mapping {
	uint64_t start, limit, file_offset;
	uint32_t file, build_id;
	bool has_functions, has_filenames, has_line_numbers, has_inline_frames;
};

struct pprof_function {
	uint32_t name, system_name, file;
	int64_t start_line;
};

struct pprof_line {
	uint32_t function;
	int64_t line, column;
};

struct pprof_location {
	uint64_t address;
	uint64_t lines; /* index of the first in model->lines */
	uint32_t line_count;
	uint32_t mapping;
	bool is_folded;
};

struct pprof_label {
	uint32_t key, str, unit;
	int64_t num;
};

struct pprof_sample {
	uint64_t frames; /* index of the first, the leaf, in model->frames */
	uint64_t labels;
	uint32_t depth;
	uint32_t label_count;
	/* values: model->values[sample * type_count] and on */
};

#define PPROF_ARRAY(type, name)                                                                    \
	struct type *name;                                                                         \
	size_t name##_count, name##_room

struct rpcprof_pprof {
	size_t memory;       /* bytes in the arrays below */
	size_t memory_limit; /* 0 = none; else growth beyond it is -EFBIG */
	PPROF_ARRAY(pprof_value_type, types);
	PPROF_ARRAY(pprof_mapping, mappings);
	PPROF_ARRAY(pprof_function, functions);
	PPROF_ARRAY(pprof_line, lines);
	PPROF_ARRAY(pprof_location, locations);
	PPROF_ARRAY(pprof_sample, samples);
	PPROF_ARRAY(pprof_label, labels);
	uint64_t *frames; /* location ids; 64 bits, for that is what gets encoded */
	size_t frames_count, frames_room;
	int64_t *values;
	size_t values_count, values_room;
	uint32_t *comments;
	size_t comments_count, comments_room;
	uint64_t *texts; /* offsets in text_bytes, terminated there */
	size_t texts_count, texts_room;
	char *text_bytes;
	size_t text_bytes_count, text_bytes_room;
	struct pprof_index text_index, function_index, location_index, mapping_index, sample_index;
	struct pprof_value_type period_type;
	int64_t period, time_ns, duration_ns;
	uint32_t default_type, drop_frames, keep_frames, doc_url;
};

static inline const char *rpcprof_pprof_text(const struct rpcprof_pprof *model, uint32_t id)
{
	return model->text_bytes + model->texts[id];
}

static inline const int64_t *rpcprof_pprof_values(const struct rpcprof_pprof *model, size_t sample)
{
	return model->values + sample * model->types_count;
}

static inline const struct pprof_function *rpcprof_pprof_line_function(
	const struct rpcprof_pprof *model, const struct pprof_line *line)
{
	return &model->functions[line->function - 1];
}

/* An empty model: string 0 only. NULL if memory cannot be had. */
struct rpcprof_pprof *rpcprof_pprof_model_open(size_t memory_limit);

/* Makes room for `more` elements of `bytes` each. 0, -ENOMEM, or -EFBIG past the limit. */
int rpcprof_pprof_reserve(struct rpcprof_pprof *model, void *array, size_t count, size_t *room,
                          size_t more, size_t bytes);
#define PPROF_RESERVE(model, name, more)                                                           \
	rpcprof_pprof_reserve((model), &(model)->name, (model)->name##_count,                      \
	                      &(model)->name##_room, (more), sizeof(*(model)->name))

/* The id of a string of `length` bytes, which end before any NUL; made valid UTF-8. Or -errno. */
int64_t rpcprof_pprof_intern(struct rpcprof_pprof *model, const char *text, size_t length);

/* The id of an equal function, location or mapping, made on first use. Or -errno. */
int64_t rpcprof_pprof_intern_function(struct rpcprof_pprof *model,
                                      const struct pprof_function *function);
int64_t rpcprof_pprof_intern_location(struct rpcprof_pprof *model,
                                      const struct pprof_location *location,
                                      const struct pprof_line *lines);
int64_t rpcprof_pprof_intern_mapping(struct rpcprof_pprof *model,
                                     const struct pprof_mapping *mapping);

/* Whether all of the text is valid UTF-8 without NUL. */
bool rpcprof_pprof_utf8_valid(const char *text, size_t length);
/* The length of the character at text, or 0 if it is not valid UTF-8. length > 0. */
size_t rpcprof_pprof_utf8_next(const char *text, size_t length);
/* Copies with U+FFFD for what is not valid: at most 3 * length bytes. Returns how many. */
size_t rpcprof_pprof_utf8_repair(char *out, const char *text, size_t length);

/* Bytes that mix differently in each process, so that no file can be made to collide. */
uint64_t rpcprof_pprof_hash(const void *data, size_t bytes, uint64_t seed);
/* The id (index + 1) of key, or 0. */
uint32_t rpcprof_pprof_index_find(const struct pprof_index *index, const void *array, uint32_t hash,
                                  pprof_equal_fn *equal, const void *key);
/* Room for one more. 0 or -ENOMEM or -EFBIG. */
int rpcprof_pprof_index_reserve(struct rpcprof_pprof *model, struct pprof_index *index);
/* Enters an id that find() did not find; after a reserve. */
void rpcprof_pprof_index_put(struct pprof_index *index, uint32_t hash, uint32_t id);

#endif
