/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/remote_internal.h"
#include "rpcprof/v1/profiling.pb-c.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

struct arguments {
	struct remote remote;
	bool json;
};

static error_t parse(int key, char *argument, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	(void)argument;
	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &arguments->remote;
		return 0;
	case 'j':
		arguments->json = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* A status with all its parts there. */
struct state {
	const Rpcprof__V1__StatusResponse *response;
	const Rpcprof__V1__Header *header;
	const Rpcprof__V1__Counters *counters;
	const Rpcprof__V1__Clock *clock;
	const Rpcprof__V1__Requests *requests;
	const Rpcprof__V1__Exporter *exporter;
};

static void print_recording(const struct state *state)
{
	char time[DUMP_DURATION_CHARS];

	printf("recording   %s", state->header->enabled ? "on" : "off");
	if (state->response->off_in_ns != 0) {
		rpcprof_dump_format_duration(time, state->response->off_in_ns);
		printf(", off in %s", time);
	}
	fputc('\n', stdout);
}

static void print_clock(const Rpcprof__V1__Clock *clock)
{
	char error[DUMP_DURATION_CHARS];

	rpcprof_dump_format_duration(error, clock->date_error_ns);
	fputs("clock       ", stdout);
	rpcprof_dump_print_name(stdout, clock->kind);
	printf(", dates within %s, durations within %.1f ppm, %" PRIu64
	       " steps of the wall clock\n",
	       error, clock->frequency_error_ppm, clock->steps);
}

static void print_exporter(const Rpcprof__V1__Exporter *exporter)
{
	if (!exporter->running && exporter->windows == 0)
		return;
	printf("exporter    %s, %" PRIu64 " windows, %" PRIu64 " calls, %" PRIu64
	       " that ended and are in no profile\n",
	       exporter->running ? "on" : "off", exporter->windows, exporter->calls,
	       exporter->unaggregated);
	if (exporter->files != 0 || exporter->write_errors != 0)
		printf("            %" PRIu64 " files of %" PRIu64 " bytes, %" PRIu64 " not written\n",
		       exporter->files, exporter->file_bytes, exporter->write_errors);
	if (exporter->last_error[0] != '\0') {
		fputs("            last error: ", stdout);
		rpcprof_dump_print_name(stdout, exporter->last_error);
		fputc('\n', stdout);
	}
}

/* By the process's clock, which may be another machine's. */
static void print_ago(const struct state *state, const char *what, int64_t utc_ns)
{
	int64_t ago = state->header->at_utc_ns - utc_ns;
	char time[DUMP_DURATION_CHARS];

	if (utc_ns == 0)
		return;
	rpcprof_dump_format_duration(time, ago > 0 ? (uint64_t)ago : 0);
	printf("            %s %s ago\n", what, time);
}

static void print_push(const struct state *state, const Rpcprof__V1__Push *push)
{
	fputs("push        ", stdout);
	rpcprof_dump_print_name(stdout, push->url);
	printf("\n            %" PRIu64 " profiles, %" PRIu64 " sent (%" PRIu64 " bytes), %" PRIu64
	       " queued, %" PRIu64 " spooled; tried again %" PRIu64 " times\n",
	       push->taken + push->split + push->unspooled, push->sent, push->sent_bytes, push->queued,
	       push->spooled, push->retried);
	printf("            dropped: %" PRIu64 " refused, %" PRIu64 " for want of room, %" PRIu64
	       " uncertain, %" PRIu64 " old, %" PRIu64 " invalid, %" PRIu64 " at the end\n",
	       push->dropped_refused, push->dropped_full, push->dropped_uncertain,
	       push->dropped_old, push->dropped_invalid, push->dropped_closed);
	print_ago(state, "last success", push->last_success_utc_ns);
	print_ago(state, "last failure", push->last_failure_utc_ns);
	if (push->last_error[0] != '\0') {
		fputs("            ", stdout);
		rpcprof_dump_print_name(stdout, push->last_error);
		fputc('\n', stdout);
	}
}

static void print_text(const struct state *state)
{
	const Rpcprof__V1__Counters *counters = state->counters;
	const Rpcprof__V1__Requests *requests = state->requests;

	rpcprof_dump_print_name(stdout, state->header->program);
	printf(", pid %" PRId64 ", rpcprof ", state->header->pid);
	rpcprof_dump_print_name(stdout, state->response->version);
	fputc('\n', stdout);
	print_recording(state);
	printf("calls       %" PRIu64 " recorded, %" PRIu64 " in flight; the last %" PRIu64
	       " are kept\n",
	       counters->recorded, state->response->in_flight, state->response->capacity);
	printf("            %" PRIu64 " displaced by newer ones, %" PRIu64 " drained (%" PRIu64
	       " of them unacknowledged)\n",
	       counters->displaced, counters->drained, state->response->unacknowledged);
	printf("            %" PRIu64 " not recorded for want of memory, %" PRIu64
	       " discarded by the program\n",
	       counters->dropped, counters->discarded);
	print_clock(state->clock);
	printf("requests    %" PRIu64 ", refused: %" PRIu64 " without a token, %" PRIu64
	       " with too little a one, %" PRIu64 " too many or too large\n",
	       requests->begun, requests->unauthenticated, requests->denied, requests->limited);
	print_exporter(state->exporter);
	for (size_t i = 0; i < state->response->n_pushes; i++)
		print_push(state, state->response->pushes[i]);
}

static json_t *json_of_exporter(const Rpcprof__V1__Exporter *exporter)
{
	return json_pack("{s:b, s:I, s:I, s:I, s:I, s:s, s:I, s:I, s:I}", "running",
	                 exporter->running, "windows", (json_int_t)exporter->windows, "files",
	                 (json_int_t)exporter->files, "file_bytes",
	                 (json_int_t)exporter->file_bytes, "write_errors",
	                 (json_int_t)exporter->write_errors, "last_error", exporter->last_error,
	                 "calls", (json_int_t)exporter->calls, "unaggregated",
	                 (json_int_t)exporter->unaggregated, "overflow",
	                 (json_int_t)exporter->overflow);
}

static json_t *json_of_push(const Rpcprof__V1__Push *push)
{
	json_t *json = json_pack("{s:s, s:s}", "url", push->url, "last_error", push->last_error);

#define X(field) (void)json_object_set_new(json, #field, json_integer((json_int_t)push->field));
	X(taken) X(split) X(sent) X(sent_bytes) X(retried) X(queued) X(queued_bytes)
	X(dropped_full) X(dropped_refused) X(dropped_uncertain) X(dropped_old) X(dropped_invalid)
	X(dropped_closed) X(spooled) X(unspooled) X(spool_errors) X(last_success_utc_ns)
	X(last_failure_utc_ns) X(last_status)
#undef X
	return json;
}

static json_t *json_of_pushes(const Rpcprof__V1__StatusResponse *response)
{
	json_t *pushes = json_array();

	for (size_t i = 0; i < response->n_pushes; i++)
		(void)json_array_append_new(pushes, json_of_push(response->pushes[i]));
	return pushes;
}

static json_t *json_of(const struct state *state)
{
	const Rpcprof__V1__Counters *counters = state->counters;
	const Rpcprof__V1__Requests *requests = state->requests;

	return json_pack(
		"{s:s, s:s, s:I, s:b, s:I, s:I, s:I, s:I,"
		" s:{s:I, s:I, s:I, s:I, s:I}, s:{s:s, s:I, s:f, s:I}, s:{s:I, s:I, s:I, s:I},"
		" s:o, s:o}",
		"program", state->header->program, "version", state->response->version, "pid",
		(json_int_t)state->header->pid, "enabled", state->header->enabled, "off_in_ns",
		(json_int_t)state->response->off_in_ns, "capacity",
		(json_int_t)state->response->capacity, "in_flight",
		(json_int_t)state->response->in_flight, "unacknowledged",
		(json_int_t)state->response->unacknowledged, "counters", "recorded",
		(json_int_t)counters->recorded, "displaced", (json_int_t)counters->displaced,
		"drained", (json_int_t)counters->drained, "discarded",
		(json_int_t)counters->discarded, "dropped", (json_int_t)counters->dropped, "clock",
		"kind", state->clock->kind, "date_error_ns",
		(json_int_t)state->clock->date_error_ns, "frequency_error_ppm",
		state->clock->frequency_error_ppm, "steps", (json_int_t)state->clock->steps,
		"requests", "begun", (json_int_t)requests->begun, "unauthenticated",
		(json_int_t)requests->unauthenticated, "denied", (json_int_t)requests->denied,
		"limited", (json_int_t)requests->limited, "exporter",
		json_of_exporter(state->exporter), "pushes", json_of_pushes(state->response));
}

static int print_json(const struct state *state)
{
	json_t *json = json_of(state);

	if (json == NULL)
		return complain(EXIT_SYSTEM, "out of memory");
	(void)json_dumpf(json, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
	fputc('\n', stdout);
	json_decref(json);
	return EXIT_DONE;
}

static int show(void *arg, const uint8_t *bytes, size_t length)
{
	const Rpcprof__V1__Counters no_counters = RPCPROF__V1__COUNTERS__INIT;
	const Rpcprof__V1__Requests no_requests = RPCPROF__V1__REQUESTS__INIT;
	const Rpcprof__V1__Exporter no_exporter = RPCPROF__V1__EXPORTER__INIT;
	const struct arguments *arguments = arg;
	Rpcprof__V1__StatusResponse *response =
		rpcprof__v1__status_response__unpack(NULL, length, bytes);
	struct state state = {.response = response};
	int status = EXIT_DONE;

	progress_end();
	if (response == NULL || response->header == NULL || response->header->clock == NULL) {
		rpcprof__v1__status_response__free_unpacked(response, NULL);
		return complain(EXIT_REMOTE, "%s: an answer that is none", arguments->remote.address);
	}
	state.header = response->header;
	state.clock = response->header->clock;
	state.counters = state.header->counters != NULL ? state.header->counters : &no_counters;
	state.requests = response->requests != NULL ? response->requests : &no_requests;
	state.exporter = response->exporter != NULL ? response->exporter : &no_exporter;
	if (arguments->json)
		status = print_json(&state);
	else
		print_text(&state);
	rpcprof__v1__status_response__free_unpacked(response, NULL);
	return status == EXIT_DONE ? finish_stdout() : status;
}

int command_status(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"json", 'j', NULL, 0, "As JSON", 0},
		{0},
	};
	static const struct argp_child children[] = {{&remote_argp, 0, "Which process:", 1}, {0}};
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.children = children,
		.doc = "Whether a running process records, and what it has recorded."};
	Rpcprof__V1__StatusRequest request = RPCPROF__V1__STATUS_REQUEST__INIT;
	struct arguments arguments = {0};

	argp_parse(&argp, argc, argv, 0, NULL, &arguments);
	return remote_ask(&arguments.remote, "Status", &request.base, 0, show, &arguments);
}
