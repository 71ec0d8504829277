/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/filter_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum option_key { SIDE = 512, METHOD, STATUS, MIN_DURATION, IN_FLIGHT, FINISHED };

static void parse_status(struct argp_state *state, struct call_filter *filter, const char *text)
{
	char *end;
	long number;

	filter->by_status = true;
	for (filter->status = 0; rpcprof_dump_status_name(filter->status) != NULL;
	     filter->status++)
		if (strcasecmp(text, rpcprof_dump_status_name(filter->status)) == 0)
			return;
	errno = 0;
	number = strtol(text, &end, 10);
	if (end == text || *end != '\0' || errno != 0 || number < INT32_MIN || number > INT32_MAX)
		argp_error(state,
		           "--status takes a number or a gRPC status like UNAVAILABLE, "
		           "not \"%s\"",
		           text);
	filter->status = (int32_t)number;
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
	struct call_filter *filter = state->input;

	switch (key) {
	case 'n':
		filter->last = parse_count(state, "--last", argument);
		return 0;
	case SIDE:
		filter->side = argument;
		return 0;
	case METHOD:
		filter->method = argument;
		return 0;
	case STATUS:
		parse_status(state, filter, argument);
		return 0;
	case MIN_DURATION:
		filter->min_duration_ns = parse_duration(state, "--min-duration", argument);
		return 0;
	case IN_FLIGHT:
		filter->in_flight = true;
		return 0;
	case FINISHED:
		filter->finished = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = {
	{"last", 'n', "N", 0, "Only the last N of the calls that match", 0},
	{"side", SIDE, "SIDE", 0, "Only calls of this side: server or client", 0},
	{"method", METHOD, "METHOD", 0, "Only calls of /package.Service/Method", 0},
	{"status", STATUS, "STATUS", 0, "Only calls that ended so: UNAVAILABLE, or 14", 0},
	{"min-duration", MIN_DURATION, "TIME", 0,
	         "Only calls that took at least so long: 5ms, 100us", 0},
	{"finished", FINISHED, NULL, 0, "Only calls that had finished", 0},
	{"in-flight", IN_FLIGHT, NULL, 0, "Only calls that had not", 0},
	{0},
};

const struct argp call_filter_argp = {.options = options, .parser = parse};

bool call_filter_is_of_calls(const struct call_filter *filter)
{
	return filter->side != NULL || filter->method != NULL || filter->by_status ||
	       filter->min_duration_ns != 0 || filter->in_flight || filter->finished;
}

bool call_filter_matches(const struct call_filter *filter, const struct dump_call *call)
{
	if (filter->side != NULL && strcmp(filter->side, call->side) != 0)
		return false;
	if (filter->method != NULL &&
	    (call->method == NULL || strcmp(filter->method, call->method) != 0))
		return false;
	if (filter->by_status && (!call->has_status || call->status != filter->status))
		return false;
	if (filter->in_flight != filter->finished && call->in_flight != filter->in_flight)
		return false;
	return call->duration_ns >= filter->min_duration_ns;
}
