/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/page_internal.h"

#include <stdlib.h>

#include "report/page_internal.h"

struct arguments {
	struct sources sources;
	const char *base;
	const char *type;
};

static error_t parse(int key, char *argument, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &arguments->sources;
		return 0;
	case 'b':
		arguments->base = argument;
		return 0;
	case 't':
		arguments->type = argument;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int page_write(FILE *out, const struct loaded *loaded, const char *base)
{
	const struct report_page page = {loaded->names, &loaded->calls, &loaded->tree, base != NULL,
	                                 progress};

	json_memory_limit();
	if (report_page_write(out, &page) == 0)
		return EXIT_DONE;
	return complain(EXIT_SYSTEM, "more memory is needed than there is, or than 1 GiB; "
	                             "--last N takes fewer calls");
}

static int write_report(const struct arguments *arguments, const struct loaded *loaded)
{
	struct output output;
	int status = output_open(&output, arguments->sources.output, "a page");

	if (status != EXIT_DONE)
		return status;
	return output_close(&output, page_write(output.stream, loaded, arguments->base));
}

int command_report(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"base", 'b', "FILE", 0, "Compare with this dump or profile, in the flame graph", 0},
		{"type", 't', "TYPE", 0,
	         "Sample type of a profile; default wall, or the profile's own default", 0},
		{0},
	};
	static const struct argp_child children[] = {{&sources_argp, 0, NULL, 0}, {0}};
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.children = children,
		.args_doc = "[FILE...]",
		.doc = "Writes one HTML page that needs nothing else, also offline: a flame graph, "
		       "the latency of each method and stage, every call with its stages, client "
		       "over server where both are there and joined, and the slowest calls. Of "
		       "dumps, or, without FILE, of a running process; of profiles, which have no single "
		       "calls, the flame graph alone. "
		       "FILE - is standard input.",
	};
	struct arguments arguments = {0};
	struct loaded loaded;
	int status;

	argp_parse(&argp, argc, argv, 0, NULL, &arguments);
	status = loaded_open(&loaded);
	if (status == EXIT_DONE)
		status = sources_load_tree(&arguments.sources, &loaded, arguments.type);
	if (status == EXIT_DONE && arguments.base != NULL)
		status = sources_load_base(&arguments.sources, &loaded, arguments.base,
		                           arguments.type);
	if (status == EXIT_DONE)
		status = write_report(&arguments, &loaded);
	loaded_close(&loaded);
	return status;
}
