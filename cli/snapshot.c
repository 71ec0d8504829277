/* SPDX-License-Identifier: Apache-2.0 */
/* The last calls of a running process to a file, and back. */
#include <stdlib.h>
#include <string.h>

#include "cli/filter_internal.h"
#include "cli/remote_internal.h"

struct arguments {
	struct remote remote;
	struct call_filter filter;
	const char *output;
};

static error_t parse(int key, char *argument, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &arguments->filter;
		state->child_inputs[1] = &arguments->remote;
		return 0;
	case 'o':
		arguments->output = argument;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "no argument is taken, but \"%s\" was given; -o says which file",
		           argument);
		return 0;
	case ARGP_KEY_END:
		if (arguments->output == NULL)
			argp_error(state, "-o FILE says where the calls go");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static int save(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"output", 'o', "FILE", 0, "Where they go, whole or not at all; - is stdout", 0},
		{0},
	};
	static const struct argp_child children[] = {{&call_filter_argp, 0, "Which calls:", 1},
	                                             {&remote_argp, 0, "Which process:", 2},
	                                             {0}};
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.children = children,
		.doc = "Saves the last calls of a running process, as protocol buffers "
		       "(rpcprof.v1.Dump), for all commands that read dumps.",
	};
	struct arguments arguments = {0};
	struct input input;
	int status;

	argp_parse(&argp, argc, argv, 0, NULL, &arguments);
	status = remote_fetch(&arguments.remote, &arguments.filter, &input);
	if (status != EXIT_DONE)
		return status;
	status = write_file(arguments.output, input.bytes, input.length);
	input_close(&input);
	return status;
}

/* What can be done with a snapshot: the first argument. */
static const struct command actions[] = {
	{"save", "save the last calls of a process", save},
	{"load", "show what was saved", command_dump},
};

static error_t parse_action(int key, char *argument, struct argp_state *state)
{
	const struct command **action = state->input;

	if (key == ARGP_KEY_NO_ARGS)
		argp_error(state, "no action given");
	if (key != ARGP_KEY_ARG)
		return ARGP_ERR_UNKNOWN;
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
		if (strcmp(argument, actions[i].name) == 0)
			*action = &actions[i];
	if (*action == NULL)
		argp_error(state, "no action \"%s\"", argument);
	state->next = state->argc; /* the rest is the action's */
	return 0;
}

int command_snapshot(int argc, char **argv)
{
	static const struct argp argp = {
		.parser = parse_action,
		.args_doc = "save [OPTION...]\nload [OPTION...] FILE",
		.doc = "Saves the last calls of a running process, or shows what was saved, as dump "
		       "does. `rpcprof snapshot save --help' and `rpcprof dump --help' tell the "
		       "options.",
	};
	static char name[32];
	const struct command *action = NULL;

	argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &action);
	(void)snprintf(name, sizeof(name), "rpcprof snapshot %s", action->name);
	argv[1] = name;
	return action->run(argc - 1, argv + 1);
}
