/* SPDX-License-Identifier: Apache-2.0 */
#include "export/dump_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Timer slots of the largest cell, with some to spare. */
#define STAGES 64

struct dump {
	struct dump_writer writer;
	struct rpcprof_clock_map map;
	int status;
	struct dump_stage stages[STAGES];
};

/* Signed nanoseconds from the call's begin to a tick. */
static int64_t offset_ns(const struct dump *dump, uint64_t begin, uint64_t ticks)
{
	if ((int64_t)(ticks - begin) < 0)
		return -(int64_t)rpcprof_clock_elapsed_ns(&dump->map, ticks, begin);
	return (int64_t)rpcprof_clock_elapsed_ns(&dump->map, begin, ticks);
}

/* Boundaries first, then their difference: so stages that touch in ticks touch in ns. */
static void fill_stage(const struct dump *dump, struct dump_stage *stage,
                       const struct rpcprof_timer_view *timer, uint64_t begin, uint64_t end)
{
	int64_t to = offset_ns(dump, begin, timer->end != 0 ? timer->end : end);

	stage->tag = rpcprof_tag_name(timer->tag, NULL);
	stage->thread = timer->thread;
	stage->open = timer->end == 0;
	stage->offset_ns = offset_ns(dump, begin, timer->begin);
	stage->duration_ns = to < stage->offset_ns ? 0 : (uint64_t)(to - stage->offset_ns);
}

static void fill_stages(struct dump *dump, struct dump_call *call, const struct rpcprof_view *view,
                        uint64_t end)
{
	uint64_t begin = rpcprof_view_begin(view);
	struct rpcprof_timer_view timer;
	struct rpcprof_fold_view fold;

	call->stages = dump->stages;
	for (uint32_t i = 0; i < view->slots && call->stage_count < STAGES; i++)
		if (rpcprof_view_timer(view, i, &timer))
			fill_stage(dump, &dump->stages[call->stage_count++], &timer, begin, end);
	rpcprof_dump_nest(dump->stages, call->stage_count);
	call->folded = rpcprof_view_folded(view);
	for (uint32_t i = 0; call->folded != 0 && i < RPCPROF_ACCUMULATORS; i++) {
		if (!rpcprof_view_fold(view, i, &fold))
			continue;
		call->folds[call->fold_count++] = (struct dump_fold){
			rpcprof_tag_name(fold.tag, NULL), fold.count,
			rpcprof_clock_elapsed_ns(&dump->map, begin, begin + fold.total_ticks),
			rpcprof_clock_elapsed_ns(&dump->map, begin, begin + fold.longest_ticks)};
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

static int write_view(struct dump *dump, const struct rpcprof_view *view, bool in_flight)
{
	uint64_t begin = rpcprof_view_begin(view);
	uint64_t end = in_flight ? rpcprof_clock_now() : rpcprof_view_end(view);
	struct dump_call call = {.id = view->id, .in_flight = in_flight};
	uint32_t open = in_flight ? rpcprof_view_open_stage(view) : 0;

	call.side = rpcprof_tag_name(rpcprof_view_side(view), NULL);
	call.begin_utc_ns = rpcprof_clock_utc_ns(&dump->map, begin, &call.date_error_ns);
	call.duration_ns = rpcprof_clock_elapsed_ns(&dump->map, begin, end);
	if (open != 0)
		call.open_stage = rpcprof_tag_name(open, NULL);
	fill_attributes(&call, view);
	fill_stages(dump, &call, view, end);
	dump->status = rpcprof_dump_write_call(&dump->writer, &call);
	return dump->status;
}

static int write_finished(void *arg, const struct rpcprof_view *view)
{
	return write_view(arg, view, false);
}

static int write_in_flight(void *arg, const struct rpcprof_view *view)
{
	return write_view(arg, view, true);
}

static const char *clock_name(enum rpcprof_clock_kind kind)
{
	return kind == RPCPROF_CLOCK_RAW         ? "raw"
	       : kind == RPCPROF_CLOCK_MONOTONIC ? "monotonic"
	                                         : "custom";
}

static int write_header(struct dump *dump, const struct rpcprof_counters *counters)
{
	struct rpcprof_clock_info clock;
	struct dump_header header = {.pid = getpid(), .program = program_invocation_short_name};
	int status = rpcprof_clock_get_info(&clock);

	if (status != 0)
		return status;
	header.at_utc_ns =
		rpcprof_clock_utc_ns(&dump->map, rpcprof_clock_now(), &header.date_error_ns);
	header.clock = clock_name(clock.kind);
	header.frequency_error_ppm = dump->map.frequency_error_ppm;
	header.steps = dump->map.steps;
	header.enabled = rpcprof_enabled();
	header.recorded = counters->pushed;
	header.displaced = counters->displaced;
	header.drained = counters->drained;
	header.dropped = counters->dropped_no_cell;
	header.discarded = counters->discarded;
	return rpcprof_dump_write_begin(&dump->writer, &header);
}

static bool wants_colour(FILE *out, uint32_t colour)
{
	const char *no_colour = getenv("NO_COLOR");

	if (colour != RPCPROF_DUMP_COLOUR_AUTO)
		return colour == RPCPROF_DUMP_COLOUR_ALWAYS;
	return isatty(fileno(out)) == 1 && (no_colour == NULL || no_colour[0] == '\0');
}

static int read_options(struct rpcprof_dump_options *options,
                        const struct rpcprof_dump_options *given)
{
	if (given == NULL) {
		options->calls = RPCPROF_DUMP_FINISHED;
		return 0;
	}
	if (given->size != sizeof(*options))
		return -EINVAL;
	*options = *given;
	if (options->calls == 0)
		options->calls = RPCPROF_DUMP_FINISHED;
	if (options->format > RPCPROF_DUMP_JSON_LINES ||
	    options->colour > RPCPROF_DUMP_COLOUR_ALWAYS ||
	    options->calls > (RPCPROF_DUMP_FINISHED | RPCPROF_DUMP_IN_FLIGHT) ||
	    (options->filter.size != 0 && options->filter.size != sizeof(options->filter)))
		return -EINVAL;
	return 0;
}

static int write_calls(struct dump *dump, const struct rpcprof_dump_options *options)
{
	const struct rpcprof_filter *filter = options->filter.size != 0 ? &options->filter : NULL;
	int64_t count = 0;

	if (options->calls & RPCPROF_DUMP_FINISHED)
		count = rpcprof_snapshot(filter, write_finished, dump);
	if (count >= 0 && dump->status == 0 && (options->calls & RPCPROF_DUMP_IN_FLIGHT))
		count = rpcprof_inflight(filter, write_in_flight, dump);
	return count < 0 ? (int)count : dump->status;
}

int64_t rpcprof_dump(FILE *out, const struct rpcprof_dump_options *given)
{
	struct rpcprof_dump_options options = {0};
	struct rpcprof_counters before, after;
	struct dump dump = {.writer.out = out};
	int status = read_options(&options, given);

	if (status == 0)
		status = rpcprof_clock_map_get(&dump.map);
	if (status == 0)
		status = rpcprof_counters_get(&before);
	if (status != 0)
		return status;
	dump.writer.format = options.format;
	dump.writer.colour = wants_colour(out, options.colour);
	status = write_header(&dump, &before);
	if (status == 0)
		status = write_calls(&dump, &options);
	if (status == 0)
		status = rpcprof_counters_get(&after);
	if (status == 0)
		status = rpcprof_dump_write_end(&dump.writer, after.torn - before.torn);
	return status != 0 ? status : (int64_t)dump.writer.calls;
}
