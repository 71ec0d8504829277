/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_PPROF_INTERNAL_H
#define RPCPROF_PPROF_INTERNAL_H

/*
 * A pprof profile while it is being made, and its bytes. Knows nothing of Stats: samples are
 * stacks of locations with values and labels. Not for two threads at once.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rpcprof_pprof;

struct rpcprof_pprof_type {
	const char *type;
	const char *unit;
};

struct rpcprof_pprof_info {
	const struct rpcprof_pprof_type *types; /* sample types, in order */
	size_t type_count;
	struct rpcprof_pprof_type period_type;
	int64_t period;
	int64_t time_ns;     /* begin of the window, UTC */
	int64_t duration_ns;
	const char *mapping_file;      /* of the one mapping, e.g. the program's path */
	bool no_mapping;               /* the maker has its own */
	const char *default_type;      /* NULL: readers take the last */
	const char *const *comments;   /* copied */
	size_t comment_count;
};

/* A label of a sample: ids from rpcprof_pprof_string(). Numeric if num_unit != 0. */
struct rpcprof_pprof_label {
	int64_t key;
	int64_t str;
	int64_t num;
	int64_t num_unit;
};

/* NULL if memory cannot be had. Copies what info points at. */
struct rpcprof_pprof *rpcprof_pprof_open(const struct rpcprof_pprof_info *info);
void rpcprof_pprof_close(struct rpcprof_pprof *pprof);

/* The id of a string, 0 for "". Invalid UTF-8 is replaced by U+FFFD. -ENOMEM. */
int64_t rpcprof_pprof_string(struct rpcprof_pprof *pprof, const char *text);

/* The id (1..n) of the location with one line: this function in this file. -ENOMEM. */
int64_t rpcprof_pprof_location(struct rpcprof_pprof *pprof, const char *name, const char *file);

/* One sample. locations: leaf first. values: one per sample type, >= 0. All copied. 0 or -ENOMEM. */
int rpcprof_pprof_add(struct rpcprof_pprof *pprof, const uint64_t *locations, size_t depth,
                      const int64_t *values, const struct rpcprof_pprof_label *labels,
                      size_t label_count);

/* The profile as gzipped protobuf (level 1); *bytes is malloc'ed, the caller's. 0 or -ENOMEM. */
int rpcprof_pprof_encode(struct rpcprof_pprof *pprof, uint8_t **bytes, size_t *length);

#endif
