/* SPDX-License-Identifier: Apache-2.0 */
/* The calls of saved dumps. */
#include "cli/calls_internal.h"

struct adding {
	struct calls *calls;
	const struct call_filter *filter;
	const char *path;
};

static int judge(int error, const char *path)
{
	return error == 0 ? EXIT_DONE : complain(EXIT_SYSTEM, "%s: out of memory", path);
}

static int add_call(void *arg, const struct dump_call *call)
{
	const struct adding *adding = arg;

	if (!call_filter_matches(adding->filter, call))
		return EXIT_DONE;
	return judge(report_calls_add(adding->calls, call), adding->path);
}

static int add_header(void *arg, const struct dump_header *header)
{
	const struct adding *adding = arg;

	return judge(report_calls_set_header(adding->calls, header), adding->path);
}

int calls_add_file(struct calls *calls, const struct input *input, const struct call_filter *filter)
{
	struct adding adding = {calls, filter, input->path};
	struct dump_receiver receiver = {add_header, add_call, &adding, 0};
	int status = judge(report_calls_begin_file(calls, input->path), input->path);

	if (status != EXIT_DONE)
		return status;
	status = input_each_call(input, &receiver);
	calls->files[calls->file_count - 1].torn = receiver.torn;
	return status;
}
