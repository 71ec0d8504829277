/* SPDX-License-Identifier: Apache-2.0 */
#include "report/calls_internal.h"

#include <stdlib.h>
#include <string.h>

/* Room for `more` at the end of an array, within the limit of memory of the names. */
#define RESERVE(calls, array, item, more)                                                          \
	rpcprof_pprof_reserve((calls)->names, &(calls)->array, (calls)->item##_count,              \
	                      &(calls)->item##_room, (more), sizeof(*(calls)->array))

/* *error stays what it was if there is none. */
static uint32_t intern(struct calls *calls, const char *name, int *error)
{
	int64_t id = rpcprof_pprof_intern(calls->names, name, strlen(name));

	if (id < 0)
		*error = (int)id;
	return id < 0 ? 0 : (uint32_t)id;
}

int64_t report_stage_end(const struct call_stage *stage)
{
	int64_t end;

	if (stage->duration_ns > INT64_MAX ||
	    __builtin_add_overflow(stage->offset_ns, (int64_t)stage->duration_ns, &end))
		return INT64_MAX;
	return end;
}

/*
 * Stages come by begin, the longer first. Each goes to the first lane in which it lies within
 * whatever is open or after it. `open` is the innermost stage open in each lane, `outer` what was
 * open there before it; both are indices + 1.
 */
static void choose_lanes(struct call_stage *stages, uint32_t count)
{
	uint16_t open[DUMP_STAGES_MAX] = {0}, outer[DUMP_STAGES_MAX];

	for (uint32_t i = 0; i < count; i++) {
		uint32_t lane = 0;

		for (;; lane++) {
			while (open[lane] != 0 &&
			       report_stage_end(&stages[open[lane] - 1]) <= stages[i].offset_ns)
				open[lane] = outer[open[lane] - 1];
			if (open[lane] == 0 || report_stage_end(&stages[open[lane] - 1]) >= report_stage_end(&stages[i]))
				break;
		}
		outer[i] = open[lane];
		open[lane] = (uint16_t)(i + 1);
		stages[i].lane = lane;
	}
}

static int add_stages(struct calls *calls, struct call *call, const struct dump_call *from)
{
	int error = RESERVE(calls, stages, stage, from->stage_count);

	if (error != 0)
		return error;
	call->stages = calls->stage_count;
	call->stage_count = from->stage_count;
	for (uint32_t i = 0; i < from->stage_count; i++) {
		const struct dump_stage *stage = &from->stages[i];

		calls->stages[calls->stage_count++] = (struct call_stage){
			.offset_ns = stage->offset_ns, .duration_ns = stage->duration_ns,
			.tag = intern(calls, stage->tag, &error), .thread = stage->thread,
			.depth = stage->depth, .open = stage->open};
	}
	choose_lanes(calls->stages + call->stages, call->stage_count);
	return error;
}

static int add_folds(struct calls *calls, struct call *call, const struct dump_call *from)
{
	int error = RESERVE(calls, folds, fold, from->fold_count);

	if (error != 0)
		return error;
	call->folds = calls->fold_count;
	call->fold_count = from->fold_count;
	for (uint32_t i = 0; i < from->fold_count; i++) {
		const struct dump_fold *fold = &from->folds[i];

		calls->folds[calls->fold_count++] = (struct call_fold){
			intern(calls, fold->tag, &error), fold->count, fold->total_ns,
			fold->longest_ns};
	}
	return error;
}

int report_calls_add(struct calls *calls, const struct dump_call *from)
{
	int error = RESERVE(calls, list, call, 1);
	struct call *call;

	if (error != 0)
		return error;
	call = &calls->list[calls->call_count];
	*call = (struct call){
		.begin_utc_ns = from->begin_utc_ns, .duration_ns = from->duration_ns,
		.id = from->id, .order = calls->call_count, .other = CALLS_NONE,
		.file = (uint32_t)calls->file_count - 1, .side = intern(calls, from->side, &error),
		.status = from->status, .in_flight = from->in_flight,
		.has_status = from->has_status, .has_trace = from->has_trace};
	call->method = intern(calls, from->method != NULL ? from->method : "(no method)", &error);
	memcpy(call->trace_id, from->trace_id, sizeof(call->trace_id));
	memcpy(call->span_id, from->span_id, sizeof(call->span_id));
	if (error == 0)
		error = add_stages(calls, call, from);
	if (error == 0)
		error = add_folds(calls, call, from);
	calls->call_count += error == 0;
	return error;
}

int report_calls_open(struct calls *calls, struct rpcprof_pprof *names)
{
	int error = 0;

	*calls = (struct calls){.names = names};
	calls->server = intern(calls, "server", &error);
	calls->client = intern(calls, "client", &error);
	/* Not NULL, so that the stages of a call without any have an address. */
	return error != 0 ? error : RESERVE(calls, stages, stage, 1);
}

int report_calls_begin_file(struct calls *calls, const char *path)
{
	int error = RESERVE(calls, files, file, 1);

	if (error == 0)
		calls->files[calls->file_count++] = (struct calls_file){.path = path};
	return error;
}

int report_calls_set_header(struct calls *calls, const struct dump_header *header)
{
	struct calls_file *file = &calls->files[calls->file_count - 1];
	int error = 0;

	file->program = intern(calls, header->program, &error);
	file->pid = header->pid;
	file->displaced = header->displaced;
	file->dropped = header->dropped;
	return error;
}

static int by_begin(const void *left, const void *right)
{
	const struct call *a = left, *b = right;

	if (a->begin_utc_ns != b->begin_utc_ns)
		return a->begin_utc_ns < b->begin_utc_ns ? -1 : 1;
	return a->order < b->order ? -1 : a->order > b->order;
}

static int compare_context(const struct call *a, const struct call *b)
{
	int order = memcmp(a->trace_id, b->trace_id, sizeof(a->trace_id));

	return order != 0 ? order : memcmp(a->span_id, b->span_id, sizeof(a->span_id));
}

/* Equal contexts together, clients first. */
static int by_context(const void *left, const void *right, void *arg)
{
	const struct calls *calls = arg;
	const struct call *a = &calls->list[*(const size_t *)left];
	const struct call *b = &calls->list[*(const size_t *)right];
	int order = compare_context(a, b);

	if (order == 0)
		order = (b->side == calls->client) - (a->side == calls->client);
	return order != 0 ? order : by_begin(a, b);
}

/* Of calls with one context the first client's goes with the first server's: a retry below
 * them sends the same again. */
static void join_run(struct calls *calls, const size_t *run, size_t length)
{
	for (size_t i = 1; i < length; i++) {
		if (calls->list[run[0]].side != calls->client)
			return;
		if (calls->list[run[i]].side != calls->server)
			continue;
		calls->list[run[0]].other = run[i];
		calls->list[run[i]].other = run[0];
		calls->joined++;
		return;
	}
}

static void join(struct calls *calls)
{
	size_t *traced = reallocarray(NULL, calls->call_count + 1, sizeof(*traced));
	size_t end;

	if (traced == NULL)
		return; /* unjoined, as without the option */
	for (size_t i = 0; i < calls->call_count; i++)
		if (calls->list[i].has_trace)
			traced[calls->traced++] = i;
	if (calls->traced > 1)
		qsort_r(traced, calls->traced, sizeof(*traced), by_context, calls);
	for (size_t i = 0; i < calls->traced; i = end) {
		end = i + 1;
		while (end < calls->traced && compare_context(&calls->list[traced[i]],
		                                              &calls->list[traced[end]]) == 0)
			end++;
		join_run(calls, traced + i, end - i);
	}
	free(traced);
}

void report_calls_finish(struct calls *calls, size_t last)
{
	if (calls->call_count > 1)
		qsort(calls->list, calls->call_count, sizeof(*calls->list), by_begin);
	if (last != 0 && calls->call_count > last) {
		calls->left_out = calls->call_count - last;
		memmove(calls->list, calls->list + calls->left_out, last * sizeof(*calls->list));
		calls->call_count = last;
	}
	join(calls);
}

const char *report_calls_why_not_joined(const struct calls *calls)
{
	if (calls->joined != 0)
		return "";
	if (calls->traced == 0)
		return "No call carries a trace context, so no client's call is joined with a "
		       "server's: the option that sends it is off by default.";
	return "Calls carry trace contexts, but no client's is a server's: give the dumps of both "
	       "sides, taken at the same time.";
}

void report_calls_close(struct calls *calls)
{
	free(calls->list);
	free(calls->stages);
	free(calls->folds);
	free(calls->files);
	*calls = (struct calls){0};
}
