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
		return 0;
	case 'o':
		sources->output = argument;
		return 0;
	case ARGP_KEY_ARGS:
		sources->files = state->argv + state->next;
		sources->count = (size_t)(state->argc - state->next);
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "no file given");
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
	{0},
};

const struct argp sources_argp = {.options = options, .parser = parse, .children = children};

int loaded_open(struct loaded *loaded)
{
	int status;

	*loaded = (struct loaded){.names = rpcprof_pprof_model_open(PPROF_MEMORY_MAX)};
	if (loaded->names == NULL)
		return complain(EXIT_SYSTEM, "out of memory");
	status = calls_open(&loaded->calls, loaded->names);
	if (status == EXIT_DONE)
		status = tree_open(&loaded->tree, loaded->names);
	return status;
}

void loaded_close(struct loaded *loaded)
{
	calls_close(&loaded->calls);
	tree_close(&loaded->tree);
	rpcprof_pprof_close(loaded->names);
}

static int has_no_calls(const char *path)
{
	return complain(EXIT_USAGE, "%s: a profile has no single calls; give a saved dump", path);
}

/* A dump's calls go to *calls, a profile's stacks to the tree, if there is one. */
static int load_file(const struct sources *sources, const char *path, struct calls *calls,
                     struct tree *tree, const char *type, int column)
{
	struct input input;
	int status = input_open(&input, path);

	if (status != EXIT_DONE)
		return status;
	if (input.profile == NULL)
		status = calls_add_file(calls, &input, &sources->filter);
	else if (tree == NULL || call_filter_is_of_calls(&sources->filter))
		status = has_no_calls(path);
	else
		status = tree_add_profile(tree, &input, type, column);
	input_close(&input);
	return status;
}

static int load_files(const struct sources *sources, struct loaded *loaded, struct tree *tree,
                      const char *type)
{
	int status = EXIT_DONE;

	for (size_t i = 0; status == EXIT_DONE && i < sources->count; i++)
		status = load_file(sources, sources->files[i], &loaded->calls, tree, type,
		                   TREE_THIS);
	if (status == EXIT_DONE)
		calls_finish(&loaded->calls, sources->filter.last);
	return status;
}

int sources_load_calls(const struct sources *sources, struct loaded *loaded)
{
	return load_files(sources, loaded, NULL, NULL);
}

int sources_load_tree(const struct sources *sources, struct loaded *loaded, const char *type)
{
	int status = load_files(sources, loaded, &loaded->tree, type);

	if (status == EXIT_DONE && loaded->calls.file_count != 0)
		status = tree_add_calls(&loaded->tree, &loaded->calls, TREE_THIS);
	return status;
}

int sources_load_base(const struct sources *sources, struct loaded *loaded, const char *path,
                      const char *type)
{
	struct calls calls;
	int status = calls_open(&calls, loaded->names);

	if (status == EXIT_DONE)
		status = load_file(sources, path, &calls, &loaded->tree, type, TREE_BASE);
	if (status == EXIT_DONE && calls.file_count != 0) {
		calls_finish(&calls, sources->filter.last);
		status = tree_add_calls(&loaded->tree, &calls, TREE_BASE);
	}
	calls_close(&calls);
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
