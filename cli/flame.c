/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/sources_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct arguments {
	struct sources sources;
	const char *type;
	drawing *draw;
};

/* ---- folded stacks: "server;/pkg.Service/Method;/decode 1234" ---- */

struct folder {
	const struct tree *tree;
	char **names; /* by text id, made on first use */
	uint32_t *stack;
};

/* ';' parts frames and the last blank the value, so neither may stand in a name by itself. */
static char *fold_name(const char *name)
{
	char *plain = NULL, *folded = NULL;
	size_t bytes;
	FILE *out = open_memstream(&plain, &bytes);

	if (out == NULL)
		return NULL;
	rpcprof_dump_print_name(out, name);
	fclose(out);
	out = plain != NULL ? open_memstream(&folded, &bytes) : NULL;
	for (const char *at = plain; out != NULL && *at != '\0'; at++)
		fputs(*at == ';' ? "\\x3b" : (char[]){*at, '\0'}, out);
	if (out != NULL)
		fclose(out);
	free(plain);
	return folded;
}

static int fold_node(struct folder *folder, FILE *out, size_t node)
{
	const struct tree_node *nodes = folder->tree->nodes;
	size_t depth = 0;

	for (size_t at = node; at != 0; at = nodes[at].parent)
		folder->stack[depth++] = nodes[at].name;
	while (depth-- > 0) {
		uint32_t name = folder->stack[depth];

		if (folder->names[name] == NULL)
			folder->names[name] =
				fold_name(rpcprof_pprof_text(folder->tree->names, name));
		if (folder->names[name] == NULL)
			return -1;
		fprintf(out, "%s%c", folder->names[name], depth > 0 ? ';' : ' ');
	}
	fprintf(out, "%" PRId64 "\n", nodes[node].column[TREE_THIS].self);
	return 0;
}

int folded_write(FILE *out, const struct loaded *loaded)
{
	const struct tree *tree = &loaded->tree;
	struct folder folder = {tree, calloc(tree->names->texts_count, sizeof(char *)),
	                        reallocarray(NULL, tree->count, sizeof(uint32_t))};
	bool failed = folder.names == NULL || folder.stack == NULL;

	for (size_t i = 1; !failed && i < tree->count; i++) {
		if (i % 4096 == 0)
			progress("flame", i, tree->count);
		if (tree->nodes[i].column[TREE_THIS].self > 0)
			failed = fold_node(&folder, out, i) != 0;
	}
	for (size_t i = 0; folder.names != NULL && i < tree->names->texts_count; i++)
		free(folder.names[i]);
	free(folder.names);
	free(folder.stack);
	return failed ? complain(EXIT_SYSTEM, "out of memory") : EXIT_DONE;
}

/* ---- the command ---- */

static void parse_format(struct argp_state *state, struct arguments *arguments, const char *name)
{
	if (strcmp(name, "svg") == 0)
		arguments->draw = svg_write;
	else if (strcmp(name, "folded") == 0)
		arguments->draw = folded_write;
	else
		argp_error(state, "--format takes svg or folded, not \"%s\"", name);
}

static drawing *drawing_for(const char *path)
{
	const char *suffix = strrchr(path, '.');

	return suffix != NULL && strcmp(suffix, ".svg") == 0 ? svg_write : folded_write;
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &arguments->sources;
		return 0;
	case 'f':
		parse_format(state, arguments, argument);
		return 0;
	case 't':
		arguments->type = argument;
		return 0;
	case ARGP_KEY_END:
		if (arguments->draw == NULL)
			arguments->draw = drawing_for(arguments->sources.output);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int command_flame(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"format", 'f', "FORMAT", 0, "svg (default if OUT ends so) or folded", 0},
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
		.doc = "Draws where the time of all calls went, as a flame graph in SVG or as "
		       "folded stacks, one \"frame;frame;frame VALUE\" a line, which other tools "
		       "read. Of dumps or profiles, or, without FILE, of a running process. Every instant of a call belongs to one stack: "
		       "the values of a method add up to its time. FILE - is standard input.",
	};
	struct arguments arguments = {0};
	struct loaded loaded;
	int status;

	argp_parse(&argp, argc, argv, 0, NULL, &arguments);
	status = loaded_open(&loaded);
	if (status == EXIT_DONE)
		status = sources_load_tree(&arguments.sources, &loaded, arguments.type);
	if (status == EXIT_DONE)
		status = sources_write(&arguments.sources, &loaded, NULL, arguments.draw);
	loaded_close(&loaded);
	return status;
}
