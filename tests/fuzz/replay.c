/* SPDX-License-Identifier: Apache-2.0 */
/* replay FILE...: each file through the fuzz target, once. */
#include "tests/fuzz/fuzz_internal.h"

static uint8_t bytes[1 << 20];

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		FILE *file = fopen(argv[i], "rb");
		size_t length;
		uint8_t *copy;

		printf("%s\n", argv[i]);
		fflush(stdout);
		must(file != NULL);
		length = fread(bytes, 1, sizeof(bytes), file);
		must(feof(file));
		fclose(file);
		copy = copy_of(bytes, length);
		LLVMFuzzerTestOneInput(copy, length);
		free(copy);
	}
	must(argc > 1);
	return 0;
}
