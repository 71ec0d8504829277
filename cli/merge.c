/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/input_internal.h"

#include <errno.h>
#include <stdlib.h>

struct arguments {
	const char *output;
	char **files;
	size_t count;
};

static error_t parse(int key, char *argument, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	switch (key) {
	case 'o':
		arguments->output = argument;
		return 0;
	case ARGP_KEY_ARGS:
		arguments->files = state->argv + state->next;
		arguments->count = (size_t)(state->argc - state->next);
		return 0;
	case ARGP_KEY_END:
		if (arguments->output == NULL)
			argp_error(state, "-o OUT says where the merged profile goes");
		if (arguments->count == 0)
			argp_error(state, "no profiles to merge");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static int merge_file(struct rpcprof_pprof *into, const char *path)
{
	struct pprof_error error;
	struct input input;
	int status = input_open(&input, path);

	if (status != EXIT_DONE)
		return status;
	if (input.profile == NULL) {
		status = complain(EXIT_BAD_INPUT, "%s: byte 0: a dump; only profiles can be merged",
		                  path);
	} else {
		int merged = rpcprof_pprof_merge(into, input.profile, false, &error);

		if (merged == -ENOMEM)
			status = complain(EXIT_SYSTEM, "%s: out of memory", path);
		else if (merged != 0)
			status = input_complain(&input, error.offset, error.text,
			                        "merge it apart from the others");
	}
	input_close(&input);
	return status;
}

static int merge_files(struct rpcprof_pprof *into, const struct arguments *arguments)
{
	uint8_t *bytes;
	size_t length;
	int status = EXIT_DONE;

	for (size_t i = 0; status == EXIT_DONE && i < arguments->count; i++) {
		progress("merging", i, arguments->count);
		status = merge_file(into, arguments->files[i]);
	}
	if (status != EXIT_DONE)
		return status;
	rpcprof_pprof_drop_zero_samples(into);
	if (rpcprof_pprof_encode(into, &bytes, &length) != 0)
		return complain(EXIT_SYSTEM, "out of memory");
	progress_end();
	status = write_file(arguments->output, bytes, length);
	free(bytes);
	return status;
}

int command_merge(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"output", 'o', "OUT", 0, "Where the merged profile goes; - for stdout", 0},
		{0},
	};
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.args_doc = "FILE...",
		.doc = "Writes one profile with the samples of all. Equal stacks become one, "
		       "values "
		       "and durations add up, the time is the earliest. OUT is written whole or "
		       "not at all.",
	};
	struct arguments arguments = {0};
	struct rpcprof_pprof *into;
	int status;

	argp_parse(&argp, argc, argv, 0, NULL, &arguments);
	into = rpcprof_pprof_model_open(PPROF_MEMORY_MAX);
	if (into == NULL)
		return complain(EXIT_SYSTEM, "out of memory");
	status = merge_files(into, &arguments);
	rpcprof_pprof_close(into);
	return status;
}
