/* SPDX-License-Identifier: Apache-2.0 */
/* A call, and the process, as dumps show them: from what is in the arena. */
#include "export/dump_internal.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* Signed nanoseconds from the call's begin to a tick. */
static int64_t offset_ns(const struct dump_source *source, uint64_t begin, uint64_t ticks)
{
	if ((int64_t)(ticks - begin) < 0)
		return -(int64_t)rpcprof_clock_elapsed_ns(&source->map, ticks, begin);
	return (int64_t)rpcprof_clock_elapsed_ns(&source->map, begin, ticks);
}

/* Boundaries first, then their difference: so stages that touch in ticks touch in ns. */
static void fill_stage(const struct dump_source *source, struct dump_stage *stage,
                       const struct rpcprof_timer_view *timer, uint64_t begin, uint64_t end)
{
	int64_t to = offset_ns(source, begin, timer->end != 0 ? timer->end : end);

	stage->tag = rpcprof_tag_name(timer->tag, NULL);
	stage->thread = timer->thread;
	stage->open = timer->end == 0;
	stage->offset_ns = offset_ns(source, begin, timer->begin);
	stage->duration_ns = to < stage->offset_ns ? 0 : (uint64_t)(to - stage->offset_ns);
}

static void fill_stages(struct dump_source *source, struct dump_call *call, const struct rpcprof_view *view,
                        uint64_t end)
{
	uint64_t begin = rpcprof_view_begin(view);
	struct rpcprof_timer_view timer;
	struct rpcprof_fold_view fold;

	call->stages = source->stages;
	for (uint32_t i = 0; i < view->slots && call->stage_count < DUMP_SOURCE_STAGES; i++)
		if (rpcprof_view_timer(view, i, &timer))
			fill_stage(source, &source->stages[call->stage_count++], &timer, begin, end);
	rpcprof_dump_nest(source->stages, call->stage_count);
	call->folded = rpcprof_view_folded(view);
	for (uint32_t i = 0; call->folded != 0 && i < RPCPROF_ACCUMULATORS; i++) {
		if (!rpcprof_view_fold(view, i, &fold))
			continue;
		call->folds[call->fold_count++] = (struct dump_fold){
			rpcprof_tag_name(fold.tag, NULL), fold.count,
			rpcprof_clock_elapsed_ns(&source->map, begin, begin + fold.total_ticks),
			rpcprof_clock_elapsed_ns(&source->map, begin, begin + fold.longest_ticks)};
	}
}

static void fill_attributes(struct dump_call *call, const struct rpcprof_view *view)
{
	const uint8_t *metadata;
	uint32_t key, value;
	size_t bytes;

	if (rpcprof_view_method(view) != 0)
		call->method = rpcprof_tag_name(rpcprof_view_method(view), NULL);
	call->has_status = rpcprof_view_has(view, RPCPROF_HAS_STATUS);
	call->status = rpcprof_view_status(view);
	call->has_connection = rpcprof_view_connection(view, &call->connection, &call->stream);
	call->has_trace = rpcprof_view_trace(view, call->trace_id, call->span_id);
	metadata = rpcprof_view_metadata(view, &bytes);
	if (bytes > sizeof(call->metadata))
		bytes = sizeof(call->metadata);
	call->metadata_bytes = (uint32_t)bytes;
	memcpy(call->metadata, metadata, bytes);
	for (uint32_t i = 0; i < RPCPROF_LABELS_MAX; i++) {
		if (!rpcprof_view_label(view, i, &key, &value))
			continue;
		call->labels[call->label_count].key = rpcprof_tag_name(key, NULL);
		call->labels[call->label_count++].value = rpcprof_tag_name(value, NULL);
	}
}

void rpcprof_dump_fill_call(struct dump_source *source, struct dump_call *call,
                            const struct rpcprof_view *view, bool in_flight)
{
	uint64_t begin = rpcprof_view_begin(view);
	uint64_t end = in_flight ? rpcprof_clock_now() : rpcprof_view_end(view);
	uint32_t open = in_flight ? rpcprof_view_open_stage(view) : 0;

	*call = (struct dump_call){.id = view->id, .in_flight = in_flight};
	call->side = rpcprof_tag_name(rpcprof_view_side(view), NULL);
	call->begin_utc_ns = rpcprof_clock_utc_ns(&source->map, begin, &call->date_error_ns);
	call->duration_ns = rpcprof_clock_elapsed_ns(&source->map, begin, end);
	if (open != 0)
		call->open_stage = rpcprof_tag_name(open, NULL);
	fill_attributes(call, view);
	fill_stages(source, call, view, end);
}

static const char *clock_name(enum rpcprof_clock_kind kind)
{
	return kind == RPCPROF_CLOCK_RAW         ? "raw"
	       : kind == RPCPROF_CLOCK_MONOTONIC ? "monotonic"
	                                         : "custom";
}

int rpcprof_dump_fill_header(const struct dump_source *source, struct dump_header *header,
                             const struct rpcprof_counters *counters)
{
	struct rpcprof_clock_info clock;
	int status = rpcprof_clock_get_info(&clock);

	if (status != 0)
		return status;
	*header = (struct dump_header){.pid = getpid(), .program = program_invocation_short_name};
	header->at_utc_ns =
		rpcprof_clock_utc_ns(&source->map, rpcprof_clock_now(), &header->date_error_ns);
	header->clock = clock_name(clock.kind);
	header->frequency_error_ppm = source->map.frequency_error_ppm;
	header->steps = source->map.steps;
	header->enabled = rpcprof_enabled();
	header->recorded = counters->pushed;
	header->displaced = counters->displaced;
	header->drained = counters->drained;
	header->dropped = counters->dropped_no_cell;
	header->discarded = counters->discarded;
	return 0;
}
