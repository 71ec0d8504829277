/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_DUMP_INTERNAL_H
#define RPCPROF_DUMP_INTERNAL_H

/*
 * A call as dumps show it, all in nanoseconds and names, wherever it came from: a view of this
 * process (dump_call.c) or a saved dump (dump_parse.c). The writers know nothing else.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "rpcprof/dump.h"

#define DUMP_FORMAT_NAME "rpcprof-dump"
#define DUMP_FORMAT_VERSION 1
#define DUMP_STAGES_MAX 1024 /* of one call, in a saved dump */
#define DUMP_DURATION_CHARS 24

struct dump_stage {
	const char *tag;
	int64_t offset_ns; /* from the call's begin; < 0 if it began before that */
	uint64_t duration_ns;
	uint32_t thread;
	uint32_t depth; /* how many stages it lies in; see rpcprof_dump_nest() */
	bool open;      /* not ended; duration_ns is then to the end of what is known */
};

struct dump_fold {
	const char *tag;
	uint64_t count, total_ns, longest_ns;
};

struct dump_call {
	uint64_t id;
	const char *side;
	const char *method;     /* NULL = not set */
	const char *open_stage; /* in flight: NULL if none */
	bool in_flight;         /* duration_ns is then its age */
	bool has_status, has_connection, has_trace;
	int32_t status;
	int64_t begin_utc_ns;
	uint64_t date_error_ns;
	uint64_t duration_ns;
	uint64_t connection;
	uint32_t stream;
	uint32_t metadata_bytes;
	uint8_t metadata[RPCPROF_METADATA_MAX];
	uint8_t trace_id[16], span_id[8];
	uint32_t label_count, fold_count;
	struct {
		const char *key, *value;
	} labels[RPCPROF_LABELS_MAX];
	struct dump_fold folds[RPCPROF_ACCUMULATORS];
	uint64_t folded; /* timers in the folds */
	struct dump_stage *stages;
	uint32_t stage_count;
};

struct dump_header {
	int64_t at_utc_ns;
	int64_t pid;
	const char *program;
	const char *clock;
	uint64_t date_error_ns; /* of a date of now */
	double frequency_error_ppm;
	uint64_t steps; /* of the wall clock */
	bool enabled;
	uint64_t recorded, displaced, drained, dropped, discarded;
};

struct dump_end {
	uint64_t calls;
	uint64_t torn;          /* not shown: overwritten while being looked at */
	uint64_t date_error_ns; /* the largest of the calls */
};

/* Timer slots of the largest cell, with some to spare. */
#define DUMP_SOURCE_STAGES 64

/* What turns views of this process into calls. */
struct dump_source {
	struct rpcprof_clock_map map; /* of rpcprof_clock_map_get() */
	struct dump_stage stages[DUMP_SOURCE_STAGES];
};

/* The call borrows its stages from the source, until the next. */
void rpcprof_dump_fill_call(struct dump_source *source, struct dump_call *call,
                            const struct rpcprof_view *view, bool in_flight);
/* 0 or -ENODEV */
int rpcprof_dump_fill_header(const struct dump_source *source, struct dump_header *header,
                             const struct rpcprof_counters *counters);

struct dump_writer {
	FILE *out;
	enum rpcprof_dump_format format;
	bool colour;
	bool enabled; /* from the header, for the sentence when there are no calls */
	uint64_t calls;
	uint64_t date_error_ns;
	uint8_t *bytes; /* of the message at hand, kept for the next; the end frees it */
	size_t room;
};

/* Each 0 or a negative errno. The order is begin, any number of calls, end. */
int rpcprof_dump_write_begin(struct dump_writer *writer, const struct dump_header *header);
int rpcprof_dump_write_call(struct dump_writer *writer, const struct dump_call *call);
int rpcprof_dump_write_end(struct dump_writer *writer, uint64_t torn);

/* Sorts stages by begin, the longer first, and sets their depths: a stage lies in the latest
 * begun one on its thread that contains it wholly. */
void rpcprof_dump_nest(struct dump_stage *stages, uint32_t count);

/* The table's parts. */
void rpcprof_dump_table_begin(struct dump_writer *writer, const struct dump_header *header);
void rpcprof_dump_table_call(struct dump_writer *writer, const struct dump_call *call);
void rpcprof_dump_table_end(struct dump_writer *writer, const struct dump_end *end);

/* JSON objects; NULL if memory cannot be had. */
json_t *rpcprof_dump_json_header(const struct dump_header *header);
json_t *rpcprof_dump_json_call(const struct dump_call *call);
json_t *rpcprof_dump_json_end(const struct dump_end *end);

/* Back from JSON. Names are borrowed from the object; stages is room for DUMP_STAGES_MAX. 0, or
 * -EINVAL with *error a sentence. */
int rpcprof_dump_parse_header(const json_t *object, struct dump_header *header, const char **error);
int rpcprof_dump_parse_call(const json_t *object, struct dump_call *call, struct dump_stage *stages,
                            const char **error);

/* Some of a dump. */
struct dump_part {
	const struct dump_header *header; /* each NULL if not in it */
	const struct dump_call *call;
	const struct dump_end *end;
};

/*
 * As protocol buffers: a message rpcprof.v1.Dump with only this in it, packed into `out` if there
 * is room. Such messages put one after the other are one message with all that is in them.
 * Returns its length; 0 if memory cannot be had.
 */
size_t rpcprof_dump_pack(const struct dump_part *part, uint8_t *out, size_t room);

/* Prints a name with what could act on a terminal, or mislead, escaped. Returns its columns. */
int rpcprof_dump_print_name(FILE *out, const char *name);
/* "12.345 ms" */
void rpcprof_dump_format_duration(char out[DUMP_DURATION_CHARS], uint64_t ns);
/* "2026-01-02T03:04:05.123456789Z" */
void rpcprof_dump_format_date(char out[40], int64_t utc_ns);
/* gRPC's name of a status 0..16, else NULL. */
const char *rpcprof_dump_status_name(int32_t status);

#endif
