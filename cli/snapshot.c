/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command_internal.h"

#include <string.h>

/* What can be done with a snapshot: the first argument. */
static const struct command actions[] = {
	{"load", "show one that was saved", command_dump},
};

static error_t parse(int key, char *argument, struct argp_state *state)
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
		.parser = parse,
		.args_doc = "load [OPTION...] FILE",
		.doc = "Shows a snapshot that was saved, as dump does: `rpcprof dump --help' tells "
		       "the options.",
	};
	static char name[] = "rpcprof snapshot load";
	const struct command *action = NULL;

	argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &action);
	argv[1] = name;
	return action->run(argc - 1, argv + 1);
}
