/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/page_internal.h"

#include <stdlib.h>
#include <string.h>

struct form {
	const char *name;
	const char *suffix;  /* of OUT, if no form is named */
	const char *binary;  /* what it is, if it is nothing for terminals */
	enum rpcprof_dump_format dump; /* without draw */
	int (*load)(const struct sources *sources, struct loaded *loaded); /* for draw */
	drawing *draw;
};

struct arguments {
	struct sources sources;
	const struct form *form;
};

/* One dump as another, call by call. */
static int convert_dump(const struct arguments *arguments, FILE *out)
{
	const struct sources *sources = &arguments->sources;
	struct dump_writer writer = {.out = out, .format = arguments->form->dump};
	struct input input;
	int status;

	if (sources->count > 1)
		return complain(EXIT_USAGE, "one file at a time to %s", arguments->form->name);
	status = sources_open(sources, 0, &input);
	if (status != EXIT_DONE)
		return status;
	if (input.profile != NULL)
		status = complain(EXIT_USAGE, "%s: a profile has no single calls; give a saved dump",
		                  input.path);
	else
		status = dump_copy(&input, &sources->filter, &writer);
	input_close(&input);
	return status;
}

static int draw_profile(FILE *out, const struct loaded *loaded)
{
	struct rpcprof_pprof *profile;
	uint8_t *bytes;
	size_t length;
	int status = tree_to_profile(&loaded->tree, &loaded->calls, &profile);

	if (status != EXIT_DONE)
		return status;
	if (rpcprof_pprof_encode(profile, &bytes, &length) == 0) {
		fwrite(bytes, 1, length, out);
		free(bytes);
	} else {
		status = complain(EXIT_SYSTEM, "out of memory");
	}
	rpcprof_pprof_close(profile);
	return status;
}

static int draw_page(FILE *out, const struct loaded *loaded)
{
	return page_write(out, loaded, NULL);
}

static int load_stacks(const struct sources *sources, struct loaded *loaded)
{
	return sources_load_tree(sources, loaded, NULL);
}

/* A profile of calls, which one of a profile would not be. */
static int load_calls_as_stacks(const struct sources *sources, struct loaded *loaded)
{
	int status = sources_load_calls(sources, loaded);

	return status == EXIT_DONE ? tree_add_calls(&loaded->tree, &loaded->calls, TREE_THIS)
	                           : status;
}

static int convert_by_drawing(const struct arguments *arguments, FILE *out)
{
	struct loaded loaded;
	int status = loaded_open(&loaded);

	if (status == EXIT_DONE)
		status = arguments->form->load(&arguments->sources, &loaded);
	if (status == EXIT_DONE)
		status = arguments->form->draw(out, &loaded);
	loaded_close(&loaded);
	return status;
}

static const struct form forms[] = {
	{"table", ".txt", .dump = RPCPROF_DUMP_TABLE},
	{"json", ".json", .dump = RPCPROF_DUMP_JSON},
	{"jsonl", ".jsonl", .dump = RPCPROF_DUMP_JSON_LINES},
	{"proto", ".dump", "a snapshot", .dump = RPCPROF_DUMP_PROTO},
	{"pprof", ".pb.gz", "a profile", .load = load_calls_as_stacks, .draw = draw_profile},
	{"trace", ".trace", .load = sources_load_calls, .draw = trace_write},
	{"folded", ".folded", .load = load_stacks, .draw = folded_write},
	{"svg", ".svg", .load = load_stacks, .draw = svg_write},
	{"html", ".html", "a page", .load = load_stacks, .draw = draw_page},
};

#define FORMS (sizeof(forms) / sizeof(forms[0]))

static const struct form *form_named(struct argp_state *state, const char *name)
{
	for (size_t i = 0; i < FORMS; i++)
		if (strcmp(name, forms[i].name) == 0)
			return &forms[i];
	argp_error(state, "--format takes table, json, jsonl, proto, pprof, trace, folded, svg or "
	                  "html, not \"%s\"", name);
	return NULL;
}

static const struct form *form_of(struct argp_state *state, const char *path)
{
	size_t length = strlen(path);

	for (size_t i = 0; i < FORMS; i++) {
		size_t suffix = strlen(forms[i].suffix);

		if (length > suffix && strcmp(path + length - suffix, forms[i].suffix) == 0)
			return &forms[i];
	}
	argp_error(state, "give --format, or -o OUT that ends in .txt, .json, .jsonl, .dump, "
	                  ".pb.gz, .trace, .folded, .svg or .html");
	return NULL;
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &arguments->sources;
		return 0;
	case 'f':
		arguments->form = form_named(state, argument);
		return 0;
	case ARGP_KEY_END:
		if (arguments->form == NULL)
			arguments->form = form_of(state, arguments->sources.output);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int command_convert(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"format", 'f', "FORMAT", 0,
	         "table, json, jsonl, proto, pprof, trace, folded, svg or html; default by OUT", 0},
		{0},
	};
	static const struct argp_child children[] = {{&sources_argp, 0, NULL, 0}, {0}};
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.children = children,
		.args_doc = "[FILE...]",
		.doc = "Writes a dump in any form that there is: a table, JSON, JSON lines or "
		       "protocol buffers, which can all be read back; a profile of its calls; a "
		       "trace; folded stacks; a flame graph; a page. A profile becomes the last "
		       "three. FILE - is standard input.",
	};
	struct arguments arguments = {0};
	struct output output;
	int status;

	argp_parse(&argp, argc, argv, 0, NULL, &arguments);
	status = output_open(&output, arguments.sources.output, arguments.form->binary);
	if (status != EXIT_DONE)
		return status;
	status = arguments.form->draw != NULL ? convert_by_drawing(&arguments, output.stream)
	                                      : convert_dump(&arguments, output.stream);
	return output_close(&output, status);
}
