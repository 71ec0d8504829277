/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_CALLS_INTERNAL_H
#define RPCPROF_CALLS_INTERNAL_H

/*
 * The calls of one or more dumps in memory, in the order of their begins, the two sides of a call
 * joined: what the trace and the report draw. Names are ids in a table of valid UTF-8.
 */
#include "export/dump_internal.h"
#include "export/pprof_model_internal.h"

#define CALLS_NONE SIZE_MAX

struct call_stage {
	int64_t offset_ns; /* from the call's begin */
	uint64_t duration_ns;
	uint32_t tag, thread;
	uint32_t depth; /* stages it lies in */
	uint32_t lane;  /* 0, or more to keep stages apart that overlap without containment */
	bool open;
};

struct call_fold {
	uint32_t tag;
	uint64_t count, total_ns, longest_ns;
};

struct call {
	int64_t begin_utc_ns;
	uint64_t duration_ns;
	uint64_t id;
	size_t order;  /* in the files */
	size_t stages; /* of the first in calls->stages */
	size_t folds;
	size_t other; /* index of the call's other side, or CALLS_NONE */
	uint32_t stage_count, fold_count;
	uint32_t file, side, method;
	int32_t status;
	bool in_flight, has_status, has_trace;
	uint8_t trace_id[16], span_id[8];
};

struct calls_file {
	const char *path;
	uint32_t program;
	int64_t pid;
	uint64_t torn, displaced, dropped;
};

struct calls {
	struct rpcprof_pprof *names; /* its texts; the caller's */
	struct call *list;
	size_t call_count, call_room;
	struct call_stage *stages;
	size_t stage_count, stage_room;
	struct call_fold *folds;
	size_t fold_count, fold_room;
	struct calls_file *files;
	size_t file_count, file_room;
	size_t left_out;         /* by report_calls_finish() */
	size_t traced, joined;   /* calls with a trace context; pairs */
	uint32_t server, client; /* names of the two sides */
};

/* Each 0 or a negative errno: -ENOMEM, -EFBIG past the limit of memory of the names. */
int report_calls_open(struct calls *calls, struct rpcprof_pprof *names);
/* The calls that are added from now on are of this one; path: borrowed. */
int report_calls_begin_file(struct calls *calls, const char *path);
int report_calls_set_header(struct calls *calls, const struct dump_header *header);
int report_calls_add(struct calls *calls, const struct dump_call *call);

/* After the last file: drops all but the last `last` to begin (0: keeps all), sorts by begin, and
 * joins a client's call and the server's that have the same trace id and span id. */
void report_calls_finish(struct calls *calls, size_t last);
void report_calls_close(struct calls *calls);

/* Where a stage ends, from the call's begin. */
int64_t report_stage_end(const struct call_stage *stage);
/* A sentence for people if no pair was joined, "" if one was. */
const char *report_calls_why_not_joined(const struct calls *calls);

/* The part of [0, length] that lies before ns. */
static inline uint64_t call_clip(int64_t ns, uint64_t length)
{
	if (ns < 0)
		return 0;
	return (uint64_t)ns < length ? (uint64_t)ns : length;
}

static inline const char *calls_name(const struct calls *calls, uint32_t id)
{
	return rpcprof_pprof_text(calls->names, id);
}

#endif
