/* SPDX-License-Identifier: Apache-2.0 */
/* enable and disable: the switch of a running process. */
#include "cli/remote_internal.h"
#include "rpcprof/v1/profiling.pb-c.h"

#include <stdio.h>

struct arguments {
	struct remote remote;
	Rpcprof__V1__EnableRequest request;
};

static error_t parse(int key, char *argument, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &arguments->remote;
		return 0;
	case 'f':
		arguments->request.duration_ns = parse_duration(state, "--for", argument);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* "recording: on for 5m (was off)" */
static int show(void *arg, const uint8_t *bytes, size_t length)
{
	const struct arguments *arguments = arg;
	Rpcprof__V1__EnableResponse *response =
		rpcprof__v1__enable_response__unpack(NULL, length, bytes);
	char time[DUMP_DURATION_CHARS];

	progress_end();
	if (response == NULL)
		return complain(EXIT_REMOTE, "%s: an answer that is none", arguments->remote.address);
	printf("recording: %s", arguments->request.enabled ? "on" : "off");
	if (arguments->request.duration_ns != 0) {
		rpcprof_dump_format_duration(time, arguments->request.duration_ns);
		printf(" for %s", time);
	}
	printf(" (was %s)\n", response->was_enabled ? "on" : "off");
	rpcprof__v1__enable_response__free_unpacked(response, NULL);
	return finish_stdout();
}

static int set(int argc, char **argv, bool enabled, const struct argp_option *options,
               const char *doc)
{
	const struct argp_child children[] = {{&remote_argp, 0, "Which process:", 1}, {0}};
	const struct argp argp = {
		.options = options, .parser = parse, .children = children, .doc = doc};
	struct arguments arguments = {.request = RPCPROF__V1__ENABLE_REQUEST__INIT};

	argp_parse(&argp, argc, argv, 0, NULL, &arguments);
	arguments.request.enabled = enabled;
	return remote_ask(&arguments.remote, "Enable", &arguments.request.base, 0, show, &arguments);
}

int command_enable(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"for", 'f', "TIME", 0,
	         "Off again after so long, whatever becomes of this command: 5m", 0},
		{0},
	};

	return set(argc, argv, true, options, "Switches recording on in a running process.");
}

int command_disable(int argc, char **argv)
{
	return set(argc, argv, false, NULL,
	           "Switches recording off in a running process; what was recorded stays.");
}
