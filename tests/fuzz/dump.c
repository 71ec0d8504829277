/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Saved dumps of strangers: what the reader lets in, the writer writes, and reads back the same, in
 * both forms of JSON; no form lets through what acts on a terminal; the command sums it up.
 */
#include "tests/fuzz/dump_internal.h"

static void try(const struct input *input)
{
	size_t length;
	char *text = convert(input, RPCPROF_DUMP_JSON_LINES, &length);

	if (text == NULL)
		return;
	free(text);
	write_and_read(input, RPCPROF_DUMP_JSON_LINES);
	write_and_read(input, RPCPROF_DUMP_JSON);
	show(input);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	quietly(try, bytes, length);
	return 0;
}
