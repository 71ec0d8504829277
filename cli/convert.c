/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/page_internal.h"

#include <stdlib.h>
#include <string.h>

struct arguments;

/* Writes what the files hold. An exit_code. */
typedef int converter(const struct arguments *arguments, FILE *out);

struct form {
	const char *name;
	const char *suffix;  /* of OUT, if no form is named */
	const char *binary;  /* what it is, if it is nothing for terminals */
	converter *convert;
	union {
		enum rpcprof_dump_format dump;
		drawing *draw;
	} by;
};

struct arguments {
	struct sources sources;
	const struct form *form;
};

/* One dump as another, call by call. */
static int convert_dump(const struct arguments *arguments, FILE *out)
{
	const struct sources *sources = &arguments->sources;
	struct dump_writer writer = {.out = out, .format = arguments->form->by.dump};
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

static int write_profile(const struct loaded *loaded, FILE *out)
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

static int convert_to_profile(const struct arguments *arguments, FILE *out)
{
	struct loaded loaded;
	int status = loaded_open(&loaded);

	if (status == EXIT_DONE)
		status = sources_load_calls(&arguments->sources, &loaded);
	if (status == EXIT_DONE)
		status = tree_add_calls(&loaded.tree, &loaded.calls, TREE_THIS);
	if (status == EXIT_DONE)
		status = write_profile(&loaded, out);
	loaded_close(&loaded);
	return status;
}

static int convert_to_trace(const struct arguments *arguments, FILE *out)
{
	struct loaded loaded;
	int status = loaded_open(&loaded);

	if (status == EXIT_DONE)
		status = sources_load_calls(&arguments->sources, &loaded);
	if (status == EXIT_DONE)
		status = trace_write(out, &loaded);
	loaded_close(&loaded);
	return status;
}

static int draw_page(FILE *out, const struct loaded *loaded)
{
	return page_write(out, loaded, &(struct page){0});
}

static int convert_to_drawing(const struct arguments *arguments, FILE *out)
{
	struct loaded loaded;
	int status = loaded_open(&loaded);

	if (status == EXIT_DONE)
		status = sources_load_tree(&arguments->sources, &loaded, NULL);
	if (status == EXIT_DONE)
		status = arguments->form->by.draw(out, &loaded);
	loaded_close(&loaded);
	return status;
}

static const struct form forms[] = {
	{"table", ".txt", NULL, convert_dump, {.dump = RPCPROF_DUMP_TABLE}},
	{"json", ".json", NULL, convert_dump, {.dump = RPCPROF_DUMP_JSON}},
	{"jsonl", ".jsonl", NULL, convert_dump, {.dump = RPCPROF_DUMP_JSON_LINES}},
	{"proto", ".dump", "a snapshot", convert_dump, {.dump = RPCPROF_DUMP_PROTO}},
	{"pprof", ".pb.gz", "a profile", convert_to_profile, {0}},
	{"trace", ".trace", NULL, convert_to_trace, {0}},
	{"folded", ".folded", NULL, convert_to_drawing, {.draw = folded_write}},
	{"svg", ".svg", NULL, convert_to_drawing, {.draw = svg_write}},
	{"html", ".html", "a page", convert_to_drawing, {.draw = draw_page}},
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
	return output_close(&output, arguments.form->convert(&arguments, output.stream));
}
