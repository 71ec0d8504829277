/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots of strangers, dumps as messages of protocol buffers: what the reader lets in, the writer
 * writes, and reads back the same, as messages and as JSON; no form lets through what acts on a
 * terminal; the command sums it up.
 */
#include "tests/fuzz/dump_internal.h"

static void try(const struct input *input)
{
	size_t length;
	char *text;

	if (!input->is_proto)
		return;
	text = convert(input, RPCPROF_DUMP_TABLE, &length);
	if (text == NULL)
		return;
	free(text);
	write_and_read(input, RPCPROF_DUMP_PROTO);
	write_and_read(input, RPCPROF_DUMP_JSON_LINES);
	show(input);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	quietly(try, bytes, length);
	return 0;
}
