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

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &arguments->remote;
		return 0;
	case 'j':
		arguments->json = true;
		return 0;
	case ARGP_KEY_ARG:
		remote_refuse_argument(state, argument);
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
}

static json_t *json_of(const struct state *state)
{
	const Rpcprof__V1__Counters *counters = state->counters;
	const Rpcprof__V1__Requests *requests = state->requests;

	return json_pack(
		"{s:s, s:s, s:I, s:b, s:I, s:I, s:I, s:I,"
		" s:{s:I, s:I, s:I, s:I, s:I}, s:{s:s, s:I, s:f, s:I}, s:{s:I, s:I, s:I, s:I}}",
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
		"limited", (json_int_t)requests->limited);
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
	const struct arguments *arguments = arg;
	Rpcprof__V1__StatusResponse *response =
		rpcprof__v1__status_response__unpack(NULL, length, bytes);
	struct state state = {.response = response};
	int status = EXIT_DONE;

	if (response == NULL || response->header == NULL || response->header->clock == NULL) {
		rpcprof__v1__status_response__free_unpacked(response, NULL);
		return complain(EXIT_REMOTE, "%s: an answer that is none", arguments->remote.address);
	}
	state.header = response->header;
	state.clock = response->header->clock;
	state.counters = state.header->counters != NULL ? state.header->counters : &no_counters;
	state.requests = response->requests != NULL ? response->requests : &no_requests;
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
