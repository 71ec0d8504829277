/* SPDX-License-Identifier: Apache-2.0 */
#include "export/dump_internal.h"

#include <errno.h>
#include <stdlib.h>

/* Writes an object and lets go of it. embed: without its braces. */
static int put(struct dump_writer *writer, json_t *object, bool embed)
{
	int status;

	if (object == NULL)
		return -ENOMEM;
	status = json_dumpf(object, writer->out,
	                    JSON_COMPACT | JSON_ENSURE_ASCII | (embed ? JSON_EMBED : 0));
	json_decref(object);
	return status == 0 ? 0 : -EIO;
}

/* A line of its own: {"<what>":object}. */
static int put_line(struct dump_writer *writer, const char *what, json_t *object)
{
	json_t *line = object == NULL ? NULL : json_pack("{s:o}", what, object);
	int status = put(writer, line, false);

	fputc('\n', writer->out);
	return status;
}

/* A message after its length as a varint, as readers of streams of messages expect it. */
static int put_message(struct dump_writer *writer, const uint8_t *bytes, size_t length)
{
	size_t left = length;

	for (; left >= 0x80; left >>= 7)
		fputc((int)(left & 0x7f) | 0x80, writer->out);
	fputc((int)left, writer->out);
	return fwrite(bytes, 1, length, writer->out) == length ? 0 : -EIO;
}

/* Packs into the room that the last message left, or into more. */
static int put_proto(struct dump_writer *writer, const struct dump_part *part)
{
	size_t length = rpcprof_dump_pack(part, writer->bytes, writer->room);

	if (length > writer->room) {
		uint8_t *larger = realloc(writer->bytes, length);

		if (larger == NULL)
			return -ENOMEM;
		writer->bytes = larger;
		writer->room = length;
		length = rpcprof_dump_pack(part, larger, length);
	}
	return length != 0 ? put_message(writer, writer->bytes, length) : -ENOMEM;
}

/* What stdio has to say; errno is of the write that failed, if it was the last one. */
static int stream_status(struct dump_writer *writer)
{
	if (!ferror(writer->out))
		return 0;
	return errno > 0 ? -errno : -EIO;
}

int rpcprof_dump_write_begin(struct dump_writer *writer, const struct dump_header *header)
{
	int status = 0;

	errno = 0;
	writer->enabled = header->enabled;
	if (writer->format == RPCPROF_DUMP_TABLE) {
		rpcprof_dump_table_begin(writer, header);
	} else if (writer->format == RPCPROF_DUMP_JSON_LINES) {
		status = put_line(writer, "dump", rpcprof_dump_json_header(header));
	} else if (writer->format == RPCPROF_DUMP_PROTO) {
		status = put_proto(writer, &(struct dump_part){.header = header});
	} else {
		fputc('{', writer->out);
		status = put(writer, rpcprof_dump_json_header(header), true);
		fputs(",\"calls\":[", writer->out);
	}
	return status != 0 ? status : stream_status(writer);
}

int rpcprof_dump_write_call(struct dump_writer *writer, const struct dump_call *call)
{
	int status = 0;

	if (writer->format == RPCPROF_DUMP_TABLE) {
		rpcprof_dump_table_call(writer, call);
	} else if (writer->format == RPCPROF_DUMP_JSON_LINES) {
		status = put_line(writer, "call", rpcprof_dump_json_call(call));
	} else if (writer->format == RPCPROF_DUMP_PROTO) {
		status = put_proto(writer, &(struct dump_part){.call = call});
	} else {
		fputs(writer->calls == 0 ? "\n" : ",\n", writer->out);
		status = put(writer, rpcprof_dump_json_call(call), false);
	}
	writer->calls++;
	if (call->date_error_ns > writer->date_error_ns)
		writer->date_error_ns = call->date_error_ns;
	return status != 0 ? status : stream_status(writer);
}

int rpcprof_dump_write_end(struct dump_writer *writer, uint64_t torn)
{
	struct dump_end end = {writer->calls, torn, writer->date_error_ns};
	int status = 0;

	if (writer->format == RPCPROF_DUMP_TABLE) {
		rpcprof_dump_table_end(writer, &end);
	} else if (writer->format == RPCPROF_DUMP_JSON_LINES) {
		status = put_line(writer, "end", rpcprof_dump_json_end(&end));
	} else if (writer->format == RPCPROF_DUMP_PROTO) {
		status = put_proto(writer, &(struct dump_part){.end = &end});
	} else {
		fputs("\n],\"end\":", writer->out);
		status = put(writer, rpcprof_dump_json_end(&end), false);
		fputs("}\n", writer->out);
	}
	free(writer->bytes);
	writer->bytes = NULL;
	writer->room = 0;
	if (status == 0 && fflush(writer->out) != 0)
		status = errno > 0 ? -errno : -EIO;
	return status != 0 ? status : stream_status(writer);
}
