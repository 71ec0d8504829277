/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls as Chrome trace events, the JSON that Perfetto and chrome://tracing open.
 *
 * Source: the Trace Event Format. Times are microseconds, here from the begin of the first call, so
 * that a double holds their nanoseconds. A viewer stacks the slices of one track by containment,
 * and calls of one thread overlap; so a track is not a thread but a place for one call at a time,
 * and threads are arguments. Stages that overlap within a call get tracks beside it.
 */
#include "cli/sources_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "rpcprof/version.h"

#define NAME_BYTES_MAX 512 /* each event repeats it */

struct tracer {
	FILE *out;
	const struct calls *calls;
	char **quoted;     /* names as JSON, by id, made on first use */
	uint32_t *places;  /* of each call, in its group */
	uint32_t *widths;  /* of each group: tracks per call */
	uint32_t *heights; /* of each group: calls beside each other at most */
	bool failed;
	uint64_t events;
};

/* A group of tracks: the calls of one side in one file. Sides other than client are with server. */
static size_t group_of(const struct tracer *tracer, const struct call *call)
{
	return 2 * (size_t)call->file + (call->side == tracer->calls->client);
}

/* ---- tracks ---- */

static int64_t end_of(const struct call *call)
{
	int64_t length = call->duration_ns > INT64_MAX ? INT64_MAX : (int64_t)call->duration_ns, end;

	/* What begins where an empty call lies gets another track. */
	return __builtin_add_overflow(call->begin_utc_ns, length + (length == 0), &end) ? INT64_MAX
	                                                                               : end;
}

static int by_end(const void *left, const void *right, void *arg)
{
	const struct calls *calls = arg;
	int64_t a = end_of(&calls->list[*(const size_t *)left]);
	int64_t b = end_of(&calls->list[*(const size_t *)right]);

	return a < b ? -1 : a > b;
}

/* Places the calls of one group, which are in the order of their begins; `ending` has all by end.
 * The place freed last is taken first, so that calls one after another stay on one. */
static void place_group(struct tracer *tracer, size_t group, const size_t *ending,
                        uint32_t *free_places)
{
	const struct calls *calls = tracer->calls;
	size_t ended = 0, free_count = 0;

	for (size_t i = 0; i < calls->call_count; i++) {
		if (group_of(tracer, &calls->list[i]) != group)
			continue;
		for (; ended < calls->call_count &&
		       end_of(&calls->list[ending[ended]]) <= calls->list[i].begin_utc_ns;
		     ended++)
			if (group_of(tracer, &calls->list[ending[ended]]) == group)
				free_places[free_count++] = tracer->places[ending[ended]];
		tracer->places[i] = free_count > 0 ? free_places[--free_count]
		                                   : tracer->heights[group]++;
	}
}

static int place(struct tracer *tracer)
{
	const struct calls *calls = tracer->calls;
	size_t groups = 2 * calls->file_count;
	size_t *ending = reallocarray(NULL, calls->call_count + 1, sizeof(*ending));
	uint32_t *free_places = reallocarray(NULL, calls->call_count + 1, sizeof(*free_places));

	tracer->places = calloc(calls->call_count + 1, sizeof(*tracer->places));
	tracer->widths = calloc(groups + 1, sizeof(*tracer->widths));
	tracer->heights = calloc(groups + 1, sizeof(*tracer->heights));
	tracer->failed = ending == NULL || free_places == NULL || tracer->places == NULL ||
	                 tracer->widths == NULL || tracer->heights == NULL;
	for (size_t i = 0; !tracer->failed && i < calls->call_count; i++) {
		const struct call *call = &calls->list[i];
		uint32_t *width = &tracer->widths[group_of(tracer, call)];

		ending[i] = i;
		if (*width == 0)
			*width = 1;
		for (uint32_t k = 0; k < call->stage_count; k++)
			if (calls->stages[call->stages + k].lane >= *width)
				*width = calls->stages[call->stages + k].lane + 1;
	}
	if (!tracer->failed && calls->call_count > 1)
		qsort_r(ending, calls->call_count, sizeof(*ending), by_end, (void *)(uintptr_t)calls);
	for (size_t i = 0; !tracer->failed && i < groups; i++)
		place_group(tracer, i, ending, free_places);
	free(ending);
	free(free_places);
	return tracer->failed ? complain(EXIT_SYSTEM, "out of memory") : EXIT_DONE;
}

