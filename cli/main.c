/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command_internal.h"

#include <stdio.h>
#include <string.h>

#include "rpcprof/version.h"

static const struct command commands[] = {
	{"run", "run a program and record its gRPC calls", command_run},
#ifdef RPCPROF_CONFIG
	{"config", "what is configured, and from where", command_config},
#endif
	{"status", "whether a process records, and what", command_status},
	{"enable", "switches recording on in a process", command_enable},
	{"disable", "switches it off", command_disable},
	{"profile", "a profile of a process's next seconds", command_profile},
	{"snapshot", "saves the last calls of a process, and shows them", command_snapshot},
	{"top", "what takes the time, by method and stage", command_top},
	{"dump", "the calls of a process or a saved dump", command_dump},
	{"inflight", "the calls that are not finished", command_inflight},
	{"trace", "calls as a trace for Perfetto and Chrome", command_trace},
	{"flame", "a flame graph, or folded stacks", command_flame},
	{"report", "a page with all of it: flame graph, latency, calls", command_report},
	{"convert", "a dump or profile in another form", command_convert},
	{"merge", "several profiles as one", command_merge},
	{"pull", "a profile from a pprof URL, to a file, a server or both", command_pull},
	{"push", "profiles and dumps to Pyroscope or autopgo", command_push},
	{"autopgo", "what an autopgo server holds: list, download, delete", command_autopgo},
	{"diff", "what changed from one file to another, in all and per call", command_diff},
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void print_version(FILE *stream, struct argp_state *state)
{
	(void)state;
	fprintf(stream, "rpcprof %s\n", rpcprof_version());
}

/* The list of commands goes between the two halves of the help text. */
static char *list_commands(int key, const char *text, void *input)
{
	char *list = NULL;
	size_t length;
	FILE *out;

	(void)input;
	if (key != ARGP_KEY_HELP_POST_DOC)
		return (char *)(uintptr_t)text;
	out = open_memstream(&list, &length);
	if (out == NULL)
		return (char *)(uintptr_t)text;
	fputs("Commands:\n", out);
	for (size_t i = 0; i < COMMANDS; i++)
		fprintf(out, "  %-9s %s\n", commands[i].name, commands[i].summary);
	fputs("\n`rpcprof COMMAND --help' tells more, and so does rpcprof(1).\n"
	      "Exit codes: 0 done, 1 usage, 2 bad input, 3 a file or memory cannot be had, 4 a process did not answer or refused.",
	      out);
	fclose(out);
	return list;
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
	int *first = state->input;

	(void)argument;
	if (key == ARGP_KEY_NO_ARGS)
		argp_usage(state);
	if (key != ARGP_KEY_ARG)
		return ARGP_ERR_UNKNOWN;
	*first = state->next - 1;
	state->next = state->argc; /* the rest is the subcommand's */
	return 0;
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		.parser = parse,
		.args_doc = "COMMAND [ARGUMENT...]",
		.doc = "Profiles and dumps of the time that RPCs take.\v",
		.help_filter = list_commands,
	};
	char name[64];
	int first = argc;

	argp_program_version_hook = print_version;
	argp_err_exit_status = EXIT_USAGE;
	argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &first);
	for (size_t i = 0; i < COMMANDS; i++) {
		if (strcmp(argv[first], commands[i].name) != 0)
			continue;
		snprintf(name, sizeof(name), "rpcprof %s", commands[i].name);
		argv[first] = name;
		return commands[i].run(argc - first, argv + first);
	}
	return complain(EXIT_USAGE, "no command \"%s\"; `rpcprof --help' lists them", argv[first]);
}
