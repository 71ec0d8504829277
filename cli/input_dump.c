/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/input_internal.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define LINE_BYTES_MAX ((size_t)4 << 20)

static const char write_again[] = "write the dump again with rpcprof_dump()";

struct walk {
	const struct input *input;
	struct dump_receiver *receiver;
	size_t at; /* of the line or document at hand */
	bool began; /* a header was met: of dumps one after the other, the first one's is shown */
	struct dump_stage stages[DUMP_STAGES_MAX];
};

/* The JSON value that begins at walk->at. NULL after a complaint. */
static json_t *load(struct walk *walk, size_t length, size_t flags, size_t *used)
{
	json_error_t error;
	json_t *value = json_loadb((const char *)walk->input->bytes + walk->at, length,
	                           flags | JSON_REJECT_DUPLICATES, &error);

	if (value != NULL)
		*used = (size_t)error.position;
	else if (json_error_code(&error) == json_error_out_of_memory)
		input_complain(walk->input, walk->at, "takes more than 1 GiB as JSON",
		               "write the dump as JSON lines");
	else
		input_complain(walk->input, walk->at + (size_t)error.position, error.text,
		               write_again);
	return value;
}

static int give_header(struct walk *walk, const json_t *object)
{
	struct dump_header header;
	const char *error;

	if (rpcprof_dump_parse_header(object, &header, &error) != 0)
		return input_complain(walk->input, walk->at, error, write_again);
	if (walk->receiver->header == NULL)
		return EXIT_DONE;
	return walk->receiver->header(walk->receiver->arg, &header);
}

static int give_call(struct walk *walk, const json_t *object)
{
	struct dump_call call;
	const char *error;

	if (rpcprof_dump_parse_call(object, &call, walk->stages, &error) != 0)
		return input_complain(walk->input, walk->at, error, write_again);
	return walk->receiver->call(walk->receiver->arg, &call);
}

static void take_end(struct walk *walk, const json_t *object)
{
	json_int_t torn = json_integer_value(json_object_get(object, "torn"));

	walk->receiver->torn = torn > 0 ? (uint64_t)torn : 0;
}

static int give_line(struct walk *walk, const json_t *line, bool *ended)
{
	const json_t *call = json_object_get(line, "call");
	const json_t *header = json_object_get(line, "dump");
	const json_t *end = json_object_get(line, "end");

	if (*ended && header == NULL)
		return input_complain(walk->input, walk->at, "goes on after its end", write_again);
	if (call != NULL)
		return give_call(walk, call);
	if (header != NULL) {
		bool first = !walk->began;

		walk->began = true;
		*ended = false;
		return first ? give_header(walk, header) : EXIT_DONE;
	}
	if (end == NULL)
		return input_complain(walk->input, walk->at,
		                      "a line that is neither \"dump\" nor \"call\" nor \"end\"",
		                      write_again);
	take_end(walk, end);
	*ended = true;
	return EXIT_DONE;
}

static int walk_line(struct walk *walk, size_t length, bool *ended)
{
	size_t used;
	json_t *line;
	int status;

	if (length > LINE_BYTES_MAX)
		return input_complain(walk->input, walk->at, "a line of more than 4 MiB",
		                      write_again);
	line = load(walk, length, 0, &used);
	if (line == NULL)
		return EXIT_BAD_INPUT;
	status = give_line(walk, line, ended);
	json_decref(line);
	return status;
}

static bool is_blank(const uint8_t *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (!isspace(bytes[i]))
			return false;
	return true;
}

static int walk_lines(struct walk *walk)
{
	const struct input *input = walk->input;
	bool ended = false;
	int status = EXIT_DONE;

	while (status == EXIT_DONE && walk->at < input->length) {
		const uint8_t *line = input->bytes + walk->at;
		const uint8_t *newline = memchr(line, '\n', input->length - walk->at);
		size_t length =
			newline != NULL ? (size_t)(newline - line) : input->length - walk->at;

		progress(input->path, walk->at, input->length);
		if (!is_blank(line, length))
			status = walk_line(walk, length, &ended);
		if (status == EXIT_DONE)
			walk->at += length + (newline != NULL);
	}
	if (status == EXIT_DONE && !ended)
		status = input_complain(input, input->length,
		                        "truncated: the last line is not the dump's end",
		                        write_again);
	return status;
}

/* Our writer begins a line with each call, and then this is where call i begins; else 0. */
static size_t call_offset(const struct input *input, size_t index)
{
	const uint8_t *at = input->bytes, *end = input->bytes + input->length;

	for (size_t i = 0; i <= index; i++) {
		at = memchr(at, '\n', (size_t)(end - at));
		if (at == NULL)
			return 0;
		at++;
	}
	return at < end && *at == '{' ? (size_t)(at - input->bytes) : 0;
}

static int walk_document(struct walk *walk, const json_t *document)
{
	const json_t *calls = json_object_get(document, "calls");
	int status = give_header(walk, document);

	if (status == EXIT_DONE && !json_is_array(calls))
		status = input_complain(walk->input, 0, "has no array \"calls\"", write_again);
	take_end(walk, json_object_get(document, "end"));
	for (size_t i = 0; status == EXIT_DONE && i < json_array_size(calls); i++) {
		struct dump_call call;
		const char *error;

		progress(walk->input->path, i, json_array_size(calls));
		if (rpcprof_dump_parse_call(json_array_get(calls, i), &call, walk->stages,
		                            &error) != 0)
			status = input_complain(walk->input, call_offset(walk->input, i), error,
			                        write_again);
		else
			status = walk->receiver->call(walk->receiver->arg, &call);
	}
	return status;
}

int input_each_call(const struct input *input, struct dump_receiver *receiver)
{
	struct walk walk = {.input = input, .receiver = receiver};
	size_t used = 0;
	json_t *first;
	bool lines;
	int status;

	if (input->is_proto)
		return input_each_proto(input, receiver);
	json_memory_limit();
	first = load(&walk, input->length, JSON_DISABLE_EOF_CHECK, &used);
	if (first == NULL)
		return EXIT_BAD_INPUT;
	lines = json_object_get(first, "dump") != NULL;
	if (!lines && !is_blank(input->bytes + used, input->length - used))
		status = input_complain(input, used, "goes on after the document", write_again);
	else if (!lines)
		status = walk_document(&walk, first);
	else
		status = EXIT_DONE;
	json_decref(first);
	if (lines)
		status = walk_lines(&walk);
	return status;
}
