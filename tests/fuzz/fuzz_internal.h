/* SPDX-License-Identifier: Apache-2.0 */
#ifndef RPCPROF_TESTS_FUZZ_INTERNAL_H
#define RPCPROF_TESTS_FUZZ_INTERNAL_H

/*
 * What the fuzz targets share. Each tests/fuzz/<name>.c is a program: under clang's libFuzzer it
 * makes up inputs (scripts/fuzz), in every other build it takes the files of its corpus once
 * (replay.c), so that what was found once is looked for by every compiler and sanitizer.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

/* What has to hold. Dies, so that the fuzzer keeps the input. */
#define must(condition)                                                                        \
	do {                                                                                   \
		if (!(condition)) {                                                            \
			dprintf(2, "%s:%d: not so: %s\n", __FILE__, __LINE__,             \
			        #condition);                                                   \
			abort();                                                               \
		}                                                                              \
	} while (0)

/* The input, taken from its front; zeros once it is used up. */
struct taker {
	const uint8_t *bytes;
	size_t left;
};

static inline uint64_t take(struct taker *taker, size_t bytes)
{
	uint64_t value = 0;
	size_t count = bytes < taker->left ? bytes : taker->left;

	memcpy(&value, taker->bytes, count);
	taker->bytes += count;
	taker->left -= count;
	return value;
}

/* A copy of exactly that many bytes: reading past its end is noticed. */
static inline uint8_t *copy_of(const uint8_t *bytes, size_t length)
{
	uint8_t *copy = malloc(length > 0 ? length : 1);

	must(copy != NULL);
	return length > 0 ? memcpy(copy, bytes, length) : copy;
}

#endif
