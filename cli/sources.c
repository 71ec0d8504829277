/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/sources_internal.h"

#include <stdlib.h>

static error_t parse(int key, char *argument, struct argp_state *state)
{
	struct sources *sources = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		sources->output = "-";
		state->child_inputs[0] = &sources->filter;
		state->child_inputs[1] = &sources->remote;
		return 0;
	case 'o':
		sources->output = argument;
		return 0;
	case ARGP_KEY_ARGS:
		sources->files = state->argv + state->next;
		sources->count = (size_t)(state->argc - state->next);
		return 0;
	case ARGP_KEY_END:
		if (sources->count != 0 && sources->remote.address != NULL)
			argp_error(state, "give files or a process, not both");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = {
	{"output", 'o', "OUT", 0, "Where it goes, whole or not at all; - (default) is stdout", 0},
	{0},
};

static const struct argp_child children[] = {
	{&call_filter_argp, 0, "Which calls:", 1},
	{&remote_argp, 0, "Of a running process:", 2},
	{0},
};

const struct argp sources_argp = {.options = options, .parser = parse, .children = children};

int loaded_open(struct loaded *loaded)
{
	*loaded = (struct loaded){.names = rpcprof_pprof_model_open(PPROF_MEMORY_MAX)};
	if (loaded->names == NULL || report_calls_open(&loaded->calls, loaded->names) != 0 ||
	    report_tree_open(&loaded->tree, loaded->names) != 0)
		return complain(EXIT_SYSTEM, "out of memory");
	return EXIT_DONE;
}

void loaded_close(struct loaded *loaded)
{
	report_calls_close(&loaded->calls);
	report_tree_close(&loaded->tree);
	rpcprof_pprof_close(loaded->names);
}

int sources_open(const struct sources *sources, size_t i, struct input *input)
{
	struct remote remote = sources->remote;

	if (sources->count != 0)
		return input_open(input, sources->files[i]);
	return remote_fetch(&remote, &sources->filter, input);
}

static int has_no_calls(const char *path)
{
	return complain(EXIT_USAGE, "%s: a profile has no single calls; give a saved dump", path);
}

/* A dump's calls go to *calls, a profile's stacks to the tree, if there is one. */
static int load_input(const struct sources *sources, const struct input *input, struct calls *calls,
                      struct tree *tree, const char *type, int column)
{
	if (input->profile == NULL)
		return calls_add_file(calls, input, &sources->filter);
	if (tree == NULL || call_filter_is_of_calls(&sources->filter))
		return has_no_calls(input->path);
	return tree_add_profile(tree, input, type, column);
}

static int load_source(const struct sources *sources, size_t i, struct loaded *loaded,
                       struct tree *tree, const char *type)
{
	struct input input;
	int status = sources_open(sources, i, &input);

	if (status != EXIT_DONE)
		return status;
	status = load_input(sources, &input, &loaded->calls, tree, type, TREE_THIS);
	input_close(&input);
	return status;
}

static int load_sources(const struct sources *sources, struct loaded *loaded, struct tree *tree,
                        const char *type)
{
	size_t i = 0;
	int status;

	do
		status = load_source(sources, i, loaded, tree, type);
	while (status == EXIT_DONE && ++i < sources->count);
	if (status == EXIT_DONE)
		report_calls_finish(&loaded->calls, sources->filter.last);
	return status;
}

int sources_load_calls(const struct sources *sources, struct loaded *loaded)
{
	return load_sources(sources, loaded, NULL, NULL);
}

int sources_load_tree(const struct sources *sources, struct loaded *loaded, const char *type)
{
	int status = load_sources(sources, loaded, &loaded->tree, type);

	if (status == EXIT_DONE && loaded->calls.file_count != 0)
		status = tree_add_calls(&loaded->tree, &loaded->calls, TREE_THIS);
	return status;
}

int sources_load_base(const struct sources *sources, struct loaded *loaded, const char *path,
                      const char *type)
{
	struct calls calls;
	struct input input;
	int status = input_open(&input, path);

	if (status != EXIT_DONE)
		return status;
	if (report_calls_open(&calls, loaded->names) != 0)
		status = complain(EXIT_SYSTEM, "%s: out of memory", path);
	else
		status = load_input(sources, &input, &calls, &loaded->tree, type, TREE_BASE);
	if (status == EXIT_DONE && calls.file_count != 0) {
		report_calls_finish(&calls, sources->filter.last);
		status = tree_add_calls(&loaded->tree, &calls, TREE_BASE);
	}
	report_calls_close(&calls);
	input_close(&input);
	return status;
}

int sources_write(const struct sources *sources, const struct loaded *loaded, const char *what,
                  drawing *draw)
{
	struct output output;
	int status = output_open(&output, sources->output, what);

	if (status != EXIT_DONE)
		return status;
	return output_close(&output, draw(output.stream, loaded));
}
