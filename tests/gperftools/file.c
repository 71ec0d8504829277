/* SPDX-License-Identifier: Apache-2.0 */
/* file THEIRS OURS: a CPU profile as gperftools writes it, and the same as we make it of that. */
#include "tests/gperftools/burn.h"

#include <errno.h>

#include "export/gperftools_internal.h"

static uintptr_t words[1 << 17];

int main(int argc, char **argv)
{
	struct rpcprof_gperftools state = {.begin_ns = 1767323045000000000,
	                                   .end_ns = 1767323046000000000};
	size_t count, used, length;
	uint8_t *bytes;
	FILE *file;

	must(argc == 3);
	must(ProfilerStart(argv[1]) != 0);
	burn(100);
	ProfilerStop();
	file = fopen(argv[1], "r");
	must(file != NULL);
	count = fread(words, sizeof(words[0]), sizeof(words) / sizeof(words[0]), file);
	fclose(file);
	must(rpcprof_gperftools_convert(&state, words, 3, &used, &bytes, &length) == -ENODATA);
	must(rpcprof_gperftools_convert(&state, words + 1, 9, &used, &bytes, &length) == -EBADMSG);
	must(rpcprof_gperftools_convert(&state, words, count, &used, &bytes, &length) == 0);
	must(words[used] == 0 && words[used + 1] == 1 && words[used + 2] == 0); /* their end */
	file = fopen(argv[2], "w");
	must(file != NULL && fwrite(bytes, 1, length, file) == length && fclose(file) == 0);
	free(bytes);
	return 0;
}
