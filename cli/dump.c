/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/filter_internal.h"
#include "cli/remote_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct arguments {
	const char *file; /* NULL: of a running process */
	struct remote remote;
	struct call_filter filter;
	struct dump_writer writer;
};

/* Twice over the file. */
struct passes {
	const struct call_filter *filter;
	struct dump_writer *writer;
	uint64_t matches; /* of the first */
	uint64_t seen;    /* of the second */
};

#define COLOUR 256 /* an option without a letter */

static void parse_format(struct argp_state *state, struct arguments *arguments, const char *name)
{
	if (strcmp(name, "table") == 0)
		arguments->writer.format = RPCPROF_DUMP_TABLE;
	else if (strcmp(name, "json") == 0)
		arguments->writer.format = RPCPROF_DUMP_JSON;
	else if (strcmp(name, "jsonl") == 0)
		arguments->writer.format = RPCPROF_DUMP_JSON_LINES;
	else if (strcmp(name, "proto") == 0)
		arguments->writer.format = RPCPROF_DUMP_PROTO;
	else
		argp_error(state, "--format takes table, json, jsonl or proto, not \"%s\"", name);
	if (arguments->writer.format == RPCPROF_DUMP_PROTO && isatty(STDOUT_FILENO))
		argp_error(state, "--format proto is not for terminals: redirect it to a file");
}