/* ---- events ---- */

/* Where a name has to end so that it is no longer than the limit, and whole characters. */
static size_t cut(const char *name)
{
	size_t length = strlen(name);

	if (length <= NAME_BYTES_MAX)
		return length;
	length = NAME_BYTES_MAX;
	while (length > 0 && ((unsigned char)name[length] & 0xc0) == 0x80)
		length--;
	return length;
}

/* The first `length` bytes of a name as a JSON string. NULL without memory. */
static char *quote(const char *name, size_t length)
{
	json_t *text = json_stringn(name, length);
	char *quoted = NULL;
	size_t bytes;
	FILE *out = open_memstream(&quoted, &bytes);

	if (out == NULL)
		return NULL;
	json_dumpf(text, out, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
	json_decref(text);
	fclose(out);
	return quoted;
}

/* A name as a JSON string. */
static const char *quoted(struct tracer *tracer, uint32_t id)
{
	if (tracer->quoted[id] == NULL) {
		const char *name = calls_name(tracer->calls, id);

		tracer->quoted[id] = quote(name, cut(name));
		tracer->failed |= tracer->quoted[id] == NULL;
	}
	return tracer->quoted[id] != NULL ? tracer->quoted[id] : "\"\"";
}

static uint64_t since_first(const struct tracer *tracer, const struct call *call)
{
	return (uint64_t)call->begin_utc_ns - (uint64_t)tracer->calls->list[0].begin_utc_ns;
}

static void begin_event(struct tracer *tracer, const char *phase)
{
	fprintf(tracer->out, "%s\n{\"ph\":\"%s\"", tracer->events++ == 0 ? "" : ",", phase);
}

static void put_time(struct tracer *tracer, const char *key, uint64_t ns)
{
	fprintf(tracer->out, ",\"%s\":%" PRIu64 ".%03u", key, ns / 1000, (unsigned int)(ns % 1000));
}

static void put_track(struct tracer *tracer, uint32_t file, uint32_t track)
{
	fprintf(tracer->out, ",\"pid\":%" PRIu32 ",\"tid\":%" PRIu32, file + 1, track + 1);
}

/* Tracks are numbered through the groups of a process: the server's first. */
static uint32_t track_of(const struct tracer *tracer, size_t index, uint32_t lane)
{
	const struct call *call = &tracer->calls->list[index];
	size_t group = group_of(tracer, call);
	uint32_t before = group % 2 == 0 ? 0 : tracer->heights[group - 1] * tracer->widths[group - 1];

	return before + tracer->places[index] * tracer->widths[group] + lane;
}

static void put_meta(struct tracer *tracer, const char *what, uint32_t file, uint32_t track,
                     const char *name)
{
	char *text = quote(name, cut(name));

	begin_event(tracer, "M");
	put_track(tracer, file, track);
	fprintf(tracer->out, ",\"name\":\"%s\",\"args\":{\"name\":%s}}", what,
	        text != NULL ? text : "\"\"");
	free(text);
}

static void put_hex(FILE *out, const char *key, const uint8_t *bytes, size_t count)
{
	fprintf(out, ",\"%s\":\"", key);
	for (size_t i = 0; i < count; i++)
		fprintf(out, "%02x", bytes[i]);
	fputc('"', out);
}

static void put_folds(struct tracer *tracer, const struct call *call)
{
	fputs(",\"folded\":[", tracer->out);
	for (uint32_t i = 0; i < call->fold_count; i++) {
		const struct call_fold *fold = &tracer->calls->folds[call->folds + i];

		fprintf(tracer->out, "%s{\"tag\":%s,\"count\":%" PRIu64, i == 0 ? "" : ",",
		        quoted(tracer, fold->tag), fold->count);
		put_time(tracer, "total_us", fold->total_ns);
		put_time(tracer, "longest_us", fold->longest_ns);
		fputc('}', tracer->out);
	}
	fputc(']', tracer->out);
}

static void put_call_arguments(struct tracer *tracer, const struct call *call)
{
	const char *status = call->has_status ? rpcprof_dump_status_name(call->status) : NULL;

	fprintf(tracer->out, ",\"args\":{\"id\":\"%016" PRIx64 "\"", call->id);
	if (status != NULL)
		fprintf(tracer->out, ",\"status\":\"%s\"", status);
	else if (call->has_status)
		fprintf(tracer->out, ",\"status\":\"%" PRId32 "\"", call->status);
	if (call->in_flight)
		fputs(",\"in_flight\":true", tracer->out);
	if (call->has_trace) {
		put_hex(tracer->out, "trace_id", call->trace_id, sizeof(call->trace_id));
		put_hex(tracer->out, "span_id", call->span_id, sizeof(call->span_id));
	}
	if (call->fold_count != 0)
		put_folds(tracer, call);
	fputs("}}", tracer->out);
}

/* A slice must lie within the one it is drawn on: what of a stage is outside its call is cut off,
 * and the stage's own times become arguments. */
static void put_stage(struct tracer *tracer, size_t index, const struct call_stage *stage)
{
	const struct call *call = &tracer->calls->list[index];
	uint64_t begin = call_clip(stage->offset_ns, call->duration_ns);
	uint64_t end = call_clip(report_stage_end(stage), call->duration_ns);

	begin_event(tracer, "X");
	put_track(tracer, call->file, track_of(tracer, index, stage->lane));
	put_time(tracer, "ts", since_first(tracer, call) + begin);
	put_time(tracer, "dur", end - begin);
	fprintf(tracer->out, ",\"cat\":\"stage\",\"name\":%s,\"args\":{\"thread\":%" PRIu32,
	        quoted(tracer, stage->tag), stage->thread);
	if (stage->open)
		fputs(",\"open\":true", tracer->out);
	if (end - begin != stage->duration_ns)
		fprintf(tracer->out, ",\"offset_ns\":%" PRId64 ",\"duration_ns\":%" PRIu64,
		        stage->offset_ns, stage->duration_ns);
	fputs("}}", tracer->out);
}

/* An arrow from a client's call to the server's. */
static void put_flow(struct tracer *tracer, size_t index)
{
	const struct call *call = &tracer->calls->list[index];
	bool is_client = call->side == tracer->calls->client;

	begin_event(tracer, is_client ? "s" : "f");
	put_track(tracer, call->file, track_of(tracer, index, 0));
	put_time(tracer, "ts", since_first(tracer, call));
	fprintf(tracer->out, ",\"cat\":\"rpc\",\"name\":\"rpc\",\"id\":%zu%s}",
	        is_client ? index : call->other, is_client ? "" : ",\"bp\":\"e\"");
}

static void put_call(struct tracer *tracer, size_t index)
{
	const struct call *call = &tracer->calls->list[index];

	begin_event(tracer, "X");
	put_track(tracer, call->file, track_of(tracer, index, 0));
	put_time(tracer, "ts", since_first(tracer, call));
	put_time(tracer, "dur", call->duration_ns);
	fprintf(tracer->out, ",\"cat\":%s,\"name\":%s", quoted(tracer, call->side),
	        quoted(tracer, call->method));
	put_call_arguments(tracer, call);
	for (uint32_t i = 0; i < call->stage_count; i++)
		put_stage(tracer, index, &tracer->calls->stages[call->stages + i]);
	if (call->other != CALLS_NONE)
		put_flow(tracer, index);
}

static void put_track_names(struct tracer *tracer, size_t group)
{
	const char *side = group % 2 == 0 ? "server" : "client";
	uint32_t first = group % 2 == 0 ? 0 : tracer->heights[group - 1] * tracer->widths[group - 1];
	char name[64];

	for (uint32_t i = 0; i < tracer->heights[group] * tracer->widths[group]; i++) {
		snprintf(name, sizeof(name), "%s %" PRIu32 "%s", side, i / tracer->widths[group] + 1,
		         i % tracer->widths[group] == 0 ? "" : ", at the same time");
		put_meta(tracer, "thread_name", (uint32_t)(group / 2), first + i, name);
	}
}

static void put_names(struct tracer *tracer)
{
	const struct calls *calls = tracer->calls;
	char *name;

	for (uint32_t i = 0; i < calls->file_count; i++) {
		if (asprintf(&name, "%s (pid %" PRId64 ")", calls_name(calls, calls->files[i].program),
		             calls->files[i].pid) < 0) {
			tracer->failed = true;
			return;
		}
		put_meta(tracer, "process_name", i, 0, name);
		free(name);
		put_track_names(tracer, 2 * (size_t)i);
		put_track_names(tracer, 2 * (size_t)i + 1);
	}
}

static void put_trace(struct tracer *tracer)
{
	const struct calls *calls = tracer->calls;
	char begin[40] = "";

	if (calls->call_count != 0)
		rpcprof_dump_format_date(begin, calls->list[0].begin_utc_ns);
	fprintf(tracer->out,
	        "{\"displayTimeUnit\":\"ns\",\"otherData\":{\"generator\":\"rpcprof %s\","
	        "\"begin_utc\":\"%s\",\"calls\":%zu,\"joined\":%zu,\"note\":\"%s\"},"
	        "\"traceEvents\":[",
	        rpcprof_version(), begin, calls->call_count, calls->joined,
	        calls->call_count == 0 ? "no calls" : report_calls_why_not_joined(calls));
	put_names(tracer);
	for (size_t i = 0; i < calls->call_count && !tracer->failed; i++) {
		if (i % 1024 == 0)
			progress("trace", i, calls->call_count);
		put_call(tracer, i);
	}
	fputs("\n]}\n", tracer->out);
}

static void close_tracer(struct tracer *tracer)
{
	for (size_t i = 0; tracer->quoted != NULL && i < tracer->calls->names->texts_count; i++)
		free(tracer->quoted[i]);
	free(tracer->quoted);
	free(tracer->places);
	free(tracer->widths);
	free(tracer->heights);
}

int trace_write(FILE *out, const struct loaded *loaded)
{
	struct tracer tracer = {.out = out, .calls = &loaded->calls};
	int status = place(&tracer);

	if (status == EXIT_DONE) {
		tracer.quoted = calloc(loaded->names->texts_count, sizeof(*tracer.quoted));
		tracer.failed = tracer.quoted == NULL;
		if (!tracer.failed)
			put_trace(&tracer);
		if (tracer.failed)
			status = complain(EXIT_SYSTEM, "out of memory");
	}
	close_tracer(&tracer);
	return status;
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
	(void)argument;
	if (key != ARGP_KEY_INIT)
		return ARGP_ERR_UNKNOWN;
	state->child_inputs[0] = state->input;
	return 0;
}

int command_trace(int argc, char **argv)
{
	static const struct argp_child children[] = {{&sources_argp, 0, NULL, 0}, {0}};
	static const struct argp argp = {
		.parser = parse,
		.children = children,
		.args_doc = "[FILE...]",
		.doc = "Writes the calls of saved dumps, or, without FILE, of a running process, as Chrome trace events, the JSON that "
		       "ui.perfetto.dev and chrome://tracing open: a slice per call and, on it, per "
		       "stage; an arrow from a client's call to the server's if both are there and "
		       "joined by trace context. FILE - is standard input.",
	};
	struct sources sources = {0};
	struct loaded loaded;
	int status;

	argp_parse(&argp, argc, argv, 0, NULL, &sources);
	status = loaded_open(&loaded);
	if (status == EXIT_DONE)
		status = sources_load_calls(&sources, &loaded);
	if (status == EXIT_DONE)
		status = sources_write(&sources, &loaded, NULL, trace_write);
	loaded_close(&loaded);
	return status;
}
