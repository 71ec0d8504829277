/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_FILTER_INTERNAL_H
#define RPCPROF_FILTER_INTERNAL_H

/* Which calls of a dump: the options that all commands on calls share, as a child of their argp. */
#include "cli/input_internal.h"

struct call_filter {
	const char *side, *method;
	uint64_t last; /* 0 = all; counted by the command */
	uint64_t min_duration_ns;
	int32_t status;
	bool by_status, in_flight, finished;
};

/* Its input is a struct call_filter, zeroed. */
extern const struct argp call_filter_argp;

bool call_filter_matches(const struct call_filter *filter, const struct dump_call *call);
/* Whether anything but `last` is asked for, which profiles cannot give: they have no calls. */
bool call_filter_is_of_calls(const struct call_filter *filter);

/* Writes the calls of a dump that match, in the writer's form. An exit_code. */
int dump_copy(const struct input *input, const struct call_filter *filter,
              struct dump_writer *writer);

#endif