static void parse_colour(struct argp_state *state, struct arguments *arguments, const char *when)
{
	if (strcmp(when, "always") == 0)
		arguments->writer.colour = true;
	else if (strcmp(when, "never") == 0)
		arguments->writer.colour = false;
	else if (strcmp(when, "auto") != 0)
		argp_error(state, "--colour takes auto, always or never, not \"%s\"", when);
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &arguments->filter;
		state->child_inputs[1] = &arguments->remote;
		return 0;
	case 'f':
		parse_format(state, arguments, argument);
		return 0;
	case COLOUR:
		parse_colour(state, arguments, argument);
		return 0;
	case ARGP_KEY_ARG:
		if (arguments->file != NULL)
			argp_error(state, "one file at a time");
		arguments->file = argument;
		return 0;
	case ARGP_KEY_END:
		if (arguments->file != NULL && arguments->remote.address != NULL)
			argp_error(state, "give a file or a process, not both");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static int count_call(void *arg, const struct dump_call *call)
{
	struct passes *passes = arg;

	passes->matches += call_filter_matches(passes->filter, call);
	return EXIT_DONE;
}

static int output_status(int status)
{
	if (status == 0)
		return EXIT_DONE;
	return complain(EXIT_SYSTEM, "not written: %s", strerror(-status));
}

/* What is printed shows by itself how far it is. */
static void make_way(const struct passes *passes)
{
	if (passes->writer->out == stdout && isatty(STDOUT_FILENO))
		progress_end();
}

static int write_header(void *arg, const struct dump_header *header)
{
	const struct passes *passes = arg;

	make_way(passes);
	return output_status(rpcprof_dump_write_begin(passes->writer, header));
}

static int write_call(void *arg, const struct dump_call *call)
{
	struct passes *passes = arg;
	uint64_t last = passes->filter->last;

	if (!call_filter_matches(passes->filter, call))
		return EXIT_DONE;
	passes->seen++;
	if (last != 0 && passes->seen + last <= passes->matches)
		return EXIT_DONE;
	make_way(passes);
	return output_status(rpcprof_dump_write_call(passes->writer, call));
}

/* Twice, that the last N can be told without keeping them, and that nothing is written of a file
 * that is bad further on. */
int dump_copy(const struct input *input, const struct call_filter *filter,
              struct dump_writer *writer)
{
	struct passes passes = {.filter = filter, .writer = writer};
	struct dump_receiver counter = {NULL, count_call, &passes, 0};
	struct dump_receiver copier = {write_header, write_call, &passes, 0};
	int status = input_each_call(input, &counter);

	if (status == EXIT_DONE)
		status = input_each_call(input, &copier);
	if (status == EXIT_DONE)
		status = output_status(rpcprof_dump_write_end(writer, copier.torn));
	return status;
}

static void print_labels(const struct rpcprof_pprof *profile, const struct pprof_sample *sample)
{
	for (uint32_t i = 0; i < sample->label_count; i++) {
		const struct pprof_label *label = &profile->labels[sample->labels + i];

		fputs(i == 0 ? "  {" : ", ", stdout);
		rpcprof_dump_print_name(stdout, rpcprof_pprof_text(profile, label->key));
		fputc('=', stdout);
		if (label->str != 0) {
			rpcprof_dump_print_name(stdout, rpcprof_pprof_text(profile, label->str));
		} else {
			printf("%" PRId64 " ", label->num);
			rpcprof_dump_print_name(stdout, rpcprof_pprof_text(profile, label->unit));
		}
	}
	if (sample->label_count != 0)
		fputc('}', stdout);
}

static void print_location(const struct rpcprof_pprof *profile, uint64_t id, bool first)
{
	const struct pprof_location *location = &profile->locations[id - 1];

	if (location->line_count == 0)
		printf("%s0x%" PRIx64, first ? "" : ";", location->address);
	for (uint32_t i = location->line_count; i-- > 0; first = false) {
		const struct pprof_function *function =
			rpcprof_pprof_line_function(profile, &profile->lines[location->lines + i]);

		fputs(first ? "" : ";", stdout);
		rpcprof_dump_print_name(stdout, rpcprof_pprof_text(profile, function->name));
	}
}

static void print_sample(const struct rpcprof_pprof *profile, size_t index)
{
	const struct pprof_sample *sample = &profile->samples[index];
	const int64_t *values = rpcprof_pprof_values(profile, index);

	for (size_t i = 0; i < profile->types_count; i++)
		printf("%14" PRId64 " ", values[i]);
	fputc(' ', stdout);
	for (uint32_t i = sample->depth; i-- > 0;)
		print_location(profile, profile->frames[sample->frames + i], i + 1 == sample->depth);
	print_labels(profile, sample);
	fputc('\n', stdout);
}

static int show_profile(const struct rpcprof_pprof *profile, const struct arguments *arguments)
{
	size_t first = 0;
	char date[40];

	rpcprof_dump_format_date(date, profile->time_ns);
	printf("# from %s for %" PRId64 " ns; %zu samples: values, stack from its root, labels\n",
	       date, profile->duration_ns, profile->samples_count);
	for (size_t i = 0; i < profile->comments_count; i++) {
		fputs("# ", stdout);
		rpcprof_dump_print_name(stdout, rpcprof_pprof_text(profile, profile->comments[i]));
		fputc('\n', stdout);
	}
	fputc('#', stdout);
	for (size_t i = 0; i < profile->types_count; i++) {
		fputc(' ', stdout);
		rpcprof_dump_print_name(stdout, rpcprof_pprof_text(profile, profile->types[i].type));
		fputc('/', stdout);
		rpcprof_dump_print_name(stdout, rpcprof_pprof_text(profile, profile->types[i].unit));
	}
	fputc('\n', stdout);
	if (arguments->filter.last != 0 && arguments->filter.last < profile->samples_count)
		first = profile->samples_count - arguments->filter.last;
	for (size_t i = first; i < profile->samples_count; i++)
		print_sample(profile, i);
	return finish_stdout();
}

static int show_file(struct arguments *arguments)
{
	struct input input;
	int status = arguments->file != NULL
	                     ? input_open(&input, arguments->file)
	                     : remote_fetch(&arguments->remote, &arguments->filter, &input);

	if (status != EXIT_DONE)
		return status;
	if (input.profile == NULL)
		status = dump_copy(&input, &arguments->filter, &arguments->writer);
	else if (arguments->writer.format != RPCPROF_DUMP_TABLE ||
	         call_filter_is_of_calls(&arguments->filter))
		status = complain(EXIT_USAGE,
		                  "%s: a profile has no single calls: only --last goes with it",
		                  arguments->file);
	else
		status = show_profile(input.profile, arguments);
	input_close(&input);
	return status;
}

static int run(int argc, char **argv, bool in_flight)
{
	static const struct argp_option options[] = {
		{"format", 'f', "FORMAT", 0, "table (default), json, jsonl or proto", 0},
		{"colour", COLOUR, "WHEN", 0, "auto (default: on a terminal), always or never", 0},
		{"color", COLOUR, NULL, OPTION_ALIAS, NULL, 0},
		{0},
	};
	static const struct argp_child children[] = {
		{&call_filter_argp, 0, "Which calls:", 1},
		{&remote_argp, 0, "Of a running process:", 2},
		{0},
	};
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.children = children,
		.args_doc = "[FILE]",
		.doc = "Shows the last calls of a running process, or, given FILE, of a saved dump; "
		       "or writes them in another form. Of a profile it shows the samples. FILE - is "
		       "standard input.",
	};
	const char *no_colour = getenv("NO_COLOR");
	struct arguments arguments = {.writer.out = stdout, .filter.in_flight = in_flight};

	arguments.writer.colour =
		isatty(STDOUT_FILENO) && (no_colour == NULL || no_colour[0] == '\0');
	argp_parse(&argp, argc, argv, 0, NULL, &arguments);
	return show_file(&arguments);
}

int command_dump(int argc, char **argv)
{
	return run(argc, argv, false);
}

int command_inflight(int argc, char **argv)
{
	return run(argc, argv, true);
}
