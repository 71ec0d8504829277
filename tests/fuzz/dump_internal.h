/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_TESTS_FUZZ_DUMP_INTERNAL_H
#define RPCPROF_TESTS_FUZZ_DUMP_INTERNAL_H

/* What the targets on saved dumps share, whatever form the dump has. */
#include "tests/fuzz/fuzz_internal.h"

#include "cli/rows_internal.h"

static inline int write_header(void *arg, const struct dump_header *header)
{
	return rpcprof_dump_write_begin(arg, header);
}

static inline int write_call(void *arg, const struct dump_call *call)
{
	return rpcprof_dump_write_call(arg, call);
}

/* The dump in another form, or NULL if it is refused. */
static inline char *convert(const struct input *input, enum rpcprof_dump_format format,
                            size_t *length)
{
	char *text = NULL;
	struct dump_writer writer = {.out = open_memstream(&text, length), .format = format};
	struct dump_receiver receiver = {write_header, write_call, &writer, 0};
	int status;

	must(writer.out != NULL);
	status = input_each_call(input, &receiver);
	if (status == EXIT_DONE)
		must(rpcprof_dump_write_end(&writer, receiver.torn) == 0);
	fclose(writer.out);
	must(status == EXIT_DONE || status == EXIT_BAD_INPUT);
	if (status == EXIT_DONE)
		return text;
	free(text);
	return NULL;
}

static inline struct input input_of(const char *text, size_t length)
{
	struct input input = {.path = "dump", .bytes = (uint8_t *)(uintptr_t)text,
	                      .length = length};

	input.is_proto = input_is_proto(&input);
	return input;
}

static inline void write_and_read(const struct input *input, enum rpcprof_dump_format format)
{
	size_t first_length, second_length;
	char *first = convert(input, format, &first_length), *second;
	struct input back;

	must(first != NULL);
	back = input_of(first, first_length);
	second = convert(&back, format, &second_length);
	must(second != NULL);
	must(second_length == first_length && memcmp(first, second, first_length) == 0);
	free(first);
	free(second);
}

static inline void show(const struct input *input)
{
	struct rows rows = {0};
	size_t length;
	char *table = convert(input, RPCPROF_DUMP_TABLE, &length);

	must(table != NULL);
	for (size_t i = 0; i < length; i++)
		must((unsigned char)table[i] >= ' ' || table[i] == '\n');
	free(table);
	must(rows_add_dump(&rows, input, 0) == EXIT_DONE);
	rows_close(&rows);
}

/* With complaints going nowhere. */
static inline void quietly(void (*try)(const struct input *), const uint8_t *bytes, size_t length)
{
	static FILE *nowhere;
	FILE *real_err = stderr;
	uint8_t *copy = copy_of(bytes, length);
	struct input input = input_of((const char *)copy, length);

	if (nowhere == NULL)
		nowhere = fopen("/dev/null", "w");
	must(nowhere != NULL);
	stderr = nowhere;
	try(&input);
	stderr = real_err;
	free(copy);
}

#endif
